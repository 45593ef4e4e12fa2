package access

import (
	"fmt"
	"time"
)

// Requested files a request. It is the first event of every request.
type Requested struct {
	Requestor Person
	Principal Person
	Resource  string
	Title     string
	Target    Target
	Reason    string
	Ticket    string
	Duration  time.Duration
}

// Kind implements [Body].
func (Requested) Kind() string { return "requested" }

func (b Requested) apply(r *Request, e Event) error {
	if b.Requestor.Email == "" || b.Principal.Email == "" {
		return fmt.Errorf("requestor and principal need an address")
	}
	if b.Resource == "" || b.Target.Provider == "" {
		return fmt.Errorf("a request names a resource and its provider")
	}
	*r = Request{
		ID: e.Request, Status: Pending,
		Requestor: b.Requestor, Principal: b.Principal,
		Resource: b.Resource, Title: b.Title, Target: b.Target,
		Reason: b.Reason, Ticket: b.Ticket, Duration: b.Duration,
		FiledAt: e.At, FiledUnder: e.Config, Unreached: e.Unreached,
	}
	return nil
}

// File asks for access: the action that begins a request.
type File struct {
	Resource   string
	Principal  Actor // zero: for oneself
	Duration   time.Duration
	Reason     string
	Ticket     string
	BreakGlass bool // take it now, to be reviewed afterwards
}

// Target names no request: a filing makes a new one.
func (File) Target() (string, int) { return "", 0 }

func (a File) decide(f Facts, _ Request) ([]Event, error) {
	principal := a.Principal
	if principal.IsZero() {
		principal = f.Actor
	}
	if err := f.Actor.able(); err != nil {
		return nil, err
	}
	if err := principal.able(); err != nil {
		return nil, refuse(BadPrincipal, "Access cannot be given to that person: %s", lower(err.Text))
	}
	res, ok := f.Rules.Resource(a.Resource)
	if !ok {
		return nil, refuse(NoResource, "There is no resource %q that can be asked for. `/access request` shows what there is.", inert(Clean(a.Resource, 80)))
	}
	x := f.ruling(f.Rules, principal.Person, res)
	if err := x.allows(res.ID); err != nil {
		return nil, err
	}
	reason, ticket := Clean(a.Reason, MaxText), Clean(a.Ticket, 200)
	filed := f.event(Request{}, Requested{
		Requestor: f.Actor.Person, Principal: principal.Person,
		Resource: res.ID, Title: res.Title, Target: res.Target,
		Reason: reason, Ticket: ticket, Duration: a.Duration,
	})
	r, err := Apply(Request{}, filed)
	if err != nil {
		return nil, err
	}
	given, alone := f.given(x, r)
	asked := a.Duration
	if alone && !a.BreakGlass {
		asked = min(asked, x.limit)
	}
	if err := x.demands(res.ID, asked, reason, ticket); err != nil {
		return nil, err
	}
	switch {
	case a.BreakGlass:
		taken, err := f.breakGlass(x, r, reason)
		if err != nil {
			return nil, err
		}
		return append([]Event{filed}, taken...), nil
	case alone:
		return []Event{filed, given}, nil
	}
	cast, err := f.castAhead(x, r)
	return append([]Event{filed}, cast...), err
}

// given is the approval that needs no person, where the policies give one and
// nobody asks for somebody else.
func (f Facts) given(x ruling, r Request) (Event, bool) {
	if !x.rules.Same(r.Requestor, r.Principal) {
		return Event{}, false
	}
	var best Event
	for _, p := range x.taking {
		for _, w := range p.Approval {
			var e Event
			switch {
			case w.Type == "persistent":
				e = f.approveAlone(x, r, ByPersistent, time.Hour)
			case w.Type == "auto" && x.onDuty(w, f.Duties, r.Principal, true) == yes:
				e = f.approveAlone(x, r, ByOnCall, x.rules.OnCall.lasts(w.Integration))
			default:
				continue
			}
			if best.Body == nil || shorter(e.Body.(Approval), best.Body.(Approval)) {
				best = e
			}
		}
	}
	return best, best.Body != nil
}

// shorter makes the choice among approvals the same in whatever order they stand.
func shorter(a, b Approval) bool {
	if !a.Expires.Equal(b.Expires) {
		return a.Expires.Before(b.Expires)
	}
	return a.Source < b.Source
}

// approveAlone approves without a person: for what was asked, cut to the limit,
// else for the shorter of the limit and what is usual.
func (f Facts) approveAlone(x ruling, r Request, s Source, usual time.Duration) Event {
	lasts := min(x.limit, usual)
	if r.Duration > 0 {
		lasts = min(x.limit, r.Duration)
	}
	f.ID, f.Actor = "", Actor{}
	e := f.event(r, nil)
	e.Body = Approval{Source: s, Policies: x.names(), Expires: e.At.Add(lasts), Target: r.Target}
	return e
}
