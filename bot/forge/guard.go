package forge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/go-github/v62/github"
)

// A Guard is what GitHub enforces on a branch, by rulesets and by the older branch
// protection together, as far as the token is shown it.
type Guard struct {
	Approvals  int  // that a pull request needs; changes without one are refused if it is more than 0
	Owners     bool // one of them by an owner of the code (CODEOWNERS)
	Stale      bool // approvals end, or another one is needed, when something is pushed after them
	NoForce    bool // history cannot be replaced
	NoDeletion bool
	Linear     bool
	// Blocks are rules that keep a plain push away, by GitHub's names, such as
	// pull_request or update.
	Blocks []string
	// Bypass is where the token may pass by what is above; such rules are not counted
	// there. "An admin" is one that branch protection does not hold for.
	Bypass []string
	// Hidden is what the token is not shown. What is enforced by it is not counted.
	Hidden []string
}

// Rights are what the token may do with the repository.
type Rights struct {
	Known bool // GitHub says so; else nothing is known
	Push  bool
	Admin bool
}

// Name is owner/name of the repository.
func (g *GitHub) Name() string { return g.owner + "/" + g.name }

// Rights asks what the token may do.
func (g *GitHub) Rights(ctx context.Context) (Rights, error) {
	var r *github.Repository
	err := g.call(ctx, "look at "+g.Name(), func() (resp *github.Response, err error) {
		r, resp, err = g.client.Repositories.Get(ctx, g.owner, g.name)
		return resp, err
	})
	if err != nil {
		return Rights{}, err
	}
	return Rights{Known: r.Permissions != nil, Push: r.Permissions["push"], Admin: r.Permissions["admin"]}, nil
}

// Guard asks what holds for pushes to a branch.
func (g *GitHub) Guard(ctx context.Context, branch string) (Guard, error) {
	var out Guard
	rules, err := g.branchRules(ctx, branch)
	switch {
	case errors.Is(err, ErrNotFound) || errors.Is(err, ErrForbidden): // the plan or the server has none, or the token sees none
		out.Hidden = append(out.Hidden, "the rulesets of "+branch)
	case err != nil:
		return out, err
	}
	passes := map[int64]bool{}
	for _, r := range rules {
		pass, asked := passes[r.Ruleset]
		if !asked {
			if pass, err = g.passes(ctx, r.Ruleset, &out); err != nil {
				return out, err
			}
			passes[r.Ruleset] = pass
		}
		if !pass {
			out.count(r)
		}
	}
	if err := g.classic(ctx, branch, &out); err != nil {
		return out, err
	}
	slices.Sort(out.Blocks)
	out.Blocks = slices.Compact(out.Blocks)
	return out, nil
}

// branchRule is a rule that is in force on a branch. The library's own type cannot
// read kinds of rules that came after it, and then reads none.
type branchRule struct {
	Type       string          `json:"type"`
	Ruleset    int64           `json:"ruleset_id"`
	Parameters json.RawMessage `json:"parameters"`
}

func (g *GitHub) branchRules(ctx context.Context, branch string) ([]branchRule, error) {
	return pages(ctx, g, "rules of "+branch, func(o *github.ListOptions) ([]branchRule, *github.Response, error) {
		var page []branchRule
		resp, err := g.get(ctx, fmt.Sprintf("repos/%s/%s/rules/branches/%s?per_page=%d&page=%d", g.owner, g.name, url.PathEscape(branch), o.PerPage, max(o.Page, 1)), &page)
		return page, resp, err
	})
}

func (g *GitHub) get(ctx context.Context, path string, into any) (*github.Response, error) {
	req, err := g.client.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return g.client.Do(ctx, req, into)
}

// passes reports whether the token may bypass a ruleset.
func (g *GitHub) passes(ctx context.Context, id int64, out *Guard) (bool, error) {
	var set struct {
		Name   string `json:"name"`
		Bypass string `json:"current_user_can_bypass"` // always, pull_requests_only, exempt, never
	}
	err := g.call(ctx, fmt.Sprintf("ruleset %d", id), func() (*github.Response, error) {
		return g.get(ctx, fmt.Sprintf("repos/%s/%s/rulesets/%d?includes_parents=true", g.owner, g.name, id), &set)
	})
	switch {
	case errors.Is(err, ErrNotFound) || errors.Is(err, ErrForbidden):
		out.Hidden = append(out.Hidden, fmt.Sprintf("who may bypass ruleset %d", id))
		return false, nil
	case err != nil:
		return false, err
	case set.Bypass == "never":
		return false, nil
	case set.Bypass == "":
		out.Hidden = append(out.Hidden, fmt.Sprintf("who may bypass the ruleset %q", set.Name))
		return false, nil
	}
	// Who may bypass it in pull requests can merge without an approval.
	out.Bypass = append(out.Bypass, fmt.Sprintf("the ruleset %q (%s)", set.Name, set.Bypass))
	return true, nil
}

