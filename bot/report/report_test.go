package report_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/report"

	"github.com/google/go-cmp/cmp"
)

func at(min int) time.Time { return time.Date(2026, 11, 23, 9, min, 0, 0, time.UTC) }

func live(id string) access.Request {
	return access.Request{
		ID: id, Status: access.Live, FiledAt: at(0), FiledUnder: "c0",
		Requestor: access.Person{Email: "alice@example.com"}, Principal: access.Person{Email: "erin@example.com"},
		Resource: "github/payments", Target: access.Target{Provider: "gitops"}, Duration: 90 * time.Minute,
		Decision: &access.Decision{
			At: at(1), Source: access.ByReviewer, Config: "c1", Expires: at(31),
			Approvers: []access.Person{{Email: "bob@example.com"}, {Email: "carol@partner.example"}},
		},
		Grant:    &access.Grant{GrantedAt: at(2)},
		Messages: []access.Message{{TS: "1"}, {TS: "2", Bot: "B1"}},
		Posts:    []access.Post{{Notice: access.NoticeApproval, Permalink: "https://acme.slack.com/p1"}},
	}
}

func table(t *testing.T, rs ...access.Request) []map[string]string {
	t.Helper()
	var b bytes.Buffer
	if err := report.TSV(&b, rs); err != nil {
		t.Fatal(err)
	}
	// encoding/csv is the independent reader; fields hold no quotes that mean anything.
	r := csv.NewReader(&b)
	r.Comma, r.LazyQuotes = '\t', true
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	for _, rec := range all[1:] {
		m := map[string]string{}
		for i, f := range rec {
			if f != "" {
				m[all[0][i]] = f
			}
		}
		rows = append(rows, m)
	}
	return rows
}

func TestRow(t *testing.T) {
	want := []map[string]string{{
		"id": "R1", "status": "live", "requestor": "alice@example.com", "principal": "erin@example.com",
		"resource": "github/payments", "provider": "gitops", "requested_at": "2026-11-23T09:00:00Z", "requested_duration": "1h30m",
		"approval_source": "reviewer", "approved_by": "bob@example.com,carol@partner.example", "decided_at": "2026-11-23T09:01:00Z",
		"expires_at": "2026-11-23T09:31:00Z", "granted_at": "2026-11-23T09:02:00Z", "config_commit": "c1", "messages": "1",
		"slack_permalink": "https://acme.slack.com/p1",
	}}
	if diff := cmp.Diff(want, table(t, live("R1"))); diff != "" {
		t.Error(diff)
	}
}

func TestDenied(t *testing.T) {
	r := access.Request{
		ID: "R1", Status: access.Denied, FiledAt: at(0), FiledUnder: "c0", Resource: "db",
		Decision: &access.Decision{At: at(3), By: access.Person{Email: "bob@example.com"}, Reason: "no", Config: "c1"},
		End:      &access.End{At: at(3), By: access.Person{Email: "bob@example.com"}, Reason: "no"},
	}
	got := table(t, r)[0]
	for key, want := range map[string]string{
		"status": "denied", "decided_at": "2026-11-23T09:03:00Z", "ended_at": "2026-11-23T09:03:00Z",
		"ended_by": "bob@example.com", "end_reason": "no", "approved_by": "",
	} {
		if got[key] != want {
			t.Errorf("%s: got %q, want %q", key, got[key], want)
		}
	}
}

func TestShownAsFailedWhileItFails(t *testing.T) {
	r := live("R1")
	r.Failure = &access.Failure{Error: "down"}
	if got := table(t, r)[0]["status"]; got != "failed" {
		t.Errorf("got %q, want failed", got)
	}
}

func TestSortedByFilingThenID(t *testing.T) {
	a, b, c := live("R3"), live("R1"), live("R2")
	c.FiledAt = at(-5)
	var ids []string
	for _, row := range table(t, a, b, c) {
		ids = append(ids, row["id"])
	}
	if diff := cmp.Diff([]string{"R2", "R1", "R3"}, ids); diff != "" {
		t.Error(diff)
	}
}

// TestHostileText: whatever people wrote stays one field of one line, and no
// spreadsheet takes it for a formula.
func TestHostileText(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a\tb\nc\\d", `a\tb\nc\\d`},
		{"=1+1", "'=1+1"}, {"+1", "'+1"}, {"-1", "'-1"}, {"@x", "'@x"},
		{"＝1", "'＝1"}, {"＋1", "'＋1"}, {"－1", "'－1"}, {"＠1", "'＠1"},
		{"\x00\x1b[31mred\r", "[31mred"}, {"a\u202eb\u2066c", "abc"}, {"\u202e=1", "'=1"},
		{"\u0085x", "x"}, {"plain, with \"quotes\"", "plain, with \"quotes\""}, {"", ""},
	} {
		r := live("R1")
		r.Reason = c.in
		var b bytes.Buffer
		if err := report.TSV(&b, []access.Request{r}); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != 2 {
			t.Fatalf("%q: %d lines, want 2", c.in, len(lines))
		}
		fields := strings.Split(lines[1], "\t")
		if len(fields) != len(report.Columns) {
			t.Fatalf("%q: %d fields, want %d", c.in, len(fields), len(report.Columns))
		}
		if fields[6] != c.want {
			t.Errorf("%q: got %q, want %q", c.in, fields[6], c.want)
		}
	}
}
