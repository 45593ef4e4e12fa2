package slackapp_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/slackapp"
	"countersign/bot/slacksim"

	"github.com/gorilla/websocket"
)

var errNoDisk = errors.New("no space left on device")

// approvals are the messages about requests in the channel.
func (s *stage) approvals() int {
	n := 0
	for _, m := range s.slack.As("bob").Messages(channel) {
		if m.Bot && strings.Contains(m.Text, "asks for access") {
			n++
		}
	}
	return n
}

func TestFaultIsTold(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h why")
	s.book.mu.Lock()
	s.book.broken = func(access.Command) error { return errNoDisk }
	s.book.mu.Unlock()
	s.click("bob", m, "approve")
	s.told("bob", "could not be recorded, so nothing happened")
	if strings.Contains(textOf(s.slack.As("bob").Ephemerals(channel)), "disk") {
		t.Error("the person is told the operator's error")
	}
	if got := s.request(r.ID).Status; got != access.Pending {
		t.Errorf("status %s", got)
	}
}

// TestCutPost: the message is posted but the answer is lost. It must be found, not
// posted again.
func TestCutPost(t *testing.T) {
	for _, how := range []string{"cut_after", "cut_before", "500", "ratelimited", "internal_error"} {
		t.Run(how, func(t *testing.T) {
			s := start(t)
			// What was filed before the start, to the second, is looked for in any case.
			time.Sleep(1100 * time.Millisecond)
			if err := s.slack.Fault(slacksim.Fault{Fail: &slacksim.FailCalls{Method: "chat.postMessage", Error: how, Times: 1, RetryAfter: 1}}); err != nil {
				t.Fatal(err)
			}
			r, _ := s.filed("alice", "github/payments-admins 1h why")
			s.written("alice", "is filed")
			if n := s.approvals(); n != 1 {
				t.Errorf("%d messages about one request", n)
			}
			if p, ok := s.request(r.ID).ApprovalPost(); !ok || p.Permalink == "" {
				t.Errorf("recorded %+v", p)
			}
		})
	}
}

// loseRecords lets no record of what was posted into the log while down is true.
func (s *stage) loseRecords() (down *atomic.Bool) {
	down = new(atomic.Bool)
	down.Store(true)
	s.book.mu.Lock()
	defer s.book.mu.Unlock()
	s.book.broken = func(c access.Command) error {
		if _, posts := c.Do.(access.Notify); posts && down.Load() {
			return errNoDisk
		}
		return nil
	}
	return down
}

// posting has Alice ask, and returns the message as soon as it is in the channel: the
// log may not know it yet.
func (s *stage) posting() slacksim.Message {
	s.Helper()
	before := s.approvals()
	s.command("alice", "/access request github/payments-admins 1h why")
	s.eventually("the message", func() bool { return s.approvals() > before })
	all := s.slack.As("bob").Messages(channel)
	return all[len(all)-1]
}

// TestCrashBetweenPostAndRecord: the log did not learn of the message.
func TestCrashBetweenPostAndRecord(t *testing.T) {
	s := start(t)
	down := s.loseRecords()
	s.posting()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	down.Store(false)
	s.run()
	s.eventually("the record", func() bool {
		_, ok := s.book.Requests()[0].ApprovalPost()
		return ok
	})
	s.written("alice", "is filed")
	if n := s.approvals(); n != 1 {
		t.Errorf("%d messages about one request", n)
	}
}

// TestRestartRendersWhatWasMissed: the decision was recorded, then the bot died.
func TestRestartRendersWhatWasMissed(t *testing.T) {
	s := start(t)
	r, _ := s.filed("alice", "github/payments-admins 1h why")
	s.written("alice", "is filed")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.book.mu.Lock()
	s.book.changed = nil
	s.book.mu.Unlock()
	me := access.Actor{Person: r.Requestor}
	if _, err := s.book.handle(t.Context(), access.Command{ID: "cmd:1", Actor: me, Do: access.Cancel{Request: r.ID}}); err != nil {
		t.Fatal(err)
	}
	s.run()
	if m := s.shows(r.ID, "*Cancelled* by"); m.HasAction("approve") {
		t.Error("Approve still stands")
	}
	s.written("alice", "was cancelled by <@U0ALICE>")
}

