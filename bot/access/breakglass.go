package access

import (
	"fmt"
	"slices"
	"time"
)

// ReviewDue says that an access that nobody approved beforehand must be looked
// at by somebody who could have.
type ReviewDue struct{}

// Reviewed closes that: somebody has looked, and says what they found.
type Reviewed struct{ Text string }

// Kind implements [Body].
func (ReviewDue) Kind() string { return "review_due" }

// Kind implements [Body].
func (Reviewed) Kind() string { return "reviewed" }

func (ReviewDue) apply(r *Request, e Event) error {
	if r.Review != nil || r.Decision == nil || r.Decision.Source != ByBreakGlass {
		return fmt.Errorf("a review of what needs none")
	}
	r.Review = &Review{Due: e.At}
	return nil
}

func (b Reviewed) apply(r *Request, e Event) error {
	if r.Review == nil || !r.Review.At.IsZero() {
		return fmt.Errorf("a review that is not due")
	}
	r.Review = &Review{Due: r.Review.Due, At: e.At, By: e.By, Text: b.Text}
	return nil
}

// BreakGlass gives a pending request at once, where an access policy lets its
// requestor do that: for themselves, with a reason, and to be reviewed.
type BreakGlass struct {
	Request string
	Reason  string // unset: that of the request
	Where   Place
}

// ReviewAccess says that somebody has looked at a use of break-glass.
type ReviewAccess struct {
	Request string
	Text    string
	Where   Place
}

// Target implements [Action].
func (a BreakGlass) Target() (string, int) { return a.Request, 0 }

// Target implements [Action].
func (a ReviewAccess) Target() (string, int) { return a.Request, 0 }

func (a BreakGlass) decide(f Facts, r Request) ([]Event, error) {
	if err := f.known(r, a.Where); err != nil {
		return nil, err
	}
	switch {
	case !f.Rules.Same(f.Actor.Person, r.Requestor):
		return nil, refuse(NotYours, "Only %s can break glass for this request.", mention(r.Requestor))
	case r.Status != Pending:
		return nil, decided(r)
	}
	if err := sameResource(f, r); err != nil {
		return nil, err
	}
	reason := Clean(a.Reason, MaxText)
	if reason == "" {
		reason = r.Reason
	}
	x, err := f.glass(r, reason)
	if err != nil {
		return nil, err
	}
	events, err := f.breakGlass(x, r, reason)
	if err == nil && len(events) > 0 && f.ID != "" {
		events[0].ID = f.ID // the same press twice is seen as done
	}
	return events, err
}

// glass is the ruling under which a pending request may be taken at once: the
// configuration of its filing must offer that too, and the shorter limit counts.
func (f Facts) glass(r Request, reason string) (ruling, error) {
	today, then, err := f.rulings(r)
	if err != nil {
		return today, err
	}
	if err := then.mayBreakGlass(r, reason); err != nil {
		return today, err
	}
	today.limit = min(today.limit, then.limit)
	return today, today.mayBreakGlass(r, reason)
}

// breakGlass approves without a person and demands the review.
func (f Facts) breakGlass(x ruling, r Request, reason string) ([]Event, error) {
	if err := x.mayBreakGlass(r, reason); err != nil {
		return nil, err
	}
	by := f.Actor
	given := f.approveAlone(x, r, ByBreakGlass, time.Hour)
	given.By = by.Person
	approval := given.Body.(Approval)
	approval.Reason = reason
	given.Body = approval
	after, err := Apply(r, given)
	if err != nil {
		return nil, err
	}
	f.ID, f.Actor = "", Actor{}
	return []Event{given, f.event(after, ReviewDue{})}, nil
}

// mayBreakGlass says why somebody cannot: it takes a policy that offers it, a
// reason, and no earlier use that is still to be reviewed.
func (x ruling) mayBreakGlass(r Request, reason string) error {
	if err := x.allows(r.Resource); err != nil {
		return err
	}
	offered := false
	for _, p := range x.taking {
		offered = offered || p.Terms.BreakGlass
	}
	switch {
	case !offered:
		return refuse(NotConfigured, "No access policy lets you break glass for %s.", r.Resource)
	case !x.rules.Same(r.Requestor, r.Principal):
		return refuse(NotYours, "Break-glass access is only for oneself.")
	case reason == "":
		return refuse(NeedsReason, "Say why: breaking glass needs a reason.")
	case x.f.Unreviewed != "" && x.f.Unreviewed != r.ID: // its own: what took it was delivered twice
		return refuse(ReviewFirst, "Your last use of break-glass (`%s`) must be reviewed first.", x.f.Unreviewed)
	}
	return nil
}

// MayBreakGlass reports whether break-glass is to be offered to the requestor of
// a pending request.
func (f Facts) MayBreakGlass(r Request) bool {
	_, err := f.glass(r, "some reason")
	return r.Status == Pending && err == nil
}

// ToReview reports whether a use of break-glass waits for its review.
func (r Request) ToReview() bool { return r.Review != nil && r.Review.At.IsZero() }

// Examiners are the addresses of all who may review a use of break-glass, as far
// as the rules and the facts name them, sorted: whoever may approve it and the
// reviewers, but nobody who is in the request.
func (f Facts) Examiners(r Request) []string {
	out := f.Approvers(f.Rules, r.Requestor, r.Principal, f.Rules.resourceOf(r))
	for _, e := range f.Rules.Reviewers {
		out = append(out, f.Rules.Canonical(e))
	}
	out = slices.DeleteFunc(out, func(e string) bool { return r.Involves(f.Rules, Person{Email: e}) })
	slices.Sort(out)
	return slices.Compact(out)
}

func (a ReviewAccess) decide(f Facts, r Request) ([]Event, error) {
	if err := f.known(r, a.Where); err != nil {
		return nil, err
	}
	if r.Review == nil {
		return nil, refuse(NotLive, "This request needs no review.")
	}
	if !r.Review.At.IsZero() {
		return nil, refuse(AlreadyDecided, "%s has already reviewed this.", mention(r.Review.By))
	}
	if r.Involves(f.Rules, f.Actor.Person) {
		return nil, refuse(OwnRequest, "You cannot review your own use of break-glass.")
	}
	if !f.mayRevoke(r) {
		return nil, refuse(NotApprover, "You are not among those who may review this: it takes a reviewer or an approver.")
	}
	text := Clean(a.Text, MaxText)
	if text == "" {
		return nil, refuse(NeedsReason, "Say in a sentence what you found.")
	}
	return []Event{f.event(r, Reviewed{Text: text})}, nil
}
