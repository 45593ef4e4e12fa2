package slackapp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/slackapp"
	"countersign/bot/slacksim"
)

var anyone = access.Whom{Type: "any"}

// under puts access policies in force, with groups that they can name.
func under(list ...access.Policy) func(*slacksim.Config, *book) {
	return func(_ *slacksim.Config, b *book) { policed(b, list...) }
}

func policed(b *book, list ...access.Policy) {
	b.rules.Policies = list
	b.rules.Groups = []access.Group{
		{Name: "eng", Members: []string{"alice@example.com", "erin@example.com"}},
		{Name: "sre", Members: []string{"bob@example.com", "dan@example.com"}},
		{Name: "ops", SlackGroup: "ops"},
	}
	b.rules.People = []access.Known{{Email: "alice@example.com", Manager: "bob@example.com"}}
}

// about are the resources of a pattern.
func about(pattern string) access.Which {
	return access.Which{Type: "match", ID: regexp.MustCompile("^(?:" + pattern + ")$")}
}

func eng() access.Whom { return access.Whom{Type: "group", Groups: []string{"eng"}} }

func group(n int, names ...string) access.Way {
	return access.Way{Type: "group", Groups: names, Count: n}
}

// quorum: two of sre let people of eng have payments.
func quorum() access.Policy {
	return access.Policy{
		Name: "payments by sre", Requestor: eng(), Resource: about("github/.*"), Approval: []access.Way{group(2, "sre")},
		Terms: access.Terms{RequireReason: true, MaxDuration: 4 * time.Hour},
	}
}

// invitation waits for what an approver was written.
func (s *stage) invitation(who, id string, words ...string) slacksim.Message {
	s.Helper()
	return s.written(who, append([]string{id}, words...)...)
}

// noInvitation fails if a link to a request that waits is left in somebody's
// direct messages.
func (s *stage) noInvitation(people ...string) {
	s.Helper()
	s.eventually("no invitation to be left", func() bool {
		for _, who := range people {
			for _, m := range s.slack.As(who).DMs() {
				if m.HasAction("open") {
					return false
				}
			}
		}
		return true
	})
}

func TestQuorumOfTwo(t *testing.T) {
	s := start(t, under(quorum()))
	r, m := s.filed("alice", "github/payments-admins 1h the refunds are stuck")
	if !holds(m, "It takes the approval of 2 different people of sre: <@U0BOB> <@U0DAN>.") || holds(m, "subteam") {
		t.Errorf("the message is %s", textOf(m.Blocks))
	}
	for _, who := range []string{"bob", "dan"} {
		dm := s.invitation(who, r.ID, "<@U0ALICE> asks for access to Payments admins* for 1 hour", "2 different people of sre", "the refunds are stuck")
		if link := fmt.Sprint(dm.Element("open")["url"]); !strings.Contains(link, m.TS[:10]) {
			t.Errorf("%s is led to %s", who, link)
		}
	}
	s.click("bob", m, "approve")
	s.shows(r.ID, "*1 of 2*: <@U0BOB> ✓ <!date^", "sre: <@U0DAN>.")
	if dm := s.invitation("bob", r.ID, "You have approved it"); dm.HasAction("open") {
		t.Error("bob is still asked for what he gave")
	}
	s.invitation("dan", r.ID, "waits for approval", "*1 of 2*: <@U0BOB>")
	s.click("bob", m, "approve")
	s.told("bob", "You have approved this already")
	if got := s.request(r.ID).Status; got != access.Pending {
		t.Fatalf("one approval of two makes it %s", got)
	}
	s.app.Remind(r.ID)
	s.eventually("dan alone to be reminded", func() bool {
		for _, x := range s.slack.As("dan").Thread(channel, m.TS)[1:] {
			if holds(x, "<@U0DAN>: this request still waits", "*1 of 2*") && !holds(x, "<@U0BOB>:") && !holds(x, "subteam") {
				return true
			}
		}
		return false
	})
	s.click("dan", m, "approve")
	s.status(r.ID, access.Approved)
	s.shows(r.ID, "*Approved* by <@U0BOB>, <@U0DAN> (by policy “payments by sre”)", "· policy “payments by sre” ·")
	s.invitation("bob", r.ID, "approved by <@U0BOB>, <@U0DAN>")
	s.invitation("dan", r.ID, "approved by <@U0BOB>, <@U0DAN>")
	s.noInvitation("bob", "dan")
	for _, who := range []string{"carol", "erin"} {
		if got := s.slack.As(who).DMs(); len(got) != 0 {
			t.Errorf("%s was written %s", who, textOf(got))
		}
	}
	s.command("dan", "/access show "+r.ID)
	s.told("dan", "<@U0BOB> approved, for 1 hour", "approved by <@U0BOB>, <@U0DAN> (by policy “payments by sre”) until")
	s.noFindings()
}

