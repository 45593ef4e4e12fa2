package ledger

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"countersign/bot/access"
)

// verbs begin the subject line of each kind of event.
var verbs = map[string]string{
	"requested": "request", "vote": "vote", "approved": "approve", "denied": "deny", "cancelled": "cancel",
	"timed_out": "time out", "escalated": "escalate", "review_due": "demand review", "reviewed": "review", "refused": "refuse", "reminded": "remind", "notified": "notify",
	"message": "message", "message_edited": "edit message", "message_deleted": "delete message",
	"grant_intent": "intend", "granted": "grant", "grant_failed": "fail to grant",
	"revoke_intent": "end", "revoke_failed": "fail to revoke",
	"expired": "expire", "revoked": "revoke", "given_back": "give back",
	"drift":               "see drift",
	"extension_requested": "ask to extend", "extension_denied": "deny extension", "extended": "extend",
}

// Message is the commit message of an event: a subject that reads well in
// `git log --oneline`, and trailers for programs. r is the request with the
// event applied. Nothing in it was typed by a person: addresses come from
// Slack, names of resources from the configuration, and both are checked. It is
// part of the format, so that auditors may rely on it: it may never change for
// an event that can be recorded today.
func Message(r access.Request, e access.Event) string {
	subject := fmt.Sprintf("%s %s: %s → %s%s%s", verb(e.Body), r.ID, local(r.Principal), resource(r.Resource), detail(r, e), by(e))
	return subject + "\n\n" + strings.Join(trailers(r, e), "\n") + "\n"
}

// verb begins the subject line of an event.
func verb(b access.Body) string {
	switch b := b.(type) {
	case access.GrantFailed:
		if b.Waiting {
			return "wait to grant"
		}
	case access.RevokeFailed:
		if b.Waiting {
			return "wait to revoke"
		}
	}
	return verbs[b.Kind()]
}

// trailers are the machine-readable lines that end the commit message of an
// event: what stands in the file, for those who read only the messages.
func trailers(r access.Request, e access.Event) []string {
	var lines []string
	trailer := func(key, value string, ok bool) {
		if ok && value != "" {
			lines = append(lines, key+": "+value)
		}
	}
	trailer("Request-Id", r.ID, true)
	trailer("Event", e.Body.Kind(), true)
	trailer("Event-Id", e.ID, plainID.MatchString(e.ID))
	trailer("Requestor", r.Requestor.Email, address.MatchString(r.Requestor.Email))
	trailer("Principal", r.Principal.Email, address.MatchString(r.Principal.Email))
	trailer("Resource", r.Resource, true)
	trailer("Actor", e.By.Email, address.MatchString(e.By.Email))
	if !r.Expires().IsZero() {
		trailer("Expires-At", r.Expires().Format(time.RFC3339), true)
	}
	trailer("Config-Commit", e.Config, plainID.MatchString(e.Config))
	return lines
}

var (
	plainID = regexp.MustCompile(`^[A-Za-z0-9:._/#-]{1,200}$`)
	address = regexp.MustCompile(`^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}$`)
	unsafe  = regexp.MustCompile(`[^A-Za-z0-9._/-]`)
)

func local(p access.Person) string {
	name, _, _ := strings.Cut(p.Email, "@")
	if name = unsafe.ReplaceAllString(name, "_"); name == "" {
		return "somebody"
	}
	return name
}

func resource(id string) string { return unsafe.ReplaceAllString(id, "_") }

func detail(r access.Request, e access.Event) string {
	switch b := e.Body.(type) {
	case access.Requested:
		if b.Duration > 0 {
			return " for " + access.FormatDuration(b.Duration)
		}
	case access.Approval:
		return " for " + access.FormatDuration(b.Expires.Sub(e.At))
	case access.Extended, access.ExtensionRequested:
		return " until " + r.Expires().Format("2006-01-02 15:04 MST")
	case access.Drifted:
		return " (" + string(b.Found) + ")"
	case access.RefusedTry:
		return " (" + string(b.Code) + ")"
	case access.Notified:
		return " (" + b.Post.Notice + ")"
	}
	return ""
}

func by(e access.Event) string {
	if e.By.IsZero() {
		return ""
	}
	return " (by " + local(e.By) + ")"
}
