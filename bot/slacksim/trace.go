package slacksim

import (
	"encoding/json"
	"regexp"
	"sync"
	"time"
)

const (
	traceSize   = 2000
	latencySize = 20000
)

// Finding is something the app did that Slack would refuse because of a mistake in the
// app, or that is bad manners.
type Finding struct {
	At     time.Time       `json:"at"`
	Kind   string          `json:"kind"` // "invalid_blocks", "unknown_method", "no_ack", …
	Text   string          `json:"text"` // a sentence
	Detail json.RawMessage `json:"detail,omitempty"`
}

// Latency is how long the app took to acknowledge one envelope.
type Latency struct {
	Type string // "slash_commands", "interactive", "events_api"
	What string // "/access", "block_actions", "message", …
	Took time.Duration
}

// Entry is a line of the trace.
type Entry struct {
	N      int             `json:"n"`
	At     string          `json:"at"`   // RFC 3339 with milliseconds
	Kind   string          `json:"kind"` // envelope, ack, api, socket, finding
	Title  string          `json:"title"`
	MS     int64           `json:"ms"`
	OK     bool            `json:"ok"`
	Detail json.RawMessage `json:"detail,omitempty"`
	Socket int             `json:"socket,omitempty"`
}

// trace keeps the last entries, all findings, and the last latencies.
type trace struct {
	now       func() time.Time
	changed   func()
	mu        sync.Mutex
	next      int
	entries   []Entry
	findings  []Finding
	latencies []Latency
}

var secrets = regexp.MustCompile(`\b(xox[a-z]|xapp)-[A-Za-z0-9-]+`)

// redact removes tokens from JSON.
func redact(b []byte) json.RawMessage { return secrets.ReplaceAll(b, []byte("$1-…")) }

func (t *trace) add(e Entry) {
	t.mu.Lock()
	t.next++
	e.N = t.next
	e.At = t.now().UTC().Format("2006-01-02T15:04:05.000Z07:00")
	if e.Detail != nil {
		e.Detail = redact(e.Detail)
	}
	if len(t.entries) >= 2*traceSize {
		t.entries = append(t.entries[:0], t.entries[len(t.entries)-traceSize:]...)
	}
	t.entries = append(t.entries, e)
	t.mu.Unlock()
	t.changed()
}

func (t *trace) finding(kind, text string, detail any) {
	f := Finding{At: t.now(), Kind: kind, Text: text, Detail: redact(raw(detail))}
	t.mu.Lock()
	t.findings = append(t.findings, f)
	t.mu.Unlock()
	t.add(Entry{Kind: "finding", Title: kind + ": " + text, Detail: f.Detail})
}

func (t *trace) latency(l Latency) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.latencies) >= latencySize {
		t.latencies = append(t.latencies[:0], t.latencies[len(t.latencies)-latencySize/2:]...)
	}
	t.latencies = append(t.latencies, l)
}

// after returns the entries numbered above n, and the number to ask with next time.
func (t *trace) after(n int) ([]Entry, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := []Entry{}
	for _, e := range t.entries {
		if e.N > n {
			out = append(out, e)
		}
	}
	return out, t.next
}
