package gitstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

func TestOpenRefused(t *testing.T) {
	work := gitstoretest.WorkTree(t, map[string]string{"a": "1"})
	gitstoretest.Git(t, work, "commit", "--quiet", "--allow-empty", "--message", "second")
	git := func(args ...string) string {
		dir := filepath.Join(t.TempDir(), "r.git")
		gitstoretest.Git(t, ".", append(args, dir)...)
		return dir
	}
	config := func(key, value string) string {
		dir := gitstoretest.Upstream(t)
		gitstoretest.Git(t, dir, "config", key, value)
		return dir
	}
	grafted := gitstoretest.Clone(t, work, "--bare")
	if err := os.MkdirAll(filepath.Join(grafted, "info"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(grafted, "info/grafts"), []byte(gitstoretest.Git(t, work, "rev-parse", "HEAD")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		dir  string
		want error
		says string
	}{
		"missing":   {filepath.Join(t.TempDir(), "none"), gitstore.ErrNotRepository, "none"},
		"empty":     {t.TempDir(), gitstore.ErrNotRepository, ""},
		"a file":    {file, gitstore.ErrNotRepository, ""},
		"SHA-256":   {git("init", "--quiet", "--bare", "--object-format=sha256"), gitstore.ErrUnsupported, "sha256"},
		"shallow":   {gitstoretest.Clone(t, work, "--bare", "--depth=1"), gitstore.ErrUnsupported, "shallow"},
		"grafted":   {grafted, gitstore.ErrUnsupported, "grafts"},
		"reftable":  {config("extensions.refStorage", "reftable"), gitstore.ErrUnsupported, "reftable"},
		"partial":   {config("extensions.partialClone", "origin"), gitstore.ErrUnsupported, "partialclone"},
		"from 2099": {config("core.repositoryFormatVersion", "7"), gitstore.ErrUnsupported, "version 7"},
	} {
		_, err := gitstore.Open(context.Background(), tt.dir)
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want %v that says %q", name, err, tt.want, tt.says)
		}
	}
}

func TestResolve(t *testing.T) {
	ctx := context.Background()
	work := gitstoretest.WorkTree(t, map[string]string{"a": "1"})
	first := gitstoretest.Git(t, work, "rev-parse", "HEAD")
	gitstoretest.Git(t, work, "branch", "audit")
	gitstoretest.Git(t, work, "commit", "--quiet", "--allow-empty", "--message", "second")
	gitstoretest.Git(t, work, "tag", "--annotate", "--message", "tag", "v1")
	second := gitstoretest.Git(t, work, "rev-parse", "HEAD")
	clone := gitstoretest.Clone(t, work)
	blob := gitstoretest.Git(t, work, "rev-parse", "HEAD:a")
	for _, packed := range []bool{false, true} {
		if packed {
			gitstoretest.Git(t, clone, "pack-refs", "--all")
		}
		r := openRepo(t, clone)
		for ref, want := range map[string]string{
			"main": second, "HEAD": second, "audit": first, "refs/heads/main": second,
			"refs/tags/v1": second, "refs/remotes/origin/audit": first, "refs/remotes/origin/HEAD": second,
			"origin/audit": first, "origin/main": second,
			first: first,
		} {
			got, err := r.Resolve(ctx, ref)
			if err != nil || got != want {
				t.Errorf("packed %v: %s is %s, %v, want %s", packed, ref, got, err, want)
			}
		}
		for _, ref := range []string{"nope", "origin/nope", "origin", "", "../HEAD", "refs/heads/audit", "refs/heads", "heads", blob, strings.Repeat("0", 40), "objects", "config"} {
			if got, err := r.Resolve(ctx, ref); !errors.Is(err, gitstore.ErrNotFound) {
				t.Errorf("packed %v: %q is %s, %v, want ErrNotFound", packed, ref, got, err)
			}
		}
	}
}

func TestReadFileAndList(t *testing.T) {
	ctx := context.Background()
	work := gitstoretest.WorkTree(t, map[string]string{"a": "1\n", "d/b": "2\n", "d/c/e": "3\n", "d.x": "4\n"})
	if err := os.Symlink("a", filepath.Join(work, "link")); err != nil {
		t.Fatal(err)
	}
	gitstoretest.Git(t, work, "add", "link")
	gitstoretest.Git(t, work, "commit", "--quiet", "--message", "link")
	r := openRepo(t, work)
	head, err := r.Resolve(ctx, "main")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"a": "1\n", "d/b": "2\n", "d/c/e": "3\n"} {
		if got, err := r.ReadFile(ctx, head, path); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v, want %q", path, got, err, want)
		}
	}
	for _, path := range []string{"nope", "d", "link", "a/b", "link/b", "d/c/nope"} {
		if _, err := r.ReadFile(ctx, head, path); !errors.Is(err, gitstore.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", path, err)
		}
	}
	for _, commit := range []string{"", "main", strings.Repeat("1", 40)} {
		if _, err := r.ReadFile(ctx, commit, "a"); !errors.Is(err, gitstore.ErrNotFound) {
			t.Errorf("commit %q: %v, want ErrNotFound", commit, err)
		}
	}
	for dir, want := range map[string][]string{"": {"a", "d.x", "d/", "link"}, "d": {"b", "c/"}} {
		got, err := r.List(ctx, head, dir)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("List(%q): %v (-want +got):\n%s", dir, err, diff)
		}
	}
	for _, dir := range []string{"a", "link", "nope"} {
		if _, err := r.List(ctx, head, dir); !errors.Is(err, gitstore.ErrNotFound) {
			t.Errorf("List(%q): %v, want ErrNotFound", dir, err)
		}
	}
}

