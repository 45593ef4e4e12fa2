package access_test

import (
	"testing"
	"time"

	"countersign/bot/access"
)

// The cast of the tests. Alice asks for Erin, so that requestor and principal
// are two people; Bob and Carol review.
var (
	alice = access.Person{Email: "alice@example.com", Slack: "UALICE"}
	erin  = access.Person{Email: "erin@example.com", Slack: "UERIN"}
	bob   = access.Person{Email: "bob@example.com", Slack: "UBOB"}
	carol = access.Person{Email: "carol@partner.example", Slack: "UCAROL"}
	dan   = access.Person{Email: "dan@example.com", Slack: "UDAN"}
)

const id = "01KAQ00000000000000000000A"

var (
	t0     = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	target = access.Target{Provider: "gitops", With: map[string]any{"key": "admins"}}
)

func rules() *access.Rules {
	return &access.Rules{
		Commit:    "c0ffee",
		Reviewers: []string{"bob@example.com", "carol@partner.example"},
		Auditors:  []string{"audrey@example.com"},
		Settings: access.Settings{
			ExpiryOptions:  []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour},
			MaxDuration:    30 * 24 * time.Hour,
			PendingTimeout: 14 * 24 * time.Hour,
			Reminders:      []time.Duration{15 * time.Minute, time.Hour},
		},
		Resources: []access.Resource{{ID: "admins", Title: "Admins", MaxDuration: 8 * time.Hour, Target: target}},
	}
}

func with(change func(*access.Rules)) *access.Rules {
	r := rules()
	change(r)
	return r
}

// story drives a request through actions, one minute apart.
type story struct {
	t     *testing.T
	r     access.Request
	now   time.Time
	rules *access.Rules
	log   []access.Event
}

func begin(t *testing.T) *story {
	t.Helper()
	s := &story{t: t, now: t0, rules: rules()}
	s.must(alice, access.File{Resource: "admins", Principal: access.Actor{Person: erin}, Duration: time.Hour, Reason: "why"})
	return s
}

func (s *story) facts(by access.Person) access.Facts {
	return access.Facts{Now: s.now, New: id, Actor: access.Actor{Person: by}, Rules: s.rules, Filed: s.rules}
}

// try decides and applies what was decided.
func (s *story) try(by access.Person, a access.Action) error {
	s.t.Helper()
	events, err := access.Decide(s.facts(by), s.r, a)
	if err != nil {
		return err
	}
	for _, e := range events {
		s.apply(e)
	}
	s.now = s.now.Add(time.Minute)
	return nil
}

func (s *story) apply(e access.Event) {
	s.t.Helper()
	r, err := access.Apply(s.r, e)
	if err != nil {
		s.t.Fatalf("a decision yielded an event that Apply rejects: %v", err)
	}
	s.r, s.log = r, append(s.log, e)
}

func (s *story) must(by access.Person, actions ...access.Action) *story {
	s.t.Helper()
	for _, a := range actions {
		if err := s.try(by, a); err != nil {
			s.t.Fatalf("%T by %s: %v", a, by.Email, err)
		}
	}
	return s
}

var nobody access.Person

// The states of a request, each reached through real decisions.
var states = []struct {
	name  string
	reach func(*story)
}{
	{"pending", func(*story) {}},
	{"approved", func(s *story) { s.must(bob, access.Approve{Request: id, For: time.Hour}) }},
	{"intended", func(s *story) {
		s.must(bob, access.Approve{Request: id, For: time.Hour})
		s.must(nobody, access.Intend{Request: id, Subject: "erin@example.com", Before: access.Absent})
	}},
	{"live", live},
	{"extending", func(s *story) {
		live(s)
		s.must(erin, access.Extend{Request: id, By: time.Hour})
	}},
	{"ending", func(s *story) {
		live(s)
		s.must(carol, access.Revoke{Request: id})
	}},
	{"expired", func(s *story) {
		live(s)
		s.now = s.r.Expires()
		s.must(nobody, access.Expire{Request: id}, access.Finish{Request: id})
	}},
	{"revoked", func(s *story) {
		live(s)
		s.must(carol, access.Revoke{Request: id})
		s.must(nobody, access.Finish{Request: id})
	}},
	{"given_back", func(s *story) {
		live(s)
		s.must(erin, access.GiveBack{Request: id})
		s.must(nobody, access.Finish{Request: id})
	}},
	{"denied", func(s *story) { s.must(bob, access.Deny{Request: id, Reason: "no"}) }},
	{"cancelled", func(s *story) { s.must(alice, access.Cancel{Request: id}) }},
	{"timed_out", func(s *story) {
		s.now = s.now.Add(15 * 24 * time.Hour)
		s.must(nobody, access.TimeOut{Request: id})
	}},
	{"failed", func(s *story) {
		s.must(bob, access.Approve{Request: id, For: time.Hour})
		s.must(nobody, access.Fail{Request: id, Error: "no account", Final: true})
	}},
}

func live(s *story) {
	s.must(bob, access.Approve{Request: id, For: time.Hour})
	s.must(nobody, access.Intend{Request: id, Subject: "erin@example.com", Before: access.Absent}, access.Confirm{Request: id})
}
