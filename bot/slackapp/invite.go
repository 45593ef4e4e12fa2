package slackapp

import (
	"context"
	"errors"
	"slices"
	"strings"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// noticeApprove asks somebody, by direct message, for their approval; to nobody in
// particular it is the reply by which many are asked at once.
const noticeApprove = access.NoticeInvite

// mostInvited is how many approvers are written to one by one; if there are more,
// they are called in the thread.
const mostInvited = 25

// mostCalled is how many are mentioned there.
const mostCalled = 100

// account is the Slack account by which somebody may act; false where they have
// none.
func (a *App) account(ctx context.Context, rules *access.Rules, email string) (access.Person, bool, error) {
	var users []string
	for _, people := range a.members.recall() {
		for _, p := range people {
			if p.Slack != "" && rules.Who(p) == email {
				users = append(users, p.Slack)
			}
		}
	}
	more, err := a.people.accounts(ctx, rules, email)
	if err != nil && len(users) == 0 {
		return access.Person{}, false, err
	}
	slices.Sort(users)
	for _, user := range append(slices.Compact(users), more...) {
		actor, err := a.people.actor(ctx, user)
		if err != nil {
			return access.Person{}, false, err
		}
		if actor.Barred == "" && rules.Same(actor.Person, access.Person{Email: email}) {
			return actor.Person, true, nil
		}
	}
	return access.Person{}, false, nil
}

// calls is the notice by which a request calls people: for their approval, where
// access policies name them, or to review a use of break-glass. It is empty where
// nobody is called.
func (s scene) calls(r access.Request) (notice string, people []access.Person) {
	switch {
	case r.ToReview():
		return noticeGlass, s.examiners
	case r.Status == access.Pending && len(s.rules.Policies) > 0:
		return noticeApprove, s.asked
	}
	return "", nil
}

// wanted reports whether a notice still calls this person.
func (s scene) wanted(r access.Request, notice string, p access.Person) bool {
	if notice == noticeGlass {
		return r.ToReview() && s.mayReview(p)
	}
	return s.wants(r, p)
}

// invite queues the invitations of a request's approvers, and of those who may
// review what was taken without them. Each is posted once and recorded; what stands in it follows the state,
// so that nobody is left with one that is void.
func (a *App) invite(r access.Request) {
	if notice, _ := (scene{rules: a.cfg.Reader.Rules()}).calls(r); notice == "" {
		return
	}
	a.out.add(inviteLane, "request "+r.ID, func(ctx context.Context, _ *task) error { return a.settleInvitations(ctx, r.ID) })
}

func (a *App) settleInvitations(ctx context.Context, id string) error {
	r, ok := a.cfg.Reader.Request(id)
	if _, posted := r.ApprovalPost(); !ok || !posted {
		return nil
	}
	s := a.scene(ctx, r)
	notice, people := s.calls(r)
	switch {
	case notice == noticeGlass && len(people) > mostInvited:
		return nil // they are called in the thread
	case len(people) > mostInvited:
		a.out.add(approvalLane, "call "+id, func(ctx context.Context, t *task) error { return a.callMany(ctx, id, t) })
		return nil
	}
	unknown := 0
	for _, p := range people {
		invited := func(x access.Post) bool { return x.Notice == notice && s.rules.Same(x.To, p) }
		switch {
		case p.Slack == "":
			unknown++
		case s.rules.Same(p, r.Requestor), slices.ContainsFunc(r.Posts, invited):
		default:
			a.out.add("dm "+p.Slack, notice+" "+id, func(ctx context.Context, t *task) error { return a.inviteOne(ctx, id, notice, p, t) })
		}
	}
	if unknown > 0 {
		return errors.New("approvers could not be looked up")
	}
	return nil
}

// inviteOne writes to one approver. A try whose outcome is unknown is looked for
// even if the request has moved on: then what was posted becomes known, and true.
func (a *App) inviteOne(ctx context.Context, id, notice string, to access.Person, t *task) error {
	r, ok := a.cfg.Reader.Request(id)
	if _, done := r.Post(notice, to); !ok || done {
		return nil
	}
	s := a.scene(ctx, r)
	wanted := s.wanted(r, notice, to)
	if !wanted && !t.unclear {
		return nil
	}
	channel, err := a.direct(ctx, to.Slack)
	if err != nil {
		return err
	}
	where := target{channel: channel, request: id, notice: notice, to: to}
	if !wanted {
		if ts, err := a.find(ctx, where, r.FiledAt); err != nil || ts == "" {
			return err
		}
	}
	_, err = a.deliver(ctx, r, where, noticeMessage(r, notice, to, s), t)
	return err
}

// wants reports whether a request waits for this person.
func (s scene) wants(r access.Request, p access.Person) bool {
	return r.Status == access.Pending && slices.Contains(s.may, s.rules.Who(p)) && !voted(s.rules, r.Votes, p)
}

// callMany mentions approvers who are too many to be written to, in the thread.
func (a *App) callMany(ctx context.Context, id string, t *task) error {
	r, ok := a.cfg.Reader.Request(id)
	root, posted := r.ApprovalPost()
	_, done := r.Post(noticeApprove, access.Person{})
	if !ok || !posted || done || r.Status != access.Pending && !t.unclear {
		return nil
	}
	s := a.scene(ctx, r)
	s.asked = a.accounts(ctx, s.rules, s.asked[:min(len(s.asked), mostCalled)])
	if len(s.asked) == 0 {
		return nil
	}
	to := target{channel: root.Channel, thread: root.TS, request: id, notice: noticeApprove}
	_, err := a.deliver(ctx, r, to, say(s.call(mostCalled)+": please decide in the message above."), t)
	return err
}

// invitation is the text of an invitation in the request's present state.
func invitation(r access.Request, to access.Person, s scene) string {
	switch {
	case r.Status != access.Pending:
		return headline(r) + ": " + decidedBy(r, s.vendors) + "."
	case voted(s.rules, r.Votes, to):
		return headline(r) + ". You have approved it; it waits for others.\n" + s.ballots(r.Votes)
	case !s.wants(r, to):
		return headline(r) + ". It does not wait for you any more: who may approve it has changed."
	}
	lines := []string{"*" + headline(r) + "* and waits for approval."}
	if r.Duration > 0 {
		lines[0] = "*" + headline(r) + "* for " + spell(r.Duration) + " and waits for approval."
	}
	if r.Ticket != "" {
		lines = append(lines, "Ticket: "+inert(r.Ticket, 200))
	}
	lines = append(lines, "It takes the approval of "+escape(clip(printable(s.takes), 700))+".")
	if b := s.ballots(r.Votes); b != "" {
		lines = append(lines, b)
	}
	return strings.Join(lines, "\n")
}

// openButton leads to the request's message in the approval channel; nil where
// there is no link.
func openButton(r access.Request) *slack.ButtonBlockElement {
	p, ok := r.ApprovalPost()
	if !ok || p.Permalink == "" || safeURL(p.Permalink) != nil {
		return nil
	}
	open := button(actOpen, "Open the request", "", slack.StylePrimary)
	open.URL = p.Permalink
	return open
}
