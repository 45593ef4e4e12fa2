package access_test

import (
	"regexp"
	"testing"
	"time"

	"countersign/bot/access"
)

// refusedAs is the code of a refusal; empty if the action was decided.
func refusedAs(t *testing.T, f access.Facts, r access.Request, a access.Action) access.Code {
	t.Helper()
	_, err := access.Decide(f, r, a)
	if err == nil {
		return ""
	}
	why, ok := access.AsRefusal(err)
	if !ok {
		t.Fatalf("%T: %v", a, err)
	}
	return why.Code
}

// TestExtensionStands: an extension is approved only as it was asked for, of what
// it was asked for, while there is something to extend.
func TestExtensionStands(t *testing.T) {
	for _, c := range []struct {
		name   string
		round  int
		change func(*access.Facts, access.Request)
		want   access.Code
	}{
		{"as asked", 1, func(*access.Facts, access.Request) {}, ""},
		{"an earlier button", 0, func(*access.Facts, access.Request) {}, access.StaleButton},
		{"a later one", 2, func(*access.Facts, access.Request) {}, access.StaleButton},
		{"at the end", 1, func(f *access.Facts, r access.Request) { f.Now = r.Expires() }, access.StaleButton},
		{"another target", 1, func(f *access.Facts, _ access.Request) {
			f.Rules = with(func(r *access.Rules) {
				r.Resources[0].Target = access.Target{Provider: "gitops", With: map[string]any{"key": "root"}}
			})
		}, access.TargetChanged},
		{"a lower limit since", 1, func(f *access.Facts, _ access.Request) {
			f.Rules = with(func(r *access.Rules) { r.Resources[0].MaxDuration = time.Hour })
		}, access.TooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := begin(t)
			live(s)
			s.must(erin, access.Extend{Request: id, By: time.Hour})
			f := s.facts(bob)
			c.change(&f, s.r)
			if got := refusedAs(t, f, s.r, access.ApproveExtension{Request: id, Round: c.round}); got != c.want {
				t.Errorf("refused as %q, want %q", got, c.want)
			}
		})
	}
}

// TestApplyRefusesForgeries: what no decision would ever yield is a corrupt log.
func TestApplyRefusesForgeries(t *testing.T) {
	for _, c := range []struct {
		name  string
		reach func(*story)
		body  func(access.Request) access.Body
	}{
		{"an extension to another time", func(s *story) {
			live(s)
			s.must(erin, access.Extend{Request: id, By: time.Hour})
		}, func(r access.Request) access.Body {
			return access.Extended{Source: access.ByReviewer, Approvers: []access.Person{bob}, Expires: r.Expires().Add(24 * time.Hour)}
		}},
		{"an expiry before its time", live, func(access.Request) access.Body { return access.RevokeIntent{Cause: access.CauseExpired} }},
		{"an approval of another target", func(*story) {}, func(r access.Request) access.Body {
			return access.Approval{
				Source: access.ByReviewer, Approvers: []access.Person{bob}, Expires: r.Last.Add(time.Hour),
				Target: access.Target{Provider: "gitops", With: map[string]any{"key": "root"}},
			}
		}},
		{"an intent to grant what is to end", func(s *story) {
			s.must(bob, access.Approve{Request: id, For: time.Hour})
			s.must(carol, access.Revoke{Request: id})
		}, func(access.Request) access.Body {
			return access.GrantIntent{Subject: "erin@example.com", Before: access.Absent}
		}},
		{"given up though it may be given", intended, func(access.Request) access.Body {
			return access.GrantFailed{Error: "no account", Final: true}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := begin(t)
			c.reach(s)
			e := access.Event{ID: "forged", Request: id, At: s.now, By: bob, Config: "c0ffee", Rules: access.Evaluator, Body: c.body(s.r)}
			if _, err := access.Apply(s.r, e); err == nil {
				t.Error("it was applied")
			}
		})
	}
}

// TestNothingIsGivenTooLate: no grant is intended for what is over, or is to end.
func TestNothingIsGivenTooLate(t *testing.T) {
	for name, change := range map[string]func(*story){
		"expired": func(s *story) { s.now = s.r.Expires() },
		"revoked": func(s *story) { s.must(carol, access.Revoke{Request: id}) },
	} {
		s := begin(t)
		s.must(bob, access.Approve{Request: id, For: time.Hour})
		change(s)
		events, err := access.Decide(s.facts(nobody), s.r, access.Intend{Request: id, Subject: "erin@example.com", Before: access.Absent})
		if len(events) != 0 || err != nil {
			t.Errorf("%s: intended %v, %v", name, events, err)
		}
	}
}

