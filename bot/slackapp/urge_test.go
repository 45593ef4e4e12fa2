package slackapp_test

import (
	"context"
	"sync"
	"testing"

	"countersign/bot/access"
	"countersign/bot/slackapp"
)

// patient is a log that records what was posted only once somebody waits for it,
// as one does that saves pushes.
type patient struct {
	mu    sync.Mutex
	urged map[string]chan struct{} // guarded by mu; closed as soon as somebody waits
}

func (p *patient) of(request string) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.urged[request] == nil {
		p.urged[request] = make(chan struct{})
	}
	return p.urged[request]
}

func (p *patient) urge(request string) func() {
	c := p.of(request)
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-c:
	default:
		close(c)
	}
	return func() {}
}

// startPatient starts an app over such a log.
func startPatient(t *testing.T) *stage {
	s, p := set(t), &patient{urged: map[string]chan struct{}{}}
	s.run(func(c *slackapp.Config) {
		record := c.Handle
		c.Urge = p.urge
		c.Handle = func(ctx context.Context, c access.Command) (access.Request, error) {
			if n, posted := c.Do.(access.Notify); posted && n.Post.Notice == access.NoticeApproval {
				select {
				case <-p.of(n.Request):
				case <-ctx.Done():
					return access.Request{}, ctx.Err()
				}
			}
			return record(ctx, c)
		}
	})
	s.eventually("the app to be ready", func() bool { return s.app.Ready() == nil })
	return s
}

// TestClickUrges: nobody's click waits until the record of the message has found a
// push to ride along with.
func TestClickUrges(t *testing.T) {
	s := startPatient(t)
	s.command("alice", "/access request github/payments-admins 1h why")
	s.eventually("the message", func() bool { return s.approvals() == 1 })
	all := s.slack.As("bob").Messages(channel)
	s.click("bob", all[len(all)-1], "approve")
	s.eventually("the approval", func() bool { return s.book.Requests()[0].Status == access.Approved })
}

// TestReplyUrges: a reply that is faster than the record is not lost.
func TestReplyUrges(t *testing.T) {
	s := startPatient(t)
	s.command("alice", "/access request github/payments-admins 1h why")
	s.eventually("the message", func() bool { return s.approvals() == 1 })
	all := s.slack.As("bob").Messages(channel)
	if _, err := s.slack.As("dan").Reply(channel, all[len(all)-1].TS, "so soon?"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the reply", func() bool { return len(s.book.Requests()[0].Messages) == 1 })
}

// TestPostUrges: no message waits in the channel's lane until the one before it is
// recorded at leisure.
func TestPostUrges(t *testing.T) {
	s := startPatient(t)
	for n := range 3 {
		s.command("alice", "/access request github/payments-admins 1h why")
		s.eventually("the message", func() bool { return s.approvals() == n+1 })
	}
}
