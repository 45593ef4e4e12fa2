package web_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/web"
)

// The cast of the tests: Alice asks, for Erin too; Bob and Carol review; Audrey
// reads; Mallory has nothing to do with any of it.
var (
	alice   = access.Person{Email: "alice@example.com", Slack: "U0ALICE"}
	erin    = access.Person{Email: "erin@example.com", Slack: "U0ERIN"}
	bob     = access.Person{Email: "bob@example.com", Slack: "U0BOB"}
	carol   = access.Person{Email: "carol@partner.example", Slack: "U0CAROL"}
	mallory = access.Person{Email: "mallory@example.com", Slack: "U0MALLORY"}
	nobody  access.Person
)

var (
	everything = web.Viewer{Person: bob, Name: "Bob Brown", All: true}
	stranger   = web.Viewer{Person: mallory, Name: "Mallory"}
)

// memory is a log that is kept in memory. It is safe for concurrent use.
type memory struct {
	mu      sync.Mutex
	list    []access.Request // guarded by mu; by filing, then by id
	entries map[string][]web.Entry
	rules   *access.Rules
	broken  error // what every question is answered with
	asked   int   // guarded by mu: how many requests were handed out
}

func (m *memory) matching(f access.Filter) []access.Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []access.Request
	for _, r := range m.list {
		if f.Match(r) {
			out = append(out, r)
		}
	}
	return out
}

func (m *memory) Find(_ context.Context, f access.Filter, after string, limit int) ([]access.Request, int, error) {
	all := m.matching(f)
	slices.Reverse(all)
	total := len(all)
	m.mu.Lock()
	defer m.mu.Unlock()
	if after != "" { // whether it matches or not; after one that is not there comes nothing
		i := slices.IndexFunc(m.list, func(r access.Request) bool { return r.ID == after })
		below := m.list[:max(0, i)]
		all = slices.DeleteFunc(all, func(r access.Request) bool {
			return !slices.ContainsFunc(below, func(o access.Request) bool { return o.ID == r.ID })
		})
	}
	all = all[:min(limit, len(all))]
	m.asked += len(all)
	return all, total, m.broken
}

func (m *memory) Each(_ context.Context, f access.Filter, fn func(access.Request) error) error {
	for _, r := range m.matching(f) {
		if err := fn(r); err != nil {
			return err
		}
	}
	return m.broken
}

func (m *memory) LiveAt(_ context.Context, f access.Filter, at time.Time) ([]access.Request, error) {
	all := slices.DeleteFunc(m.matching(f), func(r access.Request) bool { return !r.LiveAt(at) })
	slices.Reverse(all)
	return all, m.broken
}

func (m *memory) Figures(_ context.Context, f access.Filter, now time.Time) (access.Figures, error) {
	return access.Count(m.matching(f), now), m.broken
}

func (m *memory) Choices(context.Context) (access.Choices, error) {
	var c access.Choices
	for _, r := range m.matching(access.Filter{}) {
		c.People = append(c.People, r.Requestor.Email, r.Principal.Email)
		c.Resources = append(c.Resources, r.Resource)
		c.Providers = append(c.Providers, r.Target.Provider)
		if r.Decision != nil {
			c.Policies = append(c.Policies, r.Decision.Policies...)
		}
	}
	for _, l := range []*[]string{&c.People, &c.Resources, &c.Providers, &c.Policies} {
		slices.Sort(*l)
		*l = slices.Compact(*l)
	}
	return c, m.broken
}

func (m *memory) Open(context.Context) ([]access.Request, error) {
	all := slices.DeleteFunc(m.matching(access.Filter{}), func(r access.Request) bool { return r.Status.Ended() && !r.ToReview() })
	return all, m.broken
}

func (m *memory) History(_ context.Context, id string) (access.Request, []web.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.list {
		if r.ID == id {
			return r, m.entries[id], m.broken
		}
	}
	return access.Request{}, nil, cmp.Or(m.broken, web.ErrNotFound)
}

// Signature: what a commit's name begins with says how it is signed.
func (m *memory) Signature(_ context.Context, commit string) (web.Signature, error) {
	s := web.Signature{Key: "SHA256:9zC1m3r1Yw0u4xq2mJXkQ7Jd0sT5vP8bN6hL2gKfAeE", Valid: true, Known: true}
	switch commit[0] {
	case 'b':
		s.Known = false
	case 'd':
		s.Valid = false
	case '0':
		s = web.Signature{}
	}
	return s, m.broken
}

func (m *memory) Rules() *access.Rules { return m.rules }

func (m *memory) RulesAt(context.Context, string) *access.Rules { return m.rules }

func (m *memory) RulesOf(_ context.Context, at time.Time) *access.Rules {
	if at.Year() < 2020 {
		return nil
	}
	return m.rules
}

func (m *memory) Members(context.Context, *access.Rules) map[string][]access.Person { return nil }