// TestUpdateWins: the newest state is what the message shows, however fast states
// follow each other and however slow Slack is.
func TestUpdateWins(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h why")
	if err := s.slack.Fault(slacksim.Fault{Fail: &slacksim.FailCalls{Method: "chat.update", Error: "500", Times: 1}}); err != nil {
		t.Fatal(err)
	}
	s.click("bob", m, "approve")
	s.status(r.ID, access.Approved)
	s.book.grant(t, r.ID)
	s.shows(r.ID, "*Live* until")
	for range 20 {
		s.app.Changed(r.ID)
	}
	s.shows(r.ID, "*Live* until")
}

// TestEverythingTwiceAndOdd: duplicates, odd payloads and reordering change nothing.
func TestEverythingTwiceAndOdd(t *testing.T) {
	s := start(t, func(c *slacksim.Config, _ *book) {
		c.Chaos = slacksim.Chaos{Duplicate: true, Reorder: true, OddPayloads: true}
	})
	r, m := s.filed("alice", "github/payments-admins 1h why")
	ts, err := s.slack.As("bob").Reply(channel, m.TS, "why?")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.slack.As("bob").Edit(channel, ts, "why now?"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the edit", func() bool {
		all := s.request(r.ID).Messages
		return len(all) == 1 && all[0].Text == "why now?"
	})
	if err := s.slack.As("bob").Select(slacksim.InMessage(channel, m.TS), "decide", "expiry", "5m"); err != nil {
		t.Fatal(err)
	}
	s.click("bob", m, "approve")
	s.status(r.ID, access.Approved)
	if got := s.request(r.ID).Expires().Sub(s.request(r.ID).Decision.At); got != 5*time.Minute {
		t.Errorf("approved for %s", got)
	}
	s.shows(r.ID, "Approved")
	if n := len(s.book.Requests()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	s.click("bob", s.message(r.ID), "revoke")
	s.modal("bob")
	s.command("dan", "/access help")
	s.told("dan", "gives access for a limited time")
	time.Sleep(200 * time.Millisecond)
	for _, e := range s.slack.As("bob").Ephemerals(channel) {
		t.Errorf("bob was told %s", e.Text)
	}
	if n := len(s.slack.As("dan").Ephemerals(channel)); n != 1 {
		t.Errorf("dan got %d answers to one command", n)
	}
	if n := len(s.slack.As("bob").Modals()); n != 1 {
		t.Errorf("%d forms are open after one click", n)
	}
}

// TestCrashLeavesNothingStale: a direct message that was posted but not recorded
// before a crash is found again, although the request has moved on meanwhile.
func TestCrashLeavesNothingStale(t *testing.T) {
	s := start(t)
	r, _ := s.filed("alice", "github/payments-admins 1h why")
	s.written("alice", "is filed")
	down := atomic.Bool{}
	down.Store(true)
	s.book.mu.Lock()
	s.book.broken = func(c access.Command) error {
		if _, posts := c.Do.(access.Notify); posts && down.Load() {
			return errNoDisk
		}
		return nil
	}
	s.book.mu.Unlock()
	s.click("bob", s.message(r.ID), "approve")
	s.eventually("the approval", func() bool { return s.request(r.ID).Status == access.Approved })
	s.book.grant(t, r.ID)
	s.app.Changed(r.ID)
	s.eventually("the message", func() bool { return len(s.slack.As("alice").DMs()) == 2 })
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	down.Store(false)
	bob := access.Actor{Person: access.Person{Email: "bob@example.com", Slack: "U0BOB"}}
	if _, err := s.book.handle(t.Context(), access.Command{ID: "revoke", Actor: bob, Do: access.Revoke{Request: r.ID}}); err != nil {
		t.Fatal(err)
	}
	s.book.must(t, access.Finish{Request: r.ID})
	s.run()
	s.eventually("the log to know the message", func() bool {
		_, known := s.request(r.ID).Post(access.NoticeApproved, r.Requestor)
		return known
	})
	s.eventually("the message to follow the state", func() bool {
		return holds(s.slack.As("alice").DMs()[1], "has ended")
	})
}

