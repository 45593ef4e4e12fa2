package report_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/report"
)

func summary(t *testing.T, rs ...access.Request) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Summary(&b, rs); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// hostile is a request in which everything that people can write tries to get out
// of its place.
func hostile(id string, filed time.Time) access.Request {
	const text = "x\n```\n<img src=x> | [y](javascript:z) \"] ::error::##[set-output]"
	r := live(id)
	r.FiledAt, r.Reason, r.Ticket, r.Resource, r.Status = filed, text, text, text, access.Pending
	r.Requestor.Email, r.Principal.Email, r.Decision, r.Grant = text, text, nil, nil
	return r
}

func TestSummary(t *testing.T) {
	t.Parallel()
	denied := live("3")
	denied.Status, denied.Decision, denied.Grant = access.Denied, &access.Decision{At: at(1)}, nil
	denied.FiledAt = at(0).AddDate(0, 0, -7*11) // the first week of the picture
	old := live("4")
	old.Status, old.FiledAt, old.Decision.Source = access.Expired, at(0).AddDate(-1, 0, 0), access.ByOnCall
	got := summary(t, live("1"), hostile("2", at(0).AddDate(0, 0, 6).Add(14*time.Hour)), denied, old)
	want, err := os.ReadFile("testdata/summary.md")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s", got)
	}
	if again := summary(t, old, denied, hostile("2", at(0).AddDate(0, 0, 6).Add(14*time.Hour)), live("1")); again != got {
		t.Error("the order of the requests changes it")
	}
	if got := summary(t); strings.Contains(got, "mermaid") || got != "No request yet.\n" {
		t.Errorf("of nothing: %s", got)
	}
}
