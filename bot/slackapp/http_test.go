package slackapp_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/slackapp"
	"countersign/bot/slacksim"
)

// front is the address that Slack has of the bot, whoever answers there now.
type front struct {
	*httptest.Server
	app atomic.Pointer[slackapp.App] // nil: nobody does
}

func newFront(t testing.TB) *front {
	f := &front{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		app := f.app.Load()
		if r.URL.Path == "/other" {
			_, _ = io.WriteString(w, "somebody else serves here too")
			return
		}
		if app == nil {
			panic(http.ErrAbortHandler)
		}
		app.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// listen starts an app in HTTP mode behind the address.
func (s *stage) listen(f *front) {
	s.Helper()
	s.run(byHTTP(s))
	f.app.Store(s.app)
	s.eventually("the app to be ready", func() bool { return s.app.Ready() == nil })
}

func byHTTP(s *stage) func(*slackapp.Config) {
	return func(c *slackapp.Config) { c.AppToken, c.SigningSecret = "", s.world.App.SigningSecret }
}

// startHTTP is a local Slack with the app in HTTP mode on it.
func startHTTP(t testing.TB, change ...func(*slacksim.Config, *book)) (*stage, *front) {
	t.Helper()
	s, f := set(t, change...), newFront(t)
	s.listen(f)
	s.deliver(f)
	return s, f
}

func (s *stage) deliver(f *front) {
	s.Helper()
	err := s.slack.Deliver(s.Context(), slacksim.Endpoints{
		Events: f.URL + "/slack/events", Interactive: f.URL + "/slack/interactive",
		Commands: f.URL + "/slack/commands", Options: f.URL + "/slack/options",
	})
	if err != nil {
		s.Fatal(err)
	}
}

// TestHTTPStory plays a request's life by requests, each brought twice.
func TestHTTPStory(t *testing.T) {
	s, _ := startHTTP(t, func(c *slacksim.Config, _ *book) { c.Chaos = slacksim.Chaos{Duplicate: true, OddPayloads: true} })
	s.command("alice", "/access request")
	v := s.modal("alice")
	if got := s.offered(v.ID(), "orders"); got != "db/orders" {
		t.Errorf("offered %v", got)
	}
	in := map[string]map[string]any{"resource": {"resource": "db/orders"}, "duration": {"duration": "soon"}, "reason": {"reason": "a < b"}}
	problems, err := s.slack.As("alice").Submit(v.ID(), in)
	if err != nil || !strings.Contains(problems["duration"], "Write a duration") {
		t.Fatal(problems, err)
	}
	in["duration"]["duration"] = "2h"
	if problems, err = s.slack.As("alice").Submit(v.ID(), in); err != nil || problems != nil {
		t.Fatal(problems, err)
	}
	s.eventually("the request to be filed", func() bool { return len(s.book.Requests()) == 1 })
	id := s.book.Requests()[0].ID
	m := s.message(id)
	if _, err := s.slack.As("bob").Reply(channel, m.TS, "why now?"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the reply to be recorded", func() bool { return len(s.request(id).Messages) > 0 })

	s.click("dan", m, "approve")
	s.told("dan", "You are not a reviewer")
	s.click("bob", m, "approve")
	s.status(id, access.Approved)
	s.book.grant(t, id)
	s.click("carol", s.shows(id, "*Live* until"), "revoke")
	v = s.modal("carol")
	if problems, err = s.slack.As("carol").Submit(v.ID(), map[string]map[string]any{"reason": {"reason": "lost"}}); err != nil || problems != nil {
		t.Fatal(problems, err)
	}
	s.eventually("the end to be intended", func() bool { return s.request(id).Ending != nil })
	s.book.must(t, access.Finish{Request: id})
	s.shows(id, "Revoked by <@U0CAROL>")
	if err := s.slack.As("alice").Shortcut("request_access"); err != nil {
		t.Fatal(err)
	}
	s.modal("alice")
	if n := len(s.request(id).Messages); n != 1 {
		t.Errorf("the reply is recorded %d times", n)
	}
	for kind, want := range map[access.Action]int{access.File{}: 1, access.Say{}: 1, access.Revoke{}: 1, access.Approve{}: 2} {
		if got := len(s.book.actions(kind)); got != want {
			t.Errorf("%T was handed on %d times, want %d", kind, got, want)
		}
	}
	if s.slack.Connected() != 0 || s.asked("apps.connections.open", "") {
		t.Error("a socket was opened")
	}
	if n := s.app.Stats().Acks; n == 0 {
		t.Error("no acknowledgement was counted")
	}
	s.noFindings()
}

// TestHTTPReplyWhileAway: what is said while nobody answers is recorded once, whether
// Slack brings it again or has given it up.
func TestHTTPReplyWhileAway(t *testing.T) {
	for name, retries := range map[string][]time.Duration{"again": {0, 0, time.Second}, "given up": {}} {
		t.Run(name, func(t *testing.T) {
			s, f := startHTTP(t, func(c *slacksim.Config, _ *book) { c.Timing.Retry = retries })
			r, m := s.filed("alice", "db/orders 1h because")
			f.app.Store(nil)
			if err := s.stop(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.slack.As("bob").Reply(channel, m.TS, "are you there?"); err != nil {
				t.Fatal(err)
			}
			if err := s.slack.As("bob").Click(slacksim.InMessage(channel, m.TS), "", "approve"); err == nil {
				t.Error("a click arrives while nobody answers")
			}
			for i := range max(len(retries)-1, 0) {
				s.eventually("a try in vain", func() bool { return s.traced(fmt.Sprintf("message (retry %d): ", i+1)) })
			}
			s.eventually("the first try in vain", func() bool { return s.traced("message: ") })
			s.listen(f)
			s.eventually("the reply to be recorded", func() bool { return len(s.request(r.ID).Messages) == 1 })
			if len(retries) > 0 {
				s.eventually("the last try", func() bool { return s.traced("message (retry 3)") })
			}
			s.click("bob", m, "approve")
			s.status(r.ID, access.Approved)
			if n := len(s.request(r.ID).Messages); n != 1 {
				t.Errorf("the reply is recorded %d times", n)
			}
			s.noFindings()
		})
	}
}

// traced reports whether there was an answer to a delivery; its title goes on with why
// it failed.
func (s *stage) traced(title string) bool {
	entries, _ := s.slack.Trace(0)
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Title, title); ok && e.Kind == "ack" && (e.OK && rest == "" || !e.OK && rest != "") {
			return true
		}
	}
	return false
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// bring makes one request of our own to the app.
func bring(t testing.TB, h http.Handler, path, kind, body string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func commandForm(text string) string {
	return url.Values{
		"command": {"/access"}, "text": {text}, "user_id": {"U0ALICE"}, "channel_id": {channel}, "team_id": {"T0ACME"}, "trigger_id": {"1.2.3"},
	}.Encode()
}

func TestHTTPRefuses(t *testing.T) {
	s, f := startHTTP(t)
	h, secret, now := f.app.Load().Handler(), s.world.App.SigningSecret, time.Now()
	command := commandForm("request db/orders 1h because")
	click := "payload=" + url.QueryEscape(`{"type":"block_actions","user":{"id":"U0BOB"},"actions":[]}`)
	large := strings.Repeat("x", 1<<20+1)
	// Somebody says this in a channel: their text reaches us inside of signed JSON.
	smuggled := `{"type":"event_callback","event_id":"Ev1","event":{"type":"message","text":"&` + command + `&` + click + `&x="}}`
	none := http.Header{}
	for name, c := range map[string]struct {
		path, kind, body string
		header           http.Header
		want             int
	}{
		"unsigned":               {"/slack/commands", formType, command, none, 401},
		"another secret":         {"/slack/commands", formType, command, sign(docSecret, command, now), 401},
		"old":                    {"/slack/commands", formType, command, sign(secret, command, now.Add(-301*time.Second)), 401},
		"early":                  {"/slack/commands", formType, command, sign(secret, command, now.Add(time.Hour)), 401},
		"another body":           {"/slack/commands", formType, command + "+", sign(secret, command, now), 401},
		"unsigned challenge":     {"/slack/events", jsonType, `{"type":"url_verification","challenge":"c"}`, none, 401},
		"unsigned certificate":   {"/slack/commands", formType, command + "&ssl_check=1", none, 200},
		"signed certificate":     {"/slack/commands", formType, "ssl_check=1&token=x", sign(secret, "ssl_check=1&token=x", now), 200},
		"certificate as JSON":    {"/slack/events", jsonType, `ssl_check=1`, none, 401},
		"large":                  {"/slack/commands", formType, large, sign(secret, large, now), 413},
		"large and unsigned":     {"/slack/commands", formType, large, none, 401},
		"no form":                {"/slack/commands", formType, "%zz", sign(secret, "%zz", now), 400},
		"no command":             {"/slack/commands", formType, click, sign(secret, click, now), 400},
		"no payload":             {"/slack/interactive", formType, command, sign(secret, command, now), 400},
		"a field twice":          {"/slack/commands", formType, command + "&text=x", sign(secret, command+"&text=x", now), 400},
		"a click for options":    {"/slack/options", formType, click, sign(secret, click, now), 400},
		"JSON as a command":      {"/slack/commands", formType, smuggled, sign(secret, smuggled, now), 400},
		"JSON as a click":        {"/slack/interactive", formType, smuggled, sign(secret, smuggled, now), 400},
		"a form as an event":     {"/slack/events", jsonType, command, sign(secret, command, now), 400},
		"half an event":          {"/slack/events", jsonType, smuggled[:90], sign(secret, smuggled[:90], now), 400},
		"a list":                 {"/slack/events", jsonType, "[]", sign(secret, "[]", now), 400},
		"nothing":                {"/slack/events", jsonType, "", sign(secret, "", now), 400},
		"a challenge of nothing": {"/slack/events", jsonType, `{"type":"url_verification"}`, sign(secret, `{"type":"url_verification"}`, now), 400},
		"another type":           {"/slack/commands", jsonType, command, sign(secret, command, now), 415},
		"no type":                {"/slack/commands", "", command, sign(secret, command, now), 415},
		"another path":           {"/slack/actions", formType, click, sign(secret, click, now), 404},
		"a longer path":          {"/slack/events/", jsonType, "{}", sign(secret, "{}", now), 404},
		"the root":               {"/slack/", jsonType, "{}", sign(secret, "{}", now), 404},
	} {
		w := bring(t, h, c.path, c.kind, c.body, c.header)
		if w.Code != c.want {
			t.Errorf("%s: got %d %s, want %d", name, w.Code, w.Body, c.want)
		}
		if w.Code != 200 && strings.Contains(w.Body.String(), "x-slack") {
			t.Errorf("%s: the answer teaches: %s", name, w.Body)
		}
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "OPTIONS", "DELETE"} {
		r := httptest.NewRequest(method, "/slack/events", nil)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
			t.Errorf("%s: got %d", method, w.Code)
		}
	}
	packed := sign(secret, command, now)
	packed.Set("Content-Encoding", "gzip")
	if w := bring(t, h, "/slack/commands", formType, command, packed); w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("compressed: got %d", w.Code)
	}
	// A right one shows that all of these could have had an effect.
	if w := bring(t, h, "/slack/commands", formType+"; charset=utf-8", command, sign(secret, command, now)); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("the right one: got %d %s", w.Code, w.Body)
	}
	s.eventually("the request to be filed", func() bool { return len(s.book.Requests()) == 1 })
	if n := len(s.book.actions(access.File{})); n != 1 {
		t.Errorf("%d were filed", n)
	}
	if n := strings.Count(s.logs.String(), "a request was refused"); n != 1 {
		t.Errorf("the log says %d times that a request was refused", n)
	}
	if strings.Contains(s.logs.String(), "because") {
		t.Error("the log shows what was brought")
	}
}

func TestHTTPAnswersTheChallengeAtOnce(t *testing.T) {
	s := set(t)
	app, err := slackapp.New(slackapp.Config{
		BotToken: s.world.App.BotToken, SigningSecret: docSecret, APIURL: s.http.URL + "/api/",
		Handle: s.book.handle, Reader: s.book, Logger: slog.New(slog.NewTextHandler(s.logs, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	const challenge = `{"token":"t","challenge":"3eZbrw1a\"<&>","type":"url_verification"}`
	w := bring(t, app.Handler(), "/slack/events", jsonType, challenge, sign(docSecret, challenge, time.Now()))
	if got := w.Body.String(); w.Code != 200 || got != `{"challenge":"3eZbrw1a\"\u003c\u0026\u003e"}` || w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("got %d %s %v", w.Code, got, w.Header())
	}
	// Before it runs, nothing is taken, and so nothing is lost: Slack brings it again.
	if app.Ready() == nil {
		t.Error("it is ready, and does not know who it is")
	}
	command := commandForm("request db/orders 1h because")
	for range 2 {
		w = bring(t, app.Handler(), "/slack/commands", formType, command, sign(docSecret, command, time.Now()))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("got %d", w.Code)
		}
	}
}

// TestHTTPReplays: what comes again, whoever brings it, gets the same answer and has
// no other effect, at whatever path.
func TestHTTPReplays(t *testing.T) {
	s, f := startHTTP(t)
	h, secret := f.app.Load().Handler(), s.world.App.SigningSecret
	command := commandForm("request db/orders 1h because")
	header := sign(secret, command, time.Now())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if w := bring(t, h, "/slack/commands", formType, command, header); w.Code != 200 || w.Body.Len() != 0 {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
	wg.Wait()
	s.eventually("the request to be filed", func() bool { return len(s.book.Requests()) == 1 })
	m := s.message(s.book.Requests()[0].ID)

	// An answer that says what is wrong with a form is said again. The form's own id
	// does not matter: it is the signature that comes again.
	s.command("alice", "/access request")
	v := s.modal("alice")
	form := "payload=" + url.QueryEscape(fmt.Sprintf(`{"type":"view_submission","user":{"id":"U0ALICE"},"view":{"id":%q,"callback_id":%q,`+
		`"state":{"values":{"duration":{"duration":{"value":"soon"}}}}}}`, v.ID(), v.CallbackID()))
	header = sign(secret, form, time.Now())
	first := bring(t, h, "/slack/interactive", formType, form, header)
	upper := header.Clone() // the same signature, in other digits
	upper.Set("X-Slack-Signature", "v0="+strings.ToUpper(header.Get("X-Slack-Signature")[3:]))
	taken := s.app.Stats().Acks
	second := bring(t, h, "/slack/interactive", formType, form, upper)
	if first.Code != 200 || !strings.Contains(first.Body.String(), `"response_action":"errors"`) || !bytes.Equal(first.Body.Bytes(), second.Body.Bytes()) {
		t.Errorf("got %s, then %s", first.Body, second.Body)
	}
	if n := s.app.Stats().Acks - taken; n != 0 {
		t.Errorf("the same signature in other digits was taken %d times more", n)
	}

	// Slack signs each attempt anew; the event stays the same.
	for i, at := range []time.Time{time.Now().Add(-time.Minute), time.Now(), time.Now().Add(time.Second)} {
		event := fmt.Sprintf(`{"type":"event_callback","event_id":"Ev0SAME","event":{"type":"message","channel":%q,"user":"U0BOB","text":"say more","ts":"1700000000.000%d","thread_ts":%q}}`, channel, i, m.TS)
		header := sign(secret, event, at)
		header.Set("X-Slack-Retry-Num", fmt.Sprint(i))
		header.Set("X-Slack-Retry-Reason", "http_timeout")
		if w := bring(t, h, "/slack/events", jsonType, event, header); w.Code != 200 || w.Body.Len() != 0 {
			t.Errorf("attempt %d: got %d", i, w.Code)
		}
	}
	s.eventually("the reply to be recorded", func() bool { return len(s.book.actions(access.Say{})) == 1 })
	if err := s.stop(); err != nil { // all that was queued is done
		t.Fatal(err)
	}
	if a, b := len(s.book.actions(access.Say{})), len(s.book.actions(access.File{})); a != 1 || b != 1 {
		t.Errorf("%d replies and %d requests were handed on, want 1 and 1", a, b)
	}
	// Nothing is taken any more, and what was never taken is not answered as if.
	command = commandForm("help")
	if w := bring(t, h, "/slack/commands", formType, command, sign(secret, command, time.Now())); w.Code != http.StatusServiceUnavailable {
		t.Errorf("after the end: got %d", w.Code)
	}
}

// TestHTTPSlowLoris: who sends byte by byte is left alone soon, and the connection
// serves others well after a request of Slack's.
func TestHTTPSlowLoris(t *testing.T) {
	s, f := startHTTP(t)
	c, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	header := sign(s.world.App.SigningSecret, "x", time.Now())
	fmt.Fprintf(c, "POST /slack/commands HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nX-Slack-Signature: %s\r\nX-Slack-Request-Timestamp: %s\r\nContent-Length: 1000\r\n\r\na",
		formType, header.Get("X-Slack-Signature"), header.Get("X-Slack-Request-Timestamp"))
	_ = c.SetReadDeadline(time.Now().Add(patience))
	answer, err := io.ReadAll(c) // to the end: the server closes it
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") {
		t.Errorf("%v, %s", err, answer)
	}
}

// TestHTTPStalls: a request is answered soon also where its body is announced, is of
// no interest, and never comes.
func TestHTTPStalls(t *testing.T) {
	_, f := startHTTP(t)
	for name, request := range map[string]string{
		"another path":   "POST /slack/nowhere HTTP/1.1\r\nContent-Type: " + formType,
		"another method": "PUT /slack/commands HTTP/1.1\r\nContent-Type: " + formType,
		"another type":   "POST /slack/commands HTTP/1.1\r\nContent-Type: text/plain",
		"unsigned":       "POST /slack/commands HTTP/1.1\r\nContent-Type: " + formType,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", f.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprintf(c, "%s\r\nHost: x\r\nContent-Length: 100000\r\n\r\na", request)
			_ = c.SetReadDeadline(time.Now().Add(patience))
			if answer, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 4") {
				t.Errorf("%v, %s", err, answer)
			}
		})
	}
}

