package slackapp

import (
	"context"
	"encoding/json"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// decision is a form that a button opens before anything is decided.
type decision struct {
	title, submit, intro string
	label                string // of the text; empty: Reason
	needed               bool   // whether there must be a text
}

// decisions are the buttons that open a form. Its text is constant.
var decisions = map[string]decision{
	actDeny:          {title: "Deny the request", submit: "Deny", intro: "One denial ends the request. The requestor is told."},
	actRevoke:        {title: "Revoke the access", submit: "Revoke", intro: "The access ends now. The requestor is told."},
	actDenyExtension: {title: "Deny the extension", submit: "Deny", intro: "The access goes on to its present end."},
	actExtend:        {title: "Extend the access", submit: "Ask", intro: "An approver decides, as for a new request."},
	actReview: {title: "Review the use", submit: "Reviewed", label: "What you found", needed: true,
		intro: "Nobody has approved this access beforehand. Look at what was done with it; what you write is recorded, and told."},
	actBreakGlass: {}, // see glassForm
}

// errand is what a form carries in its private metadata.
type errand struct {
	Action  string `json:"action"`
	Request string `json:"request"`
	Round   int    `json:"round,omitempty"`
	Channel string `json:"channel,omitempty"`
	TS      string `json:"ts,omitempty"`
}

func (e errand) where() access.Place { return access.Place{Channel: e.Channel, TS: e.TS} }

// The forms and their fields. The names of blocks and of their elements are equal.
const (
	formDecision  = "decision"
	formRequest   = "request"
	formGlass     = "break_glass"
	fieldReason   = "reason"
	fieldDuration = "duration"
	fieldResource = "resource"
	fieldFor      = "for"
	fieldTicket   = "ticket"
	fieldGlass    = "glass"
)

// askFirst opens the form of a button. Who would be refused anyway is told so
// before they write a reason; the refusal is recorded like any other.
func (a *App) askFirst(ctx context.Context, c click, actor access.Actor, do access.Action) {
	events, err := a.try(ctx, actor, do)
	if why, refused := access.AsRefusal(err); refused && why.Code != access.NeedsReason {
		if c.action == actExtend || c.action == actBreakGlass {
			a.tell(ctx, c.reply(), say(why.Text))
			return
		}
		a.perform(ctx, access.Command{ID: c.id, Actor: actor, Do: do}, c.reply())
		return
	}
	r, _ := a.cfg.Reader.Request(c.request)
	e := errand{Action: c.action, Request: c.request, Round: c.round, Channel: c.where.Channel, TS: c.where.TS}
	view := decisionForm(e, r, a.cfg.Reader.Rules())
	if c.action == actBreakGlass {
		view = glassForm(formDecision, e, title(r.Title, r.Resource), lasting(events), r.Reason)
	}
	if _, err := a.web.bot.OpenViewContext(ctx, c.trigger, view); err != nil {
		a.log.Warn("slack: a form could not be opened", "error", a.web.safe(err))
		a.tell(ctx, c.reply(), say(triggerText))
	}
}

// decisionForm asks for the reason, and for an extension for its length.
func decisionForm(e errand, r access.Request, rules *access.Rules) slack.ModalViewRequest {
	d := decisions[e.Action]
	blocks := []slack.Block{section(mrkdwn(headline(r) + ".\n" + d.intro))}
	needed := d.needed
	if e.Action == actExtend {
		needed = rules.Settings.RequireReason
		in := slack.NewPlainTextInputBlockElement(label("1h", 150), fieldDuration)
		blocks = append(blocks, slack.NewInputBlock(fieldDuration, label("How much longer", 200), label(durationHint(rules, r.Resource, 0), 300), in))
	}
	reason := slack.NewPlainTextInputBlockElement(nil, fieldReason)
	reason.Multiline, reason.MaxLength = true, access.MaxText
	in := slack.NewInputBlock(fieldReason, label(first(d.label, "Reason"), 200), nil, reason)
	in.Optional = !needed
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: formDecision, PrivateMetadata: metadata(e),
		Title: label(d.title, 24), Submit: label(d.submit, 24), Close: label("Back", 24),
		Blocks: slack.Blocks{BlockSet: append(blocks, in)},
	}
}

// metadata is what a view carries for its submission.
func metadata(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(data)
}

