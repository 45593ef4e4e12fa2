package web

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"
)

// A step is one event of a request's life, in words.
type step struct {
	N       int
	Kind    string
	Tone    string // good, bad, warn, quiet, or empty
	Title   string
	By      string // empty: the bot itself
	At      time.Time
	Quote   template.HTML // what a person or a program said
	Facts   []fact
	Late    bool
	Version int // of the rules

	Path      string
	Commit    commit
	Config    commit
	Signature Signature
}

// A fact is something that stands in an event.
type fact struct {
	Name  string
	Value string
	At    time.Time // shown instead, where it is set
}

// A teller puts the events of a request into words.
type teller struct {
	request access.Request
	people  map[string]string
}

func (t teller) tell(e access.Event) step {
	s := step{Kind: e.Body.Kind(), By: named(e.By), At: e.At, Late: e.Late, Version: e.Rules}
	t.body(&s, e)
	for _, name := range sorted(e.Groups) {
		s.Facts = append(s.Facts, fact{Name: "members of " + name, Value: listed(addresses(e.Groups[name]))})
	}
	for _, name := range sorted(e.Duties) {
		s.Facts = append(s.Facts, fact{Name: "on call in " + name, Value: listed(duties(e.Duties[name]))})
	}
	if len(e.Unreached) > 0 {
		s.Facts = append(s.Facts, fact{Name: "could not be asked", Value: listed(e.Unreached)})
	}
	return s
}

// body tells what is proper to each kind.
func (t teller) body(s *step, e access.Event) {
	switch b := e.Body.(type) {
	case access.Requested:
		t.requested(s, b)
	case access.Vote:
		s.Tone, s.Title = "good", "Voted for it; more approvals are needed"
		if b.Round > 0 {
			s.Title = "Voted for the extension; more approvals are needed"
		}
		s.add("for", lasting(b.For))
		s.add("pre-approval", b.Allowance)
	case access.Approval:
		t.approved(s, b)
	case access.Denial:
		s.Tone, s.Title, s.Quote = "bad", "Denied", t.quote(b.Reason)
		s.add("policies", listed(b.Policies))
	case access.Cancellation:
		s.Title = "Cancelled by the requestor"
	case access.Timeout:
		s.Title = "Timed out: nobody decided"
	case access.RefusedTry:
		s.Tone, s.Title = "warn", "Was refused: "+spell(b.Action)
		s.Quote = plainly(b.Text, t.people)
		s.add("code", string(b.Code))
	case access.Escalation:
		s.Tone, s.Title = "warn", "Escalated: people on call are paged"
		for _, c := range b.Calls {
			s.add(c.Integration, listed(slices.Concat(c.Services, c.EscalationPolicies, c.Schedules)))
		}
	case access.Reminded:
		s.Tone, s.Title = "quiet", "Reminded the approvers"
	case access.Notified:
		t.notified(s, b)
	case access.ReviewDue:
		s.Tone, s.Title = "warn", "A review is due: nobody approved this beforehand"
	case access.Reviewed:
		s.Tone, s.Title, s.Quote = "good", "Reviewed", t.quote(b.Text)
	default:
		if !t.message(s, e) && !t.grant(s, e) {
			s.Title = capital(spell(s.Kind))
		}
	}
}

func (t teller) requested(s *step, b access.Requested) {
	s.Title, s.Quote = "Asked for "+first(b.Title, b.Resource), t.quote(b.Reason)
	if b.Principal != b.Requestor {
		s.Title += " on behalf of " + named(b.Principal)
	}
	s.add("for", lasting0(b.Duration))
	s.add("ticket", b.Ticket)
}

func (t teller) approved(s *step, b access.Approval) {
	s.Tone, s.Title, s.Quote = "good", "Approved by "+grounds(b.Source), t.quote(b.Reason)
	if b.Source == access.ByBreakGlass {
		s.Tone, s.Title = "warn", "Broke glass"
	}
	s.Facts = append(s.Facts, fact{Name: "until", At: b.Expires})
	s.add("approved by", listed(addresses(b.Approvers)))
	s.add("policies", listed(b.Policies))
	s.add("pre-approvals", listed(b.Allowances))
}

// notices are the bot's messages, as people would call them.
var notices = [...][2]string{
	{access.NoticeApproval, "Posted the approval message"},
	{access.NoticeFiled, "Confirmed the filing"},
	{access.NoticeApproved, "Told of the approval"},
	{access.NoticeClosed, "Told of the decision"},
	{access.NoticeExpiring, "Told that it is about to end"},
	{access.NoticeEnded, "Told of the end"},
	{access.NoticeFailing, "Told that it does not work yet"},
	{access.NoticeOverdue, "Told that it outlives its end"},
	{access.NoticeDrift, "Told that it was seen again"},
	{access.NoticeAlarm, "Alerted the operators, or said that it is over"},
	{access.NoticeWaiting, "Told what it waits for"},
	{access.NoticeExtension, "Told of the extension"},
	{access.NoticeReviewed, "Told of the review"},
	{access.NoticePage, "Paged the people on call"},
	{access.NoticeUnpaged, "Told that nobody could be paged"},
	{access.NoticeInvite, "Asked for a decision"},
	{access.NoticeReminder, "Asked once more for a decision"},
	{access.NoticeAsked, "Asked for a decision on the extension"},
	{access.NoticeGlass, "Told that glass was broken"},
}

