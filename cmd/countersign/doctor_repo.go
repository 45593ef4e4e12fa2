package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"countersign/bot"
	"countersign/bot/checkup"
	"countersign/bot/ledger"
	"countersign/config"
	"countersign/gitstore"
)

// repositories examines what lies in git: log, configuration, key.
func (d *examination) repositories(ctx context.Context, s *checkup.Sheet) {
	repo, rulesRepo, err := d.readRepos(ctx)
	if err != nil {
		s.Fault("repo.open", "", "correct --repo or --config-repo; it takes a repository with its whole history", "%v", err)
		return
	}
	d.repository, d.rulesRepo = repo, rulesRepo
	s.OK("repo.open", "", "%s can be read", strings.Join(distinctPaths(d.repo, cmp.Or(d.configRepo, d.repo)), " and "))
	d.logged(ctx, s)
	d.key(s)
	if err := d.openProviders(ctx, repo, rulesRepo); err != nil {
		s.Fault("resources", "", "correct the variable, or unset it", "serve does not start: %v", err)
	}
	d.configuration(ctx, s)
	d.signers(ctx, s)
}

// readRepos opens the repositories as openRepos does, but reads those elsewhere
// into a place of its own: the mirrors may be a running bot's.
func (d *examination) readRepos(ctx context.Context) (repo, rulesRepo *gitstore.Repo, err error) {
	repo, done, err := d.git.readRepo(ctx, d.repo)
	if err != nil {
		return nil, nil, fmt.Errorf("--repo: %w", err)
	}
	d.ends = append(d.ends, done)
	if d.configRepo == "" || d.configRepo == d.repo {
		return repo, repo, nil
	}
	if rulesRepo, done, err = d.git.readRepo(ctx, d.configRepo); err != nil {
		return nil, nil, fmt.Errorf("--config-repo: %w", err)
	}
	d.ends = append(d.ends, done)
	return repo, rulesRepo, nil
}

func distinctPaths(a, b string) []string {
	if a == b {
		return []string{a}
	}
	return []string{a, b}
}

// logged judges the branch of the log: that it is there, that it is one of ours, and
// that it continues what was known.
func (d *examination) logged(ctx context.Context, s *checkup.Sheet) {
	const check = "repo.log"
	branch := d.auditBranch
	head, err := d.repository.Resolve(ctx, branch)
	if errors.Is(err, gitstore.ErrNotFound) {
		if _, err := os.Stat(filepath.Join(d.dataDir, logMarker)); err == nil {
			s.Fault(check, branch, "restore the branch: the bot never begins a second history", "the branch is gone, and there once was one")
			return
		}
		s.OK(check, branch, "there is no log yet; serve begins one")
		return
	}
	if err != nil {
		s.Fault(check, branch, "see what is wrong with the repository: git fsck", "the branch cannot be read: %v", err)
		return
	}
	const other = "choose another --audit-branch, or another repository"
	if _, err := d.repository.ReadFile(ctx, head, "FORMAT"); err != nil {
		s.Fault(check, branch, other, "this branch is no log of Countersign: it has no file FORMAT")
		return
	}
	newest, err := d.repository.Commit(ctx, head)
	if err == nil && newest.Committer.Email != botIdentity.Email {
		s.Fault(check, branch, other+"; if somebody has written to the log, countersign verify says where", "its newest commit is by %s, and only the bot may write there", newest.Committer.Email)
		return
	}
	if d.ledger, err = ledger.Open(ctx, readStore{d.repository, branch}); err != nil {
		s.Fault(check, branch, "countersign verify --repo "+d.repo+" says where", "the log cannot be read: %v", err)
		return
	}
	if d.shortened(ctx, s, head) {
		return
	}
	s.OK(check, branch, "the log is there, with %s", count(len(d.ledger.Requests()), "request"))
}

// shortened reports whether the log ends before what the data dir remembers.
func (d *examination) shortened(ctx context.Context, s *checkup.Sheet, head string) bool {
	memory := filepath.Join(d.dataDir, logMemory)
	data, err := os.ReadFile(memory)
	known := strings.TrimSpace(string(data))
	if err != nil || known == "" {
		return false
	}
	if continues, err := d.repository.IsAncestor(ctx, known, head); err == nil && continues {
		return false
	}
	s.Fault("repo.log", d.auditBranch, "restore it; or, to go on with the one that is there, see what is missing, end those accesses by hand, and remove "+memory,
		"the log is at %.10s, which does not build on %.10s, the newest commit known here", head, known)
	return true
}

// key judges the key that signs the log.
func (d *examination) key(s *checkup.Sheet) {
	const check = "repo.key"
	file := d.signingKey()
	signer, err := gitstore.LoadSigner(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.Warn(check, "", "start serve once, then commit the allowed_signers line that it logs", "there is no signing key %s yet; serve makes it", file)
	case err != nil:
		s.Fault(check, "", "the file holds an ed25519 key in OpenSSH's format, without a passphrase, readable by the bot alone", "the signing key cannot be used: %v", err)
	default:
		d.signer = signer
	}
}

