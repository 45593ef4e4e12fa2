package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"countersign/bot/oncall/oncalltest"
	"countersign/bot/slacksim"
)

// Where the local PagerDuty is, on the address of the demo, and its key.
const (
	pagerAPI   = "/pagerduty/api"
	pagerPages = "/pagerduty"
	pagerToken = "local-pagerduty-key"
)

//go:embed demo/incident.html
var incidentPage string

// A pager is the demo's PagerDuty: the API that the bot calls, and the pages that
// its answers link to. What was opened survives a restart, as it would there.
type pager struct {
	*oncalltest.PagerDuty
	world slacksim.World
	state string // file
	out   io.Writer
	page  *template.Template
}

// pager makes one in which Erin is on call by schedule.
func (d demonstration) pager(base string, world slacksim.World) (*pager, error) {
	page, err := template.New("incident").Parse(incidentPage)
	if err != nil {
		return nil, err
	}
	p := &pager{world: world, state: d.path("pagerduty.json"), out: d.out, page: page}
	opened, err := p.load()
	if err != nil {
		return nil, err
	}
	p.PagerDuty = oncalltest.NewPagerDuty(oncalltest.PagerDutyConfig{
		Token: pagerToken, WebURL: base + pagerPages, Incidents: opened, Opened: p.opened,
	})
	p.AddService("PDEPLOY", "PSRE")
	p.AddUser("olga@example.com")
	start := time.Now().UTC().Truncate(24 * time.Hour)
	p.SetOnCalls(oncalltest.OnCall{
		User: "PERIN", Email: "erin@example.com", Policy: "PSRE", Level: 1, Schedule: "PPRIMARY", Start: start, End: start.AddDate(0, 1, 0),
	})
	return p, nil
}

func (p *pager) load() (opened []oncalltest.Incident, err error) {
	data, err := os.ReadFile(p.state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &opened)
	}
	if err != nil {
		return nil, fmt.Errorf("the state of the local PagerDuty: %w", err)
	}
	return opened, nil
}

// opened tells whoever runs the demo that somebody is paged, and keeps that.
func (p *pager) opened(in oncalltest.Incident) {
	fmt.Fprintf(p.out, "\n  PagerDuty pages %s: %s\n  %s\n", p.paged(in), in.Title, in.URL)
	err := writeFile(p.state, func(w io.Writer) error { return json.NewEncoder(w).Encode(p.Incidents()) })
	if err != nil {
		fmt.Fprintln(p.out, "  A restart will not know this page:", err)
	}
}

// paged names those whom an incident calls.
func (p *pager) paged(in oncalltest.Incident) string {
	var names []string
	for _, email := range p.Paged(in) {
		name := email
		for _, u := range p.world.Users {
			if u.Email == email {
				name = u.RealName
			}
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}

// serve adds the API and the pages to the demo's server.
func (p *pager) serve(mux *http.ServeMux) {
	mux.Handle(pagerAPI+"/", http.StripPrefix(pagerAPI, p.PagerDuty))
	mux.HandleFunc("GET "+pagerPages+"/incidents/{id}", p.show)
}

// show is the page of an incident.
func (p *pager) show(w http.ResponseWriter, r *http.Request) {
	if onLoopback(r.Host) != nil {
		http.Error(w, "this page answers on loopback addresses only", http.StatusForbidden)
		return
	}
	for _, in := range p.Incidents() {
		if in.ID != r.PathValue("id") {
			continue
		}
		lines := strings.Fields(in.Details)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		// What cannot be written now, nobody reads any more.
		_ = p.page.Execute(w, struct {
			oncalltest.Incident
			Paged, Link string
		}{in, p.paged(in), lines[len(lines)-1]})
		return
	}
	http.NotFound(w, r)
}
