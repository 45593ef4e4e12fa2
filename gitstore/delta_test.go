package gitstore_test

import (
	"bytes"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/packfile"

	"countersign/gitstore"
)

// FuzzPatchDelta holds our reader of deltas against go-git's.
func FuzzPatchDelta(f *testing.F) {
	base := bytes.Repeat([]byte("all that was there before, "), 9)
	for _, delta := range [][]byte{
		{0xf3, 1, 5, 0x90, 5},                            // copy five bytes
		{0xf3, 1, 5, 5, 'h', 'e', 'l', 'l', 'o'},         // five fresh ones
		{0xf3, 1, 8, 0x91, 20, 5, 3, 'a', 'b', 'c'},      // both
		{0xf3, 1, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x90, 5}, // a size that is a lie
		{0xf3, 1, 5, 0x91, 0xff, 5},                      // beyond the end
		{0xf3, 1, 5, 0}, {0xf3, 1}, {},
	} {
		f.Add(base, delta)
	}
	f.Fuzz(func(t *testing.T, base, delta []byte) {
		got, err := gitstore.PatchDelta(base, delta)
		want, theirs := packfile.PatchDelta(base, delta)
		if err == nil && (theirs != nil || !bytes.Equal(got, want)) {
			t.Errorf("%x on %x is %x, want %x, %v", delta, base, got, want, theirs)
		}
		if err != nil && theirs == nil && len(want) > 0 {
			t.Errorf("%x on %x is refused (%v), and should be %x", delta, base, err, want)
		}
	})
}
