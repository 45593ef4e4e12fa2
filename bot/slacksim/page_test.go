package slacksim_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/slacksim"
)

// TestDeeds does everything that the page can do through POST /sim/act.
func TestDeeds(t *testing.T) {
	s := start(t)
	app := forms(s)
	s.must("views.publish", "user_id", "U0ALICE", "view", `{"type":"home","blocks":[`+actions(button(""))+`]}`)
	asked := s.must("chat.postMessage", "channel", "C0ACCESS", "text", "x", "blocks", decideBlocks)["ts"].(string)
	posted := s.act(`{"as":"U0ALICE","do":"post","channel":"C0ACCESS","text":"hello"}`)
	ts, _ := posted["ts"].(string)
	for _, r := range []struct {
		body string
		want string // a key of the answer
	}{
		{`{"as":"U0ALICE","do":"post","channel":"C0ACCESS","text":"reply","thread_ts":"` + ts + `"}`, "ts"},
		{`{"as":"U0ALICE","do":"post","channel":"C0ACCESS","text":"/access list"}`, "ok"},
		{`{"as":"U0ALICE","do":"post","channel":"C0ACCESS","text":"/access list","thread_ts":"` + ts + `"}`, "error"},
		{`{"as":"U0ALICE","do":"edit","channel":"C0ACCESS","ts":"` + ts + `","text":"hello again"}`, "ok"},
		{`{"as":"U0BOB","do":"edit","channel":"C0ACCESS","ts":"` + ts + `","text":"not mine"}`, "error"},
		{`{"as":"U0BOB","do":"delete","channel":"C0ACCESS","ts":"` + ts + `"}`, "error"},
		{`{"as":"U0ALICE","do":"command","channel":"C0ACCESS","text":"/access list"}`, "ok"},
		{`{"as":"U0ALICE","do":"command","channel":"C0ACCESS","text":"/unknown"}`, "error"},
		{`{"as":"U0ALICE","do":"shortcut","callback_id":"request_access"}`, "ok"},
		{`{"as":"U0ALICE","do":"shortcut","callback_id":"other"}`, "error"},
		{`{"as":"U0BOB","do":"action","container":"message","channel":"C0ACCESS","ts":"` + asked + `","block_id":"decide","action_id":"expiry","value":"1h"}`, "ok"},
		{`{"as":"U0BOB","do":"action","container":"message","channel":"C0ACCESS","ts":"` + asked + `","block_id":"decide","action_id":"approve"}`, "ok"},
		{`{"as":"U0BOB","do":"action","container":"message","channel":"C0ACCESS","ts":"` + asked + `","block_id":"decide","action_id":"reject"}`, "error"},
		{`{"as":"U0ALICE","do":"action","container":"home","action_id":"b"}`, "ok"},
		{`{"as":"U0ALICE","do":"home"}`, "ok"},
		{`{"as":"U0NINA","do":"home"}`, "error"},
		{`{"as":"U0ALICE","do":"leave","channel":"C0GENERAL"}`, "ok"},
		{`{"as":"U0ALICE","do":"join","channel":"C0GENERAL"}`, "ok"},
		{`{"as":"U0GUS","do":"join","channel":"C0SHARED"}`, "error"},
		{`{"as":"U0ALICE","do":"read","channel":"C0ACCESS"}`, "ok"},
		{`{"as":"U0OLIVER","do":"post","channel":"C0ACCESS","text":"x"}`, "error"},
		{`{"as":"U0COUNTERSIGN","do":"post","channel":"C0ACCESS","text":"x"}`, "error"},
		{`{"as":"U0NOBODY","do":"post","channel":"C0ACCESS","text":"x"}`, "error"},
		{`{"as":"U0DAN","do":"post","channel":"C0PAYMENTS","text":"x"}`, "error"},
		{`{"do":"fault","latency_ms":0,"duplicate":false,"fail":{"method":"x","error":"500","times":1},"clear":true}`, "ok"},
		{`{"as":"U0ALICE","do":"dance"}`, "error"},
		{`{"as":"U0ALICE","do":"delete","channel":"C0ACCESS","ts":"` + ts + `"}`, "ok"},
	} {
		if out := s.act(r.body); out[r.want] == nil {
			t.Errorf("%s: got %s, want %q", r.body, jsonOf(out), r.want)
		}
	}
	_ = s.act(`{"as":"U0ALICE","do":"command","channel":"C0ACCESS","text":"/access"}`)
	trigger, _ := app.last()
	s.must("views.open", "trigger_id", trigger, "view", askView)
	views := s.get("/sim/modals?as=U0ALICE")["views"].([]any)
	id := at(views, 0, "id").(string)
	if out := s.act(`{"as":"U0ALICE","do":"submit","view_id":"` + id + `","values":{}}`); at(out, "errors", "why") == nil {
		t.Errorf("got %s", jsonOf(out))
	}
	if out := s.act(`{"as":"U0ALICE","do":"submit","view_id":"` + id + `","values":{"why":{"why":{"value":"x"}},"what":{"what":{"selected_option":null}}}}`); out["ok"] != true {
		t.Errorf("got %s", jsonOf(out))
	}
}

