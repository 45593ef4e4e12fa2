package slackapp_test

import (
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/slacksim"
)

func TestRequestToEnd(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 2h incident <7> & *more*")
	if r.Requestor.Email != "alice@example.com" || r.Duration != 2*time.Hour || r.Reason != "incident <7> & *more*" {
		t.Errorf("filed %+v", r)
	}
	g, ok := s.slack.Group("access-approvers")
	if !ok || strings.Join(g.Users, " ") != "U0BOB U0CAROL" {
		t.Errorf("the group is %+v", g)
	}
	if !holds(m, "<!subteam^"+g.ID+">", "Reason: incident <7> & *more*", "<@U0ALICE> asks for access to Payments admins") {
		t.Errorf("the message is %s %s", m.Text, textOf(m.Blocks))
	}
	s.written("alice", "is filed")

	// Untouched, the select shows what was asked for, and that counts.
	s.click("bob", m, "approve")
	s.status(r.ID, access.Approved)
	if got, want := s.request(r.ID).Expires().Sub(s.request(r.ID).Decision.At), 2*time.Hour; got != want {
		t.Errorf("approved for %s, want %s", got, want)
	}
	s.book.grant(t, r.ID)
	live := s.shows(r.ID, "*Live* until <!date^", "Approved")
	for _, gone := range []string{"approve", "deny", "cancel", "expiry"} {
		if live.HasAction(gone) {
			t.Errorf("%s still stands on the message of a live access", gone)
		}
	}
	if !live.HasAction("revoke") {
		t.Error("no Revoke on a live access")
	}
	dm := s.written("alice", "is live until")
	if !dm.HasAction("give_back") || !dm.HasAction("extend") {
		t.Errorf("the direct message is %s", textOf(dm.Blocks))
	}
	post := s.posted(r.ID, access.NoticeApproved, r.Requestor)
	s.clickIn("alice", post.Channel, dm, "give_back")
	s.eventually("the end to be intended", func() bool { return s.request(r.ID).Ending != nil })
	s.book.must(t, access.Finish{Request: r.ID})
	over := s.shows(r.ID, "Given back by <@U0ALICE>")
	if over.HasAction("revoke") {
		t.Error("Revoke stands on the message of an access that has ended")
	}
	s.written("alice", "has ended", "Given back")
	s.eventually("no button in direct messages", func() bool {
		for _, m := range s.slack.As("alice").DMs() {
			if m.HasAction("give_back") || m.HasAction("extend") || m.HasAction("cancel") {
				return false
			}
		}
		return true
	})
	s.noFindings()
}

func TestChosenExpiryCounts(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins because")
	s.click("bob", m, "approve")
	s.told("bob", "Select expiry")
	if err := s.slack.As("bob").Select(slacksim.InMessage(channel, m.TS), "decide", "expiry", "5m"); err != nil {
		t.Fatal(err)
	}
	s.click("bob", m, "approve")
	s.status(r.ID, access.Approved)
	if got, want := s.request(r.ID).Expires().Sub(s.request(r.ID).Decision.At), 5*time.Minute; got != want {
		t.Errorf("approved for %s, want %s", got, want)
	}
	s.noFindings()
}

func TestRefusalsAreSeenByTheClickerAlone(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h because")
	for who, words := range map[string]string{
		"dan": "You are not a reviewer", "alice": "You are not a reviewer", "gus": "Guests of this workspace", "nina": "another workspace",
	} {
		s.click(who, m, "approve")
		s.told(who, words)
	}
	for _, x := range s.slack.As("bob").Ephemerals(channel) {
		t.Errorf("bob sees %s", x.Text)
	}
	if got := s.request(r.ID).Status; got != access.Pending {
		t.Errorf("status %s", got)
	}
	s.noFindings()
}

