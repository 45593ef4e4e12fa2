package oncalltest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// PagerDutyConfig says how a [PagerDuty] is reached and what it reports.
type PagerDutyConfig struct {
	Token      string                           // the REST API key that is valid; required
	RoutingKey string                           // the integration key that is valid; unset: none
	Now        func() time.Time                 // unset: time.Now
	WebURL     string                           // where its pages would be; unset: https://acme.pagerduty.com
	MaxLimit   int                              // entries on a page at most; unset: 100, as PagerDuty has it
	Incidents  []Incident                       // opened before, the first one first; unset: none
	Opened     func(Incident)                   // told of each incident that is opened, before the answer; unset: nobody
	Complain   func(format string, args ...any) // told of each complaint, such as t.Errorf; unset: only kept
}

// An OnCall is an entry of the list of those who are on call.
type OnCall struct {
	User     string // id
	Email    string
	Policy   string // id
	Level    int
	Schedule string    // id; empty: named directly on the policy
	Start    time.Time // zero: permanent
	End      time.Time // zero: never goes off call
}

// An Incident is what a page opened.
type Incident struct {
	ID, Key, Service, Policy, Title, Details, From, URL string
	Created                                             time.Time
	Resolved                                            bool
}

// An Alert is what came by Events API v2.
type Alert struct {
	Key, Summary, Severity, Source string
	Triggers                       int // how often it was raised while it was open
	Open                           bool
}

// PagerDuty is a local PagerDuty: REST API v2 (on-calls, incidents) and Events
// API v2 on one address. It is safe for concurrent use.
type PagerDuty struct {
	desk
	c         PagerDutyConfig
	onCalls   []OnCall
	users     []string
	services  map[string]string
	incidents []Incident
	alerts    []Alert
}

// NewPagerDuty returns a PagerDuty with nobody on call.
func NewPagerDuty(c PagerDutyConfig) *PagerDuty {
	if c.Token == "" {
		panic("oncalltest: no token")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.WebURL == "" {
		c.WebURL = "https://acme.pagerduty.com"
	}
	if c.MaxLimit == 0 {
		c.MaxLimit = 100
	}
	return &PagerDuty{desk: desk{complain: c.Complain}, c: c, services: map[string]string{}, incidents: slices.Clone(c.Incidents)}
}

// SetOnCalls replaces the list of those who are on call. They become users.
func (p *PagerDuty) SetOnCalls(list ...OnCall) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onCalls = slices.Clone(list)
	for _, o := range list {
		p.users = append(p.users, strings.ToLower(o.Email))
	}
}

// AddUser makes an address valid in the header From.
func (p *PagerDuty) AddUser(email string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users = append(p.users, strings.ToLower(email))
}

// AddService makes a service that follows an escalation policy.
func (p *PagerDuty) AddService(id, policy string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.services[id] = policy
}

// Resolve closes an incident, as somebody does who has seen it.
func (p *PagerDuty) Resolve(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.incidents {
		p.incidents[i].Resolved = p.incidents[i].Resolved || p.incidents[i].ID == id
	}
}

// Paged are the addresses of those whom an incident calls now: who is on call in
// its escalation policy, on any level.
func (p *PagerDuty) Paged(in Incident) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, o := range p.onCalls {
		if o.Policy == in.Policy && p.now(o) && !slices.Contains(out, o.Email) {
			out = append(out, o.Email)
		}
	}
	return out
}

// now reports whether it is the time of an entry.
func (p *PagerDuty) now(o OnCall) bool {
	now := p.c.Now()
	return !now.Before(o.Start) && (o.End.IsZero() || now.Before(o.End))
}

// Incidents are all that were opened, the first one first.
func (p *PagerDuty) Incidents() []Incident {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.incidents)
}

// Alerts are all that were raised, the first one first.
func (p *PagerDuty) Alerts() []Alert {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.alerts)
}

// RateLimited is PagerDuty's 429 with the seconds until the limit is reset.
func RateLimited(on string, seconds int) Fault {
	return Fault{On: on, Status: http.StatusTooManyRequests, Header: map[string]string{
		"Content-Type": "application/json", "ratelimit-limit": "960", "ratelimit-remaining": "0", "ratelimit-reset": fmt.Sprint(seconds),
	}, Body: `{"error":{"message":"Rate Limit Exceeded","code":2020}}`}
}