func TestPageReads(t *testing.T) {
	s := start(t)
	s.must("usergroups.create", "name", "Ops", "handle", "ops")
	root, _ := s.As("alice").Post("C0ACCESS", "hello @bob")
	_, _ = s.As("bob").Reply("C0ACCESS", root, "yes?")
	s.must("chat.postEphemeral", "channel", "C0ACCESS", "user", "U0ALICE", "text", "psst")
	for _, r := range []struct {
		path string
		keys []string
	}{
		{"/sim/world", []string{"app", "groups", "team", "users"}},
		{"/sim/sidebar?as=U0ALICE", []string{"channels", "connected", "dms", "home"}},
		{"/sim/channel?as=U0ALICE&id=C0ACCESS", []string{"id", "im", "member", "messages", "name", "private", "shared", "topic"}},
		{"/sim/channel?as=U0ALICE&id=D0ALICE", []string{"id", "im", "member", "messages", "name", "private", "shared", "topic", "user"}},
		{"/sim/thread?as=U0ALICE&id=C0ACCESS&ts=" + root, []string{"messages"}},
		{"/sim/home?as=U0ALICE", []string{"view"}},
		{"/sim/modals?as=U0ALICE", []string{"views"}},
		{"/sim/trace?after=0", []string{"entries", "next"}},
		{"/sim/findings", []string{"findings"}},
		{"/sim/channel?as=U0ALICE&id=D0BOB", []string{"error"}},
		{"/sim/channel?as=U0DAN&id=C0PAYMENTS", []string{"error"}},
		{"/sim/home?as=U0NOBODY", []string{"error"}},
	} {
		if diff := cmp.Diff(r.keys, keys(s.get(r.path))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", r.path, diff)
		}
	}
	messages := func(as string) int { return len(s.get("/sim/channel?as=" + as + "&id=C0ACCESS")["messages"].([]any)) }
	if alice, bob := messages("U0ALICE"), messages("U0BOB"); alice != 2 || bob != 1 {
		t.Errorf("alice sees %d, bob %d; want 2 and 1", alice, bob)
	}
	first := at(s.get("/sim/channel?as=U0BOB&id=C0ACCESS"), "messages", 0)
	if diff := cmp.Diff(1.0, at(first, "reply_count")); diff != "" {
		t.Error(diff)
	}
	access := at(s.get("/sim/sidebar?as=U0CAROL"), "channels", 0)
	if at(access, "unread") != 1.0 || at(access, "mention") != false {
		t.Errorf("carol: got %s", jsonOf(access))
	}
	_ = s.As("carol").Read("C0ACCESS")
	if got := at(s.get("/sim/sidebar?as=U0CAROL"), "channels", 0, "unread"); got != 0.0 {
		t.Errorf("after reading: %v unread", got)
	}
}

func TestStreamOfChanges(t *testing.T) {
	s := start(t)
	resp, err := http.Get(s.url + "/sim/events?as=U0BOB")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := make(chan string, 100)
	go func() {
		for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
			lines <- sc.Text()
		}
	}()
	<-lines // the greeting
	if _, err := s.As("alice").Post("C0ACCESS", "hello"); err != nil {
		t.Fatal(err)
	}
	for timeout := time.After(patience); ; {
		select {
		case l := <-lines:
			data, is := strings.CutPrefix(l, "data: ")
			var m struct{ What []string }
			if is && json.Unmarshal([]byte(data), &m) == nil && strings.Contains(data, `"channel:C0ACCESS"`) && strings.Contains(data, `"sidebar"`) {
				return
			}
		case <-timeout:
			t.Fatal("the stream says nothing of the message")
		}
	}
}

