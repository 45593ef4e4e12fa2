//go:build !unix

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// canServe says why the bot cannot run here: gitstore writes on Unix systems only.
func canServe() error {
	return fmt.Errorf("the bot does not run on %s, where a log can be read and not written; run it on Linux, macOS or another Unix system", runtime.GOOS)
}

func writable(string) bool { return false }

func free(string) (uint64, error) { return 0, errors.ErrUnsupported }

func locked(string) bool { return false }

func lockWhole(*os.File) (unlock func(), err error) { return nil, errors.ErrUnsupported }
