package pagerduty

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// Missing are those of some things, named by their ids, that this account does not
// have, each with what it is, such as "escalation policy PABC123". Nothing is changed.
func (c *Client) Missing(ctx context.Context, policies, schedules, services []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	var out []string
	for _, kind := range []struct {
		what, path string
		ids        []string
	}{
		{"escalation policy", "/escalation_policies/", policies},
		{"schedule", "/schedules/", schedules},
		{"service", "/services/", services},
	} {
		for _, id := range kind.ids {
			_, err := c.get(ctx, kind.path+url.PathEscape(id), url.Values{})
			var r *refusal
			if errors.As(err, &r) && r.status == http.StatusNotFound {
				out = append(out, kind.what+" "+id)
			} else if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}
