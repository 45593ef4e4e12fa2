package main

import (
	"context"
	"errors"

	"countersign/bot"
	"countersign/bot/forge"
	"countersign/gitstore"
)

// openForge is the repository of the configuration on GitHub, where there is
// one and the bot signs in there; nil otherwise.
func (v *service) openForge(repo *gitstore.Repo) *forge.GitHub {
	if !v.onGitHub() {
		return nil
	}
	g, err := v.forgeOf(repo)
	if err != nil && !errors.Is(err, forge.ErrElsewhere) {
		v.log.Warn("the configuration's repository on GitHub cannot be used", "err", err)
	}
	return g
}

func (v *service) forgeOf(repo *gitstore.Repo) (*forge.GitHub, error) {
	address, err := repo.RemoteURL("origin")
	if err != nil {
		return nil, err
	}
	client, err := v.githubClient()
	if err != nil {
		return nil, err
	}
	return forge.NewGitHub(forge.Config{Remote: address, Client: client, APIURL: v.githubAPI})
}

// origin looks up the pull request of a config commit; nil where none can be.
func (v *service) origin() func(context.Context, string) (*bot.Proposal, error) {
	if v.github == nil {
		return nil
	}
	return func(ctx context.Context, commit string) (*bot.Proposal, error) {
		p, err := v.github.PullRequest(ctx, commit)
		if p == nil || err != nil {
			return nil, err
		}
		return (*bot.Proposal)(p), nil
	}
}
