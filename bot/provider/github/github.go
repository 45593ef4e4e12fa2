// Package github gives access at GitHub: the membership of a team, or a direct
// permission on a repository. It speaks to github.com or to an Enterprise
// Server.
//
// A target's `with` has org, team and role (member, which is also meant by
// none, or maintainer), or repo (owner/name) and permission (pull, triage, push,
// maintain or admin).
//
// # Who is meant
//
// A subject is "login#id": the login as the configuration writes it and
// GitHub's own number of the account. Only the number counts afterwards. Logins
// can be changed and then be taken by somebody else, so every call asks for the
// login that the number has now: a renamed account keeps and loses its access
// under the new login, and whoever took the old one gets and loses nothing.
//
// # What was there before
//
// Everybody who is in the team, has any direct permission on the repository, or
// is invited to either counts as present, at whatever level, and the bot leaves
// alone at the end what was present before. Somebody who has enough already is
// left as they are, and a maintainer is never made a member. Somebody who has
// less is not raised but refused, with an error that says so: raising would have
// to be undone later, and GitHub does not tell what to go back to. The level
// that it lists for a collaborator is the highest of all sources, the teams and
// the organization included, so that "restoring" it could give for good what was
// lent by a team.
//
// Who has no place yet may have to accept an invitation first. Until they have,
// Grant answers [access.Awaiting]; revoking cancels the invitation.
//
// # Answers that GitHub gives for two reasons
//
// "Not found" is also said of what a token may not see. A membership counts as
// gone only if the token sees the team, or else the other teams of the
// organization; a repository only for an App that is installed on all of them.
// Otherwise it is an error: a revocation must not be taken for done because the
// bot lost its sight.
//
// Nothing here waits. A rate limit is a [*LimitError], which says until when.
package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/google/go-github/v62/github"

	"countersign/bot/access"
)

// Config says which GitHub, and how to reach it.
type Config struct {
	// Client authenticates every request that it makes, with a token or as an
	// App. Required. Its cookies and redirect policy are not used.
	Client *http.Client
	// BaseURL is where the API is; unset: https://api.github.com/. That of an
	// Enterprise Server is https://HOST/api/v3/. Plain http on loopback only.
	BaseURL string
	Now     func() time.Time // required
}

// A Provider gives access at one GitHub. It keeps nothing but the lists of
// teams that [Provider.Discover] has read, and how many requests GitHub still
// takes; it is safe for concurrent use.
type Provider struct {
	client *github.Client
	now    func() time.Time
	found  catalog
	quota  quota
}

// New returns a provider. It makes no call.
func New(c Config) (*Provider, error) {
	switch {
	case c.Client == nil:
		return nil, errors.New("github: no HTTP client")
	case c.Now == nil:
		return nil, errors.New("github: no clock")
	}
	own := *c.Client
	own.Jar, own.CheckRedirect = nil, follow
	client := github.NewClient(&own)
	client.UserAgent = "countersign"
	if c.BaseURL != "" {
		base, err := endpoint(c.BaseURL)
		if err != nil {
			return nil, err
		}
		client.BaseURL = base
	}
	return &Provider{client: client, now: c.Now, found: catalog{orgs: map[string][]page{}}}, nil
}

// follow goes along with a redirect within the same API, as GitHub gives them
// for what was renamed. Anywhere else the client would take its token along, and
// a change must not become a look.
func follow(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > 3 || next.Method != first.Method || next.URL.Host != first.URL.Host || next.URL.Scheme != first.URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// endpoint checks an address to which the client will authenticate.
func endpoint(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !private(u) {
		return nil, errors.New("github: the address of the API must be https://HOST/PATH, such as https://github.example.com/api/v3/ (plain http on loopback only)")
	}
	return u.JoinPath("/"), nil
}

// private reports whether nobody on the way can read what is sent there.
func private(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && ip.IsLoopback())
}

// Subject is "login#id" of the person's account. A login that GitHub does not
// know is an error and not the lack of an account: somebody was renamed, and the
// configuration can be mended.
func (p *Provider) Subject(ctx context.Context, t access.Target, who access.Account) (string, error) {
	if _, err := placeOf(t); err != nil {
		return "", err
	}
	if who.GitHub == "" {
		return "", fmt.Errorf("github: the configuration has no people.github for %s: %w", who.Email, access.ErrNoAccount)
	}
	id, err := p.idOf(ctx, who.GitHub)
	if err != nil {
		return "", err
	}
	return subjectOf(who.GitHub, id), nil
}

// Has says whether the account has a place in the team, or a direct permission
// on the repository, at whatever level, or an invitation to it.
func (p *Provider) Has(ctx context.Context, t access.Target, subject string) (access.Presence, error) {
	at, err := placeOf(t)
	if err != nil {
		return access.Unknown, err
	}
	_, now, err := p.find(ctx, at, subject)
	switch {
	case errors.Is(err, errGone):
		return access.Absent, nil
	case err != nil:
		return access.Unknown, err
	case now.there:
		return access.Present, nil
	}
	return access.Absent, nil
}

// Grant gives the access to who has none of it, and leaves alone who has as
// much or more. Over less it refuses. The error wraps [access.Awaiting] while the
// person has an invitation and has not accepted it.
func (p *Provider) Grant(ctx context.Context, o access.Order) error {
	at, err := placeOf(o.Target)
	if err != nil {
		return err
	}
	who, now, err := p.find(ctx, at, o.Subject)
	if err != nil {
		return err
	}
	if now.there && now.rank < at.want() {
		return fmt.Errorf("github: %s has a place in %s already (%s), which is less than was asked for, and which must be theirs again at the end: raise it by hand at GitHub, for good, or take it away there and ask again", who.login, at, now.as)
	}
	if !now.there {
		if now, err = at.give(ctx, p, who, now); err != nil {
			return err
		}
	}
	if now.pending {
		return fmt.Errorf("github: %w", invited(who, at, now.url))
	}
	return nil
}

// invited says what somebody who got an invitation has to do.
func invited(who account, at place, url string) *access.Awaiting {
	text := fmt.Sprintf("GitHub has invited %s to %s: the access begins when they accept", who.login, at)
	if url != "" {
		text += " at " + url
	}
	return &access.Awaiting{For: text + "."}
}

// Revoke ends it, at whatever level it is now, and cancels invitations. It
// looks again afterwards, so that nil says that nothing is left.
func (p *Provider) Revoke(ctx context.Context, o access.Order) error {
	at, err := placeOf(o.Target)
	if err != nil {
		return err
	}
	who, now, err := p.find(ctx, at, o.Subject)
	if errors.Is(err, errGone) || err == nil && !now.there {
		return nil
	}
	if err != nil {
		return err
	}
	if err := at.take(ctx, p, who, now); err != nil {
		return err
	}
	if now, err = at.look(ctx, p, who); err != nil && !errors.Is(err, errGone) {
		return err
	}
	if err == nil && now.there {
		return fmt.Errorf("github: %s was removed from %s and is still there: they are in a child team too, or somebody adds them again: look at it at GitHub", who.login, at)
	}
	return nil
}

// find is the account that a subject means, and what it has of a place.
func (p *Provider) find(ctx context.Context, at place, subject string) (account, holding, error) {
	who, err := p.account(ctx, subject)
	if err != nil {
		return account{}, holding{}, err
	}
	now, err := at.look(ctx, p, who)
	return who, now, err
}
