package gitstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/index"
)

// AddFiles adds files to a branch in one commit, or begins the branch with
// them, and returns the commit. None of them may be there already: that is
// ErrExists, and nothing is written.
//
// Where the repository's own work tree has the branch checked out, as that of a
// fresh repository has its unborn one, the files are written there and into its
// index too, so that git finds everything committed. Where there is no branch at
// all, HEAD is put on this one: git init may have named another, and what HEAD does
// not name no clone checks out. An error that comes after
// the commit says so; a crash then leaves files missing, which git restore . brings.
func (r *Repo) AddFiles(ctx context.Context, c Creation) (commit string, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return "", fmt.Errorf("add files to %s: %w", c.Branch, err)
		}
		id, err := r.addFiles(ctx, c)
		if errors.Is(err, errMoved) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("add files to %s: %w", c.Branch, err)
		}
		return id.String(), nil
	}
}

func (r *Repo) addFiles(ctx context.Context, c Creation) (plumbing.Hash, error) {
	p, err := r.prepare(c)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	empty, err := r.empty()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	checkout, err := r.openCheckout(p.ref, empty)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if checkout != nil {
		defer checkout.close()
		if err := checkout.absent(c.Files); err != nil {
			return plumbing.ZeroHash, err
		}
	}
	on, err := r.editBase(ctx, p.ref, true)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer on.close()
	id, err := r.commitFiles(ctx, p, on)
	if err == nil && empty {
		err = r.setHead(p.ref)
	}
	if err != nil || checkout == nil {
		return id, err
	}
	if err := checkout.add(c.Files, p.blobs); err != nil {
		return id, fmt.Errorf("the commit %s is made, but the work tree does not show it (git restore --staged --worktree . does): %w", id, err)
	}
	return id, nil
}

// prepared is a commit that adds files, but for what it builds on.
type prepared struct {
	ref   string
	blobs map[string]plumbing.Hash // by path
	pack  packWriter
	by    stamp
	text  string
	sign  *Signer
}

