package slackapp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

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
	glass    bool // to be taken without approval
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
	rules := a.cfg.Reader.Rules()
	_, err := a.web.bot.OpenViewContext(ctx, trigger, a.form(rules, to.user, w))
	if err != nil {
		a.log.Warn("slack: the form could not be opened", "error", a.web.safe(err))
		a.tell(ctx, to, say(triggerText))
		return
	}
	a.refreshGroups()
	for _, user := range []string{to.user, w.user} {
		if _, err := a.people.actor(ctx, user); err != nil {
			a.log.Debug("slack: not looked up ahead", "error", a.web.safe(err))
		}
	}
}

// chosen takes up what was chosen in the form: the person is looked up ahead, and
// the form says what is demanded of this access.
func (a *App) chosen(ctx context.Context, c click) {
	if c.view.str("callback_id") != formRequest {
		return
	}
	rules, w := a.cfg.Reader.Rules(), wishOf(a.cfg.Reader.Rules(), c.view)
	w.user = first(w.user, c.user)
	for _, user := range []string{c.user, w.user} {
		if _, err := a.people.actor(ctx, user); err != nil {
			a.log.Debug("slack: not looked up ahead", "error", a.web.safe(err))
		}
	}
	a.members.look(ctx, elsewhere(rules))
	// What was entered stays: the names of blocks and elements do. If the form has
	// changed meanwhile, a later choice has been taken up.
	_, err := a.web.bot.UpdateViewContext(ctx, a.form(rules, c.user, w), "", c.view.str("hash"), c.view.str("id"))
	if err != nil {
		a.log.Debug("slack: the form was not brought up to date", "error", a.web.safe(err))
	}
}

// form is the form as it is for somebody, from memory.
func (a *App) form(rules *access.Rules, user string, w wish) slack.ModalViewRequest {
	return requestForm(rules, w, a.foretell(rules, user, w.user, w.resource), a.glassFor(rules, user, w.user, w.resource))
}

// wishOf is what stands in the form.
func wishOf(rules *access.Rules, v payload) wish {
	return wish{
		resource: resourceID(rules, field(v, fieldResource)), user: first(field(v, fieldFor), v.str("private_metadata")),
		duration: field(v, fieldDuration), reason: field(v, fieldReason), ticket: field(v, fieldTicket), glass: field(v, fieldGlass) != "",
	}
}

// requestForm is the form for a new request. Where it is known what is demanded of
// the resource that is chosen, the fields say so. It carries for whom it is: what
// is offered depends on that.
func requestForm(rules *access.Rules, w wish, e *access.Explanation, o offer) slack.ModalViewRequest {
	if e == nil {
		e = &access.Explanation{Reasons: rules.Settings.RequireReason, Durations: rules.Settings.RequireDuration}
		if rules.Settings.RequireTicket != nil {
			e.Tickets = []string{rules.Settings.TicketPattern()}
		}
	}
	ticketHint := ""
	if len(e.Tickets) > 0 {
		ticketHint = "It must match " + strings.Join(e.Tickets, " and ") + "."
	}
	blocks := []slack.Block{
		resourceField(rules, w.resource, resourceHint(rules, e)),
		forField(w.user),
		textField(fieldDuration, "Duration", durationHint(rules, w.resource, e.Limit), w.duration, 40, e.Durations),
		textField(fieldReason, "Reason", "The reviewers and the audit log see it.", w.reason, access.MaxText, e.Reasons || w.glass && o.now()),
		textField(fieldTicket, "Ticket", ticketHint, w.ticket, 200, len(e.Tickets) > 0),
	}
	switch {
	case o.now():
		blocks = append(blocks, glassField(w.glass))
	case o.open:
		blocks = append(blocks, note("*Break glass*: "+o.why))
	}
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: formRequest, PrivateMetadata: w.user,
		Title: label("Request access", 24), Submit: label("Request", 24), Close: label("Back", 24),
		Blocks: slack.Blocks{BlockSet: blocks},
	}
}

// resourceHint says what would become of the request.
func resourceHint(rules *access.Rules, e *access.Explanation) string {
	switch {
	case len(rules.Policies) == 0 || e.Outcome == "":
		return ""
	case e.Outcome == access.WouldBeDenied:
		return flat(e.Reason)
	case e.Outcome == access.WouldBeGiven:
		return "It is given at once."
	case e.Takes == "nobody":
		return "Nobody is named who could approve it."
	}
	return "It takes the approval of " + e.Takes + "."
}

