package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// protectHub answers what --protect asks, for acme/access; what it is sent as
// rulesets is kept. A missing answer is a 404, as GitHub gives it.
func protectHub(t *testing.T, answers map[string]any) (url string, sent *[]string) {
	t.Helper()
	sent = &[]string{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/repos/acme/access/")
		if r.Header.Get("Authorization") != "Bearer ghs_admin" {
			t.Errorf("%s without the token", call)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if r.Method == http.MethodPost {
			var in struct{ Name string }
			_ = json.NewDecoder(r.Body).Decode(&in)
			*sent = append(*sent, in.Name)
			w.WriteHeader(http.StatusCreated)
			return
		}
		body, ok := answers[call]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			body = object{"message": "Not Found"}
		}
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL, sent
}

// TestInitProtect: what it says, of a repository that is ready and of others.
func TestInitProtect(t *testing.T) {
	t.Parallel()
	ref := object{"ref": "x", "object": object{"sha": hubHead}}
	ready := map[string]any{
		"GET git/ref/heads/main": ref, "GET git/ref/heads/audit": ref, "GET rulesets": []object{},
		"GET contents/.github/workflows/config.yml": object{"type": "file", "path": "x"}, "GET codeowners/errors": object{"errors": []object{}},
	}
	without := func(calls ...string) map[string]any {
		out := map[string]any{}
		for k, v := range ready {
			out[k] = v
		}
		for _, c := range calls {
			delete(out, c)
		}
		return out
	}
	broken := without()
	broken["GET codeowners/errors"] = object{"errors": []object{{"line": 3, "column": 1, "kind": "Unknown owner", "source": "x @nobody\u001b[2J", "message": "x", "path": ".github/CODEOWNERS"}}}
	for _, c := range []struct {
		name    string
		answers map[string]any
		code    int
		sent    int
		said    string
	}{
		{"ready", ready, exitOK, 2, "made countersign log, for refs/heads/audit\nmade countersign rules, for refs/heads/main\n"},
		{"not pushed", without("GET git/ref/heads/audit"), exitFound, 0, "branch audit: no such branch yet: push main and audit first"},
		{"without checks", without("GET contents/.github/workflows/config.yml"), exitOK, 2, "the status countersign/review is not required"},
		{"without owners", without("GET codeowners/errors"), exitFound, 2, "CODEOWNERS: there is none"},
		{"unknown owners", broken, exitFound, 2, "CODEOWNERS: .github/CODEOWNERS:3: Unknown owner\n"},
	} {
		url, sent := protectHub(t, c.answers)
		var out, err strings.Builder
		env := map[string]string{"GITHUB_TOKEN": "ghs_admin", "GITHUB_API_URL": url}
		code := run(t.Context(), []string{"init", "--protect", "acme/access"}, console{env: func(k string) string { return env[k] }, out: &out, err: &err})
		if code != c.code || len(*sent) != c.sent || !strings.Contains(err.String(), c.said) || out.Len() > 0 {
			t.Errorf("%s: exit code %d, %v was sent, said:\n%s", c.name, code, *sent, err.String())
		}
	}
	for args, want := range map[string]string{"access": "OWNER/NAME", "acme/access": "GITHUB_TOKEN is not set"} {
		var err strings.Builder
		code := run(t.Context(), []string{"init", "--protect", args}, console{env: func(string) string { return "" }, err: &err})
		if code == exitOK || !strings.Contains(err.String(), want) {
			t.Errorf("%s: exit code %d, said %s", args, code, err.String())
		}
	}
}
