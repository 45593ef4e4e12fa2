package slackapp

import (
	"testing"
	"time"
)

func TestParseAllow(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	day := func(s string) time.Time {
		x, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, c := range []struct {
		text     string
		from, to time.Time
		ok       bool
	}{
		{"admins 2026-12-01..2026-12-05 4h", day("2026-12-01T00:00:00Z"), day("2026-12-06T00:00:00Z"), true},
		{"admins ..2026-12-05T18:00 4h", now, day("2026-12-05T18:00:00Z"), true},
		{"admins now..2026-12-05T18:00Z 4h", now, day("2026-12-05T18:00:00Z"), true},
		{"admins ..+1d12h 4h", now, day("2026-11-24T21:00:00Z"), true},
		{"admins +1h..+1d 4h", day("2026-11-23T10:00:00Z"), day("2026-11-24T09:00:00Z"), true},
		{"admins ..+soon 4h", time.Time{}, time.Time{}, false},
		{"admins 2026-12-01.. 4h", time.Time{}, time.Time{}, false},
		{"admins 2026-12-01 4h", time.Time{}, time.Time{}, false},
		{"admins 2026-13-01..2026-12-05 4h", time.Time{}, time.Time{}, false},
		{"admins 2026-12-01..2026-12-05 soon", time.Time{}, time.Time{}, false},
		{"admins 2026-12-01..2026-12-05", time.Time{}, time.Time{}, false},
		{"", time.Time{}, time.Time{}, false},
	} {
		got, err := parseAllow(c.text, now)
		if (err == nil) != c.ok {
			t.Errorf("%q: %v, want ok=%t", c.text, err, c.ok)
			continue
		}
		if c.ok && (!got.From.Equal(c.from) || !got.To.Equal(c.to) || got.Resource != "admins" || got.Duration != 4*time.Hour) {
			t.Errorf("%q: got %+v", c.text, got)
		}
	}
}

// TestTyped: a command's text reads as its author typed it, and no tag survives
// that Slack did not make.
func TestTyped(t *testing.T) {
	for in, want := range map[string]string{
		"as agreed with <@U0DAN|dan> in <#C0GENERAL|general>": "as agreed with @dan in #general",
		"a &lt;b&gt; &amp; c": "a <b> & c",
		"&lt;@U0DAN|dan&gt;":  "<@U0DAN|dan>", // typed so: text, and escaped again where it is shown
		"<!channel>":          "<!channel>",

		"see <https://jira.example/OPS-1?a=1&amp;b=2>, now": "see https://jira.example/OPS-1?a=1&b=2, now",
		"on <http://db.example.com/x|db.example.com/x>":     "on db.example.com/x",
		"<https://evil.example|https://jira.example>":       "https://evil.example",
		"ask <mailto:bob@example.com|bob@example.com>":      "ask bob@example.com",
		"ask <mailto:bob@example.com>":                      "ask bob@example.com",
		"&lt;https://jira.example&gt;":                      "<https://jira.example>",
	} {
		if got := typed(in); got != want {
			t.Errorf("typed(%q) = %q, want %q", in, got, want)
		}
	}
}
