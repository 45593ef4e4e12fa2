package incidentio

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"countersign/bot/access"
)

const (
	pageSize = "25"
	maxPages = 400 // 10,000 schedules
)

// Duties are the people on call right now in the schedules of a watch (all
// pages), each with its evidence: times in UTC, addresses in lower case, the
// Slack id where incident.io knows it, no policy and level 0. A shift without a
// user, or with one who has neither address nor Slack id, is nobody's. A
// schedule that is not there is an error, and an error means that nobody may be
// taken to be on call.
func (c *Client) Duties(ctx context.Context, w access.Watch) ([]access.Duty, error) {
	if w.Integration != "incidentio" {
		return nil, fmt.Errorf("incident.io: asked about %q", w.Integration)
	}
	if len(w.EscalationPolicies) > 0 {
		return nil, errors.New("incident.io: asked about escalation policies; it has schedules")
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	shifts, err := c.shifts(ctx, w.Schedules)
	if err != nil {
		return nil, err
	}
	var out []access.Duty
	for _, s := range shifts {
		p := access.Person{Email: lower(s.User.Email), Slack: s.User.Slack}
		d := access.Duty{Person: p, Schedule: s.schedule, Start: s.Start.UTC(), End: s.End.UTC()}
		// One shift may stand in several layers of a schedule.
		if !p.IsZero() && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out, nil
}

// shifts are those in which somebody is on call now. Pages are read until every
// schedule that is asked for was seen.
func (c *Client) shifts(ctx context.Context, ids []string) ([]shift, error) {
	if len(ids) == 0 {
		return nil, errors.New("incident.io: no schedules say whose duties are asked for")
	}
	missing := slices.Clone(ids)
	q := url.Values{"page_size": {pageSize}}
	var out []shift
	for range maxPages {
		body, err := c.get(ctx, "/v2/schedules", q)
		if err != nil {
			return nil, err
		}
		p, err := readSchedules(body)
		if err != nil {
			return nil, fmt.Errorf("incident.io: GET /v2/schedules: %w", err)
		}
		for _, s := range *p.Schedules {
			if slices.Contains(missing, s.ID) {
				missing = slices.DeleteFunc(missing, func(id string) bool { return id == s.ID })
				now, err := s.at(c.now())
				if err != nil {
					return nil, fmt.Errorf("incident.io: GET /v2/schedules: schedule %s: %w", line(s.ID, 40), err)
				}
				out = append(out, now...)
			}
		}
		if len(missing) == 0 {
			return out, nil
		}
		if p.Meta.After == "" || p.Meta.After == q.Get("after") {
			return nil, fmt.Errorf("incident.io: no such schedule: %s", strings.Join(missing, ", "))
		}
		q.Set("after", p.Meta.After)
	}
	return nil, errors.New("incident.io: GET /v2/schedules: there is no end of pages")
}

// schedules is a page of the answer, as far as it is used.
type schedules struct {
	Schedules *[]schedule `json:"schedules"`
	Meta      struct {
		After string `json:"after"`
	} `json:"pagination_meta"`
}

type schedule struct {
	ID     string  `json:"id"`
	Shifts []shift `json:"current_shifts"`
}

type shift struct {
	Start *time.Time `json:"start_at"`
	End   *time.Time `json:"end_at"`
	User  *struct {
		ID    string `json:"id"`
		Email string `json:"email"`
		Slack string `json:"slack_user_id"`
	} `json:"user"`
	schedule string
}

// at are the shifts with a user at a moment. The vendor's clock may have seen
// it otherwise.
func (s schedule) at(t time.Time) ([]shift, error) {
	var out []shift
	for i, x := range s.Shifts {
		if err := x.check(); err != nil {
			return nil, fmt.Errorf("shift %d: %w", i, err)
		}
		if x.User != nil && !t.Before(*x.Start) && t.Before(*x.End) {
			x.schedule = s.ID
			out = append(out, x)
		}
	}
	return out, nil
}

func readSchedules(body []byte) (schedules, error) {
	var p schedules
	if err := decode(body, &p); err != nil {
		return p, err
	}
	if p.Schedules == nil {
		return p, errors.New("the answer has no schedules")
	}
	for i, s := range *p.Schedules {
		if s.ID == "" {
			return p, fmt.Errorf("schedule %d has no id", i)
		}
	}
	return p, nil
}

func (s shift) check() error {
	switch {
	case s.Start == nil || s.End == nil:
		return errors.New("no start or no end")
	case s.User == nil:
		return nil
	case s.User.ID == "":
		return errors.New("a user without an id")
	case s.User.Email != "" && !address(s.User.Email):
		return fmt.Errorf("user %s: not an e-mail address", line(s.User.ID, 40))
	case !graphic(s.User.Slack):
		return fmt.Errorf("user %s: not a Slack id", line(s.User.ID, 40))
	}
	return nil
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
