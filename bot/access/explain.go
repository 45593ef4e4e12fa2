package access

import (
	"slices"
	"time"
)

// An Explanation foretells what a configuration would say about a request, and
// why. It is made of the same parts as the decision itself.
type Explanation struct {
	Outcome   Outcome
	Reason    string   // why it is denied, as a refusal says it
	Source    Source   // of an automatic approval
	Takes     string   // whose approval it takes, in words
	Approvers []string // all who may approve, as far as they are named; sorted
	Limit     time.Duration
	Reasons   bool // whether a reason, a duration, a ticket is demanded
	Durations bool
	Tickets   []string // patterns that a ticket must match
	Policies  []Share  // every access policy, in order; none for the default approvals
}

// Outcome is what would become of a request.
type Outcome string

// The outcomes of a request.
const (
	WouldBeDenied   Outcome = "denied"
	WouldBeGiven    Outcome = "automatic"
	WouldNeedPeople Outcome = "approval"
)

// A Share is the part that one policy has in an explanation.
type Share struct {
	Policy string
	Part   string // a sentence
}

// Explain foretells a request of one person for the access of another.
func (f Facts) Explain(r *Rules, requestor, principal Person, res Resource) Explanation {
	return f.explain(r, Request{Requestor: requestor, Principal: principal, Resource: res.ID, Target: res.Target}, res)
}

// ExplainRequest foretells what becomes of a request that was filed: whether it
// was escalated counts.
func (f Facts) ExplainRequest(r *Rules, q Request) Explanation {
	return f.explain(r, q, r.resourceOf(q))
}

func (f Facts) explain(r *Rules, q Request, res Resource) Explanation {
	f.Rules = r
	x := f.ruling(r, q.Principal, res)
	e := Explanation{
		Outcome: WouldNeedPeople, Takes: x.describe(q), Approvers: f.Approvers(r, q.Requestor, q.Principal, res),
		Limit: x.limit, Reasons: x.terms.RequireReason, Durations: x.terms.RequireDuration,
	}
	for _, p := range x.tickets {
		e.Tickets = append(e.Tickets, patternText(p))
	}
	for _, p := range r.Policies {
		e.Policies = append(e.Policies, Share{p.Name, f.share(r, p, q.Principal, res)})
	}
	if err := x.allows(res.ID); err != nil {
		e.Outcome, e.Reason, e.Takes = WouldBeDenied, err.Error(), "nobody"
		return e
	}
	if given, ok := f.given(x, q); ok {
		e.Outcome = WouldBeGiven
		if b, ok := given.Body.(Approval); ok {
			e.Source = b.Source
		}
	}
	return e
}

// share says what part a policy has, and the first reason if it has none.
func (f Facts) share(r *Rules, p Policy, principal Person, res Resource) string {
	about := f.about(r, p.Requestor, principal)
	switch {
	case p.Disabled:
		return "is disabled"
	case !p.Resource.about(res):
		return "is not about this resource"
	case about == no:
		return "is not about this person"
	case !f.Anytime && !p.Terms.Hours.at(f.Now):
		return "is outside its hours"
	case about == unknown:
		return "restricts, and approves nothing: who is in its groups cannot be asked"
	case slices.ContainsFunc(p.Approval, func(w Way) bool { return w.Type == "deny" }):
		return "denies"
	}
	return "takes part"
}
