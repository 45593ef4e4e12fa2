package incidentio_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/oncall/incidentio"
	"countersign/bot/oncall/oncalltest"

	"github.com/google/go-cmp/cmp"
)

// TestPageOrder: the path, else those on call in the schedules, else an incident.
func TestPageOrder(t *testing.T) {
	const link = "https://acme.slack.com/archives/C1/p1"
	for _, c := range []struct {
		name      string
		path      string
		schedules []string
		escalated []oncalltest.Escalation
		opened    []oncalltest.Declared
		url       string
	}{
		{"path", "01HABC", nil, []oncalltest.Escalation{{ID: "01ESC001", Key: "01JREQUEST", Title: "Access waits", Description: "why\n\n" + link, Path: "01HABC"}}, nil,
			"https://app.incident.io/~/on-call/escalations/01ESC001"},
		{"path before schedules", "01HABC", []string{"01A"}, []oncalltest.Escalation{{ID: "01ESC001", Key: "01JREQUEST", Title: "Access waits", Description: "why\n\n" + link, Path: "01HABC"}}, nil,
			"https://app.incident.io/~/on-call/escalations/01ESC001"},
		{"schedules", "", []string{"01EMPTY", "01A"}, []oncalltest.Escalation{{ID: "01ESC001", Key: "01JREQUEST", Title: "Access waits", Description: "why\n\n" + link, Users: []string{"01ALICE", "01NOBODY"}}}, nil,
			"https://app.incident.io/~/on-call/escalations/01ESC001"},
		{"nobody on call", "", []string{"01EMPTY"}, nil, []oncalltest.Declared{{ID: "01INC001", Key: "01JREQUEST", Name: "Access waits", Summary: "why\n\n" + link, Visibility: "public", Mode: "standard", URL: "https://app.incident.io/acme/incidents/1"}},
			"https://app.incident.io/acme/incidents/1"},
		{"nothing named", "", nil, nil, []oncalltest.Declared{{ID: "01INC001", Key: "01JREQUEST", Name: "Access waits", Summary: "why\n\n" + link, Visibility: "public", Mode: "standard", URL: "https://app.incident.io/acme/incidents/1"}},
			"https://app.incident.io/acme/incidents/1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, nil, func(t *testing.T, w world) {
				// The second can be paged although nothing matches them with a person here.
				w.inc.SetSchedules(oncalltest.Schedule{ID: "01EMPTY", Shifts: []oncalltest.Shift{shift(nil), {User: bob, Start: ago(2), End: ago(1)}}},
					oncalltest.Schedule{ID: "01A", Shifts: []oncalltest.Shift{shift(alice), shift(alice), shift(&oncalltest.User{ID: "01NOBODY"})}})
				p := page()
				p.Title, p.Details, p.EscalationPath, p.Schedules = "Access\nwaits", "why", c.path, c.schedules
				for range 2 {
					ref, url, err := w.Page(t.Context(), p)
					if err != nil || url != c.url || ref == "" || !strings.Contains("01ESC001 01INC001", ref) {
						t.Errorf("got %q, %q, %v", ref, url, err)
					}
				}
				if d := cmp.Diff(c.escalated, w.inc.Escalations()); d != "" {
					t.Errorf("escalations (-want +got):\n%s", d)
				}
				if d := cmp.Diff(c.opened, w.inc.Incidents()); d != "" {
					t.Errorf("incidents (-want +got):\n%s", d)
				}
			})
		})
	}
}

// TestPageOnce: another shift is no reason to call again.
func TestPageOnce(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		w.inc.Fail(oncalltest.CutAfter("POST /v2/escalations"))
		if _, _, err := w.Page(t.Context(), page()); err == nil {
			t.Fatal("no error")
		}
		w.inc.SetSchedules(oncalltest.Schedule{ID: "01A", Shifts: []oncalltest.Shift{shift(bob)}})
		if ref, _, err := w.Page(t.Context(), page()); err != nil || ref != "01ESC001" {
			t.Errorf("got %q, %v", ref, err)
		}
		if got := w.inc.Escalations(); len(got) != 1 || !cmp.Equal(got[0].Users, []string{"01ALICE"}) {
			t.Errorf("escalations %v", got)
		}
	})
}

