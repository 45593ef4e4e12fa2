package slacksim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Endpoints are the request URLs of an app in HTTP mode, as they stand in its
// settings. An app may take everything at one of them.
type Endpoints struct {
	Events, Interactive, Commands, Options string
}

// web brings deliveries to the app by requests.
type web struct {
	to     Endpoints
	secret string
	client *http.Client
}

// Deliver switches to HTTP mode: from now on everything goes to these addresses,
// signed with the signing secret of the app. As Slack does before it accepts an
// address for events, it first asks there for a challenge, and changes nothing if the
// answer is wrong. Sockets that are open stay open and get nothing more. The zero
// Endpoints switch back to Socket Mode.
func (s *Server) Deliver(ctx context.Context, to Endpoints) error {
	if to == (Endpoints{}) {
		s.hub.use(nil)
		return nil
	}
	for _, raw := range []string{to.Events, to.Interactive, to.Commands, to.Options} {
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "http" || net.ParseIP(u.Hostname()) == nil || !net.ParseIP(u.Hostname()).IsLoopback() {
			return fmt.Errorf("%q is no http address on loopback", raw)
		}
	}
	if s.cfg.World.App.SigningSecret == "" {
		return errors.New("slacksim: the app has no signing secret")
	}
	w := &web{to: to, secret: s.cfg.World.App.SigningSecret, client: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if err := w.challenge(ctx, s.cfg.World.App.VerificationToken, s.cfg.Timing.Ack); err != nil {
		return err
	}
	s.hub.use(w)
	s.watch.notify("", "sidebar")
	return nil
}

// challenge asks whether the address for events is the app's.
func (w *web) challenge(ctx context.Context, token string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	want := lower(randomID(50))
	body := raw(obj{"type": "url_verification", "token": token, "challenge": want})
	a, err := w.post(ctx, w.to.Events, "application/json", body, nil)
	if err != nil {
		return fmt.Errorf("your URL did not respond: %w", err)
	}
	got := string(a.body)
	var o struct{ Challenge string }
	if json.Unmarshal(a.body, &o) == nil && o.Challenge != "" {
		got = o.Challenge
	}
	if a.status != http.StatusOK || strings.TrimSpace(got) != want {
		return fmt.Errorf("your URL did not respond with the value of the challenge parameter: %d %.80q", a.status, a.body)
	}
	return nil
}

// use sets where deliveries go; nil: to the sockets. What waited for a socket is
// delivered.
func (h *hub) use(w *web) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.web = w
	if w == nil {
		return
	}
	queue := h.queue
	h.queue = nil
	for _, e := range queue {
		h.deliverLocked(e)
	}
}

// byWeb reports whether the app is in HTTP mode.
func (h *hub) byWeb() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.web != nil
}

// requestLocked sends an envelope by a request.
func (h *hub) requestLocked(e *envelope) {
	e.id, e.socket, e.sent = newEnvelopeID(), nil, time.Now()
	h.waiting[e.id] = e
	id, w, twice := e.id, h.web, h.chaos.Duplicate
	h.after(h.timing.Ack, func() { h.expire(id) })
	to, kind, body := w.form(e)
	h.trace.add(Entry{Kind: "envelope", Title: e.describe(), OK: true, Detail: e.payload})
	copied := *e
	go h.request(w, &copied, to, kind, body, twice)
}

// request sends, waits for the answer, and settles the envelope by it.
func (h *hub) request(w *web, e *envelope, to, kind string, body []byte, twice bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*h.timing.Ack) // late answers are told from none
	defer cancel()
	more := http.Header{}
	if e.attempt > 0 {
		more.Set("X-Slack-Retry-Num", strconv.Itoa(e.attempt))
		more.Set("X-Slack-Retry-Reason", e.reason)
	}
	w.sign(more, body, time.Now())
	if twice {
		again := more.Clone()
		go func() { _, _ = w.post(ctx, to, kind, body, again) }() // whatever it is answered
	}
	a, err := w.post(ctx, to, kind, body, more)
	now := time.Now()
	h.mu.Lock()
	open := h.waiting[e.id]
	if open == nil {
		h.mu.Unlock()
		if err == nil && now.Sub(e.sent) > h.timing.Ack {
			h.trace.finding("late_ack", fmt.Sprintf("%s was answered after %s", e.title, now.Sub(e.sent).Round(time.Millisecond)), nil)
		}
		return
	}
	h.settleLocked(open)
	switch {
	case err != nil:
		open.reason = "connection_failed"
	case a.status != http.StatusOK:
		err, open.reason = fmt.Errorf("status %d", a.status), "http_error"
	}
	if err != nil {
		h.trace.add(Entry{Kind: "ack", Title: e.describe() + ": " + err.Error()})
		if a.status >= 300 && a.status < 500 {
			h.trace.finding("bad_status", fmt.Sprintf("%s was answered with %d", e.title, a.status), string(a.body))
		}
		h.lostLocked(open, fmt.Errorf("%w: %v", ErrNotConnected, err))
		h.mu.Unlock()
		return
	}
	h.mu.Unlock()
	h.acked(open, h.readAnswer(e, a), now, 0)
}

// readAnswer is what the body of an answer is as the payload of an ack.
func (h *hub) readAnswer(e *envelope, a answer) json.RawMessage {
	text := strings.TrimSpace(string(a.body))
	switch {
	case text == "":
		return nil
	case json.Valid(a.body) && strings.HasPrefix(text, "{"):
		if !strings.HasPrefix(a.kind, "application/json") && e.accepts {
			h.trace.finding("content_type", fmt.Sprintf("the answer to %s is JSON, and says to be %q", e.title, a.kind), nil)
		}
		return a.body
	}
	return raw(text) // an answer to a command may be a bare text
}

// form is where an envelope goes, and how it looks there.
func (w *web) form(e *envelope) (to, kind string, body []byte) {
	const form = "application/x-www-form-urlencoded"
	switch {
	case e.kind == kindEvent:
		return w.to.Events, "application/json", e.payload
	case e.kind == kindCommand:
		var fields map[string]string
		_ = json.Unmarshal(e.payload, &fields) // made by commandPayload, of texts alone
		values := url.Values{}
		for k, v := range fields {
			values.Set(k, v)
		}
		return w.to.Commands, form, []byte(values.Encode())
	}
	body = []byte(url.Values{"payload": {string(e.payload)}}.Encode())
	if e.title == "block_suggestion" {
		return w.to.Options, form, body
	}
	return w.to.Interactive, form, body
}

// sign adds the signature of a body as of now.
func (w *web) sign(h http.Header, body []byte, now time.Time) {
	stamp := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(w.secret))
	fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	h.Set("X-Slack-Request-Timestamp", stamp)
	h.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
}

// answer is what the app answered.
type answer struct {
	status int
	kind   string
	body   []byte
}

// post sends one request; without more headers, signed as of now.
func (w *web) post(ctx context.Context, to, kind string, body []byte, more http.Header) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if more == nil {
		more = http.Header{}
		w.sign(more, body, time.Now())
	}
	req.Header = more
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Accept", "application/json,*/*")
	req.Header.Set("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
	resp, err := w.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return answer{resp.StatusCode, resp.Header.Get("Content-Type"), b}, err
}
