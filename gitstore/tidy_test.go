package gitstore_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

// TestTidy merges packs, under the eyes of a reader that had them open.
func TestTidy(t *testing.T) {
	t.Parallel()
	dir := gitstoretest.Upstream(t)
	signer := newSigner(t)
	repo := openRepo(t, dir)
	l, err := gitstore.OpenLog(context.Background(), gitstore.LogConfig{Repo: repo, Branch: "audit", Identity: bot, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	var reader *gitstore.Log
	for n := range 70 {
		mustAppend(t, l, batch(n, 0, 1))
		if n == 20 {
			reader = openLog(t, dir, nil)
		}
	}
	if got := gitstore.Packs(repo); got > 40 {
		t.Errorf("%d packs after 71 writes", got)
	}
	if _, err := reader.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	entries, _ := scan(t, reader, "")
	gitstoretest.Judge(t, dir, gitstoretest.Log{Entries: entries, Signer: signer, Email: bot.Email})
	if len(entries) != 70 {
		t.Errorf("%d entries, want 70", len(entries))
	}
}

// manyPacks makes a log of 40 packs, which nobody merged because git seemed
// to be packing, and returns their files.
func manyPacks(t *testing.T) (dir string, l *gitstore.Log, packs []string) {
	t.Helper()
	dir = gitstoretest.Upstream(t)
	l = openLog(t, dir, nil)
	pid := filepath.Join(dir, "gc.pid")
	if err := os.WriteFile(pid, []byte("1 localhost"), 0o644); err != nil {
		t.Fatal(err)
	}
	for n := range 39 {
		mustAppend(t, l, batch(n, 0, 1))
	}
	if packs = packFiles(t, dir); len(packs) != 40 {
		t.Fatalf("%d packs while git packs, want 40", len(packs))
	}
	if err := os.Remove(pid); err != nil {
		t.Fatal(err)
	}
	return dir, l, packs
}

func packFiles(t *testing.T, dir string) []string {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(dir, "objects/pack/pack-*.pack"))
	if err != nil {
		t.Fatal(err)
	}
	return packs
}

// TestTidySparesGit leaves alone what git has marked, and what holds deltas.
func TestTidySparesGit(t *testing.T) {
	t.Parallel()
	dir, _, packs := manyPacks(t)
	if err := os.WriteFile(strings.TrimSuffix(packs[7], ".pack")+".keep", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	var ids []string
	for i := range 2 {
		data := strings.Repeat("a line of text that repeats itself\n", 50+i)
		if err := os.WriteFile(text, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, gitstoretest.Git(t, dir, "hash-object", "-w", text))
	}
	delta, err := packObjects(dir, ids)
	if err != nil {
		t.Fatal(err)
	}
	gitstoretest.Git(t, dir, "prune-packed")
	for n := range 3 {
		mustAppend(t, openLog(t, dir, nil), batch(1000+n, 0, 1))
	}
	left := packFiles(t, dir)
	if len(left) > 10 || !slices.Contains(left, packs[7]) || !slices.Contains(left, delta) {
		t.Errorf("packs left: %v, want few, and %s and %s among them", left, packs[7], delta)
	}
	if got := len(gitstoretest.Git(t, dir, "cat-file", "blob", ids[1])); got != 51*35-1 {
		t.Errorf("the delta has %d bytes", got)
	}
	gitstoretest.Fsck(t, dir)
}

// TestTidyKeepsDamageVisible does not merge a pack whose bytes have changed:
// a new checksum would make them look sound.
func TestTidyKeepsDamageVisible(t *testing.T) {
	t.Parallel()
	dir, l, packs := manyPacks(t)
	if err := os.Chmod(packs[3], 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(packs[3], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], 30); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], 30); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(context.Background(), batch(1000, 0, 1)); err != nil {
		t.Fatal(err)
	}
	if left := packFiles(t, dir); !slices.Contains(left, packs[3]) {
		t.Error("the damaged pack was merged")
	}
	if _, err := gitstoretest.TryGit(dir, "fsck"); err == nil {
		t.Error("git no longer finds the damage")
	}
}
