package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"countersign/bot/access"
)

const (
	// callTimeout bounds each call of a provider.
	callTimeout = 30 * time.Second
	// lookTimeout bounds a look at what is live. It holds up an end of the same
	// access, so it is short.
	lookTimeout = 10 * time.Second
	// lastWord is how long a grant call may still take once the access is to
	// end. A call that is cut off may have its effect later, when the access was
	// already seen to be gone, so it is not cut off at once.
	lastWord = 5 * time.Second
	// learnTries is how often a lost answer is asked for before an end goes on
	// without it.
	learnTries = 3
	// intentTimeout is how long an end may wait for the log. After it the access
	// is taken away all the same, and recorded late.
	intentTimeout = 3 * time.Second
)

// How many calls of one kind are under way at once, to one target and to all of
// a provider's. A target that hangs takes the places of others with the same
// provider only where there are many such, and those of other providers never.
const (
	atTarget   = 16
	atProvider = 64
)

// errEnding ends a grant call whose access is to end.
var errEnding = errors.New("the access is to end; the call was cut off")

// A kind of call has places of its own, so that neither grants nor sweeps hold
// up revocations.
type callKind string

const (
	toGive callKind = "give"
	toEnd  callKind = "end"
	toLook callKind = "look"
)

// call makes calls to a provider for one target, when there is a place.
func (e *engine) call(ctx context.Context, kind callKind, t access.Target, within time.Duration, do func(context.Context) error) error {
	leave, err := e.places.enter(ctx, string(kind)+"\x00"+targetKey(t), atTarget)
	if err != nil {
		return err
	}
	defer leave()
	out, err := e.places.enter(ctx, string(kind)+"\x00"+t.Provider, atProvider)
	if err != nil {
		return err
	}
	defer out()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return do(ctx)
}

// grant gives the access, or tells the provider of its later end.
func (e *engine) grant(ctx context.Context, r access.Request) error {
	call, done := e.cuttable(ctx, r.ID)
	defer done()
	rules := e.b.Rules.Current() // the account and the intent rest on the same
	p, subject, err := e.subject(call, r, rules)
	if errors.Is(err, access.ErrNoAccount) {
		return e.record(ctx, r.ID, access.Fail{Request: r.ID, Error: err.Error(), Final: true})
	}
	if err != nil {
		return err
	}
	release, err := e.entitlements.enter(call, entitlement(r.Target, subject), 1)
	if err != nil {
		return err
	}
	defer release()
	if r.Grant == nil {
		a, err := e.observe(call, p, r, subject)
		if err == nil {
			err = e.recordUnder(ctx, rules, r.ID, a)
		}
		if err != nil {
			return err
		}
	}
	if r, _ = e.b.Ledger.Request(r.ID); r.Grant == nil || access.Due(r, rules, e.b.Now()) != access.DoGrant {
		return nil // it is to end meanwhile
	}
	if gone, err := e.goneMeanwhile(call, p, r); gone || err != nil {
		if gone {
			err = e.record(ctx, r.ID, access.Observe{Request: r.ID, Found: access.Absent})
		}
		return err
	}
	confirm, err := e.give(call, p, r)
	if err != nil {
		return err
	}
	// A crash before this leaves the grant owed, and the same order is given again.
	return e.record(ctx, r.ID, confirm)
}

// goneMeanwhile reports whether an access that is extended was taken away by hand:
// to give it again would undo that in silence.
func (e *engine) goneMeanwhile(ctx context.Context, p Provider, r access.Request) (bool, error) {
	if !access.GoneByHand(r, e.b.Now()) {
		return false, nil
	}
	has, err := e.look(ctx, p, r)
	return has == access.Absent, err
}

// look asks whether the account of a grant has its access now.
func (e *engine) look(ctx context.Context, p Provider, r access.Request) (has access.Presence, err error) {
	err = e.call(ctx, toLook, r.Target, lookTimeout, func(ctx context.Context) (err error) {
		has, err = p.Has(ctx, r.Target, r.Grant.Subject)
		return err
	})
	return has, err
}

// give orders the access.
func (e *engine) give(ctx context.Context, p Provider, r access.Request) (access.Confirm, error) {
	done := access.Confirm{Request: r.ID, Until: r.Expires()}
	err := e.call(ctx, toGive, r.Target, callTimeout, func(ctx context.Context) (err error) {
		if o, ok := p.(Observer); ok && unlearned(r) {
			done.Before, err = o.GrantObserving(ctx, order(r))
			return err
		}
		return p.Grant(ctx, order(r))
	})
	if err != nil {
		return done, fmt.Errorf("grant: %w", err)
	}
	return done, nil
}

