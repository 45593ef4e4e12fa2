package slacksim

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed static
var static embed.FS

// pageMux serves the browser.
func (s *Server) pageMux() *http.ServeMux {
	mux := http.NewServeMux()
	files, err := fs.Sub(static, "static")
	if err != nil {
		files = static
	}
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /archives/{channel}/{message}", permalink)
	mux.HandleFunc("GET /sim/world", s.getWorld)
	mux.HandleFunc("GET /sim/sidebar", s.getSidebar)
	mux.HandleFunc("GET /sim/channel", s.getChannel)
	mux.HandleFunc("GET /sim/thread", s.getThread)
	mux.HandleFunc("GET /sim/home", s.getHome)
	mux.HandleFunc("GET /sim/modals", s.getModals)
	mux.HandleFunc("GET /sim/trace", s.getTrace)
	mux.HandleFunc("GET /sim/findings", s.getFindings)
	mux.HandleFunc("GET /sim/events", s.getEvents)
	mux.HandleFunc("POST /sim/act", s.postAct)
	return mux
}

// guard lets only a browser on this machine in: anybody in front of that page can be
// everybody in the workspace. A foreign site cannot reach it by a name that it makes point to
// 127.0.0.1, nor by a request of its own.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "+
			"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if why := refusal(r); why != "" {
			fail(w, http.StatusForbidden, why)
			return
		}
		s.baseURL(r)
		next.ServeHTTP(w, r)
	})
}

func refusal(r *http.Request) string {
	if !loopback(r.Host) {
		return "this page answers on loopback addresses only"
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded-") || name == "Forwarded" {
			return "this page is not to be put behind a proxy"
		}
	}
	origin := r.Header.Get("Origin")
	if origin != "" && origin != "http://"+r.Host && origin != "https://"+r.Host {
		return "a page of another origin may not ask here"
	}
	if site := r.Header.Get("Sec-Fetch-Site"); r.Method == http.MethodPost && site != "" && site != "same-origin" && site != "none" {
		return "a page of another origin may not act here"
	}
	return ""
}

// loopback reports whether a Host header names this machine by a loopback name or address.
func loopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.Trim(name, "[]")
	ip := net.ParseIP(name)
	return name == "localhost" || (ip != nil && ip.IsLoopback())
}

func fail(w http.ResponseWriter, status int, sentence string) {
	writeJSON(w, status, obj{"error": sentence})
}

// permalink leads from the address of a message to the page that shows its thread.
func permalink(w http.ResponseWriter, r *http.Request) {
	digits := strings.TrimPrefix(r.PathValue("message"), "p")
	if _, err := strconv.ParseUint(digits, 10, 64); err != nil || len(digits) < 7 {
		http.NotFound(w, r)
		return
	}
	ts := digits[:len(digits)-6] + "." + digits[len(digits)-6:]
	if root := r.URL.Query().Get("thread_ts"); root != "" {
		ts = root
	}
	w.Header().Set("Location", "/#/c/"+r.PathValue("channel")+"/"+ts)
	w.WriteHeader(http.StatusFound)
}

// reader answers a GET for the person in "as".
func (s *Server) reader(w http.ResponseWriter, r *http.Request, f func(ws *workspace, u *User) (obj, error)) {
	var out json.RawMessage
	err := s.As(r.URL.Query().Get("as")).with(func(ws *workspace, u *User) error {
		o, err := f(ws, u)
		out = raw(o)
		return err
	})
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, out)
}

