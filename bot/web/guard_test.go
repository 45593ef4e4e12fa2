package web_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/report"
	"countersign/bot/web"

	"github.com/google/go-cmp/cmp"
)

func TestNewRefuses(t *testing.T) {
	m := logOf(0, end)
	viewer := func(*http.Request) (web.Viewer, bool) { return web.Viewer{}, true }
	for name, c := range map[string]web.Config{
		"no requests": {Record: m, Rules: m, Viewer: viewer},
		"no record":   {Requests: m, Rules: m, Viewer: viewer},
		"no rules":    {Requests: m, Record: m, Viewer: viewer},
		"no viewer":   {Requests: m, Record: m, Rules: m},
	} {
		if _, err := web.New(c); err == nil {
			t.Errorf("%s: a server was made", name)
		}
	}
}

func TestHeaders(t *testing.T) {
	m := logOf(20, end)
	h := serve(t, m, everything, end)
	_, front, _ := get(t, h, "/")
	css := regexp.MustCompile(`/static/app\.[0-9a-f]{12}\.css`).FindString(front)
	for _, p := range []string{"/", "/requests", "/requests.tsv", "/nothing", css} {
		_, _, header := get(t, h, p)
		for name, want := range map[string]string{
			"Content-Security-Policy":      "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":       "nosniff",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s: %q, want %q", p, name, got, want)
			}
		}
		want := "no-store"
		if p == css {
			want = "public, max-age=31536000, immutable"
		}
		if got := header.Get("Cache-Control"); got != want {
			t.Errorf("%s may be kept: %q, want %q", p, got, want)
		}
	}
}

