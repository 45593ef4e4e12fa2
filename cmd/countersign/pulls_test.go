package main

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"countersign/bot/forge"
	"countersign/bot/provider/github/githubtest"
	"countersign/bot/provider/gitops"
	"countersign/gitstore/gitstoretest"
)

// TestPullRequestsAreTheBotsOwn: only branches that are named so are written over, and
// nothing is opened, closed or removed in the repositories that govern the bot.
func TestPullRequestsAreTheBotsOwn(t *testing.T) {
	root := t.TempDir()
	web := gitstoretest.ServeHTTP(t, root)
	hub := githubtest.New(t.Errorf)
	srv := httptest.NewServer(hub)
	t.Cleanup(srv.Close)
	s := setup{githubToken: githubtest.Token, githubAPI: srv.URL + "/api/v3/"}
	p := &pullRequests{
		editor: editor{identity: botIdentity, repos: &repos{access: &gitAccess{}, dir: t.TempDir()}},
		setup:  s, known: map[string]*forge.GitHub{}, fit: map[string]bool{},
	}
	address := map[string]string{}
	for _, name := range []string{"rules", "state"} {
		dir := filepath.Join(root, "acme", name)
		gitstoretest.Git(t, ".", "clone", "--quiet", "--mirror", gitstoretest.WorkTree(t, map[string]string{"list": name + "\n"}), dir)
		hub.Do(func() { hub.Repos["acme/"+name] = &githubtest.Repo{Dir: dir} })
		address[name] = web.URL + "/acme/" + name
		if name == "rules" {
			p.own = strings.Fields(gitstoretest.Git(t, dir, "rev-list", "--max-parents=0", "main"))
		}
	}
	ctx := t.Context()
	add := func(old []byte) ([]byte, error) { return append(old, "x\n"...), nil }
	for branch, ok := range map[string]bool{"main": false, "feature": false, "countersign/grant-1": true} {
		err := p.Make(ctx, gitops.Draft{Repo: address["state"], Base: "main", Branch: branch, Path: "list"}, "grant", add)
		if (err == nil) != ok {
			t.Errorf("branch %s: %v", branch, err)
		}
	}
	for name, ok := range map[string]bool{"rules": false, "state": true} {
		f, err := p.of(address[name])
		if err != nil {
			t.Fatal(err)
		}
		hub.Reset()
		_, opened := f.Open(ctx, "main", "countersign/grant-1", "Grant", "why")
		for what, err := range map[string]error{"Open": opened, "Close": f.Close(ctx, 1, "x"), "Drop": f.Drop(ctx, "countersign/grant-1")} {
			if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "no grant may change it") {
				t.Errorf("%s of %s: %v", what, name, err)
			}
		}
		if made := githubtest.Changes(hub.Reset()); (len(made) == 3) != ok {
			t.Errorf("%s: GitHub was asked for %q", name, made)
		}
	}
	if _, err := p.of("https://git.example/acme/state"); err == nil || !strings.Contains(err.Error(), "is not at 127.0.0.1, the GitHub that this bot has credentials for") {
		t.Errorf("elsewhere: %v", err)
	}
	p.setup.githubToken = ""
	if _, err := p.of(web.URL + "/acme/other"); err == nil || !strings.Contains(err.Error(), "set GITHUB_TOKEN") {
		t.Errorf("without credentials: %v", err)
	}
}
