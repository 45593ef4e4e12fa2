package forge

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v62/github"
)

// A Change is a wish to change one file of the repository by a pull request.
type Change struct {
	Base    string // branch that it is for
	Path    string // of the file
	Branch  string // new branch for it
	Title   string // of the pull request, and the commit's subject
	Body    string // of the pull request
	Message string // of the commit, after the subject; trailers
	Edit    func(old []byte) ([]byte, error)
}

// Propose opens a pull request and returns its number and address. The same
// branch twice is the same wish: the open pull request of the first is returned.
// Nothing is ever pushed to the base.
func (g *GitHub) Propose(ctx context.Context, c Change) (number int, url string, err error) {
	base, _, err := g.client.Git.GetRef(ctx, g.owner, g.name, "heads/"+c.Base)
	if err != nil {
		return 0, "", fmt.Errorf("look at %s: %w", c.Base, err)
	}
	if number, url, ok, err := g.proposed(ctx, c.Branch); err != nil || ok {
		return number, url, err
	}
	head := base.GetObject().GetSHA()
	file, _, _, err := g.client.Repositories.GetContents(ctx, g.owner, g.name, c.Path, &github.RepositoryContentGetOptions{Ref: head})
	if err != nil {
		return 0, "", fmt.Errorf("read %s: %w", c.Path, err)
	}
	old, err := file.GetContent()
	if err != nil {
		return 0, "", fmt.Errorf("read %s: %w", c.Path, err)
	}
	changed, err := c.Edit([]byte(old))
	if err != nil {
		return 0, "", err
	}
	if string(changed) == old {
		return 0, "", ErrNothingToDo
	}
	ref := "refs/heads/" + c.Branch
	_, resp, err := g.client.Git.CreateRef(ctx, g.owner, g.name, &github.Reference{Ref: &ref, Object: &github.GitObject{SHA: &head}})
	// 422: the branch is there, from a try that was cut short.
	if err != nil && (resp == nil || resp.StatusCode != http.StatusUnprocessableEntity) {
		return 0, "", fmt.Errorf("make branch %s: %w", c.Branch, err)
	}
	message := c.Title + "\n\n" + c.Message
	_, _, err = g.client.Repositories.UpdateFile(ctx, g.owner, g.name, c.Path, &github.RepositoryContentFileOptions{
		Message: &message, Content: changed, SHA: file.SHA, Branch: &c.Branch,
	})
	if err != nil && !g.written(ctx, c, changed) {
		return 0, "", fmt.Errorf("change %s: %w", c.Path, err)
	}
	pull, _, err := g.client.PullRequests.Create(ctx, g.owner, g.name, &github.NewPullRequest{
		Title: &c.Title, Head: &c.Branch, Base: &c.Base, Body: &c.Body,
	})
	if err != nil {
		return 0, "", fmt.Errorf("open the pull request: %w", err)
	}
	return pull.GetNumber(), pull.GetHTMLURL(), nil
}

// proposed finds the open pull request of a branch.
func (g *GitHub) proposed(ctx context.Context, branch string) (int, string, bool, error) {
	found, _, err := g.client.PullRequests.List(ctx, g.owner, g.name, &github.PullRequestListOptions{Head: g.owner + ":" + branch})
	if err != nil {
		return 0, "", false, fmt.Errorf("look for the pull request: %w", err)
	}
	for _, p := range found {
		if strings.EqualFold(p.GetHead().GetRef(), branch) {
			return p.GetNumber(), p.GetHTMLURL(), true, nil
		}
	}
	return 0, "", false, nil
}

// written reports whether an earlier try has changed the file already.
func (g *GitHub) written(ctx context.Context, c Change, want []byte) bool {
	file, _, _, err := g.client.Repositories.GetContents(ctx, g.owner, g.name, c.Path, &github.RepositoryContentGetOptions{Ref: c.Branch})
	if err != nil || file == nil {
		return false
	}
	got, err := file.GetContent()
	return err == nil && got == string(want)
}
