package slackapp_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/slackapp"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares what is rendered with a file of testdata.
func golden(t *testing.T, name string, got any) {
	t.Helper()
	data, raw := got.([]byte)
	if !raw {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(got); err != nil {
			t.Fatal(err)
		}
		data = b.Bytes()
	}
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(data)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// tale is a request that is led through its life, a minute a step.
type tale struct {
	*testing.T
	book *book
	now  time.Time
	r    access.Request

	duties map[string][]access.Duty // who is on call
}

var (
	alice = access.Actor{Person: access.Person{Email: "alice@example.com", Slack: "U0ALICE"}}
	bob   = access.Actor{Person: access.Person{Email: "bob@example.com", Slack: "U0BOB"}}
	erin  = access.Actor{Person: access.Person{Email: "erin@example.com", Slack: "U0ERIN"}}
)

func tell(t *testing.T) *tale {
	return &tale{T: t, book: newBook(), now: time.Date(2026, 3, 28, 9, 30, 0, 0, time.UTC)}
}

func (s *tale) do(who access.Actor, a access.Action) *tale {
	s.Helper()
	s.now = s.now.Add(time.Minute)
	f := access.Facts{Now: s.now, New: "01KQ4Y2E7M0000000000000000", Actor: who, Rules: s.book.rules, Filed: s.book.rules, Duties: s.duties}
	events, err := access.Decide(f, s.r, a)
	if err != nil {
		s.Fatal(err)
	}
	for _, e := range events {
		if s.r, err = access.Apply(s.r, e); err != nil {
			s.Fatal(err)
		}
	}
	return s
}

// scene is what the messages show beside the state.
func (s *tale) scene() slackapp.Scene {
	return slackapp.SceneOf(s.book.rules, "<!subteam^S0APPROVERS>", "https://access.example.com", "", nil, nil, 0, "")
}

const theID = "01KQ4Y2E7M0000000000000000"

func filedTale(t *testing.T) *tale {
	s := tell(t).do(alice, access.File{
		Resource: "github/payments-admins", Duration: 2 * time.Hour,
		Reason: "Refund run is stuck, see <!channel> & *bold* <https://evil.example|here>", Ticket: "OPS-17",
	})
	return s.do(access.Actor{}, access.Notify{Request: theID, Post: access.Post{
		Notice: access.NoticeApproval, Channel: "C0ACCESS", TS: "1774690200.000100", Permalink: "https://acme.slack.com/archives/C0ACCESS/p1774690200000100",
	}})
}

func liveTale(t *testing.T) *tale {
	return filedTale(t).do(bob, access.Approve{Request: theID, For: time.Hour}).
		do(access.Actor{}, access.Intend{Request: theID, Subject: "alice-gh", Before: access.Absent}).
		do(access.Actor{}, access.Confirm{Request: theID})
}

// tales are a request in each of the states in which people see one.
func tales(t *testing.T) map[string]*tale {
	approve := access.Approve{Request: theID, For: time.Hour}
	none := access.Actor{}
	m := map[string]*tale{
		"pending":  filedTale(t),
		"bare":     tell(t).do(alice, access.File{Resource: "db/orders"}),
		"other":    tell(t).do(alice, access.File{Resource: "db/orders", Principal: erin, Duration: 90 * time.Minute}),
		"approved": filedTale(t).do(bob, approve),
		"failing":  filedTale(t).do(bob, approve).do(none, access.Intend{Request: theID, Subject: "alice-gh", Before: access.Absent}).do(none, access.Fail{Request: theID, Error: strings.Repeat("look whether: ", 20) + "502 <html>"}),
		"failed":   filedTale(t).do(bob, approve).do(none, access.Fail{Request: theID, Error: "no account at the provider", Final: true}),
		"live":     liveTale(t),
		"asked":    liveTale(t).do(alice, access.Extend{Request: theID, By: 30 * time.Minute, Reason: "not <done>"}),
		"extended": liveTale(t).do(alice, access.Extend{Request: theID, By: 30 * time.Minute}).do(bob, access.ApproveExtension{Request: theID, Round: 1}),
		"unmoved":  liveTale(t).do(alice, access.Extend{Request: theID, By: 30 * time.Minute}).do(bob, access.DenyExtension{Request: theID, Round: 1, Reason: "<enough>"}),
		"ending":   liveTale(t).do(bob, access.Revoke{Request: theID, Reason: "not needed"}),
		"stuck":    liveTale(t).do(bob, access.Revoke{Request: theID}).do(none, access.Fail{Request: theID, Error: "timeout"}),
		"revoked":  liveTale(t).do(bob, access.Revoke{Request: theID, Reason: "not needed"}).do(none, access.Finish{Request: theID}),
		"given":    liveTale(t).do(alice, access.GiveBack{Request: theID}).do(none, access.Finish{Request: theID, Kept: "other_grant"}),
		"denied":   filedTale(t).do(bob, access.Deny{Request: theID, Reason: "ask <later>"}),
		"cancel":   filedTale(t).do(alice, access.Cancel{Request: theID}),
	}
	timedOut := filedTale(t)
	timedOut.now = timedOut.now.Add(30 * 24 * time.Hour)
	m["timed_out"] = timedOut.do(none, access.TimeOut{Request: theID})
	expired := liveTale(t)
	expired.now = expired.now.Add(2 * time.Hour)
	overdue := liveTale(t)
	overdue.now = overdue.now.Add(3 * time.Hour)
	m["overdue"] = overdue.do(none, access.Expire{Request: theID}).do(none, access.Fail{Request: theID, Error: "502 <html>"})
	late := liveTale(t)
	late.now = late.now.Add(3 * time.Hour)
	m["late"] = late.do(none, access.Expire{Request: theID}).do(none, access.Finish{Request: theID})
	removed := liveTale(t).do(none, access.Observe{Request: theID, Found: access.Absent})
	m["removed"] = removed.do(none, access.Finish{Request: theID})
	again := liveTale(t).do(alice, access.GiveBack{Request: theID}).do(none, access.Finish{Request: theID})
	m["again"] = again.do(none, access.Observe{Request: theID, Found: access.Present})
	taking := liveTale(t).do(alice, access.GiveBack{Request: theID}).do(none, access.Finish{Request: theID})
	m["taking"] = taking.do(none, access.Observe{Request: theID, Found: access.Present}).do(bob, access.Revoke{Request: theID})
	m["expired"] = expired.do(none, access.Expire{Request: theID}).do(none, access.Finish{Request: theID, Kept: "had_before"})
	return m
}

func TestApprovalMessages(t *testing.T) {
	for name, s := range tales(t) {
		c := access.ControlsOf(s.r, s.book.rules, s.book.rules)
		golden(t, "approval/"+name, slackapp.ApprovalMessage(s.r, c, s.scene()))
	}
}

// TestNotices renders each direct message in the state that it is posted in and in
// all that can follow.
func TestNotices(t *testing.T) {
	for name, s := range tales(t) {
		to := alice.Person
		if name == "other" {
			to = erin.Person
		}
		all := map[string]any{}
		for _, notice := range []string{
			access.NoticeFiled, access.NoticeApproved, access.NoticeClosed, access.NoticeEnded, access.NoticeExpiring, access.NoticeFailing, access.NoticeExtension + "-1", access.NoticeOverdue + "-2", access.NoticeDrift + "-1",
		} {
			if possible(notice, s.r) {
				all[notice] = slackapp.NoticeMessage(s.r, notice, to, s.scene())
			}
		}
		golden(t, "notice/"+name, all)
	}
}

// possible reports whether a request may have been told of with this notice.
func possible(notice string, r access.Request) bool {
	approved := r.Decision != nil && !r.Decision.Expires.IsZero()
	switch notice {
	case access.NoticeFiled:
		return true
	case access.NoticeClosed:
		return r.Decision != nil && !approved
	case access.NoticeEnded:
		return approved && r.Status.Ended()
	case access.NoticeExtension + "-1":
		return len(r.Settled) > 0
	case access.NoticeDrift + "-1":
		return r.Drifts > 0
	case access.NoticeOverdue + "-2":
		return r.Outlived(r.Last) > access.Grace
	}
	return approved
}

func TestForms(t *testing.T) {
	s := liveTale(t)
	for _, action := range []string{"deny", "revoke", "extend", "deny_extension"} {
		golden(t, "form/"+action, slackapp.Form(action, s.r, s.book.rules))
	}
	golden(t, "form/request", slackapp.RequestForm(s.book.rules, slackapp.ParseRequest("github/payments-admins for <@U0ERIN|erin> 2h why &amp; how"), nil, slackapp.Offer{}))
	demanding(nil, s.book)
	golden(t, "form/demanding", slackapp.RequestForm(s.book.rules, slackapp.Wish{}, nil, slackapp.Offer{}))
}

func TestHomeAndStory(t *testing.T) {
	var all []access.Request
	for _, name := range []string{"pending", "live", "asked", "expired", "other"} {
		all = append(all, tales(t)[name].r)
	}
	rules := newBook().rules
	none := func(access.Request) bool { return false }
	golden(t, "home/alice", slackapp.HomeBlocks(alice, rules, all, none, none))
	golden(t, "home/bob", slackapp.HomeBlocks(bob, rules, all, func(r access.Request) bool { return r.Status == access.Pending || r.Extension != nil }, none))
	s := tales(t)["unmoved"]
	s.do(bob, access.Say{Request: theID, TS: "1", Text: "why <now>, <@U0DAN|dan> & <!here>?"}).do(bob, access.EditMessage{Request: theID, TS: "1", Text: "why today?"}).do(bob, access.DeleteMessage{Request: theID, TS: "1"})
	golden(t, "story", slackapp.Story(s.r, s.scene()))
}

func TestManifest(t *testing.T) {
	golden(t, "manifest-socket", slackapp.Manifest(true, ""))
	golden(t, "manifest-http", slackapp.Manifest(false, "https://access.example.com/"))
}

func TestSpell(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 5 * time.Minute: "5 minutes", time.Hour: "1 hour", 90 * time.Minute: "1 hour 30 minutes",
		24 * time.Hour: "1 day", 7 * 24 * time.Hour: "1 week", 14 * 24 * time.Hour: "2 weeks", 30 * 24 * time.Hour: "30 days",
	} {
		if got := slackapp.Spell(d); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}

// TestNothingThatPeopleTypeHasAnEffect: what is typed is shown, and no more.
func TestNothingThatPeopleTypeHasAnEffect(t *testing.T) {
	s := start(t)
	evil := "<!channel> <@U0BOB> <https://evil.example|click> &lt;!here&gt; `code` *bold* \u202egnol " + strings.Repeat("long ", 500)
	if err := s.slack.As("alice").Shortcut("request_access"); err != nil {
		t.Fatal(err)
	}
	v := s.modal("alice")
	if problems, err := s.slack.As("alice").Submit(v.ID(), map[string]map[string]any{
		"resource": {"resource": s.offered(v.ID(), "orders")}, "reason": {"reason": evil}, "ticket": {"ticket": evil[:150]},
	}); err != nil || problems != nil {
		t.Fatal(problems, err)
	}
	s.eventually("the filing", func() bool { return len(s.book.Requests()) == 1 })
	r := s.book.Requests()[0]
	m := s.message(r.ID)
	s.click("bob", m, "deny")
	v = s.modal("bob")
	if _, err := s.slack.As("bob").Submit(v.ID(), map[string]map[string]any{"reason": {"reason": evil}}); err != nil {
		t.Fatal(err)
	}
	m = s.shows(r.ID, "*Denied*")
	dm := s.written("alice", "was denied by <@U0BOB>")
	s.command("alice", "/access show "+r.ID)
	s.told("alice", "Reason:", "denied by")
	for _, x := range []any{m.Blocks, dm.Blocks, s.slack.As("alice").Ephemerals(channel)} {
		inMrkdwn(x, func(text string) {
			for _, bad := range []string{"<!channel>", "<https://evil", "<!here>", "\u202e"} {
				if strings.Contains(text, bad) {
					t.Errorf("%q has an effect in %q", bad, text)
				}
			}
		})
	}
	if !strings.Contains(textOf(m.Blocks), "the whole text: /access show") {
		t.Error("a long reason does not say where the rest is")
	}
	for _, what := range []string{"unfurl_links", "unfurl_media"} {
		if all, inert := s.calls("chat.postMessage", ""), s.calls("chat.postMessage", `"`+what+`":"false"`); all == 0 || all != inert {
			t.Errorf("%d of %d messages say %s: false", inert, all, what)
		}
	}
	s.noFindings()
}

// inMrkdwn calls f with each text that Slack interprets.
func inMrkdwn(v any, f func(string)) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		panic(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch x := v.(type) {
		case []any:
			for _, e := range x {
				walk(e)
			}
		case map[string]any:
			if x["type"] != "plain_text" {
				if text, ok := x["text"].(string); ok {
					f(text)
				}
			}
			for _, e := range x {
				walk(e)
			}
		}
	}
	walk(tree)
}
