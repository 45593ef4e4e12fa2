package forge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"countersign/bot/forge"

	"github.com/google/go-cmp/cmp"
)

// fort is a repository whose rulesets can be set, as GitHub's REST documentation has
// it: which keys a ruleset has, what each rule's parameters must hold, and what
// GitHub adds when it is read. Anything else fails the test.
type fort struct {
	t        *testing.T
	branches []string
	sets     []object // as they were sent, with their ids
	theirs   []object // of other names, and of the organization
	refuse   int      // status of every change, if not 0
	writes   []string
}

func (f *fort) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	status, body := f.answer(r, strings.TrimPrefix(r.URL.Path, "/repos/acme/access/"))
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		f.t.Error(err)
	}
}

func (f *fort) answer(r *http.Request, path string) (int, any) {
	if r.Method != http.MethodGet {
		f.writes = append(f.writes, r.Method+" "+path)
		if f.refuse != 0 {
			return f.refuse, object{"message": "Upgrade to GitHub Pro or make this repository public to enable this feature."}
		}
	}
	switch branch, ref := strings.CutPrefix(path, "git/ref/heads/"); {
	case ref && slices.Contains(f.branches, branch):
		return 200, object{"ref": "refs/heads/" + branch, "object": object{"sha": sha}}
	case ref:
		return 404, object{"message": "Not Found"}
	case r.Method == http.MethodGet && path == "rulesets":
		if q := r.URL.Query(); q.Get("includes_parents") != "false" || q.Get("per_page") != "100" {
			f.t.Errorf("the rulesets were asked for with %s", r.URL.RawQuery)
		}
		var list []object
		for _, s := range slices.Concat(f.theirs, f.sets) {
			list = append(list, object{"id": s["id"], "name": s["name"], "target": "branch", "enforcement": s["enforcement"], "source_type": "Repository", "source": "acme/access"})
		}
		return 200, list
	case r.Method == http.MethodPost && path == "rulesets":
		s := f.read(r)
		s["id"] = float64(100 + len(f.sets))
		f.sets = append(f.sets, s)
		return 201, f.shown(s)
	}
	i := slices.IndexFunc(f.sets, func(s object) bool { return path == fmt.Sprintf("rulesets/%v", s["id"]) })
	switch {
	case i >= 0 && r.Method == http.MethodGet:
		return 200, f.shown(f.sets[i])
	case i >= 0 && r.Method == http.MethodPut:
		id := f.sets[i]["id"]
		f.sets[i] = f.read(r)
		f.sets[i]["id"] = id
		return 200, f.shown(f.sets[i])
	}
	f.t.Errorf("unexpected call: %s %s", r.Method, r.URL)
	return 404, object{"message": "Not Found"}
}

// needed are the parameters that each kind of rule must have.
var needed = map[string][]string{
	"deletion": nil, "non_fast_forward": nil, "required_linear_history": nil,
	"pull_request":           {"dismiss_stale_reviews_on_push", "require_code_owner_review", "require_last_push_approval", "required_approving_review_count", "required_review_thread_resolution"},
	"required_status_checks": {"required_status_checks", "strict_required_status_checks_policy"},
}

func (f *fort) read(r *http.Request) object {
	var s object
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		f.t.Fatal(err)
	}
	if got, want := keys(s), []string{"bypass_actors", "conditions", "enforcement", "name", "rules", "target"}; !slices.Equal(got, want) {
		f.t.Errorf("a ruleset was sent with %v", got)
	}
	for _, x := range s["rules"].([]any) {
		rule := x.(object)
		want, known := needed[rule["type"].(string)]
		parameters, _ := rule["parameters"].(object)
		if !known || !slices.Equal(keys(parameters), want) {
			f.t.Errorf("a rule was sent: %v", rule)
		}
	}
	return s
}

func keys(m object) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// shown is a ruleset as GitHub shows it, with what it adds.
func (f *fort) shown(s object) object {
	raw, _ := json.Marshal(s)
	var out object
	if err := json.Unmarshal(raw, &out); err != nil {
		f.t.Fatal(err)
	}
	out["source_type"], out["source"], out["node_id"], out["current_user_can_bypass"] = "Repository", "acme/access", "RRS_1", "never"
	rules := []any{object{"type": "invented_next_year"}}
	for _, x := range out["rules"].([]any) {
		rule := x.(object)
		switch p, _ := rule["parameters"].(object); rule["type"] {
		case "pull_request":
			p["allowed_merge_methods"], p["automatic_copilot_code_review_enabled"] = []string{"merge", "squash", "rebase"}, false
		case "required_status_checks":
			p["do_not_enforce_on_create"] = false
		}
		rules = append(rules, rule)
	}
	out["rules"] = rules
	return out
}