// ServeHTTP plays the API.
func (p *PagerDuty) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.serve(w, r, p.play) }

func (p *PagerDuty) play(r *http.Request, body []byte) answer {
	name := r.Method + " " + r.URL.Path
	if name == "POST /v2/enqueue" {
		return p.enqueue(r, body)
	}
	if a, ok := p.admit(r); !ok {
		return a
	}
	if r.Method == http.MethodGet && len(body) > 0 {
		return p.wrong(r, "a GET with a body")
	}
	switch name {
	case "GET /oncalls":
		return p.listOnCalls(r)
	case "GET /incidents":
		return p.listIncidents(r)
	case "POST /incidents":
		return p.createIncident(r, body)
	}
	if kind, id, one := strings.Cut(strings.TrimPrefix(name, "GET /"), "/"); one && p.ids(kind) != nil {
		return p.show(r, kind, id)
	}
	return p.wrong(r, "there is no such endpoint here")
}

// ids are those of all things of a kind; nil where there is no such kind. Policies
// and schedules are those that somebody is on call in.
func (p *PagerDuty) ids(kind string) []string {
	out := []string{}
	switch kind {
	case "services":
		for id := range p.services {
			out = append(out, id)
		}
	case "escalation_policies":
		for _, policy := range p.services {
			out = append(out, policy)
		}
		for _, o := range p.onCalls {
			out = append(out, o.Policy)
		}
	case "schedules":
		for _, o := range p.onCalls {
			out = append(out, o.Schedule)
		}
	default:
		return nil
	}
	return out
}

// show is one thing, or that there is none.
func (p *PagerDuty) show(r *http.Request, kind, id string) answer {
	if r.URL.RawQuery != "" {
		return p.wrong(r, "parameters")
	}
	if id == "" || !slices.Contains(p.ids(kind), id) {
		return pdError(http.StatusNotFound, 2100, "Not Found")
	}
	one := map[string]string{"services": "service", "escalation_policies": "escalation_policy", "schedules": "schedule"}[kind]
	return answer{status: http.StatusOK, value: map[string]any{one: p.reference(kind, id, one)}}
}

// pdError is PagerDuty's error answer.
func pdError(status, code int, message string, details ...string) answer {
	e := map[string]any{"message": message, "code": code}
	if len(details) > 0 {
		e["errors"] = details
	}
	return answer{status: status, value: map[string]any{"error": e}}
}

// admit checks the headers.
func (p *PagerDuty) admit(r *http.Request) (answer, bool) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Token token=")
	switch {
	case !ok:
		return p.wrong(r, "Authorization is not of the form Token token=…"), false
	case r.Header.Get("Accept") != "application/vnd.pagerduty+json;version=2":
		return p.wrong(r, "Accept is %q", r.Header.Get("Accept")), false
	case r.Header.Get("Content-Type") != "application/json":
		return p.wrong(r, "Content-Type is %q", r.Header.Get("Content-Type")), false
	case r.Header.Get("From") != "" && r.Method == http.MethodGet:
		return p.wrong(r, "From on a GET"), false
	case token != p.c.Token:
		return pdError(http.StatusUnauthorized, 2006, "Invalid Credentials"), false
	}
	return answer{}, true
}

// span reads limit and offset.
func (p *PagerDuty) span(q url.Values) (limit, offset int, err error) {
	if limit, err = number(q, "limit", 25, 1, 100); err != nil {
		return 0, 0, err
	}
	if offset, err = number(q, "offset", 0, 0, 10000-limit); err != nil {
		return 0, 0, err
	}
	return min(limit, p.c.MaxLimit), offset, nil
}

// cut is one page of a list, and whether more follows.
func cut[T any](list []T, limit, offset int) ([]T, bool) {
	list = list[min(offset, len(list)):]
	return append([]T{}, list[:min(limit, len(list))]...), len(list) > limit
}

func (p *PagerDuty) listOnCalls(r *http.Request) answer {
	q := r.URL.Query()
	if k := unknown(q, "escalation_policy_ids[]", "schedule_ids[]", "include[]", "limit", "offset"); k != "" {
		return p.wrong(r, "parameter %q", k)
	}
	limit, offset, err := p.span(q)
	if err != nil {
		return p.wrong(r, "%v", err)
	}
	var fit []any
	for _, o := range p.onCalls {
		if asked(q["escalation_policy_ids[]"], o.Policy) && asked(q["schedule_ids[]"], o.Schedule) && p.now(o) {
			fit = append(fit, p.onCall(o, slices.Contains(q["include[]"], "users")))
		}
	}
	page, more := cut(fit, limit, offset)
	return answer{status: http.StatusOK, value: map[string]any{"oncalls": page, "limit": limit, "offset": offset, "more": more, "total": nil}}
}

