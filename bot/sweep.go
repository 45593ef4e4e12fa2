package bot

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/bot/access"
)

// Sweeps keep what sweeps have found of people whose access the log knows
// nothing of, so that nothing is told twice. *ledger.Ledger is the real one.
type Sweeps interface {
	// Strangers are those found at a target and not found gone since.
	Strangers(t access.Target) []string
	// Swept records a finding.
	Swept(ctx context.Context, f access.Finding, config string, at time.Time) error
}

const (
	// lookBack is how long after its end an access is looked for again.
	lookBack = 30 * 24 * time.Hour
	// settling is how long after a grant or an end nothing is made of what a
	// provider says, where sweeps are not more frequent than that: some show a
	// change only after a while.
	settling = time.Minute
	// sweepErrors in a row end the sweep at a provider: it cannot be asked now.
	sweepErrors = 3
	// mostNamed is how many strangers an announcement names; all are recorded.
	mostNamed = 20
)

// Sweep compares what the log says with what the providers hold. A live access
// that is gone is closed; one that is there again after its end is recorded, so
// that people are told; people whose access the log knows nothing of are recorded
// and announced, once. Nothing is given or taken here.
func (b *Bot) Sweep(ctx context.Context) {
	if err := b.engine.sync(ctx); err != nil {
		if ctx.Err() == nil {
			b.Log.Error("no sweep: the log cannot be read", "err", err)
		}
		return
	}
	open := b.Ledger.Open() // first, so that what ends meanwhile is in both
	ended, err := b.Ledger.Ended(ctx, b.Now().Add(-lookBack))
	if err != nil {
		if ctx.Err() == nil {
			b.Log.Error("no sweep: what has ended cannot be read", "err", err)
		}
		return
	}
	var wg sync.WaitGroup
	for name, p := range b.Providers {
		wg.Go(func() { b.engine.sweep(ctx, name, p, open, ended) })
	}
	wg.Wait()
}

// sweep looks at one provider. It is given what was open, and what has ended of
// late.
func (e *engine) sweep(ctx context.Context, name string, p Provider, open, ended []access.Request) {
	failed := 0
	check := func(what string, err error) (stop bool) {
		if failed++; err == nil {
			failed = 0
		} else if ctx.Err() == nil {
			e.b.Log.Warn("the sweep could not look", "provider", name, "at", what, "err", err)
		}
		return failed >= sweepErrors || ctx.Err() != nil
	}
	for _, r := range e.watched(name, open, ended) {
		if check(r.ID, e.compare(ctx, p, r)) {
			return
		}
	}
	l, ok := p.(Lister)
	if !ok || e.b.Sweeps == nil {
		return
	}
	past := slices.Concat(open, ended)
	for _, t := range e.targets(name) {
		if check(t.resource, e.strangers(ctx, l, t, past)) {
			return
		}
	}
}

// watched are the requests whose access is looked at: the live ones, and for each
// access without an own grant the last one that has ended.
func (e *engine) watched(provider string, open, ended []access.Request) []access.Request {
	now := e.b.Now()
	var live []access.Request
	granted := map[string]bool{}
	for _, r := range open {
		if r.Grant == nil || r.Target.Provider != provider || r.Status.Ended() {
			continue
		}
		granted[entitlement(r.Target, r.Grant.Subject)] = true
		if access.Holds(r) && now.Before(r.Expires()) && now.Sub(r.Grant.GrantedAt) >= e.settling {
			live = append(live, r)
		}
	}
	last := map[string]access.Request{}
	for _, r := range ended {
		if r.Grant == nil || r.Target.Provider != provider {
			continue
		}
		key := entitlement(r.Target, r.Grant.Subject)
		if was, ok := last[key]; !granted[key] && (!ok || was.End.At.Before(r.End.At)) {
			last[key] = r
		}
	}
	for _, r := range last {
		if r.End.Kept == "" && !r.Open() && now.Sub(r.End.At) >= e.settling {
			live = append(live, r)
		}
	}
	slices.SortFunc(live, func(a, b access.Request) int { return cmp.Compare(a.ID, b.ID) })
	return live
}

