package pagerduty_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/oncall/oncalltest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// opened are the incidents as service/policy/key.
func opened(w world) []string {
	var out []string
	for _, in := range w.pd.Incidents() {
		out = append(out, in.Service+"/"+in.Policy+"/"+in.Key)
	}
	return out
}

func TestPage(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		p := page()
		p.Title, p.Details = "Access\nwaits", "alice wants db/prod"
		ref, url, err := w.Page(t.Context(), p)
		if err != nil || ref != "PINC001" || url != "https://acme.pagerduty.com/incidents/PINC001" {
			t.Errorf("got %q, %q, %v", ref, url, err)
		}
		want := []oncalltest.Incident{{ID: "PINC001", Key: "01JREQUEST", Service: "PSVC123", Policy: "PDEFAULT", Title: "Access waits",
			Details: "alice wants db/prod\n\nhttps://acme.slack.com/archives/C1/p1", From: "ops@example.com", URL: "https://acme.pagerduty.com/incidents/PINC001"}}
		if d := cmp.Diff(want, w.pd.Incidents(), cmpopts.IgnoreFields(oncalltest.Incident{}, "Created")); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

// TestPageOnce: however often it is called, and whatever happens in between.
func TestPageOnce(t *testing.T) {
	for _, c := range []struct {
		name    string
		between func(world)
	}{
		{"again", func(world) {}},
		{"after it was resolved", func(w world) { w.pd.Resolve("PINC001") }},
		{"weeks after it was resolved", func(w world) { w.pd.Resolve("PINC001"); time.Sleep(40 * 24 * time.Hour) }},
		{"after the answer was lost", func(w world) { w.pd.Fail(oncalltest.CutBefore("GET /incidents")) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, nil, func(t *testing.T, w world) {
				first, url, err := w.Page(t.Context(), page())
				if err != nil {
					t.Fatal(err)
				}
				c.between(w)
				_, _, _ = w.Page(t.Context(), page())
				again, url2, err := w.Page(t.Context(), page())
				if err != nil || again != first || url2 != url {
					t.Errorf("got %q, %q, %v; want %q, %q", again, url2, err, first, url)
				}
				if got := opened(w); len(got) != 1 {
					t.Errorf("opened %q", got)
				}
			})
		})
	}
}

func TestPageAfterALostAnswer(t *testing.T) {
	for name, f := range map[string]oncalltest.Fault{
		"cut":       oncalltest.CutAfter("POST /incidents"),
		"500":       {On: "POST /incidents", Act: true, Status: 500},
		"odd":       {On: "POST /incidents", Act: true, Status: 201, Body: `{"incident":{}}`},
		"no effect": oncalltest.CutBefore("POST /incidents"),
	} {
		t.Run(name, func(t *testing.T) {
			in(t, nil, func(t *testing.T, w world) {
				w.pd.Fail(f)
				if ref, _, err := w.Page(t.Context(), page()); err == nil || ref != "" {
					t.Fatalf("got %q, %v", ref, err)
				}
				if ref, _, err := w.Page(t.Context(), page()); err != nil || ref != "PINC001" {
					t.Errorf("got %q, %v", ref, err)
				}
				if got := opened(w); len(got) != 1 {
					t.Errorf("opened %q", got)
				}
			})
		})
	}
}

// TestPageRace: another one opens it between our question and our opening.
func TestPageRace(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		if _, _, err := w.Page(t.Context(), page()); err != nil {
			t.Fatal(err)
		}
		none := oncalltest.Says("GET /incidents", `{"incidents":[],"limit":100,"offset":0,"more":false}`)
		w.pd.Fail(none)
		if ref, url, err := w.Page(t.Context(), page()); err != nil || ref != "PINC001" || url == "" {
			t.Errorf("looked up after the refusal: %q, %q, %v", ref, url, err)
		}
		none.Times = 2
		w.pd.Fail(none)
		if ref, _, err := w.Page(t.Context(), page()); err != nil || ref != "01JREQUEST" {
			t.Errorf("not found after the refusal: %q, %v", ref, err)
		}
		w.pd.Fail(oncalltest.Says("GET /incidents", `{"incidents":[]}`), oncalltest.HTML("GET /incidents"))
		if ref, _, err := w.Page(t.Context(), page()); err != nil || ref != "01JREQUEST" {
			t.Errorf("not to be asked after the refusal: %q, %v", ref, err)
		}
		if got := opened(w); len(got) != 1 {
			t.Errorf("opened %q", got)
		}
	})
}

