package signin_test

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/bot/web/signin"
)

const (
	sessionCookie = "__Host-countersign"
	flowCookie    = "__Host-countersign-signin"
)

// with is an address with one parameter changed; with "" it is taken out.
func with(addr, name, value string) string {
	u, err := url.Parse(addr)
	if err != nil {
		panic(err)
	}
	q := u.Query()
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func TestCallback(t *testing.T) {
	for _, c := range []struct {
		name   string
		attack func(w *world, b *browser, back string) answer
		want   string // on the page
		after  bool   // whether the browser can still finish its own sign-in
	}{
		{"another state", func(_ *world, b *browser, back string) answer { return b.step(with(back, "state", rand.Text())) }, "another sign-in", true},
		{"no state", func(_ *world, b *browser, back string) answer { return b.step(with(back, "state", "")) }, "another sign-in", true},
		{"two states", func(_ *world, b *browser, back string) answer { return b.step(back + "&state=x") }, "another sign-in", true},
		{"the state of another browser", func(w *world, b *browser, _ string) answer { return b.step(w.browser().toCallback()) }, "another sign-in", true},
		{"in a browser that began nothing", func(w *world, _ *browser, back string) answer { return w.browser().step(back) }, "not begun in this browser", true},
		{"the code of another browser", func(w *world, b *browser, back string) answer {
			theirs, _ := url.Parse(w.browser().toCallback())
			return b.step(with(back, "code", theirs.Query().Get("code")))
		}, "refused to say who you are", false},
		{"a code that was used", func(w *world, b *browser, back string) answer {
			other := w.browser()
			theirs := other.toCallback()
			if other.step(theirs); !other.in() {
				w.t.Error("the code's own browser did not get in")
			}
			u, _ := url.Parse(theirs)
			return b.step(with(back, "code", u.Query().Get("code")))
		}, "refused to say who you are", false},
		{"no code", func(_ *world, b *browser, back string) answer { return b.step(with(back, "code", "")) }, "sent no code", false},
		{"two codes", func(_ *world, b *browser, back string) answer { return b.step(back + "&code=x") }, "sent no code", false},
		{"another issuer's answer", func(_ *world, b *browser, back string) answer {
			return b.step(with(back, "iss", "https://evil.example.com"))
		}, "another issuer", false},
		{"the person declines", func(_ *world, b *browser, back string) answer {
			return b.step(with(with(back, "code", ""), "error", "access_denied"))
		}, "did not sign you in", false},
		{"eleven minutes later", func(w *world, b *browser, back string) answer { w.wait(11 * time.Minute); return b.step(back) }, "too long ago", false},
		{"the cookie broken", func(_ *world, b *browser, back string) answer {
			b.plant(flowCookie, b.cookie(flowCookie)+"A")
			return b.step(back)
		}, "not begun in this browser", false},
		{"the cookie twice", func(_ *world, b *browser, back string) answer { return b.step(back, "Cookie", flowCookie+"=x") }, "not begun in this browser", true},
		{"the cookie twice, its own first", func(w *world, b *browser, back string) answer {
			return w.browser().step(back, "Cookie", flowCookie+"="+b.cookie(flowCookie)+"; "+flowCookie+"=x")
		}, "not begun in this browser", true},
		{"HEAD", func(_ *world, b *browser, back string) answer { b.follow = false; return b.do("HEAD", back) }, "", true},
		{"OPTIONS", func(_ *world, b *browser, back string) answer { b.follow = false; return b.do("OPTIONS", back) }, "nothing at this address", true},
		{"POST", func(_ *world, b *browser, back string) answer { b.follow = false; return b.do("POST", back) }, "nothing at this address", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, broker, nil)
			b := w.browser()
			back := b.toCallback()
			got := c.attack(w, b, back)
			if got.StatusCode < 400 || !strings.Contains(got.body, c.want) {
				t.Errorf("got %d %s\nwant %q", got.StatusCode, got.body, c.want)
			}
			if b.in() {
				t.Error("the browser is signed in")
			}
			if b.step(back); b.in() != c.after {
				t.Errorf("afterwards, its own sign-in works: %t, want %t", b.in(), c.after)
			}
		})
	}
}

