package gitstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// lockPatience is how long another program may hold the lock of a ref.
const lockPatience = 5 * time.Second

// tempRef begins the names of refs being written, in the private directory.
const tempRef = "ref-"

// errMoved says that a ref does not hold what its writer expected.
var errMoved = errors.New("ref was moved")

// privateDir holds the write lock and the temporary refs of this package. git
// does not look at it.
func (r *Repo) privateDir() string { return filepath.Join(r.dir, "countersign") }

// writeLock is the right to write into a repository, among the processes and
// Repos that use this package. git itself does not know it.
type writeLock struct{ file *os.File }

// lock waits for the write lock, and then removes what dead writers left.
//
// It is an flock(2) on a file of our own. The kernel takes it back when its
// holder dies, in whatever way. So whoever holds it knows that no other writer
// of this package is at work in the repository, and that all leftovers of such
// writers may go: without a guess by age.
func (r *Repo) lock(ctx context.Context) (*writeLock, error) {
	if err := r.makeDirs(r.privateDir()); err != nil {
		return nil, fmt.Errorf("lock repository: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(r.privateDir(), "lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, fmt.Errorf("lock repository: %w", err)
	}
	if err := flock(ctx, f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock repository: %w", err)
	}
	if err := r.recover(); err != nil {
		f.Close()
		return nil, fmt.Errorf("remove what a crash left: %w", err)
	}
	return &writeLock{f}, nil
}

// unlock gives the lock back.
func (l *writeLock) unlock() { l.file.Close() }

// recover removes the leftovers of dead writers: locks of refs, temporary
// refs, and once for each Repo temporary packs. The caller holds the write
// lock.
func (r *Repo) recover() error {
	refs, err := filepath.Glob(filepath.Join(r.privateDir(), tempRef+"*"))
	if err != nil {
		return err
	}
	if len(refs) > 0 {
		if err := r.breakOwnLocks(refs); err != nil {
			return err
		}
	}
	var packs []string
	if !r.recovered.Swap(true) {
		if packs, err = filepath.Glob(filepath.Join(r.objects.packDir(), tempPrefix+"*")); err != nil {
			return err
		}
	}
	for _, f := range append(refs, packs...) {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// breakOwnLocks removes the locks of refs that dead writers of this package
// left behind. They are known for certain: such a lock is the same file (by
// device and inode) as one of the temporary refs, since it was linked from
// there, and its writer is dead, since the caller holds the write lock. A lock
// of git's is never touched, however old.
func (r *Repo) breakOwnLocks(temps []string) error {
	return filepath.WalkDir(filepath.Join(r.dir, "refs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".lock") {
			return err
		}
		held, err := os.Lstat(path)
		if err != nil {
			return nil // git has just given it up
		}
		for _, tmp := range temps {
			if info, err := os.Lstat(tmp); err == nil && os.SameFile(info, held) {
				return os.Remove(path)
			}
		}
		return nil
	})
}

// updateRef moves a ref from old to new, durably, if it still holds old; the
// zero old means that the ref must not exist. It fails with errMoved, with
// ErrLocked, or with ErrUncertain where only the last step failed. The caller
// holds the write lock.
//
// It follows git's protocol: whoever creates <ref>.lock may replace the ref
// by renaming it. The lock file comes into being as a second name of a file
// that is complete and synced already, so that no moment exists in which the
// ref could become an empty file.
func (r *Repo) updateRef(ctx context.Context, ref string, old, new plumbing.Hash) error {
	file := r.refFile(ref)
	if err := r.makeDirs(filepath.Dir(file)); err != nil {
		return fmt.Errorf("update %s: %w", ref, err)
	}
	if err := r.disk.step("ref write"); err != nil {
		return fmt.Errorf("update %s: %w", ref, err)
	}
	tmp, err := r.disk.writeTemp(r.privateDir(), tempRef, 0o644, []byte(new.String()+"\n"))
	if err != nil {
		return fmt.Errorf("update %s: %w", ref, err)
	}
	defer os.Remove(tmp)
	// The lock must not outlive the name that shows whose it is, not even in a
	// power cut.
	if err := r.disk.syncDir(r.privateDir()); err != nil {
		return fmt.Errorf("update %s: %w", ref, err)
	}
	if err := r.lockRef(ctx, ref, tmp); err != nil {
		return fmt.Errorf("update %s: %w", ref, err)
	}
	if err := r.replaceRef(ref, old); err != nil {
		return fmt.Errorf("update %s: %w", ref, err)
	}
	if err := r.disk.step("ref directory sync"); err != nil {
		return fmt.Errorf("update %s: %w: %w", ref, ErrUncertain, err)
	}
	if err := r.disk.syncDir(filepath.Dir(file)); err != nil {
		return fmt.Errorf("update %s: %w: %w", ref, ErrUncertain, err)
	}
	return nil
}

// lockRef makes <ref>.lock a name of tmp. Where the lock exists it belongs to
// git, which is given time to finish.
func (r *Repo) lockRef(ctx context.Context, ref, tmp string) error {
	if err := r.disk.step("ref lock"); err != nil {
		return err
	}
	lock := r.refFile(ref) + ".lock"
	deadline := time.Now().Add(lockPatience)
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := os.Link(tmp, lock)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: %s exists; if no git process is at work in the repository, remove it", ErrLocked, lock)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s: %w", ErrLocked, lock, ctx.Err())
		case <-time.After(wait):
		}
	}
}

// replaceRef compares the ref with old and renames the lock over it. It gives
// the lock up where it fails.
func (r *Repo) replaceRef(ref string, old plumbing.Hash) (err error) {
	file := r.refFile(ref)
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file+".lock"))
		}
	}()
	if err := r.compareRef(ref, old); err != nil {
		return err
	}
	if err := r.disk.step("ref rename"); err != nil {
		return err
	}
	// An empty directory in the ref's place is left over from refs that were
	// deleted. One that is not empty stays, and the rename fails.
	removeEmptyDir(file)
	return os.Rename(file+".lock", file)
}

// compareRef checks that a ref still holds old, or does not exist and clashes
// with none if old is zero.
func (r *Repo) compareRef(ref string, old plumbing.Hash) error {
	value, err := r.readRefOnce(ref)
	switch {
	case errors.Is(err, ErrNotFound) && old.IsZero():
		return r.checkClash(ref)
	case errors.Is(err, ErrNotFound):
		return errMoved
	case err != nil:
		return err
	case strings.HasPrefix(value, "ref: "):
		return fmt.Errorf("%w: %s is a symbolic ref", ErrUnsupported, ref)
	case value != old.String() || old.IsZero():
		return errMoved
	}
	return nil
}

// checkClash refuses a new ref where another one is a directory on its way
// or below it: git allows no "a" beside "a/b", also where one is packed.
func (r *Repo) checkClash(ref string) error {
	packed, err := r.packedRefs()
	if err != nil {
		return err
	}
	for other := range packed {
		if strings.HasPrefix(other, ref+"/") || strings.HasPrefix(ref, other+"/") {
			return fmt.Errorf("%w: the ref %s is in the way", ErrExists, other)
		}
	}
	return nil
}
