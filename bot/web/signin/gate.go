package signin

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

type contextKey struct{}

// Who is the person that a request comes from. It reports false for a request
// that did not pass a [Gate], and for one of a public address.
func Who(r *http.Request) (Identity, bool) {
	id, ok := r.Context().Value(contextKey{}).(Identity)
	return id, ok
}

// Protect passes on to next what people send who signed in, and what asks for a
// public address. Everybody else is led to the sign-in. Requests that change
// something and come from another site are refused for all.
func (g *Gate) Protect(next http.Handler) http.Handler {
	inner := g.foreign.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch p := r.URL.Path; {
		case p == SignInPath || p == SignOutPath || strings.HasPrefix(p, SignInPath+"/"):
			g.own(w, r)
		case g.isPublic(r):
			next.ServeHTTP(w, r)
		default:
			g.enter(w, r, next)
		}
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.atHome(r) {
			g.warn(r, "a request under another host name was refused", slog.String("want", g.base.Host))
			g.show(w, http.StatusMisdirectedRequest, "elsewhere", page{})
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// enter lets a person through, or leads them to the sign-in.
func (g *Gate) enter(w http.ResponseWriter, r *http.Request, next http.Handler) {
	id, no := g.identify(r)
	if no != nil {
		g.turnAway(w, r, no)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store") // a default; the handler may know better
	h.Add("Vary", "Cookie")
	next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, id)))
}

// identify is who sends a request, or why that is not known.
func (g *Gate) identify(r *http.Request) (Identity, *refusal) {
	if g.proxy != nil {
		return g.proxy.identify(r)
	}
	if s, ok := g.session(r); ok {
		return s, nil
	}
	return Identity{}, refuse(http.StatusUnauthorized, "You are not signed in.", nil)
}

// turnAway answers a request from nobody. A browser that opens a page is led to
// the sign-in; what loads a picture or saves a file is told no.
func (g *Gate) turnAway(w http.ResponseWriter, r *http.Request, no *refusal) {
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	dest := r.Header.Get("Sec-Fetch-Dest")
	if g.oidc != nil && get && (dest == "" || dest == "document") {
		to := r.URL.EscapedPath()
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		g.redirect(w, SignInPath+"?"+url.Values{"to": {local(to)}}.Encode())
		return
	}
	g.refused(w, r, no)
}

// own answers the addresses of the gate itself.
func (g *Gate) own(w http.ResponseWriter, r *http.Request) {
	type route struct {
		methods []string
		answer  http.HandlerFunc
	}
	get := []string{http.MethodGet, http.MethodHead}
	routes := map[string]route{SignOutPath: {get, g.signOutPage}}
	if g.oidc != nil {
		routes[SignInPath] = route{get, g.signInPage}
		// These two change something, so that HEAD, which programs send to look at
		// a link, must not use them up.
		routes[startPath] = route{[]string{http.MethodGet}, g.start}
		routes[CallbackPath] = route{[]string{http.MethodGet}, g.callback}
		routes[SignOutPath] = route{append(get, http.MethodPost), g.signOut}
	}
	at, ok := routes[r.URL.Path]
	switch {
	case !ok:
		g.show(w, http.StatusNotFound, "absent", page{})
	case !slices.Contains(at.methods, r.Method):
		w.Header().Set("Allow", strings.Join(at.methods, ", "))
		g.show(w, http.StatusMethodNotAllowed, "absent", page{})
	default:
		at.answer(w, r)
	}
}

// isPublic reports whether everybody may get this. A path that some handler may
// read as another one is not.
func (g *Gate) isPublic(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || !clean(r.URL.Path) {
		return false
	}
	return slices.ContainsFunc(g.public, func(p string) bool {
		return r.URL.Path == p || strings.HasSuffix(p, "/") && strings.HasPrefix(r.URL.Path, p)
	})
}

// atHome reports whether a request is for the configured host. Where the name
// is another one, a page of somebody else may have been pointed at this address
// (DNS rebinding), and would be of one origin with the dashboard.
func (g *Gate) atHome(r *http.Request) bool {
	return hostPort(g.base.Scheme, r.Host) == hostPort(g.base.Scheme, g.base.Host)
}

// hostPort is a host with its port, even where that is the scheme's own.
func hostPort(scheme, host string) string {
	host = strings.ToLower(host)
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return host + map[string]string{"http": ":80", "https": ":443"}[scheme]
}

// redirect leads to a local address. The origin is always written out, so that
// no path, however odd, leads anywhere else.
func (g *Gate) redirect(w http.ResponseWriter, to string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Location", g.base.String()+local(to))
	w.WriteHeader(http.StatusSeeOther)
}

// local is a path and query on this host to go on to, "/" for anything that is
// not plainly that. Browsers read "//host" and "/\host" as another host, and
// drop tabs and line feeds before they read.
func local(to string) string {
	if len(to) > 1000 || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, "\\") {
		return "/"
	}
	for i := range len(to) {
		if to[i] <= ' ' || to[i] >= 0x7F {
			return "/"
		}
	}
	to, _, _ = strings.Cut(to, "#")
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return "/"
	}
	return to // as it came: written anew, "/%2f" beside an odd character becomes "//"
}

// denyForeign answers a request that another site made the browser send.
func (g *Gate) denyForeign(w http.ResponseWriter, r *http.Request) {
	g.refused(w, r, refuse(http.StatusForbidden, "This was sent by a page of another site, so nothing was done.", nil))
}
