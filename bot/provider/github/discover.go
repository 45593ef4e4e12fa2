package github

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-github/v62/github"
)

// A Team is one that access could be given to.
type Team struct {
	Slug        string // as in `with: {team: …}`
	Name        string // for people; anything may stand in it
	Description string // likewise, and may be empty
}

// A catalog keeps what was listed, so that GitHub need not send it again. It
// answers "not modified" without counting the request.
type catalog struct {
	mu   sync.Mutex
	orgs map[string][]page // guarded by mu; by login in lower case; never changed in place
}

// A page is a part of a list, and the mark by which GitHub knows it again.
type page struct {
	etag  string
	teams []Team
	last  bool
}

// Discover lists the teams of an organization that the token sees, by slug. All
// pages are asked for at each call, with the marks of those that were read
// before. Callers that ask at every keystroke keep the answer for a while.
func (p *Provider) Discover(ctx context.Context, org string) ([]Team, error) {
	if !isLogin(org) {
		return nil, fmt.Errorf("github: %q cannot be the login of an organization", org)
	}
	key := strings.ToLower(org)
	p.found.mu.Lock()
	old := p.found.orgs[key]
	p.found.mu.Unlock()
	var pages []page
	for {
		var known page
		if len(pages) < len(old) {
			known = old[len(pages)]
		}
		got, err := p.teams(ctx, org, len(pages)+1, known)
		if err != nil {
			return nil, p.fault("list the teams of "+org, err)
		}
		if pages = append(pages, got); got.last {
			break
		}
	}
	p.found.mu.Lock()
	p.found.orgs[key] = pages
	p.found.mu.Unlock()
	var all []Team
	for _, g := range pages {
		all = append(all, g.teams...)
	}
	slices.SortFunc(all, func(a, b Team) int { return cmp.Compare(a.Slug, b.Slug) })
	return all, nil
}

// teams reads one page, or takes the one that is known where that still holds.
func (p *Provider) teams(ctx context.Context, org string, n int, known page) (page, error) {
	req, err := p.client.NewRequest(http.MethodGet, fmt.Sprintf("orgs/%s/teams?per_page=%d&page=%d", org, perPage, n), nil)
	if err != nil {
		return page{}, err
	}
	// A last page that is full may have got a next one without a change of its own.
	if known.last && len(known.teams) == perPage {
		known = page{}
	}
	if known.etag != "" {
		req.Header.Set("If-None-Match", known.etag)
	}
	var items []*github.Team
	resp, err := p.client.Do(ctx, req, &items)
	if status(err) == http.StatusNotModified && known.etag != "" {
		return known, nil
	}
	if err != nil {
		return page{}, err
	}
	if items == nil {
		return page{}, errNoList
	}
	got := page{etag: resp.Header.Get("ETag"), last: resp.NextPage == 0}
	for _, t := range items {
		got.teams = append(got.teams, Team{Slug: t.GetSlug(), Name: t.GetName(), Description: t.GetDescription()})
	}
	if !got.last {
		_, err = next(n, resp)
	}
	return got, err
}
