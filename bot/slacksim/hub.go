package slacksim

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// What became of an envelope that somebody waits for.
var (
	// ErrNotConnected means that no socket of the app is open.
	ErrNotConnected = errors.New("the app is not connected")
	// ErrNoAck means that the app did not acknowledge within 3 seconds.
	ErrNoAck = errors.New("the app did not answer within 3 seconds")
)

const (
	maxSockets = 10   // Slack's limit for one app
	maxQueue   = 1000 // events kept while no socket is open
	maxAck     = 20 << 10
)

// Envelope types.
const (
	kindCommand     = "slash_commands"
	kindInteractive = "interactive"
	kindEvent       = "events_api"
)

// hub owns the sockets and brings every envelope to one of them.
type hub struct {
	timing Timing
	trace  *trace

	mu      sync.Mutex
	chaos   Chaos
	web     *web // HTTP mode; nil: Socket Mode
	sockets []*socket
	next    int // round robin
	opened  int // sockets ever
	waiting map[string]*envelope
	past    map[string]*envelope // settled, to recognise late and double acks
	pastIDs []string
	queue   []*envelope // events without a socket
	timers  map[*time.Timer]bool
	closed  bool
	storm   bool // the periodic disconnects are running
}

// envelope is one delivery. Its payload is complete JSON, so that nothing of the workspace is
// read after its lock was given back.
type envelope struct {
	id      string
	kind    string
	title   string
	payload json.RawMessage
	accepts bool // an ack may carry a payload
	attempt int
	reason  string // why the attempt before failed, in HTTP mode
	made    time.Time
	sent    time.Time
	socket  *socket
	result  chan ackResult // nil for events; holds one
}

type ackResult struct {
	payload json.RawMessage
	err     error
}

func newHub(t Timing, c Chaos, tr *trace) *hub {
	return &hub{
		timing: t, chaos: c, trace: tr,
		waiting: map[string]*envelope{}, past: map[string]*envelope{}, timers: map[*time.Timer]bool{},
	}
}

// connected is the number of open sockets.
func (h *hub) connected() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sockets)
}

// after calls f later unless the hub is closed. h.mu is held by the caller.
func (h *hub) after(d time.Duration, f func()) *time.Timer {
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		h.mu.Lock()
		delete(h.timers, t)
		closed := h.closed
		h.mu.Unlock()
		if !closed {
			f()
		}
	})
	h.timers[t] = true
	return t
}

// ask delivers an interaction and waits for its ack.
func (h *hub) ask(e *envelope) (json.RawMessage, error) {
	e.result = make(chan ackResult, 1)
	h.mu.Lock()
	if h.closed || !h.sendLocked(e) {
		h.mu.Unlock()
		h.trace.add(Entry{Kind: "envelope", Title: e.title + " (no socket)", Detail: e.payload})
		return nil, ErrNotConnected
	}
	h.mu.Unlock()
	r := <-e.result
	return r.payload, r.err
}

// event delivers an event, sooner or later.
func (h *hub) event(e *envelope) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.made = time.Now()
	if h.chaos.Reorder {
		h.after(rand.N(h.timing.Jitter), func() { h.deliver(e) })
		return
	}
	h.deliverLocked(e)
}

func (h *hub) deliver(e *envelope) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliverLocked(e)
}

func (h *hub) deliverLocked(e *envelope) {
	if h.closed || h.sendLocked(e) {
		return
	}
	if len(h.queue) < maxQueue {
		h.queue = append(h.queue, e)
	}
}

// sendLocked puts an envelope on the next socket, or into a request; it reports false when
// there is neither.
func (h *hub) sendLocked(e *envelope) bool {
	if h.web != nil {
		h.requestLocked(e)
		return true
	}
	if len(h.sockets) == 0 {
		return false
	}
	s := h.sockets[h.next%len(h.sockets)]
	h.next++
	e.id, e.socket, e.sent = newEnvelopeID(), s, time.Now()
	frame := raw(e.frame())
	h.waiting[e.id] = e
	id := e.id
	h.after(h.timing.Ack, func() { h.expire(id) })
	h.trace.add(Entry{Kind: "envelope", Title: e.describe(), OK: true, Detail: frame, Socket: s.number})
	s.write(frame)
	if h.chaos.Duplicate {
		h.sockets[h.next%len(h.sockets)].write(frame)
	}
	return true
}

