package gitstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

// TestManyWriters has several goroutines on several Logs of one repository, as
// several processes would be. Each writes requests of its own, and all write
// to one request, deciding again on every conflict.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	const logs, goroutines, each = 3, 4, 5
	dir := gitstoretest.Upstream(t)
	signer := newSigner(t)
	var wg sync.WaitGroup
	for i := range logs {
		l := openLog(t, dir, signer)
		for j := range goroutines {
			wg.Go(func() {
				for k := range each {
					n := 1 + (i*goroutines+j)*each + k
					if _, err := l.Append(context.Background(), batch(n, 0, 2)); err != nil {
						t.Errorf("request %d: %v", n, err)
					}
				}
				if err := appendShared(l); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	l := openLog(t, dir, signer)
	entries, _ := scan(t, l, "")
	if want := logs * goroutines * (each*2 + 1); len(entries) != want {
		t.Errorf("%d entries, want %d", len(entries), want)
	}
	gitstoretest.Judge(t, dir, gitstoretest.Log{Entries: entries, Signer: signer, Email: bot.Email})
}

// appendShared adds the next entry of request 0, whatever its number is.
func appendShared(l *gitstore.Log) error {
	for have := 0; ; {
		_, err := l.Append(context.Background(), batch(0, have, 1))
		if !errors.Is(err, gitstore.ErrConflict) {
			return err
		}
		if _, err := l.Sync(context.Background()); err != nil {
			return err
		}
		have = 0
		_, err = l.Scan(context.Background(), "", func(e gitstore.Entry) error {
			if strings.HasPrefix(e.Path, requestDir(0)+"/") {
				have++
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// TestConflictSparesOthers has two batches in one durable write, of which one
// comes too late.
func TestConflictSparesOthers(t *testing.T) {
	repo := openRepo(t, gitstoretest.Upstream(t))
	l, err := gitstore.OpenLog(context.Background(), gitstore.LogConfig{Repo: repo, Branch: "audit", Identity: bot})
	if err != nil {
		t.Fatal(err)
	}
	hangs, goOn, writes := make(chan bool, 9), make(chan bool), 0
	gitstore.SetFault(repo, func(step string) error {
		if step == "pack write" {
			writes++
			hangs <- true
			<-goOn
		}
		return nil
	})
	errs := make([]error, 4)
	var wg sync.WaitGroup
	start := func(i, n int) {
		wg.Go(func() { _, errs[i] = l.Append(context.Background(), batch(n, 0, 1)) })
	}
	start(0, 1)
	<-hangs
	start(1, 2)
	start(2, 3)
	start(3, 1)
	for gitstore.Waiting(l) < 3 {
		time.Sleep(time.Millisecond)
	}
	close(goOn)
	wg.Wait()
	for i, err := range errs {
		if conflict := errors.Is(err, gitstore.ErrConflict); conflict != (i == 3) || i != 3 && err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if writes != 2 {
		t.Errorf("%d durable writes, want 2", writes)
	}
}

// TestOtherProgramMoves has git itself add commits to the branch.
func TestOtherProgramMoves(t *testing.T) {
	dir := gitstoretest.Upstream(t)
	ours := openLog(t, dir, nil)
	mustAppend(t, ours, batch(1, 0, 1))

	clone := gitstoretest.Clone(t, dir, "--bare")
	theirs := openLog(t, clone, nil)
	mustAppend(t, theirs, batch(1, 1, 1))
	mustAppend(t, theirs, batch(2, 0, 1))
	gitstoretest.Git(t, clone, "push", "--quiet", "file://"+dir, "audit")

	if _, err := ours.Append(context.Background(), batch(1, 1, 1)); !errors.Is(err, gitstore.ErrConflict) {
		t.Errorf("append on top of what was pushed: %v, want ErrConflict", err)
	}
	head, err := ours.Sync(context.Background())
	if err != nil || head != theirs.Head() {
		t.Fatalf("Sync: %s, %v, want %s", head, err, theirs.Head())
	}
	mustAppend(t, ours, batch(1, 2, 1))
	entries, _ := scan(t, ours, "")
	gitstoretest.Judge(t, dir, gitstoretest.Log{Entries: entries})
	if len(entries) != 4 {
		t.Errorf("%d entries, want 4", len(entries))
	}
}

// TestMovedUnderTheLock has git move the branch at the last moment: after our
// objects are written, before its lock is ours.
func TestMovedUnderTheLock(t *testing.T) {
	ctx := context.Background()
	dir := gitstoretest.Upstream(t)
	mustAppend(t, openLog(t, dir, nil), batch(1, 0, 1))
	clone := gitstoretest.Clone(t, dir, "--bare")
	mustAppend(t, openLog(t, clone, nil), batch(2, 0, 1))
	repo := openRepo(t, dir)
	l, err := gitstore.OpenLog(ctx, gitstore.LogConfig{Repo: repo, Branch: "audit", Identity: bot})
	if err != nil {
		t.Fatal(err)
	}
	pushed := false
	gitstore.SetFault(repo, func(step string) error {
		if step != "ref lock" || pushed {
			return nil
		}
		pushed = true
		_, err := gitstoretest.TryGit(clone, "push", "--quiet", "file://"+dir, "audit")
		return err
	})
	mustAppend(t, l, batch(3, 0, 1))
	entries, _ := scan(t, l, "")
	if len(entries) != 3 {
		t.Errorf("%d entries, want 3", len(entries))
	}
	gitstoretest.Judge(t, dir, gitstoretest.Log{Entries: entries})
}

func TestRewritten(t *testing.T) {
	ctx := context.Background()
	dir := gitstoretest.Upstream(t)
	l := openLog(t, dir, nil)
	mustAppend(t, l, batch(1, 0, 3))
	lost := l.Head()
	gitstoretest.Git(t, dir, "update-ref", "refs/heads/audit", "audit~1")
	if _, err := l.Sync(ctx); !errors.Is(err, gitstore.ErrRewritten) {
		t.Errorf("Sync: %v, want ErrRewritten", err)
	}
	for range 2 {
		if _, err := l.Append(ctx, batch(2, 0, 1)); !errors.Is(err, gitstore.ErrRewritten) {
			t.Errorf("Append: %v, want ErrRewritten", err)
		}
	}
	if got := gitstoretest.Git(t, dir, "rev-list", "--count", "audit"); got != "3" {
		t.Errorf("%s commits, want the 3 that were left", got)
	}
	anew := openLog(t, dir, nil)
	_, err := anew.Scan(ctx, lost, func(gitstore.Entry) error { return nil })
	if !errors.Is(err, gitstore.ErrRewritten) {
		t.Errorf("Scan from a lost commit: %v, want ErrRewritten", err)
	}
}

// TestRewrittenAfterSync rewrites what only Sync has seen, not the writer.
func TestRewrittenAfterSync(t *testing.T) {
	ctx := context.Background()
	dir := gitstoretest.Upstream(t)
	ours, theirs := openLog(t, dir, nil), openLog(t, dir, nil)
	mustAppend(t, ours, batch(1, 0, 1))
	mustAppend(t, theirs, batch(2, 0, 1))
	if _, err := ours.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	gitstoretest.Git(t, dir, "update-ref", "refs/heads/audit", "audit~1")
	if _, err := ours.Append(ctx, batch(3, 0, 1)); !errors.Is(err, gitstore.ErrRewritten) {
		t.Errorf("Append: %v, want ErrRewritten", err)
	}
}

func TestBranchMissing(t *testing.T) {
	ctx := context.Background()
	dir := gitstoretest.Upstream(t)
	marker := filepath.Join(t.TempDir(), "data", "audit-seen")
	cfg := gitstore.LogConfig{Repo: openRepo(t, dir), Branch: "audit", Identity: bot, Marker: marker}
	l, err := gitstore.OpenLog(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(marker); err != nil {
		t.Errorf("no marker: %v", err)
	}
	gitstoretest.Git(t, dir, "update-ref", "-d", "refs/heads/audit")
	if _, err := l.Append(ctx, batch(1, 0, 1)); !errors.Is(err, gitstore.ErrBranchMissing) {
		t.Errorf("Append: %v, want ErrBranchMissing", err)
	}
	if _, err := l.Sync(ctx); !errors.Is(err, gitstore.ErrBranchMissing) {
		t.Errorf("Sync: %v, want ErrBranchMissing", err)
	}
	if _, err := gitstore.OpenLog(ctx, cfg); !errors.Is(err, gitstore.ErrBranchMissing) {
		t.Errorf("OpenLog: %v, want ErrBranchMissing", err)
	}
	if out := gitstoretest.Git(t, dir, "for-each-ref"); out != "" {
		t.Errorf("there are refs again: %s", out)
	}
}

func TestHostileBatches(t *testing.T) {
	l := openLog(t, gitstoretest.Upstream(t), nil)
	head := l.Head()
	ok := "requests/2026/x"
	for _, path := range []string{
		"", "/", "/requests/a", "requests/../a", "requests/./a", "requests//a", "requests/a/", "../requests/a",
		"requests/.git/a", "requests/.GIT/a", "requests/.git./a", "requests/git~1/a", "requests/.g\u200cit/a",
		"requests/a\x00b", "requests/a\nb", "requests/a\x7f", "requests/a\\b", "requests/a:b", "requests/\xff",
		"requests/a b", "requests/ä", "requests/..", "requests", "elsewhere/a", ".github/a", "FORMAT",
		"requests/" + strings.Repeat("a", 256), strings.Repeat("requests/", 500) + "a",
	} {
		b := gitstore.Batch{Dir: filepath.Dir(path), Entries: []gitstore.Entry{{Path: path, Message: "m"}}}
		if _, err := l.Append(context.Background(), b); !errors.Is(err, gitstore.ErrInvalid) {
			t.Errorf("path %q: %v, want ErrInvalid", path, err)
		}
	}
	e := func(path, message string) gitstore.Entry { return gitstore.Entry{Path: path, Message: message} }
	for name, b := range map[string]gitstore.Batch{
		"no entries":      {Dir: ok},
		"other directory": {Dir: ok, Entries: []gitstore.Entry{e("requests/2026/y/a", "m")}},
		"below":           {Dir: ok, Entries: []gitstore.Entry{e(ok+"/y/a", "m")}},
		"twice":           {Dir: ok, Entries: []gitstore.Entry{e(ok+"/a", "m"), e(ok+"/a", "m")}},
		"no message":      {Dir: ok, Entries: []gitstore.Entry{e(ok+"/a", " \n")}},
		"NUL in message":  {Dir: ok, Entries: []gitstore.Entry{e(ok+"/a", "a\x00b")}},
		"negative":        {Dir: ok, Have: -1, Entries: []gitstore.Entry{e(ok+"/a", "m")}},
		"before 1970":     {Dir: ok, Entries: []gitstore.Entry{{Path: ok + "/a", Message: "m", Time: time.Unix(-1, 0)}}},
	} {
		if _, err := l.Append(context.Background(), b); !errors.Is(err, gitstore.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	mustAppend(t, l, gitstore.Batch{Dir: ok, Entries: []gitstore.Entry{e(ok+"/a", "m")}})
	below := gitstore.Batch{Dir: ok + "/a", Entries: []gitstore.Entry{e(ok+"/a/b", "m")}}
	if _, err := l.Append(context.Background(), below); !errors.Is(err, gitstore.ErrInvalid) {
		t.Errorf("a file as directory: %v, want ErrInvalid", err)
	}
	if entries, _ := scan(t, l, head); len(entries) != 1 {
		t.Errorf("%d entries, want 1", len(entries))
	}
}

// TestStaleLocks has lock files in the way: a dead writer's goes, git's stays.
func TestStaleLocks(t *testing.T) {
	ctx := context.Background()
	dir := gitstoretest.Upstream(t)
	l := openLog(t, dir, nil)
	lock := filepath.Join(dir, "refs/heads/audit.lock")
	temp := filepath.Join(dir, "countersign/ref-123")
	if err := os.WriteFile(temp, []byte(l.Head()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(temp, lock); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, batch(1, 0, 1))

	// A temporary ref beside it does not make git's lock ours.
	for _, file := range []string{lock, temp} {
		if err := os.WriteFile(file, []byte(l.Head()+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error)
	go func() {
		_, err := l.Append(ctx, batch(1, 1, 1))
		done <- err
	}()
	select {
	case err := <-done:
		t.Errorf("Append passed git's lock: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Append after git was done: %v", err)
	}
}

// TestClones reads and writes a log in all the forms in which git keeps one.
func TestClones(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	origin := gitstoretest.Upstream(t)
	if _, err := openRepo(t, origin).Create(ctx, gitstore.Creation{
		Branch: "main", Files: map[string][]byte{"README.md": []byte("hello\n")}, Message: "begin", Author: bot,
	}); err != nil {
		t.Fatal(err)
	}
	signer := newSigner(t)
	l := openLog(t, origin, signer)
	for n := range 40 {
		mustAppend(t, l, batch(n, 0, 3))
	}
	want, _ := scan(t, l, "")
	for name, clone := range map[string]func(t *testing.T) string{
		"bare":     func(t *testing.T) string { return gitstoretest.Clone(t, origin, "--bare") },
		"ordinary": func(t *testing.T) string { return gitstoretest.Clone(t, origin) },
		"mirror":   func(t *testing.T) string { return gitstoretest.Clone(t, origin, "--mirror") },
		"shared":   func(t *testing.T) string { return gitstoretest.Clone(t, origin, "--bare", "--shared") },
		"packed refs": func(t *testing.T) string {
			dir := gitstoretest.Clone(t, origin, "--bare")
			gitstoretest.Git(t, dir, "pack-refs", "--all", "--prune")
			return dir
		},
		"after gc": func(t *testing.T) string {
			dir := gitstoretest.Clone(t, origin, "--bare")
			gitstoretest.Git(t, dir, "gc", "--quiet", "--aggressive", "--prune=now")
			return dir
		},
		"loose": func(t *testing.T) string {
			dir := gitstoretest.Clone(t, origin, "--bare")
			(&logSite{dir: dir}).unpack(t)
			return dir
		},
		"linked work tree": func(t *testing.T) string {
			dir := gitstoretest.Clone(t, origin)
			tree := filepath.Join(t.TempDir(), "linked")
			gitstoretest.Git(t, dir, "worktree", "add", "--quiet", "-b", "other", tree)
			return tree
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			dir := clone(t)
			l := openLog(t, dir, signer)
			got, _ := scan(t, l, "")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("entries (-want +got):\n%s", diff)
			}
			mustAppend(t, l, batch(3, 3, 2))
			mustAppend(t, l, batch(99, 0, 1))
			got, _ = scan(t, l, "")
			gitstoretest.Judge(t, dir, gitstoretest.Log{Entries: got, Signer: signer, Email: bot.Email})
		})
	}
}

// TestGitWorksMeanwhile repacks and packs refs while entries are written.
func TestGitWorksMeanwhile(t *testing.T) {
	t.Parallel()
	dir := gitstoretest.Upstream(t)
	l := openLog(t, dir, nil)
	done := make(chan error)
	go func() {
		for n := range 60 {
			for have := range 2 {
				if _, err := l.Append(context.Background(), batch(n, have, 1)); err != nil {
					done <- fmt.Errorf("request %d: %w", n, err)
					return
				}
			}
		}
		done <- nil
	}()
	for working := true; working; {
		gitstoretest.Git(t, dir, "gc", "--quiet")
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			working = false
		default:
		}
	}
	entries, _ := scan(t, l, "")
	if len(entries) != 120 {
		t.Errorf("%d entries, want 120", len(entries))
	}
	gitstoretest.Judge(t, dir, gitstoretest.Log{Entries: entries})
}

// TestGitTakesThePack has git take away a pack that no ref leads to yet, as git gc
// does, and does again where it meets the name: it is written until it stays.
func TestGitTakesThePack(t *testing.T) {
	dir := gitstoretest.Upstream(t)
	repo := openRepo(t, dir)
	l := openLogIn(t, repo, nil)
	before, taken := packFiles(t, dir), 0
	gitstore.SetFault(repo, func(step string) error {
		if step != "pack directory sync" || taken == 5 {
			return nil
		}
		taken++
		for _, pack := range packFiles(t, dir) {
			if !slices.Contains(before, pack) {
				_ = os.Remove(strings.TrimSuffix(pack, ".pack") + ".idx")
				_ = os.Remove(pack)
			}
		}
		return nil
	})
	mustAppend(t, l, batch(1, 0, 2))
	entries, _ := scan(t, l, "")
	gitstoretest.Judge(t, dir, gitstoretest.Log{Entries: entries})
	if len(entries) != 2 || taken != 5 {
		t.Errorf("%d entries, want 2; the pack was taken %d times, want 5", len(entries), taken)
	}
}

// TestReadersMeanwhile has many readers of one Repo while another Repo writes
// and merges packs under them.
func TestReadersMeanwhile(t *testing.T) {
	t.Parallel()
	dir := gitstoretest.Upstream(t)
	l := openLog(t, dir, nil)
	reader := openLog(t, dir, nil)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !stop.Load() {
				if _, err := reader.Sync(context.Background()); err != nil {
					t.Error(err)
					return
				}
				if _, err := reader.Scan(context.Background(), "", func(gitstore.Entry) error { return nil }); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for n := range 50 { // packs are merged from 32 on
		mustAppend(t, l, batch(n, 0, 1))
	}
	stop.Store(true)
	wg.Wait()
}
