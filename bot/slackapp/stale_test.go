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
