package pagerduty_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot/access"
	"countersign/bot/oncall/oncalltest"
	"countersign/bot/oncall/pagerduty"
)

const (
	token   = "u+SeCrEtToKeN"
	routing = "r0ut1ngk3yr0ut1ngk3yr0ut1ngk3y00"
)

var watch = access.Watch{Integration: "pagerduty", EscalationPolicies: []string{"PABC123"}}

// A world is a client and the PagerDuty that it talks to, in simulated time.
type world struct {
	*pagerduty.Client
	pd *oncalltest.PagerDuty
}

// in runs a test in a world of its own. Every complaint fails it.
func in(t *testing.T, change func(*oncalltest.PagerDutyConfig), test func(*testing.T, world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := oncalltest.PagerDutyConfig{Token: token, RoutingKey: routing, Complain: t.Errorf}
		if change != nil {
			change(&c)
		}
		pd := oncalltest.NewPagerDuty(c)
		pd.AddUser("ops@example.com")
		pd.AddService("PSVC123", "PDEFAULT")
		pd.AddService("PSVC456", "PDEFAULT")
		test(t, world{client(t, oncalltest.Transport(pd)), pd})
	})
}

// client talks over a transport.
func client(t *testing.T, over http.RoundTripper) *pagerduty.Client {
	t.Helper()
	c, err := pagerduty.New(pagerduty.Config{
		Token: token, RoutingKey: routing, Client: &http.Client{Transport: over}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// says answers everything with one body.
type says struct {
	status int
	body   string
}

func (s says) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: s.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(s.body)), Request: r}, nil
}

// at is a client of which it is this time, and which hears only this.
func at(t testing.TB, now time.Time, status int, body string) *pagerduty.Client {
	t.Helper()
	c, err := pagerduty.New(pagerduty.Config{
		Token: token, RoutingKey: routing, Client: &http.Client{Transport: says{status, body}}, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func moment(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// wantError checks an error's words, and that it tells no secret.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", want)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("error %q, want one with %q", err, want)
	}
	if strings.Contains(err.Error(), token) || strings.Contains(err.Error(), routing) {
		t.Errorf("error %q tells a secret", err)
	}
}

// background is where nobody waits.
func background() context.Context { return context.Background() }
