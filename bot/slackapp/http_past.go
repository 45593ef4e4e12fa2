package slackapp

import (
	"context"
	"sync"
	"time"
)

// How much of the past is kept.
const (
	// remembered is longer than a signature can be used, which is twice the window,
	// and than Slack goes on repeating an event, which is some six minutes.
	remembered    = 15 * time.Minute
	mostDelivered = 10_000
	mostAnswers   = 16 << 20 // bytes
)

// past is what was delivered lately, and what was answered: the same delivery again
// gets the same answer and has no further effect. It is bounded; what it has to
// forget early is seen as done by the log.
type past struct {
	mu    sync.Mutex
	known map[string]*delivered // guarded by mu
	order []*delivered          // guarded by mu; oldest first
	bytes int                   // guarded by mu; of all answers
}

// delivered is one delivery.
type delivered struct {
	key    string
	at     time.Time
	done   chan struct{} // closed when it is settled
	acked  bool          // set before done is closed; else it is to come again
	answer []byte        // set before done is closed
}

func newPast() *past { return &past{known: map[string]*delivered{}} }

// enter notes a delivery. Where it is known already, that one is returned, and false.
// A new one must be settled.
func (p *past) enter(key string, now time.Time) (*delivered, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.known[key]; d != nil && now.Sub(d.at) < remembered {
		return d, false
	}
	p.forgetLocked(now)
	d := &delivered{key: key, at: now, done: make(chan struct{})}
	p.known[key] = d
	p.order = append(p.order, d)
	return d, true
}

// settle says what became of a delivery. One that was not acknowledged is forgotten:
// Slack is to bring it again.
func (p *past) settle(d *delivered, acked bool, answer []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known[d.key] == d {
		if p.bytes += len(answer); !acked {
			delete(p.known, d.key) // it stays in the order, and is nobody's there
		}
	}
	d.acked, d.answer = acked, answer
	close(d.done)
}

// forgetLocked drops what is too old or too much.
func (p *past) forgetLocked(now time.Time) {
	for len(p.order) > 0 {
		d := p.order[0]
		if now.Sub(d.at) < remembered && len(p.order) < mostDelivered && p.bytes < mostAnswers {
			return
		}
		p.order[0], p.order = nil, p.order[1:]
		if p.known[d.key] == d {
			delete(p.known, d.key)
			p.bytes -= len(d.answer)
		}
	}
}

// wait is until a delivery is settled; false if ctx ended first.
func (d *delivered) wait(ctx context.Context) bool {
	select {
	case <-d.done:
		return true
	case <-ctx.Done():
		return false
	}
}