// TestOtherRefusalsAreNotDone: the code of a duplicate is that of any wrong argument.
func TestOtherRefusalsAreNotDone(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		w.pd.Fail(oncalltest.Fault{On: "POST /incidents", Status: 400, Body: `{"error":{"message":"Arguments Caused Error","code":2002,"errors":["Incident key is too long"]}}`})
		_, _, err := w.Page(t.Context(), page())
		wantError(t, err, "Incident key is too long")
		w.pd.Fail(oncalltest.Fault{On: "POST /incidents", Status: 500, Body: read(t, "duplicate.json")})
		_, _, err = w.Page(t.Context(), page())
		wantError(t, err, "500")
	})
}

// TestFoundMustBeOurs: a filter that PagerDuty did not take finds incidents of others.
func TestFoundMustBeOurs(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		w.pd.Fail(oncalltest.Says("GET /incidents", `{"incidents":[{"id":"PX","incident_key":"other","service":{"id":"PSVC123"}},{"id":"PY","incident_key":"01JREQUEST","service":{"id":"PSVC456"}}]}`))
		if ref, _, err := w.Page(t.Context(), page()); err != nil || ref != "PINC001" {
			t.Errorf("got %q, %v", ref, err)
		}
	})
}

func TestPageServicesAndPolicies(t *testing.T) {
	for _, c := range []struct {
		name               string
		services, policies []string
		want               []string
	}{
		{"the service's own policy", []string{"PSVC123"}, nil, []string{"PSVC123/PDEFAULT/01JREQUEST"}},
		{"a policy", []string{"PSVC123"}, []string{"PABC123"}, []string{"PSVC123/PABC123/01JREQUEST"}},
		{"two services", []string{"PSVC123", "PSVC456"}, []string{"PABC123"}, []string{"PSVC123/PABC123/01JREQUEST", "PSVC456/PABC123/01JREQUEST"}},
		{"two policies", []string{"PSVC123"}, []string{"PABC123", "PDEF456"}, []string{"PSVC123/PABC123/01JREQUEST", "PSVC123/PDEF456/01JREQUEST/PDEF456"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, nil, func(t *testing.T, w world) {
				p := page()
				p.Services, p.EscalationPolicies = c.services, c.policies
				for range 2 {
					ref, _, err := w.Page(t.Context(), p)
					if err != nil || len(strings.Fields(ref)) != len(c.want) {
						t.Errorf("got %q, %v", ref, err)
					}
				}
				if d := cmp.Diff(c.want, opened(w)); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			})
		})
	}
}

// TestPageInPart: one service that fails does not keep the others from being
// paged, and none is paged twice.
func TestPageInPart(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		p := page()
		p.Services = []string{"PSVC123", "PGONE", "PSVC456"}
		for range 2 {
			ref, url, err := w.Page(t.Context(), p)
			wantError(t, err, "page service PGONE: pagerduty: POST /incidents: answered 400 Bad Request: Invalid Input Provided; Service Not Found")
			if ref != "PINC001 PINC002" || url != "https://acme.pagerduty.com/incidents/PINC001" {
				t.Errorf("got %q, %q", ref, url)
			}
		}
		if want := []string{"PSVC123/PDEFAULT/01JREQUEST", "PSVC456/PDEFAULT/01JREQUEST"}; !cmp.Equal(want, opened(w)) {
			t.Errorf("opened %q", opened(w))
		}
	})
}

func TestPageRefuses(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		for _, c := range []struct {
			name   string
			change func(*access.Page)
			want   string
		}{
			{"another integration", func(p *access.Page) { p.Integration = "incidentio" }, `by "incidentio"`},
			{"no request", func(p *access.Page) { p.Request = "" }, "without a request"},
			{"no title", func(p *access.Page) { p.Title = "" }, "without a title"},
			{"no From", func(p *access.Page) { p.From = "" }, "as From"},
			{"a header in From", func(p *access.Page) { p.From = "a@b.example\r\nX: y" }, "as From"},
			{"no service", func(p *access.Page) { p.Services = nil }, "needs a service"},
			{"From is nobody there", func(p *access.Page) { p.From = "nobody@example.com" }, "Requester User Not Found"},
		} {
			p := page()
			c.change(&p)
			ref, _, err := w.Page(t.Context(), p)
			wantError(t, err, c.want)
			if ref != "" {
				t.Errorf("%s: ref %q", c.name, ref)
			}
		}
		if got := opened(w); len(got) > 0 {
			t.Errorf("opened %q", got)
		}
	})
}

func TestLongTitles(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		p := page()
		p.Title = strings.Repeat("ä", 2000)
		if _, _, err := w.Page(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if got := w.pd.Incidents()[0].Title; len(got) > 1024 || len(got) < 1020 || !strings.HasSuffix(got, "ä…") {
			t.Errorf("title of %d bytes: …%s", len(got), got[len(got)-10:])
		}
	})
}

