package bot

import (
	"context"
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

	entitlements lanes         // one call at a time for one access of one account
	settling     time.Duration // see [settling]
	places       lanes         // a few at a time for one target, and for one provider

	mu      sync.Mutex                         // guards all below
	busy    map[string]chan struct{}           // requests with an effect under way; closed at its end
	giving  map[string]context.CancelCauseFunc // grant calls under way that [engine.cut] has not been told of
	retries map[string]*retry                  // requests whose effect has failed
	nudged  map[string]time.Time               // pre-approvals whose reminders the notifier was last handed then
	rings   map[string]*ring                   // requests that the operators were told of
	late    map[string]bool                    // revoked at the provider while the log could not be written
}

// A retry waits for its time. It is of one effect: that granting fails is no
// reason to wait with revoking.
type retry struct {
	effect   access.Effect
	failures int
	at       time.Time
}

func newEngine(b *Bot) *engine {
	return &engine{
		b: b, settling: settling, busy: map[string]chan struct{}{}, giving: map[string]context.CancelCauseFunc{},
		retries: map[string]*retry{}, nudged: map[string]time.Time{}, late: map[string]bool{}, rings: map[string]*ring{},
	}
}

// start begins every effect that is due and not under way: revocations first,
// and of these what is longest overdue.
func (e *engine) start(ctx context.Context) {
	rules, now := e.b.Rules.Current(), e.b.Now()
	open := e.b.Ledger.Open()
	var overdue, rest []access.Request
	for _, r := range open {
		if access.Due(r, rules, now) == access.DoRevoke {
			overdue = append(overdue, r)
		} else {
			rest = append(rest, r)
		}
	}
	slices.SortFunc(overdue, func(a, b access.Request) int { return a.Expires().Compare(b.Expires()) })
	for _, r := range overdue {
		e.begin(ctx, r, access.DoRevoke, now)
	}
	for _, r := range rest {
		e.begin(ctx, r, access.Due(r, rules, now), now)
	}
	e.alarms(ctx, open, now)
	e.remindAhead(now)
}

// begin pays what is due, if anything. Where that must wait, people are told
// meanwhile what they are owed.
func (e *engine) begin(ctx context.Context, r access.Request, due access.Effect, now time.Time) {
	switch {
	case due != access.Nothing && e.take(r.ID, due, now):
		go e.payAlone(ctx, r.ID)
	case len(access.Owed(r, now)) > 0:
		e.b.Notifier.Changed(r.ID)
	}
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

// take marks a request as being paid for. It answers false where it is already,
// or waits for its retry; a grant that is under way then makes room for an end.
func (e *engine) take(id string, due access.Effect, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy[id] != nil {
		if due == access.DoRevoke {
			e.cut(id)
		}
		return false
	}
	if x := e.retries[id]; x != nil && x.effect == due && now.Before(x.at) {
		return false
	}
	e.busy[id] = make(chan struct{})
	return true
}

func (e *engine) done(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.busy[id])
	delete(e.busy, id)
}

// underWay are the effects that are under way: for each, what is closed at its
// end. only chooses among them; nil takes all.
func (e *engine) underWay(only func(id string) bool) []chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []chan struct{}
	for id, c := range e.busy {
		if only == nil || only(id) {
			all = append(all, c)
		}
	}
	return all
}

// wait returns when no effect is under way.
func (e *engine) wait() {
	for {
		busy := e.underWay(nil)
		if len(busy) == 0 {
			return
		}
		for _, c := range busy {
			<-c
		}
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
		err := e.effect(ctx, r, due)
		after, _ := e.b.Ledger.Request(id)
		next := access.Due(after, e.b.Rules.Current(), e.b.Now())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && due == access.DoGrant && next == access.DoRevoke:
			e.b.Log.Warn("a grant whose access is to end was given up", "request", id, "err", err)
		case err != nil:
			e.failed(ctx, r, due, err)
			return
		case after.Seq == r.Seq && next == due:
			return // nothing to record: somebody else was faster, or not yet due
		}
	}
}

