package slackapp_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/slacksim"
)

func demanding(_ *slacksim.Config, b *book) {
	b.rules.Settings.RequireReason = true
	b.rules.Settings.RequireDuration = true
	b.rules.Settings.RequireTicket = regexp.MustCompile(`^(?:[A-Z]+-[0-9]+)$`)
}

func TestCompleteCommandFilesAtOnce(t *testing.T) {
	for text, want := range map[string]access.Request{
		"github/payments-admins":                           {Resource: "github/payments-admins"},
		"github/payments-admins 1h30m":                     {Resource: "github/payments-admins", Duration: 90 * time.Minute},
		"github/payments-admins because 2h are not enough": {Resource: "github/payments-admins", Reason: "because 2h are not enough"},
		"github/payments-admins for @erin 30m deploy":      {Resource: "github/payments-admins", Principal: access.Person{Email: "erin@example.com", Slack: "U0ERIN"}, Duration: 30 * time.Minute, Reason: "deploy"},
		"github/payments-admins for the release":           {Resource: "github/payments-admins", Reason: "for the release"},
		"github/payments-admins see https://a.example/1?b": {Resource: "github/payments-admins", Reason: "see https://a.example/1?b"},
	} {
		t.Run(text, func(t *testing.T) {
			s := start(t)
			r, _ := s.filed("alice", text)
			if want.Principal.IsZero() {
				want.Principal = access.Person{Email: "alice@example.com", Slack: "U0ALICE"}
			}
			if r.Resource != want.Resource || r.Duration != want.Duration || r.Reason != want.Reason || r.Principal != want.Principal {
				t.Errorf("got %+v, want %+v", r, want)
			}
			s.told("alice", "Filed: <@U0ALICE> asks for access to Payments admins")
			s.noFindings()
		})
	}
}

func TestIncompleteCommandOpensTheFormPrefilled(t *testing.T) {
	s := start(t, demanding)
	s.command("alice", "/access request github/payments-admins for @erin 2h")
	v := s.modal("alice")
	for element, want := range map[string]string{"resource": "github/payments-admins", "for": "U0ERIN", "duration": `"2h"`} {
		if got := textOf(v.Element(element)); !strings.Contains(got, want) {
			t.Errorf("%s is %s, want %s in it", element, got, want)
		}
	}
	alice := s.slack.As("alice")
	for _, c := range []struct{ field, value, problem, text string }{
		{"duration", "soon", "duration", "Write a duration"},
		{"duration", "9h", "duration", "at most 8 hours"},
		{"ticket", "nope", "ticket", "must match [A-Z]+-[0-9]+"},
		{"for", "U0GUS", "for", "guests of this workspace"},
	} {
		in := map[string]map[string]any{
			"duration": {"duration": "2h"}, "reason": {"reason": "why"}, "ticket": {"ticket": "OPS-1"}, "for": {"for": "U0ERIN"},
		}
		in[c.field] = map[string]any{c.field: c.value}
		if c.field == "for" {
			// Choosing somebody looks them up ahead of the submission.
			before := s.calls("views.update", "")
			if err := alice.Select(slacksim.InView(v.ID()), "for", "for", c.value); err != nil {
				t.Fatal(err)
			}
			s.eventually("the form to follow", func() bool { return s.calls("views.update", "") > before })
		}
		problems, err := alice.Submit(v.ID(), in)
		if err != nil || !strings.Contains(problems[c.problem], c.text) {
			t.Errorf("%s %q: got %v, %v; want %q", c.field, c.value, problems, err, c.text)
		}
	}
	problems, err := alice.Submit(v.ID(), map[string]map[string]any{
		"duration": {"duration": "2h"}, "reason": {"reason": "why"}, "ticket": {"ticket": "OPS-1"}, "for": {"for": "U0ERIN"},
	})
	if err != nil || problems != nil {
		t.Fatal(problems, err)
	}
	s.eventually("the filing", func() bool { return len(s.book.Requests()) == 1 })
	r := s.book.Requests()[0]
	if r.Principal.Email != "erin@example.com" || r.Ticket != "OPS-1" || r.Reason != "why" || r.Duration != 2*time.Hour {
		t.Errorf("filed %+v", r)
	}
	s.written("erin", "The request of <@U0ALICE> for you")
	if id := s.book.actions(access.File{})[0].ID; !strings.HasPrefix(id, "form:V") {
		t.Errorf("the filing has the event id %q", id)
	}
	// Where a ticket is demanded, a word that could be one is taken for it.
	r, _ = s.filed("alice", "github/payments-admins 1h see OPS-77 please")
	if r.Ticket != "OPS-77" || r.Reason != "see OPS-77 please" {
		t.Errorf("filed %+v", r)
	}
	s.noFindings()
}

