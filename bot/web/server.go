package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"countersign/bot/access"
)

// A Viewer is who looks at a page.
type Viewer struct {
	Person access.Person
	Name   string // as it is shown; empty: the address
	All    bool   // reviewers and auditors: everything, not only what involves them
}

// Config is what a [Server] is made of.
type Config struct {
	Requests Requests
	Record   Record
	Rules    Rulebook
	// Viewer says who has sent a request; false is answered with 403. It may be
	// nil only with Loopback: then whoever asks sees everything.
	Viewer func(*http.Request) (Viewer, bool)
	// Loopback is for a page without sign-in on this machine: the Host must be a
	// loopback name, and what came through a proxy is refused.
	Loopback bool
	// CommitURL and ConfigURL give the web address of a commit of the log and of
	// the configuration; nil or an empty answer: none is known.
	CommitURL, ConfigURL func(commit string) string
	SignOut              string           // path to which the page posts to sign out; empty: no button
	Now                  func() time.Time // nil: [time.Now]
	Log                  *slog.Logger     // nil: discarded
}

// A Server answers the dashboard's addresses. It is safe for concurrent use.
type Server struct {
	Config
	pages  *pages
	assets *assets
	hub    hub
	mux    *http.ServeMux
}

// New makes a server.
func New(c Config) (*Server, error) {
	switch {
	case c.Requests == nil, c.Record == nil, c.Rules == nil:
		return nil, errors.New("web: a dashboard needs requests, a record and a rulebook")
	case c.Viewer == nil && !c.Loopback:
		return nil, errors.New("web: a dashboard that is not on loopback needs to know its viewers")
	}
	if c.Viewer == nil {
		c.Viewer = func(*http.Request) (Viewer, bool) { return Viewer{All: true}, true }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	assets, err := openAssets()
	if err != nil {
		return nil, err
	}
	pages, err := openPages()
	if err != nil {
		return nil, err
	}
	s := &Server{Config: c, pages: pages, assets: assets, mux: http.NewServeMux()}
	s.routes()
	return s, nil
}

func (s *Server) routes() {
	s.mux.HandleFunc("GET /{$}", s.page(s.now))
	s.mux.HandleFunc("GET /requests", s.page(s.list))
	s.mux.HandleFunc("GET /requests/{id}", s.page(s.request))
	s.mux.HandleFunc("GET /approvals", s.page(s.approvals))
	s.mux.HandleFunc("GET /asof", s.page(s.asof))
	s.mux.HandleFunc("GET /requests.tsv", s.signedIn(s.export))
	s.mux.HandleFunc("GET /changes", s.signedIn(s.changes))
	s.mux.HandleFunc("GET /static/{name}", s.asset)
	s.mux.HandleFunc("/", s.signedIn(func(w http.ResponseWriter, r *http.Request, v Viewer) {
		s.fail(w, r, v, errNoPage)
	}))
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if s.Loopback {
		if why := beyondLoopback(r); why != "" {
			s.fail(w, r, Viewer{}, &problem{Status: http.StatusForbidden, Title: "Only on this machine", Text: why})
			return
		}
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.fail(w, r, Viewer{}, &problem{Status: http.StatusMethodNotAllowed, Title: "This page only shows", Text: "Nothing can be changed here. Access is asked for and decided in Slack."})
		return
	}
	if len(r.URL.RawQuery) > maxQuery {
		s.fail(w, r, Viewer{}, bad("The address is too long. Take some of the filters away."))
		return
	}
	s.mux.ServeHTTP(w, r)
}

// signedIn hands on only what comes from somebody.
func (s *Server) signedIn(next func(http.ResponseWriter, *http.Request, Viewer)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, ok := s.Viewer(r)
		if !ok {
			s.fail(w, r, Viewer{}, errNobody)
			return
		}
		next(w, r, v)
	}
}

// A content is one page, before it is put into the frame.
type content struct {
	Name  string // of the template
	Title string
	Data  any
}

// page answers with the page that make returns.
func (s *Server) page(make func(*http.Request, view) (content, error)) http.HandlerFunc {
	return s.signedIn(func(w http.ResponseWriter, r *http.Request, v Viewer) {
		c, err := make(r, s.view(v))
		if err != nil {
			s.fail(w, r, v, err)
			return
		}
		s.show(w, r, v, http.StatusOK, c)
	})
}

// A view is what one page is made for: who looks, when, and where links lead.
type view struct {
	Viewer Viewer
	Now    time.Time
	links  links
}

func (s *Server) view(v Viewer) view {
	return view{Viewer: v, Now: s.Now().UTC(), links: links{root: "/"}}
}

// A frame is what surrounds each page.
type frame struct {
	Title, Name string
	Viewer      string
	All, Static bool
	SignOut     string
	Nav         []link
	CSS, JS     string
	Icon, Home  string
	Made        time.Time
	Narrow      bool // what is shown is only what involves the viewer
	Body        template.HTML
}

func (s *Server) frame(c content, v view) frame {
	name := v.Viewer.Name
	if name == "" {
		name = v.Viewer.Person.Email
	}
	return frame{
		Title: c.Title, Name: c.Name, Viewer: name, All: v.Viewer.All, SignOut: s.SignOut, Static: v.links.static,
		Nav: v.links.nav(c.Name), CSS: v.links.asset(s.assets.css), JS: v.links.asset(s.assets.js), Icon: v.links.asset(s.assets.icon),
		Home: v.links.now(), Made: v.Now, Narrow: !v.Viewer.All && name != "",
	}
}

// show writes a page whole or, where it cannot be made, that it cannot.
func (s *Server) show(w http.ResponseWriter, r *http.Request, v Viewer, status int, c content) {
	var buf bytes.Buffer
	if err := s.pages.render(&buf, s.frame(c, s.view(v)), c); err != nil {
		s.Log.Error("a page of the dashboard cannot be made", "path", r.URL.Path, "err", err)
		http.Error(w, "This page cannot be made. The log of the program says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(buf.Bytes())
}

// scope narrows a filter to what the viewer may see.
func (s *Server) scope(v Viewer, f access.Filter) access.Filter {
	if !v.All {
		f.Involves = append([]string{}, s.Rules.Rules().Keys(v.Person)...)
	}
	return f
}

// visible reports whether the viewer may see a request.
func (s *Server) visible(v Viewer, r access.Request) bool {
	return s.scope(v, access.Filter{}).Match(r)
}

// open lists what is open and visible, the newest filing first.
func (s *Server) open(ctx context.Context, v Viewer) ([]access.Request, error) {
	all, err := s.Record.Open(ctx)
	if err != nil {
		return nil, err
	}
	f := s.scope(v, access.Filter{})
	list := slices.DeleteFunc(slices.Clone(all), func(r access.Request) bool { return !f.Match(r) })
	slices.SortFunc(list, func(a, b access.Request) int {
		return cmp.Or(b.FiledAt.Compare(a.FiledAt), cmp.Compare(b.ID, a.ID))
	})
	return list, nil
}
