package incidentio_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/oncall/oncalltest"

	"github.com/google/go-cmp/cmp"
)

// TestDutiesAsDocumented: the answer in the form that the published description has.
func TestDutiesAsDocumented(t *testing.T) {
	w := access.Watch{Integration: "incidentio", Schedules: []string{"01SCHEDULE"}}
	alice := []access.Duty{{Person: access.Person{Email: "alice@example.com", Slack: "U012AB"}, Schedule: "01SCHEDULE",
		Start: moment(t, "2026-03-02T09:00:00.801578Z"), End: moment(t, "2026-03-09T09:00:00.801578Z")}}
	for now, want := range map[string][]access.Duty{
		"2026-03-02T09:00:00Z": nil, "2026-03-02T09:00:00.801578Z": alice, "2026-03-09T09:00:00Z": alice, "2026-03-09T09:00:00.801578Z": nil,
	} {
		got, err := at(t, moment(t, now), 200, read(t, "schedules.json")).Duties(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("at %s (-want +got):\n%s", now, d)
		}
	}
	w.Schedules = append(w.Schedules, "01GONE")
	got, err := at(t, moment(t, "2026-03-05T00:00:00Z"), 200, read(t, "schedules.json")).Duties(t.Context(), w)
	wantError(t, err, "no such schedule: 01GONE")
	if len(got) > 0 {
		t.Errorf("on call: %v", got)
	}
}

func TestDuties(t *testing.T) {
	for _, c := range []struct {
		name   string
		shifts []oncalltest.Shift
		want   []access.Person
	}{
		{"nobody", nil, nil},
		{"both known", []oncalltest.Shift{shift(alice)}, []access.Person{{Email: "alice@example.com", Slack: "U012AB"}}},
		{"two", []oncalltest.Shift{shift(alice), shift(bob)}, []access.Person{{Email: "alice@example.com", Slack: "U012AB"}, {Email: "bob@example.com"}}},
		{"in two layers", []oncalltest.Shift{shift(bob), shift(bob)}, []access.Person{{Email: "bob@example.com"}}},
		{"by Slack only", []oncalltest.Shift{shift(&oncalltest.User{ID: "01C", Slack: "U9"})}, []access.Person{{Slack: "U9"}}},
		{"unknown to Slack and mail", []oncalltest.Shift{shift(&oncalltest.User{ID: "01C"})}, nil},
		{"a shift without a user", []oncalltest.Shift{shift(nil)}, nil},
		{"over", []oncalltest.Shift{{User: bob, Start: ago(2), End: ago(0)}}, nil},
		{"begins now", []oncalltest.Shift{{User: bob, Start: ago(0), End: ago(-2)}}, []access.Person{{Email: "bob@example.com"}}},
		{"to come", []oncalltest.Shift{{User: bob, Start: ago(-1), End: ago(-2)}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, nil, func(t *testing.T, w world) {
				w.inc.SetSchedules(oncalltest.Schedule{ID: "01OTHER", Shifts: []oncalltest.Shift{shift(&oncalltest.User{ID: "01X", Email: "x@example.com"})}},
					oncalltest.Schedule{ID: "01A", Shifts: c.shifts})
				got, err := w.Duties(t.Context(), watch)
				if err != nil {
					t.Fatal(err)
				}
				var who []access.Person
				for _, d := range got {
					if d.Schedule != "01A" || d.Level != 0 || d.Policy != "" || d.Start.IsZero() || d.End.IsZero() {
						t.Errorf("duty %+v", d)
					}
					who = append(who, d.Person)
				}
				if d := cmp.Diff(c.want, who); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			})
		})
	}
}

// TestDutiesReadAllPages, but no more of them than are needed.
func TestDutiesReadAllPages(t *testing.T) {
	for _, c := range []struct {
		size     int
		want     []string
		requests int
	}{
		{0, []string{"01S00"}, 1},
		{0, []string{"01S59"}, 3},
		{0, []string{"01S59", "01S00"}, 3},
		{1, []string{"01S03"}, 4},
		{7, []string{"01S20", "01S21"}, 4},
	} {
		in(t, func(i *oncalltest.IncidentIOConfig) { i.MaxPage = c.size }, func(t *testing.T, w world) {
			var list []oncalltest.Schedule
			for i := range 60 {
				u := &oncalltest.User{ID: fmt.Sprint("U", i), Email: fmt.Sprintf("u%d@example.com", i)}
				list = append(list, oncalltest.Schedule{ID: fmt.Sprintf("01S%02d", i), Shifts: []oncalltest.Shift{shift(u)}})
			}
			w.inc.SetSchedules(list...)
			got, err := w.Duties(t.Context(), access.Watch{Integration: "incidentio", Schedules: c.want})
			if err != nil || len(got) != len(c.want) {
				t.Errorf("%v: %v, %v", c.want, got, err)
			}
			if n := len(w.inc.Requests()); n != c.requests {
				t.Errorf("%v: %d requests, want %d", c.want, n, c.requests)
			}
		})
	}
}

func TestDutiesRefuseToAskAboutEverybody(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		_, err := w.Duties(t.Context(), access.Watch{Integration: "incidentio"})
		wantError(t, err, "no schedules say")
		_, err = w.Duties(t.Context(), access.Watch{Integration: "incidentio", Schedules: []string{"01A"}, EscalationPolicies: []string{"P1"}})
		wantError(t, err, "escalation policies")
		_, err = w.Duties(t.Context(), access.Watch{Integration: "pagerduty", Schedules: []string{"01A"}})
		wantError(t, err, `asked about "pagerduty"`)
		if got := w.inc.Requests(); len(got) > 0 {
			t.Errorf("asked: %q", got)
		}
	})
}

