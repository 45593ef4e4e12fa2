package slackapp_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/slackapp"
	"countersign/bot/slacksim"
)

// emergency: people of eng may take payments for two hours at most, by themselves.
func emergency() access.Policy {
	p := quorum()
	p.Name, p.Terms = "emergency", access.Terms{BreakGlass: true, MaxDuration: 2 * time.Hour}
	return p
}

// theGlass is a request that was taken by breaking glass, and its message.
func (s *stage) theGlass(why string) (access.Request, slacksim.Message) {
	s.Helper()
	v := s.takeForm("github/payments-admins")
	s.submit("alice", v, map[string]map[string]any{"glass": {"glass": []any{"yes"}}, "reason": {"reason": why}})
	v = s.confirmation()
	before := len(s.book.Requests())
	s.submit("alice", v, nil)
	s.eventually("the glass to be broken", func() bool { return len(s.book.Requests()) > before })
	r := s.book.Requests()[0]
	return r, s.shows(r.ID, "Taken without approval")
}

// takeForm opens the form and chooses a resource in which break-glass is offered.
func (s *stage) takeForm(resource string) slacksim.View {
	s.Helper()
	v := s.chooses("alice", resource)
	s.eventually("break-glass to be offered", func() bool { return s.modal("alice").Element("glass") != nil })
	return v
}

// chooses opens the form and chooses a resource.
func (s *stage) chooses(who, resource string) slacksim.View {
	s.Helper()
	if err := s.slack.As(who).Shortcut("request_access"); err != nil {
		s.Fatal(err)
	}
	v := s.modal(who)
	s.eventually(resource+" to be offered", func() bool { return strings.Contains(fmt.Sprint(s.offers(who, v.ID(), "")), resource) })
	if err := s.slack.As(who).Select(slacksim.InView(v.ID()), "resource", "resource", resource); err != nil {
		s.Fatal(err)
	}
	return v
}

func (s *stage) submit(who string, v slacksim.View, values map[string]map[string]any) {
	s.Helper()
	if problems, err := s.slack.As(who).Submit(v.ID(), values); err != nil || problems != nil {
		s.Fatalf("%s submits %s: %q, %v", who, v.CallbackID(), problems, err)
	}
}

// confirmation waits for what is pushed above the form.
func (s *stage) confirmation() slacksim.View {
	s.Helper()
	var v slacksim.View
	s.eventually("the confirmation", func() bool {
		v = s.modal("alice")
		return v.CallbackID() == "break_glass"
	})
	return v
}

// optional reports whether the reason may be left out in a form.
func optional(v slacksim.View) bool {
	for _, b := range v["blocks"].([]any) {
		if block := b.(map[string]any); block["block_id"] == "reason" {
			return block["optional"] == true
		}
	}
	return false
}

func TestBreakGlassInTheForm(t *testing.T) {
	s := start(t, under(emergency()))
	v := s.takeForm("github/payments-admins")
	if text := textOf(s.modal("alice")); !strings.Contains(text, "Take it now without approval.") || !strings.Contains(text, "it must be reviewed afterwards") {
		t.Errorf("the form is %s", text)
	}
	if !optional(s.modal("alice")) {
		t.Error("a reason is demanded though nobody breaks glass")
	}
	in := slacksim.InView(v.ID())
	if err := s.slack.As("alice").Select(in, "glass", "glass", []any{"yes"}); err != nil {
		t.Fatal(err)
	}
	s.eventually("the reason to be demanded", func() bool { return !optional(s.modal("alice")) })
	problems, err := s.slack.As("alice").Submit(v.ID(), map[string]map[string]any{"reason": {"reason": " \n"}})
	if err != nil || !strings.Contains(problems["reason"], "breaking glass needs a reason") {
		t.Errorf("without a reason: %q, %v", problems, err)
	}
	problems, err = s.slack.As("alice").Submit(v.ID(), map[string]map[string]any{"reason": {"reason": "site down"}, "duration": {"duration": "3h"}})
	if err != nil || !strings.Contains(problems["duration"], "at most 2 hours") {
		t.Errorf("too long: %q, %v", problems, err)
	}
	s.submit("alice", v, map[string]map[string]any{"reason": {"reason": "site <!here> down"}, "duration": {"duration": "30m"}})
	v = s.confirmation()
	if text := textOf(v); !strings.Contains(text, "You take *Payments admins* (`github/payments-admins`) now for 30 minutes, without approval") || !strings.Contains(text, "site <!here> down") {
		t.Errorf("the confirmation is %s", text)
	}
	if n := len(s.book.Requests()); n != 0 {
		t.Fatalf("%d requests before the confirmation", n)
	}
	problems, err = s.slack.As("alice").Submit(v.ID(), map[string]map[string]any{"reason": {"reason": " "}})
	if err != nil || !strings.Contains(problems["reason"], "needs a reason") {
		t.Errorf("confirmed without a reason: %q, %v", problems, err)
	}
	s.submit("alice", v, map[string]map[string]any{"reason": {"reason": "site <!here> down"}})
	s.eventually("the filing", func() bool { return len(s.book.Requests()) == 1 })
	if views := s.slack.As("alice").Modals(); len(views) != 0 {
		t.Errorf("%d forms are left", len(views))
	}
	r := s.book.Requests()[0]
	if got := r.Expires().Sub(r.Decision.At); r.Decision.Source != access.ByBreakGlass || got != 30*time.Minute || !r.ToReview() {
		t.Errorf("taken as %s for %s, to be reviewed: %t", r.Decision.Source, got, r.ToReview())
	}
	s.announced(r, "site <!here> down")
	s.written("alice", "Your access to", "taken without approval by <@U0ALICE>", "Waits for a review")
	s.noFindings()
}

