package access_test

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"countersign/bot/access"

	"github.com/google/go-cmp/cmp"
)

func group(names ...string) access.Way { return access.Way{Type: "group", Groups: names, Count: 1} }

func two(name string) access.Way { return access.Way{Type: "group", Groups: []string{name}, Count: 2} }

func anyone(name string, ways ...access.Way) access.Policy {
	return access.Policy{Name: name, Requestor: access.Whom{Type: "any"}, Resource: access.Which{Type: "any"}, Approval: ways}
}

// policies are rules with the groups sre (bob, dan) and sec (carol, dan), the
// manager of Erin (dan), and these policies.
func policies(ps ...access.Policy) *access.Rules {
	return with(func(r *access.Rules) {
		r.Groups = []access.Group{
			{Name: "sre", Members: []string{"bob@example.com", "dan@example.com"}},
			{Name: "sec", Members: []string{"carol@partner.example", "dan@example.com"}},
			{Name: "eng", Members: []string{"erin@example.com"}},
			{Name: "dba", GitHubTeam: "acme/dba"},
		}
		r.People = []access.Known{{Email: "erin@example.com", Manager: "dan@example.com"}}
		r.Policies = ps
	})
}

// votes lets people approve Alice's request for Erin one after the other and
// says what each was told.
func votes(t *testing.T, today, filed *access.Rules, members map[string][]access.Person, by ...access.Person) []string {
	t.Helper()
	s := &story{t: t, now: t0, rules: filed}
	f := s.facts(alice)
	f.Rules, f.Members = filed, members
	events, err := access.Decide(f, s.r, access.File{Resource: "admins", Principal: access.Actor{Person: erin}})
	if r, ok := access.AsRefusal(err); ok {
		return []string{string(r.Code)}
	}
	for _, e := range events {
		s.apply(e)
	}
	var out []string
	for _, p := range by {
		s.now = s.now.Add(time.Minute)
		f := s.facts(p)
		f.Rules, f.Filed, f.Members = today, filed, members
		events, err := access.Decide(f, s.r, access.Approve{Request: id, For: time.Hour})
		if r, ok := access.AsRefusal(err); ok {
			out = append(out, string(r.Code))
			continue
		}
		for _, e := range events {
			s.apply(e)
			out = append(out, e.Body.Kind())
		}
		if s.r.Status == access.Approved {
			out = append(out, string(s.r.Decision.Source))
		}
	}
	return out
}

