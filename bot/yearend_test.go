package bot_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/ledger"
)

// A courier tells people what outlives its end, and has that recorded as Slack's
// edge does. All else it leaves.
type courier struct {
	told
	w    *world
	mu   sync.Mutex
	busy map[string]bool // requests of which somebody is being told
	sent map[string]bool // requests of which somebody was told
}

func newCourier(w *world) *courier {
	return &courier{w: w, busy: map[string]bool{}, sent: map[string]bool{}}
}

// Changed implements [bot.Notifier].
func (c *courier) Changed(id string) {
	c.w.mu.Lock()
	b := c.w.bot
	c.w.mu.Unlock()
	if b == nil {
		return
	}
	if r, _ := b.Ledger.Request(id); r.Outlived(c.w.clock()) < access.Grace {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.busy[id] {
		c.busy[id] = true
		go c.tell(b, id)
	}
}

// tell tells what is owed. Where that cannot be recorded it is told again later.
func (c *courier) tell(b *bot.Bot, id string) {
	r, _ := b.Ledger.Request(id)
	for _, n := range access.Owed(r, c.w.clock()) {
		if !strings.HasPrefix(n.Name, access.NoticeOverdue) {
			continue
		}
		c.mu.Lock()
		c.sent[id] = true
		c.mu.Unlock()
		post := access.Post{Notice: n.Name, To: n.To, Channel: "C0ACCESS", TS: fmt.Sprint(time.Now().UnixNano())}
		_, err := b.Handle(context.Background(), access.Command{ID: "post:" + id + ":" + n.Name + ":" + n.To.Slack, Do: access.Notify{Request: id, Post: post}})
		if err != nil {
			time.Sleep(time.Minute)
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, id)
}

// toldOf reports whether anybody was told that an access outlives its end, or did.
func (c *courier) toldOf(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent[id]
}

// calm is how long everything must have been up until what the providers hold is
// what the log says.
const calm = 15 * time.Minute

// look compares them now and then, wherever it has been calm.
func (y *year) look(ctx context.Context) {
	for pause(ctx, 3*time.Hour) == nil {
		up := y.up.Load()
		if up == 0 || time.Since(time.Unix(up, 0)) < calm || y.store.upFor() < calm {
			continue
		}
		y.world.mu.Lock()
		b := y.bot
		y.world.mu.Unlock()
		if b == nil {
			continue
		}
		now := y.clock()
		for _, r := range b.Ledger.Open() {
			if r.Decision == nil || y.at[r.Target.Provider].upFor() < calm || now.Sub(r.Last) < calm {
				continue
			}
			y.count("compared")
			switch {
			case now.Sub(r.Expires()) > calm || r.Ending != nil:
				y.t.Errorf("%s: not ended at %s, due %s, recorded %s", r.ID, now, r.Expires(), r.Last)
			case dueOf(r, now) && !slices.Contains(y.all[r.Target.Provider].Holders(r.Target), r.Principal.Email):
				y.t.Errorf("%s: due until %s, and not there at %s", r.ID, r.Expires(), now)
			}
		}
	}
}

// judge reads the whole log anew.
func (y *year) judge() {
	y.kill()
	l, err := ledger.Open(context.Background(), y.world.store)
	if err != nil {
		y.t.Fatalf("the log cannot be replayed: %v", err)
	}
	ids := map[string]bool{}
	for _, r := range l.Requests() {
		kinds := map[string]int{}
		for _, x := range history(y.t, l, r.ID) {
			kinds[x.Event.Body.Kind()]++
			if ids[x.Event.ID] {
				y.t.Errorf("the id %s stands in the log twice", x.Event.ID)
			}
			ids[x.Event.ID] = true
		}
		if !r.Status.Ended() || kinds["expired"]+kinds["revoked"]+kinds["given_back"] != 1 {
			y.t.Errorf("%s is %s: %v", r.ID, r.Status, kinds)
			continue
		}
		y.judgeOne(r, kinds)
	}
	for name, p := range y.all {
		for n := range 15 {
			at := yearTarget(name, n)
			var want []string
			for _, h := range y.had {
				if access.SameEntitlement(h.target, at) {
					want = append(want, h.subject)
				}
			}
			slices.Sort(want)
			if got := p.Holders(at); !slices.Equal(got, want) {
				y.t.Errorf("%s-%d: in the end %v have it, at the beginning %v", name, n, got, want)
			}
		}
		y.counts["outages"] += y.at[name].times
	}
	y.counts["outages of the log"] = y.store.times
	y.counts["events"] = len(y.world.store.Files())
	if n := y.desk.raised(); n != 0 {
		y.t.Errorf("%d alerts are still open", n)
	}
}

// judgeOne looks whether an overrun was told, and what nobody did by hand.
func (y *year) judgeOne(r access.Request, kinds map[string]int) {
	if kinds["drift"] > 0 {
		y.t.Errorf("%s: drift, and nobody did anything by hand", r.ID)
	}
	if r.End.Kept == "other_grant" {
		y.counts["overlaps"]++
	}
	over := r.Outlived(r.End.At)
	if over < access.Grace {
		return
	}
	y.counts["overruns"]++
	if !y.told.toldOf(r.ID) {
		y.t.Errorf("%s outlived its end by %s, and nobody was told", r.ID, over)
	}
	if over > access.Grace+yearLooks && !y.desk.woken(r.ID) {
		y.t.Errorf("%s outlived its end by %s, and no operator was woken", r.ID, over)
	}
}
