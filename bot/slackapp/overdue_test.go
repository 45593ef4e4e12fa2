package slackapp_test

import (
	"fmt"
	"testing"
	"time"

	"countersign/bot/access"
)

// outlive moves the end of an access into the past.
func (b *book) outlive(id string, by time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.requests[id]
	d := *r.Decision
	d.Expires = time.Now().Add(-by).UTC().Truncate(time.Second)
	r.Decision = &d
	b.requests[id] = r
}

// TestOverdueIsTold: an access that outlives its end is told to the people in it
// and to who approved it, and after an hour in the thread, to all approvers; and
// when it has ended, its message says that it was late, and nothing that it is there.
func TestOverdueIsTold(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 2h incident")
	s.click("bob", m, "approve")
	s.status(r.ID, access.Approved)
	s.book.grant(t, r.ID)
	s.written("alice", "is live until")
	s.book.outlive(r.ID, 2*time.Hour)
	s.book.must(t, access.Expire{Request: r.ID})
	s.book.must(t, access.Fail{Request: r.ID, Error: "502 bad gateway"})
	s.shows(r.ID, "Ending the access fails", "502 bad gateway")
	s.written("alice", "Ending the access fails")
	for _, who := range []string{"alice", "bob"} {
		s.written(who, "is still there", "502 bad gateway", "github/payments-admins")
	}
	g, _ := s.slack.Group("access-approvers")
	s.called(r.ID, fmt.Sprintf("<!subteam^%s>", g.ID), "is still there")
	s.book.must(t, access.Finish{Request: r.ID})
	s.shows(r.ID, "Expired", "It was to end")
	s.written("bob", "was to end", "Expired")
	s.written("alice", "has ended", "It was to end")
	s.called(r.ID, "was to end", "Expired")
	s.eventually("nothing in the thread to say that it is there", func() bool { return !s.inThread(r.ID, "is still there") })
	s.noFindings()
}
