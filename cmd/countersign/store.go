package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/ledger"
	"countersign/bot/provider/gitops"
	"countersign/gitstore"
)

// logStore is the log in git as the ledger wants it. It remembers how far the
// log has come, so that a start does not take a shortened one for the whole:
// what was granted in the part that is missing would never end.
type logStore struct {
	repo   *gitstore.Repo
	log    *gitstore.Log
	memory string // the file with the newest commit known
	slog   *slog.Logger

	read    atomic.Bool // it was read once
	awaited *awaited    // who waits for which request
	mu      sync.Mutex
	noted   string // guarded by mu: what the file says
}

// openStore refuses a log that does not continue the one that is remembered.
func openStore(ctx context.Context, repo *gitstore.Repo, log *gitstore.Log, memory string, logger *slog.Logger) (*logStore, error) {
	s := &logStore{repo: repo, log: log, memory: memory, slog: logger, awaited: &awaited{}}
	data, err := os.ReadFile(memory)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	s.noted = strings.TrimSpace(string(data))
	if s.noted == "" {
		return s, nil
	}
	continues, err := repo.IsAncestor(ctx, s.noted, log.Head())
	if err != nil && !errors.Is(err, gitstore.ErrNotFound) {
		return nil, err
	}
	if !continues {
		return nil, fmt.Errorf("%w: it is at %.10s, which does not build on %.10s, the newest commit known here. Restore it; or, to go on with the one that is there, look at what is missing, end those accesses by hand, and remove %s",
			gitstore.ErrRewritten, log.Head(), s.noted, memory)
	}
	return s, nil
}

// note remembers how far the log has come.
func (s *logStore) note() {
	s.mu.Lock()
	defer s.mu.Unlock()
	head := s.log.Head()
	if head == s.noted {
		return
	}
	err := writeFile(s.memory, func(w io.Writer) error {
		_, err := io.WriteString(w, head+"\n")
		return err
	})
	if err != nil {
		s.slog.Warn("how far the log has come cannot be noted", "err", err)
		return
	}
	s.noted = head
}

func (s *logStore) Append(ctx context.Context, on ledger.Tail, files []ledger.File) ([]string, error) {
	entry := func(f ledger.File) gitstore.Entry {
		return gitstore.Entry{Path: f.Path, Data: f.Data, Message: f.Message, Time: f.Time}
	}
	batch := gitstore.Batch{Dir: on.Dir, Have: on.Have}
	if on.Last != nil {
		last := entry(*on.Last)
		batch.Last = &last
	}
	for _, f := range files {
		batch.Entries = append(batch.Entries, entry(f))
	}
	defer urge(&batch, s.awaited)()
	commits, err := s.log.Append(ctx, batch)
	if errors.Is(err, gitstore.ErrConflict) {
		return nil, fmt.Errorf("%w: %w", ledger.ErrConflict, err)
	}
	if errors.Is(err, gitstore.ErrUncertain) {
		return nil, fmt.Errorf("%w: %w", access.ErrUncertain, err)
	}
	if err == nil {
		s.note()
	}
	return commits, err
}

// Urge implements [ledger.Urger].
func (s *logStore) Urge(request string) (leave func()) { return s.awaited.enter(request) }

func (s *logStore) Scan(ctx context.Context, after string, fn func(ledger.File) error) (string, error) {
	// The first time the log has just been compared with its remote, if there is
	// one. Where that failed, what is here is read all the same: what was granted
	// must end.
	if _, err := s.log.Sync(ctx); err != nil && (s.read.Load() || s.log.Stale() == nil) {
		return after, err
	}
	s.note()
	head, err := scan(ctx, s.repo, after, s.log.Head(), fn)
	if err == nil {
		s.read.Store(true)
	}
	return head, err
}

func (s *logStore) Read(ctx context.Context, dir string) ([]ledger.File, error) {
	return readDir(ctx, s.repo, s.log.Head(), dir)
}

// scan reads the log between two commits, and says in the ledger's words that it
// has none of them.
func scan(ctx context.Context, repo *gitstore.Repo, after, head string, fn func(ledger.File) error) (string, error) {
	reached, err := repo.Scan(ctx, after, head, func(e gitstore.Entry) error {
		return fn(ledger.File{Path: e.Path, Data: e.Data, Message: e.Message, Time: e.Time, Commit: e.Commit})
	})
	if errors.Is(err, gitstore.ErrRewritten) || errors.Is(err, gitstore.ErrNotFound) {
		err = fmt.Errorf("%w: %w", ledger.ErrRewritten, err)
	}
	return reached, err
}

func readDir(ctx context.Context, repo *gitstore.Repo, head, dir string) ([]ledger.File, error) {
	entries, err := repo.ReadDir(ctx, head, dir)
	if errors.Is(err, gitstore.ErrNotFound) {
		return nil, nil
	}
	var out []ledger.File
	for _, e := range entries {
		out = append(out, ledger.File{Path: e.Path, Data: e.Data})
	}
	return out, err
}

// readStore is a log that is only read, from any clone.
type readStore struct {
	repo *gitstore.Repo
	ref  string
}

