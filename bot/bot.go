package bot

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"countersign/bot/access"

	"github.com/oklog/ulid/v2"
)

// A Ledger records events and folds them into requests. It is safe for
// concurrent use. *ledger.Ledger is the real one.
type Ledger interface {
	// Update changes a request by what decide makes of its present state, and
	// decides again where that has moved on. It returns decide's error as it is.
	Update(ctx context.Context, id string, decide func(access.Request) ([]access.Event, error)) (access.Request, error)
	// File is an Update that begins a request, once for each delivery.
	File(ctx context.Context, id, delivery string, decide func(access.Request) ([]access.Event, error)) (access.Request, error)
	// Sync reads what others have written and names the requests that changed.
	Sync(ctx context.Context) ([]string, error)
	// Request is the present state of one request.
	Request(id string) (access.Request, bool)
	// Open are the requests that have not ended.
	Open() []access.Request
	// Granted are those by which an account was ever to get an access, ended
	// ones too.
	Granted(ctx context.Context, t access.Target, subject string) ([]access.Request, error)
	// Ended are those that have ended since then.
	Ended(ctx context.Context, since time.Time) ([]access.Request, error)
	// Unreviewed are those whose use of break-glass nobody has reviewed.
	Unreviewed() []access.Request
	// Alarmed are the ended ones for which an alarm was raised that is not
	// resolved, see [access.Alarmed].
	Alarmed() []access.Request
}

// A Notifier tells people. Its methods never block; what it shows is a function
// of the state, so that telling twice is harmless.
type Notifier interface {
	// Changed says that a request has a new state: show it, and pay the notices
	// that are owed.
	Changed(id string)
	// Remind asks the approvers once more.
	Remind(id string)
	// RulesChanged says that other rules are in force.
	RulesChanged()
	// Announce posts a sentence to the approval channel.
	Announce(text string)
}

// Config is what a [Bot] is made of. Entropy and what follows may be
// left unset.
type Config struct {
	Ledger    Ledger
	Rules     *Rulebook
	Providers map[string]Provider // by the name that resources use
	Notifier  Notifier
	Now       func() time.Time
	Log       *slog.Logger
	Entropy   io.Reader // for the ids of requests; unset: crypto/rand

	Directories map[string]Directory // by the kind of group: github, slack
	OnCall      map[string]OnCall    // by the integration: pagerduty, incidentio
	Allowances  Allowances

	Sweeps Sweeps // unset: nobody asks who has an access that the log knows nothing of

	Alarm Alarm // unset: nobody is woken by what fails

	AllowanceNotifier AllowanceNotifier // unset: nobody is told that a pre-approval ends
}

// A Bot is the application: it decides commands and pays what the log owes.
type Bot struct {
	Config
	engine *engine
	wake   chan struct{}

	mu    sync.Mutex // guards Entropy
	glass sync.Mutex // one use of break-glass at a time: each looks for those before it
}

// New returns a bot that does nothing until [Bot.Run].
func New(c Config) (*Bot, error) {
	switch {
	case c.Ledger == nil:
		return nil, errors.New("bot: no ledger")
	case c.Rules == nil:
		return nil, errors.New("bot: no rules")
	case c.Notifier == nil:
		return nil, errors.New("bot: no notifier")
	case c.Now == nil:
		return nil, errors.New("bot: no clock")
	case c.Log == nil:
		return nil, errors.New("bot: no log")
	}
	if c.Entropy == nil {
		c.Entropy = rand.Reader
	}
	b := &Bot{Config: c, wake: make(chan struct{}, 1)}
	b.engine = newEngine(b)
	return b, nil
}

// writeTimeout is how long a decision may wait for the log. After it the person
// is told that nothing was decided.
const writeTimeout = 10 * time.Second

// Handle decides a command and records what was decided. It returns the request
// as it stands then. The error is an [access.Refusal] for the person who acted,
// or a fault: then the person must be told that it could not be recorded.
func (b *Bot) Handle(ctx context.Context, c access.Command) (access.Request, error) {
	if c.Do == nil {
		return access.Request{}, errors.New("bot: a command without an action")
	}
	id, _ := c.Do.Target()
	r, ok := b.Ledger.Request(id)
	if !ok && id != "" {
		return r, access.Refuse(access.NoSuchRequest, "There is no such request.")
	}
	if access.BreaksGlass(c.Do) {
		b.glass.Lock()
		defer b.glass.Unlock()
	}
	for range rulesTries {
		r, err := b.try(ctx, c, id, r)
		if !errors.Is(err, errStale) {
			return r, err
		}
	}
	return r, errStale
}

// rulesTries is how often a decision is taken anew because other rules have
// come into force while its facts were asked for.
const rulesTries = 5

// errStale says that other rules are in force than those of the facts.
var errStale = errors.New("bot: the configuration changed while this was decided")

// try gathers the facts and decides by them.
func (b *Bot) try(ctx context.Context, c access.Command, id string, r access.Request) (access.Request, error) {
	f := b.facts(ctx, c, r)
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if id == "" {
		return b.file(ctx, f, c.Do)
	}
	r, err := b.Ledger.Update(ctx, id, b.decideNow(f, c.Do))
	if refusal, ok := access.AsRefusal(err); ok {
		b.note(ctx, id, f, c.Do, refusal)
		return r, err
	}
	if !errors.Is(err, errStale) {
		b.touched(id)
	}
	return r, err
}

func (b *Bot) file(ctx context.Context, f access.Facts, a access.Action) (access.Request, error) {
	id, err := b.newID()
	if err != nil {
		return access.Request{}, err
	}
	f.New = id
	r, err := b.Ledger.File(ctx, id, f.ID, b.decideNow(f, a))
	if err == nil {
		b.touched(r.ID)
	}
	return r, err
}

// decideNow decides, unless other rules have come into force: somebody who was
// a reviewer when the facts were asked for may be none any more.
func (b *Bot) decideNow(f access.Facts, a access.Action) func(access.Request) ([]access.Event, error) {
	decide := b.decide(f, a)
	return func(r access.Request) ([]access.Event, error) {
		if b.Rules.Current().Commit != f.Rules.Commit {
			return nil, errStale
		}
		return decide(r)
	}
}

func (b *Bot) decide(f access.Facts, a access.Action) func(access.Request) ([]access.Event, error) {
	return func(r access.Request) ([]access.Event, error) {
		f.Now = b.Now()
		return access.Decide(f, r, a)
	}
}

// note records a refusal. That it could not be recorded is no reason to let
// the action through, nor to hide the reason from the person.
func (b *Bot) note(ctx context.Context, id string, f access.Facts, a access.Action, why *access.Refusal) {
	f.ID += ":refused"
	_, err := b.Ledger.Update(ctx, id, func(r access.Request) ([]access.Event, error) {
		f.Now = b.Now()
		return access.Note(f, r, a, why), nil
	})
	if err != nil {
		b.Log.Error("a refusal could not be recorded", "request", id, "code", why.Code, "err", err)
	}
}

func (b *Bot) newID() (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, err := ulid.New(ulid.Timestamp(b.Now()), b.Entropy)
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return id.String(), nil
}

// touched is called after every change of a request, whoever made it.
func (b *Bot) touched(id string) {
	b.Notifier.Changed(id)
	b.rouse()
}

// rouse makes [Bot.Run] look at once.
func (b *Bot) rouse() {
	select {
	case b.wake <- struct{}{}:
	default: // a look is already due
	}
}
