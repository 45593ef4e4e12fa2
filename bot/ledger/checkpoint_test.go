package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// resumed opens a ledger that forgets, as after a restart.
func resumed(t *testing.T, s ledger.Store, c ledger.Checkpoint) *ledger.Ledger {
	t.Helper()
	l, err := ledger.ResumeSmall(t.Context(), s, c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A past is a log that grows by a made-up history.
type past struct {
	*testing.T
	store  *bottest.Store
	events []access.Event
	filed  int
	first  string // the request that was filed first
}

func newPast(t *testing.T, seed uint64, requests int) *past {
	p := &past{T: t, store: &bottest.Store{}}
	for e := range bottest.Events(seed, requests, bottest.HistoryEnd) {
		if e.ID == "" {
			t.Fatal("an event without an id")
		}
		p.events = append(p.events, e)
	}
	return p
}

// record writes the next event by a ledger.
func (p *past) record(l *ledger.Ledger) {
	p.Helper()
	e := p.events[0]
	p.events = p.events[1:]
	_, err := l.Sync(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	if _, files := e.Body.(access.Requested); files {
		if p.filed++; p.first == "" {
			p.first = e.Request
		}
		_, err = l.File(p.Context(), e.Request, e.ID, just(e))
	} else {
		_, err = l.Update(p.Context(), e.Request, func(r access.Request) ([]access.Event, error) {
			if r.Seen(e.ID) {
				return nil, errors.New("it is there already")
			}
			return []access.Event{e}, nil
		})
	}
	if err != nil {
		p.Fatalf("%s of %s: %v", e.Body.Kind(), e.Request, err)
	}
}

// untilOpen writes and saves a good part of the past, up to a moment when
// something is open.
func (p *past) untilOpen(l *ledger.Ledger) {
	p.Helper()
	for n := 0; n < 150 || len(l.Open()) == 0; n++ {
		p.record(l)
		if n%10 == 0 {
			save(p.T, l)
		}
	}
}

// sameRequests compares in no order.
var sameRequests = gocmp.Options{
	gocmp.AllowUnexported(access.Request{}), cmpopts.EquateEmpty(),
	cmpopts.SortSlices(func(a, b access.Request) bool { return a.ID < b.ID }),
}

// agrees fails where a ledger answers otherwise than one that has all of the log
// in memory. Every look-up may bring requests into memory, and let others leave it.
func (p *past) agrees(l *ledger.Ledger, rng *rand.Rand) {
	p.Helper()
	if _, err := l.Sync(p.Context()); err != nil {
		p.Fatal(err)
	}
	all := open(p.T, p.store)
	requests := all.Requests()
	rng.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	before := len(p.store.Files())
	for _, want := range requests {
		got, _ := l.Request(want.ID)
		if d := gocmp.Diff(want, got, sameRequests); d != "" {
			p.Fatalf("request %s: %s", want.ID, d)
		}
		p.sameHistory(all, l, want.ID)
		for _, post := range want.Posts {
			if id, ok := l.ByPost(post.Channel, post.TS); !ok || id != want.ID {
				p.Fatalf("a message of %s leads to %q", want.ID, id)
			}
		}
		if g := want.Grant; g != nil {
			p.sameGranted(all, l, want.Target, g.Subject)
		}
	}
	// A delivery that comes again files nothing.
	for _, r := range requests[:min(5, len(requests))] {
		h, err := all.History(p.Context(), r.ID)
		if err != nil {
			p.Fatal(err)
		}
		again, err := l.File(p.Context(), "01KAQ0000000000000000000ZZ", h[0].Event.ID, just(h[0].Event))
		if err != nil || again.ID != r.ID {
			p.Fatalf("the delivery of %s came again: %s, %v", r.ID, again.ID, err)
		}
	}
	if n := len(p.store.Files()); n != before {
		p.Fatalf("%d files were written by looking", n-before)
	}
	for name, f := range map[string]func(*ledger.Ledger) []access.Request{
		"open": (*ledger.Ledger).Open, "unreviewed": (*ledger.Ledger).Unreviewed, "alarmed": (*ledger.Ledger).Alarmed, "of late": (*ledger.Ledger).Lately,
	} {
		if d := gocmp.Diff(f(all), f(l), sameRequests); d != "" {
			p.Fatalf("%s: %s", name, d)
		}
	}
	if d := gocmp.Diff(all.Allowances(), l.Allowances()); d != "" {
		p.Fatalf("pre-approvals: %s", d)
	}
	if all.Config() != l.Config() || all.Head() != l.Head() {
		p.Fatalf("config %q and head %q, want %q and %q", l.Config(), l.Head(), all.Config(), all.Head())
	}
	if _, ok := l.Request("01KAQ0000000000000000000ZZ"); ok {
		p.Fatal("there is a request that nobody filed")
	}
}

func (p *past) sameHistory(a, b *ledger.Ledger, id string) {
	p.Helper()
	want, err1 := a.History(p.Context(), id)
	got, err2 := b.History(p.Context(), id)
	if d := gocmp.Diff(want, got); d != "" || err1 != nil || err2 != nil {
		p.Fatalf("history of %s: %v, %v, %s", id, err1, err2, d)
	}
}

func (p *past) sameGranted(a, b *ledger.Ledger, t access.Target, subject string) {
	p.Helper()
	want, err1 := a.Granted(p.Context(), t, subject)
	got, err2 := b.Granted(p.Context(), t, subject)
	if d := gocmp.Diff(want, got, sameRequests); d != "" || err1 != nil || err2 != nil || len(want) == 0 {
		p.Fatalf("granted to %s: %v, %v, %s", subject, err1, err2, d)
	}
}

// allow adds a pre-approval by one ledger, or withdraws one by another.
func (p *past) allow(l, other *ledger.Ledger, n int) {
	p.Helper()
	id := fmt.Sprintf("01KAQ00000000000000000%04d", n)
	a := access.Allowance{By: bob, For: alice, Resource: "r", Target: target, At: t0, From: t0, To: t0.Add(time.Hour), Duration: time.Hour, Config: "c"}
	if _, err := l.Allow(p.Context(), id, "allow:"+id, func() (access.Allowance, error) { return a, nil }); err != nil {
		p.Fatal(err)
	}
	if n%2 == 0 {
		err := other.Withdraw(p.Context(), id, "withdraw:"+id, bob, "c", t0.Add(time.Minute), func(access.Allowance) error { return nil })
		if err != nil {
			p.Fatal(err)
		}
	}
}

// TestCheckpointAgrees: over random histories, with saves, restarts, damage and
// another writer at random moments, a ledger with a checkpoint answers as one
// that has everything in memory.
func TestCheckpointAgrees(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 9))
			p, c := newPast(t, seed, 40), &bottest.Checkpoint{}
			l, other := resumed(t, p.store, c), open(t, p.store)
			restarts, left := 0, 0
			for n := 0; len(p.events) > 0; n++ {
				switch what := rng.IntN(100); {
				case what < 25:
					p.record(other)
				default:
					p.record(l)
				}
				switch what := rng.IntN(100); {
				case what < 15:
					save(t, l)
				case what < 20:
					l, restarts = resumed(t, p.store, c), restarts+1
				case what < 22:
					p.allow(l, other, n)
				case what < 23:
					c.Interrupt(func(string) error { return ledger.ErrDamaged })
					_, _ = l.Request("01KAQ0000000000000000000ZZ") // finds out
					c.Interrupt(nil)
					save(t, l)
				case what < 24:
					p.agrees(l, rng)
				}
				left = max(left, p.filed-l.InMemory())
			}
			p.agrees(l, rng)
			p.agrees(resumed(t, p.store, c), rng)
			if restarts < 5 || left < 10 {
				t.Errorf("only %d restarts, and never more than %d requests had left memory", restarts, left)
			}
		})
	}
}

