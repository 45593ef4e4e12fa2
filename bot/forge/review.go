package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v62/github"
)

// An Account is somebody on GitHub. Logins differ in more than case.
type Account struct {
	Login string
	Human bool // an ordinary account: no App, no organization, no ghost
}

// A Proposal is an open pull request, as whoever judges it must see it: nothing
// in it is cut short.
type Proposal struct {
	Number     int
	URL        string
	Author     Account
	Base       string // branch that it is for
	Head       string // its newest commit
	HeadBranch string
	Fork       bool // comes from another repository, or from one that is gone
	Body       string
	Commits    []ProposedCommit
	Files      []string // paths that it touches; both, of a renamed file
	Reviews    []Review // in the order in which they were given
}

// A ProposedCommit is one commit of a proposal.
type ProposedCommit struct {
	ID      string
	Message string
	Hands   []Account // author and committer, as far as GitHub knows them
}

// A Review is what one person said about a proposal.
type Review struct {
	Account
	State  string // Approved, or another of GitHub's words
	Commit string // which it is about
}

// Approved is the state of a review that approves.
const Approved = "APPROVED"

// ErrTooLarge says that GitHub does not list all of a proposal.
var ErrTooLarge = errors.New("the pull request is too large to be listed whole")

// LastWords are the reviews that count, one for each person: a later one
// replaces their earlier one, except that a mere comment replaces nothing. Logins
// are compared without case.
func LastWords(all []Review) []Review {
	var order []string
	last := map[string]Review{}
	for _, r := range all {
		who := strings.ToLower(r.Login)
		if who == "" || r.State == "COMMENTED" || r.State == "PENDING" {
			continue
		}
		if _, seen := last[who]; !seen {
			order = append(order, who)
		}
		last[who] = r
	}
	out := make([]Review, len(order))
	for i, who := range order {
		out[i] = last[who]
	}
	return out
}

// Proposal reads a pull request whole. [ErrTooLarge] says that this cannot be
// done: what is not listed cannot be judged.
func (g *GitHub) Proposal(ctx context.Context, number int) (*Proposal, error) {
	doing := fmt.Sprintf("read pull request #%d", number)
	var pull *github.PullRequest
	err := g.call(ctx, doing, func() (resp *github.Response, err error) {
		pull, resp, err = g.client.PullRequests.Get(ctx, g.owner, g.name, number)
		return resp, err
	})
	if err != nil {
		return nil, err
	}
	p := &Proposal{
		Number: number, URL: pull.GetHTMLURL(), Author: account(pull.GetUser()), Body: pull.GetBody(),
		Base: pull.GetBase().GetRef(), Head: pull.GetHead().GetSHA(), HeadBranch: pull.GetHead().GetRef(),
		Fork: pull.GetHead().GetRepo().GetID() == 0 || pull.GetHead().GetRepo().GetID() != pull.GetBase().GetRepo().GetID(),
	}
	if p.Head == "" || p.Base == "" {
		return nil, fmt.Errorf("%s: the answer names no branch or no commit", doing)
	}
	if err := g.commits(ctx, p, pull.GetCommits()); err != nil {
		return nil, err
	}
	if err := g.files(ctx, p, pull.GetChangedFiles()); err != nil {
		return nil, err
	}
	p.Reviews, err = g.reviews(ctx, number)
	return p, err
}

// commits reads the commits, of which GitHub lists at most 250.
func (g *GitHub) commits(ctx context.Context, p *Proposal, want int) error {
	doing := fmt.Sprintf("commits of #%d", p.Number)
	all, err := pages(ctx, g, doing, func(opt *github.ListOptions) ([]*github.RepositoryCommit, *github.Response, error) {
		return g.client.PullRequests.ListCommits(ctx, g.owner, g.name, p.Number, opt)
	})
	if err != nil {
		return err
	}
	if len(all) != want || want == 0 {
		return fmt.Errorf("%s: %d of %d: %w", doing, len(all), want, ErrTooLarge)
	}
	for _, c := range all {
		x := ProposedCommit{ID: c.GetSHA(), Message: c.GetCommit().GetMessage()}
		for _, u := range []*github.User{c.GetAuthor(), c.GetCommitter()} {
			if u.GetLogin() != "" {
				x.Hands = append(x.Hands, account(u))
			}
		}
		p.Commits = append(p.Commits, x)
	}
	return nil
}

