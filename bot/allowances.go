package bot

import (
	"context"
	"errors"
	"maps"
	"time"

	"countersign/bot/access"
)

// Allowances are the recorded pre-approvals. *ledger.Ledger is the real one.
type Allowances interface {
	// Allow records one, once for each delivery. It returns decide's error as it is.
	Allow(ctx context.Context, id, delivery string, decide func() (access.Allowance, error)) (access.Allowance, error)
	// Withdraw ends one.
	Withdraw(ctx context.Context, id, delivery string, by access.Person, config string, now time.Time, decide func(access.Allowance) error) error
	// Remind records that somebody was told that one ends. What stands there
	// already, or was withdrawn meanwhile, is no error and not recorded.
	Remind(ctx context.Context, id, delivery, config string, r access.EndReminder) error
	// Allowances are all there are, newest first.
	Allowances() []access.Allowance
}

// An AllowanceNotifier tells people of pre-approvals that end.
type AllowanceNotifier interface {
	// AllowanceEnding says that people are to be told that a pre-approval ends:
	// those whom [access.Allowance.Unreminded] names, each by a message that is
	// then recorded with [Bot.Reminded]. It never blocks, tries until the message
	// is sent and recorded or owed no more, and may be told twice.
	AllowanceEnding(id string)
}

// errNoAllowances is a bot that was built without them.
var errNoAllowances = errors.New("bot: pre-approvals are not set up")

// Allow makes a pre-approval. The error is a refusal or a fault, as of [Bot.Handle].
func (b *Bot) Allow(ctx context.Context, delivery string, actor access.Actor, a access.Allow) (access.Allowance, error) {
	if b.Config.Allowances == nil {
		return access.Allowance{}, errNoAllowances
	}
	f := access.Facts{ID: delivery, Actor: actor, Rules: b.Rules.Current()}
	if res, ok := f.Rules.Resource(a.Resource); ok {
		f.Members, f.Duties, f.Unreached = b.ask(ctx, access.NeedsOf(res, false, false, f.Rules))
	}
	id, err := b.newID()
	if err != nil {
		return access.Allowance{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	made, err := b.Config.Allowances.Allow(ctx, id, delivery, func() (access.Allowance, error) {
		f.Now = b.Now()
		return access.MakeAllowance(f, a)
	})
	if err == nil {
		b.rouse() // its reminder may fall due before anything else
	}
	return made, err
}

// Withdraw ends a pre-approval. The error is a refusal or a fault.
func (b *Bot) Withdraw(ctx context.Context, delivery string, actor access.Actor, id string) error {
	if b.Config.Allowances == nil {
		return errNoAllowances
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	f := access.Facts{ID: delivery, Actor: actor, Rules: b.Rules.Current()}
	return b.Config.Allowances.Withdraw(ctx, id, delivery, actor.Person, f.Rules.Commit, b.Now(), func(a access.Allowance) error {
		return access.MayWithdraw(f, a)
	})
}

// Reminded records that somebody was told that a pre-approval ends, once the
// message is sent. A crash before it leaves the reminder owed: it is looked for in
// Slack, and at worst sent twice.
func (b *Bot) Reminded(ctx context.Context, delivery, id string, r access.EndReminder) error {
	if b.Config.Allowances == nil {
		return errNoAllowances
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	r.At = b.Now()
	return b.Config.Allowances.Remind(ctx, id, delivery, b.Rules.Current().Commit, r)
}

// renudgeAfter is how long the notifier is left alone with a reminder that is
// owed. It tries by itself; to be told again helps only where it gave up.
const renudgeAfter = time.Hour

// remindAhead hands the reminders that are owed now to the notifier. The log
// says what is owed, so that after a restart all of it is handed over again.
func (e *engine) remindAhead(now time.Time) {
	b := e.b
	if b.Config.Allowances == nil || b.AllowanceNotifier == nil {
		return
	}
	owed := map[string]bool{}
	for _, a := range b.Config.Allowances.Allowances() {
		if len(a.Unreminded(now)) == 0 {
			continue
		}
		owed[a.ID] = true
		if e.nudge(a.ID, now) {
			b.AllowanceNotifier.AllowanceEnding(a.ID)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.nudged, func(id string, _ time.Time) bool { return !owed[id] })
}

// nudge reports whether the notifier has not been told of a pre-approval lately.
func (e *engine) nudge(id string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at, told := e.nudged[id]; told && now.Before(at.Add(renudgeAfter)) {
		return false
	}
	e.nudged[id] = now
	return true
}

// nextAhead are the times at which reminders fall due.
func (b *Bot) nextAhead() []time.Time {
	if b.Config.Allowances == nil || b.AllowanceNotifier == nil {
		return nil
	}
	var out []time.Time
	for _, a := range b.Config.Allowances.Allowances() {
		out = append(out, a.NextReminder())
	}
	return out
}

// ahead are the pre-approvals that may count for a filing, each with the rules
// of its making.
func (b *Bot) ahead(ctx context.Context, rules *access.Rules, principal access.Person, resource string) []access.Ahead {
	if b.Config.Allowances == nil {
		return nil
	}
	var out []access.Ahead
	for _, a := range b.Config.Allowances.Allowances() {
		if a.Resource == resource && a.Stands(b.Now()) && rules.Same(a.For, principal) {
			out = append(out, access.Ahead{Allowance: a, Made: b.Rules.At(ctx, a.Config)})
		}
	}
	return out
}
