package access_test

import (
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
)

// policyTable is the table of what access policies add. Erin asks for herself;
// bob and dan are the two of SRE that it takes, carol is on call and a reviewer,
// alice is nobody here, gus a guest with bob's address.
const policyTable = `
approve     erin            bob              dan              carol            alice            gus
pending     not_an_approver ok               ok               not_an_approver  not_an_approver  account_barred
voted       not_an_approver already_voted    ok               not_an_approver  not_an_approver  account_barred
escalated   not_an_approver ok               ok               ok               not_an_approver  account_barred
given       already_decided already_decided  already_decided  already_decided  already_decided  account_barred
taken       already_decided already_decided  already_decided  already_decided  already_decided  account_barred
reviewed    already_decided already_decided  already_decided  already_decided  already_decided  account_barred
denied      already_decided already_decided  already_decided  already_decided  already_decided  account_barred

deny        erin            bob              dan              carol            alice            gus
pending     not_an_approver ok               ok               not_an_approver  not_an_approver  account_barred
voted       not_an_approver ok               ok               not_an_approver  not_an_approver  account_barred
escalated   not_an_approver ok               ok               ok               not_an_approver  account_barred
given       already_decided already_decided  already_decided  already_decided  already_decided  account_barred
taken       already_decided already_decided  already_decided  already_decided  already_decided  account_barred
reviewed    already_decided already_decided  already_decided  already_decided  already_decided  account_barred
denied      already_decided already_decided  already_decided  already_decided  already_decided  account_barred

escalate    erin            bob              dan              carol            alice            gus
pending     ok              not_yours        not_yours        not_yours        not_yours        account_barred
voted       ok              not_yours        not_yours        not_yours        not_yours        account_barred
escalated   -               not_yours        not_yours        not_yours        not_yours        account_barred
given       already_decided not_yours        not_yours        not_yours        not_yours        account_barred
taken       already_decided not_yours        not_yours        not_yours        not_yours        account_barred
reviewed    already_decided not_yours        not_yours        not_yours        not_yours        account_barred
denied      already_decided not_yours        not_yours        not_yours        not_yours        account_barred

break-glass erin            bob              dan              carol            alice            gus
pending     ok              not_yours        not_yours        not_yours        not_yours        account_barred
voted       ok              not_yours        not_yours        not_yours        not_yours        account_barred
escalated   ok              not_yours        not_yours        not_yours        not_yours        account_barred
given       already_decided not_yours        not_yours        not_yours        not_yours        account_barred
taken       already_decided not_yours        not_yours        not_yours        not_yours        account_barred
reviewed    already_decided not_yours        not_yours        not_yours        not_yours        account_barred
denied      already_decided not_yours        not_yours        not_yours        not_yours        account_barred

review      erin            bob              dan              carol            alice            gus
pending     not_live        not_live         not_live         not_live         not_live         account_barred
voted       not_live        not_live         not_live         not_live         not_live         account_barred
escalated   not_live        not_live         not_live         not_live         not_live         account_barred
given       not_live        not_live         not_live         not_live         not_live         account_barred
taken       own_request     ok               ok               ok               not_an_approver  account_barred
reviewed    already_decided already_decided  already_decided  already_decided  already_decided  account_barred
denied      not_live        not_live         not_live         not_live         not_live         account_barred

revoke      erin            bob              dan              carol            alice            gus
pending     not_a_reviewer  not_live         not_live         not_live         not_a_reviewer   account_barred
voted       not_a_reviewer  not_live         not_live         not_live         not_a_reviewer   account_barred
escalated   not_a_reviewer  not_live         not_live         not_live         not_a_reviewer   account_barred
given       not_a_reviewer  ok               ok               ok               not_a_reviewer   account_barred
taken       not_a_reviewer  ok               ok               ok               not_a_reviewer   account_barred
reviewed    not_a_reviewer  ok               ok               ok               not_a_reviewer   account_barred
denied      not_a_reviewer  not_live         not_live         not_live         not_a_reviewer   account_barred
`

var policyActions = map[string]access.Action{
	"approve":     access.Approve{Request: id, For: time.Hour},
	"deny":        access.Deny{Request: id},
	"escalate":    access.Escalate{Request: id},
	"break-glass": access.BreakGlass{Request: id, Reason: "no time to lose"},
	"review":      access.ReviewAccess{Request: id, Text: "it was needed"},
	"revoke":      access.Revoke{Request: id},
}

// policyStates are reached by these steps from the filing.
var policyStates = map[string]func(*policyStory){
	"pending":   func(*policyStory) {},
	"voted":     func(s *policyStory) { s.do(bob, "approve") },
	"escalated": func(s *policyStory) { s.do(erin, "escalate") },
	"given":     func(s *policyStory) { s.do(bob, "approve").do(dan, "approve") },
	"taken":     func(s *policyStory) { s.do(erin, "break-glass") },
	"reviewed":  func(s *policyStory) { s.do(erin, "break-glass").do(bob, "review") },
	"denied":    func(s *policyStory) { s.do(bob, "deny") },
}

type policyStory struct{ *story }

func (s *policyStory) decide(by access.Actor, action string) string {
	s.t.Helper()
	f := s.facts(by.Person)
	f.Actor, f.Duties = by, map[string][]access.Duty{"pagerduty": {{Person: carol, Policy: "P1", Level: 2}}}
	events, err := access.Decide(f, s.r, policyActions[action])
	if why, refused := access.AsRefusal(err); refused {
		return string(why.Code)
	}
	if err != nil {
		return err.Error()
	}
	if len(events) == 0 {
		return "-"
	}
	for _, e := range events {
		s.apply(e)
	}
	s.now = s.now.Add(time.Minute)
	return "ok"
}

func (s *policyStory) do(by access.Person, action string) *policyStory {
	s.t.Helper()
	if got := s.decide(access.Actor{Person: by}, action); got != "ok" {
		s.t.Fatalf("%s by %s: %s", action, by.Email, got)
	}
	return s
}

func TestPolicyStateTable(t *testing.T) {
	rules := called(pagerDuty([]string{"P1"}, nil))
	rules.Policies[0].Approval[0] = two("sre")
	rules.Policies[0].Terms.BreakGlass = true
	cells := 0
	for block := range strings.SplitSeq(strings.TrimSpace(policyTable), "\n\n") {
		lines := strings.Split(block, "\n")
		head := strings.Fields(lines[0])
		for _, line := range lines[1:] {
			f := strings.Fields(line)
			for i, want := range f[1:] {
				cells++
				t.Run(head[0]+"/"+f[0]+"/"+head[i+1], func(t *testing.T) {
					s := &policyStory{&story{t: t, now: t0, rules: rules}}
					s.must(erin, access.File{Resource: "admins", Duration: time.Hour, Reason: "why"})
					policyStates[f[0]](s)
					if got := s.decide(tableActors[head[i+1]], head[0]); got != want {
						t.Errorf("got %s, want %s", got, want)
					}
				})
			}
		}
	}
	if want := len(policyActions) * len(policyStates) * 6; cells != want {
		t.Errorf("the table has %d cells, want %d: a state or an action is missing", cells, want)
	}
}
