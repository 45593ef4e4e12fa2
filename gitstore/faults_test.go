package gitstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

// TestRemoteFaults has one thing go wrong while an entry is appended: a push, a
// fetch or a local write; it fails, fails but is applied, or hangs; and then the
// log goes on or is opened anew. Whatever happened: who was told that the entry
// is written finds it, who was told that it is not does not, who was told that
// nobody knows finds out; and the log goes on. The real git judges what is there.
func TestRemoteFaults(t *testing.T) {
	t.Parallel()
	faults := []gitstoretest.Fault{gitstoretest.Fails, gitstoretest.FailsApplied, gitstoretest.Hangs, gitstoretest.HangsApplied}
	for _, restart := range []bool{false, true} {
		for _, f := range faults {
			for _, what := range []string{"push", "list for a push", "fetch"} {
				t.Run(fmt.Sprintf("%s %s, restart %t", what, f, restart), func(t *testing.T) {
					t.Parallel()
					faultyRemote(t, what, f, restart)
				})
			}
		}
		for _, step := range gitstore.Steps() {
			t.Run(fmt.Sprintf("%s fails, restart %t", step, restart), func(t *testing.T) {
				t.Parallel()
				faultyDisk(t, step, restart)
			})
		}
	}
}

// hangs is how long what hangs is waited for. What does not hang takes a fraction of
// it, on a busy machine too.
const hangs = 4 * time.Second

func faultyRemote(t *testing.T, what string, f gitstoretest.Fault, restart bool) {
	var left atomic.Int32 // how often it goes wrong
	u := overHTTP(t)
	u.config.Patience = hangs
	u.web.Set(func(w *gitstoretest.Web) {
		w.Fault = func(service string, act bool) gitstoretest.Fault {
			hit := what == "push" && service == "git-receive-pack" && act ||
				what == "list for a push" && service == "git-receive-pack" && !act ||
				what == "fetch" && service == "git-upload-pack"
			if hit && left.Add(-1) >= 0 {
				return f
			}
			return gitstoretest.Fine
		}
	})
	dir := filepath.Join(t.TempDir(), "mirror.git")
	repo := u.mirror(t, dir)
	gitstore.SetPushWait(repo, hangs)
	l := openLogIn(t, repo, nil)
	mustAppend(t, l, batch(1, 0, 1))
	if what == "fetch" { // there is something to fetch only if somebody else writes
		other, _ := u.log(t, nil)
		mustAppend(t, other, batch(5, 0, 1))
	}
	left.Store(1)
	told := appendWithin(l, hangs)
	left.Store(0)
	if restart {
		l = openLogIn(t, u.mirror(t, dir), nil)
	}
	judgeTold(t, u, l, told)
}

func faultyDisk(t *testing.T, step string, restart bool) {
	u := overFile(t)
	dir := filepath.Join(t.TempDir(), "mirror.git")
	repo := u.mirror(t, dir)
	l := openLogIn(t, repo, nil)
	mustAppend(t, l, batch(1, 0, 1))
	var broken atomic.Bool
	gitstore.SetFault(repo, func(s string) error {
		if broken.Load() && s == step {
			return errors.New("the disk is full")
		}
		return nil
	})
	broken.Store(true)
	told := appendWithin(l, time.Minute)
	broken.Store(false)
	if restart {
		l = openLogIn(t, u.mirror(t, dir), nil)
	}
	judgeTold(t, u, l, told)
}

// appendWithin appends request 2 with so much time, and returns what was told.
func appendWithin(l *gitstore.Log, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	_, err := l.Append(ctx, batch(2, 0, 1))
	return err
}

// judgeTold compares what the caller was told with what came to be.
func judgeTold(t *testing.T, u upstream, l *gitstore.Log, told error) {
	t.Helper()
	appendPersistently(t, l, 3) // goes on, whatever was
	written := false
	entries, _ := scan(t, l, "")
	for _, e := range entries {
		written = written || e.Path == batch(2, 0, 1).Entries[0].Path
	}
	switch {
	case told == nil && !written:
		t.Error("the entry was said to be written, and is not there")
	case told != nil && !errors.Is(told, gitstore.ErrUncertain) && written:
		t.Errorf("the entry is there although its caller was told: %v", told)
	}
	// Finding out is trying again: then it conflicts, or is written.
	_, err := l.Append(context.Background(), batch(2, 0, 1))
	if errors.Is(err, gitstore.ErrConflict) != written || !written && err != nil {
		t.Errorf("trying again: %v, and the entry was there: %t", err, written)
	}
	entries, _ = scan(t, l, "")
	gitstoretest.Judge(t, u.dir, gitstoretest.Log{Entries: entries})
}

// TestLostAnswer: a push that was applied and whose answer was lost counts, and
// its caller is told so.
func TestLostAnswer(t *testing.T) {
	u := overHTTP(t)
	l, _ := u.log(t, nil)
	var left atomic.Int32
	left.Store(1)
	u.web.Set(func(w *gitstoretest.Web) {
		w.Fault = func(service string, act bool) gitstoretest.Fault {
			if act && service == "git-receive-pack" && left.Add(-1) >= 0 {
				return gitstoretest.FailsApplied
			}
			return gitstoretest.Fine
		}
	})
	mustAppend(t, l, batch(1, 0, 1))
	entries, _ := scan(t, l, "")
	gitstoretest.Judge(t, u.dir, gitstoretest.Log{Entries: entries})
	if len(entries) != 1 {
		t.Errorf("there are %d entries, want 1", len(entries))
	}
}

