package slackapp_test

import (
	"fmt"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/slackapp"
	"countersign/bot/slacksim"
)

// paging puts PagerDuty into the configuration, with somebody on call there.
func paging(who access.Person) func(*slacksim.Config, *book) {
	return func(_ *slacksim.Config, b *book) {
		b.rules.OnCall.PagerDuty = &access.PagerDuty{AutoApprove: true, EscalationPolicies: []string{"P1"}, Services: []string{"S1"}, MaxEscalationLevel: 1, RequireSchedule: true}
		b.duties = map[string][]access.Duty{"pagerduty": {{Person: who, Policy: "P1", Level: 1, Schedule: "SCH1"}}}
	}
}

func TestEscalate(t *testing.T) {
	s := start(t, paging(access.Person{Email: "dan@example.com", Slack: "U0DAN"}))
	r, m := s.filed("alice", "db/orders 1h why")
	button := m.Element("escalate")
	if button["confirm"] == nil {
		t.Fatalf("Escalate asks no question: %v", button)
	}
	s.click("dan", m, "approve")
	s.told("dan", "You are not a reviewer")
	s.click("bob", m, "escalate")
	s.told("bob", "Only <@U0ALICE> can escalate")
	s.click("alice", m, "escalate")
	m = s.shows(r.ID, "*Escalated* <!date^", "the people on call are being paged")
	if m.HasAction("escalate") {
		t.Error("Escalate stands after the escalation")
	}
	s.written("alice", "is filed", "*Escalated*")
	for _, p := range access.Pages(s.request(r.ID)) {
		s.book.must(t, access.Notify{Request: r.ID, Post: access.Post{
			Notice: access.NoticePage + "-" + p.Integration, Channel: p.Integration, TS: "Q1", Permalink: "https://acme.pagerduty.example/incidents/Q1",
		}})
	}
	s.shows(r.ID, "paged: <https://acme.pagerduty.example/incidents/Q1|PagerDuty incident>")
	s.click("dan", m, "approve")
	s.shows(r.ID, "*Approved* by <@U0DAN> (on call in PagerDuty)", "*Escalated*")
	s.written("alice", "approved by <@U0DAN> (on call in PagerDuty)")
	s.command("alice", "/access show "+r.ID)
	s.told("alice", "<@U0ALICE> escalated; paged: <https://acme", "approved by <@U0DAN> (on call in PagerDuty) until")
	s.noFindings()
}

// TestOnCallIsToldOfWhatItMayDecide: since the escalation, and by nobody else's word.
func TestOnCallIsToldOfWhatItMayDecide(t *testing.T) {
	for name, policies := range map[string][]access.Policy{
		"default approvals": nil,
		"access policies": {{Name: "on call", Requestor: anyone, Resource: access.Which{Type: "any"}, Approval: []access.Way{
			{Type: "reviewers"}, {Type: "escalation", Integration: "pagerduty", EscalationPolicies: []string{"P1"}},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, paging(access.Person{Email: "dan@example.com", Slack: "U0DAN"}), func(_ *slacksim.Config, b *book) { b.rules.Policies = policies })
			r, _ := s.filed("alice", "db/orders 1h why")
			s.command("dan", "/access show "+r.ID)
			s.told("dan", "There is no request")
			s.command("dan", "/access pending")
			s.told("dan", "Nothing waits for approval.")
			s.command("alice", "/access escalate "+r.ID)
			s.status(r.ID, access.Pending)
			s.shows(r.ID, "*Escalated*")
			s.command("dan", "/access show "+r.ID)
			s.told("dan", "<@U0ALICE> escalated", "Reason: why")
			s.command("dan", "/access pending")
			s.told("dan", "<@U0ALICE> asks for access to Orders", r.ID)
			if err := s.slack.As("dan").OpenHome(); err != nil {
				t.Fatal(err)
			}
			s.eventually("it to wait for dan", func() bool { return s.slack.As("dan").Home().Element("open") != nil })
			s.command("gus", "/access show "+r.ID)
			s.told("gus", "Guests")
			s.noFindings()
		})
	}
}

