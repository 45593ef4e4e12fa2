package slackapp

import (
	"context"
	"regexp"
	"slices"
	"time"

	"countersign/bot/access"
)

// facts are what is known without asking anybody: enough for what is offered and
// shown. Decisions have facts of their own.
func (a *App) facts(rules *access.Rules) access.Facts {
	return access.Facts{Now: time.Now(), Rules: rules, Members: a.members.recall()}
}

// factsOf are those for a dry run of what somebody wants.
func (a *App) factsOf(rules *access.Rules, actor access.Actor, do access.Action) access.Facts {
	f := a.facts(rules)
	f.Actor = actor
	if access.BreaksGlass(do) {
		f.Unreviewed = a.unreviewed(rules, actor.Person)
	}
	return f
}

// offered are those of some resources that a person may ask for, at most so many.
// It looks at no more of them than it must.
func (a *App) offered(rules *access.Rules, principal access.Person, found []access.Resource, most int) []access.Resource {
	f := a.facts(rules)
	var out []access.Resource
	for chunk := range slices.Chunk(found, 250) {
		some := *rules
		some.Resources = chunk
		if out = append(out, f.Requestable(&some, principal)...); len(out) >= most {
			return out[:most]
		}
	}
	return out
}

// foretell says what would become of somebody's request, from memory; nil where
// the resource or, under access policies, one of the people is not known.
func (a *App) foretell(rules *access.Rules, user, principal, resource string) *access.Explanation {
	res, ok := rules.Resource(resource)
	me, known := a.people.recall(user)
	who, also := a.people.recall(principal)
	if !ok || len(rules.Policies) > 0 && !(known && also) {
		return nil
	}
	e := a.facts(rules).Explain(rules, me.Person, who.Person, res)
	return &e
}

// explain says what a configuration makes of a request that was filed. Where no
// policy takes part at this hour, it is judged as if the hour did not matter: the
// message stands longer than the hour.
func (a *App) explain(rules *access.Rules, r access.Request) access.Explanation {
	f := a.facts(rules)
	e := f.ExplainRequest(rules, r)
	if e.Outcome == access.WouldBeDenied {
		f.Anytime = true
		e = f.ExplainRequest(rules, r)
	}
	return e
}

// asksElsewhere reports whether a decision on a request is taken by facts that are
// asked at the click, so that no dry run can foretell it.
func asksElsewhere(r access.Request, configs ...*access.Rules) bool {
	n := access.NeedsOf(access.Resource{ID: r.Resource, Target: r.Target}, false, !r.Escalated.IsZero(), configs...)
	for _, rules := range configs {
		if rules == nil {
			continue
		}
		if res, ok := rules.Resource(r.Resource); ok {
			more := access.NeedsOf(res, false, !r.Escalated.IsZero(), rules)
			n.Groups, n.Watches = append(n.Groups, more.Groups...), append(n.Watches, more.Watches...)
		}
	}
	return len(n.Groups)+len(n.Watches) > 0
}

// ticketsOf are the patterns that a ticket must match.
func ticketsOf(e *access.Explanation) []*regexp.Regexp {
	if e == nil {
		return nil
	}
	var out []*regexp.Regexp
	for _, p := range e.Tickets {
		if re, err := regexp.Compile("^(?:" + p + ")$"); err == nil {
			out = append(out, re)
		}
	}
	return out
}

// mayApprove reports whether somebody is among those who may approve a request, as
// far as it is known: today, and when it was filed.
func (a *App) mayApprove(ctx context.Context, rules *access.Rules, p access.Person, r access.Request) bool {
	return slices.Contains(a.approvers(ctx, rules, r), rules.Who(p))
}

// approvers are the addresses of those who may approve a request today, and might
// when it was filed.
func (a *App) approvers(ctx context.Context, rules *access.Rules, r access.Request) []string {
	today, filed := a.explain(rules, r).Approvers, a.cfg.Reader.RulesAt(ctx, r.FiledUnder)
	if filed == nil || filed == rules || filed.Commit == rules.Commit {
		return today
	}
	var then []string
	for _, e := range a.explain(filed, r).Approvers {
		then = append(then, rules.Canonical(e))
	}
	return slices.DeleteFunc(slices.Clone(today), func(e string) bool { return !slices.Contains(then, e) })
}

// maySee reports whether somebody may be told about a request.
func (a *App) maySee(ctx context.Context, rules *access.Rules, p access.Person, r access.Request) bool {
	if rules.MaySee(p, r) {
		return true
	}
	for _, notice := range []string{noticeApprove, noticeGlass} {
		if _, asked := r.Post(notice, p); asked && p.Slack != "" {
			return true
		}
	}
	same := func(x access.Person) bool { return rules.Same(x, p) }
	if d := r.Decision; d != nil && slices.ContainsFunc(d.Approvers, same) || voted(rules, r.Votes, p) {
		return true
	}
	return len(rules.Policies) > 0 && a.mayApprove(ctx, rules, p, r) || a.reviewWaitsFor(rules, p, r) || a.onCall(ctx, rules, p, r)
}

// voted reports whether somebody's approval is among those given.
func voted(rules *access.Rules, votes []access.Ballot, p access.Person) bool {
	return slices.ContainsFunc(votes, func(b access.Ballot) bool { return rules.Same(b.By, p) })
}
