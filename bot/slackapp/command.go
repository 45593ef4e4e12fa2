package slackapp

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"
)

// slash is a typed /access command.
type slash struct {
	user, channel, text, trigger, response string
}

func slashOf(p payload) slash {
	return slash{user: p.str("user_id"), channel: p.str("channel_id"), text: p.str("text"), trigger: p.str("trigger_id"), response: p.str("response_url")}
}

func (c slash) reply() reply { return reply{user: c.user, channel: c.channel, url: c.response} }

func (c slash) id() string { return eventID("cmd", c.trigger) }

const helpText = "*Countersign* gives access for a limited time, after somebody else has agreed.\n" +
	"`/access request` opens the form; `/access request RESOURCE [for @someone] [DURATION] [reason…]` asks at once\n" +
	"`/access list` · what you have and asked for\n" +
	"`/access pending` · what waits for approval\n" +
	"`/access show ID` · the whole story of a request\n" +
	"`/access cancel ID` · withdraw a request that waits\n" +
	"`/access give-back ID` · end your access before its time\n" +
	"`/access extend ID 1h [reason…]` · ask for more time\n" +
	"`/access revoke ID [reason…]` · end somebody's access (reviewers)\n" +
	"`/access review ID [what you found]` · review a use of break-glass (approvers)\n" +
	"`/access escalate ID` · page the people on call to a request of yours\n" +
	"`/access who RESOURCE` · whose approval it takes, and who has it\n" +
	"`/access reviewers` · who the reviewers are; `reviewers add|remove @person` opens a pull request\n" +
	"`/access allow @person RESOURCE FROM..TO DURATION` · pre-approve what you could approve; `allow` lists\n" +
	"Of an ID, six characters of its beginning or end are enough. Durations are written 30m, 4h, 2d or 1w."

// command handles /access. All answers are seen by that person alone.
func (a *App) command(ctx context.Context, c slash) {
	verb, rest := cut(c.text)
	switch verb = strings.ToLower(verb); verb {
	case "", "help":
		a.tell(ctx, c.reply(), say(helpText))
		return
	case "request":
		a.commandRequest(ctx, c, rest)
		return
	}
	actor, ok := a.who(ctx, c.reply())
	if !ok {
		return
	}
	if actor.Barred != "" {
		a.tell(ctx, c.reply(), say(actor.Barred))
		return
	}
	switch verb {
	case "cancel", "give-back", "giveback", "extend", "revoke", "escalate", "review":
		a.commandAct(ctx, c, actor, verb, rest)
	case "list":
		a.tell(ctx, c.reply(), a.listText(ctx, actor))
	case "pending":
		a.tell(ctx, c.reply(), a.pendingText(ctx, actor))
	case "show":
		a.commandShow(ctx, c, actor, rest)
	case "who":
		a.tell(ctx, c.reply(), a.whoText(ctx, actor, typed(rest)))
	case "reviewers":
		a.commandReviewers(ctx, c, actor, rest)
	case "allow":
		a.commandAllow(ctx, c, actor, rest)
	default:
		a.tell(ctx, c.reply(), say("There is no `/access "+inert(strings.ReplaceAll(verb, "`", "'"), 40)+"`.\n"+helpText))
	}
}

// cut takes the first word off.
func cut(text string) (word, rest string) {
	text = strings.TrimSpace(text)
	if i := strings.IndexFunc(text, func(c rune) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\u00a0' }); i >= 0 {
		return text[:i], strings.TrimSpace(text[i:])
	}
	return text, ""
}

// parseMention reads <@U012|name>, as Slack sends it for an @name.
func parseMention(word string) (string, bool) {
	inner, ok := strings.CutPrefix(word, "<@")
	inner, ends := strings.CutSuffix(inner, ">")
	if !ok || !ends {
		return "", false
	}
	user, _, _ := strings.Cut(inner, "|")
	return user, user != "" && (user[0] == 'U' || user[0] == 'W')
}

