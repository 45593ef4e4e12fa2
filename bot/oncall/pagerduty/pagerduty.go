// Package pagerduty asks PagerDuty who is on call, and calls them.
//
// It speaks REST API v2, and Events API v2 for alerts that come from no person.
// An answer that is not as documented is an error, and an error means that
// nobody may be taken to be on call: the ordinary approval goes on without it.
// Nothing is cached. Rate limits are waited for as long as the caller's
// deadline allows. The token and the routing key go to the configured hosts
// only, never along a redirect, and stand in no error.
package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// The addresses of PagerDuty's two service regions, for [Config.BaseURL].
const (
	US = "https://api.pagerduty.com"
	EU = "https://api.eu.pagerduty.com"
)

// events has the address for alerts of each service region.
var events = map[string]string{US: "https://events.pagerduty.com", EU: "https://events.eu.pagerduty.com"}

// Config says which account, and how to reach it.
type Config struct {
	Token      string           // a REST API key that may read on-calls and make incidents; unset: only alerts can be sent
	BaseURL    string           // unset: US; plain http on loopback only
	RoutingKey string           // of an Events API v2 integration; unset: no alerts can be sent
	EventsURL  string           // host for alerts; unset: that of BaseURL's region
	Client     *http.Client     // required; its redirect policy and cookies are not used
	Now        func() time.Time // required
	Timeout    time.Duration    // of one HTTP request; unset: 10 s
}

// budget is how long one operation may take where the caller sets no deadline.
const budget = 30 * time.Second

// A Client is one PagerDuty account. It is safe for concurrent use.
type Client struct {
	base    string
	events  string
	http    http.Client
	now     func() time.Time
	timeout time.Duration
	// Secrets are kept in functions, so that no way of printing a Client shows them.
	token   func() string
	routing func() string
}

// New returns a client. It makes no call.
func New(c Config) (*Client, error) {
	switch {
	case c.Client == nil:
		return nil, errors.New("pagerduty: no HTTP client")
	case c.Now == nil:
		return nil, errors.New("pagerduty: no clock")
	case c.Token == "" && c.RoutingKey == "" || !graphic(c.Token):
		return nil, errors.New("pagerduty: the token is empty or has characters that no token has")
	case !graphic(c.RoutingKey):
		return nil, errors.New("pagerduty: the routing key has characters that no key has")
	}
	if c.BaseURL == "" {
		c.BaseURL = US
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	base, err := endpoint(c.BaseURL)
	if err != nil {
		return nil, err
	}
	alerts, err := eventsEndpoint(c, base)
	if err != nil {
		return nil, err
	}
	own := *c.Client
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		base: base, events: alerts, http: own, now: c.Now, timeout: c.Timeout,
		token: func() string { return c.Token }, routing: func() string { return c.RoutingKey },
	}, nil
}

// eventsEndpoint is where alerts go. A routing key is never sent to a host that
// nobody named.
func eventsEndpoint(c Config, base string) (string, error) {
	if c.EventsURL != "" {
		return endpoint(c.EventsURL)
	}
	if events[base] == "" && c.RoutingKey != "" {
		return "", errors.New("pagerduty: a routing key needs EventsURL, because BaseURL is that of no service region")
	}
	return events[base], nil
}

// Check reports whether the token is valid and may read on-calls and incidents.
// Whether it may also make incidents, only making one would tell.
func (c *Client) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	one := url.Values{"limit": {"1"}}
	for _, path := range []string{"/oncalls", "/incidents"} {
		if _, err := c.get(ctx, path, one); err != nil {
			return err
		}
	}
	return nil
}

// endpoint checks an address that secrets will be sent to.
func endpoint(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !private(u) {
		return "", fmt.Errorf("pagerduty: address %q: want https://host (plain http on loopback only)", raw)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// private reports whether nobody on the way can read what is sent there.
func private(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && ip.IsLoopback())
}

// graphic reports whether a text can stand in a header as it is.
func graphic(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
