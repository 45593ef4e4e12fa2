package slacksim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/slacksim"
)

const (
	botToken  = "xoxb-local-countersign"
	appToken  = "xapp-local-countersign"
	userToken = "xoxp-local-bob"
)

func TestTokensAndScopes(t *testing.T) {
	s := start(t)
	for _, r := range []struct {
		name, token, method string
		args                []string
		want                string
	}{
		{"no token", "", "auth.test", nil, "not_authed"},
		{"unknown token", "xoxb-other", "auth.test", nil, "invalid_auth"},
		{"bot token", botToken, "auth.test", nil, ""},
		{"user token", userToken, "auth.test", nil, ""},
		{"app token where none is taken", appToken, "auth.test", nil, "not_allowed_token_type"},
		{"bot token for a socket", botToken, "apps.connections.open", nil, "not_allowed_token_type"},
		{"app token for a socket", appToken, "apps.connections.open", nil, ""},
		{"user token without scope", userToken, "chat.postMessage", []string{"channel", "C0ACCESS", "text", "x"}, "missing_scope"},
		{"views need a bot", userToken, "views.publish", []string{"user_id", "U0ALICE"}, "not_allowed_token_type"},
		{"team.info", botToken, "team.info", nil, "missing_scope"},
		{"list of direct messages", botToken, "conversations.list", []string{"types", "im"}, "missing_scope"},
		{"several people", botToken, "conversations.open", []string{"users", "U0ALICE,U0BOB"}, "missing_scope"},
		{"no such method", botToken, "chat.shout", nil, "unknown_method"},
		{"groups by a user", userToken, "usergroups.list", nil, ""},
	} {
		out := s.callAs(r.token, r.method, r.args...)
		got, _ := out["error"].(string)
		if got != r.want {
			t.Errorf("%s: got %s, want %q", r.name, jsonOf(out), r.want)
		}
		if r.want == "missing_scope" && (out["needed"] == nil || out["provided"] == nil) {
			t.Errorf("%s: neither needed nor provided in %s", r.name, jsonOf(out))
		}
	}
	s.hasFinding("unknown_method")
	s.hasFinding("missing_scope")
}

