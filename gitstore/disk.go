package gitstore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// isNotDir reports whether a part of a path is a file where a directory is
// needed.
func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// disk makes files and names durable. Its zero value is ready for use; the
// hooks are for tests.
type disk struct {
	// fault stands for a failing disk or a killed process: it is called with
	// the name of each step of a write, and its error ends the step.
	fault func(step string) error

	// synced is called with each file or directory that was synced.
	synced func(f *os.File)
}

// step says which step of a write comes next.
func (d *disk) step(name string) error {
	if d.fault == nil {
		return nil
	}
	return d.fault(name)
}

func (d *disk) sync(f *os.File) error {
	err := f.Sync()
	if err == nil && d.synced != nil {
		d.synced(f)
	}
	return err
}

// syncDir makes the names in a directory durable: those created, renamed and
// removed. Without it a synced file may be gone after a power cut.
func (d *disk) syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.sync(f), f.Close())
}

// syncTree makes every file and directory under root durable, and root's own
// name in its parent.
func (d *disk) syncTree(root string) error {
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return d.syncDir(path) // fsync is the same call for files
	})
	if err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(filepath.Clean(root)))
}

// makeDirs creates a directory and its missing parents, durably.
func (d *disk) makeDirs(dir string, mode fs.FileMode) error {
	err := os.Mkdir(dir, mode)
	switch {
	case err == nil:
		return d.syncDir(filepath.Dir(dir))
	case errors.Is(err, fs.ErrExist):
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := d.makeDirs(filepath.Dir(dir), mode); err != nil {
		return err
	}
	return d.makeDirs(dir, mode)
}

// writeTemp writes data to a new file in dir and syncs it. The caller renames
// or removes it.
func (d *disk) writeTemp(dir, pattern string, mode fs.FileMode, data ...[]byte) (path string, err error) {
	return d.writeTempBy(dir, pattern, mode, func(w io.Writer) error {
		for _, part := range data {
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeTempBy is writeTemp of what fn writes.
func (d *disk) writeTempBy(dir, pattern string, mode fs.FileMode, fn func(io.Writer) error) (path string, err error) {
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := fn(f); err != nil {
		return "", err
	}
	if err := f.Chmod(mode); err != nil {
		return "", err
	}
	return f.Name(), d.sync(f)
}
