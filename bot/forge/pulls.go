package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/google/go-github/v62/github"
)

// A Pull is a pull request from a branch of the repository itself.
type Pull struct {
	Number int
	URL    string
	Title  string
	Body   string
	Open   bool
	Merged bool
}

// listings are what was listed last of branches, with the mark by which GitHub knows
// it again: to say "not modified" does not count as a request there.
type listings struct {
	mu sync.Mutex
	by map[string]listing // guarded by mu; by base and branch; never changed in place
}

type listing struct {
	etag  string
	pulls []Pull
}

func (l *listings) get(key string) listing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.by[key]
}

func (l *listings) set(key string, x listing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil {
		l.by = map[string]listing{}
	}
	l.by[key] = x
}

// drop forgets a branch, whatever its base.
func (l *listings) drop(branch string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range l.by {
		if strings.HasSuffix(key, "\x00"+branch) {
			delete(l.by, key)
		}
	}
}

// Pulls are the newest pull requests from a branch to a base, open or not, the newest
// first; at most a hundred. Those of forks are not among them.
func (g *GitHub) Pulls(ctx context.Context, base, branch string) ([]Pull, error) {
	key := base + "\x00" + branch
	known := g.listed.get(key)
	query := url.Values{
		"state": {"all"}, "base": {base}, "head": {g.owner + ":" + branch},
		"sort": {"created"}, "direction": {"desc"}, "per_page": {strconv.Itoa(perPage)},
	}
	var found []*github.PullRequest
	got := listing{pulls: []Pull{}}
	err := g.call(ctx, "look for pull requests from "+branch, func() (*github.Response, error) {
		req, err := g.client.NewRequest(http.MethodGet, fmt.Sprintf("repos/%s/%s/pulls?%s", g.owner, g.name, query.Encode()), nil)
		if err != nil {
			return nil, err
		}
		if known.etag != "" {
			req.Header.Set("If-None-Match", known.etag)
		}
		resp, err := g.client.Do(ctx, req, &found)
		if resp != nil && resp.StatusCode == http.StatusNotModified && known.etag != "" {
			got = known
			return resp, nil
		}
		if err == nil && found == nil {
			err = errors.New("the answer is not a list")
		}
		if err == nil {
			got.etag = resp.Header.Get("ETag")
		}
		return resp, err
	})
	if err != nil {
		return nil, err
	}
	for _, p := range found {
		// GitHub's filter knows the owner of the head and not its repository.
		from, to := p.GetHead(), p.GetBase()
		if from.GetRef() == branch && to.GetRef() == base && from.GetRepo().GetID() == to.GetRepo().GetID() {
			got.pulls = append(got.pulls, pullOf(p))
		}
	}
	g.listed.set(key, got)
	return got.pulls, nil
}

func pullOf(p *github.PullRequest) Pull {
	return Pull{
		Number: p.GetNumber(), URL: p.GetHTMLURL(), Title: p.GetTitle(), Body: p.GetBody(),
		Open: p.GetState() == "open", Merged: p.MergedAt != nil || p.GetMerged(),
	}
}

// Open opens a pull request from a branch that is there. GitHub refuses a second one
// of the same branch and base; which one there is, [GitHub.Pulls] says.
func (g *GitHub) Open(ctx context.Context, base, branch, title, body string) (Pull, error) {
	var made *github.PullRequest
	err := g.call(ctx, "open a pull request from "+branch, func() (resp *github.Response, err error) {
		made, resp, err = g.client.PullRequests.Create(ctx, g.owner, g.name, &github.NewPullRequest{
			Title: &title, Head: &branch, Base: &base, Body: &body,
		})
		return resp, err
	})
	if err != nil {
		return Pull{}, err
	}
	return pullOf(made), nil
}

// Close closes a pull request without merging it, and gives it another title.
func (g *GitHub) Close(ctx context.Context, number int, title string) error {
	return g.call(ctx, fmt.Sprintf("close pull request #%d", number), func() (*github.Response, error) {
		state := "closed"
		_, resp, err := g.client.PullRequests.Edit(ctx, g.owner, g.name, number, &github.PullRequest{Title: &title, State: &state})
		return resp, err
	})
}

// Conflicts reports whether GitHub says that an open pull request cannot be merged
// because both sides have changed the same lines. While GitHub works that out it is
// not said.
func (g *GitHub) Conflicts(ctx context.Context, number int) (bool, error) {
	var p *github.PullRequest
	err := g.call(ctx, fmt.Sprintf("look at pull request #%d", number), func() (resp *github.Response, err error) {
		p, resp, err = g.client.PullRequests.Get(ctx, g.owner, g.name, number)
		return resp, err
	})
	return err == nil && p.Mergeable != nil && !*p.Mergeable, err
}

// Drop removes a branch; one that is not there counts as removed.
func (g *GitHub) Drop(ctx context.Context, branch string) error {
	err := g.call(ctx, "remove branch "+branch, func() (*github.Response, error) {
		resp, err := g.client.Git.DeleteRef(ctx, g.owner, g.name, "heads/"+branch)
		if unprocessable(err) { // how GitHub says that there is none
			return resp, nil
		}
		return resp, err
	})
	if err == nil {
		g.listed.drop(branch)
	}
	return err
}
