package gitstore

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Every write makes a pack, and every reader asks all packs. So packs of
// about the same size are merged when there are many: an object is copied
// once for each class of sizes, and the number of packs stays small however
// long the log grows.
const (
	tidyCount = 32       // packs of one class that are merged
	tidyMax   = 16 << 20 // bytes; larger packs are left alone
)

// tidy merges small packs where there are too many. The caller holds the
// write lock, and answers whom it has to answer afterwards: so nothing happens
// in a repository behind the back of those who have done with it, who may be
// about to run git.
//
// The old packs are removed only after the new one is durable, in the order in
// which git does it, and those who have them open can read on. Only packs of
// whole objects are touched, as this package writes them: what git has packed
// or marked (.keep and the like) stays.
//
// While git packs by itself nothing is merged: git gc gives up when a pack
// that it has listed is gone.
//
// An error only costs speed, and what causes it (a full disk, a permission)
// makes the next write fail loudly. So callers drop it.
func (r *Repo) tidy() error {
	group := r.objects.tidyGroup()
	if len(group) < tidyCount || r.gitPacks() {
		return nil
	}
	var w packWriter
	var merged []*pack
	for _, p := range group {
		if w.body.Len() > tidyMax {
			break
		}
		whole, err := p.copyTo(&w)
		if err != nil {
			return fmt.Errorf("merge packs: %w", err)
		}
		if whole {
			merged = append(merged, p)
		} else {
			p.foreign.Store(true)
		}
	}
	if len(merged) < tidyCount/2 {
		return nil
	}
	name, err := r.publish(&w)
	if err != nil {
		return fmt.Errorf("merge packs: %w", err)
	}
	if r.gitPacks() {
		return nil // both are there now, which does no harm; git removes one
	}
	for _, p := range merged {
		if p.path == name {
			continue
		}
		err := r.disk.step("pack remove")
		if err == nil {
			err = p.remove()
		}
		if err != nil {
			return fmt.Errorf("merge packs: %w", err)
		}
	}
	_, err = r.objects.rescan()
	return err
}

// gitPacks reports whether git gc or git maintenance is at work. As git does,
// it takes what is older than twelve hours for the remains of a crash.
func (r *Repo) gitPacks() bool {
	for _, name := range []string{"gc.pid", "objects/maintenance.lock"} {
		info, err := os.Stat(filepath.Join(r.dir, filepath.FromSlash(name)))
		if err == nil && time.Since(info.ModTime()) < 12*time.Hour {
			return true
		}
	}
	return false
}

// tidyGroup returns the packs of the smallest class that has enough of them.
func (s *objectStore) tidyGroup() []*pack {
	classes := make(map[int][]*pack)
	for _, p := range *s.packs.Load() {
		if p.size <= tidyMax && !p.foreign.Load() && filepath.Dir(p.path) == s.packDir() {
			class := bits.Len64(uint64(p.size)>>12) / 5 // a factor of 32, the size of a merger
			classes[class] = append(classes[class], p)
		}
	}
	for class := range 8 {
		if len(classes[class]) >= tidyCount {
			return classes[class]
		}
	}
	return nil
}

// copyTo adds all objects of p to w as they are stored, and reports whether it
// could: not if p holds deltas or git has marked it. The checksum of each is
// compared first, so that damage is not passed on as sound.
func (p *pack) copyTo(w *packWriter) (whole bool, err error) {
	if p.marked() {
		return false, nil
	}
	items, err := p.items()
	if err != nil {
		return false, err
	}
	err = p.file.read(func(file []byte) error {
		whole, err = p.copyItems(w, items, file)
		return err
	})
	return whole, err
}

// copyItems adds the objects that the index lists to w.
func (p *pack) copyItems(w *packWriter, items []packItem, data []byte) (whole bool, err error) {
	raws := make([][]byte, len(items))
	for i, item := range items {
		end := uint64(p.size - hashSize)
		if i+1 < len(items) {
			end = items[i+1].off
		}
		if item.off < packHeader || item.off >= end || end > uint64(p.size-hashSize) {
			return false, fmt.Errorf("%w: index of %s", ErrCorrupt, p.path)
		}
		raws[i] = data[item.off:end]
		if crc32.ChecksumIEEE(raws[i]) != item.crc {
			return false, fmt.Errorf("%w: %s in %s", ErrCorrupt, item.id, p.path)
		}
		switch plumbing.ObjectType(raws[i][0] >> 4 & 7) {
		case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject:
		default:
			return false, nil
		}
	}
	for i, item := range items {
		w.putRaw(item.id, raws[i])
	}
	return true, nil
}

// items returns what the index lists, in the order of the pack.
func (p *pack) items() ([]packItem, error) {
	items := make([]packItem, p.count)
	err := p.index.read(func(idx []byte) error {
		names := idx[idxHeader+idxFanout:]
		crcs := names[p.count*hashSize:]
		for i := range items {
			off, err := p.offsetAt(idx, int64(i))
			if err != nil {
				return err
			}
			items[i].off = uint64(off)
			items[i].crc = be32(crcs[4*i:])
			copy(items[i].id[:], names[hashSize*i:])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(items, func(a, b packItem) int { return cmp.Compare(a.off, b.off) })
	return items, nil
}

// marked reports whether files beside p say that it means more than its
// objects: keep it, a promise, a bitmap, times.
func (p *pack) marked() bool {
	base := strings.TrimSuffix(p.path, ".pack")
	for _, ext := range []string{".keep", ".promisor", ".bitmap", ".mtimes"} {
		if _, err := os.Stat(base + ext); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// remove takes the files of p away, the index first: without it nobody looks
// for the pack.
func (p *pack) remove() error {
	base := strings.TrimSuffix(p.path, ".pack")
	for _, ext := range []string{".idx", ".rev", ".pack"} {
		if err := os.Remove(base + ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
