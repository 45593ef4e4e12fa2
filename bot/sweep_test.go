package bot_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"
)

// kindsOf are the kinds of a request's events from one on.
func (w *world) kindsOf(id, from string) string {
	l, err := ledger.Open(context.Background(), w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	var kinds []string
	history, err := l.History(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, x := range history {
		if k := x.Event.Body.Kind(); k == from || len(kinds) > 0 {
			kinds = append(kinds, k)
		}
	}
	return strings.Join(kinds, " ")
}

// TestRemovedByHand: access that somebody took away at its provider is closed,
// and not given again, by a sweep or before an extension.
func TestRemovedByHand(t *testing.T) {
	for _, extend := range []bool{false, true} {
		for _, before := range []bool{false, true} {
			run(t, func(w *world) {
				if before {
					w.provider.Give(target, alice.Email)
				}
			}, func(w *world) {
				r := w.insist("form:1", alice, access.File{Resource: "admins"})
				w.insist("click:1", bob, access.Approve{Request: r.ID, For: 4 * time.Hour})
				time.Sleep(10 * time.Minute)
				w.provider.Take(target, alice.Email)
				if extend {
					w.insist("click:2", alice, access.Extend{Request: r.ID, By: time.Hour})
					w.insist("click:3", carol, access.ApproveExtension{Request: r.ID, Round: 1})
				}
				time.Sleep(time.Hour)
				got := w.read(r.ID)
				if got.Status != access.Revoked || !got.RemovedByHand() || !strings.Contains(got.End.Reason, "took it away") || got.End.Kept != "" {
					t.Fatalf("extend=%t, before=%t: it is %s: %+v", extend, before, got.Status, got.End)
				}
				if kinds := w.kindsOf(r.ID, "drift"); kinds != "drift revoke_intent revoked" {
					t.Errorf("recorded as %s", kinds)
				}
				time.Sleep(10 * time.Hour)
				if got := w.provider.Holders(target); len(got) != 0 {
					t.Errorf("the provider has %v: somebody's decision was undone", got)
				}
			})
		}
	}
}

// TestSeenAgain: access that is there again after its end is told, never undone
// by the bot alone, and taken away when an approver says so; also by a bot that has
// not seen it end.
func TestSeenAgain(t *testing.T) {
	for _, f := range []bottest.Fault{"", bottest.Fails, bottest.FailsAfter, bottest.Hangs} {
		run(t, func(w *world) { w.index = &bottest.Checkpoint{} }, func(w *world) {
			r := w.ask()
			time.Sleep(3 * time.Hour)
			w.insist("form:2", carol, access.File{Resource: "admins"}) // since when the first is of long ago
			synctest.Wait()
			w.kill()
			w.start()
			w.provider.Give(target, alice.Email)
			time.Sleep(2 * time.Hour)
			got := w.read(r.ID)
			if got.Status != access.Expired || !got.SeenAgain() || len(w.provider.Holders(target)) != 1 {
				t.Fatalf("it is %s, seen again %t", got.Status, got.SeenAgain())
			}
			owed := access.Owed(got, time.Now())
			for _, to := range []access.Person{{}, alice.Person, bob.Person} {
				if !slices.Contains(owed, access.Notice{Name: "drift-1", To: to}) {
					t.Errorf("%v is not told: %v", to, owed)
				}
			}
			if _, err := w.bot.Handle(context.Background(), access.Command{ID: "click:8", Actor: alice, Do: access.Revoke{Request: r.ID}}); err == nil {
				t.Error("its holder may revoke it")
			}
			w.provider.Inject("Revoke", f)
			w.insist("click:9", carol, access.Revoke{Request: r.ID})
			time.Sleep(2 * time.Minute)
			got = w.read(r.ID)
			if got.Status != access.Expired || got.SeenAgain() || got.Failure != nil || len(w.provider.Holders(target)) != 0 {
				t.Errorf("after %q it is %s, seen again %t, failing %v", f, got.Status, got.SeenAgain(), got.Failure)
			}
			time.Sleep(3 * time.Hour)
			if kinds := w.kindsOf(r.ID, "drift"); strings.ReplaceAll(kinds, " revoke_failed", "") != "drift refused revoke_intent drift" {
				t.Errorf("recorded as %s", kinds)
			}
		})
	}
}

// TestSeenAgainGoesAway: that it is gone by itself is recorded, and coming back
// is told anew.
func TestSeenAgainGoesAway(t *testing.T) {
	run(t, func(*world) {}, func(w *world) {
		r := w.ask()
		for n := range 2 {
			time.Sleep(90 * time.Minute)
			w.provider.Give(target, alice.Email)
			time.Sleep(90 * time.Minute)
			if got := w.read(r.ID); !got.SeenAgain() || got.Drifts != n+1 {
				t.Errorf("seen again %t, %d times", got.SeenAgain(), got.Drifts)
			}
			w.provider.Take(target, alice.Email)
			time.Sleep(90 * time.Minute)
			if got := w.read(r.ID); got.SeenAgain() {
				t.Error("it is gone, and the log says that it is there")
			}
		}
	})
}

// TestSweepFindsNothingWrong: what is ours, and what was there before, is no drift.
func TestSweepFindsNothingWrong(t *testing.T) {
	for _, before := range []bool{false, true} {
		for _, blind := range []bool{false, true} {
			run(t, func(w *world) {
				w.provider.Blind = blind
				w.every.Reconcile = time.Minute
				if before {
					w.provider.Give(target, alice.Email)
				}
			}, func(w *world) {
				first := w.file(1, "admins", 3*time.Hour)
				time.Sleep(5 * time.Hour)
				second := w.file(2, "admins", 3*time.Hour)
				time.Sleep(30 * time.Hour)
				for _, r := range []access.Request{first, second} {
					if got := w.read(r.ID); got.Status != access.Expired || got.Drift != nil {
						t.Errorf("before=%t, blind=%t: it is %s, drift %v", before, blind, got.Status, got.Drift)
					}
				}
			})
		}
	}
}

// TestStrangers: who has an access that the log knows nothing of is recorded and
// told once, also across restarts, and again when they come back.
func TestStrangers(t *testing.T) {
	run(t, func(w *world) {
		w.broken, w.index = bottest.Lister{Provider: w.provider}, &bottest.Checkpoint{}
		w.provider.Give(target, "zoe@example.com")
	}, func(w *world) {
		w.ask()
		said := func() string {
			w.told.mu.Lock()
			defer w.told.mu.Unlock()
			return strings.Join(w.told.said, "\n")
		}
		time.Sleep(3 * time.Hour)
		if n := strings.Count(said(), "zoe@example.com"); n != 1 || strings.Contains(said(), alice.Email) {
			t.Fatalf("told %d times: %s", n, said())
		}
		w.kill()
		w.start()
		time.Sleep(3 * time.Hour)
		if n := strings.Count(said(), "zoe@example.com"); n != 1 {
			t.Errorf("after a restart it was told %d times", n)
		}
		w.provider.Take(target, "zoe@example.com")
		time.Sleep(2 * time.Hour)
		w.provider.Give(target, "zoe@example.com")
		time.Sleep(2 * time.Hour)
		if n := strings.Count(said(), "zoe@example.com"); n != 2 {
			t.Errorf("after coming back it was told %d times", n)
		}
		var found []access.Finding
		for _, f := range w.store.Files() {
			if _, ok := ledger.SweepPath(f.Path); !ok {
				continue
			}
			x, message, err := ledger.ReadSweep(f)
			if err != nil || message != f.Message {
				t.Fatalf("%v, message %q, want %q", err, f.Message, message)
			}
			found = append(found, x)
		}
		if got := fmt.Sprint(len(found), found[0].Appeared, found[1].Gone, found[2].Appeared); got != "3 [zoe@example.com] [zoe@example.com] [zoe@example.com]" {
			t.Errorf("recorded: %s", got)
		}
		if got := w.provider.Holders(target); !slices.Equal(got, []string{"zoe@example.com"}) {
			t.Errorf("the provider has %v", got)
		}
	})
}

// TestStrangersOfAHigherLevel: who was given more at the same place is no stranger to
// what is less there.
func TestStrangersOfAHigherLevel(t *testing.T) {
	at := func(n int) access.Target { return access.Target{Provider: "fake", With: map[string]any{"n": n}} }
	run(t, func(w *world) {
		w.parse = several("fake")
		w.broken = bottest.Lister{Provider: w.provider, Higher: [][2]access.Target{{at(0), at(1)}}}
		w.provider.Give(at(1), "zoe@example.com")
	}, func(w *world) {
		if r := w.file(0, "fake-1", 4*time.Hour); r.Status.Ended() {
			t.Fatalf("it is %s", r.Status)
		}
		time.Sleep(3 * time.Hour)
		w.told.mu.Lock()
		defer w.told.mu.Unlock()
		said := strings.Join(w.told.said, "\n")
		if strings.Contains(said, alice.Email) || strings.Count(said, "zoe@example.com") != 2 {
			t.Errorf("at both levels Zoe is a stranger, and Alice at none: %s", said)
		}
	})
}

// TestSweepOfADeadProvider: it is left alone after a few errors, and a look that
// hangs delays an end by no more than it is given.
func TestSweepOfADeadProvider(t *testing.T) {
	run(t, func(w *world) { w.parse = several("fake") }, func(w *world) {
		var all []access.Request
		for i := range 20 {
			all = append(all, w.file(i, fmt.Sprintf("fake-%d", i), 2*time.Hour+5*time.Second))
		}
		time.Sleep(30 * time.Minute)
		looks := func() int { return orders(w.provider, "Has", "") }
		before := len(w.provider.Calls())
		w.provider.Inject("Has", bottest.Fails, bottest.Fails, bottest.Fails)
		time.Sleep(time.Hour)
		if n := len(w.provider.Calls()) - before; n != 3 {
			t.Errorf("a provider that fails was asked %d times, want 3", n)
		}
		good := looks()
		w.provider.Inject("Has", bottest.Hangs)
		time.Sleep(30*time.Minute + 30*time.Second)
		if n := looks() - good; n < 19 {
			t.Errorf("the next sweep looked %d times", n)
		}
		for _, r := range all {
			if got := w.read(r.ID); got.Status != access.Expired || got.End.At.After(got.Expires().Add(6*time.Second)) {
				t.Errorf("%s is %s, ended %v", r.Resource, got.Status, got.End)
			}
		}
	})
}
