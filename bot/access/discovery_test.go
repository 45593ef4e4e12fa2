package access_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/access"
)

func discovering() *access.Rules {
	team := func(id, org, slug string) access.Resource {
		return access.Resource{ID: id, Target: access.Target{Provider: "github", With: map[string]any{"org": org, "team": slug, "role": "member"}}}
	}
	return &access.Rules{
		Resources: []access.Resource{
			team("payments", "ACME", "Payments-Admins"), {ID: "github/acme/door", Target: access.Target{Provider: "exec"}},
		},
		Discoveries: []access.Discovery{
			{ID: "github/acme", Org: "acme", Role: "member", Title: "Acme", Owner: "bob@example.com", Tags: map[string]string{"env": "prod"}, MaxDuration: time.Hour},
			{ID: "other", Org: "other", Role: "maintainer"},
		},
	}
}

// TestDiscovered: the configuration alone says which id means which team.
func TestDiscovered(t *testing.T) {
	r := discovering()
	got, ok := r.Resource("github/acme/search")
	want := access.Resource{
		ID: "github/acme/search", Title: "Acme: search", Owner: "bob@example.com", Tags: map[string]string{"env": "prod"}, MaxDuration: time.Hour,
		Target: access.Target{Provider: "github", With: map[string]any{"org": "acme", "team": "search", "role": "member"}},
	}
	if d := cmp.Diff(want, got); !ok || d != "" {
		t.Errorf("%t (-want +got)\n%s", ok, d)
	}
	if got, ok := r.Resource("other/x"); !ok || got.Target.With["role"] != "maintainer" || got.Title != "x" {
		t.Errorf("other/x is %+v, %t", got, ok)
	}
	if got, _ := r.Resource("github/acme/door"); got.Target.Provider != "exec" {
		t.Errorf("what was written is not what counts: %+v", got)
	}
	for _, id := range []string{
		"github/acme", "github/acme/", "github/acme/a/b", "github/acme/..", "github/acme/Search", "github/acme/a b", "github/other/x", "acme/search", "/search",
		"github/acme/payments-admins", // has a resource of its own, which may be stricter
		"github/acme/" + string(make([]byte, 5)), "github/acme/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	} {
		if got, ok := r.Resource(id); ok {
			t.Errorf("%q is %+v", id, got)
		}
	}
}

// TestOffersDiscovered: what is offered is what can be asked for, and no more than
// the directory names.
func TestOffersDiscovered(t *testing.T) {
	r := discovering()
	var got []string
	for _, res := range r.Discovered(func(org string) []string {
		return map[string][]string{"acme": {"search", "payments-admins", "door", "Odd", "a/b", ""}}[org]
	}) {
		got = append(got, res.ID)
		if again, ok := r.Resource(res.ID); !ok || !cmp.Equal(again, res) {
			t.Errorf("%s is offered and cannot be asked for", res.ID)
		}
	}
	if d := cmp.Diff([]string{"github/acme/search"}, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
