package slackapp

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// noticeGlass tells one of those who may review it that glass was broken; to nobody
// in particular it is the reply in the thread by which all of them are called.
const noticeGlass = access.NoticeGlass

// offer says whether break-glass is open to somebody.
type offer struct {
	open bool
	why  string // why it is closed for now, in mrkdwn; empty: it is not
}

func (o offer) now() bool { return o.open && o.why == "" }

// glass says whether the requestor of a pending request may break glass, as far as
// it is known. It is offered if it is open at any hour: messages stand longer than
// an hour, and the decision says so.
func (a *App) glass(rules, filed *access.Rules, r access.Request) offer {
	f := a.facts(rules)
	f.Filed = filed
	open := f.MayBreakGlass(r)
	if !open {
		f.Anytime = true
		open = f.MayBreakGlass(r)
	}
	if !open {
		return offer{}
	}
	f.Actor, f.Unreviewed = access.Actor{Person: r.Requestor}, a.unreviewed(rules, r.Principal)
	_, err := access.Decide(f, r, access.BreakGlass{Request: r.ID, Reason: "?"})
	if why, refused := access.AsRefusal(err); refused && why.Code == access.ReviewFirst {
		return offer{open: true, why: why.Text}
	}
	return offer{open: true}
}

// glassFor says whether somebody may break glass for a resource, from memory. Who
// is not known is offered nothing, and nobody for somebody else.
func (a *App) glassFor(rules *access.Rules, user, principal, resource string) offer {
	res, ok := rules.Resource(resource)
	me, known := a.people.recall(user)
	if !ok || !known || user != principal {
		return offer{}
	}
	return a.glass(rules, rules, access.Request{
		Status: access.Pending, Requestor: me.Person, Principal: me.Person, Resource: res.ID, Title: res.Title, Target: res.Target,
	})
}

// unreviewed is a use of break-glass by a person that is still to be reviewed; empty
// if there is none.
func (a *App) unreviewed(rules *access.Rules, p access.Person) string {
	for _, r := range a.cfg.Reader.Unreviewed() {
		if rules.Same(r.Principal, p) {
			return r.ID
		}
	}
	return ""
}

// glassChanged renders what else waits for somebody who has broken glass, or whose
// use of it was reviewed: it offers break-glass, or does not any more.
func (a *App) glassChanged(r access.Request) {
	if r.Review == nil {
		return
	}
	rules := a.cfg.Reader.Rules()
	for _, x := range a.cfg.Reader.Lately() {
		if x.Status == access.Pending && rules.Same(x.Principal, r.Principal) {
			a.changedFor(x)
		}
	}
}

// examiners are the addresses of those who may review a use of break-glass. It is
// judged as if the hour did not matter: the review waits longer.
func (a *App) examiners(rules *access.Rules, r access.Request) []string {
	f := a.facts(rules)
	f.Anytime = true
	return f.Examiners(r)
}

// reviewWaitsFor reports whether a use of break-glass waits for somebody's review.
func (a *App) reviewWaitsFor(rules *access.Rules, me access.Person, r access.Request) bool {
	return r.ToReview() && slices.Contains(a.examiners(rules, r), rules.Who(me))
}

// announceGlass calls all who may review, in the thread: the message above it may
// have been posted before, and its update notifies nobody.
func (a *App) announceGlass(ctx context.Context, r access.Request, t *task) (access.Request, error) {
	root, ok := r.ApprovalPost()
	_, done := r.Post(noticeGlass, access.Person{})
	if r.Review == nil || !ok || done || !r.ToReview() && !t.unclear {
		return r, nil
	}
	s := a.scene(ctx, r)
	if len(s.examiners) > mostInvited {
		s.examiners = a.accounts(ctx, s.rules, s.examiners[:min(len(s.examiners), mostCalled)])
	}
	to := target{channel: root.Channel, thread: root.TS, request: r.ID, notice: noticeGlass}
	return a.deliver(ctx, r, to, glassCall(r, s), t)
}

// glassCall is what stands in the thread about a use of break-glass.
func glassCall(r access.Request, s scene) message {
	m := say(glassText(r, access.Person{}, s))
	m.Blocks = append(m.Blocks, glassQuotes(r)...)
	return m
}

// broken reports whether an access was taken by breaking glass.
func broken(r access.Request) bool {
	return r.Decision != nil && r.Decision.Source == access.ByBreakGlass
}

// glassText tells those who may review who took what, until when, and what is to be
// done.
func glassText(r access.Request, to access.Person, s scene) string {
	lines := []string{"🔨 *" + headline(r) + "*, without approval. It lasts until " + date(r.Expires()) + "."}
	if r.Status.Ended() {
		lines[0] = "🔨 *" + headline(r) + "*, without approval. " + ending(r) + "."
	}
	lines = append(lines, reviewed(r))
	switch {
	case !r.ToReview():
	case to.IsZero():
		lines = append(lines, s.reviewPlea(mostCalled, "press *Review* in the message above."))
	case s.mayReview(to):
		lines = append(lines, "Please look at what was done and press *Review*. One review is enough, by anybody who may approve it.")
	default:
		lines = append(lines, "It does not wait for you any more: who may review it has changed.")
	}
	return strings.Join(lines, "\n")
}