// TestReplay: whoever has the cookie and the address of a finished sign-in
// cannot finish it again, even where the issuer takes the code a second time.
func TestReplay(t *testing.T) {
	w := newWorld(t, broker, nil)
	b := w.browser()
	back := b.toCallback()
	stolen := b.cookie(flowCookie)
	u, _ := url.Parse(back)
	code := u.Query().Get("code")
	kept := w.idp.codes[code]
	if b.step(back); !b.in() {
		t.Fatal("the sign-in failed")
	}
	if b.cookie(flowCookie) != "" {
		t.Error("the cookie of the finished sign-in is still there")
	}
	w.idp.change(func() { w.idp.codes[code] = kept })
	thief := w.browser()
	thief.plant(flowCookie, stolen)
	if got := thief.step(back); !strings.Contains(got.body, "used already") || thief.in() {
		t.Errorf("got %d %s", got.StatusCode, got.body)
	}
	if w.idp.count("/token") != 1 {
		t.Error("the issuer was asked again")
	}
}

// TestNoPKCE: the issuer of these tests refuses whoever leaves PKCE out, so that
// the other tests show that it is sent.
func TestNoPKCE(t *testing.T) {
	w := newWorld(t, broker, nil)
	b := w.browser()
	there := b.step("/signin/start").Header.Get("Location")
	for _, name := range []string{"code_challenge", "nonce", "state"} {
		if got := b.step(with(there, name, "")); got.StatusCode != 400 {
			t.Errorf("the issuer answers %d without %s", got.StatusCode, name)
		}
	}
	b.signIn("/") // takes the verifier from the form
	if v := w.idp.lastForm.Get("code_verifier"); len(v) < 43 || strings.Contains(there, v) {
		t.Errorf("the verifier has %d characters", len(v))
	}
	other := w.browser().step("/signin/start").Header.Get("Location")
	for _, name := range []string{"code_challenge", "nonce", "state"} {
		a, _ := url.Parse(there)
		o, _ := url.Parse(other)
		if a.Query().Get(name) == o.Query().Get(name) {
			t.Errorf("%s is the same for two sign-ins", name)
		}
	}
}

func TestWhereItLeads(t *testing.T) {
	w := newWorld(t, broker, nil)
	for to, want := range map[string]string{
		"/requests?a=b&c=%2F%2Fd":       "/requests?a=b&c=%2F%2Fd",
		"/a/b#part":                     "/a/b",
		"/?next=https://evil.com":       "/?next=https://evil.com",
		"":                              "/",
		"requests":                      "/",
		"//evil.com":                    "/",
		"///evil.com":                   "/",
		`/\evil.com`:                    "/",
		`\\evil.com`:                    "/",
		"/\t/evil.com":                  "/",
		"/\r\nSet-Cookie: a=b":          "/",
		"/%0d%0aSet-Cookie: a=b":        "/",
		"https://evil.com/":             "/",
		"https:evil.com":                "/",
		"javascript:alert(1)":           "/",
		"@evil.com":                     "/",
		".evil.com":                     "/",
		"/\u2028x":                      "/",
		"/%zz":                          "/",
		"/" + strings.Repeat("a", 3000): "/",
	} {
		b := w.browser()
		a := b.step(b.step("/signin/start?" + url.Values{"to": {to}}.Encode()).Header.Get("Location"))
		got := b.step(a.Header.Get("Location"))
		if got.StatusCode != 303 || got.Header.Get("Location") != home+want {
			t.Errorf("%q leads to %d %q, want %q", to, got.StatusCode, got.Header.Get("Location"), home+want)
		}
		if here := b.step("/signin?" + url.Values{"to": {to}}.Encode()).Header.Get("Location"); here != home+want {
			t.Errorf("somebody signed in is led by %q to %q, want %q", to, here, home+want)
		}
	}
}