func (e *envelope) describe() string {
	if e.attempt > 0 {
		return fmt.Sprintf("%s (retry %d)", e.title, e.attempt)
	}
	return e.title
}

func (e *envelope) frame() obj {
	f := obj{"envelope_id": e.id, "type": e.kind, "accepts_response_payload": e.accepts, "payload": e.payload}
	if e.kind == kindEvent {
		f["retry_attempt"], f["retry_reason"] = e.attempt, ""
		if e.attempt > 0 {
			f["retry_reason"] = "timeout"
		}
	}
	return f
}

func newEnvelopeID() string {
	r := func(n int) string { return lower(randomID(n)) }
	return r(8) + "-" + r(4) + "-" + r(4) + "-" + r(4) + "-" + r(12)
}

// ack settles the envelope that a socket acknowledges.
func (h *hub) ack(s *socket, id string, payload json.RawMessage) {
	now := time.Now()
	h.mu.Lock()
	e := h.waiting[id]
	if e == nil || (e.socket != s && !h.chaos.Duplicate) {
		old := h.past[id]
		h.mu.Unlock()
		h.oddAck(s, id, e, old, now)
		return
	}
	h.settleLocked(e)
	h.mu.Unlock()
	h.acked(e, payload, now, s.number)
}

// acked judges an ack that came in time, and hands it to who waits for it.
func (h *hub) acked(e *envelope, payload json.RawMessage, now time.Time, socket int) {
	took := now.Sub(e.sent)
	h.trace.latency(Latency{Type: e.kind, What: e.title, Took: took})
	h.trace.add(Entry{Kind: "ack", Title: e.describe(), MS: took.Milliseconds(), OK: true, Detail: payload, Socket: socket})
	if hasContent(payload) && !e.accepts {
		h.trace.finding("ack_payload", "a payload in an ack that takes none: "+e.title, payload)
		payload = nil
	}
	r := ackResult{payload: payload}
	if len(payload) >= maxAck {
		h.trace.finding("ack_too_large", fmt.Sprintf("an ack of %d bytes, which Slack drops: %s", len(payload), e.title), nil)
		r = ackResult{err: ErrNoAck}
	}
	if e.result != nil {
		e.result <- r
	}
}

// hasContent tells an ack with an answer from {"envelope_id":…} and {"payload":{}}.
func hasContent(p json.RawMessage) bool {
	s := string(p)
	return s != "" && s != "null" && s != "{}" && s != `""`
}

// oddAck records an ack that settles nothing.
func (h *hub) oddAck(s *socket, id string, open, old *envelope, now time.Time) {
	switch {
	case open != nil:
		h.trace.add(Entry{Kind: "ack", Title: open.title + ": on another socket, ignored", Socket: s.number})
	case old == nil:
		h.trace.finding("unknown_ack", "an ack for an envelope that was never sent: "+id, nil)
	case old.socket == s && now.Sub(old.sent) > h.timing.Ack:
		took := now.Sub(old.sent)
		h.trace.finding("late_ack", fmt.Sprintf("%s was acknowledged after %s", old.title, took.Round(time.Millisecond)), nil)
	}
}

// settleLocked ends the wait for an envelope.
func (h *hub) settleLocked(e *envelope) {
	delete(h.waiting, e.id)
	copied := *e
	h.past[e.id] = &copied
	h.pastIDs = append(h.pastIDs, e.id)
	if len(h.pastIDs) > maxQueue {
		delete(h.past, h.pastIDs[0])
		h.pastIDs = h.pastIDs[1:]
	}
}