// answers plays a list of bodies, one a request.
type answers []says

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	s := (*a)[0]
	*a = (*a)[1:]
	return s.RoundTrip(r)
}

// TestPageAsDocumented: the answers in the form that the published description has.
func TestPageAsDocumented(t *testing.T) {
	none := says{200, `{"incidents":[],"limit":100,"offset":0,"more":false,"total":null}`}
	listed := says{200, `{"incidents":[` + strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(read(t, "incident.json")), `{
  "incident": `), "}") + `],"limit":1,"offset":0,"more":true}`}
	for name, a := range map[string]answers{
		"created":   {none, {201, read(t, "incident.json")}},
		"found":     {listed},
		"duplicate": {none, {400, read(t, "duplicate.json")}, listed},
	} {
		ref, url, err := client(t, &a).Page(t.Context(), page())
		if err != nil || ref != "PINC001" || url != "https://acme.pagerduty.com/incidents/PINC001" {
			t.Errorf("%s: %q, %q, %v", name, ref, url, err)
		}
	}
}

// TestOddIncidents: an answer without an incident is no page, and only what may
// be a link is one.
func TestOddIncidents(t *testing.T) {
	for _, body := range []string{"", "null", "[]", `{"incidents":null}`, `{"incidents":[{}]}`, `{"incidents":[null]}`, `{"incidents":[{"id":7}]}`, "\xff"} {
		if ref, _, err := at(t, ago(0), 200, body).Page(t.Context(), page()); err == nil {
			t.Errorf("%q: %q", body, ref)
		}
	}
	for url, want := range map[string]string{"javascript:alert(1)": "", "http://example.com/1": "", "//x": "", "%": "", "https://x.pagerduty.com/1": "https://x.pagerduty.com/1"} {
		body := `{"incidents":[{"id":"P1","incident_key":"01JREQUEST","service":{"id":"PSVC123"},"html_url":"` + url + `"}]}`
		if ref, got, err := at(t, ago(0), 200, body).Page(t.Context(), page()); err != nil || ref != "P1" || got != want {
			t.Errorf("%q: %q, %q, %v", url, ref, got, err)
		}
	}
}

func TestAlert(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		for _, summary := range []string{"revoking\nfails", "still"} {
			if err := w.Alert(t.Context(), "01JREQUEST", summary, "error"); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Alert(t.Context(), "another", strings.Repeat("x", 3000), "critical"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := w.Client.Resolve(t.Context(), "01JREQUEST"); err != nil {
				t.Fatal(err)
			}
		}
		want := []oncalltest.Alert{
			{Key: "01JREQUEST", Summary: "revoking fails", Severity: "error", Source: "countersign", Triggers: 2},
			{Key: "another", Summary: strings.Repeat("x", 1021) + "…", Severity: "critical", Source: "countersign", Triggers: 1, Open: true},
		}
		if d := cmp.Diff(want, w.pd.Alerts()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		wantError(t, w.Alert(t.Context(), "k", "s", "loud"), `no severity "loud"`)
		wantError(t, w.Alert(t.Context(), "k", "", "error"), "without a summary")
		wantError(t, w.Alert(t.Context(), "", "s", "error"), "1 to 255 bytes")
		wantError(t, w.Client.Resolve(t.Context(), strings.Repeat("k", 256)), "1 to 255 bytes")
		for _, body := range []string{"", "{}", `{"status":"Unrecognized object"}`, "[]"} {
			w.pd.Fail(oncalltest.Fault{Status: 202, Body: body})
			wantError(t, w.Alert(t.Context(), "k", "s", "error"), "POST /v2/enqueue")
		}
		if got := w.pd.Alerts(); len(got) != 2 {
			t.Errorf("alerts %v", got)
		}
	})
	if err := at(t, ago(0), 202, read(t, "event.json")).Alert(t.Context(), "k", "s", "info"); err != nil {
		t.Error(err)
	}
}

func FuzzPage(f *testing.F) {
	f.Add(200, `{"incidents":[{"id":"P1","incident_key":"01JREQUEST","service":{"id":"PSVC123"},"html_url":"https://x/1"}]}`)
	f.Add(200, `{"incidents":[]}`)
	f.Add(201, read(f, "incident.json"))
	f.Add(400, read(f, "duplicate.json"))
	f.Add(500, "<html>")
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status == 429 {
			return
		}
		a := answers{{200, `{"incidents":[]}`}, {status, body}, {status, body}}
		ref, url, err := client(t, &a).Page(t.Context(), page())
		if (ref == "") == (err == nil) || url != "" && !strings.HasPrefix(strings.ToLower(url), "http") {
			t.Errorf("%q, %q, %v", ref, url, err)
		}
		if err != nil && (strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("error %q", err)
		}
	})
}