// put adds a request, or a later state of one.
func (m *memory) put(r access.Request, log []access.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.IndexFunc(m.list, func(o access.Request) bool { return o.ID == r.ID }); i >= 0 {
		m.list[i] = r
	} else {
		m.list = append(m.list, r)
	}
	slices.SortFunc(m.list, func(a, b access.Request) int {
		return cmp.Or(a.FiledAt.Compare(b.FiledAt), cmp.Compare(a.ID, b.ID))
	})
	var entries []web.Entry
	for i, e := range log {
		entries = append(entries, web.Entry{
			Event: e, Path: fmt.Sprintf("requests/%s/%s/%04d-%s.yaml", r.FiledAt.Format("2006/01/02"), r.ID, i+1, e.Body.Kind()),
			Commit: fmt.Sprintf("%c%039x", "abd0a"[i%5], i*7919+len(r.ID)),
		})
	}
	m.entries[r.ID] = entries
}

// resources are what the requests of a log are about, each once.
func resources(list []access.Request) []access.Resource {
	var out []access.Resource
	for _, r := range list {
		if !slices.ContainsFunc(out, func(x access.Resource) bool { return x.ID == r.Resource }) {
			out = append(out, access.Resource{ID: r.Resource, Title: r.Title, Target: r.Target})
		}
	}
	return out
}

func rulesFor(list []access.Request) *access.Rules {
	admins := access.Resource{ID: "payments-admins", Title: "Payments admins", MaxDuration: 8 * time.Hour,
		Target: access.Target{Provider: "gitops", With: map[string]any{"file": "access.yaml", "key": "payments.admins"}}}
	return &access.Rules{
		Commit:    "4f1c0ffee4f1c0ffee4f1c0ffee4f1c0ffee4f1c",
		Reviewers: []string{bob.Email, carol.Email},
		Auditors:  []string{"audrey@example.com"},
		Settings: access.Settings{ExpiryOptions: []time.Duration{time.Hour}, MaxDuration: 30 * 24 * time.Hour, PendingTimeout: 14 * 24 * time.Hour,
			Reminders: []time.Duration{time.Hour}},
		Resources: append([]access.Resource{admins}, resources(list)...),
		People:    []access.Known{{Email: alice.Email, Aliases: []string{"al@example.com"}, Slack: []string{alice.Slack}}},
		Groups:    []access.Group{{Name: "everybody", Members: []string{alice.Email}}},
		Policies: []access.Policy{
			{Name: "reviewers decide", Requestor: access.Whom{Type: "any"}, Resource: access.Which{Type: "any"}, Approval: []access.Way{{Type: "reviewers"}},
				Terms: access.Terms{BreakGlass: true}},
			{Name: "nights & weekends", Disabled: true, Requestor: access.Whom{Type: "any"}, Resource: access.Which{Type: "any"}, Approval: []access.Way{{Type: "deny"}}},
		},
	}
}

// logOf is a log of so many made-up requests that ends at a moment.
func logOf(n int, end time.Time) *memory {
	m := &memory{entries: map[string][]web.Entry{}}
	list := bottest.RequestsUntil(7, n, end)
	m.rules = rulesFor(list)
	for _, r := range list {
		m.list = append(m.list, r)
		m.entries[r.ID] = []web.Entry{{
			Event: access.Event{ID: "1", Request: r.ID, At: r.FiledAt, By: r.Requestor, Config: r.FiledUnder, Rules: 1,
				Body: access.Requested{Requestor: r.Requestor, Principal: r.Principal, Resource: r.Resource, Title: r.Title, Target: r.Target, Reason: r.Reason, Duration: r.Duration}},
			Path: "requests/" + r.FiledAt.Format("2006/01/02") + "/" + r.ID + "/0001-requested.yaml", Commit: "a" + strings.Repeat("1", 39),
		}}
	}
	return m
}

// A story is a request that real decisions drive, a minute apart.
type story struct {
	t   testing.TB
	m   *memory
	id  string
	r   access.Request
	now time.Time
	log []access.Event
}

// tell begins a request by Alice: for whom it is, and why.
func (m *memory) tell(t testing.TB, n int, at time.Time, by access.Person, f access.File) *story {
	t.Helper()
	s := &story{t: t, m: m, id: fmt.Sprintf("01KTALE%019d", n), now: at}
	if f.Resource == "" {
		f.Resource = "payments-admins"
	}
	return s.do(by, f)
}

func (s *story) do(by access.Person, actions ...access.Action) *story {
	s.t.Helper()
	for _, a := range actions {
		f := access.Facts{Now: s.now, New: s.id, Actor: access.Actor{Person: by}, Rules: s.m.rules, Filed: s.m.rules}
		events, err := access.Decide(f, s.r, a)
		if why, refused := access.AsRefusal(err); refused {
			events = access.Note(f, s.r, a, why)
		} else if err != nil {
			s.t.Fatalf("%T by %s: %v", a, by.Email, err)
		}
		for _, e := range events {
			if s.r, err = access.Apply(s.r, e); err != nil {
				s.t.Fatal(err)
			}
			s.log = append(s.log, e)
		}
		s.now = s.now.Add(time.Minute)
	}
	s.m.put(s.r, s.log)
	return s
}

