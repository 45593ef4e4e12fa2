package signin_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/bot/web/signin"
)

func TestRoundTrip(t *testing.T) {
	for name, sign := range map[string]func(map[string]any) string{
		"RS256": func(c map[string]any) string { return signRS256("rsa", keys().rsa, c) },
		"ES256": signES256,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, broker, nil)
			w.idp.sign = sign
			b := w.browser()
			page := b.visit("/requests?status=live&who=a%20b")
			if page.StatusCode != 200 || !strings.Contains(page.body, "Sign in with login.example.com") {
				t.Fatalf("got %d %s, want the sign-in page", page.StatusCode, page.body)
			}
			_, rest, _ := strings.Cut(page.body, `href="/signin/start?`)
			query, _, _ := strings.Cut(rest, `"`)
			got := b.visit("/signin/start?" + strings.ReplaceAll(query, "&amp;", "&"))
			if want := "hello alice@example.com||Alice Ash at /requests?status=live&who=a%20b"; got.body != want {
				t.Errorf("got %q, want %q", got.body, want)
			}
			if again := b.step("/signin?to=/x"); again.Header.Get("Location") != home+"/x" {
				t.Errorf("the sign-in page sends somebody who is signed in to %q", again.Header.Get("Location"))
			}
		})
	}
}

