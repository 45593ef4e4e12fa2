package forge_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"countersign/bot/forge"
)

const dispatches = "POST actions/workflows/report.yml/dispatches"

// works is a GitHub that runs workflows, in the shapes of its REST documentation.
type works struct {
	t      *testing.T
	old    bool // an Enterprise Server, which does not know return_run_details
	refuse int  // status of every dispatch, if not 0
	state  string
	runs   []object
	sent   []object
	branch []object // commits of reports; nil: there is no such branch
}

func (h *works) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Date", "Sat, 28 Nov 2026 10:00:05 GMT")
	status, body := h.answer(r, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/repos/acme/access/"))
	w.WriteHeader(status)
	if body == nil {
		return
	}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		h.t.Error(err)
	}
}

func (h *works) answer(r *http.Request, call string) (int, any) {
	q := r.URL.Query()
	switch call {
	case dispatches:
		return h.dispatched(r)
	case "GET actions/workflows/report.yml":
		return 200, object{"id": 161335, "path": ".github/workflows/report.yml", "state": h.state}
	case "PUT actions/workflows/report.yml/enable":
		h.state = "active"
		return 204, nil
	case "GET actions/runs/30433642":
		return 200, h.runs[0]
	case "GET actions/workflows/report.yml/runs":
		if q.Get("event") != "workflow_dispatch" || q.Get("branch") != "main" || q.Get("created") != ">=2026-11-28T10:00:05Z" {
			h.t.Errorf("runs were asked for with %s", r.URL.RawQuery)
		}
		return 200, object{"total_count": len(h.runs), "workflow_runs": h.runs}
	case "GET commits":
		if q.Get("sha") != "reports" || q.Get("path") != "requests.tsv" || q.Get("per_page") != "1" {
			h.t.Errorf("commits were asked for with %s", r.URL.RawQuery)
		}
		if h.branch == nil {
			return 404, object{"message": "Not Found"}
		}
		return 200, h.branch
	}
	h.t.Errorf("unexpected call: %s", call)
	return 404, object{"message": "Not Found"}
}

func (h *works) dispatched(r *http.Request) (int, any) {
	var in object
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		h.t.Error(err)
	}
	h.sent = append(h.sent, in)
	_, details := in["return_run_details"]
	switch {
	case strings.HasPrefix(h.state, "disabled"):
		return 422, object{"message": "Cannot trigger a 'workflow_dispatch' on a disabled workflow"}
	case h.refuse != 0:
		return h.refuse, object{"message": "Workflow does not have 'workflow_dispatch' trigger"}
	case in["ref"] != "main" || slices.ContainsFunc(keys(in), func(k string) bool { return k != "ref" && k != "return_run_details" }):
		h.t.Errorf("a dispatch of %v", in)
	case details && h.old:
		return 422, object{"message": `Invalid request. "return_run_details" is not a permitted key.`}
	case details:
		return 200, object{"workflow_run_id": 30433642, "run_url": "x", "html_url": "https://github.com/acme/access/actions/runs/30433642"}
	}
	return 204, nil
}

func run(id int, created, status string, conclusion any) object {
	return object{"id": id, "status": status, "conclusion": conclusion, "created_at": created, "html_url": "https://github.com/acme/access/actions/runs/30433642"}
}

func (h *works) hub() *forge.GitHub {
	srv := httptest.NewServer(h)
	h.t.Cleanup(srv.Close)
	g, err := forge.NewGitHub(forge.Config{Remote: "https://github.com/acme/access", Token: "t", APIURL: srv.URL})
	if err != nil {
		h.t.Fatal(err)
	}
	return g
}

// TestDispatch: a workflow is started once, by whichever kind of GitHub, and the run
// that came of it is followed to its end.
func TestDispatch(t *testing.T) {
	for name, old := range map[string]bool{"that says which run": false, "that does not": true} {
		h := &works{t: t, old: old}
		g := h.hub()
		r, err := g.Dispatch(t.Context(), "report.yml", "main")
		if err != nil || (r.ID != 0) == old || r.Done {
			t.Fatalf("%s: got %+v, %v", name, r, err)
		}
		if old {
			if r, err = g.Look(t.Context(), r); err != nil || r.ID != 0 || r.Done {
				t.Errorf("%s: before there is one: %+v, %v", name, r, err)
			}
		}
		h.runs = []object{run(30433642, "2026-11-28T10:00:06Z", "in_progress", nil)}
		if old { // newest first; another one was started since
			h.runs = []object{run(9, "2026-11-28T10:09:00Z", "queued", nil), h.runs[0]}
		}
		if r, err = g.Look(t.Context(), r); err != nil || r.ID != 30433642 || r.Done {
			t.Errorf("%s: under way: %+v, %v", name, r, err)
		}
		for conclusion, passed := range map[string]bool{"success": true, "failure": false, "cancelled": false, "timed_out": false} {
			h.runs = []object{run(30433642, "2026-11-28T10:00:06Z", "completed", conclusion)}
			if r, err = g.Look(t.Context(), r); err != nil || !r.Done || r.Passed != passed || r.URL != "https://github.com/acme/access/actions/runs/30433642" {
				t.Errorf("%s: %s: %+v, %v", name, conclusion, r, err)
			}
		}
	}
}

// TestDispatchRefused: what GitHub says is told; only what an older one may not
// understand is tried in another way.
func TestDispatchRefused(t *testing.T) {
	for status, tries := range map[int]int{422: 2, 404: 1, 403: 1, 500: 1} {
		h := &works{t: t, refuse: status}
		if _, err := h.hub().Dispatch(t.Context(), "report.yml", "main"); err == nil || len(h.sent) != tries || !strings.Contains(err.Error(), "start report.yml") {
			t.Errorf("%d: %v after %d tries", status, err, len(h.sent))
		}
	}
}

// TestDispatchWakes: what GitHub has switched off by itself, the schedule of a quiet
// repository, is switched on again; what a person has, is not.
func TestDispatchWakes(t *testing.T) {
	for state, want := range map[string]string{"disabled_inactivity": "active", "disabled_manually": "disabled_manually"} {
		h := &works{t: t, state: state}
		_, err := h.hub().Dispatch(t.Context(), "report.yml", "main")
		if h.state != want || (err == nil) != (want == "active") {
			t.Errorf("%s: it is %s, %v", state, h.state, err)
		}
	}
}

func TestNewest(t *testing.T) {
	h := &works{t: t}
	g := h.hub()
	if commit, url, err := g.Newest(t.Context(), "reports", "requests.tsv"); commit != "" || url != "" || err != nil {
		t.Errorf("without a branch: %q, %q, %v", commit, url, err)
	}
	h.branch = []object{{"sha": sha, "html_url": "https://github.com/acme/access/commit/" + sha}}
	commit, url, err := g.Newest(t.Context(), "reports", "requests.tsv")
	if commit != sha || url != "https://github.com/acme/access/blob/"+sha+"/requests.tsv" || err != nil {
		t.Errorf("got %q, %q, %v", commit, url, err)
	}
}
