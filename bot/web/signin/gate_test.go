package signin_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot/web/signin"
)

func TestProtect(t *testing.T) {
	w := newWorld(t, broker, nil)
	for _, c := range []struct {
		name, method, path string
		headers            []string
		status             int
		location           string
	}{
		{"a page", "GET", "/a?b=c", nil, 303, "/signin?to=%2Fa%3Fb%3Dc"},
		{"a page, in a browser", "GET", "/a", []string{"Sec-Fetch-Dest", "document"}, 303, "/signin?to=%2Fa"},
		{"a page, HEAD", "HEAD", "/a", nil, 303, "/signin?to=%2Fa"},
		{"a page with an escape", "GET", "/a%2Fb", nil, 303, "/signin?to=%2Fa%252Fb"},
		{"another host in the path", "GET", "//evil.com/x", nil, 303, "/signin?to=%2F"},
		{"a picture", "GET", "/a.png", []string{"Sec-Fetch-Dest", "image"}, 401, ""},
		{"a script's call", "GET", "/a", []string{"Sec-Fetch-Dest", "empty"}, 401, ""},
		{"OPTIONS", "OPTIONS", "/a", []string{"Origin", "https://evil.com", "Access-Control-Request-Method", "GET"}, 401, ""},
		{"POST", "POST", "/a", nil, 401, ""},
		{"POST from elsewhere", "POST", "/a", []string{"Sec-Fetch-Site", "cross-site"}, 403, ""},
		{"another host", "GET", "/a", []string{"Host", "evil.example.com"}, 421, ""},
		{"another host, public", "GET", "/static/style.css", []string{"Host", "evil.example.com"}, 421, ""},
		{"another port", "GET", "/a", []string{"Host", "dash.example.com:8443"}, 421, ""},
		{"the port written out", "GET", "/a", []string{"Host", "Dash.Example.com:443"}, 303, "/signin?to=%2Fa"},
		{"another host by the proxy's word", "GET", "/a", []string{"Host", "evil.example.com", "X-Forwarded-Host", "dash.example.com"}, 421, ""},
		{"a proxy's header", "GET", "/a", []string{"X-Forwarded-Email", "bob@example.com", "X-Forwarded-For", "127.0.0.1"}, 303, "/signin?to=%2Fa"},
		{"the style", "GET", "/static/style.css", nil, 200, ""},
		{"the style, HEAD", "HEAD", "/static/style.css", nil, 200, ""},
		{"the style, POST", "POST", "/static/style.css", nil, 401, ""},
		{"below the public", "GET", "/static/a/b.png", nil, 200, ""},
		{"beside the public", "GET", "/staticx", nil, 303, "/signin?to=%2Fstaticx"},
		{"out of the public", "GET", "/static/../requests", nil, 303, "/signin?to=%2Fstatic%2F..%2Frequests"},
		{"out of the public, escaped", "GET", "/static/%2e%2e/requests", nil, 303, "/signin?to=%2Fstatic%2F%252e%252e%2Frequests"},
		{"out of the public, escaped slash", "GET", "/static/..%2Frequests", nil, 303, "/signin?to=%2Fstatic%2F..%252Frequests"},
		{"out of the public, escaped twice", "GET", "/static/%252e%252e/requests", nil, 303, "/signin?to=%2Fstatic%2F%25252e%25252e%2Frequests"},
		{"a double slash", "GET", "/static//requests", nil, 303, "/signin?to=%2Fstatic%2F%2Frequests"},
		{"an unknown one of the gate", "GET", "/signin/x", nil, 404, ""},
		{"HEAD begins nothing", "HEAD", "/signin/start", nil, 405, ""},
		{"POST begins nothing", "POST", "/signin/start", nil, 405, ""},
		{"TRACE", "TRACE", "/signin", nil, 405, ""},
	} {
		b := w.browser()
		got := b.doRaw(c.method, c.path, c.headers...)
		want := c.location
		if want != "" {
			want = home + want
		}
		if got.StatusCode != c.status || got.Header.Get("Location") != want {
			t.Errorf("%s: %d %q, want %d %q", c.name, got.StatusCode, got.Header.Get("Location"), c.status, want)
		}
		if strings.Contains(got.body, "hello") || got.Header.Get("Set-Cookie") != "" || got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: gives away %q %v", c.name, got.body, got.Header)
		}
	}
}

