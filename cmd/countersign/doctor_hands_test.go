package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"countersign/bot/checkup"
	"countersign/bot/forge"

	"github.com/google/go-cmp/cmp"
)

// lines are findings without their remedies; each that is not ok must have one.
func lines(t *testing.T, found []checkup.Finding) []string {
	t.Helper()
	var out []string
	for _, f := range found {
		out = append(out, string(f.Level)+" "+f.Text)
		if (f.Remedy == "") != (f.Level == checkup.OK) {
			t.Errorf("%s %q with the remedy %q", f.Level, f.Text, f.Remedy)
		}
	}
	return out
}

func TestJudgeRules(t *testing.T) {
	whole := forge.Guard{Approvals: 1, Owners: true, Stale: true, NoForce: true, NoDeletion: true}
	with := func(change func(*forge.Guard)) forge.Guard {
		g := whole
		change(&g)
		return g
	}
	writer, reader := forge.Rights{Known: true, Push: true}, forge.Rights{Known: true}
	for name, c := range map[string]struct {
		same   bool
		rights forge.Rights
		guard  forge.Guard
		want   []string
	}{
		"guarded":               {true, writer, whole, []string{"ok acme/access demands an approved pull request on main, also of the bot"}},
		"only read":             {false, reader, forge.Guard{}, []string{"ok the bot's token can only read acme/access"}},
		"read, and the log too": {true, reader, forge.Guard{}, []string{"fault nothing on acme/access demands an approved pull request: whoever can push changes the rules, the bot among them"}},
		"unguarded":             {false, writer, forge.Guard{}, []string{"fault nothing on acme/access demands an approved pull request: whoever can push changes the rules, the bot among them"}},
		"rights unknown":        {false, forge.Rights{}, forge.Guard{}, []string{"fault nothing on acme/access demands an approved pull request: whoever can push changes the rules, the bot among them"}},
		"bypassed": {true, writer, with(func(g *forge.Guard) { g.Bypass = []string{`the ruleset "x" (always)`} }),
			[]string{`fault the bot's token may bypass the ruleset "x" (always) on acme/access`}},
		"hidden": {true, writer, forge.Guard{Hidden: []string{"the branch protection of main"}},
			[]string{"warning the bot's token is not shown the branch protection of main of acme/access"}},
		"an admin's token": {true, forge.Rights{Known: true, Push: true, Admin: true}, whole,
			[]string{"warning the bot's token is an admin's on acme/access: it could take the protections away"}},
		"anybody's approval": {true, writer, with(func(g *forge.Guard) { g.Owners = false }),
			[]string{"warning any approval counts on acme/access, the bot's own as well"}},
		"stale approvals": {true, writer, with(func(g *forge.Guard) { g.Stale = false }),
			[]string{"warning what is pushed after an approval counts as approved on acme/access"}},
		"deletion": {true, writer, with(func(g *forge.Guard) { g.NoDeletion = false }),
			[]string{"warning the history of the branch can be replaced, or the branch deleted, on acme/access"}},
	} {
		t.Run(name, func(t *testing.T) {
			var s checkup.Sheet
			judgeRules(&s, "acme/access", "main", c.same, c.rights, c.guard)
			if diff := cmp.Diff(c.want, lines(t, s.Findings())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJudgeLog(t *testing.T) {
	whole := forge.Guard{NoForce: true, NoDeletion: true, Linear: true}
	writer := forge.Rights{Known: true, Push: true}
	for name, c := range map[string]struct {
		rights forge.Rights
		guard  forge.Guard
		want   []string
	}{
		"guarded":        {writer, whole, []string{"ok acme/access lets nobody rewrite or remove the log"}},
		"rights unknown": {forge.Rights{}, whole, []string{"ok acme/access lets nobody rewrite or remove the log"}},
		"no push":        {forge.Rights{Known: true}, whole, []string{"fault the bot's token may not push to acme/access: nothing can be decided"}},
		"blocked": {writer, forge.Guard{NoForce: true, NoDeletion: true, Linear: true, Blocks: []string{"pull_request"}},
			[]string{"fault rules on acme/access keep the bot from pushing: pull_request"}},
		"unguarded": {writer, forge.Guard{NoDeletion: true},
			[]string{"warning the log on acme/access can be rewritten or removed by whoever can push: there is no rule non_fast_forward, required_linear_history"}},
		"bypassed": {writer, forge.Guard{Bypass: []string{`the ruleset "x" (always)`}},
			[]string{`warning the log on acme/access can be rewritten by the bot's token, or that is not shown: the ruleset "x" (always)`}},
	} {
		t.Run(name, func(t *testing.T) {
			var s checkup.Sheet
			judgeLog(&s, "acme/access", "audit", c.rights, c.guard)
			if diff := cmp.Diff(c.want, lines(t, s.Findings())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDoctorAsksGitHub: a configuration whose origin is on GitHub is judged by what
// is enforced there. The log of this bot lies here, and is not.
func TestDoctorAsksGitHub(t *testing.T) {
	answers := map[string]string{
		"/repos/acme/access":                     `{"permissions": {"admin": false, "push": true, "pull": true}}`,
		"/repos/acme/access/rules/branches/main": `[{"type": "deletion", "ruleset_id": 7}]`,
		"/repos/acme/access/rulesets/7":          `{"id": 7, "name": "main", "current_user_can_bypass": "never"}`,
		"/repos/acme/access/branches/main":       `{"protection": {"enabled": false}}`,
	}
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, ok := answers[r.URL.Path]; ok && r.Method == http.MethodGet && r.Header.Get("Authorization") == "Bearer ghp_story" {
			_, _ = w.Write([]byte(body))
			return
		}
		http.Error(w, `{"message": "Not Found"}`, http.StatusNotFound)
	}))
	defer hub.Close()
	w, err := newWorld(t.TempDir(), defaultConfig, defaultDesired)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if _, err := w.git(w.repo(), "remote", "add", "origin", "git@github.com:acme/access.git"); err != nil {
		t.Fatal(err)
	}
	examine := func(env ...string) map[string]string {
		t.Helper()
		var out, stderr bytes.Buffer
		run(t.Context(), []string{"doctor", "--repo", w.repo(), "--data-dir", w.path("data"), "--json"}, console{out: &out, err: &stderr, env: func(name string) string {
			for _, pair := range append(env, w.env...) {
				if value, ok := strings.CutPrefix(pair, name+"="); ok {
					return value
				}
			}
			return ""
		}})
		var report struct{ Findings []map[string]string }
		if err := json.Unmarshal(out.Bytes(), &report); err != nil {
			t.Fatalf("%v\n%s%s", err, out.String(), stderr.String())
		}
		if strings.Contains(out.String()+stderr.String(), "ghp_story") {
			t.Error("the token is shown")
		}
		found := map[string]string{}
		for _, f := range report.Findings {
			if strings.HasPrefix(f["check"], "hands.") {
				found[f["check"]] += f["level"] + " " + f["text"] + "\n"
			}
		}
		return found
	}
	github := []string{"GITHUB_TOKEN=ghp_story", "GITHUB_API_URL=" + hub.URL}
	want := map[string]string{"hands.rules": "fault nothing on acme/access demands an approved pull request: whoever can push changes the rules, the bot among them\n"}
	if diff := cmp.Diff(want, examine(github...)); diff != "" {
		t.Error(diff)
	}
	delete(answers, "/repos/acme/access")
	want = map[string]string{"hands.rules": "fault GitHub shows no repository acme/access to the bot's token\n"}
	if diff := cmp.Diff(want, examine(github...)); diff != "" {
		t.Error(diff)
	}
	want = map[string]string{"hands.rules": "warning who may change the configuration at https://github.com/acme/access cannot be asked\n" +
		"warning the bot can write to the branch of the configuration: the log lies in the same repository\n"}
	if diff := cmp.Diff(want, examine()); diff != "" {
		t.Error(diff)
	}
}

func TestElsewhere(t *testing.T) {
	for repo, want := range map[string]bool{
		"/srv/git/access.git": false, "access.git": false, "./a:b": false, "file:///srv/access.git": false, "": false,
		"https://github.com/acme/access": true, "ssh://git@host/access": true, "git@github.com:acme/access.git": true,
	} {
		if got := elsewhere(repo); got != want {
			t.Errorf("%s: got %v", repo, got)
		}
	}
}
