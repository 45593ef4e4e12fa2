package pagerduty_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/oncall/oncalltest"
	"countersign/bot/oncall/pagerduty"

	"github.com/google/go-cmp/cmp"
)

func TestNewRefuses(t *testing.T) {
	good := pagerduty.Config{Token: token, Client: &http.Client{}, Now: time.Now}
	if _, err := pagerduty.New(good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*pagerduty.Config)
		want   string
	}{
		{"no client", func(c *pagerduty.Config) { c.Client = nil }, "no HTTP client"},
		{"no clock", func(c *pagerduty.Config) { c.Now = nil }, "no clock"},
		{"no token", func(c *pagerduty.Config) { c.Token = "" }, "the token is empty"},
		{"a token with its line's end", func(c *pagerduty.Config) { c.Token = token + "\n" }, "the token"},
		{"a routing key with a space", func(c *pagerduty.Config) { c.RoutingKey = routing + " " }, "the routing key"},
		{"plain http", func(c *pagerduty.Config) { c.BaseURL = "http://api.pagerduty.com" }, "want https://"},
		{"plain http to what looks like loopback", func(c *pagerduty.Config) { c.BaseURL = "http://127.0.0.1.example.com" }, "want https://"},
		{"another scheme", func(c *pagerduty.Config) { c.BaseURL = "ftp://127.0.0.1" }, "want https://"},
		{"no host", func(c *pagerduty.Config) { c.BaseURL = "https:///x" }, "want https://"},
		{"with a user", func(c *pagerduty.Config) { c.BaseURL = "https://a:b@api.pagerduty.com" }, "want https://"},
		{"with a query", func(c *pagerduty.Config) { c.BaseURL = "https://api.pagerduty.com/?a=b" }, "want https://"},
		{"plain http for alerts", func(c *pagerduty.Config) { c.EventsURL = "http://events.pagerduty.com" }, "want https://"},
		{"a routing key for an unknown region", func(c *pagerduty.Config) { c.BaseURL, c.RoutingKey = "https://proxy.example.com", routing }, "needs EventsURL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := good
			c.change(&bad)
			_, err := pagerduty.New(bad)
			wantError(t, err, c.want)
		})
	}
	alone := pagerduty.Config{RoutingKey: routing, Client: &http.Client{}, Now: time.Now}
	if c, err := pagerduty.New(alone); err != nil {
		t.Errorf("a routing key alone: %v", err)
	} else {
		wantError(t, c.Check(t.Context()), "there is no token")
	}
	for _, url := range []string{pagerduty.EU, "https://api.pagerduty.com/", "http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"} {
		ok := good
		ok.BaseURL = url
		if _, err := pagerduty.New(ok); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestRegions: each region has its host for the API, and its host for alerts.
func TestRegions(t *testing.T) {
	for base, want := range map[string][]string{
		"":           {"https://api.pagerduty.com", "https://events.pagerduty.com"},
		pagerduty.US: {"https://api.pagerduty.com", "https://events.pagerduty.com"},
		pagerduty.EU: {"https://api.eu.pagerduty.com", "https://events.eu.pagerduty.com"},
	} {
		pd := oncalltest.NewPagerDuty(oncalltest.PagerDutyConfig{Token: token, RoutingKey: routing, Complain: t.Errorf})
		n := &noted{over: oncalltest.Transport(pd)}
		c, err := pagerduty.New(pagerduty.Config{Token: token, RoutingKey: routing, BaseURL: base, Client: &http.Client{Transport: n}, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Duties(t.Context(), watch); err != nil {
			t.Fatal(err)
		}
		if err := c.Alert(t.Context(), "k", "s", "error"); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, n.hosts); d != "" {
			t.Errorf("%s (-want +got):\n%s", base, d)
		}
	}
}

// noted remembers where requests go.
type noted struct {
	over  http.RoundTripper
	hosts []string
}

func (n *noted) RoundTrip(r *http.Request) (*http.Response, error) {
	n.hosts = append(n.hosts, r.URL.Scheme+"://"+r.URL.Host)
	return n.over.RoundTrip(r)
}

// TestSecretsAreNotPrinted, however a client is printed.
func TestSecretsAreNotPrinted(t *testing.T) {
	c := client(t, nil)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, c) + fmt.Sprintf(format, *c); strings.Contains(s, token) || strings.Contains(s, routing) {
			t.Errorf("%s prints %s", format, s)
		}
	}
}

// TestSecretsInAnswers: not even an answer that has them brings them into a log.
func TestSecretsInAnswers(t *testing.T) {
	body := `{"error":{"message":"bad key ` + token + ` \u0007\n` + routing + `","code":2006,"errors":["` + strings.Repeat("x", 1000) + `"]}}`
	_, err := at(t, time.Now(), 401, body).Duties(t.Context(), watch)
	wantError(t, err, "answered 401 Unauthorized: bad key (secret)  (secret)")
	if len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\n\a") {
		t.Errorf("error %q", err)
	}
}

