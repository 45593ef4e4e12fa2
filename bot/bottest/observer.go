package bottest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"countersign/bot"
	"countersign/bot/access"
)

// An Observer is a [Provider] that cannot look, and a [bot.Observer]: as
// receivers of webhooks do, it notes what it found before it acts, gives the
// same order the same answer, and refuses to give what has expired, which also
// fails the test.
type Observer struct {
	*Provider
	Now   func() time.Time           // time.Now unless it is set, before the first call
	first map[string]access.Presence // guarded by Provider.mu; answers by order
}

var _ bot.Observer = (*Observer)(nil)

// NewObserver returns one where nobody has anything.
func NewObserver(t testing.TB) *Observer {
	p := NewProvider(t)
	p.Blind = true
	return &Observer{Provider: p, Now: time.Now, first: map[string]access.Presence{}}
}

// Grant implements [bot.Provider].
func (p *Observer) Grant(ctx context.Context, o access.Order) error {
	_, err := p.GrantObserving(ctx, o)
	return err
}

// GrantObserving implements [bot.Observer].
func (p *Observer) GrantObserving(ctx context.Context, o access.Order) (access.Presence, error) {
	p.check(o)
	id := fmt.Sprintf("%s %s", o.Request, o.Expires)
	err := p.call(ctx, "Grant", o.Target, o, func() {
		if !p.Now().Before(o.Expires) {
			p.t.Errorf("provider: %s is ordered to be given after its expiry", o.Request)
			return
		}
		if p.first[id] == "" {
			p.first[id] = access.Absent
			if slices.Contains(p.holders[targetKey(o.Target)], o.Subject) {
				p.first[id] = access.Present
			}
		}
		p.set(o.Target, o.Subject, true)
	})
	if err != nil {
		return access.Unknown, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.first[id], nil
}
