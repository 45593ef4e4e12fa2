package access_test

import (
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
)

// TestOverdueIsToldLouder: the longer an access outlives its end, the more often
// and the more people are told; each time once, and what ended late is told to
// who approved it.
func TestOverdueIsToldLouder(t *testing.T) {
	for _, c := range []struct {
		over  time.Duration
		ended bool
		want  string // the notices about it, with whom they are for
	}{
		{4 * time.Minute, false, ""},
		{5 * time.Minute, false, "overdue-1:alice overdue-1:erin overdue-1:bob"},
		{59 * time.Minute, false, "overdue-1:alice overdue-1:erin overdue-1:bob"},
		{time.Hour, false, "overdue-2:alice overdue-2:erin overdue-2:bob overdue-2:channel"},
		{6 * time.Hour, false, "overdue-3:alice overdue-3:erin overdue-3:bob overdue-3:channel"},
		{24 * time.Hour, false, "overdue-4:alice overdue-4:erin overdue-4:bob overdue-4:channel"},
		{71 * time.Hour, false, "overdue-5:alice overdue-5:erin overdue-5:bob overdue-5:channel"},
		{4 * time.Minute, true, ""},
		{2 * time.Hour, true, "overdue-2:bob"},
	} {
		s := begin(t)
		live(s)
		s.now = s.r.Expires().Add(c.over)
		s.must(nobody, access.Expire{Request: id})
		s.now = s.r.Expires().Add(c.over)
		if c.ended {
			s.must(nobody, access.Finish{Request: id})
		}
		var got []string
		for _, n := range access.Owed(s.r, s.r.Expires().Add(c.over)) {
			if strings.HasPrefix(n.Name, "overdue") {
				who, _, _ := strings.Cut(n.To.Email, "@")
				if n.To.IsZero() {
					who = "channel"
				}
				got = append(got, n.Name+":"+who)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s over, ended %t: %v, want %s", c.over, c.ended, got, c.want)
		}
	}
}

// TestLeftInPlaceIsNotOverdue: what was there before outlives nothing.
func TestLeftInPlaceIsNotOverdue(t *testing.T) {
	s := begin(t)
	live(s)
	s.now = s.r.Expires().Add(24 * time.Hour)
	s.must(nobody, access.Expire{Request: id}, access.Finish{Request: id, Kept: "had_before"})
	if over := s.r.Outlived(s.now); over != 0 {
		t.Errorf("it outlived its end by %s", over)
	}
}

// TestAlarms: who is woken, and how loudly.
func TestAlarms(t *testing.T) {
	failing := access.Fail{Request: id, Error: "502\n<html>"}
	intended := func(s *story) {
		s.must(bob, access.Approve{Request: id, For: 8 * time.Hour})
		s.must(nobody, access.Intend{Request: id, Subject: "erin@example.com", Before: access.Absent})
	}
	for _, c := range []struct {
		name  string
		reach func(*story)
		after time.Duration // since the last event; negative: since the expiry
		want  string
	}{
		{"live", live, 0, ""},
		{"a grant failed", func(s *story) { intended(s); s.must(nobody, failing) }, 4 * time.Minute, ""},
		{"a grant fails", func(s *story) { intended(s); s.must(nobody, failing) }, 5 * time.Minute, "warning"},
		{"an early end fails", func(s *story) { live(s); s.must(carol, access.Revoke{Request: id}); s.must(nobody, failing) }, 0, "warning"},
		{"just over", live, -time.Minute, ""},
		{"over", live, -5 * time.Minute, "error"},
		{"long over", live, -time.Hour, "critical"},
		{"ended", func(s *story) {
			live(s)
			s.must(carol, access.Revoke{Request: id})
			s.must(nobody, failing, access.Finish{Request: id})
		}, 24 * time.Hour, ""},
	} {
		s := begin(t)
		c.reach(s)
		now := s.r.Last.Add(c.after)
		if c.after < 0 {
			now = s.r.Expires().Add(-c.after)
		}
		a := access.AlarmOf(s.r, now)
		if a.Severity != c.want {
			t.Errorf("%s: %q, want %q", c.name, a.Severity, c.want)
		}
		if a.Severity != "" && (strings.ContainsAny(a.Summary, "\n\t") || !strings.Contains(a.Summary, id)) {
			t.Errorf("%s: the summary is %q", c.name, a.Summary)
		}
	}
}