func TestQuorumOfAnExtension(t *testing.T) {
	s := start(t, under(quorum()))
	r, m := s.filed("alice", "github/payments-admins 1h why")
	s.click("bob", m, "approve")
	s.shows(r.ID, "*1 of 2*")
	s.click("dan", m, "approve")
	s.status(r.ID, access.Approved)
	s.book.grant(t, r.ID)
	s.command("alice", "/access extend "+r.ID+" 30m not done")
	m = s.shows(r.ID, "asks for 30 minutes more", "2 different people of sre: <@U0BOB> <@U0DAN>")
	s.eventually("both to be called in the thread", func() bool {
		for _, x := range s.slack.As("dan").Thread(channel, m.TS)[1:] {
			if holds(x, "<@U0BOB> <@U0DAN>: <@U0ALICE> asks for 30 minutes more") {
				return true
			}
		}
		return false
	})
	s.click("dan", m, "approve_extension")
	m = s.shows(r.ID, "*1 of 2*: <@U0DAN> ✓")
	s.click("bob", m, "approve_extension")
	s.shows(r.ID, "Extended by 30 minutes")
	s.noFindings()
}

func TestSteps(t *testing.T) {
	s := start(t, under(access.Policy{
		Name: "twice", Requestor: anyone, Resource: access.Which{Type: "any"},
		Approval: []access.Way{{Type: "steps", Steps: [][]access.Way{{{Type: "manager"}}, {group(1, "sre")}}}},
	}))
	r, m := s.filed("alice", "db/orders 1h why")
	if !holds(m, "It takes the approval of the manager, then somebody of sre: <@U0BOB> <@U0DAN>.") {
		t.Errorf("the message is %s", textOf(m.Blocks))
	}
	s.click("bob", m, "approve")
	s.shows(r.ID, "*1 of 2*: <@U0BOB>")
	s.click("dan", m, "approve")
	s.shows(r.ID, "*Approved* by <@U0BOB>, <@U0DAN> (by policy “twice”)")
	s.noFindings()
}

func TestManager(t *testing.T) {
	s := start(t, under(access.Policy{
		Name: "managers", Requestor: anyone, Resource: access.Which{Type: "any"}, Approval: []access.Way{{Type: "manager"}},
	}))
	r, m := s.filed("alice", "db/orders 1h why")
	if !holds(m, "It takes the approval of the manager: <@U0BOB>.") {
		t.Errorf("the message is %s", textOf(m.Blocks))
	}
	s.invitation("bob", r.ID, "waits for approval")
	s.click("carol", m, "approve")
	s.told("carol", "You are not among those who may approve this request", "It takes the manager")
	s.click("bob", m, "approve")
	s.shows(r.ID, "*Approved* by <@U0BOB> (the manager of <@U0ALICE>)")
	s.noInvitation("bob")
	s.noFindings()
}

// offers are the ids that the type-ahead of a form offers.
func (s *stage) offers(who, view, query string) []string {
	s.Helper()
	found, err := s.slack.As(who).Suggest(slacksim.InView(view), "resource", "resource", query)
	if err != nil {
		s.Fatal(err)
	}
	var ids []string
	for _, o := range found.Options {
		ids = append(ids, fmt.Sprint(o.(map[string]any)["value"]))
	}
	return ids
}

func (s *stage) offersSoon(who, view string, want ...string) {
	s.Helper()
	s.eventually(fmt.Sprintf("%s to be offered %q", who, want), func() bool { return slices.Equal(s.offers(who, view, ""), want) })
}

