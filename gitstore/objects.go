package gitstore

import (
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/objfile"
)

// maxObject is the size in bytes of the largest object that is read. It keeps
// a hostile repository from filling the memory.
const maxObject = 256 << 20

// baseCache is how many bytes of delta bases are kept: a repository that git
// packed stores most trees as chains of deltas.
const baseCache = 16 << 20

// errNoObject says that no pack and no loose file has an object.
var errNoObject = errors.New("object is missing")

// object is one object as stored: its type and the bytes behind its header.
// The bytes are shared and must not be changed.
type object struct {
	kind plumbing.ObjectType
	data []byte
}

// objectStore reads and writes the objects of a repository and of its
// alternates. Reading holds no lock: the list of packs is replaced, never
// changed, and a pack stays readable while anybody holds it, even after git
// has removed its file.
type objectStore struct {
	dirs  []string // the repository's own objects directory first
	bases *cache.BufferLRU

	packs atomic.Pointer[[]*pack]
	last  atomic.Pointer[pack] // where an object was found last
	mu    sync.Mutex           // held while the list of packs is replaced
}

func openObjects(dir string) (*objectStore, error) {
	s := &objectStore{bases: cache.NewBufferLRU(baseCache)}
	s.dirs = withAlternates(nil, dir, 5)
	s.packs.Store(&[]*pack{})
	_, err := s.rescan()
	return s, err
}

// withAlternates appends dir and the directories that its info/alternates
// borrows from, as clones with --shared or --reference have them.
func withAlternates(dirs []string, dir string, depth int) []string {
	if depth == 0 || slices.Contains(dirs, dir) {
		return dirs
	}
	dirs = append(dirs, dir)
	data, err := os.ReadFile(filepath.Join(dir, "info", "alternates"))
	if err != nil {
		return dirs
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			dirs = withAlternates(dirs, joinUnlessAbs(dir, line), depth-1)
		}
	}
	return dirs
}

func (s *objectStore) packDir() string { return filepath.Join(s.dirs[0], "pack") }

// get returns an object, or errNoObject. Where it is found nowhere, the packs
// are listed again, by this goroutine or by another meanwhile, since whoever
// merges packs moves objects: to where is on disk before they leave their
// place.
func (s *objectStore) get(id plumbing.Hash) (object, error) {
	for range 5 {
		packs := s.packs.Load()
		obj, err := s.find(*packs, id)
		if !errors.Is(err, errNoObject) {
			return obj, err
		}
		vanished, err := s.rescan()
		if err != nil {
			return object{}, err
		}
		if !vanished && s.packs.Load() == packs {
			break
		}
	}
	return object{}, errNoObject
}

// getKind returns the bytes of an object that must be of the given type.
func (s *objectStore) getKind(id plumbing.Hash, kind plumbing.ObjectType) ([]byte, error) {
	obj, err := s.get(id)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, id, err)
	}
	if obj.kind != kind {
		return nil, fmt.Errorf("%w: %s is a %s, not a %s", ErrCorrupt, id, obj.kind, kind)
	}
	return obj.data, nil
}

func (s *objectStore) find(packs []*pack, id plumbing.Hash) (object, error) {
	last := s.last.Load() // neighbours lie together
	if obj, ok, err := s.findIn(last, id); ok || err != nil {
		return obj, err
	}
	for _, p := range packs {
		if p == last {
			continue
		}
		if obj, ok, err := s.findIn(p, id); ok || err != nil {
			s.last.Store(p)
			return obj, err
		}
	}
	for _, dir := range s.dirs {
		obj, err := readLoose(dir, id)
		if !errors.Is(err, fs.ErrNotExist) {
			return obj, err
		}
	}
	return object{}, errNoObject
}

// findIn looks for an object in one pack, which may be nil.
func (s *objectStore) findIn(p *pack, id plumbing.Hash) (obj object, ok bool, err error) {
	if p == nil {
		return obj, false, nil
	}
	off, ok, err := p.offset(id)
	if ok {
		obj, err = s.readPacked(p, off)
	}
	return obj, ok, err
}

// rescan lists the packs again, and replaces the list if it has changed. Packs
// that are still there keep their open files. It reports whether one vanished
// while it looked, so that another may have come that it has not seen.
func (s *objectStore) rescan() (vanished bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.packs.Load()
	known := make(map[string]*pack, len(old))
	for _, p := range old {
		known[p.path] = p
	}
	var now []*pack
	same := true
	for _, dir := range s.dirs {
		names, err := filepath.Glob(filepath.Join(dir, "pack", "pack-*.idx"))
		if err != nil {
			return false, err
		}
		for _, name := range names {
			path := strings.TrimSuffix(name, ".idx") + ".pack"
			p := known[path]
			if p == nil {
				same = false
				if p, err = openPack(path); errors.Is(err, fs.ErrNotExist) {
					vanished = true
					continue
				} else if err != nil {
					return false, err
				}
			}
			now = append(now, p)
		}
	}
	if !same || len(now) != len(old) {
		s.packs.Store(&now)
	}
	return vanished, nil
}

// add puts a pack that was just published in front of the list.
func (s *objectStore) add(p *pack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := append([]*pack{p}, *s.packs.Load()...)
	s.packs.Store(&now)
}

// readLoose reads objects/ab/cdef….
func readLoose(dir string, id plumbing.Hash) (obj object, err error) {
	name := id.String()
	f, err := os.Open(filepath.Join(dir, name[:2], name[2:]))
	if err != nil {
		return object{}, err
	}
	defer f.Close()
	r, err := objfile.NewReader(f)
	if err != nil {
		return object{}, fmt.Errorf("%w: %s: %w", ErrCorrupt, id, err)
	}
	defer r.Close()
	kind, size, err := r.Header()
	if err != nil {
		return object{}, fmt.Errorf("%w: %s: %w", ErrCorrupt, id, err)
	}
	data, err := readExactly(r, size)
	if err != nil {
		return object{}, fmt.Errorf("%w: %s: %w", ErrCorrupt, id, err)
	}
	return object{kind, data}, nil
}

// readExactly reads size bytes and the end of the stream, where zlib compares
// its checksum.
func readExactly(r io.Reader, size int64) ([]byte, error) {
	if size < 0 || size > maxObject {
		return nil, fmt.Errorf("size of %d bytes is out of bounds", size)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	var more [1]byte
	switch n, err := io.ReadFull(r, more[:]); {
	case n != 0:
		return nil, errors.New("more bytes than announced")
	case err != io.EOF:
		return nil, err
	}
	return data, nil
}

// inflaters keeps zlib readers: a new one costs 40 kB.
type inflaters struct{ pool sync.Pool }

// inflate decompresses one zlib stream of a known size.
func (z *inflaters) inflate(r io.Reader, size int64) ([]byte, error) {
	zr, ok := z.pool.Get().(io.ReadCloser)
	var err error
	if ok {
		err = zr.(zlib.Resetter).Reset(r, nil)
	} else {
		zr, err = zlib.NewReader(r)
	}
	if err != nil {
		return nil, err
	}
	defer z.pool.Put(zr)
	return readExactly(zr, size)
}
