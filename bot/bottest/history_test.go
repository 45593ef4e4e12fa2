package bottest_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestRequests: a history is the same each time, in order, and everything that
// can become of a request is in it.
func TestRequests(t *testing.T) {
	const n = 6000
	got := bottest.Requests(7, n)
	if d := gocmp.Diff(got[:200], bottest.Requests(7, n)[:200], cmpopts.IgnoreUnexported(access.Request{})); d != "" {
		t.Errorf("the same seed makes another history: %s", d)
	}
	if bottest.Requests(8, 10)[0].ID == bottest.Requests(7, 10)[0].ID {
		t.Error("another seed makes the same history")
	}
	if !slices.IsSortedFunc(got, func(a, b access.Request) int {
		return cmp.Or(a.FiledAt.Compare(b.FiledAt), cmp.Compare(a.ID, b.ID))
	}) {
		t.Error("not in order")
	}
	seen, ids, events := map[string]int{}, map[string]bool{}, 0
	for _, r := range got {
		ids[r.ID] = true
		events += r.Seq
		if r.Last.After(bottest.HistoryEnd) || r.FiledAt.Before(bottest.HistoryEnd.AddDate(-2, 0, -2)) {
			t.Fatalf("%s was filed at %s and ends at %s", r.ID, r.FiledAt, r.Last)
		}
		for _, what := range features(r) {
			seen[what]++
		}
	}
	if len(ids) != n {
		t.Errorf("%d ids for %d requests", len(ids), n)
	}
	if per := float64(events) / n; per < 6 || per > 9 {
		t.Errorf("%.1f events each", per)
	}
	for _, what := range []string{
		"pending", "live", "denied", "cancelled", "timed_out", "expired", "revoked", "given_back", "failed",
		"by reviewer", "by group", "by on_call", "by escalation", "by break_glass", "by persistent",
		"gitops", "github", "postgres", "webhook", "exec",
		"quorum", "extended", "extension denied", "talk", "edit", "deletion", "refusal", "overrun", "for somebody else", "reviewed", "kept",
	} {
		if seen[what] == 0 {
			t.Errorf("nothing in it is %q", what)
		}
	}
	t.Logf("%.1f events each: %v", float64(events)/n, seen)
}

func features(r access.Request) []string {
	out := []string{string(r.Shown()), r.Target.Provider}
	add := func(is bool, what string) {
		if is {
			out = append(out, what)
		}
	}
	if r.Decision != nil {
		out = append(out, "by "+string(r.Decision.Source))
	}
	add(len(r.Votes) > 0, "quorum")
	add(slices.ContainsFunc(r.Settled, func(s access.Settled) bool { return s.Granted }), "extended")
	add(slices.ContainsFunc(r.Settled, func(s access.Settled) bool { return !s.Granted }), "extension denied")
	add(r.Talk() > 0, "talk")
	add(slices.ContainsFunc(r.Messages, func(m access.Message) bool { return len(m.Edits) > 0 }), "edit")
	add(slices.ContainsFunc(r.Messages, func(m access.Message) bool { return !m.Deleted.IsZero() }), "deletion")
	add(len(r.Refusals) > 0, "refusal")
	_, over := r.Overrun(bottest.HistoryEnd)
	add(over, "overrun")
	add(r.Requestor != r.Principal, "for somebody else")
	add(r.Review != nil && !r.ToReview(), "reviewed")
	add(r.End != nil && r.End.Kept != "", "kept")
	return out
}

// TestRequestsUntil: a history may end at any time, with something going on.
func TestRequestsUntil(t *testing.T) {
	end := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	open := 0
	for _, r := range bottest.RequestsUntil(1, 400, end) {
		if r.Last.After(end) {
			t.Errorf("%s goes on after the end", r.ID)
		}
		if !r.Status.Ended() {
			open++
		}
	}
	if open == 0 {
		t.Error("nothing is open at the end")
	}
}

// TestEvents: the events are those of the requests, by time.
func TestEvents(t *testing.T) {
	const n = 2000
	got, last := map[string]access.Request{}, time.Time{}
	for e := range bottest.Events(7, n, bottest.HistoryEnd) {
		if e.At.Before(last) {
			t.Fatalf("%s at %s comes after %s", e.ID, e.At, last)
		}
		last = e.At
		r, err := access.Apply(got[e.Request], e)
		if err != nil {
			t.Fatal(err)
		}
		got[e.Request] = r
	}
	for _, want := range bottest.Requests(7, n) {
		if d := gocmp.Diff(want, got[want.ID], gocmp.AllowUnexported(access.Request{})); d != "" {
			t.Fatal(d)
		}
	}
	if len(got) != n {
		t.Errorf("%d requests", len(got))
	}
}

func BenchmarkRequests(b *testing.B) {
	for b.Loop() {
		bottest.Requests(1, 10000)
	}
	b.ReportMetric(float64(b.N)*10000/b.Elapsed().Seconds(), "requests/s")
}
