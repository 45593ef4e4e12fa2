package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"countersign/bot/forge"
	"countersign/bot/provider/gitops"
	"countersign/gitstore"
	gitremote "countersign/gitstore/remote"
)

// pullRequests are the changes of the gitops provider that people merge: branches by
// git, signed as all that the bot writes, and pull requests by GitHub.
type pullRequests struct {
	editor
	setup setup

	mu    sync.Mutex
	known map[string]*forge.GitHub // guarded by mu; by address: a client remembers GitHub's limits
	fit   map[string]bool          // guarded by mu; addresses of repositories that are not the bot's own
}

// Make implements [gitops.Drafts]. Only what is named as the bot's own is ever
// written over.
func (p *pullRequests) Make(ctx context.Context, d gitops.Draft, message string, change func([]byte) ([]byte, error)) error {
	if !strings.HasPrefix(d.Branch, "countersign/") || d.Branch == d.Base {
		return fmt.Errorf("%s is no branch of the bot's own", d.Branch)
	}
	repo, err := p.open(ctx, d.Repo)
	if err != nil {
		return err
	}
	_, err = repo.Edit(ctx, gitstore.Edit{
		Branch: d.Branch, From: d.Base, Path: d.Path, Message: message, Author: p.identity, Signer: p.signer,
	}, change)
	return err
}

// Conflicts implements [gitops.Drafts]. GitHub is asked only where the file has
// changed in the base since the branch was made from it.
func (p *pullRequests) Conflicts(ctx context.Context, d gitops.Draft, number int) (bool, error) {
	moved, err := p.moved(ctx, d)
	if err != nil || !moved {
		return false, err
	}
	g, err := p.github(d.Repo)
	if err != nil {
		return false, err
	}
	return g.Conflicts(ctx, number)
}

func (p *pullRequests) moved(ctx context.Context, d gitops.Draft) (bool, error) {
	repo, err := p.open(ctx, d.Repo)
	if err != nil {
		return false, err
	}
	head, err := repo.Resolve(ctx, d.Branch)
	if err != nil {
		return false, err
	}
	made, err := repo.Commit(ctx, head)
	if err != nil || len(made.Parents) == 0 {
		return true, err
	}
	was, err := p.file(ctx, repo, made.Parents[0], d.Path)
	if err != nil {
		return false, err
	}
	is, err := p.file(ctx, repo, d.Base, d.Path)
	return !bytes.Equal(was, is), err
}

// of has the pull requests of a repository, which must be one of the GitHub that
// the token is for.
func (p *pullRequests) of(repo string) (gitops.Forge, error) {
	g, err := p.github(repo)
	if err != nil {
		return nil, err
	}
	return atForge{g, func(ctx context.Context) error { return p.vet(ctx, repo) }}, nil
}

// vet refuses the bot's own repositories, before anything is changed there.
func (p *pullRequests) vet(ctx context.Context, repo string) error {
	p.mu.Lock()
	fit := p.fit[repo]
	p.mu.Unlock()
	if fit {
		return nil
	}
	if _, err := p.open(ctx, repo); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fit[repo] = true
	return nil
}

func (p *pullRequests) github(repo string) (*forge.GitHub, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.known[repo]; g != nil {
		return g, nil
	}
	client, err := p.setup.githubClient()
	switch home := hostname(githubHost(p.setup.githubAPI)); {
	case err != nil:
		return nil, err
	case client == nil:
		return nil, errors.New("set GITHUB_TOKEN, or the variables of a GitHub App")
	case gitremote.Hostname(repo) != home:
		return nil, fmt.Errorf("%s is not at %s, the GitHub that this bot has credentials for (see GITHUB_API_URL)", repo, home)
	}
	g, err := forge.NewGitHub(forge.Config{Remote: repo, Client: client, APIURL: p.setup.githubAPI})
	if err != nil {
		return nil, err
	}
	p.known[repo] = g
	return g, nil
}

// atForge is GitHub in the words of the provider.
type atForge struct {
	*forge.GitHub
	vet func(context.Context) error
}

func (f atForge) Pulls(ctx context.Context, base, branch string) ([]gitops.Pull, error) {
	found, err := f.GitHub.Pulls(ctx, base, branch)
	var all []gitops.Pull
	for _, x := range found {
		all = append(all, gitops.Pull(x))
	}
	return all, err
}

func (f atForge) Open(ctx context.Context, base, branch, title, body string) (gitops.Pull, error) {
	if err := f.vet(ctx); err != nil {
		return gitops.Pull{}, err
	}
	made, err := f.GitHub.Open(ctx, base, branch, title, body)
	return gitops.Pull(made), err
}

func (f atForge) Close(ctx context.Context, number int, title string) error {
	if err := f.vet(ctx); err != nil {
		return err
	}
	return f.GitHub.Close(ctx, number, title)
}

func (f atForge) Drop(ctx context.Context, branch string) error {
	if err := f.vet(ctx); err != nil {
		return err
	}
	return f.GitHub.Drop(ctx, branch)
}

var (
	_ gitops.Drafts = (*pullRequests)(nil)
	_ gitops.Forge  = atForge{}
)
