package main_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/bot/bottest/browser"
	program "countersign/cmd/countersign"

	"github.com/chromedp/chromedp"
)

// An issuer signs people in without asking for a password: as whom, the test says.
// It wants what OpenID Connect and PKCE want, and takes a code once.
type issuer struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu    sync.Mutex
	email string              // guarded by mu: who sits at the browser
	codes map[string][]string // guarded by mu: challenge, nonce and return address of each code
}

const issuerSecret = "story-oidc-client-secret"

func newIssuer(t *testing.T) *issuer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &issuer{key: key, codes: map[string][]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"}, "subject_types_supported": []string{"public"}, "response_types_supported": []string{"code"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes()),
		}}})
	})
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (p *issuer) sits(email string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.email = email
}

func (p *issuer) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	if q.Get("response_type") != "code" || q.Get("client_id") != "story" || q.Get("state") == "" || q.Get("nonce") == "" || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "not a request of OpenID Connect with PKCE: "+r.URL.RawQuery, http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.codes[code] = []string{q.Get("code_challenge"), q.Get("nonce"), q.Get("redirect_uri")}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (p *issuer) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	asked := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if id != "story" || secret != issuerSecret || asked == nil || b64(sum[:]) != asked[0] || r.PostFormValue("redirect_uri") != asked[2] {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	claims, err := json.Marshal(map[string]any{
		"iss": p.URL, "aud": "story", "sub": p.email, "email": p.email, "email_verified": true, "nonce": asked[1],
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	})
	signed := b64([]byte(`{"alg":"RS256","kid":"1"}`)) + "." + b64(claims)
	digest := sha256.Sum256([]byte(signed))
	sig, also := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, digest[:])
	if err != nil || also != nil {
		http.Error(w, "cannot sign", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": signed + "." + b64(sig)})
}

// TestBrowserSignIn: the whole way through serve, an issuer and a browser: who is
// not signed in sees nothing, a reviewer everything, and signing out ends it.
func TestBrowserSignIn(t *testing.T) {
	t.Parallel()
	p := newIssuer(t)
	w, err := program.NewStory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	// The dashboard has to know its address before the bot has one: that of a proxy.
	var bot atomic.Pointer[url.URL]
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(bot.Load())
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(front.Close)
	at := front.Listener.Addr().String()
	env := []string{"COUNTERSIGN_OIDC_ISSUER=" + p.URL, "COUNTERSIGN_OIDC_CLIENT_ID=story", "COUNTERSIGN_OIDC_CLIENT_SECRET=" + issuerSecret}
	if err := w.Serve(env, "--dashboard", front.URL); err != nil {
		t.Fatal(err)
	}
	bot.Store(&url.URL{Scheme: "http", Host: w.Addr()})
	until(t, "the bot is ready", func() error {
		if !w.Ready() {
			return errors.New(w.Said())
		}
		return nil
	})
	if err := w.Ask("alice", "/access request payments-admins 5m deploy the fix"); err != nil {
		t.Fatal(err)
	}

	ctx, closeWindow := chromedp.NewContext(browser.Start(t), chromedp.WithNewBrowserContext())
	v := &window{t: t, ctx: ctx, name: "dashboard", ended: make(chan struct{})}
	t.Cleanup(func() { v.report(closeWindow) })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	v.watch()
	v.do(chromedp.EmulateViewport(1280, 800))
	p.sits("bob@example.com")
	v.do(chromedp.Navigate("http://" + at + "/requests?q=deploy"))
	v.sees("main", "Sign in")
	v.misses("body", "alice")
	v.look("sign-in")
	v.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("main a, main button").click()`))
	v.sees("tr[data-id]", "alice", "deploy the fix")
	if got := script[string](v, "() => location.pathname + location.search"); got != "/requests?q=deploy" {
		t.Errorf("after the sign-in the page is %s", got)
	}
	v.look("signed-in")

	v.do(chromedp.Navigate("http://" + at + "/signout"))
	v.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("form button").click()`))
	v.sees("main", "signed out")
	p.sits("dan@example.com")
	v.do(chromedp.Navigate("http://" + at + "/requests"))
	v.sees("main", "Sign in")
	v.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("main a, main button").click()`))
	v.sees("main", "Requests")
	v.misses("body", "alice")
	if text := w.Said(); len(text) == 0 || strings.Contains(text, issuerSecret) {
		t.Error("the log holds the client secret, or nothing")
	}
}
