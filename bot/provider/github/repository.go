package github

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/go-github/v62/github"
)

// A repository, and the permission that is given on it.
type repository struct{ owner, name, permission string }

func (r repository) String() string { return fmt.Sprintf("the repository %s/%s", r.owner, r.name) }

func (r repository) want() int { return slices.Index(permissions(), r.permission) }

func (r repository) path(rest string) string { return "repos/" + r.owner + "/" + r.name + rest }

// look finds invitations and a direct permission. What comes through teams or
// the organization is not ours to see, but for the level that is listed. An
// invitation that is accepted meanwhile is found in the list that is read last.
func (r repository) look(ctx context.Context, p *Provider, who account) (holding, error) {
	doing := fmt.Sprintf("look whether %s has access to %s", who.login, r)
	invited, direct, err := r.list(ctx, p)
	if status(err) == http.StatusNotFound {
		return holding{}, r.seen(ctx, p)
	}
	if err != nil {
		return holding{}, p.fault(doing, err)
	}
	h := invitations(invited, who)
	for _, u := range direct {
		if u.GetID() == who.id {
			h.there, h.direct, h.pending = true, true, false
			h.rank, h.as = level(u.GetRoleName(), u.Permissions), u.GetRoleName()
		}
	}
	return h, nil
}

// list reads the invitations and then the direct collaborators.
func (r repository) list(ctx context.Context, p *Provider) (invited []invitation, direct []github.User, err error) {
	invited, err = list[invitation](ctx, p, r.path("/invitations?"))
	if err == nil {
		direct, err = list[github.User](ctx, p, r.path("/collaborators?affiliation=direct"))
	}
	return invited, direct, err
}

// seen says that the repository is gone, if that can be known: for an App that
// is installed on all repositories. Other tokens may have lost their sight of it.
func (r repository) seen(ctx context.Context, p *Provider) error {
	doing := "look at " + r.String()
	var a struct {
		Selection string `json:"repository_selection"`
	}
	err := p.get(ctx, "installation/repositories?per_page=1", &a)
	if err == nil && a.Selection == "all" {
		return fmt.Errorf("github: %s: %w: there is no such repository", doing, errGone)
	}
	if _, limited := p.limit(err); limited || ctx.Err() != nil {
		return p.fault(doing, err)
	}
	return fmt.Errorf("github: %s: there is no such repository, or the token does not see it: give the token (or the App) access to it; if it was deleted, nobody has access to it any more", doing)
}

// An invitation as GitHub lists it.
type invitation struct {
	ID          int64        `json:"id"`
	Invitee     *github.User `json:"invitee"`     // nil for who was invited by an address, which is not shown
	Permissions string       `json:"permissions"` // the name of a role, as in role_name
	Expired     bool         `json:"expired"`
	URL         string       `json:"html_url"`
}

// invitations is what somebody has by them. One that has lapsed gives nothing,
// and stands in the way of a new one.
func invitations(all []invitation, who account) holding {
	var h holding
	for _, i := range all {
		if i.Invitee.GetID() != who.id {
			continue
		}
		h.invitations = append(h.invitations, i.ID)
		if !i.Expired {
			h.there, h.pending, h.url = true, true, i.URL
			h.rank, h.as = level(i.Permissions, nil), "invited, "+i.Permissions
		}
	}
	return h
}

// level is the rank of a role. One of the organization's own making counts as
// much as the permissions that it is based on, and otherwise as nothing.
func level(role string, base map[string]bool) int {
	if i := slices.Index([]string{"read", "triage", "write", "maintain", "admin"}, role); i >= 0 {
		return i
	}
	for i, name := range slices.Backward(permissions()) {
		if base[name] {
			return i
		}
	}
	return -1
}

func (r repository) give(ctx context.Context, p *Provider, who account, now holding) (holding, error) {
	if err := r.cancel(ctx, p, now.invitations); err != nil {
		return holding{}, err
	}
	doing := fmt.Sprintf("give %s %s on %s", who.login, r.permission, r)
	made, resp, err := p.client.Repositories.AddCollaborator(ctx, r.owner, r.name, who.login, &github.RepositoryAddCollaboratorOptions{Permission: r.permission})
	switch {
	case err != nil:
		return holding{}, p.fault(doing, err)
	case resp.StatusCode == http.StatusCreated && made.GetID() <= 0:
		return holding{}, fmt.Errorf("github: %s: the answer names no invitation", doing)
	case resp.StatusCode == http.StatusCreated && made.GetInvitee().GetID() != who.id:
		// The login changed hands a moment ago.
		err := fmt.Errorf("github: %s: the login is somebody else's now: nothing was given", doing)
		if undo := r.cancel(ctx, p, []int64{made.GetID()}); undo != nil {
			err = fmt.Errorf("github: %s: the login is somebody else's now, and their invitation stays: cancel it by hand: %w", doing, undo)
		}
		return holding{}, err
	case resp.StatusCode == http.StatusCreated:
		return holding{there: true, pending: true, rank: r.want(), url: made.GetHTMLURL()}, nil
	}
	// 204 is also said where nothing was done.
	if now, err = r.look(ctx, p, who); err != nil {
		return holding{}, err
	}
	if !now.there || now.rank < r.want() {
		return holding{}, fmt.Errorf("github: %s: GitHub agreed and gave nothing: they own the organization or the repository and have all access already, or the organization's own rules set it", doing)
	}
	return now, nil
}

func (r repository) take(ctx context.Context, p *Provider, who account, now holding) error {
	if err := r.cancel(ctx, p, now.invitations); err != nil || !now.direct {
		return err
	}
	_, err := p.client.Repositories.RemoveCollaborator(ctx, r.owner, r.name, who.login)
	if err == nil || status(err) == http.StatusNotFound {
		return nil // the look that follows tells what "not found" means
	}
	return p.fault(fmt.Sprintf("remove %s from %s", who.login, r), err)
}

// cancel takes invitations back; one that is gone already counts.
func (r repository) cancel(ctx context.Context, p *Provider, ids []int64) error {
	for _, id := range ids {
		_, err := p.client.Repositories.DeleteInvitation(ctx, r.owner, r.name, id)
		if err != nil && status(err) != http.StatusNotFound {
			return p.fault(fmt.Sprintf("cancel invitation %d to %s", id, r), err)
		}
	}
	return nil
}