func (s readStore) Append(context.Context, ledger.Tail, []ledger.File) ([]string, error) {
	return nil, errors.New("this log is only read")
}

func (s readStore) Scan(ctx context.Context, after string, fn func(ledger.File) error) (string, error) {
	head, err := s.repo.Resolve(ctx, s.ref)
	if err != nil {
		return after, fmt.Errorf("%s: %w", s.ref, err)
	}
	return scan(ctx, s.repo, after, head, fn)
}

func (s readStore) Read(ctx context.Context, dir string) ([]ledger.File, error) {
	head, err := s.repo.Resolve(ctx, s.ref)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.ref, err)
	}
	return readDir(ctx, s.repo, head, dir)
}

// configSource is the branch of the configuration as the rulebook wants it.
type configSource struct {
	repo   *gitstore.Repo
	branch string
	path   string
	bot    gitstore.Identity // whose hand must not be in it
	key    string            // fingerprint of the bot's key

	// starting is set while the bot starts: then a remote that cannot be reached
	// is told, and the configuration as it was last seen stands. Later it is an
	// error to look in vain, and the last good configuration stands as well.
	starting *slog.Logger
}

func (s configSource) Head(ctx context.Context) (string, error) {
	if err := s.repo.Fetch(ctx, s.branch); err != nil {
		if s.starting == nil {
			return "", err
		}
		s.starting.Error("the configuration's remote cannot be asked; what was last seen of it stands", "err", err)
	}
	head, err := s.repo.Resolve(ctx, s.branch)
	if err != nil {
		return "", fmt.Errorf("branch %s: %w", s.branch, err)
	}
	return head, nil
}

func (s configSource) Read(ctx context.Context, commit string) ([]byte, error) {
	data, err := s.repo.ReadFile(ctx, commit, s.path)
	if err != nil {
		return nil, fmt.Errorf("%s at %.10s: %w", s.path, commit, err)
	}
	return data, nil
}

func (s configSource) Since(ctx context.Context, after, to string) ([]string, error) {
	if after != "" {
		ok, err := s.repo.IsAncestor(ctx, after, to)
		if errors.Is(err, gitstore.ErrNotFound) || err == nil && !ok {
			return nil, bot.ErrNotDescendant
		}
		if err != nil {
			return nil, err
		}
	}
	var commits []string
	for c, err := range s.repo.FirstParents(ctx, to) {
		if err != nil {
			return nil, err
		}
		if c.ID == after {
			break
		}
		commits = append(commits, c.ID)
		if after != "" && slices.Contains(c.Parents, after) {
			break
		}
	}
	return commits, nil
}

func (s configSource) Vet(ctx context.Context, commit string) error {
	c, err := s.repo.Commit(ctx, commit)
	if err != nil {
		return err
	}
	switch {
	case c.Signer != "" && c.Signer == s.key:
		return fmt.Errorf("commit %.10s is signed with the bot's own key: the configuration is changed by people only", commit)
	case c.Committer.Email == s.bot.Email || c.Author.Email == s.bot.Email:
		return fmt.Errorf("commit %.10s was made as %s, the bot's own identity: the configuration is changed by people only", commit, s.bot.Email)
	}
	return nil
}

// editor changes files in other repositories for the gitops provider.
type editor struct {
	identity gitstore.Identity
	signer   *gitstore.Signer
	// own are the root commits of the repositories that govern the bot itself.
	// They are told by their roots: a path or an address can be written in many ways.
	own   []string
	repos *repos
}

func (e editor) open(ctx context.Context, path string) (*gitstore.Repo, error) {
	repo, err := e.repos.get(ctx, path)
	if err != nil {
		return nil, err
	}
	roots, err := repo.Roots(ctx)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(roots, func(r string) bool { return slices.Contains(e.own, r) }) {
		return nil, errOwn(path)
	}
	return repo, nil
}

func (e editor) Edit(ctx context.Context, path, branch, file, message string, change func([]byte) ([]byte, error)) (string, error) {
	repo, err := e.open(ctx, path)
	if err != nil {
		return "", err
	}
	commit, err := repo.Edit(ctx, gitstore.Edit{Branch: branch, Path: file, Message: message, Author: e.identity, Signer: e.signer}, change)
	if errors.Is(err, gitstore.ErrRefused) {
		err = fmt.Errorf("%w: %w", gitops.ErrRefused, err)
	}
	return commit, err
}

func (e editor) Read(ctx context.Context, path, branch, file string) ([]byte, error) {
	repo, err := e.open(ctx, path)
	if err != nil {
		return nil, err
	}
	return e.file(ctx, repo, branch, file)
}

// file is a file of a branch or commit; nil where there is none.
func (e editor) file(ctx context.Context, repo *gitstore.Repo, at, path string) ([]byte, error) {
	head, err := repo.Resolve(ctx, at)
	if err != nil {
		return nil, err
	}
	data, err := repo.ReadFile(ctx, head, path)
	if errors.Is(err, gitstore.ErrNotFound) {
		return nil, nil
	}
	return data, err
}