// files reads the files, of which GitHub lists at most 3,000.
func (g *GitHub) files(ctx context.Context, p *Proposal, want int) error {
	doing := fmt.Sprintf("files of #%d", p.Number)
	all, err := pages(ctx, g, doing, func(opt *github.ListOptions) ([]*github.CommitFile, *github.Response, error) {
		return g.client.PullRequests.ListFiles(ctx, g.owner, g.name, p.Number, opt)
	})
	if err != nil {
		return err
	}
	if len(all) != want {
		return fmt.Errorf("%s: %d of %d: %w", doing, len(all), want, ErrTooLarge)
	}
	for _, f := range all {
		p.Files = append(p.Files, f.GetFilename())
		if old := f.GetPreviousFilename(); old != "" {
			p.Files = append(p.Files, old)
		}
	}
	return nil
}

func (g *GitHub) reviews(ctx context.Context, number int) ([]Review, error) {
	all, err := pages(ctx, g, fmt.Sprintf("reviews of #%d", number), func(opt *github.ListOptions) ([]*github.PullRequestReview, *github.Response, error) {
		return g.client.PullRequests.ListReviews(ctx, g.owner, g.name, number, opt)
	})
	if err != nil {
		return nil, err
	}
	var out []Review
	for _, r := range all {
		out = append(out, Review{Account: account(r.GetUser()), State: strings.ToUpper(r.GetState()), Commit: r.GetCommitID()})
	}
	return out, nil
}

func account(u *github.User) Account {
	return Account{Login: u.GetLogin(), Human: u.GetType() == "User" && !strings.HasSuffix(u.GetLogin(), "[bot]")}
}

// MayWrite reports whether somebody may push to the repository: write, maintain
// or admin, from whatever source. Somebody unknown may not.
func (g *GitHub) MayWrite(ctx context.Context, login string) (bool, error) {
	var level *github.RepositoryPermissionLevel
	err := g.call(ctx, "permission of "+login, func() (resp *github.Response, err error) {
		level, resp, err = g.client.Repositories.GetPermissionLevel(ctx, g.owner, g.name, login)
		return resp, err
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// GitHub says "write" of a maintainer, and the role that a custom one builds on.
	switch level.GetPermission() {
	case "admin", "maintain", "write":
		return strings.EqualFold(level.GetUser().GetLogin(), login), nil
	}
	return false, nil
}

// ReadFile reads a file as it stands on a branch or at a commit; [ErrNotFound] if
// there is none.
func (g *GitHub) ReadFile(ctx context.Context, ref, path string) ([]byte, error) {
	doing := fmt.Sprintf("read %s of %s", path, ref)
	var file *github.RepositoryContent
	err := g.call(ctx, doing, func() (resp *github.Response, err error) {
		file, _, resp, err = g.client.Repositories.GetContents(ctx, g.owner, g.name, path, &github.RepositoryContentGetOptions{Ref: ref})
		return resp, err
	})
	if err != nil {
		return nil, err
	}
	// A directory or a submodule has no content; neither has a file over 1 MB.
	if file == nil || file.GetType() != "file" || file.GetEncoding() != "base64" {
		return nil, fmt.Errorf("%s: it is no file of up to 1 MB", doing)
	}
	text, err := file.GetContent()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return []byte(text), nil
}

// A Status is a mark on a commit. The same name again replaces the mark.
type Status struct {
	Name  string
	State string // pending, success, failure or error
	Text  string // a sentence; cut to what GitHub takes
	URL   string // where more stands; may be empty
}

// mostStatus is how many characters of text a status has.
const mostStatus = 140

// SetStatus marks a commit. [ErrForbidden] says that the token cannot, as that
// of a pull request from a fork.
func (g *GitHub) SetStatus(ctx context.Context, commit string, s Status) error {
	if r := []rune(s.Text); len(r) > mostStatus {
		s.Text = string(r[:mostStatus-1]) + "…"
	}
	in := &github.RepoStatus{Context: &s.Name, State: &s.State, Description: &s.Text}
	if s.URL != "" {
		in.TargetURL = &s.URL
	}
	return g.call(ctx, fmt.Sprintf("set status %s of %.10s", s.Name, commit), func() (*github.Response, error) {
		_, resp, err := g.client.Repositories.CreateStatus(ctx, g.owner, g.name, commit, in)
		if err == nil && resp.StatusCode != http.StatusCreated {
			err = fmt.Errorf("GitHub answered %s", resp.Status)
		}
		return resp, err
	})
}
