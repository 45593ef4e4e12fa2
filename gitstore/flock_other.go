//go:build !unix

package gitstore

import (
	"context"
	"fmt"
	"os"
	"runtime"
)

// flock refuses: whoever writes needs the locks, links and directory syncs of a
// Unix system. Reading needs none of them.
func flock(context.Context, *os.File) error {
	return fmt.Errorf("%s can read a log and not write it; write on Linux, macOS or another Unix system", runtime.GOOS)
}

// removeEmptyDir is for writers.
func removeEmptyDir(string) {}