// TestWhereTokensAreRead: in a form or the header, but not in a JSON body or the address.
func TestWhereTokensAreRead(t *testing.T) {
	s := start(t)
	for _, r := range []struct {
		name, query, kind, header, body, want string
	}{
		{"form", "", "application/x-www-form-urlencoded", "", "token=" + botToken, ""},
		{"header and JSON", "", "application/json", botToken, `{}`, ""},
		{"header, JSON null", "", "application/json", botToken, `null`, ""},
		{"JSON body", "", "application/json", "", `{"token":"` + botToken + `"}`, "not_authed"},
		{"address", "?token=" + botToken, "application/x-www-form-urlencoded", "", "", "not_authed"},
		{"broken JSON", "", "application/json", botToken, `{`, "invalid_json"},
		{"other type", "", "text/plain", botToken, `x`, "invalid_post_type"},
	} {
		req, _ := http.NewRequest("POST", s.url+"/api/auth.test"+r.query, strings.NewReader(r.body))
		req.Header.Set("Content-Type", r.kind)
		if r.header != "" {
			req.Header.Set("Authorization", "Bearer "+r.header)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		out := decode(t, resp.Body)
		resp.Body.Close()
		if got, _ := out["error"].(string); got != r.want {
			t.Errorf("%s: got %s, want %q", r.name, jsonOf(out), r.want)
		}
	}
}

func TestTokensAreNotInTheTrace(t *testing.T) {
	s := start(t)
	s.call("chat.postMessage", "channel", "C0ACCESS", "text", "my token is "+botToken)
	entries, _ := s.Trace(0)
	if len(entries) == 0 || strings.Contains(jsonOf(entries), botToken) {
		t.Errorf("got %s", jsonOf(entries))
	}
}

func TestMembership(t *testing.T) {
	s := start(t)
	for _, r := range []struct{ method, channel, want string }{
		{"chat.postMessage", "C0ACCESS", ""},
		{"chat.postMessage", "#access-requests", ""},
		{"chat.postMessage", "C0GENERAL", "not_in_channel"},
		{"chat.postMessage", "C0PAYMENTS", "channel_not_found"},
		{"chat.postMessage", "C0NOWHERE", "channel_not_found"},
		{"chat.postMessage", "U0ALICE", ""},
		{"chat.postMessage", "D0ALICE", ""},
		{"chat.postMessage", "U0OLIVER", "channel_not_found"},
		{"conversations.info", "C0GENERAL", ""},
		{"conversations.info", "C0PAYMENTS", "channel_not_found"},
		{"conversations.history", "C0GENERAL", "not_in_channel"},
		{"conversations.history", "C0ACCESS", ""},
		{"conversations.history", "D0ALICE", ""},
		{"conversations.info", "D0ALICE", "missing_scope"},
	} {
		out := s.call(r.method, "channel", r.channel, "text", "x")
		if got, _ := out["error"].(string); got != r.want {
			t.Errorf("%s %s: got %q, want %q", r.method, r.channel, got, r.want)
		}
	}
	for _, r := range []struct{ user, want string }{
		{"U0ALICE", ""}, {"U0OLIVER", "user_disabled"}, {"U0COUNTERSIGN", "cannot_dm_bot"}, {"U0NOBODY", "user_not_found"}, {"U0NINA", ""},
	} {
		out := s.call("conversations.open", "users", r.user)
		if got, _ := out["error"].(string); got != r.want {
			t.Errorf("conversations.open %s: got %q, want %q", r.user, got, r.want)
		}
	}
}

func TestPeople(t *testing.T) {
	s := start(t)
	if err := s.AddUser(slacksim.User{ID: "U0NEW", Name: "new", Unconfirmed: true, SingleChannel: true}, "C0ACCESS"); err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct{ email, want string }{
		{"alice@example.com", "U0ALICE"}, {"ALICE@Example.com", "U0ALICE"}, {"gus@contractor.example", "U0GUS"},
		{"oliver@example.com", "users_not_found"}, {"nina@umbrella.example", "users_not_found"}, {"x@example.com", "users_not_found"}, {"", "users_not_found"},
	} {
		out := s.call("users.lookupByEmail", "email", r.email)
		got, _ := out["error"].(string)
		if u, ok := out["user"].(map[string]any); ok {
			got = u["id"].(string)
		}
		if got != r.want {
			t.Errorf("%q: got %s, want %s", r.email, got, r.want)
		}
	}
	user := func(id string) map[string]any { return s.must("users.info", "user", id)["user"].(map[string]any) }
	for _, r := range []struct {
		id, field string
		want      any
	}{
		{"U0GUS", "is_restricted", true}, {"U0GUS", "is_ultra_restricted", false}, {"U0NEW", "is_ultra_restricted", true},
		{"U0NEW", "is_email_confirmed", false}, {"U0ALICE", "is_email_confirmed", true}, {"U0OLIVER", "deleted", true},
		{"U0NINA", "team_id", "T0UMBRELLA"}, {"U0NINA", "is_stranger", false}, {"U0ALICE", "is_stranger", nil},
		{"U0COUNTERSIGN", "is_bot", true}, {"USLACKBOT", "is_bot", false},
	} {
		if got := user(r.id)[r.field]; got != r.want {
			t.Errorf("%s.%s: got %v, want %v", r.id, r.field, got, r.want)
		}
	}
	for _, ch := range []string{"C0ACCESS", "C0SHARED"} {
		if err := s.RemoveMember(ch, "U0NINA"); err != nil {
			t.Fatal(err)
		}
	}
	s.call("conversations.open", "users", "U0ALICE")
	if got := user("U0NINA")["is_stranger"]; got != true {
		t.Errorf("nina shares no channel: is_stranger is %v", got)
	}
}

func TestEmailNeedsItsScope(t *testing.T) {
	s := start(t, func(c *slacksim.Config) { c.World.App.Scopes = []string{"users:read"} })
	u := s.must("users.info", "user", "U0ALICE")["user"].(map[string]any)
	if email, there := u["profile"].(map[string]any)["email"]; there {
		t.Errorf("got e-mail %v without users:read.email", email)
	}
}

func TestUserGroups(t *testing.T) {
	s := start(t)
	app := s.dial(nil)
	g := s.must("usergroups.create", "name", "Access approvers", "handle", "access-approvers")["usergroup"].(map[string]any)
	id := g["id"].(string)
	for _, r := range []struct{ name, method, users, want string }{
		{"two people", "usergroups.users.update", "U0BOB,U0CAROL", ""},
		{"nobody", "usergroups.users.update", "", "no_users_provided"},
		{"a guest", "usergroups.users.update", "U0BOB,U0GUS", "user_is_restricted"},
		{"a foreigner", "usergroups.users.update", "U0NINA", "invalid_users"},
		{"a leaver", "usergroups.users.update", "U0OLIVER", "invalid_users"},
		{"disable", "usergroups.disable", "", ""},
		{"disable twice", "usergroups.disable", "", "already_disabled"},
		{"enable", "usergroups.enable", "", ""},
	} {
		out := s.call(r.method, "usergroup", id, "users", r.users)
		if got, _ := out["error"].(string); got != r.want {
			t.Errorf("%s: got %q, want %q", r.name, got, r.want)
		}
	}
	if out := s.call("usergroups.create", "name", "Other", "handle", "access-approvers"); out["error"] != "handle_already_exists" {
		t.Errorf("the same handle: got %v", out)
	}
	if out := s.call("usergroups.create", "name", "Other", "handle", "alice"); out["error"] != "handle_already_exists" {
		t.Errorf("the handle of a person: got %v", out)
	}
	got, _ := s.Group("access-approvers")
	if diff := cmp.Diff([]string{"U0BOB", "U0CAROL"}, got.Users); diff != "" {
		t.Error(diff)
	}
	eventually(t, "subteam_members_changed", func() bool { return len(app.payloads("subteam_members_changed")) == 1 })

	s.SetGroupRule(slacksim.GroupsByAdmins)
	if out := s.call("usergroups.users.update", "usergroup", id, "users", "U0BOB"); out["error"] != "permission_denied" {
		t.Errorf("a bot where admins rule: got %v", out)
	}
	if out := s.callAs(userToken, "usergroups.users.update", "usergroup", id, "users", "U0BOB"); out["ok"] != true {
		t.Errorf("an admin where admins rule: got %v", out)
	}
	s.SetGroupRule(slacksim.GroupsUnpaid)
	if out := s.call("usergroups.create", "name", "x"); out["error"] != "paid_teams_only" {
		t.Errorf("a free plan: got %v", out)
	}
}

func TestUpdateAndDelete(t *testing.T) {
	s := start(t)
	app := s.dial(nil)
	ts := s.must("chat.postMessage", "channel", "C0ACCESS", "text", "one", "metadata", `{"event_type":"request","event_payload":{"id":"R1"}}`)["ts"].(string)
	theirs, _ := s.As("alice").Post("C0ACCESS", "mine")
	only := s.must("chat.postEphemeral", "channel", "C0ACCESS", "user", "U0ALICE", "text", "psst")["message_ts"].(string)
	for _, r := range []struct {
		method string
		args   []string
		want   string
	}{
		{"chat.update", []string{"ts", ts, "text", "two"}, ""},
		{"chat.update", []string{"ts", ts, "text", long(4001)}, "msg_too_long"},
		{"chat.update", []string{"ts", theirs, "text", "x"}, "cant_update_message"},
		{"chat.update", []string{"ts", only, "text", "x"}, "message_not_found"},
		{"chat.update", []string{"ts", "1.000001", "text", "x"}, "message_not_found"},
		{"chat.delete", []string{"ts", theirs}, "cant_delete_message"},
		{"chat.postEphemeral", []string{"user", "U0OLIVER", "text", "x"}, "user_not_found"},
		{"chat.getPermalink", []string{"message_ts", ts}, ""},
		{"chat.getPermalink", []string{"message_ts", "1.000001"}, "message_not_found"},
	} {
		out := s.call(r.method, append([]string{"channel", "C0ACCESS"}, r.args...)...)
		if got, _ := out["error"].(string); got != r.want {
			t.Errorf("%s %.40v: got %q, want %q", r.method, r.args, got, r.want)
		}
	}
	if out := s.call("chat.postEphemeral", "channel", "C0SHARED", "user", "U0DAN", "text", "x"); out["error"] != "user_not_in_channel" {
		t.Errorf("ephemeral for someone else: got %v", out)
	}
	history := func(more ...string) map[string]any {
		l := s.must("conversations.history", append([]string{"channel", "C0ACCESS"}, more...)...)["messages"].([]any)
		return l[len(l)-1].(map[string]any)
	}
	if history()["metadata"] != nil {
		t.Error("metadata is there although nobody asked")
	}
	m := history("include_all_metadata", "true")
	if m["text"] != "two" || m["metadata"] == nil || m["edited"] == nil || m["bot_id"] != "B0COUNTERSIGN" {
		t.Errorf("got %s", jsonOf(m))
	}
	s.must("chat.delete", "channel", "C0ACCESS", "ts", ts)
	eventually(t, "message_deleted", func() bool { return len(app.payloads("message/message_deleted")) == 1 })
}

func TestPaging(t *testing.T) {
	s := start(t)
	alice := s.As("alice")
	root, _ := alice.Post("C0ACCESS", "root")
	for range 4 {
		_, _ = alice.Reply("C0ACCESS", root, "reply")
		_, _ = alice.Post("C0ACCESS", "more")
	}
	walk := func(method, key string, args ...string) (n int) {
		cursor := ""
		for {
			out := s.must(method, append([]string{"channel", "C0ACCESS", "limit", "2", "cursor", cursor}, args...)...)
			page := out[key].([]any)
			if len(page) > 2 {
				t.Errorf("%s: a page of %d", method, len(page))
			}
			n += len(page)
			meta, _ := out["response_metadata"].(map[string]any)
			cursor, _ = meta["next_cursor"].(string)
			if cursor == "" {
				return n
			}
		}
	}
	for _, r := range []struct {
		method, key string
		args        []string
		want        int
	}{
		{"conversations.history", "messages", nil, 5},
		{"conversations.replies", "messages", []string{"ts", root}, 5},
		{"conversations.members", "members", nil, 8},
		{"conversations.list", "channels", []string{"types", "public_channel,private_channel"}, 3},
		{"users.list", "members", nil, 10},
	} {
		if got := walk(r.method, r.key, r.args...); got != r.want {
			t.Errorf("%s: got %d, want %d", r.method, got, r.want)
		}
	}
	if out := s.call("users.list", "cursor", "bogus"); out["error"] != "invalid_cursor" {
		t.Errorf("got %v", out)
	}
	if out := s.call("conversations.replies", "channel", "C0ACCESS", "ts", "1.000001"); out["error"] != "thread_not_found" {
		t.Errorf("got %v", out)
	}
}

func TestFaults(t *testing.T) {
	s := start(t)
	fail := func(f slacksim.FailCalls) {
		if err := s.Fault(slacksim.Fault{Fail: &f}); err != nil {
			t.Fatal(err)
		}
	}
	post := func() (*http.Response, error) {
		return http.PostForm(s.url+"/api/chat.postMessage", map[string][]string{"token": {botToken}, "channel": {"C0ACCESS"}, "text": {"x"}})
	}
	messages := func() int { return len(s.As("bob").Messages("C0ACCESS")) }

	fail(slacksim.FailCalls{Method: "chat.postMessage", Error: "ratelimited", RetryAfter: 7})
	resp, err := post()
	if err != nil || resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "7" {
		t.Errorf("ratelimited: got %v, %v", resp, err)
	}
	fail(slacksim.FailCalls{Method: "*", Error: "500"})
	if resp, err = post(); err != nil || resp.StatusCode != 500 || !strings.Contains(resp.Header.Get("Content-Type"), "html") {
		t.Errorf("500: got %v, %v", resp, err)
	}
	fail(slacksim.FailCalls{Method: "chat.postMessage", Error: "cut_before"})
	if resp, err = post(); err == nil || messages() != 0 {
		t.Errorf("cut_before: got %v, %d messages", resp, messages())
	}
	fail(slacksim.FailCalls{Method: "chat.postMessage", Error: "cut_after"})
	if resp, err = post(); err == nil || messages() != 1 {
		t.Errorf("cut_after: got %v, %d messages", resp, messages())
	}
	fail(slacksim.FailCalls{Method: "chat.postMessage", Error: "channel_not_found", Times: 2})
	for _, want := range []any{"channel_not_found", "channel_not_found", nil} {
		if got := s.call("chat.postMessage", "channel", "C0ACCESS", "text", "x")["error"]; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	slow := 60
	_ = s.Fault(slacksim.Fault{LatencyMS: &slow})
	begin := time.Now()
	s.must("auth.test")
	if took := time.Since(begin); took < 60*time.Millisecond {
		t.Errorf("answered after %s", took)
	}
	_ = s.Fault(slacksim.Fault{Clear: true})
	if err := s.Fault(slacksim.Fault{Disconnect: "softly"}); err == nil {
		t.Error("an unknown disconnect was accepted")
	}
	s.noFindings()
}

func TestRateLimits(t *testing.T) {
	s := start(t, func(c *slacksim.Config) { c.RateLimits = true })
	for range 20 {
		s.must("users.list")
	}
	resp, err := http.PostForm(s.url+"/api/users.list", map[string][]string{"token": {botToken}})
	if err != nil || resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the 21st call in a minute: got %v, %v", resp, err)
	}
	s.must("users.info", "user", "U0ALICE")
}