// doRaw sends a path as it is written, without following.
func (b *browser) doRaw(method, path string, headers ...string) answer {
	b.w.t.Helper()
	b.follow = false
	if strings.HasPrefix(path, "//") {
		path = home + path
	}
	return b.do(method, path, headers...)
}

func TestHeadersOfPages(t *testing.T) {
	w := newWorld(t, broker, nil)
	in := w.browser()
	in.signIn("/")
	for _, a := range []answer{in.step("/signout"), w.browser().step("/signin"), w.browser().step("/signin/callback"), w.browser().step("/signin/x")} {
		for name, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
			"Referrer-Policy": "same-origin", "X-Frame-Options": "DENY",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", a.Request.URL, name, got, want)
			}
		}
		policy := a.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy %q lacks %q", a.Request.URL, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(a.body, "<script") || strings.Contains(a.body, "style=") || !strings.Contains(a.body, `<link rel="stylesheet" href="/static/style.css">`) {
			t.Errorf("%s: %s %s", a.Request.URL, policy, a.body)
		}
	}
	s := newWorld(t, slack, nil)
	if a := s.browser().step("/signin"); !strings.Contains(a.body, "Sign in with Slack") {
		t.Errorf("the page for Slack: %s", a.body)
	}
	if a := s.browser().step("/signin/start"); !strings.Contains(a.Header.Get("Location"), "&team=T0HOME") {
		t.Errorf("Slack is not told the workspace: %s", a.Header.Get("Location"))
	}
	if a := in.step("/requests"); a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Vary") != "Cookie" {
		t.Errorf("what only one person may see can be kept: %v", a.Header)
	}
}

func TestWhoWithoutGate(t *testing.T) {
	if id, ok := signin.Who(httptest.NewRequest("GET", "/", nil)); ok {
		t.Errorf("a request that passed no gate is from %v", id)
	}
}

