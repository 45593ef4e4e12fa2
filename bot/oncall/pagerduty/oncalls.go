package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"countersign/bot/access"
)

const (
	pageSize = 100 // the most that PagerDuty gives at once
	maxPages = 100 // it gives no more than 10,000 entries in all
)

// Duties are the people on call right now for a watch (all pages), each with
// its evidence: times in UTC, addresses in lower case. Somebody who is named
// directly on the policy has no Schedule and no Start. An error means that
// nobody may be taken to be on call.
func (c *Client) Duties(ctx context.Context, w access.Watch) ([]access.Duty, error) {
	if w.Integration != "pagerduty" {
		return nil, fmt.Errorf("pagerduty: asked about %q", w.Integration)
	}
	// Without a filter everybody who is on call for anything would count.
	if len(w.EscalationPolicies)+len(w.Schedules) == 0 {
		return nil, errors.New("pagerduty: neither escalation policies nor schedules say whose duties are asked for")
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	q := url.Values{"include[]": {"users"}, "limit": {strconv.Itoa(pageSize)}}
	if len(w.EscalationPolicies) > 0 {
		q["escalation_policy_ids[]"] = w.EscalationPolicies
	}
	if len(w.Schedules) > 0 {
		q["schedule_ids[]"] = w.Schedules
	}
	var out []access.Duty
	offset := 0
	for range maxPages {
		q.Set("offset", strconv.Itoa(offset))
		body, err := c.get(ctx, "/oncalls", q)
		if err != nil {
			return nil, err
		}
		duties, next, err := readOnCalls(body, offset, w, c.now())
		if err != nil {
			return nil, fmt.Errorf("pagerduty: GET /oncalls: %w", err)
		}
		out = append(out, duties...)
		if next == 0 {
			return out, nil
		}
		offset = next
	}
	return nil, errors.New("pagerduty: GET /oncalls: there is no end of pages")
}

// onCalls is a page of the answer, as far as it is used.
type onCalls struct {
	OnCalls *[]onCall `json:"oncalls"`
	Limit   *int      `json:"limit"`
	Offset  *int      `json:"offset"`
	More    *bool     `json:"more"`
}

type onCall struct {
	User *struct {
		ID    string `json:"id"`
		Email string `json:"email"`
	} `json:"user"`
	Policy *struct {
		ID string `json:"id"`
	} `json:"escalation_policy"`
	// The type of a schedule is not looked at: there is more than one kind.
	Schedule *struct {
		ID string `json:"id"`
	} `json:"schedule"`
	Level int        `json:"escalation_level"`
	Start *time.Time `json:"start"`
	End   *time.Time `json:"end"`
}

// readOnCalls reads the page at an offset. It returns those who are on call now,
// and the offset of the next page, 0 if there is none.
func readOnCalls(body []byte, offset int, w access.Watch, now time.Time) ([]access.Duty, int, error) {
	var p onCalls
	if err := decode(body, &p); err != nil {
		return nil, 0, err
	}
	if p.OnCalls == nil || p.More == nil {
		return nil, 0, errors.New("the answer has no oncalls, or does not say whether there are more")
	}
	var out []access.Duty
	for i, o := range *p.OnCalls {
		d, err := o.duty(w)
		if err != nil {
			return nil, 0, fmt.Errorf("entry %d: %w", offset+i, err)
		}
		if !now.Before(d.Start) && (d.End.IsZero() || now.Before(d.End)) {
			out = append(out, d)
		}
	}
	if !*p.More {
		return out, 0, nil
	}
	if p.Limit == nil || p.Offset == nil || *p.Offset != offset || *p.Limit < 1 || *p.Limit > pageSize {
		return nil, 0, errors.New("the answer does not say where the next page begins")
	}
	return out, offset + *p.Limit, nil
}

// duty checks an entry. One that does not fit what was asked is an error: then
// the filter was not understood, and anybody might stand in the list.
func (o onCall) duty(w access.Watch) (access.Duty, error) {
	var d access.Duty
	schedule := ""
	switch {
	case o.User == nil || o.User.ID == "":
		return d, errors.New("no user")
	case !address(o.User.Email):
		return d, fmt.Errorf("user %s has no e-mail address", line(o.User.ID, 40))
	case o.Policy == nil || o.Policy.ID == "":
		return d, errors.New("no escalation policy")
	case o.Level < 1:
		return d, errors.New("no escalation level")
	case o.Schedule != nil && o.Schedule.ID == "":
		return d, errors.New("a schedule without an id")
	case o.Schedule != nil:
		schedule = o.Schedule.ID
	}
	if !only(w.EscalationPolicies, o.Policy.ID) || !only(w.Schedules, schedule) {
		return d, fmt.Errorf("policy %q, schedule %q: not asked for", line(o.Policy.ID, 40), line(schedule, 40))
	}
	d = access.Duty{Person: access.Person{Email: lower(o.User.Email)}, Policy: o.Policy.ID, Level: o.Level, Schedule: schedule}
	if o.End != nil {
		d.End = o.End.UTC()
	}
	if o.Start == nil {
		// Documented as permanent, whatever else the entry says.
		d.Schedule = ""
	} else {
		d.Start = o.Start.UTC()
	}
	return d, nil
}

// address reports whether a text may be an e-mail address.
func address(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
}

// lower maps A to Z only: there are letters outside ASCII whose lower case is a
// letter inside it, and they are no way to somebody else's address.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
