package gitstore_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

// TestCutUnderReader: a file that is cut short while it is read, or a disk that
// fails, is an error. It would end the program otherwise, and with it all that
// is still to be revoked.
func TestCutUnderReader(t *testing.T) {
	t.Parallel()
	for _, ext := range []string{".pack", ".idx"} {
		dir := gitstoretest.Upstream(t)
		l := openLog(t, dir, nil)
		mustAppend(t, l, batch(1, 0, 3))
		gitstoretest.Git(t, dir, "gc", "--quiet")
		r := openRepo(t, dir)
		if _, err := r.Scan(context.Background(), "", l.Head(), func(gitstore.Entry) error { return nil }); err != nil {
			t.Fatal(err)
		}
		for _, pack := range packFiles(t, dir) {
			path := strings.TrimSuffix(pack, ".pack") + ext
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		}
		_, err := r.Scan(context.Background(), "", l.Head(), func(gitstore.Entry) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("%s: scanning a file that was cut short: %v", ext, err)
		}
	}
}