// TestHTTPOtherWorkspaces: an app can be installed in several workspaces, which share
// its signing secret. What happens to it elsewhere is not ours.
func TestHTTPOtherWorkspaces(t *testing.T) {
	s, f := startHTTP(t)
	h, secret := f.app.Load().Handler(), s.world.App.SigningSecret
	send := func(team, event string) {
		t.Helper()
		body := fmt.Sprintf(`{"type":"event_callback","team_id":%q,"api_app_id":"A0COUNTERSIGN","event_id":"Ev%s%d","event":%s}`, team, team, len(event), event)
		if w := bring(t, h, "/slack/events", jsonType, body, sign(secret, body, time.Now())); w.Code != 200 {
			t.Errorf("got %d", w.Code)
		}
	}
	const uninstalled, revoked = `{"type":"app_uninstalled"}`, `{"type":"tokens_revoked","tokens":{"bot":["U0OTHERBOT"]}}`
	send("T0UMBRELLA", uninstalled)
	send("T0UMBRELLA", revoked)
	if err := s.app.Ready(); err != nil {
		t.Errorf("another workspace stops the bot: %v", err)
	}
	// Their people are nobody here, whatever they press.
	r, m := s.filed("alice", "db/orders 1h because")
	click := "payload=" + url.QueryEscape(fmt.Sprintf(`{"type":"block_actions","user":{"id":"U0ELSE","team_id":"T0UMBRELLA"},"team":{"id":"T0UMBRELLA"},"channel":{"id":%q},"message":{"ts":%q},`+
		`"container":{"message_ts":%q,"channel_id":%q},"actions":[{"action_id":"approve","block_id":"approve","value":%q,"action_ts":"1700000000.1"}]}`, channel, m.TS, m.TS, channel, r.ID+" 1"))
	if w := bring(t, h, "/slack/interactive", formType, click, sign(secret, click, time.Now())); w.Code != 200 {
		t.Errorf("got %d", w.Code)
	}
	send("T0ACME", revoked)
	if err := s.app.Ready(); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("our own token is revoked: %v", err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if got := s.request(r.ID).Status; got != access.Pending {
		t.Errorf("a stranger made it %s", got)
	}
}

// TestHTTPLeavesTheConnectionUsable: neither limit of time outlives its request.
func TestHTTPLeavesTheConnectionUsable(t *testing.T) {
	s, f := startHTTP(t)
	c, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	ask := func(method, path, body string) {
		t.Helper()
		req, err := http.NewRequest(method, f.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = sign(s.world.App.SigningSecret, body, time.Now())
		req.Header.Set("Content-Type", formType)
		if err := req.Write(c); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r, req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s %s: %d %v", method, path, resp.StatusCode, err)
		}
	}
	ask(http.MethodPost, "/slack/commands", commandForm("help"))
	time.Sleep(4 * time.Second)
	ask(http.MethodGet, "/other", "")
}

func TestConfigOfHTTPMode(t *testing.T) {
	b := newBook()
	for name, c := range map[string]struct {
		app, secret, want string
	}{
		"Socket Mode":      {"xapp-1", "", ""},
		"HTTP mode":        {"", docSecret, ""},
		"both":             {"xapp-1", docSecret, ""},
		"neither":          {"", "", "SLACK_APP_TOKEN.*SLACK_SIGNING_SECRET"},
		"a short secret":   {"", "8f742231", "SLACK_SIGNING_SECRET"},
		"a token for it":   {"", "xapp-1-A0-123456789", "SLACK_SIGNING_SECRET"},
		"spaces":           {"", "                                ", "SLACK_SIGNING_SECRET"},
		"a bot token":      {"xoxb-1", docSecret, "xapp-"},
		"a secret as such": {docSecret, "", "xapp-"},
	} {
		app, err := slackapp.New(slackapp.Config{
			BotToken: "xoxb-1", AppToken: c.app, SigningSecret: c.secret, Handle: b.handle, Reader: b, Logger: slog.New(slog.DiscardHandler),
		})
		if c.want != "" {
			if err == nil || !matches(c.want, err.Error()) || c.secret != "" && strings.TrimSpace(c.secret) != "" && strings.Contains(err.Error(), c.secret) {
				t.Errorf("%s: got %v, want %q", name, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// Without the secret of HTTP mode nobody is let in.
		w := bring(t, app.Handler(), "/slack/events", jsonType, "{}", sign("", "{}", time.Now()))
		if want := map[bool]int{true: 404, false: 401}[c.app != ""]; w.Code != want {
			t.Errorf("%s: the handler answers %d, want %d", name, w.Code, want)
		}
	}
}

func matches(pattern, text string) bool {
	for _, part := range strings.Split(pattern, ".*") {
		_, after, ok := strings.Cut(text, part)
		if !ok {
			return false
		}
		text = after
	}
	return true
}

// FuzzHTTP: whatever arrives, nothing panics, and nothing that is not signed has an
// effect; what is signed has none either unless it is whole.
func FuzzHTTP(f *testing.F) {
	b := newBook()
	b.rules.Slack.Channel = "none"
	slack := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/auth.test") {
			_, _ = io.WriteString(w, `{"ok":true,"user_id":"U0COUNTERSIGN","bot_id":"B0","team_id":"T0ACME"}`)
			return
		}
		_, _ = io.WriteString(w, `{"ok":false,"error":"fuzzed"}`)
	}))
	f.Cleanup(slack.Close)
	var logs logs
	app, err := slackapp.New(slackapp.Config{
		BotToken: "xoxb-1", SigningSecret: docSecret, APIURL: slack.URL + "/api/", Handle: b.handle, Reader: b, Logger: slog.New(slog.NewTextHandler(&logs, nil)),
	})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	f.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	for !strings.Contains(logs.String(), "HTTP mode") {
		time.Sleep(time.Millisecond)
	}
	f.Add("/slack/events", jsonType, `{"type":"event_callback","event_id":"Ev1","event":{"type":"message","thread_ts":"1.2"}}`, "", docMAC, true)
	f.Add("/slack/events", jsonType, `{"type":"url_verification","challenge":"c"}`, "1531420618", docMAC, false)
	f.Add("/slack/commands", formType, commandForm("request db/orders 1h"), "1", "v0=", true)
	f.Add("/slack/commands", formType, "ssl_check=1", "", "", false)
	f.Add("/slack/interactive", formType, `payload={"type":"block_actions","user":{"id":"U"},"actions":[{"value":"R:1"}]}`, "", "", true)
	f.Add("/slack/interactive", formType, `payload={"type":"view_submission","view":{"callback_id":"request"}}`, "", "", true)
	f.Add("/slack/options", formType, `payload={"type":"block_suggestion","action_id":"resource"}`, "", "", true)
	f.Fuzz(func(t *testing.T, path, kind, body, stamp, mac string, signed bool) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.URL.Path = path
		r.Header = http.Header{"Content-Type": {kind}, "X-Slack-Request-Timestamp": {stamp}, "X-Slack-Signature": {mac}}
		if signed {
			for name, values := range sign(docSecret, body, time.Now()) {
				r.Header[name] = values
			}
		}
		before := app.Stats().Acks
		w := httptest.NewRecorder()
		app.Handler().ServeHTTP(w, r)
		switch {
		case w.Code != 200 && w.Code != 400 && w.Code != 401 && w.Code != 404 && w.Code != 413 && w.Code != 415:
			t.Errorf("%s: %d", path, w.Code)
		case signed:
		case w.Code == 200 && w.Body.Len() > 0, app.Stats().Acks != before, len(b.Requests()) > 0:
			t.Errorf("an unsigned request has an effect: %d %s", w.Code, w.Body)
		}
	})
}
