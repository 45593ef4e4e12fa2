package slackapp

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"countersign/bot/access"
)

// rota remembers for a moment who is on call, for what is shown. No decision rests
// on it.
type rota struct {
	ask func(context.Context, access.Watch) ([]access.Duty, error) // nil: nobody can be asked
	log *slog.Logger

	mu    sync.Mutex
	known map[string]shift // guarded by mu; by what was asked
}

// shift is what was answered.
type shift struct {
	duties []access.Duty
	at     time.Time
	failed bool // nobody answered
}

func (s shift) stale() bool { return membership{at: s.at, failed: s.failed}.stale() }

// look answers who is on call, by integration. Who cannot be asked is not there.
func (r *rota) look(ctx context.Context, watches []access.Watch) map[string][]access.Duty {
	out := map[string][]access.Duty{}
	for _, w := range watches {
		if s := r.shift(ctx, w); !s.failed {
			out[w.Integration] = s.duties
		}
	}
	return out
}

func (r *rota) shift(ctx context.Context, w access.Watch) shift {
	key := fmt.Sprintf("%+v", w)
	r.mu.Lock()
	s, ok := r.known[key]
	r.mu.Unlock()
	if ok && !s.stale() {
		return s
	}
	ctx, cancel := context.WithTimeout(ctx, 6*time.Second)
	defer cancel()
	duties, err := r.ask(ctx, w)
	if err != nil {
		text, _ := access.Redact(err.Error())
		r.log.Debug("slack: who is on call cannot be shown", "integration", w.Integration, "error", text)
	}
	s = shift{duties, time.Now(), err != nil}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) > 100 {
		clear(r.known) // other configurations are in force by now
	}
	r.known[key] = s
	return s
}

// onCall reports whether somebody may decide a request because they are on call, now
// that it was escalated.
func (a *App) onCall(ctx context.Context, rules *access.Rules, p access.Person, r access.Request) bool {
	if a.rota.ask == nil || r.Status != access.Pending || r.Escalated.IsZero() {
		return false
	}
	f := a.facts(rules)
	f.Actor, f.Filed = access.Actor{Person: p}, a.cfg.Reader.RulesAt(ctx, r.FiledUnder)
	res := access.Resource{ID: r.Resource, Target: r.Target}
	if now, ok := rules.Resource(r.Resource); ok {
		res = now
	}
	f.Duties = a.rota.look(ctx, access.NeedsOf(res, false, true, rules, f.Filed).Watches)
	_, err := access.Decide(f, r, access.Deny{Request: r.ID})
	return err == nil
}
