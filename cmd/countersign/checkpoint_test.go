package main

import (
	"context"
	"database/sql"
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

// A desk is a ledger with its checkpoint, which is the dashboard's read model.
type desk struct {
	*testing.T
	store ledger.Store
	l     *ledger.Ledger
	x     *index.Index
	file  string // of the read model
	repo  string // of the log, if that is in git
	n     int
}

func newDesk(t *testing.T, store ledger.Store) *desk {
	t.Helper()
	return &desk{T: t, store: store, file: filepath.Join(t.TempDir(), indexFile)}
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

// start opens the read model and the ledger, as a start of the bot does.
func (d *desk) start() {
	d.Helper()
	x, err := index.Open(d.Context(), d.file)
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { x.Close() })
	if d.l, err = ledger.Resume(d.Context(), d.store, checkpoint{x}); err != nil {
		d.Fatal(err)
	}
	d.x = x
}

// again ends and starts, as after a crash.
func (d *desk) again() {
	d.Helper()
	d.x.Close()
	d.start()
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
// over the whole log.
func (d *desk) same() {
	d.Helper()
	all, err := ledger.Open(d.Context(), d.store)
	if err != nil {
		d.Fatal(err)
	}
	for name, f := range questions {
		got, total, err := d.x.Find(d.Context(), f, "", 1000)
		if err != nil || total != len(got) {
			d.Fatalf("%s: %d of %d, %v", name, len(got), total, err)
		}
		want := slices.DeleteFunc(all.Requests(), func(r access.Request) bool { return !f.Match(r) })
		byID := cmpopts.SortSlices(func(a, b access.Request) bool { return a.ID < b.ID })
		if diff := cmp.Diff(want, got, byID, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(access.Request{})); diff != "" {
			d.Errorf("%s: the log and the read model: %s", name, diff)
		}
	}
	if d.x.Head() != all.Head() {
		d.Errorf("the read model is at %s, the log at %s", d.x.Head(), all.Head())
	}
}

func deskTime(n int) time.Time { return time.Date(2026, 11, 23, 9, n, 0, 0, time.UTC) }

// TestCheckpointCatchesUp: from nothing, from where it ended, from a lost, damaged or
// foreign file, the read model comes to say what the log says.
func TestCheckpointCatchesUp(t *testing.T) {
	d := newDesk(t, &bottest.Store{})
	d.start()
	d.asked("c0ffee")
	second := d.asked("c0ffee")
	d.again()
	d.same()

	d.denied(second) // and ended before it was saved
	d.asked("beef")
	d.again()
	d.same()
	for n, want := range []string{"", "c0ffee", "c0ffee", "beef"} {
		if c, err := d.x.ConfigAt(t.Context(), deskTime(n)); c != want || err != nil {
			t.Errorf("the configuration at 9:0%d is %q, %v; want %q", n, c, err, want)
		}
	}
	for name, f := range questions {
		if _, n, err := d.x.Find(t.Context(), f, "", 10); err != nil || (n == 3) != (name == "everything") {
			t.Errorf("%s: %d of 3 requests, %v: this question asks nothing", name, n, err)
		}
	}

	for what, harm := range map[string]func(string) error{
		"lost":  os.Remove,
		"short": func(file string) error { return os.Truncate(file, 5000) },
	} {
		d.x.Close()
		if err := harm(d.file); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		d.start()
		d.same()
	}
	d.x.Close()

	other := newDesk(t, &bottest.Store{}) // another log: its head is not known here
	other.file, other.n = d.file, 20
	other.start()
	if other.l.Anew() == nil {
		t.Error("the checkpoint of another log was taken")
	}
	other.asked("c0ffee")
	other.again()
	other.same()
}

// TestCheckpointOfAnotherHistory: with real git, a read model of a history which is
// gone forgets it, also where a part of the log was taken away.
func TestCheckpointOfAnotherHistory(t *testing.T) {
	d, log := newGitDesk(t)
	d.asked("c0ffee")
	kept := log.Head()
	d.asked("c0ffee")
	id := d.asked("c0ffee")
	d.again()
	d.same()
	if r, ok := d.l.Request(id); !ok || r.Status != access.Pending {
		t.Errorf("after a restart %s is %q", id, r.Status)
	}
	d.x.Close()

	for what, replace := range map[string]func() (*desk, *gitstore.Log){
		"another log":     func() (*desk, *gitstore.Log) { return newGitDesk(t) },
		"a shortened log": func() (*desk, *gitstore.Log) { return openGitDesk(t, shortened(t, d, kept)) },
	} {
		now, _ := replace()
		now.n = 20 // new ids
		now.asked("beef")
		now.x.Close()
		copied, err := os.ReadFile(d.file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(now.file, copied, 0o600); err != nil {
			t.Fatal(err)
		}
		now.start()
		if now.l.Anew() == nil {
			t.Errorf("%s: the checkpoint was taken", what)
		}
		now.same()
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
	d.start()
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

// saving runs keepSaved until stop is called.
func (d *desk) saving(told func(id string)) (stop func()) {
	ctx, cancel := context.WithCancel(d.Context())
	done := make(chan struct{})
	go func() { keepSaved(ctx, d.l, told, slog.New(slog.DiscardHandler)); close(done) }()
	return func() { cancel(); <-done }
}

// await waits until each of some requests was told of.
func (d *desk) await(told <-chan string, ids ...string) {
	d.Helper()
	for left := slices.Clone(ids); len(left) > 0; {
		select {
		case id := <-told:
			left = slices.DeleteFunc(left, func(x string) bool { return x == id })
		case <-time.After(20 * time.Second):
			d.Fatalf("not told of %v", left)
		}
	}
}

// TestKeepSaved: what changed is told once it can be read.
func TestKeepSaved(t *testing.T) {
	d := newDesk(t, &bottest.Store{})
	d.start()
	told := make(chan string, 10)
	stop := d.saving(func(id string) {
		if _, there, err := d.x.Request(context.Background(), id); !there || err != nil {
			t.Errorf("told of %s before it can be read: %v", id, err)
		}
		told <- id
	})
	for range 3 {
		d.await(told, d.asked("c0ffee"))
	}
	stop()
	d.again()
	d.same()
}

// TestKeepSavedTriesAgain: a read model that refuses a batch is tried again, and what
// changed while it did is told when it can be read.
func TestKeepSavedTriesAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, &bottest.Store{})
	d.start()
	told := make(chan string, 10)
	d.alter("CREATE TRIGGER full BEFORE INSERT ON request BEGIN SELECT RAISE(ABORT, 'no room'); END")
	ids := []string{d.asked("c0ffee"), d.asked("beef")}
	if _, err := d.l.Save(t.Context()); err == nil {
		t.Fatal("it was saved in spite of the trigger")
	}
	stop := d.saving(func(id string) { told <- id })
	d.alter("DROP TRIGGER full")
	d.await(told, ids...)
	stop()
	d.again()
	d.same()
}

// TestKeepSavedDamaged: damage that shows in the middle is an end of the file, not of
// the bot: the file is built anew from the log.
func TestKeepSavedDamaged(t *testing.T) {
	d := newDesk(t, &bottest.Store{})
	d.start()
	id := d.asked("c0ffee")
	d.asked("c0ffee")
	d.again()
	d.alter("UPDATE body SET data = zeroblob(length(data))")
	told := make(chan string, 10)
	stop := d.saving(func(id string) { told <- id })
	d.denied(id)
	d.await(told, id)
	stop()
	d.again()
	if d.l.Anew() != nil {
		t.Errorf("it is still damaged: %v", d.l.Anew())
	}
	d.same()
}

// alter changes the file behind the read model's back.
func (d *desk) alter(statement string) {
	d.Helper()
	db, err := sql.Open("sqlite", "file:"+d.file+"?_pragma=busy_timeout(20000)") // the bot may be writing
	if err != nil {
		d.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		d.Fatal(err)
	}
}
