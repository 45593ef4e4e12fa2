// Package githubtest is a GitHub for tests.
package githubtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"countersign/bot/bottest"
)

// Token is the only one that is taken.
const Token = "ghs_verysecret"

// A Hub is GitHub as far as it is documented, in memory, below /api/v3. It is
// stricter than the real one: a request that its description does not have is
// reported, and so is one that asks for something pointless.
//
// What is exported is read and changed within [Hub.Do].
type Hub struct {
	report func(format string, args ...any)

	// URL is where it answers, without a path. Set it before the first request.
	URL string

	mu       sync.Mutex // guards all below
	Users    map[int64]*User
	Teams    map[string]*Team // by org/slug
	Repos    map[string]*Repo // by owner/name
	Members  map[int64]bool   // of the organization
	Owners   map[int64]bool   // likewise, those who own it
	Blind    bool             // the token sees nothing of the organization
	Install  string           // repository_selection of the App; "" for a token
	Self     int64            // whose token it is; 0: an App's
	Scopes   *string          // of a classic token; nil: another kind
	PerPage  int              // 0: as many as are asked for
	Fault    bottest.Fault    // of the next change
	Deaf     bool             // the next request is never answered, whatever it asks
	Answer   map[string]Reply // instead of the real answer, by "METHOD path", once
	Sent     map[int]int      // how many answers had which status
	requests []string         // as "METHOD path", in order
	last     int64            // id of an invitation
}

// A User is a person, or an organization.
type User struct{ Login, Kind string }

// A Team has members, each "member" or "maintainer", and "pending" before it for
// who was only invited.
type Team struct {
	Members map[int64]string
	Below   map[int64]bool // members of child teams
	Invited []string       // addresses of people who have no account yet
	Synced  bool
}

// A Repo has collaborators and invitations.
type Repo struct {
	Direct  map[int64]string // names of roles, such as write
	Through map[int64]string // likewise, by teams or the organization
	Invites []Invite
	Dir     string              // of the files, a bare repository; "" where there are none
	Pulls   []*Pull             // by number
	Rules   map[string][]string // kinds of rules by branch; "*": of all
}

// An Invite is an invitation to a repository.
type Invite struct {
	ID      int64
	Who     int64
	Role    string
	Expired bool
	Mailed  bool // to somebody without an account; then Who is 0
}

// A Reply is an answer that a test asks for.
type Reply struct {
	Status int
	Header map[string]string
	Body   string
	Then   func() // after the answer was chosen, within Do
}

// New is a GitHub with the organization acme. What is wrong with a request goes
// to report, which may be called at any time.
func New(report func(format string, args ...any)) *Hub {
	h := &Hub{
		report: report, Users: map[int64]*User{
			101: {"alice-gh", "User"}, 102: {"bob-gh", "User"}, 103: {"erin-gh", "User"}, 104: {"zoe-out", "User"}, 105: {"yan-out", "User"},
			106: {"olga-owns", "User"}, 7: {"acme", "Organization"},
		},
		Members: map[int64]bool{101: true, 102: true, 103: true, 106: true}, Owners: map[int64]bool{106: true},
		Teams: map[string]*Team{}, Repos: map[string]*Repo{}, Answer: map[string]Reply{}, Sent: map[int]int{}, last: 5000,
	}
	for _, name := range []string{"acme/payments-admins", "acme/search"} {
		h.Teams[name] = &Team{Members: map[int64]string{103: "maintainer"}, Below: map[int64]bool{}}
	}
	for _, name := range []string{"acme/payments", "acme/search.go"} {
		h.Repos[name] = &Repo{Direct: map[int64]string{103: "admin"}, Through: map[int64]string{106: "admin"}}
	}
	return h
}

// Do changes or reads the world behind the provider's back.
func (h *Hub) Do(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// Reset forgets which requests came, and answers them.
func (h *Hub) Reset() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.requests
	h.requests = nil
	return old
}

// Changes are the requests among those that change something.
func Changes(requests []string) []string {
	return slices.DeleteFunc(slices.Clone(requests), func(s string) bool { return strings.HasPrefix(s, "GET ") })
}

// ServeHTTP implements [http.Handler].
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/api/v3")
	h.check(r, path)
	body, _ := io.ReadAll(r.Body) // to the end: only then the server notices who hangs up
	h.mu.Lock()
	h.requests = append(h.requests, r.Method+" "+path)
	var fault bottest.Fault
	if h.Deaf {
		fault, h.Deaf = bottest.Hangs, false
	}
	if r.Method != http.MethodGet {
		fault, h.Fault = h.Fault, ""
	}
	a := Reply{Status: http.StatusServiceUnavailable, Body: `{"message":"Unavailable"}`}
	if fault == "" || fault == bottest.FailsAfter || fault == bottest.HangsAfter {
		a = h.serve(r, body, path)
	}
	h.mu.Unlock()
	switch fault {
	case bottest.Hangs, bottest.HangsAfter:
		<-r.Context().Done()
		return
	case bottest.Fails, bottest.FailsAfter:
		a = Reply{Status: http.StatusBadGateway, Body: `<html>Unicorn!</html>`}
	}
	h.send(a, w, r)
}

