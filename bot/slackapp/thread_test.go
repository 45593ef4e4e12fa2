package slackapp_test

import (
	"strings"
	"testing"

	"countersign/bot/access"
	"countersign/bot/slacksim"
)

func TestConversationIsRecorded(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h why")
	bob, dan := s.slack.As("bob"), s.slack.As("dan")
	ts, err := bob.Reply(channel, m.TS, "which <release> & why, @alice?")
	if err != nil {
		t.Fatal(err)
	}
	s.eventually("the reply", func() bool { return len(s.request(r.ID).Messages) == 1 })
	got := s.request(r.ID).Messages[0]
	if got.Text != "which <release> & why, <@U0ALICE>?" || got.By.Email != "bob@example.com" || got.TS != ts {
		t.Errorf("recorded %+v", got)
	}
	if err := bob.Edit(channel, ts, "which one?"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the edit", func() bool { return len(s.request(r.ID).Messages[0].Edits) == 1 })
	if err := bob.Delete(channel, ts); err != nil {
		t.Fatal(err)
	}
	s.eventually("the deletion", func() bool { return !s.request(r.ID).Messages[0].Deleted.IsZero() })
	if got := s.request(r.ID).Messages[0]; got.Text != "which one?" || got.Edits[0].Text != "which <release> & why, <@U0ALICE>?" {
		t.Errorf("recorded %+v", got)
	}
	// What is said elsewhere, and what the bot says, is no part of it.
	if _, err := dan.Post(channel, "approve it already"); err != nil {
		t.Fatal(err)
	}
	s.app.Remind(r.ID)
	s.eventually("the reminder", func() bool {
		for _, x := range bob.Thread(channel, m.TS) {
			if holds(x, "still waits for a decision", "<!subteam^") {
				return true
			}
		}
		return false
	})
	if _, err := dan.Reply(channel, m.TS, "last"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the last reply", func() bool { return len(s.request(r.ID).Messages) == 2 })
	for _, c := range s.book.actions(access.Say{}) {
		if !strings.HasPrefix(c.ID, "event:Ev") {
			t.Errorf("a reply has the event id %q", c.ID)
		}
	}
	s.noFindings()
}

func TestSecretIsNotRecordedAndItsPosterTold(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h why")
	if _, err := s.slack.As("alice").Reply(channel, m.TS, "use password=correct-horse-battery"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the reply", func() bool { return len(s.request(r.ID).Messages) == 1 })
	if got := s.request(r.ID).Messages[0].Text; strings.Contains(got, "horse") {
		t.Errorf("recorded %q", got)
	}
	s.told("alice", "seems to contain a secret (password)", "delete the message")
	s.noFindings()
}

func TestReplyIsRecordedWhenTheLogIsBack(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h why")
	fails := 2
	s.book.mu.Lock()
	s.book.broken = func(c access.Command) error {
		if _, says := c.Do.(access.Say); says && fails > 0 {
			fails--
			return errNoDisk
		}
		return nil
	}
	s.book.mu.Unlock()
	ts, err := s.slack.As("bob").Reply(channel, m.TS, "one")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.slack.As("bob").Delete(channel, ts); err != nil {
		t.Fatal(err)
	}
	s.eventually("both, in their order", func() bool {
		all := s.request(r.ID).Messages
		return len(all) == 1 && !all[0].Deleted.IsZero()
	})
}

// TestBackfill: what was said, edited and deleted while the bot was away.
func TestBackfill(t *testing.T) {
	s := start(t, func(c *slacksim.Config, _ *book) { c.World.App.Events = nil })
	r, m := s.filed("alice", "github/payments-admins 1h why")
	s.book.must(t, access.Say{Request: r.ID, TS: "1700000000.000100", Text: "was deleted meanwhile"})
	bob := s.slack.As("bob")
	kept, err := bob.Reply(channel, m.TS, "kept")
	if err != nil {
		t.Fatal(err)
	}
	edited, err := bob.Reply(channel, m.TS, "first")
	if err != nil {
		t.Fatal(err)
	}
	s.book.must(t, access.Say{Request: r.ID, TS: edited, Text: "first"})
	if err := bob.Edit(channel, edited, "second"); err != nil {
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.run()
	s.eventually("the conversation", func() bool {
		state := map[string]access.Message{}
		for _, x := range s.request(r.ID).Messages {
			state[x.TS] = x
		}
		return len(state) == 3 && state[kept].Text == "kept" && state[kept].By.Email == "bob@example.com" &&
			state[edited].Text == "second" && len(state[edited].Edits) == 1 && !state["1700000000.000100"].Deleted.IsZero()
	})
	s.noFindings()
}

func TestBackfillAfterAllSocketsWereGone(t *testing.T) {
	s := start(t, func(c *slacksim.Config, _ *book) { c.World.App.Events = nil })
	r, m := s.filed("alice", "github/payments-admins 1h why")
	if _, err := s.slack.As("bob").Reply(channel, m.TS, "unheard"); err != nil {
		t.Fatal(err)
	}
	if err := s.slack.Fault(slacksim.Fault{Disconnect: "now"}); err != nil {
		t.Fatal(err)
	}
	s.eventually("the reply", func() bool { return len(s.request(r.ID).Messages) == 1 })
}
