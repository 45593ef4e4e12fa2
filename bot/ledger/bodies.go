package ledger

import (
	"fmt"
	"time"

	"countersign/bot/access"
)

// recordOf is the stored form of an event.
func recordOf(e access.Event) (record, error) {
	r := record{
		Version: formatVersion, EventID: e.ID, Request: e.Request, Event: e.Body.Kind(), At: e.At,
		By: person(e.By), ConfigCommit: e.Config, Rules: e.Rules, RecordedLate: e.Late, Unreached: e.Unreached,
		Groups: groupRecords(e.Groups), OnCall: dutyRecords(e.Duties),
	}
	switch b := e.Body.(type) {
	case access.Requested:
		r.Requestor, r.Principal = ptr(person(b.Requestor)), ptr(person(b.Principal))
		r.Resource, r.Title, r.Target = b.Resource, text(b.Title), targetOf(b.Target)
		r.Reason, r.Ticket, r.Duration = text(b.Reason), text(b.Ticket), length(b.Duration)
	case access.Approval:
		r.Source, r.Approvers, r.Policies = string(b.Source), people(b.Approvers), b.Policies
		r.ExpiresAt, r.Target, r.Reason = b.Expires, targetOf(b.Target), text(b.Reason)
		r.Allowances = b.Allowances
	case access.Vote:
		r.Duration, r.Round = length(b.For), b.Round
		if b.Allowance != "" {
			r.Allowances = []string{b.Allowance}
		}
	case access.Reviewed:
		r.Message = text(b.Text)
	case access.Denial:
		r.Reason, r.Policies = text(b.Reason), b.Policies
	case access.Escalation:
		for _, c := range b.Calls {
			r.Calls = append(r.Calls, call(c))
		}
	case access.Cancellation, access.Timeout, access.ReviewDue, access.Reminded:
	case access.RefusedTry:
		r.Action, r.Code, r.Message = b.Action, string(b.Code), text(b.Text)
	case access.GrantIntent:
		r.Subject, r.ObservedBefore, r.InheritedFrom = text(b.Subject), string(b.Before), b.Inherited
	case access.Granted:
		r.ExpiresAt, r.ObservedBefore = b.Until, string(b.Before)
	case access.GrantFailed:
		r.Error, r.Final, r.Waiting = text(b.Error), b.Final, b.Waiting
	case access.RevokeIntent:
		r.Cause, r.Reason = string(b.Cause), text(b.Reason)
	case access.Ended:
		r.Kept = b.Kept
	case access.RevokeFailed:
		r.Error, r.Waiting = text(b.Error), b.Waiting
	case access.Drifted:
		r.Found = string(b.Found)
	case access.ExtensionRequested:
		r.Duration, r.Reason = length(b.Duration), text(b.Reason)
	case access.ExtensionDenied:
		r.Reason = text(b.Reason)
	case access.Extended:
		r.Source, r.Approvers, r.ExpiresAt = string(b.Source), people(b.Approvers), b.Expires
	case access.MessagePosted:
		r.TS, r.Bot, r.Text = b.TS, b.Bot, ptr(text(b.Text))
	case access.MessageEdited:
		r.TS, r.Text, r.Previous = b.TS, ptr(text(b.Text)), ptr(text(b.Previous))
	case access.MessageDeleted:
		r.TS, r.Previous = b.TS, ptr(text(b.Previous))
	case access.Notified:
		p := b.Post
		r.Notice, r.Channel, r.TS, r.Permalink = p.Notice, p.Channel, p.TS, p.Permalink
		if !p.To.IsZero() {
			r.To = ptr(person(p.To))
		}
	default:
		return r, fmt.Errorf("encode: no stored form for %T", e.Body)
	}
	return r, nil
}

// body is the event that a stored form stands for.
func (r record) body() (access.Body, error) {
	switch r.Event {
	case "requested":
		return access.Requested{
			Requestor: value(r.Requestor), Principal: value(r.Principal),
			Resource: r.Resource, Title: string(r.Title), Target: r.Target.value(),
			Reason: string(r.Reason), Ticket: string(r.Ticket), Duration: time.Duration(r.Duration),
		}, nil
	case "approved":
		return access.Approval{
			Source: access.Source(r.Source), Approvers: values(r.Approvers), Policies: r.Policies,
			Expires: r.ExpiresAt.UTC(), Target: r.Target.value(), Reason: string(r.Reason), Allowances: r.Allowances,
		}, nil
	case "review_due":
		return access.ReviewDue{}, nil
	case "reviewed":
		return access.Reviewed{Text: string(r.Message)}, nil
	case "vote":
		v := access.Vote{For: time.Duration(r.Duration), Round: r.Round}
		if len(r.Allowances) == 1 {
			v.Allowance = r.Allowances[0]
		}
		return v, nil
	case "denied":
		return access.Denial{Reason: string(r.Reason), Policies: r.Policies}, nil
	case "cancelled":
		return access.Cancellation{}, nil
	case "timed_out":
		return access.Timeout{}, nil
	case "refused":
		return access.RefusedTry{Action: r.Action, Code: access.Code(r.Code), Text: string(r.Message)}, nil
	case "escalated":
		var b access.Escalation
		for _, c := range r.Calls {
			b.Calls = append(b.Calls, access.Call(c))
		}
		return b, nil
	case "reminded":
		return access.Reminded{}, nil
	case "notified":
		return access.Notified{Post: access.Post{
			Notice: r.Notice, To: value(r.To), Channel: r.Channel, TS: r.TS, Permalink: r.Permalink,
		}}, nil
	case "message":
		return access.MessagePosted{TS: r.TS, Bot: r.Bot, Text: words(r.Text)}, nil
	case "message_edited":
		return access.MessageEdited{TS: r.TS, Text: words(r.Text), Previous: words(r.Previous)}, nil
	case "message_deleted":
		return access.MessageDeleted{TS: r.TS, Previous: words(r.Previous)}, nil
	}
	return r.grantBody()
}

