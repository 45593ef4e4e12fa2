package bot_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"
)

var (
	yearWhole = flag.Bool("year", false, "TestYear: 365 days with 20,000 grants, not 20 with 1,000")
	yearSeed  = flag.Uint64("seed", 1, "TestYear: what its chances are drawn from; 0 for another each time")
)

const day = 24 * time.Hour

// A year is a long life of the bot: people, outages, restarts, and a clock that is
// set now and then.
type year struct {
	*world
	seed  uint64
	days  int
	store outage
	at    map[string]*outage // by provider
	all   map[string]*bottest.Provider
	had   []holding // the access that people had before
	desk  *desk
	told  *courier

	skew atomic.Int64 // of the bot's clock
	up   atomic.Int64 // since when a bot runs, by Unix time; 0: none does

	mu     sync.Mutex // guards all below
	counts map[string]int
}

type holding struct {
	target  access.Target
	subject string
}

// TestYear: with outages of up to six hours, restarts and clocks that are set, no
// access outlives its end untold, what people had before stays, and memory does not
// grow.
func TestYear(t *testing.T) {
	y := &year{seed: *yearSeed, days: 20, counts: map[string]int{}}
	grants := 1000
	switch {
	case *yearWhole:
		y.days, grants = 365, 20_000
	case raced:
		y.days, grants = 5, 250
	}
	if y.seed == 0 {
		y.seed = rand.Uint64()
	}
	t.Logf("%d days, %d grants: -seed %d", y.days, grants, y.seed)
	began := time.Now()
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // the world of a year stays in memory, and is not the bot's
	synctest.Test(t, func(t *testing.T) { y.pass(t, grants) })
	t.Logf("%v in %s", y.counts, time.Since(began).Round(time.Second/10))
}

// pass lets the time pass, and judges what has become of it.
func (y *year) pass(t *testing.T, grants int) {
	y.begin(t)
	weather, clear := context.WithCancel(context.Background())
	var around sync.WaitGroup
	around.Go(func() { y.store.come(weather, y.chance(1), 6*day) })
	for i, name := range yearProviders {
		around.Go(func() { y.at[name].come(weather, y.chance(2+uint64(i)), 4*day) })
	}
	around.Go(func() { y.setClocks(weather, y.chance(11)) })
	around.Go(func() { y.look(weather) })
	around.Go(func() { y.restarts(weather, y.chance(12)) })

	var people sync.WaitGroup
	apart := time.Duration(y.days) * day / time.Duration(grants)
	rng, early := y.chance(13), uint64(0)
	for n := range grants {
		time.Sleep(time.Duration(rng.Int64N(int64(2 * apart))))
		people.Go(func() { y.ask(n, y.chance(100+uint64(n))) })
		if n == grants/12 {
			early = y.held()
		}
	}
	people.Wait()
	clear()
	around.Wait()
	y.skew.Store(0)
	time.Sleep(longest + day)
	late := y.held()
	t.Logf("the bot held %d kB after a twelfth of the time, %d kB at the end", early/1024, late/1024)
	if *yearWhole && late > early*3/2+4<<20 {
		t.Error("memory grows")
	}
	y.judge()
}

var yearProviders = []string{"teams", "hook", "database"}

// begin starts the first bot.
func (y *year) begin(t *testing.T) {
	y.world = newWorld(t)
	y.desk, y.told = &desk{open: map[string]string{}}, newCourier(y.world)
	y.all, y.at, y.others = map[string]*bottest.Provider{}, map[string]*outage{}, map[string]bot.Provider{}
	for _, name := range yearProviders {
		p := bottest.NewProvider(t)
		y.at[name] = &outage{}
		y.all[name], y.others[name] = p, downProvider{p, y.at[name]}
	}
	o := bottest.NewObserver(t)
	o.Now = y.clock
	y.all["hook"], y.others["hook"] = o.Provider, downObserver{downProvider{o, y.at["hook"]}}
	for i := range 60 { // an observer that is down until the end cannot say what was there before
		h := holding{yearTarget(yearProviders[i%2*2], i%15), person(i * 3).Email}
		if !slices.ContainsFunc(y.had, func(o holding) bool { return o.subject == h.subject && access.SameEntitlement(o.target, h.target) }) {
			y.had = append(y.had, h)
			y.all[h.target.Provider].Give(h.target, h.subject)
		}
	}
	y.parse, y.now, y.people, y.index, y.alarm = yearRules, func() time.Time { return time.Now().Add(time.Duration(y.skew.Load())) }, y.told, &bottest.Checkpoint{}, y.desk
	y.every = bot.Intervals{Reconcile: yearLooks, Config: 30 * day, Sweep: 41 * time.Hour}
	y.between = func(ctx context.Context, s ledger.Store, p bot.Provider) (ledger.Store, bot.Provider) {
		return downLog{s, &y.store}, p
	}
	y.start()
	y.up.Store(time.Now().Unix())
}

func yearTarget(provider string, n int) access.Target {
	return access.Target{Provider: provider, With: map[string]any{"n": n}}
}

