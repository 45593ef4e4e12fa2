package slacksim_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"countersign/bot/slacksim"
)

// mute opens a socket that acknowledges nothing by itself.
func (s *sim) mute() *websocket.Conn {
	s.t.Helper()
	open := s.callAs(appToken, "apps.connections.open")
	ws, _, err := websocket.DefaultDialer.Dial(open["url"].(string), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = ws.Close() })
	var hello map[string]any
	if err := ws.ReadJSON(&hello); err != nil || hello["type"] != "hello" {
		s.t.Fatal(hello, err)
	}
	return ws
}

func TestTicketsWorkOnce(t *testing.T) {
	s := start(t)
	url := s.callAs(appToken, "apps.connections.open")["url"].(string)
	for i, want := range []bool{true, false} {
		ws, resp, err := websocket.DefaultDialer.Dial(url, nil)
		if (err == nil) != want {
			t.Errorf("use %d: got %v", i+1, err)
		}
		if err == nil {
			defer ws.Close()
		} else if resp.StatusCode != http.StatusForbidden {
			t.Errorf("use %d: got status %d", i+1, resp.StatusCode)
		}
	}
}

// TestAckOnAnotherSocket: only the socket that got an envelope can acknowledge it.
func TestAckOnAnotherSocket(t *testing.T) {
	s := start(t, func(c *slacksim.Config) { c.Timing.Ack = 150 * time.Millisecond })
	one, two := s.mute(), s.mute()
	result := make(chan error, 1)
	go func() {
		_, err := s.As("alice").Command("C0ACCESS", "/access")
		result <- err
	}()
	var f map[string]any
	if err := one.ReadJSON(&f); err != nil {
		t.Fatal(err)
	}
	if err := two.WriteJSON(map[string]any{"envelope_id": f["envelope_id"]}); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, slacksim.ErrNoAck) {
		t.Errorf("got %v", err)
	}
	if err := one.WriteJSON(map[string]any{"envelope_id": f["envelope_id"]}); err != nil {
		t.Fatal(err)
	}
	found := func() bool {
		for _, f := range s.Findings() {
			if f.Kind == "late_ack" {
				return true
			}
		}
		return false
	}
	eventually(t, "late_ack", found)
}

func TestOddFramesAreFindings(t *testing.T) {
	s := start(t)
	ws := s.mute()
	for _, frame := range []string{`not json`, `{"envelope_id":""}`, `{"envelope_id":"never-sent"}`} {
		if err := ws.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "three findings", func() bool { return len(s.Findings()) == 3 })
	s.hasFinding("bad_frame")
	s.hasFinding("unknown_ack")
}

func TestPayloadWhereNoneIsTaken(t *testing.T) {
	s := start(t)
	s.dial(func(map[string]any) any { return map[string]any{"text": "thanks"} })
	if _, err := s.As("alice").Post("C0ACCESS", "hello"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a finding", func() bool { return len(s.Findings()) == 1 })
	s.hasFinding("ack_payload")
}

func TestPings(t *testing.T) {
	s := start(t, func(c *slacksim.Config) { c.Timing.Ping = 300 * time.Millisecond })
	ws := s.mute()
	pings := make(chan string, 10)
	ws.SetPingHandler(func(data string) error {
		pings <- data
		return ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
	})
	go func() { _, _, _ = ws.ReadMessage() }()
	for range 3 {
		select {
		case p := <-pings:
			if !strings.HasPrefix(p, "Ping") {
				t.Errorf("got %q", p)
			}
		case <-time.After(patience):
			t.Fatal("no PING")
		}
	}
}

// TestDisconnects: each kind says what it must, and ends the socket.
func TestDisconnects(t *testing.T) {
	const short, long = 150 * time.Millisecond, 2 * patience
	for _, r := range []struct {
		kind, reason string
		warning      time.Duration // a short one is waited for, a long one is not
	}{
		{"warning", "warning", short}, {"refresh_requested", "refresh_requested", short},
		{"link_disabled", "link_disabled", long}, {"now", "", long},
	} {
		s := start(t, func(c *slacksim.Config) { c.Timing.Warning = r.warning })
		ws := s.mute()
		begin := time.Now()
		if err := s.Fault(slacksim.Fault{Disconnect: r.kind}); err != nil {
			t.Fatal(err)
		}
		reason := ""
		for {
			var f map[string]any
			if ws.ReadJSON(&f) != nil {
				break
			}
			reason, _ = f["reason"].(string)
		}
		if took := time.Since(begin); reason != r.reason || (took < r.warning-10*time.Millisecond) != (r.warning == long) {
			t.Errorf("%s: reason %q, closed after %s", r.kind, reason, took)
		}
		eventually(t, "no socket", func() bool { return s.Connected() == 0 })
	}
}

// TestEphemeralMessagesStayPrivate: no event, no history, not in another's sidebar.
func TestEphemeralMessagesStayPrivate(t *testing.T) {
	s := start(t)
	app := s.dial(nil)
	s.must("chat.postEphemeral", "channel", "C0ACCESS", "user", "U0ALICE", "text", "psst")
	s.must("chat.postMessage", "channel", "C0SHARED", "text", "the last one")
	eventually(t, "the last event", func() bool { return len(app.payloads("message")) > 0 })
	if got := at(app.payloads("message")[0], "event", "text"); got != "the last one" || len(app.payloads("message")) != 1 {
		t.Errorf("%d events, the first says %v", len(app.payloads("message")), got)
	}
	if l := s.must("conversations.history", "channel", "C0ACCESS")["messages"].([]any); len(l) != 0 {
		t.Errorf("in the history: %s", jsonOf(l))
	}
	for who, want := range map[string]float64{"U0ALICE": 1, "U0BOB": 0} {
		if got := at(s.get("/sim/sidebar?as="+who), "channels", 0, "unread"); got != want {
			t.Errorf("%s has %v unread, want %v", who, got, want)
		}
	}
}
