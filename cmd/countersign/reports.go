package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"countersign/bot"
	"countersign/bot/forge"
)

// workflowShape is a workflow file, and the branch from which it is taken.
var workflowShape = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*\.ya?ml)(?:@([A-Za-z0-9][A-Za-z0-9._/-]*))?$`)

// openReporter has reports made by the workflow of --report-workflow; nil where none
// is named. What it needs and does not have is an error: who asks for reports would
// otherwise wait for them.
func (v *service) openReporter() (*bot.Reporter, error) {
	if v.reportWorkflow == "" {
		return nil, nil
	}
	if !v.onGitHub() {
		return nil, errors.New("--report-workflow needs GITHUB_TOKEN, or a GitHub App, with actions: write for the repository of the log")
	}
	g, err := v.forgeOf(v.repository)
	if err != nil {
		return nil, fmt.Errorf("--report-workflow: the log's remote origin: %w", err)
	}
	m := workflowShape.FindStringSubmatch(v.reportWorkflow) // matched when it was read
	r := reports{github: g, workflow: m[1], branch: m[2]}
	if r.branch == "" {
		r.branch = v.configBranch
	}
	return bot.NewReporter(bot.ReporterConfig{
		Reports: r, Memory: reportMemory(filepath.Join(v.dataDir, "report-started")),
		Head: v.store.Head, Announce: v.app.Announce, Log: v.log,
	})
}

// reports are made by a workflow on GitHub, which keeps them on a branch.
type reports struct {
	github           *forge.GitHub
	workflow, branch string
}

// Where the action report keeps the table.
const (
	reportBranch = "reports"
	reportFile   = "requests.tsv"
)

func (r reports) Start(ctx context.Context) (bot.ReportRun, error) {
	run, err := r.github.Dispatch(ctx, r.workflow, r.branch)
	if err != nil {
		return nil, err
	}
	return &reportRun{r.github, run}, nil
}

func (r reports) Newest(ctx context.Context) (id, url string, err error) {
	return r.github.Newest(ctx, reportBranch, reportFile)
}

// reportRun is a run as far as it was last looked at.
type reportRun struct {
	github *forge.GitHub
	run    forge.Run
}

func (r *reportRun) URL() string { return r.run.URL }

func (r *reportRun) Look(ctx context.Context) (done, passed bool, err error) {
	run, err := r.github.Look(ctx, r.run)
	if err == nil {
		r.run = run
	}
	return run.Done, run.Passed, err
}

// reportMemory is the file that says of what, and when, a report was last started.
type reportMemory string

// Load implements [bot.ReportMemory]. What cannot be read is as if there were none.
func (m reportMemory) Load() (head string, at time.Time) {
	data, err := os.ReadFile(string(m))
	if err != nil {
		return "", time.Time{}
	}
	head, unix, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
	if n, err := strconv.ParseInt(unix, 10, 64); err == nil {
		return head, time.Unix(n, 0)
	}
	return "", time.Time{}
}

// Save implements [bot.ReportMemory].
func (m reportMemory) Save(head string, at time.Time) error {
	return writeFile(string(m), func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s\n%d\n", head, at.Unix())
		return err
	})
}
