package slackapp_test

import (
	"context"
	"sync"
	"testing"

	"countersign/bot/access"
	"countersign/bot/slackapp"
)

// patient is a log that records what was posted only once somebody waits for it, or
// something is recorded that builds on it, as one does that saves pushes.
type patient struct {
	mu     sync.Mutex
	flying map[string]access.Post   // guarded by mu: what is being recorded, by request
	urged  map[string]chan struct{} // guarded by mu; closed as soon as somebody waits
	landed map[string]chan struct{} // guarded by mu; closed when it is recorded
}

func (p *patient) channel(of map[string]chan struct{}, request string) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if of[request] == nil {
		of[request] = make(chan struct{})
	}
	return of[request]
}

func (p *patient) urge(request string) func() {
	c := p.channel(p.urged, request)
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-c:
	default:
		close(c)
	}
	return func() {}
}

func (p *patient) posting(request, channel, ts string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	post, ok := p.flying[request]
	return ok && post.Channel == channel && post.TS == ts
}

// record records what was posted when it is urged to.
func (p *patient) record(ctx context.Context, n access.Notify, record func() (access.Request, error)) (access.Request, error) {
	p.mu.Lock()
	p.flying[n.Request] = n.Post
	p.mu.Unlock()
	select {
	case <-p.channel(p.urged, n.Request):
	case <-ctx.Done():
		return access.Request{}, ctx.Err()
	}
	defer close(p.channel(p.landed, n.Request))
	return record()
}

// startPatient starts an app over such a log.
func startPatient(t *testing.T) *stage {
	s, p := set(t), &patient{flying: map[string]access.Post{}, urged: map[string]chan struct{}{}, landed: map[string]chan struct{}{}}
	s.book.posting = p.posting
	s.run(func(c *slackapp.Config) {
		handle := c.Handle
		c.Urge = p.urge
		c.Handle = func(ctx context.Context, c access.Command) (access.Request, error) {
			if n, posted := c.Do.(access.Notify); posted && n.Post.Notice == access.NoticeApproval {
				return p.record(ctx, n, func() (access.Request, error) { return handle(ctx, c) })
			}
			if a, approves := c.Do.(access.Approve); approves {
				p.urge(a.Request)
				<-p.channel(p.landed, a.Request)
			}
			return handle(ctx, c)
		}
	})
	s.eventually("the app to be ready", func() bool { return s.app.Ready() == nil })
	return s
}

// TestClickIsRecordedTogether: nobody's click waits until the record of the message is
// written, nor until it has found a push to ride along with.
func TestClickIsRecordedTogether(t *testing.T) {
	s := startPatient(t)
	s.click("bob", s.posting(), "approve")
	s.eventually("the approval", func() bool { return s.book.Requests()[0].Status == access.Approved })
}

// TestFormUrges: a button that opens a form is answered by what is in the log, and
// the record of its message hurries.
func TestFormUrges(t *testing.T) {
	s := startPatient(t)
	s.click("bob", s.posting(), "deny")
	s.modal("bob")
}

// TestReplyUrges: a reply that is faster than the record is not lost.
func TestReplyUrges(t *testing.T) {
	s := startPatient(t)
	if _, err := s.slack.As("dan").Reply(channel, s.posting().TS, "so soon?"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the reply", func() bool { return len(s.book.Requests()[0].Messages) == 1 })
}

// TestPostUrges: no message waits in the channel's lane until the one before it is
// recorded at leisure.
func TestPostUrges(t *testing.T) {
	s := startPatient(t)
	for range 3 {
		s.posting()
	}
}