func TestTypeAhead(t *testing.T) {
	s := start(t, func(_ *slacksim.Config, b *book) {
		for i := range 300 {
			id := "team/" + strings.Repeat("x", 90) + string(rune('a'+i%26)) + strings.Repeat("y", i/26)
			b.rules.Resources = append(b.rules.Resources, access.Resource{ID: id, Title: strings.Repeat("🔑 Ä", 30), Target: access.Target{Provider: "gitops"}})
		}
	})
	if err := s.slack.As("alice").Shortcut("request_access"); err != nil {
		t.Fatal(err)
	}
	v := s.modal("alice")
	find := func(query string) []any {
		t.Helper()
		found, err := s.slack.As("alice").Suggest(slacksim.InView(v.ID()), "resource", "resource", query)
		if err != nil {
			t.Fatal(err)
		}
		return found.Options
	}
	if got := find("PAY adm"); len(got) != 1 || !strings.Contains(textOf(got), "Payments admins · github/payments-admins") {
		t.Errorf("got %s", textOf(got))
	}
	if got := find(""); len(got) < 50 || len(got) > 100 {
		t.Errorf("%d options", len(got))
	}
	if got := find("no such thing"); len(got) != 0 {
		t.Errorf("got %s", textOf(got))
	}
	// An id that is longer than Slack's values comes back as itself.
	long := s.book.Rules().Resources[5]
	options := find(long.ID)
	value := options[0].(map[string]any)["value"]
	if problems, err := s.slack.As("alice").Submit(v.ID(), map[string]map[string]any{"resource": {"resource": value}}); err != nil || problems != nil {
		t.Fatal(problems, err)
	}
	s.eventually("the filing", func() bool { return len(s.book.Requests()) == 1 })
	if got := s.book.Requests()[0].Resource; got != long.ID {
		t.Errorf("filed for %s, want %s", got, long.ID)
	}
	s.message(s.book.Requests()[0].ID)
	s.noFindings()
}

func TestFormThatCannotBeRecorded(t *testing.T) {
	s := start(t)
	s.book.broken = func(c access.Command) error {
		if _, files := c.Do.(access.File); files {
			return errNoDisk
		}
		return nil
	}
	if err := s.slack.As("alice").Shortcut("request_access"); err != nil {
		t.Fatal(err)
	}
	v := s.modal("alice")
	if _, err := s.slack.As("alice").Suggest(slacksim.InView(v.ID()), "resource", "resource", "orders"); err != nil {
		t.Fatal(err)
	}
	if problems, err := s.slack.As("alice").Submit(v.ID(), map[string]map[string]any{"resource": {"resource": "db/orders"}}); err != nil || problems != nil {
		t.Fatal(problems, err)
	}
	s.written("alice", "could not be recorded, so nothing happened")
	s.noFindings()
}

