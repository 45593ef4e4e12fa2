package slacksim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// apiError is an error of the Web API.
type apiError struct {
	code  string
	extra obj
}

func (e *apiError) Error() string { return e.code }

func apiErr(code string) error { return &apiError{code: code} }

func apiErrWith(code string, extra obj) error { return &apiError{code, extra} }

// mistakes are the errors that show a mistake in the app. The others can happen to a
// correct one.
func isMistake(code string) bool {
	switch code {
	case "unknown_method", "not_authed", "invalid_auth", "not_allowed_token_type", "missing_scope", "invalid_blocks",
		"invalid_arguments", "invalid_json", "invalid_form_data", "msg_too_long", "msg_blocks_too_long", "no_text",
		"invalid_metadata_format", "metadata_too_large", "view_too_large", "push_limit_reached",
		"invalid_trigger_id", "expired_trigger_id", "exchanged_trigger_id", "invalid_cursor", "invalid_limit",
		"no_users_provided", "cannot_reply_to_message", "invalid_post_type", "invalid_arg_name":
		return true
	}
	return false
}

// Token kinds.
const (
	botToken  = "bot"
	appToken  = "app"
	userToken = "user"
)

const bodyLimit = 4 << 20

// method is one method of the Web API.
type method struct {
	tokens    []string                 // kinds of tokens it takes
	scopes    []string                 // all are needed
	json      bool                     // takes JSON bodies
	perMinute int                      // rate tier
	run       func(*call) (obj, error) // with the workspace locked
}

// call is one call of a method.
type call struct {
	s      *Server
	ws     *workspace
	name   string
	base   string
	kind   string // of the token
	user   string // whose token it is
	scopes []string
	args   obj
}

