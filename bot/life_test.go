package bot_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"
)

var (
	alice  = access.Actor{Person: access.Person{Email: "alice@example.com", Slack: "UALICE"}}
	bob    = access.Actor{Person: access.Person{Email: "bob@example.com", Slack: "UBOB"}}
	carol  = access.Actor{Person: access.Person{Email: "carol@example.com", Slack: "UCAROL"}}
	target = access.Target{Provider: "fake", With: map[string]any{"key": "admins"}}
)

func rules(_ []byte, commit string) (*access.Rules, error) {
	return &access.Rules{
		Commit: commit, Reviewers: []string{bob.Email, carol.Email},
		Settings: access.Settings{
			ExpiryOptions: []time.Duration{time.Hour}, MaxDuration: 24 * time.Hour, PendingTimeout: 14 * 24 * time.Hour,
			Reminders: []time.Duration{15 * time.Minute},
		},
		Resources: []access.Resource{{ID: "admins", Target: target}},
	}, nil
}

// told is what people would have seen.
type told struct {
	mu      sync.Mutex
	reminds int
	said    []string
}

func (t *told) Changed(string) {}
func (t *told) Remind(string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reminds++
}
func (t *told) RulesChanged() {}
func (t *told) Announce(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = append(t.said, text)
}

// errCrashed is what a bot sees of the log after it has died.
var errCrashed = errors.New("the process is dead")

// A world outlives the bots that run in it.
type world struct {
	t        *testing.T
	store    *bottest.Store
	provider *bottest.Provider
	told     *told
	broken   bot.Provider // stands in for provider, if set
	others   map[string]bot.Provider
	alarm    bot.Alarm
	idle     bool // start makes a bot and does not run it
	parse    func([]byte, string) (*access.Rules, error)
	onCall   map[string]bot.OnCall
	source   *branch
	ending   bot.AllowanceNotifier // if set
	every    bot.Intervals
	now      func() time.Time                                                               // unset: time.Now
	people   bot.Notifier                                                                   // instead of told, if set
	index    *bottest.Checkpoint                                                            // unset: a bot keeps everything in memory
	between  func(context.Context, ledger.Store, bot.Provider) (ledger.Store, bot.Provider) // stands between a bot and its world, if set

	mu   sync.Mutex
	bot  *bot.Bot
	die  func() // ends the life of the bot at this instant
	stop func() // and waits until nothing of it is left
}

func newWorld(t *testing.T) *world {
	return &world{t: t, store: &bottest.Store{}, provider: bottest.NewProvider(t), told: &told{}, parse: rules, source: new(branch).push("c1", "")}
}

// life is the log as one process sees it: once it has died, it writes nothing.
type life struct {
	ledger.Store
	ctx context.Context
}

func (l life) Append(ctx context.Context, on ledger.Tail, files []ledger.File) ([]string, error) {
	if l.ctx.Err() != nil {
		return nil, errCrashed
	}
	return l.Store.Append(ctx, on, files)
}

// start runs a bot on what the last one has left.
func (w *world) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var store ledger.Store = life{w.store, ctx}
	var p bot.Provider = w.provider
	if w.broken != nil {
		p = w.broken
	}
	if w.between != nil {
		store, p = w.between(ctx, store, p)
	}
	l, err := w.open(ctx, store)
	if err != nil {
		w.t.Fatal(err)
	}
	book, _, err := bot.OpenRulebook(ctx, bot.RulebookConfig{Source: w.source, Parse: w.parse, Used: []string{l.Config()}})
	if err != nil {
		w.t.Fatal(err)
	}
	providers := map[string]bot.Provider{"fake": p}
	maps.Copy(providers, w.others)
	b, err := bot.New(bot.Config{
		Ledger: l, Rules: book, Providers: providers, Notifier: cmp.Or[bot.Notifier](w.people, w.told),
		Now: w.clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), OnCall: w.onCall,
		Allowances: l, AllowanceNotifier: w.ending, Sweeps: l, Alarm: w.alarm,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if w.idle {
			return
		}
		if err := b.Run(ctx, w.every); err != nil {
			w.t.Error(err)
		}
	}()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bot, w.die, w.stop = b, cancel, func() { cancel(); <-done }
}

