package github_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/provider/github"
	"countersign/bot/provider/github/githubtest"
)

var _ bot.Lister = (*github.Provider)(nil)

// TestHolders: who has what a target gives, or more, on all pages; who is invited
// too, and who only gets more by the organization is not.
func TestHolders(t *testing.T) {
	for name, c := range map[string]struct {
		at   access.Target
		want []string
	}{
		"team":        {team("search", "member"), []string{"alice-gh#101", "bob-gh#102", "erin-gh#103", "gone-gh", "new@example.org", "yan-out#105", "zoe-out#104"}},
		"maintainers": {team("search", "maintainer"), []string{"erin-gh#103", "gone-gh", "new@example.org", "yan-out#105"}},
		"readers":     {repository("payments", "pull"), []string{"alice-gh#101", "bob-gh#102", "erin-gh#103", "invitation 3", "zoe-out#104"}},
		"writers":     {repository("payments", "push"), []string{"bob-gh#102", "erin-gh#103", "zoe-out#104"}},
		"admins":      {repository("payments", "admin"), []string{"erin-gh#103"}},
	} {
		for _, size := range []int{1, 2, 100} {
			h := newHub(t)
			h.Do(func() {
				h.PerPage = size
				search := h.Teams["acme/search"]
				search.Members[101], search.Members[104], search.Members[105] = "member", "pending member", "pending maintainer"
				search.Below[102] = true
				h.Users[120] = &githubtest.User{Login: "gone-gh", Kind: "User"}
				search.Members[120] = "pending member"
				search.Invited = []string{"new@example.org"}
				h.Answer["GET /users/gone-gh"] = githubtest.NotFound()
				payments := h.Repos["acme/payments"]
				payments.Direct[101], payments.Direct[102] = "read", "write"
				payments.Invites = []githubtest.Invite{{ID: 1, Who: 104, Role: "write"}, {ID: 2, Who: 105, Role: "admin", Expired: true}, {ID: 3, Mailed: true, Role: "read"}}
			})
			p := provider(t, h)
			got, err := p.Holders(within(t), c.at)
			slices.Sort(got)
			if d := cmp.Diff(c.want, got); d != "" || err != nil {
				t.Errorf("%s, %d a page: %v (-want +got)\n%s", name, size, err, d)
			}
			if made := changes(h.Reset()); len(made) > 0 {
				t.Errorf("%s: it changes something: %q", name, made)
			}
		}
	}
}

// TestHoldersFail: all of them, or an error; nobody where it is known that the place
// is gone.
func TestHoldersFail(t *testing.T) {
	const members, invitations = "GET /orgs/acme/teams/search/members", "GET /orgs/acme/teams/search/invitations"
	for name, c := range map[string]struct {
		at    access.Target
		spoil func(h *hub)
		want  string // of the error; "": nobody, and none
	}{
		"no such team":        {team("gone", "member"), func(*hub) {}, ""},
		"nothing is seen":     {team("search", "member"), func(h *hub) { h.Blind = true }, "the token does not see it"},
		"members are hidden":  {team("search", "member"), func(h *hub) { h.Answer[members] = githubtest.NotFound() }, "404"},
		"invitations, hidden": {team("search", "member"), func(h *hub) { h.Answer[invitations] = githubtest.Refuse(403, "no") }, "403"},
		"no list":             {team("search", "member"), func(h *hub) { h.Answer[members] = githubtest.OK(nil) }, "not a list"},
		"no target":           {team("", "member"), func(*hub) {}, "the target's"},
		"a repository unseen": {repository("gone", "pull"), func(*hub) {}, "the token does not see it"},
		"a repository gone":   {repository("gone", "pull"), func(h *hub) { h.Install = "all" }, ""},
		"the limit": {repository("payments", "pull"), func(h *hub) {
			a := githubtest.Refuse(403, "API rate limit exceeded")
			a.Header = map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4102444800"}
			h.Answer["GET /repos/acme/payments/invitations"] = a
		}, "it answers again at 2100-01-01"},
		"too many invitations": {team("search", "member"), func(h *hub) {
			for i := range 101 {
				h.Teams["acme/search"].Invited = append(h.Teams["acme/search"].Invited, fmt.Sprintf("n%d@example.org", i))
			}
		}, "101 invitations are open"},
	} {
		h := newHub(t)
		h.Do(func() { c.spoil(h) })
		got, err := provider(t, h).Holders(within(t), c.at)
		if len(got) > 0 || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

// TestHoldersSpare: listing leaves the last tenth of the hour's requests alone.
func TestHoldersSpare(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	h.Do(func() {
		a := githubtest.OK([]any{})
		a.Header = map[string]string{"X-RateLimit-Remaining": "499", "X-RateLimit-Reset": "4102444800"}
		h.Answer["GET /repos/acme/payments/collaborators"] = a
	})
	if _, err := p.Holders(within(t), repository("payments", "pull")); err != nil {
		t.Fatal(err)
	}
	h.Reset()
	_, err := p.Holders(within(t), repository("payments", "pull"))
	if limit, ok := errors.AsType[*github.LimitError](err); !ok || limit.Until.Year() != 2100 || len(h.Reset()) > 0 {
		t.Errorf("with less than a tenth left: %v", err)
	}
	if err := p.Grant(within(t), order(repository("payments", "pull"), "alice-gh#101")); err != nil {
		t.Errorf("a grant with less than a tenth left: %v", err)
	}
	if _, err := p.Holders(within(t), repository("payments", "pull")); err != nil {
		t.Errorf("after an answer that there are enough again: %v", err)
	}
}

// TestCovers: a higher level at one place shows in the lower one, and not the other
// way round.
func TestCovers(t *testing.T) {
	p := provider(t, newHub(t))
	for _, c := range []struct {
		t, other access.Target
		want     bool
	}{
		{repository("payments", "pull"), repository("payments", "admin"), true},
		{repository("payments", "admin"), repository("payments", "pull"), false},
		{repository("payments", "pull"), repository("search.go", "pull"), false},
		{team("search", "member"), team("search", "maintainer"), true},
		{team("search", "maintainer"), team("search", "member"), false},
		{team("payments", "member"), repository("payments", "pull"), false},
		{team("", "member"), team("", "member"), false},
	} {
		if got := p.Covers(c.t, c.other); got != c.want {
			t.Errorf("%v covers %v: %t", c.t.With, c.other.With, got)
		}
	}
}
