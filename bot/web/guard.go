package web

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
)

// maxQuery is how long the query of an address may be, in bytes.
const maxQuery = 4096

// secure sets what every answer carries. What may be kept says so afterwards.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "+
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// beyondLoopback says why a request is not one of a browser on this machine, for
// a page of this address. A foreign site cannot get in by a name that it makes
// point to 127.0.0.1, nor by a script that asks 127.0.0.1 itself.
func beyondLoopback(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	if host != "localhost" && !strings.HasSuffix(host, ".localhost") && (ip == nil || !ip.IsLoopback()) {
		return "This page has no sign-in, so it answers to loopback addresses only: use http://127.0.0.1 or http://localhost."
	}
	if o := r.Header.Get("Origin"); o != "" && o != "http://"+r.Host && o != "https://"+r.Host {
		return "This page has no sign-in, so it does not answer pages of other sites."
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded-") || name == "Forwarded" {
			return "This page has no sign-in, so it is not to be put behind a proxy."
		}
	}
	return ""
}

// A problem is an answer that is not what was asked for, in words for people.
type problem struct {
	Status int
	Title  string
	Text   string // what to do
}

// Error implements error.
func (p *problem) Error() string { return p.Title }

// The problems that have no more to say than this.
var (
	errNoPage = &problem{http.StatusNotFound, "There is no such page", "The address may have been cut off when it was copied. The pages that there are stand at the top."}
	errNoReq  = &problem{http.StatusNotFound, "There is no such request", "Either its id was cut off when it was copied, or it is one that you are not part of: people see their own requests, reviewers and auditors all of them."}
	errNobody = &problem{http.StatusForbidden, "Sign in first", "This page shows who has access to what, so it must know who looks at it."}
	errFault  = &problem{http.StatusInternalServerError, "This cannot be read right now", "Nothing is lost: the log itself is in git. Load the page again in a moment; if it stays like this, the operator finds the reason in the program's log."}
)

// bad is the problem with a parameter of an address.
func bad(text string) *problem {
	return &problem{http.StatusBadRequest, "That cannot be looked for", text}
}

// fail answers with a page that says what is wrong. What is no [problem] is a
// fault, whose text is for the operator alone.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, v Viewer, err error) {
	p, known := errors.AsType[*problem](err)
	switch {
	case known:
	case errors.Is(err, ErrNotFound):
		p = errNoReq
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		return // nobody waits for it
	default:
		s.Log.Error("the dashboard cannot read", "path", r.URL.Path, "err", err)
		p = errFault
	}
	s.show(w, r, v, p.Status, content{"problem", p.Title, p})
}
