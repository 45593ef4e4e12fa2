//go:build unix

package gitstore

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// flock waits in the kernel, which serves waiters in turn, or by trying again
// and again where the caller may give up.
func flock(ctx context.Context, f *os.File) error {
	if ctx.Done() == nil {
		return flockOnce(f, syscall.LOCK_EX)
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := flockOnce(f, syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func flockOnce(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// removeEmptyDir removes a directory, and never a file: os.Remove would do both.
func removeEmptyDir(dir string) { _ = syscall.Rmdir(dir) }
