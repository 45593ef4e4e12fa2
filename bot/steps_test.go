package bot_test

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"
)

// A fault is what goes wrong at one step.
type fault string

const (
	fails      fault = "fails"       // without effect
	failsAfter fault = "fails_after" // the effect is there, the answer is lost
	hangs      fault = "hangs"       // until whoever waits gives up, without effect
	hangsAfter fault = "hangs_after"
	dies       fault = "dies" // the process does, before the effect
	diesAfter  fault = "dies_after"
)

var everyFault = []fault{fails, failsAfter, hangs, hangsAfter, dies, diesAfter}

// How long a step takes, half of it before its effect: what happens at about
// the same time overlaps.
const (
	writeTakes = 20 * time.Millisecond
	callTakes  = 200 * time.Millisecond
	bootTakes  = 3007 * time.Millisecond
)

// steps are the moments at which bots touch the world: writes of the log, and
// calls of a provider. Each has a name, such as Grant.A.2 for the second order of
// the first request to be filed. A name is the same in every run up to the first
// difference between them, whatever else happens at the same time.
type steps struct {
	*play
	faults map[string]fault // by name

	mu      sync.Mutex        // guards all below
	counts  map[string]int    // by name without the number
	came    []string          // names, in the order in which they came
	letters map[string]string // of requests, by id
	busy    bool              // a call for the one account that there is
}

// between is [world.between].
func (s *steps) between(life context.Context, store ledger.Store, p bot.Provider) (ledger.Store, bot.Provider) {
	c := calls{Provider: p, steps: s, life: life}
	if o, ok := p.(bot.Observer); ok {
		return writes{store, s, life}, observing{c, o}
	}
	return writes{store, s, life}, c
}

// step is one of them. What is left of a bot that has died has no effect.
func (s *steps) step(ctx, life context.Context, name string, takes time.Duration, effect func() error) error {
	if life.Err() != nil {
		return errCrashed
	}
	f := s.meet(name)
	if err := pause(ctx, takes/2); err != nil {
		return err
	}
	if f != fails && f != hangs && f != dies {
		if life.Err() != nil {
			return errCrashed
		}
		if err := effect(); err != nil {
			return err
		}
	}
	switch f {
	case fails, failsAfter:
		return bottest.ErrInjected
	case hangs, hangsAfter:
		<-ctx.Done()
		return ctx.Err()
	case dies, diesAfter:
		s.crash()
		return errCrashed
	}
	return pause(ctx, takes/2)
}

// meet notes that a step has come, and answers with its fault.
func (s *steps) meet(name string) fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[name]++
	name = fmt.Sprintf("%s.%d", name, s.counts[name])
	s.came = append(s.came, name)
	return s.faults[name]
}

// writeFails reports whether a fault is at a write. These are named after events.
func (s *steps) writeFails() bool {
	for name := range s.faults {
		if unicode.IsLower(rune(name[0])) {
			return true
		}
	}
	return false
}

// after are the steps that came after one; all, after none.
func (s *steps) after(name string) []string {
	return s.came[slices.Index(s.came, name)+1:]
}

// letter names a request by when it was filed: A, B and so on. Where the first
// try of a filing fails, the next one is of the same letter.
func (s *steps) letter(id string, filed bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.letters[id]
	if !ok {
		l = string(rune('A' + len(s.letters)))
	}
	if filed {
		s.letters[id] = l
	}
	return l
}

// alone says that a call for the account is under way, and fails the test where
// another is.
func (s *steps) alone(name string) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy {
		s.t.Errorf("%s while another call for the same account is under way", name)
	}
	s.busy = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy = false
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writes are the steps of the log.
type writes struct {
	ledger.Store
	steps *steps
	life  context.Context
}

func (w writes) Append(ctx context.Context, on ledger.Tail, files []ledger.File) (commits []string, err error) {
	_, kind, _ := strings.Cut(path.Base(files[0].Path), "-")
	id := path.Base(on.Dir)
	name := strings.TrimSuffix(kind, ".yaml") + "." + w.steps.letter(id, false)
	err = w.steps.step(ctx, w.life, name, writeTakes, func() error {
		commits, err = w.Store.Append(ctx, on, files)
		if err == nil {
			w.steps.letter(id, true)
		}
		return err
	})
	return commits, err
}

// calls are the steps at a provider.
type calls struct {
	bot.Provider
	steps *steps
	life  context.Context
}

func (c calls) Subject(ctx context.Context, t access.Target, who access.Account) (subject string, err error) {
	err = c.steps.step(ctx, c.life, "Subject", callTakes, func() error {
		subject, err = c.Provider.Subject(ctx, t, who)
		return err
	})
	return subject, err
}

func (c calls) Has(ctx context.Context, t access.Target, subject string) (has access.Presence, err error) {
	defer c.steps.alone("Has")()
	err = c.steps.step(ctx, c.life, "Has", callTakes, func() error {
		has, err = c.Provider.Has(ctx, t, subject)
		return err
	})
	return has, err
}

func (c calls) Grant(ctx context.Context, o access.Order) error {
	return c.grant(ctx, o, func() error { return c.Provider.Grant(ctx, o) })
}

func (c calls) grant(ctx context.Context, o access.Order, effect func() error) error {
	name := "Grant." + c.steps.letter(o.Request, false)
	defer c.steps.alone(name)()
	return c.steps.step(ctx, c.life, name, callTakes, func() error {
		c.steps.mayGrant(o)
		return effect()
	})
}

func (c calls) Revoke(ctx context.Context, o access.Order) error {
	name := "Revoke." + c.steps.letter(o.Request, false)
	defer c.steps.alone(name)()
	return c.steps.step(ctx, c.life, name, callTakes, func() error {
		c.steps.mayRevoke(o)
		return c.Provider.Revoke(ctx, o)
	})
}

// observing are the calls of a [bot.Observer].
type observing struct {
	calls
	to bot.Observer
}

func (o observing) GrantObserving(ctx context.Context, order access.Order) (before access.Presence, err error) {
	err = o.grant(ctx, order, func() error {
		before, err = o.to.GrantObserving(ctx, order)
		return err
	})
	return before, err
}
