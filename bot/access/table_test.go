package access_test

import (
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
)

// table says for every state, action and actor what happens: "ok" records
// something, "-" does nothing, anything else is the code of the refusal. The
// columns are alice (requestor), erin (principal), bob and carol (reviewers),
// dan (nobody), and gus (a guest who is a reviewer by address).
const table = `
approve     alice           erin            bob              carol            dan              gus
pending     not_a_reviewer  not_a_reviewer  ok               ok               not_a_reviewer   account_barred
approved    already_decided already_decided already_decided  already_decided  already_decided  account_barred
intended    already_decided already_decided already_decided  already_decided  already_decided  account_barred
live        already_decided already_decided already_decided  already_decided  already_decided  account_barred
extending   already_decided already_decided already_decided  already_decided  already_decided  account_barred
ending      already_decided already_decided already_decided  already_decided  already_decided  account_barred
expired     already_decided already_decided already_decided  already_decided  already_decided  account_barred
revoked     already_decided already_decided already_decided  already_decided  already_decided  account_barred
given_back  already_decided already_decided already_decided  already_decided  already_decided  account_barred
denied      already_decided already_decided already_decided  already_decided  already_decided  account_barred
cancelled   already_decided already_decided already_decided  already_decided  already_decided  account_barred
timed_out   already_decided already_decided already_decided  already_decided  already_decided  account_barred
failed      already_decided already_decided already_decided  already_decided  already_decided  account_barred

deny        alice           erin            bob              carol            dan              gus
pending     not_a_reviewer  not_a_reviewer  ok               ok               not_a_reviewer   account_barred
approved    already_decided already_decided already_decided  already_decided  already_decided  account_barred
intended    already_decided already_decided already_decided  already_decided  already_decided  account_barred
live        already_decided already_decided already_decided  already_decided  already_decided  account_barred
extending   already_decided already_decided already_decided  already_decided  already_decided  account_barred
ending      already_decided already_decided already_decided  already_decided  already_decided  account_barred
expired     already_decided already_decided already_decided  already_decided  already_decided  account_barred
revoked     already_decided already_decided already_decided  already_decided  already_decided  account_barred
given_back  already_decided already_decided already_decided  already_decided  already_decided  account_barred
denied      already_decided already_decided already_decided  already_decided  already_decided  account_barred
cancelled   already_decided already_decided already_decided  already_decided  already_decided  account_barred
timed_out   already_decided already_decided already_decided  already_decided  already_decided  account_barred
failed      already_decided already_decided already_decided  already_decided  already_decided  account_barred

cancel      alice           erin            bob              carol            dan              gus
pending     ok              not_yours       not_yours        not_yours        not_yours        account_barred
approved    already_decided not_yours       not_yours        not_yours        not_yours        account_barred
intended    already_decided not_yours       not_yours        not_yours        not_yours        account_barred
live        already_decided not_yours       not_yours        not_yours        not_yours        account_barred
extending   already_decided not_yours       not_yours        not_yours        not_yours        account_barred
ending      already_decided not_yours       not_yours        not_yours        not_yours        account_barred
expired     already_decided not_yours       not_yours        not_yours        not_yours        account_barred
revoked     already_decided not_yours       not_yours        not_yours        not_yours        account_barred
given_back  already_decided not_yours       not_yours        not_yours        not_yours        account_barred
denied      already_decided not_yours       not_yours        not_yours        not_yours        account_barred
cancelled   already_decided not_yours       not_yours        not_yours        not_yours        account_barred
timed_out   already_decided not_yours       not_yours        not_yours        not_yours        account_barred
failed      already_decided not_yours       not_yours        not_yours        not_yours        account_barred

revoke      alice           erin            bob              carol            dan              gus
pending     not_a_reviewer  not_a_reviewer  not_live         not_live         not_a_reviewer   account_barred
approved    not_a_reviewer  not_a_reviewer  ok               ok               not_a_reviewer   account_barred
intended    not_a_reviewer  not_a_reviewer  ok               ok               not_a_reviewer   account_barred
live        not_a_reviewer  not_a_reviewer  ok               ok               not_a_reviewer   account_barred
extending   not_a_reviewer  not_a_reviewer  ok               ok               not_a_reviewer   account_barred
ending      not_a_reviewer  not_a_reviewer  already_ending   already_ending   not_a_reviewer   account_barred
expired     not_a_reviewer  not_a_reviewer  not_live         not_live         not_a_reviewer   account_barred
revoked     not_a_reviewer  not_a_reviewer  not_live         not_live         not_a_reviewer   account_barred
given_back  not_a_reviewer  not_a_reviewer  not_live         not_live         not_a_reviewer   account_barred
denied      not_a_reviewer  not_a_reviewer  not_live         not_live         not_a_reviewer   account_barred
cancelled   not_a_reviewer  not_a_reviewer  not_live         not_live         not_a_reviewer   account_barred
timed_out   not_a_reviewer  not_a_reviewer  not_live         not_live         not_a_reviewer   account_barred
failed      not_a_reviewer  not_a_reviewer  not_live         not_live         not_a_reviewer   account_barred

give-back   alice           erin            bob              carol            dan              gus
pending     not_live        not_live        not_yours        not_yours        not_yours        account_barred
approved    ok              ok              not_yours        not_yours        not_yours        account_barred
intended    ok              ok              not_yours        not_yours        not_yours        account_barred
live        ok              ok              not_yours        not_yours        not_yours        account_barred
extending   ok              ok              not_yours        not_yours        not_yours        account_barred
ending      already_ending  already_ending  not_yours        not_yours        not_yours        account_barred
expired     not_live        not_live        not_yours        not_yours        not_yours        account_barred
revoked     not_live        not_live        not_yours        not_yours        not_yours        account_barred
given_back  not_live        not_live        not_yours        not_yours        not_yours        account_barred
denied      not_live        not_live        not_yours        not_yours        not_yours        account_barred
cancelled   not_live        not_live        not_yours        not_yours        not_yours        account_barred
timed_out   not_live        not_live        not_yours        not_yours        not_yours        account_barred
failed      not_live        not_live        not_yours        not_yours        not_yours        account_barred

extend      alice           erin            bob              carol            dan              gus
pending     not_live        not_live        not_yours        not_yours        not_yours        account_barred
approved    not_live        not_live        not_yours        not_yours        not_yours        account_barred
intended    not_live        not_live        not_yours        not_yours        not_yours        account_barred
live        ok              ok              not_yours        not_yours        not_yours        account_barred
extending   already_decided already_decided not_yours        not_yours        not_yours        account_barred
ending      not_live        not_live        not_yours        not_yours        not_yours        account_barred
expired     not_live        not_live        not_yours        not_yours        not_yours        account_barred
revoked     not_live        not_live        not_yours        not_yours        not_yours        account_barred
given_back  not_live        not_live        not_yours        not_yours        not_yours        account_barred
denied      not_live        not_live        not_yours        not_yours        not_yours        account_barred
cancelled   not_live        not_live        not_yours        not_yours        not_yours        account_barred
timed_out   not_live        not_live        not_yours        not_yours        not_yours        account_barred
failed      not_live        not_live        not_yours        not_yours        not_yours        account_barred

allow-more  alice           erin            bob              carol            dan              gus
pending     stale_button    stale_button    stale_button     stale_button     stale_button     account_barred
approved    stale_button    stale_button    stale_button     stale_button     stale_button     account_barred
intended    stale_button    stale_button    stale_button     stale_button     stale_button     account_barred
live        stale_button    stale_button    stale_button     stale_button     stale_button     account_barred
extending   not_a_reviewer  not_a_reviewer  ok               ok               not_a_reviewer   account_barred
ending      stale_button    stale_button    stale_button     stale_button     stale_button     account_barred
expired     stale_button    stale_button    stale_button     stale_button     stale_button     account_barred
revoked     stale_button    stale_button    stale_button     stale_button     stale_button     account_barred
given_back  stale_button    stale_button    stale_button     stale_button     stale_button     account_barred
denied      stale_button    stale_button    stale_button     stale_button     stale_button     account_barred
cancelled   stale_button    stale_button    stale_button     stale_button     stale_button     account_barred
timed_out   stale_button    stale_button    stale_button     stale_button     stale_button     account_barred
failed      stale_button    stale_button    stale_button     stale_button     stale_button     account_barred

deny-more   alice           erin            bob              carol            dan              gus
live        stale_button    stale_button    stale_button     stale_button     stale_button     account_barred
extending   not_a_reviewer  not_a_reviewer  ok               ok               not_a_reviewer   account_barred
ending      stale_button    stale_button    stale_button     stale_button     stale_button     account_barred
expired     stale_button    stale_button    stale_button     stale_button     stale_button     account_barred
`

