package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// A runner executes actions as GitHub's runner does: each script by bash with the
// flags that it has there, expressions evaluated in env and with, outputs and
// summary by files. Other actions are played: one checks out, one has installed Go.
type runner struct {
	*testing.T
	hub    *hub
	origin string // repository that the workspace is checked out from
	temp   string // RUNNER_TEMP
	base   string // commits of the pull request
	head   string
	kept   map[string]string // artifacts of the last run, by name
}

// A jobRun is what one run of an action left behind.
type jobRun struct {
	failed  string // name of the step that failed; empty if none
	code    int
	log     string
	summary string
	outputs map[string]string
}

// built is the program as the actions build it, made once for all tests: their own go
// build finds it up to date, and does not link it anew each time.
var built = sync.OnceValues(func() (file string, err error) {
	dir, err := os.MkdirTemp("", "countersign-built-")
	if err != nil {
		return "", err
	}
	builtDir.Store(&dir)
	file = filepath.Join(dir, "countersign")
	cmd := exec.Command("go", "build", "-trimpath", "-o", file, "./cmd/countersign")
	cmd.Dir, cmd.Env = filepath.Join("..", ".."), append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return file, nil
})

var builtDir atomic.Pointer[string]

func removeBuilt() {
	if dir := builtDir.Load(); dir != nil {
		os.RemoveAll(*dir)
	}
}

// play runs an action of this repository.
func (r *runner) play(name string) jobRun {
	r.Helper()
	file, err := built()
	if err != nil {
		r.Fatal(err)
	}
	// A name of the same file; what builds anew replaces the name.
	if err := os.Link(file, filepath.Join(r.temp, "countersign")); err != nil && !errors.Is(err, fs.ErrExist) {
		r.Fatal(err)
	}
	dir, err := filepath.Abs(filepath.Join("..", "..", ".github", "actions", name))
	if err != nil {
		r.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "action.yml"))
	if err != nil {
		r.Fatal(err)
	}
	var a actionFile
	if err := yaml.Unmarshal(text, &a); err != nil {
		r.Fatal(err)
	}
	r.kept = map[string]string{}
	known := map[string]string{
		"github.token": "ghs_test", "github.repository": "acme/access", "github.action_path": dir, "github.event.pull_request.number": "12",
		"github.event.pull_request.base.sha": r.base, "github.event.pull_request.head.sha": r.head,
	}
	for name, i := range a.Inputs {
		known["inputs."+name] = r.expand(i.Default, known)
	}
	j := jobRun{outputs: map[string]string{}}
	space := r.TempDir()
	for _, s := range a.Runs.Steps {
		if !r.holds(s.If, known) {
			continue
		}
		if s.Uses != "" {
			r.use(s, space, known)
		} else if j.step(r, s, space, dir, known); j.failed != "" {
			return j
		}
	}
	for name, o := range a.Outputs {
		// What a step that did not run would have said is empty.
		if m := anyExpr.FindStringSubmatch(o.Value); m != nil && known[strings.TrimSpace(m[1])] == "" {
			continue
		}
		j.outputs[name] = r.expand(o.Value, known)
	}
	return j
}

// holds evaluates the condition of a step, as far as ours have any.
func (r *runner) holds(condition string, known map[string]string) bool {
	r.Helper()
	if condition == "" {
		return true
	}
	name, value, ok := strings.Cut(condition, " == ")
	if !ok || !strings.HasPrefix(value, "'") {
		r.Fatalf("nobody evaluates %s", condition)
	}
	return known[name] == strings.Trim(value, "'")
}

func (r *runner) expand(text string, known map[string]string) string {
	r.Helper()
	out, err := expand(text, known)
	if err != nil {
		r.Fatal(err)
	}
	return out
}

// use plays an action of somebody else's.
func (r *runner) use(s stepOf, space string, known map[string]string) {
	r.Helper()
	with := maps.Clone(s.With)
	for k, v := range with {
		with[k] = r.expand(v, known)
	}
	name, _, _ := strings.Cut(s.Uses, "@")
	switch name {
	case "actions/setup-go":
		if _, err := os.Stat(with["go-version-file"]); err != nil {
			r.Fatal(err)
		}
	case "actions/checkout":
		if with["fetch-depth"] != "0" || with["persist-credentials"] != "false" || with["token"] != "ghs_test" {
			r.Fatalf("checkout with %v", with)
		}
		at := filepath.Join(space, with["path"])
		r.bash(space, fmt.Sprintf("git clone -q --no-checkout %q %q && git -C %q checkout -q --detach %s", r.origin, at, at, cmp.Or(with["ref"], "origin/main")), nil)
	case "actions/upload-artifact":
		r.kept[with["name"]] = read(with["path"])
	default:
		r.Fatalf("nobody plays %s", s.Uses)
	}
}