// signers judges whether auditors would accept what the key signs.
func (d *examination) signers(ctx context.Context, s *checkup.Sheet) {
	const check = "repo.signers"
	if d.signer == nil || d.config() == "" {
		return
	}
	line := strings.TrimSpace(d.signer.AllowedSignersLine(botIdentity.Email))
	keys, err := signersAt(ctx, d.rulesRepo, d.config())
	switch {
	case err != nil:
		s.Fault(check, "", "correct the file allowed_signers on "+d.configBranch, "%v", err)
	case keys == nil:
		s.Warn(check, "", "commit this line as allowed_signers on "+d.configBranch+":\n"+line, "there is no allowed_signers beside the configuration: nobody can verify the log")
	case keys.Check(gitstore.CommitInfo{Signer: d.signer.Fingerprint(), SignatureValid: true, Committer: botIdentity, CommittedAt: time.Now()}) != nil:
		s.Fault(check, "", "use the key that is listed, or add this line on "+d.configBranch+":\n"+line, "the signing key is not among the allowed_signers, so nobody could verify what it signs")
	default:
		s.OK(check, "", "the signing key is among the allowed_signers")
	}
}

// config is the commit of the configuration in force; empty if there is none.
func (d *examination) config() string {
	if d.rules == nil {
		return ""
	}
	return d.rules.Commit
}

// configuration judges what stands at the head of its branch, and what serve would
// put in force.
func (d *examination) configuration(ctx context.Context, s *checkup.Sheet) {
	const check = "config.branch"
	source := configSource{repo: d.rulesRepo, branch: d.configBranch, path: d.configPath, bot: botIdentity}
	if d.signer != nil {
		source.key = d.signer.Fingerprint()
	}
	head, err := source.Head(ctx)
	if err != nil {
		s.Fault(check, d.configBranch, "put "+d.configPath+" on that branch, or correct --config-branch", "there is no configuration: %v", err)
		return
	}
	data, err := source.Read(ctx, head)
	if err != nil {
		s.Fault(check, d.configBranch, "put "+d.configPath+" on that branch, or correct --config-path", "there is no configuration: %v", err)
	} else {
		d.read(s, data)
	}
	d.inForce(ctx, s, source, head)
}

// read parses the configuration and runs the tests beside it.
func (d *examination) read(s *checkup.Sheet, data []byte) {
	const check = "config.file"
	file, warnings, err := config.Read(d.configPath, data)
	place := func(line int) string { return fmt.Sprintf("%s:%d", d.configPath, line) }
	for _, w := range warnings {
		s.Warn(check, place(w.Line), w.Hint, "%s", strings.TrimPrefix(w.Path+": "+w.Text, ": "))
	}
	var errs config.Errors
	switch {
	case errors.As(err, &errs):
		for _, e := range errs {
			s.Fault(check, place(e.Line), e.Hint, "%s", strings.TrimPrefix(e.Path+": "+e.Text, ": "))
		}
		return
	case err != nil:
		s.Fault(check, "", "correct it: countersign config check", "%v", err)
		return
	}
	d.file = file
	s.OK(check, "", "%s is right: %s, %s, %s", d.configPath, count(len(file.Rules.Reviewers), "reviewer"), count(len(file.Rules.Resources), "resource"), policies(len(file.Rules.Policies)))
	failed := 0
	for _, t := range file.Tests {
		if diff := runTest(file, t); diff != "" {
			failed++
			s.Fault("config.tests", place(t.Line), "correct the policies, or the test", "%s asks for %s:\n%s", t.As, t.Resource, diff)
		}
	}
	if failed == 0 && len(file.Tests) > 0 {
		s.OK("config.tests", "", "%s beside the policies, all pass", count(len(file.Tests), "test"))
	}
}

func policies(n int) string {
	if n == 1 {
		return "1 policy"
	}
	return fmt.Sprintf("%d policies", n)
}

// inForce does what serve does at its start.
func (d *examination) inForce(ctx context.Context, s *checkup.Sheet, source configSource, head string) {
	const check, mend = "config.history", "put a new commit on top that people made; a history that was replaced on purpose is accepted with --accept-config COMMIT"
	book, change, err := bot.OpenRulebook(ctx, bot.RulebookConfig{Source: source, Parse: d.parseRules, Used: d.used(), Accept: d.accept})
	if err != nil {
		if d.file != nil { // else config.file or config.branch has said why
			s.Fault(check, d.configBranch, mend, "no configuration can be put in force: %v", err)
		}
		return
	}
	d.rules = book.Current()
	if change.Refused != nil && d.file != nil {
		s.Fault(check, d.configBranch, mend, "%.10s is not taken, and %.10s stays in force: %v", head, d.rules.Commit, change.Refused)
		return
	}
	s.OK(check, d.configBranch, "%.10s is in force", d.rules.Commit)
}
