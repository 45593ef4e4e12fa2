package slacksim_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"countersign/bot/slacksim"
)

// TestHeaders: Slack says with each answer which scopes the token has, and what
// time it is; about a token that it does not know it says nothing.
func TestHeaders(t *testing.T) {
	s := start(t)
	header := func(token string) http.Header {
		t.Helper()
		resp, err := http.PostForm(s.url+"/api/auth.test", url.Values{"token": {token}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.Header
	}
	scopes := func(token string) []string { return header(token)["X-Oauth-Scopes"] }
	s.SetScopes("users:read", "chat:write")
	for token, want := range map[string]string{
		"xoxb-local-countersign": "users:read,chat:write",
		"xoxp-local-bob":         "usergroups:read,usergroups:write",
	} {
		if got := scopes(token); len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, want %q", token, got, want)
		}
	}
	if got := scopes("xoxb-unknown"); got != nil {
		t.Errorf("scopes of an unknown token: %q", got)
	}
	if out := s.call("conversations.open", "users", "U0ALICE"); out["error"] != "missing_scope" || out["needed"] != "im:write" || out["provided"] != "users:read,chat:write" {
		t.Errorf("a scope that was taken away: got %v", out)
	}

	ahead := int(time.Hour.Milliseconds())
	if err := s.Fault(slacksim.Fault{SkewMS: &ahead}); err != nil {
		t.Fatal(err)
	}
	date, err := http.ParseTime(header("xoxb-local-countersign").Get("Date"))
	if off := time.Until(date); err != nil || off < 58*time.Minute || off > 62*time.Minute {
		t.Errorf("the clock is an hour ahead, and tells %v, %v", date, err)
	}
}

func TestArchiveChannel(t *testing.T) {
	s := start(t)
	if err := s.ArchiveChannel("C0GENERAL", true); err != nil {
		t.Fatal(err)
	}
	if ch := s.must("conversations.info", "channel", "C0GENERAL")["channel"].(map[string]any); ch["is_archived"] != true {
		t.Errorf("got %v", ch["is_archived"])
	}
	for _, c := range s.must("conversations.list", "exclude_archived", "true")["channels"].([]any) {
		if c.(map[string]any)["id"] == "C0GENERAL" {
			t.Error("an archived channel is listed")
		}
	}
}
