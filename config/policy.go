package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"
)

// A policyReader knows the names that policies refer to.
type policyReader struct {
	file   *File
	groups map[string]access.Group
	names  []string
	lines  map[string]int
}

func (r *reader) policies(list []value, f *File) []access.Policy {
	p := policyReader{file: f, groups: map[string]access.Group{}, lines: map[string]int{}}
	for _, g := range f.Rules.Groups {
		p.groups[g.Name] = g
		p.names = append(p.names, g.Name)
	}
	var out []access.Policy
	for _, v := range list {
		out = append(out, p.policy(v))
	}
	return out
}

func (p policyReader) policy(v value) access.Policy {
	o := v.object("name", "disabled", "requestor", "resource", "approval", "options")
	o.require(v, "write {name: …, requestor: …, resource: …, approval: […]}")
	out := access.Policy{Disabled: o.flag("disabled", false)}
	if n, ok := o.need("name", "write name: payments by sre"); ok {
		if s, ok := n.text(); ok && n.once(p.lines, s) {
			out.Name = s
		}
		if len([]rune(out.Name)) > 100 {
			n.fail("keep it to 100 characters", "is too long")
		}
	}
	if x, ok := o.need("requestor", "write requestor: {type: any}, user or group"); ok {
		out.Requestor = p.requestor(x)
	}
	if x, ok := o.need("resource", "write resource: {type: any} or match"); ok {
		out.Resource = p.matcher(x)
	}
	const some = "write at least one entry, or type: deny"
	if x, ok := o.need("approval", some); ok {
		out.Approval = p.approvals(x.full(some), false)
		p.denies(x, out.Approval)
	}
	out.Terms = o.child("options").options()
	if out.Terms.BreakGlass && out.Terms.MaxDuration == 0 {
		o.fields["options"].warn("add max_duration", "break_glass without max_duration lasts up to the settings' limit")
	}
	return out
}

// typed reads a mapping of which `type` says which further keys it may have.
func (v value) typed(keys map[string][]string, types ...string) (object, string) {
	if v.null() && !v.foreign() {
		v.fail("write {type: …}", "is empty")
		return object{value: v}, ""
	}
	all := []string{"type"}
	for _, t := range types {
		all = append(all, keys[t]...)
	}
	o := v.object(all...)
	t := o.choice("type", "", types...)
	for _, key := range slices.Sorted(maps.Keys(o.fields)) {
		if t != "" && key != "type" && !slices.Contains(keys[t], key) {
			o.fields[key].fail("remove it", "has no meaning for type %s", t)
			delete(o.fields, key)
		}
	}
	return o, t
}

func (p policyReader) requestor(v value) access.Whom {
	o, t := v.typed(map[string][]string{"user": {"users"}, "group": {"groups", "effect"}}, "any", "user", "group")
	out := access.Whom{Type: t}
	switch t {
	case "user":
		out.Users = v.r.addresses(o.full("users", "list at least one address"))
	case "group":
		out.Groups = p.refs(o, false)
		out.Remove = o.choice("effect", "keep", "keep", "remove") == "remove"
	}
	return out
}

// refs reads the names of groups that exist.
func (p policyReader) refs(o object, approvers bool) []string {
	var out []string
	lines := map[string]int{}
	for _, v := range o.full("groups", "list at least one group") {
		name, ok := v.text()
		if !ok || !v.once(lines, name) {
			continue
		}
		g, known := p.groups[name]
		switch {
		case !known:
			v.fail(v.r.oneOf(name, p.names), "there is no group %s", quote(name))
		case approvers && g.SlackGroup != "" && !p.file.GroupsRestricted:
			v.fail("set slack.groups_restricted: true if only admins edit user groups, or use another kind of group",
				"anyone may join the Slack group %s, so it cannot name approvers", quote(g.SlackGroup))
		}
		out = append(out, name)
	}
	return out
}