func asked(filter []string, id string) bool { return len(filter) == 0 || slices.Contains(filter, id) }

// onCall is an entry as PagerDuty writes it: without the user's address unless
// it was asked for.
func (p *PagerDuty) onCall(o OnCall, users bool) any {
	user := p.reference("users", o.User, "user_reference")
	if users {
		user["type"], user["name"], user["email"], user["role"] = "user", o.User, o.Email, "limited_user"
	}
	e := map[string]any{
		"user": user, "escalation_policy": p.reference("escalation_policies", o.Policy, "escalation_policy_reference"),
		"escalation_level": o.Level, "schedule": nil, "start": nil, "end": nil,
	}
	if o.Schedule != "" {
		e["schedule"] = p.reference("schedules", o.Schedule, "schedule_reference")
	}
	if !o.Start.IsZero() {
		e["start"] = o.Start.Format(time.RFC3339)
	}
	if !o.End.IsZero() {
		e["end"] = o.End.Format(time.RFC3339)
	}
	return e
}

func (p *PagerDuty) reference(kind, id, as string) map[string]any {
	return map[string]any{
		"id": id, "type": as, "summary": id, "self": "https://api.pagerduty.com/" + kind + "/" + id, "html_url": p.c.WebURL + "/" + kind + "/" + id,
	}
}

func (p *PagerDuty) listIncidents(r *http.Request) answer {
	q := r.URL.Query()
	if k := unknown(q, "incident_key", "service_ids[]", "date_range", "limit", "offset"); k != "" {
		return p.wrong(r, "parameter %q", k)
	}
	if q.Has("date_range") && q.Get("date_range") != "all" {
		return p.wrong(r, "date_range=%q", q.Get("date_range"))
	}
	limit, offset, err := p.span(q)
	if err != nil {
		return p.wrong(r, "%v", err)
	}
	var fit []any
	for _, in := range p.incidents {
		// An empty key is no filter.
		key := q.Get("incident_key")
		old := !q.Has("date_range") && p.c.Now().Sub(in.Created) > 30*24*time.Hour
		if (key == "" || key == in.Key) && asked(q["service_ids[]"], in.Service) && !old {
			fit = append(fit, p.incident(in))
		}
	}
	page, more := cut(fit, limit, offset)
	return answer{status: http.StatusOK, value: map[string]any{"incidents": page, "limit": limit, "offset": offset, "more": more, "total": nil}}
}

func (p *PagerDuty) incident(in Incident) map[string]any {
	status := "triggered"
	if in.Resolved {
		status = "resolved"
	}
	return map[string]any{
		"id": in.ID, "type": "incident", "title": in.Title, "summary": in.Title, "status": status, "urgency": "high",
		"html_url": in.URL, "self": "https://api.pagerduty.com/incidents/" + in.ID, "incident_key": in.Key,
		"created_at": in.Created.Format(time.RFC3339), "service": p.reference("services", in.Service, "service_reference"),
		"escalation_policy": p.reference("escalation_policies", in.Policy, "escalation_policy_reference"),
	}
}

// typed is a reference as it is sent.
type typed struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

func (p *PagerDuty) createIncident(r *http.Request, body []byte) answer {
	var b struct {
		Incident struct {
			Type    string `json:"type"`
			Title   string `json:"title"`
			Service typed  `json:"service"`
			Urgency string `json:"urgency"`
			Key     string `json:"incident_key"`
			Body    struct {
				Type    string `json:"type"`
				Details string `json:"details"`
			} `json:"body"`
			Policy *typed `json:"escalation_policy"`
		} `json:"incident"`
	}
	if err := strict(body, &b); err != nil {
		return p.wrong(r, "body: %v", err)
	}
	in := b.Incident
	switch {
	case r.URL.RawQuery != "":
		return p.wrong(r, "parameters")
	case r.Header.Get("From") == "":
		return p.wrong(r, "no From")
	case in.Type != "incident" || in.Service.Type != "service_reference" || in.Body.Type != "incident_body":
		return p.wrong(r, "types %q, %q, %q", in.Type, in.Service.Type, in.Body.Type)
	case in.Policy != nil && (in.Policy.Type != "escalation_policy_reference" || in.Policy.ID == ""):
		return p.wrong(r, "escalation policy %+v", *in.Policy)
	case in.Title == "" || len(in.Title) > 1024 || strings.Contains(in.Title, "\n"):
		return p.wrong(r, "title %.2000q", in.Title)
	case in.Urgency != "high" || in.Key == "" || in.Body.Details == "":
		return p.wrong(r, "urgency %q, key %q, details %q", in.Urgency, in.Key, in.Body.Details)
	}
	return p.open(Incident{Key: in.Key, Service: in.Service.ID, Title: in.Title, Details: in.Body.Details, From: r.Header.Get("From")}, in.Policy)
}

