package access

import (
	"slices"
	"strings"
)

// Escalation calls the people on call to a pending request. Whoever of them is
// on call when they click may then approve it.
type Escalation struct {
	// Calls are what is asked of each integration: pinned here, so that a change
	// of the configuration in between pages nobody else.
	Calls []Call
}

// A Call is whom one integration is asked to call.
type Call struct {
	Integration        string // pagerduty, incidentio
	Services           []string
	EscalationPolicies []string
	Schedules          []string
	EscalationPath     string
	From               string // address of a user at the vendor, where one is needed
}

// Kind implements [Body].
func (Escalation) Kind() string { return "escalated" }

func (b Escalation) apply(r *Request, e Event) error {
	if err := r.must(Pending); err != nil {
		return err
	}
	r.Escalated, r.Calls = e.At, b.Calls
	return nil
}

// Escalate asks for it. Pressed again it does nothing: they are called once.
type Escalate struct {
	Request string
	Where   Place
}

// Target implements [Action].
func (a Escalate) Target() (string, int) { return a.Request, 0 }

func (a Escalate) decide(f Facts, r Request) ([]Event, error) {
	if err := f.known(r, a.Where); err != nil {
		return nil, err
	}
	if !f.Rules.Same(f.Actor.Person, r.Requestor) {
		return nil, refuse(NotYours, "Only %s can escalate this request.", mention(r.Requestor))
	}
	if r.Status != Pending {
		return nil, decided(r)
	}
	if !r.Escalated.IsZero() {
		return nil, nil
	}
	today, then, err := f.rulings(r)
	if err != nil {
		return nil, err
	}
	ways := escalations(today.taking)
	switch {
	case len(ways) > 0 && len(escalations(then.taking)) > 0:
		return []Event{f.event(r, Escalation{Calls: f.Rules.calls(r, ways)})}, nil
	case len(escalations(today.perhaps())) > 0 && len(escalations(then.perhaps())) > 0:
		return nil, refuse(DirectoryDown, "Whether people on call may be called for this cannot be looked up right now. Try again in a minute.")
	}
	return nil, refuse(NotConfigured, "Nobody is configured to be called for this request.")
}

// perhaps are the policies that take part, or would if a directory said so.
func (x ruling) perhaps() []Policy { return slices.Concat(x.taking, x.unsure) }

// escalations are the ways of calling people that policies have.
func escalations(policies []Policy) []Way {
	var out []Way
	var collect func([]Way)
	collect = func(ways []Way) {
		for _, w := range ways {
			if w.Type == "escalation" {
				out = append(out, w)
			}
			for _, step := range w.Steps {
				collect(step)
			}
		}
	}
	for _, p := range policies {
		collect(p.Approval)
	}
	return out
}

// mayEscalate reports whether Escalate is to be shown: what groups are asked
// about is found out at the click.
func mayEscalate(r Request, today, filed *Rules) bool {
	if !r.Escalated.IsZero() || filed == nil {
		return false
	}
	now, then, err := Facts{Rules: today, Filed: filed, Anytime: true}.rulings(r)
	return err == nil && len(escalations(now.perhaps())) > 0 && len(escalations(then.perhaps())) > 0
}

// calls puts ways together: one call for each integration.
func (r *Rules) calls(q Request, ways []Way) []Call {
	var out []Call
	for _, w := range ways {
		i := slices.IndexFunc(out, func(c Call) bool { return c.Integration == w.Integration })
		if i < 0 {
			out = append(out, r.call(w.Integration, q.Requestor.Email))
			i = len(out) - 1
		}
		c := &out[i]
		policies, schedules := r.meant(w)
		c.Services = union(c.Services, w.Services)
		c.EscalationPolicies = union(c.EscalationPolicies, policies)
		c.Schedules = union(c.Schedules, schedules)
	}
	slices.SortFunc(out, func(a, b Call) int { return strings.Compare(a.Integration, b.Integration) })
	return out
}

// call is what the on-call section itself says about an integration.
func (r *Rules) call(integration, requestor string) Call {
	c := Call{Integration: integration}
	if p := r.OnCall.PagerDuty; integration == "pagerduty" {
		c.From = requestor
		if p != nil {
			c.Services = union(nil, p.Services)
			if p.From != "" {
				c.From = p.From
			}
		}
	}
	if i := r.OnCall.IncidentIO; integration == "incidentio" && i != nil {
		c.EscalationPath = i.EscalationPath
	}
	return c
}

// NoticePage is the page to the people on call, followed by the integration.
const NoticePage = "page"

// Pages are the calls that are owed for an escalated request, until each is
// recorded as made.
func Pages(r Request) []Page {
	post, posted := r.ApprovalPost()
	if r.Status != Pending || !posted {
		return nil
	}
	var out []Page
	for _, c := range r.Calls {
		if _, done := r.Post(NoticePage+"-"+c.Integration, Person{}); done {
			continue
		}
		out = append(out, Page{
			Integration: c.Integration, Request: r.ID, Link: post.Permalink, From: c.From,
			Title:    "Access to " + r.Resource + " for " + r.Principal.Email + " waits for approval",
			Services: c.Services, EscalationPolicies: c.EscalationPolicies,
			Schedules: c.Schedules, EscalationPath: c.EscalationPath,
		})
	}
	return out
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}
