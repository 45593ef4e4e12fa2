package forge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"countersign/bot/forge"

	"github.com/google/go-cmp/cmp"
)

// patient is a repository whose GitHub answers as told.
func patient(t *testing.T, patience time.Duration, h http.HandlerFunc) *forge.GitHub {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	g, err := forge.NewGitHub(forge.Config{Remote: "https://github.com/acme/access", Token: "t", APIURL: srv.URL, Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestLastWords(t *testing.T) {
	r := func(login, state, commit string) forge.Review {
		return forge.Review{Account: forge.Account{Login: login, Human: true}, State: state, Commit: commit}
	}
	got := forge.LastWords([]forge.Review{
		r("bob", forge.Approved, "1"), r("carol", forge.Approved, "1"), r("Bob", "COMMENTED", "2"), r("", forge.Approved, "2"),
		r("CAROL", "DISMISSED", "2"), r("bob", forge.Approved, "2"), r("erin", "PENDING", ""),
	})
	if diff := cmp.Diff([]forge.Review{r("bob", forge.Approved, "2"), r("CAROL", "DISMISSED", "2")}, got); diff != "" {
		t.Error(diff)
	}
}

// TestProposalWhole: a proposal is read whole, or not at all.
func TestProposalWhole(t *testing.T) {
	const root = "/repos/acme/access/pulls/12"
	commits := 3
	g := patient(t, 0, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case root:
			fmt.Fprintf(w, `{"number":12,"html_url":"u","user":{"login":"countersign[bot]","type":"Bot"},"body":null,"commits":%d,"changed_files":1,
				"base":{"ref":"main","repo":{"id":1}},"head":{"ref":"b","sha":"h","repo":null}}`, commits)
		case root + "/commits":
			if r.URL.Query().Get("page") == "2" {
				fmt.Fprint(w, `[{"sha":"c","commit":{"message":"three"},"author":null,"committer":null}]`)
				return
			}
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=2>; rel="next"`, r.Host, r.URL.Path))
			fmt.Fprint(w, `[{"sha":"a","commit":{"message":"one"},"author":{"login":"bob","type":"User"},"committer":{"login":"web-flow","type":"User"}},{"sha":"b","commit":{"message":"two"},"author":{"login":"x[bot]","type":"Bot"}}]`)
		case root + "/files":
			fmt.Fprint(w, `[{"filename":"new","previous_filename":"old"}]`)
		case root + "/reviews":
			fmt.Fprint(w, `[{"user":{"login":"carol","type":"User"},"state":"approved","commit_id":"h"}]`)
		default:
			t.Errorf("unexpected call: %s %s", r.Method, r.URL)
		}
	})
	got, err := g.Proposal(t.Context(), 12)
	if err != nil {
		t.Fatal(err)
	}
	want := &forge.Proposal{
		Number: 12, URL: "u", Author: forge.Account{Login: "countersign[bot]"}, Base: "main", Head: "h", HeadBranch: "b", Fork: true,
		Commits: []forge.ProposedCommit{
			{ID: "a", Message: "one", Hands: []forge.Account{{Login: "bob", Human: true}, {Login: "web-flow", Human: true}}},
			{ID: "b", Message: "two", Hands: []forge.Account{{Login: "x[bot]"}}},
			{ID: "c", Message: "three"},
		},
		Files:   []string{"new", "old"},
		Reviews: []forge.Review{{Account: forge.Account{Login: "carol", Human: true}, State: forge.Approved, Commit: "h"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	commits = 300
	if got, err := g.Proposal(t.Context(), 12); !errors.Is(err, forge.ErrTooLarge) || got != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestPatience: a limit is waited for within the patience, and is never taken for
// a refusal; a refusal is none for a limit.
func TestPatience(t *testing.T) {
	for name, c := range map[string]struct {
		status    int
		header    map[string]string
		patience  time.Duration
		calls     int
		forbidden bool
	}{
		"waits":          {429, map[string]string{"Retry-After": "0"}, 2500 * time.Millisecond, 4, false},
		"no patience":    {429, map[string]string{"Retry-After": "1"}, 0, 1, false},
		"too long":       {403, map[string]string{"Retry-After": "61"}, time.Minute, 1, false},
		"too far":        {403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": fmt.Sprint(time.Now().Unix() + 3600)}, time.Minute, 1, false},
		"refused":        {403, nil, time.Minute, 1, true},
		"refused, quota": {403, map[string]string{"X-RateLimit-Remaining": "17"}, time.Minute, 1, true},
	} {
		calls := 0
		g := patient(t, c.patience, func(w http.ResponseWriter, _ *http.Request) {
			calls++
			for k, v := range c.header {
				w.Header().Set(k, v)
			}
			http.Error(w, `{"message":"no"}`, c.status)
		})
		err := g.SetStatus(t.Context(), "c", forge.Status{Name: "n", State: "success"})
		if err == nil || errors.Is(err, forge.ErrForbidden) != c.forbidden || calls != c.calls {
			t.Errorf("%s: %d calls, %v", name, calls, err)
		}
	}
}

func TestStatusIsCut(t *testing.T) {
	var got struct{ Description string }
	g := patient(t, 0, func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{}`)
	})
	if err := g.SetStatus(t.Context(), "c", forge.Status{Name: "n", State: "failure", Text: strings.Repeat("ä", 200)}); err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("ä", 139) + "…"; got.Description != want {
		t.Errorf("got %q", got.Description)
	}
}

// TestReadFile: only a file is one.
func TestReadFile(t *testing.T) {
	for body, want := range map[string]string{
		`{"type":"file","encoding":"base64","content":"aGk="}`: "hi",
		`{"type":"file","encoding":"none","content":""}`:       "",
		`{"type":"submodule"}`:                                 "",
		`[{"type":"file","name":"x"}]`:                         "",
	} {
		g := patient(t, 0, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		got, err := g.ReadFile(t.Context(), "main", "countersign.yaml")
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v", body, got, err)
		}
	}
	g := patient(t, 0, func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
	if _, err := g.ReadFile(t.Context(), "main", "countersign.yaml"); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// TestNoteRefused: a mark that people would see, and a text that GitHub would not
// take, are refused before anything is asked.
func TestNoteRefused(t *testing.T) {
	g := patient(t, 0, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("GitHub was asked: %s", r.URL) })
	for _, n := range []forge.Note{{Mark: "countersign", Body: "x"}, {Mark: "<!-- x -->", Body: strings.Repeat("x", forge.MostNote+1)}} {
		if _, err := g.Comment(t.Context(), 12, n); err == nil {
			t.Errorf("%q was taken", n.Mark)
		}
	}
}