func intended(s *story) {
	s.must(bob, access.Approve{Request: id, For: time.Hour})
	s.must(nobody, access.Intend{Request: id, Subject: "erin@example.com", Before: access.Absent})
}

// TestNothingGivenIsGivenUp: of two bots one finds no account while the other has
// recorded its intent. The access may be there by then, and its end stays owed.
func TestNothingGivenIsGivenUp(t *testing.T) {
	s := begin(t)
	intended(s)
	s.must(nobody, access.Fail{Request: id, Error: "no account", Final: true})
	if due := access.Due(s.r, s.rules, s.r.Expires()); s.r.Status != access.Approved || due != access.DoRevoke {
		t.Errorf("it is %s, and at its end %q is owed", s.r.Status, due)
	}
}

// TestExtensionDeniedByTheFilings: what the rules of the filing deny by now is not
// extended by itself, and people cannot extend it either.
func TestExtensionDeniedByTheFilings(t *testing.T) {
	always := access.Policy{Name: "always", Requestor: access.Whom{Type: "any"}, Resource: access.Which{Type: "any"}, Approval: []access.Way{{Type: "persistent"}}}
	later := access.Policy{
		Name: "later", Requestor: access.Whom{Type: "any"}, Resource: access.Which{Type: "any"}, Approval: []access.Way{{Type: "deny"}},
		Terms: access.Terms{Hours: &access.Hours{Days: []time.Weekday{t0.Weekday()}, From: 10 * time.Hour, To: 24 * time.Hour, Zone: time.UTC}},
	}
	today := with(func(r *access.Rules) { r.Policies = []access.Policy{always} })
	filed := with(func(r *access.Rules) { r.Policies = []access.Policy{always, later} })
	s := &story{t: t, now: t0, rules: filed}
	s.must(erin, access.File{Resource: "admins", Duration: 2 * time.Hour})
	s.must(nobody, access.Intend{Request: id, Subject: "erin@example.com", Before: access.Absent}, access.Confirm{Request: id})
	for _, c := range []struct {
		now  time.Time
		want int // events: asked for, and extended
	}{{t0.Add(50 * time.Minute), 2}, {t0.Add(70 * time.Minute), 1}} {
		f := s.facts(erin)
		f.Now, f.Rules = c.now, today
		events, err := access.Decide(f, s.r, access.Extend{Request: id, By: time.Hour})
		if err != nil || len(events) != c.want {
			t.Errorf("at %s: %d events, %v; want %d", c.now.Format("15:04"), len(events), err, c.want)
		}
	}
}

// TestNeedsOfEachConfiguration: a resource's tags change while a request waits. What
// each configuration needs to know goes by the tags that it gives.
func TestNeedsOfEachConfiguration(t *testing.T) {
	tagged := func(env string) *access.Rules {
		return with(func(r *access.Rules) {
			r.Resources[0].Tags = map[string]string{"env": env}
			r.Groups = []access.Group{{Name: env, GitHubTeam: "acme/" + env}}
			r.Policies = []access.Policy{{
				Name: "p", Requestor: access.Whom{Type: "any"}, Resource: access.Which{Type: "match", Tags: map[string]*regexp.Regexp{"env": regexp.MustCompile("^(?:" + env + ")$")}},
				Approval: []access.Way{{Type: "group", Groups: []string{env}}},
			}}
		})
	}
	today, filed := tagged("prod"), tagged("staging")
	res, _ := today.Resource("admins")
	var got []string
	for _, g := range access.NeedsOf(res, false, false, today, filed).Groups {
		got = append(got, g.Key())
	}
	if len(got) != 2 || got[0] != "github:acme/prod" || got[1] != "github:acme/staging" {
		t.Errorf("asked are %q, want both teams", got)
	}
}

// TestSameAccount: whoever uses the requestor's Slack account is the requestor,
// whatever address it shows by then.
func TestSameAccount(t *testing.T) {
	s := begin(t)
	renamed := access.Person{Email: "bob@example.com", Slack: alice.Slack}
	if got := refusedAs(t, s.facts(renamed), s.r, access.Approve{Request: id, For: time.Hour}); got != access.OwnRequest {
		t.Errorf("refused as %q, want %q", got, access.OwnRequest)
	}
}