func TestDenyWithReason(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h because")
	s.click("bob", m, "deny")
	v := s.modal("bob")
	if problems, err := s.slack.As("bob").Submit(v.ID(), map[string]map[string]any{"reason": {"reason": "not <now>"}}); err != nil || problems != nil {
		t.Fatal(problems, err)
	}
	s.status(r.ID, access.Denied)
	s.shows(r.ID, "*Denied* by <@U0BOB>", "Reason given: not <now>")
	s.written("alice", "was denied by <@U0BOB>", "Reason given: not <now>")
	// Who may not deny is told before they write a reason, and it is recorded.
	r, m = s.filed("alice", "db/orders 1h because")
	s.click("dan", m, "deny")
	s.told("dan", "You are not a reviewer, so you cannot deny")
	if n := len(s.request(r.ID).Refusals); n != 1 {
		t.Errorf("%d refusals recorded, want 1", n)
	}
	s.noFindings()
}

func TestCancel(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h because")
	s.click("bob", m, "cancel")
	s.told("bob", "Only <@U0ALICE> can cancel")
	s.click("alice", m, "cancel")
	s.status(r.ID, access.Cancelled)
	if m := s.shows(r.ID, "*Cancelled* by <@U0ALICE>"); m.HasAction("approve") {
		t.Error("Approve stands on a cancelled request")
	}
	s.noFindings()
}

func TestExtension(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h because")
	s.click("bob", m, "approve")
	s.status(r.ID, access.Approved)
	s.book.grant(t, r.ID)
	dm := s.written("alice", "is live until")
	post := s.posted(r.ID, access.NoticeApproved, r.Requestor)
	extend := func(by string) map[string]string {
		t.Helper()
		s.clickIn("alice", post.Channel, dm, "extend")
		v := s.modal("alice")
		problems, err := s.slack.As("alice").Submit(v.ID(), map[string]map[string]any{"duration": {"duration": by}, "reason": {"reason": "not done"}})
		if err != nil {
			t.Fatal(err)
		}
		if problems != nil {
			if err := s.slack.As("alice").CloseView(v.ID()); err != nil {
				t.Fatal(err)
			}
		}
		return problems
	}
	for by, want := range map[string]string{"soon": "Write a duration", "9h": "at most 8 hours"} {
		if got := extend(by)["duration"]; !strings.Contains(got, want) {
			t.Errorf("extended by %q: got %q, want %q", by, got, want)
		}
	}
	if got := extend("30m"); got != nil {
		t.Fatal(got)
	}
	m = s.shows(r.ID, "asks for 30 minutes more", "Reason for the extension: not done")
	if !m.HasAction("approve_extension") || !m.HasAction("deny_extension") || !m.HasAction("revoke") {
		t.Errorf("the message is %s", textOf(m.Blocks))
	}
	s.eventually("the approvers to be told", func() bool {
		for _, x := range s.slack.As("bob").Thread(channel, m.TS)[1:] {
			if holds(x, "<!subteam^", "asks for 30 minutes more") {
				return true
			}
		}
		return false
	})
	before := s.request(r.ID).Expires()
	s.click("bob", m, "approve_extension")
	s.eventually("the extension", func() bool { return s.request(r.ID).Expires().Equal(before.Add(30 * time.Minute)) })
	s.written("alice", "the extension by 30 minutes was approved by <@U0BOB>")
	s.shows(r.ID, "Extended by 30 minutes by <@U0BOB>")

	if got := extend("15m"); got != nil {
		t.Fatal(got)
	}
	m = s.shows(r.ID, "asks for 15 minutes more")
	s.click("bob", m, "deny_extension")
	v := s.modal("bob")
	if _, err := s.slack.As("bob").Submit(v.ID(), map[string]map[string]any{"reason": {"reason": "enough"}}); err != nil {
		t.Fatal(err)
	}
	s.written("alice", "was denied by <@U0BOB>, who wrote: enough")

	m = s.shows(r.ID, "was denied by")
	s.click("carol", m, "revoke")
	v = s.modal("carol")
	if _, err := s.slack.As("carol").Submit(v.ID(), map[string]map[string]any{"reason": {"reason": "over"}}); err != nil {
		t.Fatal(err)
	}
	s.eventually("the end", func() bool { return s.request(r.ID).Ending != nil })
	s.book.must(t, access.Finish{Request: r.ID})
	s.shows(r.ID, "Revoked by <@U0CAROL>", "Reason given: over")
	s.noFindings()
}
