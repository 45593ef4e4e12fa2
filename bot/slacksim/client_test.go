package slacksim_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"countersign/bot/slacksim"
)

func modal() slack.ModalViewRequest {
	text := func(s string) *slack.TextBlockObject { return slack.NewTextBlockObject("plain_text", s, false, false) }
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: "ask", Title: text("Ask"), Submit: text("Send"), Close: text("Cancel"),
		Blocks: slack.Blocks{BlockSet: []slack.Block{
			slack.NewInputBlock("reason", text("Reason"), nil, slack.NewPlainTextInputBlockElement(text("why"), "reason")),
			slack.NewInputBlock("what", text("What"), nil, slack.NewOptionsSelectBlockElement("external_select", text("what"), "what")).WithOptional(true),
		}},
	}
}

func message() []slack.Block {
	text := func(s string) *slack.TextBlockObject { return slack.NewTextBlockObject("plain_text", s, false, false) }
	return []slack.Block{
		slack.NewSectionBlock(slack.NewTextBlockObject("mrkdwn", "*Please* decide", false, false), nil, nil, slack.SectionBlockOptionBlockID("head")),
		slack.NewActionBlock("decide",
			slack.NewOptionsSelectBlockElement("static_select", text("Select expiry"), "expiry",
				slack.NewOptionBlockObject("5m", text("5 minutes"), nil), slack.NewOptionBlockObject("1h", text("1 hour"), nil)),
			slack.NewButtonBlockElement("approve", "id 1", text("Approve")).WithStyle(slack.StylePrimary)),
	}
}

// TestClient plays one request with the unchanged client library: command, form with an
// error, message, choice, click, update.
func TestClient(t *testing.T) {
	s := start(t)
	clicked := make(chan slack.InteractionCallback, 4)
	s.connect(1, func(b *bot, c *socketmode.Client, e socketmode.Event) {
		switch e.Type {
		case socketmode.EventTypeSlashCommand:
			cmd := e.Data.(slack.SlashCommand)
			if cmd.Text != "request for <@U0DAN|dan> &amp; me" {
				t.Errorf("got text %q", cmd.Text)
			}
			_ = c.Ack(*e.Request)
			if _, err := b.api.OpenView(cmd.TriggerID, modal()); err != nil {
				t.Error(err)
			}
		case socketmode.EventTypeInteractive:
			i := e.Data.(slack.InteractionCallback)
			switch i.Type {
			case slack.InteractionTypeBlockSuggestion:
				_ = c.Ack(*e.Request, map[string]any{"options": []any{map[string]any{
					"text": map[string]any{"type": "plain_text", "text": "Payments " + i.Value}, "value": "payments"}}})
			case slack.InteractionTypeViewSubmission:
				if reason := i.View.State.Values["reason"]["reason"].Value; reason != "incident 7" {
					_ = c.Ack(*e.Request, map[string]any{"response_action": "errors", "errors": map[string]any{"reason": "say more"}})
					return
				}
				if got := i.View.State.Values["what"]["what"].SelectedOption.Value; got != "payments" {
					t.Errorf("got option %q", got)
				}
				_ = c.Ack(*e.Request)
				_, _, err := b.api.PostMessage("C0ACCESS", slack.MsgOptionText("Please decide", false), slack.MsgOptionBlocks(message()...))
				if err != nil {
					t.Error(err)
				}
			case slack.InteractionTypeBlockActions:
				_ = c.Ack(*e.Request)
				clicked <- i
			}
		default:
			_ = c.Ack(*e.Request)
		}
	})

	alice := s.As("alice")
	if notice, err := alice.Command("C0ACCESS", "/access request for @dan & me"); err != nil {
		t.Fatal(notice, err)
	}
	eventually(t, "a modal", func() bool { return len(alice.Modals()) == 1 })
	v := alice.Modals()[0]
	if got, want := v.CallbackID(), "ask"; got != want {
		t.Errorf("got callback %q, want %q", got, want)
	}

	if problems, err := alice.Submit(v.ID(), nil); err != nil || problems["reason"] == "" {
		t.Errorf("an empty required field: got %v, %v", problems, err)
	}
	found, err := alice.Suggest(slacksim.InView(v.ID()), "what", "what", "pay")
	if err != nil || len(found.Options) != 1 {
		t.Fatal(found, err)
	}
	in := map[string]map[string]any{"reason": {"reason": map[string]any{"value": "x"}}, "what": {"what": "payments"}}
	problems, err := alice.Submit(v.ID(), in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"reason": "say more"}, problems); diff != "" {
		t.Error(diff)
	}
	if problems, err = alice.Submit(v.ID(), map[string]map[string]any{"reason": {"reason": "incident 7"}}); err != nil || problems != nil {
		t.Fatal(problems, err)
	}
	if n := len(alice.Modals()); n != 0 {
		t.Errorf("%d modals are open, want none", n)
	}

	bob := s.As("U0BOB")
	eventually(t, "the message", func() bool { return len(bob.Messages("C0ACCESS")) == 1 })
	m := bob.Messages("C0ACCESS")[0]
	if !m.Bot || !m.HasAction("approve") {
		t.Errorf("got %+v", m)
	}
	at := slacksim.InMessage("C0ACCESS", m.TS)
	if err := bob.Select(at, "decide", "expiry", "1h"); err != nil {
		t.Fatal(err)
	}
	if got := (<-clicked).ActionCallback.BlockActions[0].SelectedOption.Value; got != "1h" {
		t.Errorf("selected %q", got)
	}
	if err := bob.Click(at, "", "approve"); err != nil {
		t.Fatal(err)
	}
	i := <-clicked
	if got := i.BlockActionState.Values["decide"]["expiry"].SelectedOption.Value; got != "1h" {
		t.Errorf("the click came with expiry %q, want 1h", got)
	}
	if got := i.ActionCallback.BlockActions[0].Value; got != "id 1" {
		t.Errorf("button value %q", got)
	}
	s.noFindings()
}

