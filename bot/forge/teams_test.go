package forge_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"countersign/bot/forge"

	"github.com/google/go-cmp/cmp"
)

func teams(t *testing.T, h http.HandlerFunc) *forge.Teams {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orgs/acme/teams/dba/members", h)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	x, err := forge.NewTeams(forge.Config{Token: "t", APIURL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestMembersOfAllPages(t *testing.T) {
	x := teams(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "2" {
			fmt.Fprint(w, `[{"login":"carol-gh"}]`)
			return
		}
		w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=2>; rel="next"`, r.Host, r.URL.Path))
		fmt.Fprint(w, `[{"login":"alice-gh"},{"login":"bob-gh"}]`)
	})
	got, err := x.Members(t.Context(), "acme/dba")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"alice-gh", "bob-gh", "carol-gh"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestNoHalfTeams: an answer that is cut short names nobody.
func TestNoHalfTeams(t *testing.T) {
	x := teams(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "2" {
			http.Error(w, `{"message":"Server Error"}`, http.StatusBadGateway)
			return
		}
		w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=2>; rel="next"`, r.Host, r.URL.Path))
		fmt.Fprint(w, `[{"login":"alice-gh"}]`)
	})
	for _, team := range []string{"acme/dba", "acme/gone", "dba"} {
		if got, err := x.Members(t.Context(), team); err == nil || got != nil {
			t.Errorf("%s: got %v, %v; want an error and nobody", team, got, err)
		}
	}
}

// TestNoTeamIsThePath: a name that would change the path is no team's. To GitHub
// acme/.. would be everybody in the organization.
func TestNoTeamIsThePath(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("asked for %s", r.URL.Path)
		fmt.Fprint(w, `[{"login":"everybody"}]`)
	}))
	t.Cleanup(srv.Close)
	x, err := forge.NewTeams(forge.Config{Token: "t", APIURL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	for _, team := range []string{"acme/..", "acme/.", "acme/", "/dba", "acme/dba/../.."} {
		if got, err := x.Members(t.Context(), team); err == nil || got != nil {
			t.Errorf("%s: got %v, %v; want an error and nobody", team, got, err)
		}
	}
}
