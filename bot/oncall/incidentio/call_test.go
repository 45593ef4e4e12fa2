package incidentio_test

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

	"countersign/bot/oncall/incidentio"
	"countersign/bot/oncall/oncalltest"
)

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNewRefuses(t *testing.T) {
	good := incidentio.Config{Token: token, Client: &http.Client{}, Now: time.Now}
	if _, err := incidentio.New(good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*incidentio.Config)
		want   string
	}{
		{"no client", func(c *incidentio.Config) { c.Client = nil }, "no HTTP client"},
		{"no clock", func(c *incidentio.Config) { c.Now = nil }, "no clock"},
		{"no key", func(c *incidentio.Config) { c.Token = "" }, "the API key is empty"},
		{"a key with its line's end", func(c *incidentio.Config) { c.Token = token + "\n" }, "the API key"},
		{"plain http", func(c *incidentio.Config) { c.BaseURL = "http://api.incident.io" }, "want https://"},
		{"plain http to what looks like loopback", func(c *incidentio.Config) { c.BaseURL = "http://localhost.example.com" }, "want https://"},
		{"no host", func(c *incidentio.Config) { c.BaseURL = "https:///x" }, "want https://"},
		{"with a user", func(c *incidentio.Config) { c.BaseURL = "https://a:b@api.incident.io" }, "want https://"},
		{"another mode", func(c *incidentio.Config) { c.Mode = "tutorial" }, `mode "tutorial"`},
		{"another visibility", func(c *incidentio.Config) { c.Visibility = "secret" }, `visibility "secret"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := good
			c.change(&bad)
			_, err := incidentio.New(bad)
			wantError(t, err, c.want)
		})
	}
	for _, url := range []string{"https://api.incident.io/", "http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"} {
		ok := good
		ok.BaseURL = url
		if _, err := incidentio.New(ok); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestTheKeyIsNotPrinted, however a client is printed.
func TestTheKeyIsNotPrinted(t *testing.T) {
	c := client(t, nil, time.Now)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, c) + fmt.Sprintf(format, *c); strings.Contains(s, token) {
			t.Errorf("%s prints %s", format, s)
		}
	}
	_, err := at(t, time.Now(), 401, `{"errors":[{"message":"bad key `+token+`\n\u0007!"}]}`).Duties(t.Context(), watch)
	wantError(t, err, "incident.io: GET /v2/schedules: answered 401 Unauthorized: bad key (secret) !")
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		roles []string
		want  string
	}{
		{[]string{"viewer", "escalation_creator", "incident_creator"}, ""},
		{[]string{"schedules_reader", "escalation_creator", "incident_creator"}, ""},
		{[]string{"escalation_creator", "incident_creator"}, "lacks roles: schedules_reader"},
		{[]string{"viewer"}, "lacks roles: escalation_creator, incident_creator"},
		{[]string{"viewer", "escalation_creator"}, "lacks roles: incident_creator"},
		{[]string{}, "lacks roles: schedules_reader, escalation_creator, incident_creator"},
	} {
		in(t, func(i *oncalltest.IncidentIOConfig) { i.Roles = c.roles }, func(t *testing.T, w world) {
			err := w.Check(t.Context())
			if c.want != "" {
				wantError(t, err, c.want)
			} else if err != nil {
				t.Errorf("%v: %v", c.roles, err)
			}
		})
	}
	if err := at(t, ago(0), 200, read(t, "identity.json")).Check(t.Context()); err != nil {
		t.Error(err)
	}
	for _, body := range []string{"", "null", "{}", `{"identity":null}`, `{"identity":{}}`, `{"identity":{"roles":"viewer"}}`, `{"identity":{"team_roles":["viewer"]}}`} {
		if err := at(t, ago(0), 200, body).Check(t.Context()); err == nil {
			t.Errorf("%s: no error", body)
		}
	}
}

// operations are everything that a client does, each with the request that fails.
var operations = []struct {
	on string
	do func(context.Context, world) error
}{
	{"GET /v2/schedules", func(ctx context.Context, w world) error {
		got, err := w.Duties(ctx, watch)
		if err != nil && got != nil {
			return fmt.Errorf("both %v and %v", got, err)
		}
		return err
	}},
	{"GET /v1/identity", func(ctx context.Context, w world) error { return w.Check(ctx) }},
	{"GET /v2/schedules", func(ctx context.Context, w world) error { _, _, err := w.Page(ctx, page()); return err }},
	{"POST /v2/escalations", func(ctx context.Context, w world) error { _, _, err := w.Page(ctx, page()); return err }},
	{"POST /v2/incidents", func(ctx context.Context, w world) error {
		p := page()
		p.Schedules = nil
		_, _, err := w.Page(ctx, p)
		return err
	}},
}

func TestEveryOperationFailsVisibly(t *testing.T) {
	for _, op := range operations {
		for _, c := range []struct {
			name  string
			fault oncalltest.Fault
			want  string
		}{
			{"401", oncalltest.Fault{Status: 401, Body: `{"type":"authentication_error","status":401,"errors":[{"code":"unauthorized","message":"No"}]}`}, "401 Unauthorized: No"},
			{"403", oncalltest.Fault{Status: 403}, "403 Forbidden"},
			{"404", oncalltest.Fault{Status: 404}, "404 Not Found"},
			{"422", oncalltest.Fault{Status: 422, Body: `{"errors":[{"message":"A severity is required","source":{"field":"severity_id"}}]}`}, "422 Unprocessable Entity: A severity is required (severity_id)"},
			{"500", oncalltest.HTML(""), "500 Internal Server Error"},
			{"204", oncalltest.Fault{Status: 204}, "204 No Content"},
			{"302", oncalltest.Fault{Status: 302, Header: map[string]string{"Location": "https://evil.example.com/"}}, "302 Found"},
			{"cut before", oncalltest.CutBefore(""), "unexpected EOF"},
			{"cut after", oncalltest.CutAfter(""), "unexpected EOF"},
			{"slow", oncalltest.Fault{Delay: time.Hour}, "deadline exceeded"},
			{"odd", oncalltest.Says("", "{}"), "the answer has no"},
			{"limited for long", oncalltest.TooMany("", "3600"), "429 Too Many Requests: Too many requests. We recommend exponential backoff.: the rate limit lasts longer"},
		} {
			t.Run(op.on+" "+c.name, func(t *testing.T) {
				in(t, nil, func(t *testing.T, w world) {
					c.fault.On = op.on
					w.inc.Fail(c.fault)
					wantError(t, op.do(t.Context(), w), c.want)
					if err := op.do(t.Context(), w); err != nil {
						t.Errorf("afterwards: %v", err)
					}
					if n := len(w.inc.Escalations()) + len(w.inc.Incidents()); n > 1 {
						t.Errorf("paged %d times", n)
					}
				})
			})
		}
	}
}

// TestWrongKey: incident.io itself refuses it, and one without the role.
func TestWrongKey(t *testing.T) {
	for want, change := range map[string]func(*oncalltest.IncidentIOConfig){
		"401 Unauthorized: That API key is invalid": func(c *oncalltest.IncidentIOConfig) { c.Token = "another" },
		"403 Forbidden": func(c *oncalltest.IncidentIOConfig) { c.Roles = []string{} },
	} {
		in(t, change, func(t *testing.T, w world) {
			for _, op := range operations {
				if op.on != "GET /v1/identity" {
					wantError(t, op.do(t.Context(), w), want)
				}
			}
		})
	}
}

func TestRateLimit(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults []oncalltest.Fault
		want   time.Duration // waited
		err    string
	}{
		{"seconds", []oncalltest.Fault{oncalltest.TooMany("", "7")}, 7 * time.Second, ""},
		{"a date as incident.io writes it", []oncalltest.Fault{oncalltest.TooMany("", "Sat, 01 Jan 2000 00:00:05 UTC")}, 5 * time.Second, ""},
		{"a date as HTTP writes it", []oncalltest.Fault{oncalltest.TooMany("", "Sat, 01 Jan 2000 00:00:05 GMT")}, 5 * time.Second, ""},
		{"a date in another zone", []oncalltest.Fault{oncalltest.TooMany("", "Sat, 01 Jan 2000 00:00:05 CET")}, time.Second, ""},
		{"a date that is over", []oncalltest.Fault{oncalltest.TooMany("", "Fri, 31 Dec 1999 00:00:05 UTC")}, time.Second, ""},
		{"twice", []oncalltest.Fault{oncalltest.TooMany("", "7"), oncalltest.TooMany("", "2")}, 9 * time.Second, ""},
		{"three times", []oncalltest.Fault{oncalltest.TooMany("", "1"), oncalltest.TooMany("", "1"), oncalltest.TooMany("", "1")}, 2 * time.Second, "429"},
		{"at once", []oncalltest.Fault{oncalltest.TooMany("", "0")}, time.Second, ""},
		{"nothing said", []oncalltest.Fault{{Status: 429}}, time.Second, ""},
		{"nonsense", []oncalltest.Fault{oncalltest.TooMany("", "-3 weeks")}, time.Second, ""},
		{"longer than there is time", []oncalltest.Fault{oncalltest.TooMany("", "20")}, 0, "lasts longer"},
		{"a date that is too far", []oncalltest.Fault{oncalltest.TooMany("", "Sat, 01 Jan 2000 00:00:20 UTC")}, 0, "lasts longer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, nil, func(t *testing.T, w world) {
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				w.inc.Fail(c.faults...)
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
	for name, f := range map[string]oncalltest.Fault{"request": {Delay: time.Hour}, "pause": oncalltest.TooMany("", "20")} {
		t.Run(name, func(t *testing.T) {
			in(t, nil, func(t *testing.T, w world) {
				w.inc.Fail(f)
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
		w.inc.Fail(oncalltest.Fault{Delay: time.Hour})
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
		c, err := incidentio.New(incidentio.Config{Token: token, BaseURL: honest.URL, Client: honest.Client(), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Duties(t.Context(), watch)
		wantError(t, err, fmt.Sprint("answered ", status))
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
	c, err := incidentio.New(incidentio.Config{Token: token, BaseURL: srv.URL, Client: &http.Client{Jar: jar}, Now: time.Now})
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
	inc := oncalltest.NewIncidentIO(oncalltest.IncidentIOConfig{Token: token, Complain: t.Errorf})
	inc.SetSchedules(oncalltest.Schedule{ID: "01A", Shifts: []oncalltest.Shift{{User: alice, Start: time.Now().Add(-time.Hour), End: time.Now().Add(time.Hour)}}})
	srv := httptest.NewServer(inc)
	defer srv.Close()
	c, err := incidentio.New(incidentio.Config{Token: token, BaseURL: srv.URL + "/", Client: srv.Client(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if got, err := c.Duties(t.Context(), watch); err != nil || len(got) != 1 {
		t.Errorf("on call: %v, %v", got, err)
	}
	inc.Fail(oncalltest.CutAfter("POST /v2/escalations"))
	if _, _, err := c.Page(t.Context(), page()); err == nil {
		t.Error("no error after the connection was cut")
	}
	if ref, _, err := c.Page(t.Context(), page()); err != nil || ref != "01ESC001" || len(inc.Escalations()) != 1 {
		t.Errorf("%s, %v, escalations %v", ref, err, inc.Escalations())
	}
}