// open opens the log as w says, and saves to the index as long as ctx lasts.
func (w *world) open(ctx context.Context, store ledger.Store) (*ledger.Ledger, error) {
	if w.index == nil {
		return ledger.Open(ctx, store)
	}
	l, err := ledger.Resume(ctx, store, w.index)
	if err == nil {
		go func() {
			for ctx.Err() == nil {
				if _, err := l.Save(ctx); err != nil {
					_ = pause(ctx, time.Second)
				}
			}
		}()
	}
	return l, err
}

func (w *world) clock() time.Time {
	if w.now != nil {
		return w.now()
	}
	return time.Now()
}

// kill ends the running bot at this instant.
func (w *world) kill() {
	w.mu.Lock()
	stop := w.stop
	w.mu.Unlock()
	stop()
}

// insist gives one command until it is answered, as a person does who is told
// to try again: the same delivery each time.
func (w *world) insist(delivery string, who access.Actor, a access.Action) access.Request {
	w.t.Helper()
	for range 100 {
		w.mu.Lock()
		b := w.bot
		w.mu.Unlock()
		r, err := b.Handle(context.Background(), access.Command{ID: delivery, Actor: who, Do: a})
		if err == nil {
			return r
		}
		if refusal, ok := access.AsRefusal(err); ok {
			w.t.Fatalf("%T: refused: %s", a, refusal.Text)
		}
		time.Sleep(time.Second)
	}
	w.t.Fatalf("%T: never answered", a)
	return access.Request{}
}

func (w *world) ask() access.Request {
	w.t.Helper()
	r := w.insist("form:1", alice, access.File{Resource: "admins"})
	w.insist("click:1", bob, access.Approve{Request: r.ID, For: time.Hour})
	return r
}

// judge replays the log from its bytes and returns the request as it ended.
func (w *world) judge(id string) access.Request {
	w.t.Helper()
	l, err := ledger.Open(context.Background(), w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	if n := len(l.Requests()); n != 1 {
		w.t.Errorf("%d requests were filed, want 1", n)
	}
	counts := map[string]int{}
	for _, x := range history(w.t, l, id) {
		counts[x.Event.Body.Kind()]++
		if x.Event.Body.Kind() == "grant_intent" && counts["approved"] == 0 {
			w.t.Error("intended before it was approved")
		}
	}
	for _, once := range []string{"approved", "grant_intent", "granted", "revoke_intent", "expired", "revoked"} {
		if counts[once] > 1 {
			w.t.Errorf("%s stands %d times in the log", once, counts[once])
		}
	}
	r, _ := l.Request(id)
	return r
}

// ends says that the access is over, in the log and in the world, and that what
// was there before is there still.
func (w *world) ends(id string, status access.Status, before bool, within time.Duration) {
	w.t.Helper()
	r := w.judge(id)
	if r.Status != status {
		w.t.Fatalf("ended as %s, want %s", r.Status, status)
	}
	if over := r.End.At.Sub(r.Expires()); over > within {
		w.t.Errorf("ended %s after its expiry, want within %s", over, within)
	}
	var want []string
	if before {
		want = []string{alice.Email}
	}
	if got := w.provider.Holders(target); !slices.Equal(got, want) {
		w.t.Errorf("the provider still has %v, want %v", got, want)
	}
}

// TestLife: an access begins and ends in time by the timer alone, although
// nobody can be told that it is about to end.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.every.Reconcile = 7 * time.Hour
		w.start()
		defer w.kill()
		r := w.ask()
		synctest.Wait()
		if got := w.provider.Holders(target); !slices.Equal(got, []string{alice.Email}) {
			t.Fatalf("after the approval the provider has %v", got)
		}
		time.Sleep(30 * time.Minute)
		w.insist("click:2", alice, access.Extend{Request: r.ID, By: time.Hour}) // has the bot look, and lapses
		time.Sleep(30*time.Minute - time.Second)
		if got := w.provider.Holders(target); len(got) != 1 {
			t.Error("the access ended before its time")
		}
		time.Sleep(2 * time.Second)
		w.ends(r.ID, access.Expired, false, 2*time.Second)
	})
}

func TestKeepsWhatWasThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.Give(target, alice.Email)
		w.start()
		defer w.kill()
		r := w.ask()
		time.Sleep(2 * time.Hour)
		w.ends(r.ID, access.Expired, true, 5*time.Second)
		if end := w.judge(r.ID).End; end.Kept != "had_before" {
			t.Errorf("kept because of %q", end.Kept)
		}
	})
}

