package gitstore

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// SetPushWait says how long a remote may take to answer a push.
func SetPushWait(r *Repo, d time.Duration) { r.pushWait = d }

// SetFault calls f with the name of each step that touches the disk; an error
// of f ends the step.
func SetFault(r *Repo, f func(step string) error) { r.disk.fault = f }

// Steps are the steps of a durable write, in order.
func Steps() []string {
	return []string{
		"pack write", "index write", "pack rename", "index rename", "pack directory sync",
		"ref write", "ref lock", "ref rename", "ref directory sync",
	}
}

// Packs returns how many packs a repository's readers know.
func Packs(r *Repo) int { return len(*r.objects.packs.Load()) }

// Waiting returns how many batches wait for a writer.
func Waiting(l *Log) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

// Pause is how long a log with all its budget leaves a batch alone that came and is
// due at some times.
func Pause(came, due time.Time) time.Duration {
	l := &Log{cfg: LogConfig{Repo: &Repo{}}, queue: []*request{{at: came, due: due}}}
	return l.pause()
}

// OnSync calls f with each file or directory that was synced.
func OnSync(r *Repo, f func(*os.File)) { r.disk.synced = f }

// TreesInMemory returns how many directories the writer keeps.
func TreesInMemory(l *Log) int { return countTrees(l.root) }

func countTrees(t *tree) int {
	n := 1
	for _, k := range t.kids {
		n += countTrees(k)
	}
	return n
}

// PatchDelta is what a delta makes of an object.
func PatchDelta(base, delta []byte) ([]byte, error) { return patchDelta(base, delta) }

// IndexPack returns the index of a pack; while it is made so many bytes of objects
// are kept by each who works on it.
func IndexPack(ctx context.Context, path string, keep int) ([]byte, error) {
	x := &indexer{keep: keep}
	if err := x.index(ctx, path); err != nil {
		return nil, err
	}
	var idx bytes.Buffer
	err := writeIndex(&idx, x.items(), x.sum)
	return idx.Bytes(), err
}

// ReadPack reads every object of a pack that has its index beside it, and compares
// its id.
func ReadPack(path string) (objects int, err error) {
	p, err := openPack(path)
	if err != nil {
		return 0, err
	}
	items, err := p.items()
	if err != nil {
		return 0, err
	}
	s := &objectStore{bases: newBaseCache(baseBytes)}
	for _, item := range items {
		obj, err := s.readPacked(p, int64(item.off))
		if err != nil {
			return 0, err
		}
		if id := plumbing.ComputeHash(obj.kind, obj.data); id != item.id {
			return 0, fmt.Errorf("what lies at %d is %s, not %s", item.off, id, item.id)
		}
	}
	return len(items), nil
}

// FinishIndex writes an index of a pack of so many objects, as if they lay there.
func FinishIndex(offs []uint64) ([]byte, error) {
	items := make([]packItem, len(offs))
	for i, off := range offs {
		items[i] = packItem{id: plumbing.Hash{byte(i)}, off: off}
	}
	var idx bytes.Buffer
	err := writeIndex(&idx, items, plumbing.ZeroHash)
	return idx.Bytes(), err
}
