package main

import (
	"context"
	"strings"

	"countersign/bot/checkup"
	"countersign/bot/forge"
)

const checkPush = "github.push"

// pushes examines whether GitHub lets the bot write to the branches of gitops
// resources that are there: to the branch itself, or to its own for pull requests.
func (d *examination) pushes(ctx context.Context, s *checkup.Sheet) {
	if d.file == nil || !d.onGitHub() {
		return
	}
	hub := &pullRequests{setup: d.setup, known: map[string]*forge.GitHub{}}
	seen := map[string]bool{}
	for _, r := range d.file.Rules.Resources {
		repo, _ := r.Target.With["repo"].(string)
		branch, _ := r.Target.With["branch"].(string)
		_, byPull := r.Target.With["via"]
		if byPull {
			branch = "countersign/grant-…"
		}
		if r.Target.Provider != "gitops" || seen[repo+" "+branch] {
			continue
		}
		seen[repo+" "+branch] = true
		g, err := hub.github(repo)
		if err != nil {
			continue // it is elsewhere; what must be there is not offered, and named as that
		}
		guard, err := g.Guard(ctx, strings.ReplaceAll(branch, "…", "0"))
		if err != nil {
			s.Warn(checkPush, r.ID, "try again, and see the bot's token for GitHub", "what holds for branch %s of %s cannot be asked: %v", branch, g.Name(), err)
			continue
		}
		judgePushes(s, r.ID, g.Name(), branch, byPull, guard)
	}
}

// judgePushes judges what holds for a branch that the bot is to write to.
func judgePushes(s *checkup.Sheet, resource, where, branch string, byPull bool, g forge.Guard) {
	switch blocks := strings.Join(g.Blocks, ", "); {
	case blocks != "" && byPull:
		s.Fault(checkPush, resource, "let the rule not hold for countersign/**, or let the bot alone bypass it", "rules keep the bot from making its own branches %s of %s: %s", branch, where, blocks)
	case blocks != "":
		s.Fault(checkPush, resource, "add via: pull_request to the resource, or let the bot alone bypass the rule", "rules keep the bot from pushing to branch %s of %s: %s", branch, where, blocks)
	case byPull && (g.NoForce || g.NoDeletion):
		s.Fault(checkPush, resource, "let rules about force pushes and deletions not hold for countersign/**", "the bot cannot make its own branches %s of %s anew, nor remove them: an end may stay without its pull request", branch, where)
	default:
		s.OK(checkPush, resource, "no rule that the token is shown keeps the bot from branch %s of %s", branch, where)
	}
}