// TestClickBeforeRecord: a click that is faster than the record of the message is
// decided as soon as that stands, and not refused as on an unknown message; what is
// said below it meanwhile is not lost.
func TestClickBeforeRecord(t *testing.T) {
	s := start(t)
	slow := make(chan struct{})
	s.book.mu.Lock()
	s.book.broken = func(c access.Command) error {
		if _, posts := c.Do.(access.Notify); posts {
			select {
			case <-slow:
			default:
				return errNoDisk
			}
		}
		return nil
	}
	s.book.mu.Unlock()
	s.command("alice", "/access request github/payments-admins 1h why")
	s.eventually("the message", func() bool { return s.approvals() == 1 })
	all := s.slack.As("bob").Messages(channel)
	s.click("bob", all[len(all)-1], "approve")
	reply, err := s.slack.As("dan").Reply(channel, all[len(all)-1].TS, "so soon?")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.slack.As("dan").Edit(channel, reply, "so late?"); err != nil {
		t.Fatal(err)
	}
	close(slow)
	s.eventually("the approval", func() bool { return s.book.Requests()[0].Status == access.Approved })
	s.eventually("the edited reply", func() bool {
		m := s.book.Requests()[0].Messages
		return len(m) == 1 && m[0].Text == "so late?" && len(m[0].Edits) == 1
	})
	if n := len(s.slack.As("bob").Ephemerals(channel)); n != 0 {
		t.Errorf("bob got %d answers", n)
	}
}

// TestDecisionOvertakesPosts: where many messages wait for their turn to be posted,
// a decision is shown at once all the same.
func TestDecisionOvertakesPosts(t *testing.T) {
	s := start(t)
	const many = 40 // at one a second they take longer than a slow machine needs for the rest
	for range many {
		s.command("alice", "/access request github/payments-admins 1h why")
	}
	s.eventually("all of them", func() bool { return len(s.book.Requests()) == many })
	first := s.book.Requests()[many-1].ID
	s.click("bob", s.message(first), "deny")
	if _, err := s.slack.As("bob").Submit(s.modal("bob").ID(), nil); err != nil {
		t.Fatal(err)
	}
	s.shows(first, "Denied")
	if n := s.approvals(); n == many {
		t.Errorf("all %d messages came first", n)
	}
}

// TestLookedUpAgain: what Slack could not say about the channel and the approvers
// is asked again soon, not at the next round.
func TestLookedUpAgain(t *testing.T) {
	s := set(t)
	for _, method := range []string{"conversations.info", "usergroups.list"} {
		if err := s.slack.Fault(slacksim.Fault{Fail: &slacksim.FailCalls{Method: method, Error: "cut_before", Times: 2}}); err != nil {
			t.Fatal(err)
		}
	}
	s.run()
	s.eventually("the app to be ready", func() bool { return s.app.Ready() == nil })
	s.eventually("the user group", func() bool { _, there := s.slack.Group("access-approvers"); return there })
}

// TestRedirectIsNotFollowed: it would carry the token to another host.
func TestRedirectIsNotFollowed(t *testing.T) {
	var carried atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { carried.Add(1) }))
	defer other.Close()
	r := newRogue(t, nil)
	r.Config.Handler = http.RedirectHandler(other.URL, http.StatusTemporaryRedirect)
	log := &logs{}
	r.app(t, log)
	for end := time.Now().Add(patience); !strings.Contains(log.String(), "307"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log says %q", log.String())
		}
	}
	if n := carried.Load(); n != 0 {
		t.Errorf("%d calls went to another host", n)
	}
}

