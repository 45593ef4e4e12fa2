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

// TestAllowancesInSteps: pre-approvals count in the order in which they were made,
// however the log hands them over.
func TestAllowancesInSteps(t *testing.T) {
	rules := policies(anyone("p", access.Way{Type: "steps", Steps: [][]access.Way{{group("sre")}, {{Type: "reviewers"}}}}))
	first, code := allow(t, rules, bob, erin, t0, t0.Add(24*time.Hour), time.Hour)
	second, other := allow(t, rules, carol, erin, t0, t0.Add(24*time.Hour), time.Hour)
	if code != "ok" || other != "ok" {
		t.Fatal(code, other)
	}
	second.ID, second.At = "01KAQ0000000000000000OTHER", t0.Add(time.Minute)
	newestFirst := []access.Ahead{{Allowance: second, Made: rules}, {Allowance: first, Made: rules}}
	f := access.Facts{Now: t0.Add(time.Hour), New: id, ID: "form:1", Actor: access.Actor{Person: erin}, Rules: rules, Filed: rules, Ahead: newestFirst}
	events, err := access.Decide(f, access.Request{}, access.File{Resource: "admins"})
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	got, ok := events[1].Body.(access.Approval)
	if want := []access.Person{bob, carol}; !ok || !cmp.Equal(got.Approvers, want) {
		t.Errorf("%s by %v, want approved by %v", events[1].Body.Kind(), got.Approvers, want)
	}
}

// TestUnreminded: a day before its end, or a quarter of the window if that is
// shorter, each of the two is owed a reminder, once, and only while it stands.
func TestUnreminded(t *testing.T) {
	const day = 24 * time.Hour
	told := func(people ...access.Person) []access.EndReminder {
		var out []access.EndReminder
		for _, p := range people {
			out = append(out, access.EndReminder{To: p, Channel: "D1", TS: "1.000100", At: t0})
		}
		return out
	}
	both := []access.Person{bob, erin}
	for name, c := range map[string]struct {
		window time.Duration
		change func(*access.Allowance)
		at     time.Duration // after its beginning
		want   []access.Person
		next   time.Duration // after its beginning; zero: never
	}{
		"long, too early":       {10 * day, nil, 9*day - time.Second, nil, 9 * day},
		"long, in time":         {10 * day, nil, 9 * day, both, 9 * day},
		"four days":             {4 * day, nil, 3 * day, both, 3 * day},
		"short, too early":      {2 * day, nil, 36*time.Hour - time.Second, nil, 36 * time.Hour},
		"short, in time":        {2 * day, nil, 36 * time.Hour, both, 36 * time.Hour},
		"seconds":               {4 * time.Second, nil, 3 * time.Second, both, 3 * time.Second},
		"before it begins":      {4 * day, nil, -day, nil, 3 * day},
		"the last moment":       {4 * day, nil, 4*day - time.Nanosecond, both, 3 * day},
		"over":                  {4 * day, nil, 4 * day, nil, 3 * day},
		"withdrawn":             {4 * day, func(a *access.Allowance) { a.Withdrawn = t0 }, 3 * day, nil, 0},
		"its maker was told":    {4 * day, func(a *access.Allowance) { a.Reminded = told(bob) }, 3 * day, []access.Person{erin}, 3 * day},
		"who gets it was told":  {4 * day, func(a *access.Allowance) { a.Reminded = told(erin) }, 3 * day, []access.Person{bob}, 3 * day},
		"both were told":        {4 * day, func(a *access.Allowance) { a.Reminded = told(bob, erin) }, 3 * day, nil, 0},
		"one account of both":   {4 * day, func(a *access.Allowance) { a.For = bob }, 3 * day, []access.Person{bob}, 3 * day},
		"nobody has an account": {4 * day, func(a *access.Allowance) { a.For.Slack, a.By.Slack = "", "" }, 3 * day, nil, 0},
	} {
		a, code := allow(t, policies(anyone("p", group("sre"))), bob, erin, t0, t0.Add(c.window), time.Hour)
		if code != "ok" {
			t.Fatalf("%s: %s", name, code)
		}
		if c.change != nil {
			c.change(&a)
		}
		if diff := cmp.Diff(c.want, a.Unreminded(t0.Add(c.at))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		want := time.Time{}
		if c.next != 0 {
			want = t0.Add(c.next)
		}
		if got := a.NextReminder(); !got.Equal(want) {
			t.Errorf("%s: next at %s, want %s", name, got, want)
		}
	}
}

// TestReminderIsWellFormed: what cannot be a reminder is no part of the log.
func TestReminderIsWellFormed(t *testing.T) {
	a, _ := allow(t, policies(anyone("p", group("sre"))), bob, erin, t0, t0.Add(time.Hour), time.Hour)
	good := access.EndReminder{To: erin, Channel: "D1", TS: "1.000100", At: t0}
	once, err := a.Remind(good)
	if err != nil {
		t.Fatalf("an early one: %v", err)
	}
	withdrawn := a
	withdrawn.Withdrawn = t0
	for name, c := range map[string]struct {
		a access.Allowance
		r access.EndReminder
	}{
		"twice":                {once, good},
		"somebody else":        {a, access.EndReminder{To: carol, Channel: "D1", TS: "1.000100"}},
		"nobody":               {a, access.EndReminder{Channel: "D1", TS: "1.000100"}},
		"nowhere":              {a, access.EndReminder{To: erin, TS: "1.000100"}},
		"no message":           {a, access.EndReminder{To: erin, Channel: "D1"}},
		"withdrawn":            {withdrawn, good},
		"there is none":        {access.Allowance{}, good},
		"another of the names": {a, access.EndReminder{To: access.Person{Email: carol.Email, Slack: erin.Slack}, Channel: "D1", TS: "1.000100"}},
	} {
		if _, err := c.a.Remind(c.r); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
