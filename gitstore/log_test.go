package gitstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

var bot = gitstore.Identity{Name: "Countersign", Email: "countersign@example.com"}

// at is the time of the first entry in tests.
var at = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func openRepo(t testing.TB, dir string) *gitstore.Repo {
	t.Helper()
	r, err := gitstore.Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newSigner(t testing.TB) *gitstore.Signer {
	t.Helper()
	s, created, err := gitstore.LoadOrCreateSigner(filepath.Join(t.TempDir(), "key"))
	if err != nil || !created {
		t.Fatalf("LoadOrCreateSigner: created %v, %v", created, err)
	}
	return s
}

func openLog(t testing.TB, dir string, signer *gitstore.Signer) *gitstore.Log {
	t.Helper()
	l, err := gitstore.OpenLog(context.Background(), gitstore.LogConfig{
		Repo: openRepo(t, dir), Branch: "audit", Identity: bot, Signer: signer,
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// requestDir is the directory of the n-th request. There are 200 a day.
func requestDir(n int) string {
	day := at.AddDate(0, 0, n%1_000_000/200)
	return fmt.Sprintf("requests/%s/R%05d", day.Format("2006/01/02"), n)
}

// batch returns a batch of count entries for request n, which has some.
func batch(n, have, count int) gitstore.Batch {
	b := gitstore.Batch{Dir: requestDir(n), Have: have}
	for i := have; i < have+count; i++ {
		b.Entries = append(b.Entries, gitstore.Entry{
			Path:    fmt.Sprintf("%s/%04d-event.yaml", b.Dir, i+1),
			Data:    fmt.Appendf(nil, "version: 1\nrequest: %d\nevent: %d\n", n, i+1),
			Message: fmt.Sprintf("event %d of R%05d\n\nRequest-Id: R%05d\n", i+1, n, n),
			Time:    at.Add(time.Duration(n) * time.Second),
		})
	}
	return b
}

func mustAppend(t testing.TB, l *gitstore.Log, b gitstore.Batch) []string {
	t.Helper()
	commits, err := l.Append(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	return commits
}

func scan(t testing.TB, l *gitstore.Log, after string) (entries []gitstore.Entry, head string) {
	t.Helper()
	head, err := l.Scan(context.Background(), after, func(e gitstore.Entry) error {
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries, head
}

func TestAppendThenScan(t *testing.T) {
	dir := gitstoretest.Upstream(t)
	l := openLog(t, dir, newSigner(t))
	var want []gitstore.Entry
	for n := range 5 {
		for have := 0; have < 6; have += 2 {
			b := batch(n, have, 2)
			commits := mustAppend(t, l, b)
			for i, e := range b.Entries {
				e.Commit = commits[i]
				want = append(want, e)
			}
		}
	}
	got, head := scan(t, l, "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if last := want[len(want)-1].Commit; head != last || l.Head() != last {
		t.Errorf("head %s, Head() %s, want %s", head, l.Head(), last)
	}
	got, _ = scan(t, l, want[6].Commit)
	if diff := cmp.Diff(want[7:], got); diff != "" {
		t.Errorf("entries after the seventh (-want +got):\n%s", diff)
	}
	again, _ := scan(t, openLog(t, dir, nil), "")
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("entries after opening anew (-want +got):\n%s", diff)
	}
	gitstoretest.Git(t, dir, "fsck", "--strict")
}

func TestAppendConflict(t *testing.T) {
	l := openLog(t, gitstoretest.Upstream(t), nil)
	mustAppend(t, l, batch(1, 0, 2))
	taken := batch(1, 1, 1)
	taken.Have = 2
	late := batch(1, 2, 1)
	late.Have = 1
	for name, b := range map[string]gitstore.Batch{
		"nothing expected":  batch(1, 0, 1),
		"too few expected":  batch(1, 1, 1),
		"too many expected": batch(1, 3, 1),
		"no such directory": batch(2, 1, 1),
		"file exists":       taken,
		"new file, too few": late,
	} {
		head := l.Head()
		if _, err := l.Append(context.Background(), b); !errors.Is(err, gitstore.ErrConflict) {
			t.Errorf("%s: error %v, want ErrConflict", name, err)
		}
		if l.Head() != head {
			t.Errorf("%s: the head moved", name)
		}
	}
	mustAppend(t, l, batch(1, 2, 1))
}

// TestAppendForgetsTrees appends on many days: only the way to the newest
// entry stays in memory.
func TestAppendForgetsTrees(t *testing.T) {
	t.Parallel()
	l := openLog(t, gitstoretest.Upstream(t), nil)
	for day := range 20 {
		mustAppend(t, l, batch(200*day, 0, 1))
		mustAppend(t, l, batch(200*day, 1, 1))
	}
	if got := gitstore.TreesInMemory(l); got != 6 {
		t.Errorf("%d trees in memory, want 6: the top, requests, year, month, day, request", got)
	}
}
