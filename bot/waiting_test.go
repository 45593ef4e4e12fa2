package bot_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"
)

// A clerk is a provider where somebody has to sign before anything is given or
// taken.
type clerk struct {
	*bottest.Provider
	signed atomic.Bool
}

func (d *clerk) Grant(ctx context.Context, o access.Order) error {
	if !d.signed.Load() {
		return fmt.Errorf("clerk: %w", &access.Awaiting{For: "Somebody signs the way in."})
	}
	return d.Provider.Grant(ctx, o)
}

func (d *clerk) Revoke(ctx context.Context, o access.Order) error {
	if !d.signed.Load() && len(d.Holders(o.Target)) > 0 {
		return fmt.Errorf("clerk: %w", &access.Awaiting{For: "Somebody signs the way out."})
	}
	return d.Provider.Revoke(ctx, o)
}

var _ bot.Provider = (*clerk)(nil)

// waits are the texts of what the log says is waited for, in order.
func (w *world) waits() (texts []string) {
	for _, f := range w.store.Files() {
		e, err := ledger.Read(f)
		if err != nil {
			w.t.Fatal(err)
		}
		switch b := e.Body.(type) {
		case access.GrantFailed:
			texts = append(texts, fmt.Sprint(b.Waiting, " ", b.Error))
		case access.RevokeFailed:
			texts = append(texts, fmt.Sprint(b.Waiting, " ", b.Error))
		}
	}
	return texts
}

// TestWaits: what waits for somebody is no failure. It is recorded once, looked at
// again and again, and done within a minute of when they did their part; the end
// stays owed for as long as it takes.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := &clerk{Provider: w.provider}
		w.broken = d
		w.start()
		defer w.kill()
		r := w.ask()
		time.Sleep(30 * time.Minute)
		now := w.judge(r.ID)
		if now.Status != access.Approved || now.Shown() != access.Approved || now.Failure == nil || !now.Failure.Waiting || now.Failure.Error != "Somebody signs the way in." {
			t.Fatalf("while it waits it is %s, shown as %s, %+v", now.Status, now.Shown(), now.Failure)
		}
		if a := access.AlarmOf(now, time.Now()); a.Severity != "" {
			t.Errorf("nobody is woken for it, but: %+v", a)
		}
		d.signed.Store(true)
		time.Sleep(time.Minute)
		if now = w.judge(r.ID); now.Status != access.Live || now.Failure != nil {
			t.Fatalf("a minute after the signature it is %s, %+v", now.Status, now.Failure)
		}
		d.signed.Store(false)
		time.Sleep(3 * time.Hour)
		if now = w.judge(r.ID); now.Status != access.Live || now.Failure == nil || !now.Failure.Revoking || len(w.provider.Holders(target)) != 1 {
			t.Fatalf("while its end waits it is %s, %+v", now.Status, now.Failure)
		}
		if a := access.AlarmOf(now, time.Now()); a.Severity != "critical" {
			t.Errorf("it has outlived its end by hours, and the alarm is %+v", a)
		}
		d.signed.Store(true)
		time.Sleep(time.Minute)
		w.ends(r.ID, access.Expired, false, 3*time.Hour)
		want := []string{"true Somebody signs the way in.", "true Somebody signs the way out."}
		if got := w.waits(); !slices.Equal(got, want) {
			t.Errorf("the log says %q, want %q", got, want)
		}
	})
}

// TestWaitsNoMore: an access that ends while it waits was never given.
func TestWaitsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.broken = &clerk{Provider: w.provider}
		w.start()
		defer w.kill()
		r := w.ask()
		time.Sleep(2 * time.Hour)
		w.ends(r.ID, access.Expired, false, 10*time.Second)
	})
}
