package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/provider/github"
	"countersign/bot/provider/github/githubtest"
)

var _ bot.Provider = (*github.Provider)(nil)

func team(slug, role string) access.Target {
	return access.Target{Provider: "github", With: map[string]any{"org": "acme", "team": slug, "role": role}}
}

func repository(name, permission string) access.Target {
	return access.Target{Provider: "github", With: map[string]any{"repo": "acme/" + name, "permission": permission}}
}

func provider(t *testing.T, h *hub) *github.Provider {
	t.Helper()
	p, err := github.New(github.Config{Client: h.client(), BaseURL: h.URL + "/api/v3", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// idOf is the number in a subject.
func idOf(t *testing.T, subject string) int64 {
	t.Helper()
	_, number, _ := strings.Cut(subject, "#")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		t.Fatalf("the subject %q has no number", subject)
	}
	return id
}

// holders are those who have a place in a target, but for Erin, who always has.
func (h *hub) holders(at access.Target) (out []string) {
	h.Do(func() { out = h.within(at) })
	return out
}

func (h *hub) within(at access.Target) []string {
	var ids []int64
	if name, ok := at.With["repo"].(string); ok {
		for id := range h.Repos[name].Direct {
			ids = append(ids, id)
		}
		for _, i := range h.Repos[name].Invites {
			ids = append(ids, i.Who)
		}
	} else {
		for id := range h.Teams["acme/"+at.With["team"].(string)].Members {
			ids = append(ids, id)
		}
	}
	var out []string
	for _, id := range ids {
		if id != 103 {
			out = append(out, fmt.Sprintf("%s#%d", h.Users[id].Login, id))
		}
	}
	slices.Sort(out)
	return out
}

func (h *hub) give(t *testing.T, at access.Target, subject string) {
	id := idOf(t, subject)
	h.Do(func() {
		if name, ok := at.With["repo"].(string); ok {
			h.Repos[name].Direct[id] = githubtest.RoleOf(at.With["permission"].(string))
			return
		}
		h.Teams["acme/"+at.With["team"].(string)].Members[id] = at.With["role"].(string)
	})
}

func (h *hub) take(t *testing.T, at access.Target, subject string) {
	id := idOf(t, subject)
	h.Do(func() {
		if name, ok := at.With["repo"].(string); ok {
			r := h.Repos[name]
			delete(r.Direct, id)
			r.Invites = slices.DeleteFunc(r.Invites, func(i githubtest.Invite) bool { return i.Who == id })
			return
		}
		delete(h.Teams["acme/"+at.With["team"].(string)].Members, id)
	})
}

// accept lets everybody accept their invitations.
func (h *hub) accept(*testing.T) {
	h.Do(func() {
		for _, t := range h.Teams {
			for id, role := range t.Members {
				t.Members[id] = strings.TrimPrefix(role, "pending ")
			}
		}
		for _, r := range h.Repos {
			for _, i := range r.Invites {
				r.Direct[i.Who] = i.Role
			}
			r.Invites = nil
		}
	})
}

// fine is the error of an order, but for one that only waits.
func fine(err error) error {
	if _, waits := errors.AsType[*access.Awaiting](err); waits {
		return nil
	}
	return err
}

// invited fails the test unless a grant waits for an invitation to be accepted.
func invited(t *testing.T, err error, want string) {
	t.Helper()
	if w, ok := errors.AsType[*access.Awaiting](err); !ok || w.For != want {
		t.Errorf("Grant answers %v; want it to wait: %s", err, want)
	}
}

// TestContract holds a team and a repository to what every provider promises,
// for members of the organization and for those who are invited first.
func TestContract(t *testing.T) {
	for name, at := range map[string][2]access.Target{
		"team":         {team("payments-admins", "member"), team("search", "maintainer")},
		"maintainers":  {team("payments-admins", "maintainer"), team("search", "member")},
		"collaborator": {repository("payments", "push"), repository("search.go", "admin")},
		"readers":      {repository("payments", "pull"), team("search", "member")},
	} {
		for who, logins := range map[string][2]string{"members": {"alice-gh", "bob-gh"}, "invited": {"zoe-out", "yan-out"}} {
			t.Run(name+" "+who, func(t *testing.T) {
				bottest.TestProvider(t, func(t *testing.T) bottest.Fixture {
					h := newHub(t)
					h.PerPage = 1
					p := provider(t, h)
					return bottest.Fixture{
						Provider: p, Target: at[0], Other: at[1],
						Alice:   access.Account{Email: "alice@example.com", GitHub: logins[0]},
						Bob:     access.Account{Email: "bob@example.com", GitHub: logins[1]},
						Nobody:  access.Account{Email: "nobody@example.com"},
						Holders: func(_ *testing.T, at access.Target) []string { return h.holders(at) },
						Give:    h.give, Take: h.take,
						Inject: h.inject, Pending: h.pending, Settle: h.accept,
					}
				})
			})
		}
	}
}

// inject makes an operation go wrong. One that finds nothing to change makes no
// change that could hang, so that hanging is of whatever is asked first;
// TestLostAnswers has the changes that hang.
func (h *hub) inject(_ *testing.T, f bottest.Fault) {
	h.Do(func() {
		if f == bottest.Hangs || f == bottest.HangsAfter {
			h.Deaf = true
			return
		}
		h.Fault = f
	})
}

// pending reports whether that has not come yet.
func (h *hub) pending() (yet bool) {
	h.Do(func() { yet = h.Deaf || h.Fault != "" })
	return yet
}

func TestNew(t *testing.T) {
	whole := github.Config{Client: &http.Client{}, Now: time.Now}
	if _, err := github.New(whole); err != nil {
		t.Errorf("New: %v", err)
	}
	for name, spoil := range map[string]func(*github.Config){
		"no client": func(c *github.Config) { c.Client = nil },
		"no clock":  func(c *github.Config) { c.Now = nil },
		"plain":     func(c *github.Config) { c.BaseURL = "http://github.example.com/api/v3/" },
		"password":  func(c *github.Config) { c.BaseURL = "https://u:hunter2@github.example.com/" },
		"query":     func(c *github.Config) { c.BaseURL = "https://github.example.com/?a=b" },
		"relative":  func(c *github.Config) { c.BaseURL = "/api/v3" },
	} {
		c := whole
		spoil(&c)
		if p, err := github.New(c); err == nil || p != nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: New answers %v, %v; want an error without a password", name, p, err)
		}
	}
	for _, base := range []string{"https://github.example.com/api/v3", "http://localhost:80/", "http://[::1]:80/"} {
		c := whole
		c.BaseURL = base
		if _, err := github.New(c); err != nil {
			t.Errorf("%s: %v", base, err)
		}
	}
}

// TestTargets: nothing that could lead to another path is taken.
func TestTargets(t *testing.T) {
	p := provider(t, newHub(t))
	for _, with := range []map[string]any{
		nil,
		{"org": "acme"},
		{"team": "search"},
		{"org": "acme", "team": "search", "role": "owner"},
		{"org": "acme", "team": "../../x", "role": "member"},
		{"org": "acme", "team": "..", "role": "member"},
		{"org": "..", "team": "search", "role": "member"},
		{"org": "acme", "team": "a?b", "role": "member"},
		{"repo": "acme", "permission": "push"},
		{"repo": "acme/a/b", "permission": "push"},
		{"repo": "acme/..", "permission": "push"},
		{"repo": "acme/x", "permission": "write"},
		{"repo": "acme/x"},
		{"repo": "acme/x%2fy", "permission": "push"},
	} {
		at := access.Target{Provider: "github", With: with}
		o := order(at, "alice-gh#101")
		_, subject := p.Subject(within(t), at, access.Account{GitHub: "alice-gh"})
		_, has := p.Has(within(t), at, o.Subject)
		for call, err := range map[string]error{"Subject": subject, "Has": has, "Grant": p.Grant(within(t), o), "Revoke": p.Revoke(within(t), o)} {
			if err == nil || !strings.Contains(err.Error(), "the target's") {
				t.Errorf("%v: %s answers %v, want an error about the target", with, call, err)
			}
		}
	}
}

func order(at access.Target, subject string) access.Order {
	return access.Order{
		Request: "01JTEST0000000000000000000", Resource: "github/x", Target: at, Subject: subject,
		Principal: access.Person{Email: "alice@example.com"}, Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}
