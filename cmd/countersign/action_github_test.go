package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The pull request of the tests, and its commits.
const (
	hubHead  = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
	hubOlder = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c"
)

type object = map[string]any

// hub is GitHub, as far as a pull request of a configuration is concerned: the
// shapes of its documentation, one repository, acme/access, and one pull request,
// #12. What GitHub would not understand or would overlook is a mistake of the test.
type hub struct {
	t    *testing.T
	url  string
	page int // entries of a page at most

	mu          sync.Mutex // guards all below
	pull        object
	commits     []object
	files       []object
	reviews     []object
	permissions map[string]string // by login in lower case; others: 404
	contents    map[string]string // of countersign.yaml, by ref
	comments    []object
	statuses    []object
	readOnly    bool // the token of a fork
	login       string
	faults      []hubFault
	calls       []string
}

// A hubFault is what happens once instead of an answer.
type hubFault struct {
	on     string // the beginning of "METHOD path"
	status int
	header map[string]string
	body   string
}

func user(login string) object {
	kind := "User"
	if strings.HasSuffix(login, "[bot]") {
		kind = "Bot"
	}
	return object{"login": login, "id": len(login), "type": kind}
}

func review(login, state, commit string) object {
	return object{"id": 80, "user": user(login), "state": state, "commit_id": commit, "body": "", "submitted_at": "2026-11-20T10:00:00Z"}
}

func commitOf(id, message, author string) object {
	return object{"sha": id, "commit": object{"message": message}, "author": user(author), "committer": user("web-flow")}
}

