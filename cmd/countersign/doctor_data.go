package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"countersign/bot/checkup"
)

// How much room the data dir and the repository should have.
const (
	roomy   = 1 << 30
	cramped = 64 << 20
)

// data examines the data dir and the disk.
func (d *examination) data(_ context.Context, s *checkup.Sheet) {
	const check = "data_dir"
	info, err := os.Stat(d.dataDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		parent := existing(d.dataDir)
		if !writable(parent) {
			s.Fault(check, "", "make it for the user of the bot: install -d -m 0700 -o USER "+d.dataDir, "%s is not there, and this user may not make it in %s", d.dataDir, parent)
			return
		}
		s.OK(check, "", "%s is not there yet; serve makes it", d.dataDir)
		d.room(s, parent)
		return
	case err != nil || !info.IsDir():
		s.Fault(check, "", "choose another --data-dir", "%s is no directory that can be used", d.dataDir)
		return
	case !writable(d.dataDir):
		s.Fault(check, "", "run doctor as the user of the bot, or give the directory to that user", "this user may not write to %s", d.dataDir)
		return
	}
	if info.Mode().Perm()&0o077 != 0 {
		s.Warn(check, "", "chmod 700 "+d.dataDir, "%s can be entered by others: keys lie there", d.dataDir)
	}
	if locked(filepath.Join(d.dataDir, lockFile)) {
		s.OK(check, "", "%s can be written to; a bot is running with it", d.dataDir)
	} else {
		s.OK(check, "", "%s can be written to; no bot is running with it", d.dataDir)
	}
	d.room(s, d.dataDir)
}

// existing is the nearest directory above that is there.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return dir
		}
		dir = up
	}
}

// room judges the disks of the data dir and of the log.
func (d *examination) room(s *checkup.Sheet, dataDir string) {
	places := []string{dataDir}
	if d.repository != nil && !elsewhere(d.repo) {
		places = append(places, d.repository.Path())
	}
	for _, p := range places {
		judgeRoom(s, p, free)
	}
}

// judgeRoom says when a disk is filling up.
func judgeRoom(s *checkup.Sheet, dir string, free func(string) (uint64, error)) {
	const check, mend = "disk", "make room: nothing can be decided when the disk is full"
	n, err := free(dir)
	switch {
	case err != nil:
		s.Warn(check, dir, "see df", "how much room is left cannot be told: %v", err)
	case n < cramped:
		s.Fault(check, dir, mend, "only %d MiB are free", n>>20)
	case n < roomy:
		s.Warn(check, dir, mend, "%d MiB are free", n>>20)
	default:
		s.OK(check, dir, "%d GiB are free", n>>30)
	}
}
