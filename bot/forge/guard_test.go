package forge_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"countersign/bot/forge"

	"github.com/google/go-cmp/cmp"
)

// protected is a GitHub with one repository, as its REST documentation has it. What
// is not there is answered with 404, and anything but reading fails the test.
type protected struct {
	permissions map[string]any
	rules       []map[string]any // active ones on main
	rulesets    map[string]any   // by id; an id that is missing is not shown
	protection  any              // of main; a string is an error's message
}

func (p protected) serve(t *testing.T) *forge.GitHub {
	t.Helper()
	reply := func(w http.ResponseWriter, status int, body any) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(err)
		}
	}
	gone := map[string]any{"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer ghs_test" {
			reply(w, http.StatusUnauthorized, map[string]any{"message": "Bad credentials"})
			return
		}
		if r.Method != http.MethodGet || !strings.HasPrefix(r.Header.Get("Accept"), "application/vnd.github") || r.ContentLength > 0 {
			t.Errorf("%s %s with Accept %q", r.Method, r.URL, r.Header.Get("Accept"))
		}
		path, found := strings.CutPrefix(r.URL.Path, "/repos/acme/access")
		switch id, ruleset := strings.CutPrefix(path, "/rulesets/"); {
		case !found:
			reply(w, http.StatusNotFound, gone)
		case path == "":
			reply(w, http.StatusOK, map[string]any{"id": 1, "name": "access", "full_name": "acme/access", "permissions": p.permissions})
		case path == "/rules/branches/main":
			page := r.URL.Query().Get("page")
			if r.URL.Query().Get("per_page") != "100" {
				t.Errorf("pages of %q", r.URL.Query().Get("per_page"))
			}
			at := 0
			if page == "2" {
				at = 1
			} else if len(p.rules) > 1 { // one rule a page
				w.Header().Set("Link", fmt.Sprintf(`<%s?page=2>; rel="next"`, r.URL.Path))
			}
			reply(w, http.StatusOK, p.rules[min(at, len(p.rules)):min(max(at*9, 1), len(p.rules))])
		case ruleset && r.URL.Query().Get("includes_parents") == "true" && p.rulesets[id] != nil:
			reply(w, http.StatusOK, p.rulesets[id])
		case path == "/branches/main":
			reply(w, http.StatusOK, map[string]any{"name": "main", "protected": p.protection != nil, "protection": map[string]any{"enabled": p.protection != nil}})
		case path == "/branches/main/protection":
			if message, ok := p.protection.(string); ok {
				reply(w, http.StatusForbidden, map[string]any{"message": message})
				return
			}
			reply(w, http.StatusOK, p.protection)
		default:
			reply(w, http.StatusNotFound, gone)
		}
	}))
	t.Cleanup(srv.Close)
	g, err := forge.NewGitHub(forge.Config{Remote: "https://github.com/acme/access.git", Token: "ghs_test", APIURL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

type object = map[string]any

func branchRule(id int, kind string, parameters object) object {
	r := object{"type": kind, "ruleset_source_type": "Repository", "ruleset_source": "acme/access", "ruleset_id": id}
	if parameters != nil {
		r["parameters"] = parameters
	}
	return r
}

func ruleset(name, bypass string) object {
	return object{"id": 7, "name": name, "target": "branch", "source_type": "Repository", "source": "acme/access", "enforcement": "active", "current_user_can_bypass": bypass}
}

func TestGuard(t *testing.T) {
	reviewed := branchRule(7, "pull_request", object{
		"required_approving_review_count": 1, "require_code_owner_review": true, "dismiss_stale_reviews_on_push": false,
		"require_last_push_approval": true, "required_review_thread_resolution": false, "allowed_merge_methods": []string{"squash"},
	})
	on, off := object{"enabled": true}, object{"enabled": false}
	for name, c := range map[string]struct {
		at   protected
		want forge.Guard
	}{
		"nothing": {protected{}, forge.Guard{}},
		"rulesets": {
			protected{
				rules: []object{
					reviewed, branchRule(7, "non_fast_forward", nil), branchRule(7, "deletion", nil), branchRule(8, "required_linear_history", nil),
					branchRule(8, "a_kind_of_next_year", object{"x": 1}), branchRule(8, "update", object{"update_allows_fetch_and_merge": false}),
				},
				rulesets: object{"7": ruleset("main", "never"), "8": ruleset("all", "never")},
			},
			forge.Guard{Approvals: 1, Owners: true, Stale: true, NoForce: true, NoDeletion: true, Linear: true, Blocks: []string{"pull_request", "update"}},
		},
		"one that the token may bypass": {
			protected{rules: []object{reviewed, branchRule(8, "deletion", nil)}, rulesets: object{"7": ruleset("main", "always"), "8": ruleset("all", "never")}},
			forge.Guard{NoDeletion: true, Bypass: []string{`the ruleset "main" (always)`}},
		},
		"in pull requests only": {
			protected{rules: []object{reviewed}, rulesets: object{"7": ruleset("main", "pull_requests_only")}},
			forge.Guard{Bypass: []string{`the ruleset "main" (pull_requests_only)`}},
		},
		"who may bypass is not shown": {
			protected{rules: []object{reviewed}},
			forge.Guard{Approvals: 1, Owners: true, Stale: true, Blocks: []string{"pull_request"}, Hidden: []string{"who may bypass ruleset 7"}},
		},
		"branch protection": {
			protected{protection: object{
				"required_pull_request_reviews": object{"required_approving_review_count": 2, "dismiss_stale_reviews": true},
				"enforce_admins":                on, "allow_force_pushes": off, "allow_deletions": on, "required_linear_history": on,
			}},
			forge.Guard{Approvals: 2, Stale: true, NoForce: true, Linear: true, Blocks: []string{"pull_request"}},
		},
		"branch protection, not for admins": {
			protected{protection: object{"required_pull_request_reviews": object{"required_approving_review_count": 2}, "enforce_admins": off}},
			forge.Guard{Bypass: []string{"the branch protection (an admin)"}},
		},
		"branch protection that is not shown": {
			protected{protection: "Resource not accessible by integration"},
			forge.Guard{Hidden: []string{"the branch protection of main"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.at.serve(t).Guard(t.Context(), "main")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRights(t *testing.T) {
	for name, c := range map[string]struct {
		permissions object
		want        forge.Rights
	}{
		"may push":  {object{"admin": false, "maintain": false, "push": true, "triage": true, "pull": true}, forge.Rights{Known: true, Push: true}},
		"may read":  {object{"admin": false, "push": false, "pull": true}, forge.Rights{Known: true}},
		"not shown": {nil, forge.Rights{}},
	} {
		got, err := protected{permissions: c.permissions}.serve(t).Rights(t.Context())
		if got != c.want || err != nil {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}