// TestOverlap: of two grants of the same access, the later one's end counts,
// also where the first one's revocation falls into the second one's life.
func TestOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		defer w.kill()
		first := w.ask()
		time.Sleep(30 * time.Minute)
		second := w.insist("form:2", alice, access.File{Resource: "admins"})
		w.insist("click:2", carol, access.Approve{Request: second.ID, For: time.Hour})
		time.Sleep(45 * time.Minute)
		l, err := ledger.Open(t.Context(), w.store)
		if err != nil {
			t.Fatal(err)
		}
		if r, _ := l.Request(first.ID); r.Status != access.Expired || r.End.Kept != "other_grant" {
			t.Errorf("the first is %s, kept because of %q", r.Status, r.End.Kept)
		}
		if got := w.provider.Holders(target); len(got) != 1 {
			t.Error("the second grant ended with the first")
		}
		time.Sleep(time.Hour)
		if got := w.provider.Holders(target); len(got) != 0 {
			t.Errorf("after both the provider has %v", got)
		}
	})
}

// TestTwoBots: what one bot gave is not taken by another for what the person
// had before, although the other has not read of it yet.
func TestTwoBots(t *testing.T) {
	for _, c := range []struct {
		name string
		wait func() // between the approvals that the two bots take
	}{
		{"one after the other", synctest.Wait},
		{"at the same moment", func() {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.broken = &oneByOne{Provider: w.provider}
				w.start()
				defer w.kill()
				other := &world{t: t, store: w.store, provider: w.provider, broken: w.broken, told: w.told, parse: w.parse, source: w.source}
				other.start()
				defer other.kill()
				w.ask()
				c.wait()
				second := other.insist("form:2", alice, access.File{Resource: "admins"})
				other.insist("click:2", carol, access.Approve{Request: second.ID, For: 2 * time.Hour})
				time.Sleep(90 * time.Minute)
				if got := w.provider.Holders(target); len(got) != 1 {
					t.Error("the second grant ended with the first")
				}
				time.Sleep(time.Hour)
				if got := w.provider.Holders(target); len(got) != 0 {
					t.Errorf("after both the provider has %v", got)
				}
			})
		})
	}
}

// oneByOne keeps the calls of two bots apart: each keeps only its own.
type oneByOne struct {
	*bottest.Provider
	mu sync.Mutex
}

func (p *oneByOne) Has(ctx context.Context, t access.Target, subject string) (access.Presence, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Provider.Has(ctx, t, subject)
}

func (p *oneByOne) Grant(ctx context.Context, o access.Order) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Provider.Grant(ctx, o)
}

func (p *oneByOne) Revoke(ctx context.Context, o access.Order) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Provider.Revoke(ctx, o)
}

// liar confirms the end of an access and leaves it, so many times.
type liar struct {
	*bottest.Provider
	mu   sync.Mutex
	lies int
}

func (p *liar) Revoke(ctx context.Context, o access.Order) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lies--; p.lies >= 0 {
		return nil
	}
	return p.Provider.Revoke(ctx, o)
}

// TestConfirmedAndStillThere: an access is over when it is gone, not when the
// provider says so.
func TestConfirmedAndStillThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.broken = &liar{Provider: w.provider, lies: 1}
		w.start()
		defer w.kill()
		r := w.ask()
		time.Sleep(time.Hour + time.Second)
		if got := w.judge(r.ID); got.Status != access.Live || got.Shown() != access.Failed {
			t.Errorf("is %s, shown as %s, while the access is there", got.Status, got.Shown())
		}
		time.Sleep(time.Minute)
		w.ends(r.ID, access.Expired, false, time.Minute)
	})
}

// TestDownAtTheExpiry: what expired while no bot ran ends when one starts.
func TestDownAtTheExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		r := w.ask()
		synctest.Wait()
		w.kill()
		time.Sleep(24 * time.Hour)
		w.start()
		defer w.kill()
		time.Sleep(5 * time.Second)
		w.ends(r.ID, access.Expired, false, 24*time.Hour)
	})
}

