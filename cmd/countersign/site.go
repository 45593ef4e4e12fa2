package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
read them sees everything. The same commits give the same files; links to
commits lead to the repository's origin. DIR is made, or was written by this
command: what else is there is left alone, and refused.`)
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

// siteMarker is in every copy, and lists the files of it: only they are replaced.
const siteMarker = ".countersign-site"

func (s copying) run(ctx context.Context) (files int, err error) {
	dir, err := destination(s.dir)
	if err != nil {
		return 0, err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".countersign-site-*") // beside it, so that a rename will do
	if err != nil {
		return 0, err
	}
	defer os.Remove(work) // empty, unless a former copy could not be put back
	fresh := filepath.Join(work, "fresh")
	defer os.RemoveAll(fresh)
	var names []string
	write := func(name string, data []byte) error {
		names = append(names, name)
		file := filepath.Join(fresh, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		return os.WriteFile(file, data, 0o644)
	}
	if err := s.write(ctx, write); err != nil {
		return 0, err
	}
	slices.Sort(names)
	if err := os.WriteFile(filepath.Join(fresh, siteMarker), []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
		return 0, err
	}
	return len(names), swap(fresh, dir, filepath.Join(work, "former"))
}

// destination is where a copy goes, once nothing stands in its way.
func destination(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // the link stays
	}
	if err := replaceable(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(filepath.Dir(dir), 0o755)
}

// replaceable refuses a directory that holds anything but a former copy.
func replaceable(dir string) error {
	ours := map[string]bool{siteMarker: true}
	data, err := os.ReadFile(filepath.Join(dir, siteMarker))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for name := range strings.Lines(string(data)) {
		ours[filepath.FromSlash(strings.TrimSuffix(name, "\n"))] = true
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == dir:
			return nil
		case err != nil:
			return err
		case d.IsDir():
			return nil
		}
		if name, err := filepath.Rel(dir, path); err != nil || !ours[name] {
			return fmt.Errorf("%s holds something else than a copy of the dashboard, %s: name an empty directory, or one that is not there yet", dir, name)
		}
		return nil
	})
}

// swap puts a finished copy in the place of the former one. A crash leaves the
// former where it was, in the worst moment beside it.
func swap(fresh, dir, former string) error {
	if err := replaceable(dir); err != nil { // it took a while to write
		return err
	}
	if err := os.Rename(dir, former); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, dir); err != nil {
		return errors.Join(err, os.Rename(former, dir))
	}
	return os.RemoveAll(former)
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
	l, x, done, err := readAside(ctx, store)
	if err != nil {
		return err
	}
	defer done()
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

// readAside reads a log with an index that is gone after done.
func readAside(ctx context.Context, store ledger.Store) (l *ledger.Ledger, x *index.Index, done func(), err error) {
	dir, err := os.MkdirTemp("", "countersign-index-*")
	if err != nil {
		return nil, nil, nil, err
	}
	if x, err = index.Open(ctx, filepath.Join(dir, indexFile)); err != nil {
		return nil, nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	done = func() { _, _ = x.Close(), os.RemoveAll(dir) }
	if l, err = ledger.Resume(ctx, store, checkpoint{x}); err != nil {
		done()
		return nil, nil, nil, err
	}
	return l, x, done, nil
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
