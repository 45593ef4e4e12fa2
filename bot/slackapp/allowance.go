package slackapp

import (
	"context"
	"fmt"
	"time"

	"countersign/bot/access"
)

// noticeAllowance marks the message that tells somebody of a pre-approval that
// ends.
const noticeAllowance = "allowance_ending"

// AllowanceEnding tells the people in a pre-approval that it ends, those whom the
// log does not know to have been told. It never blocks, and tries until the message
// is sent and recorded, or owed no more.
func (a *App) AllowanceEnding(id string) {
	x, ok := a.allowance(id)
	if !ok {
		return
	}
	for _, p := range x.Unreminded(time.Now()) {
		a.out.add("dm "+p.Slack, "allowance "+id, func(ctx context.Context, t *task) error { return a.remindOfEnd(ctx, id, p, t) })
	}
}

// remindOfEnd posts the message and records it. A crash in between leaves a message
// that the next try finds by its metadata.
func (a *App) remindOfEnd(ctx context.Context, id string, p access.Person, t *task) error {
	x, ok := a.allowance(id)
	if !ok || !contains(x.Unreminded(time.Now()), p) {
		return nil // told, withdrawn or over meanwhile
	}
	channel, err := a.direct(ctx, p.Slack)
	if err != nil {
		return err
	}
	to := target{channel: channel, request: id, notice: noticeAllowance, to: p}
	ts, err := a.find(ctx, to, x.RemindAt())
	if err != nil {
		return err
	}
	if ts == "" {
		if err := t.mayPost(); err != nil {
			return err
		}
		if ts, err = a.post(ctx, to, allowanceEnding(x, p)); err != nil {
			return err
		}
	}
	r := access.EndReminder{To: p, Channel: channel, TS: ts}
	if err := a.cfg.Allowances.Reminded(ctx, eventID("post", channel, ts, noticeAllowance), id, r); err != nil {
		return fmt.Errorf("record the reminder of a pre-approval: %w", err)
	}
	return nil
}

// allowance finds a pre-approval, where reminders of them can be recorded.
func (a *App) allowance(id string) (access.Allowance, bool) {
	if a.cfg.Allowances == nil || a.cfg.Allowances.Reminded == nil {
		return access.Allowance{}, false
	}
	for _, x := range a.cfg.Allowances.List() {
		if x.ID == id {
			return x, true
		}
	}
	return access.Allowance{}, false
}

// allowanceEnding says when a pre-approval ends, and what its reader can do about it.
// It has no buttons: it would have to follow what becomes of the pre-approval.
func allowanceEnding(x access.Allowance, to access.Person) message {
	terms := "It allows " + code(x.Resource) + " for " + spell(x.Duration) + " at a time."
	again := code(fmt.Sprintf("/access allow @person %s FROM..TO %s", x.Resource, access.FormatDuration(x.Duration)))
	withdraw := code("/access allow withdraw " + x.ID)
	if to.Slack == x.By.Slack {
		return sayAll("Your pre-approval for "+mention(x.For)+" ends "+date(x.To)+". "+terms,
			"For another one, write "+again+" with their name. To end this one before its time: "+withdraw)
	}
	return sayAll("The pre-approval that "+mention(x.By)+" made for you ends "+date(x.To)+". "+terms+" What you are given until then keeps its own end.",
		"For another one, ask "+mention(x.By)+" or somebody else who may approve: they write "+again+" with your name. If you need this one no more: "+withdraw)
}
