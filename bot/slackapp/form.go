package slackapp

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// wish is what somebody has said already about what they want.
type wish struct {
	resource string
	user     string // Slack id; empty: for oneself
	duration string
	reason   string
	ticket   string
}

// openForm opens the form at once: it is made from memory, and Slack's trigger is
// good for three seconds only. Who opens it is looked up meanwhile, so that the
// submission needs no network.
func (a *App) openForm(ctx context.Context, trigger string, to reply, w wish) {
	if me, known := a.people.recall(to.user); known && me.Barred != "" {
		a.tell(ctx, to, say(me.Barred))
		return
	}
	if w.user == "" {
		w.user = to.user
	}
	_, err := a.web.bot.OpenViewContext(ctx, trigger, requestForm(a.cfg.Reader.Rules(), w))
	if err != nil {
		a.log.Warn("slack: the form could not be opened", "error", a.web.safe(err))
		a.tell(ctx, to, say(triggerText))
		return
	}
	for _, user := range []string{to.user, w.user} {
		if _, err := a.people.actor(ctx, user); err != nil {
			a.log.Debug("slack: not looked up ahead", "error", a.web.safe(err))
		}
	}
}

// warm looks up a person that was chosen in the form.
func (a *App) warm(ctx context.Context, c click) {
	if c.action != fieldFor || c.request == "" {
		return
	}
	if _, err := a.people.actor(ctx, c.request); err != nil {
		a.log.Debug("slack: not looked up ahead", "error", a.web.safe(err))
	}
}

// requestForm is the form for a new request.
func requestForm(rules *access.Rules, w wish) slack.ModalViewRequest {
	s := rules.Settings
	ticketHint := ""
	if s.RequireTicket != nil {
		ticketHint = "It must match " + s.TicketPattern() + "."
	}
	blocks := []slack.Block{
		resourceField(rules, w.resource),
		forField(w.user),
		textField(fieldDuration, "Duration", durationHint(rules, w.resource), w.duration, 40, s.RequireDuration),
		textField(fieldReason, "Reason", "The reviewers and the audit log see it.", w.reason, access.MaxText, s.RequireReason),
		textField(fieldTicket, "Ticket", ticketHint, w.ticket, 200, s.RequireTicket != nil),
	}
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: formRequest,
		Title: label("Request access", 24), Submit: label("Request", 24), Close: label("Back", 24),
		Blocks: slack.Blocks{BlockSet: blocks},
	}
}

func resourceField(rules *access.Rules, id string) slack.Block {
	none := 0
	in := slack.NewOptionsSelectBlockElement(slack.OptTypeExternal, label("Type to search", 150), fieldResource)
	in.MinQueryLength = &none
	if res, ok := rules.Resource(id); ok {
		in.InitialOption = resourceOption(res)
	}
	return slack.NewInputBlock(fieldResource, label("Resource", 200), nil, in)
}

func forField(user string) slack.Block {
	in := slack.NewOptionsSelectBlockElement(slack.OptTypeUser, label("Who gets the access", 150), fieldFor)
	in.InitialUser = user
	b := slack.NewInputBlock(fieldFor, label("For", 200), nil, in)
	b.DispatchAction = true
	return b
}

func textField(name, title, hint, initial string, most int, needed bool) slack.Block {
	in := slack.NewPlainTextInputBlockElement(nil, name)
	in.InitialValue, in.MaxLength, in.Multiline = clip(initial, most), most, name == fieldReason
	var h *slack.TextBlockObject
	if hint != "" {
		h = label(hint, 500)
	}
	b := slack.NewInputBlock(name, label(title, 200), h, in)
	b.Optional = !needed
	return b
}

