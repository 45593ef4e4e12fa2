package slackapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

// How sockets are kept.
const (
	slots    = 2                // connections at a time
	silence  = 60 * time.Second // without a PING a socket counts as dead
	ackLimit = 2500 * time.Millisecond
)

// sockets keeps two Socket Mode connections. The client library drops a socket the
// moment Slack announces its end, and what Slack still sends there is lost; Slack
// sends each payload to any one socket that is open, so the other one gets it. Each
// is also exchanged before its time is over, by a successor that is up first.
type sockets struct {
	app    *App
	dialer *websocket.Dialer // nil: the default one

	mu    sync.Mutex
	links map[*link]bool // guarded by mu
	last  error          // guarded by mu; why there is no connection
	lost  time.Time      // guarded by mu; since when no socket is up; zero while one is
}

func newSockets(a *App) *sockets {
	return &sockets{app: a, links: map[*link]bool{}, last: errors.New("slack: not connected yet"), lost: time.Now()}
}

// run keeps the connections until ctx ends, or Slack refuses the token for good.
func (s *sockets) run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	for n := range slots {
		wg.Go(func() {
			if err := s.slot(ctx, n); err != nil {
				stop(err)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// slot is one of the two: it opens a connection, and before that one's time is over
// opens its successor and lets go of the old one only then.
func (s *sockets) slot(ctx context.Context, n int) error {
	var old *link
	defer func() {
		if old != nil {
			old.close()
		}
	}()
	// The two are opened apart, so that their ends are apart.
	if !sleep(ctx, time.Duration(n)*100*time.Millisecond) {
		return nil
	}
	for {
		l := s.open(ctx)
		select {
		case <-l.hello:
		case <-l.done:
		case <-ctx.Done():
			l.close()
			return nil
		}
		if old != nil {
			old.close()
			old = nil
		}
		select {
		case <-l.done:
			if err := l.refused(); err != nil {
				return err
			}
			if !sleep(ctx, time.Second) {
				return nil
			}
		case <-time.After(l.lifetime(n)):
			old = l
		case <-ctx.Done():
			l.close()
			return nil
		}
	}
}

// link is one client of the library's, which reconnects by itself.
type link struct {
	set    *sockets
	client *socketmode.Client
	cancel context.CancelFunc
	hello  chan struct{} // closed at the first hello
	done   chan struct{} // closed when the client has given up
	once   sync.Once
	err    error // set before done is closed
	up     atomic.Bool
	heard  atomic.Int64 // Unix nanoseconds of the last bytes from Slack
	lasts  atomic.Int64 // nanoseconds that Slack says the connection will live
}

func (s *sockets) open(ctx context.Context) *link {
	ctx, cancel := context.WithCancel(ctx)
	l := &link{set: s, cancel: cancel, hello: make(chan struct{}), done: make(chan struct{})}
	l.client = socketmode.New(s.app.web.socket, socketmode.OptionDialer(l.dialer(s.dialer)), socketmode.OptionReadLimit(16<<20))
	s.mu.Lock()
	s.links[l] = true
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		l.err = l.client.RunContext(ctx)
		close(ended)
	}()
	go func() {
		l.read(ended)
		s.mu.Lock()
		delete(s.links, l)
		s.mu.Unlock()
		s.count()
		close(l.done)
	}()
	return l
}

// close ends the connection and waits for what was received on it.
func (l *link) close() {
	l.cancel()
	<-l.done
}

// refused is the error if Slack will never accept this token.
func (l *link) refused() error {
	if l.err == nil || !permanent(l.err) && l.err.Error() != "invalid_auth" {
		return nil
	}
	return fmt.Errorf("slack refuses the app-level token (SLACK_APP_TOKEN): %s", l.set.app.web.safe(l.err))
}

// lifetime is how long a connection is used: somewhat less than Slack promises, and
// different for the two slots.
func (l *link) lifetime(n int) time.Duration {
	whole := time.Duration(l.lasts.Load())
	if whole <= 0 {
		whole = time.Hour
	}
	return whole * time.Duration(70+15*n) / 100
}

// dialer watches the bytes of the connection: the client library tells nobody of
// PINGs, nor that it has closed the socket.
func (l *link) dialer(base *websocket.Dialer) *websocket.Dialer {
	if base == nil {
		base = &websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: 20 * time.Second, WriteBufferSize: 32 * 1024}
	}
	d := *base
	inner := d.NetDialContext
	if inner == nil {
		inner = (&net.Dialer{Timeout: 15 * time.Second}).DialContext
	}
	d.NetDialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := inner(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &watched{Conn: c, link: l}, nil
	}
	return &d
}

// watched is a connection that reports its life.
type watched struct {
	net.Conn
	link *link
}

// Read implements [net.Conn].
func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if n > 0 {
		w.link.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

// Close implements [net.Conn].
func (w *watched) Close() error {
	w.link.up.Store(false)
	w.link.set.count()
	return w.Conn.Close()
}

// read takes what the client hands on until it has ended and all is taken.
func (l *link) read(ended <-chan struct{}) {
	for {
		select {
		case ev := <-l.client.Events:
			l.take(ev)
		case <-ended:
			for {
				select {
				case ev := <-l.client.Events:
					l.take(ev)
				default:
					return
				}
			}
		}
	}
}

func (l *link) take(ev socketmode.Event) {
	switch data := ev.Data.(type) {
	case *slack.ConnectionErrorEvent:
		l.set.failed(data.ErrorObj)
		return
	case *socketmode.ErrorBadMessage:
		// The library could not decode it, perhaps a new kind of event. Slack
		// repeats it for ever unless it is acknowledged.
		l.set.app.receive(l, envelope{payload(data.Message).str("envelope_id"), payload(data.Message).str("type"), payload(data.Message).at("payload")})
		return
	}
	switch {
	case ev.Type == socketmode.EventTypeHello:
		l.greeted(ev.Request)
	case ev.Request != nil && ev.Request.EnvelopeID != "":
		l.set.app.receive(l, envelope{ev.Request.EnvelopeID, ev.Request.Type, payload(ev.Request.Payload)})
	}
}

// greeted marks the socket as usable: Slack sends to it from here on.
func (l *link) greeted(req *socketmode.Request) {
	if req != nil {
		l.lasts.Store(int64(time.Duration(req.DebugInfo.ApproximateConnectionTime) * time.Second))
	}
	l.heard.Store(time.Now().UnixNano())
	l.up.Store(true)
	l.set.app.stats.connected()
	l.set.count()
	l.once.Do(func() { close(l.hello) })
}

// ack acknowledges an envelope. It never waits longer than Slack does: without a
// socket the library would block for ever. That it returns without an error does
// not mean that Slack has it, so every command can be repeated.
func (l *link) ack(id string, answer any, since time.Time) bool {
	ctx, cancel := context.WithDeadline(context.Background(), since.Add(ackLimit))
	defer cancel()
	err := l.client.AckCtx(ctx, id, answer)
	l.set.app.stats.acked(time.Since(since), err == nil)
	if err != nil {
		l.set.app.log.Warn("an envelope could not be acknowledged", "error", err)
	}
	return err == nil
}

// envelope is one delivery: what comes over a socket, or by a request.
type envelope struct {
	id, kind string
	payload  payload
}

// MarshalJSON keeps payloads readable where they are written out.
func (p payload) MarshalJSON() ([]byte, error) { return json.RawMessage(p).MarshalJSON() }

// alive reports whether Slack speaks on the socket.
func (l *link) alive() bool {
	return l.up.Load() && time.Since(time.Unix(0, l.heard.Load())) < silence
}

// up counts the sockets that are alive.
func (s *sockets) up() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.upLocked()
}

func (s *sockets) upLocked() int {
	n := 0
	for l := range s.links {
		if l.alive() {
			n++
		}
	}
	return n
}

// count notices the first and the last socket. What was said in a thread while none
// was up is read from Slack afterwards.
func (s *sockets) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n := s.upLocked(); {
	case n == 0 && s.lost.IsZero():
		s.lost = time.Now()
	case n > 0 && !s.lost.IsZero():
		s.lost, s.last = time.Time{}, nil
		s.app.out.add(backfillLane, "backfill", s.app.backfill)
	}
}

// failed keeps why a connection could not be opened: the library goes on trying in
// silence, also where only an operator can help.
func (s *sockets) failed(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	text := s.app.web.safe(err)
	s.mu.Lock()
	s.last = fmt.Errorf("slack: cannot connect: %s%s", text, advice(slackError(err)))
	s.mu.Unlock()
	s.app.log.Warn("slack: cannot connect", "error", text+advice(slackError(err)))
}

// advice says what an operator can do about an error.
func advice(code string) string {
	switch code {
	case "missing_scope":
		return " (a scope is missing: compare the app with `countersign slack manifest`; the app-level token needs connections:write)"
	case "not_allowed_token_type":
		return " (SLACK_APP_TOKEN must be an app-level token, xapp-…)"
	case "too_many_websockets":
		return " (more than ten connections: is the bot running elsewhere?)"
	}
	return ""
}

// ready says why no socket is up.
func (s *sockets) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.upLocked() > 0:
		return nil
	case s.last != nil:
		return s.last
	}
	return errors.New("slack: the connection is lost, and is being made anew")
}
