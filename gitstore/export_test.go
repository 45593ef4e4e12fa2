package gitstore

import (
	"os"
	"time"
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
