package access

import "slices"

// Escalation calls the people on call to a pending request. Whoever of them is
// on call when they click may then approve it.
type Escalation struct{}

// Kind implements [Body].
func (Escalation) Kind() string { return "escalated" }

func (Escalation) apply(r *Request, e Event) error {
	if err := r.must(Pending); err != nil {
		return err
	}
	r.Escalated = e.At
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
	if len(f.Escalations(r)) == 0 {
		return nil, refuse(NotConfigured, "Nobody is configured to be called for this request.")
	}
	if !r.Escalated.IsZero() {
		return nil, nil
	}
	return []Event{f.event(r, Escalation{})}, nil
}

// Escalations are the ways of calling people that today's rules have for a
// request: none means that there is nothing to press.
func (f Facts) Escalations(r Request) []Way {
	f.Anytime = true
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
	for _, p := range f.ruling(f.Rules, r.Principal, f.Rules.resourceOf(r)).taking {
		collect(p.Approval)
	}
	return slices.Clip(out)
}

// NoticePage is the page to the people on call, followed by the integration.
const NoticePage = "page"

// Pages are the calls that are owed for an escalated request: one for each
// integration, until it is recorded as made.
func Pages(r Request, rules *Rules) []Page {
	post, posted := r.ApprovalPost()
	if r.Escalated.IsZero() || r.Status != Pending || !posted {
		return nil
	}
	byVendor := map[string]*Page{}
	var order []string
	for _, w := range (Facts{Rules: rules}).Escalations(r) {
		if _, done := r.Post(NoticePage+"-"+w.Integration, Person{}); done {
			continue
		}
		p := byVendor[w.Integration]
		if p == nil {
			p = &Page{Integration: w.Integration, Request: r.ID, Link: post.Permalink, From: r.Requestor.Email,
				Title: "Access to " + r.Resource + " for " + r.Principal.Email + " waits for approval"}
			byVendor[w.Integration] = p
			order = append(order, w.Integration)
		}
		p.Services = union(p.Services, w.Services)
		p.EscalationPolicies = union(p.EscalationPolicies, w.EscalationPolicies)
		p.Schedules = union(p.Schedules, w.Schedules)
	}
	var out []Page
	for _, name := range order {
		p := byVendor[name]
		if c := rules.OnCall.PagerDuty; name == "pagerduty" && c != nil {
			p.Services = union(p.Services, c.Services)
			if c.From != "" {
				p.From = c.From
			}
		}
		if c := rules.OnCall.IncidentIO; name == "incidentio" && c != nil {
			p.EscalationPath = c.EscalationPath
		}
		out = append(out, *p)
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
