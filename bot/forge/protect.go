package forge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/google/go-github/v62/github"
)

// Protection says which branches of the repository are protected, and how. Nobody
// may pass by, whoever they are: the lists of bypassers are empty.
type Protection struct {
	Log   string // branch of the log: only ever added to, straight, never deleted
	Rules string // branch of the configuration: changed by reviewed pull requests only

	// Status must have passed before a change of the rules is merged; empty: none.
	Status string
}

// ErrNoBranch says that a branch to protect is not there yet: one that is protected
// first could not be pushed.
var ErrNoBranch = errors.New("no such branch yet")

// The names by which our rulesets are found again.
const (
	logRuleset   = "countersign log"
	rulesRuleset = "countersign rules"
)

// ruleset is one of GitHub's. The library's own type cannot say that nobody may
// bypass (it leaves an empty list out, which on an update means: as before), and
// fails on rules that are younger than it.
type ruleset struct {
	ID          int64         `json:"id,omitempty"`
	Name        string        `json:"name"`
	Target      string        `json:"target"`
	Enforcement string        `json:"enforcement"`
	Bypass      []bypass      `json:"bypass_actors"`
	Conditions  conditions    `json:"conditions"`
	Rules       []rulesetRule `json:"rules"`
}

type bypass struct {
	ID   *int64 `json:"actor_id"`
	Type string `json:"actor_type"`
	Mode string `json:"bypass_mode"`
}

type conditions struct {
	Ref struct {
		Include []string `json:"include"`
		Exclude []string `json:"exclude"`
	} `json:"ref_name"`
}

type rulesetRule struct {
	Type       string         `json:"type"`
	Parameters map[string]any `json:"parameters,omitempty"`
}

func newRuleset(name, branch string, rules ...rulesetRule) ruleset {
	s := ruleset{Name: name, Target: "branch", Enforcement: "active", Bypass: []bypass{}, Rules: rules}
	s.Conditions.Ref.Include, s.Conditions.Ref.Exclude = []string{"refs/heads/" + branch}, []string{}
	return s
}

// rulesets are what a protection comes to.
func (p Protection) rulesets() []ruleset {
	keep := []rulesetRule{{Type: "deletion"}, {Type: "non_fast_forward"}}
	review := append(slices.Clone(keep), rulesetRule{"pull_request", map[string]any{
		"required_approving_review_count":   1,
		"require_code_owner_review":         true,
		"dismiss_stale_reviews_on_push":     true,
		"require_last_push_approval":        true,
		"required_review_thread_resolution": false,
	}})
	if p.Status != "" {
		review = append(review, rulesetRule{"required_status_checks", map[string]any{
			"strict_required_status_checks_policy": false,
			"required_status_checks":               []any{map[string]any{"context": p.Status}},
		}})
	}
	return []ruleset{
		newRuleset(logRuleset, p.Log, append(keep, rulesetRule{Type: "required_linear_history"})...),
		newRuleset(rulesRuleset, p.Rules, review...),
	}
}

// Protect sets the rulesets of a protection and says, one line each, what it did:
// made, changed, or found as it should be. Rulesets of other names stay as they are;
// they can only add to it. A try that was cut short is finished by the next one.
func (g *GitHub) Protect(ctx context.Context, p Protection) (did []string, err error) {
	for _, branch := range []string{p.Log, p.Rules} {
		if err := g.branch(ctx, branch); err != nil {
			return nil, err
		}
	}
	have, err := g.ownRulesets(ctx)
	if err != nil {
		return nil, err
	}
	for _, want := range p.rulesets() {
		line, err := g.setRuleset(ctx, have[want.Name], want)
		if err != nil {
			return did, err
		}
		did = append(did, line)
	}
	return did, nil
}

func (g *GitHub) branch(ctx context.Context, name string) error {
	err := g.call(ctx, "look at branch "+name, func() (*github.Response, error) {
		_, resp, err := g.client.Git.GetRef(ctx, g.owner, g.name, "heads/"+name)
		return resp, err
	})
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%s/%s: branch %s: %w", g.owner, g.name, name, ErrNoBranch)
	}
	return err
}

