package gitstore_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"countersign/gitstore"
)

// TestRepositoryGone: where the repository's disk has gone, nothing is made in
// its place, and when it is back the log goes on.
func TestRepositoryGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log.git")
	repo, err := gitstore.Init(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	log, err := gitstore.OpenLog(t.Context(), gitstore.LogConfig{Repo: repo, Branch: "audit", Identity: gitstore.Identity{Name: "b", Email: "b@x"}})
	if err != nil {
		t.Fatal(err)
	}
	away := dir + ".away"
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	batch := gitstore.Batch{Dir: "requests/a", Entries: []gitstore.Entry{{Path: "requests/a/0001-x.yaml", Data: []byte("x\n"), Message: "x"}}}
	if _, err := log.Append(t.Context(), batch); err == nil {
		t.Error("appended to a repository that is not there")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("something was made in its place: %v", err)
	}
	if err := os.Rename(away, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), batch); err != nil {
		t.Errorf("after it came back: %v", err)
	}
}