// answer has one shift that is in order, with a change.
func answer(old, new string) string {
	s := `{"start_at":"2026-01-01T00:00:00Z","end_at":"2026-12-31T00:00:00Z","user":{"id":"01ALICE","email":"alice@example.com","slack_user_id":"U012AB"}}`
	return `{"schedules":[{"id":"01A","current_shifts":[` + strings.Replace(s, old, new, 1) + `]}],"pagination_meta":{"page_size":25}}`
}

// TestOddAnswers: whatever is not as documented lets nobody be on call.
func TestOddAnswers(t *testing.T) {
	now := moment(t, "2026-06-01T00:00:00Z")
	if got, err := at(t, now, 200, answer("", "")).Duties(t.Context(), watch); err != nil || len(got) != 1 {
		t.Fatalf("what is in order: %v, %v", got, err)
	}
	for _, c := range []struct{ name, body, want string }{
		{"empty", "", "cannot be read"},
		{"HTML", "<html>", "cannot be read"},
		{"null", "null", "no schedules"},
		{"null list", `{"schedules":null}`, "no schedules"},
		{"null schedule", `{"schedules":[null]}`, "has no id"},
		{"no such schedule", `{"schedules":[]}`, "no such schedule: 01A"},
		{"in other letters", strings.Replace(answer("", ""), "01A", "01a", 1), "no such schedule: 01A"},
		{"an object for a list", `{"schedules":{}}`, "cannot be read"},
		{"two values", answer("", "") + "{}", "cannot be read"},
		{"no UTF-8", answer("alice@", "al\xffice@"), "not UTF-8"},
		{"null shift", `{"schedules":[{"id":"01A","current_shifts":[null]}]}`, "no start"},
		{"no start", answer(`"start_at":"2026-01-01T00:00:00Z",`, ""), "no start"},
		{"no end", answer(`"end_at":"2026-12-31T00:00:00Z",`, ""), "no end"},
		{"start is no time", answer("2026-01-01T00:00:00Z", "yesterday"), "cannot be read"},
		{"user without id", answer(`"id":"01ALICE",`, ""), "user without an id"},
		{"user is a text", answer(`{"id":"01ALICE","email":"alice@example.com","slack_user_id":"U012AB"}`, `"alice@example.com"`), "cannot be read"},
		{"address without host", answer("alice@example.com", "alice"), "not an e-mail"},
		{"address with a space", answer("alice@example.com", "a lice@example.com"), "not an e-mail"},
		{"a Slack id with a line", answer("U012AB", `U012AB\nU9`), "not a Slack id"},
		{"too large", answer("", "") + strings.Repeat(" ", 5<<20), "more than"},
		{"the same page for ever", `{"schedules":[{"id":"01X"}],"pagination_meta":{"after":"01X"}}`, "no such schedule"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := at(t, now, http.StatusOK, c.body).Duties(t.Context(), watch)
			wantError(t, err, c.want)
			if len(got) > 0 {
				t.Errorf("on call: %v", got)
			}
		})
	}
}

// TestOthersOddities: a schedule that nobody asks about may look as it likes,
// and one without the list of shifts has nobody on call.
func TestOthersOddities(t *testing.T) {
	body := strings.Replace(answer("", ""), `{"id":"01A"`, `{"id":"01X","current_shifts":[{}]},{"id":"01A"`, 1)
	if got, err := at(t, moment(t, "2026-06-01T00:00:00Z"), 200, body).Duties(t.Context(), watch); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := at(t, ago(0), 200, `{"schedules":[{"id":"01A"}]}`).Duties(t.Context(), watch); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestNoEndOfPages(t *testing.T) {
	n := 0
	c := client(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		n++
		return says{200, fmt.Sprintf(`{"schedules":[],"pagination_meta":{"after":"%d"}}`, n)}.RoundTrip(r)
	}), func() time.Time { return ago(0) })
	_, err := c.Duties(context.Background(), watch)
	wantError(t, err, "no end of pages")
}

// TestLowerIsNoWayToAnotherAddress: the Kelvin sign has a small letter in ASCII.
func TestLowerIsNoWayToAnotherAddress(t *testing.T) {
	got, err := at(t, moment(t, "2026-06-01T00:00:00Z"), 200, answer("alice@", "\u212Aate@")).Duties(t.Context(), watch)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Person.Email != "\u212Aate@example.com" {
		t.Errorf("became %q", got[0].Person.Email)
	}
}

func FuzzDuties(f *testing.F) {
	f.Add(strings.ReplaceAll(read(f, "schedules.json"), "01SCHEDULE", "01A"))
	f.Add(answer("", ""))
	f.Add(answer("U012AB", ""))
	now := moment(f, "2026-03-05T00:00:00Z")
	f.Fuzz(func(t *testing.T, body string) {
		got, err := at(t, now, 200, body).Duties(t.Context(), watch)
		if err != nil && got != nil {
			t.Fatalf("both %v and %v", got, err)
		}
		for _, d := range got {
			if d.Schedule != "01A" || d.Person.IsZero() || strings.ContainsAny(d.Person.Email+d.Person.Slack, " \n") {
				t.Errorf("duty %+v", d)
			}
			if now.Before(d.Start) || !now.Before(d.End) {
				t.Errorf("duty %+v at %v", d, now)
			}
		}
	})
}