// grantBody are the events of the grant protocol and of extensions.
func (r record) grantBody() (access.Body, error) {
	switch r.Event {
	case "grant_intent":
		return access.GrantIntent{
			Subject: string(r.Subject), Before: access.Presence(r.ObservedBefore), Inherited: r.InheritedFrom,
		}, nil
	case "granted":
		return access.Granted{Until: r.ExpiresAt.UTC(), Before: access.Presence(r.ObservedBefore)}, nil
	case "grant_failed":
		return access.GrantFailed{Error: string(r.Error), Final: r.Final, Waiting: r.Waiting}, nil
	case "revoke_intent":
		return access.RevokeIntent{Cause: access.Cause(r.Cause), Reason: string(r.Reason)}, nil
	case "revoke_failed":
		return access.RevokeFailed{Error: string(r.Error), Waiting: r.Waiting}, nil
	case "drift":
		return access.Drifted{Found: access.Presence(r.Found)}, nil
	case "expired", "revoked", "given_back":
		return access.Ended{Cause: access.Cause(r.Event), Kept: r.Kept}, nil
	case "extension_requested":
		return access.ExtensionRequested{Duration: time.Duration(r.Duration), Reason: string(r.Reason)}, nil
	case "extension_denied":
		return access.ExtensionDenied{Reason: string(r.Reason)}, nil
	case "extended":
		return access.Extended{
			Source: access.Source(r.Source), Approvers: values(r.Approvers), Expires: r.ExpiresAt.UTC(),
		}, nil
	}
	return nil, fmt.Errorf("decode event: %q is no event that this program knows", r.Event)
}

// groupRecords are who was in the groups that were asked; nil if none was.
func groupRecords(groups map[string][]access.Person) map[string][]person {
	if groups == nil {
		return nil
	}
	out := map[string][]person{}
	for key, members := range groups {
		out[key] = people(members)
	}
	return out
}

// dutyRecords are who was on call where that was asked; nil if it was nowhere.
func dutyRecords(duties map[string][]access.Duty) map[string][]duty {
	if duties == nil {
		return nil
	}
	out := map[string][]duty{}
	for key, list := range duties {
		out[key] = make([]duty, len(list))
		for i, d := range list {
			out[key][i] = duty{d.Person.Email, d.Person.Slack, d.Policy, d.Level, d.Schedule, d.Start, d.End}
		}
	}
	return out
}

func groupsOf(groups map[string][]person) map[string][]access.Person {
	var out map[string][]access.Person
	for key, members := range groups {
		if out == nil {
			out = map[string][]access.Person{}
		}
		out[key] = values(members)
	}
	return out
}

func dutiesOf(duties map[string][]duty) map[string][]access.Duty {
	var out map[string][]access.Duty
	for key, list := range duties {
		if out == nil {
			out = map[string][]access.Duty{}
		}
		out[key] = nil
		for _, d := range list {
			out[key] = append(out[key], access.Duty{
				Person: access.Person{Email: d.Email, Slack: d.Slack}, Policy: d.Policy, Level: d.Level,
				Schedule: d.Schedule, Start: d.Start.UTC(), End: d.End.UTC(),
			})
		}
	}
	return out
}

func ptr[T any](v T) *T { return &v }

func words(t *text) string {
	if t == nil {
		return ""
	}
	return string(*t)
}

func value(p *person) access.Person {
	if p == nil {
		return access.Person{}
	}
	return access.Person(*p)
}

func people(ps []access.Person) []person {
	out := make([]person, len(ps))
	for i, p := range ps {
		out[i] = person(p)
	}
	return out
}

func values(ps []person) []access.Person {
	var out []access.Person
	for _, p := range ps {
		out = append(out, access.Person(p))
	}
	return out
}

func targetOf(t access.Target) *target { return &target{Provider: t.Provider, With: with(t.With)} }

func (t *target) value() access.Target {
	if t == nil {
		return access.Target{}
	}
	return access.Target{Provider: t.Provider, With: map[string]any(t.With)}
}
