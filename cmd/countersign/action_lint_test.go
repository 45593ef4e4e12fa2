package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"gopkg.in/yaml.v3"
)

// The parts of a workflow, and of a composite action, that the tests look at.
type (
	workflowFile struct {
		On          yaml.Node `yaml:"on"`
		Permissions yaml.Node `yaml:"permissions"`
		Jobs        map[string]struct {
			If          string    `yaml:"if"`
			Uses        string    `yaml:"uses"`
			Permissions yaml.Node `yaml:"permissions"`
			Timeout     int       `yaml:"timeout-minutes"`
			Steps       []stepOf  `yaml:"steps"`
		} `yaml:"jobs"`
	}
	actionFile struct {
		Inputs map[string]struct {
			Description, Default string
		}
		Outputs map[string]struct{ Description, Value string }
		Runs    struct {
			Using string
			Steps []stepOf
		}
	}
	stepOf struct {
		ID, Name, Uses, Run, Shell string
		Dir                        string `yaml:"working-directory"`
		If                         string
		With, Env                  map[string]string
	}
)

var (
	pinnedUse = regexp.MustCompile(`^[A-Za-z0-9-]+/[A-Za-z0-9._/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	// What README.md shows has the owner and the commit left open.
	openUse = regexp.MustCompile(`^OWNER/countersign/\.github/(actions|workflows)/[a-z/.-]+@COMMIT # vX$`)
	useLine = regexp.MustCompile(`(?m)^\s*(?:- )?uses:\s*(.*)$`)
	// Of an expression, only what nobody outside can choose.
	fixedUse = regexp.MustCompile(`^('[a-z]+'|inputs\.[a-z-]+|vars\.[A-Z_]+|github\.(token|repository|action_path)|github\.event\.pull_request\.(number|(head|base)\.sha)|runner\.temp|steps\.[a-z]+\.outputs\.[a-z]+)$`)
	anyExpr  = regexp.MustCompile(`\$\{\{(.*?)\}\}`)
)

// lintText finds what is used without being pinned, and expressions that hold what
// somebody else may write.
func lintText(text string) (found []string) {
	for _, m := range useLine.FindAllStringSubmatch(text, -1) {
		if use := strings.TrimSpace(m[1]); !strings.HasPrefix(use, "./") && !pinnedUse.MatchString(use) && !openUse.MatchString(use) {
			found = append(found, "not pinned: "+use)
		}
	}
	for _, m := range anyExpr.FindAllStringSubmatch(text, -1) {
		for part := range strings.SplitSeq(m[1], "||") {
			if !fixedUse.MatchString(strings.TrimSpace(part)) {
				found = append(found, "an expression that is not known as harmless: "+m[0])
			}
		}
	}
	return found
}

// lintSteps finds expressions in scripts, and, of an action, scripts without shell.
func lintSteps(steps []stepOf, action bool) (found []string) {
	for _, s := range steps {
		if strings.Contains(s.Run, "${{") {
			found = append(found, "an expression in a script: "+s.Name)
		}
		if action && s.Run != "" && s.Shell != "bash" {
			found = append(found, "no shell: bash: "+s.Name)
		}
		if action && strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != "false" {
			found = append(found, "credentials stay: "+s.Name)
		}
		if (s.Run == "") == (s.Uses == "") {
			found = append(found, "a step that is not one: "+s.Name)
		}
	}
	return found
}

// lintSyntax asks actionlint, which knows GitHub's syntax, contexts and permissions.
func lintSyntax(text string) []string {
	l, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		return []string{err.Error()}
	}
	problems, err := l.Lint("workflow.yml", []byte(text), nil)
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for _, p := range problems {
		found = append(found, p.Error())
	}
	return found
}

// lintWorkflow finds what no workflow of ours may have.
func lintWorkflow(text string) []string {
	var w workflowFile
	if err := yaml.Unmarshal([]byte(text), &w); err != nil {
		return []string{err.Error()}
	}
	found := append(lintText(text), lintSyntax(text)...)
	if strings.Contains(text, "pull_request_target") {
		found = append(found, "pull_request_target")
	}
	if w.Permissions.Kind != yaml.MappingNode {
		found = append(found, "no permissions at the top")
	}
	for i := 1; i < len(w.Permissions.Content); i += 2 {
		if v := w.Permissions.Content[i].Value; v != "read" && v != "none" {
			found = append(found, "all jobs may "+v)
		}
	}
	if len(w.Jobs) == 0 || w.On.IsZero() {
		found = append(found, "it never runs")
	}
	reviews := slices.ContainsFunc(w.On.Content, func(n *yaml.Node) bool { return n.Value == "workflow_call" || n.Value == "pull_request_review" })
	for name, j := range w.Jobs {
		if reviews && j.If != "" {
			found = append(found, "a skipped job counts as passed: "+name)
		}
		found = append(found, lintSteps(j.Steps, false)...)
	}
	return found
}

func lintAction(text string) []string {
	var a actionFile
	if err := yaml.Unmarshal([]byte(text), &a); err != nil {
		return []string{err.Error()}
	}
	found := append(lintText(text), lintSteps(a.Runs.Steps, true)...)
	if a.Runs.Using != "composite" || len(a.Runs.Steps) == 0 {
		found = append(found, "no composite action")
	}
	for name, i := range a.Inputs {
		if i.Description == "" || !strings.Contains(text, "inputs."+name+" ") {
			found = append(found, "an input that is not described or not used: "+name)
		}
	}
	return found
}

