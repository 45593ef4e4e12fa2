package slackapp

import (
	"context"
	"encoding/json"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// decision is a form that a button opens before anything is decided.
type decision struct{ title, submit, intro string }

// decisions are the buttons that open a form. Its text is constant.
var decisions = map[string]decision{
	actDeny:          {"Deny the request", "Deny", "One denial ends the request. The requestor is told."},
	actRevoke:        {"Revoke the access", "Revoke", "The access ends now. The requestor is told."},
	actDenyExtension: {"Deny the extension", "Deny", "The access goes on to its present end."},
	actExtend:        {"Extend the access", "Ask", "An approver decides, as for a new request."},
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
	fieldReason   = "reason"
	fieldDuration = "duration"
	fieldResource = "resource"
	fieldFor      = "for"
	fieldTicket   = "ticket"
)

// askFirst opens the form of a button. Who would be refused anyway is told so
// before they write a reason; the refusal is recorded like any other.
func (a *App) askFirst(ctx context.Context, c click, actor access.Actor, do access.Action) {
	if why, refused := access.AsRefusal(a.try(ctx, actor, do)); refused {
		if c.action == actExtend {
			a.tell(ctx, c.reply(), say(why.Text))
			return
		}
		a.perform(ctx, access.Command{ID: c.id, Actor: actor, Do: do}, c.reply())
		return
	}
	r, _ := a.cfg.Reader.Request(c.request)
	e := errand{Action: c.action, Request: c.request, Round: c.round, Channel: c.where.Channel, TS: c.where.TS}
	if _, err := a.web.bot.OpenViewContext(ctx, c.trigger, decisionForm(e, r, a.cfg.Reader.Rules())); err != nil {
		a.log.Warn("slack: a form could not be opened", "error", a.web.safe(err))
		a.tell(ctx, c.reply(), say(triggerText))
	}
}

// decisionForm asks for the reason, and for an extension for its length.
func decisionForm(e errand, r access.Request, rules *access.Rules) slack.ModalViewRequest {
	d := decisions[e.Action]
	meta, err := json.Marshal(e)
	if err != nil {
		meta = nil
	}
	blocks := []slack.Block{section(mrkdwn(headline(r) + ".\n" + d.intro))}
	needed := false
	if e.Action == actExtend {
		needed = rules.Settings.RequireReason
		in := slack.NewPlainTextInputBlockElement(label("1h", 150), fieldDuration)
		blocks = append(blocks, slack.NewInputBlock(fieldDuration, label("How much longer", 200), label(durationHint(rules, r.Resource, 0), 300), in))
	}
	reason := slack.NewPlainTextInputBlockElement(nil, fieldReason)
	reason.Multiline, reason.MaxLength = true, access.MaxText
	in := slack.NewInputBlock(fieldReason, label("Reason", 200), nil, reason)
	in.Optional = !needed
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: formDecision, PrivateMetadata: string(meta),
		Title: label(d.title, 24), Submit: label(d.submit, 24), Close: label("Back", 24),
		Blocks: slack.Blocks{BlockSet: append(blocks, in)},
	}
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
	v := p.at("view")
	switch v.str("callback_id") {
	case formDecision:
		return a.submittedDecision(p, v)
	case formRequest:
		return a.submittedRequest(p, v)
	}
	return nil, nil
}

// field is what was entered in a field.
func field(v payload, name string) string {
	in := v.at("state", "values", name, name)
	return first(in.str("value"), in.str("selected_option", "value"), in.str("selected_user"))
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
		x := access.Extend{Request: e.Request, By: by, Reason: reason, Where: e.where()}
		if answer := a.extendErrors(user, x); answer != nil {
			return answer, nil
		}
		do = x
	default:
		return nil, nil
	}
	to := reply{user: user, channel: e.Channel}
	return nil, func(ctx context.Context) {
		if actor, ok := a.who(ctx, to); ok {
			a.perform(ctx, access.Command{ID: formID(v), Actor: actor, Do: do}, to)
		}
	}
}

// extendErrors says beside the field what is wrong with an extension.
func (a *App) extendErrors(user string, x access.Extend) any {
	r, ok := a.cfg.Reader.Request(x.Request)
	actor, known := a.people.recall(user)
	if !ok || !known {
		return nil
	}
	// The rules of the filing are judged when it is recorded; they would have to
	// be read from the repository here.
	rules := a.cfg.Reader.Rules()
	f := a.facts(rules)
	f.Actor, f.Filed = actor, rules
	_, err := access.Decide(f, r, x)
	why, refused := access.AsRefusal(err)
	if !refused {
		return nil
	}
	switch why.Code {
	case access.NeedsReason:
		return errorsAnswer(fieldReason, flat(why.Text))
	case access.TooLong, access.BadDuration:
		return errorsAnswer(fieldDuration, flat(why.Text))
	}
	return nil
}
