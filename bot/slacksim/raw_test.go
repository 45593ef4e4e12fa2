package slacksim_test

import (
	"sync"

	"github.com/gorilla/websocket"
)

// rawApp is an app on a bare WebSocket: it sees frames as they are and acknowledges each.
type rawApp struct {
	ws     *websocket.Conn
	mu     sync.Mutex
	frames []map[string]any
}

// dial opens a socket. The answer, if any, is what the ack of a payload carries.
func (s *sim) dial(answer func(payload map[string]any) any) *rawApp {
	s.t.Helper()
	open := s.callAs("xapp-local-countersign", "apps.connections.open")
	ws, _, err := websocket.DefaultDialer.Dial(open["url"].(string), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	app := &rawApp{ws: ws}
	done := make(chan struct{})
	go func() { defer close(done); app.read(answer) }()
	s.t.Cleanup(func() { _ = ws.Close(); <-done })
	eventually(s.t, "hello", func() bool { return app.count() > 0 })
	return app
}

func (a *rawApp) read(answer func(map[string]any) any) {
	for {
		var f map[string]any
		if a.ws.ReadJSON(&f) != nil {
			return
		}
		a.mu.Lock()
		a.frames = append(a.frames, f)
		a.mu.Unlock()
		if f["envelope_id"] == nil {
			continue
		}
		ack := map[string]any{"envelope_id": f["envelope_id"]}
		payload, _ := f["payload"].(map[string]any)
		if answer != nil {
			if v := answer(payload); v != nil {
				ack["payload"] = v
			}
		}
		if a.ws.WriteJSON(ack) != nil {
			return
		}
	}
}

func (a *rawApp) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.frames)
}

// all returns a copy of the frames so far.
func (a *rawApp) all() []map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]map[string]any(nil), a.frames...)
}

// payloads returns the payloads of one kind: the type of an interaction, "command", or the
// type of an event.
func (a *rawApp) payloads(kind string) (out []map[string]any) {
	for _, f := range a.all() {
		p, ok := f["payload"].(map[string]any)
		if !ok {
			continue
		}
		got, _ := p["type"].(string)
		if e, isEvent := p["event"].(map[string]any); isEvent {
			got, _ = e["type"].(string)
			if sub, has := e["subtype"].(string); has {
				got += "/" + sub
			}
		}
		if p["command"] != nil {
			got = "command"
		}
		if got == kind {
			out = append(out, p)
		}
	}
	return out
}
