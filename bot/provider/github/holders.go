package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-github/v62/github"

	"countersign/bot/access"
)

// mostInvited is how many open invitations to a team are looked at: each takes
// requests of its own.
const mostInvited = 100

// Holders are the accounts that have what a target gives, or more, as Has sees it:
// those of child teams and those who are invited too. Who was invited by an address
// to a team is named by it, and whose login GitHub does not know any more by that.
//
// Listing leaves a tenth of the hour's requests to those who give and end access:
// below that the error is a [*LimitError].
func (p *Provider) Holders(ctx context.Context, t access.Target) ([]string, error) {
	at, err := placeOf(t)
	if err != nil {
		return nil, err
	}
	if until, low := p.quota.low(); low {
		return nil, &LimitError{Doing: fmt.Sprintf("list who is in %s (the rest of this hour is kept for giving and ending access)", at), Until: later(until, p.now())}
	}
	all, err := at.holders(ctx, p)
	if errors.Is(err, errGone) {
		return nil, nil
	}
	return all, err
}

// Covers reports whether who was given the other target is among the holders of
// this one: it is the same place, at the same level or a higher one.
func (p *Provider) Covers(t, other access.Target) bool {
	a, err := placeOf(t)
	b, err2 := placeOf(other)
	return err == nil && err2 == nil && a.String() == b.String() && b.want() >= a.want()
}

func subjectOf(login string, id int64) string { return fmt.Sprintf("%s#%d", login, id) }

func (t team) holders(ctx context.Context, p *Provider) ([]string, error) {
	doing := fmt.Sprintf("list who is in %s", t)
	role := "all"
	if t.want() > 0 {
		role = t.role
	}
	members, err := list[github.User](ctx, p, fmt.Sprintf("orgs/%s/teams/%s/members?role=%s", t.org, t.slug, role))
	if status(err) == http.StatusNotFound {
		if gone := t.seen(ctx, p); gone != nil {
			return nil, gone
		}
	}
	if err != nil {
		return nil, p.fault(doing, err)
	}
	var all []string
	for _, u := range members {
		all = append(all, subjectOf(u.GetLogin(), u.GetID()))
	}
	invited, err := list[invitee](ctx, p, fmt.Sprintf("orgs/%s/teams/%s/invitations?", t.org, t.slug))
	switch {
	case err != nil:
		return nil, p.fault(doing, err)
	case len(invited) > mostInvited:
		return nil, fmt.Errorf("github: %s: %d invitations are open, more than %d: cancel those that nobody needs", doing, len(invited), mostInvited)
	}
	for _, i := range invited {
		name, err := t.invited(ctx, p, i)
		if err != nil {
			return nil, err
		}
		if name != "" {
			all = append(all, name)
		}
	}
	return all, nil
}

// An invitee is one of a team's open invitations, which are to the organization.
type invitee struct {
	Login string `json:"login"` // empty for who was invited by an address
	Email string `json:"email"`
}

// invited is the subject of somebody who is invited to a team; empty for who is
// invited to less than the target gives.
func (t team) invited(ctx context.Context, p *Provider, i invitee) (string, error) {
	if i.Login == "" {
		return line(i.Email, 300), nil
	}
	if !isLogin(i.Login) {
		return "", fmt.Errorf("github: list who is in %s: %q cannot be a login", t, i.Login)
	}
	u, _, err := p.client.Users.Get(ctx, i.Login)
	if status(err) == http.StatusNotFound {
		return i.Login, nil
	}
	if err != nil {
		return "", p.fault("look up "+i.Login, err)
	}
	who := account{id: u.GetID(), login: u.GetLogin()}
	if t.want() > 0 {
		if h, err := t.look(ctx, p, who); err != nil || h.rank < t.want() {
			return "", err
		}
	}
	return subjectOf(who.login, who.id), nil
}

func (r repository) holders(ctx context.Context, p *Provider) ([]string, error) {
	invited, direct, err := r.list(ctx, p)
	if status(err) == http.StatusNotFound {
		return nil, r.seen(ctx, p)
	}
	if err != nil {
		return nil, p.fault(fmt.Sprintf("list who has access to %s", r), err)
	}
	var all []string
	for _, u := range direct {
		if level(u.GetRoleName(), u.Permissions) >= r.want() {
			all = append(all, subjectOf(u.GetLogin(), u.GetID()))
		}
	}
	for _, i := range invited {
		switch {
		case i.Expired || level(i.Permissions, nil) < r.want():
		case i.Invitee == nil:
			all = append(all, fmt.Sprintf("invitation %d", i.ID))
		default:
			all = append(all, subjectOf(i.Invitee.GetLogin(), i.Invitee.GetID()))
		}
	}
	return all, nil
}

// A quota is how many requests GitHub still takes, as it said last.
type quota struct {
	mu   sync.Mutex
	rate github.Rate // guarded by mu
}

func (q *quota) note(r github.Rate) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rate = r
}

// low reports whether less than a tenth is left, and until when.
func (q *quota) low() (until time.Time, low bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.rate.Reset.Time, q.rate.Limit > 0 && q.rate.Remaining < q.rate.Limit/10
}
