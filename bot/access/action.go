package access

import (
	"maps"
	"reflect"
	"time"
)

// An Action is what somebody, or the bot, wants done. The types in this package
// that implement it are all there are.
type Action interface {
	// Target is the request that it is about ("" for a filing) and, for the
	// decision on an extension, which one (0 otherwise).
	Target() (request string, round int)
	decide(Facts, Request) ([]Event, error)
}

// Facts are what a decision rests on, all of it recorded with the decision.
type Facts struct {
	Now   time.Time
	ID    string // of the delivery, from which the event ids derive
	New   string // id for the request that a filing makes
	Actor Actor  // zero for the bot itself
	Rules *Rules // in force now
	Filed *Rules // in force when the request was filed; nil if it cannot be read
	Late  bool   // the log could not be written when it happened
	// Members are the people in groups that somebody else keeps, by [Group.Key],
	// as asked at this moment. What could not be asked is not there.
	Members map[string][]Person

	// Duties are who is on call, by integration, as asked at this moment. What
	// could not be asked is not there.
	Duties map[string][]Duty
	// Unreached are the directories and on-call services that were asked and did
	// not answer: the group's [Group.Key] or the integration, sorted.
	Unreached []string
	// Unreviewed is a request for which the principal broke glass and which
	// nobody has reviewed yet; empty if there is none.
	Unreviewed string
	// Ahead are the pre-approvals that the log holds for the principal.
	Ahead []Ahead
	// Anytime lets policies take part whatever the hour: for what is shown or
	// foretold, never for what is decided.
	Anytime bool
}

// Asks reports whether an action is decided by who is in groups or on call, so
// that this must be asked first.
func Asks(a Action) bool {
	switch a.(type) {
	case File, Approve, Deny, Escalate, Extend, ApproveExtension, DenyExtension, Revoke, BreakGlass, ReviewAccess:
		return true
	}
	return false
}

// BreaksGlass reports whether an action takes access that nobody approves first.
func BreaksGlass(a Action) bool {
	switch a := a.(type) {
	case BreakGlass:
		return true
	case File:
		return a.BreakGlass
	}
	return false
}

// Decide settles what an action does to a request: the events to record, none
// if there is nothing to do (it was done before), or a [Refusal].
func Decide(f Facts, r Request, a Action) ([]Event, error) {
	if f.ID != "" && r.Seen(f.ID) {
		return nil, nil
	}
	return a.decide(f, r)
}

// An Actor is a person as they appear at the moment of acting.
type Actor struct {
	Person
	Barred string // why this account may not act, as a sentence; empty if it may
}

func (a Actor) able() *Refusal {
	switch {
	case a.Barred != "":
		return refuse(Barred, "%s", a.Barred)
	case a.Email == "" || a.Slack == "":
		return refuse(Barred, "This Slack account has no confirmed e-mail address.")
	}
	return nil
}

// A Place is the message in which something was clicked. The zero Place is a
// typed command, which rests on the sender's identity alone.
type Place struct{ Channel, TS string }

// known says whether the actor may act at all, and on this message: only
// messages that the log knows are ever the place of a decision.
func (f Facts) known(r Request, where Place) error {
	if err := f.Actor.able(); err != nil {
		return err
	}
	if where == (Place{}) || r.PostedAt(where.Channel, where.TS) {
		return nil
	}
	return refuse(UnknownMessage, "This message is not one that the log knows. Use the buttons of the request's own message.")
}

// event makes an event of these facts, the next one of the request. Time never
// runs backwards within a request, even where a clock does.
func (f Facts) event(r Request, b Body) Event {
	at := f.Now.UTC().Truncate(time.Second)
	if at.Before(r.Last) {
		at = r.Last
	}
	id := r.ID
	if r.Seq == 0 {
		id = f.New
	}
	e := Event{ID: f.ID, Request: id, At: at, By: f.Actor.Person, Config: f.Rules.Commit, Rules: Evaluator, Late: f.Late, Groups: f.Members, Duties: f.Duties, Unreached: f.Unreached, Body: b}
	if e.ID == "" {
		e.ID = ownID(id, r.Seq+1)
	}
	return e
}

func sameTarget(a, b Target) bool {
	return a.Provider == b.Provider && (len(a.With) == 0 && len(b.With) == 0 || reflect.DeepEqual(a.With, b.With))
}

// SameEntitlement reports whether two targets are one and the same access.
func SameEntitlement(a, b Target) bool { return sameTarget(a.Entitlement(), b.Entitlement()) }

// Entitlement is the target without what says only in which way access to it is
// given and taken. That may change while some of it is live: it is one access all
// the same, and ends with the last of its grants.
func (t Target) Entitlement() Target {
	with := maps.Clone(t.With)
	for _, way := range []string{"via", "terminate", "allow_private", "secret_env"} {
		delete(with, way)
	}
	return Target{t.Provider, with}
}

// A Command is an action that somebody wants, as an edge hands it on.
type Command struct {
	// ID derives from the delivery (a click, a form, an event), so that the
	// same delivery twice is seen as done. Printable ASCII without spaces.
	ID    string
	Actor Actor
	Do    Action
}
