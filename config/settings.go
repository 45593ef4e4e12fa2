package config

import (
	"regexp"
	"slices"
	"time"

	"countersign/bot/access"
)

const day = 24 * time.Hour

func defaultSettings() access.Settings {
	return access.Settings{
		ExpiryOptions:  []time.Duration{5 * time.Minute, time.Hour, day, 7 * day, 30 * day},
		MaxDuration:    180 * day,
		PendingTimeout: 14 * day,
		Reminders:      []time.Duration{15 * time.Minute, time.Hour, 4 * time.Hour},
	}
}

// slack reads where the bot speaks, and who edits its user groups.
func (o object) slack() (access.SlackSettings, bool) {
	const hint = `write slack: {channel: C0123456789}, or a name in quotes: "#access"`
	s := access.SlackSettings{ApproverGroup: "access-approvers"}
	v, ok := o.need("slack", hint)
	if !ok {
		return s, false
	}
	o = v.object("channel", "approver_group", "groups_restricted")
	o.require(v, hint)
	if c, ok := o.need("channel", hint); ok && c.null() && !c.foreign() {
		c.fail(hint, "is empty (a # without quotes begins a comment)")
	} else if ok {
		s.Channel, _ = c.shaped(v.r.shapes.channel, `a channel's id such as C0123456789, or its name in quotes such as "#access"`)
	}
	if g, ok := o.fields["approver_group"]; ok {
		s.ApproverGroup, _ = g.shaped(v.r.shapes.handle, "the handle of a user group without @")
		if slices.Contains([]string{"here", "channel", "everyone"}, s.ApproverGroup) {
			g.fail("choose another handle", "%s is Slack's own", quote(s.ApproverGroup))
		}
	}
	return s, o.flag("groups_restricted", false)
}

func (v value) settings() access.Settings {
	s := defaultSettings()
	o := v.object("one_party", "require_reason", "require_duration", "require_ticket",
		"expiry_options", "max_duration", "pending_timeout", "reminders")
	s.OneParty = o.flag("one_party", false)
	s.RequireReason = o.flag("require_reason", false)
	s.RequireDuration = o.flag("require_duration", false)
	s.RequireTicket = o.ticket()
	s.MaxDuration = o.duration("max_duration", s.MaxDuration)
	s.PendingTimeout = o.duration("pending_timeout", s.PendingTimeout)
	if x, ok := o.fields["expiry_options"]; ok {
		s.ExpiryOptions = x.r.ascending(x.full("list at least one, or remove the key"))
		x.tooLong(s)
	}
	if x, ok := o.fields["reminders"]; ok {
		s.Reminders = x.r.ascending(x.list())
	}
	return s
}

// ticket reads the pattern of tickets; nil where it is empty or missing.
func (o object) ticket() *regexp.Regexp {
	v, ok := o.fields["require_ticket"]
	if !ok {
		return nil
	}
	if s, ok := v.word(); !ok || s == "" {
		return nil
	}
	p, _ := v.pattern()
	return p
}

// ascending reads durations from the shortest to the longest, each once.
func (r *reader) ascending(list []value) []time.Duration {
	var out []time.Duration
	for _, v := range list {
		d, ok := v.duration()
		switch {
		case !ok:
		case len(out) > 0 && d <= out[len(out)-1]:
			v.fail("list them from the shortest to the longest, each once", "%s is not longer than the one before", quote(v.node.Value))
		case len(out) == 50:
			v.fail("keep 50 of them", "these are too many")
			return out
		default:
			out = append(out, d)
		}
	}
	return out
}

// tooLong warns about options that are never offered.
func (v value) tooLong(s access.Settings) {
	if n := len(s.ExpiryOptions); n > 0 && s.ExpiryOptions[n-1] > s.MaxDuration {
		v.warn("remove it or raise max_duration", "%s is longer than max_duration and never offered", access.FormatDuration(s.ExpiryOptions[n-1]))
	}
}

func (v value) oncall() access.OnCall {
	var c access.OnCall
	o := v.object("pagerduty", "incidentio")
	if x, ok := o.fields["pagerduty"]; ok && !x.null() {
		c.PagerDuty = x.pagerduty()
	}
	if x, ok := o.fields["incidentio"]; ok && !x.null() {
		c.IncidentIO = x.incidentio()
	}
	return c
}

func (v value) pagerduty() *access.PagerDuty {
	o := v.object("auto_approve", "escalation_policies", "services", "from", "auto_duration", "require_schedule", "max_escalation_level")
	p := &access.PagerDuty{
		AutoApprove:        o.flag("auto_approve", false),
		EscalationPolicies: o.ids("escalation_policies"),
		Services:           o.ids("services"),
		From:               o.who("from"),
		AutoDuration:       o.duration("auto_duration", time.Hour),
		RequireSchedule:    o.flag("require_schedule", true),
		MaxEscalationLevel: o.count("max_escalation_level", 1, 20),
	}
	if p.AutoApprove && len(p.EscalationPolicies) == 0 {
		o.fail("name the escalation_policies whose people count", "auto_approve has nobody to ask about")
	}
	if len(p.Services) > 0 && len(p.EscalationPolicies) == 0 {
		o.warn("add escalation_policies", "who is paged cannot approve: a service does not say who is on call")
	}
	return p
}

func (v value) incidentio() *access.IncidentIO {
	o := v.object("auto_approve", "schedules", "escalation_path", "auto_duration")
	p := &access.IncidentIO{
		AutoApprove:  o.flag("auto_approve", false),
		Schedules:    o.ids("schedules"),
		AutoDuration: o.duration("auto_duration", time.Hour),
	}
	if x, ok := o.fields["escalation_path"]; ok {
		p.EscalationPath, _ = x.shaped(v.r.shapes.vendorID, "an id such as 01HABC")
	}
	if p.AutoApprove && len(p.Schedules) == 0 {
		o.fail("name the schedules whose people count", "auto_approve has nobody to ask about")
	}
	return p
}

// ids reads a list of ids as PagerDuty and incident.io give them.
func (o object) ids(key string) []string {
	return o.texts(o.list(key), o.r.shapes.vendorID, "an id such as PABC123")
}