// operations are everything that a client does, each with the request that fails.
var operations = []struct {
	on string
	do func(context.Context, world) error
}{
	{"GET /oncalls", func(ctx context.Context, w world) error {
		got, err := w.Duties(ctx, watch)
		if err != nil && got != nil {
			return fmt.Errorf("both %v and %v", got, err)
		}
		return err
	}},
	{"GET /oncalls", func(ctx context.Context, w world) error { return w.Check(ctx) }},
	{"GET /incidents", func(ctx context.Context, w world) error { return w.Check(ctx) }},
	{"GET /incidents", func(ctx context.Context, w world) error { _, _, err := w.Page(ctx, page()); return err }},
	{"POST /incidents", func(ctx context.Context, w world) error { _, _, err := w.Page(ctx, page()); return err }},
	{"POST /v2/enqueue", func(ctx context.Context, w world) error { return w.Alert(ctx, "k", "revoking fails", "error") }},
	{"POST /v2/enqueue", func(ctx context.Context, w world) error { return w.Client.Resolve(ctx, "k") }},
}

func page() access.Page {
	return access.Page{Integration: "pagerduty", Request: "01JREQUEST", Title: "Access waits for approval", Link: "https://acme.slack.com/archives/C1/p1",
		From: "ops@example.com", Services: []string{"PSVC123"}}
}

func TestEveryOperationFailsVisibly(t *testing.T) {
	for _, op := range operations {
		for _, c := range []struct {
			name  string
			fault oncalltest.Fault
			want  string
		}{
			{"401", oncalltest.Fault{Status: 401, Body: `{"error":{"message":"Invalid Credentials","code":2006}}`}, "401 Unauthorized: Invalid Credentials"},
			{"403", oncalltest.Fault{Status: 403, Body: `{"error":{"message":"Access Denied","code":2010}}`}, "403 Forbidden: Access Denied"},
			{"404", oncalltest.Fault{Status: 404, Body: `{"error":{"message":"Not Found","code":2100}}`}, "404 Not Found: Not Found"},
			{"400 of an event", oncalltest.Fault{Status: 400, Body: `{"status":"invalid event","message":"Event object is invalid","errors":["bad key"]}`}, "400 Bad Request: Event object is invalid; bad key"},
			{"500", oncalltest.HTML(""), "500 Internal Server Error"},
			{"503 without a body", oncalltest.Fault{Status: 503}, "503 Service Unavailable"},
			{"204", oncalltest.Fault{Status: 204}, "204 No Content"},
			{"302", oncalltest.Fault{Status: 302, Header: map[string]string{"Location": "https://evil.example.com/"}}, "302 Found"},
			{"cut before", oncalltest.CutBefore(""), "unexpected EOF"},
			{"cut after", oncalltest.CutAfter(""), "unexpected EOF"},
			{"slow", oncalltest.Fault{Delay: time.Hour}, "deadline exceeded"},
			{"limited for long", oncalltest.RateLimited("", 3600), "429 Too Many Requests: Rate Limit Exceeded: the rate limit lasts longer than there is time"},
		} {
			t.Run(op.on+" "+c.name, func(t *testing.T) {
				in(t, nil, func(t *testing.T, w world) {
					c.fault.On = op.on
					w.pd.Fail(c.fault)
					wantError(t, op.do(t.Context(), w), c.want)
					if err := op.do(t.Context(), w); err != nil {
						t.Errorf("afterwards: %v", err)
					}
				})
			})
		}
	}
}

// TestWrongToken: PagerDuty itself refuses it.
func TestWrongToken(t *testing.T) {
	in(t, func(c *oncalltest.PagerDutyConfig) { c.Token, c.RoutingKey = "another", "another" }, func(t *testing.T, w world) {
		for _, op := range operations {
			want := "401 Unauthorized"
			if op.on == "POST /v2/enqueue" {
				want = "Invalid routing key"
			}
			wantError(t, op.do(t.Context(), w), want)
		}
	})
}

