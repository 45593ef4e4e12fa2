package access

import (
	"fmt"
	"time"
)

// GrantIntent stands in the log before a provider is asked to give access. It
// says which account is meant and whether that access was there before.
type GrantIntent struct {
	Subject   string
	Before    Presence
	Inherited string // id of the overlapping request whose observation this is
}

// Granted records that the provider has given the access, or that it was told
// of a later end. It says until when: an extension that is recorded while the
// provider is asked is still owed to it.
type Granted struct {
	Until time.Time // zero, as earlier versions wrote it: the end that was set then
	// Before is what the provider answered to its first grant, where it could not
	// be asked earlier; else empty.
	Before Presence
}

// GrantFailed records that it could not. Final: no retry can mend it. Waiting: it
// is for somebody else to do their part, see [Awaiting].
type GrantFailed struct {
	Error   string
	Final   bool
	Waiting bool
}

// RevokeIntent records that an access is to end, and why: at its expiry, by an
// approver, or given back.
type RevokeIntent struct {
	Cause  Cause
	Reason string
}

// Ended is the end of an approved access, after the provider confirmed it. Its
// kind is named by the cause.
type Ended struct {
	Cause Cause
	Kept  string // see [End]
}

// RevokeFailed records that the provider could not end the access. It is tried
// again without end.
type RevokeFailed struct {
	Error   string
	Waiting bool // as in [GrantFailed]
}

// Kind implements [Body].
func (GrantIntent) Kind() string { return "grant_intent" }

// Kind implements [Body].
func (Granted) Kind() string { return "granted" }

// Kind implements [Body].
func (GrantFailed) Kind() string { return "grant_failed" }

// Kind implements [Body].
func (RevokeIntent) Kind() string { return "revoke_intent" }

// Kind implements [Body].
func (b Ended) Kind() string { return string(b.Cause) }

// Kind implements [Body].
func (RevokeFailed) Kind() string { return "revoke_failed" }

func (b GrantIntent) apply(r *Request, e Event) error {
	if err := r.must(Approved); err != nil {
		return err
	}
	switch {
	case r.Grant != nil:
		return fmt.Errorf("intended twice")
	case r.Ending != nil:
		return fmt.Errorf("intends to grant what is to end")
	case b.Subject == "":
		return fmt.Errorf("intends to grant to nobody")
	case b.Before != Present && b.Before != Absent && b.Before != Unknown:
		return fmt.Errorf("observed %q", b.Before)
	}
	r.Grant = &Grant{IntentAt: e.At, Subject: b.Subject, Before: b.Before, Inherited: b.Inherited}
	return nil
}

func (b Granted) apply(r *Request, e Event) error {
	if err := r.must(Approved, Live); err != nil {
		return err
	}
	until := b.Until
	if until.IsZero() {
		until = r.Expires()
	}
	switch {
	case r.Grant == nil:
		return fmt.Errorf("granted without an intent")
	case r.Status == Live && !until.After(r.Grant.Until):
		return fmt.Errorf("granted twice")
	case until.After(r.Expires()):
		return fmt.Errorf("granted for longer than was approved")
	case b.Before != "" && (b.Before == Unknown || r.Grant.Before != Unknown || r.Grant.Inherited != ""):
		return fmt.Errorf("observed %q, where %q stands in the intent", b.Before, r.Grant.Before)
	}
	if r.Status == Approved {
		r.Status, r.Grant.GrantedAt = Live, e.At
	}
	if b.Before != "" {
		r.Grant.Before = b.Before
	}
	r.Grant.Until = until
	if r.Failure != nil && !r.Failure.Revoking {
		r.Failure = nil
	}
	return nil
}

// behind reports whether the provider knows of an earlier end than the log: an
// extension is owed to it. Access that ends by itself there would end too early.
func (r Request) behind() bool {
	return r.Status == Live && r.Grant != nil && r.Grant.Until.Before(r.Expires())
}

func (b GrantFailed) apply(r *Request, e Event) error {
	if err := r.must(Approved, Live); err != nil {
		return err
	}
	if r.Status == Live && (b.Final || !r.behind()) {
		return fmt.Errorf("failed to give what is live")
	}
	if b.Final && r.Grant != nil {
		return fmt.Errorf("gives up what may have been given: its end is owed")
	}
	if b.Final {
		r.Status, r.Failure = Failed, nil
		r.End = &End{At: e.At, Reason: b.Error}
		return nil
	}
	r.fail(e, Failure{Error: b.Error, Waiting: b.Waiting})
	return nil
}

