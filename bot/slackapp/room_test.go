package slackapp_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
)

// TestNoRoom: where too much waits, a person is told that nothing happens, and what
// was said in a thread is not acknowledged, so that it comes again.
func TestNoRoom(t *testing.T) {
	s, f := startHTTP(t)
	h, secret := f.app.Load().Handler(), s.world.App.SigningSecret
	event := fmt.Sprintf(`{"type":"event_callback","event_id":"Ev0EARLY","event":{"type":"message","channel":%q,"user":"U0BOB","text":"so soon?",`+
		`"ts":"1700000000.000200","thread_ts":"1700000000.000100","parent_user_id":"U0COUNTERSIGN"}}`, channel)
	click := "payload=" + url.QueryEscape(fmt.Sprintf(`{"type":"block_actions","user":{"id":"U0BOB"},"channel":{"id":%q},"message":{"ts":"1700000000.000100"},`+
		`"actions":[{"action_id":"approve","value":"R:0","action_ts":"1"}]}`, channel))
	command := commandForm("request db/orders 1h because")
	said := func(want int) {
		t.Helper()
		if w := bring(t, h, "/slack/events", jsonType, event, sign(secret, event, time.Now())); w.Code != want {
			t.Errorf("a reply is answered with %d, want %d", w.Code, want)
		}
	}
	s.app.Room(0)
	said(http.StatusServiceUnavailable)
	if w := bring(t, h, "/slack/commands", formType, command, sign(secret, command, time.Now())); !strings.Contains(w.Body.String(), "nothing happened") {
		t.Errorf("a command is answered with %d %s", w.Code, w.Body)
	}
	bring(t, h, "/slack/interactive", formType, click, sign(secret, click, time.Now()))
	s.told("bob", "nothing happened. Please try again")
	s.app.Room(2000)
	said(http.StatusOK)
	if n := len(s.book.actions(access.File{})) + len(s.book.actions(access.Approve{})); n != 0 {
		t.Errorf("%d commands were handed on", n)
	}
}