// send answers, with "not modified" for what the caller has already.
func (h *Hub) send(a Reply, w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Type", "application/json; charset=utf-8")
	head.Set("X-RateLimit-Limit", "5000")
	head.Set("X-RateLimit-Remaining", "4999")
	head.Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))
	h.Do(func() {
		if h.Scopes != nil {
			head.Set("X-OAuth-Scopes", *h.Scopes)
		}
	})
	for k, v := range a.Header {
		head.Set(k, v)
	}
	if r.Method == http.MethodGet && a.Status == http.StatusOK {
		etag := fmt.Sprintf(`W/"%x"`, sha256.Sum256([]byte(a.Body)))
		head.Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			head.Del("Link")
			a.Status, a.Body = http.StatusNotModified, ""
		}
	}
	h.Do(func() { h.Sent[a.Status]++ })
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
}

// check holds every request to what is documented of all of them.
func (h *Hub) check(r *http.Request, path string) {
	for k, want := range map[string]string{"Accept": "application/vnd.github.v3+json", "X-Github-Api-Version": "2022-11-28", "User-Agent": "countersign", "Authorization": "Bearer " + Token} {
		if got := r.Header.Get(k); got != want {
			h.report("%s %s: header %s is %q, want %q", r.Method, path, k, got, want)
		}
	}
	allowed := []string{}
	switch {
	case r.Method != http.MethodGet:
	case strings.HasSuffix(path, "/collaborators"):
		allowed = []string{"affiliation", "per_page", "page"}
		if r.URL.Query().Get("affiliation") != "direct" {
			h.report("%s: not of direct collaborators only: %s", path, r.URL.RawQuery)
		}
	case strings.Contains(path, "/rules/branches/"):
		allowed = []string{"per_page", "page"}
	case strings.Contains(path, "/rulesets/"):
		allowed = []string{"includes_parents"}
	case strings.HasSuffix(path, "/pulls"):
		allowed = []string{"state", "head", "base", "sort", "direction", "per_page"}
	case strings.HasSuffix(path, "/members"):
		allowed = []string{"role", "per_page", "page"}
	case strings.HasSuffix(path, "/invitations"), strings.HasSuffix(path, "/teams"), path == "/installation/repositories":
		allowed = []string{"per_page", "page"}
	}
	for k, v := range r.URL.Query() {
		if !slices.Contains(allowed, k) || len(v) != 1 || v[0] == "" {
			h.report("%s %s: parameter %s=%q", r.Method, path, k, v)
		}
	}
	if n, _ := strconv.Atoi(r.URL.Query().Get("per_page")); n > 100 {
		h.report("%s: %d a page", path, n)
	}
	if r.URL.Path == path {
		h.report("%s: not below the address that was configured", path)
	}
}

// serve answers one request, with the mutex held.
func (h *Hub) serve(r *http.Request, body []byte, path string) Reply {
	if a, ok := h.Answer[r.Method+" "+path]; ok {
		delete(h.Answer, r.Method+" "+path)
		if a.Then != nil {
			a.Then()
		}
		return a
	}
	if (r.Method == http.MethodGet || r.Method == http.MethodDelete) && len(body) > 0 {
		h.report("%s %s has a Body: %s", r.Method, path, body)
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
		return h.person(id, err == nil && h.Users[id] != nil)
	case is("GET", 4, "user", "memberships", "orgs"):
		return h.own(p[3])
	case is("GET", 3, "repos"):
		return h.look(p[1] + "/" + p[2])
	case is("GET", 2, "installation", "repositories"):
		if h.Install == "" {
			return Refuse(403, "You must authenticate with an installation access token in order to list repositories for an installation.")
		}
		return OK(map[string]any{"total_count": 0, "repositories": []any{}, "repository_selection": h.Install})
	case is("GET", 3, "orgs", "", "teams"):
		return h.listTeams(r, p[1])
	case is("GET", 4, "orgs", "", "teams"):
		if h.Teams[p[1]+"/"+p[3]] == nil || h.Blind {
			return NotFound()
		}
		return OK(teamJSON(p[3]))
	case is("GET", 5, "orgs", "", "teams", "", "members"):
		return h.inTeam(r, p[1]+"/"+p[3])
	case is("GET", 5, "orgs", "", "teams", "", "invitations"):
		return h.toTeam(r, p[1]+"/"+p[3])
	case len(p) == 6 && p[0] == "orgs" && p[2] == "teams" && p[4] == "memberships":
		return h.membership(r, body, p[1]+"/"+p[3], p[5])
	case len(p) >= 4 && p[0] == "repos":
		return h.repo(r, body, p[1]+"/"+p[2], p[3:])
	}
	h.report("%s %s is not documented", r.Method, path)
	return NotFound()
}

