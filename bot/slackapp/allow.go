package slackapp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"countersign/bot/access"
)

// Allowances are the pre-approvals, as the commands that make and list them
// need them. Errors are as those of Config.Handle.
type Allowances struct {
	Make     func(ctx context.Context, delivery string, by access.Actor, a access.Allow) (access.Allowance, error)
	Withdraw func(ctx context.Context, delivery string, by access.Actor, id string) error
	List     func() []access.Allowance // newest first
	// Reminded records that somebody was told that one ends; nil: nobody is told.
	Reminded func(ctx context.Context, delivery, id string, r access.EndReminder) error
}

const allowUsage = "`/access allow @person RESOURCE FROM..TO DURATION`, for example `/access allow @erin payments-admins 2026-12-01..2026-12-05 4h`. " +
	"Times are UTC: `2026-12-01` or `2026-12-01T09:00`, or `+3d` from now; an empty FROM is now. `/access allow list` lists them, `/access allow withdraw ID` ends one."

// commandAllow makes, lists or withdraws pre-approvals.
func (a *App) commandAllow(ctx context.Context, c slash, actor access.Actor, rest string) {
	if a.cfg.Allowances == nil {
		a.tell(ctx, c.reply(), say(access.Refuse(access.NotConfigured, "Pre-approvals are not configured here.").Text))
		return
	}
	word, after := cut(rest)
	switch user, person := parseMention(word); {
	case word == "", strings.EqualFold(word, "list"):
		a.tell(ctx, c.reply(), a.allowances(actor))
	case strings.EqualFold(word, "withdraw"), strings.EqualFold(word, "revoke"):
		a.withdraw(ctx, c, actor, after)
	case person:
		a.allow(ctx, c, actor, user, typed(after))
	default:
		a.tell(ctx, c.reply(), say("Write "+allowUsage))
	}
}

func (a *App) allow(ctx context.Context, c slash, actor access.Actor, user, text string) {
	wish, err := parseAllow(text, time.Now())
	if err != nil {
		a.tell(ctx, c.reply(), say("Not understood: "+inert(err.Error(), 200)+". Write "+allowUsage))
		return
	}
	if wish.For, err = a.people.actor(ctx, user); err != nil {
		a.fault(ctx, c.reply(), err)
		return
	}
	made, err := a.cfg.Allowances.Make(ctx, c.id(), actor, wish)
	if !a.done(ctx, c.reply(), err) {
		return
	}
	a.tell(ctx, c.reply(), say("Pre-approved: "+allowanceText(made)))
	told := say(mention(actor.Person) + " has pre-approved access for you: " + allowanceText(made) + "\nAsk for it with `/access request` when you need it.")
	a.tell(ctx, reply{user: user}, told)
}

func (a *App) withdraw(ctx context.Context, c slash, actor access.Actor, rest string) {
	word, _ := cut(rest)
	for _, x := range a.visible(actor) {
		if len(word) >= 6 && strings.HasSuffix(x.ID, strings.ToUpper(unescape(word))) {
			if a.done(ctx, c.reply(), a.cfg.Allowances.Withdraw(ctx, c.id(), actor, x.ID)) {
				a.tell(ctx, c.reply(), say("Withdrawn: "+allowanceText(x)))
			}
			return
		}
	}
	a.tell(ctx, c.reply(), say("There is no such pre-approval. `/access allow` lists them."))
}

// done tells a refusal or a fault, and reports whether there was neither.
func (a *App) done(ctx context.Context, to reply, err error) bool {
	if err == nil {
		return true
	}
	if refusal, ok := access.AsRefusal(err); ok {
		a.tell(ctx, to, say(refusal.Text))
	} else {
		a.fault(ctx, to, err)
	}
	return false
}