// prepare checks what is to be written, and packs the files.
func (r *Repo) prepare(c Creation) (*prepared, error) {
	if len(c.Files) == 0 {
		return nil, fmt.Errorf("%w: no files", ErrInvalid)
	}
	if err := c.Author.check(); err != nil {
		return nil, err
	}
	p := &prepared{by: Edit{Author: c.Author, Time: c.Time}.by(), sign: c.Signer, blobs: make(map[string]plumbing.Hash, len(c.Files))}
	var err error
	if p.text, err = cleanMessage(c.Message); err != nil {
		return nil, err
	}
	if p.ref, err = branchRef(c.Branch); err != nil {
		return nil, err
	}
	for path, data := range c.Files {
		if err := checkPath(path); err != nil {
			return nil, err
		}
		if p.blobs[path], err = p.pack.put(plumbing.BlobObject, data); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// commitFiles makes the commit on top of its base.
func (r *Repo) commitFiles(ctx context.Context, p *prepared, on base) (plumbing.Hash, error) {
	top, err := r.plant(&p.pack, on.root, "", p.blobs)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	c := &commit{tree: top, author: p.by, committer: p.by, message: p.text}
	if !on.head.IsZero() {
		c.parents = []plumbing.Hash{on.head}
	}
	id, err := c.write(&p.pack, p.sign)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return id, r.publishAt(ctx, &p.pack, p.ref, on, id)
}

// plant puts new files below a directory, writes each directory that changes
// into w, and returns the id of the top one. A file or directory that is there
// already under such a name is ErrExists.
func (r *Repo) plant(w *packWriter, t *tree, at string, blobs map[string]plumbing.Hash) (plumbing.Hash, error) {
	below := make(map[string]map[string]plumbing.Hash)
	for path, id := range blobs {
		name, rest, deeper := strings.Cut(path, "/")
		switch _, there := t.entry(name); {
		case deeper && below[name] == nil:
			below[name] = map[string]plumbing.Hash{rest: id}
		case deeper:
			below[name][rest] = id
		case there:
			return plumbing.ZeroHash, fmt.Errorf("%w: %s", ErrExists, at+name)
		default:
			t.set(treeEntry{name, filemode.Regular, id})
		}
	}
	for name, sub := range below {
		k, err := r.kid(t, name)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		if k == nil {
			k = &tree{kids: make(map[string]*tree)}
		}
		id, err := r.plant(w, k, at+name+"/", sub)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		t.set(treeEntry{name, filemode.Dir, id})
	}
	return w.put(plumbing.TreeObject, encodeTree(t.entries))
}

// checkout is the repository's own work tree and its index, which is locked as
// git locks it.
type checkout struct {
	dir   string // the work tree
	file  string // the index
	lock  *os.File
	index index.Index
}

// empty reports whether nothing was ever committed: HEAD names a branch, but there is none.
func (r *Repo) empty() (bool, error) {
	head, err := os.ReadFile(filepath.Join(r.dir, "HEAD"))
	if err != nil || !strings.HasPrefix(string(head), "ref: refs/heads/") {
		return false, err
	}
	refs, err := r.allRefs()
	return len(refs) == 0, err
}

// setHead puts HEAD on a branch, the way git does.
func (r *Repo) setHead(ref string) error {
	head := filepath.Join(r.dir, "HEAD")
	f, err := os.OpenFile(head+".lock", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("put HEAD on %s: %w", ref, err)
	}
	_, err = f.WriteString("ref: " + ref + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), head)
	}
	if err != nil {
		return fmt.Errorf("put HEAD on %s: %w", ref, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// openCheckout returns the repository's own work tree where it has a branch
// checked out, or will have it, because the repository is empty; nil where no work
// tree has. A linked work tree is ErrCheckedOut.
func (r *Repo) openCheckout(ref string, empty bool) (*checkout, error) {
	head, err := os.ReadFile(filepath.Join(r.dir, "HEAD"))
	if err != nil {
		return nil, err
	}
	if r.bare || filepath.Base(r.dir) != ".git" || strings.TrimSpace(string(head)) != "ref: "+ref && !empty {
		return nil, r.checkNotCheckedOut(ref)
	}
	c := &checkout{dir: filepath.Dir(r.dir), file: filepath.Join(r.dir, "index"), index: index.Index{Version: 2}}
	c.lock, err = os.OpenFile(c.file+".lock", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w: %s exists; if no git process is at work in the repository, remove it", ErrLocked, c.file+".lock")
	}
	if err != nil {
		return nil, err
	}
	if err := c.read(); err != nil {
		c.close()
		return nil, fmt.Errorf("read the index: %w", err)
	}
	return c, nil
}

func (c *checkout) read() error {
	f, err := os.Open(c.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return index.NewDecoder(f).Decode(&c.index)
}

// close gives the lock back. After add there is none any more.
func (c *checkout) close() {
	if c.lock != nil {
		c.lock.Close()
		os.Remove(c.lock.Name())
	}
}

// absent refuses files that are in the work tree, committed or not, or staged.
func (c *checkout) absent(files map[string][]byte) error {
	for path := range files {
		if _, err := os.Lstat(filepath.Join(c.dir, filepath.FromSlash(path))); err == nil {
			return fmt.Errorf("%w: %s", ErrExists, path)
		}
		if slices.ContainsFunc(c.index.Entries, func(e *index.Entry) bool { return e.Name == path }) {
			return fmt.Errorf("%w: %s is staged", ErrExists, path)
		}
	}
	return nil
}

// add writes the files and replaces the index.
func (c *checkout) add(files map[string][]byte, blobs map[string]plumbing.Hash) error {
	for path, data := range files {
		name := filepath.Join(c.dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			return err
		}
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		// Without the times of the file git looks at its bytes once, and notes them.
		c.index.Entries = append(c.index.Entries, &index.Entry{Name: path, Hash: blobs[path], Mode: filemode.Regular, Size: uint32(len(data))})
	}
	err := index.NewEncoder(c.lock).Encode(&c.index)
	if err := errors.Join(err, c.lock.Close()); err != nil {
		return err
	}
	name := c.lock.Name()
	c.lock = nil
	return os.Rename(name, c.file)
}
