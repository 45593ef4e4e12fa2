package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"countersign/bot/access"
)

// An engine pays what the log owes: grants, revocations, time-outs, reminders.
// Each effect follows the grant protocol: intend, act, record the outcome. A
// crash between any two steps leaves the effect owed, and the next look pays it
// through the same path.
type engine struct {
	b *Bot

	mu      sync.Mutex
	busy    map[string]bool      // requests with an effect under way
	retries map[string]*retry    // requests whose effect has failed
	nudged  map[string]time.Time // pre-approvals whose reminders the notifier was last handed then
	late    map[string]bool      // revoked at the provider while the log could not be written
	held    map[string]struct{}  // entitlements with a provider call under way
	freed   *sync.Cond           // on mu: an entitlement, or a request, became free
}

// A retry waits for its time. It is of one effect: that granting fails is no
// reason to wait with revoking.
type retry struct {
	effect   access.Effect
	failures int
	at       time.Time
}

func newEngine(b *Bot) *engine {
	e := &engine{b: b, busy: map[string]bool{}, retries: map[string]*retry{}, nudged: map[string]time.Time{}, late: map[string]bool{}, held: map[string]struct{}{}}
	e.freed = sync.NewCond(&e.mu)
	return e
}

// start begins every effect that is due and not under way.
func (e *engine) start(ctx context.Context) {
	rules, now := e.b.Rules.Current(), e.b.Now()
	for _, r := range e.b.Ledger.Open() {
		due := access.Due(r, rules, now)
		if due == access.Nothing {
			if len(access.Owed(r, now)) > 0 {
				e.b.Notifier.Changed(r.ID)
			}
			continue
		}
		if e.take(r.ID, due, now) {
			go e.payAlone(ctx, r.ID)
		}
	}
	e.remindAhead(now)
}

// payAlone pays for one request. Whatever a provider does, the others are paid.
func (e *engine) payAlone(ctx context.Context, id string) {
	defer e.done(id)
	defer func() {
		if p := recover(); p != nil {
			r, _ := e.b.Ledger.Request(id)
			e.failed(ctx, r, access.Due(r, e.b.Rules.Current(), e.b.Now()), fmt.Errorf("panic: %v", p))
		}
	}()
	e.pay(ctx, id)
}

func (e *engine) take(id string, due access.Effect, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.retries[id]; e.busy[id] || x != nil && x.effect == due && now.Before(x.at) {
		return false
	}
	e.busy[id] = true
	return true
}

func (e *engine) done(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.busy, id)
	e.freed.Broadcast()
}

// wait returns when no effect is under way.
func (e *engine) wait() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.busy) > 0 {
		e.freed.Wait()
	}
}

// pay does what is due for a request, step by step, until nothing is or a step
// fails. Failing is not the end: the retry comes by itself.
func (e *engine) pay(ctx context.Context, id string) {
	for ctx.Err() == nil {
		r, _ := e.b.Ledger.Request(id)
		due := access.Due(r, e.b.Rules.Current(), e.b.Now())
		if due == access.Nothing {
			e.clear(id)
			return
		}
		if err := e.effect(ctx, r, due); err != nil {
			if ctx.Err() == nil {
				e.failed(ctx, r, due, err)
			}
			return
		}
		if after, _ := e.b.Ledger.Request(id); after.Seq == r.Seq {
			return // nothing to record: somebody else was faster, or not yet due
		}
	}
}

func (e *engine) effect(ctx context.Context, r access.Request, due access.Effect) error {
	switch due {
	case access.DoGrant:
		return e.grant(ctx, r)
	case access.DoRevoke:
		return e.revoke(ctx, r)
	case access.DoTimeOut:
		return e.record(ctx, r.ID, access.TimeOut{Request: r.ID})
	case access.DoPage:
		return e.page(ctx, r)
	case access.DoRemind:
		if err := e.record(ctx, r.ID, access.Remind{Request: r.ID}); err != nil {
			return err
		}
		e.b.Notifier.Remind(r.ID)
	}
	return nil
}

