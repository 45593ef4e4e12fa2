package github_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/provider/github"
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
	h.perPage = 2
	p, _ := provider(t, h)
	h.do(func() { h.teams["acme/a-team"], h.teams["acme/zoo"], h.teams["acme/z"] = &crew{}, &crew{}, &crew{} })
	want := []string{"a-team", "payments-admins", "search", "z", "zoo"}
	for range 2 {
		if d := cmp.Diff(want, slugs(t, p)); d != "" {
			t.Fatalf("teams (-want +got)\n%s", d)
		}
	}
	h.do(func() { delete(h.teams, "acme/z") })
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
	h.perPage = 1
	p, _ := provider(t, h)
	slugs(t, p)
	h.do(func() { h.sent = map[int]int{} })
	if _, err := p.Discover(within(t), "ACME"); err != nil { // the same organization
		t.Error(err)
	}
	h.do(func() {
		if d := cmp.Diff(map[int]int{304: 2}, h.sent); d != "" {
			t.Errorf("answers (-want +got)\n%s", d)
		}
	})
}

// TestDiscoverFullPage: a page that was the last may have a next one, and be the
// same as before.
func TestDiscoverFullPage(t *testing.T) {
	h := newHub(t)
	p, _ := provider(t, h)
	h.do(func() {
		for i := range 98 {
			h.teams[fmt.Sprintf("acme/a%03d", i)] = &crew{}
		}
	})
	if got := len(slugs(t, p)); got != 100 {
		t.Fatalf("%d teams", got)
	}
	h.do(func() { h.teams["acme/zoo"] = &crew{} })
	if got := len(slugs(t, p)); got != 101 {
		t.Errorf("%d teams after one was added, want 101", got)
	}
}

// TestNoHalfDiscovery: half of the teams are none.
func TestNoHalfDiscovery(t *testing.T) {
	h := newHub(t)
	p, _ := provider(t, h)
	slugs(t, p)
	for name, a := range map[string]reply{
		"not found": notFound(), "null": {status: 200, body: "null"}, "server": refuse(502, "no"), "modified?": {status: 304},
		"again": {status: 200, body: "[]", header: map[string]string{"Link": `<https://api.github.com/x?page=1>; rel="next"`}},
	} {
		q := p
		if name == "modified?" {
			q, _ = provider(t, h) // knows nothing yet
		}
		h.do(func() { h.answer["GET /orgs/acme/teams"] = a })
		if found, err := q.Discover(within(t), "acme"); err == nil || found != nil {
			t.Errorf("%s: Discover = %v, %v; want an error and no teams", name, found, err)
		}
	}
	if d := cmp.Diff([]string{"payments-admins", "search"}, slugs(t, p)); d != "" {
		t.Errorf("teams (-want +got)\n%s", d)
	}
	h.reset()
	for _, org := range []string{"", "a/b", "..", "a?b"} {
		if found, err := p.Discover(within(t), org); err == nil || !strings.Contains(err.Error(), "cannot be the login") {
			t.Errorf("%q: Discover = %v, %v", org, found, err)
		}
	}
	if got := h.reset(); len(got) != 0 {
		t.Errorf("requests: %q", got)
	}
}

func TestDiscoverAtOnce(t *testing.T) {
	h := newHub(t)
	h.perPage = 1
	p, _ := provider(t, h)
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
