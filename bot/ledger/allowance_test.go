package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const allowanceID = "01KAQ0000000000000000ALLOW"

func allowance() access.Allowance {
	return access.Allowance{
		Seq: 1, By: bob, For: alice, Resource: "github/payments", Target: target,
		From: t0, To: t0.Add(48 * time.Hour), Duration: 4 * time.Hour, At: t0, Config: "4f1c9d2e",
	}
}

func TestAllowances(t *testing.T) {
	store := &bottest.Store{}
	l := open(t, store)
	allow := func(id string) access.Allowance {
		t.Helper()
		a, err := l.Allow(t.Context(), id, "cmd:1", func() (access.Allowance, error) { return allowance(), nil })
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := allow(allowanceID)
	if again := allow("01KAQ0000000000000000OTHER"); again.ID != first.ID {
		t.Errorf("the same delivery made a second one: %s", again.ID)
	}
	want := allowance()
	want.ID, want.Delivery = allowanceID, "cmd:1"
	if diff := cmp.Diff([]access.Allowance{want}, open(t, store).Allowances()); diff != "" {
		t.Errorf("after reopening: %s", diff)
	}
	no := access.Refuse(access.NotYours, "no")
	if err := l.Withdraw(t.Context(), allowanceID, "cmd:2", alice, "c", t0, func(access.Allowance) error { return no }); err != no {
		t.Errorf("got %v, want the refusal", err)
	}
	yes := func(access.Allowance) error { return nil }
	if err := l.Withdraw(t.Context(), allowanceID, "cmd:3", alice, "c", t0.Add(time.Hour), yes); err != nil {
		t.Fatal(err)
	}
	if a := open(t, store).Allowances()[0]; a.Withdrawn != t0.Add(time.Hour) || a.WithdrawnBy != alice {
		t.Errorf("withdrawn %s by %v", a.Withdrawn, a.WithdrawnBy)
	}
	if err := l.Withdraw(t.Context(), "01KAQ000000000000000NOSUCH", "cmd:4", alice, "c", t0, yes); err == nil {
		t.Error("what is not there was withdrawn")
	}
	wantFiles := []string{"allowances/2026/11/23/" + allowanceID + "/0001-approved.yaml", "allowances/2026/11/23/" + allowanceID + "/0002-revoked.yaml"}
	for i, f := range store.Files() {
		if f.Path != wantFiles[i] {
			t.Errorf("file %d is %s", i, f.Path)
		}
	}
	if subject, _, _ := strings.Cut(store.Files()[0].Message, "\n"); subject != "pre-approve "+allowanceID+": alice → github/payments until 2026-11-25 09:00 UTC (by bob)" {
		t.Errorf("subject %q", subject)
	}
}

// TestAllowanceEvidence: who was in the groups and on call when a pre-approval
// was made is read back as it was.
func TestAllowanceEvidence(t *testing.T) {
	store := &bottest.Store{}
	want := allowance()
	want.Members = map[string][]access.Person{"github:acme/dba": {bob}, "slack:ops": {}}
	want.Duties = map[string][]access.Duty{"pagerduty": {{Person: bob, Policy: "P1", Level: 1, Schedule: "S1", Start: t0, End: t0.Add(time.Hour)}}}
	if _, err := open(t, store).Allow(t.Context(), allowanceID, "cmd:1", func() (access.Allowance, error) { return want, nil }); err != nil {
		t.Fatal(err)
	}
	want.ID, want.Delivery = allowanceID, "cmd:1"
	if diff := cmp.Diff([]access.Allowance{want}, open(t, store).Allowances(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestAllowanceFilesBelongTogether(t *testing.T) {
	store := &bottest.Store{}
	l := open(t, store)
	if _, err := l.Allow(t.Context(), allowanceID, "cmd:1", func() (access.Allowance, error) { return allowance(), nil }); err != nil {
		t.Fatal(err)
	}
	good := store.Files()[0]
	for name, change := range map[string]func(*ledger.File){
		"other id":   func(f *ledger.File) { f.Path = strings.ReplaceAll(f.Path, "ALLOW", "OTHER") },
		"gap":        func(f *ledger.File) { f.Path = strings.Replace(f.Path, "0001", "0002", 1) },
		"other kind": func(f *ledger.File) { f.Path = strings.Replace(f.Path, "approved", "revoked", 1) },
		"new key":    func(f *ledger.File) { f.Data = append(f.Data, "surprise: 1\n"...) },
		"no maker":   func(f *ledger.File) { f.Path = strings.Replace(f.Path, "approved", "reminded", 1) },
		"nobody":     func(f *ledger.File) { f.Data = []byte(strings.Replace(string(f.Data), "principal:", "to_whom:", 1)) },
	} {
		f := good
		f.Data = append([]byte{}, good.Data...)
		change(&f)
		if _, err := ledger.FoldAllowance(access.Allowance{}, f); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// reminder is what somebody was told a day after the beginning.
func reminder(to access.Person) access.EndReminder {
	return access.EndReminder{To: to, Channel: "D0" + to.Slack, TS: "1795597200.000100", At: t0.Add(24 * time.Hour)}
}

func TestReminders(t *testing.T) {
	store := &bottest.Store{}
	l, other := open(t, store), open(t, store)
	if _, err := l.Allow(t.Context(), allowanceID, "cmd:1", func() (access.Allowance, error) { return allowance(), nil }); err != nil {
		t.Fatal(err)
	}
	remind := func(l *ledger.Ledger, to access.Person) {
		t.Helper()
		if err := l.Remind(t.Context(), allowanceID, "post:"+to.Slack, "c2", reminder(to)); err != nil {
			t.Fatal(err)
		}
	}
	remind(l, bob)
	remind(other, alice) // which has read nothing of all that yet
	remind(other, bob)
	remind(l, alice)
	want := []access.EndReminder{reminder(bob), reminder(alice)}
	if diff := cmp.Diff(want, open(t, store).Allowances()[0].Reminded); diff != "" {
		t.Errorf("each once: %s", diff)
	}
	if err := l.Remind(t.Context(), allowanceID, "post:3", "c2", access.EndReminder{To: access.Person{Slack: "U0CAROL"}, Channel: "D1", TS: "1.2"}); err == nil {
		t.Error("somebody else was reminded")
	}
	if n := len(store.Files()); n != 3 {
		t.Errorf("%d files, want 3", n)
	}
	if subject, _, _ := strings.Cut(store.Files()[1].Message, "\n"); subject != "remind of pre-approval "+allowanceID+": alice → github/payments until 2026-11-25 09:00 UTC (told bob)" {
		t.Errorf("subject %q", subject)
	}
}

// overtaken is a log in which somebody else writes just before the next Append.
type overtaken struct {
	ledger.Store
	by func()
}

func (o *overtaken) Append(ctx context.Context, on ledger.Tail, files []ledger.File) ([]string, error) {
	if by := o.by; by != nil {
		o.by = nil
		by()
	}
	return o.Store.Append(ctx, on, files)
}

// TestReminderAndWithdrawal: of two bots one reminds while the other withdraws,
// or the other way round; the later one decides again.
func TestReminderAndWithdrawal(t *testing.T) {
	store := &bottest.Store{}
	slow := &overtaken{Store: store}
	l, other := open(t, slow), open(t, store)
	if _, err := l.Allow(t.Context(), allowanceID, "cmd:1", func() (access.Allowance, error) { return allowance(), nil }); err != nil {
		t.Fatal(err)
	}
	remind := func(l *ledger.Ledger, to access.Person) {
		t.Helper()
		if err := l.Remind(t.Context(), allowanceID, "post:"+to.Slack, "c", reminder(to)); err != nil {
			t.Errorf("remind %s: %v", to.Email, err)
		}
	}
	withdraw := func(l *ledger.Ledger) {
		t.Helper()
		if err := l.Withdraw(t.Context(), allowanceID, "cmd:2", alice, "c", t0, func(access.Allowance) error { return nil }); err != nil {
			t.Errorf("withdraw: %v", err)
		}
	}
	slow.by = func() { remind(other, bob) }
	withdraw(l)
	a := open(t, store).Allowances()[0]
	if len(a.Reminded) != 1 || !a.Withdrawn.Equal(reminder(bob).At) {
		t.Errorf("reminded %v, withdrawn %s: times never run backwards", a.Reminded, a.Withdrawn)
	}

	store = &bottest.Store{}
	slow = &overtaken{Store: store}
	l, other = open(t, slow), open(t, store)
	if _, err := l.Allow(t.Context(), allowanceID, "cmd:1", func() (access.Allowance, error) { return allowance(), nil }); err != nil {
		t.Fatal(err)
	}
	slow.by = func() { withdraw(other) }
	remind(l, bob)
	if a := open(t, store).Allowances()[0]; len(a.Reminded) != 0 || a.Withdrawn.IsZero() {
		t.Errorf("reminded %v, withdrawn %s", a.Reminded, a.Withdrawn)
	}
}

// TestGoldenAllowances: the files of pre-approvals read and are written the same
// for ever.
func TestGoldenAllowances(t *testing.T) {
	store := &bottest.Store{}
	l := open(t, store)
	_, err := l.Allow(t.Context(), allowanceID, "cmd:1", func() (access.Allowance, error) { return allowance(), nil })
	err = errors.Join(err, l.Remind(t.Context(), allowanceID, "post:1", "5a7b", reminder(bob)),
		l.Withdraw(t.Context(), allowanceID, "cmd:2", alice, "5a7b", t0.Add(30*time.Hour), func(access.Allowance) error { return nil }))
	if err != nil {
		t.Fatal(err)
	}
	want := allowance()
	want.ID, want.Delivery, want.Seq = allowanceID, "cmd:1", 3
	want.Reminded = []access.EndReminder{reminder(bob)}
	want.Withdrawn, want.WithdrawnBy, want.WithdrawnUnder = t0.Add(30*time.Hour), alice, "5a7b"
	var a access.Allowance
	for i, event := range []string{"approved", "reminded", "revoked"} {
		f, file := store.Files()[i], filepath.Join("testdata", "v1", "allowance", event+".yaml")
		if base := fmt.Sprintf("%04d-%s.yaml", i+1, event); filepath.Base(f.Path) != base {
			t.Fatalf("%s is no %s", f.Path, base)
		}
		golden, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) && *update {
			err = errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, f.Data, 0o644))
			golden = f.Data
		}
		if err != nil {
			t.Fatalf("%v (go test -update writes what is missing)", err)
		}
		if diff := cmp.Diff(string(golden), string(f.Data)); diff != "" {
			t.Errorf("%s is written differently: %s", event, diff)
		}
		f.Data = golden
		if a, err = ledger.FoldAllowance(a, f); err != nil {
			t.Fatalf("%s: %v", event, err)
		}
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("read differently: %s", diff)
	}
}
