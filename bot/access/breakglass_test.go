package access_test

import (
	"slices"
	"testing"
	"time"

	"countersign/bot/access"

	"github.com/google/go-cmp/cmp"
)

// glass are rules that let Erin break glass for half an hour.
func glass() *access.Rules {
	p := anyone("emergency", group("sre"))
	p.Requestor = access.Whom{Type: "user", Users: []string{"erin@example.com"}}
	p.Terms = access.Terms{BreakGlass: true, MaxDuration: 30 * time.Minute}
	return policies(p, anyone("all", group("sec")))
}

func TestBreakGlass(t *testing.T) {
	for name, c := range map[string]struct {
		by   access.Person
		file access.File
		due  string // a use that is still to be reviewed
		want string
	}{
		"for oneself, with a reason": {erin, access.File{Reason: "site down"}, "", "ok"},
		"cut to the limit":           {erin, access.File{Reason: "site down", Duration: 30 * time.Minute}, "", "ok"},
		"longer than the limit":      {erin, access.File{Reason: "site down", Duration: time.Hour}, "", "too_long"},
		"without a reason":           {erin, access.File{}, "", "reason_required"},
		"for somebody else":          {erin, access.File{Reason: "x", Principal: access.Actor{Person: bob}}, "", "not_configured"},
		"by somebody for her":        {alice, access.File{Reason: "x", Principal: access.Actor{Person: erin}}, "", "not_yours"},
		"not offered":                {bob, access.File{Reason: "x"}, "", "not_configured"},
		"again, before the review":   {erin, access.File{Reason: "x"}, "01KAQ", "review_first"},
	} {
		c.file.Resource, c.file.BreakGlass = "admins", true
		r := glass()
		f := access.Facts{Now: t0, New: id, ID: "form:1", Actor: access.Actor{Person: c.by}, Rules: r, Filed: r, Unreviewed: c.due}
		events, err := access.Decide(f, access.Request{}, c.file)
		got := "ok"
		if x, ok := access.AsRefusal(err); ok {
			got = string(x.Code)
		} else if err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
		if got != "ok" {
			continue
		}
		q, err := access.Replay(events)
		if err != nil {
			t.Fatal(err)
		}
		if q.Status != access.Approved || q.Decision.Source != access.ByBreakGlass || q.Review == nil || q.Expires().Sub(t0) > 30*time.Minute {
			t.Errorf("%s: %s until %s, review %v", name, q.Status, q.Expires(), q.Review)
		}
		var before access.Request
		for _, e := range events {
			if err := access.Justify(before, e, r, r, nil); err != nil {
				t.Errorf("%s: %s: %v", name, e.Body.Kind(), err)
			}
			if b, ok := e.Body.(access.Approval); ok {
				b.Expires = b.Expires.Add(time.Second)
				e.Body = b
				if access.Justify(before, e, r, r, nil) == nil {
					t.Errorf("%s: a second more than was asked for is justified", name)
				}
				b.Expires = b.Expires.Add(-time.Second)
				e.Body = b
			}
			before, _ = access.Apply(before, e)
		}
	}
}

func TestReviewOfBreakGlass(t *testing.T) {
	s := &story{t: t, now: t0, rules: glass()}
	s.must(erin, access.File{Resource: "admins", BreakGlass: true, Reason: "site down"})
	for who, want := range map[string]string{"erin": "own_request", "dan": "ok", "gus": "account_barred"} {
		q := *s
		if got := q.outcome(tableActors[who], access.ReviewAccess{Request: id, Text: "fine"}); got != want {
			t.Errorf("by %s: got %s, want %s", who, got, want)
		}
	}
	if got := s.outcome(tableActors["bob"], access.ReviewAccess{Request: id}); got != "reason_required" {
		t.Errorf("without a word: %s", got)
	}
	s.must(bob, access.ReviewAccess{Request: id, Text: "looked at the logs, fine"})
	if s.r.Review.At.IsZero() || s.r.Review.By != bob {
		t.Errorf("review %+v", s.r.Review)
	}
	if got := s.outcome(tableActors["bob"], access.ReviewAccess{Request: id, Text: "again"}); got != "already_decided" {
		t.Errorf("twice: %s", got)
	}
}