// unlearned reports whether the answer to the first grant says what was there
// before: nobody could look, and no other grant of ours was in the way.
func unlearned(r access.Request) bool {
	return r.Grant.Before == access.Unknown && r.Grant.Inherited == "" && r.Grant.GrantedAt.IsZero()
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
	var s string
	err := e.call(ctx, toGive, r.Target, callTimeout, func(ctx context.Context) (err error) {
		s, err = p.Subject(ctx, r.Target, rules.Account(r.Principal))
		return err
	})
	return p, s, err
}

// observe looks whether the access was there before, and makes of it the intent.
// While another grant of the same access is ours, what it observed is what
// counts: looking again would mistake our own grant for the person's.
func (e *engine) observe(ctx context.Context, p Provider, r access.Request, subject string) (access.Intend, error) {
	a := access.Intend{Request: r.ID, Subject: subject}
	if err := e.sync(ctx); err != nil {
		return a, err // another bot's grant would be mistaken too
	}
	if other, ok := e.overlap(r, subject, func(access.Request) bool { return true }); ok {
		a.Before, a.Inherited = other.Grant.Before, other.ID
		return a, nil
	}
	err := e.call(ctx, toGive, r.Target, callTimeout, func(ctx context.Context) (err error) {
		a.Before, err = p.Has(ctx, r.Target, subject)
		return err
	})
	if err != nil {
		return a, fmt.Errorf("look whether the access was there before: %w", err)
	}
	return a, nil
}

// sync reads what other bots have written, and waits no longer than a decision
// would.
func (e *engine) sync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return e.b.sync(ctx)
}

// overlap finds another request whose grant of the same access is not ended.
func (e *engine) overlap(r access.Request, subject string, also func(access.Request) bool) (access.Request, bool) {
	for _, o := range e.b.Ledger.Open() {
		if o.ID != r.ID && !o.Status.Ended() && sameAccess(o, r.Target, subject) && also(o) {
			return o, true
		}
	}
	return access.Request{}, false
}

// sameAccess reports whether a request's grant is of that access.
func sameAccess(o access.Request, t access.Target, subject string) bool {
	return o.Grant != nil && o.Grant.Subject == subject && access.SameEntitlement(o.Target, t)
}

func (e *engine) revoke(ctx context.Context, r access.Request) error {
	if r.Ending == nil {
		try, cancel := context.WithTimeout(ctx, intentTimeout)
		err := e.record(try, r.ID, access.Expire{Request: r.ID})
		cancel()
		if err != nil {
			e.setLate(r.ID, true)
			e.b.Log.Error("an expiry cannot be recorded; revoking all the same", "request", r.ID, "err", err)
		} else if r, _ = e.b.Ledger.Request(r.ID); r.Ending == nil {
			return nil // an extension was faster
		}
	}
	if r.Grant == nil {
		return e.record(ctx, r.ID, access.Finish{Request: r.ID}) // nothing was ever given
	}
	p, subject, err := e.subject(ctx, r, e.b.Rules.Current())
	if err != nil {
		return err
	}
	release, err := e.entitlements.enter(ctx, entitlement(r.Target, subject), 1)
	if err != nil {
		return err
	}
	defer release()
	if r, err = e.learn(ctx, p, r); err != nil {
		return err
	}
	kept, err := e.keep(ctx, r, subject)
	if err != nil {
		return err
	}
	gone := kept == "had_before" && r.RemovedByHand()
	if gone {
		kept = "" // what was there before was taken away too: nothing stays, and nothing is left to do
	}
	if kept == "" && !gone {
		if err := e.call(ctx, toEnd, r.Target, 2*callTimeout, func(ctx context.Context) error { return end(ctx, p, r) }); err != nil {
			return err
		}
	}
	if e.isLate(r.ID) {
		if err := e.record(ctx, r.ID, access.Expire{Request: r.ID}); err != nil {
			return err
		}
		if now, _ := e.b.Ledger.Request(r.ID); now.Ending == nil {
			e.setLate(r.ID, false)
			return nil // an extension got into the log after all: it is given again
		}
	}
	return e.record(ctx, r.ID, access.Finish{Request: r.ID, Kept: kept})
}

// takeAway ends what was seen again after its end, because a person has said so.
// While another grant of the same access lives, that one decides.
func (e *engine) takeAway(ctx context.Context, r access.Request) error {
	p, subject, err := e.subject(ctx, r, e.b.Rules.Current())
	if err != nil {
		return err
	}
	release, err := e.entitlements.enter(ctx, entitlement(r.Target, subject), 1)
	if err != nil {
		return err
	}
	defer release()
	if _, ok := e.overlap(r, subject, func(access.Request) bool { return true }); ok {
		return nil
	}
	if err := e.call(ctx, toEnd, r.Target, 2*callTimeout, func(ctx context.Context) error { return end(ctx, p, r) }); err != nil {
		return err
	}
	return e.record(ctx, r.ID, access.Observe{Request: r.ID, Found: access.Absent})
}

