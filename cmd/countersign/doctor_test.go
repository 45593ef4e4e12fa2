package main

import (
	"errors"
	"testing"

	"countersign/bot/checkup"
)

// TestDiskFilling: before the disk is full somebody is told.
func TestDiskFilling(t *testing.T) {
	for _, c := range []struct {
		free uint64
		err  error
		want checkup.Level
	}{
		{free: 5 << 30, want: checkup.OK},
		{free: 1 << 30, want: checkup.OK},
		{free: 1<<30 - 1, want: checkup.Warning},
		{free: 64 << 20, want: checkup.Warning},
		{free: 64<<20 - 1, want: checkup.Fault},
		{free: 0, want: checkup.Fault},
		{err: errors.New("no such device"), want: checkup.Warning},
	} {
		var s checkup.Sheet
		judgeRoom(&s, "/srv", func(string) (uint64, error) { return c.free, c.err })
		if got := s.Findings(); len(got) != 1 || got[0].Level != c.want {
			t.Errorf("%d bytes, %v: got %v, want %s", c.free, c.err, got, c.want)
		}
	}
}
