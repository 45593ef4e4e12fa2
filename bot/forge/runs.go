package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"
)

// A Run is one run of a workflow.
type Run struct {
	ID     int64  // 0 while GitHub has not said which it is
	URL    string // of its page
	Done   bool
	Passed bool // meaningful when done

	workflow, branch string
	since            time.Time // of the dispatch, by GitHub's clock
}

// Dispatch starts a workflow, such as report.yml, as it stands on a branch. The token
// needs the permission actions: write. A call whose answer was lost may have started
// it all the same.
func (g *GitHub) Dispatch(ctx context.Context, workflow, branch string) (Run, error) {
	run := Run{workflow: workflow, branch: branch}
	started := func(body map[string]any) error {
		return g.call(ctx, "start "+workflow, func() (*github.Response, error) {
			var out struct {
				ID  int64  `json:"workflow_run_id"`
				URL string `json:"html_url"`
			}
			resp, err := g.send(ctx, http.MethodPost, "actions/workflows/"+workflow+"/dispatches", body, &out)
			run.ID, run.URL, run.since = out.ID, out.URL, dated(resp)
			return resp, err
		})
	}
	err := started(map[string]any{"ref": branch, "return_run_details": true})
	// Enterprise Server does not know that key, and refuses it. The run is looked for then.
	if unprocessable(err) {
		err = started(map[string]any{"ref": branch})
	}
	if unprocessable(err) && g.wake(ctx, workflow) {
		err = started(map[string]any{"ref": branch})
	}
	return run, err
}

func unprocessable(err error) bool {
	var refused *github.ErrorResponse
	return errors.As(err, &refused) && refused.Response.StatusCode == http.StatusUnprocessableEntity
}

// wake switches a workflow on again that GitHub has switched off because nothing
// happened in the repository for long, and reports whether it was that. What somebody
// has switched off stays so.
func (g *GitHub) wake(ctx context.Context, workflow string) bool {
	w, _, err := g.client.Actions.GetWorkflowByFileName(ctx, g.owner, g.name, workflow)
	if err != nil || w.GetState() != "disabled_inactivity" {
		return false
	}
	_, err = g.client.Actions.EnableWorkflowByFileName(ctx, g.owner, g.name, workflow)
	return err == nil
}

// dated is when GitHub answered, by its own clock.
func dated(resp *github.Response) time.Time {
	if resp != nil {
		if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			return at
		}
	}
	return time.Now()
}

// Look asks how far a run is. Where it was not known which it is, that is the first
// one that was started on that branch since; none yet is no error.
func (g *GitHub) Look(ctx context.Context, run Run) (Run, error) {
	if run.ID == 0 {
		return g.find(ctx, run)
	}
	err := g.call(ctx, fmt.Sprintf("look at run %d", run.ID), func() (*github.Response, error) {
		r, resp, err := g.client.Actions.GetWorkflowRunByID(ctx, g.owner, g.name, run.ID)
		if err == nil {
			run.fill(r)
		}
		return resp, err
	})
	return run, err
}

func (g *GitHub) find(ctx context.Context, run Run) (Run, error) {
	err := g.call(ctx, "look for the run of "+run.workflow, func() (*github.Response, error) {
		list, resp, err := g.client.Actions.ListWorkflowRunsByFileName(ctx, g.owner, g.name, run.workflow, &github.ListWorkflowRunsOptions{
			Event: "workflow_dispatch", Branch: run.branch, Created: ">=" + run.since.UTC().Format(time.RFC3339),
			ListOptions: github.ListOptions{PerPage: perPage},
		})
		if err != nil || len(list.WorkflowRuns) == 0 {
			return resp, err
		}
		first := slices.MinFunc(list.WorkflowRuns, func(a, b *github.WorkflowRun) int {
			return a.GetCreatedAt().Compare(b.GetCreatedAt().Time)
		})
		run.ID = first.GetID()
		run.fill(first)
		return resp, nil
	})
	return run, err
}

func (r *Run) fill(w *github.WorkflowRun) {
	r.URL, r.Done, r.Passed = w.GetHTMLURL(), w.GetStatus() == "completed", w.GetConclusion() == "success"
}

// Newest is the newest commit of a branch that changed a file, and the address of
// the file in it; both empty where there is none.
func (g *GitHub) Newest(ctx context.Context, branch, file string) (commit, url string, err error) {
	err = g.call(ctx, "look for "+file+" on "+branch, func() (*github.Response, error) {
		list, resp, err := g.client.Repositories.ListCommits(ctx, g.owner, g.name, &github.CommitsListOptions{
			SHA: branch, Path: file, ListOptions: github.ListOptions{PerPage: 1},
		})
		if err == nil && len(list) > 0 {
			commit = list[0].GetSHA()
			url = strings.Replace(list[0].GetHTMLURL(), "/commit/", "/blob/", 1) + "/" + file
		}
		return resp, err
	})
	if errors.Is(err, ErrNotFound) {
		return "", "", nil
	}
	return commit, url, err
}