// TestDisconnects: sockets come and go. What was acknowledged is done; who is told
// that nobody answered tries again, and is heard.
func TestDisconnects(t *testing.T) {
	s := start(t, func(c *slacksim.Config, _ *book) {
		c.Chaos.DisconnectEvery = 1500 * time.Millisecond
		c.Timing.Warning = 1200 * time.Millisecond // ten seconds in truth
	})
	for i := range 12 {
		before := len(s.book.Requests())
		s.eventually("a command to be acknowledged", func() bool {
			notice, err := s.slack.As("alice").Command(channel, "/access request db/orders 1h why")
			if err != nil {
				t.Logf("command %d: %s %v", i, notice, err)
			}
			return err == nil
		})
		s.eventually("the request to be filed", func() bool { return len(s.book.Requests()) > before })
		time.Sleep(400 * time.Millisecond)
	}
}

// rogue is a Slack that is worse than the local one.
type rogue struct {
	*httptest.Server
	opens atomic.Int64
	acked chan string
	greet func(ws *websocket.Conn)
}

func newRogue(t *testing.T, greet func(*websocket.Conn)) *rogue {
	t.Parallel()
	r := &rogue{acked: make(chan string, 10), greet: greet}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/auth.test", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, `{"ok":true,"team_id":"T1","user_id":"U1","bot_id":"B1"}`)
	})
	mux.HandleFunc("/api/apps.connections.open", func(w http.ResponseWriter, q *http.Request) {
		r.opens.Add(1)
		answer(w, `{"ok":true,"url":"ws://`+q.Host+`/socket"}`)
	})
	mux.HandleFunc("/socket", func(w http.ResponseWriter, q *http.Request) {
		up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		ws, err := up.Upgrade(w, q, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		r.greet(ws)
		for {
			var m struct {
				ID string `json:"envelope_id"`
			}
			if ws.ReadJSON(&m) != nil {
				return
			}
			r.acked <- m.ID
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { answer(w, `{"ok":false,"error":"missing_scope"}`) })
	r.Server = httptest.NewServer(mux)
	t.Cleanup(r.Close)
	return r
}

func answer(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(body))
}

func (r *rogue) app(t *testing.T, log *logs) *slackapp.App {
	t.Helper()
	return r.appWith(t, log, newBook())
}

func (r *rogue) appWith(t *testing.T, log *logs, b *book) *slackapp.App {
	t.Helper()
	app, err := slackapp.New(slackapp.Config{
		BotToken: "xoxb-secret-1234567890", AppToken: "xapp-secret-1234567890", APIURL: r.URL + "/api/",
		Handle: b.handle, Reader: b, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return app
}

func TestUnknownEventIsAcknowledged(t *testing.T) {
	r := newRogue(t, func(ws *websocket.Conn) {
		_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello","num_connections":1}`))
		_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"envelope_id":"e-1","type":"events_api","payload":{"type":"event_callback","event_id":"Ev1","event":{"type":"never_heard_of"}}}`))
		_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"envelope_id":"e-2","type":"brand_new_type","payload":[1]}`))
		_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"envelope_id":"e-3","type":"interactive","payload":{"type":"block_actions","user":7,"message":{"blocks":[{"type":"hologram"}],"state":{"values":[]}},"state":{"values":[]},"actions":{}}}`))
	})
	r.app(t, &logs{})
	want := map[string]bool{"e-1": true, "e-2": true, "e-3": true}
	for len(want) > 0 {
		select {
		case id := <-r.acked:
			delete(want, id)
		case <-time.After(patience):
			t.Fatalf("not acknowledged: %v", want)
		}
	}
}

// TestSocketsAreExchangedBeforeTheyEnd: there are two, and each is replaced before its
// time is over, by one that is up first, so that two are left when one is closed.
func TestSocketsAreExchangedBeforeTheyEnd(t *testing.T) {
	var mu sync.Mutex
	var open, most int
	var left []int // when one was closed, since both were there and a successor
	r := newRogue(t, func(ws *websocket.Conn) {
		mu.Lock()
		open++
		most = max(most, open)
		mu.Unlock()
		_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello","num_connections":1,"debug_info":{"approximate_connection_time":1}}`))
		go func() {
			for ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience)) == nil {
				time.Sleep(10 * time.Millisecond)
			}
			mu.Lock()
			defer mu.Unlock()
			if open--; most > 2 {
				left = append(left, open)
			}
		}()
	})
	r.app(t, &logs{})
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		mu.Lock()
		seen := slices.Clone(left)
		mu.Unlock()
		if len(seen) >= 3 {
			if slices.Min(seen) < 2 {
				t.Errorf("%d sockets were left when one was closed", seen)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("sockets were exchanged %d times", len(seen))
		}
	}
}