// announced waits until all who may review were told, everywhere.
func (s *stage) announced(r access.Request, why string) {
	s.Helper()
	m := s.shows(r.ID, "<@U0ALICE> broke glass for access to Payments admins", "🔨 *Taken without approval* by <@U0ALICE>", why,
		"Waits for a review", "<@U0BOB> <@U0CAROL> <@U0DAN>: please look at what was done")
	for _, who := range []string{"bob", "carol", "dan"} {
		dm := s.written(who, r.ID, "🔨 *<@U0ALICE> broke glass for access to Payments admins*, without approval", "It lasts until <!date^", "Reason: "+why, "Waits for a review")
		if link := fmt.Sprint(dm.Element("open")["url"]); !dm.HasAction("review") || !strings.Contains(link, m.TS[:10]) {
			s.Errorf("%s was written %s", who, textOf(dm.Blocks))
		}
	}
	s.eventually("all to be called in the thread", func() bool {
		for _, x := range s.slack.As("dan").Thread(channel, m.TS)[1:] {
			if holds(x, "<@U0BOB> <@U0CAROL> <@U0DAN>: please look", "broke glass", "It lasts until", "Reason: "+why) {
				return true
			}
		}
		return false
	})
	for _, gone := range []string{"approve", "deny", "cancel", "expiry"} {
		if m.HasAction(gone) {
			s.Errorf("%s stands on the message", gone)
		}
	}
	if !m.HasAction("review") || !m.HasAction("revoke") {
		s.Errorf("the message offers %s", textOf(m.Blocks))
	}
	if dms := s.slack.As("erin").DMs(); len(dms) != 0 {
		s.Errorf("erin was written %s", textOf(dms))
	}
}

// TestBreakGlassNotOffered: to nobody else, for nobody else, and not for what no
// policy lets be taken so.
func TestBreakGlassNotOffered(t *testing.T) {
	all := access.Policy{Name: "all", Requestor: anyone, Resource: access.Which{Type: "any"}, Approval: []access.Way{group(1, "sre")}}
	s := start(t, under(emergency(), all))
	v := s.takeForm("github/payments-admins")
	in := slacksim.InView(v.ID())
	gone := func(why string) {
		t.Helper()
		s.eventually("break-glass not to be offered "+why, func() bool { return s.modal("alice").Element("glass") == nil })
	}
	if err := s.slack.As("alice").Select(in, "for", "for", "U0ERIN"); err != nil {
		t.Fatal(err)
	}
	gone("for erin")
	if err := s.slack.As("alice").Select(in, "for", "for", "U0ALICE"); err != nil {
		t.Fatal(err)
	}
	s.eventually("break-glass to be offered again", func() bool { return s.modal("alice").Element("glass") != nil })
	if err := s.slack.As("alice").Select(in, "resource", "resource", "db/orders"); err != nil {
		t.Fatal(err)
	}
	gone("for db/orders")
	s.chooses("dan", "github/payments-admins")
	s.eventually("dan's form to know the resource", func() bool { return strings.Contains(textOf(s.modal("dan")), "At most 8 hours") })
	if s.modal("dan").Element("glass") != nil {
		t.Error("break-glass is offered to dan")
	}
	r, _ := s.filed("dan", "github/payments-admins 1h why")
	if dm := s.written("dan", "is filed"); dm.HasAction("break_glass") {
		t.Errorf("dan is offered break-glass for %s", r.ID)
	}
	s.noFindings()
}

