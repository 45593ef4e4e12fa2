package gitstore

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// ReadFile returns the bytes of a file at a commit. It fails with ErrNotFound
// if the commit or the file does not exist, or if the path names a directory,
// a symbolic link or a submodule: links are not followed.
func (r *Repo) ReadFile(ctx context.Context, commit, path string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	c, err := r.readCommit(commit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	data, err := r.readFileIn(c.tree, path)
	if err != nil {
		return nil, fmt.Errorf("read %s at %s: %w", path, commit, err)
	}
	return bytes.Clone(data), nil
}

func (r *Repo) readFile(commit plumbing.Hash, path string) ([]byte, error) {
	c, err := r.loadCommit(commit)
	if err != nil {
		return nil, err
	}
	return r.readFileIn(c.tree, path)
}

func (r *Repo) readFileIn(tree plumbing.Hash, path string) ([]byte, error) {
	e, err := r.lookup(tree, path)
	if err != nil {
		return nil, err
	}
	if !e.isFile() {
		return nil, fmt.Errorf("%w: not a regular file", ErrNotFound)
	}
	return r.objects.getKind(e.id, plumbing.BlobObject)
}

// lookup finds the entry at a path below a tree.
func (r *Repo) lookup(id plumbing.Hash, path string) (treeEntry, error) {
	if err := checkPath(path); err != nil {
		return treeEntry{}, err
	}
	for {
		name, rest, deeper := strings.Cut(path, "/")
		t, err := r.loadTree(id)
		if err != nil {
			return treeEntry{}, err
		}
		e, ok := t.entry(name)
		if !ok || deeper && !e.isDir() {
			return treeEntry{}, ErrNotFound
		}
		if !deeper {
			return e, nil
		}
		id, path = e.id, rest
	}
}

// List returns the names in a directory at a commit, in git's order, those of
// directories with a slash at the end. The empty dir is the top. It fails with
// ErrNotFound.
func (r *Repo) List(ctx context.Context, commit, dir string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	c, err := r.readCommit(commit)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	t, err := r.dirIn(c.tree, dir)
	if err != nil {
		return nil, fmt.Errorf("list %s at %s: %w", dir, commit, err)
	}
	names := make([]string, 0, len(t.entries))
	for _, e := range t.entries {
		if e.isDir() {
			e.name += "/"
		}
		names = append(names, e.name)
	}
	return names, nil
}

// ReadDir returns the files directly in a directory at a commit, in git's order,
// with their paths from the top and their bytes; nothing else of an [Entry] is
// set. It fails with ErrNotFound.
func (r *Repo) ReadDir(ctx context.Context, commit, dir string) ([]Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	c, err := r.readCommit(commit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	t, err := r.dirIn(c.tree, dir)
	if err != nil {
		return nil, fmt.Errorf("read %s at %s: %w", dir, commit, err)
	}
	var out []Entry
	for _, e := range t.entries {
		if !e.isFile() {
			continue
		}
		data, err := r.objects.getKind(e.id, plumbing.BlobObject)
		if err != nil {
			return nil, fmt.Errorf("read %s/%s at %s: %w", dir, e.name, commit, err)
		}
		out = append(out, Entry{Path: path.Join(dir, e.name), Data: bytes.Clone(data)})
	}
	return out, nil
}

func (r *Repo) dirIn(root plumbing.Hash, dir string) (*tree, error) {
	if dir == "" {
		return r.loadTree(root)
	}
	e, err := r.lookup(root, dir)
	if err != nil {
		return nil, err
	}
	if !e.isDir() {
		return nil, fmt.Errorf("%w: not a directory", ErrNotFound)
	}
	return r.loadTree(e.id)
}

// IsAncestor reports whether commit a is commit b or one of its ancestors.
func (r *Repo) IsAncestor(ctx context.Context, a, b string) (bool, error) {
	if _, err := r.readCommit(a); err != nil {
		return false, fmt.Errorf("compare histories: %w", err)
	}
	if _, err := r.readCommit(b); err != nil {
		return false, fmt.Errorf("compare histories: %w", err)
	}
	ok, err := r.isAncestor(ctx, plumbing.NewHash(a), plumbing.NewHash(b))
	if err != nil {
		return false, fmt.Errorf("compare histories: %w", err)
	}
	return ok, nil
}

func (r *Repo) isAncestor(ctx context.Context, a, b plumbing.Hash) (bool, error) {
	if a == b {
		return true, nil
	}
	found := false
	err := r.walk(ctx, []plumbing.Hash{b}, func(c *commit) bool {
		found = slices.Contains(c.parents, a)
		return !found
	})
	return found, err
}

// walk visits every commit reachable from some, each once, in no order worth
// relying on, until visit returns false. Commits with one parent, the bulk of
// any history, are followed without a queue.
func (r *Repo) walk(ctx context.Context, from []plumbing.Hash, visit func(*commit) bool) error {
	seen := make(map[plumbing.Hash]bool)
	queue := slices.Clone(from)
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		if seen[id] {
			continue
		}
		seen[id] = true
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := r.loadCommit(id)
		if err != nil {
			return err
		}
		if !visit(c) {
			return nil
		}
		queue = append(queue, c.parents...)
	}
	return nil
}

// FirstParents walks from a commit back along the first parents, newest first,
// beginning with the commit itself. An error ends the walk.
func (r *Repo) FirstParents(ctx context.Context, from string) iter.Seq2[CommitInfo, error] {
	return func(yield func(CommitInfo, error) bool) {
		for id := from; ; {
			info, err := r.Commit(ctx, id)
			if !yield(info, err) || err != nil || len(info.Parents) == 0 {
				return
			}
			id = info.Parents[0]
		}
	}
}

// Ancestors walks from a commit back along all parents, each commit once,
// those committed last first, beginning with the commit itself. An error ends
// the walk.
func (r *Repo) Ancestors(ctx context.Context, from string) iter.Seq2[CommitInfo, error] {
	return func(yield func(CommitInfo, error) bool) {
		seen := make(map[string]bool)
		var next byTime
		push := func(id string) bool {
			if seen[id] {
				return true
			}
			seen[id] = true
			info, err := r.Commit(ctx, id)
			if err != nil {
				yield(CommitInfo{}, err)
				return false
			}
			heap.Push(&next, info)
			return true
		}
		if !push(from) {
			return
		}
		for next.Len() > 0 {
			info := heap.Pop(&next).(CommitInfo)
			if !yield(info, nil) {
				return
			}
			for _, p := range info.Parents {
				if !push(p) {
					return
				}
			}
		}
	}
}

// byTime is a heap of commits, the newest on top.
type byTime []CommitInfo

func (h byTime) Len() int           { return len(h) }
func (h byTime) Less(i, j int) bool { return h[i].CommittedAt.After(h[j].CommittedAt) }
func (h byTime) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byTime) Push(x any)        { *h = append(*h, x.(CommitInfo)) }
func (h *byTime) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
