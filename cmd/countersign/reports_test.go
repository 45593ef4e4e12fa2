package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/bot/forge"
)

// TestReports: the forge as the reporter sees it. The shapes are judged in forge.
func TestReports(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	answer := func(pattern string, body any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer ghs_test" {
				t.Errorf("%s without the token", pattern)
			}
			if err := json.NewEncoder(w).Encode(body); err != nil {
				t.Error(err)
			}
		})
	}
	const page = "https://github.com/acme/access/"
	answer("POST /repos/acme/access/actions/workflows/report.yml/dispatches", object{"workflow_run_id": 7, "html_url": page + "actions/runs/7"})
	answer("GET /repos/acme/access/actions/runs/7", object{"id": 7, "status": "completed", "conclusion": "success", "html_url": page + "actions/runs/7"})
	answer("GET /repos/acme/access/commits", []object{{"sha": hubHead, "html_url": page + "commit/" + hubHead}})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	g, err := forge.NewGitHub(forge.Config{Remote: page, Token: "ghs_test", APIURL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	r := reports{github: g, workflow: "report.yml", branch: "main"}
	run, err := r.Start(t.Context())
	if err != nil || run.URL() != page+"actions/runs/7" {
		t.Fatalf("got %v, %v", run, err)
	}
	done, passed, err := run.Look(t.Context())
	id, url, err2 := r.Newest(t.Context())
	if !done || !passed || id != hubHead || url != page+"blob/"+hubHead+"/requests.tsv" || errors.Join(err, err2) != nil {
		t.Errorf("got %t, %t, %q, %q, %v, %v", done, passed, id, url, err, err2)
	}
	srv.Close()
	if _, err := r.Start(t.Context()); err == nil {
		t.Error("nobody answers, and a report was started")
	}
}

func TestReportMemory(t *testing.T) {
	t.Parallel()
	m := reportMemory(filepath.Join(t.TempDir(), "report-started"))
	if head, at := m.Load(); head != "" || !at.IsZero() {
		t.Errorf("of nothing: %q, %s", head, at)
	}
	want := time.Unix(1796000000, 0)
	if err := m.Save(hubHead, want); err != nil {
		t.Fatal(err)
	}
	if head, at := m.Load(); head != hubHead || !at.Equal(want) {
		t.Errorf("got %q, %s", head, at)
	}
	if err := os.WriteFile(string(m), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if head, at := m.Load(); head != "" || !at.IsZero() {
		t.Errorf("of a half: %q, %s", head, at)
	}
}

// TestFromInitToReport: a repository that init has made, served, with an approved
// request, and then the steps of the report's action: the table is on the branch, and
// the log verifies.
func TestFromInitToReport(t *testing.T) {
	t.Parallel()
	w, err := newWorld(t.TempDir(), defaultConfig, defaultDesired)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	w.at = w.path("access.git")
	var said strings.Builder
	env := map[string]string{"COUNTERSIGN_SIGNING_KEY_FILE": w.path("signing_key")}
	code := run(t.Context(), []string{
		"init", "--repo", w.at, "--channel", "#access-requests", "--reviewers", "bob@example.com,carol@partner.example",
		"--author", "Olga Operator <olga@example.com>", "--data-dir", w.path("data"),
	}, console{env: func(k string) string { return env[k] }, err: &said})
	if code != exitOK {
		t.Fatal(said.String())
	}
	r := &runner{T: t, hub: newHub(t), origin: w.at, temp: t.TempDir()}
	_, resources, _ := strings.Cut(strings.ReplaceAll(defaultConfig, "DESIRED", w.desired()), "resources:")
	r.bash(t.TempDir(), `git clone -q "$REPO" c; cd c; printf '%s' "$RESOURCES" >> countersign.yaml; git commit -qam 'What there is'; git push -q origin main`,
		append(w.env, "REPO="+w.at, "RESOURCES=resources:"+resources))
	if err := w.ready(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.sim.As("alice").Command(approvals, "/access request payments-admins 1h deploy"); err != nil {
		t.Fatal(err)
	}
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
	j := r.play("report")
	if j.failed != "" || j.outputs["changed"] != "true" || !strings.Contains(j.summary, `"live" : 1`) {
		t.Fatalf("step %q failed:\n%s\n%s", j.failed, j.log, j.summary)
	}
	if got := r.git(w, "show", "reports:requests.tsv") + "\n"; got != r.table(w) || !strings.Contains(got, "\tlive\talice@example.com\t") {
		t.Errorf("the branch has\n%s", got)
	}
	if err := w.judge(); err != nil {
		t.Error(err)
	}
}