func (b RevokeIntent) apply(r *Request, e Event) error {
	if r.SeenAgain() {
		if b.Cause != CauseRevoked || e.By.IsZero() || r.Drift.Ending != nil {
			return fmt.Errorf("ends what was seen again without a person, or twice")
		}
		r.Drift.Ending = &Ending{Cause: b.Cause, At: e.At, By: e.By, Reason: b.Reason}
		return nil
	}
	if err := r.must(Approved, Live); err != nil {
		return err
	}
	if r.Ending != nil {
		return fmt.Errorf("intended twice")
	}
	if b.Cause == CauseRevoked && e.By.IsZero() && (r.Drift == nil || r.Drift.Found != Absent) {
		return fmt.Errorf("revoked by nobody, and not gone")
	}
	if err := b.Cause.valid(); err != nil {
		return err
	}
	if b.Cause == CauseExpired && e.At.Before(r.Expires()) {
		return fmt.Errorf("expired before its expiry")
	}
	r.Ending = &Ending{Cause: b.Cause, At: e.At, By: e.By, Reason: b.Reason}
	r.Failure, r.Extension = nil, nil
	return nil
}

func (b Ended) apply(r *Request, e Event) error {
	if err := r.must(Approved, Live); err != nil {
		return err
	}
	if r.Ending == nil || r.Ending.Cause != b.Cause {
		return fmt.Errorf("ends without the intent to end it so")
	}
	r.Status = Status(b.Cause)
	r.Failure, r.Extension = nil, nil
	r.End = &End{At: e.At, By: r.Ending.By, Reason: r.Ending.Reason, Kept: b.Kept}
	return nil
}

func (b RevokeFailed) apply(r *Request, e Event) error {
	if r.SeenAgain() && r.Drift.Ending != nil {
		r.fail(e, Failure{Revoking: true, Error: b.Error, Waiting: b.Waiting})
		return nil
	}
	if err := r.must(Approved, Live); err != nil {
		return err
	}
	if r.Ending == nil {
		return fmt.Errorf("failed to end what was not to end")
	}
	r.fail(e, Failure{Revoking: true, Error: b.Error, Waiting: b.Waiting})
	return nil
}

func (r *Request) fail(e Event, f Failure) {
	f.At, f.Since = e.At, e.At
	if r.Failure != nil && r.Failure.Waiting == f.Waiting {
		f.Since = r.Failure.Since
	}
	r.Failure = &f
}

func (c Cause) valid() error {
	switch c {
	case CauseExpired, CauseRevoked, CauseGivenBack:
		return nil
	}
	return fmt.Errorf("no such cause of an end: %q", c)
}

// Revoke ends an approved access before its time.
type Revoke struct {
	Request string
	Reason  string
	Where   Place
}

// GiveBack ends one's own access before its time.
type GiveBack struct {
	Request string
	Where   Place
}

// Target implements [Action].
func (a Revoke) Target() (string, int) { return a.Request, 0 }

// Target implements [Action].
func (a GiveBack) Target() (string, int) { return a.Request, 0 }

func (a Revoke) decide(f Facts, r Request) ([]Event, error) {
	if err := f.known(r, a.Where); err != nil {
		return nil, err
	}
	if !f.mayRevoke(r) {
		return nil, refuse(NotReviewer, "You are not a reviewer and did not approve this request, so you cannot revoke it.")
	}
	if err := r.endable(); err != nil {
		return nil, err
	}
	return []Event{f.event(r, RevokeIntent{Cause: CauseRevoked, Reason: Clean(a.Reason, MaxText)})}, nil
}

func (a GiveBack) decide(f Facts, r Request) ([]Event, error) {
	if err := f.known(r, a.Where); err != nil {
		return nil, err
	}
	if !r.Involves(f.Rules, f.Actor.Person) {
		return nil, refuse(NotYours, "Only %s can give this access back. A reviewer can revoke it.", mention(r.Principal))
	}
	if r.Status.Ended() {
		return nil, refuse(NotLive, "There is nothing to give back: %s.", r.ended())
	}
	if err := r.endable(); err != nil {
		return nil, err
	}
	return []Event{f.event(r, RevokeIntent{Cause: CauseGivenBack})}, nil
}

// mayRevoke: who may approve it today, at whatever hour, the reviewers, and who
// approved it.
func (f Facts) mayRevoke(r Request) bool {
	f.Anytime = true
	if f.Rules.Reviewer(f.Actor.Person) {
		return true
	}
	if f.ruling(f.Rules, r.Principal, f.Rules.resourceOf(r)).part(r, Ballot{By: f.Actor.Person, Duties: f.Duties}) == approver {
		return true
	}
	if r.Decision == nil {
		return false
	}
	for _, p := range r.Decision.Approvers {
		if f.Rules.Same(p, f.Actor.Person) {
			return true
		}
	}
	return false
}