func TestNoHotLoopOfReconnects(t *testing.T) {
	r := newRogue(t, func(ws *websocket.Conn) {
		_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"disconnect","reason":"refresh_requested"}`))
	})
	begin := time.Now()
	r.app(t, &logs{})
	time.Sleep(2 * time.Second)
	// Four at once, and then one every 3 seconds, however long the sleep was.
	if n, took := r.opens.Load(), time.Since(begin); n > 5+int64(took/(3*time.Second)) {
		t.Errorf("%d connections were opened in %s", n, took)
	}
	for end := time.Now().Add(patience); r.opens.Load() < 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not connect anew")
		}
	}
}

func TestConnectionErrorMakesUnready(t *testing.T) {
	r := newRogue(t, nil)
	log := &logs{}
	r.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.HasSuffix(q.URL.Path, "auth.test") {
			answer(w, `{"ok":true,"team_id":"T1","user_id":"U1","bot_id":"B1"}`)
			return
		}
		answer(w, `{"ok":false,"error":"missing_scope"}`)
	})
	app := r.app(t, log)
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if err := app.Ready(); err != nil && strings.Contains(err.Error(), "missing_scope") && strings.Contains(err.Error(), "connections:write") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("Ready says %v", app.Ready())
		}
	}
	if s := log.String(); strings.Contains(s, "secret-1234567890") {
		t.Errorf("a token is in the log: %s", s)
	}
}

func TestRefusedTokens(t *testing.T) {
	s := set(t)
	for _, c := range []struct{ bot, app, want string }{
		{"xoxb-wrong-token", "", "SLACK_BOT_TOKEN"},
		{"", "xapp-wrong-token", "SLACK_APP_TOKEN"},
	} {
		b, a := s.world.App.BotToken, s.world.App.AppToken
		if c.bot != "" {
			b = c.bot
		}
		if c.app != "" {
			a = c.app
		}
		app, err := slackapp.New(slackapp.Config{
			BotToken: b, AppToken: a, APIURL: s.http.URL + "/api/", Handle: s.book.handle, Reader: s.book, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err = app.Run(ctx)
		if ctx.Err() != nil {
			t.Error("Run did not end by itself")
		}
		cancel()
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "wrong-token") {
			t.Errorf("Run: %v, want %s named", err, c.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	b := newBook()
	good := slackapp.Config{BotToken: "xoxb-1", AppToken: "xapp-1", Handle: b.handle, Reader: b, Logger: slog.New(slog.DiscardHandler)}
	if _, err := slackapp.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*slackapp.Config){
		"no bot token":    func(c *slackapp.Config) { c.BotToken = "" },
		"a user's token":  func(c *slackapp.Config) { c.BotToken = "xoxp-1" },
		"no app token":    func(c *slackapp.Config) { c.AppToken = "" },
		"plain http":      func(c *slackapp.Config) { c.APIURL = "http://slack.example/api/" },
		"http, localhost": func(c *slackapp.Config) { c.APIURL = "http://localhost.example/api/" },
		"no address":      func(c *slackapp.Config) { c.APIURL = "slack.com/api" },
		"no handler":      func(c *slackapp.Config) { c.Handle = nil },
		"no reader":       func(c *slackapp.Config) { c.Reader = nil },
		"no logger":       func(c *slackapp.Config) { c.Logger = nil },
	} {
		c := good
		spoil(&c)
		if _, err := slackapp.New(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
