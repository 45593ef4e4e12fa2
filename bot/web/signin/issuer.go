package signin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// OIDC is the way in by an OpenID Connect issuer.
type OIDC struct {
	// Issuer is its address, exactly as its tokens give it: "https://slack.com".
	// Plain http only on loopback.
	Issuer string
	// ClientID and ClientSecret are what the issuer gave for this dashboard, with
	// BaseURL + [CallbackPath] registered as the address to return to. A client
	// that is kept by PKCE alone has no secret.
	ClientID     string
	ClientSecret string
	// SlackTeams are the workspaces ("T…") or Enterprise Grid organizations ("E…")
	// whose people may sign in. Needed with Slack, where everybody with any
	// workspace could sign in otherwise; refused with any other issuer.
	SlackTeams []string
	// Domains are the e-mail domains whose people may sign in, compared whole, so
	// that "example.com" is not "eu.example.com". Unset, any.
	Domains []string
	// TrustEmail believes addresses of an issuer that never says email_verified
	// (Microsoft Entra): set it only where nobody can choose their own address
	// there. It needs Domains. An address that is said to be unverified is
	// refused all the same.
	TrustEmail bool
	// Keys seal the cookies: each 32 random bytes. The first seals, all open, so
	// that a key is replaced by putting a new one in front.
	Keys [][]byte
	// Client makes the calls to the issuer. Its redirects and cookies are not used.
	Client *http.Client
}

// Limits on the calls to an issuer.
const (
	callTimeout  = 10 * time.Second // each
	codeTimeout  = 20 * time.Second // all for one sign-in
	answerBytes  = 1 << 20
	sameTime     = 16              // sign-ins being finished
	restAfter    = 3 * time.Second // after a discovery that failed
	discoverLife = 24 * time.Hour
)

// errBusy is answered while too many sign-ins are being finished.
var errBusy = errors.New("too many sign-ins at a time")

// issuer is an OpenID Connect issuer, of which nothing is known until somebody
// signs in.
type issuer struct {
	OIDC
	host     string // of the issuer
	slack    bool
	redirect string
	client   *http.Client
	now      func() time.Time
	slots    chan struct{} // one for each sign-in being finished

	turn    chan struct{} // holds one token, which guards the rest
	known   *endpoints    // nil until discovered
	asked   time.Time     // when known was discovered, or could not be
	failure error
}

// endpoints are what the issuer says about itself.
type endpoints struct {
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
	oauth    oauth2.Config
}

func newIssuer(c OIDC, base *url.URL, now func() time.Time) (*issuer, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(c.Issuer, "?#") {
		return nil, errors.New("signin: the issuer must be an address such as https://slack.com")
	}
	if err := encrypted(u); err != nil {
		return nil, fmt.Errorf("signin: issuer: %w", err)
	}
	o := &issuer{
		OIDC: c, host: strings.ToLower(u.Host), redirect: base.String() + CallbackPath, now: now,
		turn: make(chan struct{}, 1), slots: make(chan struct{}, sameTime),
	}
	o.slack = isSlack(u.Hostname())
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("signin: %w", err)
	}
	own := *c.Client
	own.Jar = nil
	own.Timeout = callTimeout
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	own.Transport = guarded{own.Transport}
	o.client = &own
	return o, nil
}

func (o *issuer) check() error {
	switch {
	case o.Client == nil:
		return errors.New("no HTTP client")
	case o.ClientID == "":
		return errors.New("no client id")
	case o.slack && len(o.SlackTeams) == 0:
		return errors.New("with Slack the id of the workspace is needed: without it everybody with any workspace could sign in")
	case !o.slack && len(o.SlackTeams) > 0:
		return fmt.Errorf("%s knows no Slack workspaces", o.host)
	case o.TrustEmail && len(o.Domains) == 0:
		return errors.New("unverified addresses can be trusted only in domains that are named")
	}
	for _, t := range o.SlackTeams {
		if !slackID(t, "TE") {
			return fmt.Errorf("%q is not the id of a Slack workspace", t)
		}
	}
	for _, d := range o.Domains {
		if !domain(strings.ToLower(d)) {
			return fmt.Errorf("%q is not an e-mail domain", d)
		}
	}
	return nil
}

