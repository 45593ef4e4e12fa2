package slackapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Where Slack's requests arrive in HTTP mode, as the manifest tells Slack.
const (
	pathEvents      = "/slack/events"
	pathInteractive = "/slack/interactive"
	pathCommands    = "/slack/commands"
	pathOptions     = "/slack/options"
)

const (
	bodyLimit   = 1 << 20
	unsignedMax = 4 << 10          // what is read of a body that nobody signed
	bodiesMost  = 64               // that are read at a time: 64 MiB at most
	bodyTime    = 3 * time.Second  // to arrive; Slack itself waits no longer for the answer
	readAgain   = time.Hour        // between two looks at what was said in the threads
	retryPause  = 30 * time.Second // between two looks because Slack had to repeat something
)

// requests is HTTP mode: Slack brings each delivery as a signed request. The answer
// is the acknowledgement. Nothing has an effect before its signature was found
// right, and a delivery that comes again, replayed or repeated by Slack, gets the
// answer that it got before.
type requests struct {
	app    *App
	secret string
	past   *past
	bodies chan struct{} // a place for each body that is being read

	gate sync.RWMutex // held for reading while a delivery is taken
	open bool         // guarded by gate; deliveries are taken

	mu      sync.Mutex
	met     bool      // guarded by mu; Slack has reached us
	refused int       // guarded by mu; requests that were refused since it was said
	said    time.Time // guarded by mu; when that was
	looked  time.Time // guarded by mu; when the threads were last read
}

func newRequests(a *App, secret string) *requests {
	return &requests{app: a, secret: secret, past: newPast(), bodies: make(chan struct{}, bodiesMost)}
}

// Handler takes Slack's requests in HTTP mode, at /slack/events, /slack/interactive,
// /slack/commands and /slack/options; everything else is not found, and in Socket
// Mode nothing is. It answers from the first moment on: Slack's question whether the
// address is ours at once, deliveries with 503 while [App.Run] does not take any.
//
// It limits the body of a request and the time that it may take to arrive; the
// server's own limits for headers and idle connections are the caller's.
func (a *App) Handler() http.Handler {
	if h, ok := a.in.(*requests); ok {
		return h
	}
	return http.NotFoundHandler()
}

// run takes deliveries until ctx ends. Slack gives an event up after some minutes
// and tells nobody, so the threads are read now and then.
//
// A crash here loses no event for good: one that was not acknowledged comes again,
// and the threads are read at the next start.
func (h *requests) run(ctx context.Context) error {
	h.admit(true)
	defer h.admit(false)
	h.app.log.Info("slack: HTTP mode, waiting for Slack's requests", "paths", "/slack/…")
	for {
		h.lookBack(0)
		if !sleep(ctx, readAgain) {
			return nil
		}
	}
}

// admit opens the gate, or closes it behind those who are in.
func (h *requests) admit(open bool) {
	h.gate.Lock()
	defer h.gate.Unlock()
	h.open = open
}

// ready says whether Slack knows the bot. Whether it finds its way here shows when
// it has.
func (h *requests) ready() error {
	h.gate.RLock()
	defer h.gate.RUnlock()
	if !h.open {
		return errors.New("slack: requests are not taken: slack has not said yet who the bot is")
	}
	return nil
}

func (h *requests) up() int { return 0 }

// lookBack reads the threads, unless that was done only a moment ago.
func (h *requests) lookBack(pause time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.looked) >= pause {
		h.looked = time.Now()
		h.app.out.add(backfillLane, "backfill", h.app.backfill)
	}
}

// ServeHTTP implements [http.Handler].
func (h *requests) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	since := time.Now()
	// Who sends byte by byte is left alone, also where the body is not read: the server
	// reads it before it lets the connection go. Where there is no connection, as in a
	// test, there is nobody to wait for. The server lifts the limit after the request.
	_ = http.NewResponseController(w).SetReadDeadline(since.Add(bodyTime))
	read := reading(r.URL.Path)
	switch {
	case read.form == "":
		http.NotFound(w, r)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	case !read.takes(r.Header):
		http.Error(w, "unsupported media type", http.StatusUnsupportedMediaType)
		return
	}
	body, bad := h.authentic(w, r, read)
	if bad != nil {
		h.refuse(w, r, bad)
		return
	}
	if body == nil {
		return // answered
	}
	d, err := read.parse(body)
	if err != nil {
		h.refuse(w, r, &refusal{http.StatusBadRequest, err.Error()})
		return
	}
	h.meet()
	if d.challenge != "" {
		write(w, since, object(map[string]string{"challenge": d.challenge}))
		return
	}
	if d.key == "" {
		// Its digits are right in either case, and it is the same delivery in both.
		d.key = "signature " + strings.ToLower(r.Header.Get("X-Slack-Signature"))
	}
	if r.Header.Get("X-Slack-Retry-Num") != "" {
		h.lookBack(retryPause) // something did not arrive; perhaps more than this
	}
	h.take(w, r, d, since)
}

