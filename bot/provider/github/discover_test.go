package github_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/provider/github"
	"countersign/bot/provider/github/githubtest"
)

// slugs are what is discovered, in that order.
func slugs(t *testing.T, p *github.Provider) []string {
	t.Helper()
	found, err := p.Discover(within(t), "acme")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, x := range found {
		out = append(out, x.Slug)
	}
	return out
}

func TestDiscover(t *testing.T) {
	h := newHub(t)
	h.PerPage = 2
	p := provider(t, h)
	h.Do(func() {
		h.Teams["acme/a-team"], h.Teams["acme/zoo"], h.Teams["acme/z"] = &githubtest.Team{}, &githubtest.Team{}, &githubtest.Team{}
	})
	want := []string{"a-team", "payments-admins", "search", "z", "zoo"}
	for range 2 {
		if d := cmp.Diff(want, slugs(t, p)); d != "" {
			t.Fatalf("teams (-want +got)\n%s", d)
		}
	}
	h.Do(func() { delete(h.Teams, "acme/z") })
	if d := cmp.Diff([]string{"a-team", "payments-admins", "search", "zoo"}, slugs(t, p)); d != "" {
		t.Errorf("teams after one was deleted (-want +got)\n%s", d)
	}
	one, _ := p.Discover(within(t), "acme")
	if d := cmp.Diff(github.Team{Slug: "a-team", Name: "A-TEAM"}, one[0]); d != "" {
		t.Errorf("a team (-want +got)\n%s", d)
	}
}

// TestDiscoverAsksForChanges: what is known is not sent again.
func TestDiscoverAsksForChanges(t *testing.T) {
	h := newHub(t)
	h.PerPage = 1
	p := provider(t, h)
	slugs(t, p)
	h.Do(func() { h.Sent = map[int]int{} })
	if _, err := p.Discover(within(t), "ACME"); err != nil { // the same organization
		t.Error(err)
	}
	h.Do(func() {
		if d := cmp.Diff(map[int]int{304: 2}, h.Sent); d != "" {
			t.Errorf("answers (-want +got)\n%s", d)
		}
	})
}

// TestDiscoverFullPage: a page that was the last may have a next one, and be the
// same as before.
func TestDiscoverFullPage(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	h.Do(func() {
		for i := range 98 {
			h.Teams[fmt.Sprintf("acme/a%03d", i)] = &githubtest.Team{}
		}
	})
	if got := len(slugs(t, p)); got != 100 {
		t.Fatalf("%d teams", got)
	}
	h.Do(func() { h.Teams["acme/zoo"] = &githubtest.Team{} })
	if got := len(slugs(t, p)); got != 101 {
		t.Errorf("%d teams after one was added, want 101", got)
	}
}

// TestNoHalfDiscovery: half of the teams are none.
func TestNoHalfDiscovery(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	slugs(t, p)
	for name, a := range map[string]githubtest.Reply{
		"not found": githubtest.NotFound(), "null": {Status: 200, Body: "null"}, "server": githubtest.Refuse(502, "no"), "modified?": {Status: 304},
		"again": {Status: 200, Body: "[]", Header: map[string]string{"Link": `<https://api.github.com/x?page=1>; rel="next"`}},
	} {
		q := p
		if name == "modified?" {
			q = provider(t, h) // knows nothing yet
		}
		h.Do(func() { h.Answer["GET /orgs/acme/teams"] = a })
		if found, err := q.Discover(within(t), "acme"); err == nil || found != nil {
			t.Errorf("%s: Discover = %v, %v; want an error and no teams", name, found, err)
		}
	}
	if d := cmp.Diff([]string{"payments-admins", "search"}, slugs(t, p)); d != "" {
		t.Errorf("teams (-want +got)\n%s", d)
	}
	h.Reset()
	for _, org := range []string{"", "a/b", "..", "a?b"} {
		if found, err := p.Discover(within(t), org); err == nil || !strings.Contains(err.Error(), "cannot be the login") {
			t.Errorf("%q: Discover = %v, %v", org, found, err)
		}
	}
	if got := h.Reset(); len(got) != 0 {
		t.Errorf("requests: %q", got)
	}
}

func TestDiscoverAtOnce(t *testing.T) {
	h := newHub(t)
	h.PerPage = 1
	p := provider(t, h)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			found, err := p.Discover(within(t), "acme")
			if err != nil || len(found) != 2 {
				t.Errorf("Discover = %v, %v", found, err)
			}
		})
	}
	wg.Wait()
}
