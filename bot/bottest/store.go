package bottest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"countersign/bot/ledger"
)

// A Store is a log in memory, as strict as the one in git: files are only ever
// added, in their place, and a writer who is behind is refused. Its zero value
// is an empty log. It is safe for concurrent use, also by several ledgers.
type Store struct {
	mu    sync.Mutex // guards all below
	files []ledger.File
	dirs  map[string][]int // where in files those of a directory stand
	at    map[string]int   // and where each commit does
	fault Interruption

	rewrites int
}

// An Interruption is asked before each Append. Its error is returned; with
// applied, the files are written all the same, as after a lost answer.
type Interruption func(dir string, files []ledger.File) (applied bool, err error)

// Interrupt sets what is asked from now on; nil ends it.
func (s *Store) Interrupt(f Interruption) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Append implements [ledger.Store].
func (s *Store) Append(ctx context.Context, on ledger.Tail, files []ledger.File) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.fault != nil {
		if applied, err := s.fault(on.Dir, files); err != nil {
			if applied {
				_, late := s.add(on, files)
				err = errors.Join(err, late)
			}
			return nil, err
		}
	}
	return s.add(on, files)
}

func (s *Store) add(on ledger.Tail, files []ledger.File) ([]string, error) {
	dir, have := on.Dir, on.Have
	if there := len(s.dirs[dir]); there != have {
		return nil, fmt.Errorf("%w: %s holds %d files, not %d", ledger.ErrConflict, dir, there, have)
	}
	if on.Last != nil {
		last := s.files[s.dirs[dir][have-1]]
		if last.Path != on.Last.Path || !bytes.Equal(last.Data, on.Last.Data) {
			return nil, fmt.Errorf("%w: %s is not the file that these follow", ledger.ErrConflict, last.Path)
		}
	}
	for i, f := range files {
		if path.Dir(f.Path) != dir || !strings.HasPrefix(path.Base(f.Path), fmt.Sprintf("%04d-", have+i+1)) {
			return nil, fmt.Errorf("%s does not belong into %s as file %d", f.Path, dir, have+i+1)
		}
	}
	var commits []string
	for _, f := range files {
		f.Commit = fmt.Sprintf("%08x%032x", s.rewrites, len(s.files)+1)
		f.Data = slices.Clone(f.Data)
		s.put(f)
		commits = append(commits, f.Commit)
	}
	return commits, nil
}

func (s *Store) put(f ledger.File) {
	if s.dirs == nil {
		s.dirs, s.at = map[string][]int{}, map[string]int{}
	}
	dir := path.Dir(f.Path)
	s.dirs[dir], s.at[f.Commit] = append(s.dirs[dir], len(s.files)), len(s.files)
	s.files = append(s.files, f)
}

// Scan implements [ledger.Store].
func (s *Store) Scan(ctx context.Context, after string, fn func(ledger.File) error) (string, error) {
	files, ok := s.since(after)
	if !ok {
		return after, fmt.Errorf("%w: %s", ledger.ErrRewritten, after)
	}
	head := after
	for _, f := range files {
		if err := fn(f); err != nil {
			return head, err
		}
		head = f.Commit
	}
	return head, ctx.Err()
}

// since are the files after a commit, if there is such a one.
func (s *Store) since(commit string) ([]ledger.File, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if commit == "" {
		return slices.Clone(s.files), true
	}
	i, ok := s.at[commit]
	if !ok {
		return nil, false
	}
	return slices.Clone(s.files[i+1:]), true
}

// Read implements [ledger.Store].
func (s *Store) Read(ctx context.Context, dir string) ([]ledger.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []ledger.File
	for _, i := range s.dirs[dir] {
		out = append(out, ledger.File{Path: s.files[i].Path, Data: s.files[i].Data})
	}
	return out, ctx.Err()
}

// Rewrite takes back all but the first n files, as whoever replaces the history
// of a log does.
func (s *Store) Rewrite(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.files[:n]
	s.files, s.dirs, s.at = nil, nil, nil
	for _, f := range left {
		s.put(f)
	}
	s.rewrites++
}

// Files are all files of the log, oldest first.
func (s *Store) Files() []ledger.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.files)
}