// TestNobodyKnownIsNotNobody: where it cannot be asked who is on call, nothing
// is opened instead of paging them.
func TestNobodyKnownIsNotNobody(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		w.inc.Fail(oncalltest.HTML("GET /v2/schedules"))
		_, _, err := w.Page(t.Context(), page())
		wantError(t, err, "GET /v2/schedules: answered 500")
		p := page()
		p.Schedules = []string{"01GONE"}
		_, _, err = w.Page(t.Context(), p)
		wantError(t, err, "no such schedule: 01GONE")
		p.EscalationPath = "01GONE"
		_, _, err = w.Page(t.Context(), p)
		wantError(t, err, "no such escalation path (escalation_path_id)")
		if n := len(w.inc.Escalations()) + len(w.inc.Incidents()); n > 0 {
			t.Errorf("paged %d times", n)
		}
	})
}

// TestModeAndVisibility are those of the configuration.
func TestModeAndVisibility(t *testing.T) {
	inc := oncalltest.NewIncidentIO(oncalltest.IncidentIOConfig{Token: token, Complain: t.Errorf})
	c, err := incidentio.New(incidentio.Config{Token: token, Mode: "test", Visibility: "private", Client: &http.Client{Transport: oncalltest.Transport(inc)}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	p := page()
	p.Schedules = nil
	if _, _, err := c.Page(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if got := inc.Incidents(); len(got) != 1 || got[0].Mode != "test" || got[0].Visibility != "private" {
		t.Errorf("incidents %+v", got)
	}
}

func TestPageRefuses(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		for _, c := range []struct {
			change func(*access.Page)
			want   string
		}{
			{func(p *access.Page) { p.Integration = "pagerduty" }, `by "pagerduty"`},
			{func(p *access.Page) { p.Request = "" }, "without a request"},
			{func(p *access.Page) { p.Title = "" }, "without a title"},
		} {
			p := page()
			c.change(&p)
			_, _, err := w.Page(t.Context(), p)
			wantError(t, err, c.want)
		}
		if got := w.inc.Requests(); len(got) > 0 {
			t.Errorf("asked: %q", got)
		}
	})
}

// TestPageAsDocumented: the answers in the form that the published description has.
func TestPageAsDocumented(t *testing.T) {
	p := page()
	p.EscalationPath = "01HABC"
	if ref, url, err := at(t, ago(0), 201, read(t, "escalation.json")).Page(t.Context(), p); err != nil || ref != "01ESCALATION" || url != "https://app.incident.io/~/on-call/escalations/01ESCALATION" {
		t.Errorf("%q, %q, %v", ref, url, err)
	}
	p.EscalationPath, p.Schedules = "", nil
	if ref, url, err := at(t, ago(0), 200, read(t, "incident.json")).Page(t.Context(), p); err != nil || ref != "01INCIDENT" || url != "https://app.incident.io/incidents/123" {
		t.Errorf("%q, %q, %v", ref, url, err)
	}
}

// TestOddPages: an answer without an id is no page, and only what may be a link is one.
func TestOddPages(t *testing.T) {
	p := page()
	for _, path := range []string{"01HABC", ""} {
		p.EscalationPath, p.Schedules = path, nil
		for _, body := range []string{"", "null", "[]", "{}", `{"escalation":null,"incident":null}`, `{"escalation":{"id":7},"incident":{"id":7}}`, "\xff"} {
			if ref, _, err := at(t, ago(0), 200, body).Page(t.Context(), p); err == nil {
				t.Errorf("%q: %q", body, ref)
			}
		}
	}
	for url, want := range map[string]string{"javascript:alert(1)": "", "http://example.com/1": "", "https://app.incident.io/1": "https://app.incident.io/1"} {
		if _, got, err := at(t, ago(0), 200, `{"incident":{"id":"01I","permalink":"`+url+`"}}`).Page(t.Context(), p); err != nil || got != want {
			t.Errorf("%q: %q, %v", url, got, err)
		}
	}
}

func FuzzPage(f *testing.F) {
	f.Add(200, read(f, "escalation.json"))
	f.Add(201, read(f, "incident.json"))
	f.Add(422, `{"errors":[{"message":"A severity is required","source":{"field":"severity_id"}}]}`)
	f.Add(500, "<html>")
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status == 429 {
			return
		}
		for _, path := range []string{"01HABC", ""} {
			p := page()
			p.EscalationPath, p.Schedules = path, nil
			ref, url, err := at(t, ago(0), status, body).Page(t.Context(), p)
			if (ref == "") == (err == nil) || url != "" && !strings.HasPrefix(strings.ToLower(url), "http") {
				t.Errorf("%q, %q, %v", ref, url, err)
			}
			if err != nil && (strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("error %q", err)
			}
		}
	})
}
