package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree is every file below a directory, with its text.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		data, err := os.ReadFile(path)
		out[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSiteRefuses: whatever did not come from the command stays, wherever it lies.
func TestSiteRefuses(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	made := filepath.Join(t.TempDir(), "deep", "made")
	if code, _, said := tried(t.Context(), "site", "--repo", p.dir, "-o", made); code != exitOK {
		t.Fatal(said)
	}
	marker := tree(t, made)[siteMarker]
	for name, files := range map[string]map[string]string{
		"a stranger's":            {"precious.txt": "x"},
		"with a page of its own":  {"index.html": "x"},
		"a copy, and a file":      {siteMarker: marker, "index.html": "x", "CNAME": "example.com"},
		"a copy, and a file deep": {siteMarker: marker, "index.html": "x", "requests/notes.txt": "x"},
		"a copy in a repository":  {siteMarker: marker, "index.html": "x", ".git/HEAD": "ref: refs/heads/pages"},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		for f, text := range files {
			put(t, filepath.Join(dir, f), text)
		}
		code, _, said := tried(t.Context(), "site", "--repo", p.dir, "-o", dir)
		if code != exitFound || !strings.Contains(said, "else than a copy of the dashboard") {
			t.Errorf("%s: code %d, %s", name, code, said)
		}
		if diff := cmp.Diff(files, tree(t, dir)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestSiteReplaces: a former copy goes, with the pages that there are no more; a
// link to it stays a link.
func TestSiteReplaces(t *testing.T) {
	t.Parallel()
	p, home := newPast(t), t.TempDir()
	dir, link := filepath.Join(home, "out"), filepath.Join(home, "link")
	if err := os.Mkdir(dir, 0o755); err != nil { // empty
		t.Fatal(err)
	}
	if code, _, said := tried(t.Context(), "site", "--repo", p.dir, "-o", dir); code != exitOK {
		t.Fatal(said)
	}
	want := tree(t, dir)
	if want["requests/"+p.id+".html"] == "" {
		t.Fatal("no page of the request")
	}
	put(t, filepath.Join(dir, siteMarker), want[siteMarker]+"requests/gone.html\n")
	put(t, filepath.Join(dir, "requests", "gone.html"), "x")
	put(t, filepath.Join(dir, "index.html"), "x")
	if err := os.Symlink("out", link); err != nil {
		t.Fatal(err)
	}
	if code, _, said := tried(t.Context(), "site", "--repo", p.dir, "-o", link); code != exitOK {
		t.Fatal(said)
	}
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
	if to, err := os.Readlink(link); err != nil || to != "out" {
		t.Errorf("the link: %q, %v", to, err)
	}
	alone(t, home, "out", "link")
}

// alone fails where anything else is left in a directory.
func alone(t *testing.T, dir string, want ...string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		found := false
		for _, w := range want {
			found = found || d.Name() == w
		}
		if !found {
			t.Errorf("%s was left behind", d.Name())
		}
	}
}

// fading is a context that is cancelled when it has been looked at so many times.
type fading struct {
	context.Context
	cancel context.CancelFunc
	left   atomic.Int64
}

func fade(ctx context.Context, looks int64) *fading {
	f := &fading{}
	f.Context, f.cancel = context.WithCancel(ctx)
	f.left.Store(looks)
	return f
}

func (f *fading) look() {
	if f.left.Add(-1) == 0 {
		f.cancel()
	}
}

func (f *fading) Err() error            { f.look(); return f.Context.Err() }
func (f *fading) Done() <-chan struct{} { f.look(); return f.Context.Done() }

// TestSiteInterrupted: wherever a run is interrupted, the former copy is there as
// it was, and nothing of the new one.
func TestSiteInterrupted(t *testing.T) {
	t.Parallel()
	p, home := newPast(t), t.TempDir()
	dir := filepath.Join(home, "out")
	former := map[string]string{siteMarker: "index.html\n", "index.html": "as it was"}
	for name, text := range former {
		put(t, filepath.Join(dir, name), text)
	}
	interrupted := 0
	for looks := int64(1); ; looks += looks/3 + 1 {
		ctx := fade(t.Context(), looks)
		code, _, _ := tried(ctx, "site", "--repo", p.dir, "-o", dir)
		ctx.cancel()
		alone(t, home, "out")
		if code == exitOK {
			break
		}
		interrupted++
		if diff := cmp.Diff(former, tree(t, dir)); diff != "" {
			t.Fatalf("after %d looks: %s", looks, diff)
		}
	}
	if interrupted < 5 {
		t.Errorf("interrupted only %d times", interrupted)
	}
	if tree(t, dir)["index.html"] == "as it was" {
		t.Error("the last run wrote nothing")
	}
}
