package main

import (
	"context"
	"errors"

	"countersign/bot"
	"countersign/bot/forge"
	"countersign/gitstore"
)

// origin looks up the pull request of a config commit, where a token and a
// repository on GitHub are known; nil otherwise.
func (v *service) origin(repo *gitstore.Repo) func(context.Context, string) (*bot.Proposal, error) {
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
	if errors.Is(err, forge.ErrElsewhere) {
		return nil
	}
	if err != nil {
		v.log.Warn("pull requests of the configuration cannot be looked up", "err", err)
		return nil
	}
	return func(ctx context.Context, commit string) (*bot.Proposal, error) {
		p, err := g.PullRequest(ctx, commit)
		if p == nil || err != nil {
			return nil, err
		}
		return (*bot.Proposal)(p), nil
	}
}
