package github_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/bot/bottest"
)

const token = "ghs_verysecret"

// A hub is GitHub as far as it is documented, in memory. It is stricter than the
// real one: a request that its description does not have fails the test, and so
// does one that asks for something pointless.
type hub struct {
	t   *testing.T
	url string

	mu       sync.Mutex // guards all below
	users    map[int64]*user
	teams    map[string]*crew // by org/slug
	repos    map[string]*repo // by owner/name
	members  map[int64]bool   // of the organization
	owners   map[int64]bool   // likewise, those who own it
	blind    bool             // the token sees nothing of the organization
	install  string           // repository_selection of the App; "" for a token
	perPage  int              // 0: as many as are asked for
	fault    bottest.Fault    // of the next change
	deaf     bool             // the next request is never answered, whatever it asks
	answer   map[string]reply // instead of the real answer, by "METHOD path", once
	requests []string         // as "METHOD path", in order
	sent     map[int]int      // how many answers had which status
	last     int64            // id of an invitation
}

type user struct{ login, kind string }

// A crew is a team; a member of it is "member" or "maintainer", and "pending"
// before it for who was only invited.
type crew struct {
	members map[int64]string
	below   map[int64]bool // members of child teams
	synced  bool
}

type repo struct {
	direct  map[int64]string // names of roles, such as write
	through map[int64]string // likewise, by teams or the organization
	invites []invite
}

type invite struct {
	id      int64
	who     int64
	role    string
	expired bool
}

// A reply is an answer that a test asks for.
type reply struct {
	status int
	header map[string]string
	body   string
	then   func() // after the answer was chosen, with the mutex held
}

func newHub(t *testing.T) *hub {
	h := &hub{
		t: t, users: map[int64]*user{
			101: {"alice-gh", "User"}, 102: {"bob-gh", "User"}, 103: {"erin-gh", "User"}, 104: {"zoe-out", "User"}, 105: {"yan-out", "User"},
			106: {"olga-owns", "User"}, 7: {"acme", "Organization"},
		},
		members: map[int64]bool{101: true, 102: true, 103: true, 106: true}, owners: map[int64]bool{106: true},
		teams: map[string]*crew{}, repos: map[string]*repo{}, answer: map[string]reply{}, sent: map[int]int{}, last: 5000,
	}
	for _, name := range []string{"acme/payments-admins", "acme/search"} {
		h.teams[name] = &crew{members: map[int64]string{103: "maintainer"}, below: map[int64]bool{}}
	}
	for _, name := range []string{"acme/payments", "acme/search.go"} {
		h.repos[name] = &repo{direct: map[int64]string{103: "admin"}, through: map[int64]string{106: "admin"}}
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

// client is an authenticated client, as the wiring makes it.
func (h *hub) client() *http.Client { return &http.Client{Transport: bearer{}} }

type bearer struct{}

func (bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return http.DefaultTransport.RoundTrip(r)
}

// do changes or reads the world behind the provider's back.
func (h *hub) do(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// reset forgets which requests came, and answers them.
func (h *hub) reset() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.requests
	h.requests = nil
	return old
}

// changes are the requests among those that change something.
func changes(requests []string) []string {
	return slices.DeleteFunc(slices.Clone(requests), func(s string) bool { return strings.HasPrefix(s, "GET ") })
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/api/v3")
	h.check(r, path)
	body, _ := io.ReadAll(r.Body) // to the end: only then the server notices who hangs up
	h.mu.Lock()
	h.requests = append(h.requests, r.Method+" "+path)
	var fault bottest.Fault
	if h.deaf {
		fault, h.deaf = bottest.Hangs, false
	}
	if r.Method != http.MethodGet {
		fault, h.fault = h.fault, ""
	}
	a := reply{status: http.StatusServiceUnavailable, body: `{"message":"Unavailable"}`}
	if fault == "" || fault == bottest.FailsAfter || fault == bottest.HangsAfter {
		a = h.serve(r, body, path)
	}
	h.mu.Unlock()
	switch fault {
	case bottest.Hangs, bottest.HangsAfter:
		<-r.Context().Done()
		return
	case bottest.Fails, bottest.FailsAfter:
		a = reply{status: http.StatusBadGateway, body: `<html>Unicorn!</html>`}
	}
	h.send(a, w, r)
}

// send answers, with "not modified" for what the caller has already.
func (h *hub) send(a reply, w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Type", "application/json; charset=utf-8")
	head.Set("X-RateLimit-Limit", "5000")
	head.Set("X-RateLimit-Remaining", "4999")
	head.Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))
	for k, v := range a.header {
		head.Set(k, v)
	}
	if r.Method == http.MethodGet && a.status == http.StatusOK {
		etag := fmt.Sprintf(`W/"%x"`, sha256.Sum256([]byte(a.body)))
		head.Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			head.Del("Link")
			a.status, a.body = http.StatusNotModified, ""
		}
	}
	h.do(func() { h.sent[a.status]++ })
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// check holds every request to what is documented of all of them.
func (h *hub) check(r *http.Request, path string) {
	for k, want := range map[string]string{"Accept": "application/vnd.github.v3+json", "X-Github-Api-Version": "2022-11-28", "User-Agent": "countersign", "Authorization": "Bearer " + token} {
		if got := r.Header.Get(k); got != want {
			h.t.Errorf("%s %s: header %s is %q, want %q", r.Method, path, k, got, want)
		}
	}
	allowed := []string{}
	switch {
	case r.Method != http.MethodGet:
	case strings.HasSuffix(path, "/collaborators"):
		allowed = []string{"affiliation", "per_page", "page"}
		if r.URL.Query().Get("affiliation") != "direct" {
			h.t.Errorf("%s: not of direct collaborators only: %s", path, r.URL.RawQuery)
		}
	case strings.HasSuffix(path, "/invitations"), strings.HasSuffix(path, "/teams"), path == "/installation/repositories":
		allowed = []string{"per_page", "page"}
	}
	for k, v := range r.URL.Query() {
		if !slices.Contains(allowed, k) || len(v) != 1 || v[0] == "" {
			h.t.Errorf("%s %s: parameter %s=%q", r.Method, path, k, v)
		}
	}
	if n, _ := strconv.Atoi(r.URL.Query().Get("per_page")); n > 100 {
		h.t.Errorf("%s: %d a page", path, n)
	}
	if r.URL.Path == path {
		h.t.Errorf("%s: not below the address that was configured", path)
	}
}

