package access

import (
	"fmt"
	"slices"
	"time"
)

// Approval is the decision that gives access: the last approval needed.
// Its expiry is absolute, so that a crash can only shorten access.
type Approval struct {
	Source    Source
	Approvers []Person
	Policies  []string
	Expires   time.Time
	Target    Target
	Reason    string // of breaking glass
	// Allowances are the ids of the pre-approvals that it rests on.
	Allowances []string
}

// Denial ends a pending request: one denial is enough.
type Denial struct {
	Reason   string
	Policies []string // that took part: by which the person may deny
}

// Cancellation ends a pending request at the requestor's wish.
type Cancellation struct{}

// Timeout ends a request that nobody decided.
type Timeout struct{}

// RefusedTry records that somebody tried what they may not do. It changes
// nothing else; one is kept for each person, request and code.
type RefusedTry struct {
	Action string
	Code   Code
	Text   string
}

// Vote is an approval that is not enough by itself, of a request or, with its
// round, of an extension.
type Vote struct {
	For       time.Duration
	Round     int
	Allowance string // id of the pre-approval that cast it; empty for a click
}

// Kind implements [Body].
func (Vote) Kind() string { return "vote" }

func (b Vote) apply(r *Request, e Event) error {
	ballot := Ballot{By: e.By, At: e.At, For: b.For, Duties: e.Duties, Allowance: b.Allowance}
	if b.Round > 0 {
		if r.Extension == nil || r.Extension.Round != b.Round {
			return fmt.Errorf("votes on an extension that does not wait")
		}
		x := *r.Extension
		x.Votes = append(slices.Clip(x.Votes), ballot)
		r.Extension = &x
		return nil
	}
	if err := r.must(Pending); err != nil {
		return err
	}
	r.Votes = append(r.Votes, ballot)
	return nil
}

// Kind implements [Body].
func (Approval) Kind() string { return "approved" }

// Kind implements [Body].
func (Denial) Kind() string { return "denied" }

// Kind implements [Body].
func (Cancellation) Kind() string { return "cancelled" }

// Kind implements [Body].
func (Timeout) Kind() string { return "timed_out" }

// Kind implements [Body].
func (RefusedTry) Kind() string { return "refused" }

func (b Approval) apply(r *Request, e Event) error {
	if err := r.must(Pending); err != nil {
		return err
	}
	if !b.Expires.After(e.At) {
		return fmt.Errorf("the access would end before it begins")
	}
	if (len(b.Approvers) == 0) != b.Source.alone() {
		return fmt.Errorf("approved by %d people as %s", len(b.Approvers), b.Source)
	}
	if !sameTarget(b.Target, r.Target) {
		return fmt.Errorf("approves another target than was asked for")
	}
	r.Status = Approved
	r.Decision = &Decision{
		At: e.At, By: e.By, Source: b.Source, Approvers: b.Approvers,
		Policies: b.Policies, Config: e.Config, Expires: b.Expires, Reason: b.Reason,
	}
	return nil
}

func (b Denial) apply(r *Request, e Event) error { return r.close(Denied, e, b.Reason, b.Policies) }

func (Cancellation) apply(r *Request, e Event) error { return r.close(Cancelled, e, "", nil) }

func (Timeout) apply(r *Request, e Event) error { return r.close(TimedOut, e, "", nil) }

func (b RefusedTry) apply(r *Request, e Event) error {
	r.Refusals = append(r.Refusals, Refused{By: e.By, Action: b.Action, Code: b.Code, Text: b.Text, At: e.At})
	return nil
}

func (r *Request) close(s Status, e Event, reason string, policies []string) error {
	if err := r.must(Pending); err != nil {
		return err
	}
	r.Status = s
	r.Decision = &Decision{At: e.At, By: e.By, Reason: reason, Policies: policies, Config: e.Config}
	r.End = &End{At: e.At, By: e.By, Reason: reason}
	return nil
}

// Approve gives the access for a time chosen by the approver.
type Approve struct {
	Request string
	For     time.Duration // 0: none was chosen
	Where   Place
}

