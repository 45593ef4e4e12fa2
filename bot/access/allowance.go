package access

import (
	"errors"
	"slices"
	"time"
)

// An Allowance is a pre-approval: one approver's word, given ahead, that one
// person may have one resource within a window of time. It counts as that
// approver's vote, no more: only while they might still approve, under today's
// rules and under those of its making.
type Allowance struct {
	ID       string
	Seq      int
	Delivery string // which delivery made it
	By       Person
	For      Person
	Resource string
	Target   Target
	From, To time.Time
	Duration time.Duration // of each access
	At       time.Time
	Config   string // config commit it was made under
	// Members and Duties are who was in the groups and on call that were asked
	// for its making, see [Facts]: whether its maker might make it rests on them.
	Members map[string][]Person
	Duties  map[string][]Duty

	Withdrawn      time.Time // zero while it stands
	WithdrawnBy    Person
	WithdrawnUnder string // config commit of the withdrawal

	Reminded []EndReminder // who was told that it ends, in that order
}

// An EndReminder is a direct message that told somebody when an allowance ends.
type EndReminder struct {
	To          Person // who made the allowance or who gets it, as they stand in it
	Channel, TS string // the message in Slack
	At          time.Time
}

// MaxWindow is the longest window of an allowance.
const MaxWindow = 30 * 24 * time.Hour

// maxLead is how long before its end people are told of an allowance that
// ends: time enough to find an approver for the next one.
const maxLead = 24 * time.Hour

// Stands reports whether an allowance can be used at a time.
func (a Allowance) Stands(now time.Time) bool {
	return a.Withdrawn.IsZero() && !now.Before(a.From) && now.Before(a.To)
}

// RemindAt is when people are told that the allowance ends: a day before, or a
// quarter of its window where that is shorter.
func (a Allowance) RemindAt() time.Time {
	return a.To.Add(-min(maxLead, a.To.Sub(a.From)/4))
}

// Unreminded are those who are to be told now that the allowance ends: who made
// it and who gets it, each once. What is withdrawn or over nobody is told of.
func (a Allowance) Unreminded(now time.Time) []Person {
	if at := a.NextReminder(); at.IsZero() || now.Before(at) || !now.Before(a.To) {
		return nil
	}
	return a.untold()
}

// NextReminder is when [Allowance.Unreminded] names somebody, or has begun to;
// zero if it never will.
func (a Allowance) NextReminder() time.Time {
	if !a.Withdrawn.IsZero() || len(a.untold()) == 0 {
		return time.Time{}
	}
	return a.RemindAt()
}

// untold are the people in the allowance whom no reminder has reached.
func (a Allowance) untold() []Person {
	var out []Person
	for _, p := range []Person{a.By, a.For} {
		told := slices.ContainsFunc(a.Reminded, func(r EndReminder) bool { return r.To.Slack == p.Slack })
		if p.Slack != "" && !told && !slices.ContainsFunc(out, func(o Person) bool { return o.Slack == p.Slack }) {
			out = append(out, p)
		}
	}
	return out
}

// Remind adds a reminder that was sent. It says why one cannot stand in the
// log: of whom it tells, twice, of nothing that was sent, or after the
// withdrawal. An early one harms nobody.
func (a Allowance) Remind(r EndReminder) (Allowance, error) {
	switch {
	case a.Seq == 0 || !a.Withdrawn.IsZero():
		return a, errors.New("a reminder of an allowance that does not stand")
	case !slices.Contains(a.untold(), r.To):
		return a, errors.New("a reminder goes once to who made the allowance, and once to who gets it")
	case r.Channel == "" || r.TS == "":
		return a, errors.New("a reminder names the message that was sent")
	}
	a.Reminded = append(slices.Clip(a.Reminded), r)
	return a, nil
}

// Allow is the wish to make an allowance.
type Allow struct {
	For      Actor
	Resource string
	From, To time.Time // From may be zero: from now on
	Duration time.Duration
}