// TestClaims signs in at each kind of issuer with one thing changed.
func TestClaims(t *testing.T) {
	type m = map[string]any
	set := func(more m) func(*world) {
		return func(w *world) {
			w.idp.twist = func(c m) {
				for k, v := range more {
					if c[k] = v; v == nil {
						delete(c, k)
					}
				}
			}
		}
	}
	signed := func(f func(m) string) func(*world) { return func(w *world) { w.idp.sign = f } }
	domains := func(c *signin.Config) { c.OIDC.Domains = []string{"Example.com"} }
	trusting := func(c *signin.Config) { domains(c); c.OIDC.TrustEmail = true }
	info := func(v m) func(*world) {
		return func(w *world) {
			set(m{"email": nil, "email_verified": nil})(w)
			w.idp.userInfo = v
		}
	}
	const unbelievable, alice = "could not be believed", "hello alice@example.com||Alice Ash "
	for _, c := range []struct {
		name, issuer string
		adjust       func(*signin.Config)
		change       func(*world)
		want         string // on the page
	}{
		{"as it should be", broker, nil, set(nil), alice},
		{"wrong nonce", broker, nil, set(m{"nonce": rand.Text()}), unbelievable},
		{"no nonce", broker, nil, set(m{"nonce": nil}), unbelievable},
		{"wrong audience", broker, nil, set(m{"aud": "another"}), unbelievable},
		{"no audience", broker, nil, set(m{"aud": nil}), unbelievable},
		{"several audiences, made for us", broker, nil, set(m{"aud": []string{"another", clientID}, "azp": clientID}), alice},
		{"several audiences, made for another", broker, nil, set(m{"aud": []string{"another", clientID}, "azp": "another"}), unbelievable},
		{"several audiences, made for nobody said", broker, nil, set(m{"aud": []string{"another", clientID}}), unbelievable},
		{"made for another", broker, nil, set(m{"azp": "another"}), unbelievable},
		{"wrong issuer", broker, nil, set(m{"iss": "https://evil.example.com"}), unbelievable},
		{"issuer with a slash more", broker, nil, set(m{"iss": broker + "/"}), unbelievable},
		{"expired", broker, nil, set(m{"exp": time.Now().Add(-time.Minute).Unix()}), unbelievable},
		{"no expiry", broker, nil, set(m{"exp": nil}), unbelievable},
		{"not yet valid", broker, nil, set(m{"nbf": time.Now().Add(time.Hour).Unix()}), unbelievable},
		{"no subject", broker, nil, set(m{"sub": nil}), unbelievable},
		{"another access token", broker, nil, set(m{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}), unbelievable},
		{"algorithm none", broker, nil, signed(unsigned), unbelievable},
		{"HS256 with the public key", broker, nil, signed(signHS256), unbelievable},
		{"somebody else's key", broker, nil, signed(func(c m) string { return signRS256("rsa", keys().rogue, c) }), unbelievable},
		{"somebody else's key and id", broker, nil, signed(func(c m) string { return signRS256("rogue", keys().rogue, c) }), unbelievable},
		{"signature cut off", broker, nil, signed(func(c m) string { return signingInput("RS256", "rsa", c) + "." }), unbelievable},
		{"no token", broker, nil, signed(func(m) string { return "" }), unbelievable},

		{"verified is missing", broker, nil, set(m{"email_verified": nil}), "Nobody vouches"},
		{"verified is false", broker, nil, set(m{"email_verified": false}), "not confirmed"},
		{"verified is a text", broker, nil, set(m{"email_verified": "true"}), alice},
		{"verified is another text", broker, nil, set(m{"email_verified": "yes"}), "not confirmed"},
		{"verified is a number", broker, nil, set(m{"email_verified": 1}), "not confirmed"},
		{"verified in other letters", broker, nil, set(m{"email_verified": nil, "Email_Verified": true}), "Nobody vouches"},
		{"verified is missing, trusted", broker, trusting, set(m{"email_verified": nil}), alice},
		{"verified is false, trusted", broker, trusting, set(m{"email_verified": false}), "not confirmed"},
		{"another domain, trusted", broker, trusting, set(m{"email_verified": nil, "email": "alice@example.net"}), "domain are not let in"},
		{"another domain", broker, domains, set(m{"email": "alice@example.net"}), "domain are not let in"},
		{"a domain below", broker, domains, set(m{"email": "alice@eu.example.com"}), "domain are not let in"},
		{"a domain that ends alike", broker, domains, set(m{"email": "alice@badexample.com"}), "domain are not let in"},
		{"the domain in capitals", broker, domains, set(m{"email": "ALICE@EXAMPLE.COM"}), alice},
		{"two addresses", broker, nil, set(m{"email": "alice@example.com,bob@example.com"}), "no plain e-mail"},
		{"an address in an address", broker, nil, set(m{"email": `"alice@example.com"@evil.com`}), "no plain e-mail"},
		{"an address with a look-alike", broker, nil, set(m{"email": "mi\u212ae@example.com"}), "no plain e-mail"},
		{"an address that is none", broker, nil, set(m{"email": []string{"alice@example.com"}}), "no plain e-mail"},
		{"a Slack id from elsewhere", broker, nil, set(m{"https://slack.com/user_id": "U0BOSS", "https://slack.com/team_id": "T0HOME"}), alice},
		{"a name with tricks", broker, nil, set(m{"name": "Al\u202eice\n <b>Ash</b>"}), "hello alice@example.com||Alice <b>Ash</b> "},

		{"address at the user info", broker, nil, info(m{"sub": "sub-1", "email": "alice@example.com", "email_verified": true}), alice},
		{"no address anywhere", broker, nil, info(m{"sub": "sub-1"}), "no plain e-mail"},
		{"no user info", broker, nil, info(nil), "no plain e-mail"},
		{"user info of somebody else", broker, nil, info(m{"sub": "sub-2", "email": "bob@example.com", "email_verified": true}), "no plain e-mail"},
		{"user info of nobody", broker, nil, info(m{"email": "bob@example.com", "email_verified": true}), "no plain e-mail"},
		{"user info not verified", broker, nil, func(w *world) {
			set(m{"email": nil})(w) // the token says verified, of an address that it does not name
			w.idp.userInfo = m{"sub": "sub-1", "email": "bob@example.com"}
		}, "Nobody vouches"},

		{"Slack", slack, nil, set(nil), "hello alice@example.com|U012AB|Alice Ash "},
		{"Slack, another workspace", slack, nil, set(m{"https://slack.com/team_id": "T0EVIL"}), "another workspace"},
		{"Slack, no workspace", slack, nil, set(m{"https://slack.com/team_id": nil}), "another workspace"},
		{"Slack, workspaces in a list", slack, nil, set(m{"https://slack.com/team_id": []string{"T0HOME"}}), "another workspace"},
		{"Slack, no account", slack, nil, set(m{"https://slack.com/user_id": nil}), "which account"},
		{"Slack, odd account", slack, nil, set(m{"https://slack.com/user_id": "U0|U1"}), "which account"},
		{"Slack, not verified", slack, nil, set(m{"email_verified": false}), "hello |U012AB|Alice Ash "},
		{"Slack, not verified, domain wanted", slack, domains, set(m{"email_verified": false}), "not confirmed"},
		{"Slack, the organization", slack, func(c *signin.Config) { c.OIDC.SlackTeams = []string{"E0ORG"} }, set(m{"https://slack.com/enterprise_id": "E0ORG"}), "hello alice@example.com|U012AB|Alice Ash "},
		{"Slack, another organization", slack, func(c *signin.Config) { c.OIDC.SlackTeams = []string{"E0ORG"} }, set(m{"https://slack.com/enterprise_id": "E0EVIL"}), "another workspace"},

		{"Google, of a company", google, nil, set(m{"hd": "example.com"}), alice},
		{"Google, private with the company's address", google, nil, set(nil), "private Google account"},
		{"Google, private", google, nil, set(m{"email": "alice@gmail.com"}), "hello alice@gmail.com||Alice Ash "},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.issuer, c.adjust)
			c.change(w)
			b := w.browser()
			got := b.signIn("/requests")
			if !strings.Contains(got.body, c.want) {
				t.Errorf("got %d %s\nwant %q\n%s", got.StatusCode, got.body, c.want, w.log)
			}
			if want := strings.HasPrefix(c.want, "hello"); b.in() != want || (got.StatusCode == http.StatusOK) != want {
				t.Errorf("signed in is %t with status %d, want %t", b.in(), got.StatusCode, want)
			}
		})
	}
}

