package report_test

import (
	"strings"
	"testing"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/report"
)

// TestHeld: a row for each live access and no other, in order, with as many
// fields as the header.
func TestHeld(t *testing.T) {
	all := bottest.Requests(7, 400)
	var out strings.Builder
	if err := report.Held(&out, all); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if lines[0] != strings.Join(report.HeldColumns, "\t") {
		t.Errorf("header %q", lines[0])
	}
	want := map[string]bool{}
	for _, r := range all {
		if r.Status == access.Live {
			want[r.ID] = true
		}
	}
	last := ""
	for _, l := range lines[1:] {
		f := strings.Split(l, "\t")
		if len(f) != len(report.HeldColumns) || !want[f[6]] {
			t.Fatalf("row %q", l)
		}
		delete(want, f[6])
		if key := f[0] + "\t" + f[1] + "\t" + f[6]; key <= last {
			t.Errorf("%q after %q", key, last)
		} else {
			last = key
		}
	}
	if len(want) > 0 || len(lines) < 3 {
		t.Errorf("%d rows; left out: %v", len(lines)-1, want)
	}
}
