package oncalltest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// IncidentIOConfig says how an [IncidentIO] is reached and what it reports.
type IncidentIOConfig struct {
	Token    string                           // the API key that is valid; required
	Roles    []string                         // of the key; unset: viewer, escalation_creator, incident_creator
	Now      func() time.Time                 // unset: time.Now
	MaxPage  int                              // schedules on a page at most; unset: 250
	Complain func(format string, args ...any) // told of each complaint, such as t.Errorf; unset: only kept
}

// A Schedule has the shifts of the people in it.
type Schedule struct {
	ID, Name string
	Shifts   []Shift
}

// A Shift is somebody's time on call.
type Shift struct {
	User       *User // nil: nobody's
	Start, End time.Time
}

// A User is somebody as incident.io knows them. Email and Slack may be empty.
type User struct {
	ID, Email, Slack string
}

// An Escalation calls people.
type Escalation struct {
	ID, Key, Title, Description, Path string
	Users                             []string
}

// A Declared is an incident that was opened.
type Declared struct {
	ID, Key, Name, Summary, Visibility, Mode, URL string
}

// IncidentIO is a local incident.io. It is safe for concurrent use.
type IncidentIO struct {
	desk
	c           IncidentIOConfig
	schedules   []Schedule
	paths       []string
	escalations []Escalation
	incidents   []Declared
}

// NewIncidentIO returns an incident.io without schedules.
func NewIncidentIO(c IncidentIOConfig) *IncidentIO {
	if c.Token == "" {
		panic("oncalltest: no token")
	}
	if c.Roles == nil {
		c.Roles = []string{"viewer", "escalation_creator", "incident_creator"}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxPage == 0 {
		c.MaxPage = 250
	}
	return &IncidentIO{desk: desk{complain: c.Complain}, c: c}
}

// SetSchedules replaces the schedules. Who has a shift in them becomes a user.
func (i *IncidentIO) SetSchedules(list ...Schedule) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.schedules = slices.Clone(list)
}

// AddPath makes an escalation path.
func (i *IncidentIO) AddPath(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.paths = append(i.paths, id)
}

// Escalations are all that were made, the first one first.
func (i *IncidentIO) Escalations() []Escalation {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.escalations)
}

// Incidents are all that were opened, the first one first.
func (i *IncidentIO) Incidents() []Declared {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.incidents)
}

// TooMany is incident.io's 429. What to wait for is a number of seconds, or a
// date such as "Thu, 17 Apr 2025 11:17:18 UTC".
func TooMany(on, retryAfter string) Fault {
	return Fault{On: on, Status: http.StatusTooManyRequests, Header: map[string]string{"Content-Type": "application/json", "Retry-After": retryAfter},
		Body: `{"type":"too_many_requests","status":429,"request_id":"b839a403-7704-41c1-bf6a-39a2d68caefa","rate_limit":{"name":"api_key_name","limit":1200,"remaining":0,"retry_after":"` +
			retryAfter + `"},"errors":[{"code":"too_many_requests","message":"Too many requests. We recommend exponential backoff."}]}`}
}

// ServeHTTP plays the API.
func (i *IncidentIO) ServeHTTP(w http.ResponseWriter, r *http.Request) { i.serve(w, r, i.play) }

func (i *IncidentIO) play(r *http.Request, body []byte) answer {
	if a, ok := i.admit(r, body); !ok {
		return a
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /v1/identity":
		if r.URL.RawQuery != "" {
			return i.wrong(r, "parameters")
		}
		return answer{status: http.StatusOK, value: map[string]any{"identity": map[string]any{
			"name": "Countersign", "roles": i.c.Roles, "team_roles": []string{}, "teams": []string{}, "dashboard_url": "https://app.incident.io/acme",
		}}}
	case "GET /v2/schedules":
		return i.listSchedules(r)
	case "POST /v2/escalations":
		return i.createEscalation(r, body)
	case "POST /v2/incidents":
		return i.createIncident(r, body)
	}
	if id, one := strings.CutPrefix(r.URL.Path, "/v2/schedules/"); one && r.Method == http.MethodGet {
		return i.showSchedule(r, id)
	}
	if id, one := strings.CutPrefix(r.URL.Path, "/v2/escalation_paths/"); one && r.Method == http.MethodGet {
		return i.showPath(r, id)
	}
	return i.wrong(r, "there is no such endpoint here")
}