// TestProxy sends each request as if from an address.
func TestProxy(t *testing.T) {
	const mail = "X-Forwarded-Email"
	const trusted = "10.0.0.7:4444"
	log := &buffer{}
	g, err := signin.New(signin.Config{
		BaseURL: home, Proxy: &signin.Proxy{Header: "x-forwarded-email", From: []string{"10.0.0.7", "192.0.2.0/24", "fd00::/64"}},
		Public: []string{"/static/"}, Now: time.Now, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := g.Protect(http.HandlerFunc(dashboard))
	for _, c := range []struct {
		name, peer string
		headers    []string
		want       string // the address that is let in; empty for 403
		log        string
	}{
		{"the proxy", trusted, []string{mail, "Alice@Example.com"}, "alice@example.com", ""},
		{"a prefix", "192.0.2.99:1", []string{mail, "alice@example.com"}, "alice@example.com", ""},
		{"IPv6", "[fd00::5]:1", []string{mail, "alice@example.com"}, "alice@example.com", ""},
		{"IPv4 in IPv6", "[::ffff:10.0.0.7]:1", []string{mail, "alice@example.com"}, "alice@example.com", ""},
		{"with a plus", trusted, []string{mail, "alice+x@example.com"}, "alice+x@example.com", ""},
		{"somebody else", "10.0.0.8:4444", []string{mail, "alice@example.com"}, "", "not the proxy's"},
		{"outside the prefix", "192.0.3.1:1", []string{mail, "alice@example.com"}, "", "not the proxy's"},
		{"IPv6, outside", "[fd00:0:0:1::5]:1", []string{mail, "alice@example.com"}, "", "not the proxy's"},
		{"a Unix socket", "@", []string{mail, "alice@example.com"}, "", "not the proxy's"},
		{"no peer", "", []string{mail, "alice@example.com"}, "", "not the proxy's"},
		{"says it is the proxy", "203.0.113.9:1", []string{mail, "alice@example.com", "X-Forwarded-For", "10.0.0.7", "X-Real-Ip", "10.0.0.7", "Forwarded", "for=10.0.0.7"}, "", "not the proxy's"},
		{"the proxy, for somebody else", trusted, []string{mail, "alice@example.com", "X-Forwarded-For", "203.0.113.9"}, "alice@example.com", ""},
		{"somebody else, no header", "10.0.0.8:4444", nil, "", "not from the proxy"},
		{"no header", trusted, nil, "", "no header"},
		{"two headers", trusted, []string{mail, "alice@example.com", mail, "bob@example.com"}, "", "2 headers"},
		{"two the same", trusted, []string{mail, "alice@example.com", mail, "alice@example.com"}, "", "2 headers"},
		{"two in one", trusted, []string{mail, "alice@example.com,bob@example.com"}, "", "not an e-mail"},
		{"empty", trusted, []string{mail, ""}, "", "not an e-mail"},
		{"a name with it", trusted, []string{mail, "Alice <alice@example.com>"}, "", "not an e-mail"},
		{"quoted", trusted, []string{mail, `"alice"@example.com`}, "", "not an e-mail"},
		{"a prefix of the issuer's", trusted, []string{mail, "accounts.google.com:alice@example.com"}, "", "not an e-mail"},
		{"two ats", trusted, []string{mail, "alice@example.com@evil.com"}, "", "not an e-mail"},
		{"a look-alike", trusted, []string{mail, "mi\u212ae@example.com"}, "", "not an e-mail"},
		{"a line feed", trusted, []string{mail, "alice@example.com\nX: y"}, "", "not an e-mail"},
		{"another header", trusted, []string{"X-Forwarded-User", "alice@example.com"}, "", "no header"},
		{"an underscore", trusted, []string{"X_Forwarded_Email", "alice@example.com"}, "", "no header"},
	} {
		r := httptest.NewRequest("GET", home+"/requests", nil)
		r.RemoteAddr = c.peer
		for i := 0; i+1 < len(c.headers); i += 2 {
			r.Header.Add(c.headers[i], c.headers[i+1])
		}
		before := len(log.String())
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		lines := log.String()[before:]
		if c.want != "" {
			if rec.Code != 200 || rec.Body.String() != "hello "+c.want+"|| at /requests" || lines != "" {
				t.Errorf("%s: %d %q %s", c.name, rec.Code, rec.Body, lines)
			}
			continue
		}
		if rec.Code != 403 || strings.Contains(rec.Body.String(), "hello") || !strings.Contains(lines, "level=WARN") || !strings.Contains(lines, c.log) || strings.Count(lines, "\n") != 1 {
			t.Errorf("%s: %d, log %q, want 403 and %q", c.name, rec.Code, lines, c.log)
		}
	}
	for path, want := range map[string]string{"/signin": "nothing at this address", "/signin/callback": "nothing at this address", "/signout": "by the proxy", "/static/a.css": "public"} {
		r := httptest.NewRequest("GET", home+path, nil)
		r.RemoteAddr = trusted
		r.Header.Set(mail, "alice@example.com")
		rec := httptest.NewRecorder()
		if h.ServeHTTP(rec, r); !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	// A page that was pointed at the proxy's own machine by name.
	r := httptest.NewRequest("GET", "http://evil.example.com/requests", nil)
	r.RemoteAddr = trusted
	r.Header.Set(mail, "alice@example.com")
	rec := httptest.NewRecorder()
	if h.ServeHTTP(rec, r); rec.Code != 421 {
		t.Errorf("under another host: %d", rec.Code)
	}
}

// TestFloodOfRefusals: strangers cannot fill the log, and nothing is forgotten.
func TestFloodOfRefusals(t *testing.T) {
	now := time.Unix(1e9, 0)
	log := &buffer{}
	g, err := signin.New(signin.Config{
		BaseURL: home, Proxy: &signin.Proxy{Header: "X-Email", From: []string{"10.0.0.7"}},
		Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := g.Protect(http.HandlerFunc(dashboard))
	knock := func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", home+"/", nil)) }
	for range 100 {
		knock()
	}
	if n := strings.Count(log.String(), "\n"); n != 30 {
		t.Errorf("%d lines, want 30", n)
	}
	now = now.Add(time.Minute)
	knock()
	if !strings.Contains(log.String(), "not_logged=70") {
		t.Errorf("what was not logged is not counted:\n%s", log)
	}
}

// TestMemoryOfUsed: however many sign-ins there are, few are kept, and the last
// ones for as long as they could be used again.
func TestMemoryOfUsed(t *testing.T) {
	now := time.Unix(1e9, 0)
	use, held := signin.NewOnce(func() time.Time { return now })
	for i := range 20000 {
		if !use(strings.Repeat("x", i%7) + time.Duration(i).String()) {
			t.Fatal("a new one counts as used")
		}
	}
	if held() > 8192 {
		t.Errorf("%d are kept", held())
	}
	use("a")
	for range 11 {
		if use("a") {
			t.Fatal("used twice")
		}
		now = now.Add(time.Minute)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// gateWith has an issuer that answers by this function.
func gateWith(t *testing.T, f roundTrip) http.Handler {
	t.Helper()
	g, err := signin.New(signin.Config{
		BaseURL: home, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		OIDC: &signin.OIDC{Issuer: broker, ClientID: clientID, ClientSecret: clientSecret, Keys: [][]byte{key(1)}, Client: &http.Client{Transport: f}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g.Protect(http.HandlerFunc(dashboard))
}

// TestIssuerHangs: many who wait for an issuer that does not answer wait for one
// call, and not for ever.
func TestIssuerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		h := gateWith(t, func(r *http.Request) (*http.Response, error) {
			calls++
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		begun := time.Now()
		codes := make(chan int)
		for range 20 {
			go func() {
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, httptest.NewRequest("GET", home+"/signin/start", nil))
				codes <- rec.Code
			}()
		}
		for range 20 {
			if got := <-codes; got != 503 {
				t.Errorf("got %d", got)
			}
		}
		if d := time.Since(begun); d > 11*time.Second || calls != 1 {
			t.Errorf("it took %v and %d calls", d, calls)
		}
	})
}

// TestKeysHang: the call for the keys, which the library makes on its own, ends
// too. The bubble does not end before every goroutine has.
func TestKeysHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t, broker, time.Now)
		h := gateWith(t, func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/keys" {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			rec := httptest.NewRecorder()
			p.ServeHTTP(rec, r)
			return rec.Result(), nil
		})
		begin := httptest.NewRecorder()
		h.ServeHTTP(begin, httptest.NewRequest("GET", home+"/signin/start", nil))
		back := httptest.NewRecorder()
		p.ServeHTTP(back, httptest.NewRequest("GET", begin.Header().Get("Location"), nil))
		r := httptest.NewRequest("GET", back.Header().Get("Location"), nil)
		cookie, _, _ := strings.Cut(begin.Header().Get("Set-Cookie"), ";")
		r.Header.Set("Cookie", cookie)
		begun := time.Now()
		end := httptest.NewRecorder()
		if h.ServeHTTP(end, r); end.Code != 403 || p.count("/token") != 1 || time.Since(begun) > 11*time.Second {
			t.Errorf("got %d after %v: %s", end.Code, time.Since(begun), end.Body)
		}
	})
}

// TestTooManySignIns: who hammers the way back takes up so much, and no more.
func TestTooManySignIns(t *testing.T) {
	w := newWorld(t, broker, nil)
	hold, held := make(chan struct{}), make(chan struct{}, 16)
	var waiting sync.WaitGroup
	w.idp.open = func() { held <- struct{}{}; <-hold }
	browsers, backs := make([]*browser, 17), make([]string, 17)
	for i := range browsers { // before anything is held, which is given up after 10 s
		browsers[i] = w.browser()
		backs[i] = browsers[i].toCallback()
	}
	for i, b := range browsers[:16] {
		waiting.Go(func() {
			if got := b.step(backs[i]); got.StatusCode != 303 {
				t.Errorf("one of sixteen: %d", got.StatusCode)
			}
		})
	}
	for range 16 {
		<-held
	}
	b := browsers[16]
	if got := b.step(backs[16]); got.StatusCode != 503 || b.in() {
		t.Errorf("the seventeenth: %d %s", got.StatusCode, got.body)
	}
	close(hold)
	waiting.Wait()
	w.idp.change(func() { w.idp.open = nil })
	if b.signIn("/"); !b.in() {
		t.Error("nobody gets in afterwards")
	}
}

// TestEndlessAnswer: an issuer's answer is read up to a size.
func TestEndlessAnswer(t *testing.T) {
	e := &endless{}
	h := gateWith(t, func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: e}, nil
	})
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", home+"/signin/start", nil))
	if rec.Code != 503 || e.n < 1000 || e.n > 2<<20 {
		t.Errorf("got %d after %d bytes", rec.Code, e.n)
	}
}

type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	if e.n += len(p); e.n > 64<<20 {
		return 0, io.EOF // the test fails, but ends
	}
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func (e *endless) Close() error { return nil }

// FuzzLocal: wherever somebody is led, it is on this host, for a browser too.
func FuzzLocal(f *testing.F) {
	for _, s := range []string{"/a?b#c", "//evil", `/\evil`, "/.//evil", "/;@evil", "/%2f%2fevil", "/a:b", "/\x00", "/?//x", `/%2f"`} {
		f.Add(s)
	}
	base, _ := url.Parse(home)
	f.Fuzz(func(t *testing.T, to string) {
		got := signin.Local(to)
		u, err := base.Parse(got)
		if err != nil || u.Scheme != "https" || u.Host != base.Host || u.User != nil {
			t.Errorf("%q leads to %q: %v %v", to, got, u, err)
		}
		if len(got) > 1 && (got[0] != '/' || got[1] == '/' || got[1] == '\\') || got != signin.Local(got) {
			t.Errorf("%q becomes %q, then %q", to, got, signin.Local(got))
		}
		for _, c := range []byte(got) {
			if c <= ' ' || c >= 0x7f || c == '\\' {
				t.Errorf("%q becomes %q", to, got)
			}
		}
	})
}

// FuzzAddress: an address that is taken is one, and stays what it is.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"a@b.c", "A@B", "a@@b", "a.@b", `"a"@b`, "a+b@c", " a@b ", "a@-b", "\u212a@b", "a@" + strings.Repeat("b.", 130) + "c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := signin.Address(s)
		if !ok {
			return
		}
		again, ok := signin.Address(got)
		if !ok || again != got || len(got) > 254 || strings.Count(got, "@") != 1 || strings.ContainsAny(got, " ,;<>()\"\\\t\r\n") {
			t.Errorf("%q becomes %q, then %q", s, got, again)
		}
		if !strings.EqualFold(got, strings.TrimSpace(s)) {
			t.Errorf("%q becomes %q", s, got)
		}
	})
}