// compare looks at one access, while no other call for it is under way, and
// records what is not as the log says.
func (e *engine) compare(ctx context.Context, p Provider, r access.Request) error {
	release, err := e.entitlements.enter(ctx, entitlement(r.Target, r.Grant.Subject), 1)
	if err != nil {
		return err
	}
	defer release()
	has, err := e.look(ctx, p, r)
	if err != nil {
		return err
	}
	now, _ := e.b.Ledger.Request(r.ID)
	if now.Seq != r.Seq && now.Status != r.Status || has == access.Unknown {
		return nil
	}
	if _, own := e.overlap(r, r.Grant.Subject, func(access.Request) bool { return true }); own && now.Status.Ended() {
		return nil // given again meanwhile, by us
	}
	before := now.Drifts
	if err := e.record(ctx, r.ID, access.Observe{Request: r.ID, Found: has}); err != nil {
		return err
	}
	if after, _ := e.b.Ledger.Request(r.ID); after.Seq > now.Seq {
		e.b.Log.Warn("drift: the provider holds something else than the log says", "request", r.ID, "found", has, "again", after.Drifts > before)
		e.b.rouse()
	}
	return nil
}

// A place is a target whose holders are listed.
type place struct {
	access.Target
	resource string
}

// targets are those of the configuration, and of what is live still.
func (e *engine) targets(provider string) []place {
	var out []place
	seen := map[string]bool{}
	add := func(t access.Target, resource string) {
		if key := targetKey(t); t.Provider == provider && !seen[key] {
			seen[key] = true
			out = append(out, place{t, resource})
		}
	}
	for _, r := range e.b.Rules.Current().Resources {
		add(r.Target, r.ID)
	}
	for _, r := range e.b.Ledger.Open() {
		if r.Grant != nil {
			add(r.Target, r.Resource)
		}
	}
	return out
}

// strangers looks who has an access that the log knows nothing of, and records
// and tells what is new.
func (e *engine) strangers(ctx context.Context, p Lister, at place, past []access.Request) error {
	var holders []string
	err := e.call(ctx, toLook, at.Target, callTimeout, func(ctx context.Context) (err error) {
		holders, err = p.Holders(ctx, at.Target)
		return err
	})
	if err != nil {
		return err
	}
	f := access.Finding{Resource: at.resource, Target: at.Target}
	known := e.known(p, at.Target, past)
	holders = slices.DeleteFunc(holders, func(h string) bool { return has(known, h) })
	before := e.b.Sweeps.Strangers(at.Target)
	for _, h := range holders {
		if !has(before, h) && !has(f.Appeared, h) {
			f.Appeared = append(f.Appeared, h)
		}
	}
	for _, h := range before {
		if !has(holders, h) {
			f.Gone = append(f.Gone, h)
		}
	}
	if len(f.Appeared)+len(f.Gone) == 0 {
		return nil
	}
	slices.Sort(f.Appeared)
	slices.Sort(f.Gone)
	return e.tellStrangers(ctx, f)
}

// known are the subjects of which the log says why they have, or had, an access, be
// it because of what else they were given at the same place.
func (e *engine) known(p Lister, t access.Target, past []access.Request) []string {
	var out []string
	for _, r := range slices.Concat(e.b.Ledger.Open(), past) {
		if r.Grant != nil && r.Target.Provider == t.Provider && p.Covers(t, r.Target) {
			out = append(out, r.Grant.Subject)
		}
	}
	return out
}

func has(subjects []string, s string) bool {
	return slices.ContainsFunc(subjects, func(o string) bool { return access.SameSubject(o, s) })
}

// tellStrangers records a finding and announces who has appeared. A crash in
// between loses the announcement, not the record.
func (e *engine) tellStrangers(ctx context.Context, f access.Finding) error {
	var err error
	if f.Sweep, err = e.b.newID(); err != nil {
		return err
	}
	write, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := e.b.Sweeps.Swept(write, f, e.b.Rules.Current().Commit, e.b.Now()); err != nil {
		return fmt.Errorf("record what the sweep found: %w", err)
	}
	e.b.Log.Warn("access that the log knows nothing of", "resource", f.Resource, "appeared", f.Appeared, "gone", f.Gone)
	if n := len(f.Appeared); n > 0 {
		named := f.Appeared[:min(n, mostNamed)]
		text := fmt.Sprintf("⚠️ %d with access to `%s` that was not given here: `%s`", n, plain(f.Resource), plain(strings.Join(named, ", ")))
		if n > len(named) {
			text += fmt.Sprintf(" and %d more, in the log under `sweeps/`", n-len(named))
		}
		e.b.Notifier.Announce(text + ". Nothing was changed.")
	}
	return nil
}

// plain is text without what Slack would make something of.
func plain(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "`", "'", "\n", " ").Replace(s)
}