// learn asks once more what a provider found before the first grant, where its
// answer was lost and the access is to end before its time: it must answer the
// same order what it answered at first. It may be that the order never arrived,
// and is carried out now; the end follows at once. Where no answer is to be had,
// the end goes on without it, and takes the access: that it was there before is
// then not known.
func (e *engine) learn(ctx context.Context, p Provider, r access.Request) (access.Request, error) {
	o, ok := p.(Observer)
	if !ok || !unlearned(r) || !e.b.Now().Before(r.Expires()) || e.failures(r.ID, access.DoRevoke) >= learnTries {
		return r, nil
	}
	done := access.Confirm{Request: r.ID, Until: r.Expires()}
	err := e.call(ctx, toEnd, r.Target, callTimeout, func(ctx context.Context) (err error) {
		done.Before, err = o.GrantObserving(ctx, order(r))
		return err
	})
	if err != nil {
		return r, fmt.Errorf("ask what was there before: %w", err)
	}
	if err := e.record(ctx, r.ID, done); err != nil {
		return r, err
	}
	r, _ = e.b.Ledger.Request(r.ID)
	return r, nil
}

// keep says why an access stays although this grant of it ends.
func (e *engine) keep(ctx context.Context, r access.Request, subject string) (string, error) {
	now := e.b.Now()
	if _, ok := e.overlap(r, subject, func(o access.Request) bool { return o.Ending == nil && now.Before(o.Expires()) }); ok {
		return "other_grant", nil
	}
	if g := r.Grant; g.Before == access.Absent || g.Before == access.Unknown && g.Inherited == "" {
		return "", nil // whatever else was ever given; that may be much to read
	}
	granted, err := e.b.Ledger.Granted(ctx, r.Target, subject)
	if err != nil {
		return "", fmt.Errorf("look up earlier grants of the access: %w", err)
	}
	if before(r, granted) != access.Present {
		return "", nil
	}
	if err := e.sync(ctx); err != nil {
		return "", err
	}
	if granted, err = e.b.Ledger.Granted(ctx, r.Target, subject); err != nil {
		return "", fmt.Errorf("look up earlier grants of the access: %w", err)
	}
	if ours(r, subject, granted) {
		return "", nil
	}
	return "had_before", nil
}

// before is what was there before the first of the grants of an access that
// overlap. It may have become known after the later ones took it over.
func before(r access.Request, granted []access.Request) access.Presence {
	for range 1000 {
		if r.Grant == nil || r.Grant.Before != access.Unknown || r.Grant.Inherited == "" {
			break
		}
		i := slices.IndexFunc(granted, func(o access.Request) bool { return o.ID == r.Grant.Inherited })
		if i < 0 {
			break
		}
		r = granted[i]
	}
	if r.Grant == nil {
		return access.Unknown
	}
	return r.Grant.Before
}

// ours reports whether what was observed before a grant was another grant of
// ours, which the bot that looked could not know of yet: of two bots on one log
// each has read only what the other had written when it last looked. One that
// took over what this grant observed was not there before it.
func ours(r access.Request, subject string, granted []access.Request) bool {
	return slices.ContainsFunc(granted, func(o access.Request) bool {
		return o.ID != r.ID && sameAccess(o, r.Target, subject) && before(o, granted) != access.Present && !o.Grant.IntentAt.After(r.Grant.IntentAt) &&
			(o.End == nil || !o.End.At.Before(r.Grant.IntentAt))
	})
}

func end(ctx context.Context, p Provider, r access.Request) error {
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

// cuttable is the context of a grant call, which [engine.cut] may end early.
func (e *engine) cuttable(ctx context.Context, id string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	e.mu.Lock()
	e.giving[id] = cancel
	e.mu.Unlock()
	return ctx, func() {
		e.mu.Lock()
		delete(e.giving, id)
		e.mu.Unlock()
		cancel(nil)
	}
}

// cut gives a grant call that is under way [lastWord] to end by itself, for its
// access is to end. Once is enough. The caller holds mu.
func (e *engine) cut(id string) {
	if cancel := e.giving[id]; cancel != nil {
		delete(e.giving, id)
		time.AfterFunc(lastWord, func() { cancel(errEnding) })
	}
}

// targetKey names what access is given to, whoever gets it.
func targetKey(t access.Target) string {
	with, err := json.Marshal(t.With) // keys are sorted
	if err != nil {
		with = nil // holds more than it must
	}
	return t.Provider + "\x00" + string(with)
}

// entitlement names one access of one account.
func entitlement(t access.Target, subject string) string {
	return targetKey(t.Entitlement()) + "\x00" + subject
}

func order(r access.Request) access.Order {
	return access.Order{
		Request: r.ID, Resource: r.Resource, Target: r.Target, Subject: r.Grant.Subject,
		Principal: r.Principal, Expires: r.Expires(),
	}
}
