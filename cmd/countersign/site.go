package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"countersign/bot/access"
	"countersign/bot/index"
	"countersign/bot/ledger"
	"countersign/bot/web"
	"countersign/config"
	"countersign/gitstore"
)

// site writes the dashboard as files.
func site(ctx context.Context, args []string, c console) error {
	fs := flags(c, "site", "--repo PATH -o DIR [flags]", `Writes the dashboard as files, for GitHub Pages or an archive: everybody who can
read them sees everything. The same commits give the same files. DIR is made, or
was written by this command: what else is there is left alone, and refused.`)
	var s copying
	fs.StringVar(&s.repo, "repo", "", "the `PATH` of a repository or clone (required)")
	fs.StringVar(&s.ref, "ref", "audit", "the log's `BRANCH`; origin's is taken where there is no other")
	fs.StringVar(&s.configRepo, "config-repo", "", "the `PATH` of the repository with the configuration (default: --repo)")
	fs.StringVar(&s.configRef, "config-ref", "main", "the configuration's `BRANCH`")
	fs.StringVar(&s.configPath, "config-path", "countersign.yaml", "the configuration's `FILE` on it")
	fs.StringVar(&s.dir, "o", "", "the `DIR` to write (required)")
	if err := parse(fs, args); err != nil {
		return err
	}
	switch {
	case s.repo == "":
		return usageError{"--repo is missing"}
	case s.dir == "":
		return usageError{"-o is missing: the directory to write"}
	}
	n, err := s.run(ctx)
	if err == nil {
		fmt.Fprintf(c.err, "%s: %s\n", s.dir, count(n, "file"))
	}
	return err
}

// copying is one run of site.
type copying struct {
	repo, ref                         string
	configRepo, configRef, configPath string
	dir                               string
}

// siteMarker is in every copy: only what has it is replaced.
const siteMarker = ".countersign-site"

func (s copying) run(ctx context.Context) (files int, err error) {
	dir, err := filepath.Abs(s.dir)
	if err != nil {
		return 0, err
	}
	if err := replaceable(dir); err != nil {
		return 0, err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), ".countersign-site-*")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(fresh)
	write := func(path string, data []byte) error {
		files++
		name := filepath.Join(fresh, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		return os.WriteFile(name, data, 0o644)
	}
	if err := s.write(ctx, write); err != nil {
		return 0, err
	}
	if err := errors.Join(os.WriteFile(filepath.Join(fresh, siteMarker), nil, 0o644), os.Chmod(fresh, 0o755)); err != nil {
		return 0, err
	}
	return files, swap(fresh, dir)
}

// replaceable refuses a directory that holds anything but a former copy.
func replaceable(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(list) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, siteMarker)); err != nil {
		return fmt.Errorf("%s holds something else than a copy of the dashboard: name an empty directory, or one that is not there yet", dir)
	}
	return nil
}

// swap puts a finished copy in the place of the former one. A crash leaves the
// former, or in the worst moment none.
func swap(fresh, dir string) error {
	old := fresh + ".old"
	err := os.Rename(dir, old)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, dir); err != nil {
		return errors.Join(err, os.Rename(old, dir))
	}
	return os.RemoveAll(old)
}

// write reads the log, and has the pages written.
func (s copying) write(ctx context.Context, write func(string, []byte) error) error {
	repo, err := gitstore.Open(ctx, s.repo)
	if err != nil {
		return err
	}
	rulesRepo := repo
	if s.configRepo != "" {
		if rulesRepo, err = gitstore.Open(ctx, s.configRepo); err != nil {
			return fmt.Errorf("--config-repo: %w", err)
		}
	}
	store := readStore{repo, s.ref}
	l, err := ledger.Open(ctx, store)
	if err != nil {
		return err
	}
	end, err := repo.Commit(ctx, l.Head())
	if err != nil {
		return err
	}
	rules := archive{repo: rulesRepo, path: s.configPath, known: map[string]*access.Rules{}}
	head, err := rulesRepo.Resolve(ctx, s.configRef)
	if err != nil {
		return fmt.Errorf("--config-ref: %w", err)
	}
	now := rules.at(ctx, head)
	if now == nil {
		return fmt.Errorf("%s on %s cannot be read; `countersign config check` says why", s.configPath, s.configRef)
	}
	x, done, err := temporaryIndex(ctx, l, store)
	if err != nil {
		return err
	}
	defer done()
	shelf := &library{
		ledger: l, index: x, repo: repo, known: map[string]membership{},
		rules: func() *access.Rules { return now }, rulesAt: rules.at,
		signers: func(ctx context.Context) (*gitstore.AllowedSigners, error) {
			return signersAt(ctx, rulesRepo, head)
		},
	}
	return web.Site(ctx, web.Config{
		Requests: x, Record: shelf, Rules: shelf, CommitURL: commitURL(repo), ConfigURL: commitURL(rulesRepo),
		Now: func() time.Time { return end.CommittedAt.UTC() },
	}, write)
}

// temporaryIndex is a read model that is gone after done.
func temporaryIndex(ctx context.Context, l *ledger.Ledger, store ledger.Store) (x *index.Index, done func(), err error) {
	dir, err := os.MkdirTemp("", "countersign-index-*")
	if err != nil {
		return nil, nil, err
	}
	x, err = index.Open(ctx, filepath.Join(dir, indexFile))
	if err == nil {
		done = func() { _, _ = x.Close(), os.RemoveAll(dir) }
		err = newFeed(l, x, store, slog.New(slog.DiscardHandler)).catchUp(ctx)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, fmt.Errorf("read the log into an index: %w", err)
	}
	return x, done, nil
}

// archive are the configurations of a repository, each read once.
type archive struct {
	repo  *gitstore.Repo
	path  string
	known map[string]*access.Rules
}

// at are the rules of a commit; nil if they cannot be read.
func (a archive) at(ctx context.Context, commit string) *access.Rules {
	rules, known := a.known[commit]
	if known {
		return rules
	}
	if data, err := a.repo.ReadFile(ctx, commit, a.path); err == nil {
		rules, _, _ = config.Parse(a.path, data, commit)
	}
	a.known[commit] = rules
	return rules
}
