package pagerduty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"countersign/bot/access"
)

// Page opens one incident for each service, and for each escalation policy
// where several are named (without any, the service's own is followed). It does
// so once however often it is called for the same request: what was opened
// before, even if it is resolved by now, is found by its key and left alone, so
// that after an error the same call is simply made again. It returns the ids of
// the incidents, with a space between them, and the address of the first one.
// With an error they are those that are open nevertheless.
func (c *Client) Page(ctx context.Context, p access.Page) (ref, web string, err error) {
	if err := pageable(p); err != nil {
		return "", "", fmt.Errorf("pagerduty: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	var refs []string
	var errs []error
	for _, in := range incidentsOf(p) {
		got, err := c.ensure(ctx, in, p.From)
		if err != nil {
			errs = append(errs, fmt.Errorf("page service %s: %w", in.Service.ID, err))
			continue
		}
		refs = append(refs, got.ID)
		if web == "" {
			web = link(got.URL)
		}
	}
	return strings.Join(refs, " "), web, errors.Join(errs...)
}

// pageable says what is missing in a page.
func pageable(p access.Page) error {
	switch {
	case p.Integration != "pagerduty":
		return fmt.Errorf("asked to page by %q", p.Integration)
	case p.Request == "":
		return errors.New("a page without a request")
	case p.Title == "":
		return errors.New("a page without a title")
	case !address(p.From):
		return errors.New("a page needs the address of a PagerDuty user as From")
	case len(p.Services) == 0:
		return errors.New("a page needs a service: name one under oncall.pagerduty.services")
	}
	return nil
}

// reference names something of PagerDuty's by its id.
type reference struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// newIncident is what is sent.
type newIncident struct {
	Type    string       `json:"type"`
	Title   string       `json:"title"`
	Service reference    `json:"service"`
	Urgency string       `json:"urgency"`
	Key     string       `json:"incident_key"`
	Body    incidentBody `json:"body"`
	Policy  *reference   `json:"escalation_policy,omitempty"`
}

type incidentBody struct {
	Type    string `json:"type"`
	Details string `json:"details"`
}

// incidentsOf lists what is to be opened. Keys differ within a service, which
// refuses a second open incident with the key of the first.
func incidentsOf(p access.Page) []newIncident {
	details := strings.TrimSpace(p.Details + "\n\n" + p.Link)
	var out []newIncident
	for _, service := range p.Services {
		in := newIncident{
			Type: "incident", Title: line(p.Title, 1024), Urgency: "high", Key: p.Request,
			Service: reference{service, "service_reference"}, Body: incidentBody{"incident_body", details},
		}
		if len(p.EscalationPolicies) == 0 {
			out = append(out, in)
		}
		for i, policy := range p.EscalationPolicies {
			if i > 0 {
				in.Key = p.Request + "/" + policy
			}
			in.Policy = &reference{policy, "escalation_policy_reference"}
			out = append(out, in)
		}
	}
	return out
}

// incident is an answer, as far as it is used.
type incident struct {
	ID      string    `json:"id"`
	URL     string    `json:"html_url"`
	Key     string    `json:"incident_key"`
	Service reference `json:"service"`
}

// ensure opens an incident unless it was opened before. A crash between the
// question and the opening does no harm: the next call asks again.
func (c *Client) ensure(ctx context.Context, in newIncident, from string) (incident, error) {
	if found, ok, err := c.find(ctx, in); err != nil || ok {
		return found, err
	}
	payload, err := json.Marshal(map[string]newIncident{"incident": in})
	if err != nil {
		return incident{}, fmt.Errorf("incident: %w", err)
	}
	h := c.header()
	h.Set("From", from)
	answer, err := c.do(ctx, call{
		name: "POST /incidents", method: http.MethodPost, url: c.base + "/incidents", header: h, body: payload, want: http.StatusCreated,
	})
	if duplicate(err) {
		// Somebody else opened it since the question. That is as good, even if
		// it cannot be looked up.
		if found, ok, err := c.find(ctx, in); err == nil && ok {
			return found, nil
		}
		return incident{ID: in.Key}, nil
	}
	if err != nil {
		return incident{}, err
	}
	got, err := readIncident(answer)
	if err != nil {
		return incident{}, fmt.Errorf("pagerduty: POST /incidents: %w", err)
	}
	return got, nil
}

// find looks for the incident of a service by its key.
func (c *Client) find(ctx context.Context, in newIncident) (incident, bool, error) {
	answer, err := c.get(ctx, "/incidents", url.Values{
		"incident_key": {in.Key}, "service_ids[]": {in.Service.ID}, "date_range": {"all"}, "limit": {"100"},
	})
	if err != nil {
		return incident{}, false, err
	}
	list, err := readIncidents(answer)
	if err != nil {
		return incident{}, false, fmt.Errorf("pagerduty: GET /incidents: %w", err)
	}
	for _, x := range list {
		if x.Key == in.Key && x.Service.ID == in.Service.ID {
			return x, true, nil
		}
	}
	return incident{}, false, nil
}

func readIncident(body []byte) (incident, error) {
	var a struct {
		Incident incident `json:"incident"`
	}
	if err := decode(body, &a); err != nil {
		return incident{}, err
	}
	if a.Incident.ID == "" {
		return incident{}, errors.New("the answer has no incident")
	}
	return a.Incident, nil
}

func readIncidents(body []byte) ([]incident, error) {
	var a struct {
		Incidents *[]incident `json:"incidents"`
	}
	if err := decode(body, &a); err != nil {
		return nil, err
	}
	if a.Incidents == nil {
		return nil, errors.New("the answer has no incidents")
	}
	for _, x := range *a.Incidents {
		if x.ID == "" {
			return nil, errors.New("an incident without an id")
		}
	}
	return *a.Incidents, nil
}

var exists = regexp.MustCompile(`(?i)(dedup key|incident[_ ]key).*already exists`)

// duplicate reports whether an incident was refused because it is open already.
// The code (2002) is that of every wrong argument; only the text tells.
func duplicate(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == http.StatusBadRequest && exists.MatchString(r.text)
}

// link lets only addresses through that may be shown as a link.
func link(s string) string {
	if u, err := url.Parse(s); err != nil || u.Host == "" || !private(u) {
		return ""
	}
	return s
}
