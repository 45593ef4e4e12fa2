package slackapp

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

// TestAckNeverBlocks: the client library keeps 20 acknowledgements while there is no
// socket, and would wait with the next one for ever.
func TestAckNeverBlocks(t *testing.T) {
	handle := func(context.Context, access.Command) (access.Request, error) { return access.Request{}, nil }
	app, err := New(Config{BotToken: "xoxb-1", AppToken: "xapp-1", Handle: handle, Reader: struct{ Reader }{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l := &link{set: app.in.(*sockets), client: socketmode.New(app.web.socket)}
	failed := make(chan int, 1)
	go func() {
		n := 0
		for range 25 {
			if !l.ack("e", nil, time.Now().Add(20*time.Millisecond-ackLimit)) {
				n++
			}
		}
		failed <- n
	}()
	select {
	case n := <-failed:
		if n < 5 {
			t.Errorf("%d of 25 acknowledgements failed without a socket", n)
		}
	case <-time.After(time.Minute):
		t.Fatal("an acknowledgement waits for ever")
	}
}

// TestSilentSocketIsDead: the library does not tell that Slack sends nothing any more.
func TestSilentSocketIsDead(t *testing.T) {
	for heard, want := range map[time.Duration]bool{0: true, silence: false} {
		l := &link{}
		l.up.Store(true)
		l.heard.Store(time.Now().Add(-heard).UnixNano())
		if got := l.alive(); got != want {
			t.Errorf("alive %s after the last bytes: %t, want %t", heard, got, want)
		}
	}
}

// TestBarred: the accounts that nobody can press a button with in the local Slack, but
// whose ids can stand in a configuration or in a group.
func TestBarred(t *testing.T) {
	const profile = `"profile":{"email":"bob@example.com"}`
	for name, c := range map[string]struct {
		user string
		able bool
	}{
		"a person":                       {`"team_id":"T1",` + profile, true},
		"confirmed":                      {`"team_id":"T1","is_email_confirmed":true,` + profile, true},
		"of the organization":            {`"team_id":"T2","enterprise_user":{"enterprise_id":"E1"},` + profile, true},
		"of another organization":        {`"team_id":"T2","enterprise_user":{"enterprise_id":"E2"},` + profile, false},
		"of another workspace":           {`"team_id":"T2",` + profile, false},
		"a stranger":                     {`"team_id":"T1","is_stranger":true,` + profile, false},
		"deactivated":                    {`"team_id":"T1","deleted":true,` + profile, false},
		"a bot":                          {`"team_id":"T1","is_bot":true,` + profile, false},
		"a workflow":                     {`"team_id":"T1","is_workflow_bot":true,` + profile, false},
		"Slackbot":                       {`"team_id":"T1","id":"USLACKBOT",` + profile, false},
		"a guest":                        {`"team_id":"T1","is_restricted":true,` + profile, false},
		"a guest of one channel":         {`"team_id":"T1","is_ultra_restricted":true,` + profile, false},
		"without an address":             {`"team_id":"T1"`, false},
		"with an address not confirmed":  {`"team_id":"T1","is_email_confirmed":false,` + profile, false},
		"of a workspace that is unknown": {profile, false},
	} {
		if why := barred(payload(`{`+c.user+`}`), "T1", "E1"); (why == "") != c.able {
			t.Errorf("%s: got %q, able: %t", name, why, c.able)
		}
	}
	if barred(payload(`{"team_id":"T2",`+profile+`}`), "T1", "") == "" {
		t.Error("outside of an organization, another workspace is ours")
	}
}

// onlyPlace answers with one channel.
type onlyPlace struct{ slack.Channel }

func (p onlyPlace) GetConversationInfoContext(context.Context, *slack.GetConversationInfoInput) (*slack.Channel, error) {
	return &p.Channel, nil
}

func (p onlyPlace) GetConversationsContext(context.Context, *slack.GetConversationsParameters) ([]slack.Channel, string, error) {
	return []slack.Channel{p.Channel}, "", nil
}

// TestSharedChannels: every way in which people outside could read a channel, or will.
func TestSharedChannels(t *testing.T) {
	for name, change := range map[string]func(*slack.Channel){
		"":                                            func(*slack.Channel) {},
		"shared with another organization":            func(c *slack.Channel) { c.IsExtShared = true },
		"another organization: people":                func(c *slack.Channel) { c.IsShared = true },
		"organization: people outside would":          func(c *slack.Channel) { c.IsPendingExtShared = true },
		"shared with other workspaces of the":         func(c *slack.Channel) { c.IsOrgShared = true },
		"is archived":                                 func(c *slack.Channel) { c.IsArchived = true },
		"not a member of the approval channel #asked": func(c *slack.Channel) { c.IsMember = false },
	} {
		c := slack.Channel{IsMember: true}
		c.ID, c.Name = "C1", "asked"
		change(&c)
		w := &web{places: onlyPlace{c}}
		for _, by := range []string{"C1", "#asked"} {
			id, err := w.approvals(t.Context(), by)
			if id != "C1" || (err == nil) != (name == "") || err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("%q: %s is %q, %v", name, by, id, err)
			}
		}
	}
}

// TestRespond: an answer that Slack did not take is not taken for told.
func TestRespond(t *testing.T) {
	for body, want := range map[string]string{
		"ok": "", `{"ok":true}`: "", "": "",
		`{"ok":false,"error":"channel_not_found"}`: "channel_not_found",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		w := newWeb(Config{HTTPClient: s.Client()}, newCounters())
		if err := w.respond(t.Context(), s.URL, "x"); slackError(err) != want || (err == nil) != (want == "") {
			t.Errorf("%q: got %v, want %q", body, err, want)
		}
		s.Close()
	}
}
