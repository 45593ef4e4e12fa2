package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// hostileReason is text of a person that tries to command the runner, the shell, the
// summary and the spreadsheet.
const hostileReason = "=cmd() $(touch /tmp/x) `id` ::error::x ##[set-output name=made]false ```mermaid | <b>"

// ask files one request more, with the real program, in the log of the runner.
func (r *runner) ask(w *world, reason string) {
	r.Helper()
	if err := w.ready(); err != nil {
		r.Fatal(err)
	}
	before, _ := w.requests()
	if _, err := w.sim.As("alice").Command(approvals, "/access request prod/database-readers 1h "+reason); err != nil {
		r.Fatal(err)
	}
	if !eventually(10*time.Millisecond, func() bool { all, err := w.requests(); return err == nil && len(all) == len(before)+1 }) {
		r.Fatal("nothing was filed")
	}
	if err := w.end(os.Interrupt); err != nil {
		r.Fatal(err)
	}
}

// table is what the program itself says of the log.
func (r *runner) table(w *world) string {
	r.Helper()
	var out, said strings.Builder
	if code := run(r.Context(), []string{"report", "--repo", w.repo()}, console{env: os.Getenv, out: &out, err: &said}); code != 0 {
		r.Fatal(said.String())
	}
	return out.String()
}

func (r *runner) git(w *world, args ...string) string {
	r.Helper()
	out, err := w.git(w.repo(), args...)
	if err != nil {
		r.Fatal(err)
	}
	return out
}

// TestReportAction runs the action's own scripts, again and again, on a repository
// with a log that the real program wrote: the branch gets a commit when the table has
// changed, and only then.
func TestReportAction(t *testing.T) {
	t.Parallel()
	r, w := newRunner(t)
	for _, c := range []struct {
		name    string
		do      func()
		commits string
		changed string
	}{
		{"the first", func() {}, "1", "true"},
		{"nothing new", func() {}, "1", "false"},
		{"one more", func() { r.ask(w, hostileReason) }, "2", "true"},
		{"beside something of people's", func() {
			r.bash(t.TempDir(), `git clone -q -b reports "$REPO" c; cd c; echo hello > README.md; echo "*.tsv text eol=crlf" > .gitattributes; git add -A; git commit -qm mine; git push -q origin reports`,
				append(w.env, "REPO="+w.repo()))
			r.ask(w, "once more")
		}, "4", "true"},
	} {
		c.do()
		j := r.play("report")
		if j.failed != "" || j.outputs["changed"] != c.changed {
			t.Fatalf("%s: step %q failed, changed is %q:\n%s", c.name, j.failed, j.outputs["changed"], j.log)
		}
		want := r.table(w)
		if got := r.git(w, "show", "reports:requests.tsv") + "\n"; got != want || r.kept["requests"] != want || read(j.outputs["tsv"]) != want {
			t.Errorf("%s: the branch has\n%s\nthe artifact is\n%s\nand the table is\n%s", c.name, got, r.kept["requests"], want)
		}
		if got := r.git(w, "rev-list", "--count", "reports"); got != c.commits {
			t.Errorf("%s: %s commits on reports, want %s", c.name, got, c.commits)
		}
		new := strings.Contains(j.summary, "[requests.tsv](https://github.com/acme/access/blob/"+r.git(w, "rev-parse", "reports")+"/requests.tsv)")
		if !strings.Contains(j.summary, "pie showData") || !strings.Contains(j.summary, "Log at `"+r.git(w, "rev-parse", "audit")+"`") || new != (c.changed == "true") {
			t.Errorf("%s: the summary is\n%s", c.name, j.summary)
		}
		r.harmless(c.name, j)
	}
	if got := r.git(w, "log", "-1", "--format=%an <%ae> %s", "reports"); got != "countersign report <41898282+github-actions[bot]@users.noreply.github.com> Report of "+r.git(w, "rev-parse", "audit") {
		t.Errorf("the commit is %s", got)
	}
	if got := r.git(w, "ls-tree", "--name-only", "reports"); got != ".gitattributes\nREADME.md\nrequests.tsv" {
		t.Errorf("reports has\n%s", got)
	}
}

// harmless: nothing that a person typed is where the runner or a page would take it
// for more than text, nor is the token anywhere.
func (r *runner) harmless(name string, j jobRun) {
	r.Helper()
	for _, typed := range []string{"deploy", "cmd()", "touch", "set-output", "once more"} {
		if strings.Contains(j.log, typed) || strings.Contains(j.summary, typed) {
			r.Errorf("%s: %q got into the log or the summary:\n%s\n%s", name, typed, j.log, j.summary)
		}
	}
	if strings.Contains(j.log, "##[") || regexp.MustCompile(`(?m)^::`).MatchString(j.log) || strings.Contains(j.log+j.summary, "ghs_test") {
		r.Errorf("%s: the runner would obey this:\n%s", name, j.log)
	}
}

// TestReportActionWithoutLog: before the first request there is nothing to report,
// which is no failure.
func TestReportActionWithoutLog(t *testing.T) {
	t.Parallel()
	w, err := newWorld(t.TempDir(), defaultConfig, defaultDesired)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	r := &runner{T: t, hub: newHub(t), origin: w.repo(), temp: t.TempDir()}
	j := r.play("report")
	if j.failed != "" || j.outputs["changed"] != "" || !strings.Contains(j.summary, "There is no log yet") || len(r.kept) > 0 {
		t.Errorf("step %q failed, outputs %v, summary:\n%s", j.failed, j.outputs, j.summary)
	}
	if got := r.git(w, "for-each-ref", "--format=%(refname)"); got != "refs/heads/main" {
		t.Errorf("branches are %s", got)
	}
	// A log that is gone is another matter for whoever checks it.
	if j := r.play("verify"); j.failed != "Verify" || !strings.Contains(j.summary, "❌") || !strings.Contains(j.summary, "audit") {
		t.Errorf("step %q failed, summary:\n%s", j.failed, j.summary)
	}
}

// TestVerifyAction: a whole log passes; one with a commit of somebody else fails, and
// the summary names what was found, as text.
func TestVerifyAction(t *testing.T) {
	t.Parallel()
	r, w := newRunner(t)
	if j := r.play("verify"); j.failed != "" || !strings.Contains(j.summary, "✅ The log is whole") || !strings.Contains(j.summary, "    ok: ") {
		t.Errorf("step %q failed, summary:\n%s\nlog:\n%s", j.failed, j.summary, j.log)
	}
	r.bash(t.TempDir(), `git clone -q -b audit "$REPO" c; cd c; d='requests/2026/##[error]x <img src=x>'; mkdir -p "$d"; echo "::warning::y" > "$d/0001-requested.yaml"; git add -A; git commit -qm '::error::z'; git push -q origin audit`,
		append(w.env, "REPO="+w.repo()))
	j := r.play("verify")
	if j.failed != "Verify" || j.code != exitFound || !strings.Contains(j.summary, "❌ The log does not verify") {
		t.Fatalf("step %q failed with %d, summary:\n%s", j.failed, j.code, j.summary)
	}
	commit := r.git(w, "rev-parse", "--short=10", "audit")
	if !regexp.MustCompile(`(?m)^    `+commit+` .*(signature|signed|cannot be trusted)`).MatchString(j.summary) || regexp.MustCompile(`(?m)^[^#\s]`).MatchString(j.summary) {
		t.Errorf("the summary is\n%s", j.summary)
	}
	if strings.Contains(j.log, "##[") || strings.Count(j.log, "::") != 2 {
		t.Errorf("the runner would obey this:\n%s", j.log)
	}
}
