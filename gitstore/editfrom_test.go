package gitstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

// TestEditFrom: a branch of one commit on another is made, and made anew when the
// other has moved, whatever stood in between; the other one stays as it is.
func TestEditFrom(t *testing.T) {
	kinds := map[string]func(*testing.T) (string, *gitstore.Repo){
		"local": func(t *testing.T) (string, *gitstore.Repo) {
			dir := gitstoretest.Upstream(t)
			return dir, openRepo(t, dir)
		},
		"http": func(t *testing.T) (string, *gitstore.Repo) { u := overHTTP(t); return u.dir, u.mirror(t, "") },
		"file": func(t *testing.T) (string, *gitstore.Repo) { u := overFile(t); return u.dir, u.mirror(t, "") },
	}
	for name, make := range kinds {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			dir, repo := make(t)
			work := gitstoretest.Clone(t, dir)
			people := func(file, text string) string {
				t.Helper()
				if err := os.WriteFile(filepath.Join(work, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				gitstoretest.Git(t, work, "add", "-A")
				gitstoretest.Git(t, work, "commit", "--quiet", "--message", "by hand")
				gitstoretest.Git(t, work, "push", "--quiet", "origin", "HEAD:main")
				return gitstoretest.Git(t, dir, "rev-parse", "main")
			}
			e := gitstore.Edit{Branch: "bot/grant", From: "main", Path: "list", Message: "grant access", Author: bot, Time: at}
			add := func(old []byte) ([]byte, error) { return append(old, "bot\n"...), nil }
			for i, text := range []string{"one\n", "one\ntwo\n"} {
				base := people("list", text)
				commit, err := repo.Edit(ctx, e, add)
				if err != nil {
					t.Fatalf("try %d: %v", i, err)
				}
				if got := gitstoretest.Git(t, dir, "rev-parse", "bot/grant", "bot/grant~1", "main"); got != commit+"\n"+base+"\n"+base {
					t.Errorf("try %d: the branch, what it builds on and main are\n%s\nwant %s on %s", i, got, commit, base)
				}
				if got := gitstoretest.Git(t, dir, "show", "bot/grant:list") + "\n"; got != text+"bot\n" {
					t.Errorf("try %d: the branch holds %q", i, got)
				}
			}
			before := gitstoretest.Git(t, dir, "for-each-ref")
			head, err := repo.Edit(ctx, e, func(old []byte) ([]byte, error) { return old, nil })
			if err != nil || head != gitstoretest.Git(t, dir, "rev-parse", "main") {
				t.Errorf("nothing to change: %s, %v, want the head of main", head, err)
			}
			for want, wrong := range map[error]gitstore.Edit{
				gitstore.ErrNotFound: {Branch: "bot/grant", From: "gone", Path: "list", Message: "x", Author: bot},
				gitstore.ErrInvalid:  {Branch: "main", From: "main", Path: "list", Message: "x", Author: bot},
			} {
				if _, err := repo.Edit(ctx, wrong, add); !errors.Is(err, want) {
					t.Errorf("%+v: %v, want %v", wrong, err, want)
				}
			}
			if d := cmp.Diff(before, gitstoretest.Git(t, dir, "for-each-ref")); d != "" {
				t.Errorf("refs have changed (-before +after)\n%s", d)
			}
			gitstoretest.Fsck(t, dir)
		})
	}
}