// expire is called when the time to acknowledge is over.
func (h *hub) expire(id string) {
	h.mu.Lock()
	e := h.waiting[id]
	if e == nil {
		h.mu.Unlock()
		return
	}
	defer h.mu.Unlock()
	h.trace.finding("no_ack", fmt.Sprintf("%s was not acknowledged within %s", e.describe(), h.timing.Ack), nil)
	h.settleLocked(e)
	e.reason = "http_timeout"
	h.lostLocked(e, ErrNoAck)
}

// lostLocked gives up an interaction, and plans the next attempt of an event.
func (h *hub) lostLocked(e *envelope, err error) {
	if e.result != nil {
		e.result <- ackResult{err: err}
		return
	}
	if e.attempt >= len(h.timing.Retry) {
		// An app that is away in HTTP mode loses events, and does nothing wrong.
		if !errors.Is(err, ErrNotConnected) {
			h.trace.finding("event_lost", "never acknowledged: "+e.title, nil)
		}
		return
	}
	again := *e
	again.attempt++
	h.after(h.timing.Retry[e.attempt], func() { h.deliver(&again) })
}

// join adds a socket and flushes what waited for one. It reports false when there are too many.
func (h *hub) join(s *socket) (number int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.sockets) >= maxSockets {
		return 0, false
	}
	h.opened++
	s.number = h.opened
	h.sockets = append(h.sockets, s)
	s.write(raw(s.hello(len(h.sockets))))
	queue := h.queue
	h.queue = nil
	for _, e := range queue {
		if time.Since(e.made) < time.Hour {
			h.deliverLocked(e)
		}
	}
	h.stormLocked()
	return s.number, true
}

// leave removes a socket. Events it had not acknowledged are delivered again; whoever
// waits for an interaction on it waits in vain.
func (h *hub) leave(s *socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sockets = slices.DeleteFunc(h.sockets, func(x *socket) bool { return x == s })
	var lost []*envelope
	for _, e := range h.waiting {
		if e.socket == s {
			lost = append(lost, e)
		}
	}
	slices.SortFunc(lost, func(a, b *envelope) int { return a.sent.Compare(b.sent) })
	for _, e := range lost {
		h.settleLocked(e)
		h.lostLocked(e, ErrNoAck)
	}
}

// disconnect sends a disconnect message to one or all sockets and closes them: after the
// warning period, or at once.
func (h *hub) disconnect(reason string, only *socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sockets {
		if only != nil && s != only {
			continue
		}
		if reason == "now" {
			s.cut()
			continue
		}
		s.write(raw(obj{"type": "disconnect", "reason": reason, "debug_info": obj{"host": "applink-local"}}))
		wait := time.Duration(0)
		if reason == "warning" || reason == "refresh_requested" {
			wait = h.timing.Warning
		}
		h.after(wait, s.finish)
	}
}

// stormLocked starts the periodic disconnects, each time of another socket in another way.
func (h *hub) stormLocked() {
	if h.chaos.DisconnectEvery <= 0 || h.storm {
		return
	}
	h.storm = true
	reasons := []string{"warning", "refresh_requested", "now"}
	h.after(h.chaos.DisconnectEvery, func() {
		h.mu.Lock()
		h.storm = false
		var s *socket
		if len(h.sockets) > 0 {
			s = h.sockets[rand.N(len(h.sockets))]
		}
		h.stormLocked()
		h.mu.Unlock()
		if s != nil {
			h.disconnect(reasons[rand.N(len(reasons))], s)
		}
	})
}

// close ends all sockets and timers.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	sockets := slices.Clone(h.sockets)
	for t := range h.timers {
		t.Stop()
	}
	for _, e := range h.waiting {
		if e.result != nil {
			e.result <- ackResult{err: ErrNotConnected}
		}
	}
	clear(h.waiting)
	h.mu.Unlock()
	for _, s := range sockets {
		s.finish()
	}
}