func (h *Hub) byLogin(login string) (int64, bool) {
	for id, u := range h.Users {
		if strings.EqualFold(u.Login, login) {
			return id, true
		}
	}
	return 0, false
}

func (h *Hub) person(id int64, found bool) Reply {
	if !found {
		return NotFound()
	}
	return OK(h.Show(id))
}

// Show is a user as GitHub shows one everywhere.
func (h *Hub) Show(id int64) map[string]any {
	u := h.Users[id]
	return map[string]any{"login": u.Login, "id": id, "node_id": "U_x", "type": u.Kind, "site_admin": false, "html_url": "https://github.com/" + u.Login}
}

func teamJSON(slug string) map[string]any {
	return map[string]any{"id": 1, "node_id": "T_x", "slug": slug, "name": strings.ToUpper(slug), "description": nil, "privacy": "closed", "permission": "pull", "parent": nil}
}

func (h *Hub) listTeams(r *http.Request, org string) Reply {
	if !strings.EqualFold(org, "acme") || h.Blind {
		return NotFound()
	}
	var all []any
	for _, name := range slices.Sorted(maps.Keys(h.Teams)) {
		all = append(all, teamJSON(strings.TrimPrefix(name, "acme/")))
	}
	return h.page(r, all)
}

// page cuts a list and says by the Link header where it goes on.
func (h *Hub) page(r *http.Request, all []any) Reply {
	size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
	if size == 0 {
		size = 30
	}
	if h.PerPage > 0 {
		size = min(size, h.PerPage)
	}
	n, _ := strconv.Atoi(r.URL.Query().Get("page"))
	n = max(n, 1)
	from, to := min((n-1)*size, len(all)), min(n*size, len(all))
	a := OK(append([]any{}, all[from:to]...))
	if to < len(all) {
		q := url.Values{"per_page": {strconv.Itoa(size)}, "page": {strconv.Itoa(n + 1)}}
		a.Header = map[string]string{"Link": fmt.Sprintf(`<%s%s?%s>; rel="next", <%s%s?page=99>; rel="last"`, h.URL, r.URL.Path, q.Encode(), h.URL, r.URL.Path)}
	}
	return a
}

func (h *Hub) membership(r *http.Request, body []byte, name, login string) Reply {
	t := h.Teams[name]
	id, known := h.byLogin(login)
	if t == nil || !known || h.Blind {
		return NotFound()
	}
	if r.Method != http.MethodGet && t.Synced {
		return Refuse(403, "This team's membership is managed by your identity provider.")
	}
	switch r.Method {
	case "GET":
		if t.Members[id] == "" && !t.Below[id] {
			return NotFound()
		}
		return h.member(t, id)
	case "PUT":
		var want struct{ Role string }
		h.strict(body, &want)
		if want.Role != "member" && want.Role != "maintainer" {
			h.report("PUT a role %q", want.Role)
		}
		if h.Users[id].Kind == "Organization" {
			return Reply{Status: 422, Body: `{"message":"Cannot add an organization as a member.","errors":[{"code":"org","field":"user","resource":"TeamMember"}]}`}
		}
		if t.Members[id] != "" {
			h.report("PUT changes what %s is in %s: %s", login, name, t.Members[id])
		}
		t.Members[id] = want.Role
		if !h.Members[id] {
			t.Members[id] = "pending " + want.Role
		}
		return h.member(t, id)
	case "DELETE":
		if t.Members[id] == "" && !t.Below[id] {
			h.report("DELETE of %s, who is not in %s", login, name)
		}
		delete(t.Members, id)
		return Reply{Status: http.StatusNoContent}
	}
	h.report("%s of a membership is not documented", r.Method)
	return NotFound()
}

func (h *Hub) member(t *Team, id int64) Reply {
	role, pending := strings.CutPrefix(t.Members[id], "pending ")
	if h.Owners[id] {
		role = "maintainer"
	}
	if role == "" {
		role = "member"
	}
	state := map[bool]string{false: "active", true: "pending"}[pending]
	return OK(map[string]any{"url": h.URL + "/teams/1/memberships/x", "role": role, "state": state})
}

// strict reads a body that may have nothing but what is documented.
func (h *Hub) strict(body []byte, into any) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		h.report("body %s: %v", body, err)
	}
}

// OK is the answer with a value.
func OK(v any) Reply {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return Reply{Status: http.StatusOK, Body: string(data)}
}

// Refuse is an answer in the form of GitHub's errors.
func Refuse(status int, message string) Reply {
	data, _ := json.Marshal(map[string]string{"message": message, "documentation_url": "https://docs.github.com/rest"})
	return Reply{Status: status, Body: string(data)}
}

// NotFound is the answer for what is not there, or not shown.
func NotFound() Reply { return Refuse(404, "Not Found") }
