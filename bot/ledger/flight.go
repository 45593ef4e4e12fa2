package ledger

import (
	"context"
	"fmt"

	"countersign/bot/access"
)

// A flight is a batch on its way into the log. Whoever changes the request meanwhile
// builds on it, so that both go the rest of the way together: a click need not wait
// for the record of the message that it was made on.
type flight struct {
	after  access.Request // the request as it is once the batch is in the log
	last   File           // the last of its files
	landed chan struct{}  // closed once it is there and folded, or will not be, or nobody knows
	err    error          // why it is not, or may not be; set before landed is closed
}

// An Urger is a [Store] that may keep a batch back, for others to share the way with.
// Urge says that somebody waits for what is on its way of a request, until leave is
// called.
type Urger interface {
	Urge(request string) (leave func())
}

// flying is the newest batch that is on its way for a request; nil: there is none.
func (l *Ledger) flying(id string) *flight {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.flights[id]
}

// depart says what is on its way for a request now. It is the caller's turn.
func (l *Ledger) depart(b batch) *flight {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := &flight{after: b.after, last: b.files[len(b.files)-1], landed: make(chan struct{})}
	l.flights[b.after.ID] = f
	return f
}

// land says what has become of a batch.
func (l *Ledger) land(f *flight, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.flights[f.after.ID] == f {
		delete(l.flights, f.after.ID)
	}
	f.err = err
	close(f.landed)
}

// await waits for a batch to land, and has the store hurry.
func (l *Ledger) await(ctx context.Context, f *flight) error {
	select {
	case <-f.landed:
		return nil
	default:
	}
	if u, ok := l.store.(Urger); ok {
		defer u.Urge(f.after.ID)()
	}
	select {
	case <-f.landed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait until another is through: %w", ctx.Err())
	}
}

// Posted reports whether a message of the bot's is known, or is just being recorded:
// then whoever changes its request builds on that.
func (l *Ledger) Posted(request, channel, ts string) bool {
	if f := l.flying(request); f != nil && f.after.PostedAt(channel, ts) {
		return true
	}
	r, ok := l.Request(request)
	return ok && r.PostedAt(channel, ts)
}
