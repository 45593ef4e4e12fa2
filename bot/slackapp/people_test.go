package slackapp_test

import (
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/slacksim"
)

// TestWhoMayNotAct: every sort of account that must not decide, although each has a
// reviewer's address.
func TestWhoMayNotAct(t *testing.T) {
	for name, c := range map[string]struct {
		user slacksim.User
		want string
	}{
		"guest":             {slacksim.User{Guest: true, Email: "bob@example.com"}, "Guests of this workspace"},
		"single channel":    {slacksim.User{SingleChannel: true, Email: "bob@example.com"}, "Guests of this workspace"},
		"another workspace": {slacksim.User{Team: "T0UMBRELLA", Email: "bob@example.com"}, "another workspace"},
		"no address":        {slacksim.User{}, "no e-mail address"},
		"not confirmed":     {slacksim.User{Unconfirmed: true, Email: "bob@example.com"}, "not confirmed"},
	} {
		t.Run(name, func(t *testing.T) {
			c.user.ID, c.user.Name = "U0ODD", "odd"
			s := start(t, func(cfg *slacksim.Config, _ *book) {
				cfg.World.Users = append(cfg.World.Users, c.user)
				cfg.World.Channels[0].Members = append(cfg.World.Channels[0].Members, "U0ODD")
			})
			r, m := s.filed("alice", "github/payments-admins 1h why")
			s.click("odd", m, "approve")
			s.told("odd", c.want)
			if got := s.request(r.ID); got.Status != access.Pending || len(got.Refusals) != 1 {
				t.Errorf("status %s, %d refusals recorded", got.Status, len(got.Refusals))
			}
		})
	}
}

func TestUserChangeIsNoticed(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h why")
	if err := s.slack.UpdateUser("U0BOB", func(u *slacksim.User) { u.Guest = true }); err != nil {
		t.Fatal(err)
	}
	s.eventually("bob to be no member of the group", func() bool {
		g, _ := s.slack.Group("access-approvers")
		return strings.Join(g.Users, " ") == "U0CAROL"
	})
	s.click("bob", m, "approve")
	s.told("bob", "Guests of this workspace")
	if got := s.request(r.ID).Status; got != access.Pending {
		t.Errorf("status %s", got)
	}
	s.eventually("the log to name bob", func() bool { return strings.Contains(s.logs.String(), "bob@example.com: Guests") })
}

func TestDirectoryOutOfReachDecidesNothing(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h why")
	if err := s.slack.Fault(slacksim.Fault{Fail: &slacksim.FailCalls{Method: "users.info", Error: "500", Times: 100}}); err != nil {
		t.Fatal(err)
	}
	s.click("dan", m, "approve")
	s.told("dan", "directory cannot be asked", "nothing happened")
	if got := s.request(r.ID).Status; got != access.Pending {
		t.Errorf("status %s", got)
	}
}

func TestReviewersWithoutAnAccountAreNamed(t *testing.T) {
	s := start(t, func(_ *slacksim.Config, b *book) {
		b.rules.Reviewers = append(b.rules.Reviewers, "ghost@example.com", "oliver@example.com")
	})
	s.eventually("the log to name them", func() bool { return strings.Contains(s.logs.String(), "ghost@example.com, oliver@example.com") })
	s.noFindings()
}

func TestNoUserGroups(t *testing.T) {
	for rule, why := range map[slacksim.GroupRule]string{slacksim.GroupsUnpaid: "paid_teams_only", slacksim.GroupsByAdmins: "permission_denied"} {
		t.Run(string(rule), func(t *testing.T) {
			s := start(t, func(c *slacksim.Config, _ *book) { c.World.GroupRule = rule })
			_, m := s.filed("alice", "github/payments-admins 1h why")
			if !holds(m, "<@U0BOB> <@U0CAROL>: please decide") {
				t.Errorf("the message is %s", textOf(m.Blocks))
			}
			s.app.RulesChanged()
			time.Sleep(600 * time.Millisecond)
			if n := strings.Count(s.logs.String(), why); n != 1 {
				t.Errorf("said %d times, want once: %s", n, s.logs.String())
			}
		})
	}
}

