package ledger_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write golden files that do not exist yet; existing ones are never changed")

const id = "01KAQ00000000000000000000A"

var (
	t0     = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	alice  = access.Person{Email: "alice@example.com", Slack: "U0ALICE"}
	bob    = access.Person{Email: "bob@example.com", Slack: "U0BOB"}
	target = access.Target{Provider: "gitops", With: map[string]any{
		"repo": "/srv/state.git", "key": "a.b", "n": 3, "on": true, "list": []any{"x", "y\nz"}, "deep": map[string]any{"k": "v"},
	}}
)

func event(n int, by access.Person, b access.Body) access.Event {
	return access.Event{
		ID: fmt.Sprintf("click:C1:%d", n), Request: id, At: t0.Add(time.Duration(n) * time.Minute), By: by,
		Config: "4f1c9d2e5a7b8c0d1e2f3a4b5c6d7e8f90a1b2c3", Rules: 1, Body: b,
	}
}

// hostile is text that YAML, commit messages and terminals get wrong.
const hostile = "a: \"b\"\n\t- #c\n---\n\u2028x 'y' \\ yes\nRequest-Id: forged"

// kinds holds one event of every kind, in an order in which they may happen.
func kinds() []access.Event {
	bodies := []struct {
		by   access.Person
		body access.Body
	}{
		{alice, access.Requested{Requestor: alice, Principal: alice, Resource: "github/payments", Title: "Payments: admins", Target: target, Reason: hostile, Ticket: "ABC-1", Duration: 90 * time.Minute}},
		{access.Person{}, access.Notified{Post: access.Post{Notice: "approval", Channel: "C1", TS: "1.000100", Permalink: "https://acme.slack.com/archives/C1/p1"}}},
		{access.Person{}, access.Reminded{}},
		{bob, access.MessagePosted{TS: "1.000200", Text: hostile}},
		{bob, access.MessageEdited{TS: "1.000200", Text: "", Previous: hostile}},
		{access.Person{}, access.MessageDeleted{TS: "1.000200", Previous: "  "}},
		{alice, access.RefusedTry{Action: "approve", Code: access.OwnRequest, Text: "You cannot."}},
		{bob, access.Approval{Source: access.ByReviewer, Approvers: []access.Person{bob}, Policies: []string{"p"}, Expires: t0.Add(2 * time.Hour), Target: target}},
		{access.Person{}, access.GrantIntent{Subject: "alice-gh", Before: access.Absent, Inherited: "01KAQ00000000000000000000B"}},
		{access.Person{}, access.GrantFailed{Error: "down:\n\tnow"}},
		{access.Person{}, access.Granted{}},
		{alice, access.ExtensionRequested{Duration: time.Hour, Reason: "more"}},
		{bob, access.ExtensionDenied{Reason: "no"}},
		{alice, access.ExtensionRequested{Duration: time.Hour}},
		{bob, access.Extended{Source: access.ByReviewer, Approvers: []access.Person{bob}, Expires: t0.Add(3 * time.Hour)}},
		{alice, access.RevokeIntent{Cause: access.CauseGivenBack, Reason: "done"}},
		{access.Person{}, access.RevokeFailed{Error: "down"}},
		{access.Person{}, access.Ended{Cause: access.CauseGivenBack, Kept: "had_before"}},
	}
	var all []access.Event
	for i, b := range bodies {
		all = append(all, event(i+1, b.by, b.body))
	}
	vote := event(39, bob, access.Vote{For: time.Hour, Round: 2})
	vote.Groups = map[string][]access.Person{"github:acme/dba": {bob, alice}, "slack:ops": nil}
	escalated := event(38, alice, access.Escalation{})
	escalated.Duties = map[string][]access.Duty{
		"incidentio": nil,
		"pagerduty": {
			{Person: bob, Policy: "PABC123", Level: 1, Schedule: "PSCHED", Start: t0, End: t0.Add(8 * time.Hour)},
			{Person: access.Person{Email: "erin@example.com"}, Policy: "PABC123", Level: 2},
		},
	}
	broken := event(37, alice, access.Approval{Source: access.ByBreakGlass, Expires: t0.Add(time.Hour), Target: target, Reason: hostile})
	late := event(40, access.Person{}, access.Ended{Cause: access.CauseExpired})
	late.Late = true
	calls := event(34, alice, access.Escalation{Calls: []access.Call{
		{Integration: "incidentio", Schedules: []string{"01HSCHED"}, EscalationPath: "01HPATH"},
		{Integration: "pagerduty", Services: []string{"PSVC123"}, EscalationPolicies: []string{"PABC123"}, From: "ops@example.com"},
	}})
	unreached := event(33, alice, access.Requested{Requestor: alice, Principal: alice, Resource: "github/payments", Target: target})
	unreached.Unreached = []string{"github:acme/dba", "pagerduty"}
	granted := event(31, access.Person{}, access.Granted{Until: t0.Add(3 * time.Hour), Before: access.Present})
	waits := event(30, access.Person{}, access.GrantFailed{Error: "They accept.", Waiting: true})
	stays := event(29, access.Person{}, access.RevokeFailed{Error: "They merge.", Waiting: true})
	denied := event(32, bob, access.Denial{Policies: []string{"payments by sre"}})
	return append(all, broken, event(36, access.Person{}, access.ReviewDue{}), event(35, bob, access.Reviewed{Text: hostile}), escalated, vote,
		event(41, bob, access.Denial{Reason: hostile}), event(42, alice, access.Cancellation{}), event(43, access.Person{}, access.Timeout{}),
		event(44, access.Person{}, access.Ended{Cause: access.CauseRevoked}), late, calls, unreached, denied, granted, waits, stays,
		event(30, access.Person{}, access.Drifted{Found: access.Absent}), event(29, access.Person{}, access.Drifted{Found: access.Present}))
}

