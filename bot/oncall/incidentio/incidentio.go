// Package incidentio asks incident.io who is on call, and calls them.
//
// An answer that is not as documented is an error, and an error means that
// nobody may be taken to be on call: the ordinary approval goes on without it.
// Nothing is cached. Rate limits are waited for as long as the caller's
// deadline allows. The API key goes to the configured host only, never along a
// redirect, and stands in no error.
package incidentio

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config says which account, and how to reach it.
type Config struct {
	Token      string           // an API key; [Client.Check] names the roles that it needs; required
	BaseURL    string           // unset: https://api.incident.io; plain http on loopback only
	Mode       string           // of incidents that are opened: standard (unset) or test
	Visibility string           // of incidents that are opened: public (unset) or private
	Client     *http.Client     // required; its redirect policy and cookies are not used
	Now        func() time.Time // required
	Timeout    time.Duration    // of one HTTP request; unset: 10 s
}

// budget is how long one operation may take where the caller sets no deadline.
const budget = 30 * time.Second

// A Client is one incident.io account. It is safe for concurrent use.
type Client struct {
	base       string
	mode       string
	visibility string
	http       http.Client
	now        func() time.Time
	timeout    time.Duration
	// The key is kept in a function, so that no way of printing a Client shows it.
	token func() string
}

// New returns a client. It makes no call.
func New(c Config) (*Client, error) {
	if c.BaseURL == "" {
		c.BaseURL = "https://api.incident.io"
	}
	if c.Mode == "" {
		c.Mode = "standard"
	}
	if c.Visibility == "" {
		c.Visibility = "public"
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	switch {
	case c.Client == nil:
		return nil, errors.New("incident.io: no HTTP client")
	case c.Now == nil:
		return nil, errors.New("incident.io: no clock")
	case c.Token == "" || !graphic(c.Token):
		return nil, errors.New("incident.io: the API key is empty or has characters that no key has")
	case c.Mode != "standard" && c.Mode != "test":
		return nil, fmt.Errorf("incident.io: mode %q: want standard or test", c.Mode)
	case c.Visibility != "public" && c.Visibility != "private":
		return nil, fmt.Errorf("incident.io: visibility %q: want public or private", c.Visibility)
	}
	base, err := endpoint(c.BaseURL)
	if err != nil {
		return nil, err
	}
	own := *c.Client
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		base: base, mode: c.Mode, visibility: c.Visibility, http: own, now: c.Now, timeout: c.Timeout,
		token: func() string { return c.Token },
	}, nil
}

// Check reports whether the key is valid and has the roles that are needed:
// schedules_reader (or viewer), escalation_creator and incident_creator. Roles
// that it has in single teams only do not count.
func (c *Client) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	body, err := c.get(ctx, "/v1/identity", nil)
	if err != nil {
		return err
	}
	roles, err := readRoles(body)
	if err != nil {
		return fmt.Errorf("incident.io: GET /v1/identity: %w", err)
	}
	var missing []string
	if !slices.Contains(roles, "schedules_reader") && !slices.Contains(roles, "viewer") {
		missing = append(missing, "schedules_reader")
	}
	for _, role := range []string{"escalation_creator", "incident_creator"} {
		if !slices.Contains(roles, role) {
			missing = append(missing, role)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("incident.io: the API key lacks roles: %s", strings.Join(missing, ", "))
	}
	return nil
}

func readRoles(body []byte) ([]string, error) {
	var a struct {
		Identity *struct {
			Roles *[]string `json:"roles"`
		} `json:"identity"`
	}
	if err := decode(body, &a); err != nil {
		return nil, err
	}
	if a.Identity == nil || a.Identity.Roles == nil {
		return nil, errors.New("the answer has no identity with roles")
	}
	return *a.Identity.Roles, nil
}

// endpoint checks an address that the key will be sent to.
func endpoint(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !private(u) {
		return "", fmt.Errorf("incident.io: address %q: want https://host (plain http on loopback only)", raw)
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