// durationHint says how a duration is written and how long it may be.
// The limit of the policies is given where it is known.
func durationHint(rules *access.Rules, resource string, limit time.Duration) string {
	hint := "For example 30m, 4h, 2d or 1w."
	if limit > 0 {
		return hint + " At most " + spell(limit) + "."
	}
	if res, ok := rules.Resource(resource); ok {
		return hint + " At most " + spell(rules.Limit(res)) + "."
	}
	return hint + " At most " + spell(rules.Settings.MaxDuration) + "; some resources allow less."
}

// submitted answers a form within its acknowledgement: with errors beside the
// fields, or by closing it, in which case the job records what was asked. Nothing
// here goes over the network.
func (a *App) submitted(p payload) (answer any, job func(context.Context)) {
	id := formID(p.at("view"))
	if answer, again := a.acceptedBefore(id); again {
		return answer, nil
	}
	if answer, job = a.submittedFirst(p); job != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.accepted) >= 5000 {
			clear(a.accepted)
		}
		a.accepted[id] = answer
	}
	return answer, job
}

// acceptedBefore is what a form that was accepted was answered. Slack may bring it
// again, and by then what it has done can speak against it.
func (a *App) acceptedBefore(id string) (answer any, again bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer, again = a.accepted[id]
	return answer, again
}

func (a *App) submittedFirst(p payload) (answer any, job func(context.Context)) {
	v := p.at("view")
	switch v.str("callback_id") {
	case formDecision:
		return a.submittedDecision(p, v)
	case formRequest:
		return a.submittedRequest(p, v)
	case formGlass:
		return a.submittedGlass(p, v)
	}
	return nil, nil
}

// field is what was entered in a field.
func field(v payload, name string) string {
	in := v.at("state", "values", name, name)
	return first(in.str("value"), in.str("selected_option", "value"), in.str("selected_user"), in.str("selected_options", "0", "value"))
}

// formID is the id of a submission: the same form submitted twice is one.
func formID(v payload) string { return eventID("form", v.str("id"), v.str("hash")) }

func errorsAnswer(field, text string) *slack.ViewSubmissionResponse {
	return slack.NewErrorsViewSubmissionResponse(map[string]string{field: clip(text, 1000)})
}

func (a *App) submittedDecision(p, v payload) (any, func(context.Context)) {
	var e errand
	if err := json.Unmarshal([]byte(v.str("private_metadata")), &e); err != nil {
		return nil, nil
	}
	user, reason := p.str("user", "id"), field(v, fieldReason)
	var do access.Action
	switch e.Action {
	case actDeny:
		do = access.Deny{Request: e.Request, Reason: reason, Where: e.where()}
	case actRevoke:
		do = access.Revoke{Request: e.Request, Reason: reason, Where: e.where()}
	case actDenyExtension:
		do = access.DenyExtension{Request: e.Request, Round: e.Round, Reason: reason, Where: e.where()}
	case actExtend:
		by, err := access.ParseDuration(field(v, fieldDuration))
		if err != nil {
			return errorsAnswer(fieldDuration, "Write a duration such as 30m, 4h, 2d or 1w."), nil
		}
		do = access.Extend{Request: e.Request, By: by, Reason: reason, Where: e.where()}
	case actBreakGlass:
		do = access.BreakGlass{Request: e.Request, Reason: reason, Where: e.where()}
	case actReview:
		do = access.ReviewAccess{Request: e.Request, Text: reason, Where: e.where()}
	default:
		return nil, nil
	}
	if answer := a.decisionErrors(user, do); answer != nil {
		return answer, nil
	}
	to := reply{user: user, channel: e.Channel}
	return nil, func(ctx context.Context) {
		if actor, ok := a.who(ctx, to); ok {
			a.perform(ctx, access.Command{ID: formID(v), Actor: actor, Do: do}, to)
		}
	}
}

// decisionErrors says beside the field what is wrong with what was entered.
func (a *App) decisionErrors(user string, do access.Action) any {
	id, _ := do.Target()
	r, ok := a.cfg.Reader.Request(id)
	actor, known := a.people.recall(user)
	if !ok || !known {
		return nil
	}
	// The rules of the filing are judged when it is recorded; they would have to
	// be read from the repository here.
	rules := a.cfg.Reader.Rules()
	f := a.factsOf(rules, actor, do)
	f.Filed = rules
	_, err := access.Decide(f, r, do)
	why, refused := access.AsRefusal(err)
	_, extends := do.(access.Extend)
	switch {
	case !refused:
	case why.Code == access.NeedsReason:
		return errorsAnswer(fieldReason, flat(why.Text))
	case extends && (why.Code == access.TooLong || why.Code == access.BadDuration):
		return errorsAnswer(fieldDuration, flat(why.Text))
	}
	return nil
}
