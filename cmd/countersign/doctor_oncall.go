package main

import (
	"context"
	"slices"

	"countersign/bot/access"
	"countersign/bot/checkup"
	"countersign/bot/oncall/incidentio"
	"countersign/bot/oncall/pagerduty"
)

// duties examines the services that know who is on call, as far as the rules use them.
func (d *examination) duties(ctx context.Context, s *checkup.Sheet) {
	if d.rules == nil {
		return
	}
	services, err := d.onCall()
	if err != nil {
		s.Fault("oncall", "", "correct the address, or unset it", "%v", err)
		return
	}
	if w, used := wanted(d.rules, "pagerduty"); used {
		const check, mend = "oncall.pagerduty", "put a REST API key that may read on-calls and make incidents into PAGERDUTY_TOKEN; an EU account needs PAGERDUTY_API_URL"
		c, there := services["pagerduty"].(*pagerduty.Client)
		if !there {
			s.Fault(check, "", mend, "PAGERDUTY_TOKEN is not set, and the configuration asks PagerDuty who is on call: nobody is approved or paged by it")
		} else if err := c.Check(ctx); err != nil {
			s.Fault(check, "", mend, "%v", err)
		} else {
			missing, err := c.Missing(ctx, w.policies, w.schedules, w.services)
			found(s, check, "the key may read on-calls and incidents; whether it may make incidents shows only when somebody is paged", missing, err)
		}
	}
	if w, used := wanted(d.rules, "incidentio"); used {
		const check, mend = "oncall.incidentio", "put an API key with the roles schedules_reader, escalation_creator and incident_creator into INCIDENT_IO_API_KEY"
		c, there := services["incidentio"].(*incidentio.Client)
		if !there {
			s.Fault(check, "", mend, "INCIDENT_IO_API_KEY is not set, and the configuration asks incident.io who is on call: nobody is approved or paged by it")
		} else if err := c.Check(ctx); err != nil {
			s.Fault(check, "", mend, "%v", err)
		} else {
			missing, err := c.Missing(ctx, w.schedules, w.paths)
			found(s, check, "the key has its roles", missing, err)
		}
	}
}

// found notes what a service does not have.
func found(s *checkup.Sheet, check, fine string, missing []string, err error) {
	for _, m := range missing {
		s.Fault(check, m, "correct the id in the configuration", "there is none, or the key does not see it")
	}
	switch {
	case err != nil:
		s.Warn(check, "", "try again, and see what the key may read", "whether all is there that the configuration names cannot be told: %v", err)
	case len(missing) == 0:
		s.OK(check, "", "%s; all that the configuration names is there", fine)
	}
}

// want is what the rules name at a service, by ids.
type want struct{ policies, schedules, services, paths []string }

// wanted collects it, and whether the service is used at all.
func wanted(rules *access.Rules, integration string) (want, bool) {
	var w want
	used := false
	if p := rules.OnCall.PagerDuty; p != nil && integration == "pagerduty" {
		used, w.policies, w.services = true, slices.Clone(p.EscalationPolicies), slices.Clone(p.Services)
	}
	if i := rules.OnCall.IncidentIO; i != nil && integration == "incidentio" {
		used, w.schedules = true, slices.Clone(i.Schedules)
		if i.EscalationPath != "" {
			w.paths = []string{i.EscalationPath}
		}
	}
	var add func(ways []access.Way)
	add = func(ways []access.Way) {
		for _, x := range ways {
			for _, step := range x.Steps {
				add(step)
			}
			if x.Integration == integration {
				used = true
				w.policies, w.schedules, w.services = append(w.policies, x.EscalationPolicies...), append(w.schedules, x.Schedules...), append(w.services, x.Services...)
			}
		}
	}
	for _, p := range rules.Policies {
		if !p.Disabled {
			add(p.Approval)
		}
	}
	for _, list := range []*[]string{&w.policies, &w.schedules, &w.services, &w.paths} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return w, used
}