func TestRateLimit(t *testing.T) {
	limited := func(header, value string) oncalltest.Fault {
		return oncalltest.Fault{Status: 429, Header: map[string]string{header: value}}
	}
	for _, c := range []struct {
		name   string
		faults []oncalltest.Fault
		want   time.Duration // waited
		err    string
	}{
		{"seconds", []oncalltest.Fault{oncalltest.RateLimited("", 7)}, 7 * time.Second, ""},
		{"twice", []oncalltest.Fault{oncalltest.RateLimited("", 7), oncalltest.RateLimited("", 2)}, 9 * time.Second, ""},
		{"three times", []oncalltest.Fault{oncalltest.RateLimited("", 1), oncalltest.RateLimited("", 1), oncalltest.RateLimited("", 1)}, 2 * time.Second, "429"},
		{"Retry-After in seconds", []oncalltest.Fault{limited("Retry-After", "4")}, 4 * time.Second, ""},
		{"Retry-After as a date", []oncalltest.Fault{limited("Retry-After", "Sat, 01 Jan 2000 00:00:05 GMT")}, 5 * time.Second, ""},
		{"a date that is over", []oncalltest.Fault{limited("Retry-After", "Fri, 31 Dec 1999 00:00:05 GMT")}, time.Second, ""},
		{"at once", []oncalltest.Fault{oncalltest.RateLimited("", 0)}, time.Second, ""},
		{"nothing said", []oncalltest.Fault{{Status: 429}}, time.Second, ""},
		{"nonsense", []oncalltest.Fault{limited("ratelimit-reset", "-3 weeks")}, time.Second, ""},
		{"longer than there is time", []oncalltest.Fault{oncalltest.RateLimited("", 20)}, 0, "lasts longer"},
		{"as long as there is time", []oncalltest.Fault{oncalltest.RateLimited("", 15)}, 0, "lasts longer"},
		{"for ever", []oncalltest.Fault{limited("ratelimit-reset", "99999999999999999999")}, time.Second, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, nil, func(t *testing.T, w world) {
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				w.pd.Fail(c.faults...)
				start := time.Now()
				_, err := w.Duties(ctx, watch)
				if c.err == "" && err != nil {
					t.Fatal(err)
				} else if c.err != "" {
					wantError(t, err, c.err)
				}
				if got := time.Since(start); got != c.want {
					t.Errorf("waited %v, want %v", got, c.want)
				}
			})
		})
	}
}

// TestCancel: who is cancelled returns at once, in a request and in a pause.
func TestCancel(t *testing.T) {
	for name, f := range map[string]oncalltest.Fault{"request": {Delay: time.Hour}, "pause": oncalltest.RateLimited("", 20)} {
		t.Run(name, func(t *testing.T) {
			in(t, nil, func(t *testing.T, w world) {
				w.pd.Fail(f)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(3*time.Second, cancel)
				start := time.Now()
				_, err := w.Duties(ctx, watch)
				if !errors.Is(err, context.Canceled) {
					t.Errorf("error %v", err)
				}
				if got := time.Since(start); got != 3*time.Second {
					t.Errorf("returned after %v", got)
				}
			})
		})
	}
}

// TestOneSlowRequest: a request has a deadline of its own.
func TestOneSlowRequest(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		w.pd.Fail(oncalltest.Fault{Delay: time.Hour})
		start := time.Now()
		_, err := w.Duties(t.Context(), watch)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestRedirectsAreNotFollowed: over real connections nothing arrives at the
// host that a redirect names.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var heard []string
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { heard = append(heard, r.URL.Path) }))
	defer thief.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		honest := httptest.NewServer(http.RedirectHandler(thief.URL+"/stolen", status))
		c, err := pagerduty.New(pagerduty.Config{Token: token, RoutingKey: routing, BaseURL: honest.URL, EventsURL: honest.URL, Client: honest.Client(), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Duties(t.Context(), watch)
		wantError(t, err, fmt.Sprint("answered ", status))
		wantError(t, c.Alert(t.Context(), "k", "s", "error"), fmt.Sprint("answered ", status))
		honest.Close()
	}
	if len(heard) > 0 {
		t.Errorf("followed to %q", heard)
	}
}

// TestCookiesAreNotKept: the caller's HTTP client may keep some.
func TestCookiesAreNotKept(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Cookies()) > 0 {
			t.Errorf("cookies %v", r.Cookies())
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
	}))
	defer srv.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pagerduty.New(pagerduty.Config{Token: token, BaseURL: srv.URL, Client: &http.Client{Jar: jar}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err = c.Duties(t.Context(), watch)
		wantError(t, err, "cannot be read")
	}
}

// TestOverTheNet: the same over a real connection.
func TestOverTheNet(t *testing.T) {
	pd := oncalltest.NewPagerDuty(oncalltest.PagerDutyConfig{Token: token, RoutingKey: routing, Complain: t.Errorf})
	pd.SetOnCalls(oncalltest.OnCall{User: "PU1", Email: "alice@example.com", Policy: "PABC123", Level: 1, Schedule: "S1", Start: time.Now().Add(-time.Hour), End: time.Now().Add(time.Hour)})
	pd.AddService("PSVC123", "PABC123")
	srv := httptest.NewServer(pd)
	defer srv.Close()
	c, err := pagerduty.New(pagerduty.Config{Token: token, BaseURL: srv.URL, Client: srv.Client(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if got, err := c.Duties(t.Context(), watch); err != nil || len(got) != 1 {
		t.Errorf("on call: %v, %v", got, err)
	}
	pd.Fail(oncalltest.CutAfter("POST /incidents"))
	p := page()
	p.From = "alice@example.com"
	if _, _, err := c.Page(t.Context(), p); err == nil {
		t.Error("no error after the connection was cut")
	}
	if ref, _, err := c.Page(t.Context(), p); err != nil || ref != "PINC001" || len(pd.Incidents()) != 1 {
		t.Errorf("%s, %v, incidents %v", ref, err, pd.Incidents())
	}
}