// iioError is incident.io's error answer.
func iioError(status int, kind, code, message, field string) answer {
	return answer{status: status, value: map[string]any{
		"type": kind, "status": status, "request_id": "631766c4-4afd-4803-997c-cd700928fa4b",
		"errors": []any{map[string]any{"code": code, "message": message, "source": map[string]any{"field": field}}},
	}}
}

// admit checks headers, key and roles.
func (i *IncidentIO) admit(r *http.Request, body []byte) (answer, bool) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	post := r.Method == http.MethodPost
	switch {
	case !ok:
		return i.wrong(r, "Authorization is not of the form Bearer …"), false
	case r.Header.Get("Accept") != "application/json":
		return i.wrong(r, "Accept is %q", r.Header.Get("Accept")), false
	case post && r.Header.Get("Content-Type") != "application/json":
		return i.wrong(r, "Content-Type is %q", r.Header.Get("Content-Type")), false
	case post && r.URL.RawQuery != "":
		return i.wrong(r, "parameters of a POST"), false
	case !post && len(body) > 0:
		return i.wrong(r, "a GET with a body"), false
	case token != i.c.Token:
		return iioError(http.StatusUnauthorized, "authentication_error", "unauthorized", "That API key is invalid", ""), false
	case !i.may(r.URL.Path):
		return iioError(http.StatusForbidden, "authorization_error", "forbidden", "This API key has not the role that is needed", ""), false
	}
	return answer{}, true
}

// may reports whether the key's roles allow a path.
func (i *IncidentIO) may(path string) bool {
	for prefix, roles := range map[string][]string{
		"/v2/schedules": {"viewer", "schedules_reader"}, "/v2/escalations": {"escalation_creator"}, "/v2/incidents": {"incident_creator"},
	} {
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			return slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(i.c.Roles, role) })
		}
	}
	return true
}

func (i *IncidentIO) listSchedules(r *http.Request) answer {
	q := r.URL.Query()
	if k := unknown(q, "page_size", "after"); k != "" {
		return i.wrong(r, "parameter %q", k)
	}
	size, err := number(q, "page_size", 25, 1, 250)
	if err != nil {
		return i.wrong(r, "%v", err)
	}
	size = min(size, i.c.MaxPage)
	start := 0
	if q.Has("after") {
		if start = 1 + slices.IndexFunc(i.schedules, func(s Schedule) bool { return s.ID == q.Get("after") }); start == 0 {
			return i.wrong(r, "after=%q, which is no schedule", q.Get("after"))
		}
	}
	page, more := cut(i.schedules, size, start)
	meta := map[string]any{"page_size": size, "total_record_count": len(i.schedules)}
	if more {
		meta["after"] = page[len(page)-1].ID
	}
	out := []any{}
	for _, s := range page {
		out = append(out, i.schedule(s))
	}
	return answer{status: http.StatusOK, value: map[string]any{"schedules": out, "pagination_meta": meta}}
}

// schedule is one as incident.io writes it, with the shifts of this moment.
func (i *IncidentIO) schedule(s Schedule) any {
	shifts := []any{}
	for _, x := range s.Shifts {
		if now := i.c.Now(); now.Before(x.Start) || !now.Before(x.End) {
			continue
		}
		e := map[string]any{"start_at": x.Start.Format(time.RFC3339Nano), "end_at": x.End.Format(time.RFC3339Nano), "rotation_id": "01ROTATION", "layer_id": "01LAYER"}
		if x.User != nil {
			u := map[string]any{"id": x.User.ID, "name": x.User.ID, "role": "viewer"}
			if x.User.Email != "" {
				u["email"] = x.User.Email
			}
			if x.User.Slack != "" {
				u["slack_user_id"] = x.User.Slack
			}
			e["user"] = u
		}
		shifts = append(shifts, e)
	}
	return map[string]any{"id": s.ID, "name": s.Name, "timezone": "Europe/London", "current_shifts": shifts, "next_shifts": []any{},
		"permalink": "https://app.incident.io/acme/on-call/schedules/" + s.ID, "team_ids": []string{}}
}

// notThere is how incident.io says that it has no such thing.
var notThere = iioError(http.StatusNotFound, "not_found", "not_found", "Resource not found", "")