// TestGolden: files written by any earlier version read the same for ever, and
// today's are written the same.
func TestGolden(t *testing.T) {
	seen := map[string]int{}
	for _, e := range kinds() {
		name := e.Body.Kind()
		if seen[name]++; seen[name] > 1 {
			name = fmt.Sprintf("%s-%d", name, seen[name])
		}
		file := filepath.Join("testdata", "v1", name+".yaml")
		got, err := ledger.Encode(e)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) && *update {
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, got, 0o644)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%v (go test -update writes what is missing)", err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is written differently: %s", name, diff)
		}
		back, err := ledger.Decode(want)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("%s is read differently: %s", name, diff)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good, err := ledger.Encode(kinds()[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"unknown key":      string(good) + "surprise: 1\n",
		"second document":  string(good) + "---\nversion: 1\n",
		"duplicate key":    string(good) + "event_id: other\n",
		"newer version":    strings.Replace(string(good), "version: 1", "version: 2", 1),
		"unknown event":    strings.Replace(string(good), "event: requested", "event: sudo", 1),
		"not a duration":   strings.Replace(string(good), "duration: 1h30m", "duration: soon", 1),
		"empty":            "",
		"not even mapping": "- a\n",
	} {
		if e, err := ledger.Decode([]byte(data)); err == nil {
			t.Errorf("%s: read as %v", name, e)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range kinds() {
		if data, err := ledger.Encode(e); err == nil {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ledger.Decode(data)
		if err != nil || e.Body == nil {
			return
		}
		again, err := ledger.Encode(e)
		if err != nil {
			return // readable, but nothing this program would write
		}
		back, err := ledger.Decode(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Fatal(diff)
		}
	})
}

func open(t *testing.T, s ledger.Store) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// just is a decision that is always the same.
func just(events ...access.Event) func(access.Request) ([]access.Event, error) {
	return func(access.Request) ([]access.Event, error) { return events, nil }
}

func file(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	if _, err := l.File(t.Context(), id, kinds()[0].ID, just(kinds()[0])); err != nil {
		t.Fatal(err)
	}
}

// say appends the next message to the request, whatever was said before.
func say(r access.Request) ([]access.Event, error) {
	n := r.Seq + 1
	return []access.Event{event(n, bob, access.MessagePosted{TS: fmt.Sprint(n), Text: "hello"})}, nil
}

// TestReopen: what was recorded is all there is; another ledger on the same log
// has the same state.
func TestReopen(t *testing.T) {
	store := &bottest.Store{}
	l := open(t, store)
	file(t, l)
	for _, e := range kinds()[1:18] {
		if _, err := l.Update(t.Context(), id, just(e)); err != nil {
			t.Fatal(err)
		}
	}
	want, _ := l.Request(id)
	again := open(t, store)
	got, _ := again.Request(id)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(access.Request{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(history(t, l), history(t, again)); diff != "" {
		t.Error(diff)
	}
	if want.Status != access.GivenBack || len(again.Open()) != 0 {
		t.Errorf("ended as %s, %d still open", want.Status, len(again.Open()))
	}
	if got, ok := again.ByPost("C1", "1.000100"); !ok || got != id {
		t.Errorf("the approval message leads to %q", got)
	}
}

// TestNoPeoplesTextInCommits: what people typed stands in the file only.
func TestNoPeoplesTextInCommits(t *testing.T) {
	store := &bottest.Store{}
	l := open(t, store)
	file(t, l)
	for _, e := range kinds()[1:18] {
		if _, err := l.Update(t.Context(), id, just(e)); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range store.Files() {
		for _, bad := range []string{"forged", "#c", "down", "You cannot", "Payments: admins"} {
			if strings.Contains(f.Message, bad) {
				t.Errorf("%s: the commit message holds %q", f.Path, bad)
			}
		}
		subject, rest, _ := strings.Cut(f.Message, "\n\n")
		if strings.Contains(subject, "\n") || len(subject) > 140 {
			t.Errorf("subject %q", subject)
		}
		for line := range strings.Lines(rest) {
			if key, _, ok := strings.Cut(line, ": "); !ok || strings.Contains(key, " ") {
				t.Errorf("%s: %q is no trailer", f.Path, line)
			}
		}
	}
	want := "approve " + id + ": alice → github/payments for 1h52m (by bob)"
	if got, _, _ := strings.Cut(store.Files()[7].Message, "\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestHostileAddress: an address that would forge a trailer is left out.
func TestHostileAddress(t *testing.T) {
	store := &bottest.Store{}
	l := open(t, store)
	e := kinds()[0]
	evil := access.Person{Email: "a\nActor: root@example.com", Slack: "U1"}
	e.Body = access.Requested{Requestor: evil, Principal: evil, Resource: "r", Target: target}
	if _, err := l.File(t.Context(), id, e.ID, just(e)); err != nil {
		t.Fatal(err)
	}
	if m := store.Files()[0].Message; strings.Contains(m, "root@example.com") || strings.Contains(m, "Requestor:") {
		t.Errorf("the commit message is %q", m)
	}
}

// TestTwoLedgers: two programs on one log take turns; both decide anew on what
// the other has written, and nothing is lost.
func TestTwoLedgers(t *testing.T) {
	store := &bottest.Store{}
	a := open(t, store)
	file(t, a)
	b := open(t, store)
	const each = 30
	var wg sync.WaitGroup
	for _, l := range []*ledger.Ledger{a, b, a, b} {
		wg.Go(func() {
			for range each {
				if _, err := l.Update(context.Background(), id, say); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if _, err := a.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, _ := a.Request(id)
	if got, want := len(r.Messages), 4*each; got != want {
		t.Errorf("%d messages, want %d", got, want)
	}
}

// TestOneDecision: of two who decide at once, one wins and the other is told.
func TestOneDecision(t *testing.T) {
	store := &bottest.Store{}
	a := open(t, store)
	file(t, a)
	b := open(t, store)
	deny := func(n int) func(access.Request) ([]access.Event, error) {
		return func(r access.Request) ([]access.Event, error) {
			if r.Status != access.Pending {
				return nil, access.Refuse(access.AlreadyDecided, "too late")
			}
			return []access.Event{event(n, bob, access.Denial{})}, nil
		}
	}
	if _, err := a.Update(t.Context(), id, deny(50)); err != nil {
		t.Fatal(err)
	}
	// b has not read a's denial yet.
	if _, err := b.Update(t.Context(), id, deny(51)); err == nil {
		t.Error("both decided")
	} else if _, ok := access.AsRefusal(err); !ok {
		t.Errorf("the loser was told %v", err)
	}
	if n := len(store.Files()); n != 2 {
		t.Errorf("%d files, want 2", n)
	}
}

// TestSameDeliveryFilesOnce, also while the first is still being written.
func TestSameDeliveryFilesOnce(t *testing.T) {
	store := &bottest.Store{}
	l := open(t, store)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			e := kinds()[0]
			e.Request = fmt.Sprintf("01KAQ0000000000000000000%02d", i)
			if _, err := l.File(context.Background(), e.Request, e.ID, just(e)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(l.Requests()); n != 1 {
		t.Errorf("filed %d times", n)
	}
}

// TestFailedButApplied: an answer that was lost is found on the next try, and
// the event is not written twice.
func TestFailedButApplied(t *testing.T) {
	store := &bottest.Store{}
	l := open(t, store)
	file(t, l)
	lost := errors.New("connection reset")
	store.Interrupt(func(string, []ledger.File) (bool, error) { return true, lost })
	once := func(r access.Request) ([]access.Event, error) {
		if r.Seen("click:C1:9") {
			return nil, nil
		}
		return []access.Event{event(9, bob, access.MessagePosted{TS: "9", Text: "x"})}, nil
	}
	if _, err := l.Update(t.Context(), id, once); !errors.Is(err, lost) {
		t.Fatalf("got %v, want the fault", err)
	}
	store.Interrupt(nil)
	r, err := l.Update(t.Context(), id, once)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Messages) != 1 || len(store.Files()) != 2 {
		t.Errorf("%d messages in %d files, want 1 in 2", len(r.Messages), len(store.Files()))
	}
}

// TestCorruptLog: a file that does not belong where it is stops the ledger,
// and the error names it.
func TestCorruptLog(t *testing.T) {
	for name, change := range map[string]func(*ledger.File){
		"gap": func(f *ledger.File) { f.Path = strings.Replace(f.Path, "0002", "0003", 1) },
		"other request": func(f *ledger.File) {
			f.Data = []byte(strings.ReplaceAll(string(f.Data), id, "01KAQ00000000000000000000Z"))
		},
		"other event": func(f *ledger.File) { f.Path = strings.Replace(f.Path, "denied", "approved", 1) },
		"rubbish":     func(f *ledger.File) { f.Data = []byte("{") },
	} {
		store := &bottest.Store{}
		l := open(t, store)
		file(t, l)
		if _, err := l.Update(t.Context(), id, just(event(50, bob, access.Denial{}))); err != nil {
			t.Fatal(err)
		}
		files := store.Files()
		change(&files[1])
		if _, err := ledger.Open(t.Context(), list(files)); err == nil || !strings.Contains(err.Error(), files[1].Path) {
			t.Errorf("%s: got %v, want an error that names %s", name, err, files[1].Path)
		}
	}
}

// list is a log that is only read.
type list []ledger.File

func (list) Append(context.Context, ledger.Tail, []ledger.File) ([]string, error) {
	return nil, errors.New("read only")
}

func (l list) Scan(_ context.Context, _ string, fn func(ledger.File) error) (string, error) {
	for _, f := range l {
		if err := fn(f); err != nil {
			return "", err
		}
	}
	return "head", nil
}

func (l list) Read(_ context.Context, dir string) ([]ledger.File, error) { return nil, nil }

func history(t *testing.T, l *ledger.Ledger) []ledger.Entry {
	t.Helper()
	h, err := l.History(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