// TestBreakGlassOfAPendingRequest, from its requestor's own message.
func TestBreakGlassOfAPendingRequest(t *testing.T) {
	s := &story{t: t, now: t0, rules: glass()}
	s.must(erin, access.File{Resource: "admins", Reason: "site down"})
	if f := s.facts(nobody); !f.MayBreakGlass(s.r) {
		t.Error("break-glass is not offered")
	}
	if got := s.outcome(tableActors["bob"], access.BreakGlass{Request: id}); got != "not_yours" {
		t.Errorf("by somebody else: %s", got)
	}
	s.must(erin, access.BreakGlass{Request: id})
	if s.r.Status != access.Approved || s.r.Decision.Reason != "site down" {
		t.Errorf("%s because of %q", s.r.Status, s.r.Decision.Reason)
	}
}

// TestBreakGlassByBothConfigurations: what the configuration of the filing did not
// offer is not to be had by a later one, and the shorter limit counts.
func TestBreakGlassByBothConfigurations(t *testing.T) {
	none, long := glass(), glass()
	none.Policies[0].Terms.BreakGlass = false
	long.Policies[0].Terms.MaxDuration = 4 * time.Hour
	for name, c := range map[string]struct {
		filed, today *access.Rules
		want         string
	}{
		"offered later":      {none, glass(), "not_configured"},
		"offered no more":    {glass(), none, "not_configured"},
		"for longer later":   {glass(), long, "30m0s"},
		"for longer earlier": {long, glass(), "30m0s"},
		"unreadable":         {nil, glass(), "no_config"},
	} {
		s := &story{t: t, now: t0, rules: glass()}
		s.must(erin, access.File{Resource: "admins", Reason: "site down"})
		f := access.Facts{Now: t0, ID: "click:1", Actor: access.Actor{Person: erin}, Rules: c.today, Filed: c.filed}
		if got := f.MayBreakGlass(s.r); got != (c.want == "30m0s") {
			t.Errorf("%s: offered %t", name, got)
		}
		events, err := access.Decide(f, s.r, access.BreakGlass{Request: id})
		got := ""
		if x, ok := access.AsRefusal(err); ok {
			got = string(x.Code)
		} else {
			got = events[0].Body.(access.Approval).Expires.Sub(t0).String()
			if err := access.Justify(s.r, events[0], c.today, c.filed, nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := access.Justify(s.r, events[0], c.today, none, nil); err == nil {
				t.Errorf("%s: justified although the filing's configuration offers nothing", name)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// TestExaminers: who is told of a use of break-glass is who may review it.
func TestExaminers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*access.Rules)
		want   []string
	}{
		"approvers and reviewers":     {func(*access.Rules) {}, []string{"bob@example.com", "carol@partner.example", "dan@example.com"}},
		"approvers alone":             {func(r *access.Rules) { r.Reviewers = nil }, []string{"bob@example.com", "dan@example.com"}},
		"never who took it":           {func(r *access.Rules) { r.Reviewers = []string{"Erin+1@example.com"} }, []string{"bob@example.com", "dan@example.com"}},
		"reviewers, if none is named": {func(r *access.Rules) { r.Policies = nil }, []string{"bob@example.com", "carol@partner.example"}},
	} {
		s := &story{t: t, now: t0, rules: glass()}
		s.rules.Policies = s.rules.Policies[:1]
		s.must(erin, access.File{Resource: "admins", BreakGlass: true, Reason: "site down"})
		c.change(s.rules)
		got := s.facts(nobody).Examiners(s.r)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, email := range got {
			if err := s.try(access.Person{Email: email, Slack: "U"}, access.ReviewAccess{Request: id, Text: "fine"}); err != nil {
				t.Errorf("%s: %s: %v", name, email, err)
			}
			s.r.Review = &access.Review{Due: t0}
		}
	}
}

// TestReviewIsOffered until it is done, even after the access has ended; then it is
// told.
func TestReviewIsOffered(t *testing.T) {
	s := &story{t: t, now: t0, rules: glass()}
	s.must(erin, access.File{Resource: "admins", BreakGlass: true, Reason: "site down"})
	told := func() bool {
		return slices.Contains(access.Owed(s.r, s.now), access.Notice{Name: access.NoticeReviewed, To: erin})
	}
	offered := func() bool { return access.ControlsOf(s.r, s.rules, s.rules).Review }
	if !offered() || told() {
		t.Errorf("taken: review offered %t, told %t", offered(), told())
	}
	s.must(nobody, access.Fail{Request: id, Error: "no account", Final: true})
	if !s.r.Status.Ended() || !offered() || told() {
		t.Errorf("%s: review offered %t, told %t", s.r.Status, offered(), told())
	}
	s.must(bob, access.ReviewAccess{Request: id, Text: "fine"})
	if offered() || !told() {
		t.Errorf("reviewed: review offered %t, told %t", offered(), told())
	}
}