func (i *IncidentIO) showSchedule(r *http.Request, id string) answer {
	if r.URL.RawQuery != "" {
		return i.wrong(r, "parameters")
	}
	n := slices.IndexFunc(i.schedules, func(s Schedule) bool { return s.ID == id })
	if n < 0 {
		return notThere
	}
	return answer{status: http.StatusOK, value: map[string]any{"schedule": i.schedule(i.schedules[n])}}
}

func (i *IncidentIO) showPath(r *http.Request, id string) answer {
	if r.URL.RawQuery != "" {
		return i.wrong(r, "parameters")
	}
	if !slices.Contains(i.paths, id) {
		return notThere
	}
	return answer{status: http.StatusOK, value: map[string]any{"escalation_path": map[string]any{"id": id, "name": id, "path": []any{}, "working_hours": []any{}, "team_ids": []string{}}}}
}

func (i *IncidentIO) createEscalation(r *http.Request, body []byte) answer {
	var b struct {
		Key         string   `json:"idempotency_key"`
		Title       string   `json:"title"`
		Description string   `json:"description"`
		Path        string   `json:"escalation_path_id"`
		Users       []string `json:"user_ids"`
	}
	if err := strict(body, &b); err != nil {
		return i.wrong(r, "body: %v", err)
	}
	if b.Key == "" || b.Title == "" || strings.Contains(b.Title, "\n") || (b.Path == "") == (len(b.Users) == 0) {
		return i.wrong(r, "want a key, a title, and either a path or users: %s", body)
	}
	if n := slices.IndexFunc(i.escalations, func(e Escalation) bool { return e.Key == b.Key }); n >= 0 {
		return i.escalation(i.escalations[n])
	}
	if b.Path != "" && !slices.Contains(i.paths, b.Path) {
		return iioError(http.StatusUnprocessableEntity, "validation_error", "invalid_value", "There is no such escalation path", "escalation_path_id")
	}
	for n, u := range b.Users {
		if !i.knows(u) || slices.Contains(b.Users[:n], u) {
			return iioError(http.StatusUnprocessableEntity, "validation_error", "invalid_value", "There is no such user", "user_ids")
		}
	}
	e := Escalation{ID: fmt.Sprintf("01ESC%03d", len(i.escalations)+1), Key: b.Key, Title: b.Title, Description: b.Description, Path: b.Path, Users: b.Users}
	i.escalations = append(i.escalations, e)
	return i.escalation(e)
}

func (i *IncidentIO) escalation(e Escalation) answer {
	return answer{status: http.StatusCreated, value: map[string]any{"escalation": map[string]any{
		"id": e.ID, "title": e.Title, "status": "triggered", "events": []any{}, "priority": map[string]any{"name": "P1"},
	}}}
}

func (i *IncidentIO) knows(user string) bool {
	return slices.ContainsFunc(i.schedules, func(s Schedule) bool {
		return slices.ContainsFunc(s.Shifts, func(x Shift) bool { return x.User != nil && x.User.ID == user })
	})
}

func (i *IncidentIO) createIncident(r *http.Request, body []byte) answer {
	var b struct {
		Key        string `json:"idempotency_key"`
		Name       string `json:"name"`
		Summary    string `json:"summary"`
		Visibility string `json:"visibility"`
		Mode       string `json:"mode"`
	}
	if err := strict(body, &b); err != nil {
		return i.wrong(r, "body: %v", err)
	}
	if b.Key == "" || b.Name == "" || !slices.Contains([]string{"public", "private"}, b.Visibility) ||
		!slices.Contains([]string{"standard", "test", "tutorial", "retrospective"}, b.Mode) {
		return i.wrong(r, "want a key, a name, a visibility and a mode: %s", body)
	}
	n := slices.IndexFunc(i.incidents, func(d Declared) bool { return d.Key == b.Key })
	if n < 0 {
		n = len(i.incidents)
		i.incidents = append(i.incidents, Declared{ID: fmt.Sprintf("01INC%03d", n+1), Key: b.Key, Name: b.Name, Summary: b.Summary,
			Visibility: b.Visibility, Mode: b.Mode, URL: fmt.Sprintf("https://app.incident.io/acme/incidents/%d", n+1)})
	}
	d := i.incidents[n]
	return answer{status: http.StatusOK, value: map[string]any{"incident": map[string]any{
		"id": d.ID, "name": d.Name, "mode": d.Mode, "visibility": d.Visibility, "permalink": d.URL, "reference": fmt.Sprintf("INC-%d", n+1),
	}}}
}