// TestHistory walks a history with a merge and two roots.
func TestHistory(t *testing.T) {
	ctx := context.Background()
	work := gitstoretest.WorkTree(t, map[string]string{"a": "1"})
	git := func(args ...string) string { return gitstoretest.Git(t, work, args...) }
	commit := func(args ...string) string {
		git(args...)
		return git("rev-parse", "HEAD")
	}
	root := git("rev-parse", "HEAD")
	one := commit("commit", "--quiet", "--allow-empty", "--message", "one")
	git("checkout", "--quiet", "-b", "side", root)
	side := commit("commit", "--quiet", "--allow-empty", "--message", "side")
	git("checkout", "--quiet", "main")
	merge := commit("merge", "--quiet", "--no-edit", "side")
	git("checkout", "--quiet", "--orphan", "lone")
	lone := commit("commit", "--quiet", "--allow-empty", "--message", "lone")

	r := openRepo(t, work)
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{root, merge, true}, {side, merge, true}, {one, merge, true}, {merge, merge, true},
		{merge, one, false}, {one, side, false}, {lone, merge, false}, {root, lone, false},
	} {
		if got, err := r.IsAncestor(ctx, tt.a, tt.b); err != nil || got != tt.want {
			t.Errorf("IsAncestor(%s, %s) = %v, %v, want %v", tt.a, tt.b, got, err, tt.want)
		}
	}
	if _, err := r.IsAncestor(ctx, strings.Repeat("1", 40), merge); !errors.Is(err, gitstore.ErrNotFound) {
		t.Errorf("IsAncestor of an unknown commit: %v, want ErrNotFound", err)
	}
	wantRoots := []string{root, lone}
	slices.Sort(wantRoots)
	gotRoots, err := r.Roots(ctx)
	if diff := cmp.Diff(wantRoots, gotRoots); err != nil || diff != "" {
		t.Errorf("Roots: %v (-want +got):\n%s", err, diff)
	}
	var firsts, all []string
	for info, err := range r.FirstParents(ctx, merge) {
		if err != nil {
			t.Fatal(err)
		}
		firsts = append(firsts, info.ID)
	}
	if diff := cmp.Diff([]string{merge, one, root}, firsts); diff != "" {
		t.Errorf("first parents (-want +got):\n%s", diff)
	}
	for info, err := range r.Ancestors(ctx, merge) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, info.ID)
	}
	slices.Sort(all)
	want := []string{merge, one, side, root}
	slices.Sort(want)
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("ancestors (-want +got):\n%s", diff)
	}
}

// TestReplaceIsIgnored reads what the ids say, whatever refs/replace says.
func TestReplaceIsIgnored(t *testing.T) {
	ctx := context.Background()
	work := gitstoretest.WorkTree(t, map[string]string{"a": "true\n"})
	head := gitstoretest.Git(t, work, "rev-parse", "HEAD")
	if err := os.WriteFile(filepath.Join(work, "a"), []byte("false\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	gitstoretest.Git(t, work, "commit", "--quiet", "--all", "--message", "lie")
	gitstoretest.Git(t, work, "replace", head, "HEAD")
	got, err := openRepo(t, work).ReadFile(ctx, head, "a")
	if err != nil || string(got) != "true\n" {
		t.Errorf("the file holds %q, %v", got, err)
	}
}
