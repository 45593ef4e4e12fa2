package forge_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"countersign/bot/bottest"
	"countersign/bot/forge"
	"countersign/bot/provider/github/githubtest"
	"countersign/gitstore/gitstoretest"
)

const ours = "countersign/grant-1"

// strict is a GitHub with acme/access, whose branch [ours] is one commit ahead, and
// how we see it.
func strict(t *testing.T) (*githubtest.Hub, *githubtest.Repo, *forge.GitHub) {
	t.Helper()
	h := githubtest.New(t.Errorf)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	h.URL = srv.URL
	dir := gitstoretest.WorkTree(t, map[string]string{"list": "one\n"})
	gitstoretest.Git(t, dir, "checkout", "--quiet", "-b", ours)
	gitstoretest.Git(t, dir, "commit", "--quiet", "--allow-empty", "--message", "more")
	at := &githubtest.Repo{Dir: gitstoretest.Clone(t, dir, "--mirror")}
	h.Do(func() { h.Repos["acme/access"] = at })
	g, err := forge.NewGitHub(forge.Config{Remote: "https://github.com/acme/access", Token: githubtest.Token, APIURL: srv.URL + "/api/v3/"})
	if err != nil {
		t.Fatal(err)
	}
	return h, at, g
}

// TestPulls: the life of a pull request, as GitHub documents each step.
func TestPulls(t *testing.T) {
	ctx := t.Context()
	h, at, g := strict(t)
	list := func(want ...forge.Pull) {
		t.Helper()
		got, err := g.Pulls(ctx, "main", ours)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("pull requests %+v, %v, want %+v", got, err, want)
		}
	}
	list()
	p := forge.Pull{Number: 1, URL: "https://github.com/acme/access/pull/1", Title: "Grant x", Body: "why", Open: true}
	if got, err := g.Open(ctx, "main", ours, "Grant x", "why"); err != nil || got != p {
		t.Fatalf("opened %+v, %v, want %+v", got, err, p)
	}
	list(p)
	h.Reset()
	list(p)
	if h.Do(func() {}); h.Sent[http.StatusNotModified] != 1 {
		t.Errorf("the same list again is answered in full: %v", h.Sent)
	}
	if _, err := g.Open(ctx, "main", ours, "Grant x", "again"); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("a second one of the branch: %v", err)
	}
	if err := g.Close(ctx, 1, "Withdrawn: Grant x"); err != nil {
		t.Fatal(err)
	}
	closed := p
	closed.Title, closed.Open = "Withdrawn: Grant x", false
	list(closed)
	again := p
	again.Number, again.URL = 2, "https://github.com/acme/access/pull/2"
	if _, err := g.Open(ctx, "main", ours, "Grant x", "why"); err != nil {
		t.Fatal(err)
	}
	list(again, closed)
	if h.Do(func() {
		if err := at.Merge(2); err != nil {
			t.Error(err)
		}
	}); t.Failed() {
		return
	}
	again.Open, again.Merged = false, true
	list(again, closed)
	if err := g.Close(ctx, 2, "x"); err == nil {
		t.Error("what was merged was closed")
	}
	for range 2 {
		if err := g.Drop(ctx, ours); err != nil {
			t.Error(err)
		}
	}
	if _, err := g.Open(ctx, "main", ours, "Grant x", "why"); err == nil {
		t.Error("opened without a branch")
	}
}

// TestPullsOfForks: what somebody opens from a fork, with a branch of the same name,
// is not ours.
func TestPullsOfForks(t *testing.T) {
	h, at, g := strict(t)
	h.Do(func() {
		at.Pulls = append(at.Pulls, &githubtest.Pull{Number: 1, Base: "main", Branch: ours, Title: "x", Body: "x", Open: true, Fork: true})
	})
	if got, err := g.Pulls(t.Context(), "main", ours); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v, want none", got, err)
	}
}

// TestConflicts: only what GitHub says is one.
func TestConflicts(t *testing.T) {
	h, _, g := strict(t)
	if _, err := g.Open(t.Context(), "main", ours, "Grant x", "why"); err != nil {
		t.Fatal(err)
	}
	conflicts := func(want bool) {
		t.Helper()
		if got, err := g.Conflicts(t.Context(), 1); got != want || err != nil {
			t.Errorf("conflicts: %t, %v, want %t", got, err, want)
		}
	}
	conflicts(false)
	h.Do(func() {
		h.Answer["GET /repos/acme/access/pulls/1"] = githubtest.OK(map[string]any{"number": 1, "mergeable": nil})
	})
	conflicts(false)
	h.Do(func() {
		h.Answer["GET /repos/acme/access/pulls/1"] = githubtest.OK(map[string]any{"number": 1, "mergeable": false})
	})
	conflicts(true)
}

// TestPullsFail: what did not happen is never said to have, and what is not shown is
// not taken for nothing.
func TestPullsFail(t *testing.T) {
	h, _, g := strict(t)
	ctx := t.Context()
	for call, do := range map[string]func() error{
		"Open":  func() error { _, err := g.Open(ctx, "main", ours, "t", "b"); return err },
		"Close": func() error { return g.Close(ctx, 1, "t") },
		"Drop":  func() error { return g.Drop(ctx, ours) },
	} {
		h.Do(func() { h.Fault = bottest.Fails })
		if err := do(); err == nil {
			t.Errorf("%s answers nil though GitHub failed", call)
		}
	}
	h.Do(func() { h.Blind = true })
	if got, err := g.Pulls(ctx, "main", ours); !errors.Is(err, forge.ErrNotFound) || got != nil {
		t.Errorf("a repository that the token does not see: %v, %v", got, err)
	}
	if err := g.Drop(ctx, ours); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("a branch that the token does not see: %v", err)
	}
	h.Do(func() {
		h.Blind = false
		h.Answer["GET /repos/acme/access/pulls"] = githubtest.Reply{Status: 200, Body: "null"}
	})
	if got, err := g.Pulls(ctx, "main", ours); err == nil || got != nil {
		t.Errorf("no list: %v, %v", got, err)
	}
}
