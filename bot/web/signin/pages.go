package signin

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
)

//go:embed templates/*.html
var files embed.FS

// page is what a template is filled with.
type page struct {
	Title, Stylesheet, Icon string
	Base                    string // the dashboard's own address
	With                    string // the issuer's name
	Start                   string // the address that begins a sign-in; empty without an issuer
	Who                     string // who is signed in; empty for nobody
	Reason                  string // a sentence
	Again                   bool   // whether to offer the sign-in
}

func parsePages() (*template.Template, error) {
	t, err := template.ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("signin: %w", err)
	}
	return t, nil
}

// signInPage is the page with the button.
func (g *Gate) signInPage(w http.ResponseWriter, r *http.Request) {
	to := local(r.URL.Query().Get("to"))
	if _, ok := g.session(r); ok {
		g.redirect(w, to)
		return
	}
	g.show(w, http.StatusOK, "signin", page{With: g.oidc.title(), Start: startPath + "?" + url.Values{"to": {to}}.Encode()})
}

// signOutPage asks whether to sign out, or says that nobody is signed in. With a
// proxy it can only say where the sign-out is.
func (g *Gate) signOutPage(w http.ResponseWriter, r *http.Request) {
	if g.proxy != nil {
		id, no := g.proxy.identify(r)
		if no != nil {
			g.refused(w, r, no)
			return
		}
		g.show(w, http.StatusOK, "byproxy", page{Who: called(id)})
		return
	}
	p := page{Again: true}
	if id, ok := g.session(r); ok {
		p.Who = called(id)
	}
	g.show(w, http.StatusOK, "signout", p)
}

// signOut ends the session of this browser. A POST from another site never gets
// here: [Gate.Protect] refuses it.
func (g *Gate) signOut(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		g.signOutPage(w, r)
		return
	}
	setCookie(w, sessionCookie, "", 0)
	setCookie(w, flowCookie, "", 0)
	g.redirect(w, SignOutPath)
}

// called is what a person is called on a page.
func called(id Identity) string {
	for _, s := range []string{id.Person.Email, id.Name} {
		if s != "" {
			return s
		}
	}
	return id.Person.Slack
}

// show writes one of the gate's pages.
func (g *Gate) show(w http.ResponseWriter, status int, name string, p page) {
	p.Stylesheet, p.Icon, p.Base = g.stylesheet, g.icon, g.base.String()
	p.Title = map[string]string{
		"signin": "Sign in", "signout": "Sign out", "byproxy": "Sign out",
		"refused": "Not signed in", "elsewhere": "Another address", "absent": "Nothing here",
	}[name]
	var b bytes.Buffer
	if err := g.pages.ExecuteTemplate(&b, name+".html", p); err != nil {
		g.log.Error("a page of the sign-in could not be written", "page", name, "err", err)
		status = http.StatusInternalServerError
		b.Reset()
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a browser that went away needs no answer
}
