package main

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/index"
	"countersign/bot/ledger"
	"countersign/gitstore"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A desk is a ledger and its read model.
type desk struct {
	*testing.T
	store ledger.Store
	l     *ledger.Ledger
	file  string // of the read model
	repo  string // of the log, if that is in git
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

var (
	deskBob = access.Person{Email: "bob@example.com", Slack: "UBOB"}
	deskAnn = access.Person{Email: "ann@example.com", Slack: "UANN"}
)

// asked files a request under a configuration.
func (d *desk) asked(config string) string {
	d.Helper()
	d.n++
	id := "01KAQ0000000000000000000" + string(rune('A'+d.n/10)) + string(rune('A'+d.n%10))
	at := deskTime(d.n)
	target := access.Target{Provider: "gitops", With: map[string]any{"key": "a"}}
	_, err := d.l.File(d.Context(), id, "form:"+id, func(access.Request) ([]access.Event, error) {
		by := []access.Person{deskBob, deskAnn}[d.n%2]
		return []access.Event{{
			ID: "form:" + id, Request: id, At: at, By: by, Config: config, Rules: 1,
			Body: access.Requested{Requestor: by, Principal: by, Resource: "admins", Target: target, Reason: "refund, " + []string{"even", "odd"}[d.n%2]},
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

// questions are what the read model is asked; each leaves something out as soon as
// there are three requests, the second of them denied.
var questions = map[string]access.Filter{
	"everything": {},
	"denied":     {Status: []access.Status{access.Denied}},
	"pending":    {Status: []access.Status{access.Pending}},
	"of Ann":     {Involves: []string{deskAnn.Email}},
	"of nobody":  {Involves: []string{}},
	"by a word":  {Text: "REFUND even"},
	"by time":    {From: deskTime(2)},
}

// same fails where the read model answers otherwise than [access.Filter.Match] does
// over the ledger.
func (d *desk) same(x *index.Index) {
	d.Helper()
	for name, f := range questions {
		got, total, err := x.Find(d.Context(), f, "", 1000)
		if err != nil || total != len(got) {
			d.Fatalf("%s: %d of %d, %v", name, len(got), total, err)
		}
		want := slices.DeleteFunc(d.l.Requests(), func(r access.Request) bool { return !f.Match(r) })
		byID := cmpopts.SortSlices(func(a, b access.Request) bool { return a.ID < b.ID })
		if diff := cmp.Diff(want, got, byID, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(access.Request{})); diff != "" {
			d.Errorf("%s: the ledger and the read model: %s", name, diff)
		}
	}
}

func deskTime(n int) time.Time { return time.Date(2026, 11, 23, 9, n, 0, 0, time.UTC) }

// caughtUp opens the read model and feeds it what it lacks.
func (d *desk) caughtUp() *index.Index {
	d.Helper()
	x := d.open()
	if err := d.feed(x).catchUp(d.Context()); err != nil {
		d.Fatal(err)
	}
	d.same(x)
	return x
}

// again closes the read model, and opens the log as after a restart.
func (d *desk) again(x *index.Index) {
	d.Helper()
	x.Close()
	l, err := ledger.Open(d.Context(), d.store)
	if err != nil {
		d.Fatal(err)
	}
	d.l = l
}

// TestFeedCatchesUp: from nothing, from where it ended, from a lost, damaged or
// foreign file, the read model comes to say what the ledger says.
func TestFeedCatchesUp(t *testing.T) {
	d := newDesk(t, &bottest.Store{})
	d.asked("c0ffee")
	second := d.asked("c0ffee")
	x := d.caughtUp()

	d.denied(second) // while the bot's dashboard is off
	d.asked("beef")
	d.again(x)
	x = d.caughtUp()
	for n, want := range []string{"", "c0ffee", "c0ffee", "beef"} {
		if c, err := x.ConfigAt(t.Context(), deskTime(n)); c != want || err != nil {
			t.Errorf("the configuration at 9:0%d is %q, %v; want %q", n, c, err, want)
		}
	}
	for name, f := range questions {
		if _, n, err := x.Find(t.Context(), f, "", 10); err != nil || (n == 3) != (name == "everything") {
			t.Errorf("%s: %d of 3 requests, %v: this question asks nothing", name, n, err)
		}
	}

	for what, harm := range map[string]func(string) error{
		"lost":  os.Remove,
		"short": func(file string) error { return os.Truncate(file, 5000) },
	} {
		d.again(x)
		if err := harm(d.file); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		x = d.caughtUp()
	}
	x.Close()

	other := newDesk(t, &bottest.Store{}) // another log: its head is not known here
	other.file = d.file
	other.asked("c0ffee")
	other.caughtUp()
}

// TestFeedOfAnotherHistory: with real git, a read model that was fed a history which
// is gone forgets it, also where a part of the log was taken away.
func TestFeedOfAnotherHistory(t *testing.T) {
	d, log := newGitDesk(t)
	d.asked("c0ffee")
	kept := log.Head()
	d.asked("c0ffee")
	d.asked("c0ffee")
	d.again(d.caughtUp())

	for what, replace := range map[string]func() (*desk, *gitstore.Log){
		"another log":     func() (*desk, *gitstore.Log) { return newGitDesk(t) },
		"a shortened log": func() (*desk, *gitstore.Log) { return openGitDesk(t, shortened(t, d, kept)) },
	} {
		now, _ := replace()
		now.n = 20 // new ids
		now.asked("beef")
		copied, err := os.ReadFile(d.file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(now.file, copied, 0o600); err != nil {
			t.Fatal(err)
		}
		x := now.open()
		if _, _, err := now.feed(x).missing(t.Context()); !errors.Is(err, gitstore.ErrRewritten) {
			t.Errorf("%s: %v, want ErrRewritten", what, err)
		}
		x.Close()
		if x := now.caughtUp(); x.Head() != now.l.Head() {
			t.Errorf("%s: the read model is at %s, the ledger at %s", what, x.Head(), now.l.Head())
		}
	}
}

// newGitDesk is a desk over a log in a repository of its own.
func newGitDesk(t *testing.T) (*desk, *gitstore.Log) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log.git")
	if _, err := gitstore.Init(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	return openGitDesk(t, path)
}

func openGitDesk(t *testing.T, path string) (*desk, *gitstore.Log) {
	t.Helper()
	repo, err := gitstore.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	log, err := gitstore.OpenLog(t.Context(), gitstore.LogConfig{Repo: repo, Branch: "audit", Identity: botIdentity})
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	store, err := openStore(t.Context(), repo, log, filepath.Join(t.TempDir(), "log-head"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(t, store)
	d.repo = path
	return d, log
}

// shortened is a copy of a desk's repository whose log ends at a commit.
func shortened(t *testing.T, d *desk, at string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "short.git")
	for _, args := range [][]string{{"clone", "-q", "--bare", d.repo, path}, {"-C", path, "update-ref", "refs/heads/audit", at}} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return path
}

// TestFeedBehindTheLog: what another hand has put into the log, and the ledger has
// not folded yet, is not taken for fed.
func TestFeedBehindTheLog(t *testing.T) {
	d := newDesk(t, &bottest.Store{})
	d.asked("c0ffee")
	d.again(d.caughtUp())
	d.again(d.caughtUp()) // up to that commit
	other := newDesk(t, d.store)
	other.n = d.n
	other.asked("c0ffee")
	x := d.caughtUp() // its ledger is one request short
	d.again(x)        // and is not after a restart
	d.caughtUp()
	if n := len(d.l.Requests()); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
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

// TestFeedTriesAgain: a read model that refuses a batch is tried again, and what
// changed while it did is told when it can be read.
func TestFeedTriesAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, &bottest.Store{})
	d.asked("c0ffee")
	x := d.caughtUp()
	f := d.feed(x)
	told := make(chan string, 10)
	f.told = func(id string) { told <- id }
	d.alter("CREATE TRIGGER full BEFORE INSERT ON request BEGIN SELECT RAISE(ABORT, 'no room'); END")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { f.run(ctx); close(done) }()
	want := []string{d.asked("c0ffee"), d.asked("beef")}
	for _, id := range want {
		f.changed(id)
	}
	var got []string
	for range want {
		select {
		case id := <-told:
			got = append(got, id)
		case <-time.After(20 * time.Second):
			t.Fatalf("told of %v, want %v", got, want)
		}
	}
	stop()
	<-done
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("told of %v, want %v", got, want)
	}
	d.same(x)
}

// TestFeedDamaged: damage that shows in the middle is an end of the file, not of
// the dashboard.
func TestFeedDamaged(t *testing.T) {
	d := newDesk(t, &bottest.Store{})
	id := d.asked("c0ffee")
	d.asked("c0ffee")
	d.caughtUp().Close()
	d.alter("UPDATE body SET data = zeroblob(length(data))")
	x := d.open()
	f := d.feed(x)
	d.denied(id)
	f.changed(id)
	if err := f.follow(t.Context()); !errors.Is(err, index.ErrDamaged) {
		t.Fatalf("a damaged index: %v", err)
	}
	if x.Head() != "" {
		t.Errorf("it goes on from %s", x.Head())
	}
	if err := f.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.same(x)
	if ids := f.take(); !slices.Equal(ids, []string{id}) {
		t.Errorf("%v is left to tell, want %s", ids, id)
	}
}

// alter changes the file behind the read model's back.
func (d *desk) alter(statement string) {
	d.Helper()
	db, err := sql.Open("sqlite", d.file)
	if err != nil {
		d.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		d.Fatal(err)
	}
}
