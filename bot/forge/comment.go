package forge

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-github/v62/github"
)

// A Note is the one comment that is kept on a pull request. It is found again by
// its mark, the first line, and by who wrote it: anybody could write the mark.
type Note struct {
	Mark   string // an HTML comment, which nobody sees
	Author string // login of who writes here; "github-actions[bot]" for a workflow's token
	Body   string // Markdown after the mark
	Update bool   // only change a comment that is there
}

// MostNote is how many bytes the body of a note may have. GitHub takes 65,536
// characters in all.
const MostNote = 60_000

// Comment writes a note or brings the one that is there up to date, and returns
// its address; empty where there was none to update. Of several, as two runs at
// once leave them, the oldest stays. [ErrForbidden] says that the token cannot
// comment. A crash after the writing leaves a note that the next call finds.
func (g *GitHub) Comment(ctx context.Context, number int, n Note) (url string, err error) {
	if len(n.Body) > MostNote {
		return "", fmt.Errorf("comment on #%d: %d bytes are too many", number, len(n.Body))
	}
	if !strings.HasPrefix(n.Mark, "<!--") || !strings.HasSuffix(n.Mark, "-->") {
		return "", fmt.Errorf("comment on #%d: the mark %q can be seen", number, n.Mark)
	}
	all, err := pages(ctx, g, fmt.Sprintf("comments on #%d", number), func(opt *github.ListOptions) ([]*github.IssueComment, *github.Response, error) {
		return g.client.Issues.ListComments(ctx, g.owner, g.name, number, &github.IssueListCommentsOptions{ListOptions: *opt})
	})
	if err != nil {
		return "", err
	}
	mine := slices.DeleteFunc(all, func(c *github.IssueComment) bool {
		return !strings.EqualFold(c.GetUser().GetLogin(), n.Author) || !strings.HasPrefix(c.GetBody(), n.Mark)
	})
	body := n.Mark + "\n" + n.Body
	if len(mine) == 0 {
		if n.Update {
			return "", nil
		}
		return g.newComment(ctx, number, n.Author, body)
	}
	for _, c := range mine[1:] {
		if err := g.removeComment(ctx, c.GetID()); err != nil {
			return "", err
		}
	}
	return mine[0].GetHTMLURL(), g.editComment(ctx, mine[0], body)
}

func (g *GitHub) newComment(ctx context.Context, number int, author, body string) (string, error) {
	var made *github.IssueComment
	err := g.call(ctx, fmt.Sprintf("comment on #%d", number), func() (resp *github.Response, err error) {
		made, resp, err = g.client.Issues.CreateComment(ctx, g.owner, g.name, number, &github.IssueComment{Body: &body})
		return resp, err
	})
	if err != nil {
		return "", err
	}
	if who := made.GetUser().GetLogin(); !strings.EqualFold(who, author) {
		return made.GetHTMLURL(), fmt.Errorf("comment on #%d: it was written by %s, not by %s: it would not be found again", number, who, author)
	}
	return made.GetHTMLURL(), nil
}

func (g *GitHub) editComment(ctx context.Context, c *github.IssueComment, body string) error {
	if c.GetBody() == body {
		return nil
	}
	return g.call(ctx, fmt.Sprintf("change comment %d", c.GetID()), func() (*github.Response, error) {
		_, resp, err := g.client.Issues.EditComment(ctx, g.owner, g.name, c.GetID(), &github.IssueComment{Body: &body})
		return resp, err
	})
}

// removeComment counts a comment that is gone already as removed.
func (g *GitHub) removeComment(ctx context.Context, id int64) error {
	return g.call(ctx, fmt.Sprintf("remove comment %d", id), func() (*github.Response, error) {
		resp, err := g.client.Issues.DeleteComment(ctx, g.owner, g.name, id)
		if resp != nil && resp.StatusCode == http.StatusNotFound {
			return resp, nil
		}
		return resp, err
	})
}
