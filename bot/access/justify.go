package access

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Justify decides anew what an event records: whether the person whom it names
// might do that, to the request as it stood before, under the rules of then. It
// returns why not. Events that need no one's permission are justified. ahead are
// the pre-approvals as they stood then.
func Justify(before Request, e Event, today, filed *Rules, ahead []Ahead) error {
	if botsOwn(e.Body) && !e.By.IsZero() {
		return fmt.Errorf("is the bot's to do, and recorded as somebody's")
	}
	if b, ends := e.Body.(RevokeIntent); ends && b.Cause == CauseRevoked && e.By.IsZero() {
		return nil // what was gone; that it was is a fact, which Apply demands
	}
	intent, grants := e.Body.(GrantIntent)
	a, ok := actionOf(before, e)
	if !ok && !grants {
		return nil
	}
	if today == nil || filed == nil {
		return fmt.Errorf("the configuration that governed it cannot be read")
	}
	if grants {
		return justifySubject(today, before.Principal, intent.Subject)
	}
	f := Facts{Now: e.At, ID: e.ID, New: e.Request, Actor: Actor{Person: e.By}, Rules: today, Filed: filed, Late: e.Late, Members: e.Groups, Duties: e.Duties, Ahead: ahead}
	if b, ok := e.Body.(Approval); ok && b.Source.alone() {
		return f.justifyAlone(before, e)
	}
	if b, ok := e.Body.(Extended); ok && b.Source.alone() {
		return f.justifyExtended(before, b)
	}
	if err, cast := f.justifyAhead(before, e); cast {
		return err
	}
	events, err := a.decide(f, before)
	if err != nil {
		return fmt.Errorf("would be refused: %w", err)
	}
	if len(events) == 0 || !reflect.DeepEqual(events[0].Body, e.Body) {
		return fmt.Errorf("would be decided differently")
	}
	return nil
}

// botsOwn reports whether a sort of event is never caused by a person.
func botsOwn(b Body) bool {
	switch b := b.(type) {
	case RevokeIntent:
		return b.Cause == CauseExpired
	case Timeout, GrantIntent, Granted, GrantFailed, Ended, RevokeFailed, Reminded, Notified, ReviewDue, Drifted:
		return true
	}
	return false
}

// justifySubject says why an account is not the principal's: access that was
// approved for one and given to another. A provider may add its own id of the
// account, after a # sign.
func justifySubject(today *Rules, principal Person, subject string) error {
	name, _, _ := strings.Cut(subject, "#")
	who := today.Account(principal)
	for _, account := range []string{who.Email, who.GitHub, who.Postgres} {
		if account != "" && account == name {
			return nil
		}
	}
	return fmt.Errorf("gives the access to %q, which is no account of %s", subject, principal.Email)
}

// justifyAhead decides anew what pre-approvals have cast; cast is false for
// what a person did at the time.
func (f Facts) justifyAhead(before Request, e Event) (err error, cast bool) {
	var used []string
	switch b := e.Body.(type) {
	case Vote:
		if b.Allowance != "" {
			used = []string{b.Allowance}
		}
	case Approval:
		used = b.Allowances
	}
	if len(used) == 0 {
		return nil, false
	}
	if err := withFiling(before, e); err != nil {
		return err, true
	}
	ballots := f.ahead(f.ruling(f.Rules, before.Principal, f.Rules.resourceOf(before)), before)
	for _, id := range used {
		if !slices.ContainsFunc(ballots, func(b Ballot) bool { return b.Allowance == id }) {
			return fmt.Errorf("rests on the pre-approval %s, which does not count here", id), true
		}
	}
	if b, ok := e.Body.(Approval); ok {
		again, err := f.castAhead(f.ruling(f.Rules, before.Principal, f.Rules.resourceOf(before)), before)
		if err != nil || len(again) != 1 || !reflect.DeepEqual(again[0].Body, b) {
			return fmt.Errorf("the pre-approvals are not enough"), true
		}
	}
	return nil, true
}

// withFiling says why an event is none of those that a filing itself brings. What
// needs no person is given then or not at all: whether anything denies it was asked
// for the filing.
func withFiling(before Request, e Event) error {
	if !e.At.Equal(before.FiledAt) || e.Config != before.FiledUnder {
		return fmt.Errorf("was not given with the filing, and takes a person since")
	}
	return nil
}

// justifyAlone decides anew an approval that no person gave.
func (f Facts) justifyAlone(before Request, e Event) error {
	res, ok := f.Rules.Resource(before.Resource)
	if !ok {
		return fmt.Errorf("approves what cannot be asked for")
	}
	if b := e.Body.(Approval); b.Source == ByBreakGlass {
		x, err := f.glass(before, b.Reason)
		if err != nil {
			return fmt.Errorf("would be refused: %w", err)
		}
		if !f.Rules.Same(e.By, before.Requestor) {
			return fmt.Errorf("glass was broken by somebody else")
		}
		f.Actor = Actor{Person: e.By}
		if taken, err := f.breakGlass(x, before, b.Reason); err != nil || !reflect.DeepEqual(taken[0].Body, e.Body) {
			return fmt.Errorf("would be decided differently")
		}
		return nil
	}
	if err := withFiling(before, e); err != nil {
		return err
	}
	f.Actor = Actor{}
	given, ok := f.given(f.ruling(f.Rules, before.Principal, res), before)
	if !ok || !reflect.DeepEqual(given.Body, e.Body) {
		return fmt.Errorf("no policy gives this without a person")
	}
	return nil
}

// justifyExtended decides anew an extension that no person approved.
func (f Facts) justifyExtended(before Request, b Extended) error {
	f.Actor = Actor{}
	if source, ok := f.extendedAlone(before); !ok || source != b.Source {
		return fmt.Errorf("no policy extends this without a person")
	}
	return f.roomFor(before, before.Extension.Duration)
}

// actionOf is what the person of an event must have wanted.
func actionOf(r Request, e Event) (Action, bool) {
	switch b := e.Body.(type) {
	case Requested:
		return File{Resource: b.Resource, Principal: Actor{Person: b.Principal}, Duration: b.Duration, Reason: b.Reason, Ticket: b.Ticket}, true
	case Approval:
		return Approve{Request: r.ID, For: b.Expires.Sub(e.At)}, true
	case Reviewed:
		return ReviewAccess{Request: r.ID, Text: b.Text}, true
	case Escalation:
		return Escalate{Request: r.ID}, true
	case Vote:
		if b.Round > 0 {
			return ApproveExtension{Request: r.ID, Round: b.Round}, true
		}
		return Approve{Request: r.ID, For: b.For}, true
	case Denial:
		return Deny{Request: r.ID, Reason: b.Reason}, true
	case Cancellation:
		return Cancel{Request: r.ID}, true
	case ExtensionRequested:
		return Extend{Request: r.ID, By: b.Duration, Reason: b.Reason}, true
	case Extended:
		return ApproveExtension{Request: r.ID, Round: r.Rounds}, true
	case ExtensionDenied:
		return DenyExtension{Request: r.ID, Round: r.Rounds, Reason: b.Reason}, true
	case Timeout:
		return TimeOut{Request: r.ID}, true
	case RevokeIntent:
		switch b.Cause {
		case CauseExpired:
			return Expire{Request: r.ID}, true
		case CauseRevoked:
			return Revoke{Request: r.ID, Reason: b.Reason}, true
		case CauseGivenBack:
			return GiveBack{Request: r.ID}, true
		}
	}
	return nil, false
}
