package gitstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// isNotDir reports whether a part of a path is a file where a directory is
// needed.
func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// syncDir makes the names in a directory durable: those created, renamed and
// removed. Without it a synced file may be gone after a power cut.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncTree makes every file and directory under root durable, and root's own
// name in its parent.
func syncTree(root string) error {
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncDir(path) // fsync is the same call for files
	})
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(filepath.Clean(root)))
}

// makeDirs creates dir and its missing parents below base, durably.
func makeDirs(base, dir string) error {
	if dir == base {
		return nil
	}
	err := os.Mkdir(dir, 0o777)
	switch {
	case err == nil:
		return syncDir(filepath.Dir(dir))
	case errors.Is(err, fs.ErrExist):
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := makeDirs(base, filepath.Dir(dir)); err != nil {
		return err
	}
	return makeDirs(base, dir)
}

// writeTemp writes data to a new file in dir and syncs it. The caller renames
// or removes it.
func writeTemp(dir, pattern string, mode fs.FileMode, data ...[]byte) (path string, err error) {
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
	for _, d := range data {
		if _, err := f.Write(d); err != nil {
			return "", err
		}
	}
	if err := f.Chmod(mode); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}
