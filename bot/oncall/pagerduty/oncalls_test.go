package pagerduty_test

import (
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
	alice := access.Duty{Person: access.Person{Email: "alice@example.com"}, Policy: "PABC123", Level: 2, Schedule: "PSCH001",
		Start: moment(t, "2026-03-06T20:28:51Z"), End: moment(t, "2026-03-07T20:28:51Z")}
	bob := access.Duty{Person: access.Person{Email: "bob@example.com"}, Policy: "PABC123", Level: 3}
	for _, c := range []struct {
		now  string
		want []access.Duty
	}{
		{"2026-03-06T20:28:50Z", []access.Duty{bob}},
		{"2026-03-06T20:28:51Z", []access.Duty{alice, bob}},
		{"2026-03-07T20:28:50Z", []access.Duty{alice, bob}},
		{"2026-03-07T20:28:51Z", []access.Duty{bob}},
	} {
		got, err := at(t, moment(t, c.now), 200, read(t, "oncalls_users.json")).Duties(background(), watch)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("at %s (-want +got):\n%s", c.now, d)
		}
	}
	_, err := at(t, moment(t, "2026-03-07T00:00:00Z"), 200, read(t, "oncalls.json")).Duties(background(), watch)
	wantError(t, err, "user PUSR001 has no e-mail address")
}

func TestDuties(t *testing.T) {
	for _, c := range []struct {
		name  string
		entry oncalltest.OnCall
		watch access.Watch
		want  string // "" : nobody
	}{
		{"scheduled", oncalltest.OnCall{Policy: "PABC123", Schedule: "S1", Start: ago(1), End: ago(-1)}, watch, "S1 since 1h until -1h"},
		{"of another policy", oncalltest.OnCall{Policy: "POTHER", Schedule: "S1", Start: ago(1), End: ago(-1)}, watch, ""},
		{"directly", oncalltest.OnCall{Policy: "PABC123"}, watch, " permanent"},
		{"never off call", oncalltest.OnCall{Policy: "PABC123", Schedule: "S1", Start: ago(1)}, watch, "S1 since 1h until ever"},
		{"over", oncalltest.OnCall{Policy: "PABC123", Schedule: "S1", Start: ago(2), End: ago(1)}, watch, ""},
		{"to come", oncalltest.OnCall{Policy: "PABC123", Schedule: "S1", Start: ago(-1), End: ago(-2)}, watch, ""},
		{"permanent although of a schedule", oncalltest.OnCall{Policy: "PABC123", Schedule: "S1"}, watch, " permanent"},
		{"by schedule", oncalltest.OnCall{Policy: "PX", Schedule: "S1", Start: ago(1), End: ago(-1)}, access.Watch{Integration: "pagerduty", Schedules: []string{"S1"}}, "S1 since 1h until -1h"},
		{"by schedule, directly", oncalltest.OnCall{Policy: "PX"}, access.Watch{Integration: "pagerduty", Schedules: []string{"S1"}}, ""},
		{"by both", oncalltest.OnCall{Policy: "PABC123", Schedule: "S2", Start: ago(1), End: ago(-1)}, access.Watch{Integration: "pagerduty", EscalationPolicies: []string{"PABC123"}, Schedules: []string{"S1"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, nil, func(t *testing.T, w world) {
				c.entry.User, c.entry.Email, c.entry.Level = "PU1", "Alice@Example.com", 1
				w.pd.SetOnCalls(c.entry)
				got, err := w.Duties(t.Context(), c.watch)
				if err != nil {
					t.Fatal(err)
				}
				if s := told(t, got); s != c.want {
					t.Errorf("got %q, want %q", s, c.want)
				}
			})
		})
	}
}

// ago is a time so many hours before simulated time begins.
func ago(hours int) time.Time {
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Duration(hours) * time.Hour)
}

// told words the duty of alice.
func told(t *testing.T, list []access.Duty) string {
	if len(list) == 0 {
		return ""
	}
	d := list[0]
	if len(list) > 1 || d.Person != (access.Person{Email: "alice@example.com"}) || d.Level != 1 {
		t.Errorf("duties %+v", list)
	}
	if d.Start.IsZero() {
		return d.Schedule + " permanent"
	}
	until := "ever"
	if !d.End.IsZero() {
		until = fmt.Sprintf("%.0fh", ago(0).Sub(d.End).Hours())
	}
	return fmt.Sprintf("%s since %.0fh until %s", d.Schedule, ago(0).Sub(d.Start).Hours(), until)
}