// page calls the people on call, and records each call that was made. The
// vendors take the same call twice for one.
func (e *engine) page(ctx context.Context, r access.Request) error {
	var errs []error
	for _, p := range access.Pages(r) {
		if err := e.call(ctx, p); err != nil {
			errs = append(errs, fmt.Errorf("page: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (e *engine) call(ctx context.Context, p access.Page) error {
	o := e.b.OnCall[p.Integration]
	if o == nil {
		return fmt.Errorf("%s is not set up", p.Integration)
	}
	within, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ref, url, err := o.Page(within, p)
	if err != nil {
		return err
	}
	post := access.Post{Notice: access.NoticePage + "-" + p.Integration, Channel: p.Integration, TS: ref, Permalink: url}
	return e.record(ctx, p.Request, access.Notify{Request: p.Request, Post: post})
}

// callTimeout bounds each call of a provider.
const callTimeout = 30 * time.Second

func (e *engine) grant(ctx context.Context, r access.Request) error {
	rules := e.b.Rules.Current() // the account and the intent rest on the same
	p, subject, err := e.subject(ctx, r, rules)
	if errors.Is(err, access.ErrNoAccount) {
		return e.record(ctx, r.ID, access.Fail{Request: r.ID, Error: err.Error(), Final: true})
	}
	if err != nil {
		return err
	}
	release := e.hold(entitlement(r.Target, subject))
	defer release()
	if r.Grant == nil {
		if r, err = e.intend(ctx, p, r, subject, rules); err != nil {
			return err
		}
		if r.Grant == nil || r.Status != access.Approved || r.Ending != nil {
			return nil // revoked or expired meanwhile: nothing was given
		}
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := p.Grant(call, order(r)); err != nil {
		return fmt.Errorf("grant: %w", err)
	}
	return e.record(ctx, r.ID, access.Confirm{Request: r.ID})
}

// subject is the account at the provider: the recorded one, once there is one.
func (e *engine) subject(ctx context.Context, r access.Request, rules *access.Rules) (Provider, string, error) {
	p := e.b.Providers[r.Target.Provider]
	if p == nil {
		return nil, "", fmt.Errorf("provider %q is not set up in this bot", r.Target.Provider)
	}
	if r.Grant != nil {
		return p, r.Grant.Subject, nil
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := p.Subject(call, r.Target, rules.Account(r.Principal))
	return p, s, err
}

// intend observes whether the access was there before, and records the intent.
// While another grant of the same access is ours, what it observed is what
// counts: looking again would mistake our own grant for the person's.
func (e *engine) intend(ctx context.Context, p Provider, r access.Request, subject string, rules *access.Rules) (access.Request, error) {
	if err := e.b.sync(ctx); err != nil {
		return r, err // another bot's grant would be mistaken too
	}
	a := access.Intend{Request: r.ID, Subject: subject}
	if other, ok := e.overlap(r, subject, func(o access.Request) bool { return true }); ok {
		a.Before, a.Inherited = other.Grant.Before, other.ID
	} else {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		var err error
		if a.Before, err = p.Has(call, r.Target, subject); err != nil {
			return r, fmt.Errorf("look whether the access was there before: %w", err)
		}
	}
	if err := e.recordUnder(ctx, rules, r.ID, a); err != nil {
		return r, err
	}
	r, _ = e.b.Ledger.Request(r.ID)
	return r, nil
}

// overlap finds another request whose grant of the same access is not ended.
func (e *engine) overlap(r access.Request, subject string, also func(access.Request) bool) (access.Request, bool) {
	for _, o := range e.b.Ledger.Open() {
		if o.ID != r.ID && o.Grant != nil && o.Grant.Subject == subject && access.SameEntitlement(o.Target, r.Target) && also(o) {
			return o, true
		}
	}
	return access.Request{}, false
}

// intentTimeout is how long an end may wait for the log. After it the access
// is taken away all the same, and recorded late.
const intentTimeout = 3 * time.Second

func (e *engine) revoke(ctx context.Context, r access.Request) error {
	if r.Ending == nil {
		try, cancel := context.WithTimeout(ctx, intentTimeout)
		err := e.record(try, r.ID, access.Expire{Request: r.ID})
		cancel()
		if err != nil {
			e.setLate(r.ID)
			e.b.Log.Error("an expiry cannot be recorded; revoking all the same", "request", r.ID, "err", err)
		}
	}
	if r.Grant == nil {
		return e.record(ctx, r.ID, access.Finish{Request: r.ID}) // nothing was ever given
	}
	p, subject, err := e.subject(ctx, r, e.b.Rules.Current())
	if err != nil {
		return err
	}
	release := e.hold(entitlement(r.Target, subject))
	defer release()
	kept, err := e.keep(ctx, r, subject)
	if err != nil {
		return err
	}
	if kept == "" {
		call, cancel := context.WithTimeout(ctx, 2*callTimeout)
		defer cancel()
		if err := e.end(call, p, r); err != nil {
			return err
		}
	}
	if r.Ending == nil && e.isLate(r.ID) {
		if err := e.record(ctx, r.ID, access.Expire{Request: r.ID}); err != nil {
			return err
		}
	}
	return e.record(ctx, r.ID, access.Finish{Request: r.ID, Kept: kept})
}

// keep says why an access stays although this grant of it ends.
func (e *engine) keep(ctx context.Context, r access.Request, subject string) (string, error) {
	now := e.b.Now()
	if _, ok := e.overlap(r, subject, func(o access.Request) bool { return o.Ending == nil && now.Before(o.Expires()) }); ok {
		return "other_grant", nil
	}
	if r.Grant.Before != access.Present {
		return "", nil
	}
	if err := e.b.sync(ctx); err != nil {
		return "", err
	}
	if e.ours(r, subject) {
		return "", nil
	}
	return "had_before", nil
}

// ours reports whether what was observed before a grant was another grant of
// ours, which the bot that looked could not know of yet: of two bots on one log
// each has read only what the other had written when it last looked.
func (e *engine) ours(r access.Request, subject string) bool {
	return slices.ContainsFunc(e.b.Ledger.Requests(), func(o access.Request) bool {
		return o.ID != r.ID && o.Grant != nil && o.Grant.Before != access.Present &&
			o.Grant.Subject == subject && access.SameEntitlement(o.Target, r.Target) &&
			!o.Grant.IntentAt.After(r.Grant.IntentAt) && (o.End == nil || !o.End.At.Before(r.Grant.IntentAt))
	})
}

func (e *engine) end(ctx context.Context, p Provider, r access.Request) error {
	if err := p.Revoke(ctx, order(r)); err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	has, err := p.Has(ctx, r.Target, r.Grant.Subject)
	if err != nil {
		return fmt.Errorf("see whether the access is gone: %w", err)
	}
	if has == access.Present {
		return errors.New("revoke: the provider confirmed, but the access is still there")
	}
	return nil
}

// record writes what the bot itself did.
func (e *engine) record(ctx context.Context, id string, a access.Action) error {
	return e.recordUnder(ctx, e.b.Rules.Current(), id, a)
}

func (e *engine) recordUnder(ctx context.Context, rules *access.Rules, id string, a access.Action) error {
	r, err := e.b.Ledger.Update(ctx, id, e.b.decide(access.Facts{Rules: rules, Late: e.isLate(id)}, a))
	if err != nil {
		return err
	}
	if r.Status.Ended() {
		e.mu.Lock()
		delete(e.late, id)
		e.mu.Unlock()
	}
	e.b.Notifier.Changed(id)
	return nil
}

// retellAfter is how long one recorded failure stands for those that follow.
const retellAfter = time.Hour

// failed plans the retry, and records the failure if the log does not yet say it.
func (e *engine) failed(ctx context.Context, r access.Request, due access.Effect, err error) {
	e.b.Log.Error("owed, and not yet possible; it is tried again", "request", r.ID, "effect", due, "err", err)
	e.mu.Lock()
	x := e.retries[r.ID]
	if x == nil || x.effect != due {
		x = &retry{effect: due}
		e.retries[r.ID] = x
	}
	x.failures++
	x.at = e.b.Now().Add(backoff(x.failures))
	e.mu.Unlock()
	if due != access.DoGrant && due != access.DoRevoke {
		return
	}
	now, _ := e.b.Ledger.Request(r.ID)
	if now.Failure != nil && e.b.Now().Sub(now.Failure.At) < retellAfter {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, intentTimeout)
	defer cancel()
	if err := e.record(ctx, r.ID, access.Fail{Request: r.ID, Error: err.Error()}); err != nil {
		e.b.Log.Error("a failure cannot be recorded", "request", r.ID, "err", err)
	}
}

// backoff is 10 s, 20 s, 40 s … 5 min, each give or take a quarter, so that
// many that failed together do not come back together.
func backoff(failures int) time.Duration {
	d := min(10*time.Second<<min(failures-1, 10), 5*time.Minute)
	return d*3/4 + rand.N(d/2)
}

func (e *engine) clear(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.retries, id)
}

func (e *engine) retryAt(id string) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.retries[id]; x != nil {
		return x.at
	}
	return time.Time{}
}

func (e *engine) setLate(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.late[id] = true
}

func (e *engine) isLate(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.late[id]
}

// hold waits until no other call for the same entitlement is under way.
func (e *engine) hold(key string) (release func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		if _, taken := e.held[key]; !taken {
			break
		}
		e.freed.Wait()
	}
	e.held[key] = struct{}{}
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.held, key)
		e.freed.Broadcast()
	}
}

// entitlement names one access of one account.
func entitlement(t access.Target, subject string) string {
	with, err := json.Marshal(t.With) // keys are sorted
	if err != nil {
		with = nil // holds more than it must
	}
	return t.Provider + "\x00" + string(with) + "\x00" + subject
}

func order(r access.Request) access.Order {
	return access.Order{
		Request: r.ID, Resource: r.Resource, Target: r.Target, Subject: r.Grant.Subject,
		Principal: r.Principal, Expires: r.Expires(),
	}
}