func TestWays(t *testing.T) {
	steps := access.Way{Type: "steps", Steps: [][]access.Way{{{Type: "manager"}}, {group("sec"), {Type: "reviewers"}}}}
	deny := access.Policy{Name: "no prod", Requestor: access.Whom{Type: "any"},
		Resource: access.Which{Type: "match", ID: regexp.MustCompile("^(?:adm.*)$")}, Approval: []access.Way{{Type: "deny"}}}
	engOnly := anyone("eng", group("sre"))
	engOnly.Requestor = access.Whom{Type: "group", Groups: []string{"eng"}}
	noEng := anyone("others", group("sre"))
	noEng.Requestor = access.Whom{Type: "group", Groups: []string{"eng"}, Remove: true}
	dba := anyone("dba", group("dba"))
	disabled := anyone("off", group("sre"))
	disabled.Disabled = true
	night := anyone("night", group("sre"))
	night.Terms.Hours = &access.Hours{Days: []time.Weekday{time.Monday}, From: 22 * time.Hour, To: 24 * time.Hour, Zone: time.UTC}
	dbaAsk := anyone("dba asks", group("sre"))
	dbaAsk.Requestor = access.Whom{Type: "group", Groups: []string{"dba"}}
	dbaDeny := anyone("dba denied", access.Way{Type: "deny"})
	dbaDeny.Requestor = access.Whom{Type: "group", Groups: []string{"dba"}}
	inDBA := map[string][]access.Person{"github:acme/dba": {bob}}
	people := func(p ...access.Person) []access.Person { return p }
	for _, c := range []struct {
		name         string
		today, filed *access.Rules
		members      map[string][]access.Person
		by           []access.Person
		want         []string
	}{
		{"one of a group", policies(anyone("p", group("sre"))), nil, nil, people(bob), []string{"approved", "group"}},
		{"somebody else", policies(anyone("p", group("sre"))), nil, nil, people(carol), []string{"not_an_approver"}},
		{"reviewers are not meant", policies(anyone("p", group("sec"))), nil, nil, people(bob), []string{"not_an_approver"}},
		{"reviewers are meant", policies(anyone("p", access.Way{Type: "reviewers"})), nil, nil, people(bob), []string{"approved", "reviewer"}},
		{"two different people", policies(anyone("p", two("sre"))), nil, nil, people(bob, dan), []string{"vote", "approved", "group"}},
		{"the same person twice", policies(anyone("p", two("sre"))), nil, nil, people(bob, bob), []string{"vote", "already_voted"}},
		{"a union: any one is enough", policies(anyone("p", two("sre"), group("sec"))), nil, nil, people(bob, carol), []string{"vote", "approved", "group"}},
		{"deny wins", policies(anyone("p", group("sre")), deny), nil, nil, people(bob), []string{"denied_by_policy"}},
		{"for the principal's group", policies(engOnly), nil, nil, people(bob), []string{"approved", "group"}},
		{"not for the principal's group", policies(noEng), nil, nil, people(bob), []string{"not_requestable"}},
		{"a list of disabled policies is not empty", policies(disabled), nil, nil, people(bob), []string{"not_requestable"}},
		{"outside the hours", policies(night), nil, nil, people(bob), []string{"not_requestable"}},
		{"the manager", policies(anyone("p", access.Way{Type: "manager"})), nil, nil, people(bob, dan), []string{"not_an_approver", "approved", "manager"}},
		{"steps in order", policies(anyone("p", steps)), nil, nil, people(dan, carol), []string{"vote", "approved", "group"}},
		{"a later step does not count before", policies(anyone("p", steps)), nil, nil, people(carol, dan, carol), []string{"not_yet", "vote", "approved", "group"}},
		{"one person counts in one step", policies(anyone("p", steps)), nil, nil, people(dan, dan), []string{"vote", "already_voted"}},
		{"principal of a group approves nothing of theirs", policies(anyone("p", group("eng"))), nil, nil, people(erin), []string{"own_access"}},
		{"a team that was asked", policies(dba), nil, inDBA, people(bob), []string{"approved", "group"}},
		{"a team that cannot be asked", policies(dba), nil, nil, people(bob), []string{"directory_unreachable"}},
		{"a principal's team that cannot be asked", policies(dbaAsk), nil, nil, people(bob), []string{"directory_unreachable"}},
		{"a deny that cannot be told denies", policies(anyone("p", group("sre")), dbaDeny), nil, nil, people(bob), []string{"directory_unreachable"}},
		{"a deny that is not about them", policies(anyone("p", group("sre")), dbaDeny), nil, inDBA, people(bob), []string{"approved", "group"}},
		{"threshold raised while it waits", policies(anyone("p", two("sre"))), policies(anyone("p", group("sre"))), nil, people(bob, dan), []string{"vote", "approved", "group"}},
		{"threshold lowered while it waits", policies(anyone("p", group("sre"))), policies(anyone("p", two("sre"))), nil, people(bob, dan), []string{"vote", "approved", "group"}},
		{"from default approvals to policies", policies(anyone("p", group("sec"))), rules(), nil, people(bob, dan, carol), []string{"no_longer_reviewer", "reviewer_after_filing", "approved", "group"}},
		{"back to default approvals", rules(), policies(anyone("p", group("sec"))), nil, people(bob, dan, carol), []string{"reviewer_after_filing", "no_longer_reviewer", "approved", "reviewer"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			filed := c.filed
			if filed == nil {
				filed = c.today
			}
			if diff := cmp.Diff(c.want, votes(t, c.today, filed, c.members, c.by...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestStrictestTerms: a policy that gives nothing still restricts what others give.
func TestStrictestTerms(t *testing.T) {
	strict := anyone("strict", group("sec"))
	strict.Terms = access.Terms{RequireReason: true, MaxDuration: 10 * time.Minute}
	unsure := strict
	unsure.Requestor = access.Whom{Type: "group", Groups: []string{"dba"}}
	for name, r := range map[string]*access.Rules{
		"matching": policies(anyone("wide", group("sre")), strict),
		"unknown":  policies(anyone("wide", group("sre")), unsure),
	} {
		f := access.Facts{Now: t0, New: id, Actor: access.Actor{Person: erin}, Rules: r, Filed: r}
		for want, do := range map[access.Code]access.File{
			access.NeedsReason: {Resource: "admins"},
			access.TooLong:     {Resource: "admins", Reason: "x", Duration: 11 * time.Minute},
		} {
			_, err := access.Decide(f, access.Request{}, do)
			if got, ok := access.AsRefusal(err); !ok || got.Code != want {
				t.Errorf("%s: got %v, want %s", name, err, want)
			}
		}
	}
}

func TestPersistentIsTimeBoxed(t *testing.T) {
	r := policies(anyone("p", access.Way{Type: "persistent"}))
	f := access.Facts{Now: t0, New: id, Actor: access.Actor{Person: erin}, Rules: r, Filed: r}
	for asked, want := range map[time.Duration]time.Duration{0: time.Hour, 2 * time.Hour: 2 * time.Hour} {
		events, err := access.Decide(f, access.Request{}, access.File{Resource: "admins", Duration: asked})
		if err != nil {
			t.Fatal(err)
		}
		q, err := access.Replay(events)
		if err != nil {
			t.Fatal(err)
		}
		if q.Status != access.Approved || q.Decision.Source != access.ByPersistent || q.Expires().Sub(t0) != want {
			t.Errorf("asked for %s: %s until %s", asked, q.Status, q.Expires())
		}
		var before access.Request
		for _, e := range events {
			if err := access.Justify(before, e, r, r, nil); err != nil {
				t.Errorf("%s: %v", e.Body.Kind(), err)
			}
			before, _ = access.Apply(before, e)
		}
	}
	// Never for somebody else.
	f.Actor = access.Actor{Person: alice}
	events, err := access.Decide(f, access.Request{}, access.File{Resource: "admins", Principal: access.Actor{Person: erin}})
	if err != nil || len(events) != 1 {
		t.Errorf("on behalf of another: %d events, %v; want it to wait", len(events), err)
	}
}

func TestHoursFollowTheClockOnTheWall(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	day := anyone("day", group("sre"))
	day.Terms.Hours = &access.Hours{Days: []time.Weekday{time.Sunday}, From: 9 * time.Hour, To: 18 * time.Hour, Zone: berlin}
	r := policies(day)
	// On 2026-03-29 clocks in Berlin go from 02:00 to 03:00.
	for at, open := range map[string]bool{
		"2026-03-29T06:59:59Z": false, "2026-03-29T07:00:00Z": true, "2026-03-29T15:59:59Z": true, "2026-03-29T16:00:00Z": false,
		"2026-03-30T08:00:00Z": false,
	} {
		now, _ := time.Parse(time.RFC3339, at)
		got := (access.Facts{Now: now}).Requestable(r, erin)
		if (len(got) == 1) != open {
			t.Errorf("at %s: %d resources, want open=%t", at, len(got), open)
		}
	}
}

// TestOrderDoesNotMatter: neither that of the policies nor that of the votes.
func TestOrderDoesNotMatter(t *testing.T) {
	ps := []access.Policy{anyone("a", two("sre")), anyone("b", two("sec")), anyone("c", access.Way{Type: "manager"}, group("dba"))}
	people := []access.Person{bob, carol, dan}
	for range 200 {
		p, v := slices.Clone(ps), slices.Clone(people)
		rand.Shuffle(len(p), func(i, j int) { p[i], p[j] = p[j], p[i] })
		rand.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
		got := votes(t, policies(p...), policies(p...), nil, v...)
		if !slices.Contains(got, "approved") {
			t.Fatalf("%v in order %v: %v", v, p, got)
		}
	}
}

func TestApprovers(t *testing.T) {
	for name, c := range map[string]struct {
		rules *access.Rules
		want  []string
	}{
		"default":   {rules(), []string{"bob@example.com", "carol@partner.example"}},
		"union":     {policies(anyone("p", group("sre")), anyone("q", access.Way{Type: "manager"})), []string{"bob@example.com", "dan@example.com"}},
		"two-party": {policies(anyone("p", group("eng", "sec"))), []string{"carol@partner.example", "dan@example.com"}},
		"nobody":    {policies(anyone("p", access.Way{Type: "deny"})), nil},
	} {
		res, _ := c.rules.Resource("admins")
		if diff := cmp.Diff(c.want, (access.Facts{Now: t0}).Approvers(c.rules, alice, erin, res)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// FuzzReviewers: a reviewer who is added to today's configuration never enables
// an older request, and one who is removed never does.
func FuzzReviewers(f *testing.F) {
	f.Add(uint8(3), uint8(1), uint8(0))
	f.Fuzz(func(t *testing.T, today, filed, who uint8) {
		people := []access.Person{bob, carol, dan, erin, alice}
		set := func(bits uint8) *access.Rules {
			return with(func(r *access.Rules) {
				r.Reviewers = nil
				for i, p := range people {
					if bits&(1<<i) != 0 {
						r.Reviewers = append(r.Reviewers, p.Email)
					}
				}
			})
		}
		p := people[int(who)%len(people)]
		before := code(t, set(filed), set(filed), p, access.Approve{Request: id, For: time.Hour})
		after := code(t, set(today), set(filed), p, access.Approve{Request: id, For: time.Hour})
		if after == "ok" && before != "ok" {
			t.Fatalf("a change of today's reviewers let %s approve what they could not: %s", p.Email, before)
		}
	})
}

func BenchmarkRuling1000Policies(b *testing.B) {
	var ps []access.Policy
	for i := range 1000 {
		p := anyone(string(rune('a'+i%26)), group("sre"))
		p.Resource = access.Which{Type: "match", ID: regexp.MustCompile(`^(?:github/team-` + string(rune('a'+i%26)) + `-.*|admins)$`)}
		ps = append(ps, p)
	}
	r := policies(ps...)
	f := access.Facts{Now: t0, New: id, Actor: access.Actor{Person: alice}, Rules: r, Filed: r}
	for b.Loop() {
		if _, err := access.Decide(f, access.Request{}, access.File{Resource: "admins"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRequestable10000(b *testing.B) {
	r := policies(anyone("p", group("sre")), anyone("q", group("sec")))
	r.Policies[1].Resource = access.Which{Type: "match", ID: regexp.MustCompile(`^(?:db/.*)$`)}
	for i := range 10000 {
		r.Resources = append(r.Resources, access.Resource{ID: "db/" + time.Duration(i).String(), Target: target})
	}
	f := access.Facts{Now: t0, Rules: r}
	for b.Loop() {
		if n := len(f.Requestable(r, alice)); n != 10001 {
			b.Fatal(n)
		}
	}
}

// TestGivenIsCutToTheLimit: where no person chooses the expiry, too long a wish
// is no reason to refuse; and the order of the ways makes no difference.
func TestGivenIsCutToTheLimit(t *testing.T) {
	auto := access.Way{Type: "auto", Integration: "pagerduty", EscalationPolicies: []string{"P1"}}
	always := access.Way{Type: "persistent"}
	duties := map[string][]access.Duty{"pagerduty": {{Person: erin, Policy: "P1", Level: 1, Schedule: "S1"}}}
	for _, ways := range [][]access.Way{{auto, always}, {always, auto}} {
		r := policies(anyone("p", ways...))
		r.OnCall.PagerDuty = &access.PagerDuty{MaxEscalationLevel: 1, AutoDuration: 2 * time.Hour}
		for asked, want := range map[time.Duration]time.Duration{0: time.Hour, 9 * time.Hour: 8 * time.Hour} {
			f := access.Facts{Now: t0, New: id, Actor: access.Actor{Person: erin}, Rules: r, Filed: r, Duties: duties}
			events, err := access.Decide(f, access.Request{}, access.File{Resource: "admins", Duration: asked})
			if err != nil {
				t.Fatal(err)
			}
			if q, err := access.Replay(events); err != nil || q.Expires().Sub(t0) != want {
				t.Errorf("asked for %s: until %s (%v), want %s", asked, q.Expires(), err, want)
			}
		}
	}
}

// TestRevokeOutOfHours: the hours of a policy bound what is given, never that it
// is taken away or looked at.
func TestRevokeOutOfHours(t *testing.T) {
	day := anyone("day", group("sec"))
	day.Terms.Hours = &access.Hours{Days: []time.Weekday{time.Monday}, From: 9 * time.Hour, To: 10 * time.Hour, Zone: time.UTC}
	s := &story{t: t, now: t0, rules: policies(day)}
	s.must(alice, access.File{Resource: "admins", Principal: access.Actor{Person: erin}})
	s.must(carol, access.Approve{Request: id, For: 5 * time.Hour})
	s.now = t0.Add(3 * time.Hour)
	if err := s.try(alice, access.File{Resource: "admins"}); err == nil {
		t.Error("asked for outside the hours")
	}
	s.rules.Reviewers = nil
	s.must(dan, access.Revoke{Request: id})
}
