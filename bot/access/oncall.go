package access

import (
	"slices"
	"time"
)

// A Duty is somebody's being on call, as a vendor answered at a moment. It is
// the evidence that is recorded with what rests on it.
type Duty struct {
	Person   Person    // by address, and by Slack id where the vendor knows it
	Policy   string    // id of the escalation policy; empty where there is none
	Level    int       // of the escalation policy, from 1; 0 where there are no levels
	Schedule string    // id of the schedule; empty for somebody who is named directly, permanently
	Start    time.Time // zero for permanent duties
	End      time.Time
}

// A Watch says whose duties are asked for: all that is set, together.
type Watch struct {
	Integration        string // pagerduty, incidentio
	EscalationPolicies []string
	Schedules          []string
}

// A Page calls people on call to a request.
type Page struct {
	Integration        string // pagerduty, incidentio
	Request            string // the key that makes a second page the same as the first
	Title              string
	Details            string
	Link               string // to the approval message
	From               string // address of a user at the vendor, where one is needed
	Services           []string
	EscalationPolicies []string
	Schedules          []string
	EscalationPath     string
}

// ways are the approvals that the default approvals have from people on call.
func (o OnCall) ways() []Way {
	var out []Way
	if p := o.PagerDuty; p != nil {
		if p.AutoApprove {
			out = append(out, Way{Type: "auto", Integration: "pagerduty", EscalationPolicies: p.EscalationPolicies})
		}
		if len(p.Services) > 0 { // without one nobody can be paged
			out = append(out, Way{Type: "escalation", Integration: "pagerduty", EscalationPolicies: p.EscalationPolicies, Services: p.Services})
		}
	}
	if i := o.IncidentIO; i != nil {
		if i.AutoApprove {
			out = append(out, Way{Type: "auto", Integration: "incidentio", Schedules: i.Schedules})
		}
		out = append(out, Way{Type: "escalation", Integration: "incidentio", Schedules: i.Schedules})
	}
	return out
}

// onDuty says whether a person is on call for a way. For an approval without a
// person only entries of schedules count, up to the configured level; who was
// paged may answer whatever the level.
func (x ruling) onDuty(w Way, duties map[string][]Duty, p Person, auto bool) answer {
	list, asked := duties[w.Integration]
	if !asked {
		return unknown
	}
	for _, d := range list {
		if x.meant(w, d, auto) && x.rules.Same(d.Person, p) {
			return yes
		}
	}
	return no
}

// meant reports whether a duty is one of those that a way names.
func (x ruling) meant(w Way, d Duty, auto bool) bool {
	policies, schedules := x.rules.meant(w)
	if w.Integration == "incidentio" {
		return slices.Contains(schedules, d.Schedule)
	}
	if !slices.Contains(policies, d.Policy) {
		return false
	}
	level, scheduled := 1, true
	if c := x.rules.OnCall.PagerDuty; c != nil {
		level, scheduled = c.MaxEscalationLevel, c.RequireSchedule
	}
	return !auto || d.Level <= level && (d.Schedule != "" || !scheduled)
}

// meant are the escalation policies and schedules whose people a way means. One
// that only names services to page means those of the on-call section: a service
// does not say who is on call.
func (r *Rules) meant(w Way) (policies, schedules []string) {
	if len(w.EscalationPolicies)+len(w.Schedules) > 0 {
		return w.EscalationPolicies, w.Schedules
	}
	if p := r.OnCall.PagerDuty; w.Integration == "pagerduty" && p != nil {
		policies = p.EscalationPolicies
	}
	return policies, nil
}

// lasts is how long an approval on call is given where nothing was asked for.
func (o OnCall) lasts(integration string) time.Duration {
	switch {
	case integration == "pagerduty" && o.PagerDuty != nil && o.PagerDuty.AutoDuration > 0:
		return o.PagerDuty.AutoDuration
	case integration == "incidentio" && o.IncidentIO != nil && o.IncidentIO.AutoDuration > 0:
		return o.IncidentIO.AutoDuration
	}
	return time.Hour
}

func vendor(integration string) string {
	if integration == "pagerduty" {
		return "PagerDuty"
	}
	return "incident.io"
}

// Needs are the facts that a decision about a resource rests on besides the
// rules: groups that somebody else keeps, and duties.
type Needs struct {
	Groups  []Group
	Watches []Watch // one for each integration
}

// NeedsOf lists what must be asked before a request for a resource is filed
// (filing) or decided.
func NeedsOf(res Resource, filing, escalated bool, configs ...*Rules) Needs {
	var n Needs
	for _, r := range configs {
		if r == nil {
			continue
		}
		own := res // as it is in that configuration: its tags may have changed
		if known, ok := r.Resource(res.ID); ok {
			own = known
		}
		for _, p := range r.policies() {
			if p.Disabled || !p.Resource.about(own) {
				continue
			}
			n.groups(r, p.Requestor.Groups)
			n.ways(r, p.Approval, filing, escalated)
		}
	}
	return n
}

func (n *Needs) ways(r *Rules, ways []Way, filing, escalated bool) {
	for _, w := range ways {
		n.groups(r, w.Groups)
		for _, step := range w.Steps {
			n.ways(r, step, filing, escalated)
		}
		if w.Type == "auto" && filing || w.Type == "escalation" && escalated {
			policies, schedules := r.meant(w)
			n.watch(w.Integration, policies, schedules)
		}
	}
}

func (n *Needs) groups(r *Rules, names []string) {
	for _, g := range r.Groups {
		known := func(o Group) bool { return o.Key() == g.Key() }
		if g.Key() != "" && slices.Contains(names, g.Name) && !slices.ContainsFunc(n.Groups, known) {
			n.Groups = append(n.Groups, g)
		}
	}
}

func (n *Needs) watch(integration string, policies, schedules []string) {
	i := slices.IndexFunc(n.Watches, func(o Watch) bool { return o.Integration == integration })
	if i < 0 {
		n.Watches = append(n.Watches, Watch{Integration: integration})
		i = len(n.Watches) - 1
	}
	x := &n.Watches[i]
	x.EscalationPolicies = union(x.EscalationPolicies, policies)
	x.Schedules = union(x.Schedules, schedules)
}