// endable says why an access cannot be ended: it is not there, or ends already.
func (r Request) endable() error {
	switch {
	case r.SeenAgain() && r.Drift.Ending == nil:
		return nil
	case r.SeenAgain():
		return refuse(AlreadyEnding, "This access is already being taken away, as %s said.", mention(r.Drift.Ending.By))
	case r.Status == Pending:
		return refuse(NotLive, "This request is still pending: there is no access to end.")
	case r.Status.Ended():
		return refuse(NotLive, "There is nothing to end: %s.", r.ended())
	case r.Ending != nil:
		return refuse(AlreadyEnding, "This access is already being ended (%s).", words(Status(r.Ending.Cause)))
	}
	return nil
}

func (r Request) ended() string {
	by := ""
	if r.End != nil && !r.End.By.IsZero() {
		by = " by " + mention(r.End.By)
	}
	return "this request is " + words(r.Status) + by
}

// The steps by which the bot pays what the log owes. Each records one outcome
// of the grant protocol and does nothing where the log has moved on.
type (
	// Intend records the intent to grant, before the provider is asked.
	Intend struct {
		Request   string
		Subject   string
		Before    Presence
		Inherited string
	}
	// Confirm records that the provider gave the access until a time, and what it
	// found before it did, if it was asked for that.
	Confirm struct {
		Request string
		Until   time.Time // zero: the end that is set now
		Before  Presence
	}
	// Fail records that giving or ending it failed.
	Fail struct {
		Request string
		Error   string
		Final   bool
		Waiting bool // see [Awaiting]
	}
	// Expire records the intent to end what is past its expiry.
	Expire struct{ Request string }
	// Finish records that the access is gone, or was left in place.
	Finish struct {
		Request string
		Kept    string
	}
)

// Target implements [Action].
func (a Intend) Target() (string, int) { return a.Request, 0 }

// Target implements [Action].
func (a Confirm) Target() (string, int) { return a.Request, 0 }

// Target implements [Action].
func (a Fail) Target() (string, int) { return a.Request, 0 }

// Target implements [Action].
func (a Expire) Target() (string, int) { return a.Request, 0 }

// Target implements [Action].
func (a Finish) Target() (string, int) { return a.Request, 0 }

func (a Intend) decide(f Facts, r Request) ([]Event, error) {
	if r.Status != Approved || r.Grant != nil || r.Ending != nil || !f.Now.Before(r.Expires()) {
		return nil, nil
	}
	return []Event{f.event(r, GrantIntent{Subject: a.Subject, Before: a.Before, Inherited: a.Inherited})}, nil
}

func (a Confirm) decide(f Facts, r Request) ([]Event, error) {
	until := a.Until
	if until.IsZero() {
		until = r.Expires()
	}
	if r.Status != Approved && !r.behind() || r.Grant == nil || r.Status == Live && !until.After(r.Grant.Until) {
		return nil, nil
	}
	b := Granted{Until: until}
	if r.Grant.Before == Unknown && r.Grant.Inherited == "" && a.Before != Unknown {
		b.Before = a.Before
	}
	return []Event{f.event(r, b)}, nil
}

func (a Fail) decide(f Facts, r Request) ([]Event, error) {
	text := Clean(a.Error, 1000)
	switch {
	case r.Status.Ended() && r.Open():
		return []Event{f.event(r, RevokeFailed{Error: text, Waiting: a.Waiting})}, nil
	case r.Status != Approved && r.Status != Live:
		return nil, nil
	case r.Ending != nil:
		return []Event{f.event(r, RevokeFailed{Error: text, Waiting: a.Waiting})}, nil
	case r.Status == Approved:
		// Once an intent stands in the log, another bot's perhaps, the access may
		// be there: it is not given up but owed its end.
		return []Event{f.event(r, GrantFailed{Error: text, Final: a.Final && r.Grant == nil, Waiting: a.Waiting})}, nil
	case r.behind():
		return []Event{f.event(r, GrantFailed{Error: text, Waiting: a.Waiting})}, nil
	}
	return nil, nil
}

func (a Expire) decide(f Facts, r Request) ([]Event, error) {
	if r.Status != Approved && r.Status != Live || r.Ending != nil || f.Now.Before(r.Expires()) {
		return nil, nil
	}
	return []Event{f.event(r, RevokeIntent{Cause: CauseExpired})}, nil
}

func (a Finish) decide(f Facts, r Request) ([]Event, error) {
	if r.Status != Approved && r.Status != Live || r.Ending == nil {
		return nil, nil
	}
	return []Event{f.event(r, Ended{Cause: r.Ending.Cause, Kept: a.Kept})}, nil
}

// lead is how long before its end a holder is told of it: a tenth of the time
// given, between one and fifteen minutes; zero for what is shorter than five.
func (r Request) lead() time.Duration {
	if r.Grant == nil || r.Decision == nil {
		return 0
	}
	whole := r.Decision.Expires.Sub(r.Grant.IntentAt)
	if whole < 5*time.Minute {
		return 0
	}
	return min(max(whole/10, time.Minute), 15*time.Minute)
}
