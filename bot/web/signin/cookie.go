package signin

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"countersign/bot/access"
)

// The cookies. Browsers take a name with __Host- only from the host itself,
// over TLS, for the whole of it: neither a sibling nor a page of plain http can
// plant one.
const (
	sessionCookie = "__Host-countersign"
	flowCookie    = "__Host-countersign-signin"
)

// A sealer makes and opens cookies. Each purpose has keys of its own, so that
// the cookie of one is worth nothing as that of another.
type sealer struct {
	session, flow []cipher.AEAD // the first seals, all open
	scope         []byte        // the settings that cookies are bound to
}

func newSealer(keys [][]byte, scope string) (*sealer, error) {
	if len(keys) == 0 {
		return nil, errors.New("signin: no key for the session cookie")
	}
	s := &sealer{scope: []byte(scope)}
	for i, k := range keys {
		if len(k) != 32 || bytes.Count(k, k[:1]) == len(k) {
			return nil, fmt.Errorf("signin: session key %d is not 32 random bytes", i+1)
		}
		for purpose, list := range map[string]*[]cipher.AEAD{sessionCookie: &s.session, flowCookie: &s.flow} {
			a, err := newAEAD(k, purpose)
			if err != nil {
				return nil, err
			}
			*list = append(*list, a)
		}
	}
	return s, nil
}

func newAEAD(key []byte, purpose string) (cipher.AEAD, error) {
	sub, err := hkdf.Key(sha256.New, key, nil, purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sub)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (s *sealer) close(with []cipher.AEAD, v any) (string, error) {
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false) // a long query must not grow sixfold: browsers take 4096 bytes
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(with[0].Seal(nil, nil, plain.Bytes(), s.scope)), nil
}

// open reports whether a text was sealed here under these settings.
func (s *sealer) open(with []cipher.AEAD, text string, v any) bool {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	for _, a := range with {
		if plain, err := a.Open(nil, nil, sealed, s.scope); err == nil {
			return json.Unmarshal(plain, v) == nil
		}
	}
	return false
}

// session is the content of the session cookie.
type session struct {
	Email   string `json:"e,omitempty"`
	Slack   string `json:"s,omitempty"`
	Name    string `json:"n,omitempty"`
	Issued  int64  `json:"i"` // Unix seconds
	Expires int64  `json:"x"`
}

// session is who the session cookie of a request stands for. Where there are
// two, one was planted, and neither counts.
func (g *Gate) session(r *http.Request) (Identity, bool) {
	var s session
	if c := r.CookiesNamed(sessionCookie); len(c) != 1 || !g.seal.open(g.seal.session, c[0].Value, &s) {
		return Identity{}, false
	}
	// A minute is for the clock of another replica, which may have made it.
	if now := g.now().Unix(); now >= s.Expires || now < s.Issued-60 {
		return Identity{}, false
	}
	return Identity{Person: access.Person{Email: s.Email, Slack: s.Slack}, Name: s.Name}, s.Email != "" || s.Slack != ""
}

func (g *Gate) openSession(w http.ResponseWriter, id Identity) error {
	now := g.now()
	text, err := g.seal.close(g.seal.session, session{
		Email: id.Person.Email, Slack: id.Person.Slack, Name: id.Name,
		Issued: now.Unix(), Expires: now.Add(SessionLife).Unix(),
	})
	if err != nil {
		return err
	}
	setCookie(w, sessionCookie, text, SessionLife)
	return nil
}

// flow is the content of the cookie of a sign-in that was begun.
type flow struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	To       string `json:"t"`
	Expires  int64  `json:"x"` // Unix seconds
}

func (g *Gate) openFlow(w http.ResponseWriter, f flow) error {
	f.Expires = g.now().Add(FlowLife).Unix()
	text, err := g.seal.close(g.seal.flow, f)
	if err != nil {
		return err
	}
	setCookie(w, flowCookie, text, FlowLife)
	return nil
}

// flow is the sign-in that this browser began.
func (g *Gate) flow(r *http.Request) (flow, bool) {
	var f flow
	c := r.CookiesNamed(flowCookie)
	ok := len(c) == 1 && g.seal.open(g.seal.flow, c[0].Value, &f)
	return f, ok && g.now().Unix() < f.Expires
}

// setCookie sets a cookie, or with no value removes it. SameSite is Lax: the
// issuer leads the browser back from another site, by a GET.
func setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	age := int(life / time.Second)
	if value == "" {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: age,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
