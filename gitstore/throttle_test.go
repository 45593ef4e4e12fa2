package gitstore_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

// throttledLog is a log whose remote asks to be left alone for some seconds, once at
// a time.
func throttledLog(t *testing.T, seconds string, at func(service string, act bool) bool) (l *gitstore.Log, u upstream, next *atomic.Bool, held chan time.Duration) {
	u, next, held = overHTTP(t), new(atomic.Bool), make(chan time.Duration, 9)
	u.web.Set(func(w *gitstoretest.Web) { w.RetryAfter = seconds })
	u.web.Set(func(w *gitstoretest.Web) {
		w.Fault = func(service string, act bool) gitstoretest.Fault {
			if at(service, act) && next.Swap(false) {
				return gitstoretest.Throttles
			}
			return gitstoretest.Fine
		}
	})
	l, err := gitstore.OpenLog(context.Background(), gitstore.LogConfig{
		Repo: u.mirror(t, ""), Branch: "audit", Identity: bot, Held: func(d time.Duration) { held <- d },
	})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, batch(1, 0, 1))
	return l, u, next, held
}

func anyPush(service string, _ bool) bool { return service == "git-receive-pack" }

// TestThrottled: a remote that asks to be left alone is left alone, what waits is
// written then all the same, what comes First first, and none of it twice.
func TestThrottled(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(string, bool) bool{
		"when asked":  func(service string, act bool) bool { return anyPush(service, act) && !act },
		"when pushed": func(service string, act bool) bool { return anyPush(service, act) && act },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, u, next, held := throttledLog(t, "3", at)
			next.Store(true)
			done := make(chan error, 2)
			go func() { _, err := l.Append(context.Background(), batch(2, 0, 1)); done <- err }()
			wait := <-held
			over := time.Now().Add(wait)
			if wait > 3*time.Second {
				t.Errorf("it waits for %v, want what was asked for", wait)
			}
			asked := len(u.web.Requests())
			first := batch(3, 0, 1)
			first.First = true
			go func() { _, err := l.Append(context.Background(), first); done <- err }()
			for gitstore.Waiting(l) < 2 && time.Now().Before(over) {
				time.Sleep(time.Millisecond)
			}
			n := len(u.web.Requests()) - asked
			inTime := time.Now().Before(over) // else the machine was too slow to see anything
			if n > 0 && inTime {
				t.Errorf("asked %d times meanwhile", n)
			}
			for range 2 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			entries, _ := scan(t, l, "")
			gitstoretest.Judge(t, u.dir, gitstoretest.Log{Entries: entries})
			if len(entries) != 3 {
				t.Fatalf("%d entries, want 3", len(entries))
			}
			if inTime && entries[1].Path != first.Entries[0].Path {
				t.Errorf("%s came before what is First", entries[1].Path)
			}
		})
	}
}

// TestThrottledGivenUp: of what its caller gave up nothing comes to be. Only where it
// was sent before does nobody know.
func TestThrottledGivenUp(t *testing.T) {
	t.Parallel()
	for _, sent := range []bool{false, true} {
		l, u, next, held := throttledLog(t, "600", func(service string, act bool) bool { return anyPush(service, act) && act == sent })
		next.Store(true)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { _, err := l.Append(ctx, batch(2, 0, 1)); done <- err }()
		<-held
		for gitstore.Waiting(l) < 1 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || errors.Is(err, gitstore.ErrUncertain) != sent {
			t.Errorf("sent %t: %v, want that it was given up, and doubt only if it was sent", sent, err)
		}
		if n := gitstore.Waiting(l); n > 0 {
			t.Errorf("sent %t: %d batches still wait", sent, n)
		}
		other, _ := u.log(t, nil)
		mustAppend(t, other, batch(3, 0, 1))
		entries, _ := scan(t, other, "")
		gitstoretest.Judge(t, u.dir, gitstoretest.Log{Entries: entries})
		if len(entries) != 2 {
			t.Errorf("sent %t: %d entries, want 2", sent, len(entries))
		}
	}
}