// TestLongestWay: a cookie with the longest address that is kept is one that
// browsers take.
func TestLongestWay(t *testing.T) {
	w := newWorld(t, broker, nil)
	b := w.browser()
	for n, atLeast := range map[int]int{332: 1500, 3000: 0} {
		to := "/?" + strings.Repeat(`&"<`, n)
		got := b.step("/signin/start?" + url.Values{"to": {to}}.Encode()).Header.Get("Set-Cookie")
		if len(got) < atLeast || len(got) > 4000 {
			t.Errorf("the cookie has %d bytes", len(got))
		}
	}
}

// TestForeignStart: a page of another site can lead to the sign-in page, and
// begins nothing in the browser.
func TestForeignStart(t *testing.T) {
	w := newWorld(t, broker, nil)
	for site, begins := range map[string]bool{"cross-site": false, "same-site": false, "same-origin": true, "none": true} {
		got := w.browser().step("/signin/start?to=/a", "Sec-Fetch-Site", site)
		if has := got.Header.Get("Set-Cookie") != ""; has != begins {
			t.Errorf("%s: begins %t, want %t", site, has, begins)
		}
		if there := got.Header.Get("Location"); !begins && there != home+"/signin?to=%2Fa" {
			t.Errorf("%s leads to %q", site, there)
		}
	}
}

func TestSignOut(t *testing.T) {
	w := newWorld(t, broker, nil)
	b := w.browser()
	if got := b.step("/signout"); !strings.Contains(got.body, "You are signed out") {
		t.Errorf("nobody's sign-out page: %s", got.body)
	}
	b.signIn("/")
	for _, c := range []struct {
		method  string
		headers []string
		status  int
	}{
		{"GET", nil, 200},
		{"HEAD", nil, 200},
		{"OPTIONS", nil, 405},
		{"DELETE", nil, 405},
		{"POST", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"POST", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"POST", []string{"Origin", "https://evil.example.com"}, 403},
		{"POST", []string{"Origin", "null"}, 403},
	} {
		b.follow = false
		got := b.do(c.method, "/signout", c.headers...)
		if got.StatusCode != c.status || got.Header.Get("Set-Cookie") != "" || !b.in() {
			t.Errorf("%s %v: %d, want %d; signed in: %t", c.method, c.headers, got.StatusCode, c.status, b.in())
		}
	}
	if got := b.step("/signout"); !strings.Contains(got.body, "alice@example.com") || !strings.Contains(got.body, `method="post"`) {
		t.Errorf("the sign-out page: %s", got.body)
	}
	b.follow = true
	got := b.do("POST", "/signout", "Sec-Fetch-Site", "same-origin", "Origin", home)
	if !strings.Contains(got.body, "You are signed out") || b.in() || b.cookie(sessionCookie) != "" {
		t.Errorf("after the sign-out: %d %s", got.StatusCode, got.body)
	}
}

// TestIssuerDown: the gate is made, nobody gets in, who is in stays in, and the
// issuer is found once it is back.
func TestIssuerDown(t *testing.T) {
	w := newWorld(t, broker, nil)
	early := w.browser()
	early.signIn("/")
	w.idp.change(func() { w.idp.down = true })
	w.open(w.config) // the program starts anew
	b := w.browser()
	before := w.idp.count("/.well-known/openid-configuration")
	for range 5 {
		got := b.step("/signin/start")
		if got.StatusCode != 503 || !strings.Contains(got.body, "cannot be reached") || got.Header.Get("Retry-After") == "" || b.in() {
			t.Errorf("got %d %s", got.StatusCode, got.body)
		}
	}
	if n := w.idp.count("/.well-known/openid-configuration") - before; n != 1 {
		t.Errorf("the issuer that is down was asked %d times at once", n)
	}
	if !early.in() {
		t.Error("who was in before is out")
	}
	w.idp.change(func() { w.idp.down = false })
	w.wait(4 * time.Second)
	if b.signIn("/"); !b.in() {
		t.Error("nobody gets in although the issuer is back")
	}
	back := w.browser()
	addr := back.toCallback()
	w.idp.change(func() { w.idp.down = true })
	if got := back.step(addr); got.StatusCode != 503 || back.in() {
		t.Errorf("a sign-in while the token endpoint is down: %d", got.StatusCode)
	}
}

