package gitstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/objfile"
)

// maxObject is the size in bytes of the largest object that is read. It keeps
// a hostile repository from filling the memory.
const maxObject = 256 << 20

// baseCache is how many bytes of delta bases are kept: a repository that git
// packed stores most trees as chains of deltas.
const baseBytes = 16 << 20

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
	bases *baseCache

	packs atomic.Pointer[[]*pack]
	last  atomic.Pointer[recent] // where objects were found last
	mu    sync.Mutex             // held while the list of packs is replaced
}

func openObjects(dir string) (*objectStore, error) {
	s := &objectStore{bases: newBaseCache(baseBytes)}
	s.dirs = withAlternates(nil, dir, 5)
	s.packs.Store(&[]*pack{})
	s.last.Store(&recent{})
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

// recent are the packs in which objects were found last: neighbours lie together,
// and what a commit refers to is new or was written not long before.
type recent [4]*pack

func (s *objectStore) find(packs []*pack, id plumbing.Hash) (object, error) {
	last := s.last.Load()
	for _, p := range last {
		if obj, ok, err := s.findIn(p, id); ok || err != nil {
			return obj, err
		}
	}
	for _, p := range packs {
		if slices.Contains(last[:], p) {
			continue
		}
		if obj, ok, err := s.findIn(p, id); ok || err != nil {
			s.last.Store(&recent{p, last[0], last[1], last[2]})
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

// baseKey names an object of a pack.
type baseKey struct{ pack, off int64 }

// baseCache keeps objects that others are deltas of, those asked for of late: of
// two halves the older one is dropped when the younger is full.
type baseCache struct {
	half int // bytes

	mu         sync.Mutex
	young, old map[baseKey]object // guarded by mu
	size       int                // guarded by mu: of the young
}

func newBaseCache(bytes int) *baseCache {
	return &baseCache{half: bytes / 2, young: make(map[baseKey]object)}
}

func (c *baseCache) get(k baseKey) (object, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	obj, ok := c.young[k]
	if !ok {
		if obj, ok = c.old[k]; ok {
			c.add(k, obj)
		}
	}
	return obj, ok
}

func (c *baseCache) put(k baseKey, obj object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(k, obj)
}

// add makes k one of the young. The caller holds mu.
func (c *baseCache) add(k baseKey, obj object) {
	const each = 128 // about what an entry takes besides its bytes
	cost := len(obj.data) + each
	if cost > c.half {
		return
	}
	if c.size+cost > c.half {
		c.old, c.young, c.size = c.young, make(map[baseKey]object), 0
	}
	if _, has := c.young[k]; !has {
		c.size += cost
	}
	c.young[k] = obj
}
