package slackapp_test

import (
	"regexp"
	"testing"

	"countersign/bot/access"
	"countersign/bot/slackapp"

	"github.com/google/go-cmp/cmp"
)

func TestClickIsReadFromWhatMatters(t *testing.T) {
	const user = `"user":{"id":"U1"},`
	const chosen = `{"values":{"decide":{"expiry":{"selected_option":{"value":"1h"}}}}}`
	for name, c := range map[string]struct {
		in, chosen, id string
		where          access.Place
	}{
		"as documented": {
			in:     `{` + user + `"channel":{"id":"C1"},"message":{"ts":"1.2"},"state":` + chosen + `,"actions":[{"action_id":"approve","value":"R1:2","action_ts":"9.9"}]}`,
			chosen: "1h", id: "click:C1:1.2:approve:U1:9.9", where: access.Place{Channel: "C1", TS: "1.2"},
		},
		"no state at the top": {
			in:     `{` + user + `"channel":{"id":"C1"},"message":{"ts":"1.2","state":` + chosen + `},"actions":[{"action_id":"approve","value":"R1:2","action_ts":"9.9"}]}`,
			chosen: "1h", id: "click:C1:1.2:approve:U1:9.9", where: access.Place{Channel: "C1", TS: "1.2"},
		},
		"odd fields": {
			in: `{` + user + `"team":null,"channel":{"id":"C1"},"message":{"ts":"1.2","blocks":[{"type":"hologram","x":{"y":[]}}]},"state":{"values":[]},"actions":[{"action_id":"approve","value":"R1:2","action_ts":9.9}]}`,
			id: "click:C1:1.2:approve:U1:9.9", where: access.Place{Channel: "C1", TS: "1.2"},
		},
		"only a container": {
			in: `{` + user + `"container":{"channel_id":"C1","message_ts":"1.2"},"actions":[{"action_id":"approve","value":"R1:2","action_ts":"9.9"}]}`,
			id: "click:C1:1.2:approve:U1:9.9", where: access.Place{Channel: "C1", TS: "1.2"},
		},
		"in the Home tab": {
			in: `{` + user + `"view":{"id":"V1"},"actions":[{"action_id":"approve","value":"R1:2","action_ts":"9.9"}]}`,
			id: "click:view:V1:approve:U1:9.9",
		},
		"nowhere": {
			in: `{` + user + `"actions":[{"action_id":"approve","value":"R1:2","action_ts":"9 9\n"}]}`,
			id: "click:view::approve:U1:9_9_", where: access.Place{Channel: "unknown"},
		},
	} {
		id, by, action, request, round, where, chosen := slackapp.ClickOf(slackapp.Payload(c.in), 0).Parts()
		if id != c.id || by != "U1" || action != "approve" || request != "R1" || round != 2 || where != c.where || chosen != c.chosen {
			t.Errorf("%s: got %q %q %q %q %d %v %q", name, id, by, action, request, round, where, chosen)
		}
	}
}

// FuzzClick: whatever arrives, reading it neither panics nor makes an id that the
// log would refuse.
func FuzzClick(f *testing.F) {
	f.Add([]byte(`{"user":{"id":"U1"},"actions":[{"value":"R:1"}]}`))
	f.Add([]byte(`{"actions":{},"state":[],"user":[[[`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		id, _, _, _, _, where, _ := slackapp.ClickOf(slackapp.Payload(data), 0).Parts()
		for _, c := range []byte(id) {
			if c <= ' ' || c > '~' {
				t.Errorf("event id %q", id)
			}
		}
		if p := slackapp.Payload(data); where == (access.Place{}) && len(p) == 0 {
			t.Error("a click from nowhere counts as a typed command")
		}
	})
}

func TestParseRequest(t *testing.T) {
	ticket := regexp.MustCompile(`^(?:[A-Z]+-[0-9]+)$`)
	for text, want := range map[string][5]string{
		"":                                    {},
		"db/x":                                {"db/x"},
		"db/x 2h":                             {"db/x", "", "2h"},
		"db/x 2h 3h":                          {"db/x", "", "2h", "3h"},
		"db/x for <@U1|al> 2h why":            {"db/x", "U1", "2h", "why"},
		"db/x for <@W1> why":                  {"db/x", "W1", "", "why"},
		"db/x FOR <@U1> 1d":                   {"db/x", "U1", "1d"},
		"db/x for <#C1|general>":              {"db/x", "", "", "for #general"},
		"db/x for alice 2h":                   {"db/x", "", "", "for alice 2h"},
		"db/x 2 hours":                        {"db/x", "", "", "2 hours"},
		"db/x a &amp; b &lt;c&gt; &amp;lt;":   {"db/x", "", "", "a & b <c> &lt;"},
		"  db/x \t 1h\u00a0because\nof this ": {"db/x", "", "1h", "because\nof this"},
		"db/x fix OPS-1 now":                  {"db/x", "", "", "fix OPS-1 now", "OPS-1"},

		"<http://db.example/x|db.example/x> 1h see <https://jira.example/1>": {"db.example/x", "", "1h", "see https://jira.example/1"},
	} {
		got := slackapp.ParseRequest(text).Parts()
		got[4] = slackapp.TicketIn(got[3], []*regexp.Regexp{ticket})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a <b> & &amp; &lt;")
	f.Fuzz(func(t *testing.T, s string) {
		if got := slackapp.Unescape(slackapp.Escape(s)); got != s {
			t.Errorf("%q came back as %q", s, got)
		}
	})
}