var tableActions = map[string]access.Action{
	"approve":    access.Approve{Request: id, For: time.Hour},
	"deny":       access.Deny{Request: id},
	"cancel":     access.Cancel{Request: id},
	"revoke":     access.Revoke{Request: id},
	"give-back":  access.GiveBack{Request: id},
	"extend":     access.Extend{Request: id, By: time.Hour},
	"allow-more": access.ApproveExtension{Request: id, Round: 1},
	"deny-more":  access.DenyExtension{Request: id, Round: 1},
}

var tableActors = map[string]access.Actor{
	"alice": {Person: alice}, "erin": {Person: erin}, "bob": {Person: bob}, "carol": {Person: carol}, "dan": {Person: dan},
	"gus": {Person: access.Person{Email: "bob@example.com", Slack: "UGUS"}, Barred: "Guests cannot decide."},
}

func reach(t *testing.T, name string) *story {
	t.Helper()
	for _, s := range states {
		if s.name == name {
			x := begin(t)
			s.reach(x)
			return x
		}
	}
	t.Fatalf("no state %q", name)
	return nil
}

func TestStateTable(t *testing.T) {
	cells := 0
	for block := range strings.SplitSeq(strings.TrimSpace(table), "\n\n") {
		lines := strings.Split(block, "\n")
		head := strings.Fields(lines[0])
		for _, line := range lines[1:] {
			f := strings.Fields(line)
			for i, want := range f[1:] {
				cells++
				t.Run(head[0]+"/"+f[0]+"/"+head[i+1], func(t *testing.T) {
					s := reach(t, f[0])
					if got := s.outcome(tableActors[head[i+1]], tableActions[head[0]]); got != want {
						t.Errorf("got %s, want %s", got, want)
					}
				})
			}
		}
	}
	if want := 7*len(states)*6 + 4*6; cells != want {
		t.Errorf("the table has %d cells, want %d: a state or an action is missing", cells, want)
	}
}