func (s *Server) getWorld(w http.ResponseWriter, _ *http.Request) {
	var out json.RawMessage
	_ = s.do(func(ws *workspace) error {
		users := []any{}
		for _, id := range ws.order {
			u := ws.users[id]
			users = append(users, obj{
				"id": u.ID, "name": u.Name, "real_name": u.RealName, "title": u.Title, "email": u.Email, "team_id": u.Team,
				"team": ws.teamOf(u).Name, "color": u.Color, "bot": u.Bot || u.ID == slackbot, "deleted": u.Deleted,
				"guest": u.Guest || u.SingleChannel, "foreign": ws.foreign(u),
			})
		}
		groups := []any{}
		for _, g := range ws.groups {
			groups = append(groups, obj{"id": g.ID, "handle": g.Handle, "name": g.Name, "users": g.Users, "disabled": g.Disabled})
		}
		out = raw(obj{
			"team": obj{"id": ws.team.ID, "name": ws.team.Name}, "users": users, "groups": groups,
			"app": obj{"name": ws.app.Name, "bot_user": ws.app.BotUser, "commands": ws.app.Commands, "shortcuts": ws.app.Shortcuts},
		})
		return nil
	})
	writeJSON(w, http.StatusOK, out)
}

func (s *Server) getChannel(w http.ResponseWriter, r *http.Request) {
	s.reader(w, r, func(ws *workspace, u *User) (obj, error) {
		c := ws.channelByName(r.URL.Query().Get("id"))
		if c == nil || (!c.has(u.ID) && (c.Private || c.isIM())) {
			return nil, fmt.Errorf("there is no channel %q", r.URL.Query().Get("id"))
		}
		root := func(m *message) bool { return m.Thread == "" || (m.Ephemeral != "" && c.isIM()) }
		out := obj{
			"id": c.ID, "name": ws.nameFor(c), "topic": c.Topic, "im": c.isIM(), "member": c.has(u.ID),
			"private": c.Private, "shared": c.Shared, "messages": ws.show(c, u, root),
		}
		if c.isIM() {
			out["user"] = ws.app.BotUser
		}
		return out, nil
	})
}

// nameFor is what a conversation is called in the page.
func (ws *workspace) nameFor(c *channel) string {
	if c.isIM() {
		return ws.app.Name
	}
	return c.Name
}

func (s *Server) getThread(w http.ResponseWriter, r *http.Request) {
	s.reader(w, r, func(ws *workspace, u *User) (obj, error) {
		c, err := ws.channelFor(u, r.URL.Query().Get("id"))
		if err != nil {
			return nil, err
		}
		ts := r.URL.Query().Get("ts")
		return obj{"messages": ws.show(c, u, func(m *message) bool { return m.TS == ts || m.Thread == ts })}, nil
	})
}

func (s *Server) getHome(w http.ResponseWriter, r *http.Request) {
	s.reader(w, r, func(ws *workspace, u *User) (obj, error) {
		if v := ws.homes[u.ID]; v != nil {
			return obj{"view": ws.seen(v)}, nil
		}
		return obj{"view": nil}, nil
	})
}

func (s *Server) getModals(w http.ResponseWriter, r *http.Request) {
	s.reader(w, r, func(ws *workspace, u *User) (obj, error) {
		views := []any{}
		for _, v := range ws.modals[u.ID] {
			views = append(views, ws.seen(v))
		}
		return obj{"views": views}, nil
	})
}

func (s *Server) getTrace(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Query().Get("after"))
	entries, next := s.trace.after(n)
	writeJSON(w, http.StatusOK, obj{"next": next, "entries": entries})
}

func (s *Server) getFindings(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, obj{"findings": append([]Finding{}, s.Findings()...)})
}

// heartbeat keeps the stream of events open through whatever is in between.
const heartbeat = 15 * time.Second

// getEvents is the stream that tells a page what to fetch again.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) {
	flusher, ok := w.(http.Flusher)
	if !ok {
		fail(w, http.StatusInternalServerError, "no streaming here")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	one := s.watch.open(s.As(r.URL.Query().Get("as")).user)
	defer s.watch.close(one)
	_, _ = fmt.Fprint(w, ": hello\n\n")
	flusher.Flush()
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		var line string
		select {
		case <-one.signal:
			line = "data: " + string(raw(obj{"what": one.take()})) + "\n\n"
		case <-tick.C:
			line = ": still here\n\n"
		case <-r.Context().Done():
			return
		case <-s.watch.ended():
			return
		}
		if _, err := fmt.Fprint(w, line); err != nil {
			return
		}
		flusher.Flush()
	}
}
