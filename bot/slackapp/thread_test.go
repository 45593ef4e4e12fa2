package slackapp_test

import (
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/slacksim"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
)

func TestConversationIsRecorded(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h why")
	bob, dan := s.slack.As("bob"), s.slack.As("dan")
	ts, err := bob.Reply(channel, m.TS, "which <release> & why, @alice?")
	if err != nil {
		t.Fatal(err)
	}
	s.eventually("the reply", func() bool { return len(s.request(r.ID).Messages) == 1 })
	got := s.request(r.ID).Messages[0]
	if got.Text != "which <release> & why, <@U0ALICE>?" || got.By.Email != "bob@example.com" || got.TS != ts {
		t.Errorf("recorded %+v", got)
	}
	if err := bob.Edit(channel, ts, "which one?"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the edit", func() bool { return len(s.request(r.ID).Messages[0].Edits) == 1 })
	if err := bob.Delete(channel, ts); err != nil {
		t.Fatal(err)
	}
	s.eventually("the deletion", func() bool { return !s.request(r.ID).Messages[0].Deleted.IsZero() })
	if got := s.request(r.ID).Messages[0]; got.Text != "which one?" || got.Edits[0].Text != "which <release> & why, <@U0ALICE>?" {
		t.Errorf("recorded %+v", got)
	}
	// What is said elsewhere, and what the bot says, is no part of it.
	if _, err := dan.Post(channel, "approve it already"); err != nil {
		t.Fatal(err)
	}
	s.app.Remind(r.ID)
	s.eventually("the reminder", func() bool {
		for _, x := range bob.Thread(channel, m.TS) {
			if holds(x, "still waits for a decision", "<!subteam^") {
				return true
			}
		}
		return false
	})
	if _, err := dan.Reply(channel, m.TS, "last"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the last reply", func() bool { return len(s.request(r.ID).Messages) == 2 })
	for _, c := range s.book.actions(access.Say{}) {
		if !strings.HasPrefix(c.ID, "event:Ev") {
			t.Errorf("a reply has the event id %q", c.ID)
		}
	}
	s.noFindings()
}

func TestSecretIsNotRecordedAndItsPosterTold(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h why")
	if _, err := s.slack.As("alice").Reply(channel, m.TS, "use password=correct-horse-battery"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the reply", func() bool { return len(s.request(r.ID).Messages) == 1 })
	if got := s.request(r.ID).Messages[0].Text; strings.Contains(got, "horse") {
		t.Errorf("recorded %q", got)
	}
	s.told("alice", "seems to contain a secret (password)", "delete the message")
	s.noFindings()
}

func TestReplyIsRecordedWhenTheLogIsBack(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h why")
	fails := 2
	s.book.mu.Lock()
	s.book.broken = func(c access.Command) error {
		if _, says := c.Do.(access.Say); says && fails > 0 {
			fails--
			return errNoDisk
		}
		return nil
	}
	s.book.mu.Unlock()
	ts, err := s.slack.As("bob").Reply(channel, m.TS, "one")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.slack.As("bob").Delete(channel, ts); err != nil {
		t.Fatal(err)
	}
	s.eventually("both, in their order", func() bool {
		all := s.request(r.ID).Messages
		return len(all) == 1 && !all[0].Deleted.IsZero()
	})
}

// TestBackfill: what was said, edited and deleted while the bot was away.
func TestBackfill(t *testing.T) {
	s := start(t, func(c *slacksim.Config, _ *book) { c.World.App.Events = nil })
	r, m := s.filed("alice", "github/payments-admins 1h why")
	s.book.must(t, access.Say{Request: r.ID, TS: "1700000000.000100", Text: "was deleted meanwhile"})
	bob := s.slack.As("bob")
	kept, err := bob.Reply(channel, m.TS, "kept")
	if err != nil {
		t.Fatal(err)
	}
	edited, err := bob.Reply(channel, m.TS, "first")
	if err != nil {
		t.Fatal(err)
	}
	s.book.must(t, access.Say{Request: r.ID, TS: edited, Text: "first"})
	if err := bob.Edit(channel, edited, "second"); err != nil {
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.run()
	s.eventually("the conversation", func() bool {
		state := map[string]access.Message{}
		for _, x := range s.request(r.ID).Messages {
			state[x.TS] = x
		}
		return len(state) == 3 && state[kept].Text == "kept" && state[kept].By.Email == "bob@example.com" &&
			state[edited].Text == "second" && len(state[edited].Edits) == 1 && !state["1700000000.000100"].Deleted.IsZero()
	})
	s.noFindings()
}

// TestSaidBeforeTheRecord: what is said under a message that the log could not learn of
// for long, when nobody waits for that any more.
func TestSaidBeforeTheRecord(t *testing.T) {
	s := start(t, func(c *slacksim.Config, _ *book) { c.World.App.Events = nil })
	down := s.loseRecords()
	if _, err := s.slack.As("bob").Reply(channel, s.posting().TS, "say more"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the log to refuse the message", func() bool { return len(s.book.actions(access.Notify{})) > 0 })
	down.Store(false)
	s.eventually("the reply", func() bool { return s.book.Requests()[0].Talk() == 1 })
}

func TestBackfillAfterAllSocketsWereGone(t *testing.T) {
	s := start(t, func(c *slacksim.Config, _ *book) { c.World.App.Events = nil })
	r, m := s.filed("alice", "github/payments-admins 1h why")
	if _, err := s.slack.As("bob").Reply(channel, m.TS, "unheard"); err != nil {
		t.Fatal(err)
	}
	if err := s.slack.Fault(slacksim.Fault{Disconnect: "now"}); err != nil {
		t.Fatal(err)
	}
	s.eventually("the reply", func() bool { return len(s.request(r.ID).Messages) == 1 })
}

// TestEventsOfAThread plays what the local Slack does not: events in an odd order,
// and messages of other apps.
func TestEventsOfAThread(t *testing.T) {
	send := func(id, event string) string {
		return `{"envelope_id":"` + id + `","type":"events_api","payload":{"type":"event_callback","event_id":"` + id + `","event":{"type":"message","channel":"C0ACCESS",` + event + `}}}`
	}
	inThread := func(ts, rest string) string { return `"thread_ts":"1.000","ts":"` + ts + `",` + rest }
	r := newRogue(t, func(ws *websocket.Conn) {
		for _, m := range []string{
			`{"type":"hello","num_connections":1}`,
			send("Ev1", `"subtype":"message_changed","message":{`+inThread("2.000", `"user":"U2","text":"now &amp; here","edited":{"user":"U2","ts":"3.0"}`)+`},"previous_message":{`+inThread("2.000", `"user":"U2","text":"before"`)+`}`),
			send("Ev2", inThread("2.000", `"user":"U2","text":"before"`)),
			send("Ev3", `"subtype":"bot_message",`+inThread("4.000", `"bot_id":"B9","text":"deployed","blocks":[{"type":"hologram"}]`)),
			send("Ev4", inThread("5.000", `"bot_id":"B1","user":"U1","text":"my own"`)),
			send("Ev5", `"subtype":"file_share",`+inThread("6.000", `"user":"U2","text":"","files":[{"name":"plan.pdf"},7]`)),
			send("Ev6", `"subtype":"thread_broadcast",`+inThread("7.000", `"user":"U2","text":"also here","root":{"ts":"1.000"}`)),
			send("Ev7", `"subtype":"message_deleted","deleted_ts":"7.000","previous_message":{`+inThread("7.000", `"user":"U2","text":"also here"`)+`}`),
			send("Ev8", `"subtype":"message_changed","message":{"ts":"1.000","thread_ts":"1.000","bot_id":"B1","text":"the request"},"previous_message":{"ts":"1.000"}`),
			send("Ev9", `"subtype":"message_changed","message":{`+inThread("6.000", `"subtype":"tombstone","text":"This message was deleted."`)+`},"previous_message":{`+inThread("6.000", `"user":"U2"`)+`}`),
			send("Ev12", `"subtype":"message_deleted","deleted_ts":"8.000","previous_message":{`+inThread("8.000", `"user":"U2","text":"gone at once"`)+`}`),
			send("Ev13", inThread("8.000", `"user":"U2","text":"gone at once"`)),
			send("Ev10", `"ts":"9.000","user":"U2","text":"not in the thread"`),
			send("Ev11", `"thread_ts":"1.000","ts":"10.000","user":"U2","text":"last"`),
		} {
			_ = ws.WriteMessage(websocket.TextMessage, []byte(m))
		}
	})
	b := newBook()
	if _, _, err := b.decide(access.Command{ID: "cmd:1", Actor: alice, Do: access.File{Resource: "db/orders"}}); err != nil {
		t.Fatal(err)
	}
	id := b.Requests()[0].ID
	b.must(t, access.Notify{Request: id, Post: access.Post{Notice: access.NoticeApproval, Channel: channel, TS: "1.000"}})
	r.appWith(t, &logs{}, b)
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		got, _ := b.Request(id)
		if n := len(got.Messages); n > 0 && got.Messages[n-1].Text == "last" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("recorded %+v", got.Messages)
		}
	}
	r.Close()
	type line struct {
		ts, by, bot, text, first string
		deleted                  bool
	}
	var got []line
	q, _ := b.Request(id)
	for _, m := range q.Messages {
		l := line{m.TS, m.By.Slack, m.Bot, m.Text, "", !m.Deleted.IsZero()}
		if len(m.Edits) > 0 {
			l.first = m.Edits[0].Text
		}
		got = append(got, l)
	}
	want := []line{
		{"2.000", "U2", "", "now & here", "before", false},
		{"4.000", "", "B9", "deployed", "", false},
		{"6.000", "U2", "", "[file: plan.pdf]\n[file: unnamed]", "", true},
		{"7.000", "U2", "", "also here", "", true},
		{"8.000", "U2", "", "gone at once", "", true},
		{"10.000", "U2", "", "last", "", false},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(line{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
