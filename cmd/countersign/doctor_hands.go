package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"countersign/bot/checkup"
	"countersign/bot/forge"
	"countersign/gitstore"
)

// hands examines who may write where: nobody but people to the configuration, nobody
// but the bot to the log.
func (d *examination) hands(ctx context.Context, s *checkup.Sheet) {
	if d.rulesRepo == nil {
		return
	}
	same := d.rulesRepo == d.repository
	at := d.openForge(d.rulesRepo)
	if at == nil {
		d.byHand(s, same)
	} else if rights, guard, ok := d.ask(ctx, s, checkRules, at, d.configBranch); ok {
		judgeRules(s, at.Name(), d.configBranch, same, rights, guard)
	}
	if !elsewhere(d.repo) {
		return // the log is written here, whatever rules its origin may have
	}
	if at = d.openForge(d.repository); at == nil {
		s.Warn(checkLog, d.auditBranch, "see that nobody but the bot may push there, and that history cannot be replaced or deleted", "who may write to the log at %s cannot be asked", d.repo)
	} else if rights, guard, ok := d.ask(ctx, s, checkLog, at, d.auditBranch); ok {
		judgeLog(s, at.Name(), d.auditBranch, rights, guard)
	}
}

// The names of both checks.
const (
	checkRules = "hands.rules"
	checkLog   = "hands.log"
)

// elsewhere reports whether a repository is reached over a network.
func elsewhere(repo string) bool {
	host, _, scp := strings.Cut(repo, ":")
	return strings.Contains(repo, "://") && !strings.HasPrefix(repo, "file://") || scp && !strings.Contains(host, "/") && !strings.Contains(repo, "://")
}

// ask asks a forge what the token may do, and what holds for a branch.
func (d *examination) ask(ctx context.Context, s *checkup.Sheet, check string, at *forge.GitHub, branch string) (forge.Rights, forge.Guard, bool) {
	rights, err := at.Rights(ctx)
	var guard forge.Guard
	if err == nil {
		guard, err = at.Guard(ctx, branch)
	}
	switch {
	case errors.Is(err, forge.ErrNotFound):
		s.Fault(check, branch, "give the token of the bot access to it", "GitHub shows no repository %s to the bot's token", at.Name())
	case err != nil:
		s.Warn(check, branch, "try again, and see the bot's token for GitHub", "who may write to %s cannot be asked: %v", at.Name(), err)
	}
	return rights, guard, err == nil
}

// byHand judges a configuration that no forge guards, as far as files tell.
func (d *examination) byHand(s *checkup.Sheet, same bool) {
	const keep = "keep the configuration in a repository that the bot can only read (--config-repo), or on a forge with a rule on the branch that the bot cannot bypass"
	origin, _ := d.rulesRepo.RemoteURL("origin")
	switch {
	case forgePage(origin) != "" && !d.onGitHub():
		s.Warn(checkRules, d.configBranch, "set GITHUB_TOKEN if it is on GitHub, and run doctor again; elsewhere see that the branch is changed by reviewed merge requests only, and never by the bot",
			"who may change the configuration at %s cannot be asked", forgePage(origin))
	case forgePage(origin) != "":
		s.Warn(checkRules, d.configBranch, "see that the branch is changed by reviewed merge requests only, and never by the bot",
			"who may change the configuration at %s cannot be asked: only GitHub is understood", forgePage(origin))
	}
	switch {
	case elsewhere(d.configRepo) || same && elsewhere(d.repo):
	case same:
		s.Warn(checkRules, d.configBranch, keep, "the bot can write to the branch of the configuration: the log lies in the same repository")
	case writable(branches(d.rulesRepo)):
		s.Warn(checkRules, d.configBranch, keep+"; run doctor as the user of the bot", "this user may write to %s: the bot should only read it", d.rulesRepo.Path())
	default:
		s.OK(checkRules, d.configBranch, "this user may not write to %s", d.rulesRepo.Path())
	}
}