func TestGroupOfOthersIsLeftAlone(t *testing.T) {
	s := start(t, func(c *slacksim.Config, _ *book) {
		c.World.Groups = []slacksim.Group{{ID: "S0THEIRS", Name: "Theirs", Handle: "access-approvers", Users: []string{"U0DAN"}}}
	})
	_, m := s.filed("alice", "github/payments-admins 1h why")
	if !holds(m, "<@U0BOB> <@U0CAROL>: please decide") {
		t.Errorf("the message is %s", textOf(m.Blocks))
	}
	if g, _ := s.slack.Group("access-approvers"); strings.Join(g.Users, " ") != "U0DAN" {
		t.Errorf("the group is %+v", g)
	}
	if !strings.Contains(s.logs.String(), "that Countersign did not make") {
		t.Error("the log does not say why")
	}
}

func TestGroupIsKeptInStep(t *testing.T) {
	s := start(t)
	members := func(want string) {
		t.Helper()
		s.eventually("the group to be "+want, func() bool {
			g, ok := s.slack.Group("access-approvers")
			return ok && (strings.Join(g.Users, " ") == want && !g.Disabled || want == "disabled" && g.Disabled)
		})
	}
	members("U0BOB U0CAROL")
	if err := s.slack.SetGroupUsers("access-approvers", "U0DAN"); err != nil {
		t.Fatal(err)
	}
	members("U0BOB U0CAROL")
	reviewers := func(list ...string) {
		s.book.mu.Lock()
		rules := *s.book.rules
		rules.Reviewers = list
		s.book.rules = &rules
		s.book.mu.Unlock()
		s.app.RulesChanged()
	}
	reviewers("carol@partner.example", "erin@example.com")
	members("U0CAROL U0ERIN")
	reviewers()
	members("disabled")
	reviewers("bob@example.com")
	members("U0BOB")
	s.noFindings()
}

func TestChannelThatCannotBeUsed(t *testing.T) {
	for name, c := range map[string]struct {
		channel, want string
	}{
		"shared":     {"C0SHARED", "shared with another organization"},
		"not in it":  {"C0GENERAL", "not a member of the approval channel #general"},
		"unknown":    {"C0NOWHERE", "there is no channel C0NOWHERE"},
		"by name":    {"#nowhere", "there is no channel #nowhere"},
		"private":    {"C0PAYMENTS", "there is no channel C0PAYMENTS"},
		"named, out": {"#general", "not a member of the approval channel #general"},
	} {
		t.Run(name, func(t *testing.T) {
			s := set(t, func(_ *slacksim.Config, b *book) { b.rules.Slack.Channel = c.channel })
			s.run()
			s.eventually("Ready to say why", func() bool {
				err := s.app.Ready()
				return err != nil && strings.Contains(err.Error(), c.want)
			})
			if !strings.Contains(s.logs.String(), c.want) {
				t.Error("the log does not say so")
			}
		})
	}
}

func TestChannelComesAndGoes(t *testing.T) {
	s := start(t, func(_ *slacksim.Config, b *book) { b.rules.Slack.Channel = "#access-requests" })
	s.filed("alice", "db/orders 1h why")
	if err := s.slack.ShareChannel(channel, true); err != nil {
		t.Fatal(err)
	}
	s.eventually("it to be refused", func() bool { return s.app.Ready() != nil })
	s.command("alice", "/access request github/payments-admins 1h why")
	s.eventually("the filing", func() bool { return len(s.book.Requests()) == 2 })
	s.written("alice", "Payments admins", "is filed")
	if n := s.approvals(); n != 1 {
		t.Errorf("%d messages in a shared channel, want the one from before", n)
	}
	if err := s.slack.ShareChannel(channel, false); err != nil {
		t.Fatal(err)
	}
	s.message(s.book.Requests()[0].ID)
	for _, archived := range []bool{true, false} {
		if err := s.slack.ArchiveChannel(channel, archived); err != nil {
			t.Fatal(err)
		}
		s.eventually("the channel to be refused, and taken again", func() bool { return (s.app.Ready() != nil) == archived })
	}
	if err := s.slack.RemoveMember(channel, "U0COUNTERSIGN"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the bot to miss its channel", func() bool { return s.app.Ready() != nil })
	if err := s.slack.AddMember(channel, "U0COUNTERSIGN"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the channel to be back", func() bool { return s.app.Ready() == nil })
	s.app.Announce("The configuration has *changed*.")
	s.eventually("the announcement", func() bool {
		for _, m := range s.slack.As("bob").Messages(channel) {
			if holds(m, "The configuration has *changed*.") {
				return true
			}
		}
		return false
	})
}

func TestUninstalled(t *testing.T) {
	s := start(t)
	s.slack.Uninstall()
	s.eventually("Ready to say so", func() bool {
		err := s.app.Ready()
		return err != nil && (strings.Contains(err.Error(), "uninstalled") || strings.Contains(err.Error(), "revoked"))
	})
}
