package slacksim_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"countersign/bot/slacksim"
)

// brought is one request that the local Slack made.
type brought struct {
	Path, Kind, Retry, Reason, Body string
}

// address is an app in HTTP mode. The client library judges the signatures.
type address struct {
	*httptest.Server
	mu     sync.Mutex
	got    []brought
	answer func(w http.ResponseWriter, b brought) // besides the challenge
}

func newAddress(t *testing.T, answer func(w http.ResponseWriter, b brought)) *address {
	t.Helper()
	a := &address{answer: answer}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		v, err := slack.NewSecretsVerifier(r.Header, slacksim.DefaultWorld().App.SigningSecret)
		if err == nil {
			_, _ = v.Write(body)
			err = v.Ensure()
		}
		if err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		if strings.Contains(string(body), "url_verification") {
			_, _ = w.Write(body) // it holds the challenge
			return
		}
		b := brought{r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("X-Slack-Retry-Num"), r.Header.Get("X-Slack-Retry-Reason"), string(body)}
		a.mu.Lock()
		a.got = append(a.got, b)
		a.mu.Unlock()
		a.answer(w, b)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *address) requests() []brought {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]brought(nil), a.got...)
}

func (a *address) endpoints() slacksim.Endpoints {
	return slacksim.Endpoints{Events: a.URL + "/e", Interactive: a.URL + "/i", Commands: a.URL + "/c", Options: a.URL + "/o"}
}

func TestDeliversByRequests(t *testing.T) {
	s := start(t)
	a := newAddress(t, func(w http.ResponseWriter, b brought) {
		if b.Path == "/c" {
			_, _ = io.WriteString(w, "heard you")
		}
	})
	if err := s.Deliver(t.Context(), a.endpoints()); err != nil {
		t.Fatal(err)
	}
	alice := s.As("alice")
	if notice, err := alice.Command("C0ACCESS", "/access a & b=c"); err != nil {
		t.Fatal(notice, err)
	}
	if got := alice.Ephemerals("C0ACCESS"); len(got) != 1 || got[0].Text != "heard you" {
		t.Errorf("the answer: %+v", got)
	}
	if err := alice.Shortcut("request_access"); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.Post("C0ACCESS", "hello"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an event", func() bool { return len(a.requests()) == 3 })
	got := a.requests()
	form, err := url.ParseQuery(got[0].Body)
	if err != nil || form.Get("text") != "a &amp; b=c" || form.Get("command") != "/access" {
		t.Errorf("the command: %v %v", form, err)
	}
	if form, err = url.ParseQuery(got[1].Body); err != nil || !strings.Contains(form.Get("payload"), `"type":"shortcut"`) {
		t.Errorf("the interaction: %v %v", form, err)
	}
	if !strings.Contains(got[2].Body, `"event_id":"Ev`) {
		t.Errorf("the event: %s", got[2].Body)
	}
	for i := range got {
		got[i].Body = ""
	}
	want := []brought{
		{Path: "/c", Kind: "application/x-www-form-urlencoded"}, {Path: "/i", Kind: "application/x-www-form-urlencoded"},
		{Path: "/e", Kind: "application/json"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	s.noFindings()
}

// TestRepeatsEvents: an event that is not taken comes again, saying why; anything else
// does not.
func TestRepeatsEvents(t *testing.T) {
	s := start(t, func(c *slacksim.Config) {
		c.Timing.Retry = []time.Duration{0, 10 * time.Millisecond, 20 * time.Millisecond}
	})
	var n int
	var mu sync.Mutex
	a := newAddress(t, func(w http.ResponseWriter, b brought) {
		mu.Lock()
		n++
		turn := n
		mu.Unlock()
		switch turn {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			for end := time.Now().Add(patience); len(s.Findings()) == 0 && time.Now().Before(end); { // until Slack waits no more
				time.Sleep(5 * time.Millisecond)
			}
		case 3:
			panic(http.ErrAbortHandler)
		case 5:
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	if err := s.Deliver(t.Context(), a.endpoints()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.As("alice").Post("C0ACCESS", "hello"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "four attempts", func() bool { return len(a.requests()) == 4 })
	for i, want := range []brought{{}, {Retry: "1", Reason: "http_error"}, {Retry: "2", Reason: "http_timeout"}, {Retry: "3", Reason: "connection_failed"}} {
		got := a.requests()[i]
		if got.Retry != want.Retry || got.Reason != want.Reason || got.Body != a.requests()[0].Body {
			t.Errorf("attempt %d: %+v", i, got)
		}
	}
	eventually(t, "the late answer", func() bool { return len(s.Findings()) == 2 })
	if _, err := s.As("alice").Command("C0ACCESS", "/access"); !errors.Is(err, slacksim.ErrNotConnected) {
		t.Errorf("a command that is answered with 400: %v", err)
	}
	var kinds []string
	for _, f := range s.Findings() {
		kinds = append(kinds, f.Kind)
	}
	if diff := cmp.Diff([]string{"no_ack", "late_ack", "bad_status"}, kinds); diff != "" {
		t.Error(diff)
	}
	a.Close()
	if _, err := s.As("alice").Command("C0ACCESS", "/access"); !errors.Is(err, slacksim.ErrNotConnected) {
		t.Errorf("a command to nobody: %v", err)
	}
}

func TestDeliverRefuses(t *testing.T) {
	s := start(t)
	wrong := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer wrong.Close()
	for _, to := range []string{wrong.URL, "http://127.0.0.1:1", "http://example.com/slack/events", "https://127.0.0.1/", "%"} {
		if err := s.Deliver(t.Context(), slacksim.Endpoints{Events: to, Interactive: to, Commands: to, Options: to}); err == nil {
			t.Errorf("%s is accepted", to)
		}
	}
	if _, err := s.As("alice").Command("C0ACCESS", "/access"); !errors.Is(err, slacksim.ErrNotConnected) {
		t.Errorf("after a refusal: %v", err)
	}
}