// branches is the directory in which a local repository has its branches.
func branches(r *gitstore.Repo) string {
	for _, dir := range []string{".git/refs/heads", "refs/heads"} {
		if path := filepath.Join(r.Path(), dir); isDir(path) {
			return path
		}
	}
	return r.Path()
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// judgeRules judges the branch of the configuration: whatever the bot's token can do,
// it must not change the rules by itself.
func judgeRules(s *checkup.Sheet, where, branch string, same bool, r forge.Rights, g forge.Guard) {
	const settings = "in the repository's settings, under Rules, "
	before := len(s.Findings())
	if !same && r.Known && !r.Push {
		s.OK(checkRules, branch, "the bot's token can only read %s", where)
		return
	}
	if len(g.Bypass) > 0 {
		s.Fault(checkRules, branch, "take the bot out of those who may bypass it; where it is an admin, use a token of an account that is none",
			"the bot's token may bypass %s on %s", strings.Join(g.Bypass, ", "), where)
	}
	if len(g.Hidden) > 0 {
		s.Warn(checkRules, branch, "see in the repository's settings that it demands an approved pull request, and that the bot is not among those who may bypass it",
			"the bot's token is not shown %s of %s", strings.Join(g.Hidden, ", "), where)
	}
	if g.Approvals == 0 && len(g.Hidden) == 0 {
		s.Fault(checkRules, branch, settings+"demand a pull request with an approval for the branch, by an owner of the code, anew after a push; block force pushes and deletions; let the bot bypass none of it",
			"nothing on %s demands an approved pull request: whoever can push changes the rules, the bot among them", where)
	}
	if r.Admin {
		s.Warn(checkRules, branch, "use a token of an account that is no admin", "the bot's token is an admin's on %s: it could take the protections away", where)
	}
	if g.Approvals > 0 {
		judgeReviews(s, where, branch, settings, g)
	}
	if len(s.Findings()) == before {
		s.OK(checkRules, branch, "%s demands an approved pull request on %s, also of the bot", where, branch)
	}
}

// judgeReviews judges pull requests that need an approval.
func judgeReviews(s *checkup.Sheet, where, branch, settings string, g forge.Guard) {
	if !g.Owners {
		s.Warn(checkRules, branch, settings+"demand a review by code owners, and name people for the file in CODEOWNERS", "any approval counts on %s, the bot's own as well", where)
	}
	if !g.Stale {
		s.Warn(checkRules, branch, settings+"dismiss approvals when something is pushed, or demand an approval of the latest push", "what is pushed after an approval counts as approved on %s", where)
	}
	if !g.NoForce || !g.NoDeletion {
		s.Warn(checkRules, branch, settings+"block force pushes and deletions of the branch", "the history of the branch can be replaced, or the branch deleted, on %s", where)
	}
}

// judgeLog judges the branch of the log: the bot adds to it, and nobody takes away.
func judgeLog(s *checkup.Sheet, where, branch string, r forge.Rights, g forge.Guard) {
	if r.Known && !r.Push {
		s.Fault(checkLog, branch, "give the bot's token the right to write contents", "the bot's token may not push to %s: nothing can be decided", where)
		return
	}
	if len(g.Blocks) > 0 {
		s.Fault(checkLog, branch, "let the rule not hold for the branch, or let the bot alone bypass it", "rules on %s keep the bot from pushing: %s", where, strings.Join(g.Blocks, ", "))
	}
	var lacks []string
	for _, rule := range []struct {
		name string
		has  bool
	}{{"non_fast_forward", g.NoForce}, {"deletion", g.NoDeletion}, {"required_linear_history", g.Linear}} {
		if !rule.has {
			lacks = append(lacks, rule.name)
		}
	}
	const remedy = "add a ruleset for the branch that blocks force pushes and deletions and demands linear history, and that nobody may bypass"
	switch {
	case len(lacks) > 0 && len(g.Bypass)+len(g.Hidden) > 0:
		s.Warn(checkLog, branch, remedy, "the log on %s can be rewritten by the bot's token, or that is not shown: %s", where, strings.Join(append(g.Bypass, g.Hidden...), ", "))
	case len(lacks) > 0:
		s.Warn(checkLog, branch, remedy, "the log on %s can be rewritten or removed by whoever can push: there is no rule %s", where, strings.Join(lacks, ", "))
	case len(g.Blocks) == 0:
		s.OK(checkLog, branch, "%s lets nobody rewrite or remove the log", where)
	}
}
