package bot

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"countersign/bot/access"

	"github.com/robfig/cron/v3"
)

// Intervals say how often the bot looks at the world by itself.
type Intervals struct {
	Reconcile time.Duration // the net under the timer; unset: 5 s
	Config    time.Duration // how often the config branch is looked at; unset: 30 s
	Sweep     time.Duration // how often the providers are asked what they hold; unset: 1 h, negative: never
}

// Run pays what the log owes, until the context ends: at once, whenever a
// request changes, at the next moment when something falls due, and by cron as
// the net under both. It then waits for the effects under way.
func (b *Bot) Run(ctx context.Context, every Intervals) error {
	if every.Reconcile <= 0 {
		every.Reconcile = 5 * time.Second
	}
	if every.Config <= 0 {
		every.Config = 30 * time.Second
	}
	if every.Sweep == 0 {
		every.Sweep = time.Hour
	}
	log := cronLog{b.Log}
	c := cron.New(cron.WithLocation(time.UTC), cron.WithLogger(log),
		cron.WithChain(cron.SkipIfStillRunning(log), cron.Recover(log)))
	c.Schedule(cron.Every(every.Reconcile), cron.FuncJob(func() { b.look(ctx) }))
	c.Schedule(cron.Every(every.Config), cron.FuncJob(func() { b.PollRules(ctx) }))
	if every.Sweep > 0 {
		b.engine.settling = min(settling, every.Sweep)
		c.Schedule(cron.Every(every.Sweep), cron.FuncJob(func() { b.Sweep(ctx) }))
	}
	b.engine.leftAlarms(ctx)
	b.engine.start(ctx)
	c.Start()
	defer func() {
		<-c.Stop().Done()
		b.engine.wait()
	}()
	for {
		timer := time.NewTimer(b.untilNext())
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-b.wake:
		case <-timer.C:
		}
		timer.Stop()
		b.engine.start(ctx)
	}
}

// look reads what other writers have added and starts what is due.
func (b *Bot) look(ctx context.Context) {
	if err := b.sync(ctx); err != nil && ctx.Err() == nil {
		b.Log.Error("the log cannot be read", "err", err)
	}
	b.engine.start(ctx)
}

// sync reads what other writers have added.
func (b *Bot) sync(ctx context.Context) error {
	changed, err := b.Ledger.Sync(ctx)
	for _, id := range changed {
		b.Notifier.Changed(id)
	}
	return err
}

// Reconcile pays everything that is due now and waits for it.
func (b *Bot) Reconcile(ctx context.Context) {
	b.engine.start(ctx)
	b.engine.wait()
}

// settlePatience is how long the start may be held up by what is overdue.
const settlePatience = 30 * time.Second

// WorkOff begins to pay what is owed, and returns when each access that is past
// its end was tried to be taken away, after half a minute at the latest: what
// hangs then goes on by itself. Call it before anybody can ask for anything. Run
// goes on with what it began, so give both the same context.
func (b *Bot) WorkOff(ctx context.Context) {
	overdue := map[string]bool{}
	rules, now := b.Rules.Current(), b.Now()
	for _, r := range b.Ledger.Open() {
		if access.Due(r, rules, now) == access.DoRevoke {
			overdue[r.ID] = true
		}
	}
	b.engine.start(ctx)
	if len(overdue) == 0 {
		return
	}
	b.Log.Info("working off what is overdue", "accesses", len(overdue))
	patience := time.NewTimer(settlePatience)
	defer patience.Stop()
	for _, ended := range b.engine.underWay(func(id string) bool { return overdue[id] }) {
		select {
		case <-ended:
		case <-patience.C:
			b.Log.Warn("some of what is overdue hangs; starting all the same")
			return
		case <-ctx.Done():
			return
		}
	}
}

// untilNext is how long nothing falls due by itself, an hour at most. What is
// overdue already is being paid, or waits for its retry.
func (b *Bot) untilNext() time.Duration {
	rules, now := b.Rules.Current(), b.Now()
	wait := time.Hour
	for _, r := range b.Ledger.Open() {
		for _, at := range []time.Time{access.Next(r, rules), r.Expires(), b.engine.retryAt(r.ID)} {
			if at.After(now) {
				wait = min(wait, at.Sub(now))
			}
		}
	}
	for _, at := range b.nextAhead() {
		if at.After(now) {
			wait = min(wait, at.Sub(now))
		}
	}
	return max(wait, 10*time.Millisecond)
}

// PollRules looks at the config branch, and says so where other rules are in
// force, or where a commit was not taken.
func (b *Bot) PollRules(ctx context.Context) {
	call, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	change, err := b.Rules.Poll(call)
	switch {
	case ctx.Err() != nil: // the program ends, which is no fault
	case err != nil:
		b.Log.Error("the configuration cannot be looked at; the last good one stays in force", "err", err)
	default:
		b.Told(call, change)
	}
}

// Told announces a change of the rules, or that there was none to be had.
func (b *Bot) Told(ctx context.Context, c Change) {
	if c.Refused != nil {
		b.Log.Error("configuration refused; the last good one stays in force", "commit", c.Commit, "in_force", b.Rules.Current().Commit, "err", c.Refused)
	}
	if c.New != nil {
		b.Log.Info("configuration in force", "commit", c.New.Commit, "reviewers", len(c.New.Reviewers), "resources", len(c.New.Resources))
		b.Notifier.RulesChanged()
	}
	if text := b.Rules.announcement(ctx, c); text != "" {
		b.Notifier.Announce(text)
	}
}

// cronLog gives cron's words to slog. Its info is every wake-up: noise.
type cronLog struct{ log *slog.Logger }

func (l cronLog) Info(msg string, args ...any) {
	if msg == "skip" {
		l.log.Debug("the previous look is still under way")
	}
}

func (l cronLog) Error(err error, msg string, args ...any) {
	l.log.Error("cron: "+msg, append([]any{"err", fmt.Sprint(err)}, args...)...)
}
