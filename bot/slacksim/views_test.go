package slacksim_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/bot/slacksim"
)

// formApp is an app that keeps the trigger of each command and answers submissions from a list.
type formApp struct {
	*rawApp
	mu      sync.Mutex
	trigger string
	url     string
	answers []any
}

func (f *formApp) last() (trigger, url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.trigger, f.url
}

func (f *formApp) will(answers ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers = answers
}

func forms(s *sim) *formApp {
	f := &formApp{}
	f.rawApp = s.dial(func(p map[string]any) any {
		f.mu.Lock()
		defer f.mu.Unlock()
		if id, ok := p["trigger_id"].(string); ok {
			f.trigger = id
		}
		if u, ok := p["response_url"].(string); ok {
			f.url = u
		}
		if (p["type"] == "view_submission" || p["command"] != nil) && len(f.answers) > 0 {
			a := f.answers[0]
			f.answers = f.answers[1:]
			return a
		}
		return nil
	})
	return f
}

func view(kind, title string, more string) string {
	return `{"type":"` + kind + `","title":` + plain(title) + `,"submit":` + plain("Send") + `,"blocks":[` + more + `]}`
}

func TestTriggers(t *testing.T) {
	command := func(life time.Duration) (*sim, string) {
		s := start(t, func(c *slacksim.Config) { c.Timing.Trigger = life })
		app := forms(s)
		if _, err := s.As("alice").Command("C0ACCESS", "/access"); err != nil {
			t.Fatal(err)
		}
		id, _ := app.last()
		return s, id
	}
	open := func(s *sim, id string) any {
		return s.call("views.open", "trigger_id", id, "view", view("modal", "A", ""))["error"]
	}
	s, id := command(patience)
	for _, want := range []any{nil, "exchanged_trigger_id"} {
		if got := open(s, id); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	s, id = command(20 * time.Millisecond)
	time.Sleep(30 * time.Millisecond)
	if got := open(s, id); got != "expired_trigger_id" {
		t.Errorf("got %v", got)
	}
	s.hasFinding("expired_trigger_id")
}

func TestStackOfViews(t *testing.T) {
	s := start(t)
	app := forms(s)
	alice := s.As("alice")
	if _, err := alice.Command("C0ACCESS", "/access"); err != nil {
		t.Fatal(err)
	}
	button := actions(button(""))
	trigger, _ := app.last()
	s.must("views.open", "trigger_id", trigger, "view", view("modal", "1", button))
	for _, want := range []any{nil, nil, "push_limit_reached"} {
		top := alice.Modals()[len(alice.Modals())-1]
		if err := alice.Click(slacksim.InView(top.ID()), "", "b"); err != nil {
			t.Fatal(err)
		}
		trigger, _ = app.last()
		if got := s.call("views.push", "trigger_id", trigger, "view", view("modal", "x", button))["error"]; got != want {
			t.Errorf("push on %d views: got %v, want %v", len(alice.Modals()), got, want)
		}
	}
	all := alice.Modals()
	if err := alice.CloseView(all[2].ID()); err != nil || len(alice.Modals()) != 2 {
		t.Errorf("closed the top one: %v, %d left", err, len(alice.Modals()))
	}
	if err := alice.ClearViews(all[1].ID()); err != nil || len(alice.Modals()) != 0 {
		t.Errorf("cleared: %v, %d left", err, len(alice.Modals()))
	}
	if got := s.call("views.update", "view_id", all[0].ID(), "view", view("modal", "x", ""))["error"]; got != "not_found" {
		t.Errorf("update of a closed view: got %v", got)
	}
}

func TestUpdateOfAView(t *testing.T) {
	s := start(t)
	app := forms(s)
	alice := s.As("alice")
	_, _ = alice.Command("C0ACCESS", "/access")
	trigger, _ := app.last()
	v := s.must("views.open", "trigger_id", trigger, "view", view("modal", "1", ""))["view"].(map[string]any)
	id, hash := v["id"].(string), v["hash"].(string)
	for _, want := range []any{nil, "hash_conflict"} {
		got := s.call("views.update", "view_id", id, "hash", hash, "view", view("modal", "2", input(sel("plain_text_input", ""))))["error"]
		if got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if got := alice.Modals()[0].Title(); got != "2" {
		t.Errorf("got title %q", got)
	}
	home := s.must("views.publish", "user_id", "U0ALICE", "view", `{"type":"home","blocks":[{"type":"divider"}]}`)["view"].(map[string]any)
	if got := s.call("views.publish", "user_id", "U0ALICE", "hash", "0.old", "view", `{"type":"home","blocks":[]}`)["error"]; got != "hash_conflict" {
		t.Errorf("got %v", got)
	}
	again := s.must("views.publish", "user_id", "U0ALICE", "view", `{"type":"home","blocks":[]}`)["view"].(map[string]any)
	if home["id"] != again["id"] || home["hash"] == again["hash"] {
		t.Errorf("one Home tab a user: got %v then %v", home["id"], again["id"])
	}
	if got := s.call("views.publish", "user_id", "U0NINA", "view", `{"type":"home","blocks":[]}`)["error"]; got != "user_not_found" {
		t.Errorf("a Home tab for a foreigner: got %v", got)
	}
	if s.As("bob").Home() != nil {
		t.Error("bob sees a Home tab")
	}
}

func TestAnswersToASubmission(t *testing.T) {
	s := start(t)
	app := forms(s)
	alice := s.As("alice")
	field := `{"type":"input","block_id":"why","optional":true,"label":` + plain("Why") + `,"element":` + sel("plain_text_input", "") + `},{"type":"divider","block_id":"line"}`
	raw := func(title string) any { return decode(t, strings.NewReader(view("modal", title, field))) }
	for _, r := range []struct {
		name    string
		answer  any
		titles  string // of the open views afterwards
		problem string
		bad     bool
	}{
		{"nothing", nil, "", "", false},
		{"errors", map[string]any{"response_action": "errors", "errors": map[string]any{"why": "no"}}, "1", "no", false},
		{"errors at a divider", map[string]any{"response_action": "errors", "errors": map[string]any{"line": "no"}}, "1", "", true},
		{"no errors", map[string]any{"response_action": "errors"}, "1", "", true},
		{"update", map[string]any{"response_action": "update", "view": raw("2")}, "2", "", false},
		{"push", map[string]any{"response_action": "push", "view": raw("2")}, "1 2", "", false},
		{"clear", map[string]any{"response_action": "clear"}, "", "", false},
		{"a bad view", map[string]any{"response_action": "update", "view": map[string]any{"type": "modal"}}, "1", "", true},
		{"nonsense", map[string]any{"response_action": "dance"}, "1", "", true},
	} {
		app.will()
		_, _ = alice.Command("C0ACCESS", "/access")
		trigger, _ := app.last()
		s.must("views.open", "trigger_id", trigger, "view", view("modal", "1", field))
		app.will(r.answer)
		problems, err := alice.Submit(alice.Modals()[0].ID(), nil)
		if (err != nil) != r.bad {
			t.Errorf("%s: got error %v", r.name, err)
		}
		if got := problems["why"]; got != r.problem {
			t.Errorf("%s: got problem %q, want %q", r.name, got, r.problem)
		}
		var titles []string
		for _, v := range alice.Modals() {
			titles = append(titles, v.Title())
		}
		if got := strings.Join(titles, " "); got != r.titles {
			t.Errorf("%s: open are %q, want %q", r.name, got, r.titles)
		}
		if n := len(alice.Modals()); r.bad && (n == 0 || alice.Modals()[0]["notice"] == nil) {
			t.Errorf("%s: no notice", r.name)
		}
	}
	s.hasFinding("bad_answer")
}

func TestInputIsCheckedBeforeItIsSent(t *testing.T) {
	s := start(t)
	app := forms(s)
	alice := s.As("alice")
	field := func(id, el string) string {
		return `{"type":"input","block_id":"` + id + `","label":` + plain("L") + `,"element":` + el + `}`
	}
	blocks := field("text", sel("plain_text_input", `,"min_length":2,"max_length":3`)) + "," +
		field("number", sel("number_input", `,"is_decimal_allowed":false,"max_value":"9"`)) + "," + field("user", sel("users_select", ""))
	_, _ = alice.Command("C0ACCESS", "/access")
	trigger, _ := app.last()
	s.must("views.open", "trigger_id", trigger, "view", view("modal", "1", blocks))
	id := alice.Modals()[0].ID()
	for _, r := range []struct {
		text, number, user, wrong string
	}{
		{"ab", "9", "U0BOB", ""},
		{"a", "9", "U0BOB", "text"},
		{"abcd", "9", "U0BOB", "text"},
		{"ab", "10", "U0BOB", "number"},
		{"ab", "1.5", "U0BOB", "number"},
		{"ab", "9", "", "user"},
	} {
		app.will(map[string]any{"response_action": "errors", "errors": map[string]any{"text": "seen by the app"}})
		problems, err := alice.Submit(id, map[string]map[string]any{"text": {"s": r.text}, "number": {"s": r.number}, "user": {"s": r.user}})
		if err != nil {
			t.Fatal(err)
		}
		want := r.wrong
		if want == "" && problems["text"] == "seen by the app" {
			continue
		}
		if len(problems) != 1 || problems[want] == "" || problems[want] == "seen by the app" {
			t.Errorf("%+v: got %v", r, problems)
		}
	}
}

func TestAnswersThatAreTooLong(t *testing.T) {
	s := start(t)
	app := forms(s)
	app.will(map[string]any{"text": long(10500)}) // 21 kB
	if _, err := s.As("alice").Command("C0ACCESS", "/access"); !errors.Is(err, slacksim.ErrNoAck) {
		t.Errorf("got %v", err)
	}
	s.hasFinding("ack_too_large")
}

// TestFillingIn: what is chosen in a form goes with the form; dispatch_action sends it at once;
// options are loaded from the third character on.
func TestFillingIn(t *testing.T) {
	s := start(t)
	app := forms(s)
	alice := s.As("alice")
	field := func(id, el, more string) string {
		return `{"type":"input","block_id":"` + id + `","label":` + plain("L") + `,"element":` + el + more + `}`
	}
	blocks := field("still", sel("static_select", `,"options":[`+opt("One", "1")+`]`), "") + "," +
		field("alive", sel("users_select", ""), `,"dispatch_action":true`) + "," +
		field("far", sel("external_select", ""), `,"optional":true`)
	_, _ = alice.Command("C0ACCESS", "/access")
	trigger, _ := app.last()
	s.must("views.open", "trigger_id", trigger, "view", view("modal", "1", blocks))
	id := alice.Modals()[0].ID()
	in := slacksim.InView(id)
	if err := alice.Select(in, "still", "s", "1"); err != nil || len(app.payloads("block_actions")) != 0 {
		t.Errorf("filled in: %v, %d sent", err, len(app.payloads("block_actions")))
	}
	if err := alice.Select(in, "alive", "s", "U0BOB"); err != nil || len(app.payloads("block_actions")) != 1 {
		t.Errorf("dispatched: %v, %d sent", err, len(app.payloads("block_actions")))
	}
	if found, err := alice.Suggest(in, "far", "s", "ab"); err != nil || len(found.Options) != 0 || len(app.payloads("block_suggestion")) != 0 {
		t.Errorf("two characters: %v, %v", found, err)
	}
	if _, err := alice.Suggest(in, "far", "s", "abc"); err == nil || len(app.payloads("block_suggestion")) != 1 {
		t.Errorf("an app that offers nothing: %v", err)
	}
	if problems, err := alice.Submit(id, nil); err != nil || problems != nil {
		t.Fatal(problems, err)
	}
	values := at(app.payloads("view_submission")[0], "view", "state", "values")
	if at(values, "still", "s", "selected_option", "value") != "1" || at(values, "alive", "s", "selected_user") != "U0BOB" {
		t.Errorf("got %s", jsonOf(values))
	}
}

func TestResponseURL(t *testing.T) {
	s := start(t)
	app := forms(s)
	alice := s.As("alice")
	app.will(map[string]any{"text": "in the ack", "response_type": "ephemeral"})
	if _, err := alice.Command("C0ACCESS", "/access"); err != nil {
		t.Fatal(err)
	}
	if got := alice.Ephemerals("C0ACCESS"); len(got) != 1 || got[0].Text != "in the ack" {
		t.Errorf("got %+v", got)
	}
	_, url := app.last()
	post := func(body string) (int, map[string]any) {
		resp, err := http.Post(url, "application/json", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode, decode(t, resp.Body)
	}
	for i, r := range []struct {
		body   string
		status int
		err    any
	}{
		{`{"text":"for you"}`, 200, nil},
		{`{"text":"for all","response_type":"in_channel"}`, 200, nil},
		{`{"text":""}`, 200, "no_text"},
		{`{"text":"x","blocks":[{"type":"nope"}]}`, 200, "invalid_blocks"},
		{`{"text":"x","response_type":"loud"}`, 200, "invalid_response_type"},
		{`{"text":"once too often"}`, 404, "used_url"},
	} {
		status, out := post(r.body)
		if status != r.status || out["error"] != r.err {
			t.Errorf("use %d: got %d %v", i+1, status, out)
		}
	}
	if got := len(s.As("bob").Messages("C0ACCESS")); got != 1 {
		t.Errorf("bob sees %d messages, want the one for all", got)
	}

	s.must("chat.postEphemeral", "channel", "C0ACCESS", "user", "U0ALICE", "text", "x", "blocks", "["+actions(button(""))+"]")
	only := alice.Ephemerals("C0ACCESS")
	if err := s.As("bob").Click(slacksim.InMessage("C0ACCESS", only[len(only)-1].TS), "", "b"); err == nil {
		t.Error("bob clicked in alice's ephemeral message")
	}
	if err := alice.Click(slacksim.InMessage("C0ACCESS", only[len(only)-1].TS), "", "b"); err != nil {
		t.Fatal(err)
	}
	_, url = app.last()
	if _, out := post(`{"text":"replaced","replace_original":true}`); out["ok"] != true {
		t.Error(out)
	}
	only = alice.Ephemerals("C0ACCESS")
	if got := only[len(only)-1].Text; got != "replaced" {
		t.Errorf("got %q", got)
	}
	n := len(only)
	if _, out := post(`{"delete_original":true}`); out["ok"] != true || len(alice.Ephemerals("C0ACCESS")) != n-1 {
		t.Error(out)
	}
}