func TestEscalateByCommand(t *testing.T) {
	s := start(t, paging(access.Person{Email: "dan@example.com", Slack: "U0DAN"}))
	r, _ := s.filed("alice", "db/orders 1h why")
	s.command("bob", "/access escalate "+r.ID)
	s.told("bob", "Only <@U0ALICE> can escalate")
	s.command("alice", "/access escalate "+r.ID)
	s.told("alice", "is escalated: the people on call are paged")
	s.shows(r.ID, "*Escalated*")
	s.noFindings()
}

// TestOnCallNow: who is on call is given access at once, and everybody reads why.
func TestOnCallNow(t *testing.T) {
	s := start(t, paging(access.Person{Email: "alice@example.com"}))
	r, m := s.filed("alice", "db/orders 1h why")
	if !holds(m, "*Approved* because <@U0ALICE> is on call (PagerDuty)") || m.HasAction("approve") {
		t.Errorf("the message is %s", textOf(m.Blocks))
	}
	s.written("alice", "is approved because <@U0ALICE> is on call (PagerDuty)")
	s.status(r.ID, access.Approved)
	s.noFindings()
}

func TestPersistent(t *testing.T) {
	s := start(t, under(access.Policy{
		Name: "always", Requestor: eng(), Resource: about("db/.*"), Approval: []access.Way{{Type: "persistent"}},
	}))
	r, m := s.filed("alice", "db/orders 1h why")
	if !holds(m, "*Approved* by policy “always” <!date^") {
		t.Errorf("the message is %s", textOf(m.Blocks))
	}
	s.written("alice", "is approved by policy “always” until")
	s.command("alice", "/access who db/orders")
	s.told("alice", "It is given to you at once")
	s.status(r.ID, access.Approved)
	s.noFindings()
}

// TestInvitationsFollowTheState: whoever was asked reads how it went on.
func TestInvitationsFollowTheState(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(s *stage, r access.Request, m slacksim.Message)
		want string
	}{
		"cancelled": {func(s *stage, _ access.Request, m slacksim.Message) { s.click("alice", m, "cancel") }, "cancelled by <@U0ALICE>"},
		"denied": {func(s *stage, _ access.Request, m slacksim.Message) {
			s.click("bob", m, "deny")
			if _, err := s.slack.As("bob").Submit(s.modal("bob").ID(), map[string]map[string]any{"reason": {"reason": "no"}}); err != nil {
				s.Fatal(err)
			}
		}, "denied by <@U0BOB>"},
		"other rules": {func(s *stage, _ access.Request, _ slacksim.Message) {
			s.book.mu.Lock()
			rules := *s.book.rules
			rules.Commit = "c0ffee2"
			rules.Groups = []access.Group{{Name: "eng", Members: []string{"alice@example.com"}}, {Name: "sre", Members: []string{"carol@partner.example"}}}
			s.book.rules = &rules
			s.book.old[rules.Commit] = &rules
			s.book.mu.Unlock()
			s.app.RulesChanged()
		}, "who may approve it has changed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, under(quorum()))
			r, m := s.filed("alice", "github/payments-admins 1h why")
			s.invitation("bob", r.ID, "waits for approval")
			s.invitation("dan", r.ID, "waits for approval")
			c.end(s, r, m)
			s.invitation("bob", r.ID, c.want)
			s.invitation("dan", r.ID, c.want)
			s.noInvitation("bob", "dan", "carol")
			s.noFindings()
		})
	}
}

