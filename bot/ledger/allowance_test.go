package ledger_test

import (
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"

	"github.com/google/go-cmp/cmp"
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