func TestDutiesReadAllPages(t *testing.T) {
	for _, size := range []int{1, 2, 3, 100} {
		in(t, func(c *oncalltest.PagerDutyConfig) { c.MaxLimit = size }, func(t *testing.T, w world) {
			var list []oncalltest.OnCall
			for i := range 5 {
				list = append(list, oncalltest.OnCall{User: fmt.Sprint("PU", i), Email: fmt.Sprintf("u%d@example.com", i), Policy: "PABC123", Level: 1 + i})
			}
			w.pd.SetOnCalls(list...)
			got, err := w.Duties(t.Context(), watch)
			if err != nil {
				t.Fatal(err)
			}
			var who []string
			for _, d := range got {
				who = append(who, fmt.Sprint(d.Person.Email, d.Level))
			}
			want := []string{"u0@example.com1", "u1@example.com2", "u2@example.com3", "u3@example.com4", "u4@example.com5"}
			if d := cmp.Diff(want, who); d != "" {
				t.Errorf("pages of %d (-want +got):\n%s", size, d)
			}
			if n, want := len(w.pd.Requests()), (5+size-1)/size; n != want {
				t.Errorf("pages of %d: %d requests, want %d", size, n, want)
			}
		})
	}
}

func TestDutiesRefuseToAskAboutEverybody(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		_, err := w.Duties(t.Context(), access.Watch{Integration: "pagerduty"})
		wantError(t, err, "neither escalation policies nor schedules")
		_, err = w.Duties(t.Context(), access.Watch{Integration: "incidentio", Schedules: []string{"S1"}})
		wantError(t, err, `asked about "incidentio"`)
		if got := w.pd.Requests(); len(got) > 0 {
			t.Errorf("asked: %q", got)
		}
	})
}

// entry is one that is in order, with a change.
func entry(old, new string) string {
	e := `{"user":{"id":"PU1","email":"alice@example.com"},"escalation_policy":{"id":"PABC123"},"schedule":{"id":"S1"},"escalation_level":1,"start":"2026-01-01T00:00:00Z","end":"2026-12-31T00:00:00Z"}`
	return `{"oncalls":[` + strings.Replace(e, old, new, 1) + `],"limit":100,"offset":0,"more":false,"total":null}`
}

// TestOddAnswers: whatever is not as documented lets nobody be on call.
func TestOddAnswers(t *testing.T) {
	now := moment(t, "2026-06-01T00:00:00Z")
	if got, err := at(t, now, 200, entry("", "")).Duties(background(), watch); err != nil || len(got) != 1 {
		t.Fatalf("what is in order: %v, %v", got, err)
	}
	for _, c := range []struct{ name, body, want string }{
		{"empty", "", "cannot be read"},
		{"HTML", "<html>", "cannot be read"},
		{"null", "null", "no oncalls"},
		{"no list", `{"more":false}`, "no oncalls"},
		{"null list", `{"oncalls":null,"more":false}`, "no oncalls"},
		{"null entry", `{"oncalls":[null],"more":false}`, "no user"},
		{"nothing about more", `{"oncalls":[]}`, "whether there are more"},
		{"more without limit", `{"oncalls":[],"offset":0,"more":true}`, "next page"},
		{"more without offset", `{"oncalls":[],"limit":100,"more":true}`, "next page"},
		{"another offset", `{"oncalls":[],"limit":100,"offset":100,"more":true}`, "next page"},
		{"a limit of nothing", `{"oncalls":[],"limit":0,"offset":0,"more":true}`, "next page"},
		{"a limit that was not asked for", `{"oncalls":[],"limit":1000,"offset":0,"more":true}`, "next page"},
		{"an object for a list", `{"oncalls":{},"more":false}`, "cannot be read"},
		{"two values", entry("", "") + "{}", "cannot be read"},
		{"half a value", strings.TrimSuffix(entry("", ""), "}"), "cannot be read"},
		{"no UTF-8", entry("alice", "al\xffice"), "not UTF-8"},
		{"no user", entry(`"user":{"id":"PU1","email":"alice@example.com"}`, `"user":null`), "no user"},
		{"user without id", entry(`"id":"PU1",`, ""), "no user"},
		{"user without address", entry(`alice@example.com`, ""), "no e-mail"},
		{"address without host", entry(`alice@example.com`, "alice@"), "no e-mail"},
		{"address with a line", entry(`alice@example.com`, `alice@example.com\nbob@example.com`), "no e-mail"},
		{"no policy", entry(`{"id":"PABC123"}`, "null"), "no escalation policy"},
		{"another policy", entry("PABC123", "POTHER"), "not asked for"},
		{"a policy in other letters", entry("PABC123", "pabc123"), "not asked for"},
		{"no level", entry(`"escalation_level":1,`, ""), "no escalation level"},
		{"level 0", entry(`_level":1`, `_level":0`), "no escalation level"},
		{"a text for a level", entry(`_level":1`, `_level":"1"`), "cannot be read"},
		{"half a level", entry(`_level":1`, `_level":1.5`), "cannot be read"},
		{"a schedule without id", entry(`"S1"`, `""`), "schedule without an id"},
		{"start is no time", entry("2026-01-01T00:00:00Z", "yesterday"), "cannot be read"},
		{"start without zone", entry("2026-01-01T00:00:00Z", "2026-01-01T00:00:00"), "cannot be read"},
		{"end is a number", entry(`"2026-12-31T00:00:00Z"`, "1"), "cannot be read"},
		{"too large", entry("", "") + strings.Repeat(" ", 5<<20), "more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := at(t, now, http.StatusOK, c.body).Duties(background(), watch)
			wantError(t, err, c.want)
			if len(got) > 0 {
				t.Errorf("on call: %v", got)
			}
		})
	}
}