// BenchmarkProtect is what the gate adds to each request of somebody signed in.
func BenchmarkProtect(b *testing.B) {
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	bench := func(name string, h http.Handler, r *http.Request) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rec := &quiet{header: http.Header{}}
				h.ServeHTTP(rec, r)
				if rec.status != 0 {
					b.Fatal(rec.status)
				}
			}
		})
	}
	bench("nothing", next, httptest.NewRequest("GET", home+"/requests", nil))
	g, err := signin.New(signin.Config{
		BaseURL: home, Now: time.Now, Log: slog.New(slog.DiscardHandler), Proxy: &signin.Proxy{Header: "X-Email", From: []string{"10.0.0.0/8"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest("GET", home+"/requests", nil)
	r.RemoteAddr = "10.0.0.7:1"
	r.Header.Set("X-Email", "alice@example.com")
	bench("proxy", g.Protect(next), r)
	h, cookie := signedIn(b, next)
	r = httptest.NewRequest("GET", home+"/requests", nil)
	r.Header.Set("Cookie", cookie)
	bench("session", h, r)
}

type quiet struct {
	header http.Header
	status int
}

func (q *quiet) Header() http.Header         { return q.header }
func (q *quiet) Write(p []byte) (int, error) { return len(p), nil }
func (q *quiet) WriteHeader(status int)      { q.status = status }