func yearRules(_ []byte, commit string) (*access.Rules, error) {
	r, err := rules(nil, commit)
	r.Settings.ExpiryOptions, r.Settings.MaxDuration = durations, 30*day
	r.Settings.Reminders, r.Resources = []time.Duration{day}, nil
	for _, p := range yearProviders {
		for n := range 15 {
			r.Resources = append(r.Resources, access.Resource{ID: fmt.Sprintf("%s-%d", p, n), Target: yearTarget(p, n)})
		}
	}
	return r, err
}

var durations = []time.Duration{5 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, day}

// yearLooks is how often the bot looks by itself.
const yearLooks = 3 * time.Minute

// longest is how long an access can last with its extensions.
const longest = 3 * day

func person(n int) access.Actor {
	return access.Actor{Person: access.Person{Email: fmt.Sprintf("p%d@example.com", n), Slack: fmt.Sprintf("U%d", n)}}
}

// chance is a source of its own for each who needs one, so that what one draws
// does not depend on the others.
func (y *year) chance(n uint64) *rand.Rand { return rand.New(rand.NewPCG(y.seed, n)) }

func (y *year) count(what string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.counts[what]++
}

// ask is one request, from its filing to what its people do with it.
func (y *year) ask(n int, rng *rand.Rand) {
	who := person(rng.IntN(180))
	resource := fmt.Sprintf("%s-%d", yearProviders[rng.IntN(3)], rng.IntN(15))
	if rng.IntN(4) == 0 { // what many want, so that grants overlap
		who, resource = person(rng.IntN(4)*3), yearProviders[rng.IntN(3)]+"-0"
	}
	lasts := durations[rng.IntN(len(durations))]
	reviewer := []access.Actor{bob, carol}[rng.IntN(2)]
	said := 0
	do := func(as access.Actor, a access.Action) (access.Request, bool) {
		said++
		return y.persist(fmt.Sprintf("click:%d-%d", n, said), as, a)
	}
	r, _ := do(who, access.File{Resource: resource})
	time.Sleep(time.Duration(rng.IntN(1200)) * time.Second)
	if _, ok := do(reviewer, access.Approve{Request: r.ID, For: lasts}); !ok {
		y.t.Errorf("request %d was not approved", n)
		return
	}
	y.count("approved")
	time.Sleep(time.Duration(rng.Float64() * float64(lasts)))
	switch rng.IntN(10) {
	case 0:
		if _, ok := do(reviewer, access.Revoke{Request: r.ID, Reason: "enough"}); ok {
			y.count("revoked")
		}
	case 1:
		if _, ok := do(who, access.GiveBack{Request: r.ID}); ok {
			y.count("given back")
		}
	case 2, 3:
		for round := range 2 {
			if _, ok := do(who, access.Extend{Request: r.ID, By: lasts}); !ok {
				return
			}
			if _, ok := do(reviewer, access.ApproveExtension{Request: r.ID, Round: round + 1}); ok {
				y.count("extended")
			}
		}
	}
}

// persist gives a command until it is answered, or refused.
func (y *year) persist(delivery string, who access.Actor, a access.Action) (access.Request, bool) {
	for {
		y.world.mu.Lock()
		b := y.bot
		y.world.mu.Unlock()
		r, err := b.Handle(context.Background(), access.Command{ID: delivery, Actor: who, Do: a})
		if err == nil {
			return r, true
		}
		if _, refused := access.AsRefusal(err); refused {
			return r, false
		}
		time.Sleep(5 * time.Minute)
	}
}

// setClocks sets the bot's clock forwards or backwards, and right again hours later.
func (y *year) setClocks(ctx context.Context, rng *rand.Rand) {
	for pause(ctx, time.Duration(rng.Int64N(int64(16*day)))) == nil {
		y.skew.Store(rng.Int64N(int64(2*time.Hour)) - int64(time.Hour))
		y.count("clock set")
		_ = pause(ctx, time.Duration(rng.Int64N(int64(6*time.Hour))))
		y.skew.Store(0)
	}
}

// restarts end the bot and start another one, in the middle of the time: none
// before memory is first measured, and none for long before it is last.
func (y *year) restarts(ctx context.Context, rng *rand.Rand) {
	length := time.Duration(y.days) * day
	if pause(ctx, length/10) != nil {
		return
	}
	for range y.days / 8 {
		y.up.Store(0)
		y.kill()
		time.Sleep(time.Duration(rng.Int64N(int64(20 * time.Minute))))
		for y.store.upFor() == 0 {
			time.Sleep(time.Minute) // a start needs the log
		}
		y.start()
		y.up.Store(time.Now().Unix())
		y.count("restarts")
		if pause(ctx, time.Duration(rng.Int64N(int64(length/10)))) != nil {
			return
		}
	}
}

// held is how much memory the bot has: what is free when it is gone. It starts
// another one.
func (y *year) held() uint64 {
	for y.store.upFor() == 0 || y.up.Load() == 0 {
		time.Sleep(time.Minute)
	}
	size := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	with := size()
	y.kill()
	y.world.mu.Lock()
	y.bot, y.stop, y.die = nil, nil, nil
	without := size()
	y.world.mu.Unlock()
	y.start()
	return with - min(with, without)
}