func (e *engine) effect(ctx context.Context, r access.Request, due access.Effect) error {
	switch due {
	case access.DoGrant:
		return e.grant(ctx, r)
	case access.DoRevoke:
		if r.Status.Ended() {
			return e.takeAway(ctx, r)
		}
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
		if err := e.dial(ctx, p); err != nil {
			errs = append(errs, fmt.Errorf("page: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (e *engine) dial(ctx context.Context, p access.Page) error {
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

// record writes what the bot itself did.
func (e *engine) record(ctx context.Context, id string, a access.Action) error {
	return e.recordUnder(ctx, e.b.Rules.Current(), id, a)
}

func (e *engine) recordUnder(ctx context.Context, rules *access.Rules, id string, a access.Action) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	r, err := e.b.Ledger.Update(ctx, id, e.b.decide(access.Facts{Rules: rules, Late: e.isLate(id)}, a))
	if err != nil {
		return err
	}
	e.mu.Lock()
	if r.Status.Ended() {
		delete(e.late, id)
	}
	e.mu.Unlock()
	e.b.Notifier.Changed(id)
	return nil
}

// retellAfter is how long one recorded failure stands for those that follow.
const retellAfter = time.Hour

// failed plans the retry, and records the failure if the log does not yet say it.
func (e *engine) failed(ctx context.Context, r access.Request, due access.Effect, err error) {
	text := err.Error()
	waits, waiting := errors.AsType[*access.Awaiting](err)
	if waiting {
		text = waits.For
		e.b.Log.Info("owed, and waiting for somebody", "request", r.ID, "effect", due, "for", text)
	} else {
		e.b.Log.Error("owed, and not yet possible; it is tried again", "request", r.ID, "effect", due, "err", err)
	}
	e.mu.Lock()
	x := e.retries[r.ID]
	if x == nil || x.effect != due {
		x = &retry{effect: due}
		e.retries[r.ID] = x
	}
	x.failures++
	x.at = e.b.Now().Add(backoff(x.failures))
	if waiting {
		x.at = e.b.Now().Add(lookAgain(x.failures))
	}
	e.mu.Unlock()
	if due != access.DoGrant && due != access.DoRevoke {
		return
	}
	now, _ := e.b.Ledger.Request(r.ID)
	if f := now.Failure; f != nil && f.Waiting == waiting && (e.b.Now().Sub(f.At) < retellAfter || waiting && f.Error == access.Clean(text, 1000)) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, intentTimeout)
	defer cancel()
	if err := e.record(ctx, r.ID, access.Fail{Request: r.ID, Error: text, Waiting: waiting}); err != nil {
		e.b.Log.Error("a failure cannot be recorded", "request", r.ID, "err", err)
	}
}

// backoff is 10 s, 20 s, 40 s … 5 min, each give or take a quarter, so that
// many that failed together do not come back together.
func backoff(failures int) time.Duration {
	d := min(10*time.Second<<min(failures-1, 10), 5*time.Minute)
	return d*3/4 + rand.N(d/2)
}

// lookAgain is when to look whether somebody has done their part: after 5 s, 10 s,
// 20 s and so on, then every minute.
func lookAgain(looks int) time.Duration {
	return min(5*time.Second<<min(looks-1, 10), time.Minute)
}

func (e *engine) clear(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.retries, id)
}

// failures is how often an effect of a request has failed since it last did not.
func (e *engine) failures(id string, due access.Effect) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.retries[id]; x != nil && x.effect == due {
		return x.failures
	}
	return 0
}

func (e *engine) retryAt(id string) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.retries[id]; x != nil {
		return x.at
	}
	return time.Time{}
}

func (e *engine) setLate(id string, late bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if late {
		e.late[id] = true
	} else {
		delete(e.late, id)
	}
}

func (e *engine) isLate(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.late[id]
}