func TestOnlyReading(t *testing.T) {
	h := serve(t, logOf(20, end), everything, end)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
		for _, p := range []string{"/", "/requests", "/requests.tsv", "/changes", "/nothing"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(method, p, nil))
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d", method, p, w.Code)
			}
		}
	}
	srv := httptest.NewServer(h)
	defer srv.Close()
	for _, p := range []string{"/", "/requests", "/requests.tsv", "/changes"} {
		resp, err := http.Head(srv.URL + p)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("HEAD %s: %v %v", p, resp, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	m := logOf(5, end)
	h := serve(t, m, everything, end, func(c *web.Config) { c.Loopback, c.Viewer = true, nil })
	for _, c := range []struct {
		host, header string // x is what the header says, unless it says more
		want         int
	}{
		{"127.0.0.1:8080", "", 200},
		{"127.0.0.1:8080", "Origin: http://127.0.0.1:8080", 200},
		{"127.0.0.1:8080", "Origin: http://127.0.0.1:8081", 403},
		{"127.0.0.1:8080", "Origin: http://localhost:8080", 403},
		{"127.0.0.1:8080", "Origin: https://evil.example", 403},
		{"127.0.0.1:8080", "Origin: null", 403},
		{"localhost:8080", "", 200},
		{"[::1]:8080", "", 200},
		{"::1", "", 200},
		{"127.0.0.1", "", 200},
		{"demo.localhost", "", 200},
		{"evil.example", "", 403},
		{"127.0.0.1.evil.example:8080", "", 403},
		{"localhost.evil.example", "", 403},
		{"10.0.0.1:8080", "", 403},
		{"", "", 403},
		{"127.0.0.1:8080", "X-Forwarded-For", 403},
		{"127.0.0.1:8080", "X-Forwarded-Host", 403},
		{"127.0.0.1:8080", "Forwarded", 403},
	} {
		for _, p := range []string{"/", "/requests.tsv", "/changes"} {
			method := http.MethodGet
			if p == "/changes" {
				method = http.MethodHead
			}
			r := httptest.NewRequest(method, p, nil)
			if r.Host = c.host; c.header != "" {
				name, value, said := strings.Cut(c.header, ": ")
				if !said {
					value = "x"
				}
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("%s of %q with %q: %d, want %d", p, c.host, c.header, w.Code, c.want)
			}
		}
	}
}

func TestNobody(t *testing.T) {
	m := logOf(20, end)
	h := serve(t, m, everything, end, func(c *web.Config) {
		c.Viewer = func(*http.Request) (web.Viewer, bool) { return web.Viewer{All: true}, false }
	})
	for _, p := range []string{"/", "/requests", "/requests?open=" + m.list[0].ID, "/requests.tsv", "/requests/" + m.list[0].ID, "/approvals", "/asof?at=2026-01-01", "/changes", "/nothing"} {
		code, page, _ := get(t, h, p)
		if code != http.StatusForbidden {
			t.Errorf("%s: %d", p, code)
		}
		lacks(t, page, m.list[0].ID, m.list[0].Requestor.Email)
	}
}

// TestStranger: who is in no request learns of none, at any address.
func TestStranger(t *testing.T) {
	m := logOf(60, end)
	s := m.stories(t, end)
	h := serve(t, m, stranger, end)
	secrets := []string{"payments-admins", "alice@", "erin@", "carol@"}
	for _, r := range m.list {
		secrets = append(secrets, r.ID, r.Requestor.Email, r.Resource)
	}
	for _, x := range s {
		if code, page, _ := get(t, h, "/requests/"+x.id); code != http.StatusNotFound {
			t.Errorf("a request of others is answered with %d", code)
		} else {
			lacks(t, page, secrets...)
		}
		code, _, _ := get(t, h, "/requests?open="+x.id)
		if code != http.StatusNotFound {
			t.Errorf("a request of others opens with %d", code)
		}
	}
	_, absent, _ := get(t, h, "/requests/01KNOSUCH")
	_, hidden, _ := get(t, h, "/requests/"+s["ended"].id)
	if diff := cmp.Diff(absent, hidden); diff != "" {
		t.Errorf("that a request exists can be told: %s", diff)
	}
	for _, p := range []string{"/", "/requests", "/approvals?span=all", "/asof", "/asof?at=2026-11-23T14:00", "/requests.tsv"} {
		code, page, _ := get(t, h, p)
		if code != http.StatusOK {
			t.Errorf("%s: %d", p, code)
		}
		lacks(t, page, secrets...)
		lacks(t, page, "Nobody ha", "No requests yet", "Nothing was asked for") // of others nothing is said at all
	}
	// What is typed is echoed, so each filter is tried with what others have.
	for _, q := range []string{"q=refund", "person=alice@example.com", "resource=payments-admins", "status=live", "source=reviewer", "policy=reviewers+decide", "after=" + s["live"].id} {
		_, page, _ := get(t, h, "/requests?"+q)
		if got := rowsOf(page); len(got) > 0 {
			t.Errorf("%s finds %v", q, got)
		}
		has(t, page, "<b data-total>0</b>")
		if _, table, _ := get(t, h, "/requests.tsv?"+q); strings.Count(table, "\n") != 1 {
			t.Errorf("%s exports %s", q, table)
		}
	}
	code, page, _ := get(t, h, "/asof?at=2026-11-23T14:00&resource=payments-admins&person=alice@example.com")
	if code != http.StatusForbidden || strings.Contains(page, "carol") {
		t.Errorf("a stranger learns who could have approved for others: %d", code)
	}
	if code, _, _ = get(t, h, "/asof?at=2026-11-23T14:00&resource=payments-admins&person=mallory@example.com"); code != http.StatusOK {
		t.Errorf("one may not ask for oneself: %d", code)
	}
}

// TestParty: people see what they ask for and get, by whatever account.
func TestParty(t *testing.T) {
	m := logOf(60, end)
	s := m.stories(t, end)
	for _, c := range []struct {
		person access.Person
		want   []string
	}{
		{access.Person{Email: "al@example.com"}, []string{"ended", "pending", "stuck", "denied"}},
		{access.Person{Slack: erin.Slack}, []string{"ended", "live", "glass"}},
		{bob, nil},
		{access.Person{}, nil},
	} {
		var want []string
		for _, name := range c.want {
			want = append(want, s[name].id)
		}
		slices.Sort(want)
		h := serve(t, m, web.Viewer{Person: c.person}, end)
		_, page, _ := get(t, h, "/requests")
		got := rowsOf(page)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%v sees %v, want %v", c.person, got, want)
		}
		for name, x := range s {
			code, _, _ := get(t, h, "/requests/"+x.id)
			if (code == http.StatusOK) != slices.Contains(c.want, name) {
				t.Errorf("%v: %s: %d", c.person, name, code)
			}
		}
		for name, x := range s { // where a page begins tells no more
			_, page, _ := get(t, h, "/requests?after="+x.id)
			if mine := slices.Contains(c.want, name); !mine && len(rowsOf(page)) > 0 {
				t.Errorf("%v learns from where a page begins that there is %s", c.person, name)
			} else if mine && len(rowsOf(page)) == 0 && x.id != oldest(m, want) {
				t.Errorf("%v sees nothing after %s", c.person, name)
			}
		}
		_, table, _ := get(t, h, "/requests.tsv")
		if n := strings.Count(table, "\n") - 1; n != len(want) {
			t.Errorf("%v exports %d rows, want %d", c.person, n, len(want))
		}
	}
}

