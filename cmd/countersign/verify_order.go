package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"countersign/bot/access"
	"countersign/gitstore"
)

// dated checks that an event happened when its commit says, and that no decision
// is dated back: whoever holds the bot's key could else cover later what was not
// approved at the time. What waits for others, or was recorded late, may be older
// than what stands before it; a decision never is recorded late.
func (v *verification) dated(x gitstore.Entry, e access.Event) {
	if !x.Time.Equal(e.At) {
		v.found(x.Commit, x.Path, "happened at %s, and its commit says %s", e.At.Format(time.RFC3339), x.Time.UTC().Format(time.RFC3339))
	}
	if !decides(e.Body) {
		return
	}
	if e.At.Add(overlap).Before(v.decided) {
		v.found(x.Commit, x.Path, "is dated %s and follows a decision of %s", e.At.Format(time.RFC3339), v.decided.Format(time.RFC3339))
	}
	v.decided = e.At
}

// decides reports whether an event gives access, or asks for it or keeps it.
func decides(b access.Body) bool {
	switch b.(type) {
	case access.Requested, access.Vote, access.Approval, access.Denial, access.Extended:
		return true
	}
	return false
}

// again checks that nobody broke glass while an earlier use waited for its review.
func (v *verification) again(ctx context.Context, x gitstore.Entry, e access.Event, before access.Request) {
	b, approves := e.Body.(access.Approval)
	rules := v.at(ctx, e.Config)
	if !approves || b.Source != access.ByBreakGlass || rules == nil {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(v.requests)) {
		if r := v.requests[id]; r.ToReview() && rules.Same(r.Principal, before.Principal) {
			v.found(x.Commit, x.Path, "not justified: would be refused: the use of break-glass in %s was not reviewed", r.ID)
		}
	}
}

// unexamined checks that each use of break-glass demanded its review.
func (v *verification) unexamined() {
	for _, id := range slices.Sorted(maps.Keys(v.requests)) {
		r := v.requests[id]
		if r.Decision != nil && r.Decision.Source == access.ByBreakGlass && r.Review == nil && !v.broken[id] {
			v.found("", "", "request %s: glass was broken, and no review was demanded", id)
		}
	}
}