// mine waits for the direct message about a request that is filed.
func (s *stage) mine(r access.Request) (access.Post, slacksim.Message) {
	s.Helper()
	p := s.posted(r.ID, access.NoticeFiled, r.Requestor)
	return p, s.written(strings.TrimSuffix(r.Requestor.Email, "@example.com"), r.ID, "Your request for")
}

func TestBreakGlassOfMyRequest(t *testing.T) {
	s := start(t, under(emergency()))
	r, m := s.filed("alice", "github/payments-admins 1h refunds")
	p, dm := s.mine(r)
	if b := dm.Element("break_glass"); b["style"] != "danger" {
		t.Fatalf("Break glass is %v", b)
	}
	s.invitation("bob", r.ID, "waits for approval")
	s.clickIn("alice", p.Channel, dm, "break_glass")
	v := s.modal("alice")
	if text := textOf(v); !strings.Contains(text, "now for 1 hour, without approval") || !strings.Contains(text, `"initial_value":"refunds"`) {
		t.Errorf("the form is %s", text)
	}
	if got := s.request(r.ID).Status; got != access.Pending {
		t.Fatalf("a click alone makes it %s", got)
	}
	s.submit("alice", v, map[string]map[string]any{"reason": {"reason": "now the site is down"}})
	s.status(r.ID, access.Approved)
	s.announced(r, "now the site is down")
	s.shows(r.ID, "Reason for breaking glass: now the site is down")
	for _, x := range s.slack.As("bob").DMs() {
		if !holds(x, "broke glass") {
			t.Errorf("bob still reads %s", textOf(x.Blocks))
		}
	}
	s.eventually("no Break glass to be left", func() bool {
		for _, x := range s.slack.As("alice").DMs() {
			if x.HasAction("break_glass") || x.HasAction("cancel") {
				return false
			}
		}
		return true
	})
	s.click("bob", m, "review")
	s.submit("bob", s.modal("bob"), map[string]map[string]any{"reason": {"reason": "fine"}})
	s.shows(r.ID, "*Reviewed* by <@U0BOB>", "Review: fine")
	s.noFindings()
}

// TestBreakGlassNeedsAReason: a request without one, whose requestor gives none.
func TestBreakGlassNeedsAReason(t *testing.T) {
	s := start(t, under(emergency()))
	r, _ := s.filed("alice", "github/payments-admins 1h")
	p, dm := s.mine(r)
	s.clickIn("alice", p.Channel, dm, "break_glass")
	problems, err := s.slack.As("alice").Submit(s.modal("alice").ID(), map[string]map[string]any{"reason": {"reason": " "}})
	if err != nil || !strings.Contains(problems["reason"], "breaking glass needs a reason") {
		t.Errorf("problems %q, %v", problems, err)
	}
	if got := s.request(r.ID).Status; got != access.Pending {
		t.Errorf("it is %s", got)
	}
	s.noFindings()
}

// TestApprovedBeforeTheGlass: the button goes with the approval, and a form that is
// still open takes nothing.
func TestApprovedBeforeTheGlass(t *testing.T) {
	one := emergency()
	one.Approval = []access.Way{group(1, "sre")}
	s := start(t, under(one))
	r, m := s.filed("alice", "github/payments-admins 1h why")
	p, dm := s.mine(r)
	s.clickIn("alice", p.Channel, dm, "break_glass")
	v := s.modal("alice")
	s.click("bob", m, "approve")
	s.status(r.ID, access.Approved)
	s.eventually("Break glass to go", func() bool {
		_, now := s.mine(r)
		return !now.HasAction("break_glass")
	})
	s.submit("alice", v, nil)
	s.refusedIn(p, "<@U0BOB> has already approved this request")
	if got := s.request(r.ID); got.Review != nil || got.Decision.Source != access.ByGroup {
		t.Errorf("approved as %s, review %v", got.Decision.Source, got.Review)
	}
	if m := s.message(r.ID); m.HasAction("review") {
		t.Error("a review is offered of what was approved")
	}
	s.noFindings()
}

