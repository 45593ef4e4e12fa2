package slacksim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"countersign/bot/slacksim"
)

// sim is a running local Slack.
type sim struct {
	*slacksim.Server
	t   *testing.T
	url string
}

func start(t *testing.T, edit ...func(*slacksim.Config)) *sim {
	t.Helper()
	cfg := slacksim.Config{World: slacksim.DefaultWorld()}
	for _, f := range edit {
		f(&cfg)
	}
	s, err := slacksim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		h.Close()
	})
	return &sim{Server: s, t: t, url: h.URL}
}

// call calls a Web API method with a form and the bot's token.
func (s *sim) call(method string, args ...string) map[string]any {
	s.t.Helper()
	return s.callAs("xoxb-local-countersign", method, args...)
}

func (s *sim) callAs(token, method string, args ...string) map[string]any {
	s.t.Helper()
	form := url.Values{"token": {token}}
	for i := 0; i+1 < len(args); i += 2 {
		form.Set(args[i], args[i+1])
	}
	resp, err := http.PostForm(s.url+"/api/"+method, form)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		s.t.Fatalf("%s: %v", method, err)
	}
	return out
}

// must fails the test when the call was refused.
func (s *sim) must(method string, args ...string) map[string]any {
	s.t.Helper()
	out := s.call(method, args...)
	if out["ok"] != true {
		s.t.Fatalf("%s: %v", method, out)
	}
	return out
}

func (s *sim) act(body string) map[string]any {
	s.t.Helper()
	resp, err := http.Post(s.url+"/sim/act", "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	return decode(s.t, resp.Body)
}

func (s *sim) get(path string) map[string]any {
	s.t.Helper()
	resp, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	return decode(s.t, resp.Body)
}

func decode(t *testing.T, r io.Reader) map[string]any {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatalf("%v in %q", err, b)
	}
	return out
}

// noFindings fails the test if the app did anything wrong.
func (s *sim) noFindings() {
	s.t.Helper()
	for _, f := range s.Findings() {
		s.t.Errorf("finding %s: %s %s", f.Kind, f.Text, f.Detail)
	}
}

func (s *sim) hasFinding(kind string) {
	s.t.Helper()
	for _, f := range s.Findings() {
		if f.Kind == kind {
			return
		}
	}
	s.t.Errorf("no finding %q among %v", kind, s.Findings())
}

// bot is an app made with slack-go, unchanged.
type bot struct {
	t      *testing.T
	api    *slack.Client
	cancel context.CancelFunc

	mu     sync.Mutex
	seen   []socketmode.Event
	handle func(*bot, *socketmode.Client, socketmode.Event)
}

// connect starts an app with n Socket Mode clients and waits until all are connected.
func (s *sim) connect(n int, handle func(*bot, *socketmode.Client, socketmode.Event)) *bot {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b := &bot{t: s.t, cancel: cancel, handle: handle}
	b.api = slack.New("xoxb-local-countersign", slack.OptionAppLevelToken("xapp-local-countersign"), slack.OptionAPIURL(s.url+"/api/"))
	var done sync.WaitGroup
	for range n {
		c := socketmode.New(b.api, socketmode.OptionLog(log.New(io.Discard, "", 0)))
		done.Add(2)
		go func() { defer done.Done(); _ = c.RunContext(ctx) }()
		go func() { defer done.Done(); b.loop(ctx, c) }()
	}
	s.t.Cleanup(func() { cancel(); done.Wait() })
	eventually(s.t, "connected", func() bool { return s.Connected() == n })
	return b
}

func (b *bot) loop(ctx context.Context, c *socketmode.Client) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-c.Events:
			b.mu.Lock()
			b.seen = append(b.seen, e)
			b.mu.Unlock()
			if e.Request != nil && e.Request.EnvelopeID != "" {
				b.handle(b, c, e)
			}
		}
	}
}

// inner returns the types of the events that arrived, "message/message_changed" for subtypes.
func (b *bot) inner() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, e := range b.seen {
		if e.Request == nil || e.Type != socketmode.EventTypeEventsAPI {
			continue
		}
		var p struct {
			Event struct{ Type, Subtype string }
		}
		if err := json.Unmarshal(e.Request.Payload, &p); err != nil {
			b.t.Error(err)
		}
		name := p.Event.Type
		if p.Event.Subtype != "" {
			name += "/" + p.Event.Subtype
		}
		out = append(out, name)
	}
	return out
}

// patience is how long anything may take: it ends a test that hangs, and measures
// nothing.
const patience = time.Minute

// eventually waits until something is so.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func ack(_ *bot, c *socketmode.Client, e socketmode.Event) { _ = c.Ack(*e.Request) }

func jsonOf(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(err)
	}
	return b.String()
}