func (p policyReader) matcher(v value) access.Which {
	o, t := v.typed(map[string][]string{"match": {"id", "provider", "tags", "effect"}}, "any", "match")
	out := access.Which{Type: t}
	if t != "match" {
		return out
	}
	if x, ok := o.fields["id"]; ok {
		out.ID, _ = x.pattern()
	}
	if _, ok := o.fields["provider"]; ok {
		names, _ := providers()
		out.Provider = o.choice("provider", "", names...)
	}
	out.Tags = o.child("tags").patterns()
	out.Remove = o.choice("effect", "keep", "keep", "remove") == "remove"
	if x, ok := o.fields["tags"]; ok && len(x.node.Content) == 0 {
		x.fail("write {key: pattern} or remove the key", "is empty")
	}
	if o.none("id", "provider", "tags") {
		o.fail("add id, provider or tags, or use type: any", "nothing says what matches")
	}
	return out
}

// none reports whether a mapping has none of the keys.
func (o object) none(keys ...string) bool {
	return o.ok && !slices.ContainsFunc(keys, func(k string) bool { _, ok := o.fields[k]; return ok })
}

// patterns reads patterns by tag.
func (v value) patterns() map[string]*regexp.Regexp {
	var out map[string]*regexp.Regexp
	for _, f := range v.table() {
		p, ok := f.value.pattern()
		if !ok {
			continue
		}
		if out == nil {
			out = map[string]*regexp.Regexp{}
		}
		out[f.key.node.Value] = p
	}
	return out
}

// approvals reads the ways of approving; those in a step have no deny,
// persistent or steps among them.
func (p policyReader) approvals(list []value, step bool) []access.Way {
	types := []string{"reviewers", "group", "manager", "auto", "escalation", "persistent", "deny", "steps"}
	if step {
		types = types[:5]
	}
	var out []access.Way
	for _, v := range list {
		out = append(out, p.approval(v, types))
	}
	return out
}

func (p policyReader) approval(v value, types []string) access.Way {
	o, t := v.typed(map[string][]string{
		"group":      {"groups", "count"},
		"auto":       {"integration", "escalation_policies", "schedules"},
		"escalation": {"integration", "services", "escalation_policies", "schedules"},
		"steps":      {"steps"},
	}, types...)
	out := access.Way{Type: t}
	switch t {
	case "group":
		out.Groups = p.refs(o, true)
		out.Count = o.count("count", 1, 100)
		p.enough(o, out)
	case "auto", "escalation":
		integrate(&out, o)
		p.reachable(o, out)
	case "steps":
		for _, s := range o.full("steps", "write [[entry], [entry]]") {
			out.Steps = append(out.Steps, p.approvals(s.full("write at least one entry"), true))
		}
	}
	return out
}

// enough warns where the groups have fewer people than must approve.
func (p policyReader) enough(o object, a access.Way) {
	people := map[string]bool{}
	for _, name := range a.Groups {
		g, ok := p.groups[name]
		if !ok || g.GitHubTeam != "" || g.SlackGroup != "" {
			return
		}
		for _, m := range g.Members {
			people[m] = true
		}
	}
	if len(people) < a.Count {
		o.warn("lower count or add people", "%d people must approve and %s has %d", a.Count, strings.Join(a.Groups, ", "), len(people))
	}
}

// integrate reads which people on call are meant.
func integrate(a *access.Way, o object) {
	a.Integration = o.choice("integration", "", "pagerduty", "incidentio")
	a.EscalationPolicies, a.Services, a.Schedules = o.ids("escalation_policies"), o.ids("services"), o.ids("schedules")
	theirs := map[string][]string{"pagerduty": {"escalation_policies"}, "incidentio": {"schedules"}}[a.Integration]
	if a.Integration == "pagerduty" && a.Type == "escalation" {
		theirs = append(theirs, "services")
	}
	if theirs == nil {
		return
	}
	for _, key := range []string{"escalation_policies", "services", "schedules"} {
		if v, ok := o.fields[key]; ok && !slices.Contains(theirs, key) {
			v.fail("use "+strings.Join(theirs, " or "), "has no meaning for %s", a.Integration)
		}
	}
	if len(a.EscalationPolicies)+len(a.Services)+len(a.Schedules) == 0 {
		o.fail("add "+strings.Join(theirs, " or "), "nothing says who is on call")
	}
}

