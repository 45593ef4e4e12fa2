package access_test

import (
	"testing"
	"time"

	"countersign/bot/access"

	"github.com/google/go-cmp/cmp"
)

// TestEarlierVotesAreHeldToTodaysLimit: a long vote from before the limit was
// lowered would be enough by itself by now, and must not outlive the limit.
func TestEarlierVotesAreHeldToTodaysLimit(t *testing.T) {
	filed, lowered := policies(anyone("p", group("sre"))), policies(anyone("p", group("sre")))
	between := policies(anyone("p", two("sre")))
	lowered.Settings.MaxDuration = time.Hour
	s := &story{t: t, now: t0, rules: filed}
	s.must(alice, access.File{Resource: "admins", Principal: access.Actor{Person: erin}})
	for _, c := range []struct {
		today *access.Rules
		by    access.Person
		lasts time.Duration
	}{{between, bob, 8 * time.Hour}, {lowered, dan, time.Hour}} {
		f := s.facts(c.by)
		f.Rules, f.Filed = c.today, filed
		events, err := access.Decide(f, s.r, access.Approve{Request: id, For: c.lasts})
		if err != nil {
			t.Fatal(err)
		}
		s.apply(events[0])
	}
	if got := s.r.Expires().Sub(s.now); got != time.Hour {
		t.Errorf("given for %s where the limit is 1h", got)
	}
	if diff := cmp.Diff([]access.Person{bob, dan}, s.r.Decision.Approvers); diff != "" {
		t.Errorf("approvers (-want +got)\n%s", diff)
	}
}

// TestAllThatCountsIsOnRecord: the filing demanded two; that one is enough by
// now leaves two on record.
func TestAllThatCountsIsOnRecord(t *testing.T) {
	filed, today := policies(anyone("p", two("sre"))), policies(anyone("p", group("sre")))
	s := &story{t: t, now: t0, rules: filed}
	s.must(alice, access.File{Resource: "admins", Principal: access.Actor{Person: erin}})
	for _, by := range []access.Person{bob, dan} {
		f := s.facts(by)
		f.Rules, f.Filed = today, filed
		events, err := access.Decide(f, s.r, access.Approve{Request: id, For: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		s.apply(events[0])
	}
	if diff := cmp.Diff([]access.Person{bob, dan}, s.r.Decision.Approvers); diff != "" {
		t.Errorf("approvers (-want +got)\n%s", diff)
	}
}

// TestWhyNobodyDecides: that a directory is silent is not that somebody is no
// approver, and an alias known at the filing alone names the right ban.
func TestWhyNobodyDecides(t *testing.T) {
	asks := anyone("dba asks", group("sre"))
	asks.Requestor = access.Whom{Type: "group", Groups: []string{"dba"}}
	filed := policies(asks)
	s := &story{t: t, now: t0, rules: filed}
	f := s.facts(alice)
	f.Members = map[string][]access.Person{"github:acme/dba": {erin}}
	events, err := access.Decide(f, s.r, access.File{Resource: "admins", Principal: access.Actor{Person: erin}})
	if err != nil {
		t.Fatal(err)
	}
	s.apply(events[0])
	for _, a := range []access.Action{access.Approve{Request: id, For: time.Hour}, access.Deny{Request: id}} {
		_, err := access.Decide(s.facts(bob), s.r, a)
		if got, _ := access.AsRefusal(err); got == nil || got.Code != access.DirectoryDown {
			t.Errorf("%T: got %v, want %s", a, err, access.DirectoryDown)
		}
	}
	al := access.Person{Email: "al@example.com", Slack: "UAL"}
	reviewed := func(people ...access.Known) *access.Rules {
		return with(func(r *access.Rules) { r.Reviewers, r.People = []string{al.Email}, people })
	}
	then := reviewed(access.Known{Email: alice.Email, Aliases: []string{al.Email}})
	if got := code(t, reviewed(), then, al, access.Approve{Request: id, For: time.Hour}); got != "own_request" {
		t.Errorf("by an alias of the filing: got %s, want own_request", got)
	}
}

// TestDemandsOfToday: what the configuration demands by the click, a request
// has to say; and an extension, like a new request, what is demanded by then.
func TestDemandsOfToday(t *testing.T) {
	strict := with(func(r *access.Rules) { r.Settings.RequireReason = true })
	for reason, want := range map[string]string{"": "reason_required", "why": "ok"} {
		s := &story{t: t, now: t0, rules: rules()}
		s.must(alice, access.File{Resource: "admins", Principal: access.Actor{Person: erin}, Reason: reason})
		f := s.facts(bob)
		f.Rules, f.Filed = strict, rules()
		_, err := access.Decide(f, s.r, access.Approve{Request: id, For: time.Hour})
		got := "ok"
		if r, ok := access.AsRefusal(err); ok {
			got = string(r.Code)
		}
		if got != want {
			t.Errorf("with reason %q: got %s, want %s", reason, got, want)
		}
	}
	s := begin(t)
	live(s)
	s.rules = policies(anyone("freeze", access.Way{Type: "deny"}))
	if err := s.try(erin, access.Extend{Request: id, By: time.Hour}); err == nil {
		t.Error("an extension of what is denied by now was filed")
	}
}

// TestStepsThatNeverComeCountNobody: who at the filing could only have come
// second, in steps that nobody can begin, is not today's second vote.
func TestStepsThatNeverComeCountNobody(t *testing.T) {
	never := access.Way{Type: "steps", Steps: [][]access.Way{{group("none")}, {group("sec")}}}
	both := access.Way{Type: "group", Groups: []string{"sre", "sec"}, Count: 2}
	filed, today := policies(anyone("p", group("sre")), anyone("never", never)), policies(anyone("p", both))
	filed.Groups = append(filed.Groups, access.Group{Name: "none"})
	got := votes(t, today, filed, nil, bob, carol, dan)
	if diff := cmp.Diff([]string{"vote", "not_yet", "approved", "group"}, got); diff != "" {
		t.Error(diff)
	}
}
