package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/forge"
	"countersign/bot/provider/exec"
	"countersign/bot/provider/github"
	"countersign/bot/provider/gitops"
	"countersign/bot/provider/postgres"
	"countersign/bot/provider/webhook"
	"countersign/gitstore"
)

// A readier is a provider that knows, without asking anybody, of a target that
// it could not serve: a variable is not set, a program is not there.
type readier interface {
	Ready(t access.Target) error
}

// openProviders makes all providers that can work here. One that cannot is no
// reason to stop: the bot owes the revocations of all others.
func (v *service) openProviders(ctx context.Context, own ...*gitstore.Repo) error {
	files, err := v.openGitops(ctx, own)
	if err != nil {
		return err
	}
	v.providers = map[string]bot.Provider{"gitops": files}
	if v.providers["webhook"], err = webhook.New(webhook.Config{Secret: v.secretNamed, Now: time.Now}); err != nil {
		return err
	}
	if v.providers["exec"], err = exec.New(exec.Config{Dir: v.execDir}); err != nil {
		return err
	}
	if v.providers["postgres"], err = postgres.New(postgres.Config{Getenv: v.variable}); err != nil {
		return err
	}
	client, err := v.githubClient()
	if client == nil || err != nil {
		return err
	}
	hub, err := github.New(github.Config{Client: client, BaseURL: v.githubAPI, Now: time.Now})
	if err != nil {
		return fmt.Errorf("GITHUB_API_URL: %w", err)
	}
	v.providers["github"] = hub
	v.roster = newRoster(hub.Discover, v.log)
	return nil
}

// openGitops makes the provider of files in repositories, which must never be
// those that govern the bot.
func (v *service) openGitops(ctx context.Context, own []*gitstore.Repo) (bot.Provider, error) {
	e := editor{identity: botIdentity, signer: v.signer, repos: &repos{
		access: v.git, dir: filepath.Join(v.dataDir, mirrors), own: []string{v.repo, v.configRepo},
	}}
	for _, r := range own {
		roots, err := r.Roots(ctx)
		if err != nil {
			return nil, err
		}
		e.own = append(e.own, roots...)
	}
	pulls := &pullRequests{editor: e, setup: v.setup, known: map[string]*forge.GitHub{}, fit: map[string]bool{}}
	return gitops.New(gitops.Config{Editor: e, Drafts: pulls, Forge: pulls.of})
}

// secretNamed reads what the operator set for a resource, each time that it is
// needed: a secret in a file may be changed while the bot runs.
func (v *service) secretNamed(name string) (string, error) {
	value, err := v.console.secret(name)
	if err == nil && value == "" {
		err = errors.New("it is not set")
	}
	return value, err
}

// variable is secretNamed for who takes no value for an unset one.
func (v *service) variable(name string) string {
	value, err := v.console.secret(name)
	if err != nil {
		v.log.Warn("a variable cannot be read", "err", err)
	}
	return value
}

// unready says why access to a target could not be given by this bot, as it was
// started; nil if it might be.
func (v *service) unready(t access.Target) error {
	p := v.providers[t.Provider]
	if p == nil {
		return errors.New("github: set GITHUB_TOKEN, or the variables of a GitHub App") // the only one that may be missing
	}
	if r, ok := p.(readier); ok {
		return r.Ready(t)
	}
	return nil
}

// offered leaves out what could be approved and never given: that helps nobody.
// The reason is said once: former configurations are read again and again.
func (v *service) offered(all []access.Resource) []access.Resource {
	kept := all[:0]
	for _, r := range all {
		err := v.unready(r.Target)
		if err == nil {
			kept = append(kept, r)
			continue
		}
		if _, said := v.withheld.LoadOrStore(r.ID+" "+err.Error(), true); !said {
			v.log.Warn("resource not offered", "resource", r.ID, "provider", r.Target.Provider, "why", err)
		}
	}
	return kept
}
