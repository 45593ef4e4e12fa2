package slackapp

import (
	"context"
	"strconv"
	"strings"
	"time"

	"countersign/bot/access"
)

// click is somebody's use of a control, as far as it matters.
type click struct {
	id       string // of the delivery
	user     string
	action   string
	request  string
	round    int
	where    access.Place
	trigger  string
	chosen   string // the expiry that stands in the message's select
	response string
	home     bool    // in the Home tab or a form, not in a message
	ours     bool    // in a message of the bot's own
	view     payload // the form, if it was in one
}

// clickOf reads the i-th action of a payload. What Slack's payload holds beside
// these fields, however odd, does not matter.
func clickOf(p payload, i int) click {
	act := p.at("actions", strconv.Itoa(i))
	c := click{
		view: p.at("view"),
		user: p.str("user", "id"), action: act.str("action_id"), trigger: p.str("trigger_id"), response: p.str("response_url"),
		where: access.Place{
			Channel: first(p.str("channel", "id"), p.str("container", "channel_id")),
			TS:      first(p.str("message", "ts"), p.str("container", "message_ts")),
		},
	}
	request, round, _ := strings.Cut(first(act.str("value"), act.str("selected_user")), ":")
	c.request = request
	c.round, _ = strconv.Atoi(round)
	// The state of the whole message comes with each click, at the top; the one
	// inside the message is older.
	path := []string{"state", "values", blockDecide, actExpiry, "selected_option", "value"}
	c.chosen = first(p.str(path...), p.at("message").str(path...))
	place := c.where.Channel + ":" + c.where.TS
	if c.where == (access.Place{}) {
		c.home = p.has("view")
		place = "view:" + p.str("view", "id")
		if !c.home {
			// In neither a message nor a view: no decision rests on that.
			c.where = access.Place{Channel: "unknown"}
		}
	}
	c.id = eventID("click", place, c.action, c.user, first(act.str("action_ts"), c.trigger))
	return c
}

// first is the first string that is not empty.
func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

func (c click) reply() reply { return reply{user: c.user, channel: c.where.Channel, url: c.response} }

// clicked handles a click: either it is decided at once, or it opens a form first.
func (a *App) clicked(ctx context.Context, c click) {
	switch c.action {
	case actExpiry, actOpen:
		return // choosing is no deciding
	case fieldFor, fieldResource, fieldGlass:
		a.chosen(ctx, c)
		return
	case actRequest:
		a.openForm(ctx, c.trigger, c.reply(), wish{})
		return
	}
	a.awaitPost(ctx, c)
	actor, ok := a.who(ctx, c.reply())
	if !ok {
		return
	}
	do := a.actionOf(ctx, c)
	if do == nil {
		a.tell(ctx, c.reply(), say("Countersign does not know this button any more. `/access help` shows what there is."))
		return
	}
	if _, asks := decisions[c.action]; asks {
		a.askFirst(ctx, c, actor, do)
		return
	}
	a.perform(ctx, access.Command{ID: c.id, Actor: actor, Do: do}, c.reply())
}

// awaitPost waits until the log knows the message of a click, a moment at most:
// people can be faster than the record of what was posted. Where the click decides
// at once, it is enough that the message is just being recorded: both are then
// recorded together.
func (a *App) awaitPost(ctx context.Context, c click) {
	const most = 3 * time.Second
	if _, there := a.cfg.Reader.Request(c.request); !there || !c.ours {
		return
	}
	if _, asks := decisions[c.action]; asks {
		a.awaitRecord(ctx, c.where.Channel, c.where.TS, most)
		return
	}
	until(ctx, most, func() bool { return a.cfg.Reader.Posted(c.request, c.where.Channel, c.where.TS) })
}

// actionOf is what a button wants; nil for an unknown one.
func (a *App) actionOf(ctx context.Context, c click) access.Action {
	switch c.action {
	case actApprove:
		return access.Approve{Request: c.request, For: a.expiry(ctx, c), Where: c.where}
	case actDeny:
		return access.Deny{Request: c.request, Where: c.where}
	case actCancel:
		return access.Cancel{Request: c.request, Where: c.where}
	case actEscalate:
		return access.Escalate{Request: c.request, Where: c.where}
	case actRevoke:
		return access.Revoke{Request: c.request, Where: c.where}
	case actApproveExtension:
		return access.ApproveExtension{Request: c.request, Round: c.round, Where: c.where}
	case actDenyExtension:
		return access.DenyExtension{Request: c.request, Round: c.round, Where: c.where}
	case actGiveBack:
		return access.GiveBack{Request: c.request, Where: c.where}
	case actExtend:
		// Just enough to learn whether any extension can be asked for.
		return access.Extend{Request: c.request, By: time.Second, Reason: "?", Where: c.where}
	case actBreakGlass:
		// Likewise: the form asks for the reason.
		return access.BreakGlass{Request: c.request, Reason: "?", Where: c.where}
	case actReview:
		return access.ReviewAccess{Request: c.request, Where: c.where}
	}
	return nil
}

// expiry is what the approver has chosen. Slack sends nothing of a select that
// nobody touched: then what stood in it counts. Zero: nothing was chosen.
func (a *App) expiry(ctx context.Context, c click) time.Duration {
	if c.chosen != "" {
		d, err := access.ParseDuration(c.chosen)
		if err != nil {
			return 0
		}
		return d
	}
	r, ok := a.cfg.Reader.Request(c.request)
	if !ok {
		return 0
	}
	return access.ControlsOf(r, a.cfg.Reader.Rules(), a.cfg.Reader.RulesAt(ctx, r.FiledUnder)).Preset
}

// try decides an action without recording anything: what would be recorded now, or
// why it would be refused.
func (a *App) try(ctx context.Context, actor access.Actor, do access.Action) ([]access.Event, error) {
	id, _ := do.Target()
	r, ok := a.cfg.Reader.Request(id)
	if !ok {
		return nil, noRequest(id)
	}
	f := a.factsOf(a.cfg.Reader.Rules(), actor, do)
	f.Filed = a.cfg.Reader.RulesAt(ctx, r.FiledUnder)
	events, err := access.Decide(f, r, do)
	if why, refused := access.AsRefusal(err); refused && asked(why.Code) && asksElsewhere(r, f.Rules, f.Filed) {
		// Who is in groups or on call is asked when it is decided.
		return nil, nil
	}
	return events, err
}

// asked reports whether a refusal may rest on who is in a group or on call.
func asked(c access.Code) bool {
	switch c {
	case access.DirectoryDown, access.NotApprover, access.NotReviewer, access.NoLongerReviewer, access.ReviewerTooLate,
		access.OwnRequest, access.OwnAccess, access.NotRequestable, access.PolicyDenies, access.TooLong, access.NotConfigured:
		return true
	}
	return false
}

// noRequest answers the same for a request that is not there and for one that the
// person may not see.
func noRequest(id string) *access.Refusal {
	return access.Refuse(access.NoSuchRequest, "There is no request %s that you may see. `/access list` shows yours.", code(id))
}
