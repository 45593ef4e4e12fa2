package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/access"
	"countersign/bot/provider/webhook"
)

// TestBodies: the bytes that receivers see, and what an id stands for.
func TestBodies(t *testing.T) {
	var bodies, ids []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies, ids = append(bodies, r.URL.String()+" "+string(b)), append(ids, r.Header.Get("webhook-id"))
		io.WriteString(w, `{"changed":true,"present_before":false}`)
	})
	p, o := provider(t, trusting(s)), order(target(s.URL+"/a/b?c=d%20e"))
	longer, bob, other, request, there := o, o, o, o, o
	longer.Expires = o.Expires.Add(time.Hour)
	bob.Subject, other.Resource, request.Request, there.Target = "bob@example.com", "crm/sales", "01JXYA", target(s.URL)
	for _, o := range []access.Order{o, o, longer, bob, other, request, there} {
		if err := errors.Join(p.Grant(t.Context(), o), p.Revoke(t.Context(), o)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		`/a/b?c=d%20e {"action":"grant","request":"01JXYZ","principal":"alice@example.com","resource":"crm/support","expires_at":"2030-01-02T02:04:05Z"}`,
		`/a/b?c=d%20e {"action":"revoke","request":"01JXYZ","principal":"alice@example.com","resource":"crm/support","expires_at":"2030-01-02T02:04:05Z"}`,
	}
	if d := cmp.Diff(want, bodies[:2]); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	number := map[string]int{} // which id is which, in the order they were seen
	var got []int
	for _, id := range ids {
		if number[id] == 0 {
			number[id] = len(number) + 1
		}
		got = append(got, number[id])
	}
	// The extension's revocation is the revocation.
	if d := cmp.Diff([]int{1, 2, 1, 2, 3, 2, 4, 5, 6, 7, 8, 9, 10, 11}, got); d != "" {
		t.Errorf("ids (-want +got)\n%s", d)
	}
}

// TestObserving: the first answer says whether the access was there before.
func TestObserving(t *testing.T) {
	w := newWorld(t)
	f := w.fixture(t)
	p, o := provider(t, trusting(w.server)), order(f.Target)
	for _, want := range []access.Presence{access.Absent, access.Absent} { // the repeated one is not misled by the first
		if got, err := p.GrantObserving(t.Context(), o); got != want || err != nil {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	o.Subject = "bob@example.com"
	f.Give(t, f.Target, o.Subject)
	if got, err := p.GrantObserving(t.Context(), o); got != access.Present || err != nil {
		t.Errorf("given before: %s, %v", got, err)
	}
	w.next = "fails"
	if got, err := p.GrantObserving(t.Context(), o); got != access.Unknown || err == nil {
		t.Errorf("after an error: %s, %v", got, err)
	}
}

// TestAnswers: what counts as done, and what an operator reads where it is not.
func TestAnswers(t *testing.T) {
	const yes = `{"changed":true,"present_before":false}`
	tests := []struct {
		status        int
		body          string
		grant, revoke string // a part of the error; empty: done
	}{
		{200, yes, "", ""}, {201, yes, "", ""}, {202, yes, "", ""}, {299, yes, "", ""},
		{200, `{"changed":true,"present_before":true}`, "", ""},
		{200, `{"changed":false,"present_before":true}`, "", "still there"},
		{200, `{"changed":false,"present_before":false}`, "nothing was given", ""},
		{204, "", "is not {", "is not {"},
		{200, "", "is not {", "is not {"},
		{200, "OK", "is not {", "is not {"},
		{200, "{}", "is not {", "is not {"},
		{200, "null", "is not {", "is not {"},
		{200, "[" + yes + "]", "is not {", "is not {"},
		{200, yes + yes, "is not {", "is not {"},
		{200, yes + "<html>", "is not {", "is not {"},
		{200, yes[:len(yes)-1], "is not {", "is not {"},
		{200, `{"changed":true}`, "is not {", "is not {"},
		{200, `{"present_before":false}`, "is not {", "is not {"},
		{200, `{"changed":"true","present_before":false}`, "is not {", "is not {"},
		{200, `{"changed":null,"present_before":false}`, "is not {", "is not {"},
		{200, "<html>Please sign in</html>", "it answered: <html>Please sign in", "it answered: <html>Please sign in"},
		{200, yes + strings.Repeat(" ", 64<<10-len(yes)), "", ""},
		{200, yes + strings.Repeat(" ", 64<<10+1-len(yes)), "longer than 65536 bytes", "longer than 65536 bytes"},
		{300, yes, "redirects are not followed", "redirects are not followed"},
		{304, "", "redirects are not followed", "redirects are not followed"},
		{400, `{"error":"no such resource"}`, `400 Bad Request: see the receiver's log; it answered: {"error":"no such resource"}`, "no such resource"},
		{401, "", "the same secret", "the same secret"},
		{403, "", "the same secret", "the same secret"},
		{404, yes, "check the url", "check the url"},
		{410, yes, "ends no access", "ends no access"},
		{410, "", "ends no access", "ends no access"},
		{429, "", "429 Too Many Requests", "429 Too Many Requests"},
		{503, yes, "503 Service Unavailable", "503 Service Unavailable"},
	}
	var now int
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(tests[now].status)
		io.WriteString(w, tests[now].body)
	})
	p, o := provider(t, trusting(s)), order(target(s.URL))
	for now = range tests {
		tt := tests[now]
		for name, x := range map[string]struct {
			do   func(context.Context, access.Order) error
			want string
		}{"grant": {p.Grant, tt.grant}, "revoke": {p.Revoke, tt.revoke}} {
			err := x.do(t.Context(), o)
			if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
				t.Errorf("%s answered %d %.60s: %v; want %q", name, tt.status, tt.body, err, x.want)
			}
		}
	}
}

