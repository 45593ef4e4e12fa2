package signin

import (
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"countersign/bot/access"
)

// How long things last, counted from when they were made.
const (
	SessionLife = 12 * time.Hour   // a session, however much it is used
	FlowLife    = 10 * time.Minute // a sign-in that was begun
)

// The addresses of the gate.
const (
	SignInPath   = "/signin"          // the page; ?to= is the local address to go on to
	CallbackPath = "/signin/callback" // to be registered with the issuer, after the base URL
	SignOutPath  = "/signout"         // GET is a page with a button, POST signs out
	startPath    = "/signin/start"
)

// Config says who is let in, and how that is found out.
type Config struct {
	// BaseURL is the dashboard's own address as browsers see it, scheme, host and
	// port without a path: "https://access.example.com". Requests under another
	// Host are refused. Plain http only on loopback, and with a browser that takes
	// Secure cookies there, as Chromium does.
	BaseURL string
	// OIDC or Proxy is the way in: exactly one of them.
	OIDC  *OIDC
	Proxy *Proxy
	// Stylesheet is the local address of the style of the gate's pages, such as
	// "/static/style.css"; unset, they have none.
	Stylesheet string
	// Icon is the local address of their icon; unset, they have none.
	Icon string
	// Public are addresses that everybody may GET without signing in: a path,
	// or with "/" at its end everything below: "/static/". Stylesheet is one.
	Public []string
	// Now is the clock.
	Now func() time.Time
	// Log takes who signed in and what was refused; never a code or a token.
	Log *slog.Logger
}

// An Identity is who signed in.
type Identity struct {
	// Person has at least one of its fields: the address as the issuer or the
	// proxy vouches for it, and the Slack id where Slack is the issuer.
	Person access.Person
	// Name is the display name, for greeting only; empty if unknown.
	Name string
}

// A Gate lets people in who signed in. It is safe for concurrent use.
type Gate struct {
	base       *url.URL // scheme and host only
	public     []string
	stylesheet string
	icon       string
	oidc       *issuer // nil with a proxy
	proxy      *proxy  // nil with an issuer
	seal       *sealer // nil with a proxy
	used       *once
	foreign    *http.CrossOriginProtection
	pages      *template.Template
	now        func() time.Time
	log        *slog.Logger
	flood      *damper
}

// New makes a gate. It asks nobody: an issuer that cannot be reached shows at
// the first sign-in.
func New(c Config) (*Gate, error) {
	switch {
	case c.Now == nil:
		return nil, errors.New("signin: no clock")
	case c.Log == nil:
		return nil, errors.New("signin: no log")
	case (c.OIDC == nil) == (c.Proxy == nil):
		return nil, errors.New("signin: exactly one of OIDC and Proxy must be set")
	}
	base, err := origin(c.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("signin: base URL: %w", err)
	}
	public, err := publicPaths(c)
	if err != nil {
		return nil, err
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	g := &Gate{
		base: base, public: public, stylesheet: c.Stylesheet, icon: c.Icon, used: newOnce(c.Now), pages: pages,
		foreign: http.NewCrossOriginProtection(), now: c.Now, log: c.Log, flood: newDamper(c.Now),
	}
	g.foreign.SetDenyHandler(http.HandlerFunc(g.denyForeign))
	if c.Proxy != nil {
		g.proxy, err = newProxy(*c.Proxy)
	} else if g.oidc, err = newIssuer(*c.OIDC, base, c.Now); err == nil {
		g.seal, err = newSealer(c.OIDC.Keys, g.oidc.scope(base))
	}
	if err != nil {
		return nil, err // never half a gate
	}
	return g, nil
}

// origin reads an address that has a scheme and a host and nothing else.
func origin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("it is not an address")
	}
	if u.Host == "" || u.User != nil || u.Opaque != "" || strings.Trim(u.Path, "/") != "" || strings.ContainsAny(s, "?#") {
		return nil, errors.New("it must be a scheme and a host, without a path")
	}
	if err := encrypted(u); err != nil {
		return nil, err
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}, nil
}

// publicPaths checks what everybody may get.
func publicPaths(c Config) ([]string, error) {
	list := c.Public
	if c.Stylesheet != "" {
		list = append([]string{c.Stylesheet}, list...)
	}
	for _, p := range list {
		if !clean(p) || p == "/" {
			return nil, fmt.Errorf("signin: %q cannot be public: a path such as /static/ is wanted", p)
		}
	}
	return list, nil
}

// clean reports whether a path is absolute and names nothing in two ways.
func clean(p string) bool {
	whole := path.Clean(p)
	if strings.HasSuffix(p, "/") && whole != "/" {
		whole += "/"
	}
	return strings.HasPrefix(p, "/") && whole == p && !strings.ContainsAny(p, "?#%\\")
}
