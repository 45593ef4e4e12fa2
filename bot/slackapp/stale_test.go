package slackapp_test

import (
	"testing"

	"countersign/bot/access"
)

// called waits until somebody is called in a request's thread with the words.
func (s *stage) called(id string, words ...string) {
	s.Helper()
	s.eventually("a call in the thread", func() bool { return s.inThread(id, words...) })
}

// inThread reports whether a reply of the bot's has all the words.
func (s *stage) inThread(id string, words ...string) bool {
	s.Helper()
	for _, m := range s.slack.As("bob").Thread(channel, s.message(id).TS)[1:] {
		if m.Bot && holds(m, words...) {
			return true
		}
	}
	return false
}

// TestCallsFollowTheState: whatever called people in a request's thread says how it
// ended as soon as nothing waits for them any more, also after a restart.
func TestCallsFollowTheState(t *testing.T) {
	s := start(t)
	gone := func(id, words string) {
		t.Helper()
		s.eventually("no call to be left that says "+words, func() bool { return !s.inThread(id, words) })
	}
	r, m := s.filed("alice", "github/payments-admins 1h why")
	s.app.Remind(r.ID)
	s.called(r.ID, "<!subteam^", "still waits for a decision")
	s.posted(r.ID, access.NoticeReminder+"-0", access.Person{})
	s.click("bob", m, "approve")
	s.called(r.ID, "<@U0ALICE> asks for access to Payments admins: approved by <@U0BOB>.")
	gone(r.ID, "still waits")
	s.app.Remind(r.ID)

	s.book.grant(t, r.ID)
	s.command("alice", "/access extend "+r.ID+" 30m not done")
	s.called(r.ID, "asks for 30 minutes more", "Approve or deny it")
	s.click("bob", s.shows(r.ID, "asks for 30 minutes more"), "approve_extension")
	s.called(r.ID, "Extended by 30 minutes by <@U0BOB>")
	gone(r.ID, "Approve or deny it")
	s.command("alice", "/access extend "+r.ID+" 15m nearly done")
	s.called(r.ID, "asks for 15 minutes more", "Approve or deny it")
	s.posted(r.ID, access.NoticeAsked+"-2", access.Person{})
	s.called(r.ID, "Extended by 30 minutes by <@U0BOB>")

	// Nobody decides on it, the access ends, and then it is there again.
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.book.mu.Lock()
	s.book.changed = nil
	s.book.mu.Unlock()
	s.book.outlive(r.ID, 0)
	s.book.must(t, access.Expire{Request: r.ID})
	s.book.must(t, access.Finish{Request: r.ID})
	s.run()
	s.called(r.ID, "The access ended before anybody decided on the extension.")
	gone(r.ID, "Approve or deny it")
	s.book.must(t, access.Observe{Request: r.ID, Found: access.Present})
	s.called(r.ID, "was there again afterwards", "press *Revoke*")
	s.book.must(t, access.Observe{Request: r.ID, Found: access.Absent})
	s.called(r.ID, "was there again afterwards", "It is gone since")
	gone(r.ID, "press *Revoke*")
	gone(r.ID, "still waits")
	s.noFindings()
}

// TestMessageFollowsWhenTheChannelIsBack: what is decided while the bot cannot write
// into its channel is shown there, and its buttons are gone, as soon as it can.
func TestMessageFollowsWhenTheChannelIsBack(t *testing.T) {
	for name, away := range map[string]func(s *stage, away bool) error{
		"removed": func(s *stage, away bool) error {
			if away {
				return s.slack.RemoveMember(channel, "U0COUNTERSIGN")
			}
			return s.slack.AddMember(channel, "U0COUNTERSIGN")
		},
		"archived": func(s *stage, away bool) error { return s.slack.ArchiveChannel(channel, away) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			r, _ := s.filed("alice", "github/payments-admins 1h why")
			s.written("alice", "is filed")
			if err := away(s, true); err != nil {
				t.Fatal(err)
			}
			s.eventually("the app not to be ready", func() bool { return s.app.Ready() != nil })
			before := s.calls("chat.update", channel)
			me := access.Actor{Person: r.Requestor}
			if _, err := s.book.handle(t.Context(), access.Command{ID: "cmd:1", Actor: me, Do: access.Cancel{Request: r.ID}}); err != nil {
				t.Fatal(err)
			}
			s.eventually("a try in vain", func() bool { return s.calls("chat.update", channel) > before })
			s.written("alice", "was cancelled by <@U0ALICE>")
			if err := away(s, false); err != nil {
				t.Fatal(err)
			}
			if m := s.shows(r.ID, "*Cancelled* by <@U0ALICE>"); m.HasAction("approve") {
				t.Error("Approve still stands")
			}
		})
	}
}