// TestReview by those who may, in each of the places where it is offered.
func TestReview(t *testing.T) {
	for name, press := range map[string]func(*stage, access.Request, slacksim.Message) (who, found string){
		"in the channel": func(s *stage, _ access.Request, m slacksim.Message) (string, string) {
			s.click("dan", m, "review")
			s.submit("dan", s.modal("dan"), map[string]map[string]any{"reason": {"reason": "all <!here> fine"}})
			return "U0DAN", "all <!here> fine"
		},
		"in the direct message": func(s *stage, r access.Request, _ slacksim.Message) (string, string) {
			p := s.posted(r.ID, "broke_glass", bob.Person)
			s.clickIn("bob", p.Channel, s.written("bob", r.ID, "broke glass"), "review")
			s.submit("bob", s.modal("bob"), map[string]map[string]any{"reason": {"reason": "looked at it"}})
			return "U0BOB", "looked at it"
		},
		"in the Home tab": func(s *stage, _ access.Request, _ slacksim.Message) (string, string) {
			carol := s.slack.As("carol")
			if err := carol.OpenHome(); err != nil {
				s.Fatal(err)
			}
			s.eventually("it to wait for carol", func() bool {
				return strings.Contains(textOf(carol.Home()), "Waiting for your review") && carol.Home().Element("review") != nil
			})
			if err := carol.Click(slacksim.InView(carol.Home().ID()), "", "review"); err != nil {
				s.Fatal(err)
			}
			s.submit("carol", s.modal("carol"), map[string]map[string]any{"reason": {"reason": "from Home"}})
			s.eventually("it to wait no more", func() bool { return carol.Home().Element("review") == nil })
			return "U0CAROL", "from Home"
		},
		"by command": func(s *stage, r access.Request, _ slacksim.Message) (string, string) {
			s.command("dan", "/access pending")
			s.told("dan", "which waits for a review", r.ID)
			s.command("dan", "/access review "+r.ID+" typed & sent")
			s.told("dan", "Done:", "is reviewed")
			return "U0DAN", "typed & sent"
		},
		"by command, with the form": func(s *stage, r access.Request, _ slacksim.Message) (string, string) {
			s.command("dan", "/access review "+r.ID)
			s.submit("dan", s.modal("dan"), map[string]map[string]any{"reason": {"reason": "in the form"}})
			return "U0DAN", "in the form"
		},
		"after the end": func(s *stage, r access.Request, _ slacksim.Message) (string, string) {
			s.book.must(s.TB.(*testing.T), access.Fail{Request: r.ID, Error: "no account at the provider", Final: true})
			m := s.shows(r.ID, "Failed", "Waits for a review")
			if m.HasAction("revoke") {
				s.Error("Revoke stands on what has ended")
			}
			s.click("bob", m, "review")
			s.submit("bob", s.modal("bob"), map[string]map[string]any{"reason": {"reason": "nothing was done"}})
			return "U0BOB", "nothing was done"
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, under(emergency()))
			r, m := s.theGlass("site down")
			s.announcedTo(r, "bob", "carol", "dan")
			who, found := press(s, r, m)
			s.eventually("the review", func() bool { return !s.request(r.ID).ToReview() })
			if v := s.request(r.ID).Review; v.By.Slack != who || v.Text != found {
				t.Errorf("reviewed by %s: %q, want %s: %q", v.By.Slack, v.Text, who, found)
			}
			s.over(r, who, found)
			s.noFindings()
		})
	}
}

func (s *stage) announcedTo(r access.Request, people ...string) {
	s.Helper()
	for _, who := range people {
		s.written(who, r.ID, "broke glass")
	}
	s.posted(r.ID, "broke_glass", access.Person{})
}

// over waits until every message shows the review, and none offers one.
func (s *stage) over(r access.Request, by, found string) {
	s.Helper()
	line := "*Reviewed* by <@" + by + "> <!date^"
	m := s.shows(r.ID, line, "Review: "+found)
	if m.HasAction("review") || holds(m, "Waits for a review") {
		s.Errorf("the message is %s", textOf(m.Blocks))
	}
	s.written("alice", r.ID, "by breaking glass was reviewed by <@"+by+">", "Review: "+found)
	for _, who := range []string{"alice", "bob", "carol", "dan"} {
		s.eventually("all direct messages of "+who+" to show the review", func() bool {
			for _, x := range s.slack.As(who).DMs() {
				if x.HasAction("review") || !holds(x, line) && !holds(x, "was reviewed by <@"+by+">") {
					return false
				}
			}
			return len(s.slack.As(who).DMs()) > 0
		})
	}
	s.eventually("the call in the thread to show it", func() bool {
		for _, x := range s.slack.As("dan").Thread(channel, m.TS)[1:] {
			if holds(x, line) && !holds(x, "please look") {
				return true
			}
		}
		return false
	})
	s.command("alice", "/access show "+r.ID)
	s.told("alice", line, "taken without approval by <@U0ALICE>", "<@"+by+"> reviewed it:")
}

