package bot_test

import (
	"context"
	"strings"
	"time"

	"countersign/bot/access"
	"countersign/bot/ledger"
)

// patience is how long what is there may differ from what is due: longer than
// any two faults take with their retries.
const patience = access.Grace

// watch compares, as long as a play lasts, what the person has with what is due
// by the log.
func (p *play) watch(ctx context.Context) {
	for pause(ctx, time.Minute) == nil {
		p.sync()
		now, due := time.Now(), false
		for _, r := range p.reader.Open() {
			due = due || dueOf(r, now)
		}
		has := p.holds()
		if p.before && !has {
			p.t.Error("what was there before is gone")
			return
		}
		if p.hand {
			continue
		}
		p.lacking = since(p.lacking, due && !has, now)
		p.excess = since(p.excess, !due && has && !p.before, now)
		if lacking(p.lacking, now) {
			p.t.Errorf("an access was due from %s on, and never there", p.lacking.Format(time.TimeOnly))
			return
		}
		if lacking(p.excess, now) {
			p.t.Errorf("an access was there from %s on, and not due", p.excess.Format(time.TimeOnly))
			return
		}
	}
}

// since is from when something has been so without a break.
func since(was time.Time, so bool, now time.Time) time.Time {
	switch {
	case !so:
		return time.Time{}
	case was.IsZero():
		return now
	}
	return was
}

func lacking(since, now time.Time) bool { return !since.IsZero() && now.Sub(since) > patience }

// mayGrant says why an order may not be carried out: nothing is given before the
// approval and the intent stand in the log.
func (p *play) mayGrant(o access.Order) {
	p.sync()
	p.given[o.Request] = true
	r, ok := p.reader.Request(o.Request)
	switch {
	case !ok || r.Decision == nil || len(r.Decision.Approvers) == 0 || r.Decision.Expires.IsZero():
		p.t.Errorf("%s is given without an approval", o.Request)
	case r.Grant == nil || r.Grant.Subject != o.Subject:
		p.t.Errorf("%s is given to %s without an intent", o.Request, o.Subject)
	case r.Status.Ended():
		p.t.Errorf("%s is given after its end", o.Request)
	case o.Expires.After(r.Expires()):
		p.t.Errorf("%s is given until %s, and was approved until %s", o.Request, o.Expires, r.Expires())
	}
}

// mayRevoke says why an order must not be carried out: nothing is taken that was
// there before, or that this or another grant has given. Only where the log could
// not be written may what it says of the request be news to the bot.
func (p *play) mayRevoke(o access.Order) {
	if p.before {
		p.t.Error("what was there before is taken")
	}
	p.sync()
	for _, r := range p.reader.Open() {
		if p.given[r.ID] && dueOf(r, time.Now()) && (r.ID != o.Request || !p.steps.writeFails()) {
			p.t.Errorf("the end of %s takes what %s gives", p.steps.letter(o.Request, false), p.steps.letter(r.ID, false))
		}
	}
}

// judge replays the log from its bytes, and compares the end with what the
// scenario wants.
func (p *play) judge() {
	l, err := ledger.Open(context.Background(), p.w.store) // folds each file onto those before it
	if err != nil {
		p.t.Errorf("the log cannot be replayed: %v", err)
		return
	}
	if n := len(l.Requests()); n != len(p.filed) {
		p.t.Errorf("%d requests stand in the log, %d were filed", n, len(p.filed))
	}
	if has := p.holds(); has != p.before {
		p.t.Errorf("in the end the person has the access: %t; before it all: %t", has, p.before)
	}
	ids := map[string]bool{}
	for letter, id := range p.filed {
		want := p.want[letter]
		if want == "" {
			want = access.Expired
		}
		r, _ := l.Request(id)
		h := history(p.t, l, id)
		if r.Status != want {
			p.t.Errorf("%s ended as %s, want %s", letter, r.Status, want)
		}
		for _, delivery := range p.answered[id] {
			if !r.Seen(delivery) {
				p.t.Errorf("%s: what was answered to %s is not in the log", letter, delivery)
			}
		}
		for i, x := range h {
			if ids[x.Event.ID] {
				p.t.Errorf("%s: the id %s stands in the log twice", letter, x.Event.ID)
			}
			ids[x.Event.ID] = true
			if i > 0 && x.Event.At.Before(h[i-1].Event.At) {
				p.t.Errorf("%s: time runs backwards at %s", letter, x.Path)
			}
		}
		p.judgeEnd(letter, r, h)
		if p.t.Failed() {
			p.t.Logf("%s: %s", letter, kindsIn(h))
		}
	}
	if p.t.Failed() {
		p.t.Logf("steps: %s", strings.Join(p.steps.came, " "))
	}
}

// judgeEnd holds for whatever was approved: it has one ending event, in time.
func (p *play) judgeEnd(letter string, r access.Request, h []ledger.Entry) {
	counts := map[string]int{}
	for _, x := range h {
		counts[x.Event.Body.Kind()]++
	}
	if n := counts["expired"] + counts["revoked"] + counts["given_back"]; n != 1 {
		p.t.Errorf("%s has %d ending events", letter, n)
	}
	for kind, most := range map[string]int{"approved": 1, "grant_intent": 1, "granted": 1 + counts["extended"]} {
		if counts[kind] > most {
			p.t.Errorf("%s: %s stands %d times in the log", letter, kind, counts[kind])
		}
	}
	if r.End == nil || r.Ending == nil {
		return
	}
	if over := r.End.At.Sub(r.Ending.At); over > patience {
		p.t.Errorf("%s was to end at %s, and did %s later", letter, r.Ending.At.Format(time.TimeOnly), over)
	}
	if r.Ending.Cause == access.CauseExpired && r.Ending.At.Before(r.Expires()) {
		p.t.Errorf("%s ended before its time", letter)
	}
	if over := r.End.At.Sub(r.Expires()); over > patience {
		p.t.Errorf("%s ended %s after its time", letter, over)
	}
}

func kindsIn(h []ledger.Entry) string {
	var out []string
	for _, x := range h {
		out = append(out, x.Event.At.Format(time.TimeOnly)+" "+x.Event.Body.Kind())
	}
	return strings.Join(out, ", ")
}
