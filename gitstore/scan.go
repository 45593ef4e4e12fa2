package gitstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// Scan calls fn for each entry behind the commit after, oldest first, up to
// the head (see Head), and returns that head, from which the next Scan goes
// on. The empty after means the start of the log; its first commit, with
// FORMAT, brings no entry.
//
// It fails with ErrRewritten if after is no ancestor of the head, and with
// ErrCorrupt at a commit that does not add exactly one file. An error of fn
// ends the scan and is returned as it is. Memory: 20 bytes a commit, and the
// trees of one path.
func (l *Log) Scan(ctx context.Context, after string, fn func(Entry) error) (head string, err error) {
	return l.cfg.Repo.Scan(ctx, after, l.Head(), fn)
}

// Scan is [Log.Scan] of a log that is only read, up to the commit head. It
// writes nothing, so that it serves any clone.
func (r *Repo) Scan(ctx context.Context, after, head string, fn func(Entry) error) (string, error) {
	ids, err := r.linear(ctx, plumbing.NewHash(head), after)
	if err != nil {
		return "", fmt.Errorf("scan log: %w", err)
	}
	d := differ{objects: r.objects, trees: make(map[plumbing.Hash][]byte)}
	var prev plumbing.Hash
	if after != "" {
		c, err := r.readCommit(after)
		if err != nil {
			return "", fmt.Errorf("scan log: %w", err)
		}
		prev = c.tree
	}
	for i, id := range slices.Backward(ids) {
		if err := ctx.Err(); err != nil {
			return "", fmt.Errorf("scan log: %w", err)
		}
		c, err := r.loadCommit(id)
		if err != nil {
			return "", fmt.Errorf("scan log: %w", err)
		}
		first := i == len(ids)-1 && after == ""
		if !first {
			e, err := d.entry(c, prev)
			if err != nil {
				return "", fmt.Errorf("scan log: %w", err)
			}
			if err := fn(e); err != nil {
				return "", err
			}
		}
		prev = c.tree
	}
	return head, nil
}

// linear returns the commits from tip back to the one behind after, newest
// first.
func (r *Repo) linear(ctx context.Context, tip plumbing.Hash, after string) ([]plumbing.Hash, error) {
	var ids []plumbing.Hash
	for id := tip; id.String() != after; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, err := r.loadCommit(id)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		switch {
		case len(c.parents) > 1:
			return nil, fmt.Errorf("%w: %s is a merge, which a log never has", ErrCorrupt, id)
		case len(c.parents) == 1:
			id = c.parents[0]
		case after == "":
			return ids, nil
		default:
			return nil, fmt.Errorf("%w: %s does not descend from %s", ErrRewritten, tip, after)
		}
	}
	return ids, nil
}

// differ finds the file that a commit adds, by comparing trees along the way
// to it only. It keeps the trees of the last comparison, since the next one
// begins where that ended.
type differ struct {
	objects *objectStore
	trees   map[plumbing.Hash][]byte
	now     map[plumbing.Hash][]byte
	verify  bool // recompute the ids of all objects read, and check trees
}

func newDiffer(objects *objectStore) *differ {
	return &differ{objects: objects, trees: make(map[plumbing.Hash][]byte), now: make(map[plumbing.Hash][]byte)}
}

// errNotAdded says that a commit does something else than add one file.
var errNotAdded = errors.New("does not add exactly one file")

// entry returns what commit c adds to the tree prev.
func (d *differ) entry(c *commit, prev plumbing.Hash) (Entry, error) {
	path, added, err := d.added(prev, c.tree)
	if err == nil && added.mode != filemode.Regular {
		err = fmt.Errorf("%w: %s is not a regular file", errNotAdded, path)
	}
	if errors.Is(err, errNotAdded) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("commit %s: %w", c.id, err)
	}
	data, err := d.read(added.id, plumbing.BlobObject)
	if err != nil {
		return Entry{}, err
	}
	return Entry{
		Path:    path,
		Data:    bytes.Clone(data),
		Message: c.message,
		Time:    c.committer.when,
		Commit:  c.id.String(),
	}, nil
}

// added compares two trees, and returns the path and entry of the one thing
// that the second has more.
func (d *differ) added(before, after plumbing.Hash) (string, treeEntry, error) {
	d.now = make(map[plumbing.Hash][]byte, len(d.trees))
	path, e, err := d.descend(before, after)
	d.trees = d.now
	return path, e, err
}

func (d *differ) descend(before, after plumbing.Hash) (string, treeEntry, error) {
	old, err := d.tree(before)
	if err != nil {
		return "", treeEntry{}, err
	}
	raw, err := d.tree(after)
	if err != nil {
		return "", treeEntry{}, err
	}
	was, is, err := oneChange(old, raw)
	if err != nil {
		return "", treeEntry{}, err
	}
	if !is.isDir() {
		return is.name, is, nil
	}
	rest, e, err := d.descend(was.id, is.id)
	return is.name + "/" + rest, e, err
}

// tree returns the bytes of a tree; none for the zero id.
func (d *differ) tree(id plumbing.Hash) ([]byte, error) {
	if id.IsZero() {
		return nil, nil
	}
	raw, ok := d.now[id]
	if !ok {
		raw, ok = d.trees[id]
	}
	if !ok {
		var err error
		if raw, err = d.read(id, plumbing.TreeObject); err != nil {
			return nil, err
		}
		if d.verify {
			if err := checkTree(raw); err != nil {
				return nil, err
			}
		}
	}
	d.now[id] = raw
	return raw, nil
}

func (d *differ) read(id plumbing.Hash, kind plumbing.ObjectType) ([]byte, error) {
	data, err := d.objects.getKind(id, kind)
	if err == nil && d.verify && plumbing.ComputeHash(kind, data) != id {
		err = fmt.Errorf("%w: the bytes of %s are not those of its id", ErrCorrupt, id)
	}
	return data, err
}

// oneChange compares two trees that must differ in one entry: one more, or a
// directory of the same name changed. It returns the entry as it was (without
// a name if it is new) and as it is.
func oneChange(old, raw []byte) (was, is treeEntry, err error) {
	n := commonEntries(old, raw)
	old, raw = old[n:], raw[n:]
	if len(raw) == 0 {
		return was, is, fmt.Errorf("%w: it adds nothing or removes something", errNotAdded)
	}
	if is, raw, err = nextEntry(raw); err != nil {
		return was, is, err
	}
	if bytes.Equal(old, raw) {
		return was, is, nil
	}
	if was, old, err = nextEntry(old); err != nil {
		return was, is, fmt.Errorf("%w: %w", errNotAdded, err)
	}
	if was.name != is.name || !was.isDir() || !is.isDir() || !bytes.Equal(old, raw) {
		return was, is, fmt.Errorf("%w: it changes, removes or adds more near %s", errNotAdded, is.name)
	}
	return was, is, nil
}

// commonEntries returns the length of the entries that two trees begin with
// alike.
func commonEntries(a, b []byte) int {
	n := 0
	for {
		size := entrySize(a[n:])
		if size == 0 || len(b)-n < size || !bytes.Equal(a[n:n+size], b[n:n+size]) {
			return n
		}
		n += size
	}
}

// entrySize returns the length of the first entry of a tree, 0 if there is
// none.
func entrySize(raw []byte) int {
	end := bytes.IndexByte(raw, 0)
	if end < 0 || len(raw) < end+1+hashSize {
		return 0
	}
	return end + 1 + hashSize
}