// TestDiscoveryIsKept: the issuer is asked about itself once a day.
func TestDiscoveryIsKept(t *testing.T) {
	w := newWorld(t, broker, nil)
	for i, want := range []int{1, 1, 2} {
		if i == 2 {
			w.wait(25 * time.Hour)
		}
		b := w.browser()
		b.signIn("/")
		if got := w.idp.count("/.well-known/openid-configuration"); got != want || !b.in() {
			t.Errorf("after %d sign-ins it was asked %d times, want %d; in: %t", i+1, got, want, b.in())
		}
	}
}

// TestDiscovery: what an issuer says about itself is not believed either.
func TestDiscovery(t *testing.T) {
	for name, bad := range map[string]func(m map[string]any){
		"another issuer":          func(m map[string]any) { m["issuer"] = "https://evil.example.com" },
		"no issuer":               func(m map[string]any) { delete(m, "issuer") },
		"authorize in the clear":  func(m map[string]any) { m["authorization_endpoint"] = "http://login.example.com/authorize" },
		"authorize nowhere":       func(m map[string]any) { delete(m, "authorization_endpoint") },
		"authorize by javascript": func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)" },
		"tokens in the clear":     func(m map[string]any) { m["token_endpoint"] = "http://login.example.com/token" },
		"keys in the clear":       func(m map[string]any) { m["jwks_uri"] = "http://login.example.com/keys" },
		"tokens at a redirect":    func(m map[string]any) { m["token_endpoint"] = broker + "/moved" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, broker, nil)
			w.idp.discovery = bad
			b := w.browser()
			if got := b.signIn("/"); got.StatusCode < 400 || b.in() {
				t.Errorf("got %d %s", got.StatusCode, got.body)
			}
			// In the clear, there is nobody to dial in this world: that it was not
			// tried at all is in the log.
			if strings.HasSuffix(name, "in the clear") && !strings.Contains(w.log.String(), "it must be https") {
				t.Errorf("the log says something else:\n%s", w.log)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	w := newWorld(t, slack, nil)
	type c = signin.Config
	proxy := func(header string, from ...string) func(*c) {
		return func(x *c) { x.OIDC, x.Proxy = nil, &signin.Proxy{Header: header, From: from} }
	}
	for name, v := range map[string]struct {
		change func(*c)
		want   string // in the error; empty for none
	}{
		"as it is":                {func(*c) {}, ""},
		"loopback":                {func(x *c) { x.BaseURL = "http://127.0.0.1:8080" }, ""},
		"localhost":               {func(x *c) { x.BaseURL = "http://localhost:8080/" }, ""},
		"no clock":                {func(x *c) { x.Now = nil }, "no clock"},
		"no log":                  {func(x *c) { x.Log = nil }, "no log"},
		"no way in":               {func(x *c) { x.OIDC = nil }, "exactly one"},
		"two ways in":             {func(x *c) { x.Proxy = &signin.Proxy{} }, "exactly one"},
		"plain http":              {func(x *c) { x.BaseURL = "http://dash.example.com" }, "https"},
		"nearly loopback":         {func(x *c) { x.BaseURL = "http://127.0.0.1.evil.com" }, "https"},
		"another scheme":          {func(x *c) { x.BaseURL = "ftp://dash.example.com" }, "https"},
		"no base":                 {func(x *c) { x.BaseURL = "" }, "scheme and a host"},
		"a base with a path":      {func(x *c) { x.BaseURL = home + "/dash" }, "scheme and a host"},
		"a base with a query":     {func(x *c) { x.BaseURL = home + "?" }, "scheme and a host"},
		"a base with a user":      {func(x *c) { x.BaseURL = "https://a@dash.example.com" }, "scheme and a host"},
		"all public":              {func(x *c) { x.Public = []string{"/"} }, "public"},
		"a public way up":         {func(x *c) { x.Public = []string{"/static/../"} }, "public"},
		"a style elsewhere":       {func(x *c) { x.Stylesheet = "//evil.com/a.css" }, "public"},
		"no client":               {func(x *c) { x.OIDC.Client = nil }, "HTTP client"},
		"no client id":            {func(x *c) { x.OIDC.ClientID = "" }, "client id"},
		"no issuer":               {func(x *c) { x.OIDC.Issuer = "" }, "issuer"},
		"issuer in the clear":     {func(x *c) { x.OIDC.Issuer = "http://slack.com" }, "https"},
		"issuer with a user":      {func(x *c) { x.OIDC.Issuer = "https://a:b@slack.com" }, "issuer"},
		"no workspace":            {func(x *c) { x.OIDC.SlackTeams = nil }, "workspace"},
		"no workspace, slash":     {func(x *c) { x.OIDC.Issuer, x.OIDC.SlackTeams = "https://slack.com/", nil }, "workspace"},
		"no workspace, capitals":  {func(x *c) { x.OIDC.Issuer, x.OIDC.SlackTeams = "https://SLACK.com", nil }, "workspace"},
		"no workspace, port":      {func(x *c) { x.OIDC.Issuer, x.OIDC.SlackTeams = "https://slack.com:443", nil }, "workspace"},
		"no workspace, dot":       {func(x *c) { x.OIDC.Issuer, x.OIDC.SlackTeams = "https://slack.com.", nil }, "workspace"},
		"an empty workspace":      {func(x *c) { x.OIDC.SlackTeams = []string{""} }, "workspace"},
		"a workspace by name":     {func(x *c) { x.OIDC.SlackTeams = []string{"Acme"} }, "workspace"},
		"a workspace elsewhere":   {func(x *c) { x.OIDC.Issuer = broker }, "no Slack workspaces"},
		"trust without a domain":  {func(x *c) { x.OIDC.TrustEmail = true }, "domains"},
		"a domain with an at":     {func(x *c) { x.OIDC.Domains = []string{"@example.com"} }, "domain"},
		"an empty domain":         {func(x *c) { x.OIDC.Domains = []string{""} }, "domain"},
		"no key":                  {func(x *c) { x.OIDC.Keys = nil }, "key"},
		"a short key":             {func(x *c) { x.OIDC.Keys = [][]byte{key(1), key(2)[:31]} }, "key 2"},
		"a key of zeros":          {func(x *c) { x.OIDC.Keys = [][]byte{make([]byte, 32)} }, "key 1"},
		"a proxy":                 {proxy("X-Forwarded-Email", "10.0.0.7", "fd00::/64", "::ffff:10.0.0.8"), ""},
		"a proxy without header":  {proxy("", "10.0.0.7"), "header"},
		"a proxy with odd header": {proxy("X-Email:", "10.0.0.7"), "header"},
		"the header Host":         {proxy("host", "10.0.0.7"), "header"},
		"a proxy from nowhere":    {proxy("X-Email"), "no address"},
		"a proxy from everywhere": {proxy("X-Email", "0.0.0.0/0"), "everybody"},
		"a proxy by name":         {proxy("X-Email", "proxy.internal"), "address of the proxy"},
		"a mapped prefix":         {proxy("X-Email", "::ffff:0.0.0.0/96"), "IPv4"},
	} {
		x, o := w.config, *w.config.OIDC
		x.OIDC = &o
		v.change(&x)
		switch _, err := signin.New(x); {
		case v.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case v.want != "" && (err == nil || !strings.Contains(err.Error(), v.want)):
			t.Errorf("%s: got %v, want an error with %q", name, err, v.want)
		}
	}
	if n := w.idp.count("/.well-known/openid-configuration"); n != 0 {
		t.Errorf("New asked the issuer %d times", n)
	}
}