// visible are the pre-approvals that stand and that a person may see: those they
// made or get, and all for reviewers and auditors.
func (a *App) visible(actor access.Actor) []access.Allowance {
	rules, now := a.cfg.Reader.Rules(), time.Now()
	var out []access.Allowance
	for _, x := range a.cfg.Allowances.List() {
		p := actor.Person
		mine := rules.Same(p, x.By) || rules.Same(p, x.For) || rules.Reviewer(p) || rules.Auditor(p)
		if actor.Barred == "" && mine && x.Withdrawn.IsZero() && now.Before(x.To) {
			out = append(out, x)
		}
	}
	return out
}

func (a *App) allowances(actor access.Actor) message {
	lines := []string{"*Pre-approvals*"}
	for _, x := range a.visible(actor) {
		lines = append(lines, "• "+allowanceText(x)+" "+code(x.ID))
	}
	if len(lines) == 1 {
		lines = append(lines, "There are none. An approver makes one with "+allowUsage)
	}
	return sayAll(paragraphs(lines)...)
}

// fault says that something is broken, to the person and to the operator.
func (a *App) fault(ctx context.Context, to reply, err error) {
	a.log.Error("a command could not be carried out", "user", to.user, "error", a.web.safe(err))
	a.tell(ctx, to, say(faultOf(err)))
}

func allowanceText(x access.Allowance) string {
	return fmt.Sprintf("%s may have %s for %s at a time, from %s until %s (by %s).",
		mention(x.For), code(x.Resource), spell(x.Duration), date(x.From), date(x.To), mention(x.By))
}

// parseAllow reads RESOURCE FROM..TO DURATION.
func parseAllow(text string, now time.Time) (access.Allow, error) {
	f := strings.Fields(text)
	if len(f) != 3 {
		return access.Allow{}, errors.New("that is not complete")
	}
	from, to, ok := strings.Cut(f[1], "..")
	if !ok {
		return access.Allow{}, errors.New("the window is written FROM..TO")
	}
	x := access.Allow{Resource: f[0]}
	var err error
	if x.From, err = moment(from, now, false); err != nil {
		return x, err
	}
	if x.To, err = moment(to, now, true); err != nil {
		return x, err
	}
	x.Duration, err = access.ParseDuration(f[2])
	return x, err
}

// moment reads a day or a time, UTC, or how long after now it is. The end of a day
// is meant where a window ends; empty is now.
func moment(s string, now time.Time, end bool) (time.Time, error) {
	if s == "" && !end || strings.EqualFold(s, "now") {
		return now, nil
	}
	if t, err := time.Parse("2006-01-02", s); err == nil {
		if end {
			t = t.AddDate(0, 0, 1)
		}
		return t, nil
	}
	if t, err := time.Parse("2006-01-02T15:04", strings.TrimSuffix(s, "Z")); err == nil {
		return t, nil
	}
	if after, ok := strings.CutPrefix(s, "+"); ok {
		if d, err := access.ParseDuration(after); err == nil {
			return now.Add(d), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no day or time", s)
}

// commandChangeReviewers opens a pull request that adds or removes a reviewer.
func (a *App) commandChangeReviewers(ctx context.Context, c slash, actor access.Actor, verb, rest string) {
	word, _ := cut(rest)
	add := strings.EqualFold(verb, "add")
	if word == "" || !add && !strings.EqualFold(verb, "remove") {
		a.tell(ctx, c.reply(), say("Write `/access reviewers add|remove @person` or an e-mail address. It opens a pull request."))
		return
	}
	if a.cfg.Propose == nil {
		a.tell(ctx, c.reply(), say(access.Refuse(access.NotConfigured, "Reviewers cannot be changed from Slack here: change `reviewers:` in `countersign.yaml` by pull request.").Text))
		return
	}
	email := typed(word)
	if user, ok := parseMention(word); ok {
		who, err := a.people.actor(ctx, user)
		if err != nil {
			a.fault(ctx, c.reply(), err)
			return
		}
		email = who.Email
	}
	url, err := a.cfg.Propose(ctx, actor, add, email)
	if a.done(ctx, c.reply(), err) {
		a.tell(ctx, c.reply(), say("A pull request is open: "+hyperlink(url, "see it")+". Somebody else has to approve and merge it."))
	}
}
