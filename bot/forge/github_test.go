package forge_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"countersign/bot/forge"

	"github.com/google/go-cmp/cmp"
)

const sha = "6dcb09b5b57875f334f61aebed695e2e4193db5e"

// fake answers in the shapes of GitHub's REST documentation, and nothing else.
func fake(t *testing.T, pulls []map[string]any) *forge.GitHub {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(pattern string, body any) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer ghs_test" {
				http.Error(w, `{"message":"Bad credentials"}`, http.StatusUnauthorized)
				return
			}
			if err := json.NewEncoder(w).Encode(body); err != nil {
				t.Error(err)
			}
		})
	}
	review := func(who, state string) map[string]any {
		return map[string]any{"user": map[string]any{"login": who}, "state": state}
	}
	answer("/repos/acme/access/commits/"+sha+"/pulls", pulls)
	answer("/repos/acme/access/pulls/12", map[string]any{
		"number": 12, "html_url": "https://github.com/acme/access/pull/12",
		"user": map[string]any{"login": "dan"}, "merged_by": map[string]any{"login": "bob"},
	})
	answer("/repos/acme/access/pulls/12/reviews", []map[string]any{
		review("bob", "APPROVED"), review("carol", "APPROVED"), review("erin", "CHANGES_REQUESTED"),
		review("carol", "DISMISSED"), review("erin", "APPROVED"), review("bob", "COMMENTED"),
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	g, err := forge.NewGitHub(forge.Config{Remote: "git@github.com:acme/access.git", Token: "ghs_test", APIURL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestPullRequest(t *testing.T) {
	g := fake(t, []map[string]any{{"number": 9, "merged_at": nil}, {"number": 12, "merged_at": "2026-11-20T10:00:00Z"}})
	got, err := g.PullRequest(t.Context(), sha)
	if err != nil {
		t.Fatal(err)
	}
	want := &forge.PullRequest{
		Number: 12, URL: "https://github.com/acme/access/pull/12", Proposer: "dan", Merger: "bob", Approvers: []string{"bob", "erin"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutPullRequest(t *testing.T) {
	got, err := fake(t, []map[string]any{{"number": 9, "merged_at": nil}}).PullRequest(t.Context(), sha)
	if got != nil || err != nil {
		t.Errorf("got %v, %v; an open pull request has brought nothing", got, err)
	}
}

func TestRemotes(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://github.com/acme/access.git":          true,
		"https://github.com/acme/access":              true,
		"https://x-token@github.com/acme/access":      true,
		"git@github.com:acme/access.git":              true,
		"ssh://git@github.com:22/acme/access.git":     true,
		"https://gitlab.com/acme/access.git":          false,
		"https://github.com.evil.example/acme/access": false,
		"https://evil.example/github.com/acme/access": false,
		"/srv/git/access.git":                         false,
		"http://github.com/acme/access":               false,
		"":                                            false,
	} {
		_, err := forge.NewGitHub(forge.Config{Remote: address, Token: "t"})
		if ok != (err == nil) || err != nil && !errors.Is(err, forge.ErrElsewhere) {
			t.Errorf("%q: got %v, want ok=%t", address, err, ok)
		}
	}
	if _, err := forge.NewGitHub(forge.Config{Remote: "https://github.com/a/b", Token: "t", APIURL: "http://example.com"}); err == nil {
		t.Error("a token would be sent over plain http")
	}
}
