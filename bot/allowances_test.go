package bot_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot/access"
	"countersign/bot/ledger"

	"github.com/google/go-cmp/cmp"
)

// messenger sends reminders of pre-approvals that end, as the Slack edge does: the
// message first, then the record. It never looks whether one was sent before.
type messenger struct {
	w *world

	mu    sync.Mutex
	sent  map[string]int // by address; guarded by mu, as is all below
	asked int
	deaf  int  // so many calls are forgotten, as when Slack refuses
	dies  bool // the process ends between message and record
}

// AllowanceEnding implements [bot.AllowanceNotifier].
func (m *messenger) AllowanceEnding(id string) {
	m.mu.Lock()
	m.asked++
	forget := m.deaf > 0
	m.deaf--
	m.mu.Unlock()
	if !forget {
		go m.send(id)
	}
}

func (m *messenger) send(id string) {
	time.Sleep(10 * time.Millisecond) // the way to Slack
	m.w.mu.Lock()
	b := m.w.bot
	m.w.mu.Unlock()
	for _, a := range b.Config.Allowances.Allowances() {
		if a.ID != id {
			continue
		}
		for _, to := range a.Unreminded(time.Now()) {
			m.mu.Lock()
			m.sent[to.Email]++
			n, dies := m.sent[to.Email], m.dies
			m.dies = false
			m.mu.Unlock()
			if dies {
				m.w.kill()
				return
			}
			// A bot that has died meanwhile records nothing; the next one is asked anew.
			_ = b.Reminded(context.Background(), fmt.Sprintf("post:%s:%d", to.Slack, n), id, access.EndReminder{To: to, Channel: "D" + to.Slack, TS: "1.2"})
		}
	}
}

// told is what people have got.
func (m *messenger) told(t *testing.T, when string, want map[string]int) {
	t.Helper()
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if diff := cmp.Diff(want, m.sent); diff != "" {
		t.Errorf("%s: messages (-want +got):\n%s", when, diff)
	}
}

// allowed is a world in which bob has pre-approved alice for a window from now
// on. The reminder is due after three quarters of it.
func allowed(t *testing.T, window time.Duration) (*world, *messenger, string) {
	w := newWorld(t)
	m := &messenger{w: w, sent: map[string]int{}}
	w.ending = m
	w.start()
	time.Sleep(2 * time.Second) // off the beat of cron
	a, err := w.bot.Allow(t.Context(), "cmd:1", bob, access.Allow{For: alice, Resource: "admins", To: time.Now().Add(window), Duration: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return w, m, a.ID
}

var (
	nobody = map[string]int{}
	each   = map[string]int{alice.Email: 1, bob.Email: 1}
)

// TestRemindsBeforeTheEnd: each of the two once, in time, and not again after a
// restart.
func TestRemindsBeforeTheEnd(t *testing.T) {
	for _, window := range []time.Duration{8 * time.Hour, 4 * time.Minute} {
		t.Run(window.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { remindsBeforeTheEnd(t, window) })
		})
	}
}

func remindsBeforeTheEnd(t *testing.T, window time.Duration) {
	w, m, _ := allowed(t, window)
	time.Sleep(window*3/4 - time.Second)
	m.told(t, "before its time", nobody)
	time.Sleep(1100 * time.Millisecond)
	m.told(t, "at its time, by the timer", each)
	time.Sleep(time.Second)
	w.kill()
	w.start()
	defer w.kill()
	time.Sleep(window)
	m.told(t, "after a restart and the end", each)
	l, err := ledger.Open(t.Context(), w.store)
	if err != nil {
		t.Fatal(err)
	}
	var to []access.Person
	for _, r := range l.Allowances()[0].Reminded {
		to = append(to, r.To)
	}
	if diff := cmp.Diff([]access.Person{bob.Person, alice.Person}, to); diff != "" {
		t.Errorf("recorded: %s", diff)
	}
}

// TestRemindsOfNothingWithdrawn: what is over already needs no reminder.
func TestRemindsOfNothingWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m, id := allowed(t, 8*time.Hour)
		defer w.kill()
		time.Sleep(5 * time.Hour)
		if err := w.bot.Withdraw(t.Context(), "cmd:2", alice, id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Hour)
		m.told(t, "withdrawn", nobody)
		if m.asked != 0 {
			t.Errorf("asked %d times", m.asked)
		}
	})
}

// TestReminderWhileDown: one that fell due while no bot ran is sent at the start,
// unless it is all over by then.
func TestReminderWhileDown(t *testing.T) {
	for _, c := range []struct {
		name string
		down time.Duration
		want map[string]int
	}{
		{"before the end", 2 * time.Hour, each},
		{"past the end", 4 * time.Hour, nobody},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, m, _ := allowed(t, 8*time.Hour)
				time.Sleep(5 * time.Hour)
				w.kill()
				time.Sleep(c.down)
				w.start()
				defer w.kill()
				time.Sleep(100 * time.Millisecond)
				m.told(t, c.name, c.want)
			})
		})
	}
}

// TestCrashAfterTheReminder: between message and record. The one who was told is
// told once more, and nobody is forgotten.
func TestCrashAfterTheReminder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m, _ := allowed(t, 8*time.Hour)
		m.dies = true
		time.Sleep(6*time.Hour + time.Second)
		m.told(t, "before the crash", map[string]int{bob.Email: 1})
		w.start()
		defer w.kill()
		time.Sleep(3 * time.Hour)
		m.told(t, "after it", map[string]int{alice.Email: 1, bob.Email: 2})
	})
}

// TestReminderGivenUp: where the messenger gave up it is asked again, not at every
// beat.
func TestReminderGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m, _ := allowed(t, 8*time.Hour)
		defer w.kill()
		m.deaf = 1
		time.Sleep(6*time.Hour + 50*time.Minute)
		m.told(t, "given up", nobody)
		time.Sleep(20 * time.Minute)
		m.told(t, "asked again", each)
		if m.asked != 2 {
			t.Errorf("asked %d times, want 2", m.asked)
		}
	})
}