// Deny ends a pending request.
type Deny struct {
	Request string
	Reason  string
	Where   Place
}

// Cancel withdraws a pending request.
type Cancel struct {
	Request string
	Where   Place
}

// TimeOut ends a request that waited too long. Only the bot does this.
type TimeOut struct{ Request string }

// Target implements [Action].
func (a Approve) Target() (string, int) { return a.Request, 0 }

// Target implements [Action].
func (a Deny) Target() (string, int) { return a.Request, 0 }

// Target implements [Action].
func (a Cancel) Target() (string, int) { return a.Request, 0 }

// Target implements [Action].
func (a TimeOut) Target() (string, int) { return a.Request, 0 }

func (a Approve) decide(f Facts, r Request) ([]Event, error) {
	if err := f.canDecide(r, a.Where, "approve"); err != nil {
		return nil, err
	}
	if err := sameResource(f, r); err != nil {
		return nil, err
	}
	limit, err := f.limit(r)
	if err != nil {
		return nil, err
	}
	switch {
	case a.For == 0:
		return nil, refuse(NoExpiry, "Choose under *Select expiry* how long the access may last, then press *Approve* again.")
	case a.For < time.Second:
		return nil, refuse(BadDuration, "A duration is positive, for example 30m, 4h or 2d.")
	case a.For > limit:
		return nil, refuse(TooLong, "%s can be given for at most %s; choose a shorter expiry.", r.Resource, Spell(limit))
	}
	ballot := Ballot{By: f.Actor.Person, At: f.Now, For: a.For, Duties: f.Duties}
	today, then, err := f.rulings(r)
	if err != nil {
		return nil, err
	}
	if err := today.complete(r, r.Reason); err != nil {
		return nil, err
	}
	v, ok, err := settle(today, then, r, r.Votes, ballot)
	if err != nil {
		return nil, err
	}
	if !ok {
		return []Event{f.event(r, Vote{For: a.For})}, nil
	}
	e := f.event(r, nil)
	e.Body = Approval{Source: v.source, Approvers: v.counted, Policies: today.names(), Expires: e.At.Add(v.lasts), Target: r.Target}
	return []Event{e}, nil
}

func (a Deny) decide(f Facts, r Request) ([]Event, error) {
	if err := f.canDecide(r, a.Where, "deny"); err != nil {
		return nil, err
	}
	today, _, err := f.rulings(r)
	if err != nil {
		return nil, err
	}
	return []Event{f.event(r, Denial{Reason: Clean(a.Reason, MaxText), Policies: today.names()})}, nil
}

func (a Cancel) decide(f Facts, r Request) ([]Event, error) {
	if err := f.known(r, a.Where); err != nil {
		return nil, err
	}
	if !f.Rules.Same(f.Actor.Person, r.Requestor) {
		return nil, refuse(NotYours, "Only %s can cancel this request. A reviewer can deny it.", mention(r.Requestor))
	}
	if r.Status != Pending {
		return nil, decided(r)
	}
	return []Event{f.event(r, Cancellation{})}, nil
}

func (a TimeOut) decide(f Facts, r Request) ([]Event, error) {
	if r.Status != Pending || f.Now.Before(r.FiledAt.Add(f.Rules.Settings.PendingTimeout)) {
		return nil, nil
	}
	return []Event{f.event(r, Timeout{})}, nil
}

// canDecide says whether the actor may approve or deny a pending request: under
// today's configuration and under the one at the filing, and, unless one_party
// stands in both, as neither requestor nor principal.
func (f Facts) canDecide(r Request, where Place, verb string) error {
	if err := f.known(r, where); err != nil {
		return err
	}
	if r.Status != Pending {
		return decided(r)
	}
	return f.approver(r, verb)
}