// posted puts the approval message where the thread can be opened.
func (s *story) posted() *story {
	s.t.Helper()
	return s.do(nobody, access.Notify{Request: s.id, Post: access.Post{Notice: access.NoticeApproval, Channel: "C0ACCESS", TS: "1763876410.000" + s.id[len(s.id)-3:],
		Permalink: "https://acme.slack.com/archives/C0ACCESS/p1763876410000300"}})
}

// granted drives a request until the access is there.
func (s *story) granted(lasts time.Duration) *story {
	s.t.Helper()
	return s.do(bob, access.Approve{Request: s.id, For: lasts}).do(nobody, access.Intend{Request: s.id, Subject: s.r.Principal.Email, Before: access.Absent}, access.Confirm{Request: s.id})
}

// stories are one request of each kind that the pages tell apart.
func (m *memory) stories(t testing.TB, end time.Time) map[string]*story {
	t.Helper()
	ago := func(d time.Duration) time.Time { return end.Add(-d) }
	out := map[string]*story{}
	out["ended"] = m.tell(t, 1, ago(30*time.Hour), alice, access.File{Principal: access.Actor{Person: erin}, Duration: time.Hour, Ticket: "INC-4711",
		Reason: "Refund batch 2291 is stuck: three customers were charged twice."}).posted()
	e := out["ended"]
	e.do(bob, access.Say{Request: e.id, TS: "1", Text: "Which batch is it, <@U0ALICE>? See https://runbooks.example.com/refunds."})
	e.do(alice, access.Say{Request: e.id, TS: "2", Text: "2290"}, access.EditMessage{Request: e.id, TS: "2", Text: "2291, sorry. The one that finance flagged at noon."})
	e.do(carol, access.Say{Request: e.id, TS: "3", Text: "wrong thread"}, access.DeleteMessage{Request: e.id, TS: "3"})
	e.do(mallory, access.Approve{Request: e.id, For: time.Hour})
	e.do(bob, access.Approve{Request: e.id, For: time.Hour})
	e.do(nobody, access.Intend{Request: e.id, Subject: erin.Email, Before: access.Absent}, access.Fail{Request: e.id, Error: "push rejected: the branch is protected"}, access.Confirm{Request: e.id})
	e.do(erin, access.Extend{Request: e.id, By: time.Hour, Reason: "one customer left"}).do(bob, access.ApproveExtension{Request: e.id, Round: 1})
	e.do(erin, access.GiveBack{Request: e.id}).do(nobody, access.Finish{Request: e.id})
	out["pending"] = m.tell(t, 2, ago(25*time.Minute), alice, access.File{Reason: "Rotate the signing key before the audit", Duration: 2 * time.Hour}).posted()
	out["live"] = m.tell(t, 3, ago(50*time.Minute), erin, access.File{Reason: "Deploy 4.12", Duration: 2 * time.Hour}).posted().granted(2 * time.Hour)
	out["stuck"] = m.tell(t, 4, ago(3*time.Hour), alice, access.File{Reason: "Look at slow queries", Duration: time.Hour}).posted().granted(time.Hour)
	s := out["stuck"]
	s.now = s.r.Expires().Add(time.Second)
	s.do(nobody, access.Expire{Request: s.id}, access.Fail{Request: s.id, Error: "403 from api.github.com: Resource not accessible by integration"})
	out["glass"] = m.tell(t, 5, ago(80*time.Minute), erin, access.File{BreakGlass: true, Duration: 2 * time.Hour, Reason: "Checkout is down and nobody answers"}).posted()
	g := out["glass"]
	g.do(nobody, access.Intend{Request: g.id, Subject: erin.Email, Before: access.Absent}, access.Confirm{Request: g.id})
	out["denied"] = m.tell(t, 6, ago(49*time.Hour), alice, access.File{Reason: "curious"}).posted()
	out["denied"].do(carol, access.Deny{Request: out["denied"].id, Reason: "Curiosity is no reason. Ask for the read-only role."})
	return out
}

// serve makes a server of a log for a viewer; change alters its configuration.
func serve(t testing.TB, m *memory, v web.Viewer, end time.Time, change ...func(*web.Config)) *web.Server {
	t.Helper()
	c := web.Config{Requests: m, Record: m, Rules: m, Now: func() time.Time { return end },
		Viewer:    func(*http.Request) (web.Viewer, bool) { return v, true },
		CommitURL: func(id string) string { return "https://git.example.com/acme/access/commit/" + id },
		ConfigURL: func(id string) string { return "https://git.example.com/acme/config/commit/" + id }}
	for _, f := range change {
		f(&c)
	}
	s, err := web.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// get asks a server for an address.
func get(t testing.TB, h http.Handler, path string) (int, string, http.Header) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body), w.Result().Header
}
