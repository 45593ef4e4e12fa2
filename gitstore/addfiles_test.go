package gitstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

var twoFiles = map[string][]byte{
	"countersign.yaml":           []byte("version: 1\n"),
	".github/workflows/sign.yml": []byte("on: push\n"),
}

func addition(files map[string][]byte) gitstore.Creation {
	return gitstore.Creation{Branch: "main", Files: files, Message: "Begin", Author: gitstore.Identity{Name: "Ann", Email: "ann@example.com"}}
}

func addFiles(t *testing.T, dir string, files map[string][]byte) error {
	t.Helper()
	r, err := gitstore.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.AddFiles(context.Background(), addition(files))
	return err
}

// TestAddFiles: into each kind of repository; git finds nothing to complain about,
// nor anything to commit.
func TestAddFiles(t *testing.T) {
	t.Parallel()
	fresh := filepath.Join(t.TempDir(), "fresh")
	gitstoretest.Git(t, ".", "init", "-q", "-b", "main", fresh)
	staged := filepath.Join(t.TempDir(), "staged")
	gitstoretest.Git(t, ".", "init", "-q", "-b", "main", staged)
	write(t, staged, "mine.txt", "mine")
	gitstoretest.Git(t, staged, "add", "mine.txt")
	named, bareNamed := filepath.Join(t.TempDir(), "named"), filepath.Join(t.TempDir(), "named.git")
	gitstoretest.Git(t, ".", "init", "-q", "-b", "trunk", named)
	gitstoretest.Git(t, ".", "init", "-q", "-b", "trunk", "--bare", bareNamed)
	elsewhere := gitstoretest.WorkTree(t, map[string]string{"README.md": "hello"})
	gitstoretest.Git(t, elsewhere, "switch", "-q", "-c", "other")
	for name, c := range map[string]struct {
		dir, status, files string
	}{
		"bare":            {gitstoretest.Upstream(t), "", ".github/workflows/sign.yml\ncountersign.yaml"},
		"fresh":           {fresh, "", ".github/workflows/sign.yml\ncountersign.yaml"},
		"something mine":  {staged, "A  mine.txt", ".github/workflows/sign.yml\ncountersign.yaml"},
		"begun":           {gitstoretest.WorkTree(t, map[string]string{"README.md": "hello", ".github/x": "x"}), "", ".github/workflows/sign.yml\n.github/x\nREADME.md\ncountersign.yaml"},
		"named otherwise": {named, "", ".github/workflows/sign.yml\ncountersign.yaml"},
		"bare, otherwise": {bareNamed, "", ".github/workflows/sign.yml\ncountersign.yaml"},
		"other branch":    {elsewhere, "", ".github/workflows/sign.yml\nREADME.md\ncountersign.yaml"},
	} {
		if err := addFiles(t, c.dir, twoFiles); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := gitstoretest.Git(t, c.dir, "ls-tree", "-r", "--name-only", "main"); got != c.files {
			t.Errorf("%s: main has\n%s", name, got)
		}
		if got := gitstoretest.Git(t, c.dir, "fsck", "--strict", "--no-progress"); got != "" {
			t.Errorf("%s: fsck: %s", name, got)
		}
		if want := map[bool]string{true: "other", false: "main"}[c.dir == elsewhere]; gitstoretest.Git(t, c.dir, "symbolic-ref", "--short", "HEAD") != want {
			t.Errorf("%s: HEAD is not on %s", name, want)
		}
		if strings.HasPrefix(name, "bare") {
			continue
		}
		if got := gitstoretest.Git(t, c.dir, "status", "--porcelain"); got != c.status {
			t.Errorf("%s: status: %s", name, got)
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestAddFilesNeverOverwrites: whatever is in the way, committed, staged or lying
// about, stays, and the branch with it.
func TestAddFilesNeverOverwrites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(dir string)
		want error
	}{
		"committed":         {func(dir string) { commitFile(t, dir, "countersign.yaml") }, gitstore.ErrExists},
		"a directory":       {func(dir string) { commitFile(t, dir, "countersign.yaml/x") }, gitstore.ErrExists},
		"a file on the way": {func(dir string) { commitFile(t, dir, ".github/workflows") }, gitstore.ErrInvalid},
		"lying about":       {func(dir string) { write(t, dir, "countersign.yaml", "mine") }, gitstore.ErrExists},
		"staged": {func(dir string) {
			write(t, dir, "countersign.yaml", "mine")
			gitstoretest.Git(t, dir, "add", "-A")
			if err := os.Remove(filepath.Join(dir, "countersign.yaml")); err != nil {
				t.Fatal(err)
			}
		}, gitstore.ErrExists},
		"locked": {func(dir string) { write(t, dir, ".git/index.lock", "") }, gitstore.ErrLocked},
	} {
		dir := gitstoretest.WorkTree(t, map[string]string{"README.md": "hello"})
		c.do(dir)
		before := gitstoretest.Git(t, dir, "rev-parse", "main") + gitstoretest.Git(t, dir, "status", "--porcelain")
		if err := addFiles(t, dir, twoFiles); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if after := gitstoretest.Git(t, dir, "rev-parse", "main") + gitstoretest.Git(t, dir, "status", "--porcelain"); after != before {
			t.Errorf("%s: it was\n%s\nand is\n%s", name, before, after)
		}
	}
}

// TestAddFilesToBareNeverOverwrites: without a work tree only the commit says what is
// there.
func TestAddFilesToBareNeverOverwrites(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"countersign.yaml", "countersign.yaml/x", ".github/workflows/sign.yml"} {
		work := gitstoretest.WorkTree(t, nil)
		commitFile(t, work, name)
		bare := gitstoretest.Upstream(t)
		gitstoretest.Git(t, work, "push", "-q", bare, "main")
		if err := addFiles(t, bare, twoFiles); !errors.Is(err, gitstore.ErrExists) {
			t.Errorf("%s: got %v, want ErrExists", name, err)
		}
		if got, want := gitstoretest.Git(t, bare, "rev-parse", "main"), gitstoretest.Git(t, work, "rev-parse", "main"); got != want {
			t.Errorf("%s: main has moved", name)
		}
	}
}

func commitFile(t *testing.T, dir, name string) {
	t.Helper()
	write(t, dir, name, "mine")
	gitstoretest.Git(t, dir, "add", "-A")
	gitstoretest.Git(t, dir, "commit", "-q", "-m", "mine")
}