// ownRulesets are the repository's own rulesets that bear a name of ours.
func (g *GitHub) ownRulesets(ctx context.Context) (map[string]int64, error) {
	all, err := pages(ctx, g, "list the rulesets", func(opt *github.ListOptions) ([]ruleset, *github.Response, error) {
		var page []ruleset
		resp, err := g.send(ctx, http.MethodGet, fmt.Sprintf("rulesets?includes_parents=false&per_page=%d&page=%d", opt.PerPage, max(opt.Page, 1)), nil, &page)
		return page, resp, err
	})
	ids := map[string]int64{}
	for _, s := range all {
		ids[s.Name] = s.ID
	}
	return ids, err
}

// setRuleset makes a ruleset, or brings the one that is there to what it should be.
func (g *GitHub) setRuleset(ctx context.Context, id int64, want ruleset) (string, error) {
	about := fmt.Sprintf("%s, for %s", want.Name, want.Conditions.Ref.Include[0])
	if id == 0 {
		err := g.call(ctx, "make the ruleset "+want.Name, func() (*github.Response, error) {
			return g.send(ctx, http.MethodPost, "rulesets", want, nil)
		})
		return "made " + about, err
	}
	path := fmt.Sprintf("rulesets/%d", id)
	var have ruleset
	err := g.call(ctx, "read the ruleset "+want.Name, func() (*github.Response, error) {
		return g.send(ctx, http.MethodGet, path, nil, &have)
	})
	if err != nil {
		return "", err
	}
	if have.covers(want) {
		return "found " + about, nil
	}
	err = g.call(ctx, "change the ruleset "+want.Name, func() (*github.Response, error) {
		return g.send(ctx, http.MethodPut, path, want, nil)
	})
	return "changed " + about, err
}

// covers reports whether a ruleset is as wanted. What GitHub adds by itself, to a
// rule or beside it, makes no difference.
func (s ruleset) covers(want ruleset) bool {
	if s.Target != want.Target || s.Enforcement != want.Enforcement || len(s.Bypass) > 0 || !reflect.DeepEqual(s.Conditions, want.Conditions) {
		return false
	}
	for _, w := range want.Rules {
		if !slices.ContainsFunc(s.Rules, func(r rulesetRule) bool { return r.Type == w.Type && contains(r.Parameters, w.Parameters) }) {
			return false
		}
	}
	return true
}

// contains reports whether JSON that was read has all that is wanted.
func contains(have, want map[string]any) bool {
	for k, v := range want {
		a, errA := json.Marshal(have[k])
		b, errB := json.Marshal(v)
		if errA != nil || errB != nil || string(a) != string(b) {
			return false
		}
	}
	return true
}

// send makes a call of the repository's API whose shapes the library does not have.
func (g *GitHub) send(ctx context.Context, method, path string, in, out any) (*github.Response, error) {
	req, err := g.client.NewRequest(method, fmt.Sprintf("repos/%s/%s/%s", g.owner, g.name, path), in)
	if err != nil {
		return nil, err
	}
	return g.client.Do(ctx, req, out)
}

// CodeOwnersProblems are what GitHub finds wrong with CODEOWNERS: a line that it
// cannot follow demands nobody's review. ErrNotFound says that there is no such file.
func (g *GitHub) CodeOwnersProblems(ctx context.Context) ([]string, error) {
	var found []string
	err := g.call(ctx, "check CODEOWNERS", func() (*github.Response, error) {
		errs, resp, err := g.client.Repositories.GetCodeownersErrors(ctx, g.owner, g.name, nil)
		if err != nil {
			return resp, err
		}
		for _, e := range errs.Errors {
			found = append(found, fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Kind))
		}
		return resp, nil
	})
	return found, err
}

// HasFile reports whether a branch has a file.
func (g *GitHub) HasFile(ctx context.Context, branch, path string) (bool, error) {
	err := g.call(ctx, "look for "+path, func() (*github.Response, error) {
		_, _, resp, err := g.client.Repositories.GetContents(ctx, g.owner, g.name, path, &github.RepositoryContentGetOptions{Ref: branch})
		return resp, err
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
