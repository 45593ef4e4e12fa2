package exec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// programs answers the directory of programs without symbolic links, if it and
// all above it can be trusted.
func programs(dir string) (string, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("exec: --exec-dir: %w", err)
	}
	info, err := os.Lstat(real)
	if err != nil {
		return "", fmt.Errorf("exec: --exec-dir: %w", err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("exec: --exec-dir: %s is no directory", real)
	}
	if err := trusted(real, info, false); err != nil {
		return "", err
	}
	for at := real; at != filepath.Dir(at); {
		at = filepath.Dir(at)
		info, err := os.Lstat(at)
		if err != nil {
			return "", fmt.Errorf("exec: --exec-dir: %w", err)
		}
		if err := trusted(at, info, true); err != nil {
			return "", err
		}
	}
	return real, nil
}

// program answers the path of a program of that directory. Between the look and
// the call nobody can put another in its place who could not have done so before:
// what is not the bot's own or root's is refused.
func program(dir, name string) (string, error) {
	path, err := filepath.EvalSymlinks(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("exec: there is no program %q in --exec-dir; put it there", name)
	}
	if err != nil {
		return "", fmt.Errorf("exec: %w", err)
	}
	below, err := filepath.Rel(dir, path)
	if err != nil || !filepath.IsLocal(below) {
		return "", fmt.Errorf("exec: %q is a symbolic link to outside --exec-dir; put the program itself there", name)
	}
	for at := path; at != dir; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return "", fmt.Errorf("exec: %w", err)
		}
		if at == path && (!info.Mode().IsRegular() || info.Mode()&0o111 == 0) {
			return "", fmt.Errorf("exec: %q is no program; if it should be one: chmod 755", name)
		}
		if err := trusted(at, info, false); err != nil {
			return "", err
		}
	}
	return path, nil
}

// trusted says who else could change a file or directory. In a sticky directory
// others can only add.
func trusted(path string, info fs.FileInfo, stickyWill bool) error {
	if uid, ok := owner(info); !ok || uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("exec: %s belongs neither to root nor to the bot's user; chown it", path)
	}
	if info.Mode()&0o022 != 0 && !(stickyWill && info.Mode()&fs.ModeSticky != 0) {
		return fmt.Errorf("exec: %s may be written by group or others; chmod go-w it", path)
	}
	return nil
}