func (c *call) str(key string) string {
	switch v := c.args[key].(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func (c *call) flag(key string) bool { s := c.str(key); return s == "true" || s == "1" }

// json returns an argument that is JSON: an object in a JSON body, a string in a form.
func (c *call) json(key string) (any, bool) {
	s, ok := c.args[key].(string)
	if !ok {
		return c.args[key], true
	}
	if s == "" {
		return nil, true
	}
	var v any
	err := json.Unmarshal([]byte(s), &v)
	return v, err == nil
}

// need refuses the call when the token lacks a scope.
func (c *call) need(scope string) error {
	if slices.Contains(c.scopes, scope) {
		return nil
	}
	return apiErrWith("missing_scope", obj{"needed": scope, "provided": strings.Join(c.scopes, ",")})
}

// serveAPI answers /api/<method>.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	name := r.PathValue("method")
	delay, fault := s.faults.take(name)
	if fault != nil && fault.Error != "cut_after" {
		time.Sleep(delay)
		s.trace.add(Entry{Kind: "api", Title: name + ": " + fault.Error + " (fault)", MS: time.Since(start).Milliseconds()})
		failCall(w, fault)
		return
	}
	c, err := s.newCall(name, r)
	var answer json.RawMessage
	if err == nil {
		answer, err = s.runCall(c)
	}
	time.Sleep(delay)
	if err != nil {
		answer = s.failed(name, err)
	}
	s.traceCall(c, name, start, answer, err)
	if fault != nil {
		cut(w)
		return
	}
	var limited *apiError
	if errors.As(err, &limited) && limited.code == "ratelimited" {
		w.Header().Set("Retry-After", fmt.Sprint(limited.extra["retry_after"]))
		writeJSON(w, http.StatusTooManyRequests, obj{"ok": false, "error": "ratelimited"})
		return
	}
	if c.scopes != nil { // else nobody knows whose token it is
		w.Header().Set("X-OAuth-Scopes", strings.Join(c.scopes, ","))
	}
	w.Header().Set("Date", s.faults.date(time.Now()))
	writeJSON(w, http.StatusOK, answer)
}

// runCall runs the method and marshals its answer while the workspace is locked.
func (s *Server) runCall(c *call) (json.RawMessage, error) {
	m, known := s.methods[c.name]
	if !known {
		return nil, apiErrWith("unknown_method", obj{"req_method": c.name})
	}
	if err := s.authorize(c, m); err != nil {
		return nil, err
	}
	key := c.name
	if c.name == "chat.postMessage" {
		key += " " + c.str("channel")
	}
	if tooMany, wait := s.limits.exceeded(key, m.perMinute); tooMany {
		return nil, apiErrWith("ratelimited", obj{"retry_after": wait})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.ws = s.ws
	out, err := m.run(c)
	if err != nil {
		return nil, err
	}
	if out == nil {
		out = obj{}
	}
	out["ok"] = true
	return raw(out), nil
}

// authorize finds out whose token it is, and whether it may call the method.
func (s *Server) authorize(c *call, m method) error {
	s.mu.Lock()
	app := s.ws.app
	s.mu.Unlock()
	switch token := c.str("token"); {
	case token == "":
		return apiErr("not_authed")
	case token == app.BotToken:
		c.kind, c.user, c.scopes = botToken, app.BotUser, app.Scopes
	case token == app.AppToken:
		c.kind, c.scopes = appToken, []string{"connections:write"}
	case token == app.UserToken:
		c.kind, c.user, c.scopes = userToken, app.UserTokenUser, app.UserScopes
	default:
		return apiErr("invalid_auth")
	}
	if !slices.Contains(m.tokens, c.kind) {
		return apiErr("not_allowed_token_type")
	}
	for _, scope := range m.scopes {
		if err := c.need(scope); err != nil {
			return err
		}
	}
	return nil
}

// newCall reads the arguments out of a form, a JSON body, or the query.
func (s *Server) newCall(name string, r *http.Request) (*call, error) {
	c := &call{s: s, name: name, base: s.baseURL(r), args: obj{}}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, bodyLimit))
	if err != nil {
		return c, apiErr("request_timeout")
	}
	take := func(v url.Values) {
		for key := range v {
			c.args[key] = v.Get(key)
		}
	}
	take(r.URL.Query())
	delete(c.args, "token") // Slack refuses tokens in addresses
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		if m, known := s.methods[name]; known && !m.json && len(body) > 2 {
			s.trace.finding("json_not_taken", name+" takes no JSON body; its arguments were ignored", nil)
			break
		}
		if len(body) > 0 && json.Unmarshal(body, &c.args) != nil {
			return c, apiErr("invalid_json")
		}
		if c.args == nil {
			c.args = obj{} // the body was null
		}
		delete(c.args, "token") // in a JSON body it is not looked at
	case "multipart/form-data":
		if err := readMultipart(body, params["boundary"], take); err != nil {
			return c, apiErr("invalid_form_data")
		}
	case "application/x-www-form-urlencoded":
		v, err := url.ParseQuery(string(body))
		if err != nil {
			return c, apiErr("invalid_form_data")
		}
		take(v)
	default:
		if len(body) > 0 {
			return c, apiErr("invalid_post_type")
		}
	}
	if auth := r.Header.Get("Authorization"); strings.HasPrefix(auth, "Bearer ") {
		c.args["token"] = strings.TrimPrefix(auth, "Bearer ")
	}
	return c, nil
}

// failed is the answer to a call that failed. Mistakes of the app become findings.
func (s *Server) failed(name string, err error) json.RawMessage {
	out := obj{"ok": false, "error": "internal_error"}
	var e *apiError
	if errors.As(err, &e) {
		out["error"] = e.code
		for k, v := range e.extra {
			out[k] = v
		}
		if isMistake(e.code) {
			s.trace.finding(e.code, name+": "+e.code, e.extra)
		}
	}
	return raw(out)
}

func (s *Server) traceCall(c *call, name string, start time.Time, answer json.RawMessage, err error) {
	args := obj{}
	for k, v := range c.args {
		if k != "token" {
			args[k] = v
		}
	}
	title := name
	if err != nil {
		title += ": " + err.Error()
	}
	detail := raw(obj{"args": args, "answer": answer, "token": c.kind})
	s.trace.add(Entry{Kind: "api", Title: title, MS: time.Since(start).Milliseconds(), OK: err == nil, Detail: detail})
}

func failCall(w http.ResponseWriter, f *FailCalls) {
	switch f.Error {
	case "ratelimited":
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		writeJSON(w, http.StatusTooManyRequests, obj{"ok": false, "error": "ratelimited"})
	case "500":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>Server Error | Slack</title></head><body>Something went wrong</body></html>")
	case "cut_before":
		cut(w)
	default:
		writeJSON(w, http.StatusOK, obj{"ok": false, "error": f.Error})
	}
}

// cut breaks the connection without an answer.
func cut(w http.ResponseWriter) {
	if h, ok := w.(http.Hijacker); ok {
		if conn, _, err := h.Hijack(); err == nil {
			_ = conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(raw(v))
}
