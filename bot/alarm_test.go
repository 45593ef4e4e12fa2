package bot_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
)

// desk is where the operators are woken. It keeps what is open, and every call.
type desk struct {
	mu    sync.Mutex
	down  bool
	open  map[string]string // severity by key
	calls []string
	woke  map[string]bool // keys of alerts that were errors, or worse
}

func (d *desk) Alert(_ context.Context, key, summary, severity string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return errors.New("no route to host")
	}
	if !strings.Contains(summary, key) {
		return fmt.Errorf("the summary does not name the request: %s", summary)
	}
	d.open[key] = severity
	if severity != "warning" {
		if d.woke == nil {
			d.woke = map[string]bool{}
		}
		d.woke[key] = true
	}
	d.calls = append(d.calls, severity)
	return nil
}

func (d *desk) Resolve(_ context.Context, key string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return errors.New("no route to host")
	}
	delete(d.open, key)
	d.calls = append(d.calls, "resolve")
	return nil
}

func (d *desk) said() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

// woken reports whether there ever was an alert of an access that outlived its end.
func (d *desk) woken(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.woke[key]
}

// raised counts the alerts that are open.
func (d *desk) raised() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.open)
}

// TestAlarmGrowsAndResolves: the operators are woken for an end that fails, more
// loudly the longer it does, and it is over when it is over.
func TestAlarmGrowsAndResolves(t *testing.T) {
	d := &desk{open: map[string]string{}}
	run(t, func(w *world) { w.alarm = d }, func(w *world) {
		w.ask()
		time.Sleep(time.Minute)
		w.provider.Inject("Revoke", slices.Repeat([]bottest.Fault{bottest.Fails}, 10_000)...)
		time.Sleep(3 * time.Hour)
		if got, want := d.said(), []string{"warning", "error", "critical"}; !slices.Equal(got, want) {
			t.Errorf("while it fails the operators heard %v, want %v", got, want)
		}
		w.provider.Clear()
		time.Sleep(10 * time.Minute)
		if got := d.said(); d.raised() != 0 || got[len(got)-1] != "resolve" {
			t.Errorf("after its end they heard %v", got)
		}
	})
}

// TestAlarmOutlivesTheBot: what was raised by a bot that died is resolved by the
// next one, also where the access ended in between.
func TestAlarmOutlivesTheBot(t *testing.T) {
	d := &desk{open: map[string]string{}}
	run(t, func(w *world) { w.alarm = d }, func(w *world) {
		r := w.ask()
		time.Sleep(time.Minute)
		w.provider.Inject("Revoke", slices.Repeat([]bottest.Fault{bottest.Fails}, 10_000)...)
		time.Sleep(2 * time.Hour)
		w.provider.Clear()
		d.mu.Lock()
		d.down = true
		d.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if got := w.read(r.ID); got.Status != access.Expired || d.raised() != 1 {
			t.Fatalf("it is %s, and %d alerts are open", got.Status, d.raised())
		}
		w.kill()
		d.mu.Lock()
		d.down = false
		d.mu.Unlock()
		w.start()
		time.Sleep(time.Minute)
		if d.raised() != 0 {
			t.Error("the alert is still open")
		}
		calls := len(d.said())
		w.kill()
		w.start()
		time.Sleep(time.Minute)
		if got := d.said(); len(got) != calls {
			t.Errorf("it is resolved at each start: %v", got)
		}
	})
}