func (p *PagerDuty) open(in Incident, policy *typed) answer {
	var known bool
	in.Policy, known = p.services[in.Service]
	if policy != nil {
		in.Policy = policy.ID
	}
	same := func(o Incident) bool { return !o.Resolved && o.Service == in.Service && o.Key == in.Key }
	switch {
	case !known:
		return pdError(http.StatusBadRequest, 2001, "Invalid Input Provided", "Service Not Found")
	case !slices.Contains(p.users, strings.ToLower(in.From)):
		return pdError(http.StatusBadRequest, 2001, "Invalid Input Provided", "Requester User Not Found")
	case slices.ContainsFunc(p.incidents, same):
		return pdError(http.StatusBadRequest, 2002, "Arguments Caused Error", "Open incident with matching dedup key already exists on this service")
	}
	in.ID = fmt.Sprintf("PINC%03d", len(p.incidents)+1)
	in.URL = p.c.WebURL + "/incidents/" + in.ID
	in.Created = p.c.Now()
	p.incidents = append(p.incidents, in)
	a := answer{status: http.StatusCreated, value: map[string]any{"incident": p.incident(in)}}
	if p.c.Opened != nil {
		a.then = func() { p.c.Opened(in) }
	}
	return a
}

func (p *PagerDuty) enqueue(r *http.Request, body []byte) answer {
	var e struct {
		Key     string `json:"routing_key"`
		Action  string `json:"event_action"`
		Dedup   string `json:"dedup_key"`
		Payload *struct {
			Summary  string `json:"summary"`
			Source   string `json:"source"`
			Severity string `json:"severity"`
		} `json:"payload"`
	}
	if err := strict(body, &e); err != nil {
		return p.wrong(r, "body: %v", err)
	}
	switch {
	case r.Header.Get("Authorization") != "":
		return p.wrong(r, "a token where none belongs")
	case r.Header.Get("Content-Type") != "application/json" || r.URL.RawQuery != "":
		return p.wrong(r, "Content-Type %q, parameters %q", r.Header.Get("Content-Type"), r.URL.RawQuery)
	case e.Dedup == "" || len(e.Dedup) > 255:
		return p.wrong(r, "dedup_key %q", e.Dedup)
	case e.Key == "" || e.Key != p.c.RoutingKey:
		return answer{status: http.StatusBadRequest, value: map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": []string{"Invalid routing key"}}}
	case e.Action == "resolve" && e.Payload == nil:
		for i := range p.alerts {
			p.alerts[i].Open = p.alerts[i].Open && p.alerts[i].Key != e.Dedup
		}
	case e.Action == "trigger" && e.Payload != nil && e.Payload.Summary != "" && len(e.Payload.Summary) <= 1024 && e.Payload.Source != "" &&
		slices.Contains([]string{"critical", "error", "warning", "info"}, e.Payload.Severity):
		p.trigger(Alert{Key: e.Dedup, Summary: e.Payload.Summary, Severity: e.Payload.Severity, Source: e.Payload.Source})
	default:
		return p.wrong(r, "action %q with payload %+v", e.Action, e.Payload)
	}
	return answer{status: http.StatusAccepted, value: map[string]any{"status": "success", "message": "Event processed", "dedup_key": e.Dedup}}
}

func (p *PagerDuty) trigger(a Alert) {
	i := slices.IndexFunc(p.alerts, func(o Alert) bool { return o.Open && o.Key == a.Key })
	if i >= 0 {
		p.alerts[i].Triggers++
		return
	}
	a.Open, a.Triggers = true, 1
	p.alerts = append(p.alerts, a)
}
