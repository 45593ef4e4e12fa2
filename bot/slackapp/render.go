package slackapp

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// approvalMessage is the request's message in the approval channel. It is a pure
// function of the state: rendering it again is always safe.
func approvalMessage(r access.Request, c access.Controls, s scene) message {
	m := message{Text: headline(r) + ". " + plainStatus(r)}
	m.Blocks = append(m.Blocks, section(mrkdwn("*"+headline(r)+"*")), facts(r))
	if r.Reason != "" {
		m.Blocks = append(m.Blocks, quote("Reason", r.Reason, r.ID, 1500))
	}
	if broken(r) && r.Decision.Reason != r.Reason {
		m.Blocks = append(m.Blocks, quote("Reason for breaking glass", r.Decision.Reason, r.ID, 1500))
	}
	m.Blocks = append(m.Blocks, section(mrkdwn(strings.Join(status(r, s), "\n"))))
	m.Blocks = append(m.Blocks, reviewQuote(r)...)
	if text := closing(r); text != "" {
		m.Blocks = append(m.Blocks, quote(closingLabel(r), text, r.ID, 800))
	}
	if x := c.Extension; x != nil && x.Reason != "" {
		m.Blocks = append(m.Blocks, quote("Reason for the extension", x.Reason, r.ID, 800))
	}
	if b := controls(r, c); b != nil {
		m.Blocks = append(m.Blocks, b)
	}
	m.Blocks = append(m.Blocks, note(footer(r, s.dashboard)))
	return m
}

// headline says who asks for what.
func headline(r access.Request) string {
	who := mention(r.Requestor)
	if broken(r) {
		return who + " broke glass for access to " + name(r)
	}
	if r.Principal != r.Requestor {
		return fmt.Sprintf("%s asks for access to %s on behalf of %s", who, name(r), mention(r.Principal))
	}
	return fmt.Sprintf("%s asks for access to %s", who, name(r))
}

// name is the resource in a sentence, without emphasis of its own.
func name(r access.Request) string {
	if r.Title == "" {
		return inert(r.Resource, 100)
	}
	return strings.ReplaceAll(inert(r.Title, 100), "*", "∗")
}

// facts are the fields that a reviewer needs.
func facts(r access.Request) slack.Block {
	long := "not said"
	if r.Duration > 0 {
		long = spell(r.Duration)
	}
	fields := []*slack.TextBlockObject{
		mrkdwn("*Resource*\n" + code(r.Resource)),
		mrkdwn("*For*\n" + mention(r.Principal)),
		mrkdwn("*Asked for*\n" + long),
	}
	if r.Ticket != "" {
		fields = append(fields, mrkdwn("*Ticket*\n"+inert(r.Ticket, 200)))
	}
	return slack.NewSectionBlock(nil, fields, nil)
}

// status are the lines that say where the request stands.
func status(r access.Request, s scene) []string {
	var lines []string
	switch r.Status {
	case access.Pending:
		lines = []string{"⏳ *Waiting for approval* since " + date(r.FiledAt) + ". " + s.plea(), s.ballots(r.Votes)}
	case access.Approved, access.Live:
		lines = standing(r, s)
	case access.Denied:
		lines = []string{"🚫 *Denied* by " + mention(r.Decision.By) + " " + date(r.Decision.At), s.ballots(r.Votes)}
	case access.Cancelled:
		lines = []string{"*Cancelled* by " + mention(r.Decision.By) + " " + date(r.Decision.At), s.ballots(r.Votes)}
	case access.TimedOut:
		lines = []string{"*Timed out* " + date(r.Decision.At) + ": nobody decided", s.ballots(r.Votes)}
		if len(r.Votes) > 0 {
			lines[0] = "*Timed out* " + date(r.Decision.At) + ": not enough people approved"
		}
	case access.Failed:
		lines = []string{approvedLine(r, s), "⚠️ *" + ending(r) + "*" + kept(r)}
	default:
		lines = []string{approvedLine(r, s), "*" + ending(r) + "*" + kept(r) + late(r)}
	}
	lines = append(lines, escalated(r), reviewed(r), drifted(r))
	if r.ToReview() {
		lines = append(lines, s.reviewPlea(few, "press *Review*."))
	}
	return slices.DeleteFunc(lines, func(l string) bool { return l == "" })
}

// standing are the lines of an access that was approved and has not ended.
func standing(r access.Request, s scene) []string {
	lines := []string{approvedLine(r, s)}
	switch {
	case r.Ending != nil:
		lines = append(lines, "The access is being ended: "+cause(r.Ending.Cause, r.Ending.By)+".")
	case r.Status == access.Approved:
		lines = append(lines, "Access until "+date(r.Expires())+", and is being set up.")
	default:
		lines = append(lines, "*Live* until "+date(r.Expires())+".")
	}
	if f := r.Failure; f != nil {
		lines = append(lines, failing(r, f))
	}
	for _, x := range r.Settled[max(0, len(r.Settled)-3):] {
		lines = append(lines, settled(x))
	}
	if x := r.Extension; x != nil {
		lines = append(lines, fmt.Sprintf("⏳ *%s asks for %s more*, until %s. %s",
			mention(x.By), spell(x.Duration), date(r.Expires().Add(x.Duration)), s.plea()), s.ballots(x.Votes))
	}
	return lines
}

func approvedLine(r access.Request, s scene) string {
	if r.Decision == nil {
		return "*Approved*"
	}
	if broken(r) {
		return "🔨 *Taken without approval* " + grounds(r, s.vendors) + " " + date(r.Decision.At)
	}
	return "✅ *Approved* " + grounds(r, s.vendors) + " " + date(r.Decision.At)
}