// resourceKey is the value of a resource's option. Slack allows 75 characters.
func resourceKey(id string) string {
	if len([]rune(id)) <= 75 {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "#" + hex.EncodeToString(sum[:20])
}

// resourceID finds the resource of an option.
func resourceID(rules *access.Rules, key string) string {
	for _, r := range rules.Resources {
		if resourceKey(r.ID) == key {
			return r.ID
		}
	}
	return key
}

func resourceOption(r access.Resource) *slack.OptionBlockObject {
	text := r.ID
	if r.Title != "" && r.Title != r.ID {
		text = clip(r.Title, 40) + " · " + r.ID
	}
	return slack.NewOptionBlockObject(resourceKey(r.ID), label(text, 75), nil)
}

// suggestions are the options of a select. The list is there even if it is empty:
// without it Slack says that the options could not be loaded.
type suggestions struct {
	Options []*slack.OptionBlockObject `json:"options"`
}

// suggest answers the type-ahead of the resource, from memory.
func (a *App) suggest(p payload) suggestions {
	answer := suggestions{Options: []*slack.OptionBlockObject{}}
	if p.str("action_id") != fieldResource {
		return answer
	}
	size := 0
	for _, r := range matching(a.cfg.Reader.Rules().Resources, p.str("value")) {
		o := resourceOption(r)
		data, err := json.Marshal(o)
		// Slack drops acknowledgements of 20 kB and more without a word.
		if size += len(data) + 1; err != nil || size > 18000 || len(answer.Options) == 100 {
			break
		}
		answer.Options = append(answer.Options, o)
	}
	return answer
}

// matching are the resources in whose title or id all words occur; those whose id
// begins with what was typed come first.
func matching(all []access.Resource, query string) []access.Resource {
	query = strings.ToLower(strings.TrimSpace(query))
	var found []access.Resource
	for _, r := range all {
		text, hit := strings.ToLower(r.Title+" "+r.ID), true
		for _, word := range strings.Fields(query) {
			hit = hit && strings.Contains(text, word)
		}
		if hit {
			found = append(found, r)
		}
	}
	rank := func(r access.Resource) int {
		if strings.HasPrefix(r.ID, query) || strings.HasPrefix(strings.ToLower(r.Title), query) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(found, func(x, y access.Resource) int { return cmp.Compare(rank(x), rank(y)) })
	return found
}

// submittedRequest answers the form for a new request.
func (a *App) submittedRequest(p, v payload) (any, func(context.Context)) {
	rules, user := a.cfg.Reader.Rules(), p.str("user", "id")
	w := wish{
		resource: resourceID(rules, field(v, fieldResource)), user: first(field(v, fieldFor), user),
		duration: field(v, fieldDuration), reason: field(v, fieldReason), ticket: field(v, fieldTicket),
	}
	f := access.File{Resource: w.resource, Reason: w.reason, Ticket: w.ticket}
	if w.duration != "" {
		d, err := access.ParseDuration(w.duration)
		if err != nil {
			return errorsAnswer(fieldDuration, "Write a duration such as 30m, 4h, 2d or 1w."), nil
		}
		f.Duration = d
	}
	if name, why := a.formErrors(user, w.user, f); why != nil {
		return errorsAnswer(name, flat(why.Text)), nil
	}
	return nil, func(ctx context.Context) { a.file(ctx, formID(v), reply{user: user}, f, w.user) }
}

// formErrors decides the filing on what is known about the people, and names the
// field that is wrong. People who are not known yet are judged when it is recorded.
func (a *App) formErrors(user, principal string, f access.File) (string, *access.Refusal) {
	actor := a.presumed(user)
	if principal != user {
		f.Principal = a.presumed(principal)
	}
	facts := access.Facts{Now: time.Now(), New: "?", Actor: actor, Rules: a.cfg.Reader.Rules()}
	_, err := access.Decide(facts, access.Request{}, f)
	why, refused := access.AsRefusal(err)
	if !refused {
		return "", nil
	}
	switch why.Code {
	case access.TooLong, access.BadDuration, access.NeedsDuration:
		return fieldDuration, why
	case access.NeedsReason:
		return fieldReason, why
	case access.NeedsTicket:
		return fieldTicket, why
	case access.BadPrincipal:
		return fieldFor, why
	}
	return fieldResource, why
}

// presumed is what is known about somebody, or somebody who may act.
func (a *App) presumed(user string) access.Actor {
	if actor, ok := a.people.recall(user); ok {
		return actor
	}
	return access.Actor{Person: access.Person{Email: "?", Slack: user}}
}

// file records a request. Whoever asked is told by the request's own messages, or
// here if it is refused.
func (a *App) file(ctx context.Context, id string, to reply, f access.File, principal string) (access.Request, bool) {
	actor, ok := a.who(ctx, to)
	if !ok {
		return access.Request{}, false
	}
	if principal != "" && principal != to.user {
		p, err := a.people.actor(ctx, principal)
		if err != nil {
			a.tell(ctx, to, say(directoryText))
			return access.Request{}, false
		}
		f.Principal = p
	}
	return a.perform(ctx, access.Command{ID: id, Actor: actor, Do: f}, to)
}

// flat is mrkdwn as plain text, for errors beside fields.
func flat(text string) string {
	return unescape(strings.NewReplacer("`", "", "*", "").Replace(text))
}

// use is the global shortcut.
type use struct{ user, trigger, callback string }

func shortcutOf(p payload) use {
	return use{user: p.str("user", "id"), trigger: p.str("trigger_id"), callback: p.str("callback_id")}
}

func (a *App) shortcut(ctx context.Context, s use) {
	if s.callback == actRequest {
		a.openForm(ctx, s.trigger, reply{user: s.user}, wish{})
	}
}
