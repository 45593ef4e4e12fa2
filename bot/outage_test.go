package bot_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"
)

// An outage is something that is down now and then, each time in another way:
// it fails, it hangs, or it has its effect once more and then fails.
type outage struct {
	mu    sync.Mutex // guards all below
	how   fault      // empty while it is up
	since time.Time  // when that began
	times int
	total time.Duration
}

// come and go until the context ends: some days apart, up to six hours long.
func (o *outage) come(ctx context.Context, rng *rand.Rand, apart time.Duration) {
	for pause(ctx, time.Duration(rng.Int64N(int64(2*apart)))) == nil {
		o.set([]fault{fails, hangs, failsAfter}[rng.IntN(3)])
		long := rng.Float64()
		_ = pause(ctx, time.Duration(long*long*float64(6*time.Hour)))
		o.set("")
	}
}

func (o *outage) set(how fault) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.how = how; how != "" {
		o.times++
	} else {
		o.total += time.Since(o.since)
	}
	o.since = time.Now()
}

// upFor is how long it has been up; zero while it is down.
func (o *outage) upFor() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.how != "" {
		return 0
	}
	return time.Since(o.since)
}

func (o *outage) is() fault {
	o.mu.Lock()
	defer o.mu.Unlock()
	how := o.how
	if how == failsAfter {
		o.how = fails
	}
	return how
}

// through makes a call, if that is possible now.
func (o *outage) through(ctx context.Context, call func() error) error {
	switch o.is() {
	case fails:
		return bottest.ErrInjected
	case failsAfter:
		_ = call()
		return bottest.ErrInjected
	case hangs:
		<-ctx.Done()
		return ctx.Err()
	}
	return call()
}

// downLog is a log with outages.
type downLog struct {
	ledger.Store
	*outage
}

func (d downLog) Append(ctx context.Context, on ledger.Tail, files []ledger.File) (commits []string, err error) {
	err = d.through(ctx, func() error {
		commits, err = d.Store.Append(ctx, on, files)
		return err
	})
	return commits, err
}

func (d downLog) Scan(ctx context.Context, after string, fn func(ledger.File) error) (string, error) {
	if d.upFor() == 0 {
		return after, bottest.ErrInjected
	}
	return d.Store.Scan(ctx, after, fn)
}

func (d downLog) Read(ctx context.Context, dir string) ([]ledger.File, error) {
	if d.upFor() == 0 {
		return nil, bottest.ErrInjected
	}
	return d.Store.Read(ctx, dir)
}

// downProvider is a provider with outages.
type downProvider struct {
	bot.Provider
	*outage
}

func (d downProvider) Subject(ctx context.Context, t access.Target, who access.Account) (subject string, err error) {
	err = d.through(ctx, func() error {
		subject, err = d.Provider.Subject(ctx, t, who)
		return err
	})
	return subject, err
}

func (d downProvider) Has(ctx context.Context, t access.Target, subject string) (has access.Presence, err error) {
	err = d.through(ctx, func() error {
		has, err = d.Provider.Has(ctx, t, subject)
		return err
	})
	return has, err
}

func (d downProvider) Grant(ctx context.Context, o access.Order) error {
	return d.through(ctx, func() error { return d.Provider.Grant(ctx, o) })
}

func (d downProvider) Revoke(ctx context.Context, o access.Order) error {
	return d.through(ctx, func() error { return d.Provider.Revoke(ctx, o) })
}

// downObserver is one that observes.
type downObserver struct{ downProvider }

func (d downObserver) GrantObserving(ctx context.Context, o access.Order) (before access.Presence, err error) {
	err = d.through(ctx, func() error {
		before, err = d.Provider.(bot.Observer).GrantObserving(ctx, o)
		return err
	})
	return before, err
}