func TestKeyRotation(t *testing.T) {
	w := newWorld(t, broker, nil)
	if b := w.browser(); b.signIn("/").StatusCode != 200 || !b.in() {
		t.Fatal("the first sign-in failed")
	}
	fetched := w.idp.count("/keys")
	w.idp.change(func() {
		w.idp.sign = func(c map[string]any) string { return signRS256("new", keys().rogue, c) }
	})
	if b := w.browser(); b.signIn("/").StatusCode != http.StatusForbidden || b.in() {
		t.Error("a key that the issuer does not publish was believed")
	}
	w.idp.change(func() {
		w.idp.jwks = func() []map[string]any { return []map[string]any{rsaJWK("new", &keys().rogue.PublicKey)} }
	})
	if b := w.browser(); b.signIn("/").StatusCode != 200 || !b.in() {
		t.Error("the issuer's new key was not believed")
	}
	w.idp.change(func() { w.idp.sign = func(c map[string]any) string { return signRS256("rsa", keys().rsa, c) } })
	if b := w.browser(); b.signIn("/").StatusCode != http.StatusForbidden || b.in() {
		t.Error("the issuer's old key is still believed")
	}
	if w.idp.count("/keys") == fetched {
		t.Error("the keys were not fetched anew")
	}
}

// TestClientSecret: the secret goes as the issuer wants it, at the first try,
// and PKCE goes with it.
func TestClientSecret(t *testing.T) {
	for _, c := range []struct {
		name    string
		methods any
		basic   bool
	}{
		{"nothing said", nil, true},
		{"both", []string{"client_secret_post", "client_secret_basic"}, true},
		{"in the form", []string{"client_secret_post"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, broker, nil)
			w.idp.discovery = func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = c.methods }
			b := w.browser()
			b.signIn("/")
			if !b.in() || w.idp.lastBasic != c.basic || w.idp.count("/token") != 1 || w.idp.lastForm.Get("code_verifier") == "" {
				t.Errorf("in %t, basic %t, want basic %t, asked %d times with %d fields", b.in(), w.idp.lastBasic, c.basic, w.idp.count("/token"), len(w.idp.lastForm))
			}
		})
	}
}

// TestSecretsStayHidden: an issuer that repeats what it got gives nothing away.
// That the page and the log are searched for secrets is part of every test; here
// there is something to find.
func TestSecretsStayHidden(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, form url.Values) bool{
		"in the error": func(w http.ResponseWriter, form url.Values) bool {
			reply(w, 400, map[string]any{"error": "bad " + form.Get("code") + clientSecret, "error_description": form.Get("code_verifier")})
			return true
		},
		"in the body": func(w http.ResponseWriter, form url.Values) bool {
			w.WriteHeader(500)
			_, _ = w.Write([]byte(form.Encode() + otherwise(form.Get("code"))))
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, broker, nil)
			w.idp.token = func(rw http.ResponseWriter, form url.Values) bool {
				w.idp.secrets = append(w.idp.secrets, otherwise(form.Get("code")))
				return answer(rw, form)
			}
			b := w.browser()
			if got := b.signIn("/"); got.StatusCode < 400 || b.in() {
				t.Errorf("got %d", got.StatusCode)
			}
			if name == "in the error" && !strings.Contains(w.log.String(), "bad [hidden]") {
				t.Errorf("the log does not say what the issuer answered:\n%s", w.log)
			}
		})
	}
	t.Run("at the user info", func(t *testing.T) {
		w := newWorld(t, broker, nil)
		w.idp.person = map[string]any{} // the refusal repeats the access token
		if got := w.browser().signIn("/"); got.StatusCode != http.StatusForbidden || !strings.Contains(w.log.String(), "Bearer [hidden]") {
			t.Errorf("got %d\n%s", got.StatusCode, w.log)
		}
	})
}

// otherwise is a secret as nobody thought of looking for it.
func otherwise(s string) string { return b64([]byte(s)) }
