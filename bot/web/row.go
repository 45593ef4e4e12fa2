package web

import (
	"time"

	"countersign/bot/access"
)

// A row is one request in a list.
type row struct {
	ID, Href  string
	Status    access.Status
	Requestor string
	Principal string // empty: the requestor
	Resource  string
	Title     string
	Reason    string
	Ticket    string
	Asked     time.Duration
	Filed     time.Time
	Decided   time.Time
	Deciders  []string
	Alone     string // why no person was needed
	Granted   time.Time
	Expires   time.Time
	Ended     time.Time
	Slack     string // address of the thread
	Glass     bool   // broken
	Unseen    bool   // and nobody has looked at it yet
	Trouble   string // what does not work right now
}

func rowOf(r access.Request, href string) row {
	x := row{
		ID: r.ID, Href: href, Status: r.Shown(), Requestor: named(r.Requestor), Resource: r.Resource, Title: r.Title,
		Reason: r.Reason, Ticket: r.Ticket, Asked: r.Duration, Filed: r.FiledAt, Slack: thread(r), Unseen: r.ToReview(),
	}
	if r.Principal != r.Requestor {
		x.Principal = named(r.Principal)
	}
	if d := r.Decision; d != nil {
		x.Decided, x.Expires, x.Deciders, x.Alone = d.At, d.Expires, addresses(d.Approvers), alone(d.Source)
		x.Glass = d.Source == access.ByBreakGlass
		if len(x.Deciders) == 0 && !d.By.IsZero() && x.Alone == "" {
			x.Deciders = []string{named(d.By)}
		}
	}
	if r.Grant != nil {
		x.Granted = r.Grant.GrantedAt
	}
	if r.End != nil {
		x.Ended = r.End.At
	}
	if r.Failure != nil && !r.Status.Ended() {
		x.Trouble = r.Failure.Error
	}
	return x
}

func addresses(people []access.Person) []string {
	var out []string
	for _, p := range people {
		out = append(out, named(p))
	}
	return out
}

// thread is the address of the conversation in Slack.
func thread(r access.Request) string {
	post, _ := r.ApprovalPost()
	return outward(post.Permalink)
}