// parseRequest reads RESOURCE [for @someone] [DURATION] [reason…]. "for" counts only
// before a mention, and a first word is a duration only if it reads as one:
// otherwise they belong to the reason.
func parseRequest(text string) wish {
	var w wish
	w.resource, text = cut(text)
	w.resource = typed(w.resource)
	if word, rest := cut(text); strings.EqualFold(word, "for") {
		if person, after := cut(rest); person != "" {
			if user, ok := parseMention(person); ok {
				w.user, text = user, after
			}
		}
	}
	if word, rest := cut(text); word != "" {
		if _, err := access.ParseDuration(word); err == nil {
			w.duration, text = word, rest
		}
	}
	w.reason = typed(text)
	return w
}

// ticketIn is the first word that matches all patterns; empty if there are none.
func ticketIn(text string, patterns []*regexp.Regexp) string {
	for _, word := range strings.Fields(text) {
		fails := func(p *regexp.Regexp) bool { return !p.MatchString(word) }
		if len(patterns) > 0 && !slices.ContainsFunc(patterns, fails) {
			return word
		}
	}
	return ""
}

// commandRequest files a complete request at once, and opens the form for one that
// is not. Where a ticket is demanded, the first word that could be one is taken for
// it.
func (a *App) commandRequest(ctx context.Context, c slash, text string) {
	rules, w := a.cfg.Reader.Rules(), parseRequest(text)
	principal := first(w.user, c.user)
	a.prepare(ctx, rules, c.user, principal)
	w.ticket = ticketIn(w.reason, a.tickets(rules, c.user, principal, w.resource))
	f := access.File{Resource: w.resource, Reason: w.reason, Ticket: w.ticket}
	if w.duration != "" {
		d, err := access.ParseDuration(w.duration)
		if err != nil {
			d = 0
		}
		f.Duration = d
	}
	if a.incomplete(rules, c.user, principal, f) {
		a.openForm(ctx, c.trigger, c.reply(), w)
		return
	}
	if r, ok := a.file(ctx, c.id(), c.reply(), f, w.user); ok {
		a.tell(ctx, c.reply(), say("Filed: "+headline(r)+". It is "+code(r.ID)+", and you are told by direct message how it goes on."))
	}
}

// prepare looks up what access policies judge a request by, within the time that a
// trigger leaves. What is not known then, the decision asks for.
func (a *App) prepare(ctx context.Context, rules *access.Rules, users ...string) {
	if len(rules.Policies) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 1500*time.Millisecond)
	defer cancel()
	for _, user := range users {
		if _, err := a.people.actor(ctx, user); err != nil {
			a.log.Debug("slack: not looked up ahead", "error", a.web.safe(err))
		}
	}
	a.members.look(ctx, elsewhere(rules))
}

// tickets are the patterns that a ticket must match for an access.
func (a *App) tickets(rules *access.Rules, user, principal, resource string) []*regexp.Regexp {
	if e := a.foretell(rules, user, principal, resource); e != nil {
		return ticketsOf(e)
	}
	if p := rules.Settings.RequireTicket; p != nil {
		return []*regexp.Regexp{p}
	}
	return nil
}

// incomplete reports whether a request lacks what the form would ask for. The rules
// themselves say so.
func (a *App) incomplete(rules *access.Rules, user, principal string, f access.File) bool {
	_, why := a.rehearse(rules, user, principal, f)
	if why == nil {
		return false
	}
	return slices.Contains([]access.Code{access.NoResource, access.NeedsDuration, access.NeedsReason, access.NeedsTicket}, why.Code)
}

