package gitstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

// bareWith makes a bare repository whose main holds the given files.
func bareWith(t *testing.T, files map[string]string) string {
	t.Helper()
	return gitstoretest.Clone(t, gitstoretest.WorkTree(t, files), "--bare")
}

func editOf(path string) gitstore.Edit {
	return gitstore.Edit{Branch: "main", Path: path, Message: "grant access", Author: bot, Time: at}
}

func to(text string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(text), nil }
}

func TestEdit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, path, old string }{
		{"at the top", "a.yaml", "old\n"},
		{"below", "x/y/b.yaml", "old b\n"},
		{"new at the top", "new.yaml", ""},
		{"new beside a directory", "x.yaml", ""},
		{"new in a directory", "x/new.yaml", ""},
		{"new directories", "n/e/w/d.yaml", ""},
		{"empty file", "empty", ""},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			dir := bareWith(t, map[string]string{"a.yaml": "old\n", "x/y/b.yaml": "old b\n", "x/z": "z\n", "x-1": "", "empty": ""})
			signer := newSigner(t)
			e := editOf(tt.path)
			e.Signer = signer
			commit, err := openRepo(t, dir).Edit(context.Background(), e, func(old []byte) ([]byte, error) {
				if isNew := strings.HasPrefix(tt.name, "new"); isNew != (old == nil) {
					t.Errorf("change was given %q, want nil: %v", old, isNew)
				}
				if string(old) != tt.old {
					t.Errorf("change was given %q, want %q", old, tt.old)
				}
				return append(old, "added\n"...), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			gitstoretest.Fsck(t, dir)
			if got := gitstoretest.Git(t, dir, "rev-parse", "main"); got != commit {
				t.Errorf("main is at %s, want %s", got, commit)
			}
			if got, want := gitstoretest.Git(t, dir, "show", "main:"+tt.path), tt.old+"added"; got != want {
				t.Errorf("the file holds %q, want %q", got, want)
			}
			if got := gitstoretest.Git(t, dir, "diff", "--name-only", "main~1", "main"); got != tt.path {
				t.Errorf("changed files: %q, want %q", got, tt.path)
			}
			info, err := openRepo(t, dir).Commit(context.Background(), commit)
			if err != nil || info.Signer != signer.Fingerprint() || !info.SignatureValid || info.Author != bot || !info.CommittedAt.Equal(at) {
				t.Errorf("commit %+v, %v", info, err)
			}
		})
	}
}

func TestEditUnchanged(t *testing.T) {
	dir := bareWith(t, map[string]string{"a": "text\n"})
	r := openRepo(t, dir)
	head := gitstoretest.Git(t, dir, "rev-parse", "main")
	for name, e := range map[string]gitstore.Edit{"same": editOf("a"), "nil for no file": editOf("b")} {
		got, err := r.Edit(context.Background(), e, func(old []byte) ([]byte, error) { return old, nil })
		if err != nil || got != head {
			t.Errorf("%s: %s, %v, want the head %s", name, got, err, head)
		}
	}
	// A file emptied by code that returns nil for no bytes is a change.
	got, err := r.Edit(context.Background(), editOf("a"), func([]byte) ([]byte, error) { return nil, nil })
	if err != nil || got == head {
		t.Errorf("emptied: %s, %v, want a commit", got, err)
	}
	// So is a new file without bytes.
	again, err := r.Edit(context.Background(), editOf("b"), to(""))
	if err != nil || again == got {
		t.Errorf("new empty file: %s, %v, want a commit", again, err)
	}
	errOwn := errors.New("no thanks")
	_, err = r.Edit(context.Background(), editOf("a"), func([]byte) ([]byte, error) { return nil, errOwn })
	if err != errOwn {
		t.Errorf("error %v, want that of change", err)
	}
}