func TestPermalink(t *testing.T) {
	s := start(t)
	root, _ := s.As("alice").Post("C0ACCESS", "root")
	reply, _ := s.As("alice").Reply("C0ACCESS", root, "reply")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, ts := range []string{root, reply} {
		link := s.must("chat.getPermalink", "channel", "C0ACCESS", "message_ts", ts)["permalink"].(string)
		if !strings.HasPrefix(link, s.url+"/archives/C0ACCESS/p") {
			t.Errorf("got %s", link)
		}
		resp, err := client.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got, want := resp.Header.Get("Location"), "/#/c/C0ACCESS/"+root; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestWhoMayLookIn: the page is for a browser on this machine, and for its own origin.
func TestWhoMayLookIn(t *testing.T) {
	s := start(t)
	host := strings.TrimPrefix(s.url, "http://")
	for _, r := range []struct {
		name, host, header, value string
		want                      int
	}{
		{"as it should be", host, "", "", 200},
		{"localhost", "localhost:1", "", "", 200},
		{"IPv6", "[::1]:1", "", "", 200},
		{"a name that points here", "evil.example", "", "", 403},
		{"an address of the network", "192.168.1.5:80", "", "", 403},
		{"own origin", host, "Origin", s.url, 200},
		{"another origin", host, "Origin", "https://evil.example", 403},
		{"another port", host, "Origin", "http://127.0.0.1:1", 403},
		{"null origin", host, "Origin", "null", 403},
		{"a proxy", host, "X-Forwarded-For", "1.2.3.4", 403},
		{"another proxy", host, "Forwarded", "for=1.2.3.4", 403},
	} {
		for _, path := range []string{"/", "/sim/world"} {
			req, _ := http.NewRequest("GET", s.url+path, nil)
			req.Host = r.host
			if r.header != "" {
				req.Header.Set(r.header, r.value)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != r.want {
				t.Errorf("%s, %s: got %d, want %d", r.name, path, resp.StatusCode, r.want)
			}
			if !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("%s, %s: no content security policy", r.name, path)
			}
		}
	}
	resp, err := http.Post(s.url+"/sim/act", "text/plain", strings.NewReader(`{"as":"U0ALICE","do":"home"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a form of another site could act: got %d", resp.StatusCode)
	}
	resp, err = http.Get(s.url + "/socket/guess")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a guessed ticket: got %d", resp.StatusCode)
	}
}

func TestStateSurvives(t *testing.T) {
	file := filepath.Join(t.TempDir(), "slack.json")
	config := func(c *slacksim.Config) { c.State = file }
	one := start(t, config)
	root, _ := one.As("alice").Post("C0ACCESS", "hello")
	_, _ = one.As("bob").Reply("C0ACCESS", root, "hi")
	ts := one.must("chat.postMessage", "channel", "C0ACCESS", "text", "x", "blocks", decideBlocks, "metadata", `{"event_type":"e","event_payload":{"n":1}}`)["ts"].(string)
	_ = one.As("bob").Select(slacksim.InMessage("C0ACCESS", ts), "", "expiry", "1h")
	one.must("usergroups.create", "name", "Ops", "handle", "ops")
	one.must("views.publish", "user_id", "U0ALICE", "view", `{"type":"home","blocks":[{"type":"divider"}]}`)
	if err := one.UpdateUser("U0DAN", func(u *slacksim.User) { u.Email = "d@example.com" }); err != nil {
		t.Fatal(err)
	}
	// Without Close, as after kill -9: written within a second.
	eventually(t, "the file", func() bool {
		b, _ := os.ReadFile(file)
		return strings.Contains(string(b), "d@example.com")
	})
	two := start(t, config)
	for _, who := range []string{"alice", "bob"} {
		if diff := cmp.Diff(one.As(who).Messages("C0ACCESS"), two.As(who).Messages("C0ACCESS")); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff(one.As("alice").Thread("C0ACCESS", root), two.As("alice").Thread("C0ACCESS", root)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(one.As("alice").Home(), two.As("alice").Home()); diff != "" {
		t.Error(diff)
	}
	if _, ok := two.Group("ops"); !ok {
		t.Error("the user group is gone")
	}
	later, _ := two.As("alice").Post("C0ACCESS", "later")
	if later <= ts {
		t.Errorf("a timestamp of the past: %s after %s", later, ts)
	}

	if err := os.WriteFile(file, []byte(`{"version":9}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := slacksim.New(slacksim.Config{World: slacksim.DefaultWorld(), State: file}); err == nil {
		t.Error("a state file of another version was read")
	}
	if _, err := slacksim.New(slacksim.Config{}); err == nil {
		t.Error("a server without a world was made")
	}
}