func TestEventsReachTheApp(t *testing.T) {
	s := start(t)
	b := s.connect(1, ack)
	alice := s.As("alice")
	root, err := alice.Post("C0ACCESS", "hello <b> @bob")
	if err != nil {
		t.Fatal(err)
	}
	reply, _ := alice.Reply("C0ACCESS", root, "more")
	if err := alice.Edit("C0ACCESS", reply, "even more"); err != nil {
		t.Fatal(err)
	}
	if err := alice.Delete("C0ACCESS", reply); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.Post("C0GENERAL", "the app is not in here"); err != nil {
		t.Fatal(err)
	}
	if err := alice.OpenHome(); err != nil {
		t.Fatal(err)
	}
	if err := s.UpdateUser("U0DAN", func(u *slacksim.User) { u.Email = "d@example.com" }); err != nil {
		t.Fatal(err)
	}
	want := []string{"message", "message", "message/message_changed", "message/message_deleted", "app_home_opened", "user_change"}
	eventually(t, "all events", func() bool { return len(b.inner()) >= len(want) })
	if diff := cmp.Diff(want, b.inner()); diff != "" {
		t.Error(diff)
	}
	if got, want := s.As("bob").Messages("C0ACCESS")[0].Text, "hello &lt;b&gt; <@U0BOB>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s.noFindings()
}

func TestOneSocketPerEnvelope(t *testing.T) {
	s := start(t)
	b := s.connect(2, ack)
	for n := range 20 {
		if _, err := s.As("alice").Post("C0ACCESS", fmt.Sprint("message ", n)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "20 events", func() bool { return len(b.inner()) >= 20 })
	time.Sleep(50 * time.Millisecond)
	if got := len(b.inner()); got != 20 {
		t.Errorf("got %d deliveries of 20 events", got)
	}
	used := map[int]int{}
	entries, _ := s.Trace(0)
	for _, e := range entries {
		if e.Kind == "envelope" {
			used[e.Socket]++
		}
	}
	if used[1] != 10 || used[2] != 10 {
		t.Errorf("not round robin: %v", used)
	}
}

// TestNothingIsLostInDisconnects posts while the sockets are taken away again and again.
func TestNothingIsLostInDisconnects(t *testing.T) {
	s := start(t, func(c *slacksim.Config) {
		c.Timing = slacksim.Timing{Warning: 100 * time.Millisecond, Retry: []time.Duration{0, 50 * time.Millisecond, 50 * time.Millisecond, 50 * time.Millisecond}, Ack: 300 * time.Millisecond}
	})
	b := s.connect(2, ack)
	texts := func() map[string]bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		out := map[string]bool{}
		for _, e := range b.seen {
			if e.Request != nil {
				_, rest, _ := strings.Cut(string(e.Request.Payload), `"text":"message `)
				n, _, _ := strings.Cut(rest, `"`)
				out[n] = true
			}
		}
		delete(out, "")
		return out
	}
	for n := range 100 {
		if _, err := s.As("alice").Post("C0ACCESS", fmt.Sprint("message ", n)); err != nil {
			t.Fatal(err)
		}
		switch n {
		case 20:
			_ = s.Fault(slacksim.Fault{Disconnect: "warning"})
		case 60:
			_ = s.Fault(slacksim.Fault{Disconnect: "now"})
		}
		time.Sleep(2 * time.Millisecond)
	}
	eventually(t, "100 messages", func() bool { return len(texts()) == 100 })
}

// TestStormOfDisconnects posts and clicks while sockets come and go by themselves.
func TestStormOfDisconnects(t *testing.T) {
	s := start(t, func(c *slacksim.Config) {
		c.Chaos.DisconnectEvery = 60 * time.Millisecond
		c.Timing = slacksim.Timing{Warning: 40 * time.Millisecond, Ack: 500 * time.Millisecond, Retry: make([]time.Duration, 100)}
	})
	b := s.connect(2, ack)
	for n := range 100 {
		if _, err := s.As("alice").Post("C0ACCESS", fmt.Sprint("message ", n)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Millisecond)
	}
	eventually(t, "100 messages", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		seen := map[string]bool{}
		for _, e := range b.seen {
			if e.Request != nil && strings.Contains(string(e.Request.Payload), `"event_id"`) {
				_, rest, _ := strings.Cut(string(e.Request.Payload), `"event_id":"`)
				seen[rest[:12]] = true
			}
		}
		return len(seen) == 100
	})
	eventually(t, "three sockets to be closed", func() bool {
		closed := 0
		entries, _ := s.Trace(0)
		for _, e := range entries {
			if e.Kind == "socket" && e.Title == "closed" {
				closed++
			}
		}
		return closed >= 3
	})
}

