package slacksim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/slacksim"
)

// keys returns the names of a JSON object's fields, sorted.
func keys(v any) []string {
	o, _ := v.(map[string]any)
	out := []string{}
	for k := range o {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// at walks into JSON: at(p, "container", "type"), at(p, "actions", 0).
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			o, _ := v.(map[string]any)
			v = o[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

const decideBlocks = `[{"type":"actions","block_id":"decide","elements":[
 {"type":"static_select","action_id":"expiry","placeholder":{"type":"plain_text","text":"Select expiry"},"options":[{"text":{"type":"plain_text","text":"1 hour"},"value":"1h"}]},
 {"type":"overflow","action_id":"more","options":[{"text":{"type":"plain_text","text":"Escalate"},"value":"escalate"}]},
 {"type":"button","action_id":"approve","style":"primary","value":"r1","text":{"type":"plain_text","text":"Approve"}}]}]`

const askView = `{"type":"modal","callback_id":"ask","notify_on_close":true,"private_metadata":"pm","title":{"type":"plain_text","text":"Ask"},"submit":{"type":"plain_text","text":"Send"},"blocks":[
 {"type":"input","block_id":"why","label":{"type":"plain_text","text":"Why"},"element":{"type":"plain_text_input","action_id":"why"}},
 {"type":"input","block_id":"what","optional":true,"label":{"type":"plain_text","text":"What"},"element":{"type":"external_select","action_id":"what"}}]}`

// TestDocumentedShapes compares the field names of every payload with the examples in
// Slack's documentation.
func TestDocumentedShapes(t *testing.T) {
	s := start(t)
	var modal any
	app := s.dial(func(p map[string]any) any {
		switch {
		case p["command"] != nil, p["type"] == "shortcut":
			modal = s.must("views.open", "trigger_id", p["trigger_id"].(string), "view", askView)["view"]
		case p["type"] == "block_suggestion":
			return map[string]any{"options": []any{}}
		}
		return nil
	})
	alice := s.As("alice")
	ts := s.must("chat.postMessage", "channel", "C0ACCESS", "text", "x", "blocks", decideBlocks)["ts"].(string)
	in := slacksim.InMessage("C0ACCESS", ts)
	steps := []error{
		alice.Select(in, "", "expiry", "1h"),
		alice.Select(in, "", "more", "escalate"),
		alice.Click(in, "", "approve"),
		alice.Shortcut("request_access"),
	}
	_, err := alice.Command("C0ACCESS", "/access request")
	v := alice.Modals()[0].ID()
	_, err2 := alice.Suggest(slacksim.InView(v), "", "what", "pay")
	problems, err3 := alice.Submit(v, map[string]map[string]any{"why": {"why": "because"}})
	_, err4 := alice.Command("C0ACCESS", "/access")
	err5 := alice.CloseView(alice.Modals()[0].ID())
	for i, err := range append(steps, err, err2, err3, err4, err5) {
		if err != nil {
			t.Errorf("step %d: %v", i, err)
		}
	}
	if problems != nil {
		t.Error(problems)
	}
	click := app.payloads("block_actions")
	if len(click) != 3 {
		t.Fatalf("got %d clicks", len(click))
	}
	view := []string{
		"app_id", "app_installed_team_id", "blocks", "bot_id", "callback_id", "clear_on_close", "close", "external_id", "hash", "id",
		"notify_on_close", "previous_view_id", "private_metadata", "root_view_id", "state", "submit", "team_id", "title", "type",
	}
	interaction := []string{"api_app_id", "enterprise", "is_enterprise_install", "team", "token", "type", "user"}
	plus := func(more ...string) []string {
		out := append(slices.Clone(interaction), more...)
		slices.Sort(out)
		return out
	}
	for _, r := range []struct {
		name string
		got  any
		want []string
	}{
		{"hello", app.all()[0], []string{"connection_info", "debug_info", "num_connections", "type"}},
		{"command", app.payloads("command")[0], []string{
			"api_app_id", "channel_id", "channel_name", "command", "is_enterprise_install", "response_url", "team_domain", "team_id",
			"text", "token", "trigger_id", "user_id", "user_name"}},
		{"block_actions", click[2], plus("actions", "channel", "container", "message", "response_url", "state", "trigger_id")},
		{"user", at(click[2], "user"), []string{"id", "name", "team_id", "username"}},
		{"team", at(click[2], "team"), []string{"domain", "id"}},
		{"channel", at(click[2], "channel"), []string{"id", "name"}},
		{"container", at(click[2], "container"), []string{"channel_id", "is_ephemeral", "message_ts", "type"}},
		{"message", at(click[2], "message"), []string{"app_id", "blocks", "bot_id", "bot_profile", "team", "text", "ts", "type", "user"}},
		{"button", at(click[2], "actions", 0), []string{"action_id", "action_ts", "block_id", "style", "text", "type", "value"}},
		{"select", at(click[0], "actions", 0), []string{"action_id", "action_ts", "block_id", "placeholder", "selected_option", "type"}},
		{"overflow", at(click[1], "actions", 0), []string{"action_id", "action_ts", "block_id", "selected_option", "type"}},
		{"state", at(click[2], "state", "values", "decide", "expiry"), []string{"selected_option", "type"}},
		{"shortcut", app.payloads("shortcut")[0], []string{
			"action_ts", "callback_id", "enterprise", "is_enterprise_install", "team", "token", "trigger_id", "type", "user"}},
		{"block_suggestion", app.payloads("block_suggestion")[0], plus("action_id", "block_id", "container", "value", "view")},
		{"view_submission", app.payloads("view_submission")[0], plus("response_urls", "trigger_id", "view")},
		{"view_closed", app.payloads("view_closed")[0], plus("is_cleared", "view")},
		{"view", at(app.payloads("view_submission")[0], "view"), view},
		{"view of views.open", modal, view},
	} {
		if diff := cmp.Diff(r.want, keys(r.got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", r.name, diff)
		}
	}
	if got := at(app.payloads("view_submission")[0], "view", "state", "values"); jsonOf(got) !=
		`{"what":{"what":{"selected_option":null,"type":"external_select"}},"why":{"why":{"type":"plain_text_input","value":"because"}}}`+"\n" {
		t.Errorf("got state %s", jsonOf(got))
	}
	s.noFindings()
}

func TestDocumentedEvents(t *testing.T) {
	s := start(t)
	app := s.dial(nil)
	alice := s.As("alice")
	root, _ := alice.Post("C0ACCESS", "see https://example.com/?a=1&b=2 #general alice@example.com")
	reply, _ := alice.Reply("C0ACCESS", root, "reply")
	_ = alice.Edit("C0ACCESS", reply, "edited")
	_ = alice.Delete("C0ACCESS", reply)
	_, _ = alice.Post("D0ALICE", "hello bot")
	_ = s.AddMember("C0ACCESS", "U0OLIVER")
	s.must("chat.postMessage", "channel", "C0ACCESS", "text", "from the app")
	eventually(t, "the last event", func() bool { return len(app.payloads("message")) == 4 })

	messages := app.payloads("message")
	person := []string{"blocks", "channel", "channel_type", "client_msg_id", "event_ts", "team", "text", "ts", "type", "user"}
	for _, r := range []struct {
		name string
		got  any
		want []string
	}{
		{"event_callback", messages[0], []string{
			"api_app_id", "authorizations", "context_enterprise_id", "context_team_id", "event", "event_context", "event_id",
			"event_time", "is_ext_shared_channel", "team_id", "token", "type"}},
		{"message", at(messages[0], "event"), person},
		{"reply", at(messages[1], "event"), sorted(append(slices.Clone(person), "thread_ts", "parent_user_id"))},
		{"message of the app", at(messages[3], "event"), []string{
			"app_id", "bot_id", "bot_profile", "channel", "channel_type", "event_ts", "team", "text", "ts", "type", "user"}},
		{"message_changed", at(app.payloads("message/message_changed")[0], "event"), []string{
			"channel", "channel_type", "event_ts", "hidden", "message", "previous_message", "subtype", "ts", "type"}},
		{"message_deleted", at(app.payloads("message/message_deleted")[0], "event"), []string{
			"channel", "channel_type", "deleted_ts", "event_ts", "hidden", "previous_message", "subtype", "ts", "type"}},
		{"member_joined_channel", at(app.payloads("member_joined_channel")[0], "event"), []string{
			"channel", "channel_type", "event_ts", "team", "type", "user"}},
	} {
		if diff := cmp.Diff(r.want, keys(r.got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", r.name, diff)
		}
	}
	want := "see <https://example.com/?a=1&amp;b=2> <#C0GENERAL|general> <mailto:alice@example.com|alice@example.com>"
	if got := at(messages[0], "event", "text"); got != want {
		t.Errorf("got text %q, want %q", got, want)
	}
	if got := at(messages[2], "event", "channel_type"); got != "im" {
		t.Errorf("a direct message has channel_type %v", got)
	}
	changed := app.payloads("message/message_changed")[0]
	if before, after := at(changed, "event", "previous_message", "text"), at(changed, "event", "message", "text"); before != "reply" || after != "edited" {
		t.Errorf("changed from %v to %v", before, after)
	}
	for _, f := range app.all()[1:] {
		if diff := cmp.Diff([]string{"accepts_response_payload", "envelope_id", "payload", "retry_attempt", "retry_reason", "type"}, keys(f)); diff != "" {
			t.Error(diff)
		}
	}
}

func sorted(l []string) []string { slices.Sort(l); return l }

func TestDeletedParentBecomesATombstone(t *testing.T) {
	s := start(t)
	app := s.dial(nil)
	alice := s.As("alice")
	root, _ := alice.Post("C0ACCESS", "root")
	_, _ = alice.Reply("C0ACCESS", root, "reply")
	if err := alice.Delete("C0ACCESS", root); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a change", func() bool { return len(app.payloads("message/message_changed")) == 1 })
	p := app.payloads("message/message_changed")[0]
	if got := at(p, "event", "message", "subtype"); got != "tombstone" {
		t.Errorf("got subtype %v", got)
	}
	if got := len(alice.Thread("C0ACCESS", root)); got != 2 {
		t.Errorf("%d messages in the thread, want 2", got)
	}
}

func TestForeignClick(t *testing.T) {
	s := start(t)
	app := s.dial(nil)
	ts := s.must("chat.postMessage", "channel", "C0ACCESS", "text", "x", "blocks", decideBlocks)["ts"].(string)
	nina := s.As("nina")
	if err := nina.Click(slacksim.InMessage("C0ACCESS", ts), "", "approve"); err != nil {
		t.Fatal(err)
	}
	p := app.payloads("block_actions")[0]
	if at(p, "user", "team_id") != "T0UMBRELLA" || at(p, "team", "id") != "T0ACME" {
		t.Errorf("got user %v, team %v", p["user"], p["team"])
	}
	if _, err := nina.Command("C0ACCESS", "/access list"); err == nil {
		t.Error("a foreigner gave a command")
	}
	if err := s.As("oliver").Click(slacksim.InMessage("C0ACCESS", ts), "", "approve"); err == nil {
		t.Error("a deactivated person clicked")
	}
	if err := s.As("dan").Click(slacksim.InMessage("C0SHARED", ts), "", "approve"); err == nil {
		t.Error("a click in a channel that the person is not in")
	}
}

// TestChoicesAreEverybodysOwn: a choice stays with the person, across updates that keep the
// ids, and as long as the option is there.
func TestChoicesAreEverybodysOwn(t *testing.T) {
	s := start(t)
	app := s.dial(nil)
	ts := s.must("chat.postMessage", "channel", "C0ACCESS", "text", "x", "blocks", decideBlocks)["ts"].(string)
	in := slacksim.InMessage("C0ACCESS", ts)
	click := func(who string) string {
		t.Helper()
		n := len(app.payloads("block_actions"))
		if err := s.As(who).Click(in, "", "approve"); err != nil {
			t.Fatal(err)
		}
		p := app.payloads("block_actions")[n]
		return fmt.Sprint(at(p, "state", "values", "decide", "expiry", "selected_option", "value"))
	}
	update := func(blocks string) {
		s.must("chat.update", "channel", "C0ACCESS", "ts", ts, "text", "x", "blocks", blocks)
	}
	if err := s.As("bob").Select(in, "decide", "expiry", "2h"); err == nil {
		t.Error("an option that is not there was chosen")
	}
	if err := s.As("bob").Select(in, "decide", "expiry", "1h"); err != nil {
		t.Fatal(err)
	}
	got := []string{click("bob"), click("carol")}
	update(strings.Replace(decideBlocks, "Approve", "Approve now", 1))
	got = append(got, click("bob"))
	update(strings.Replace(decideBlocks, `"1 hour"},"value":"1h"`, `"2 hours"},"value":"2h"`, 1))
	got = append(got, click("bob"))
	update(strings.Replace(decideBlocks, `"expiry"`, `"expiry2"`, 1))
	got = append(got, click("bob"))
	if diff := cmp.Diff([]string{"1h", "<nil>", "1h", "<nil>", "<nil>"}, got); diff != "" {
		t.Error(diff)
	}
}