// TestOffered: the form offers what policies let the principal have, and follows
// whom it is for.
func TestOffered(t *testing.T) {
	ops := access.Policy{Name: "ops", Requestor: access.Whom{Type: "group", Groups: []string{"ops"}}, Resource: about("db/.*"), Approval: []access.Way{{Type: "reviewers"}}}
	no := access.Policy{Name: "never", Requestor: access.Whom{Type: "user", Users: []string{"erin@example.com"}}, Resource: about("github/.*"), Approval: []access.Way{{Type: "deny"}}}
	s := start(t, under(quorum(), ops, no), func(_ *slacksim.Config, b *book) {
		b.members = map[string][]access.Person{"slack:ops": {{Email: "erin@example.com", Slack: "U0ERIN"}}}
	})
	if err := s.slack.As("alice").Shortcut("request_access"); err != nil {
		t.Fatal(err)
	}
	v := s.modal("alice")
	s.offersSoon("alice", v.ID(), "github/payments-admins")
	if err := s.slack.As("alice").Select(slacksim.InView(v.ID()), "resource", "resource", "github/payments-admins"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the form to say what is demanded", func() bool {
		text := textOf(s.modal("alice"))
		return strings.Contains(text, "It takes the approval of 2 different people of sre.") && strings.Contains(text, "At most 4 hours.")
	})
	if err := s.slack.As("alice").Select(slacksim.InView(v.ID()), "for", "for", "U0ERIN"); err != nil {
		t.Fatal(err)
	}
	s.offersSoon("alice", v.ID(), "db/orders")
	s.eventually("the form to say that erin cannot have it", func() bool {
		return strings.Contains(textOf(s.modal("alice")), "The access policy “never” denies access")
	})
	problems, err := s.slack.As("alice").Submit(v.ID(), map[string]map[string]any{"reason": {"reason": "why"}})
	if err != nil || len(s.book.Requests()) != 0 {
		t.Fatal(problems, err)
	}
	// The policy of ops would have to be asked whether it is about her, so the
	// answer comes from the decision itself or stands beside the field.
	if !strings.Contains(problems["resource"], "denies access") {
		t.Errorf("problems %q", problems)
	}
	s.noFindings()
}

// TestGroupOutOfReach: a group that cannot be asked offers nothing, and approves
// nothing; when it answers again, all is well.
func TestGroupOutOfReach(t *testing.T) {
	p := access.Policy{Name: "ops", Requestor: access.Whom{Type: "group", Groups: []string{"ops"}}, Resource: about("db/.*"), Approval: []access.Way{group(1, "sre")}}
	s := start(t, under(quorum(), p))
	s.command("alice", "/access request db/orders 1h why")
	s.told("alice", "cannot be asked right now")
	if err := s.slack.As("alice").Shortcut("request_access"); err != nil {
		t.Fatal(err)
	}
	s.offersSoon("alice", s.modal("alice").ID(), "github/payments-admins")
	s.noFindings()
}

// TestMemberSinceAMoment: what is remembered of a group refuses nobody; the decision
// asks.
func TestMemberSinceAMoment(t *testing.T) {
	erins := []access.Person{{Email: "erin@example.com", Slack: "U0ERIN"}}
	p := access.Policy{Name: "ops", Requestor: access.Whom{Type: "group", Groups: []string{"ops"}}, Resource: about("db/.*"), Approval: []access.Way{group(1, "sre")}}
	s := start(t, under(p), func(_ *slacksim.Config, b *book) { b.members = map[string][]access.Person{"slack:ops": erins} })
	if err := s.slack.As("alice").Shortcut("request_access"); err != nil {
		t.Fatal(err)
	}
	v := s.modal("alice").ID()
	if err := s.slack.As("alice").Select(slacksim.InView(v), "for", "for", "U0ERIN"); err != nil {
		t.Fatal(err)
	}
	s.offersSoon("alice", v, "db/orders")
	s.book.mu.Lock()
	s.book.members["slack:ops"] = append(slices.Clip(erins), alice.Person)
	s.book.mu.Unlock()
	problems, err := s.slack.As("alice").Submit(v, map[string]map[string]any{"resource": {"resource": "db/orders"}, "for": {"for": "U0ALICE"}})
	if err != nil || problems != nil {
		t.Fatal(problems, err)
	}
	s.eventually("the filing", func() bool { return len(s.book.Requests()) == 1 })
	s.noFindings()
}

