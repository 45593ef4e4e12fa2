package bottest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"countersign/bot"
	"countersign/bot/access"
)

// A Fault is what goes wrong in one call.
type Fault string

// The faults of a provider.
const (
	Fails      Fault = "fails"       // and has no effect
	FailsAfter Fault = "fails after" // the effect is there, the answer is lost
	Hangs      Fault = "hangs"       // until the context ends, without effect
	HangsAfter Fault = "hangs after" // likewise, the effect is there
)

// ErrInjected is the error of [Fails] and [FailsAfter].
var ErrInjected = errors.New("injected fault")

// A Call is one call of a [Provider].
type Call struct {
	Method  string // Subject, Has, Grant, Revoke
	Request string // of Grant and Revoke
	Subject string
	Err     error
}

// String shows a call in one line.
func (c Call) String() string {
	s := strings.TrimSpace(c.Method + " " + c.Subject + " " + c.Request)
	if c.Err != nil {
		s += ": " + c.Err.Error()
	}
	return s
}

// A Provider gives access in memory. It is a [bot.Provider], and fails the
// test where its caller breaks the contract: no deadline, an order without its
// request, resource, subject or expiry, or two calls under way for the same
// subject and target.
type Provider struct {
	t testing.TB
	// Blind makes Has answer unknown. Set it before the first call.
	Blind bool
	// Account names a person's account; unset, it is the address, and nobody
	// without one has an account. Set it before the first call.
	Account func(access.Account) string

	mu      sync.Mutex // guards all below
	holders map[string][]string
	busy    map[string]bool
	faults  map[string][]Fault
	calls   []Call
}

var _ bot.Provider = (*Provider)(nil)

// NewProvider returns a provider where nobody has anything.
func NewProvider(t testing.TB) *Provider {
	return &Provider{t: t, holders: map[string][]string{}, busy: map[string]bool{}, faults: map[string][]Fault{}}
}

// Inject makes the next calls of a method go wrong, one fault a call. The empty
// method is Grant or Revoke, whichever comes. An empty fault is a call that goes
// well.
func (p *Provider) Inject(method string, faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults[method] = append(p.faults[method], faults...)
}

// Clear forgets all faults that were injected and have not come yet.
func (p *Provider) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.faults)
}

// Give gives an access behind the bot's back.
func (p *Provider) Give(t access.Target, subject string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(t, subject, true)
}

// Take takes an access away behind the bot's back.
func (p *Provider) Take(t access.Target, subject string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(t, subject, false)
}

// Holders are the subjects that have an access, sorted.
func (p *Provider) Holders(t access.Target) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(slices.Values(p.holders[targetKey(t)]))
}

// Lister is a [Provider] that can name everybody who has an access.
type Lister struct {
	*Provider
	// Higher are pairs of targets at one place, the lower one first: who has the
	// higher one has the lower one too.
	Higher [][2]access.Target
}

// Covers implements [bot.Lister].
func (p Lister) Covers(t, other access.Target) bool {
	return targetKey(t) == targetKey(other) || slices.ContainsFunc(p.Higher, func(h [2]access.Target) bool {
		return targetKey(h[0]) == targetKey(t) && targetKey(h[1]) == targetKey(other)
	})
}

// Holders implements [bot.Lister].
func (p Lister) Holders(ctx context.Context, t access.Target) ([]string, error) {
	var answer []string
	err := p.call(ctx, "Holders", t, access.Order{}, func() {
		answer = slices.Clone(p.holders[targetKey(t)])
		for _, h := range p.Higher {
			if targetKey(h[0]) == targetKey(t) {
				answer = append(answer, p.holders[targetKey(h[1])]...)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

var _ bot.Lister = Lister{}

// Calls are all calls that have returned, in that order.
func (p *Provider) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

// Subject implements [bot.Provider].
func (p *Provider) Subject(ctx context.Context, t access.Target, who access.Account) (string, error) {
	name := who.Email
	if p.Account != nil {
		name = p.Account(who)
	}
	err := p.call(ctx, "Subject", t, access.Order{Subject: name}, nil)
	if err == nil && name == "" {
		err = fmt.Errorf("nobody is known here: %w", access.ErrNoAccount)
	}
	if err != nil {
		return "", err
	}
	return name, nil
}

// Has implements [bot.Provider].
func (p *Provider) Has(ctx context.Context, t access.Target, subject string) (access.Presence, error) {
	answer := access.Unknown
	err := p.call(ctx, "Has", t, access.Order{Subject: subject}, func() {
		switch {
		case p.Blind:
		case slices.Contains(p.holders[targetKey(t)], subject):
			answer = access.Present
		default:
			answer = access.Absent
		}
	})
	if err != nil {
		return access.Unknown, err
	}
	return answer, nil
}

// Grant implements [bot.Provider].
func (p *Provider) Grant(ctx context.Context, o access.Order) error {
	p.check(o)
	return p.call(ctx, "Grant", o.Target, o, func() { p.set(o.Target, o.Subject, true) })
}

// Revoke implements [bot.Provider].
func (p *Provider) Revoke(ctx context.Context, o access.Order) error {
	p.check(o)
	return p.call(ctx, "Revoke", o.Target, o, func() { p.set(o.Target, o.Subject, false) })
}

// check fails the test for an order that no provider could carry out.
func (p *Provider) check(o access.Order) {
	if o.Request == "" || o.Resource == "" || o.Subject == "" || o.Target.Provider == "" || o.Expires.IsZero() {
		p.t.Errorf("provider: an order is not complete: %+v", o)
	}
}

// call makes one call: the fault that is due, if any, and the effect.
func (p *Provider) call(ctx context.Context, method string, t access.Target, o access.Order, effect func()) error {
	if _, ok := ctx.Deadline(); !ok {
		p.t.Errorf("provider: %s has no deadline", method)
	}
	fault, leave := p.enter(method, t, o)
	err := ctx.Err()
	hang := fault == Hangs || fault == HangsAfter
	if err == nil && effect != nil && fault != Fails && fault != Hangs {
		p.mu.Lock()
		effect()
		p.mu.Unlock()
	}
	switch {
	case err == nil && hang:
		<-ctx.Done()
		err = ctx.Err()
	case err == nil && fault != "":
		err = ErrInjected
	}
	leave(err)
	return err
}

// enter notes that a call is under way, and answers which fault it has.
func (p *Provider) enter(method string, t access.Target, o access.Order) (Fault, func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := targetKey(t) + "\x00" + o.Subject
	if p.busy[key] && method != "Subject" {
		p.t.Errorf("provider: %s for %s while another call for them is under way", method, o.Subject)
	}
	if method != "Subject" {
		p.busy[key] = true
	}
	queue := method
	if len(p.faults[queue]) == 0 && (method == "Grant" || method == "Revoke") {
		queue = ""
	}
	var fault Fault
	if f := p.faults[queue]; len(f) > 0 {
		fault, p.faults[queue] = f[0], f[1:]
	}
	return fault, func(err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if method != "Subject" {
			delete(p.busy, key)
		}
		p.calls = append(p.calls, Call{Method: method, Request: o.Request, Subject: o.Subject, Err: err})
	}
}

// set is called with the mutex held.
func (p *Provider) set(t access.Target, subject string, has bool) {
	key := targetKey(t)
	others := slices.DeleteFunc(p.holders[key], func(s string) bool { return s == subject })
	if has {
		others = append(others, subject)
	}
	p.holders[key] = others
}

// targetKey tells targets apart; fmt prints maps in the order of their keys.
func targetKey(t access.Target) string {
	return fmt.Sprintf("%s %#v", t.Provider, t.Entitlement().With)
}
