package main

import (
	"context"
	"errors"

	"countersign/bot"
	"countersign/bot/forge"
	"countersign/gitstore"
)

// openForge is the repository of the configuration on GitHub, where there is
// one and a token for it; nil otherwise.
func (v *service) openForge(repo *gitstore.Repo) *forge.GitHub {
	if v.githubToken == "" {
		return nil
	}
	address, err := repo.RemoteURL("origin")
	if err == nil && address == "" {
		return nil
	}
	var g *forge.GitHub
	if err == nil {
		g, err = forge.NewGitHub(forge.Config{Remote: address, Token: v.githubToken, APIURL: v.githubAPI})
	}
	if err != nil {
		if !errors.Is(err, forge.ErrElsewhere) {
			v.log.Warn("the configuration's repository on GitHub cannot be used", "err", err)
		}
		return nil
	}
	return g
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
