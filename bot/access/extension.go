package access

import (
	"fmt"
	"time"
)

// ExtensionRequested asks for more time on a live access.
type ExtensionRequested struct {
	Duration time.Duration
	Reason   string
}

// ExtensionDenied refuses it; the access goes on to its old end.
type ExtensionDenied struct{ Reason string }

// Extended moves the end of the access. An extension that is not in the log
// does not exist.
type Extended struct {
	Source    Source
	Approvers []Person // none where no person was needed
	Expires   time.Time
}

// Kind implements [Body].
func (ExtensionRequested) Kind() string { return "extension_requested" }

// Kind implements [Body].
func (ExtensionDenied) Kind() string { return "extension_denied" }

// Kind implements [Body].
func (Extended) Kind() string { return "extended" }

func (b ExtensionRequested) apply(r *Request, e Event) error {
	if err := r.must(Live); err != nil {
		return err
	}
	if r.Extension != nil || r.Ending != nil {
		return fmt.Errorf("another extension waits, or the access is ending")
	}
	if b.Duration <= 0 {
		return fmt.Errorf("extends by nothing")
	}
	r.Rounds++
	r.Extension = &Extension{Round: r.Rounds, At: e.At, By: e.By, Duration: b.Duration, Reason: b.Reason}
	return nil
}

func (b ExtensionDenied) apply(r *Request, e Event) error {
	if r.Extension == nil {
		return fmt.Errorf("no extension was asked for")
	}
	r.settle(e, false, b.Reason)
	return nil
}

func (b Extended) apply(r *Request, e Event) error {
	if err := r.must(Live); err != nil {
		return err
	}
	switch {
	case r.Extension == nil || r.Ending != nil:
		return fmt.Errorf("no extension was asked for, or the access is ending")
	case (len(b.Approvers) == 0) != b.Source.alone():
		return fmt.Errorf("approved by %d people as %s", len(b.Approvers), b.Source)
	case !b.Expires.Equal(r.Decision.Expires.Add(r.Extension.Duration)):
		return fmt.Errorf("extends to another time than was asked for")
	}
	r.Decision.Expires = b.Expires
	r.settle(e, true, "")
	return nil
}

func (r *Request) settle(e Event, granted bool, reason string) {
	x := r.Extension
	r.Settled = append(r.Settled, Settled{Round: x.Round, Duration: x.Duration, Granted: granted, At: e.At, By: e.By, Reason: reason})
	r.Extension = nil
}

// Extend asks for more time.
type Extend struct {
	Request string
	By      time.Duration
	Reason  string
	Where   Place
}

// ApproveExtension gives it.
type ApproveExtension struct {
	Request string
	Round   int // which extension the button was for
	Where   Place
}

// DenyExtension refuses it.
type DenyExtension struct {
	Request string
	Round   int
	Reason  string
	Where   Place
}

// Target implements [Action].
func (a Extend) Target() (string, int) { return a.Request, 0 }

// Target implements [Action].
func (a ApproveExtension) Target() (string, int) { return a.Request, a.Round }

// Target implements [Action].
func (a DenyExtension) Target() (string, int) { return a.Request, a.Round }

func (a Extend) decide(f Facts, r Request) ([]Event, error) {
	if err := f.known(r, a.Where); err != nil {
		return nil, err
	}
	switch {
	case !r.Involves(f.Rules, f.Actor.Person):
		return nil, refuse(NotYours, "Only %s can ask to extend this access.", mention(r.Principal))
	case r.Status != Live || r.Ending != nil || !f.Now.Before(r.Expires()):
		return nil, refuse(NotLive, "Only a live access can be extended. Ask anew with `/access request`.")
	case r.Extension != nil:
		return nil, refuse(AlreadyDecided, "An extension by %s already waits for its decision.", Spell(r.Extension.Duration))
	case a.By < time.Second:
		return nil, refuse(BadDuration, "Say by how long, for example 30m, 4h or 2d.")
	}
	reason := Clean(a.Reason, MaxText)
	x := f.ruling(f.Rules, r.Principal, f.Rules.resourceOf(r))
	if err := x.allows(r.Resource); err != nil {
		return nil, err
	}
	if err := x.demands(r.Resource, a.By, reason, r.Ticket); err != nil {
		return nil, err
	}
	if err := f.roomFor(r, a.By); err != nil {
		return nil, err
	}
	asked := f.event(r, ExtensionRequested{Duration: a.By, Reason: reason})
	after, err := Apply(r, asked)
	if err != nil {
		return nil, err
	}
	if source, ok := f.extendedAlone(after); ok {
		f.ID, f.Actor = "", Actor{}
		return []Event{asked, f.event(after, Extended{Source: source, Expires: r.Expires().Add(a.By)})}, nil
	}
	return []Event{asked}, nil
}

// extendedAlone says whether an extension needs no person, by the rules of a new
// request: today and at the filing.
func (f Facts) extendedAlone(r Request) (Source, bool) {
	if sameResource(f, r) != nil {
		return "", false
	}
	today, then, err := f.rulings(r)
	if err != nil || open(r, today, then) != nil {
		return "", false
	}
	now, ok := f.given(today, r)
	if _, before := f.given(then, r); !ok || !before {
		return "", false
	}
	return now.Body.(Approval).Source, true
}

func (a ApproveExtension) decide(f Facts, r Request) ([]Event, error) {
	if err := f.extensionStands(r, a.Round, a.Where, "approve"); err != nil {
		return nil, err
	}
	if err := sameResource(f, r); err != nil {
		return nil, err
	}
	if err := f.roomFor(r, r.Extension.Duration); err != nil {
		return nil, err
	}
	today, then, err := f.rulings(r)
	if err != nil {
		return nil, err
	}
	x := r.Extension
	if err := today.complete(r, x.Reason); err != nil {
		return nil, err
	}
	v, ok, err := settle(today, then, r, x.Votes, Ballot{By: f.Actor.Person, At: f.Now, For: x.Duration, Duties: f.Duties})
	if err != nil {
		return nil, err
	}
	if !ok {
		return []Event{f.event(r, Vote{For: x.Duration, Round: x.Round})}, nil
	}
	return []Event{f.event(r, Extended{Source: v.source, Approvers: v.counted, Expires: r.Expires().Add(x.Duration)})}, nil
}

func (a DenyExtension) decide(f Facts, r Request) ([]Event, error) {
	if err := f.extensionStands(r, a.Round, a.Where, "deny"); err != nil {
		return nil, err
	}
	return []Event{f.event(r, ExtensionDenied{Reason: Clean(a.Reason, MaxText)})}, nil
}

// extensionStands says why the actor cannot decide this extension.
func (f Facts) extensionStands(r Request, round int, where Place, verb string) error {
	if err := f.known(r, where); err != nil {
		return err
	}
	switch {
	case r.Extension == nil || r.Ending != nil || r.Status != Live || !f.Now.Before(r.Expires()):
		return refuse(StaleButton, "No extension waits for a decision: it was decided, or lapsed with the access.")
	case round != r.Extension.Round:
		return refuse(StaleButton, "That button was for an earlier extension.")
	}
	return f.approver(r, verb)
}

// roomFor says why an access cannot be extended by d: its new end would be
// later than if it were given anew.
func (f Facts) roomFor(r Request, d time.Duration) error {
	limit, err := f.limit(r)
	if err != nil {
		return err
	}
	if r.Expires().Add(d).After(f.Now.Add(limit)) {
		return refuse(TooLong, "%s can be given for at most %s from now; extended by %s it would end later than that.", r.Resource, Spell(limit), Spell(d))
	}
	return nil
}