// refusal is why a request is not taken.
type refusal struct {
	status int
	why    string
}

// authentic reads the body and returns it if Slack signed it. It is nil where the
// request was of no interest and is answered: Slack tries certificates with a
// request now and then, which is not signed, or may be.
func (h *requests) authentic(w http.ResponseWriter, r *http.Request, read reader) ([]byte, *refusal) {
	limit := int64(bodyLimit)
	s, unsigned := signature(r.Header, time.Now())
	if unsigned != nil {
		limit = unsignedMax
	}
	body, bad := h.body(w, r, limit)
	switch {
	case unsigned != nil && bad == nil && read.certificate(body):
		w.WriteHeader(http.StatusOK)
		return nil, nil
	case unsigned != nil:
		return nil, &refusal{http.StatusUnauthorized, unsigned.Error()}
	case bad != nil:
		return nil, bad
	case !s.covers(h.secret, body):
		return nil, &refusal{http.StatusUnauthorized, "its signature is not that of SLACK_SIGNING_SECRET"}
	case read.certificate(body):
		w.WriteHeader(http.StatusOK)
		return nil, nil
	}
	return body, nil
}

// body reads a body, which must be small and come soon. So much memory as all bodies
// may take has a limit.
func (h *requests) body(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *refusal) {
	if r.ContentLength > limit {
		return nil, &refusal{http.StatusRequestEntityTooLarge, "its body is too large"}
	}
	select {
	case h.bodies <- struct{}{}:
		defer func() { <-h.bodies }()
	case <-time.After(time.Second):
		return nil, &refusal{http.StatusServiceUnavailable, "too many at once"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, &refusal{http.StatusRequestEntityTooLarge, "its body is too large"}
	}
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, "its body did not arrive"}
	}
	return body, nil
}

// refuse answers a request that is not taken. Anybody can send one: the log says so
// once a minute.
func (h *requests) refuse(w http.ResponseWriter, r *http.Request, bad *refusal) {
	http.Error(w, http.StatusText(bad.status), bad.status)
	h.mu.Lock()
	h.refused++
	n, due := h.refused, time.Since(h.said) > time.Minute
	if due {
		h.refused, h.said = 0, time.Now()
	}
	h.mu.Unlock()
	if due {
		h.app.log.Warn("slack: a request was refused", "path", r.URL.Path, "status", bad.status, "reason", bad.why, "refused", n)
	}
}

// meet notes that Slack reaches us.
func (h *requests) meet() {
	h.mu.Lock()
	first := !h.met
	h.met = true
	h.mu.Unlock()
	if first {
		h.app.log.Info("slack: the first request has arrived")
	}
}

// take hands a delivery on, and answers it: with its acknowledgement, with the one
// that it got before, or with 503 where it has to come again.
func (h *requests) take(w http.ResponseWriter, r *http.Request, d delivery, since time.Time) {
	h.gate.RLock()
	defer h.gate.RUnlock()
	if !h.open {
		again(w)
		return
	}
	known, fresh := h.past.enter(d.key, since)
	if !fresh {
		ctx, cancel := context.WithDeadline(r.Context(), since.Add(ackLimit))
		defer cancel()
		if !known.wait(ctx) || !known.acked {
			again(w)
			return
		}
		write(w, since, known.answer)
		return
	}
	a := &answering{w: w, stats: h.app.stats, log: h.app.log}
	defer func() { h.past.settle(known, a.acked, a.body) }()
	h.app.receive(a, envelope{d.key, d.kind, d.payload})
	if !a.acked {
		again(w)
	}
}

// again lets Slack come again: an event is repeated, and a person is told that it
// did not work.
func again(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, "not now", http.StatusServiceUnavailable)
}

// answering acknowledges one delivery by the answer to its request.
type answering struct {
	w     http.ResponseWriter
	stats *counters
	log   *slog.Logger
	acked bool
	body  []byte
}

// ack implements [acker]. That the answer could not be sent does not undo what was
// begun: the next try gets the same.
func (a *answering) ack(_ string, answer any, since time.Time) bool {
	a.acked = true
	if answer != nil {
		a.body = object(answer)
	}
	err := write(a.w, since, a.body)
	a.stats.acked(time.Since(since), err == nil)
	if err != nil {
		a.log.Warn("a request could not be answered", "error", err)
	}
	return err == nil
}

// object is an answer in JSON.
func object(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("slack: an answer of ours is no JSON: %v", err)) // our own types only
	}
	return data
}

// write sends the whole answer at once, and waits for that no longer than Slack does.
func write(w http.ResponseWriter, since time.Time, body []byte) error {
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(since.Add(ackLimit + time.Second)) // the server lifts it after the request
	if body != nil {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write(body); err != nil {
		return err
	}
	if err := c.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