// TestInvitedOnce: neither a restart nor a lost answer asks anybody twice, and a
// crash before the record leaves nobody with an invitation that stays.
func TestInvitedOnce(t *testing.T) {
	s := set(t, under(quorum()))
	s.book.broken = func(c access.Command) error {
		if n, ok := c.Do.(access.Notify); ok && n.Post.Notice == "approve" {
			return errNoDisk
		}
		return nil
	}
	s.run()
	s.eventually("the app to be ready", func() bool { return s.app.Ready() == nil })
	s.command("alice", "/access request github/payments-admins 1h why")
	s.eventually("the filing", func() bool { return len(s.book.Requests()) == 1 })
	r := s.book.Requests()[0]
	s.invitation("bob", r.ID, "waits for approval")
	s.invitation("dan", r.ID, "waits for approval")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // times are recorded to the second
	s.book.mu.Lock()
	s.book.broken = nil
	s.book.mu.Unlock()
	s.run()
	s.eventually("the app to be ready", func() bool { return s.app.Ready() == nil })
	for _, who := range []access.Actor{bob, {Person: access.Person{Slack: "U0DAN"}}} {
		s.posted(r.ID, "approve", who.Person)
	}
	s.click("bob", s.message(r.ID), "deny")
	if _, err := s.slack.As("bob").Submit(s.modal("bob").ID(), nil); err != nil {
		t.Fatal(err)
	}
	s.noInvitation("bob", "dan")
	for _, who := range []string{"bob", "dan"} {
		if got := s.slack.As(who).DMs(); len(got) != 1 {
			t.Errorf("%s has %d direct messages: %s", who, len(got), textOf(got))
		}
	}
	s.noFindings()
}

// TestManyApprovers: more than can be written to are called in the thread.
func TestManyApprovers(t *testing.T) {
	s := start(t, func(cfg *slacksim.Config, b *book) {
		policed(b, quorum())
		for i := range 30 {
			id, email := fmt.Sprintf("U0CROWD%02d", i), fmt.Sprintf("crowd%d@example.com", i)
			cfg.World.Users = append(cfg.World.Users, slacksim.User{ID: id, Name: fmt.Sprint("crowd", i), Email: email})
			b.rules.Groups[1].Members = append(b.rules.Groups[1].Members, email)
		}
	})
	r, m := s.filed("alice", "github/payments-admins 1h why")
	s.eventually("them to be called in the thread", func() bool {
		for _, x := range s.slack.As("dan").Thread(channel, m.TS)[1:] {
			if holds(x, "<@U0BOB>", "<@U0CROWD29>", "please decide") {
				return true
			}
		}
		return false
	})
	if got := s.slack.As("bob").DMs(); len(got) != 0 {
		t.Errorf("bob was written %s", textOf(got))
	}
	s.posted(r.ID, "approve", access.Person{})
	s.click("alice", m, "cancel")
	s.eventually("the call to say that it is over", func() bool {
		for _, x := range s.slack.As("dan").Thread(channel, m.TS)[1:] {
			if holds(x, "cancelled by <@U0ALICE>") && !holds(x, "please decide") {
				return true
			}
		}
		return false
	})
	s.noFindings()
}

// TestHomeUnderPolicies: what waits for somebody is what they may approve.
func TestHomeUnderPolicies(t *testing.T) {
	s := start(t, under(quorum()))
	r, m := s.filed("alice", "github/payments-admins 1h why")
	for who, want := range map[string]bool{"dan": true, "carol": false} {
		if err := s.slack.As(who).OpenHome(); err != nil {
			t.Fatal(err)
		}
		s.eventually("the Home tab of "+who, func() bool { return len(s.slack.As(who).Home()) > 0 })
		if got := s.slack.As(who).Home().Element("open") != nil; got != want {
			t.Errorf("it waits for %s: %t, want %t", who, got, want)
		}
	}
	s.command("dan", "/access pending")
	s.told("dan", r.ID)
	s.click("dan", m, "approve")
	s.eventually("it to wait no more for dan", func() bool { return s.slack.As("dan").Home().Element("open") == nil })
	s.noFindings()
}

