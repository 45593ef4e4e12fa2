// Package forge asks GitHub what the configuration needs to know of it: which
// pull request brought a commit, who proposed, approved and merged it, and who
// is in a team. It opens and closes pull requests of the bot's own, and tells in a
// comment or a status what was found about one; it never writes to a branch that
// people own.
package forge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"
)

// GitHub is one repository on GitHub, or on an Enterprise Server. It is safe
// for concurrent use.
type GitHub struct {
	client      *github.Client
	owner, name string
	patience    time.Duration
	listed      listings
}

// Config says which repository, and how to reach it.
type Config struct {
	Remote string // the repository's address, https or ssh, as git has it
	Token  string // unset: the client signs in
	APIURL string // unset: https://api.github.com/; plain http on loopback only
	// Client signs in by itself where there is no token. Unset: one that gives
	// up after 20 s.
	Client *http.Client
	// Patience is how long reading or writing one thing may wait in all where
	// GitHub says to come back later; unset: not at all. The proposal of a change
	// never waits.
	Patience time.Duration
}

// ErrNothingToDo says that the file is already as it should become.
var ErrNothingToDo = errors.New("nothing to change")

// ErrElsewhere says that an address is not that of a repository on GitHub.
var ErrElsewhere = errors.New("not a repository on GitHub")

// ErrNotFound says that GitHub has no such thing, or shows none to this token.
var ErrNotFound = errors.New("not found on GitHub")

// ErrForbidden says that this token may not do that.
var ErrForbidden = errors.New("forbidden to this token")

var remote = regexp.MustCompile(`^(?:https?://(?:[^@/]+@)?|ssh://(?:[^@/]+@)?|[^@/]+@)([^/:]+)(?::\d+)?[:/]([A-Za-z0-9][A-Za-z0-9-]*)/([A-Za-z0-9._-]+?)(?:\.git)?/?$`)

// NewGitHub returns the repository. It makes no call.
func NewGitHub(c Config) (*GitHub, error) {
	m := remote.FindStringSubmatch(c.Remote)
	if m == nil || c.APIURL == "" && m[1] != "github.com" || strings.HasPrefix(c.Remote, "http:") && !loopback(m[1]) {
		return nil, fmt.Errorf("%s: %w", c.Remote, ErrElsewhere)
	}
	client, err := newClient(c)
	if err != nil {
		return nil, err
	}
	return &GitHub{client: client, owner: m[2], name: m[3], patience: c.Patience}, nil
}

// newClient is a client that sends the token to the configured address only.
func newClient(c Config) (*github.Client, error) {
	if c.Token == "" && c.Client == nil {
		return nil, errors.New("forge: neither a token nor a client that signs in")
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 20 * time.Second}
	}
	client := github.NewClient(c.Client)
	client.UserAgent = "countersign"
	if c.Token != "" {
		client = client.WithAuthToken(c.Token)
	}
	if c.APIURL == "" {
		return client, nil
	}
	base, err := url.Parse(c.APIURL)
	if err != nil || base.Scheme != "https" && !(base.Scheme == "http" && loopback(base.Hostname())) {
		return nil, fmt.Errorf("GITHUB_API_URL %q: want https://host/path", c.APIURL)
	}
	client.BaseURL = base.JoinPath("/")
	return client, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// A PullRequest is what brought a commit.
type PullRequest struct {
	Number    int
	URL       string
	Proposer  string // login
	Merger    string
	Approvers []string // whose last word was an approval, in the order of their reviews
}

// PullRequest finds the merged pull request that brought a commit; nil if the
// commit came without one.
func (g *GitHub) PullRequest(ctx context.Context, commit string) (*PullRequest, error) {
	found, _, err := g.client.PullRequests.ListPullRequestsWithCommit(ctx, g.owner, g.name, commit, nil)
	if err != nil {
		return nil, fmt.Errorf("pull request of %.10s: %w", commit, err)
	}
	i := slices.IndexFunc(found, func(p *github.PullRequest) bool { return p.MergedAt != nil })
	if i < 0 {
		return nil, nil
	}
	// The list leaves out who merged.
	whole, _, err := g.client.PullRequests.Get(ctx, g.owner, g.name, found[i].GetNumber())
	if err != nil {
		return nil, fmt.Errorf("pull request #%d: %w", found[i].GetNumber(), err)
	}
	p := &PullRequest{
		Number: whole.GetNumber(), URL: whole.GetHTMLURL(),
		Proposer: whole.GetUser().GetLogin(), Merger: whole.GetMergedBy().GetLogin(),
	}
	p.Approvers, err = g.approvers(ctx, p.Number)
	return p, err
}

// approvers are those whose last word was an approval.
func (g *GitHub) approvers(ctx context.Context, number int) ([]string, error) {
	reviews, err := g.reviews(ctx, number)
	if err != nil {
		return nil, err
	}
	var order []string
	for _, r := range LastWords(reviews) {
		if r.State == Approved {
			order = append(order, r.Login)
		}
	}
	return order, nil
}
