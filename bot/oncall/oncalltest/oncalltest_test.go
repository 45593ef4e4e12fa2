package oncalltest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign/bot/oncall/oncalltest"
)

// request is one that is in order, until a test changes it.
func request(t *testing.T, line, body string, header map[string]string) *http.Request {
	t.Helper()
	method, path, _ := strings.Cut(line, " ")
	r, err := http.NewRequest(method, "http://local"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		if v != "" {
			r.Header.Set(k, v)
		}
	}
	return r
}

// with is a copy of headers with a change.
func with(h map[string]string, key, value string) map[string]string {
	out := map[string]string{}
	for k, v := range h {
		out[k] = v
	}
	out[key] = value
	return out
}

func ask(t *testing.T, h http.Handler, r *http.Request) (int, string) {
	t.Helper()
	resp, err := oncalltest.Transport(h).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

const incident = `{"incident":{"type":"incident","title":"T","service":{"id":"S1","type":"service_reference"},"urgency":"high","incident_key":"K","body":{"type":"incident_body","details":"D"}}}`

func TestPagerDutyIsStrict(t *testing.T) {
	get := map[string]string{"Authorization": "Token token=t", "Accept": "application/vnd.pagerduty+json;version=2", "Content-Type": "application/json"}
	post := with(get, "From", "a@example.com")
	event := map[string]string{"Content-Type": "application/json"}
	for _, c := range []struct {
		line, body string
		header     map[string]string
		status     int
		complaint  string // "": none
	}{
		{"GET /oncalls?limit=1&offset=0&include[]=users&escalation_policy_ids[]=P&escalation_policy_ids[]=Q", "", get, 200, ""},
		{"GET /oncalls", "", with(get, "Authorization", "Token token=other"), 401, ""},
		{"GET /oncalls", "", with(get, "Authorization", "Bearer t"), 400, "Authorization"},
		{"GET /oncalls", "", with(get, "Authorization", ""), 400, "Authorization"},
		{"GET /oncalls", "", with(get, "Accept", "application/json"), 400, "Accept"},
		{"GET /oncalls", "", with(get, "Content-Type", ""), 400, "Content-Type"},
		{"GET /oncalls", "", with(get, "From", "a@example.com"), 400, "From on a GET"},
		{"GET /oncalls", "{}", get, 400, "with a body"},
		{"GET /oncalls?query=alice", "", get, 400, `"query"`},
		{"GET /oncalls?limit=101", "", get, 400, "limit"},
		{"GET /oncalls?limit=0", "", get, 400, "limit"},
		{"GET /oncalls?limit=1&limit=2", "", get, 400, "limit"},
		{"GET /oncalls?offset=9999", "", get, 400, "offset"},
		{"GET /incidents?date_range=some", "", get, 400, "date_range"},
		{"GET /incidents?user=1", "", get, 400, `"user"`},
		{"GET /users", "", get, 400, "no such endpoint"},
		{"POST /incidents", incident, post, 201, ""},
		{"POST /incidents", strings.Replace(incident, "S1", "S2", 1), post, 400, ""},
		{"POST /incidents", incident, with(post, "From", "b@example.com"), 400, ""},
		{"POST /incidents", incident, get, 400, "no From"},
		{"POST /incidents?x=1", incident, post, 400, "parameters"},
		{"POST /incidents", strings.Replace(incident, `"urgency"`, `"urgencies"`, 1), post, 400, "unknown field"},
		{"POST /incidents", incident + "{}", post, 400, "more than one value"},
		{"POST /incidents", strings.Replace(incident, `"high"`, `"low"`, 1), post, 400, "urgency"},
		{"POST /incidents", strings.Replace(incident, `"K"`, `""`, 1), post, 400, "key"},
		{"POST /incidents", strings.Replace(incident, `"T"`, `""`, 1), post, 400, "title"},
		{"POST /incidents", strings.Replace(incident, "service_reference", "service", 1), post, 400, "types"},
		{"POST /v2/enqueue", `{"routing_key":"r","event_action":"resolve","dedup_key":"k"}`, event, 202, ""},
		{"POST /v2/enqueue", `{"routing_key":"x","event_action":"resolve","dedup_key":"k"}`, event, 400, ""},
		{"POST /v2/enqueue", `{"routing_key":"r","event_action":"resolve","dedup_key":"k"}`, get, 400, "a token where none belongs"},
		{"POST /v2/enqueue", `{"routing_key":"r","event_action":"resolve"}`, event, 400, "dedup_key"},
		{"POST /v2/enqueue", `{"routing_key":"r","event_action":"trigger","dedup_key":"k"}`, event, 400, "action"},
		{"POST /v2/enqueue", `{"routing_key":"r","event_action":"trigger","dedup_key":"k","payload":{"summary":"s","source":"x","severity":"loud"}}`, event, 400, "action"},
	} {
		pd := oncalltest.NewPagerDuty(oncalltest.PagerDutyConfig{Token: "t", RoutingKey: "r"})
		pd.AddUser("A@example.com")
		pd.AddService("S1", "P1")
		status, body := ask(t, pd, request(t, c.line, c.body, c.header))
		check(t, c.line+" "+c.body, status, c.status, body, pd.Complaints(), c.complaint)
	}
}

func TestIncidentIOIsStrict(t *testing.T) {
	get := map[string]string{"Authorization": "Bearer t", "Accept": "application/json"}
	post := with(get, "Content-Type", "application/json")
	for _, c := range []struct {
		line, body string
		header     map[string]string
		status     int
		complaint  string // "": none
	}{
		{"GET /v1/identity", "", get, 200, ""},
		{"GET /v1/identity?x=1", "", get, 400, "parameters"},
		{"GET /v1/identity", "", with(get, "Authorization", "Bearer other"), 401, ""},
		{"GET /v1/identity", "", with(get, "Authorization", "t"), 400, "Authorization"},
		{"GET /v1/identity", "", with(get, "Accept", ""), 400, "Accept"},
		{"GET /v2/schedules?page_size=25", "", get, 200, ""},
		{"GET /v2/schedules?page_size=1000", "", get, 400, "page_size"},
		{"GET /v2/schedules?after=01X", "", get, 400, "after"},
		{"GET /v2/schedules?id=01X", "", get, 400, `"id"`},
		{"GET /v2/schedules", "{}", get, 400, "with a body"},
		{"GET /v2/users", "", get, 400, "no such endpoint"},
		{"POST /v2/escalations", `{"idempotency_key":"k","title":"t","escalation_path_id":"01P"}`, post, 201, ""},
		{"POST /v2/escalations", `{"idempotency_key":"k","title":"t","escalation_path_id":"01Q"}`, post, 422, ""},
		{"POST /v2/escalations", `{"idempotency_key":"k","title":"t","user_ids":["01U"]}`, post, 422, ""},
		{"POST /v2/escalations", `{"idempotency_key":"k","title":"t","escalation_path_id":"01P"}`, get, 400, "Content-Type"},
		{"POST /v2/escalations", `{"idempotency_key":"k","title":"t"}`, post, 400, "either"},
		{"POST /v2/escalations", `{"idempotency_key":"k","title":"t","escalation_path_id":"01P","user_ids":["01U"]}`, post, 400, "either"},
		{"POST /v2/escalations", `{"idempotency_key":"","title":"t","escalation_path_id":"01P"}`, post, 400, "either"},
		{"POST /v2/escalations", `{"key":"k"}`, post, 400, "unknown field"},
		{"POST /v2/escalations?x=1", `{}`, post, 400, "parameters"},
		{"POST /v2/incidents", `{"idempotency_key":"k","name":"n","visibility":"public","mode":"test"}`, post, 200, ""},
		{"POST /v2/incidents", `{"idempotency_key":"k","name":"n","visibility":"public","mode":"loud"}`, post, 400, "mode"},
		{"POST /v2/incidents", `{"idempotency_key":"k","name":"n","mode":"test"}`, post, 400, "visibility"},
	} {
		inc := oncalltest.NewIncidentIO(oncalltest.IncidentIOConfig{Token: "t"})
		inc.AddPath("01P")
		status, body := ask(t, inc, request(t, c.line, c.body, c.header))
		check(t, c.line+" "+c.body, status, c.status, body, inc.Complaints(), c.complaint)
	}
}

func check(t *testing.T, name string, status, want int, body string, complaints []string, complaint string) {
	t.Helper()
	if status != want {
		t.Errorf("%s: status %d, want %d: %s", name, status, want, body)
	}
	if got := strings.Join(complaints, "\n"); complaint == "" && got != "" || !strings.Contains(got, complaint) {
		t.Errorf("%s: complaints %q, want one with %q", name, got, complaint)
	}
}

// TestFaultsAreForWhatTheyName, as often as they say.
func TestFaultsAreForWhatTheyName(t *testing.T) {
	inc := oncalltest.NewIncidentIO(oncalltest.IncidentIOConfig{Token: "t", Complain: t.Errorf})
	inc.Fail(oncalltest.Fault{On: "GET /v2/schedules", Status: 500, Times: 2})
	h := map[string]string{"Authorization": "Bearer t", "Accept": "application/json"}
	for i, want := range []struct {
		line   string
		status int
	}{{"GET /v1/identity", 200}, {"GET /v2/schedules", 500}, {"GET /v1/identity", 200}, {"GET /v2/schedules", 500}, {"GET /v2/schedules", 200}} {
		if got, _ := ask(t, inc, request(t, want.line, "", h)); got != want.status {
			t.Errorf("%d: %s: %d, want %d", i, want.line, got, want.status)
		}
	}
	if got := inc.Requests(); len(got) != 5 || got[1] != "GET /v2/schedules" {
		t.Errorf("requests %q", got)
	}
}

// TestPagesAreTold once each, also by a PagerDuty that goes on where another ended.
func TestPagesAreTold(t *testing.T) {
	var told []string
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	begin := func(before ...oncalltest.Incident) (pd *oncalltest.PagerDuty) {
		pd = oncalltest.NewPagerDuty(oncalltest.PagerDutyConfig{
			Token: "t", Complain: t.Errorf, Now: func() time.Time { return now }, Incidents: before,
			Opened: func(in oncalltest.Incident) { told = append(told, in.Key+" "+strings.Join(pd.Paged(in), " ")) },
		})
		pd.AddService("S1", "P1")
		pd.AddUser("a@example.com")
		pd.SetOnCalls(
			oncalltest.OnCall{User: "U1", Email: "dan@example.com", Policy: "P1", Level: 2},
			oncalltest.OnCall{User: "U2", Email: "erin@example.com", Policy: "P2", Level: 1},
			oncalltest.OnCall{User: "U3", Email: "bob@example.com", Policy: "P1", Level: 1, Schedule: "C1", Start: now.Add(time.Hour)})
		return pd
	}
	open := func(pd *oncalltest.PagerDuty, want int) {
		t.Helper()
		h := map[string]string{"Authorization": "Token token=t", "Accept": "application/vnd.pagerduty+json;version=2", "Content-Type": "application/json", "From": "a@example.com"}
		if got, body := ask(t, pd, request(t, "POST /incidents", incident, h)); got != want {
			t.Fatalf("status %d, want %d: %s", got, want, body)
		}
	}
	pd := begin()
	open(pd, 201)
	open(pd, 400)
	pd = begin(pd.Incidents()...)
	open(pd, 400)
	pd.Resolve("PINC001")
	now = now.Add(time.Hour)
	open(pd, 201)
	if got, want := strings.Join(told, ", "), "K dan@example.com, K dan@example.com bob@example.com"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if got := pd.Incidents(); len(got) != 2 || got[1].ID != "PINC002" {
		t.Errorf("incidents %+v", got)
	}
}