// save saves what there is to be saved, if anything.
func save(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	if err := l.SaveNow(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestCheckpointDoesNotFit: a checkpoint that is not of this log, or that lost
// something, is built anew, whatever it says.
func TestCheckpointDoesNotFit(t *testing.T) {
	openPlace := func(places map[string]ledger.Place) ledger.Place {
		for _, p := range places {
			if p.Open {
				return p
			}
		}
		t.Fatal("nothing is open")
		return ledger.Place{}
	}
	for name, spoil := range map[string]func(*past, *bottest.Checkpoint){
		"of another log": func(p *past, _ *bottest.Checkpoint) { p.store.Rewrite(0) },
		"of a history that is gone": func(p *past, _ *bottest.Checkpoint) {
			p.store.Rewrite(len(p.store.Files()) - 20)
			p.events = nil
		},
		"of a history that was written anew": func(p *past, _ *bottest.Checkpoint) { p.anew(3) },
		// The last file was saved before the ledger read it: the head is still there.
		"of a history whose last file was written anew": func(p *past, _ *bottest.Checkpoint) { p.anew(1) },
		"an open request is missing": func(p *past, c *bottest.Checkpoint) {
			c.Change(func(_ *ledger.Mark, places map[string]ledger.Place) { delete(places, openPlace(places).ID) })
		},
		"an open request passes for ended": func(p *past, c *bottest.Checkpoint) {
			c.Change(func(_ *ledger.Mark, places map[string]ledger.Place) {
				x := openPlace(places)
				x.Open, x.Last = false, x.Last.AddDate(-1, 0, 0)
				places[x.ID] = x
			})
		},
		"a place is elsewhere": func(p *past, c *bottest.Checkpoint) {
			c.Change(func(_ *ledger.Mark, places map[string]ledger.Place) {
				x := openPlace(places)
				x.Dir = "requests/2020/01/01/" + x.ID
				places[x.ID] = x
			})
		},
		"a place is another's": func(p *past, c *bottest.Checkpoint) {
			c.Change(func(_ *ledger.Mark, places map[string]ledger.Place) {
				x := openPlace(places)
				x.ID = "01KAQ0000000000000000000ZZ"
				places[x.ID] = x
			})
		},
		"more files than there are": func(p *past, c *bottest.Checkpoint) {
			c.Change(func(_ *ledger.Mark, places map[string]ledger.Place) {
				x := openPlace(places)
				x.Commits = append(x.Commits, x.Commits[0])
				places[x.ID] = x
			})
		},
		"a note of somebody else": func(_ *past, c *bottest.Checkpoint) {
			c.Change(func(m *ledger.Mark, _ map[string]ledger.Place) { m.Note = "hello" })
		},
		"damage": func(_ *past, c *bottest.Checkpoint) {
			c.Interrupt(func(method string) error {
				if method == "Load" {
					return errors.New("disk I/O error")
				}
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, c := newPast(t, 3, 30), &bottest.Checkpoint{}
			l := resumed(t, p.store, c)
			p.untilOpen(l)
			save(t, l)
			spoil(p, c)
			again := resumed(t, p.store, c)
			if again.Anew() == nil || c.Resets() != 1 {
				t.Errorf("reset %d times, because of %v", c.Resets(), again.Anew())
			}
			p.agrees(again, rand.New(rand.NewPCG(1, 2)))
			c.Interrupt(nil)
			after := resumed(t, p.store, c)
			if after.Anew() != nil {
				t.Errorf("it was not built anew for good: %v", after.Anew())
			}
			p.agrees(after, rand.New(rand.NewPCG(1, 2)))
		})
	}
}

// anew replaces the last commits of the log by others with the same files.
func (p *past) anew(n int) {
	p.Helper()
	files := p.store.Files()
	p.store.Rewrite(len(files) - n)
	for _, f := range files[len(files)-n:] {
		var have int
		if _, err := fmt.Sscanf(path.Base(f.Path), "%d-", &have); err != nil {
			p.Fatal(err)
		}
		if _, err := p.store.Append(p.Context(), ledger.Tail{Dir: path.Dir(f.Path), Have: have - 1}, []ledger.File{f}); err != nil {
			p.Fatal(err)
		}
	}
}

// TestCheckpointKeepsItself: where only the log cannot be read, the checkpoint is
// not thrown away.
func TestCheckpointKeepsItself(t *testing.T) {
	p, c := newPast(t, 3, 10), &bottest.Checkpoint{}
	l := resumed(t, p.store, c)
	for range 30 {
		p.record(l)
	}
	save(t, l)
	down := errors.New("no route to host")
	if _, err := ledger.Resume(t.Context(), unreadable{p.store, down}, c); !errors.Is(err, down) {
		t.Errorf("got %v, want the fault", err)
	}
	again := resumed(t, p.store, c)
	if again.Anew() != nil || c.Resets() != 0 {
		t.Errorf("it was built anew: %v", again.Anew())
	}
}

// unreadable is a log that cannot be reached.
type unreadable struct {
	ledger.Store
	err error
}

func (u unreadable) Scan(_ context.Context, after string, _ func(ledger.File) error) (string, error) {
	return after, u.err
}

// TestCheckpointCrash: of two lives, the first ends before or after each call of
// the checkpoint; the second has everything.
func TestCheckpointCrash(t *testing.T) {
	for n := range 40 {
		p, c := newPast(t, 5, 12), &bottest.Checkpoint{}
		calls, crashed := 0, errors.New("crashed")
		c.Interrupt(func(string) error {
			if calls++; calls > n {
				return crashed
			}
			return nil
		})
		l, err := ledger.ResumeSmall(t.Context(), p.store, c)
		for range 30 {
			if err != nil {
				break
			}
			p.record(open(t, p.store))
			if _, err = l.Sync(t.Context()); err == nil {
				err = l.SaveNow(t.Context())
			}
		}
		if n == 0 && !errors.Is(err, crashed) {
			t.Fatalf("got %v, want the crash", err)
		}
		c.Interrupt(nil)
		again := resumed(t, p.store, c)
		if again.Anew() != nil {
			t.Errorf("a crash is no reason to build it anew: %v", again.Anew())
		}
		p.agrees(again, rand.New(rand.NewPCG(1, 2)))
	}
}

// TestCheckpointFails: while the checkpoint cannot be asked, what is not in memory
// cannot be changed, and is not taken to be missing; what is can.
func TestCheckpointFails(t *testing.T) {
	p, c := newPast(t, 3, 30), &bottest.Checkpoint{}
	l := resumed(t, p.store, c)
	p.untilOpen(l)
	save(t, l)
	first := p.first
	if l.InMemory() > 20 {
		t.Fatalf("%d requests are in memory", l.InMemory())
	}
	full := errors.New("disk full")
	c.Interrupt(func(string) error { return full })
	if _, err := l.Update(t.Context(), first, say); !errors.Is(err, full) {
		t.Errorf("a request that ended: %v", err)
	}
	if _, err := l.File(t.Context(), id, "a delivery", just(kinds()[0])); !errors.Is(err, full) {
		t.Errorf("a filing that may have been before: %v", err)
	}
	if _, err := l.Granted(t.Context(), target, "alice-gh"); !errors.Is(err, full) {
		t.Errorf("what was granted: %v", err)
	}
	pending := l.Open()[0]
	e := event(500, bob, access.MessagePosted{TS: "500", Text: "hello"})
	e.Request, e.At = pending.ID, pending.Last
	if _, err := l.Update(t.Context(), pending.ID, just(e)); err != nil {
		t.Errorf("what is open: %v", err)
	}
	if err := l.SaveNow(t.Context()); !errors.Is(err, full) {
		t.Errorf("saved: %v", err)
	}
	c.Interrupt(nil)
	ids, err := l.Save(t.Context())
	if err != nil || len(ids) != 1 || ids[0] != pending.ID {
		t.Errorf("saved %v, %v", ids, err)
	}
	p.agrees(l, rand.New(rand.NewPCG(1, 2)))
}

// TestAlarmedStays: a request that ended while its alarm was not resolved is not
// forgotten before it is.
func TestAlarmedStays(t *testing.T) {
	p, c := newPast(t, 3, 30), &bottest.Checkpoint{}
	l := resumed(t, p.store, c)
	for range 20 {
		p.record(l)
	}
	first, _ := l.Request(p.first)
	if !first.Status.Ended() {
		t.Fatal("the first request has not ended")
	}
	note := func(n int, post access.Post) {
		t.Helper()
		e := access.Event{ID: fmt.Sprint("alarm:", n), Request: first.ID, At: first.Last, Rules: 1, Body: access.Notified{Post: post}}
		if _, err := l.Update(t.Context(), first.ID, just(e)); err != nil {
			t.Fatal(err)
		}
	}
	note(1, access.Alarm{Severity: "warning"}.Raised(first.ID, "ops").Post)
	for len(p.events) > 0 {
		p.record(l)
		save(t, l)
	}
	l = resumed(t, p.store, c)
	if got := l.Alarmed(); len(got) != 1 || got[0].ID != first.ID || l.Anew() != nil {
		t.Errorf("after a restart %v are alarmed (%v)", got, l.Anew())
	}
	note(2, access.Resolved(first.ID, "ops").Post)
	save(t, l)
	if l = resumed(t, p.store, c); len(l.Alarmed()) != 0 || l.Anew() != nil {
		t.Errorf("it is resolved: %v (%v)", l.Alarmed(), l.Anew())
	}
}