func TestReviewRefused(t *testing.T) {
	s := start(t, under(emergency()))
	r, m := s.theGlass("site down")
	s.click("alice", m, "review")
	s.told("alice", "You cannot review your own use of break-glass")
	s.click("erin", m, "review")
	s.told("erin", "You are not among those who may review this")
	s.command("alice", "/access review "+r.ID+" all fine")
	s.eventually("both of alice's tries to be refused", func() bool {
		n := 0
		for _, x := range s.slack.As("alice").Ephemerals(channel) {
			if holds(x, "You cannot review your own use") {
				n++
			}
		}
		return n == 2
	})
	s.command("erin", "/access help")
	s.told("erin", "`/access review ID [what you found]`")
	if !s.request(r.ID).ToReview() {
		t.Fatal("reviewed by who may not")
	}
	s.click("dan", m, "review")
	v := s.modal("dan")
	problems, err := s.slack.As("dan").Submit(v.ID(), map[string]map[string]any{"reason": {"reason": "  "}})
	if err != nil || !strings.Contains(problems["reason"], "what you found") {
		t.Errorf("without a word: %q, %v", problems, err)
	}
	s.command("bob", "/access review "+r.ID+" fine")
	s.eventually("the review", func() bool { return !s.request(r.ID).ToReview() })
	s.submit("dan", v, map[string]map[string]any{"reason": {"reason": "me too"}})
	s.told("dan", "<@U0BOB> has already reviewed this")
	if got := s.request(r.ID).Review; got.By != bob.Person || got.Text != "fine" {
		t.Errorf("reviewed %+v", got)
	}
	var codes []access.Code
	for _, x := range s.request(r.ID).Refusals {
		codes = append(codes, x.Code)
	}
	if got, want := fmt.Sprint(codes), "[own_request not_an_approver already_decided]"; got != want {
		t.Errorf("recorded refusals %s, want %s", got, want)
	}
	s.noFindings()
}

// TestOnceUntilReviewed: until the review neither the form nor a request that waits
// offers break-glass, and both say why; after it they do.
func TestOnceUntilReviewed(t *testing.T) {
	s := start(t, under(emergency()))
	waits, _ := s.filed("alice", "github/payments-admins 1h why")
	if _, dm := s.mine(waits); !dm.HasAction("break_glass") {
		t.Fatal("break-glass is not offered")
	}
	r, _ := s.theGlass("site down")
	why := "Your last use of break-glass (`" + r.ID + "`) must be reviewed first."
	if dm := s.written("alice", waits.ID, "is filed", why); dm.HasAction("break_glass") {
		t.Error("Break glass stands on the request that waits")
	}
	v := s.chooses("alice", "github/payments-admins")
	s.eventually("the form to say why", func() bool { return strings.Contains(textOf(s.modal("alice")), why) })
	if s.modal("alice").Element("glass") != nil {
		t.Error("break-glass is offered before the review")
	}
	if err := s.slack.As("alice").CloseView(v.ID()); err != nil {
		t.Fatal(err)
	}
	s.command("bob", "/access review "+r.ID+" fine")
	s.eventually("Break glass to be offered again", func() bool {
		_, dm := s.mine(waits)
		return dm.HasAction("break_glass") && !holds(dm, "must be reviewed first")
	})
	s.noFindings()
}

