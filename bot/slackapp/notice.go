package slackapp

import (
	"fmt"
	"strings"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// noticeMessage is a direct message about a request. Like the approval message it
// follows the state: what it offered is gone when it can no longer be done.
func noticeMessage(r access.Request, notice string, to access.Person, s scene) message {
	kind, _, _ := strings.Cut(notice, "-")
	text := noticeText(r, kind, notice, to, s)
	m := message{Text: text, Blocks: []slack.Block{section(mrkdwn(text))}}
	if kind == noticeApprove && r.Reason != "" && s.wants(r, to) {
		m.Blocks = append(m.Blocks, quote("Reason", r.Reason, r.ID, 1500))
	}
	switch kind {
	case noticeGlass:
		m.Blocks = append(m.Blocks, glassQuotes(r)...)
	case access.NoticeReviewed:
		m.Blocks = append(m.Blocks, reviewQuote(r)...)
	}
	if reason := noticeReason(r, kind); reason != "" {
		m.Blocks = append(m.Blocks, quote(closingLabel(r), reason, r.ID, 1500))
	}
	if e := noticeControls(r, kind, to, s); len(e) > 0 {
		m.Blocks = append(m.Blocks, slack.NewActionBlock(blockAccess, e...))
	}
	m.Blocks = append(m.Blocks, note(code(r.ID)+thread(r)))
	return m
}

// thread leads to the request's message in the approval channel.
func thread(r access.Request) string {
	p, ok := r.ApprovalPost()
	if !ok || p.Permalink == "" {
		return ""
	}
	return " · " + hyperlink(p.Permalink, "message and conversation")
}

// whose is the access in a sentence to one of the people in it.
func whose(r access.Request, to access.Person) string {
	if r.Principal.Slack == to.Slack {
		return "Your access to " + title(r.Title, r.Resource)
	}
	return "The access of " + mention(r.Principal) + " to " + title(r.Title, r.Resource)
}

// noticeText is what a direct message says. Where a review is needed, each says how
// it stands with that.
func noticeText(r access.Request, kind, notice string, to access.Person, s scene) string {
	text := stateText(r, kind, notice, to, s)
	switch {
	case kind == noticeGlass, kind == access.NoticeReviewed:
		return text
	case kind == access.NoticeFiled && r.Requestor.Slack == to.Slack && s.glass.why != "":
		return text + "\n" + s.glass.why
	}
	return withReview(text, r)
}

func stateText(r access.Request, kind, notice string, to access.Person, s scene) string {
	switch kind {
	case noticeApprove:
		return invitation(r, to, s)
	case noticeGlass:
		return glassText(r, to, s)
	case access.NoticeReviewed:
		return whose(r, to) + " by breaking glass was reviewed by " + mention(r.Review.By) + " " + date(r.Review.At) + "."
	case access.NoticeFiled:
		return filedText(r, to, s.vendors)
	case access.NoticeClosed, access.NoticeEnded:
		return overText(r, to, s.vendors)
	case access.NoticeExpiring:
		return expiringText(r, to, s.vendors)
	case access.NoticeUnpaged:
		return unpagedText(r, to, s.vendors)
	case access.NoticeFailing, access.NoticeWaiting:
		return failingText(r, to, s.vendors)
	case access.NoticeExtension:
		return extensionText(r, notice, to, s.vendors)
	case access.NoticeOverdue:
		return overdueText(r, whose(r, to))
	case access.NoticeDrift:
		return driftText(r, whose(r, to))
	}
	return approvedText(r, to, s.vendors)
}

func filedText(r access.Request, to access.Person, vendor string) string {
	what := "Your request for " + title(r.Title, r.Resource)
	if r.Requestor.Slack != to.Slack {
		what = "The request of " + mention(r.Requestor) + " for you to get access to " + title(r.Title, r.Resource)
	} else if r.Principal.Slack != to.Slack {
		what += " on behalf of " + mention(r.Principal)
	}
	if r.Status == access.Pending {
		return strings.TrimSuffix(what+" is filed. It waits for approval.\n"+unreached(r)+escalated(r), "\n")
	}
	return what + " was " + decidedBy(r, vendor) + "."
}

// unreached says that an on-call service did not answer at the filing, so that
// nobody was taken to be on call.
func unreached(r access.Request) string {
	var silent []string
	for _, who := range r.Unreached {
		if !strings.Contains(who, ":") { // else it is a group's directory
			silent = append(silent, vendor(who))
		}
	}
	if len(silent) == 0 {
		return ""
	}
	return strings.Join(silent, " and ") + " could not be asked who is on call, so people decide.\n"
}

// unpagedText says that Escalate has reached nobody so far.
func unpagedText(r access.Request, to access.Person, vendors string) string {
	pages := access.Pages(r)
	if len(pages) == 0 {
		return filedText(r, to, vendors)
	}
	var silent []string
	for _, p := range pages {
		silent = append(silent, vendor(p.Integration))
	}
	return strings.Join(silent, " and ") + " could not be reached to call the people on call about your request for " + title(r.Title, r.Resource) +
		". It is tried again and again; whoever may approve it without being on call still can."
}

func decidedBy(r access.Request, vendor string) string {
	d := r.Decision
	switch {
	case d == nil:
		return "decided"
	case r.Status == access.Denied:
		return "denied by " + mention(d.By)
	case r.Status == access.Cancelled:
		return "cancelled by " + mention(d.By)
	case r.Status == access.TimedOut:
		return "not decided by anybody in time"
	}
	return approval(r, vendor)
}

func approvedText(r access.Request, to access.Person, vendor string) string {
	text := whose(r, to)
	switch {
	case r.Status == access.Approved && r.Ending == nil:
		text += " is " + approval(r, vendor) + " until " + date(r.Expires()) + ". It is being set up."
	case access.Holds(r):
		text += " is live until " + date(r.Expires()) + ", " + approval(r, vendor) + "."
	case r.Ending != nil && !r.Status.Ended():
		text += " is being ended: " + cause(r.Ending.Cause, r.Ending.By) + "."
	default:
		return overText(r, to, vendor)
	}
	if x := r.Extension; x != nil {
		text += "\n" + mention(x.By) + " asked for " + spell(x.Duration) + " more, which waits for approval."
	}
	return text
}

func overText(r access.Request, to access.Person, vendor string) string {
	switch r.Status {
	case access.Denied, access.Cancelled, access.TimedOut:
		return filedText(r, to, vendor)
	case access.Failed:
		return whose(r, to) + " could not be given. " + ending(r) + "."
	}
	return whose(r, to) + " has ended. " + ending(r) + "." + kept(r) + late(r)
}

func expiringText(r access.Request, to access.Person, vendor string) string {
	if !access.Holds(r) {
		return approvedText(r, to, vendor)
	}
	return whose(r, to) + " ends " + date(r.Expires()) + "."
}

func failingText(r access.Request, to access.Person, vendor string) string {
	if r.Failure == nil {
		return approvedText(r, to, vendor)
	}
	return whose(r, to) + ":\n" + failing(r, r.Failure)
}

// driftText says that an access which had ended is, or was, there again.
func driftText(r access.Request, what string) string {
	text := what + " had ended (" + ending(r) + ") and was there again afterwards."
	switch {
	case r.SeenAgain() && r.Drift.Ending == nil:
		return "⚠️ " + text + " Somebody gave it at its provider, which may be right: nothing was changed. An approver can press *Revoke* on the request's message."
	case r.SeenAgain():
		return text + " It is being taken away: revoked by " + mention(r.Drift.Ending.By) + "."
	case r.Drift != nil:
		return text + " It is gone since " + date(r.Drift.At) + "."
	}
	return text
}

// overdueText says that an access outlives its end, or did. What is said is true
// for as long as the message stands, so it names no time that goes on.
func overdueText(r access.Request, what string) string {
	if r.Status.Ended() {
		return what + " was to end " + date(r.Expires()) + ". " + ending(r) + "." + kept(r)
	}
	text := "🚨 " + what + " was to end " + date(r.Expires()) + " and *is still there*. Ending it is tried until it is done. If it must not wait, take it away by hand: " + code(r.Resource) + ", provider " + code(r.Target.Provider) + "."
	if r.Grant != nil {
		text += " The account is " + code(clip(r.Grant.Subject, 100)) + "."
	}
	if r.Failure != nil {
		text += "\n" + failing(r, r.Failure)
	}
	return text
}

func extensionText(r access.Request, notice string, to access.Person, vendor string) string {
	for _, s := range r.Settled {
		if notice != fmt.Sprintf("%s-%d", access.NoticeExtension, s.Round) {
			continue
		}
		text := whose(r, to) + ": the extension by " + spell(s.Duration) + " was denied by " + mention(s.By)
		if s.Granted {
			text = whose(r, to) + ": the extension by " + spell(s.Duration) + " was approved " + bySomebody(s.By)
		}
		if s.Reason != "" {
			text += ", who wrote: " + inert(s.Reason, 500)
		}
		if access.Holds(r) {
			text += "\nIt is live until " + date(r.Expires()) + "."
		}
		return text
	}
	return approvedText(r, to, vendor)
}

// answered is what became of an extension that the approvers were told of; false
// while it waits.
func answered(r access.Request, notice string) (string, bool) {
	for _, s := range r.Settled {
		if notice == fmt.Sprintf("%s-%d", noticeAsked, s.Round) {
			return settled(s) + ".", true
		}
	}
	return "The access ended before anybody decided on the extension.", r.Extension == nil
}

// noticeReason is what somebody wrote with the decision that the message tells.
func noticeReason(r access.Request, kind string) string {
	switch kind {
	case access.NoticeClosed, access.NoticeEnded:
		return closing(r)
	}
	return ""
}

// noticeControls are the buttons of a direct message: Cancel while it waits, Give
// back and Extend while the access is held.
func noticeControls(r access.Request, kind string, to access.Person, s scene) []slack.BlockElement {
	switch kind {
	case noticeGlass:
		return glassControls(r, to, s)
	case noticeApprove:
		if open := openButton(r); open != nil && s.wants(r, to) {
			return []slack.BlockElement{open}
		}
	case access.NoticeFiled:
		if r.Status == access.Pending && r.Requestor.Slack == to.Slack {
			return filedControls(r, s)
		}
	case access.NoticeApproved, access.NoticeExpiring, access.NoticeExtension:
		if access.Holds(r) {
			return holderControls(r)
		}
	}
	return nil
}

// filedControls are Cancel and, where it is open to the requestor, Break glass.
func filedControls(r access.Request, s scene) []slack.BlockElement {
	e := []slack.BlockElement{button(actCancel, "Cancel request", value(r.ID, 0), "")}
	if s.glass.now() {
		e = append(e, button(actBreakGlass, "Break glass", value(r.ID, 0), slack.StyleDanger))
	}
	return e
}

// holderControls are Give back, with a question before it, and Extend.
func holderControls(r access.Request) []slack.BlockElement {
	back := button(actGiveBack, "Give back", value(r.ID, 0), "")
	back.Confirm = slack.NewConfirmationBlockObject(
		label("Give it back?", 100), label("The access to "+r.Resource+" ends now.", 300), label("Give back", 30), label("Keep it", 30))
	e := []slack.BlockElement{back}
	if r.Extension == nil {
		e = append(e, button(actExtend, "Extend", value(r.ID, 0), ""))
	}
	return e
}
