package bottest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/bot/ledger"
)

// A Checkpoint keeps in memory what a ledger saves. It refuses what a real one
// could not hold. Its zero value is empty. It is safe for concurrent use.
type Checkpoint struct {
	mu     sync.Mutex
	mark   ledger.Mark
	places map[string]ledger.Place
	keys   map[string]map[string]bool // ids, by key
	fault  func(method string) error
	resets int
}

// Interrupt sets what is asked before each method; its error is returned. Nil
// ends it.
func (c *Checkpoint) Interrupt(f func(method string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = f
}

// Change changes what is kept, as damage does.
func (c *Checkpoint) Change(f func(m *ledger.Mark, places map[string]ledger.Place)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.mark, c.places)
}

// Resets is how often everything was forgotten.
func (c *Checkpoint) Resets() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resets
}

// Load implements [ledger.Checkpoint].
func (c *Checkpoint) Load(_ context.Context, late time.Duration) (ledger.Mark, []ledger.Place, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.asked("Load"); err != nil {
		return ledger.Mark{}, nil, err
	}
	var newest time.Time
	for _, p := range c.places {
		if p.Last.After(newest) {
			newest = p.Last
		}
	}
	var out []ledger.Place
	for _, p := range c.places {
		if p.Open || p.Last.After(newest.Add(-late)) {
			out = append(out, p)
		}
	}
	return c.mark, out, nil
}

// Save implements [ledger.Checkpoint].
func (c *Checkpoint) Save(_ context.Context, m ledger.Mark, changes []ledger.Change) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.asked("Save"); err != nil {
		return err
	}
	if c.places == nil {
		c.places, c.keys = map[string]ledger.Place{}, map[string]map[string]bool{}
	}
	for _, x := range changes {
		requests := strings.HasPrefix(x.Dir, "requests/")
		switch {
		case x.ID == "" || !strings.HasSuffix(x.Dir, "/"+x.ID) || len(x.Commits) == 0 || slices.Contains(x.Commits, ""):
			return fmt.Errorf("a place that says nothing: %+v", x.Place)
		case requests && (len(x.Entries) != len(x.Commits) || x.Request.Seq != len(x.Commits) || x.Request.ID != x.ID):
			return fmt.Errorf("%s: a request of %d events, %d entries, %d commits", x.ID, x.Request.Seq, len(x.Entries), len(x.Commits))
		}
		c.places[x.ID] = x.Place
		for _, k := range x.Keys {
			if c.keys[k] == nil {
				c.keys[k] = map[string]bool{}
			}
			c.keys[k][x.ID] = true
		}
	}
	c.mark = m
	return nil
}

// Find implements [ledger.Checkpoint].
func (c *Checkpoint) Find(_ context.Context, idOrKey string) ([]ledger.Place, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.asked("Find"); err != nil {
		return nil, err
	}
	if p, ok := c.places[idOrKey]; ok {
		return []ledger.Place{p}, nil
	}
	var out []ledger.Place
	for id := range c.keys[idOrKey] {
		out = append(out, c.places[id])
	}
	return out, nil
}

// Reset implements [ledger.Checkpoint].
func (c *Checkpoint) Reset(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.asked("Reset"); err != nil {
		return err
	}
	c.mark, c.places, c.keys, c.resets = ledger.Mark{}, nil, nil, c.resets+1
	return nil
}

// asked is called first by each method. The caller holds mu.
func (c *Checkpoint) asked(method string) error {
	if c.fault == nil {
		return nil
	}
	return c.fault(method)
}