// isSlack also takes addresses that are nearly Slack's: no slip in writing them
// may leave out the question for the workspace.
func isSlack(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, s := range []string{"slack.com", "slack-gov.com"} {
		if host == s || strings.HasSuffix(host, "."+s) {
			return true
		}
	}
	return false
}

// scope is everything that decides who may sign in. A session is good only under
// the settings by which it was made.
func (o *issuer) scope(base *url.URL) string {
	return fmt.Sprintf("v1 %q %q %q %q %q %t", base, o.Issuer, o.ClientID, o.SlackTeams, o.Domains, o.TrustEmail)
}

// title is what the button calls the issuer.
func (o *issuer) title() string {
	if o.slack {
		return "Slack"
	}
	return o.host
}

// discover is what the issuer says about itself, asked at most once a day, and
// after a failure not before a short rest.
func (o *issuer) discover(ctx context.Context) (*endpoints, error) {
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	age := o.now().Sub(o.asked)
	switch {
	case o.known != nil && age < discoverLife:
		return o.known, nil
	case o.failure != nil && age >= 0 && age < restAfter:
		return nil, o.failure
	}
	// Others wait for this answer: a browser that goes away does not end it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	o.known, o.failure = o.ask(ctx)
	o.asked = o.now()
	return o.known, o.failure
}

func (o *issuer) ask(ctx context.Context) (*endpoints, error) {
	ctx = oidc.ClientContext(ctx, o.client)
	p, err := oidc.NewProvider(ctx, o.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	var more struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := p.Claims(&more); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	e := &endpoints{
		provider: p,
		verifier: p.Verifier(&oidc.Config{ClientID: o.ClientID, Now: o.now}),
		oauth: oauth2.Config{
			ClientID: o.ClientID, ClientSecret: o.ClientSecret, Endpoint: p.Endpoint(), RedirectURL: o.redirect,
			Scopes: []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail},
		},
	}
	e.oauth.Endpoint.AuthStyle = o.style(more.Methods)
	u, err := url.Parse(e.oauth.Endpoint.AuthURL)
	if err != nil || u.Host == "" {
		return nil, errors.New("discovery: no authorization endpoint")
	}
	return e, encrypted(u)
}

// style is how the secret is sent. It is settled here because trying one way
// after the other would use the code up.
func (o *issuer) style(methods []string) oauth2.AuthStyle {
	basic := len(methods) == 0 || slices.Contains(methods, "client_secret_basic")
	if o.ClientSecret == "" || !basic {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// begin is where to send the browser.
func (o *issuer) begin(ctx context.Context, f flow) (string, error) {
	e, err := o.discover(ctx)
	if err != nil {
		return "", err
	}
	opts := []oauth2.AuthCodeOption{oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)}
	if len(o.SlackTeams) == 1 && o.SlackTeams[0][0] == 'T' {
		opts = append(opts, oauth2.SetAuthURLParam("team", o.SlackTeams[0])) // which workspace the form offers
	}
	return e.oauth.AuthCodeURL(f.State, opts...), nil
}

// encrypted is an error for an address that others on the way could read.
func encrypted(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()) {
		return nil
	}
	return errors.New("it must be https, or http on loopback")
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback() || strings.EqualFold(host, "localhost")
}

// guarded makes calls that cannot be read on the way, and whose answers have an
// end, whatever the issuer names as its endpoints.
type guarded struct{ next http.RoundTripper }

func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := encrypted(r.URL); err != nil {
		return nil, err
	}
	next := g.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, answerBytes), resp.Body}
	return resp, nil
}
