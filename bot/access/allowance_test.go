package access_test

import (
	"testing"
	"time"

	"countersign/bot/access"

	"github.com/google/go-cmp/cmp"
)

func allow(t *testing.T, r *access.Rules, by, who access.Person, from, to time.Time, d time.Duration) (access.Allowance, string) {
	t.Helper()
	f := access.Facts{Now: t0, Actor: access.Actor{Person: by}, Rules: r}
	a, err := access.MakeAllowance(f, access.Allow{For: access.Actor{Person: who}, Resource: "admins", From: from, To: to, Duration: d})
	if x, ok := access.AsRefusal(err); ok {
		return a, string(x.Code)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.ID = "01KAQ0000000000000000ALLOW"
	return a, "ok"
}

func TestAllowing(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		by, who  access.Person
		from, to time.Time
		d        time.Duration
		want     string
	}{
		"by an approver":            {bob, erin, t0, t0.Add(day), time.Hour, "ok"},
		"from now on":               {bob, erin, time.Time{}, t0.Add(day), time.Hour, "ok"},
		"for oneself":               {bob, bob, t0, t0.Add(day), time.Hour, "own_access"},
		"by somebody else":          {carol, erin, t0, t0.Add(day), time.Hour, "not_an_approver"},
		"backwards":                 {bob, erin, t0.Add(2 * day), t0.Add(day), time.Hour, "bad_window"},
		"over already":              {bob, erin, t0.Add(-2 * day), t0.Add(-day), time.Hour, "bad_window"},
		"for more than thirty days": {bob, erin, t0, t0.Add(31 * day), time.Hour, "bad_window"},
		"for longer than the limit": {bob, erin, t0, t0.Add(day), 9 * time.Hour, "too_long"},
		"for no time":               {bob, erin, t0, t0.Add(day), 0, "bad_duration"},
	} {
		if _, got := allow(t, policies(anyone("p", group("sre"))), c.by, c.who, c.from, c.to, c.d); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// TestAllowanceVotes: it is one vote, while its maker may still approve, under
// today's rules and under those of its making.
func TestAllowanceVotes(t *testing.T) {
	one, quorum := policies(anyone("p", group("sre"))), policies(anyone("p", two("sre")))
	moved := policies(anyone("p", group("sec")))
	target := policies(anyone("p", group("sre")))
	target.Resources[0].Target.With = map[string]any{"key": "root"}
	a, _ := allow(t, one, bob, erin, t0, t0.Add(24*time.Hour), time.Hour)
	withdrawn := a
	withdrawn.Withdrawn = t0
	for name, c := range map[string]struct {
		today, made *access.Rules
		a           access.Allowance
		asks        access.Actor
		after       time.Duration
		want        []string
	}{
		"enough":                 {one, one, a, access.Actor{Person: erin}, time.Hour, []string{"requested", "approved"}},
		"one vote of two":        {quorum, one, a, access.Actor{Person: erin}, time.Hour, []string{"requested", "vote"}},
		"too early":              {one, one, func() access.Allowance { x := a; x.From = t0.Add(2 * time.Hour); return x }(), access.Actor{Person: erin}, time.Hour, []string{"requested"}},
		"too late":               {one, one, a, access.Actor{Person: erin}, 25 * time.Hour, []string{"requested"}},
		"withdrawn":              {one, one, withdrawn, access.Actor{Person: erin}, time.Hour, []string{"requested"}},
		"maker may no longer":    {moved, one, a, access.Actor{Person: erin}, time.Hour, []string{"requested"}},
		"maker might not then":   {one, moved, a, access.Actor{Person: erin}, time.Hour, []string{"requested"}},
		"its rules are lost":     {one, nil, a, access.Actor{Person: erin}, time.Hour, []string{"requested"}},
		"somebody else":          {one, one, a, access.Actor{Person: alice}, time.Hour, []string{"requested"}},
		"the target has changed": {target, one, a, access.Actor{Person: erin}, time.Hour, []string{"requested"}},
	} {
		f := access.Facts{Now: t0.Add(c.after), New: id, ID: "form:1", Actor: c.asks, Rules: c.today, Filed: c.today, Ahead: []access.Ahead{{Allowance: c.a, Made: c.made}}}
		events, err := access.Decide(f, access.Request{}, access.File{Resource: "admins"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var kinds []string
		var r access.Request
		for _, e := range events {
			kinds = append(kinds, e.Body.Kind())
			if err := access.Justify(r, e, c.today, c.today, f.Ahead); err != nil {
				t.Errorf("%s: %s: %v", name, e.Body.Kind(), err)
			}
			if e.Body.Kind() != "requested" && access.Justify(r, e, c.today, c.today, nil) == nil {
				t.Errorf("%s: %s is justified without its pre-approval", name, e.Body.Kind())
			}
			if r, err = access.Apply(r, e); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(c.want, kinds); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if r.Status == access.Approved && (r.Decision.Source != access.ByAllowance || r.Decision.Approvers[0] != bob) {
			t.Errorf("%s: approved as %s by %v", name, r.Decision.Source, r.Decision.Approvers)
		}
	}
}
