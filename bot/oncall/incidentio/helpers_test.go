package incidentio_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot/access"
	"countersign/bot/oncall/incidentio"
	"countersign/bot/oncall/oncalltest"
)

const token = "inc_SeCrEtKeY"

var watch = access.Watch{Integration: "incidentio", Schedules: []string{"01A"}}

// A world is a client and the incident.io that it talks to, in simulated time.
type world struct {
	*incidentio.Client
	inc *oncalltest.IncidentIO
}

// in runs a test in a world of its own. Every complaint fails it.
func in(t *testing.T, change func(*oncalltest.IncidentIOConfig), test func(*testing.T, world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := oncalltest.IncidentIOConfig{Token: token, Complain: t.Errorf}
		if change != nil {
			change(&c)
		}
		inc := oncalltest.NewIncidentIO(c)
		inc.AddPath("01HABC")
		inc.SetSchedules(oncalltest.Schedule{ID: "01A", Shifts: []oncalltest.Shift{shift(alice)}}, oncalltest.Schedule{ID: "01EMPTY"})
		test(t, world{client(t, oncalltest.Transport(inc), time.Now), inc})
	})
}

var (
	alice = &oncalltest.User{ID: "01ALICE", Email: "Alice@Example.com", Slack: "U012AB"}
	bob   = &oncalltest.User{ID: "01BOB", Email: "bob@example.com"}
)

// shift is an hour around the time at which simulated time begins.
func shift(u *oncalltest.User) oncalltest.Shift {
	return oncalltest.Shift{User: u, Start: ago(1), End: ago(-1)}
}

// ago is a time so many hours before simulated time begins.
func ago(hours int) time.Time {
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Duration(hours) * time.Hour)
}

func client(t testing.TB, over http.RoundTripper, now func() time.Time) *incidentio.Client {
	t.Helper()
	c, err := incidentio.New(incidentio.Config{Token: token, Client: &http.Client{Transport: over}, Now: now})
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
func at(t testing.TB, now time.Time, status int, body string) *incidentio.Client {
	t.Helper()
	return client(t, says{status, body}, func() time.Time { return now })
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
	if strings.Contains(err.Error(), token) {
		t.Errorf("error %q tells a secret", err)
	}
}

// page calls those who are on call in a schedule.
func page() access.Page {
	return access.Page{Integration: "incidentio", Request: "01JREQUEST", Title: "Access waits for approval",
		Link: "https://acme.slack.com/archives/C1/p1", Schedules: []string{"01A"}}
}
