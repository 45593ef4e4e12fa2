package slackapp

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// Stats are counters since the start, for the operator.
type Stats struct {
	Acks        uint64        // envelopes acknowledged
	AcksFailed  uint64        // acknowledgements that could not be sent in time
	AckP50      time.Duration // of the last 1,000: from the arrival of an envelope to its acknowledgement
	AckP99      time.Duration
	AckMax      time.Duration // since the start
	Calls       uint64        // requests to the Web API
	CallErrors  uint64        // without an answer, or with another status than 200
	RateLimited uint64        // answered with 429
	Connects    uint64        // sockets that were opened
	Sockets     int           // sockets that are up now; 0 in HTTP mode
	Waiting     int           // messages and updates that wait to be sent
}

// counters collect them.
type counters struct {
	mu   sync.Mutex
	s    Stats           // guarded by mu
	last []time.Duration // guarded by mu; a ring of the last acknowledgements
	at   int             // guarded by mu
}

func newCounters() *counters { return &counters{} }

func (c *counters) acked(d time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ok {
		c.s.AcksFailed++
		return
	}
	c.s.Acks++
	c.s.AckMax = max(c.s.AckMax, d)
	if len(c.last) < 1000 {
		c.last = append(c.last, d)
		return
	}
	c.last[c.at] = d
	c.at = (c.at + 1) % len(c.last)
}

func (c *counters) called(resp *http.Response, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.Calls++
	switch {
	case err != nil:
		c.s.CallErrors++
	case resp.StatusCode == http.StatusTooManyRequests:
		c.s.RateLimited++
	case resp.StatusCode != http.StatusOK:
		c.s.CallErrors++
	}
}

func (c *counters) connected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.Connects++
}

// Stats are the counters as they stand.
func (a *App) Stats() Stats {
	c := a.stats
	c.mu.Lock()
	s, last := c.s, slices.Clone(c.last)
	c.mu.Unlock()
	slices.Sort(last)
	if n := len(last); n > 0 {
		s.AckP50, s.AckP99 = last[n/2], last[n*99/100]
	}
	s.Sockets, s.Waiting = a.in.up(), a.out.waiting()
	return s
}