// approver is the rule of who may approve, whatever the request's status.
func (f Facts) approver(r Request, verb string) error {
	today, then, err := f.rulings(r)
	if err != nil {
		return err
	}
	if verb == "approve" {
		if err := open(r, today, then); err != nil {
			return err
		}
	}
	ballot := Ballot{By: f.Actor.Person, Duties: f.Duties}
	now, before := today.part(r, ballot), then.part(r, ballot)
	switch {
	case now == stranger && before == stranger && len(f.Rules.Policies) > 0:
		return refuse(NotApprover, "You are not among those who may approve this request, so you cannot %s it. It takes %s.", verb, today.describe(r))
	case now == stranger && before == stranger:
		return refuse(NotReviewer, "You are not a reviewer, so you cannot %s this request. Reviewers: %s.", verb, list(f.Rules.Reviewers))
	case now == stranger:
		return refuse(NoLongerReviewer, "You are no longer among those who may approve, so you cannot %s this request.", verb)
	case before == stranger:
		return refuse(ReviewerTooLate, "You came to be among those who may approve after this request was filed, so you cannot %s it. It can be asked for again.", verb)
	case min(now, before) == party && (f.Rules.Same(f.Actor.Person, r.Requestor) || f.Filed.Same(f.Actor.Person, r.Requestor)):
		return refuse(OwnRequest, "You cannot %s your own request: it takes a second person.", verb)
	case min(now, before) == party:
		return refuse(OwnAccess, "You cannot %s a request for your own access: it takes a second person.", verb)
	case min(now, before) == uncertain:
		return refuse(DirectoryDown, "Whether you may %s this request cannot be looked up right now. Try again in a minute.", verb)
	}
	return nil
}

// rulings judge a request by the rules of today and by those of its filing.
func (f Facts) rulings(r Request) (today, then ruling, err error) {
	if f.Filed == nil {
		return today, then, refuse(NoConfig, "The configuration of the time of filing (%s) cannot be read, so nothing can be decided about this request. Ask again.", short(r.FiledUnder))
	}
	return f.ruling(f.Rules, r.Principal, f.Rules.resourceOf(r)), f.ruling(f.Filed, r.Principal, f.Filed.resourceOf(r)), nil
}

// resourceOf is a request's resource, as the log has pinned it where the
// configuration has it no more.
func (r *Rules) resourceOf(q Request) Resource {
	if res, ok := r.Resource(q.Resource); ok {
		return res
	}
	return Resource{ID: q.Resource, Title: q.Title, Target: q.Target}
}

// open says why nobody can approve: a policy denies it, or none is about it.
func open(r Request, today, then ruling) error {
	if err := today.allows(r.Resource); err != nil {
		return err
	}
	return then.allows(r.Resource)
}

// limit is the longest that may be given: the stricter of today and the filing.
func (f Facts) limit(r Request) (time.Duration, error) {
	if _, ok := f.Rules.Resource(r.Resource); !ok {
		return 0, sameResource(f, r)
	}
	today, then, err := f.rulings(r)
	return min(today.limit, then.limit), err
}

func sameResource(f Facts, r Request) error {
	today, ok := f.Rules.Resource(r.Resource)
	if !ok {
		return refuse(NoResource, "%s is no longer in the configuration. It cannot be approved.", r.Resource)
	}
	if !sameTarget(today.Target, r.Target) {
		return refuse(TargetChanged, "What %s gives access to has changed since this was asked for. Ask again, so that what is approved is what is given.", r.Resource)
	}
	return nil
}

// decided tells the loser of a race who won.
func decided(r Request) *Refusal {
	d := r.Decision
	if d == nil {
		return refuse(AlreadyDecided, "This request is %s.", words(r.Status))
	}
	switch r.Status {
	case Denied:
		return refuse(AlreadyDecided, "%s has already denied this request.", mention(d.By))
	case Cancelled:
		return refuse(AlreadyDecided, "%s has cancelled this request.", mention(d.By))
	case TimedOut:
		return refuse(AlreadyDecided, "This request timed out before anybody decided it.")
	}
	switch {
	case d.Source == ByBreakGlass:
		return refuse(AlreadyDecided, "%s has broken glass for this request.", mention(d.By))
	case d.By.IsZero():
		return refuse(AlreadyDecided, "This request was approved automatically.")
	}
	return refuse(AlreadyDecided, "%s has already approved this request.", mention(d.By))
}