func resourceField(rules *access.Rules, id, hint string) slack.Block {
	none := 0
	in := slack.NewOptionsSelectBlockElement(slack.OptTypeExternal, label("Type to search", 150), fieldResource)
	in.MinQueryLength = &none
	if res, ok := rules.Resource(id); ok {
		in.InitialOption = resourceOption(res)
	}
	var h *slack.TextBlockObject
	if hint != "" {
		h = label(hint, 500)
	}
	b := slack.NewInputBlock(fieldResource, label("Resource", 200), h, in)
	b.DispatchAction = true
	return b
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

// suggest answers the type-ahead of the resource, from memory: what the person for
// whom the form is may ask for.
func (a *App) suggest(p payload) suggestions {
	answer := suggestions{Options: []*slack.OptionBlockObject{}}
	if p.str("action_id") != fieldResource {
		return answer
	}
	a.refreshGroups()
	rules, v := a.cfg.Reader.Rules(), p.at("view")
	user := first(field(v, fieldFor), v.str("private_metadata"), p.str("user", "id"))
	principal, known := a.people.recall(user)
	if !known && len(rules.Policies) > 0 {
		// Nobody knows what a stranger may ask for. They are looked up for the next time.
		a.jobs.add("user "+user, func(ctx context.Context) {
			if _, err := a.people.actor(ctx, user); err != nil {
				a.log.Debug("slack: not looked up ahead", "error", a.web.safe(err))
			}
		})
		return answer
	}
	size := 0
	for _, r := range a.offered(rules, principal.Person, matching(a.resources(rules), p.str("value")), 100) {
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

// resources are those that are written and those of the teams that are known. An
// id that is too long for an option can be asked for by the command.
func (a *App) resources(rules *access.Rules) []access.Resource {
	if a.cfg.Teams == nil {
		return rules.Resources
	}
	all := slices.Clip(rules.Resources)
	for _, r := range rules.Discovered(a.cfg.Teams) {
		if resourceKey(r.ID) == r.ID {
			all = append(all, r)
		}
	}
	return all
}

// matching are the resources in whose title or id all words occur; those whose id
// begins with what was typed come first.
func matching(all []access.Resource, query string) []access.Resource {
	query = strings.ToLower(strings.TrimSpace(query))
	words := strings.Fields(query)
	var begin, rest []access.Resource
	for _, r := range all {
		title, hit := strings.ToLower(r.Title), true
		for _, word := range words {
			hit = hit && (strings.Contains(r.ID, word) || strings.Contains(title, word))
		}
		switch {
		case !hit:
		case strings.HasPrefix(r.ID, query), strings.HasPrefix(title, query):
			begin = append(begin, r)
		default:
			rest = append(rest, r)
		}
	}
	return append(begin, rest...)
}

// submittedRequest answers the form for a new request.
func (a *App) submittedRequest(p, v payload) (any, func(context.Context)) {
	rules, user := a.cfg.Reader.Rules(), p.str("user", "id")
	w := wishOf(rules, v)
	w.user = first(w.user, user)
	f := access.File{Resource: w.resource, Reason: w.reason, Ticket: w.ticket, BreakGlass: w.glass}
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
	if f.BreakGlass {
		return a.confirmGlass(user, w, f), nil
	}
	return nil, func(ctx context.Context) { a.file(ctx, formID(v), reply{user: user}, f, w.user) }
}

// formErrors decides the filing on what is known about the people, and names the
// field that is wrong. People who are not known yet are judged when it is recorded.
func (a *App) formErrors(user, principal string, f access.File) (string, *access.Refusal) {
	rules := a.cfg.Reader.Rules()
	_, why := a.rehearse(rules, user, principal, f)
	if why == nil {
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
	case access.NotConfigured, access.NotYours, access.ReviewFirst:
		return fieldGlass, why
	}
	return fieldResource, why
}

// rehearse decides a filing on what is known without asking anybody. It is not
// refused where it would be filed, or where only asking can tell.
func (a *App) rehearse(rules *access.Rules, user, principal string, f access.File) ([]access.Event, *access.Refusal) {
	facts := a.factsOf(rules, a.presumed(user), f)
	facts.New = "?"
	_, known := a.people.recall(principal)
	if principal != user {
		f.Principal = a.presumed(principal)
	}
	events, err := access.Decide(facts, access.Request{}, f)
	why, refused := access.AsRefusal(err)
	if !refused {
		return events, nil
	}
	switch why.Code {
	case access.NotRequestable, access.PolicyDenies, access.DirectoryDown, access.NotConfigured:
		res, _ := rules.Resource(f.Resource)
		if !known || len(access.NeedsOf(res, true, false, rules).Groups) > 0 {
			return nil, nil
		}
	}
	return nil, why
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
