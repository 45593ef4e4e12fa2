package slackapp

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// What is rendered, for golden files.
var (
	ApprovalMessage = approvalMessage
	NoticeMessage   = noticeMessage
	HomeBlocks      = homeBlocks
	RequestForm     = requestForm
	GlassForm       = glassForm
	GlassCall       = glassCall
	Story           = story
	ClickOf         = clickOf
	SlashOf         = slashOf
	ParseRequest    = parseRequest
	TicketIn        = ticketIn
	VendorsOf       = vendorsOf
	Needed          = needed
	Spell           = spell
	Escape          = escape
	Unescape        = unescape
)

type (
	Scene   = scene
	Payload = payload
	Wish    = wish
	Offer   = offer
	Taking  = taking
)

// Authentic reports whether the headers say that Slack signed a body, as of now.
func Authentic(secret string, h http.Header, body []byte, now time.Time) bool {
	s, err := signature(h, now)
	return err == nil && s.covers(secret, body)
}

// Past is what was delivered lately.
type Past struct{ p *past }

// NewPast remembers nothing yet.
func NewPast() Past { return Past{newPast()} }

// Deliver enters a delivery and settles it, with an answer of so many bytes; it
// reports whether it was new.
func (p Past) Deliver(key string, now time.Time, bytes int) bool {
	d, fresh := p.p.enter(key, now)
	if fresh {
		p.p.settle(d, true, make([]byte, bytes))
	}
	return fresh
}

// Size is how many deliveries it holds, in both of its ways, and bytes of answers.
func (p Past) Size() (known, order, bytes int) { return len(p.p.known), len(p.p.order), p.p.bytes }

// SceneOf is what stands beside the state of a request.
func SceneOf(rules *access.Rules, group, dashboard, takes string, may []string, asked []access.Person, need int, vendors string) scene {
	return scene{rules: rules, group: group, dashboard: dashboard, takes: takes, may: may, asked: asked, need: need, vendors: vendors}
}

// OfferOf says whether break-glass is open, and why not for now.
func OfferOf(open bool, why string) offer { return offer{open: open, why: why} }

// OfferGlass is a scene in which break-glass is offered, and some people may review.
func (s scene) OfferGlass(o offer, review ...access.Person) scene {
	s.glass, s.examiners = o, review
	for _, p := range review {
		s.review = append(s.review, s.rules.Who(p))
	}
	return s
}

// Ticked is a wish to break glass.
func (w wish) Ticked() wish {
	w.glass = true
	return w
}

// Form is the form behind a button.
func Form(action string, r access.Request, rules *access.Rules) any {
	return decisionForm(errand{Action: action, Request: r.ID, Round: 1, Channel: "C1", TS: "1.2"}, r, rules)
}

// Parts are the fields of a click.
func (c click) Parts() (id, user, action, request string, round int, where access.Place, chosen string) {
	return c.id, c.user, c.action, c.request, c.round, c.where, c.chosen
}

// Parts are the fields of a wish.
func (w wish) Parts() [5]string { return [5]string{w.resource, w.user, w.duration, w.reason, w.ticket} }

// Room sets how many jobs may wait.
func (a *App) Room(most int) {
	a.jobs.mu.Lock()
	defer a.jobs.mu.Unlock()
	a.jobs.most = most
}

// Offers counts what the type-ahead offers to somebody.
func (a *App) Offers(p access.Person, query string) int {
	a.people.people[p.Slack] = personEntry{access.Actor{Person: p}, time.Now()}
	return len(a.suggest(payload(fmt.Sprintf(`{"action_id":"resource","user":{"id":%q},"value":%q}`, p.Slack, query))).Options)
}

// SubmitGlass submits the confirmation of break-glass: whether it was refused, and
// what is left to be done.
func SubmitGlass(a *App, hash, reason string, t Taking) (refused bool, job func(context.Context)) {
	v := map[string]any{
		"id": "V1", "hash": hash, "callback_id": formGlass, "private_metadata": metadata(t),
		"state": map[string]any{"values": map[string]any{fieldReason: map[string]any{fieldReason: map[string]any{"value": reason}}}},
	}
	answer, job := a.submitted(payload(metadata(map[string]any{"user": map[string]any{"id": t.User}, "view": v})))
	said, ok := answer.(*slack.ViewSubmissionResponse)
	return ok && len(said.Errors) > 0, job
}