// serve answers one request, with the mutex held.
func (h *hub) serve(r *http.Request, body []byte, path string) reply {
	if a, ok := h.answer[r.Method+" "+path]; ok {
		delete(h.answer, r.Method+" "+path)
		if a.then != nil {
			a.then()
		}
		return a
	}
	if r.Method != http.MethodPut && len(body) > 0 {
		h.t.Errorf("%s %s has a body: %s", r.Method, path, body)
	}
	p := strings.Split(strings.Trim(path, "/"), "/")
	is := func(method string, n int, words ...string) bool {
		if r.Method != method || len(p) != n {
			return false
		}
		for i, w := range words {
			if w != "" && p[i] != w {
				return false
			}
		}
		return true
	}
	switch {
	case is("GET", 2, "users"):
		id, ok := h.byLogin(p[1])
		return h.person(id, ok)
	case is("GET", 2, "user"):
		id, err := strconv.ParseInt(p[1], 10, 64)
		return h.person(id, err == nil && h.users[id] != nil)
	case is("GET", 2, "installation", "repositories"):
		if h.install == "" {
			return refuse(403, "You must authenticate with an installation access token in order to list repositories for an installation.")
		}
		return ok(map[string]any{"total_count": 0, "repositories": []any{}, "repository_selection": h.install})
	case is("GET", 3, "orgs", "", "teams"):
		return h.listTeams(r, p[1])
	case is("GET", 4, "orgs", "", "teams"):
		if h.teams[p[1]+"/"+p[3]] == nil || h.blind {
			return notFound()
		}
		return ok(teamJSON(p[3]))
	case len(p) == 6 && p[0] == "orgs" && p[2] == "teams" && p[4] == "memberships":
		return h.membership(r, body, p[1]+"/"+p[3], p[5])
	case len(p) >= 4 && p[0] == "repos":
		return h.repo(r, body, p[1]+"/"+p[2], p[3:])
	}
	h.t.Errorf("%s %s is not documented", r.Method, path)
	return notFound()
}

func (h *hub) byLogin(login string) (int64, bool) {
	for id, u := range h.users {
		if strings.EqualFold(u.login, login) {
			return id, true
		}
	}
	return 0, false
}

