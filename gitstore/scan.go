package gitstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

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
// ends the scan and is returned as it is. Memory: 20 bytes a commit, some of what
// was read of the newest ones, and the trees of one path.
func (l *Log) Scan(ctx context.Context, after string, fn func(Entry) error) (head string, err error) {
	return l.cfg.Repo.Scan(ctx, after, l.Head(), fn)
}

// Scan is [Log.Scan] of a log that is only read, up to the commit head. It
// writes nothing, so that it serves any clone.
func (r *Repo) Scan(ctx context.Context, after, head string, fn func(Entry) error) (string, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// While fn has some entries, the next ones are read: so many that it can stop for
	// a while, as the ledger does to save what it has folded.
	ahead := make(chan []Entry, 32)
	var failed error // set before ahead is closed
	go func() {
		defer close(ahead)
		failed = r.scan(ctx, after, head, ahead)
	}()
	for some := range ahead {
		for _, e := range some {
			err := fn(e)
			if err == nil && ctx.Err() == nil {
				continue
			}
			stop()
			for range ahead { // until nobody reads any more
			}
			if err != nil {
				return "", err
			}
			return "", fmt.Errorf("scan log: %w", ctx.Err())
		}
	}
	if failed != nil {
		return "", fmt.Errorf("scan log: %w", failed)
	}
	return head, nil
}

// What is handed on at a time: so many entries, or what has so many bytes.
const (
	someEntries = 64
	someBytes   = 256 << 10
)

// scan hands on what came after a commit, up to head.
func (r *Repo) scan(ctx context.Context, after, head string, to chan<- []Entry) error {
	h, err := r.linear(ctx, plumbing.NewHash(head), after)
	if err != nil {
		return err
	}
	var prev plumbing.Hash
	if after != "" {
		c, err := r.readCommit(after)
		if err != nil {
			return err
		}
		prev = c.tree
	}
	var some []Entry
	size := 0
	hand := func() error {
		if len(some) == 0 {
			return nil
		}
		select {
		case to <- some:
			some, size = nil, 0
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	d := &differ{objects: r.objects}
	for i := len(h.ids) - 1; i >= 0; i-- {
		step, err := h.step(r, i)
		if err != nil {
			return errors.Join(hand(), err)
		}
		if first := i == len(h.ids)-1 && after == ""; !first {
			e, err := d.entry(h.ids[i], step, prev)
			if err != nil {
				return errors.Join(hand(), err)
			}
			some, size = append(some, e), size+len(e.Data)
		}
		prev = step.tree
		if len(some) == someEntries || size > someBytes || ctx.Err() != nil {
			if err := errors.Join(hand(), ctx.Err()); err != nil {
				return err
			}
		}
	}
	return hand()
}

// A step is what a scan needs of a commit.
type step struct {
	tree    plumbing.Hash
	when    time.Time
	message string
}

func (c *commit) step() step { return step{c.tree, c.committer.when, c.message} }

// maxSteps is how many bytes of steps are kept between the way back and the way
// forth. Commits beyond are read twice.
const maxSteps = 48 << 20

// A history is a way back through commits, the newest first.
type history struct {
	ids   []plumbing.Hash
	steps []step // of the first ones
	size  int    // of these, in bytes
}

func (h *history) add(c *commit) {
	h.ids = append(h.ids, c.id)
	const each = 64 // about what a step takes besides its message
	if h.size += each + len(c.message); h.size <= maxSteps {
		h.steps = append(h.steps, c.step())
	}
}

// step returns the i-th step.
func (h *history) step(r *Repo, i int) (step, error) {
	if i < len(h.steps) {
		return h.steps[i], nil
	}
	c, err := r.loadCommit(h.ids[i])
	if err != nil {
		return step{}, err
	}
	return c.step(), nil
}

// linear returns the commits from tip back to the one behind after.
func (r *Repo) linear(ctx context.Context, tip plumbing.Hash, after string) (*history, error) {
	h := &history{}
	var end plumbing.Hash // of no commit, unless there is an after
	if after != "" {
		end = plumbing.NewHash(after)
	}
	for id := tip; after == "" || id != end; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, err := r.loadCommit(id)
		if err != nil {
			return nil, err
		}
		h.add(c)
		switch {
		case len(c.parents) > 1:
			return nil, fmt.Errorf("%w: %s is a merge, which a log never has", ErrCorrupt, id)
		case len(c.parents) == 1:
			id = c.parents[0]
		case after == "":
			return h, nil
		default:
			return nil, fmt.Errorf("%w: %s does not descend from %s", ErrRewritten, tip, after)
		}
	}
	return h, nil
}

// differ finds the file that a commit adds, by comparing trees along the way
// to it only. It keeps the trees on the last such way, since the next one
// begins where that ended.
type differ struct {
	objects *objectStore
	way     []level
	verify  bool // recompute the ids of all objects read, and check trees
}

// level is a tree on the way.
type level struct {
	id  plumbing.Hash
	raw []byte
}

// errNotAdded says that a commit does something else than add one file.
var errNotAdded = errors.New("does not add exactly one file")

// entry returns what a commit adds to the tree prev.
func (d *differ) entry(id plumbing.Hash, s step, prev plumbing.Hash) (Entry, error) {
	path, added, err := d.added(0, prev, s.tree)
	if err == nil && added.mode != filemode.Regular {
		err = fmt.Errorf("%w: %s is not a regular file", errNotAdded, path)
	}
	if errors.Is(err, errNotAdded) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("commit %s: %w", id, err)
	}
	data, err := d.read(added.id, plumbing.BlobObject)
	if err != nil {
		return Entry{}, err
	}
	return Entry{
		Path:    path,
		Data:    bytes.Clone(data),
		Message: s.message,
		Time:    s.when,
		Commit:  id.String(),
	}, nil
}

// added compares two trees so many levels below the top, and returns the path
// and entry of the one thing that the second has more.
func (d *differ) added(depth int, before, after plumbing.Hash) (string, treeEntry, error) {
	old, err := d.tree(depth, before)
	if err != nil {
		return "", treeEntry{}, err
	}
	raw, err := d.tree(depth, after)
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
	rest, e, err := d.added(depth+1, was.id, is.id)
	return is.name + "/" + rest, e, err
}

// tree returns the bytes of a tree, and puts it on the way; none for the zero id.
func (d *differ) tree(depth int, id plumbing.Hash) ([]byte, error) {
	if id.IsZero() {
		return nil, nil
	}
	if depth == len(d.way) {
		d.way = append(d.way, level{})
	}
	at := &d.way[depth]
	if at.id == id {
		return at.raw, nil
	}
	raw, err := d.read(id, plumbing.TreeObject)
	if err == nil && d.verify {
		err = checkTree(raw)
	}
	if err != nil {
		return nil, err
	}
	*at = level{id, raw}
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