// outcome decides without applying, and says in a word what came of it.
func (s *story) outcome(by access.Actor, a access.Action) string {
	f := s.facts(by.Person)
	f.Actor = by
	events, err := access.Decide(f, s.r, a)
	if r, ok := access.AsRefusal(err); ok {
		return string(r.Code)
	}
	switch {
	case err != nil:
		return err.Error()
	case len(events) == 0:
		return "-"
	}
	for _, e := range events {
		s.apply(e)
	}
	return "ok"
}

// TestEndedStaysEnded: no action by anybody, nor any step of the bot's, changes
// the status of a request that has ended.
func TestEndedStaysEnded(t *testing.T) {
	for _, st := range states {
		s := reach(t, st.name)
		if !s.r.Status.Ended() {
			continue
		}
		was := s.r.Status
		actions := []access.Action{
			access.Intend{Request: id, Subject: "erin@example.com", Before: access.Absent}, access.Confirm{Request: id},
			access.Fail{Request: id, Error: "x"}, access.Expire{Request: id}, access.Finish{Request: id},
			access.TimeOut{Request: id}, access.Remind{Request: id}, access.Say{Request: id, TS: "9", Text: "late"},
		}
		for _, a := range tableActions {
			actions = append(actions, a)
		}
		s.now = s.now.Add(100 * 24 * time.Hour)
		for _, a := range actions {
			for _, who := range tableActors {
				s.outcome(who, a)
			}
			s.outcome(access.Actor{}, a)
		}
		if s.r.Status != was {
			t.Errorf("%s became %s", was, s.r.Status)
		}
	}
}
