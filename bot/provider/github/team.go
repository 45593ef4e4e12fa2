package github

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/go-github/v62/github"
)

// A team of an organization, and the role that is given in it.
type team struct{ org, slug, role string }

func (t team) String() string { return fmt.Sprintf("the team %s/%s", t.org, t.slug) }

func (t team) want() int { return slices.Index(roles(), t.role) }

func (t team) look(ctx context.Context, p *Provider, who account) (holding, error) {
	doing := fmt.Sprintf("look whether %s is in %s", who.login, t)
	m, _, err := p.client.Teams.GetTeamMembershipBySlug(ctx, t.org, t.slug, who.login)
	if status(err) == http.StatusNotFound {
		return holding{}, t.seen(ctx, p)
	}
	if err != nil {
		return holding{}, p.fault(doing, err)
	}
	return membership(doing, m)
}

// seen says whether "not found" can be believed of a member: nil if the token
// sees the team, errGone if it sees the organization's teams and not this one.
func (t team) seen(ctx context.Context, p *Provider) error {
	doing := "look at " + t.String()
	got, _, err := p.client.Teams.GetTeamBySlug(ctx, t.org, t.slug)
	if err == nil && got.GetSlug() == "" {
		return fmt.Errorf("github: %s: the answer names no team", doing)
	}
	if status(err) != http.StatusNotFound {
		return p.fault(doing, err)
	}
	if err := p.listable(ctx, "orgs/"+t.org+"/teams?per_page=1"); err != nil {
		return fmt.Errorf("github: %s: there is no such team, or the token does not see it (it needs the permission to read the organization's members): %w", doing, p.fault("list teams", err))
	}
	return fmt.Errorf("github: %s: %w: there is no such team: it was deleted or renamed", doing, errGone)
}

func membership(doing string, m *github.Membership) (holding, error) {
	h := holding{there: true, pending: m.GetState() == "pending", rank: slices.Index(roles(), m.GetRole()), as: m.GetRole()}
	if h.rank < 0 || !h.pending && m.GetState() != "active" {
		return holding{}, fmt.Errorf("github: %s: the answer has an unknown state or role (%s, %s)", doing, line(m.GetState(), 30), line(m.GetRole(), 30))
	}
	return h, nil
}

func (t team) give(ctx context.Context, p *Provider, who account, _ holding) (holding, error) {
	doing := fmt.Sprintf("add %s to %s", who.login, t)
	m, _, err := p.client.Teams.AddTeamMembershipBySlug(ctx, t.org, t.slug, who.login, &github.TeamAddTeamMembershipOptions{Role: t.role})
	if err != nil {
		return holding{}, p.fault(doing, err)
	}
	h, err := membership(doing, m)
	if err == nil && h.rank < t.want() {
		err = fmt.Errorf("github: %s: GitHub made them %s and not %s: look at the team's settings", doing, h.as, t.role)
	}
	return h, err
}

func (t team) take(ctx context.Context, p *Provider, who account, _ holding) error {
	_, err := p.client.Teams.RemoveTeamMembershipBySlug(ctx, t.org, t.slug, who.login)
	if err == nil || status(err) == http.StatusNotFound {
		return nil // the look that follows tells what "not found" means
	}
	return p.fault(fmt.Sprintf("remove %s from %s", who.login, t), err)
}