// count adds what a rule enforces.
func (g *Guard) count(r branchRule) {
	switch r.Type {
	case "non_fast_forward":
		g.NoForce = true
	case "deletion":
		g.NoDeletion = true
	case "required_linear_history":
		g.Linear = true
	case "pull_request":
		var p struct {
			Approvals int  `json:"required_approving_review_count"`
			Owners    bool `json:"require_code_owner_review"`
			Dismiss   bool `json:"dismiss_stale_reviews_on_push"`
			Last      bool `json:"require_last_push_approval"`
		}
		_ = json.Unmarshal(r.Parameters, &p) // what cannot be read demands nothing
		g.review(p.Approvals, p.Owners, p.Dismiss || p.Last)
	case "update", "merge_queue", "required_status_checks", "required_deployments", "required_signatures", "workflows":
		g.Blocks = append(g.Blocks, r.Type)
	}
}

func (g *Guard) review(approvals int, owners, stale bool) {
	g.Approvals = max(g.Approvals, approvals)
	g.Owners, g.Stale = g.Owners || owners, g.Stale || stale
	g.Blocks = append(g.Blocks, "pull_request")
}

// classic adds the branch protection, which only admins are shown.
func (g *GitHub) classic(ctx context.Context, branch string, out *Guard) error {
	var b struct {
		Protection struct {
			Enabled bool `json:"enabled"`
		} `json:"protection"`
	}
	at := fmt.Sprintf("repos/%s/%s/branches/%s", g.owner, g.name, url.PathEscape(branch))
	err := g.call(ctx, "branch "+branch, func() (*github.Response, error) { return g.get(ctx, at, &b) })
	if errors.Is(err, ErrNotFound) || err == nil && !b.Protection.Enabled {
		return nil // no such branch yet, or nothing of that kind
	}
	if err != nil {
		return err
	}
	var p github.Protection
	err = g.call(ctx, "protection of "+branch, func() (*github.Response, error) { return g.get(ctx, at+"/protection", &p) })
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrForbidden) {
		out.Hidden = append(out.Hidden, "the branch protection of "+branch)
		return nil
	}
	if err != nil {
		return err
	}
	// Only an admin is shown this, and only with enforce_admins it holds for one.
	if p.EnforceAdmins == nil || !p.EnforceAdmins.Enabled {
		out.Bypass = append(out.Bypass, "the branch protection (an admin)")
		return nil
	}
	out.protect(&p)
	return nil
}

func (g *Guard) protect(p *github.Protection) {
	if r := p.RequiredPullRequestReviews; r != nil {
		if b := r.BypassPullRequestAllowances; b != nil && len(b.Users)+len(b.Teams)+len(b.Apps) > 0 {
			g.Hidden = append(g.Hidden, "whether the token is among those who may bypass pull requests")
		}
		g.review(r.RequiredApprovingReviewCount, r.RequireCodeOwnerReviews, r.DismissStaleReviews || r.RequireLastPushApproval)
	}
	g.NoForce = g.NoForce || p.AllowForcePushes == nil || !p.AllowForcePushes.Enabled
	g.NoDeletion = g.NoDeletion || p.AllowDeletions == nil || !p.AllowDeletions.Enabled
	g.Linear = g.Linear || p.RequireLinearHistory != nil && p.RequireLinearHistory.Enabled
	if p.RequiredStatusChecks != nil {
		g.Blocks = append(g.Blocks, "required_status_checks")
	}
	if p.Restrictions != nil {
		g.Blocks = append(g.Blocks, "restrictions")
	}
	if p.RequiredSignatures.GetEnabled() {
		g.Blocks = append(g.Blocks, "required_signatures")
	}
	if p.LockBranch.GetEnabled() {
		g.Blocks = append(g.Blocks, "lock_branch")
	}
}
