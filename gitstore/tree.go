package gitstore

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// treeEntry is one line of a tree object.
type treeEntry struct {
	name string
	mode filemode.FileMode
	id   plumbing.Hash
}

func (e treeEntry) isDir() bool { return e.mode == filemode.Dir }

// isFile reports whether e is a regular file, executable or not: not a
// symbolic link and not a submodule.
func (e treeEntry) isFile() bool {
	return e.mode == filemode.Regular || e.mode == filemode.Executable || e.mode == filemode.Deprecated
}

// compareEntries orders as git does: by bytes, a directory as if its name
// ended in a slash.
func compareEntries(a, b treeEntry) int {
	n := min(len(a.name), len(b.name))
	if c := strings.Compare(a.name[:n], b.name[:n]); c != 0 {
		return c
	}
	return int(a.byteAt(n)) - int(b.byteAt(n))
}

// byteAt returns the i-th byte of the name as compared, 0 behind its end.
func (e treeEntry) byteAt(i int) byte {
	switch {
	case i < len(e.name):
		return e.name[i]
	case i == len(e.name) && e.isDir():
		return '/'
	}
	return 0
}

// nextEntry splits the first entry off a tree object.
func nextEntry(raw []byte) (e treeEntry, rest []byte, err error) {
	space := bytes.IndexByte(raw, ' ')
	end := bytes.IndexByte(raw, 0)
	if space < 0 || end < space || len(raw) < end+1+hashSize {
		return e, nil, fmt.Errorf("%w: malformed tree", ErrCorrupt)
	}
	mode, err := strconv.ParseUint(string(raw[:space]), 8, 32)
	if err != nil {
		return e, nil, fmt.Errorf("%w: malformed mode in a tree", ErrCorrupt)
	}
	e = treeEntry{name: string(raw[space+1 : end]), mode: filemode.FileMode(mode)}
	copy(e.id[:], raw[end+1:])
	return e, raw[end+1+hashSize:], nil
}

// parseTree reads a tree object.
func parseTree(raw []byte) ([]treeEntry, error) {
	var entries []treeEntry
	for len(raw) > 0 {
		e, rest, err := nextEntry(raw)
		if err != nil {
			return nil, err
		}
		entries, raw = append(entries, e), rest
	}
	return entries, nil
}

// encodeTree writes a tree object from entries in order.
func encodeTree(entries []treeEntry) []byte {
	var buf []byte
	for _, e := range entries {
		buf = strconv.AppendUint(buf, uint64(e.mode), 8)
		buf = append(append(append(buf, ' '), e.name...), 0)
		buf = append(buf, e.id[:]...)
	}
	return buf
}

// tree is a directory being changed: its entries, and those of its
// subdirectories that were needed so far. The others are known by id only.
type tree struct {
	entries []treeEntry // in order
	kids    map[string]*tree
	used    int // the turn in which it was last entered
}

// loadTree reads one directory. The zero id is an empty one.
func (r *Repo) loadTree(id plumbing.Hash) (*tree, error) {
	t := &tree{kids: make(map[string]*tree)}
	if id.IsZero() {
		return t, nil
	}
	raw, err := r.objects.getKind(id, plumbing.TreeObject)
	if err != nil {
		return nil, err
	}
	t.entries, err = parseTree(raw)
	return t, err
}

// entry returns the entry of a name, as file or directory.
func (t *tree) entry(name string) (treeEntry, bool) {
	for _, mode := range []filemode.FileMode{filemode.Regular, filemode.Dir} {
		i, ok := slices.BinarySearchFunc(t.entries, treeEntry{name: name, mode: mode}, compareEntries)
		if ok && t.entries[i].name == name {
			return t.entries[i], true
		}
	}
	return treeEntry{}, false
}

// holds reports whether the directory, which may be nil, has a file of these bytes.
func (t *tree) holds(e Entry) bool {
	if t == nil {
		return false
	}
	there, ok := t.entry(path.Base(e.Path))
	return ok && there.mode == filemode.Regular && there.id == plumbing.ComputeHash(plumbing.BlobObject, e.Data)
}

// set adds or replaces an entry.
func (t *tree) set(e treeEntry) {
	i, found := slices.BinarySearchFunc(t.entries, e, compareEntries)
	if found {
		t.entries[i] = e
		return
	}
	t.entries = slices.Insert(t.entries, i, e)
}

// kid returns the subdirectory of a name, loading it if need be; nil where
// there is none. A file in its place is an error.
func (r *Repo) kid(t *tree, name string) (*tree, error) {
	if k := t.kids[name]; k != nil {
		return k, nil
	}
	e, ok := t.entry(name)
	if !ok {
		return nil, nil
	}
	if !e.isDir() {
		return nil, fmt.Errorf("%w: %s is not a directory", ErrInvalid, name)
	}
	k, err := r.loadTree(e.id)
	if err != nil {
		return nil, err
	}
	t.kids[name] = k
	return k, nil
}

// descend returns the directory at a path below t, or nil.
func (r *Repo) descend(t *tree, dir string, turn int) (*tree, error) {
	t.used = turn
	for name := range pathParts(dir) {
		k, err := r.kid(t, name)
		if k == nil || err != nil {
			return nil, err
		}
		t, k.used = k, turn
	}
	return t, nil
}

// insert puts a file at a path below t, making directories as needed, writes
// every tree on the way into w, and returns the id of t.
func (r *Repo) insert(w *packWriter, t *tree, path string, file treeEntry, turn int) (plumbing.Hash, error) {
	t.used = turn
	name, rest, deeper := strings.Cut(path, "/")
	if deeper {
		k, err := r.kid(t, name)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		if k == nil {
			k = &tree{kids: make(map[string]*tree)}
			t.kids[name] = k
		}
		id, err := r.insert(w, k, rest, file, turn)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		file = treeEntry{mode: filemode.Dir, id: id}
	}
	file.name = name
	t.set(file)
	return w.put(plumbing.TreeObject, encodeTree(t.entries))
}

// forget drops the subdirectories that were not entered since a turn, so that
// only the way to what is written now stays in memory.
func (t *tree) forget(turn int) {
	for name, k := range t.kids {
		if k.used < turn {
			delete(t.kids, name)
			continue
		}
		k.forget(turn)
	}
}