// TestLogDownAtTheExpiry: an access ends although the log cannot be written,
// and the end is recorded, as late, when it can.
func TestLogDownAtTheExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		defer w.kill()
		r := w.ask()
		synctest.Wait()
		w.store.Interrupt(func(string, []ledger.File) (bool, error) { return false, errors.New("network down") })
		time.Sleep(time.Hour + 10*time.Second)
		if got := w.provider.Holders(target); len(got) != 0 {
			t.Errorf("with the log down the access stays: %v", got)
		}
		time.Sleep(time.Hour)
		w.store.Interrupt(nil)
		time.Sleep(10 * time.Minute)
		w.ends(r.ID, access.Expired, false, 2*time.Hour)
		l, err := ledger.Open(t.Context(), w.store)
		if err != nil {
			t.Fatal(err)
		}
		h := history(t, l, r.ID)
		if last := h[len(h)-1].Event; !last.Late {
			t.Error("the end was recorded as if in time")
		}
	})
}

// TestNeverGivesUp: a provider that is down for days is asked until it answers.
func TestNeverGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.every.Reconcile = time.Minute
		w.start()
		defer w.kill()
		r := w.ask()
		synctest.Wait()
		w.provider.Inject("Revoke", slices.Repeat([]bottest.Fault{bottest.Fails}, 500)...)
		time.Sleep(3 * time.Hour)
		if got := w.judge(r.ID); got.Shown() != access.Failed || got.Failure == nil {
			t.Errorf("while it fails it is shown as %s", got.Shown())
		}
		time.Sleep(5 * 24 * time.Hour)
		w.ends(r.ID, access.Expired, false, 5*24*time.Hour)
		failures := 0
		for _, f := range w.store.Files() {
			if e, err := ledger.Read(f); err == nil && e.Body.Kind() == "revoke_failed" {
				failures++
			}
		}
		if failures == 0 || failures > 60 {
			t.Errorf("%d failures were recorded of 500: each hour one is enough", failures)
		}
	})
}

func TestNoAccountEndsAsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.Account = func(access.Account) string { return "" }
		w.start()
		defer w.kill()
		r := w.ask()
		time.Sleep(time.Minute)
		if got := w.judge(r.ID); got.Status != access.Failed {
			t.Errorf("is %s, want failed", got.Status)
		}
	})
}

// TestTenClicks: however often, and by however many, one decision.
func TestTenClicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		defer w.kill()
		r := w.insist("form:1", alice, access.File{Resource: "admins"})
		var wg sync.WaitGroup
		var mu sync.Mutex
		outcome := map[string]int{}
		for i := range 10 {
			who := []access.Actor{bob, carol}[i%2]
			wg.Go(func() {
				_, err := w.bot.Handle(context.Background(), access.Command{ID: fmt.Sprintf("click:%d", i/2*2+i%2), Actor: who, Do: access.Approve{Request: r.ID, For: time.Hour}})
				mu.Lock()
				defer mu.Unlock()
				switch refusal, refused := access.AsRefusal(err); {
				case refused:
					outcome[string(refusal.Code)]++
				case err != nil:
					t.Error(err)
				default:
					outcome["ok"]++
				}
			})
		}
		wg.Wait()
		if outcome["ok"] != 1 || outcome["already_decided"] != 9 {
			t.Errorf("got %v, want one ok and nine told who won", outcome)
		}
		w.judge(r.ID)
	})
}

func TestRemindsAndTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.every.Reconcile = time.Minute
		w.start()
		defer w.kill()
		r := w.insist("form:1", alice, access.File{Resource: "admins"})
		time.Sleep(24 * time.Hour)
		w.told.mu.Lock()
		reminds := w.told.reminds
		w.told.mu.Unlock()
		if reminds < 4 || reminds > 8 {
			t.Errorf("%d reminders in a day, want about 6", reminds)
		}
		time.Sleep(14 * 24 * time.Hour)
		if got := w.judge(r.ID); got.Status != access.TimedOut {
			t.Errorf("after fifteen days it is %s", got.Status)
		}
	})
}

// panicky breaks down instead of granting, as a bug in a provider would.
type panicky struct{ *bottest.Provider }

func (panicky) Grant(context.Context, access.Order) error { panic("nil map") }

// TestPanicStaysAlone: a provider that panics fails its own request only.
func TestPanicStaysAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.broken = panicky{w.provider}
		w.start()
		defer w.kill()
		r := w.ask()
		time.Sleep(time.Minute)
		if got := w.judge(r.ID); got.Shown() != access.Failed || got.Failure == nil {
			t.Errorf("is shown as %s", got.Shown())
		}
		time.Sleep(2 * time.Hour)
		w.ends(r.ID, access.Expired, false, 10*time.Second)
	})
}

func history(t *testing.T, l *ledger.Ledger, id string) []ledger.Entry {
	t.Helper()
	h, err := l.History(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
