package access

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A ruling is what one configuration says about one access: which policies take
// part, and what they demand together.
type ruling struct {
	f       Facts
	rules   *Rules
	taking  []Policy // enabled, in their hours, about this principal and resource
	denies  []string // names of those that deny
	doubts  []string // names of those that would deny if a directory said so
	unsure  []Policy // those that would take part if a directory could be asked
	limit   time.Duration
	terms   Terms // the strictest of all; its OneParty means nothing
	tickets []*regexp.Regexp
}

// asks are the policies about a principal: the part of a ruling that is the
// same for every resource.
func (f Facts) asks(r *Rules, principal Person) (sure, perhaps []Policy) {
	for _, p := range r.policies() {
		if p.Disabled || !f.Anytime && !p.Terms.Hours.at(f.Now) {
			continue
		}
		switch f.about(r, p.Requestor, principal) {
		case yes:
			sure = append(sure, p)
		case unknown:
			perhaps = append(perhaps, p)
		}
	}
	return sure, perhaps
}

// rule judges one resource by the policies about a principal. A policy that
// cannot be told to take part approves nothing, yet restricts and denies: a
// directory that cannot be reached never widens anything.
func (f Facts) rule(r *Rules, sure, perhaps []Policy, res Resource) ruling {
	x := ruling{f: f, rules: r, limit: r.Limit(res), terms: Terms{
		RequireReason: r.Settings.RequireReason, RequireDuration: r.Settings.RequireDuration,
	}}
	if r.Settings.RequireTicket != nil {
		x.tickets = append(x.tickets, r.Settings.RequireTicket)
	}
	for _, p := range sure {
		if p.Resource.about(res) {
			x.taking = append(x.taking, p)
			x.restrict(p, &x.denies)
		}
	}
	for _, p := range perhaps {
		if p.Resource.about(res) {
			x.unsure = append(x.unsure, p)
			x.restrict(p, &x.doubts)
		}
	}
	return x
}

// restrict adds what a policy demands, and its name to a list if it denies.
func (x *ruling) restrict(p Policy, denies *[]string) {
	x.terms.RequireReason = x.terms.RequireReason || p.Terms.RequireReason
	x.terms.RequireDuration = x.terms.RequireDuration || p.Terms.RequireDuration
	if p.Terms.RequireTicket != nil {
		x.tickets = append(x.tickets, p.Terms.RequireTicket)
	}
	if p.Terms.MaxDuration > 0 {
		x.limit = min(x.limit, p.Terms.MaxDuration)
	}
	if slices.ContainsFunc(p.Approval, func(w Way) bool { return w.Type == "deny" }) {
		*denies = append(*denies, p.Name)
	}
}

// ruling judges one access.
func (f Facts) ruling(r *Rules, principal Person, res Resource) ruling {
	sure, perhaps := f.asks(r, principal)
	return f.rule(r, sure, perhaps, res)
}

// allows says why the access cannot be had at all.
func (x ruling) allows(resource string) error {
	switch {
	case len(x.denies) > 0:
		return refuse(PolicyDenies, "The access policy %s denies access to %s.", quoteAll(x.denies), resource)
	case len(x.doubts) > 0:
		return refuse(DirectoryDown, "Whether the access policy %s denies access to %s cannot be looked up right now: who is in its groups cannot be asked. Try again in a minute.", quoteAll(x.doubts), resource)
	case len(x.taking) == 0 && len(x.unsure) > 0:
		return refuse(DirectoryDown, "Who is in the groups of the access policies cannot be asked right now (%s), so nothing can be decided. Try again in a minute.", quoteAll(named(x.unsure)))
	case len(x.taking) == 0:
		return refuse(NotRequestable, "No access policy lets this person have %s.", resource)
	}
	return nil
}

// names are the access policies that took part; none for the default approvals.
func (x ruling) names() []string { return named(x.taking) }

func named(policies []Policy) []string {
	var out []string
	for _, p := range policies {
		if p.Name != "" {
			out = append(out, p.Name)
		}
	}
	return out
}

// demands checks what the configuration asks of a filing.
func (x ruling) demands(resource string, d time.Duration, reason, ticket string) error {
	switch {
	case d < 0 || d > 0 && d < time.Second:
		return refuse(BadDuration, "A duration is positive, for example 30m, 4h or 2d.")
	case d > x.limit:
		return refuse(TooLong, "%s can be given for at most %s; you asked for %s.", resource, Spell(x.limit), Spell(d))
	case d == 0 && x.terms.RequireDuration:
		return refuse(NeedsDuration, "Say for how long, for example 30m, 4h or 2d.")
	case reason == "" && x.terms.RequireReason:
		return refuse(NeedsReason, "Say why: a reason is required.")
	}
	for _, pat := range x.tickets {
		if !pat.MatchString(ticket) {
			return refuse(NeedsTicket, "Name the ticket: it must match %s.", inert(patternText(pat)))
		}
	}
	return nil
}

// complete says why what was asked for cannot be approved: by now more is
// demanded than was said. How long it lasts, the approver chooses.
func (x ruling) complete(r Request, reason string) error {
	why, refused := AsRefusal(x.demands(r.Resource, min(r.Duration, x.limit), reason, r.Ticket))
	if !refused {
		return nil
	}
	return refuse(why.Code, "By now the configuration demands more than was said, so this cannot be approved; it can be asked for again. (%s)", why.Text)
}

// patternText is a pattern as it was written in the configuration.
func patternText(p *regexp.Regexp) string {
	return strings.TrimSuffix(strings.TrimPrefix(p.String(), "^(?:"), ")$")
}