func (f *fort) protect(p forge.Protection) ([]string, error) {
	f.t.Helper()
	srv := httptest.NewServer(f)
	defer srv.Close()
	g, err := forge.NewGitHub(forge.Config{Remote: "https://github.com/acme/access", Token: "t", APIURL: srv.URL})
	if err != nil {
		f.t.Fatal(err)
	}
	return g.Protect(f.t.Context(), p)
}

var protection = forge.Protection{Log: "audit", Rules: "main", Status: "countersign/review"}

func newFort(t *testing.T) *fort {
	return &fort{t: t, branches: []string{"main", "audit"}, theirs: []object{{"id": 7.0, "name": "of the house", "enforcement": "active"}}}
}

// TestProtect: both branches are protected, without anybody who might pass by; again
// it finds all as it should be, and writes nothing.
func TestProtect(t *testing.T) {
	f := newFort(t)
	did, err := f.protect(protection)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"made countersign log, for refs/heads/audit", "made countersign rules, for refs/heads/main"}
	if diff := cmp.Diff(want, did); diff != "" {
		t.Error(diff)
	}
	only := func(branch string) object {
		return object{"ref_name": object{"include": []any{"refs/heads/" + branch}, "exclude": []any{}}}
	}
	sets := []object{
		{
			"id": 100.0, "name": "countersign log", "target": "branch", "enforcement": "active", "bypass_actors": []any{}, "conditions": only("audit"),
			"rules": []any{object{"type": "deletion"}, object{"type": "non_fast_forward"}, object{"type": "required_linear_history"}},
		},
		{
			"id": 101.0, "name": "countersign rules", "target": "branch", "enforcement": "active", "bypass_actors": []any{}, "conditions": only("main"),
			"rules": []any{
				object{"type": "deletion"}, object{"type": "non_fast_forward"},
				object{"type": "pull_request", "parameters": object{
					"required_approving_review_count": 1.0, "require_code_owner_review": true, "dismiss_stale_reviews_on_push": true,
					"require_last_push_approval": true, "required_review_thread_resolution": false,
				}},
				object{"type": "required_status_checks", "parameters": object{
					"strict_required_status_checks_policy": false, "required_status_checks": []any{object{"context": "countersign/review"}},
				}},
			},
		},
	}
	if diff := cmp.Diff(sets, f.sets); diff != "" {
		t.Error(diff)
	}
	f.writes = nil
	did, err = f.protect(protection)
	if err != nil || len(f.writes) > 0 || !strings.HasPrefix(strings.Join(did, "\n"), "found countersign log") {
		t.Errorf("again: %v, %v, %v", did, err, f.writes)
	}
}

// TestProtectMends: whatever somebody has loosened is tightened again.
func TestProtectMends(t *testing.T) {
	for name, loosen := range map[string]func(log, rules object){
		"a bypasser": func(_, rules object) {
			rules["bypass_actors"] = []any{object{"actor_id": 5.0, "actor_type": "Integration", "bypass_mode": "always"}}
		},
		"switched off": func(_, rules object) { rules["enforcement"] = "disabled" },
		"another branch": func(_, rules object) {
			rules["conditions"].(object)["ref_name"].(object)["include"] = []any{"refs/heads/x"}
		},
		"an exception": func(_, rules object) {
			rules["conditions"].(object)["ref_name"].(object)["exclude"] = []any{"refs/heads/main"}
		},
		"no review": func(_, rules object) {
			rules["rules"].([]any)[2].(object)["parameters"].(object)["required_approving_review_count"] = 0.0
		},
		"no status": func(_, rules object) { rules["rules"] = rules["rules"].([]any)[:3] },
		"force":     func(log, _ object) { log["rules"] = log["rules"].([]any)[2:] },
	} {
		f := newFort(t)
		if _, err := f.protect(protection); err != nil {
			t.Fatal(err)
		}
		before, _ := json.Marshal(f.sets)
		loosen(f.sets[0], f.sets[1])
		did, err := f.protect(protection)
		after, _ := json.Marshal(f.sets)
		if err != nil || !strings.Contains(strings.Join(did, "\n"), "changed countersign") || string(before) != string(after) {
			t.Errorf("%s: %v, %v:\n%s", name, did, err, after)
		}
	}
}

// TestProtectRefused: a branch that is not there yet is not protected, nor is the
// other; what GitHub refuses is told.
func TestProtectRefused(t *testing.T) {
	f := newFort(t)
	f.branches = []string{"main"}
	if _, err := f.protect(protection); !errors.Is(err, forge.ErrNoBranch) || len(f.writes) > 0 {
		t.Errorf("got %v, and %v was written", err, f.writes)
	}
	f = newFort(t)
	f.refuse = 403
	if did, err := f.protect(protection); !errors.Is(err, forge.ErrForbidden) || len(did) > 0 || !strings.Contains(err.Error(), "Upgrade to GitHub Pro") {
		t.Errorf("got %v, %v", did, err)
	}
}