// policyTales are requests under policies, in the states that policies add.
func policyTales(t *testing.T) map[string]*tale {
	dan := access.Actor{Person: access.Person{Email: "dan@example.com", Slack: "U0DAN"}}
	approve := access.Approve{Request: theID, For: time.Hour}
	made := func(list ...access.Policy) *tale {
		s := tell(t)
		policed(s.book, list...)
		s.duties = map[string][]access.Duty{"pagerduty": {{Person: dan.Person, Policy: "P1", Level: 1, Schedule: "S"}}}
		return s
	}
	asked := func(list ...access.Policy) *tale {
		return made(list...).do(alice, access.File{Resource: "github/payments-admins", Duration: time.Hour, Reason: "why <!here>", Ticket: "OPS-1"}).
			do(access.Actor{}, access.Notify{Request: theID, Post: access.Post{Notice: access.NoticeApproval, Channel: channel, TS: "1774690200.000100", Permalink: "https://acme.slack.com/archives/C0ACCESS/p1"}})
	}
	pagerduty := access.Policy{Name: "on <call>", Requestor: anyone, Resource: access.Which{Type: "any"}, Approval: []access.Way{
		{Type: "escalation", Integration: "pagerduty", EscalationPolicies: []string{"P1"}},
	}}
	automatic := pagerduty
	automatic.Approval = []access.Way{{Type: "auto", Integration: "pagerduty", EscalationPolicies: []string{"P1"}}}
	always := access.Policy{Name: "always", Requestor: anyone, Resource: access.Which{Type: "any"}, Approval: []access.Way{{Type: "persistent"}}}
	bosses := access.Policy{Name: "bosses", Requestor: anyone, Resource: access.Which{Type: "any"}, Approval: []access.Way{{Type: "manager"}}}
	page := access.Notify{Request: theID, Post: access.Post{Notice: "page-pagerduty", Channel: "pagerduty", TS: "Q1", Permalink: "https://acme.pagerduty.example/incidents/Q1"}}
	escalated := asked(quorum(), pagerduty).do(alice, access.Escalate{Request: theID})
	onCall := made(automatic)
	silent := asked(quorum(), automatic)
	silent.r.Unreached = []string{"github:acme/dba", "incidentio", "pagerduty"}
	return map[string]*tale{
		"asked":      asked(quorum()),
		"one_of_two": asked(quorum()).do(bob, approve),
		"two_of_two": asked(quorum()).do(bob, approve).do(dan, approve),
		"denied":     asked(quorum()).do(bob, approve).do(dan, access.Deny{Request: theID, Reason: "no"}),
		"escalated":  escalated,
		"unpaged":    escalated,
		"silent":     silent,
		"paged":      asked(quorum(), pagerduty).do(alice, access.Escalate{Request: theID}).do(access.Actor{}, page),
		"escalation": asked(quorum(), pagerduty).do(alice, access.Escalate{Request: theID}).do(access.Actor{}, page).do(dan, approve),
		"on_call":    onCall.do(dan, access.File{Resource: "db/orders", Duration: time.Hour}),
		"persistent": made(always).do(alice, access.File{Resource: "db/orders", Duration: time.Hour}),
		"manager":    asked(bosses).do(bob, approve),
	}
}

func TestPolicyMessages(t *testing.T) {
	for name, s := range policyTales(t) {
		takes, may, asked, need, vendors := "2 different people of sre", []string{"bob@example.com", "dan@example.com"}, []access.Person(nil), 2, ""
		for _, p := range []access.Person{bob.Person, {Email: "dan@example.com", Slack: "U0DAN"}} {
			if len(s.r.Votes) == 0 || s.r.Votes[0].By != p {
				asked = append(asked, p)
			}
		}
		if s.r.Decision != nil {
			vendors = slackapp.VendorsOf(s.book.rules, s.r.Decision)
		}
		scene := slackapp.SceneOf(s.book.rules, "", "https://access.example.com", takes, may, asked, need, vendors)
		c := access.ControlsOf(s.r, s.book.rules, s.book.rules)
		all := map[string]any{
			"approval": slackapp.ApprovalMessage(s.r, c, scene),
			"bob":      slackapp.NoticeMessage(s.r, "approve", bob.Person, scene),
			"carol":    slackapp.NoticeMessage(s.r, "approve", access.Person{Email: "carol@partner.example", Slack: "U0CAROL"}, scene),
			"filed":    slackapp.NoticeMessage(s.r, access.NoticeFiled, s.r.Requestor, scene),
			"story":    slackapp.Story(s.r, scene),
		}
		if name == "unpaged" || name == "paged" {
			all["unpaged"] = slackapp.NoticeMessage(s.r, access.NoticeUnpaged, s.r.Requestor, scene)
		}
		golden(t, "policy/"+name, all)
	}
}
