package access

import (
	"regexp"
	"slices"
	"time"
)

// A Policy is an access policy: who may ask for what, and who may approve it.
type Policy struct {
	Name      string // empty for the default approvals
	Disabled  bool
	Requestor Whom
	Resource  Which
	Approval  []Way // any one satisfied is enough
	Terms     Terms
}

// Whom says whom a policy is about. It is judged on the principal.
type Whom struct {
	Type   string   // any, user, group
	Users  []string // canonical addresses; of user
	Groups []string // names; of group: members of any of them
	Remove bool     // of group: members of none of them
}

// Which says which resources a policy is about. All that is set must hold.
type Which struct {
	Type     string                    // any, match
	ID       *regexp.Regexp            // of the whole id; nil: any
	Provider string                    // empty: any
	Tags     map[string]*regexp.Regexp // of the whole value
	Remove   bool                      // every resource but these
}

// A Way is one way of being approved.
type Way struct {
	Type               string // reviewers, group, manager, auto, escalation, persistent, deny, steps
	Groups             []string
	Count              int    // how many different people of the groups; 1 unless set
	Integration        string // pagerduty, incidentio
	EscalationPolicies []string
	Services           []string
	Schedules          []string
	Steps              [][]Way // in order; in each step any one entry is enough
}

// Terms are the limits and rules of one policy.
type Terms struct {
	OneParty        bool
	RequireReason   bool
	RequireDuration bool
	RequireTicket   *regexp.Regexp // of the whole ticket; nil: not required
	MaxDuration     time.Duration  // 0: only the settings and the resource limit
	BreakGlass      bool
	Hours           *Hours // nil: always
}

// Hours are when a policy takes part.
type Hours struct {
	Days []time.Weekday // all of them unless set
	From time.Duration  // since midnight by the clock; 0 unless set
	To   time.Duration  // likewise, after From; 24h unless set
	Zone *time.Location // UTC unless set
}

// A Group is a named set of people: a list, or one that somebody else keeps.
// Exactly one of the three says who is in it.
type Group struct {
	Name       string
	Members    []string // canonical addresses
	GitHubTeam string   // org/team
	SlackGroup string   // handle of a user group
}

// Key names the definition of a group that somebody else keeps; it is empty
// for a list. Who is in it is a fact of the moment, see [Facts.Members].
func (g Group) Key() string {
	switch {
	case g.GitHubTeam != "":
		return "github:" + g.GitHubTeam
	case g.SlackGroup != "":
		return "slack:" + g.SlackGroup
	}
	return ""
}

// OnCall says how to ask who is on call, and how to page them.
type OnCall struct {
	PagerDuty  *PagerDuty  // nil: not used
	IncidentIO *IncidentIO // nil: not used
}

// PagerDuty says which people on call there count.
type PagerDuty struct {
	AutoApprove        bool          // approve requestors who are on call
	EscalationPolicies []string      // ids
	Services           []string      // ids of those that are paged
	From               string        // address of a valid user there; empty: the requestor's
	AutoDuration       time.Duration // of what is approved so; 1h unless set
	RequireSchedule    bool          // people named directly do not count; true unless set
	MaxEscalationLevel int           // 1 unless set
}

// IncidentIO says which people on call there count.
type IncidentIO struct {
	AutoApprove    bool
	Schedules      []string // ids
	EscalationPath string   // id; empty: whoever is on call in the schedules is paged
	AutoDuration   time.Duration
}

// policies are the access policies, or, where there are none, the default
// approvals as the one policy that they amount to.
func (r *Rules) policies() []Policy {
	if len(r.Policies) > 0 {
		return r.Policies
	}
	return []Policy{{
		Requestor: Whom{Type: "any"}, Resource: Which{Type: "any"},
		Approval: append([]Way{{Type: "reviewers"}}, r.OnCall.ways()...),
		Terms:    Terms{OneParty: r.Settings.OneParty},
	}}
}

// answer is what can be known: a directory that cannot be reached knows nothing.
type answer int

const (
	no answer = iota
	unknown
	yes
)

// at reports whether the hours include a moment.
func (h *Hours) at(t time.Time) bool {
	if h == nil {
		return true
	}
	local := t.In(h.Zone)
	// The clock on the wall, not the time since midnight: they differ on the
	// days when clocks are changed.
	clock := time.Duration(local.Hour())*time.Hour + time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second
	return slices.Contains(h.Days, local.Weekday()) && clock >= h.From && clock < h.To
}

// about reports whether the policy is about a resource.
func (w Which) about(res Resource) bool {
	if w.Type != "match" {
		return true
	}
	match := (w.ID == nil || w.ID.MatchString(res.ID)) && (w.Provider == "" || w.Provider == res.Target.Provider)
	for key, pat := range w.Tags {
		value, tagged := res.Tags[key]
		match = match && tagged && pat.MatchString(value)
	}
	return match != w.Remove
}

// about says whether the policy is about a principal.
func (f Facts) about(r *Rules, w Whom, p Person) answer {
	switch w.Type {
	case "user":
		if r.among(w.Users, p) {
			return yes
		}
		return no
	case "group":
		in := f.inAny(r, w.Groups, p)
		if w.Remove {
			in = yes - in
		}
		return in
	}
	return yes
}

// inAny says whether a person is in any of the groups.
func (f Facts) inAny(r *Rules, groups []string, p Person) answer {
	in := no
	for _, name := range groups {
		in = max(in, f.in(r, name, p))
	}
	return in
}

// in says whether a person is in a group as it is defined in these rules.
func (f Facts) in(r *Rules, name string, p Person) answer {
	i := slices.IndexFunc(r.Groups, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return unknown
	}
	g := r.Groups[i]
	if g.Key() == "" {
		if r.among(g.Members, p) {
			return yes
		}
		return no
	}
	members, asked := f.Members[g.Key()]
	if !asked {
		return unknown
	}
	if slices.ContainsFunc(members, func(m Person) bool { return r.Same(m, p) }) {
		return yes
	}
	return no
}