// twoOfThree lets requests be approved by two of three people.
func twoOfThree(change func(*access.Rules)) *access.Rules {
	return with(func(r *access.Rules) {
		r.Groups = []access.Group{{Name: "three", Members: []string{bob.Email, carol.Email, dan.Email}}}
		r.Policies = []access.Policy{{
			Name: "two", Requestor: access.Whom{Type: "any"}, Resource: access.Which{Type: "any"},
			Approval: []access.Way{{Type: "group", Groups: []string{"three"}, Count: 2}},
		}}
		change(r)
	})
}

// TestTheShortestCounts: of several approvers, the shortest expiry is given.
func TestTheShortestCounts(t *testing.T) {
	for _, first := range []time.Duration{time.Hour, 4 * time.Hour} {
		s := begin(t)
		s.rules = twoOfThree(func(*access.Rules) {})
		s.must(dan, access.Approve{Request: id, For: first})
		s.must(bob, access.Approve{Request: id, For: 5*time.Hour - first})
		if s.r.Status != access.Approved {
			t.Fatalf("after two approvals it is %s", s.r.Status)
		}
		if got := s.r.Expires().Sub(s.r.Decision.At); got != time.Hour {
			t.Errorf("given for %s, want 1h", got)
		}
	}
}

// TestAVoteTurnsOutOnesOwn: an approval that was cast before it was known to be
// the principal's own does not count at the last one.
func TestAVoteTurnsOutOnesOwn(t *testing.T) {
	s := begin(t)
	s.rules = twoOfThree(func(*access.Rules) {})
	s.must(dan, access.Approve{Request: id, For: time.Hour})
	f := s.facts(bob)
	f.Rules = twoOfThree(func(r *access.Rules) {
		r.People = []access.Known{{Email: erin.Email, Slack: []string{erin.Slack, dan.Slack}}}
	})
	events, err := access.Decide(f, s.r, access.Approve{Request: id, For: time.Hour})
	if err != nil || len(events) != 1 || events[0].Body.Kind() != "vote" {
		t.Errorf("decided %v, %v; want one more vote", events, err)
	}
}

// TestJustifyEnds: an end that nobody who is named might have wanted is found.
func TestJustifyEnds(t *testing.T) {
	for _, c := range []struct {
		by    access.Person
		cause access.Cause
		good  bool
	}{
		{bob, access.CauseRevoked, true},
		{dan, access.CauseRevoked, false},
		{erin, access.CauseGivenBack, true},
		{dan, access.CauseGivenBack, false},
	} {
		s := begin(t)
		live(s)
		e := access.Event{ID: "x", Request: id, At: s.now, By: c.by, Config: "c0ffee", Rules: access.Evaluator, Body: access.RevokeIntent{Cause: c.cause}}
		if err := access.Justify(s.r, e, s.rules, s.rules, nil); (err == nil) != c.good {
			t.Errorf("%s by %s: %v", c.cause, c.by.Email, err)
		}
	}
}

// TestWhoIsOffered: a policy is about a resource only if that has the tag, and
// `remove` is about those who are in none of the groups, as far as is known.
func TestWhoIsOffered(t *testing.T) {
	tagged := access.Which{Type: "match", Tags: map[string]*regexp.Regexp{"env": regexp.MustCompile(`^(?:prod)$`)}}
	anyone, outside := access.Whom{Type: "any"}, access.Whom{Type: "group", Groups: []string{"staff"}, Remove: true}
	for _, c := range []struct {
		name    string
		whom    access.Whom
		which   access.Which
		tags    map[string]string
		members []access.Person // of staff; nil: cannot be asked
		want    bool
	}{
		{"the tag", anyone, tagged, map[string]string{"env": "prod"}, nil, true},
		{"another value", anyone, tagged, map[string]string{"env": "prod2"}, nil, false},
		{"no such tag", anyone, tagged, nil, nil, false},
		{"in the removed group", outside, access.Which{Type: "any"}, nil, []access.Person{alice, bob}, false},
		{"in none of them", outside, access.Which{Type: "any"}, nil, []access.Person{bob}, true},
		{"nobody can say", outside, access.Which{Type: "any"}, nil, nil, false},
	} {
		rules := with(func(r *access.Rules) {
			r.Groups = []access.Group{{Name: "staff", SlackGroup: "staff"}}
			r.Resources[0].Tags = c.tags
			r.Policies = []access.Policy{{Name: "p", Requestor: c.whom, Resource: c.which, Approval: []access.Way{{Type: "reviewers"}}}}
		})
		f := access.Facts{Now: t0, Rules: rules}
		if c.members != nil {
			f.Members = map[string][]access.Person{"slack:staff": c.members}
		}
		if got := len(f.Requestable(rules, alice)) > 0; got != c.want {
			t.Errorf("%s: offered %t, want %t", c.name, got, c.want)
		}
	}
}

