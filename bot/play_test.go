package bot_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"
)

// A scenario is what people do, one act after the other, and how the requests
// must end.
type scenario struct {
	name string
	acts []act
	want map[string]access.Status // by letter; Expired where nothing is said
	// hand says that somebody changes the world behind the bot's back. Then only
	// a provider that can look is of use, and nothing that was there before.
	hand bool
}

// An act is done at a time: since the beginning, or from the end of a request.
type act struct {
	at    time.Duration
	endOf string // letter
	do    func(*play)
}

// ask files a request, and has it approved at once.
func ask(letter string, at, lasts time.Duration) []act {
	return []act{file(letter, at), {at: at + time.Second, do: func(p *play) {
		p.insist(bob, access.Approve{Request: p.id(letter), For: lasts})
	}}}
}

func file(letter string, at time.Duration) act {
	return act{at: at, do: func(p *play) { p.filed[letter] = p.insist(alice, access.File{Resource: "admins"}) }}
}

func revoke(letter string, at time.Duration) act {
	return act{at: at, do: func(p *play) { p.insist(carol, access.Revoke{Request: p.id(letter)}) }}
}

func giveBack(letter string, at time.Duration) act {
	return act{at: at, do: func(p *play) { p.insist(alice, access.GiveBack{Request: p.id(letter)}) }}
}

func extend(letter string, at, by time.Duration) act {
	return act{at: at, do: func(p *play) { p.insist(alice, access.Extend{Request: p.id(letter), By: by}) }}
}

func allow(letter string, at time.Duration) act {
	return act{at: at, do: func(p *play) { p.insist(carol, access.ApproveExtension{Request: p.id(letter), Round: 1}) }}
}

// atTheEnd moves an act to some time from the end of a request. It may come too
// late there, and is refused then.
func atTheEnd(letter string, from time.Duration, a act) act {
	return act{at: from, endOf: letter, do: func(p *play) { p.late = true; a.do(p); p.late = false }}
}

func sweep(at time.Duration) act {
	return act{at: at, do: func(p *play) {
		p.w.mu.Lock()
		b := p.w.bot
		p.w.mu.Unlock()
		b.Sweep(context.Background())
	}}
}

func give(at time.Duration) act {
	return act{at: at, do: func(p *play) { p.w.provider.Give(target, alice.Email) }}
}

func take(at time.Duration) act {
	return act{at: at, do: func(p *play) { p.w.provider.Take(target, alice.Email) }}
}

// A play is one run of the real engine through a scenario, with faults.
type play struct {
	scenario
	t      *testing.T
	w      *world
	steps  *steps
	before bool           // whether the person had the access before
	reader *ledger.Ledger // reads the log beside the bots

	filed    map[string]string   // ids, by letter
	said     int                 // how many commands were given
	answered map[string][]string // deliveries that were answered, by request
	late     bool                // the command may be refused
	given    map[string]bool     // requests whose order to grant was ever carried out
	restarts sync.WaitGroup

	lacking time.Time // since when an access is due and not there; zero: it is not so
	excess  time.Time // since when one is there and not due
}

// perform runs it, and answers with the steps that came.
func perform(t *testing.T, s scenario, observer, before bool, faults map[string]fault) *steps {
	p := &play{scenario: s, t: t, w: newWorld(t), before: before, filed: map[string]string{}, answered: map[string][]string{}, given: map[string]bool{}}
	p.steps = &steps{play: p, faults: faults, counts: map[string]int{}, letters: map[string]string{}}
	if observer {
		o := bottest.NewObserver(t)
		p.w.provider, p.w.broken = o.Provider, o
	}
	if before {
		p.w.provider.Give(target, alice.Email)
	}
	p.w.every, p.w.between = bot.Intervals{Reconcile: 30 * time.Second, Config: time.Hour, Sweep: -1}, p.steps.between
	var err error
	if p.reader, err = ledger.Open(context.Background(), p.w.store); err != nil {
		t.Fatal(err)
	}
	p.w.start()
	watch, end := context.WithCancel(context.Background())
	go p.watch(watch)
	began := time.Now()
	for _, a := range p.acts {
		at := began.Add(a.at)
		if a.endOf != "" {
			at = p.read(a.endOf).Expires().Add(a.at)
		}
		time.Sleep(time.Until(at))
		a.do(p)
	}
	for letter := range p.filed {
		time.Sleep(time.Until(p.read(letter).Expires()))
	}
	time.Sleep(patience + 2*time.Minute)
	p.restarts.Wait()
	end()
	p.w.kill()
	p.judge()
	return p.steps
}

// crash ends the bot at this instant, and starts another one after a while. Two steps
// at the same moment kill it once.
func (p *play) crash() {
	p.w.mu.Lock()
	die, stop := p.w.die, p.w.stop
	p.w.die = nil
	p.w.mu.Unlock()
	if die == nil {
		return
	}
	die()
	p.restarts.Go(func() {
		stop()
		time.Sleep(bootTakes)
		p.w.start()
	})
}

// insist gives a command until it is answered: the same delivery each time.
func (p *play) insist(who access.Actor, a access.Action) string {
	p.said++
	delivery := fmt.Sprintf("click:%d", p.said)
	for range 100 {
		p.w.mu.Lock()
		b := p.w.bot
		p.w.mu.Unlock()
		r, err := b.Handle(context.Background(), access.Command{ID: delivery, Actor: who, Do: a})
		if err == nil {
			p.answered[r.ID] = append(p.answered[r.ID], delivery)
			return r.ID
		}
		if refusal, ok := access.AsRefusal(err); ok {
			if !p.late {
				p.t.Errorf("%T: refused: %s", a, refusal.Text)
			}
			return ""
		}
		time.Sleep(1013 * time.Millisecond)
	}
	p.t.Errorf("%T: never answered", a)
	return ""
}

func (p *play) id(letter string) string { return p.filed[letter] }

// read is a request as the log has it.
func (p *play) read(letter string) access.Request {
	p.sync()
	r, _ := p.reader.Request(p.id(letter))
	return r
}

func (p *play) sync() {
	if _, err := p.reader.Sync(context.Background()); err != nil {
		p.t.Errorf("the log cannot be replayed: %v", err)
	}
}

// holds reports whether the person has the access.
func (p *play) holds() bool { return slices.Contains(p.w.provider.Holders(target), alice.Email) }

// dueOf reports whether a request's access is to be there.
func dueOf(r access.Request, now time.Time) bool {
	return (r.Status == access.Approved || r.Status == access.Live) && r.Ending == nil && now.Before(r.Expires())
}
