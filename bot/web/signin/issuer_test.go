package signin_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// keys are made once for all tests: an RSA key takes long.
var keys = sync.OnceValue(func() (k struct {
	rsa, rogue *rsa.PrivateKey
	ec         *ecdsa.PrivateKey
}) {
	k.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	k.rogue, _ = rsa.GenerateKey(rand.Reader, 2048)
	k.ec, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return k
})

const (
	clientID     = "client.123"
	clientSecret = "s3cret/with+signs"
)

// idp is an OpenID Connect issuer that is stricter than most: it wants PKCE,
// nonce, state and the exact return address, and takes a code once.
type idp struct {
	t      testing.TB
	issuer string
	now    func() time.Time

	mu        sync.Mutex
	codes     map[string]grant // guarded by mu
	secrets   []string         // guarded by mu; what nobody may find in a log or page
	hits      map[string]int   // guarded by mu; by path
	lastForm  url.Values       // guarded by mu; what the token endpoint got
	lastBasic bool             // guarded by mu

	// What a test may change before it signs in.
	person    map[string]any                                    // claims about the person
	twist     func(claims map[string]any)                       // the last word on the claims
	sign      func(claims map[string]any) string                // the token
	userInfo  map[string]any                                    // nil: none
	discovery func(map[string]any)                              // the last word on the metadata
	jwks      func() []map[string]any                           // the published keys
	token     func(w http.ResponseWriter, form url.Values) bool // answers in place of the token endpoint
	open      func()                                            // called first by the token endpoint, side by side
	down      bool
}

type grant struct{ challenge, nonce, redirect string }

func newIDP(t testing.TB, issuer string, now func() time.Time) *idp {
	p := &idp{t: t, issuer: issuer, now: now, codes: map[string]grant{}, hits: map[string]int{}, secrets: []string{clientSecret, url.QueryEscape(clientSecret)}}
	p.person = map[string]any{"email": "Alice@example.com", "email_verified": true, "name": "Alice Ash"}
	p.sign = func(c map[string]any) string { return signRS256("rsa", keys().rsa, c) }
	p.jwks = func() []map[string]any { return []map[string]any{rsaJWK("rsa", &keys().rsa.PublicKey), ecJWK("ec")} }
	return p
}

func (p *idp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	if open := p.open; open != nil && r.URL.Path == "/token" {
		p.mu.Unlock()
		open()
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	p.hits[r.URL.Path]++
	if p.down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		p.metadata(w)
	case "/keys":
		reply(w, 200, map[string]any{"keys": p.jwks()})
	case "/authorize":
		p.authorize(w, r)
	case "/token":
		p.redeem(w, r)
	case "/moved":
		http.Redirect(w, r, "/token", http.StatusTemporaryRedirect)
	case "/userinfo":
		p.info(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (p *idp) metadata(w http.ResponseWriter) {
	m := map[string]any{
		"issuer": p.issuer, "authorization_endpoint": p.issuer + "/authorize", "token_endpoint": p.issuer + "/token",
		"jwks_uri": p.issuer + "/keys", "userinfo_endpoint": p.issuer + "/userinfo",
		// It names algorithms that nobody may follow it in.
		"id_token_signing_alg_values_supported": []string{"none", "HS256", "RS256", "ES256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
	}
	if p.discovery != nil {
		p.discovery(m)
	}
	reply(w, 200, m)
}

func (p *idp) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for name, want := range map[string]string{"response_type": "code", "client_id": clientID, "code_challenge_method": "S256", "redirect_uri": home + "/signin/callback", "scope": "openid profile email"} {
		if q.Get(name) != want {
			http.Error(w, fmt.Sprintf("%s is %q, want %q", name, q.Get(name), want), 400)
			return
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(q.Get(name)) < 22 {
			http.Error(w, name+" is missing or short", 400)
			return
		}
	}
	code := "code-" + rand.Text()
	p.codes[code] = grant{q.Get("code_challenge"), q.Get("nonce"), q.Get("redirect_uri")}
	p.secrets = append(p.secrets, code, q.Get("state"), q.Get("nonce"))
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.issuer}}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (p *idp) redeem(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.ParseForm() != nil {
		reply(w, 400, map[string]any{"error": "invalid_request"})
		return
	}
	form := r.PostForm
	id, secret, basic := r.BasicAuth()
	p.lastForm, p.lastBasic = form, basic
	p.secrets = append(p.secrets, form.Get("code_verifier"))
	if p.token != nil && p.token(w, form) {
		return
	}
	if basic {
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	if id != clientID || secret != clientSecret {
		reply(w, 401, map[string]any{"error": "invalid_client"})
		return
	}
	g, ok := p.codes[form.Get("code")]
	delete(p.codes, form.Get("code"))
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	if !ok || g.redirect != form.Get("redirect_uri") || len(form.Get("code_verifier")) < 43 || b64(sum[:]) != g.challenge {
		reply(w, 400, map[string]any{"error": "invalid_grant"})
		return
	}
	access := "access-" + rand.Text()
	hash := sha256.Sum256([]byte(access))
	claims := map[string]any{
		"iss": p.issuer, "aud": clientID, "sub": "sub-1", "nonce": g.nonce, "at_hash": b64(hash[:16]),
		"iat": p.now().Unix(), "exp": p.now().Add(5 * time.Minute).Unix(),
	}
	for k, v := range p.person {
		claims[k] = v
	}
	if p.twist != nil {
		p.twist(claims)
	}
	token := p.sign(claims)
	p.secrets = append(p.secrets, access, token)
	reply(w, 200, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": token, "ok": true})
}

func (p *idp) info(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer access-") || p.userInfo == nil {
		reply(w, 401, map[string]any{"error": "invalid_token", "got": r.Header.Get("Authorization")})
		return
	}
	reply(w, 200, p.userInfo)
}

// count is how often an endpoint was asked.
func (p *idp) count(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits[path]
}

// hidden lists what may stand in no log and on no page.
func (p *idp) hidden() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.secrets...)
}

// change sets what a test changes while the issuer runs.
func (p *idp) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func rsaJWK(kid string, k *rsa.PublicKey) map[string]any {
	return map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
}

func ecJWK(kid string) map[string]any {
	pub, err := keys().ec.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err)
	}
	return map[string]any{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": b64(pub[1:33]), "y": b64(pub[33:])}
}

func signingInput(alg, kid string, claims map[string]any) string {
	h, _ := json.Marshal(map[string]any{"alg": alg, "kid": kid, "typ": "JWT"})
	c, _ := json.Marshal(claims)
	return b64(h) + "." + b64(c)
}

func signRS256(kid string, k *rsa.PrivateKey, claims map[string]any) string {
	in := signingInput("RS256", kid, claims)
	sum := sha256.Sum256([]byte(in))
	sig, err := rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return in + "." + b64(sig)
}

func signES256(claims map[string]any) string {
	in := signingInput("ES256", "ec", claims)
	sum := sha256.Sum256([]byte(in))
	r, s, err := ecdsa.Sign(rand.Reader, keys().ec, sum[:])
	if err != nil {
		panic(err)
	}
	return in + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// unsigned is a token with the algorithm "none".
func unsigned(claims map[string]any) string { return signingInput("none", "rsa", claims) + "." }

// signHS256 takes the issuer's public key for a shared secret, as it is published.
func signHS256(claims map[string]any) string {
	der, _ := x509.MarshalPKIXPublicKey(&keys().rsa.PublicKey)
	in := signingInput("HS256", "rsa", claims)
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(in))
	return in + "." + b64(mac.Sum(nil))
}