func (t teller) notified(s *step, b access.Notified) {
	s.Tone, s.Title = "quiet", "Posted a notice: "+b.Post.Notice
	name, _, _ := strings.Cut(b.Post.Notice, "-")
	for _, n := range notices {
		if n[0] == name {
			s.Title = n[1]
		}
	}
	s.add("to", named(b.Post.To))
}

// message tells what happened in the thread.
func (t teller) message(s *step, e access.Event) bool {
	switch b := e.Body.(type) {
	case access.MessagePosted:
		s.Tone, s.Title, s.Quote = "talk", "Wrote in the thread", t.quote(b.Text)
		s.add("program", b.Bot)
	case access.MessageEdited:
		s.Tone, s.Title, s.Quote = "talk", "Edited a message", t.quote(b.Text)
		s.add("before", b.Previous)
	case access.MessageDeleted:
		s.Tone, s.Title = "talk", "Deleted a message"
		s.add("it said", b.Previous)
	default:
		return false
	}
	return true
}

// grant tells of the access itself, its extensions and its end.
func (t teller) grant(s *step, e access.Event) bool {
	switch b := e.Body.(type) {
	case access.GrantIntent:
		s.Tone, s.Title = "quiet", "Asks the provider to give it"
		s.add("account", b.Subject)
		s.add("before", string(b.Before))
		s.add("seen by", b.Inherited)
	case access.Granted:
		s.Tone, s.Title = "good", "The access is there"
		s.add("before", string(b.Before))
	case access.GrantFailed:
		s.Tone, s.Title, s.Quote = "bad", "Giving it failed; it is tried again", t.quote(b.Error)
		if b.Final {
			s.Title = "Giving it failed for good"
		}
		if b.Waiting {
			s.Tone, s.Title = "quiet", "Giving it waits for somebody"
		}
	case access.RevokeIntent:
		s.Tone, s.Title, s.Quote = "quiet", ending(b.Cause)+": asks the provider to take it away", t.quote(b.Reason)
	case access.RevokeFailed:
		s.Tone, s.Title, s.Quote = "bad", "Taking it away failed; it is tried again", t.quote(b.Error)
		if b.Waiting {
			s.Title = "Taking it away waits for somebody"
		}
	case access.Ended:
		s.Title = ending(b.Cause) + ": the access is gone"
		if b.Kept != "" {
			s.Title = ending(b.Cause)
			s.add("kept", kept(b.Kept))
		}
	case access.Drifted:
		s.Tone, s.Title = "warn", "Seen again at the provider, after its end"
		if b.Found == access.Absent {
			s.Title = "Gone from the provider"
		}
	case access.ExtensionRequested:
		s.Title, s.Quote = "Asked for "+lasting(b.Duration)+" more", t.quote(b.Reason)
	case access.Extended:
		s.Tone, s.Title = "good", "Extended by "+grounds(b.Source)
		s.Facts = append(s.Facts, fact{Name: "until", At: b.Expires})
		s.add("approved by", listed(addresses(b.Approvers)))
	case access.ExtensionDenied:
		s.Tone, s.Title, s.Quote = "bad", "The extension was denied", t.quote(b.Reason)
	default:
		return false
	}
	return true
}

func ending(c access.Cause) string {
	switch c {
	case access.CauseExpired:
		return "Expired"
	case access.CauseRevoked:
		return "Revoked"
	case access.CauseGivenBack:
		return "Given back"
	}
	return "Ended"
}

func (t teller) quote(text string) template.HTML { return talk(text, t.people) }

func (s *step) add(name, value string) {
	if value != "" {
		s.Facts = append(s.Facts, fact{Name: name, Value: value})
	}
}

func listed(texts []string) string { return strings.Join(texts, ", ") }

// lasting0 is a duration; nothing where none was said.
func lasting0(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return lasting(d)
}

func duties(list []access.Duty) []string {
	var out []string
	for _, d := range list {
		text := named(d.Person)
		if d.Level > 0 {
			text += fmt.Sprintf(" (level %d)", d.Level)
		}
		out = append(out, text)
	}
	return out
}

func sorted[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// settings are what the target of an access says, by name.
func settings(with map[string]any) []fact {
	var out []fact
	for _, k := range sorted(with) {
		out = append(out, fact{Name: k, Value: fmt.Sprint(with[k])})
	}
	return out
}
