package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"countersign/bot/oncall/oncalltest"
)

// The words of the stories about people on call.

// oncall says who is on call in PagerDuty: nobody else.
func oncall(s *story, args []string) error {
	at, names := where(args)
	duty := oncalltest.OnCall{Policy: "PSRE", Level: 1, Schedule: "PPRIMARY", Start: time.Now().Add(-time.Hour), End: time.Now().Add(time.Hour)}
	switch level, leveled := strings.CutPrefix(string(at), "-level="); {
	case leveled:
		var err error
		if duty.Level, err = strconv.Atoi(level); err != nil {
			return err
		}
	case at == "-permanent": // named directly on the policy
		duty.Schedule, duty.Start, duty.End = "", time.Time{}, time.Time{}
	case at != everywhere:
		return errUsage
	}
	var list []oncalltest.OnCall
	for _, name := range names {
		duty.User, duty.Email = "P"+strings.ToUpper(name), name+"@example.com"
		list = append(list, duty)
	}
	s.pagerduty.SetOnCalls(list...)
	return nil
}

// shift says whose it is in incident.io, which knows people by their Slack account.
func shift(s *story, args []string) error {
	if len(args) > 1 {
		return errUsage
	}
	schedule := oncalltest.Schedule{ID: "01PRIMARY", Name: "Primary"}
	for _, name := range args {
		schedule.Shifts = append(schedule.Shifts, oncalltest.Shift{
			User:  &oncalltest.User{ID: "01" + strings.ToUpper(name), Slack: userID(name)},
			Start: time.Now().Add(-time.Hour), End: time.Now().Add(time.Hour),
		})
	}
	s.incidentio.SetSchedules(schedule)
	return nil
}

func vendors(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	s.noVendor.Store(args[0] == "down")
	return nil
}

// paged is a line for each page that reached PagerDuty or incident.io.
func (w *world) paged() []string {
	var out []string
	for _, in := range w.pagerduty.Incidents() {
		out = append(out, fmt.Sprintf("PagerDuty: %s, service %s, policy %s, from %s, key %s, %s", in.Title, in.Service, in.Policy, in.From, in.Key, in.Details))
	}
	for _, e := range w.incidentio.Escalations() {
		out = append(out, fmt.Sprintf("incident.io: %s, to %s, key %s, %s", e.Title, strings.Join(e.Users, " "), e.Key, e.Description))
	}
	for _, in := range w.incidentio.Incidents() {
		out = append(out, fmt.Sprintf("incident.io: %s, an incident, key %s, %s", in.Name, in.Key, in.Summary))
	}
	return out
}

func pages(s *story, args []string) error {
	return s.matches(args, s.paged)
}

// alerts looks for what the operators were woken by: the severity, whether it is
// still open, and the summary.
func alerts(s *story, args []string) error {
	return s.matches(args, func() []string {
		var out []string
		for _, a := range s.pagerduty.Alerts() {
			state := "resolved"
			if a.Open {
				state = "open"
			}
			out = append(out, a.Severity+" "+state+": "+a.Summary)
		}
		return out
	})
}