// Requestable are the resources that a person may ask for under these rules,
// in their order: what is not there is not offered.
func (f Facts) Requestable(r *Rules, principal Person) []Resource {
	sure, perhaps := f.asks(r, principal)
	var out []Resource
	for _, res := range r.Resources {
		if f.rule(r, sure, perhaps, res).allows(res.ID) == nil {
			out = append(out, res)
		}
	}
	return out
}

// part is how a person stands to a request under a ruling.
type part int

const (
	stranger  part = iota // no way counts on them
	party                 // a way would, but it takes a second person
	uncertain             // a directory would have to say
	approver
)

// part says whether any way would count a ballot. A policy that may not take
// part counts nothing; who it would count is told that it cannot be known.
func (x ruling) part(r Request, b Ballot) part {
	best := stranger
	for _, policy := range x.taking {
		best = max(best, x.partIn(policy, r, b))
	}
	for _, policy := range x.unsure {
		best = max(best, min(uncertain, x.partIn(policy, r, b)))
	}
	return best
}

func (x ruling) partIn(policy Policy, r Request, b Ballot) part {
	in := no
	for _, w := range policy.Approval {
		in = max(in, x.counts(w, r, b))
	}
	switch {
	case in == no:
		return stranger
	case !policy.Terms.OneParty && r.Involves(x.rules, b.By):
		return party
	case in == unknown:
		return uncertain
	}
	return approver
}

// counts says whether a way counts a ballot, at any of its steps.
func (x ruling) counts(w Way, r Request, b Ballot) answer {
	p := b.By
	switch w.Type {
	case "reviewers":
		if x.rules.Reviewer(p) {
			return yes
		}
	case "group":
		return x.f.inAny(x.rules, w.Groups, p)
	case "manager":
		if m := x.rules.Manager(r.Principal); m != "" && x.rules.Who(p) == m {
			return yes
		}
	case "escalation":
		if r.Escalated.IsZero() {
			return no
		}
		return x.onDuty(w, b.Duties, p, false)
	case "steps":
		best := no
		for _, step := range w.Steps {
			for _, entry := range step {
				best = max(best, x.counts(entry, r, b))
			}
		}
		return best
	}
	return no
}

// Approvers are the addresses of all who may approve a request of one person
// for another, as far as the rules and the facts name them, sorted.
func (f Facts) Approvers(r *Rules, requestor, principal Person, res Resource) []string {
	x := f.ruling(r, principal, res)
	if x.allows(res.ID) != nil {
		return nil
	}
	q := Request{Requestor: requestor, Principal: principal}
	var out []string
	for _, email := range x.candidates(principal) {
		if x.part(q, Ballot{By: Person{Email: email}, Duties: f.Duties}) == approver {
			out = append(out, email)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// candidates are all addresses that the ways of a ruling name.
func (x ruling) candidates(principal Person) []string {
	var out []string
	var collect func([]Way)
	collect = func(ways []Way) {
		for _, w := range ways {
			switch w.Type {
			case "reviewers":
				for _, e := range x.rules.Reviewers {
					out = append(out, x.rules.Canonical(e))
				}
			case "manager":
				out = append(out, x.rules.Manager(principal))
			case "group":
				out = append(out, x.members(w.Groups)...)
			case "steps":
				for _, step := range w.Steps {
					collect(step)
				}
			}
		}
	}
	for _, p := range x.taking {
		collect(p.Approval)
	}
	return slices.DeleteFunc(out, func(e string) bool { return e == "" })
}

func (x ruling) members(groups []string) []string {
	var out []string
	for _, g := range x.rules.Groups {
		if !slices.Contains(groups, g.Name) {
			continue
		}
		out = append(out, g.Members...)
		for _, p := range x.f.Members[g.Key()] {
			out = append(out, x.rules.Who(p))
		}
	}
	return out
}

// describe says in words who may approve a request.
func (x ruling) describe(r Request) string {
	var people, alone []string
	for _, p := range x.taking {
		for _, w := range p.Approval {
			if s := x.say(w, r); s != "" {
				people = append(people, s)
			}
			if w.Type == "auto" {
				alone = append(alone, vendor(w.Integration))
			}
		}
	}
	slices.Sort(people)
	slices.Sort(alone)
	switch {
	case len(people) > 0:
		return strings.Join(slices.Compact(people), "; or ")
	case len(alone) > 0:
		return "being on call in " + strings.Join(slices.Compact(alone), " or ") + " when asking: nobody can approve it otherwise"
	}
	return "nobody"
}

func (x ruling) say(w Way, r Request) string {
	switch w.Type {
	case "reviewers":
		return "a reviewer"
	case "group":
		if w.Count > 1 {
			return fmt.Sprintf("%d different people of %s", w.Count, strings.Join(w.Groups, ", "))
		}
		return "somebody of " + strings.Join(w.Groups, ", ")
	case "manager":
		return "the manager"
	case "escalation":
		if !r.Escalated.IsZero() {
			return "somebody on call in " + vendor(w.Integration)
		}
		return "after Escalate, somebody on call in " + vendor(w.Integration)
	case "steps":
		var steps []string
		for _, step := range w.Steps {
			var any []string
			for _, entry := range step {
				any = append(any, x.say(entry, r))
			}
			steps = append(steps, strings.Join(any, " or "))
		}
		return strings.Join(steps, ", then ")
	}
	return ""
}

func quoteAll(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = "“" + inert(n) + "”"
	}
	return strings.Join(q, ", ")
}