func TestEditKeepsMode(t *testing.T) {
	work := gitstoretest.WorkTree(t, map[string]string{"run.sh": "#!/bin/sh\n"})
	gitstoretest.Git(t, work, "update-index", "--chmod=+x", "run.sh")
	gitstoretest.Git(t, work, "commit", "--quiet", "--message", "executable")
	dir := gitstoretest.Clone(t, work, "--bare")
	if _, err := openRepo(t, dir).Edit(context.Background(), editOf("run.sh"), to("#!/bin/bash\n")); err != nil {
		t.Fatal(err)
	}
	if got := gitstoretest.Git(t, dir, "ls-tree", "main", "run.sh"); !strings.HasPrefix(got, "100755 ") {
		t.Errorf("ls-tree: %s, want mode 100755", got)
	}
}

// TestEditContended has many writers that each add a line.
func TestEditContended(t *testing.T) {
	t.Parallel()
	dir := bareWith(t, map[string]string{"list": ""})
	var wg sync.WaitGroup
	for range 2 {
		r := openRepo(t, dir)
		for i := range 4 {
			wg.Go(func() {
				for j := range 5 {
					_, err := r.Edit(context.Background(), editOf("list"), func(old []byte) ([]byte, error) {
						return fmt.Appendf(old, "%d/%d\n", i, j), nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	if got := strings.Count(gitstoretest.Git(t, dir, "show", "main:list")+"\n", "\n"); got != 40 {
		t.Errorf("%d lines, want 40", got)
	}
	if got := gitstoretest.Git(t, dir, "rev-list", "--count", "main"); got != "41" {
		t.Errorf("%s commits, want 41", got)
	}
	gitstoretest.Fsck(t, dir)
}

// TestEditDecidesAgain has somebody else change the file between the reading
// and the writing.
func TestEditDecidesAgain(t *testing.T) {
	dir := bareWith(t, map[string]string{"a": "1\n"})
	r, other := openRepo(t, dir), openRepo(t, dir)
	var given []string
	_, err := r.Edit(context.Background(), editOf("a"), func(old []byte) ([]byte, error) {
		if given = append(given, string(old)); len(given) == 1 {
			if _, err := other.Edit(context.Background(), editOf("a"), to("2\n")); err != nil {
				t.Error(err)
			}
		}
		return append(old, "mine\n"...), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1\n", "2\n"}, given); diff != "" {
		t.Errorf("what change was given (-want +got):\n%s", diff)
	}
	if got := gitstoretest.Git(t, dir, "show", "main:a"); got != "2\nmine" {
		t.Errorf("the file holds %q", got)
	}
}

func TestEditRefused(t *testing.T) {
	ctx := context.Background()
	work := gitstoretest.WorkTree(t, map[string]string{"a": "1\n", "d/b": "2\n"})
	if err := os.Symlink("a", filepath.Join(work, "link")); err != nil {
		t.Fatal(err)
	}
	gitstoretest.Git(t, work, "add", "link")
	gitstoretest.Git(t, work, "commit", "--quiet", "--message", "link")
	gitstoretest.Git(t, work, "branch", "free")
	dir := gitstoretest.Clone(t, work, "--bare")
	with := func(change func(*gitstore.Edit)) gitstore.Edit {
		e := editOf("a")
		change(&e)
		return e
	}
	for _, tt := range []struct {
		name string
		dir  string
		edit gitstore.Edit
		want error
	}{
		{"a directory", dir, editOf("d"), gitstore.ErrInvalid},
		{"a link", dir, editOf("link"), gitstore.ErrInvalid},
		{"below a file", dir, editOf("a/b"), gitstore.ErrInvalid},
		{"below a link", dir, editOf("link/b"), gitstore.ErrInvalid},
		{"outside", dir, editOf("../a"), gitstore.ErrInvalid},
		{"git's own", dir, editOf(".git/config"), gitstore.ErrInvalid},
		{"no branch", dir, with(func(e *gitstore.Edit) { e.Branch = "nope" }), gitstore.ErrNotFound},
		{"branch outside", dir, with(func(e *gitstore.Edit) { e.Branch = "../../config" }), gitstore.ErrInvalid},
		{"branch of dots", dir, with(func(e *gitstore.Edit) { e.Branch = "a..b" }), gitstore.ErrInvalid},
		{"branch as lock", dir, with(func(e *gitstore.Edit) { e.Branch = "main.lock" }), gitstore.ErrInvalid},
		{"author", dir, with(func(e *gitstore.Edit) { e.Author.Name = "a\nb" }), gitstore.ErrInvalid},
		{"address", dir, with(func(e *gitstore.Edit) { e.Author.Email = "a> <b" }), gitstore.ErrInvalid},
		{"message", dir, with(func(e *gitstore.Edit) { e.Message = "" }), gitstore.ErrInvalid},
		{"checked out", work, editOf("a"), gitstore.ErrCheckedOut},
		{"clash", dir, with(func(e *gitstore.Edit) { e.Branch, e.Create = "free/below", true }), nil},
	} {
		before := gitstoretest.Git(t, tt.dir, "for-each-ref")
		_, err := openRepo(t, tt.dir).Edit(ctx, tt.edit, to("new\n"))
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
		if after := gitstoretest.Git(t, tt.dir, "for-each-ref"); after != before {
			t.Errorf("%s: refs changed:\n%s", tt.name, after)
		}
	}
	e := with(func(e *gitstore.Edit) { e.Branch = "free" })
	if _, err := openRepo(t, work).Edit(ctx, e, to("new\n")); err != nil {
		t.Errorf("a branch that is not checked out: %v", err)
	}
	if out := gitstoretest.Git(t, work, "status", "--short"); out != "" {
		t.Errorf("the work tree looks changed:\n%s", out)
	}
}

func TestCreate(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "new.git")
	r, err := gitstore.Init(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gitstore.Init(ctx, dir); !errors.Is(err, gitstore.ErrExists) {
		t.Errorf("Init again: %v, want ErrExists", err)
	}
	files := map[string][]byte{"b": []byte("b"), "a/x": []byte("x"), "a-b": []byte("-"), "a/y/z": nil, "a.b": []byte(".")}
	c := gitstore.Creation{Branch: "main", Files: files, Message: "begin", Author: bot, Time: at}
	commit, err := r.Create(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	gitstoretest.Fsck(t, dir)
	if got := gitstoretest.Git(t, dir, "rev-parse", "HEAD"); got != commit {
		t.Errorf("HEAD is at %s, want %s", got, commit)
	}
	for path, want := range files {
		got, err := r.ReadFile(ctx, commit, path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s holds %q, %v, want %q", path, got, err, want)
		}
	}
	gitstoretest.Git(t, dir, "pack-refs", "--all")
	if _, err := r.Create(ctx, c); !errors.Is(err, gitstore.ErrExists) {
		t.Errorf("Create again: %v, want ErrExists", err)
	}
	c.Branch = "main/below"
	if _, err := r.Create(ctx, c); !errors.Is(err, gitstore.ErrExists) {
		t.Errorf("Create below a branch: %v, want ErrExists", err)
	}
	c.Branch, c.Files = "other", map[string][]byte{"a": nil, "a/b": nil}
	if _, err := r.Create(ctx, c); !errors.Is(err, gitstore.ErrInvalid) {
		t.Errorf("a file that is a directory too: %v, want ErrInvalid", err)
	}
	e := editOf("deep/first")
	e.Branch, e.Create, e.Time = "reports/daily", true, time.Time{}
	if _, err := r.Edit(ctx, e, to("one\n")); err != nil {
		t.Errorf("Edit that creates: %v", err)
	}
	if got := gitstoretest.Git(t, dir, "ls-tree", "-r", "--name-only", "reports/daily"); got != "deep/first" {
		t.Errorf("the new branch holds %q", got)
	}
}