// MakeAllowance decides whether an allowance may be made. It has no id yet.
func MakeAllowance(f Facts, a Allow) (Allowance, error) {
	if err := f.Actor.able(); err != nil {
		return Allowance{}, err
	}
	if err := a.For.able(); err != nil {
		return Allowance{}, refuse(BadPrincipal, "Access cannot be given to that person: %s", lower(err.Text))
	}
	if f.Rules.Same(f.Actor.Person, a.For.Person) {
		return Allowance{}, refuse(OwnAccess, "You cannot pre-approve your own access: it takes a second person.")
	}
	res, ok := f.Rules.Resource(a.Resource)
	if !ok {
		return Allowance{}, refuse(NoResource, "There is no resource %q that can be asked for.", inert(Clean(a.Resource, 80)))
	}
	x := f.ruling(f.Rules, a.For.Person, res)
	if err := x.allows(res.ID); err != nil {
		return Allowance{}, err
	}
	if x.part(Request{Requestor: a.For.Person, Principal: a.For.Person}, Ballot{By: f.Actor.Person, Duties: f.Duties}) != approver {
		return Allowance{}, refuse(NotApprover, "You might not approve that request yourself, so you cannot pre-approve it. It takes %s.", x.describe(Request{}))
	}
	now := f.Now.UTC().Truncate(time.Second)
	from := a.From.UTC().Truncate(time.Second)
	if a.From.IsZero() || from.Before(now) {
		from = now
	}
	to := a.To.UTC().Truncate(time.Second)
	switch {
	case !to.After(from):
		return Allowance{}, refuse(BadWindow, "The window ends before it begins.")
	case to.Sub(now) > MaxWindow:
		return Allowance{}, refuse(BadWindow, "A pre-approval reaches at most %s ahead.", Spell(MaxWindow))
	case a.Duration < time.Second:
		return Allowance{}, refuse(BadDuration, "Say for how long each access may last, for example 30m or 4h.")
	case a.Duration > x.limit:
		return Allowance{}, refuse(TooLong, "%s can be given for at most %s.", res.ID, Spell(x.limit))
	}
	return Allowance{
		Seq: 1, By: f.Actor.Person, For: a.For.Person, Resource: res.ID, Target: res.Target,
		From: from, To: to, Duration: a.Duration, At: now, Config: f.Rules.Commit,
		Members: f.Members, Duties: f.Duties,
	}, nil
}

// MayWithdraw says why a person cannot withdraw an allowance: whoever made it
// may, who gets it, and every reviewer.
func MayWithdraw(f Facts, a Allowance) error {
	if err := f.Actor.able(); err != nil {
		return err
	}
	p := f.Actor.Person
	switch {
	case !a.Withdrawn.IsZero():
		return refuse(AlreadyDecided, "%s has already withdrawn this.", mention(a.WithdrawnBy))
	case f.Rules.Same(p, a.By), f.Rules.Same(p, a.For), f.Rules.Reviewer(p):
		return nil
	}
	return refuse(NotYours, "Only who made a pre-approval, who gets it, or a reviewer can withdraw it.")
}

// An Ahead is an allowance with the rules of its making; nil rules cannot be read.
type Ahead struct {
	Allowance Allowance
	Made      *Rules
}

// ahead are the ballots that allowances cast for a request, each checked again:
// its maker must be able to approve today, and must have been when it was made.
func (f Facts) ahead(x ruling, r Request) []Ballot {
	if !x.rules.Same(r.Requestor, r.Principal) {
		return nil
	}
	var out []Ballot
	for _, a := range f.Ahead {
		w := a.Allowance
		if a.Made == nil || !w.Stands(f.Now) || w.Resource != r.Resource || !sameTarget(w.Target, r.Target) || !x.rules.Same(w.For, r.Principal) {
			continue
		}
		then := f.ruling(a.Made, r.Principal, a.Made.resourceOf(r))
		b := Ballot{By: w.By, At: f.Now, For: min(w.Duration, then.limit), Allowance: w.ID, Duties: f.Duties}
		if then.allows(r.Resource) != nil || then.part(r, b) != approver || x.part(r, b) != approver {
			continue
		}
		if slices.ContainsFunc(out, func(b Ballot) bool { return x.rules.Same(b.By, w.By) }) {
			continue
		}
		out = append(out, b)
	}
	slices.Reverse(out) // as they were made: steps are met in order
	return out
}

// castAhead are the events of a filing's pre-approvals: the approval that they
// make together, else a vote for each.
func (f Facts) castAhead(x ruling, r Request) ([]Event, error) {
	ballots := f.ahead(x, r)
	if len(ballots) == 0 {
		return nil, nil
	}
	f.ID, f.Actor = "", Actor{}
	t := x.tally(r, ballots)
	if t.met {
		v := x.verdict(r, ballots, t.source, t.used)
		lasts := min(v.lasts, x.limit)
		if r.Duration > 0 {
			lasts = min(lasts, r.Duration)
		}
		e := f.event(r, nil)
		e.Body = Approval{Source: ByAllowance, Approvers: v.counted, Policies: x.names(), Expires: e.At.Add(lasts), Target: r.Target, Allowances: ids(ballots, t.used)}
		return []Event{e}, nil
	}
	var out []Event
	for _, i := range t.useful {
		b := ballots[i]
		e := f.event(r, Vote{For: min(b.For, x.limit), Allowance: b.Allowance})
		e.By = b.By
		var err error
		if r, err = Apply(r, e); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// ids are the pre-approvals that cast some of the ballots.
func ids(ballots []Ballot, which []int) []string {
	var out []string
	for _, i := range which {
		out = append(out, ballots[i].Allowance)
	}
	return out
}