func TestSubject(t *testing.T) {
	p := provider(t)
	who := access.Account{Email: "alice@example.com", GitHub: "alice-gh", Postgres: "alice"}
	if got, err := p.Subject(t.Context(), target("https://a.example"), who); got != "alice@example.com" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := p.Subject(t.Context(), target("ftp://a.example"), who); got != "" || err == nil {
		t.Errorf("at no target: %q, %v", got, err)
	}
}

// TestTargets: what the configuration refuses is refused here too, since an old
// log is not read again by today's rules.
func TestTargets(t *testing.T) {
	asked := false
	p := provider(t, func(c *webhook.Config) {
		c.Secret = func(string) (string, error) { asked = true; return whsec, nil }
	})
	with := func(key string, value any) access.Target {
		at := target("https://a.example/hook")
		at.With[key] = value
		return at
	}
	http := func(url string, private any) access.Target {
		at := target(url)
		at.With["allow_private"] = private
		return at
	}
	for name, at := range map[string]access.Target{
		"nothing": {}, "no url": with("url", nil), "odd url": with("url", 5), "no host": with("url", "https://"), "port alone": with("url", "https://:443/"),
		"user": with("url", "https://a:b@a.example"), "fragment": with("url", "https://a.example/#x"), "opaque": with("url", "https:a.example"),
		"ftp": with("url", "ftp://a.example"), "file": with("url", "file://localhost/etc/passwd"), "unix": with("url", "unix://localhost/run/x"),
		"header in url": with("url", "https://a.example/\r\nX-Evil: 1"), "header in host": with("url", "https://a.example\r\nX-Evil: 1/"),
		"http": http("http://a.example", true), "http, private": http("http://10.0.0.1", true), "http, loopback, not allowed": http("http://127.0.0.1", false),
		"http, loopback, unset": http("http://localhost", nil), "http, like loopback": http("http://localhost.evil.example", true),
		"allow_private is text": with("allow_private", "true"), "allow_private is 1": with("allow_private", 1),
		"no secret": with("secret_env", nil), "empty secret": with("secret_env", ""), "odd secret": with("secret_env", "a b"), "lower case": with("secret_env", "hook"),
		"digit": with("secret_env", "1HOOK"), "path": with("secret_env", "../HOOK"), "Slack's": with("secret_env", "SLACK_BOT_TOKEN"),
		"GitHub's": with("secret_env", "GITHUB_TOKEN"), "PagerDuty's": with("secret_env", "PAGERDUTY_TOKEN"),
		"incident.io's": with("secret_env", "INCIDENT_IO_API_KEY"), "the bot's": with("secret_env", "COUNTERSIGN_GIT_TOKEN"),
	} {
		o := order(at)
		has, err := p.Has(t.Context(), at, o.Subject)
		_, serr := p.Subject(t.Context(), at, access.Account{Email: o.Subject})
		for i, err := range []error{p.Grant(t.Context(), o), p.Revoke(t.Context(), o), err, serr} {
			if err == nil || !strings.Contains(err.Error(), "the target's") || strings.ContainsAny(err.Error(), "\r\n") || has != access.Unknown {
				t.Errorf("%s (%d): %v", name, i, err)
			}
		}
	}
	if asked {
		t.Error("a secret was read for a target that is refused")
	}
}