// step runs a script.
func (j *jobRun) step(r *runner, s stepOf, space, dir string, known map[string]string) {
	r.Helper()
	files := r.TempDir()
	summary, output := filepath.Join(files, "summary"), filepath.Join(files, "output")
	env := []string{
		"GITHUB_ACTION_PATH=" + dir, "GITHUB_WORKSPACE=" + space, "GITHUB_STEP_SUMMARY=" + summary, "GITHUB_OUTPUT=" + output,
		"GITHUB_REPOSITORY=acme/access", "GITHUB_API_URL=" + r.hub.url, "GITHUB_SERVER_URL=https://github.com", "GITHUB_RUN_ID=7", "RUNNER_TEMP=" + r.temp,
	}
	for k, v := range s.Env {
		env = append(env, k+"="+r.expand(v, known))
	}
	out, err := r.script(space, s.Run, env)
	j.log += "== " + s.Name + "\n" + out
	j.summary += read(summary)
	for line := range strings.Lines(read(output)) {
		k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		known["steps."+s.ID+".outputs."+k] = v
	}
	if err != nil {
		j.failed, j.code = s.Name, -1
		if e, ok := err.(*exec.ExitError); ok {
			j.code = e.ExitCode()
		}
	}
}

func read(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return string(data)
}

// script runs bash as "shell: bash" does, with nothing of this environment but what
// Go and git need.
func (r *runner) script(dir, text string, env []string) (string, error) {
	file := filepath.Join(r.TempDir(), "step.sh")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		r.Fatal(err)
	}
	cmd := exec.CommandContext(r.Context(), "bash", "--noprofile", "--norc", "-e", "-o", "pipefail", file)
	cmd.Dir = dir
	cmd.Env = append(env, "PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"), "LC_ALL=C.UTF-8", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	for _, pair := range os.Environ() {
		if strings.HasPrefix(pair, "GO") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// bash runs what has to work.
func (r *runner) bash(dir, text string, env []string) string {
	r.Helper()
	out, err := r.script(dir, text, env)
	if err != nil {
		r.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(out)
}

// propose makes a pull request of one commit on top of main, with this text as
// countersign.yaml; none removes the file.
func (r *runner) propose(w *world, text string) {
	r.Helper()
	clone := r.TempDir()
	r.bash(clone, fmt.Sprintf("git clone -q -b main %q c", w.repo()), nil)
	if err := os.WriteFile(filepath.Join(clone, "new"), []byte(text), 0o644); err != nil {
		r.Fatal(err)
	}
	r.base = r.bash(clone, "git -C c rev-parse HEAD", nil)
	r.bash(clone, `cd c; if [ -s ../new ]; then cp ../new countersign.yaml; else git rm -q countersign.yaml; fi
git add -A; git commit -q --allow-empty -m change; git push -qf origin HEAD:refs/heads/change`, w.env)
	r.head = r.bash(clone, "git -C c rev-parse HEAD", nil)
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	r.hub.pull["head"].(object)["sha"] = r.head
}

// newRunner has a log in which one request was made and approved by the real
// program, in the real repository.
func newRunner(t *testing.T) (*runner, *world) {
	t.Helper()
	w, err := newWorld(t.TempDir(), defaultConfig, defaultDesired)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	if err := w.ready(); err != nil {
		t.Fatal(err)
	}
	_, _ = w.sim.As("alice").Command(approvals, "/access request payments-admins 1h <b>deploy</b> @here | `x`")
	if !eventually(10*time.Millisecond, func() bool { return len(w.approvalMessages()) > 0 }) {
		t.Fatal("nothing was asked")
	}
	if err := w.press("bob", everywhere, about(w.approvalMessages()[0], "request"), "approve", ""); err != nil {
		t.Fatal(err)
	}
	if !eventually(10*time.Millisecond, func() bool { all, err := w.requests(); return err == nil && all[0].Status == "live" }) {
		t.Fatal("nothing was approved")
	}
	if err := w.end(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	return &runner{T: t, hub: newHub(t), origin: w.repo(), temp: t.TempDir()}, w
}

// onPull is what a run of the action config must do with one pull request.
type onPull struct {
	name     string
	text     string // countersign.yaml of the pull request
	with     func(r *runner)
	failed   string // the step that fails
	summary  string // a part of it
	comments int    // how many there are afterwards
	comment  string // a part of the last one
}

// TestConfigAction runs the action's own scripts, one push after the other, on a
// repository with a log that the real program wrote.
func TestConfigAction(t *testing.T) {
	t.Parallel()
	r, w := newRunner(t)
	rules := read(filepath.Join(w.path("countersign"), "countersign.yaml"))
	tests := "tests:\n  - {as: alice@example.com, resource: payments-admins, want: [bob@example.com, dan@example.com]}\n"
	dan := strings.Replace(rules, "carol@partner.example", "dan@example.com", 1)
	for _, c := range []onPull{
		{name: "nothing of it", text: rules, summary: "the file is as it was"},
		{name: "other reviewers", text: dan, summary: "**1** would be treated differently", comments: 1, comment: "<td><code>alice@example.com</code></td><td><code>payments-admins</code></td><td><code>live</code></td>"},
		{name: "with a test", text: dan + tests, summary: "✅ 1 policy test passed", comments: 1, comment: "✅ 1 policy test passed"},
		{name: "a test fails", text: rules + tests, failed: "Verdict", summary: "❌ **1 of 1 policy test failed.**", comments: 1, comment: "+ carol@partner.example may approve, and should not"},
		{name: "broken", text: "version: 1\n\"</pre><script> @bob-gh ##[set-output name=code]0 $(touch x)\": 1\n", failed: "Verdict", summary: "It cannot be used", comments: 1, comment: "&lt;/pre&gt;&lt;script&gt; @bob-gh ##[set-output name=code]0"},
		{name: "gone", text: "", failed: "Verdict", summary: "there is no such file", comments: 1, comment: "there is no such file"},
		{name: "taken back", text: rules, summary: "the file is as it was", comments: 1, comment: "Nothing: the file is as it was"},
		{name: "from a fork", text: dan, with: func(r *runner) {
			r.hub.readOnly, r.hub.comments = true, nil
			r.hub.pull["head"].(object)["repo"] = object{"id": 2}
		}, summary: "_From a fork nothing can be written"},
		{name: "no permission", text: dan, with: func(r *runner) { r.hub.pull["head"].(object)["repo"] = object{"id": 1} }, failed: "Comment", summary: "would be treated differently"},
	} {
		r.propose(w, c.text)
		if c.with != nil {
			c.with(r)
		}
		j := r.play("config")
		c.check(t, r.hub, j)
	}
	if got, want := r.bash(w.repo(), "git for-each-ref --format='%(refname)'", nil), "refs/heads/audit\nrefs/heads/change\nrefs/heads/main"; got != want {
		t.Errorf("branches are %s", got)
	}
}

func (c onPull) check(t *testing.T, h *hub, j jobRun) {
	t.Helper()
	if j.failed != c.failed || c.failed != "" && j.code != exitFound {
		t.Fatalf("%s: step %q failed with %d, want %q:\n%s", c.name, j.failed, j.code, c.failed, j.log)
	}
	if !strings.Contains(j.summary, c.summary) || strings.Contains(j.summary, "deploy") || strings.Contains(j.log, "##[") || strings.Contains(j.log, "\n::") {
		t.Errorf("%s: the summary is\n%s\nthe log is\n%s", c.name, j.summary, j.log)
	}
	if len(h.comments) != c.comments || c.comments > 0 && !strings.Contains(h.bodies(), c.comment) {
		t.Errorf("%s: want %d comments with %q:\n%s", c.name, c.comments, c.comment, h.bodies())
	}
	if c.failed == "" && read(j.outputs["junit"]) == "" {
		t.Errorf("%s: there are no results at %q", c.name, j.outputs["junit"])
	}
}

// TestConfigReviewAction runs the scripts of the other action as reviews come.
func TestConfigReviewAction(t *testing.T) {
	t.Parallel()
	r := &runner{T: t, hub: newHub(t), temp: t.TempDir(), base: hubOlder, head: hubHead}
	for _, c := range []struct {
		reviews []object
		failed  string
		want    string
	}{
		{nil, "Review", "It waits for the approval of 6dcb09b5b5 by somebody other than bob@example.com"},
		{[]object{approve("Bob-GH")}, "Review", "the approval of Bob-GH does not count: they asked for the change"},
		{[]object{approve("carol-gh")}, "", "Approved by carol-gh at 6dcb09b5b5."},
		{[]object{review("carol-gh", "DISMISSED", hubHead)}, "Review", "It waits for"},
	} {
		r.hub.reviews, r.hub.statuses = c.reviews, nil
		j := r.play("config-review")
		if j.failed != c.failed || c.failed != "" && j.code != exitFound || !strings.Contains(j.summary, c.want) || !strings.Contains(j.log, c.want) {
			t.Errorf("%s: step %q failed with %d, summary:\n%s\nlog:\n%s", c.want, j.failed, j.code, j.summary, j.log)
		}
		states := []any{r.hub.statuses[0]["state"], r.hub.statuses[1]["state"]}
		want := []any{"pending", map[bool]any{true: "success", false: "failure"}[c.failed == ""]}
		if !slices.Equal(states, want) || r.hub.statuses[1]["target_url"] != "https://github.com/acme/access/actions/runs/7" {
			t.Errorf("%s: statuses %v", c.want, r.hub.statuses)
		}
	}
}