// TestUnreachableAtStart: what was known is still known, nothing can be written,
// and the log goes on when the remote is back.
func TestUnreachableAtStart(t *testing.T) {
	u := overHTTP(t)
	dir := filepath.Join(t.TempDir(), "mirror.git")
	mustAppend(t, openLogIn(t, u.mirror(t, dir), nil), batch(1, 0, 2))
	var down atomic.Bool
	down.Store(true)
	u.web.Set(func(w *gitstoretest.Web) {
		w.Fault = func(string, bool) gitstoretest.Fault {
			if down.Load() {
				return gitstoretest.Fails
			}
			return gitstoretest.Fine
		}
	})
	l := openLogIn(t, u.mirror(t, dir), nil)
	if entries, _ := scan(t, l, ""); len(entries) != 2 || l.Stale() == nil {
		t.Errorf("%d entries, and stale is %v", len(entries), l.Stale())
	}
	if _, err := l.Append(context.Background(), batch(2, 0, 1)); err == nil || errors.Is(err, gitstore.ErrUncertain) {
		t.Errorf("append: %v, want an error and no doubt", err)
	}
	down.Store(false)
	mustAppend(t, l, batch(2, 0, 1))
}

// TestSparing: what may wait goes along with what may not, or when somebody waits
// for it, and costs no push of its own once the budget is spent.
func TestSparing(t *testing.T) {
	u := overHTTP(t)
	l, _ := u.log(t, nil)
	never := make(chan struct{})
	pushes := func() (n int) {
		for _, r := range u.web.Requests() {
			if r == "POST git-receive-pack" {
				n++
			}
		}
		return n
	}
	for n := range 6 { // the budget
		mustAppend(t, l, batch(n, 0, 1))
	}
	before := pushes()
	done := make(chan error, 2)
	patient := func(n int, wait chan struct{}) {
		b := batch(n, 0, 1)
		b.Wait = wait
		go func() { _, err := l.Append(context.Background(), b); done <- err }()
	}
	patient(10, never)
	patient(11, never)
	for gitstore.Waiting(l) < 2 {
		time.Sleep(time.Millisecond)
	}
	mustAppend(t, l, batch(12, 0, 1))
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := pushes() - before; n != 1 {
		t.Errorf("%d pushes for three batches, want 1", n)
	}
	hurry := make(chan struct{})
	patient(13, hurry)
	for gitstore.Waiting(l) < 1 {
		time.Sleep(time.Millisecond)
	}
	close(hurry)
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(8 * time.Second): // its patience is ten
		t.Error("a batch that somebody waits for still waits")
	}
}

// TestBuildsOn: a batch may build on one that still waits, and takes it along; where
// that one is not written, it is not either, whatever else stands in its place.
func TestBuildsOn(t *testing.T) {
	u := overHTTP(t)
	l, _ := u.log(t, nil)
	for n := range 6 { // the budget
		mustAppend(t, l, batch(10+n, 0, 1))
	}
	first := batch(1, 0, 1)
	first.Wait = make(chan struct{})
	begin := func(b gitstore.Batch) (written chan error, give func()) {
		ctx, cancel := context.WithCancel(context.Background())
		written = make(chan error, 1)
		waiting := gitstore.Waiting(l)
		go func() { _, err := l.Append(ctx, b); written <- err }()
		for gitstore.Waiting(l) == waiting {
			time.Sleep(time.Millisecond)
		}
		return written, cancel
	}
	before := len(u.web.Requests())
	written, _ := begin(first)
	second := batch(1, 1, 1)
	second.Last, second.First = &first.Entries[0], true
	mustAppend(t, l, second)
	if err := <-written; err != nil {
		t.Error(err)
	}
	if n := len(u.web.Requests()) - before; n != 2 { // what is there, and the push
		t.Errorf("%d requests for both, want those of one push", n)
	}

	gone := batch(2, 0, 1)
	gone.Wait = make(chan struct{})
	written, giveUp := begin(gone)
	giveUp()
	if err := <-written; !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up: %v", err)
	}
	orphan := batch(2, 1, 1)
	orphan.Last = &gone.Entries[0]
	for _, there := range []int{0, 1} { // nothing, then something else in its place
		if _, err := l.Append(t.Context(), orphan); !errors.Is(err, gitstore.ErrConflict) {
			t.Errorf("what builds on nothing, with %d others there: %v, want a conflict", there, err)
		}
		if there == 0 {
			other := batch(2, 0, 1)
			other.Entries[0].Data = []byte("somebody else's\n")
			mustAppend(t, l, other)
		}
	}
	entries, _ := scan(t, l, "")
	gitstoretest.Judge(t, u.dir, gitstoretest.Log{Entries: entries})
	if len(entries) != 9 {
		t.Errorf("%d entries, want 9", len(entries))
	}
}

// TestGather: what may wait does so for a second, also while the budget lasts; what
// somebody waits for does not.
func TestGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		came := time.Now()
		due := came.Add(10 * time.Second)
		for _, wait := range []time.Duration{time.Second, 600 * time.Millisecond, 200 * time.Millisecond, 0} {
			if got := gitstore.Pause(came, due); got != wait {
				t.Errorf("after %v it waits %v more, want %v", time.Since(came), got, wait)
			}
			if got := gitstore.Pause(came, time.Time{}); got != 0 {
				t.Errorf("what must not wait waits %v", got)
			}
			time.Sleep(400 * time.Millisecond)
		}
	})
}