// reviewed says how it stands with the review; empty where none is needed.
func reviewed(r access.Request) string {
	switch {
	case r.Review == nil:
		return ""
	case r.ToReview():
		return "🔎 *Waits for a review*: until then " + mention(r.Principal) + " cannot break glass again."
	}
	return "🔎 *Reviewed* by " + mention(r.Review.By) + " " + date(r.Review.At) + "."
}

// withReview is a text about a request, and below it how it stands with the review.
func withReview(text string, r access.Request) string {
	return strings.TrimSuffix(text+"\n"+reviewed(r), "\n")
}

// glassQuotes are what was written when glass was broken, and in its review.
func glassQuotes(r access.Request) []slack.Block {
	var blocks []slack.Block
	if broken(r) && r.Decision.Reason != "" {
		blocks = append(blocks, quote("Reason", r.Decision.Reason, r.ID, 1500))
	}
	return append(blocks, reviewQuote(r)...)
}

func reviewQuote(r access.Request) []slack.Block {
	if r.Review == nil || r.Review.Text == "" {
		return nil
	}
	return []slack.Block{quote("Review", r.Review.Text, r.ID, 1500)}
}

// glassControls are Review and the way to the request, for who may review it.
func glassControls(r access.Request, to access.Person, s scene) []slack.BlockElement {
	if !r.ToReview() || !s.mayReview(to) {
		return nil
	}
	e := []slack.BlockElement{reviewButton(r)}
	if open := openButton(r); open != nil {
		open.Style = ""
		e = append(e, open)
	}
	return e
}

func reviewButton(r access.Request) *slack.ButtonBlockElement {
	return button(actReview, "Review", value(r.ID, 0), slack.StylePrimary)
}

// glassField offers break-glass in the form for a new request.
func glassField(ticked bool) slack.Block {
	option := slack.NewOptionBlockObject("yes", label("Take it now without approval.", 75),
		label("Everyone who approves is told, and it must be reviewed afterwards.", 75))
	in := slack.NewCheckboxGroupsBlockElement(fieldGlass, option)
	if ticked {
		in.InitialOptions = []*slack.OptionBlockObject{option}
	}
	b := slack.NewInputBlock(fieldGlass, label("Break glass", 200), nil, in)
	b.Optional, b.DispatchAction = true, true
	return b
}

// glassForm is the confirmation: it spells out what breaking glass means, and
// asks for the reason. lasts is 0 where only the decision can tell.
func glassForm(callback string, meta any, what string, lasts time.Duration, reason string) slack.ModalViewRequest {
	long := ""
	if lasts > 0 {
		long = " for " + spell(lasts)
	}
	text := "You take " + what + " now" + long + ", without approval.\n" +
		"• Everyone who may approve it is told at once, with your name and your reason.\n" +
		"• Somebody else must review it afterwards. Until then you cannot break glass again."
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: callback, PrivateMetadata: metadata(meta),
		Title: label("Break glass?", 24), Submit: label("Break glass", 24), Close: label("Back", 24),
		Blocks: slack.Blocks{BlockSet: []slack.Block{
			section(mrkdwn(text)),
			textField(fieldReason, "Reason", "It is recorded, and the review rests on it.", reason, access.MaxText, true),
		}},
	}
}

// lasting is how long an access would be given by what was decided; 0 if it would
// not be.
func lasting(events []access.Event) time.Duration {
	for _, e := range events {
		if b, ok := e.Body.(access.Approval); ok {
			return b.Expires.Sub(e.At)
		}
	}
	return 0
}

// taking is what the confirmation carries of the form below it.
type taking struct {
	Resource string `json:"resource"` // as in the form's option
	User     string `json:"user"`
	Duration string `json:"duration,omitempty"`
	Ticket   string `json:"ticket,omitempty"`
}

// confirmGlass answers the form for a new request, in which break-glass was chosen,
// with the confirmation.
func (a *App) confirmGlass(user string, w wish, f access.File) any {
	rules := a.cfg.Reader.Rules()
	events, _ := a.rehearse(rules, user, w.user, f)
	res, _ := rules.Resource(f.Resource)
	meta := taking{Resource: resourceKey(f.Resource), User: w.user, Duration: w.duration, Ticket: w.ticket}
	view := glassForm(formGlass, meta, title(res.Title, f.Resource), lasting(events), w.reason)
	return slack.NewPushViewSubmissionResponse(&view)
}

// submittedGlass answers the confirmation. What is wrong by now stands beside the
// reason: there is no other field.
func (a *App) submittedGlass(p, v payload) (any, func(context.Context)) {
	var t taking
	if err := json.Unmarshal([]byte(v.str("private_metadata")), &t); err != nil {
		return nil, nil
	}
	user := p.str("user", "id")
	f := access.File{
		Resource: resourceID(a.cfg.Reader.Rules(), t.Resource), Ticket: t.Ticket, Reason: field(v, fieldReason), BreakGlass: true,
	}
	if t.Duration != "" {
		d, err := access.ParseDuration(t.Duration)
		if err != nil {
			return nil, nil
		}
		f.Duration = d
	}
	if _, why := a.formErrors(user, t.User, f); why != nil {
		return errorsAnswer(fieldReason, flat(why.Text)), nil
	}
	return slack.NewClearViewSubmissionResponse(), func(ctx context.Context) { a.file(ctx, formID(v), reply{user: user}, f, t.User) }
}