func (h *hub) person(id int64, found bool) reply {
	if !found {
		return notFound()
	}
	return ok(h.simple(id))
}

// simple is a user as GitHub shows one everywhere.
func (h *hub) simple(id int64) map[string]any {
	u := h.users[id]
	return map[string]any{"login": u.login, "id": id, "node_id": "U_x", "type": u.kind, "site_admin": false, "html_url": "https://github.com/" + u.login}
}

func teamJSON(slug string) map[string]any {
	return map[string]any{"id": 1, "node_id": "T_x", "slug": slug, "name": strings.ToUpper(slug), "description": nil, "privacy": "closed", "permission": "pull", "parent": nil}
}

func (h *hub) listTeams(r *http.Request, org string) reply {
	if !strings.EqualFold(org, "acme") || h.blind {
		return notFound()
	}
	var all []any
	for _, name := range slices.Sorted(maps.Keys(h.teams)) {
		all = append(all, teamJSON(strings.TrimPrefix(name, "acme/")))
	}
	return h.page(r, all)
}

// page cuts a list and says by the Link header where it goes on.
func (h *hub) page(r *http.Request, all []any) reply {
	size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
	if size == 0 {
		size = 30
	}
	if h.perPage > 0 {
		size = min(size, h.perPage)
	}
	n, _ := strconv.Atoi(r.URL.Query().Get("page"))
	n = max(n, 1)
	from, to := min((n-1)*size, len(all)), min(n*size, len(all))
	a := ok(append([]any{}, all[from:to]...))
	if to < len(all) {
		q := url.Values{"per_page": {strconv.Itoa(size)}, "page": {strconv.Itoa(n + 1)}}
		a.header = map[string]string{"Link": fmt.Sprintf(`<%s%s?%s>; rel="next", <%s%s?page=99>; rel="last"`, h.url, r.URL.Path, q.Encode(), h.url, r.URL.Path)}
	}
	return a
}

func (h *hub) membership(r *http.Request, body []byte, name, login string) reply {
	t := h.teams[name]
	id, known := h.byLogin(login)
	if t == nil || !known || h.blind {
		return notFound()
	}
	if r.Method != http.MethodGet && t.synced {
		return refuse(403, "This team's membership is managed by your identity provider.")
	}
	switch r.Method {
	case "GET":
		if t.members[id] == "" && !t.below[id] {
			return notFound()
		}
		return h.member(t, id)
	case "PUT":
		var want struct{ Role string }
		h.strict(body, &want)
		if want.Role != "member" && want.Role != "maintainer" {
			h.t.Errorf("PUT a role %q", want.Role)
		}
		if h.users[id].kind == "Organization" {
			return reply{status: 422, body: `{"message":"Cannot add an organization as a member.","errors":[{"code":"org","field":"user","resource":"TeamMember"}]}`}
		}
		if t.members[id] != "" {
			h.t.Errorf("PUT changes what %s is in %s: %s", login, name, t.members[id])
		}
		t.members[id] = want.Role
		if !h.members[id] {
			t.members[id] = "pending " + want.Role
		}
		return h.member(t, id)
	case "DELETE":
		if t.members[id] == "" && !t.below[id] {
			h.t.Errorf("DELETE of %s, who is not in %s", login, name)
		}
		delete(t.members, id)
		return reply{status: http.StatusNoContent}
	}
	h.t.Errorf("%s of a membership is not documented", r.Method)
	return notFound()
}

func (h *hub) member(t *crew, id int64) reply {
	role, pending := strings.CutPrefix(t.members[id], "pending ")
	if h.owners[id] {
		role = "maintainer"
	}
	if role == "" {
		role = "member"
	}
	state := map[bool]string{false: "active", true: "pending"}[pending]
	return ok(map[string]any{"url": h.url + "/teams/1/memberships/x", "role": role, "state": state})
}

// strict reads a body that may have nothing but what is documented.
func (h *hub) strict(body []byte, into any) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		h.t.Errorf("body %s: %v", body, err)
	}
}

func ok(v any) reply {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return reply{status: http.StatusOK, body: string(data)}
}

func refuse(status int, message string) reply {
	data, _ := json.Marshal(map[string]string{"message": message, "documentation_url": "https://docs.github.com/rest"})
	return reply{status: status, body: string(data)}
}

func notFound() reply { return refuse(404, "Not Found") }

// within is a context with a deadline, as every call has one.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
