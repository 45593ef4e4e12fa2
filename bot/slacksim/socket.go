package slacksim

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

func lower(s string) string { return strings.ToLower(s) }

// socket is one WebSocket of the app. One goroutine writes, the handler's reads.
type socket struct {
	number int
	app    string
	ws     *websocket.Conn
	out    chan []byte
	done   chan struct{}
	once   sync.Once
}

// maxOut is how many frames may wait for a slow reader before the socket is dropped.
const maxOut = 4096

func (s *socket) hello(connections int) obj {
	return obj{
		"type": "hello", "num_connections": connections,
		"debug_info": obj{
			"host": "applink-local", "started": time.Now().UTC().Format("2006-01-02 15:04:05.000"),
			"build_number": 1, "approximate_connection_time": 18060,
		},
		"connection_info": obj{"app_id": s.app},
	}
}

// write hands a frame to the writer; it never blocks.
func (s *socket) write(frame []byte) {
	select {
	case s.out <- frame:
	default:
		s.cut()
	}
}

// finish closes the socket the polite way, after what is still to be written.
func (s *socket) finish() {
	s.once.Do(func() { close(s.done) })
}

// cut closes the connection without a word.
func (s *socket) cut() { _ = s.ws.NetConn().Close() }

// run serves the socket until it ends.
func (s *socket) run(h *hub, ping time.Duration) {
	gone := make(chan struct{})
	go s.writeLoop(ping, gone)
	s.readLoop(h, ping)
	h.leave(s)
	close(gone)
}

func (s *socket) writeLoop(ping time.Duration, gone <-chan struct{}) {
	tick := time.NewTicker(ping)
	defer tick.Stop()
	defer s.cut()
	for {
		select {
		case frame := <-s.out:
			_ = s.ws.SetWriteDeadline(time.Now().Add(5 * time.Second))
			if s.ws.WriteMessage(websocket.TextMessage, frame) != nil {
				return
			}
		case <-tick.C:
			text := []byte("Ping from applink-local")
			if s.ws.WriteControl(websocket.PingMessage, text, time.Now().Add(5*time.Second)) != nil {
				return
			}
		case <-s.done:
			s.goodbye()
			return
		case <-gone:
			return
		}
	}
}

// goodbye writes what is left and the closing frame.
func (s *socket) goodbye() {
	for len(s.out) > 0 {
		if s.ws.WriteMessage(websocket.TextMessage, <-s.out) != nil {
			return
		}
	}
	text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = s.ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(time.Second))
}

func (s *socket) readLoop(h *hub, ping time.Duration) {
	s.ws.SetReadLimit(1 << 20)
	alive := func(string) error { return s.ws.SetReadDeadline(time.Now().Add(6 * ping)) }
	_ = alive("")
	s.ws.SetPongHandler(alive)
	own := s.ws.PingHandler()
	s.ws.SetPingHandler(func(data string) error { _ = alive(""); return own(data) })
	for {
		_, b, err := s.ws.ReadMessage()
		if err != nil {
			return
		}
		_ = alive("")
		var m struct {
			EnvelopeID string          `json:"envelope_id"`
			Payload    json.RawMessage `json:"payload"`
		}
		if json.Unmarshal(b, &m) != nil || m.EnvelopeID == "" {
			h.trace.finding("bad_frame", "the app sent a frame that is no ack", string(b))
			continue
		}
		h.ack(s, m.EnvelopeID, m.Payload)
	}
}

// serveSocket answers GET /socket/<ticket>, the address that apps.connections.open gave out.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	if !s.useTicket(r.PathValue("ticket")) {
		http.Error(w, "unknown or used ticket", http.StatusForbidden)
		return
	}
	// Clients name any Origin, such as https://api.slack.com; what lets them in is the ticket,
	// which no page of a browser can know.
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	one := &socket{app: s.cfg.World.App.ID, ws: ws, out: make(chan []byte, maxOut), done: make(chan struct{})}
	number, ok := s.hub.join(one)
	if !ok {
		_ = ws.WriteMessage(websocket.TextMessage, raw(obj{"type": "disconnect", "reason": "too_many_websockets"}))
		_ = ws.Close()
		s.trace.add(Entry{Kind: "socket", Title: "refused: too many websockets"})
		return
	}
	s.trace.add(Entry{Kind: "socket", Title: "opened", OK: true, Socket: number})
	s.watch.notify("", "sidebar")
	one.run(s.hub, s.cfg.Timing.Ping)
	s.trace.add(Entry{Kind: "socket", Title: "closed", OK: true, Socket: number})
	s.watch.notify("", "sidebar")
}