func TestCommands(t *testing.T) {
	s := start(t)
	r, m := s.filed("alice", "github/payments-admins 1h because & <why>")
	if _, err := s.slack.As("bob").Reply(channel, m.TS, "for which <release>?"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the reply to be recorded", func() bool { return s.request(r.ID).Talk() == 1 })
	for _, c := range []struct{ who, text, want string }{
		{"dan", "", "gives access for a limited time"},
		{"dan", "help", "/access request"},
		{"dan", "dance", "There is no `/access dance`"},
		{"alice", "list", r.ID},
		{"dan", "list", "You have not asked for anything yet"},
		{"bob", "pending", "<@U0ALICE> asks for access to Payments admins"},
		{"dan", "pending", "Nothing waits for approval"},
		{"erin", "pending", r.ID},
		{"bob", "show " + r.ID, "wrote: for which &lt;release&gt;?"},
		{"alice", "show " + strings.ToLower(r.ID[len(r.ID)-6:]), "Reason: because &amp; &lt;why&gt;"},
		{"dan", "show " + r.ID, "There is no request `" + r.ID + "` that you may see"},
		{"bob", "show 01KNOTHERE", "There is no request `01KNOTHERE` that you may see"},
		{"bob", "show TEST1", "There is no request"},
		{"dan", "cancel " + r.ID, "There is no request"},
		{"bob", "cancel " + r.ID, "Only <@U0ALICE> can cancel"},
		{"bob", "revoke " + r.ID, "still pending"},
		{"alice", "give-back " + r.ID, "still pending"},
		{"alice", "extend " + r.ID, "Say by how long"},
		{"alice", "extend " + r.ID + " 1h", "Only a live access can be extended"},
		{"alice", "escalate " + r.ID, "Nobody is configured to be called"},
		{"bob", "allow @alice db/orders", "not configured"},
		{"bob", "reviewers add x@example.com", "by pull request"},
		{"dan", "reviewers", "carol@partner.example <@U0CAROL>"},
		{"dan", "who github/payments-admins", "May approve: <!subteam^"},
		{"dan", "who nowhere", "There is no resource `nowhere`"},
		{"bob", "who github/payments-admins", "*Has it now*"},
		{"gus", "list", "Guests of this workspace"},
		{"alice", "cancel " + r.ID, "is cancelled"},
	} {
		before := len(s.slack.As(c.who).Ephemerals(channel))
		s.command(c.who, strings.TrimSpace("/access "+c.text))
		s.eventually(c.who+": /access "+c.text+" to be answered with "+c.want, func() bool {
			for _, m := range s.slack.As(c.who).Ephemerals(channel)[before:] {
				if holds(m, c.want) {
					return true
				}
			}
			return false
		})
	}
	if got := s.request(r.ID).Status; got != access.Cancelled {
		t.Errorf("status %s", got)
	}
	s.noFindings()
}

func TestCommandWhereTheBotIsNot(t *testing.T) {
	s := start(t)
	if _, err := s.slack.As("alice").Command("C0PAYMENTS", "/access request github/payments-admins 1h why"); err != nil {
		t.Fatal(err)
	}
	s.eventually("an answer there", func() bool {
		for _, m := range s.slack.As("alice").Ephemerals("C0PAYMENTS") {
			if holds(m, "Filed:") {
				return true
			}
		}
		return false
	})
	s.noFindings()
}

func TestHome(t *testing.T) {
	s := start(t)
	alice, bob := s.slack.As("alice"), s.slack.As("bob")
	if err := alice.OpenHome(); err != nil {
		t.Fatal(err)
	}
	s.eventually("an empty Home", func() bool {
		said := textOf(alice.Home())
		return strings.Contains(said, "You hold no access now") && strings.Contains(said, "<https://access.example.com/|Dashboard>")
	})
	r, m := s.filed("alice", "github/payments-admins 1h why")
	s.eventually("the request in the Home tab", func() bool { return strings.Contains(textOf(alice.Home()), "Waiting for approval") })
	if err := bob.OpenHome(); err != nil {
		t.Fatal(err)
	}
	s.eventually("it to wait for bob", func() bool {
		return strings.Contains(textOf(bob.Home()), "Waiting for you") && bob.Home().Element("open") != nil
	})
	s.click("bob", m, "approve")
	s.status(r.ID, access.Approved)
	s.book.grant(t, r.ID)
	s.eventually("the access in the Home tab", func() bool { return alice.Home().Element("give_back") != nil })
	if err := alice.Click(slacksim.InView(alice.Home().ID()), "", "give_back"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the end", func() bool { return s.request(r.ID).Ending != nil })
	s.book.must(t, access.Finish{Request: r.ID})
	s.eventually("the past in the Home tab", func() bool { return strings.Contains(textOf(alice.Home()), "Lately") })
	if err := alice.Click(slacksim.InView(alice.Home().ID()), "", "request_access"); err != nil {
		t.Fatal(err)
	}
	s.modal("alice")
	s.noFindings()
}
