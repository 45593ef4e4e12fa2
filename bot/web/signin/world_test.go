package signin_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/bot/web/signin"
)

const (
	home   = "https://dash.example.com"
	broker = "https://login.example.com"
	slack  = "https://slack.com"
	google = "https://accounts.google.com"
)

// world is a dashboard behind a gate and an issuer, both over TLS, under their
// real names.
type world struct {
	t   testing.TB
	idp *idp
	log *buffer

	mu      sync.Mutex
	at      time.Time    // guarded by mu
	handler http.Handler // guarded by mu
	config  signin.Config
	dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	roots   *x509.CertPool
}

// newWorld has an issuer of this address, which is the gate's.
func newWorld(t testing.TB, issuer string, adjust func(*signin.Config)) *world {
	t.Helper()
	w := &world{t: t, at: time.Now(), log: &buffer{}}
	w.idp = newIDP(t, issuer, w.now)
	cert, roots := certificate(t, "dash.example.com", "login.example.com", "slack.com", "accounts.google.com")
	w.roots = roots
	front := w.serve(cert, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		h := w.handler
		w.mu.Unlock()
		h.ServeHTTP(rw, r)
	}))
	back := w.serve(cert, w.idp)
	w.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		switch "https://" + strings.TrimSuffix(addr, ":443") {
		case home:
			addr = front
		case issuer:
			addr = back
		default:
			return nil, errors.New("no such host: " + addr)
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	w.config = signin.Config{
		BaseURL: home, Stylesheet: "/static/style.css", Public: []string{"/static/"}, Now: w.now,
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		OIDC: &signin.OIDC{
			Issuer: issuer, ClientID: clientID, ClientSecret: clientSecret, Keys: [][]byte{key(1)},
			Client: &http.Client{Transport: w.transport()},
		},
	}
	if issuer == slack {
		w.config.OIDC.SlackTeams = []string{"T0HOME"}
		w.idp.person["https://slack.com/team_id"] = "T0HOME"
		w.idp.person["https://slack.com/user_id"] = "U012AB"
	}
	if adjust != nil {
		adjust(&w.config)
	}
	w.open(w.config)
	t.Cleanup(func() { w.keepsSecrets(w.log.String(), "the log") })
	return w
}

// open puts a gate with this config in front of the dashboard.
func (w *world) open(c signin.Config) {
	w.t.Helper()
	g, err := signin.New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handler = g.Protect(http.HandlerFunc(dashboard))
}

// dashboard says who is there.
func dashboard(w http.ResponseWriter, r *http.Request) {
	id, ok := signin.Who(r)
	if !ok {
		_, _ = io.WriteString(w, "public")
		return
	}
	_, _ = io.WriteString(w, "hello "+id.Person.Email+"|"+id.Person.Slack+"|"+id.Name+" at "+r.URL.RequestURI())
}

func (w *world) serve(cert tls.Certificate, h http.Handler) string {
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	w.t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func (w *world) transport() *http.Transport {
	tr := &http.Transport{DialContext: w.dial, TLSClientConfig: &tls.Config{RootCAs: w.roots}}
	w.t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// keepsSecrets holds a text against everything secret that went by.
func (w *world) keepsSecrets(text, where string) {
	w.t.Helper()
	for _, s := range w.idp.hidden() {
		if s != "" && strings.Contains(text, s) {
			w.t.Errorf("%s holds the secret %q:\n%s", where, s, text)
		}
	}
}

func key(n byte) []byte { return append(bytes.Repeat([]byte{n}, 31), n+1) }

// browser is one person's.
type browser struct {
	w      *world
	client *http.Client
	follow bool
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	b := &browser{w: w, follow: true}
	b.client = &http.Client{Jar: jar, Transport: w.transport(), CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if !b.follow || len(via) > 9 {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return b
}

type answer struct {
	*http.Response
	body string
}

// do sends a request with headers given as name, value, name, value.
func (b *browser) do(method, addr string, headers ...string) answer {
	b.w.t.Helper()
	if strings.HasPrefix(addr, "/") {
		addr = home + addr
	}
	r, err := http.NewRequest(method, addr, nil)
	if err != nil {
		b.w.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := b.client.Do(r)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	if "https://"+resp.Request.URL.Host == home {
		b.w.keepsSecrets(string(body), "the page "+resp.Request.URL.Path)
	}
	return answer{resp, string(body)}
}

// visit opens an address and follows wherever it leads.
func (b *browser) visit(addr string, headers ...string) answer {
	b.w.t.Helper()
	b.follow = true
	return b.do("GET", addr, headers...)
}

// step opens an address and stays there.
func (b *browser) step(addr string, headers ...string) answer {
	b.w.t.Helper()
	b.follow = false
	return b.do("GET", addr, headers...)
}

// signIn begins on a page and presses the button.
func (b *browser) signIn(to string) answer {
	b.w.t.Helper()
	return b.visit("/signin/start?" + url.Values{"to": {to}}.Encode())
}

// toCallback signs in up to the address that the issuer sends the browser to.
func (b *browser) toCallback() string {
	b.w.t.Helper()
	there := b.step("/signin/start?to=/requests").Header.Get("Location")
	back := b.step(there).Header.Get("Location")
	if !strings.HasPrefix(back, home+signin.CallbackPath+"?") {
		b.w.t.Fatalf("the issuer led to %q", back)
	}
	return back
}

// in reports whether the browser gets to see the dashboard.
func (b *browser) in() bool {
	b.w.t.Helper()
	a := b.step("/requests")
	switch {
	case a.StatusCode == 200 && strings.HasPrefix(a.body, "hello "):
		return true
	case a.StatusCode == 303 && a.Header.Get("Location") == home+"/signin?to=%2Frequests":
		return false
	}
	b.w.t.Fatalf("GET /requests: %d %q %q", a.StatusCode, a.Header.Get("Location"), a.body)
	return false
}

// cookie is the value of a cookie that the browser holds for the dashboard.
func (b *browser) cookie(name string) string {
	u, _ := url.Parse(home)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// plant gives the browser a cookie for the dashboard.
func (b *browser) plant(name, value string) {
	u, _ := url.Parse(home)
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true}})
}

func certificate(t testing.TB, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}, pool
}

// buffer is a log that several write to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// signedIn is a gate in front of next, and the cookie of somebody signed in.
func signedIn(t testing.TB, next http.Handler) (http.Handler, string) {
	t.Helper()
	w := newWorld(t, broker, nil)
	b := w.browser()
	b.signIn("/")
	g, err := signin.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	return g.Protect(next), sessionCookie + "=" + b.cookie(sessionCookie)
}
