package forge

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-github/v62/github"
)

// Teams tells who is in teams. It is safe for concurrent use.
type Teams struct{ client *github.Client }

// NewTeams returns the teams of the GitHub that a token is for. Remote is not
// used. It makes no call.
func NewTeams(c Config) (*Teams, error) {
	client, err := newClient(c)
	if err != nil {
		return nil, err
	}
	return &Teams{client}, nil
}

// Members are the logins of all who are in a team, such as "acme/dba", those of
// its child teams included, as GitHub counts them. Somebody who was invited and
// has not accepted is not among them.
func (t *Teams) Members(ctx context.Context, team string) ([]string, error) {
	org, slug, ok := strings.Cut(team, "/")
	// A slug of dots alone would change the path, and name another list of people.
	if !ok || org == "" || strings.Trim(slug, ".") == "" || strings.Contains(slug, "/") {
		return nil, fmt.Errorf("team %q: want org/team", team)
	}
	var logins []string
	opt := &github.TeamListTeamMembersOptions{ListOptions: github.ListOptions{PerPage: 100}}
	for {
		page, resp, err := t.client.Teams.ListTeamMembersBySlug(ctx, org, slug, opt)
		if err != nil {
			return nil, fmt.Errorf("members of %s: %w", team, err)
		}
		for _, u := range page {
			logins = append(logins, u.GetLogin())
		}
		if resp.NextPage == 0 {
			return logins, nil
		}
		opt.Page = resp.NextPage
	}
}
