package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/index"
	"countersign/bot/ledger"

	"github.com/google/go-cmp/cmp"
)

// A desk is a ledger and its read model.
type desk struct {
	*testing.T
	store ledger.Store
	l     *ledger.Ledger
	file  string
	n     int
}

func newDesk(t *testing.T, store ledger.Store) *desk {
	t.Helper()
	l, err := ledger.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	return &desk{T: t, store: store, l: l, file: filepath.Join(t.TempDir(), indexFile)}
}

var deskBob = access.Person{Email: "bob@example.com", Slack: "UBOB"}

// asked files a request under a configuration.
func (d *desk) asked(config string) string {
	d.Helper()
	d.n++
	id := "01KAQ0000000000000000000" + string(rune('A'+d.n/10)) + string(rune('A'+d.n%10))
	at := time.Date(2026, 11, 23, 9, d.n, 0, 0, time.UTC)
	target := access.Target{Provider: "gitops", With: map[string]any{"key": "a"}}
	_, err := d.l.File(d.Context(), id, "form:"+id, func(access.Request) ([]access.Event, error) {
		return []access.Event{{
			ID: "form:" + id, Request: id, At: at, By: deskBob, Config: config, Rules: 1,
			Body: access.Requested{Requestor: deskBob, Principal: deskBob, Resource: "admins", Target: target},
		}}, nil
	})
	if err != nil {
		d.Fatal(err)
	}
	return id
}

func (d *desk) denied(id string) {
	d.Helper()
	_, err := d.l.Update(d.Context(), id, func(r access.Request) ([]access.Event, error) {
		return []access.Event{{ID: "deny:" + id, Request: id, At: r.Last, By: deskBob, Config: "c0ffee", Rules: 1, Body: access.Denial{}}}, nil
	})
	if err != nil {
		d.Fatal(err)
	}
}

// open opens the read model.
func (d *desk) open() *index.Index {
	d.Helper()
	x, err := index.Open(d.Context(), d.file)
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { x.Close() })
	return x
}

func (d *desk) feed(x *index.Index) *feed {
	return newFeed(d.l, x, d.store, slog.New(slog.DiscardHandler))
}

// same fails where the read model says something else than the ledger.
func (d *desk) same(x *index.Index) {
	d.Helper()
	got, total, err := x.Find(d.Context(), access.Filter{}, "", 1000)
	if err != nil || total != len(got) {
		d.Fatalf("%d of %d, %v", len(got), total, err)
	}
	states := func(list []access.Request) []string {
		var out []string
		for _, r := range list {
			out = append(out, r.ID+" "+string(r.Status))
		}
		slices.Sort(out)
		return out
	}
	if diff := cmp.Diff(states(d.l.Requests()), states(got)); diff != "" {
		d.Errorf("the ledger and the read model: %s", diff)
	}
}

// TestFeedCatchesUp: from nothing, from where it ended, from a lost, damaged or
// foreign file, the read model comes to say what the ledger says.
func TestFeedCatchesUp(t *testing.T) {
	d := newDesk(t, &bottest.Store{})
	first := d.asked("c0ffee")
	x := d.open()
	if err := d.feed(x).catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.same(x)
	x.Close()

	d.denied(first) // while the bot's dashboard is off
	d.asked("beef")
	if _, err := d.l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	x = d.open()
	if err := d.feed(x).catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.same(x)
	if c, err := x.ConfigAt(t.Context(), time.Date(2026, 11, 23, 9, 2, 0, 0, time.UTC)); c != "beef" || err != nil {
		t.Errorf("configuration %q, %v", c, err)
	}
	x.Close()

	if err := os.Truncate(d.file, 5000); err != nil {
		t.Fatal(err)
	}
	x = d.open()
	if err := d.feed(x).catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.same(x)
	x.Close()

	other := newDesk(t, &bottest.Store{}) // another log: its head is not known here
	other.file = d.file
	other.asked("c0ffee")
	x = other.open()
	if err := other.feed(x).catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	other.same(x)
}

// TestFeedFollows: what changed is told once it can be read, and what could not
// be fed is fed later.
func TestFeedFollows(t *testing.T) {
	d := newDesk(t, &bottest.Store{})
	x := d.open()
	f := d.feed(x)
	told := make(chan string, 10)
	f.told = func(id string) {
		if _, there, err := x.Request(context.Background(), id); !there || err != nil {
			t.Errorf("told of %s before it can be read: %v", id, err)
		}
		told <- id
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { f.run(ctx); close(done) }()
	for range 3 {
		id := d.asked("c0ffee")
		f.changed(id)
		select {
		case got := <-told:
			if got != id {
				t.Errorf("told of %s, want %s", got, id)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("not told")
		}
	}
	d.same(x)
	stop()
	<-done

	late := d.asked("c0ffee")
	x.Close()
	f.changed(late)
	if f.follow(t.Context()) == nil {
		t.Error("a closed index takes a change")
	}
	if ids := f.take(); !slices.Equal(ids, []string{late}) {
		t.Errorf("%v is left to feed, want %s", ids, late)
	}
}