// newHub is a pull request that the bot opened for bob, who has not been answered.
func newHub(t *testing.T) *hub {
	h := &hub{
		t: t, page: 2, login: "github-actions[bot]",
		pull: object{
			"number": 12, "state": "open", "html_url": "https://github.com/acme/access/pull/12",
			"title": "reviewers: add dan@example.com", "user": user("countersign-app[bot]"),
			"body": "Asked for in Slack by bob@example.com, who must not be the one to approve it.\n\nRequested-by: bob@example.com\n",
			"base": object{"ref": "main", "sha": hubOlder, "repo": object{"id": 1}},
			"head": object{"ref": "countersign/add-reviewer-dan-at-example.com", "sha": hubHead, "repo": object{"id": 1}},
		},
		commits:     []object{commitOf(hubHead, "reviewers: add dan@example.com\n\nRequested-by: bob@example.com", "countersign-app[bot]")},
		files:       []object{{"filename": "countersign.yaml", "status": "modified"}},
		permissions: map[string]string{"bob-gh": "admin", "carol-gh": "write", "erin-gh": "write", "reader": "read", "countersign-app[bot]": "write"},
		contents: map[string]string{"main": `version: 1
slack: {channel: C0ACCESS}
reviewers: [bob@example.com, carol@partner.example]
people:
  - {email: bob@example.com, aliases: [rob@example.com], github: bob-gh}
  - {email: carol@partner.example, github: carol-gh}
`},
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	call := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/repos/acme/access/")
	h.calls = append(h.calls, call)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for i, f := range h.faults {
		if strings.HasPrefix(call, f.on) {
			h.faults = slices.Delete(h.faults, i, i+1)
			for k, v := range f.header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(f.status)
			fmt.Fprint(w, f.body)
			return
		}
	}
	status, body := http.StatusUnauthorized, any(object{"message": "Bad credentials"})
	if r.Header.Get("Authorization") == "Bearer ghs_test" {
		status, body = h.answer(w, r, call)
	}
	w.WriteHeader(status)
	if body != nil {
		if err := json.NewEncoder(w).Encode(body); err != nil {
			h.t.Error(err)
		}
	}
}

func (h *hub) answer(w http.ResponseWriter, r *http.Request, call string) (int, any) {
	if r.Method != http.MethodGet && h.readOnly {
		return http.StatusForbidden, object{"message": "Resource not accessible by integration"}
	}
	switch call {
	case "GET pulls/12":
		p := object{"commits": len(h.commits), "changed_files": len(h.files)}
		for k, v := range h.pull {
			p[k] = v
		}
		return http.StatusOK, p
	case "GET pulls/12/commits":
		return h.list(w, r, h.commits)
	case "GET pulls/12/files":
		return h.list(w, r, h.files)
	case "GET pulls/12/reviews":
		return h.list(w, r, h.reviews)
	case "GET issues/12/comments":
		return h.list(w, r, h.comments)
	case "POST issues/12/comments":
		in := h.body(r, "body")
		c := object{"id": 100 + len(h.calls), "body": in["body"], "user": user(h.login), "html_url": fmt.Sprintf("https://github.com/acme/access/pull/12#issuecomment-%d", 100+len(h.calls))}
		h.comments = append(h.comments, c)
		return http.StatusCreated, c
	case "GET contents/countersign.yaml":
		return h.content(r.URL.Query())
	}
	if sha, ok := strings.CutPrefix(call, "POST statuses/"); ok {
		return h.mark(r, sha)
	}
	if login, ok := strings.CutPrefix(call, "GET collaborators/"); ok {
		login, ok = strings.CutSuffix(login, "/permission")
		level, known := h.permissions[strings.ToLower(login)]
		if !ok || !known {
			return http.StatusNotFound, object{"message": login + " is not a user"}
		}
		return http.StatusOK, object{"permission": level, "role_name": level, "user": user(login)}
	}
	if id, ok := strings.CutPrefix(call[strings.Index(call, " ")+1:], "issues/comments/"); ok {
		return h.comment(r, id)
	}
	h.t.Errorf("GitHub was asked for %s %s", r.Method, r.URL)
	return http.StatusNotFound, object{"message": "Not Found"}
}

// mark puts a status on a commit.
func (h *hub) mark(r *http.Request, sha string) (int, any) {
	in := h.body(r, "context", "state", "description", "target_url")
	state, _ := in["state"].(string)
	if !slices.Contains([]string{"error", "failure", "pending", "success"}, state) || len(sha) != 40 {
		return http.StatusUnprocessableEntity, object{"message": "Validation Failed"}
	}
	if d, _ := in["description"].(string); len([]rune(d)) > 140 {
		return http.StatusUnprocessableEntity, object{"message": "description is too long (maximum is 140 characters)"}
	}
	in["sha"] = sha
	h.statuses = append(h.statuses, in)
	return http.StatusCreated, in
}

func (h *hub) comment(r *http.Request, id string) (int, any) {
	for i, c := range h.comments {
		if fmt.Sprint(c["id"]) != id {
			continue
		}
		if c["user"].(object)["login"] != h.login {
			h.t.Errorf("%s of the comment of %v", r.Method, c["user"])
		}
		switch r.Method {
		case http.MethodPatch:
			c["body"] = h.body(r, "body")["body"]
			return http.StatusOK, c
		case http.MethodDelete:
			h.comments = slices.Delete(h.comments, i, i+1)
			return http.StatusNoContent, nil
		}
	}
	return http.StatusNotFound, object{"message": "Not Found"}
}

// content answers for a branch or commit; the pull request's own text is there, and
// asking for it is the mistake of whoever believes it.
func (h *hub) content(q url.Values) (int, any) {
	text, ok := h.contents[q.Get("ref")]
	if !ok {
		return http.StatusNotFound, object{"message": "Not Found"}
	}
	return http.StatusOK, object{"type": "file", "encoding": "base64", "content": base64.StdEncoding.EncodeToString([]byte(text)), "path": "countersign.yaml"}
}

// list answers with a page, and where the next one is.
func (h *hub) list(w http.ResponseWriter, r *http.Request, all []object) (int, any) {
	for k := range r.URL.Query() {
		if k != "page" && k != "per_page" {
			h.t.Errorf("%s knows no parameter %s", r.URL.Path, k)
		}
	}
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	from := min(max(page-1, 0)*h.page, len(all))
	to := min(from+h.page, len(all))
	if to < len(all) {
		w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=%d>; rel="next", <http://%[1]s%s?page=9>; rel="last"`, r.Host, r.URL.Path, max(page, 1)+1, r.URL.Path))
	}
	return http.StatusOK, append([]object{}, all[from:to]...)
}

func (h *hub) body(r *http.Request, known ...string) object {
	in := object{}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		h.t.Errorf("%s: %v", r.URL.Path, err)
	}
	for k := range in {
		if !slices.Contains(known, k) {
			h.t.Errorf("%s knows no key %s", r.URL.Path, k)
		}
	}
	return in
}

// run runs the program against this GitHub.
func (h *hub) run(args ...string) (code int, stdout, stderr string) {
	var out, err strings.Builder
	env := map[string]string{"GITHUB_TOKEN": "ghs_test", "GITHUB_API_URL": h.url}
	code = run(h.t.Context(), args, console{env: func(k string) string { return env[k] }, out: &out, err: &err})
	return code, out.String(), err.String()
}