func TestReconnectStormIsAFinding(t *testing.T) {
	s := start(t)
	for range 51 {
		s.callAs("xapp-local-countersign", "apps.connections.open")
	}
	s.hasFinding("reconnect_storm")
}

func TestEventIsRetriedWithTheSameID(t *testing.T) {
	s := start(t, func(c *slacksim.Config) { c.Timing.Ack = 100 * time.Millisecond })
	var ids, attempts []string
	done := make(chan bool)
	s.connect(1, func(_ *bot, c *socketmode.Client, e socketmode.Event) {
		_, rest, _ := strings.Cut(string(e.Request.Payload), `"event_id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		ids = append(ids, id)
		attempts = append(attempts, fmt.Sprint(e.Request.RetryAttempt, e.Request.RetryReason))
		if len(ids) == 2 {
			_ = c.Ack(*e.Request)
			close(done)
		}
	})
	if _, err := s.As("alice").Post("C0ACCESS", "hi"); err != nil {
		t.Fatal(err)
	}
	<-done
	if ids[0] != ids[1] || ids[0] == "" {
		t.Errorf("event ids %v, want the same twice", ids)
	}
	if diff := cmp.Diff([]string{"0", "1timeout"}, attempts); diff != "" {
		t.Error(diff)
	}
	s.hasFinding("no_ack")
}

func TestNobodyAnswers(t *testing.T) {
	s := start(t, func(c *slacksim.Config) { c.Timing.Ack = 100 * time.Millisecond })
	alice := s.As("alice")
	notice, err := alice.Command("C0ACCESS", "/access list")
	if !errors.Is(err, slacksim.ErrNotConnected) || !strings.Contains(notice, "dispatch_failed") {
		t.Errorf("got %q, %v", notice, err)
	}
	s.connect(1, func(*bot, *socketmode.Client, socketmode.Event) {})
	notice, err = alice.Command("C0ACCESS", "/access list")
	if !errors.Is(err, slacksim.ErrNoAck) || !strings.Contains(notice, "operation_timeout") {
		t.Errorf("got %q, %v", notice, err)
	}
	if got := len(alice.Ephemerals("C0ACCESS")); got != 2 {
		t.Errorf("got %d notices, want 2", got)
	}
	if got := len(s.As("bob").Ephemerals("C0ACCESS")); got != 0 {
		t.Errorf("bob sees %d notices of alice", got)
	}
	s.hasFinding("no_ack")
}

func TestEventsWaitForASocket(t *testing.T) {
	s := start(t)
	if _, err := s.As("alice").Post("C0ACCESS", "early"); err != nil {
		t.Fatal(err)
	}
	b := s.connect(1, ack)
	eventually(t, "the early event", func() bool { return len(b.inner()) == 1 })
}

func TestTooManySockets(t *testing.T) {
	s := start(t)
	s.connect(10, ack)
	c := socketmode.New(slack.New("xoxb-local-countersign", slack.OptionAppLevelToken("xapp-local-countersign"), slack.OptionAPIURL(s.url+"/api/")))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_ = c.RunContext(ctx)
	if got := s.Connected(); got != 10 {
		t.Errorf("%d sockets are open, want 10", got)
	}
}

// TestDuplicatesAndOddPayloads uses a bare socket: the client library cannot decode these.
func TestDuplicatesAndOddPayloads(t *testing.T) {
	s := start(t, func(c *slacksim.Config) {
		c.Chaos = slacksim.Chaos{Duplicate: true, OddPayloads: true, Reorder: true}
	})
	app := s.dial(nil)
	out := s.must("chat.postMessage", "channel", "C0ACCESS", "text", "x", "blocks", jsonOf(message()))
	if err := s.As("bob").Click(slacksim.InMessage("C0ACCESS", out["ts"].(string)), "", "approve"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two deliveries", func() bool { return len(app.payloads("block_actions")) == 2 })
	p := app.payloads("block_actions")[0]
	for _, want := range []string{`"team":null`, `"values":[]`, `"timeline_2031"`} {
		if !strings.Contains(jsonOf(p), want) {
			t.Errorf("no %s in %s", want, jsonOf(p))
		}
	}
	s.noFindings()
}

func TestLatencies(t *testing.T) {
	s := start(t)
	s.connect(1, func(_ *bot, c *socketmode.Client, e socketmode.Event) {
		time.Sleep(20 * time.Millisecond)
		_ = c.Ack(*e.Request)
	})
	if _, err := s.As("alice").Command("C0ACCESS", "/access list"); err != nil {
		t.Fatal(err)
	}
	l := s.Latencies()
	if len(l) != 1 || l[0].What != "/access" || l[0].Took < 20*time.Millisecond {
		t.Errorf("got %+v", l)
	}
}