// oldest is the id of which the request was filed first.
func oldest(m *memory, ids []string) string {
	for _, r := range m.list {
		if slices.Contains(ids, r.ID) {
			return r.ID
		}
	}
	return ""
}

func TestExport(t *testing.T) {
	m := logOf(1203, end)
	m.stories(t, end)
	h := serve(t, m, everything, end)
	for query, f := range map[string]access.Filter{
		"":                              {},
		"status=denied":                 {Status: []access.Status{access.Denied}},
		"resource=payments-admins&q=is": {Resource: "payments-admins", Text: "is"},
		"resource=nothing":              {Resource: "nothing"},
		"after=x&open=y&status=live":    {Status: []access.Status{access.Live}},
	} {
		var want bytes.Buffer
		if err := report.TSV(&want, m.matching(f)); err != nil {
			t.Fatal(err)
		}
		code, got, header := get(t, h, "/requests.tsv?"+query)
		if code != http.StatusOK || got != want.String() {
			t.Errorf("%q: %d, and other bytes than the report: %s", query, code, cmp.Diff(want.String(), got))
		}
		if header.Get("Content-Disposition") != `attachment; filename="requests.tsv"` {
			t.Errorf("%q is no download: %v", query, header)
		}
	}
}

// TestPagesAskForLittle: no page asks for all requests.
func TestPagesAskForLittle(t *testing.T) {
	m := logOf(2000, end)
	h := serve(t, m, everything, end)
	for _, p := range []string{"/", "/requests", "/requests?q=prod", "/requests/" + m.list[0].ID} {
		m.asked = 0
		_, page, _ := get(t, h, p)
		if m.asked > 60 {
			t.Errorf("%s was made of %d requests", p, m.asked)
		}
		if len(page) > 120_000 {
			t.Errorf("%s is %d bytes long", p, len(page))
		}
	}
}

// listen reads the changes until the test ends.
func listen(t *testing.T, base string) <-chan string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/changes", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(resp, err)
	}
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || lines.Text() != "retry: 3000" {
		t.Fatalf("it begins with %q", lines.Text())
	}
	ids := make(chan string, 1000)
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); resp.Body.Close(); <-done })
	go func() {
		defer close(done)
		defer close(ids)
		for lines.Scan() {
			if id, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				ids <- id
			}
		}
	}()
	return ids
}

func await(t *testing.T, ids <-chan string) string {
	t.Helper()
	select {
	case id := <-ids:
		return id
	case <-time.After(patience):
		t.Fatal("nothing is told")
		return ""
	}
}

func TestChanges(t *testing.T) {
	m := logOf(0, end)
	s := m.stories(t, end)
	for _, c := range []struct {
		viewer web.Viewer
		want   []string
	}{
		{everything, []string{"ended", "live", "pending"}},
		{web.Viewer{Person: alice}, []string{"ended", "pending"}},
		{web.Viewer{Person: erin}, []string{"ended", "live"}},
	} {
		h := serve(t, m, c.viewer, end)
		srv := httptest.NewServer(h)
		ids := listen(t, srv.URL)
		h.Changed("not\nan id")
		h.Changed("01KNOSUCH")
		for _, name := range []string{"ended", "live", "pending"} {
			h.Changed(s[name].id)
		}
		h.Changed(s["ended"].id)
		for _, name := range append(c.want, "ended") {
			got := await(t, ids)
			if c.viewer.All && got == "01KNOSUCH" {
				got = await(t, ids)
			}
			if got != s[name].id {
				t.Errorf("%v is told of %s, want %s", c.viewer.Person, got, name)
			}
		}
		srv.CloseClientConnections()
		t.Cleanup(srv.Close)
	}
}