// TestSchedulesThatWereNotAskedFor: another one, and somebody named directly.
func TestSchedulesThatWereNotAskedFor(t *testing.T) {
	w := access.Watch{Integration: "pagerduty", Schedules: []string{"S1"}}
	now := moment(t, "2026-06-01T00:00:00Z")
	if got, err := at(t, now, 200, entry("", "")).Duties(t.Context(), w); err != nil || len(got) != 1 {
		t.Errorf("the one asked for: %v, %v", got, err)
	}
	for _, body := range []string{entry(`"S1"`, `"S2"`), entry(`{"id":"S1"}`, "null")} {
		_, err := at(t, now, 200, body).Duties(t.Context(), w)
		wantError(t, err, "not asked for")
	}
}

func TestNoEndOfPages(t *testing.T) {
	in(t, nil, func(t *testing.T, w world) {
		for i := range 101 {
			w.pd.Fail(oncalltest.Says("GET /oncalls", fmt.Sprintf(`{"oncalls":[],"limit":100,"offset":%d,"more":true}`, i*100)))
		}
		_, err := w.Duties(t.Context(), watch)
		wantError(t, err, "no end of pages")
	})
}

// TestLowerIsNoWayToAnotherAddress: the Kelvin sign has a small letter in ASCII.
func TestLowerIsNoWayToAnotherAddress(t *testing.T) {
	got, err := at(t, moment(t, "2026-06-01T00:00:00Z"), 200, entry("alice@", "\u212Aate@")).Duties(background(), watch)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Person.Email != "\u212Aate@example.com" {
		t.Errorf("became %q", got[0].Person.Email)
	}
}

func FuzzDuties(f *testing.F) {
	f.Add(read(f, "oncalls.json"))
	f.Add(read(f, "oncalls_users.json"))
	f.Add(entry("", ""))
	f.Add(entry(`"S1"`, `null`))
	now := moment(f, "2026-06-01T00:00:00Z")
	f.Fuzz(func(t *testing.T, body string) {
		got, err := at(t, now, 200, body).Duties(t.Context(), watch)
		if err != nil && got != nil {
			t.Fatalf("both %v and %v", got, err)
		}
		for _, d := range got {
			if d.Policy != "PABC123" || d.Level < 1 || !strings.Contains(d.Person.Email, "@") || strings.ContainsAny(d.Person.Email, "ABCXYZ \n") {
				t.Errorf("duty %+v", d)
			}
			if now.Before(d.Start) || !d.End.IsZero() && !now.Before(d.End) || d.Start.IsZero() && d.Schedule != "" {
				t.Errorf("duty %+v at %v", d, now)
			}
		}
	})
}
