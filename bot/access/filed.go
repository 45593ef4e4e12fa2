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
		FiledAt: e.At, FiledUnder: e.Config,
	}
	return nil
}

// File asks for access: the action that begins a request.
type File struct {
	Resource  string
	Principal Actor // zero: for oneself
	Duration  time.Duration
	Reason    string
	Ticket    string
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
	if err := f.Rules.evaluable(); err != nil {
		return nil, err
	}
	res, ok := f.Rules.Resource(a.Resource)
	if !ok {
		return nil, refuse(NoResource, "There is no resource %q that can be asked for. `/access request` shows what there is.", Clean(a.Resource, 80))
	}
	reason, ticket := Clean(a.Reason, MaxText), Clean(a.Ticket, 200)
	if err := f.Rules.demands(res, a.Duration, reason, ticket); err != nil {
		return nil, err
	}
	return []Event{f.event(Request{}, Requested{
		Requestor: f.Actor.Person, Principal: principal.Person,
		Resource: res.ID, Title: res.Title, Target: res.Target,
		Reason: reason, Ticket: ticket, Duration: a.Duration,
	})}, nil
}

// demands checks what the configuration asks of a filing.
func (r *Rules) demands(res Resource, d time.Duration, reason, ticket string) *Refusal {
	limit := r.Limit(res)
	switch {
	case d < 0 || d > 0 && d < time.Second:
		return refuse(BadDuration, "A duration is positive, for example 30m, 4h or 2d.")
	case d > limit:
		return refuse(TooLong, "%s can be given for at most %s; you asked for %s.", res.ID, FormatDuration(limit), FormatDuration(d))
	case d == 0 && r.Settings.RequireDuration:
		return refuse(NeedsDuration, "Say for how long, for example 30m, 4h or 2d.")
	case reason == "" && r.Settings.RequireReason:
		return refuse(NeedsReason, "Say why: a reason is required.")
	case r.Settings.RequireTicket != nil && !r.Settings.RequireTicket.MatchString(ticket):
		return refuse(NeedsTicket, "Name the ticket: it must match %s.", r.Settings.TicketPattern())
	}
	return nil
}
