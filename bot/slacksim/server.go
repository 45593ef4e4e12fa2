package slacksim

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what a Server is. Its zero value is useful except for World.
type Config struct {
	// World is what the workspace starts with; see DefaultWorld.
	World World
	// State is a file in which the workspace survives restarts, written within a second of
	// each change. Empty means that it lives in memory.
	State string
	// BaseURL, "http://127.0.0.1:8765", stands in front of permalinks and of the addresses of
	// sockets and response_urls. Empty means that the Host of the requests is used.
	BaseURL string
	// Logger gets what goes wrong in the server itself; nil means nothing is logged.
	Logger *slog.Logger
	// Now dates messages and events; nil means time.Now.
	Now func() time.Time
	// Timing has the durations of the protocol; fields left at zero are Slack's.
	Timing Timing
	// Chaos makes Slack misbehave all the time.
	Chaos Chaos
	// RateLimits enforces Slack's rate tiers with 429 answers.
	RateLimits bool
}

// Timing has the durations of the protocol. A zero field means Slack's own value.
type Timing struct {
	Ack     time.Duration   // to acknowledge an envelope: 3 s
	Trigger time.Duration   // life of a trigger_id: 3 s
	Ping    time.Duration   // between WebSocket PINGs: 5 s
	Warning time.Duration   // from a disconnect warning to the end of the socket: 10 s
	Jitter  time.Duration   // by how much reordered events are delayed at most: 150 ms
	Retry   []time.Duration // before each further attempt to deliver an event: 0, 1 min, 5 min
}

func (t Timing) orDefaults() Timing {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&t.Ack, 3*time.Second)
	set(&t.Trigger, 3*time.Second)
	set(&t.Ping, 5*time.Second)
	set(&t.Warning, 10*time.Second)
	set(&t.Jitter, 150*time.Millisecond)
	if t.Retry == nil {
		t.Retry = []time.Duration{0, time.Minute, 5 * time.Minute}
	}
	return t
}

// Server is the local Slack. Create it with New, serve Handler on a loopback address, and
// end it with Close.
type Server struct {
	cfg     Config
	log     *slog.Logger
	methods map[string]method
	trace   *trace
	watch   *watchers
	hub     *hub
	store   *store
	faults  *faults
	limits  *limits

	base atomic.Value // string; "http://" and the last Host seen, where Config.BaseURL is empty

	mu      sync.Mutex // guards ws and tickets; never held while writing to the network
	ws      *workspace
	tickets map[string]time.Time
}

// New makes a server. It reads the state file, if there is one; nothing runs yet.
func New(cfg Config) (*Server, error) {
	if cfg.World.Team.ID == "" || cfg.World.App.ID == "" {
		return nil, errors.New("slacksim: Config.World has no team or no app; see DefaultWorld")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Timing = cfg.Timing.orDefaults()
	s := &Server{cfg: cfg, log: cfg.Logger, methods: apiMethods(), tickets: map[string]time.Time{}}
	if s.log == nil {
		s.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	s.watch = newWatchers()
	s.trace = &trace{now: cfg.Now, changed: func() { s.watch.notify("", "trace") }}
	s.hub = newHub(cfg.Timing, cfg.Chaos, s.trace)
	s.faults = &faults{}
	s.limits = &limits{on: cfg.RateLimits}
	ws := newWorkspace(cfg.World, cfg.Now)
	if ws.users[ws.app.BotUser] == nil {
		return nil, fmt.Errorf("slacksim: the app's user %q is none of the users", ws.app.BotUser)
	}
	s.store = &store{path: cfg.State, snapshot: s.snapshot, log: s.log}
	if err := s.store.load(ws); err != nil {
		return nil, err
	}
	s.connect(ws)
	return s, nil
}

// connect gives the workspace its ways out. All of them may be called with s.mu held.
func (s *Server) connect(ws *workspace) {
	s.ws = ws
	ws.timing, ws.odd = s.cfg.Timing, s.cfg.Chaos.OddPayloads
	ws.finds = s.trace.finding
	ws.emit = s.emit
	ws.notify = func(user string, topics ...string) {
		s.watch.notify(user, topics...)
		s.store.changed()
	}
}

// emit hands an event to the hub if the app is subscribed to it.
func (s *Server) emit(kind string, event obj) {
	if !slices.Contains(s.ws.app.Events, kind) {
		return
	}
	shared := false
	if id, ok := event["channel"].(string); ok && s.ws.channels[id] != nil {
		shared = s.ws.channels[id].Shared
	}
	title := str(event, "type")
	if sub := str(event, "subtype"); sub != "" {
		title += "/" + sub
	}
	s.hub.event(&envelope{kind: kindEvent, title: title, payload: raw(s.ws.eventPayload(event, shared))})
}

// Handler serves the app and the browser.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{method}", s.serveAPI)
	mux.HandleFunc("GET /socket/{ticket}", s.serveSocket)
	mux.HandleFunc("POST /hooks/{id}", s.serveHook)
	page := s.pageMux()
	mux.Handle("/", s.guard(page))
	return mux
}

// Close writes the state a last time and ends all sockets.
func (s *Server) Close() error {
	s.hub.close()
	s.watch.end()
	return s.store.close()
}

// Findings returns everything the app did wrong so far.
func (s *Server) Findings() []Finding {
	s.trace.mu.Lock()
	defer s.trace.mu.Unlock()
	return append([]Finding(nil), s.trace.findings...)
}

// Latencies returns how long the app took for the last acknowledgements, oldest first.
func (s *Server) Latencies() []Latency {
	s.trace.mu.Lock()
	defer s.trace.mu.Unlock()
	return append([]Latency(nil), s.trace.latencies...)
}

// Trace returns the entries numbered above after, and the number to ask with next.
func (s *Server) Trace(after int) (entries []Entry, next int) { return s.trace.after(after) }

// Connected returns the number of open sockets of the app.
func (s *Server) Connected() int { return s.hub.connected() }

// do runs f on the workspace.
func (s *Server) do(f func(ws *workspace) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f(s.ws)
}

// baseURL is what absolute addresses begin with.
func (s *Server) baseURL(r *http.Request) string {
	if s.cfg.BaseURL != "" {
		return s.cfg.BaseURL
	}
	if r != nil {
		s.base.Store("http://" + r.Host)
	}
	base, _ := s.base.Load().(string)
	return base
}