// TestWorkflows: what runs with a token is pinned, may as little as possible, and
// takes nothing that somebody else wrote into a script.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	checked := 0
	for pattern, lint := range map[string]func(string) []string{
		"workflows/*.yml": lintWorkflow, "actions/*/action.yml": lintAction, "actions/*/README.md": lintReadme,
	} {
		files, err := filepath.Glob(filepath.Join("..", "..", ".github", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range lint(string(text)) {
				t.Errorf("%s: %s", f, problem)
			}
			checked++
		}
	}
	if checked < 11 {
		t.Errorf("only %d files were found", checked)
	}
}

// TestWorkflowsCallWhatThereIs: whatever a workflow of ours hands to an action of
// ours, and the workflows of init to ours, is an input there; nothing required is missing.
func TestWorkflowsCallWhatThereIs(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", ".github")
	calls := 0
	for _, name := range []string{"config.yml", "report.yml", "verify.yml"} {
		text := read(filepath.Join(root, "workflows", name))
		var ours workflowFile
		var call struct {
			On struct {
				Call struct {
					Inputs map[string]struct{ Required bool }
				} `yaml:"workflow_call"`
			}
		}
		if err := errors.Join(yaml.Unmarshal([]byte(text), &ours), yaml.Unmarshal([]byte(text), &call)); err != nil {
			t.Fatal(err)
		}
		for _, j := range ours.Jobs {
			for _, s := range j.Steps {
				dir, local := strings.CutPrefix(s.Uses, "./countersign/.github/")
				if !local {
					continue
				}
				calls++
				var a actionFile
				if err := yaml.Unmarshal([]byte(read(filepath.Join(root, dir, "action.yml"))), &a); err != nil {
					t.Fatal(err)
				}
				for k := range s.With {
					if _, ok := a.Inputs[k]; !ok {
						t.Errorf("%s: %s has no input %s", name, dir, k)
					}
				}
			}
		}
		var theirs struct {
			Jobs map[string]struct{ With map[string]string }
		}
		if err := yaml.Unmarshal(scaffolded(t)[".github/workflows/"+name], &theirs); err != nil {
			t.Fatal(err)
		}
		for _, j := range theirs.Jobs {
			for k := range j.With {
				if _, ok := call.On.Call.Inputs[k]; !ok {
					t.Errorf("of init: %s has no input %s", name, k)
				}
			}
			for k, i := range call.On.Call.Inputs {
				if _, ok := j.With[k]; i.Required && !ok {
					t.Errorf("of init: %s is not given %s", name, k)
				}
			}
		}
	}
	if calls != 4 {
		t.Errorf("%d calls of our actions were found", calls)
	}
}

// lintReadme checks the workflows that a page shows.
func lintReadme(text string) (found []string) {
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(text, -1) {
		found = append(found, lintWorkflow(m[1])...)
	}
	return found
}

// TestWorkflowLint: the lint finds each of these mistakes, and nothing in what has
// none.
func TestWorkflowLint(t *testing.T) {
	t.Parallel()
	const use = "uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0"
	good := "on: {pull_request_review: {}}\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - " + use + "\n      - run: echo \"$X\"\n        env: {X: \"${{ github.event.pull_request.head.sha }}\"}\n"
	if found := lintWorkflow(good); len(found) > 0 {
		t.Fatalf("in a good one: %v", found)
	}
	for _, c := range []struct{ old, bad string }{
		{"@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0", "@v5"},
		{" # v5.0.0", ""},
		{"permissions: {}", "name: x"},
		{"permissions: {}", "permissions: write-all"},
		{"permissions: {}", "permissions: {contents: write}"},
		{`echo "$X"`, "echo ${{ github.event.pull_request.head.sha }}"},
		{"head.sha", "head.ref"},
		{"head.sha", "title"},
		{"github.event.pull_request.head.sha", "github.head_ref"},
		{"github.event.pull_request.head.sha", "github.event.review.body"},
		{"pull_request_review", "pull_request_target"},
		{"    steps:", "    if: github.actor != 'x'\n    steps:"},
		{"jobs:", "jobs: {}\nothers:"},
		{"- run", "- nun"},
		{"on:", "permissions: {}\non:"},
		{"    runs-on: ubuntu-24.04\n", ""},
		{"pull_request_review: {}", "pull_request_reviews: {}"},
	} {
		if found := lintWorkflow(strings.Replace(good, c.old, c.bad, 1)); len(found) == 0 {
			t.Errorf("%q instead of %q was not found", c.bad, c.old)
		}
	}
	action := "inputs: {x: {description: x}}\nruns:\n  using: composite\n  steps:\n    - run: echo\n      shell: bash\n      env: {X: \"${{ inputs.x }}\"}\n"
	if found := lintAction(action); len(found) > 0 {
		t.Fatalf("in a good one: %v", found)
	}
	for _, c := range []struct{ old, bad string }{
		{"      shell: bash\n", ""}, {"echo", "echo ${{ inputs.x }}"}, {"composite", "node20"}, {"inputs.x }}", "inputs.y }}"}, {"- run: echo", "- uses: a/b@main\n      x: echo"},
	} {
		if found := lintAction(strings.Replace(action, c.old, c.bad, 1)); len(found) == 0 {
			t.Errorf("%q instead of %q was not found", c.bad, c.old)
		}
	}
}

// expand evaluates the expressions of a text by a table; others are a mistake.
func expand(text string, known map[string]string) (string, error) {
	var err error
	out := anyExpr.ReplaceAllStringFunc(text, func(m string) string {
		name := strings.TrimSpace(m[3 : len(m)-2])
		value, ok := known[name]
		if !ok {
			err = fmt.Errorf("there is no %s", name)
		}
		return value
	})
	return out, err
}