// TestConfirmedTooLate: a confirmation that stands open while glass is broken
// elsewhere takes nothing, and says why.
func TestConfirmedTooLate(t *testing.T) {
	s := start(t, under(emergency()))
	take := func(delivery string) access.Request {
		t.Helper()
		r, err := s.book.handle(t.Context(), access.Command{ID: delivery, Actor: alice, Do: access.File{Resource: "github/payments-admins", Reason: "x", BreakGlass: true}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	waits, _ := s.filed("alice", "github/payments-admins 1h why")
	p, dm := s.mine(waits)
	s.submit("alice", s.takeForm("github/payments-admins"), map[string]map[string]any{"glass": {"glass": []any{"yes"}}, "reason": {"reason": "why"}})
	v := s.confirmation()
	r := take("elsewhere")
	problems, err := s.slack.As("alice").Submit(v.ID(), nil)
	if want := "Your last use of break-glass (" + r.ID + ") must be reviewed first."; err != nil || problems["reason"] != want {
		t.Errorf("problems %q, %v; want %q", problems, err, want)
	}
	if err := s.slack.As("alice").ClearViews(v.ID()); err != nil {
		t.Fatal(err)
	}
	s.command("bob", "/access review "+r.ID+" fine")
	s.eventually("the review", func() bool { return !s.request(r.ID).ToReview() })
	s.eventually("Break glass to be offered again", func() bool {
		_, dm = s.mine(waits)
		return dm.HasAction("break_glass")
	})
	s.clickIn("alice", p.Channel, dm, "break_glass")
	v = s.modal("alice")
	r = take("again")
	s.submit("alice", v, nil)
	s.refusedIn(p, "Your last use of break-glass (`"+r.ID+"`) must be reviewed first.")
	if got := s.request(waits.ID).Status; got != access.Pending {
		t.Errorf("it is %s", got)
	}
	s.noFindings()
}

// refusedIn waits until alice is told something beside her direct messages.
func (s *stage) refusedIn(p access.Post, words ...string) {
	s.Helper()
	s.eventually(fmt.Sprintf("alice to be told %q", words), func() bool {
		for _, x := range s.slack.As("alice").Ephemerals(p.Channel) {
			if holds(x, words...) {
				return true
			}
		}
		return false
	})
}

// TestGlassOnce: every delivery twice, and the app begun anew, take and review once,
// and tell everybody once.
func TestGlassOnce(t *testing.T) {
	s := start(t, under(emergency()), func(c *slacksim.Config, _ *book) { c.Chaos = slacksim.Chaos{Duplicate: true} })
	r, m := s.theGlass("site down")
	s.announcedTo(r, "bob", "carol", "dan")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.run()
	s.eventually("the app to be ready", func() bool { return s.app.Ready() == nil })
	s.click("bob", m, "review")
	s.submit("bob", s.modal("bob"), map[string]map[string]any{"reason": {"reason": "fine"}})
	s.eventually("the review", func() bool { return !s.request(r.ID).ToReview() })
	s.over(r, "U0BOB", "fine")
	if n := len(s.book.Requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
	for who, want := range map[string]int{"alice": 2, "bob": 1, "carol": 1, "dan": 1} {
		if got := s.slack.As(who).DMs(); len(got) != want {
			t.Errorf("%s has %d direct messages, want %d: %s", who, len(got), want, textOf(got))
		}
	}
	if got := len(s.slack.As("dan").Thread(channel, m.TS)); got != 2 {
		t.Errorf("%d messages in the thread", got)
	}
	if len(s.request(r.ID).Refusals) != 0 {
		t.Errorf("refusals %v", s.request(r.ID).Refusals)
	}
}

// TestOtherExaminers: whoever may review it by now is told, may see it, and is offered
// the review; who may not any more is offered none.
func TestOtherExaminers(t *testing.T) {
	s := start(t, under(emergency()))
	r, _ := s.theGlass("site down")
	s.announcedTo(r, "bob", "carol", "dan")
	s.book.mu.Lock()
	rules := *s.book.rules
	rules.Commit, rules.Auditors = "c0ffee2", nil
	rules.Groups = []access.Group{{Name: "eng", Members: []string{"alice@example.com"}}, {Name: "sre", Members: []string{"bob@example.com", "erin@example.com"}}}
	s.book.rules, s.book.old[rules.Commit] = &rules, &rules
	s.book.mu.Unlock()
	s.command("erin", "/access show "+r.ID)
	s.told("erin", "<@U0ALICE> broke glass for access to Payments admins", "Waits for a review")
	s.app.RulesChanged()
	if dm := s.written("dan", r.ID, "who may review it has changed"); dm.HasAction("review") {
		t.Error("dan is still offered the review")
	}
	s.written("erin", r.ID, "broke glass", "press *Review*")
	p := s.posted(r.ID, "broke_glass", erin.Person)
	s.clickIn("erin", p.Channel, s.written("erin", r.ID, "broke glass"), "review")
	s.submit("erin", s.modal("erin"), map[string]map[string]any{"reason": {"reason": "fine"}})
	s.shows(r.ID, "*Reviewed* by <@U0ERIN>")
	s.noFindings()
}

// TestReviewOwedSinceLong: after a restart, what was taken and never announced is
// announced, however long ago it ended.
func TestReviewOwedSinceLong(t *testing.T) {
	s := set(t, under(emergency()))
	then := time.Now().Add(-5 * time.Hour)
	f := access.Facts{Now: then, New: "01KLONGAGO", Actor: alice, Rules: s.book.rules, Filed: s.book.rules}
	for _, do := range []access.Action{
		access.File{Resource: "github/payments-admins", Reason: "site down", BreakGlass: true},
		access.Fail{Request: "01KLONGAGO", Error: "no account at the provider", Final: true},
	} {
		events, err := access.Decide(f, s.book.requests["01KLONGAGO"], do)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if s.book.requests["01KLONGAGO"], err = access.Apply(s.book.requests["01KLONGAGO"], e); err != nil {
				t.Fatal(err)
			}
		}
		f.Actor = access.Actor{}
	}
	s.book.order = []string{"01KLONGAGO"}
	if _, err := s.book.handle(t.Context(), access.Command{ID: "later", Actor: erin, Do: access.File{Resource: "github/payments-admins"}}); err != nil {
		t.Fatal(err)
	}
	s.run()
	m := s.shows("01KLONGAGO", "Waits for a review", "Failed")
	if !m.HasAction("review") {
		t.Error("no review is offered")
	}
	s.announcedTo(s.request("01KLONGAGO"), "bob", "carol", "dan")
	s.noFindings()
}

// TestGlassByMany: where those who may review are too many to be written to, they are
// called in the thread.
func TestGlassByMany(t *testing.T) {
	s := start(t, func(cfg *slacksim.Config, b *book) {
		policed(b, emergency())
		for i := range 30 {
			id, email := fmt.Sprintf("U0CROWD%02d", i), fmt.Sprintf("crowd%d@example.com", i)
			cfg.World.Users = append(cfg.World.Users, slacksim.User{ID: id, Name: fmt.Sprint("crowd", i), Email: email})
			b.rules.Groups[1].Members = append(b.rules.Groups[1].Members, email)
		}
	})
	r, m := s.theGlass("site down")
	s.eventually("them to be called in the thread", func() bool {
		for _, x := range s.slack.As("dan").Thread(channel, m.TS)[1:] {
			if holds(x, "<@U0BOB>", "<@U0CROWD29>", "please look") {
				return true
			}
		}
		return false
	})
	s.posted(r.ID, "broke_glass", access.Person{})
	if got := s.slack.As("bob").DMs(); len(got) != 0 {
		t.Errorf("bob was written %s", textOf(got))
	}
	s.noFindings()
}

// glassTales are a request under a policy that lets it be taken, in its states.
func glassTales(t *testing.T) map[string]*tale {
	evil := "Down, see <!channel> & *bold* <https://evil.example|here>"
	posted := access.Notify{Request: theID, Post: access.Post{
		Notice: access.NoticeApproval, Channel: channel, TS: "1774690200.000100", Permalink: "https://acme.slack.com/archives/C0ACCESS/p1",
	}}
	made := func(file access.File) *tale {
		s := tell(t)
		policed(s.book, emergency())
		file.Resource, file.Duration = "github/payments-admins", time.Hour
		return s.do(alice, file).do(access.Actor{}, posted)
	}
	review := access.ReviewAccess{Request: theID, Text: "Looked at <!here> the logs"}
	taken := func() *tale { return made(access.File{Reason: evil, BreakGlass: true}) }
	live := func() *tale {
		return taken().do(access.Actor{}, access.Intend{Request: theID, Subject: "alice-gh", Before: access.Absent}).do(access.Actor{}, access.Confirm{Request: theID})
	}
	ended := func() *tale {
		return live().do(alice, access.GiveBack{Request: theID}).do(access.Actor{}, access.Finish{Request: theID})
	}
	return map[string]*tale{
		"waits":          made(access.File{Reason: "why"}),
		"taken":          taken(),
		"taken_later":    made(access.File{Reason: "why"}).do(alice, access.BreakGlass{Request: theID, Reason: evil}),
		"live":           live(),
		"live_reviewed":  live().do(bob, review),
		"ended":          ended(),
		"ended_reviewed": ended().do(bob, review),
	}
}

func TestGlassMessages(t *testing.T) {
	for name, s := range glassTales(t) {
		scene := slackapp.SceneOf(s.book.rules, "", "https://access.example.com", "2 different people of sre", nil, nil, 0, "")
		if s.r.ToReview() {
			scene = scene.OfferGlass(slackapp.Offer{}, bob.Person, access.Person{Email: "dan@example.com", Slack: "U0DAN"})
		} else {
			scene = scene.OfferGlass(slackapp.OfferOf(s.r.Status == access.Pending, ""))
		}
		c := access.ControlsOf(s.r, s.book.rules, s.book.rules)
		all := map[string]any{
			"approval": slackapp.ApprovalMessage(s.r, c, scene), "story": slackapp.Story(s.r, scene),
			"filed": slackapp.NoticeMessage(s.r, access.NoticeFiled, alice.Person, scene),
		}
		if s.r.Review != nil {
			all["approved"] = slackapp.NoticeMessage(s.r, access.NoticeApproved, alice.Person, scene)
			all["asked"] = slackapp.NoticeMessage(s.r, "approve", bob.Person, scene)
			all["bob"] = slackapp.NoticeMessage(s.r, "broke_glass", bob.Person, scene)
			all["carol"] = slackapp.NoticeMessage(s.r, "broke_glass", access.Person{Email: "carol@partner.example", Slack: "U0CAROL"}, scene)
			all["thread"] = slackapp.GlassCall(s.r, scene)
		}
		if s.r.Review != nil && !s.r.ToReview() {
			all["reviewed"] = slackapp.NoticeMessage(s.r, access.NoticeReviewed, alice.Person, scene)
		}
		golden(t, "glass/"+name, all)
		inMrkdwn(all, func(text string) {
			for _, bad := range []string{"<!channel>", "<https://evil", "<!here>"} {
				if strings.Contains(text, bad) {
					t.Errorf("%s: %q has an effect in %q", name, bad, text)
				}
			}
		})
	}
}

func TestGlassForms(t *testing.T) {
	s := glassTales(t)["live"]
	w := slackapp.ParseRequest("github/payments-admins 1h why")
	closed := slackapp.OfferOf(true, "Your last use of break-glass (`01KAQ`) must be reviewed first.")
	golden(t, "form/glass_offered", slackapp.RequestForm(s.book.rules, w, nil, slackapp.OfferOf(true, "")))
	golden(t, "form/glass_ticked", slackapp.RequestForm(s.book.rules, w.Ticked(), nil, slackapp.OfferOf(true, "")))
	golden(t, "form/glass_closed", slackapp.RequestForm(s.book.rules, w.Ticked(), nil, closed))
	golden(t, "form/glass_confirm", slackapp.GlassForm("break_glass", slackapp.Taking{Resource: "db/orders", User: "U0ALICE", Duration: "1h"}, "`db/orders`", time.Hour, "why <!here>"))
	golden(t, "form/review", slackapp.Form("review", s.r, s.book.rules))
	mine := func(r access.Request) bool { return r.ToReview() }
	none := func(access.Request) bool { return false }
	golden(t, "home/review", slackapp.HomeBlocks(bob, s.book.rules, []access.Request{s.r}, none, mine))
	golden(t, "home/taken", slackapp.HomeBlocks(alice, s.book.rules, []access.Request{s.r}, none, none))
}

// TestFormBroughtAgain: a form that Slack brings again is answered as the first time,
// though by now what it has done speaks against it. Another one is not.
func TestFormBroughtAgain(t *testing.T) {
	s := start(t, under(emergency()))
	s.takeForm("github/payments-admins") // alice is known from now on
	take := slackapp.Taking{Resource: "github/payments-admins", User: "U0ALICE"}
	refused, job := slackapp.SubmitGlass(s.app, "first", "site down", take)
	if refused || job == nil {
		t.Fatal("refused at first")
	}
	job(t.Context())
	s.eventually("the glass to be broken", func() bool { return len(s.book.Requests()) == 1 })
	if refused, job := slackapp.SubmitGlass(s.app, "first", "site down", take); refused || job != nil {
		t.Errorf("brought again: refused %t, to be done again %t", refused, job != nil)
	}
	if refused, _ := slackapp.SubmitGlass(s.app, "second", "site down", take); !refused {
		t.Error("a second time without a review")
	}
}
