package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"countersign/bot/access"
)

// Check says what would keep a grant from succeeding: the token does not see the
// team or the repository, or may not change who is there. An error that wraps
// [errors.ErrUnsupported] says that it cannot be known without trying, as it is with
// Apps and fine-grained tokens, of which GitHub does not tell what they may do.
func (p *Provider) Check(ctx context.Context, t access.Target) error {
	at, err := placeOf(t)
	if err != nil {
		return err
	}
	return at.check(ctx, p)
}

// unknown is what cannot be known without trying.
func unknown(what string) error {
	return fmt.Errorf("github: %s: GitHub does not tell of this kind of token: see its permissions: %w", what, errors.ErrUnsupported)
}

func (t team) check(ctx context.Context, p *Provider) error {
	if err := t.seen(ctx, p); err != nil {
		return err
	}
	changing := "whether the token may change who is in " + t.String()
	var m struct {
		Role  string `json:"role"`
		State string `json:"state"`
		User  struct {
			Login string `json:"login"`
		} `json:"user"`
	}
	req, err := p.client.NewRequest(http.MethodGet, "user/memberships/orgs/"+t.org, nil)
	if err != nil {
		return err
	}
	resp, err := p.client.Do(ctx, req, &m)
	switch code := status(err); {
	case code == http.StatusForbidden || code == http.StatusNotFound:
		return unknown(changing)
	case err != nil:
		return p.fault("look who the token is in "+t.org, err)
	}
	// Only classic tokens have scopes, and then the header is there.
	if scopes, classic := scopesOf(resp.Header); classic && !slices.Contains(scopes, "admin:org") && !slices.Contains(scopes, "write:org") {
		return fmt.Errorf("github: the token lacks the scope admin:org, so it cannot change who is in %s", t)
	}
	if m.State == "active" && m.Role == "admin" {
		return nil
	}
	own, _, err := p.client.Teams.GetTeamMembershipBySlug(ctx, t.org, t.slug, m.User.Login)
	switch {
	case err != nil && status(err) != http.StatusNotFound:
		return p.fault("look who the token is in "+t.String(), err)
	case err == nil && own.GetState() == "active" && own.GetRole() == "maintainer":
		return nil
	}
	return fmt.Errorf("github: the token's account %s is neither an owner of %s nor a maintainer of %s, so it cannot change who is in it: make it a maintainer", m.User.Login, t.org, t)
}

// scopesOf are the scopes that an answer tells of, and whether it tells of any.
func scopesOf(h http.Header) ([]string, bool) {
	values, there := h["X-Oauth-Scopes"]
	return strings.FieldsFunc(strings.Join(values, ","), func(c rune) bool { return c == ',' || c == ' ' }), there
}

func (r repository) check(ctx context.Context, p *Provider) error {
	var got struct {
		Permissions map[string]bool `json:"permissions"`
	}
	err := p.get(ctx, r.path(""), &got)
	switch {
	case status(err) == http.StatusNotFound:
		return r.seen(ctx, p)
	case err != nil:
		return p.fault("look at "+r.String(), err)
	case got.Permissions == nil:
		return unknown("whether the token may change who has access to " + r.String())
	case !got.Permissions["admin"]:
		return fmt.Errorf("github: the token may not administer %s, so it cannot change who has access to it: make its account an admin there", r)
	}
	return nil
}