// TestThePolicyDoesNotLoosen: a limit of a policy does not lift the resource's.
func TestThePolicyDoesNotLoosen(t *testing.T) {
	s := begin(t)
	s.rules = with(func(r *access.Rules) {
		r.Policies = []access.Policy{{
			Name: "p", Requestor: access.Whom{Type: "any"}, Resource: access.Which{Type: "any"},
			Approval: []access.Way{{Type: "reviewers"}}, Terms: access.Terms{MaxDuration: 24 * time.Hour},
		}}
	})
	if got := refusedAs(t, s.facts(bob), s.r, access.Approve{Request: id, For: 9 * time.Hour}); got != access.TooLong {
		t.Errorf("9h of at most 8h: refused as %q, want %q", got, access.TooLong)
	}
}

// TestWhoIsOnCallAlone: without a person only a scheduled duty counts, up to the
// configured level.
func TestWhoIsOnCallAlone(t *testing.T) {
	rules := with(func(r *access.Rules) {
		r.OnCall.PagerDuty = &access.PagerDuty{AutoApprove: true, EscalationPolicies: []string{"P1"}, RequireSchedule: true, MaxEscalationLevel: 1}
	})
	for _, c := range []struct {
		name string
		duty access.Duty
		want int // events: filed, and approved
	}{
		{"scheduled", access.Duty{Person: alice, Policy: "P1", Level: 1, Schedule: "S1"}, 2},
		{"named directly", access.Duty{Person: alice, Policy: "P1", Level: 1}, 1},
		{"at a higher level", access.Duty{Person: alice, Policy: "P1", Level: 2, Schedule: "S1"}, 1},
		{"of another policy", access.Duty{Person: alice, Policy: "P2", Level: 1, Schedule: "S1"}, 1},
		{"somebody else", access.Duty{Person: bob, Policy: "P1", Level: 1, Schedule: "S1"}, 1},
	} {
		f := access.Facts{Now: t0, New: id, Actor: access.Actor{Person: alice}, Rules: rules, Duties: map[string][]access.Duty{"pagerduty": {c.duty}}}
		events, err := access.Decide(f, access.Request{}, access.File{Resource: "admins", Duration: time.Hour})
		if err != nil || len(events) != c.want {
			t.Errorf("%s: %d events, %v; want %d", c.name, len(events), err, c.want)
		}
	}
}

// TestJustifyAlone: an approval without a person is no longer than the policy
// gives it.
func TestJustifyAlone(t *testing.T) {
	rules := with(func(r *access.Rules) {
		r.Policies = []access.Policy{{
			Name: "p", Requestor: access.Whom{Type: "any"}, Resource: access.Which{Type: "any"}, Approval: []access.Way{{Type: "persistent"}},
		}}
	})
	f := access.Facts{Now: t0, New: id, Actor: access.Actor{Person: alice}, Rules: rules, Filed: rules}
	events, err := access.Decide(f, access.Request{}, access.File{Resource: "admins", Duration: time.Hour})
	if err != nil || len(events) != 2 {
		t.Fatalf("decided %v, %v", events, err)
	}
	filed, err := access.Apply(access.Request{}, events[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range []time.Duration{0, time.Hour} {
		e := events[1]
		b := e.Body.(access.Approval)
		b.Expires = b.Expires.Add(more)
		e.Body = b
		if err := access.Justify(filed, e, rules, rules, nil); (err != nil) != (more > 0) {
			t.Errorf("%s longer: %v", more, err)
		}
	}
	// What a filing did not bring comes of itself no more.
	late := events[1]
	late.At = late.At.Add(time.Minute)
	b := late.Body.(access.Approval)
	b.Expires = b.Expires.Add(time.Minute)
	late.Body = b
	if access.Justify(filed, late, rules, rules, nil) == nil {
		t.Error("justified a minute after the filing")
	}
}
