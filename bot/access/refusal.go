package access

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Code names a kind of refusal, for the log and for programs.
type Code string

// The kinds of refusal.
const (
	AlreadyDecided   Code = "already_decided"
	AlreadyVoted     Code = "already_voted"
	AlreadyEnding    Code = "already_ending"
	BadDuration      Code = "bad_duration"
	BadPrincipal     Code = "bad_principal"
	BadWindow        Code = "bad_window"
	Barred           Code = "account_barred"
	DirectoryDown    Code = "directory_unreachable"
	NeedsDuration    Code = "duration_required"
	NeedsReason      Code = "reason_required"
	NeedsTicket      Code = "ticket_required"
	NoConfig         Code = "no_config"
	NoExpiry         Code = "no_expiry_chosen"
	NoLongerReviewer Code = "no_longer_reviewer"
	NoResource       Code = "no_such_resource"
	NoSuchRequest    Code = "no_such_request"
	NotApprover      Code = "not_an_approver"
	NotConfigured    Code = "not_configured"
	NotRequestable   Code = "not_requestable"
	NotLive          Code = "not_live"
	NotReviewer      Code = "not_a_reviewer"
	NotYet           Code = "not_yet"
	NotYours         Code = "not_yours"
	OwnAccess        Code = "own_access"
	OwnRequest       Code = "own_request"
	PolicyDenies     Code = "denied_by_policy"
	ReviewFirst      Code = "review_first"
	ReviewerTooLate  Code = "reviewer_after_filing"
	StaleButton      Code = "stale_button"
	TargetChanged    Code = "target_changed"
	TooLong          Code = "too_long"
	UnknownMessage   Code = "unknown_message"
)

// A Refusal is a decision against the person who asked, with its reason as a
// sentence for that person. It is not a fault: nothing is broken.
type Refusal struct {
	Code Code
	Text string // Slack mrkdwn
}

// Error implements error.
func (r *Refusal) Error() string { return r.Text }

// AsRefusal finds the refusal in an error.
func AsRefusal(err error) (*Refusal, bool) {
	r, ok := errors.AsType[*Refusal](err)
	return r, ok
}

func refuse(c Code, format string, args ...any) *Refusal {
	return &Refusal{Code: c, Text: fmt.Sprintf(format, args...)}
}

// Refuse is a refusal that is found outside this package, such as a request
// that does not exist.
func Refuse(c Code, format string, args ...any) *Refusal { return refuse(c, format, args...) }

// Note is the event that records a refusal; none if the same person was
// refused for the same reason before, or if there is no request to record it in.
func Note(f Facts, r Request, a Action, why *Refusal) []Event {
	if r.Seq == 0 || f.Actor.Slack == "" {
		return nil
	}
	for _, x := range r.Refusals {
		if x.By.Slack == f.Actor.Slack && x.Code == why.Code {
			return nil
		}
	}
	return []Event{f.event(r, RefusedTry{Action: actionName(a), Code: why.Code, Text: why.Text})}
}

func actionName(a Action) string {
	name := fmt.Sprintf("%T", a)
	name = name[strings.LastIndexByte(name, '.')+1:]
	var b strings.Builder
	for i, c := range name {
		if unicode.IsUpper(c) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// inert is a name or a text within a refusal: in Slack it means nothing but what
// it says.
func inert(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// Plain is the text of a refusal where it is not read in Slack.
func Plain(text string) string {
	return strings.NewReplacer("`", "", "&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(text)
}

// mention names a person so that Slack shows their name and the log their address.
func mention(p Person) string {
	switch {
	case p.Slack != "":
		return "<@" + p.Slack + ">"
	case p.Email != "":
		return p.Email
	}
	return "Countersign"
}

func list(emails []string) string {
	if len(emails) == 0 {
		return "none are configured"
	}
	return strings.Join(emails, ", ")
}

func lower(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(c)) + s[n:]
}

func words(s Status) string { return strings.ReplaceAll(string(s), "_", " ") }

func short(commit string) string { return commit[:min(len(commit), 10)] }
