package slacksim

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Chaos makes Slack misbehave all the time, for tests.
type Chaos struct {
	Duplicate       bool          // every envelope is delivered twice
	Reorder         bool          // events are delayed by chance, so that they overtake each other
	DisconnectEvery time.Duration // one socket is disconnected that often, in changing ways
	// OddPayloads sends what Slack does send now and then: "values": [] where nothing is chosen, a
	// block of an unknown type in the clicked message, a null team.
	OddPayloads bool
}

// Fault is one order to misbehave. Its JSON form is that of the page's developer panel.
type Fault struct {
	// Disconnect is "warning", "refresh_requested" (closed after the warning period),
	// "link_disabled" (closed at once) or "now" (cut without a word). All sockets are concerned.
	Disconnect string `json:"disconnect,omitempty"`
	// Duplicate switches the double delivery of envelopes on or off.
	Duplicate *bool `json:"duplicate,omitempty"`
	// LatencyMS delays every API answer by that many milliseconds.
	LatencyMS *int `json:"latency_ms,omitempty"`
	// SkewMS shifts the time that the headers of API answers tell.
	SkewMS *int `json:"skew_ms,omitempty"`
	// Fail lets the next calls of a method fail.
	Fail *FailCalls `json:"fail,omitempty"`
	// Clear ends all faults.
	Clear bool `json:"clear,omitempty"`
}

// FailCalls says how the next calls of an API method fail.
type FailCalls struct {
	Method string `json:"method"` // "chat.postMessage", or "*" for all
	// Error is an error of Slack's, or one of: "ratelimited" (429), "500" (an HTML page),
	// "cut_before" and "cut_after" (the connection breaks before or after the effect).
	Error      string `json:"error"`
	Times      int    `json:"times"`       // 0 means 1
	RetryAfter int    `json:"retry_after"` // seconds, for ratelimited; 0 means 1
}

// faults are the orders in force.
type faults struct {
	mu      sync.Mutex
	latency time.Duration
	skew    time.Duration
	fail    []FailCalls
}

// Fault makes Slack misbehave.
func (s *Server) Fault(f Fault) error {
	if f.Clear {
		s.faults.clear()
		s.hub.setDuplicate(s.cfg.Chaos.Duplicate)
	}
	if f.Duplicate != nil {
		s.hub.setDuplicate(*f.Duplicate)
	}
	s.faults.add(f)
	switch f.Disconnect {
	case "":
	case "warning", "refresh_requested", "link_disabled", "now":
		s.hub.disconnect(f.Disconnect, nil)
	default:
		return fmt.Errorf("unknown kind of disconnect %q", f.Disconnect)
	}
	return nil
}

func (h *hub) setDuplicate(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.chaos.Duplicate = on
}

func (f *faults) add(o Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o.LatencyMS != nil {
		f.latency = time.Duration(*o.LatencyMS) * time.Millisecond
	}
	if o.SkewMS != nil {
		f.skew = time.Duration(*o.SkewMS) * time.Millisecond
	}
	if o.Fail != nil {
		one := *o.Fail
		one.Times = max(one.Times, 1)
		one.RetryAfter = max(one.RetryAfter, 1)
		f.fail = append(f.fail, one)
	}
}

func (f *faults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latency, f.skew, f.fail = 0, 0, nil
}

// date is what an answer says that the time is.
func (f *faults) date(now time.Time) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return now.Add(f.skew).UTC().Format(http.TimeFormat)
}

// take returns the delay for a call, and how it is to fail: nil for not at all.
func (f *faults) take(method string) (time.Duration, *FailCalls) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.fail {
		one := f.fail[i]
		if one.Method != method && one.Method != "*" {
			continue
		}
		if f.fail[i].Times--; f.fail[i].Times == 0 {
			f.fail = slices.Delete(f.fail, i, i+1)
		}
		return f.latency, &one
	}
	return f.latency, nil
}

// limits counts calls, for the rate tiers.
type limits struct {
	on bool
	mu sync.Mutex
	at map[string][]time.Time
}

// exceeded reports whether the call is one too many within the minute, and in how many
// seconds to come again.
func (l *limits) exceeded(key string, perMinute int) (bool, int) {
	if !l.on || perMinute == 0 {
		return false, 0
	}
	return l.count(key, perMinute)
}

// count counts a call, unless it is one too many.
func (l *limits) count(key string, perMinute int) (tooMany bool, seconds int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[string][]time.Time{}
	}
	now := time.Now()
	calls := slices.DeleteFunc(l.at[key], func(t time.Time) bool { return now.Sub(t) > time.Minute })
	if len(calls) >= perMinute {
		l.at[key] = calls
		return true, int((time.Minute - now.Sub(calls[0])).Seconds()) + 1
	}
	l.at[key] = append(calls, now)
	return false, 0
}