func TestOrders(t *testing.T) {
	p := provider(t)
	for name, change := range map[string]func(*access.Order){
		"request":  func(o *access.Order) { o.Request = "" },
		"subject":  func(o *access.Order) { o.Subject = "" },
		"resource": func(o *access.Order) { o.Resource = "" },
		"no end":   func(o *access.Order) { o.Expires = time.Time{} },
	} {
		o := order(target("https://127.0.0.1:1"))
		change(&o)
		if err := p.Grant(t.Context(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestNew(t *testing.T) {
	secret := func(string) (string, error) { return "", nil }
	for _, c := range []webhook.Config{{}, {Secret: secret}, {Now: time.Now}} {
		if _, err := webhook.New(c); err == nil {
			t.Errorf("New(%+v) answers nil", c)
		}
	}
}

// TestSecrets: which ones sign, and that no error shows one.
func TestSecrets(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"changed":true,"present_before":true}`)
	})
	for _, tt := range []struct{ secret, want string }{
		{whsec, ""}, {"sixteen bytes ok", ""}, {"whsec_c2l4dGVlbiBieXRlcyBvaw==", ""},
		{"", "has 0 bytes"}, {"hunter2", "has 7 bytes"}, {"fifteen bytes !", "has 15 bytes"},
		{"whsec_", "has 0 bytes"}, {"whsec_aHVudGVyMg==", "has 7 bytes"}, {"whsec_hunter2 is no base64", "not base64"},
	} {
		p := provider(t, trusting(s), func(c *webhook.Config) { c.Secret = func(string) (string, error) { return tt.secret, nil } })
		err := p.Grant(t.Context(), order(target(s.URL)))
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "unter2") || !strings.Contains(err.Error(), "HOOK_SECRET")) {
			t.Errorf("%q: %v; want %q", tt.secret, err, tt.want)
		}
	}
	if err := provider(t, trusting(s)).Ready(target(s.URL)); err != nil {
		t.Error(err)
	}
	lost := errors.New("HOOK_SECRET is not set")
	p := provider(t, func(c *webhook.Config) { c.Secret = func(string) (string, error) { return "", lost } })
	if err := p.Ready(target(s.URL)); !errors.Is(err, lost) {
		t.Errorf("Ready without a secret: %v", err)
	}
	if err := p.Revoke(t.Context(), order(target(s.URL))); !errors.Is(err, lost) {
		t.Error(err)
	}
}

// TestEcho: a receiver that sends the secret back, or anything else that a log or
// a terminal would mind, does not get it into the error.
func TestEcho(t *testing.T) {
	const raw = "forty-two-bytes/of+a--secret" // what whsec encodes
	var answer string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		defer c.Close()
		io.WriteString(c, answer)
	})
	p, o := provider(t, trusting(s)), order(target(s.URL+"/hook?token=in-the-query"))
	body := func(s string) string {
		return fmt.Sprintf("HTTP/1.1 500 Oh\r\nContent-Length: %d\r\n\r\n%s", len(s), s)
	}
	for name, a := range map[string]string{
		"body":          body("key " + whsec + " and " + whsec[6:] + " and " + raw),
		"JSON":          body(strings.ReplaceAll(whsec+raw, "/", `\/`)),
		"status":        "HTTP/1.1 " + whsec + "\r\n\r\n",
		"proto":         whsec + "\r\n\r\n",
		"header":        "HTTP/1.1 200 OK\r\n" + raw + "\r\n\r\n",
		"length":        "HTTP/1.1 200 OK\r\nContent-Length: " + whsec + "\r\n\r\n",
		"lines":         body("a\nFrom: b\r\nc\x1b[2J\x00\u202e\u2028\xff"),
		"long":          body(strings.Repeat("é", 10_000)),
		"nothing":       "",
		"half":          "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"changed\":true,\"present_before\":true}",
		"chunks":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"switches":      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"other version": "HTTP/9.9 200 OK\r\n\r\n",
	} {
		answer = a
		err := p.Revoke(t.Context(), o)
		if err == nil {
			t.Errorf("%s: done", name)
			continue
		}
		text := err.Error()
		if strings.Contains(text, whsec[6:20]) || strings.Contains(text, "forty-two") || strings.Contains(text, "in-the-query") {
			t.Errorf("%s: the error shows a secret: %s", name, text)
		}
		if strings.ContainsAny(text, "\r\n\x1b\x00\u202e\u2028") || len([]rune(text)) > 510 || !strings.HasPrefix(text, "webhook: revoke at 127.0.0.1:") {
			t.Errorf("%s: %q", name, text)
		}
	}
}

// TestInjection: nothing that people write reaches a header or the address.
func TestInjection(t *testing.T) {
	w := newWorld(t) // fails for headers that it does not expect
	o := order(target(w.server.URL + "/crm"))
	o.Subject, o.Request, o.Resource = "a\r\nX-Evil: 1", "../\r\n\r\nGET / HTTP/1.1", "\x00\"},{\"action\":\"grant\""
	p := provider(t, trusting(w.server))
	if err := errors.Join(p.Grant(t.Context(), o), p.Revoke(t.Context(), o)); err != nil {
		t.Error(err)
	}
	if len(w.bodies) != 2 {
		t.Errorf("%d orders were seen", len(w.bodies))
	}
}
