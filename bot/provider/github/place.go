package github

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"countersign/bot/access"
)

// A place is where somebody gets access: a team or a repository.
type place interface {
	fmt.Stringer
	want() int // the rank that is to be given

	// look says what somebody has there now. The error wraps errGone where the
	// place is known not to exist.
	look(ctx context.Context, p *Provider, who account) (holding, error)
	// give gives access to somebody who has none, and answers what they have then.
	give(ctx context.Context, p *Provider, who account, now holding) (holding, error)
	// take takes away all that look has found.
	take(ctx context.Context, p *Provider, who account, now holding) error
	// holders are the subjects of all who have that rank or a higher one.
	holders(ctx context.Context, p *Provider) ([]string, error)
	// check says why nothing could be given or taken there. It changes nothing.
	check(ctx context.Context, p *Provider) error
}

// A holding is what an account has of a place.
type holding struct {
	there   bool
	pending bool   // an invitation, not accepted yet
	rank    int    // higher is more
	as      string // the level in GitHub's word, for people
	url     string // of the invitation; may be empty

	direct      bool    // a direct permission on a repository
	invitations []int64 // to a repository, those that have lapsed too
}

// roles and permissions stand in the order of what they allow.
func roles() []string       { return []string{"member", "maintainer"} }
func permissions() []string { return []string{"pull", "triage", "push", "maintain", "admin"} }

// placeOf reads a target. What it accepts can stand in a path as it is.
func placeOf(t access.Target) (place, error) {
	get := func(key string) string {
		s, _ := t.With[key].(string)
		return s
	}
	if get("repo") != "" {
		owner, name, ok := strings.Cut(get("repo"), "/")
		if !ok || !isLogin(owner) || !isName(name) {
			return nil, fmt.Errorf("github: the target's repo is %q, not owner/name", get("repo"))
		}
		if !slices.Contains(permissions(), get("permission")) {
			return nil, fmt.Errorf("github: the target's permission is %q, not one of %s", get("permission"), strings.Join(permissions(), ", "))
		}
		return repository{owner: owner, name: name, permission: get("permission")}, nil
	}
	at := team{org: get("org"), slug: get("team"), role: get("role")}
	if at.role == "" {
		at.role = "member"
	}
	if !isLogin(at.org) || !isName(at.slug) {
		return nil, fmt.Errorf("github: the target's org and team are %q and %q, neither a team nor a repo", at.org, at.slug)
	}
	if !slices.Contains(roles(), at.role) {
		return nil, fmt.Errorf("github: the target's role is %q, not member or maintainer", at.role)
	}
	return at, nil
}

// isLogin reports whether a text can be the login of a person or organization.
func isLogin(s string) bool {
	ok, _ := regexp.MatchString(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`, s)
	return ok
}

// isName reports whether a text can be the name of a repository or the slug of
// a team. A path would be changed by dots alone.
func isName(s string) bool {
	ok, _ := regexp.MatchString(`^[A-Za-z0-9._-]{1,100}$`, s)
	return ok && strings.Trim(s, ".") != ""
}