// TestSlowListener: who does not read is let go, and nobody waits for them.
func TestSlowListener(t *testing.T) {
	m := logOf(0, end)
	id := m.stories(t, end)["live"].id
	blocked := make(chan struct{})
	h := serve(t, m, web.Viewer{Person: erin}, end, func(c *web.Config) { c.Record = &waiting{m, blocked} })
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	ids := listen(t, srv.URL)
	for range 500 {
		h.Changed(id)
	}
	close(blocked)
	n := 0
	for range ids {
		n++
	}
	if n == 0 || n > 100 {
		t.Errorf("%d of 500 changes were kept for a slow reader", n)
	}
}

// waiting is a record that answers late.
type waiting struct {
	*memory
	until chan struct{}
}

func (w *waiting) History(ctx context.Context, id string) (access.Request, []web.Entry, error) {
	<-w.until
	return w.memory.History(ctx, id)
}

func TestManyListeners(t *testing.T) {
	m := logOf(0, end)
	srv := httptest.NewServer(serve(t, m, everything, end))
	t.Cleanup(srv.Close)
	for range 256 {
		listen(t, srv.URL)
	}
	resp, err := http.Get(srv.URL + "/changes")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one too many is answered with %s", resp.Status)
	}
}

var hrefs = regexp.MustCompile(`(?:href|src)="([^"]*)"`)

// TestSite: every link of the copy leads to a file of it, from wherever it lies.
func TestSite(t *testing.T) {
	m := logOf(230, end)
	s := m.stories(t, end)
	files := map[string][]byte{}
	c := web.Config{Requests: m, Record: m, Rules: m, Now: func() time.Time { return end }}
	err := web.Site(t.Context(), c, func(name string, data []byte) error {
		if files[name] != nil {
			return fmt.Errorf("%s is written twice", name)
		}
		files[name] = bytes.Clone(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"index.html", "requests/index.html", "requests/page-2.html", "requests/page-3.html", "approvals.html", "approvals-all.html", "requests.tsv", "requests/" + s["ended"].id + ".html"} {
		if files[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
	if files["requests/page-4.html"] != nil {
		t.Error("there is a page too many")
	}
	reached := map[string]bool{"index.html": true}
	for name, data := range files {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		page := string(data)
		elements(t, page)
		lacks(t, page, "<form", `href="/`, `src="/`, "data-static=")
		has(t, page, "A copy made", "data-static")
		for _, found := range hrefs.FindAllStringSubmatch(page, -1) {
			if strings.HasPrefix(found[1], "#") || strings.HasPrefix(found[1], "https://") {
				continue
			}
			u, err := url.Parse(found[1])
			if err != nil || u.IsAbs() || u.RawQuery != "" {
				t.Errorf("%s links to %q", name, found[1])
				continue
			}
			to := path.Join(path.Dir(name), u.Path)
			if reached[to] = true; files[to] == nil {
				t.Errorf("%s links to %q, which is not there", name, found[1])
			}
		}
	}
	for name := range files {
		if !reached[name] {
			t.Errorf("no link leads to %s", name)
		}
	}
	var want bytes.Buffer
	if err := report.TSV(&want, m.list); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(files["requests.tsv"], want.Bytes()) {
		t.Error("the table is not the report")
	}
	if err := web.Site(t.Context(), c, nil); err == nil {
		t.Error("a copy was written nowhere")
	}
	full := fmt.Errorf("the disk is full")
	if err := web.Site(t.Context(), c, func(string, []byte) error { return full }); err == nil || !strings.Contains(err.Error(), full.Error()) {
		t.Errorf("a full disk: %v", err)
	}
}

// TestEmptySite: a log without a request has a copy too.
func TestEmptySite(t *testing.T) {
	m := logOf(0, end)
	n := 0
	if err := web.Site(t.Context(), web.Config{Requests: m, Record: m, Rules: m}, func(string, []byte) error { n++; return nil }); err != nil || n < 7 {
		t.Errorf("%d files: %v", n, err)
	}
}
