package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// newAppKey makes an App's private key, as GitHub hands it out.
func newAppKey(t *testing.T) (*rsa.PrivateKey, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

// checkJWT holds the App's word to what GitHub documents of it: RS256, issued by
// the App, good for ten minutes at most.
func checkJWT(t *testing.T, key *rsa.PublicKey, header string) {
	t.Helper()
	token, _ := strings.CutPrefix(header, "Bearer ")
	p := strings.Split(token, ".")
	if len(p) != 3 {
		t.Fatalf("Authorization: %q", header)
	}
	signature, err := base64.RawURLEncoding.DecodeString(p[2])
	sum := sha256.Sum256([]byte(p[0] + "." + p[1]))
	if err != nil || rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) != nil {
		t.Errorf("not signed with the App's key: %v", err)
	}
	var claims struct {
		Iss      string
		Iat, Exp int64
	}
	body, _ := base64.RawURLEncoding.DecodeString(p[1])
	if err := json.Unmarshal(body, &claims); err != nil || claims.Iss != "42" || claims.Exp-claims.Iat > 600 || claims.Exp < time.Now().Unix() {
		t.Errorf("claims %s, %v", body, err)
	}
}

// TestGitHubApp: the App's key signs for a token of the installation, and the
// token for everything else.
func TestGitHubApp(t *testing.T) {
	key, text := newAppKey(t)
	exchanges := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "POST /api/v3/app/installations/7/access_tokens":
			exchanges++
			checkJWT(t, &key.PublicKey, r.Header.Get("Authorization"))
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"token":"ghs_installation","expires_at":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		case "GET /api/v3/orgs/acme/teams":
			io.WriteString(w, r.Header.Get("Authorization"))
		default:
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
	}))
	defer srv.Close()
	s := setup{githubAPI: srv.URL + "/api/v3/", githubApp: githubApp{id: "42", key: text, installation: "7"}}
	client, err := s.githubClient()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		resp, err := client.Get(srv.URL + "/api/v3/orgs/acme/teams")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "token ghs_installation" || exchanges != 1 {
			t.Errorf("called with %q, after %d exchanges", body, exchanges)
		}
	}
}

// TestGitHubTokenStays: a redirect to another host does not get the token.
func TestGitHubTokenStays(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s came with %q", r.URL, r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer ghp_x" {
			t.Errorf("Authorization: %q", r.Header.Get("Authorization"))
		}
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	defer srv.Close()
	client, err := (&setup{githubToken: "ghp_x"}).githubClient()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("the redirect was followed: %s", resp.Status)
	}
}

// TestGitHubCredentials: what is half set is named, and never shown.
func TestGitHubCredentials(t *testing.T) {
	_, key := newAppKey(t)
	for _, tt := range []struct {
		name string
		s    setup
		says string
	}{
		{"nothing", setup{}, ""},
		{"both", setup{githubToken: "ghp_x", githubApp: githubApp{id: "42"}}, "both set"},
		{"no key", setup{githubApp: githubApp{id: "42", installation: "7"}}, "GITHUB_APP_PRIVATE_KEY"},
		{"no installation", setup{githubApp: githubApp{id: "42", key: key}}, "GITHUB_APP_INSTALLATION_ID"},
		{"a slug", setup{githubApp: githubApp{id: "countersign", key: key, installation: "7"}}, "both numbers"},
		{"no PEM", setup{githubApp: githubApp{id: "42", key: "hunter2", installation: "7"}}, "GITHUB_APP_PRIVATE_KEY_FILE"},
	} {
		client, err := tt.s.githubClient()
		if client != nil || (err == nil) != (tt.says == "") || err != nil && (!strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v, %v; want %q", tt.name, client, err, tt.says)
		}
	}
}