// commandAct does something to a request that is named by its id.
func (a *App) commandAct(ctx context.Context, c slash, actor access.Actor, verb, rest string) {
	word, rest := cut(rest)
	r, why := a.named(ctx, actor, unescape(word))
	if why != nil {
		a.tell(ctx, c.reply(), say(why.Text))
		return
	}
	var do access.Action
	done := "Done: " + code(r.ID) + " "
	switch verb {
	case "cancel":
		do, done = access.Cancel{Request: r.ID}, done+"is cancelled."
	case "give-back", "giveback":
		do, done = access.GiveBack{Request: r.ID}, done+"is being given back."
	case "escalate":
		do, done = access.Escalate{Request: r.ID}, done+"is escalated: the people on call are paged."
	case "revoke":
		do, done = access.Revoke{Request: r.ID, Reason: typed(rest)}, done+"is being revoked."
	case "review":
		if rest == "" {
			a.askFirst(ctx, click{id: c.id(), user: c.user, action: actReview, request: r.ID, trigger: c.trigger, response: c.response}, actor, access.ReviewAccess{Request: r.ID})
			return
		}
		do, done = access.ReviewAccess{Request: r.ID, Text: typed(rest)}, done+"is reviewed."
	case "extend":
		long, reason := cut(rest)
		by, err := access.ParseDuration(long)
		if err != nil {
			a.tell(ctx, c.reply(), say("Say by how long: `/access extend "+r.ID+" 1h [reason…]`."))
			return
		}
		do, done = access.Extend{Request: r.ID, By: by, Reason: typed(reason)}, "Asked: "+spell(by)+" more for "+code(r.ID)+"."
	}
	if _, ok := a.perform(ctx, access.Command{ID: c.id(), Actor: actor, Do: do}, c.reply()); ok {
		a.tell(ctx, c.reply(), say(done))
	}
}

// named finds a request by its id, or by at least six characters of its beginning
// or end. What the person may not see does not exist for them.
func (a *App) named(ctx context.Context, actor access.Actor, id string) (access.Request, *access.Refusal) {
	if id == "" {
		return access.Request{}, access.Refuse(access.NoSuchRequest, "Name a request by its id. `/access list` shows yours.")
	}
	rules, want := a.cfg.Reader.Rules(), strings.ToUpper(id)
	sees := func(r access.Request) bool { return a.maySee(ctx, rules, actor.Person, r) }
	if r, ok := a.cfg.Reader.Request(want); ok && sees(r) {
		return r, nil
	}
	var found []access.Request
	if len(want) >= 6 {
		var err error
		if found, err = a.cfg.Reader.Find(ctx, access.Filter{ID: want}, mostNamed); err != nil {
			a.log.Error("slack: a request cannot be looked up", "error", err)
			return access.Request{}, access.Refuse(access.NoSuchRequest, "Requests cannot be looked up by a part of the id now. Write all of it.")
		}
		found = slices.DeleteFunc(found, func(r access.Request) bool { return !sees(r) })
	}
	switch len(found) {
	case 0:
		return access.Request{}, noRequest(id)
	case 1:
		return found[0], nil
	}
	return access.Request{}, access.Refuse(access.NoSuchRequest, "%s fits several requests. Write more of the id.", code(id))
}

// mostNamed is how many requests a part of an id may mean before it is no help.
const mostNamed = 200

func (a *App) commandShow(ctx context.Context, c slash, actor access.Actor, rest string) {
	word, _ := cut(rest)
	r, why := a.named(ctx, actor, unescape(word))
	if why != nil {
		a.tell(ctx, c.reply(), say(why.Text))
		return
	}
	a.tell(ctx, c.reply(), sayAll(story(r, a.scene(ctx, r))...))
}

func (a *App) commandReviewers(ctx context.Context, c slash, actor access.Actor, rest string) {
	if verb, after := cut(rest); verb != "" {
		a.commandChangeReviewers(ctx, c, actor, verb, after)
		return
	}
	rules := a.cfg.Reader.Rules()
	lines := []string{"*Reviewers* (from `countersign.yaml`)"}
	for _, email := range rules.Reviewers {
		line := "• " + inert(email, 100)
		accounts, err := a.people.accounts(ctx, rules, email)
		switch {
		case err != nil:
			line += " (Slack cannot be asked now)"
		case len(accounts) == 0:
			line += " (no Slack account)"
		default:
			line += " <@" + strings.Join(accounts, "> <@") + ">"
		}
		lines = append(lines, line)
	}
	if len(rules.Reviewers) == 0 {
		lines = append(lines, "There are none, so nothing can be approved.")
	}
	a.tell(ctx, c.reply(), sayAll(paragraphs(lines)...))
}
