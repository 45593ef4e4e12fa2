package access_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"

	"github.com/google/go-cmp/cmp"
)

// code decides one action on a pending request of Alice's for Erin.
func code(t *testing.T, today, filed *access.Rules, by access.Person, a access.Action) string {
	t.Helper()
	s := begin(t)
	f := s.facts(by)
	f.Rules, f.Filed = today, filed
	_, err := access.Decide(f, s.r, a)
	if r, ok := access.AsRefusal(err); ok {
		return string(r.Code)
	}
	if err != nil {
		t.Fatal(err)
	}
	return "ok"
}

// TestWhichRulesGovern: the rules at the click decide, and those at the filing
// must allow it too.
func TestWhichRulesGovern(t *testing.T) {
	only := func(who ...string) *access.Rules {
		return with(func(r *access.Rules) { r.Reviewers = who })
	}
	oneParty := with(func(r *access.Rules) {
		r.Settings.OneParty = true
		r.Reviewers = []string{"alice@example.com", "erin@example.com"}
	})
	twoParty := with(func(r *access.Rules) { r.Reviewers = oneParty.Reviewers })
	known := func(k access.Known) *access.Rules {
		return with(func(r *access.Rules) {
			r.People = []access.Known{k}
			r.Reviewers = []string{k.Email, "bob@example.com"}
		})
	}
	approve := access.Approve{Request: id, For: time.Hour}
	for _, c := range []struct {
		name         string
		today, filed *access.Rules
		by           access.Person
		do           access.Action
		want         string
	}{
		{"a reviewer then and now", rules(), rules(), bob, approve, "ok"},
		{"an address of another domain", rules(), rules(), carol, approve, "ok"},
		{"added while it waits", rules(), only("carol@partner.example"), bob, approve, "reviewer_after_filing"},
		{"removed while it waits", only("carol@partner.example"), rules(), bob, approve, "no_longer_reviewer"},
		{"nobody reviews", only(), only(), bob, approve, "not_a_reviewer"},
		{"the filing's rules are lost", rules(), nil, bob, approve, "no_config"},
		{"case of the address", only("Bob@Example.COM"), rules(), bob, approve, "ok"},
		{"plus-address of a reviewer", rules(), rules(), access.Person{Email: "bob+x@example.com", Slack: "UBOB2"}, approve, "ok"},
		{"requestor who reviews", twoParty, twoParty, alice, approve, "own_request"},
		{"principal who reviews", twoParty, twoParty, erin, approve, "own_access"},
		{"requestor by plus-address", twoParty, twoParty, access.Person{Email: "Alice+2@example.com", Slack: "UOTHER"}, approve, "own_request"},
		{"one party then and now", oneParty, oneParty, alice, approve, "ok"},
		{"one party only since", oneParty, twoParty, alice, approve, "own_request"},
		{"one party no longer", twoParty, oneParty, erin, approve, "own_access"},
		{"one party makes nobody a reviewer", oneParty, oneParty, dan, approve, "not_a_reviewer"},
		{"an alias of the principal", known(access.Known{Email: "erin@example.com", Aliases: []string{"er@example.com"}}), known(access.Known{Email: "erin@example.com", Aliases: []string{"er@example.com"}}),
			access.Person{Email: "er@example.com", Slack: "UOTHER"}, approve, "own_access"},
		{"another Slack account of the requestor", known(access.Known{Email: "alice@example.com", Slack: []string{"UALICE", "UALICE2"}}), known(access.Known{Email: "alice@example.com", Slack: []string{"UALICE", "UALICE2"}}),
			access.Person{Email: "somebody@example.com", Slack: "UALICE2"}, approve, "own_request"},
		{"no expiry chosen", rules(), rules(), bob, access.Approve{Request: id}, "no_expiry_chosen"},
		{"longer than the resource allows", rules(), rules(), bob, access.Approve{Request: id, For: 9 * time.Hour}, "too_long"},
		{"narrowed meanwhile", with(func(r *access.Rules) { r.Settings.MaxDuration = time.Minute }), rules(), bob, approve, "too_long"},
		{"widened meanwhile", rules(), with(func(r *access.Rules) { r.Resources[0].MaxDuration = time.Minute }), bob, approve, "too_long"},
		{"target changed", with(func(r *access.Rules) { r.Resources[0].Target.With = map[string]any{"key": "root"} }), rules(), bob, approve, "target_changed"},
		{"resource gone", with(func(r *access.Rules) { r.Resources = nil }), rules(), bob, approve, "no_such_resource"},
		{"resource gone, denied all the same", with(func(r *access.Rules) { r.Resources = nil }), rules(), bob, access.Deny{Request: id}, "ok"},
		{"a message that the log does not know", rules(), rules(), bob, access.Approve{Request: id, For: time.Hour, Where: access.Place{Channel: "C1", TS: "1.2"}}, "unknown_message"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := code(t, c.today, c.filed, c.by, c.do); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestFiling(t *testing.T) {
	ticket := with(func(r *access.Rules) { r.Settings.RequireTicket = regexp.MustCompile(`^(?:[A-Z]+-[0-9]+)$`) })
	reason := with(func(r *access.Rules) { r.Settings.RequireReason = true })
	duration := with(func(r *access.Rules) { r.Settings.RequireDuration = true })
	guest := access.Actor{Person: dan, Barred: "Guests cannot ask."}
	for _, c := range []struct {
		name  string
		rules *access.Rules
		by    access.Actor
		do    access.File
		want  string
	}{
		{"plain", rules(), access.Actor{Person: alice}, access.File{Resource: "admins"}, "ok"},
		{"by a guest", rules(), guest, access.File{Resource: "admins"}, "account_barred"},
		{"for a guest", rules(), access.Actor{Person: alice}, access.File{Resource: "admins", Principal: guest}, "bad_principal"},
		{"without an address", rules(), access.Actor{Person: access.Person{Slack: "U1"}}, access.File{Resource: "admins"}, "account_barred"},
		{"unknown resource", rules(), access.Actor{Person: alice}, access.File{Resource: "root"}, "no_such_resource"},
		{"too long", rules(), access.Actor{Person: alice}, access.File{Resource: "admins", Duration: 9 * time.Hour}, "too_long"},
		{"negative", rules(), access.Actor{Person: alice}, access.File{Resource: "admins", Duration: -time.Hour}, "bad_duration"},
		{"no reason", reason, access.Actor{Person: alice}, access.File{Resource: "admins", Reason: " \u202e\n"}, "reason_required"},
		{"a reason", reason, access.Actor{Person: alice}, access.File{Resource: "admins", Reason: "x"}, "ok"},
		{"no duration", duration, access.Actor{Person: alice}, access.File{Resource: "admins"}, "duration_required"},
		{"no ticket", ticket, access.Actor{Person: alice}, access.File{Resource: "admins"}, "ticket_required"},
		{"a ticket inside other text", ticket, access.Actor{Person: alice}, access.File{Resource: "admins", Ticket: "see ABC-1"}, "ticket_required"},
		{"a ticket", ticket, access.Actor{Person: alice}, access.File{Resource: "admins", Ticket: "ABC-1"}, "ok"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := access.Facts{Now: t0, New: id, Actor: c.by, Rules: c.rules, Filed: c.rules}
			_, err := access.Decide(f, access.Request{}, c.do)
			got := "ok"
			if r, ok := access.AsRefusal(err); ok {
				got = string(r.Code)
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		name  string
		asked time.Duration
		rules *access.Rules
		want  []string
	}{
		{"presets within the limit", 0, rules(), []string{"5m", "1h"}},
		{"a duration that is no preset", 2 * time.Hour, rules(), []string{"5m", "1h", "2h"}},
		{"a duration that is a preset", time.Hour, rules(), []string{"5m", "1h"}},
		{"more than the limit", 9 * time.Hour, rules(), []string{"5m", "1h"}},
		{"no preset fits", 0, with(func(r *access.Rules) { r.Resources[0].MaxDuration = time.Minute }), []string{"1m"}},
		{"no preset fits, a duration does", 30 * time.Second, with(func(r *access.Rules) { r.Resources[0].MaxDuration = time.Minute }), []string{"30s", "1m"}},
		{"resource gone", 0, with(func(r *access.Rules) { r.Resources = nil }), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, d := range access.Options(access.Request{Resource: "admins", Duration: c.asked}, c.rules, rules()) {
				got = append(got, access.FormatDuration(d))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExtensionHasRoom(t *testing.T) {
	s := reach(t, "live") // an hour from 09:01, limit 8 h
	if err := s.try(erin, access.Extend{Request: id, By: 8 * time.Hour}); err == nil {
		t.Error("an extension past now + limit was taken")
	}
	end := s.r.Expires()
	s.must(erin, access.Extend{Request: id, By: 2 * time.Hour})
	s.must(bob, access.ApproveExtension{Request: id, Round: 1})
	if got, want := s.r.Expires(), end.Add(2*time.Hour); !got.Equal(want) {
		t.Errorf("extended to %s, want %s", got, want)
	}
	if err := s.try(bob, access.ApproveExtension{Request: id, Round: 1}); err == nil {
		t.Error("the same extension was given twice")
	}
}

func TestExtensionLapses(t *testing.T) {
	s := reach(t, "extending")
	s.now = s.r.Expires()
	s.must(nobody, access.Expire{Request: id})
	if s.r.Extension != nil {
		t.Error("an extension outlived its access")
	}
}

func TestDue(t *testing.T) {
	for _, c := range []struct {
		state string
		after time.Duration
		want  access.Effect
	}{
		{"pending", 0, access.Nothing},
		{"pending", 15 * time.Minute, access.DoRemind},
		{"pending", 14 * 24 * time.Hour, access.DoTimeOut},
		{"approved", 0, access.DoGrant},
		{"approved", 2 * time.Hour, access.DoRevoke}, // the provider may have acted
		{"intended", 0, access.DoGrant},
		{"intended", 2 * time.Hour, access.DoRevoke},
		{"live", 0, access.Nothing},
		{"live", 2 * time.Hour, access.DoRevoke},
		{"ending", 0, access.DoRevoke},
		{"expired", 24 * time.Hour, access.Nothing},
		{"denied", 24 * time.Hour, access.Nothing},
	} {
		s := reach(t, c.state)
		if got := access.Due(s.r, s.rules, s.now.Add(c.after)); got != c.want {
			t.Errorf("%s after %s: got %q, want %q", c.state, c.after, got, c.want)
		}
	}
}

func TestRemindersBackOff(t *testing.T) {
	s := begin(t)
	var at []string
	for s.r.Status == access.Pending && len(at) < 6 {
		s.now = access.Next(s.r, s.rules)
		at = append(at, access.FormatDuration(s.now.Sub(s.r.FiledAt)))
		s.must(nobody, access.Remind{Request: id})
	}
	want := []string{"15m", "1h", "3h", "7h", "15h", "1d7h"}
	if diff := cmp.Diff(want, at); diff != "" {
		t.Error(diff)
	}
}

// TestRemindersAfterAnOutage: what fell due while the bot was away is one reminder,
// and the next comes after the distance that was meant.
func TestRemindersAfterAnOutage(t *testing.T) {
	s := begin(t)
	s.rules.Settings.Reminders = []time.Duration{15 * time.Minute, time.Hour, 4 * time.Hour}
	s.now = s.r.FiledAt.Add(30 * time.Hour)
	var at []string
	for len(at) < 5 {
		if access.Due(s.r, s.rules, s.now) == access.DoRemind {
			at = append(at, access.FormatDuration(s.now.Sub(s.r.FiledAt)))
			s.must(nobody, access.Remind{Request: id})
		}
		s.now = s.now.Add(time.Minute)
	}
	want := []string{"1d6h", "1d6h45m", "1d9h45m", "1d17h45m", "2d9h45m"}
	if diff := cmp.Diff(want, at); diff != "" {
		t.Error(diff)
	}
}

func TestCanonical(t *testing.T) {
	r := with(func(r *access.Rules) {
		r.People = []access.Known{{Email: "Alice@example.com", Aliases: []string{"al@example.com"}, Slack: []string{"U2"}}}
	})
	for in, want := range map[string]string{
		"alice@example.com": "alice@example.com", " ALICE@Example.com ": "alice@example.com",
		"alice+admin@example.com": "alice@example.com", "AL+x@example.com": "alice@example.com",
		"bob@example.com": "bob@example.com", "+x@example.com": "+x@example.com", "": "",
		"boo\u212a@example.com": "boo\u212a@example.com", // the Kelvin sign is no k
	} {
		if got := r.Canonical(in); got != want {
			t.Errorf("Canonical(%q) = %q, want %q", in, got, want)
		}
	}
	if !r.Same(access.Person{Slack: "U2", Email: "x@example.com"}, access.Person{Email: "al@example.com"}) {
		t.Error("a person's other Slack account is taken for somebody else")
	}
	if r.Same(access.Person{}, access.Person{}) {
		t.Error("two unknown people are taken for one")
	}
}

// A text that is cut where a secret then seems to end is decided anew with the
// same result: otherwise anybody could make a good log look forged.
func TestCleanTwice(t *testing.T) {
	in := strings.Repeat("x ", 8) + "AKIA" + strings.Repeat("A", 40)
	once := access.Clean(in, 16+4+16+1)
	if twice := access.Clean(once, 16+4+16+1); twice != once {
		t.Errorf("cleaned once %q, twice %q", once, twice)
	}
}

func TestRedact(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"token xoxb-123456789012-abcdef ok", "token [redacted Slack token] ok"},
		{"ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted GitHub token]"},
		{"github_pat_11ABCDEFG0abcdefghijkl_mnop", "[redacted GitHub token]"},
		{"AKIAIOSFODNN7EXAMPLE", "[redacted AWS key]"},
		{"postgres://app:hunter2secret@db/x", "postgres://app:[redacted URL credentials]@db/x"},
		{"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF", "[redacted JWT]"},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\nafter", "[redacted private key]\nafter"},
		{"-----BEGIN RSA PRIVATE KEY-----\ncut off", "[redacted private key]"},
		{"password: correct-horse", "password: [redacted password]"},
		{"please approve, ticket ABC-1", "please approve, ticket ABC-1"},
	} {
		got, kinds := access.Redact(c.in)
		if got != c.want {
			t.Errorf("Redact(%q) = %q, want %q", c.in, got, c.want)
		}
		if (len(kinds) > 0) != (c.in != c.want) {
			t.Errorf("Redact(%q) names kinds %v", c.in, kinds)
		}
	}
}

func TestSecretsNeverReachTheRecord(t *testing.T) {
	const token = "xoxb-123456789012-abcdef"
	s := begin(t)
	s.must(alice, access.Say{Request: id, TS: "1", Text: "it is " + token})
	s.must(alice, access.EditMessage{Request: id, TS: "1", Text: "now " + token})
	s.must(nobody, access.DeleteMessage{Request: id, TS: "1"})
	s.must(bob, access.Deny{Request: id, Reason: token})
	for _, e := range s.log {
		if text := strings.Join([]string{s.r.End.Reason, cmp.Diff(nil, e.Body)}, " "); strings.Contains(text, token) {
			t.Errorf("%s holds the secret", e.Body.Kind())
		}
	}
}

func TestDurations(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"30m": 30 * time.Minute, "1h30m": 90 * time.Minute, "2d": 48 * time.Hour, "1w2d": 9 * 24 * time.Hour, "90s": 90 * time.Second, "1H": time.Hour,
	} {
		got, err := access.ParseDuration(in)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %s, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "1", "h", "1x", "-1h", "1.5h", "0m", "1m1h", "1h1h", "99999999999h", "999999w", "1 h"} {
		if got, err := access.ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %s, want an error", in, got)
		}
	}
}

// TestNoticesAreToldOnce: what was posted is not owed again.
func TestNoticesAreToldOnce(t *testing.T) {
	for _, st := range states {
		s := reach(t, st.name)
		for i, n := range access.Owed(s.r, s.now) {
			s.must(nobody, access.Notify{Request: id, Post: access.Post{Notice: n.Name, To: n.To, Channel: "D", TS: string(rune('a' + i))}})
		}
		if owed := access.Owed(s.r, s.now); len(owed) > 0 {
			t.Errorf("%s: still owed after everything was posted: %v", st.name, owed)
		}
	}
}

// TestIndex: rules that were indexed find the same people as those that were not.
func TestIndex(t *testing.T) {
	slow := with(func(r *access.Rules) {
		r.People = []access.Known{
			{Email: "Alice@example.com", Aliases: []string{"al@example.com", "bob@example.com"}, Slack: []string{"U2"}, GitHub: "alice-gh", Manager: "carol@partner.example"},
			{Email: "bob@example.com", Aliases: []string{"al@example.com"}, Slack: []string{"U2", "U3"}, Manager: "bob@example.com"},
		}
	})
	fast := *slow
	fast.Index()
	for _, p := range []access.Person{
		{}, {Email: "alice@example.com"}, {Email: "AL+x@example.com"}, {Email: "bob@example.com"}, {Slack: "U2"}, {Slack: "U3"},
		{Slack: "U4", Email: "bob@example.com"}, {Email: "slack U2"}, {Email: "nobody@example.com"},
	} {
		if got, want := fast.Who(p), slow.Who(p); got != want {
			t.Errorf("%v is %q, want %q", p, got, want)
		}
		if got, want := fast.Account(p), slow.Account(p); got != want {
			t.Errorf("%v has %v, want %v", p, got, want)
		}
		if got, want := fast.Manager(p), slow.Manager(p); got != want {
			t.Errorf("the manager of %v is %q, want %q", p, got, want)
		}
	}
}

func BenchmarkSame(b *testing.B) {
	var people []access.Known
	for i := range 2000 {
		people = append(people, access.Known{Email: fmt.Sprintf("person%d@example.com", i), Slack: []string{fmt.Sprintf("U%d", i)}})
	}
	for name, indexed := range map[string]bool{"indexed": true, "searched": false} {
		b.Run(name, func(b *testing.B) {
			r := with(func(r *access.Rules) { r.People = people })
			if indexed {
				r.Index()
			}
			for b.Loop() {
				r.Same(access.Person{Email: "person1999@example.com"}, access.Person{Slack: "U1000"})
			}
		})
	}
}
