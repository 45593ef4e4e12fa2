package access_test

import (
	"slices"
	"testing"
	"time"

	"countersign/bot/access"

	"github.com/google/go-cmp/cmp"
)

// called are rules under which SRE approves, and who is on call may be called.
func called(ways ...access.Way) *access.Rules {
	r := policies(anyone("p", append([]access.Way{group("sre")}, ways...)...))
	r.OnCall.PagerDuty = &access.PagerDuty{EscalationPolicies: []string{"P1"}, Services: []string{"S1"}, From: "ops@example.com", MaxEscalationLevel: 1}
	r.OnCall.IncidentIO = &access.IncidentIO{Schedules: []string{"01H"}, EscalationPath: "01PATH"}
	return r
}

func pagerDuty(policies, services []string) access.Way {
	return access.Way{Type: "escalation", Integration: "pagerduty", EscalationPolicies: policies, Services: services}
}

// TestCallsArePinned: whom Escalate calls is what the configuration said when it
// was pressed, each integration once.
func TestCallsArePinned(t *testing.T) {
	incident := access.Way{Type: "escalation", Integration: "incidentio", Schedules: []string{"01H"}}
	for _, c := range []struct {
		name string
		ways []access.Way
		want []access.Call
	}{
		{"one", []access.Way{pagerDuty([]string{"P2"}, nil)}, []access.Call{
			{Integration: "pagerduty", Services: []string{"S1"}, EscalationPolicies: []string{"P2"}, From: "ops@example.com"}}},
		{"services alone mean the policies of the on-call section", []access.Way{pagerDuty(nil, []string{"S2"})}, []access.Call{
			{Integration: "pagerduty", Services: []string{"S1", "S2"}, EscalationPolicies: []string{"P1"}, From: "ops@example.com"}}},
		{"two ways of one integration", []access.Way{pagerDuty([]string{"P2"}, nil), pagerDuty([]string{"P3"}, nil)}, []access.Call{
			{Integration: "pagerduty", Services: []string{"S1"}, EscalationPolicies: []string{"P2", "P3"}, From: "ops@example.com"}}},
		{"both integrations", []access.Way{pagerDuty([]string{"P1"}, nil), incident}, []access.Call{
			{Integration: "incidentio", Schedules: []string{"01H"}, EscalationPath: "01PATH"},
			{Integration: "pagerduty", Services: []string{"S1"}, EscalationPolicies: []string{"P1"}, From: "ops@example.com"}}},
		{"within a step", []access.Way{{Type: "steps", Steps: [][]access.Way{{group("sec")}, {incident}}}}, []access.Call{
			{Integration: "incidentio", Schedules: []string{"01H"}, EscalationPath: "01PATH"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := begin(t)
			s.rules = called(c.ways...)
			s.must(alice, access.Escalate{Request: id})
			if d := cmp.Diff(c.want, s.r.Calls); d != "" {
				t.Error(d)
			}
			if n := len(access.Pages(s.r)); n != 0 {
				t.Errorf("%d pages before there is a message to link to", n)
			}
			s.must(nobody, access.Notify{Request: id, Post: access.Post{Notice: access.NoticeApproval, Channel: "C", TS: "1", Permalink: "https://x"}})
			s.rules = policies(anyone("p", group("sre"))) // nobody is called by now
			var got []string
			for _, p := range access.Pages(s.r) {
				got = append(got, p.Integration)
			}
			var want []string
			for _, c := range c.want {
				want = append(want, c.Integration)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("pages: %s", d)
			}
		})
	}
}

// TestEscalateUnderAskedGroups: a policy for people of a group that somebody
// else keeps offers Escalate, asks at the click, and never pages on a guess.
func TestEscalateUnderAskedGroups(t *testing.T) {
	r := called(pagerDuty([]string{"P1"}, nil))
	r.Policies[0].Requestor = access.Whom{Type: "group", Groups: []string{"dba"}}
	s := begin(t)
	if !access.ControlsOf(s.r, r, r).Escalate {
		t.Error("Escalate is not offered")
	}
	for _, c := range []struct {
		name    string
		members map[string][]access.Person
		want    access.Code
	}{
		{"the directory is down", nil, access.DirectoryDown},
		{"the principal is no member", map[string][]access.Person{"github:acme/dba": {bob}}, access.NotConfigured},
		{"the principal is a member", map[string][]access.Person{"github:acme/dba": {erin}}, ""},
	} {
		f := s.facts(alice)
		f.Rules, f.Filed, f.Members = r, r, c.members
		events, err := access.Decide(f, s.r, access.Escalate{Request: id})
		if why, _ := access.AsRefusal(err); c.want != "" && (why == nil || why.Code != c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		if called := len(events) == 1; called != (c.want == "") {
			t.Errorf("%s: %d events, %v", c.name, len(events), err)
		}
	}
	for _, c := range []struct{ today, filed *access.Rules }{{r, called(pagerDuty([]string{"P1"}, nil))}, {called(pagerDuty([]string{"P1"}, nil)), r}} {
		f := s.facts(alice)
		f.Rules, f.Filed = c.today, c.filed
		_, err := access.Decide(f, s.r, access.Escalate{Request: id})
		if why, _ := access.AsRefusal(err); why == nil || why.Code != access.DirectoryDown {
			t.Errorf("with a directory down that one of the configurations asks: %v", err)
		}
	}
	if !access.Asks(access.Escalate{}) {
		t.Error("who is in groups is not asked before people are called")
	}
}

// TestEscalationStandsInBoth: calling people who could not approve, since the
// configuration of the filing does not know them, helps nobody.
func TestEscalationStandsInBoth(t *testing.T) {
	s := begin(t)
	today, filed := called(pagerDuty([]string{"P1"}, nil)), called()
	for _, c := range []struct{ today, filed *access.Rules }{{today, filed}, {filed, today}} {
		if access.ControlsOf(s.r, c.today, c.filed).Escalate {
			t.Error("Escalate is offered")
		}
		f := s.facts(alice)
		f.Rules, f.Filed = c.today, c.filed
		if _, err := access.Decide(f, s.r, access.Escalate{Request: id}); err == nil {
			t.Error("people are called")
		}
	}
}

// TestUnpaged: where a page does not go out, its requestor is told once, after a
// minute, and the approvers are still reminded.
func TestUnpaged(t *testing.T) {
	s := begin(t)
	s.rules = called(pagerDuty([]string{"P1"}, nil))
	post := func(notice string, to access.Person) {
		s.must(nobody, access.Notify{Request: id, Post: access.Post{Notice: notice, To: to, Channel: "C" + to.Slack, TS: "1", Permalink: "https://x"}})
	}
	post(access.NoticeApproval, nobody)
	s.must(alice, access.Escalate{Request: id})
	owed := func(after time.Duration) bool {
		return slices.Contains(access.Owed(s.r, s.r.Escalated.Add(after)), access.Notice{Name: access.NoticeUnpaged, To: alice})
	}
	if owed(59 * time.Second) {
		t.Error("told before the page had a minute")
	}
	if !owed(time.Minute) {
		t.Error("not told")
	}
	if next := access.Next(s.r, s.rules); !next.Equal(s.r.Escalated.Add(time.Minute)) {
		t.Errorf("next is %s", next)
	}
	if due := access.Due(s.r, s.rules, t0.Add(15*time.Minute)); due != access.DoRemind {
		t.Errorf("due is %q while the page fails, want the reminder", due)
	}
	paged := s.r
	post(access.NoticeUnpaged, alice)
	if owed(time.Hour) {
		t.Error("told twice")
	}
	s.r = paged
	post(access.NoticePage+"-pagerduty", nobody)
	if owed(time.Hour) {
		t.Error("told though they were called")
	}
}

// TestExtensionWithoutAPerson: an extension follows the rules of a new request,
// those of today and those of the filing.
func TestExtensionWithoutAPerson(t *testing.T) {
	always := policies(anyone("p", access.Way{Type: "persistent"}, group("sre")))
	asked := policies(anyone("p", group("sre")))
	onCall := called(access.Way{Type: "auto", Integration: "pagerduty", EscalationPolicies: []string{"P1"}})
	duty := map[string][]access.Duty{"pagerduty": {{Person: erin, Policy: "P1", Level: 1, Schedule: "S"}}}
	for _, c := range []struct {
		name         string
		today, filed *access.Rules
		duties       map[string][]access.Duty
		by           time.Duration
		want         []string
	}{
		{"always given", always, always, nil, time.Hour, []string{"extension_requested", "extended"}},
		{"no more today", asked, always, nil, time.Hour, []string{"extension_requested"}},
		{"not at the filing", always, asked, nil, time.Hour, []string{"extension_requested"}},
		{"beyond the limit", always, always, nil, 8 * time.Hour, nil},
		{"on call", onCall, onCall, duty, time.Hour, []string{"extension_requested", "extended"}},
		{"not on call any more", onCall, onCall, map[string][]access.Duty{"pagerduty": nil}, time.Hour, []string{"extension_requested"}},
		{"on-call service down", onCall, onCall, nil, time.Hour, []string{"extension_requested"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &story{t: t, now: t0, rules: policies(anyone("p", group("sre")))}
			s.must(erin, access.File{Resource: "admins", Duration: time.Hour})
			s.must(bob, access.Approve{Request: id, For: time.Hour})
			s.must(nobody, access.Intend{Request: id, Subject: "erin@example.com", Before: access.Absent}, access.Confirm{Request: id})
			f := s.facts(erin)
			f.Rules, f.Filed, f.Duties = c.today, c.filed, c.duties
			ends := s.r.Expires()
			events, err := access.Decide(f, s.r, access.Extend{Request: id, By: c.by})
			if (err != nil) != (c.want == nil) {
				t.Fatal(err)
			}
			var got []string
			for _, e := range events {
				if why := access.Justify(s.r, e, c.today, c.filed, nil); why != nil {
					t.Errorf("%s is not justified: %v", e.Body.Kind(), why)
				}
				s.apply(e)
				got = append(got, e.Body.Kind())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Fatal(d)
			}
			if len(c.want) < 2 {
				return
			}
			if !s.r.Expires().Equal(ends.Add(c.by)) || s.r.Extension != nil {
				t.Errorf("ends %s, extension %v", s.r.Expires(), s.r.Extension)
			}
			forged := events[1]
			if access.Justify(s.r, forged, asked, asked, nil) == nil {
				t.Error("is justified where it takes people")
			}
		})
	}
}

// TestDenialNamesItsPolicies: a denial records by which policies it was made.
func TestDenialNamesItsPolicies(t *testing.T) {
	s := begin(t)
	s.rules = policies(anyone("one", group("sre")), anyone("two", group("sec")))
	s.must(bob, access.Deny{Request: id, Reason: "no"})
	if d := cmp.Diff([]string{"one", "two"}, s.r.Decision.Policies); d != "" {
		t.Error(d)
	}
}

// TestUnreachedIsKept: who could not be asked stands in the event and, of the
// filing, in the request.
func TestUnreachedIsKept(t *testing.T) {
	r := called(access.Way{Type: "auto", Integration: "pagerduty", EscalationPolicies: []string{"P1"}})
	f := access.Facts{Now: t0, New: id, Actor: access.Actor{Person: erin}, Rules: r, Unreached: []string{"pagerduty"}}
	events, err := access.Decide(f, access.Request{}, access.File{Resource: "admins"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := access.Replay(events)
	if err != nil || got.Status != access.Pending {
		t.Fatalf("%s, %v", got.Status, err)
	}
	if d := cmp.Diff([]string{"pagerduty"}, got.Unreached); d != "" {
		t.Error(d)
	}
}

// TestVotesOutliveAnOutage: a vote that cannot be counted while a directory is
// down counts again once it answers, at anybody's next click.
func TestVotesOutliveAnOutage(t *testing.T) {
	r := policies(anyone("p", access.Way{Type: "group", Groups: []string{"sec", "dba"}, Count: 2}))
	in := map[string][]access.Person{"github:acme/dba": {bob}}
	for _, last := range []access.Person{bob, carol} {
		s := begin(t)
		s.rules = r
		vote := func(by access.Person, members map[string][]access.Person) error {
			s.now = s.now.Add(time.Minute)
			f := s.facts(by)
			f.Members = members
			events, err := access.Decide(f, s.r, access.Approve{Request: id, For: time.Hour})
			for _, e := range events {
				s.apply(e)
			}
			return err
		}
		if err := vote(bob, in); err != nil {
			t.Fatal(err)
		}
		if err := vote(carol, nil); err != nil || s.r.Status != access.Pending {
			t.Fatalf("with the directory down: %s, %v", s.r.Status, err)
		}
		if err := vote(last, in); err != nil || s.r.Status != access.Approved {
			t.Errorf("%s clicks again: %s, %v", last.Email, s.r.Status, err)
			continue
		}
		if d := cmp.Diff([]access.Person{bob, carol}, s.r.Decision.Approvers); d != "" {
			t.Error(d)
		}
	}
}
