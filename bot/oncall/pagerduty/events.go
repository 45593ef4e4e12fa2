package pagerduty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// source is what PagerDuty shows as the origin of an alert.
const source = "countersign"

// event is what is sent to Events API v2.
type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"`
	Key        string   `json:"dedup_key"`
	Payload    *payload `json:"payload,omitempty"`
}

type payload struct {
	Summary  string `json:"summary"`
	Source   string `json:"source"`
	Severity string `json:"severity"`
}

// Alert raises an alert that comes from no person, such as a revocation that
// fails. As long as the alert is open, another one with the same key (at most
// 255 bytes) is the same alert. The severity is critical, error, warning or info.
func (c *Client) Alert(ctx context.Context, key, summary, severity string) error {
	if !slices.Contains([]string{"critical", "error", "warning", "info"}, severity) {
		return fmt.Errorf("pagerduty: there is no severity %q", severity)
	}
	if summary == "" {
		return errors.New("pagerduty: an alert without a summary")
	}
	return c.enqueue(ctx, event{Action: "trigger", Key: key, Payload: &payload{line(summary, 1024), source, severity}})
}

// Resolve ends the alert with this key. That there is none is no error.
func (c *Client) Resolve(ctx context.Context, key string) error {
	return c.enqueue(ctx, event{Action: "resolve", Key: key})
}

// enqueue sends an event. The routing key is its authorization: the token is of
// no use there, so it is not sent.
func (c *Client) enqueue(ctx context.Context, e event) error {
	e.RoutingKey = c.routing()
	switch {
	case e.RoutingKey == "":
		return errors.New("pagerduty: alerts need the routing key of an Events API v2 integration")
	case e.Key == "" || len(e.Key) > 255:
		return errors.New("pagerduty: an alert needs a key of 1 to 255 bytes")
	}
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("pagerduty: event: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	answer, err := c.do(ctx, call{
		name: "POST /v2/enqueue", method: http.MethodPost, url: c.events + "/v2/enqueue", body: body, want: http.StatusAccepted,
		header: http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {"countersign"}},
	})
	if err != nil {
		return err
	}
	if err := readEvent(answer); err != nil {
		return fmt.Errorf("pagerduty: POST /v2/enqueue: %w", err)
	}
	return nil
}

func readEvent(body []byte) error {
	var a struct {
		Status string `json:"status"`
	}
	if err := decode(body, &a); err != nil {
		return err
	}
	if a.Status != "success" {
		return fmt.Errorf("the event was not taken: %q", line(a.Status, 100))
	}
	return nil
}
