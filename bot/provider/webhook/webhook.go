package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"countersign/bot/access"
)

// Config is what a [Provider] is made of.
type Config struct {
	// Secret answers the value of a secret by its name, as secret_env has it. It
	// is never asked for the bot's own (SLACK_*, GITHUB_*, PAGERDUTY_*,
	// INCIDENT_IO_*, COUNTERSIGN_*). Required.
	Secret func(name string) (string, error)
	// Now is the time of the signatures. Required.
	Now func() time.Time
	// Timeout bounds each call, from the name's resolution to the end of the
	// answer. Unset: 25 seconds.
	Timeout time.Duration
	// RootCAs are the authorities that receivers' certificates are verified by.
	// Unset: those of the system.
	RootCAs *x509.CertPool
	// Resolver resolves the receivers' names. Unset: that of the system.
	Resolver *net.Resolver
}

// A Provider gives access by calls to receivers. It keeps no state, and is safe
// for concurrent use.
type Provider struct{ c Config }

// New returns a provider.
func New(c Config) (*Provider, error) {
	if c.Secret == nil || c.Now == nil {
		return nil, errors.New("webhook: no secrets or no clock")
	}
	if c.Timeout <= 0 {
		c.Timeout = 25 * time.Second
	}
	return &Provider{c}, nil
}

// Ready says why no order for a target could even be sent: its address is none,
// or its secret is not set.
func (p *Provider) Ready(t access.Target) error {
	at, err := endpointOf(t)
	if err != nil {
		return err
	}
	_, err = p.secret(at.secret)
	return err
}

// Subject is the address of the person.
func (p *Provider) Subject(_ context.Context, t access.Target, who access.Account) (string, error) {
	if _, err := endpointOf(t); err != nil {
		return "", err
	}
	if who.Email == "" {
		return "", fmt.Errorf("webhook: the person has no address: %w", access.ErrNoAccount)
	}
	return who.Email, nil
}

// Has answers unknown: receivers are never asked.
func (p *Provider) Has(_ context.Context, t access.Target, _ string) (access.Presence, error) {
	_, err := endpointOf(t)
	return access.Unknown, err
}

// Grant has the receiver give the access, or extend it.
func (p *Provider) Grant(ctx context.Context, o access.Order) error {
	_, err := p.GrantObserving(ctx, o)
	return err
}

// GrantObserving is Grant, and answers whether the access was there before this
// order was first given. What counts is the answer to the first order of a
// request, while no other grant of the same access is the bot's own: an extension
// finds what the grant made.
func (p *Provider) GrantObserving(ctx context.Context, o access.Order) (access.Presence, error) {
	a, err := p.order(ctx, "grant", o)
	switch {
	case err != nil:
		return access.Unknown, err
	case *a.PresentBefore:
		return access.Present, nil
	}
	return access.Absent, nil
}

// Revoke has the receiver end the access.
func (p *Provider) Revoke(ctx context.Context, o access.Order) error {
	_, err := p.order(ctx, "revoke", o)
	return err
}

// order makes one call. Its errors are fit for the log, which keeps them for
// ever: one line, and never a secret, whatever the receiver sends.
func (p *Provider) order(ctx context.Context, action string, o access.Order) (answer, error) {
	at, err := endpointOf(o.Target)
	if err != nil {
		return answer{}, err
	}
	m, err := messageOf(action, o)
	if err != nil {
		return answer{}, err
	}
	if err := ctx.Err(); err != nil {
		return answer{}, fmt.Errorf("webhook: %s: %w", action, err)
	}
	s, err := p.secret(at.secret)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.c.Timeout)
	defer cancel()
	a, err := p.call(ctx, at, s, m)
	if err != nil {
		return answer{}, s.fault(fmt.Errorf("webhook: %s at %s: %w", action, at.url.Host, err))
	}
	return a, nil
}

func (p *Provider) call(ctx context.Context, at endpoint, s secret, m message) (answer, error) {
	body, err := m.body()
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.url.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, errors.New("the address cannot be called")
	}
	id, timestamp := m.id(at), strconv.FormatInt(p.c.Now().Unix(), 10)
	req.Header.Set("content-type", "application/json")
	req.Header.Set("user-agent", "countersign")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", timestamp)
	req.Header.Set("webhook-signature", s.sign(id, timestamp, body))
	// Not by a client: a single round trip follows no redirect.
	res, err := p.transport(at).RoundTrip(req)
	if err != nil {
		return answer{}, unanswered(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return read(m.Action, res.StatusCode, nil) // from here on nothing would keep the deadline
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return answer{}, fmt.Errorf("the answer broke off, which leaves the effect open: %w", unanswered(err))
	}
	return read(m.Action, res.StatusCode, data)
}

// unanswered is why there is no answer.
func unanswered(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer in time; see what the receiver is waiting for: %w", err)
	}
	return err
}

// maxHeader bounds the head of an answer, in bytes.
const maxHeader = 32 << 10

// transport makes the connection of one call. It serves no other, since it was
// dialled by what its own target permits.
func (p *Provider) transport(at endpoint) *http.Transport {
	g := guard{private: at.private, plain: at.url.Scheme == "http"}
	dialer := &net.Dialer{Control: g.control, Resolver: p.c.Resolver}
	return &http.Transport{
		Proxy:                  nil, // a proxy would dial in our place, unchecked
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: p.c.RootCAs, MinVersion: tls.VersionTLS12},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
	}
}
