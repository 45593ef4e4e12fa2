package incidentio

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"countersign/bot/access"
)

// dashboard leads to the reader's own organisation.
const dashboard = "https://app.incident.io/~"

// Page calls people: along the escalation path if one is named, else those who
// are on call in the schedules. Where nobody is, it opens an incident. It
// returns the id of the escalation or incident, and its address.
//
// The request is the idempotency key, so that after an error the same call is
// simply made again: incident.io answers with what it made for the key. (It
// keeps escalations and incidents apart. Where a lost answer and a change of
// shift fall together, there may be one of each.)
func (c *Client) Page(ctx context.Context, p access.Page) (ref, web string, err error) {
	if err := pageable(p); err != nil {
		return "", "", fmt.Errorf("incident.io: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	details := strings.TrimSpace(p.Details + "\n\n" + p.Link)
	e := escalation{Key: p.Request, Title: line(p.Title, 1024), Description: details, Path: p.EscalationPath}
	if e.Path == "" && len(p.Schedules) > 0 {
		// That it cannot be asked is no sign that nobody is on call.
		if e.Users, err = c.users(ctx, p.Schedules); err != nil {
			return "", "", err
		}
	}
	if e.Path != "" || len(e.Users) > 0 {
		return c.escalate(ctx, e)
	}
	return c.open(ctx, incident{Key: p.Request, Name: e.Title, Summary: details, Visibility: c.visibility, Mode: c.mode})
}

// pageable says what is missing in a page.
func pageable(p access.Page) error {
	switch {
	case p.Integration != "incidentio":
		return fmt.Errorf("asked to page by %q", p.Integration)
	case p.Request == "":
		return errors.New("a page without a request")
	case p.Title == "":
		return errors.New("a page without a title")
	}
	return nil
}

// users are the ids of those who are on call now.
func (c *Client) users(ctx context.Context, schedules []string) ([]string, error) {
	shifts, err := c.shifts(ctx, schedules)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, s := range shifts {
		if !slices.Contains(out, s.User.ID) {
			out = append(out, s.User.ID)
		}
	}
	return out, nil
}

// escalation is what is sent; it has either a path or users.
type escalation struct {
	Key         string   `json:"idempotency_key"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Path        string   `json:"escalation_path_id,omitempty"`
	Users       []string `json:"user_ids,omitempty"`
}

func (c *Client) escalate(ctx context.Context, e escalation) (ref, web string, err error) {
	body, err := c.post(ctx, "/v2/escalations", e)
	if err != nil {
		return "", "", err
	}
	id, err := readEscalation(body)
	if err != nil {
		return "", "", fmt.Errorf("incident.io: POST /v2/escalations: %w", err)
	}
	// The answer has no address.
	return id, dashboard + "/on-call/escalations/" + url.PathEscape(id), nil
}

func readEscalation(body []byte) (id string, err error) {
	var a struct {
		Escalation struct {
			ID string `json:"id"`
		} `json:"escalation"`
	}
	if err := decode(body, &a); err != nil {
		return "", err
	}
	if a.Escalation.ID == "" {
		return "", errors.New("the answer has no escalation")
	}
	return a.Escalation.ID, nil
}

// incident is what is sent.
type incident struct {
	Key        string `json:"idempotency_key"`
	Name       string `json:"name"`
	Summary    string `json:"summary,omitempty"`
	Visibility string `json:"visibility"`
	Mode       string `json:"mode"`
}

func (c *Client) open(ctx context.Context, in incident) (ref, web string, err error) {
	body, err := c.post(ctx, "/v2/incidents", in)
	if err != nil {
		return "", "", err
	}
	id, web, err := readIncident(body)
	if err != nil {
		return "", "", fmt.Errorf("incident.io: POST /v2/incidents: %w", err)
	}
	return id, web, nil
}

func readIncident(body []byte) (id, web string, err error) {
	var a struct {
		Incident struct {
			ID        string `json:"id"`
			Permalink string `json:"permalink"`
		} `json:"incident"`
	}
	if err := decode(body, &a); err != nil {
		return "", "", err
	}
	if a.Incident.ID == "" {
		return "", "", errors.New("the answer has no incident")
	}
	return a.Incident.ID, link(a.Incident.Permalink), nil
}

// link lets only addresses through that may be shown as a link.
func link(s string) string {
	if u, err := url.Parse(s); err != nil || u.Host == "" || !private(u) {
		return ""
	}
	return s
}