func settled(s access.Settled) string {
	if s.Granted {
		return "Extended by " + spell(s.Duration) + " " + bySomebody(s.By) + " " + date(s.At)
	}
	line := "An extension by " + spell(s.Duration) + " was denied by " + mention(s.By)
	if s.Reason != "" {
		line += ": " + inert(s.Reason, 200)
	}
	return line
}

// bySomebody names who decided, or says that it took nobody.
func bySomebody(p access.Person) string {
	if p.IsZero() {
		return "automatically"
	}
	return "by " + mention(p)
}

func failing(r access.Request, f *access.Failure) string {
	if f.Waiting && f.Revoking {
		return "⏳ *Still there*: ending the access waits, since " + date(f.Since) + ". " + inert(f.Error, 400)
	} else if f.Waiting {
		return "⏳ *Not there yet*, waiting since " + date(f.Since) + ". " + inert(f.Error, 400)
	}
	what := "Giving the access"
	switch {
	case f.Revoking:
		what = "Ending the access"
	case r.Status == access.Live:
		what = "Extending the access at its provider"
	}
	return "⚠️ *" + what + " fails* since " + date(f.Since) + " and is tried again: " + code(tail(f.Error, 190))
}

// ending says how an access came to its end.
func ending(r access.Request) string {
	if r.End == nil {
		return "Ended"
	}
	at := " " + date(r.End.At)
	switch r.Status {
	case access.Expired:
		return "Expired" + at
	case access.Revoked:
		if r.RemovedByHand() {
			return "Taken away at its provider, not by Countersign, and seen" + at
		}
		return "Revoked by " + mention(r.End.By) + at
	case access.GivenBack:
		return "Given back by " + mention(r.End.By) + at
	case access.Failed:
		return "Failed" + at
	}
	return "Ended" + at
}

// drifted says that an access which had ended is there again.
func drifted(r access.Request) string {
	switch {
	case !r.SeenAgain():
		return ""
	case r.Drift.Ending == nil:
		return "⚠️ *The access was seen again* " + date(r.Drift.At) + ", though it has ended here. Somebody gave it at its provider. *Revoke* takes it away."
	case r.Failure != nil:
		return failing(r, r.Failure)
	}
	return "The access, which was seen again " + date(r.Drift.At) + ", is being taken away: revoked by " + mention(r.Drift.Ending.By) + "."
}

// late says that an access outlived its end by more than people are used to.
func late(r access.Request) string {
	if r.End == nil || r.Outlived(r.End.At) < access.Grace {
		return ""
	}
	return "\n⚠️ It was to end " + date(r.Expires()) + ", " + spell(r.Outlived(r.End.At).Truncate(time.Minute)) + " before it did."
}

func kept(r access.Request) string {
	if r.End == nil {
		return ""
	}
	switch r.End.Kept {
	case "had_before":
		return "\nThe access was left in place: it was there before this request."
	case "other_grant":
		return "\nThe access was left in place: another approved request still gives it."
	}
	return ""
}

func cause(c access.Cause, by access.Person) string {
	switch c {
	case access.CauseRevoked:
		return "revoked by " + mention(by)
	case access.CauseGivenBack:
		return "given back by " + mention(by)
	}
	return "its time is over"
}

// closing is what people wrote with a decision or an end.
func closing(r access.Request) string {
	switch {
	case r.Status == access.Denied:
		return r.Decision.Reason
	case r.End != nil:
		return r.End.Reason
	case r.Ending != nil:
		return r.Ending.Reason
	}
	return ""
}

// closingLabel is what that is: nobody wrote the reason of a failure.
func closingLabel(r access.Request) string {
	if r.Status == access.Failed {
		return "Error"
	}
	if r.RemovedByHand() {
		return "What was seen"
	}
	return "Reason given"
}

// plainStatus is the status in a word, for notifications.
func plainStatus(r access.Request) string {
	if r.ToReview() {
		return "It waits for a review."
	}
	if s := strings.ReplaceAll(string(r.Shown()), "_", " "); s != "" {
		return strings.ToUpper(s[:1]) + s[1:] + "."
	}
	return ""
}

// controls are the select and the buttons; nil where nothing can be done any more.
func controls(r access.Request, c access.Controls) slack.Block {
	var e []slack.BlockElement
	block := blockDecide
	if s := expirySelect(c); s != nil {
		e = append(e, s)
	}
	if c.Decide {
		e = append(e, button(actApprove, "Approve", value(r.ID, 0), slack.StylePrimary),
			button(actDeny, "Deny", value(r.ID, 0), slack.StyleDanger))
	}
	if c.Escalate {
		e = append(e, escalateButton(r))
	}
	if c.Cancel {
		e = append(e, button(actCancel, "Cancel", value(r.ID, 0), ""))
	}
	if x := c.Extension; x != nil {
		block = blockAccess
		e = append(e, button(actApproveExtension, "Approve extension", value(r.ID, x.Round), slack.StylePrimary),
			button(actDenyExtension, "Deny extension", value(r.ID, x.Round), ""))
	}
	if c.Revoke {
		block = blockAccess
		e = append(e, button(actRevoke, "Revoke", value(r.ID, 0), slack.StyleDanger))
	}
	if c.Review {
		block = blockAccess
		e = append(e, reviewButton(r))
	}
	if len(e) == 0 {
		return nil
	}
	return slack.NewActionBlock(block, e...)
}

func footer(r access.Request, dashboard string) string {
	text := code(r.ID)
	if dashboard != "" {
		text = hyperlink(dashboard+"/requests/"+r.ID, r.ID)
	}
	if d := r.Decision; d != nil && len(d.Policies) > 0 {
		text += " · " + policies(d.Policies)
	}
	return text + " · replies in this thread are recorded"
}