// reachable warns where nobody can be paged, or nobody recognised who was.
func (p policyReader) reachable(o object, a access.Way) {
	c := p.file.Rules.OnCall.PagerDuty
	if a.Integration != "pagerduty" || a.Type != "escalation" {
		return
	}
	if len(a.Services) == 0 && (c == nil || len(c.Services) == 0) {
		o.warn("add services, here or under oncall.pagerduty", "nobody can be paged: PagerDuty opens incidents on services")
	}
	if len(a.EscalationPolicies) == 0 && (c == nil || len(c.EscalationPolicies) == 0) {
		o.warn("add escalation_policies, here or under oncall.pagerduty", "who is paged cannot approve: a service does not say who is on call")
	}
}

// denies warns about approvals beside a deny, which wins over them.
func (p policyReader) denies(v value, list []access.Way) {
	deny := slices.ContainsFunc(list, func(a access.Way) bool { return a.Type == "deny" })
	if deny && len(list) > 1 {
		v.warn("keep either", "deny wins over the other entries")
	}
}

func (v value) options() access.Terms {
	o := v.object("one_party", "require_reason", "require_duration", "require_ticket", "max_duration", "break_glass", "hours")
	out := access.Terms{
		OneParty:        o.flag("one_party", false),
		RequireReason:   o.flag("require_reason", false),
		RequireDuration: o.flag("require_duration", false),
		RequireTicket:   o.ticket(),
		MaxDuration:     o.duration("max_duration", 0),
		BreakGlass:      o.flag("break_glass", false),
	}
	if x, ok := o.fields["hours"]; ok {
		out.Hours = x.hours()
	}
	return out
}

func (v value) hours() *access.Hours {
	o := v.object("days", "from", "to", "zone")
	h := &access.Hours{To: day, Zone: time.UTC}
	for d := time.Sunday; d <= time.Saturday; d++ {
		h.Days = append(h.Days, d)
	}
	if x, ok := o.fields["days"]; ok {
		h.Days = x.days()
	}
	from, to := true, true
	if x, ok := o.fields["from"]; ok {
		h.From, from = x.clock()
	}
	if x, ok := o.fields["to"]; ok {
		h.To, to = x.clock()
	}
	if from && to && h.To <= h.From {
		v.fail("write from before to, such as {from: \"09:00\", to: \"18:00\"}; use two policies for a night", "the hours end before they begin")
	}
	if x, ok := o.fields["zone"]; ok {
		h.Zone = x.zone()
	}
	if len(o.fields) == 0 {
		v.fail("write {days: […], from: …, to: …, zone: …} or remove the key", "is empty")
	}
	return h
}

func (v value) days() []time.Weekday {
	names := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	var out []time.Weekday
	lines := map[string]int{}
	for _, x := range v.full("list at least one of mon, tue, wed, thu, fri, sat, sun") {
		s, ok := x.text()
		if !ok || !x.once(lines, s) {
			continue
		}
		i := slices.Index(names, s)
		if i < 0 {
			x.fail(x.r.oneOf(s, names), "%s is not a day", quote(s))
			continue
		}
		out = append(out, time.Weekday(i))
	}
	return out
}

// clock reads a time of day from 00:00 to 24:00.
func (v value) clock() (time.Duration, bool) {
	s, ok := v.text()
	if !ok {
		return 0, false
	}
	if s == "24:00" {
		return day, true
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != 5 {
		v.fail(`write it as "09:00"`, "%s is not a time of day", quote(s))
		return 0, false
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, true
}

func (v value) zone() *time.Location {
	s, ok := v.text()
	if !ok {
		return time.UTC
	}
	zone, err := time.LoadLocation(s)
	if err != nil || s == "Local" {
		v.fail("write a name such as Europe/Berlin or UTC", "%s is not a time zone", quote(s))
		return time.UTC
	}
	return zone
}