func TestPolicyDenies(t *testing.T) {
	no := access.Policy{Name: "never", Requestor: eng(), Resource: about("db/.*"), Approval: []access.Way{{Type: "deny"}}}
	s := start(t, under(no, access.Policy{Name: "all", Requestor: anyone, Resource: access.Which{Type: "any"}, Approval: []access.Way{{Type: "reviewers"}}}))
	s.command("alice", "/access request db/orders 1h why")
	s.told("alice", "The access policy “never” denies access to db/orders")
	if n := len(s.book.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
	for _, c := range []struct{ who, want, not string }{
		{"alice", "You cannot have it: The access policy “never” denies access", "Access policies"},
		{"dan", "For you it takes the approval of a reviewer: <@U0BOB> <@U0CAROL>.", "Access policies"},
		{"bob", "• “never” is not about this person\n• “all” takes part", "nothing"},
		{"erin", "• “never” denies\n• “all” takes part", "nothing"},
	} {
		s.command(c.who, "/access who db/orders")
		s.told(c.who, c.want)
		for _, m := range s.slack.As(c.who).Ephemerals(channel) {
			if holds(m, c.not) {
				t.Errorf("%s is told %s", c.who, textOf(m.Blocks))
			}
		}
	}
	s.noFindings()
}

// TestDemandedByAPolicy: a command that lacks what a policy demands opens the form,
// which marks the field.
func TestDemandedByAPolicy(t *testing.T) {
	p := quorum()
	p.Terms.RequireTicket = regexp.MustCompile("^(?:OPS-[0-9]+)$")
	s := start(t, under(p))
	s.command("alice", "/access request github/payments-admins 1h")
	v := s.modal("alice")
	if text := textOf(v); !strings.Contains(text, "It must match OPS-[0-9]+.") || !strings.Contains(text, "At most 4 hours.") {
		t.Errorf("the form is %s", text)
	}
	problems, err := s.slack.As("alice").Submit(v.ID(), map[string]map[string]any{"duration": {"duration": "5h"}, "reason": {"reason": "why"}, "ticket": {"ticket": "OPS-1"}})
	if err != nil || !strings.Contains(problems["duration"], "at most 4 hours") {
		t.Errorf("problems %q, %v", problems, err)
	}
	if r, _ := s.filed("alice", "github/payments-admins 1h see OPS-7"); r.Ticket != "OPS-7" {
		t.Errorf("filed %+v", r)
	}
	s.noFindings()
}

// TestDenyAsksForTheReason: where only the decision can ask who is in a group, a
// click on Deny opens its form and decides nothing by itself.
func TestDenyAsksForTheReason(t *testing.T) {
	s := start(t, under(access.Policy{Name: "by ops", Requestor: anyone, Resource: access.Which{Type: "any"}, Approval: []access.Way{group(1, "ops")}}),
		func(_ *slacksim.Config, b *book) {
			b.members = map[string][]access.Person{"slack:ops": {{Email: "dan@example.com", Slack: "U0DAN"}}}
		})
	r, m := s.filed("alice", "db/orders 1h why")
	s.invitation("dan", r.ID, "somebody of ops")
	// Erin is in the group only since a moment: what is shown does not know it yet.
	s.book.mu.Lock()
	s.book.members["slack:ops"] = []access.Person{{Email: "erin@example.com", Slack: "U0ERIN"}}
	s.book.mu.Unlock()
	s.click("erin", m, "deny")
	v := s.modal("erin")
	if got := s.request(r.ID).Status; got != access.Pending {
		t.Fatalf("a click alone makes it %s", got)
	}
	if _, err := s.slack.As("erin").Submit(v.ID(), map[string]map[string]any{"reason": {"reason": "no"}}); err != nil {
		t.Fatal(err)
	}
	s.status(r.ID, access.Denied)
	s.invitation("dan", r.ID, "denied by <@U0ERIN>")
	s.noInvitation("dan")
	s.noFindings()
}

func TestGroupMembers(t *testing.T) {
	s := start(t, func(cfg *slacksim.Config, _ *book) {
		cfg.World.Groups = append(cfg.World.Groups,
			slacksim.Group{ID: "S0OPS", Name: "Ops", Handle: "ops", Users: []string{"U0BOB", "U0GUS", "U0NINA", "U0ERIN"}},
			slacksim.Group{ID: "S0OLD", Name: "Old", Handle: "old", Users: []string{"U0BOB"}, Disabled: true, Updated: 1})
	})
	got, err := s.app.GroupMembers(context.Background(), "@ops")
	want := []access.Person{{Email: "bob@example.com", Slack: "U0BOB"}, {Email: "erin@example.com", Slack: "U0ERIN"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for handle, want := range map[string]string{"old": "is disabled", "none": "there is no user group @none", "": "there is no user group"} {
		if got, err := s.app.GroupMembers(context.Background(), handle); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want an error with %q", handle, got, err, want)
		}
	}
	if err := s.slack.Fault(slacksim.Fault{Fail: &slacksim.FailCalls{Method: "usergroups.users.list", Error: "internal_error", Times: 3}}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.app.GroupMembers(context.Background(), "ops"); err == nil {
		t.Errorf("got %v from a directory that does not answer", got)
	}
}

// TestNeeded: the message says how many approvals it takes only where that is one
// number whoever gives them.
func TestNeeded(t *testing.T) {
	steps := access.Way{Type: "steps", Steps: [][]access.Way{{group(2, "sre"), {Type: "manager"}}, {group(2, "ops")}}}
	for _, c := range []struct {
		name  string
		ways  []access.Way
		given int
		want  int
	}{
		{"a quorum", []access.Way{group(2, "sre")}, 1, 2},
		{"the manager was not asked", []access.Way{{Type: "manager"}, group(2, "sre")}, 1, 2},
		{"either of two quorums", []access.Way{group(2, "sre"), group(3, "ops")}, 1, 0},
		{"the larger of them is left", []access.Way{group(2, "sre"), group(3, "ops")}, 2, 3},
		{"steps", []access.Way{steps}, 1, 3},
		{"nobody", []access.Way{{Type: "auto"}}, 0, 0},
	} {
		p := access.Policy{Name: "p", Requestor: anyone, Resource: access.Which{Type: "any"}, Approval: c.ways}
		rules := &access.Rules{Policies: []access.Policy{p, {Name: "off", Disabled: true, Approval: []access.Way{group(9, "sre")}}}}
		e := access.Facts{Rules: rules}.Explain(rules, alice.Person, alice.Person, access.Resource{ID: "x"})
		if got := slackapp.Needed(rules, e, c.given); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

// BenchmarkTypeAhead measures one answer of the type-ahead over 10,000 resources
// under 20 access policies.
func BenchmarkTypeAhead(b *testing.B) {
	book := newBook()
	var list []access.Policy
	for i := range 20 {
		list = append(list, access.Policy{Name: fmt.Sprint("p", i), Requestor: eng(), Resource: about(fmt.Sprintf("team/%d-.*", i)), Approval: []access.Way{group(1, "sre")}})
	}
	policed(book, list...)
	for i := range 10_000 {
		book.rules.Resources = append(book.rules.Resources, access.Resource{ID: fmt.Sprintf("team/%d-%d", i%40, i), Title: fmt.Sprint("Team ", i), Target: access.Target{Provider: "gitops"}})
	}
	app, err := slackapp.New(slackapp.Config{BotToken: "xoxb-1", AppToken: "xapp-1", Handle: book.handle, Reader: book, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	for name, query := range map[string]string{"all": "", "one": "9999", "none": "nothing like it"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if got := app.Offers(access.Person{Email: "alice@example.com", Slack: "U0ALICE"}, query); name == "all" && got != 100 {
					b.Fatal(errors.New("too few are offered"), got)
				}
			}
		})
	}
}
