// The tests of the demo as people see it: a headless Chromium in front of the
// local Slack, with mouse and keyboard. They say what is on the page, and what
// of it stands in git. Without a browser on the machine they are skipped.
//
//	go test ./cmd/countersign -run TestBrowser
//	go test ./cmd/countersign -run TestBrowserPictures -screenshots DIR
package main_test

import (
	"regexp"
	"strings"
	"testing"

	"countersign/bot/bottest/browser"

	"github.com/chromedp/chromedp/kb"
)

// What the tests look at.
const (
	composer  = "[data-testid=composer]"
	reply     = "[data-testid=reply-composer]"
	inChannel = "#middle [data-testid=message]"
	inThread  = "#thread [data-testid=message]"
	onlyMe    = "[data-testid=message].only"
	modal     = "[data-testid=modal]"
	submit    = "[data-testid=modal-submit]"
	entry     = "[data-testid=trace-entry]"
)

// control is a button, select or field of the app within an element.
func control(within, action string) string {
	return within + ` [data-testid="action-` + action + `"]`
}

// TestBrowser runs the stories, a few at a time, in windows of one browser.
func TestBrowser(t *testing.T) {
	t.Parallel()
	light := browser.Start(t)
	stories := []struct {
		name string
		tell func(t *testing.T, s *stage)
		with []string // edits of the demo's configuration
	}{
		{"a request is filed by the form", requestByForm, nil},
		{"who may not decide is told alone", refusedAlone, nil},
		{"an approval is live in every window", approvedLive, nil},
		{"a thread is recorded", threadRecorded, nil},
		{"an access expires before one's eyes", expiresLive, []string{"[1m, 5m, 1h, 1d, 1w]", "[4s, 5m]"}},
		{"a request is denied with a reason", deniedWithReason, nil},
		{"access is extended", extended, nil},
		{"access is given back from the Home tab", givenBackAtHome, nil},
		{"the trace shows what happened", traced, nil},
		{"the keyboard is enough", byKeyboard, nil},
		{"hostile texts do nothing", hostileTexts, nil},
		{"it takes two", quorumOfTwo, nil},
		{"the people on call are paged", escalated, nil},
		{"glass is broken", brokenGlass, nil},
		{"who is on call has it at once", onCallAtOnce, nil},
		{"the dashboard follows", dashboardFollows, nil},
	}
	for _, story := range stories {
		// One after the other: a browser gives its attention to the window in front.
		t.Run(story.name, func(t *testing.T) {
			story.tell(t, startDemo(t, light, story.with...))
		})
	}
}

func requestByForm(t *testing.T, s *stage) {
	w := s.desk(alice)
	w.enter(composer, "/access request"+kb.Enter)
	w.sees(modal, "Request access", "Resource", "For", "Duration", "Reason", "Ticket")

	w.click(submit)
	w.sees("[data-testid=field-resource] .field-error", "")
	w.sees("[data-testid=field-resource].wrong", "")

	w.click(control(modal, "resource"))
	w.sees("[role=listbox]", "Payments admins", "Production database", "Deploy to production")
	w.keys("deploy")
	w.misses("[role=option]", "Payments admins")
	w.sees("[role=option]", "Deploy to production")
	w.enter("[data-testid=search-resource]", "databas")
	w.click("[role=option]", "Production database, read only")
	w.sees(control(modal, "resource"), "prod/database-readers")

	w.enter(control(modal, "duration"), "soon")
	w.click(submit)
	w.sees("[data-testid=field-duration] .field-error", "Write a duration")
	w.enter(control(modal, "duration"), "90d")
	w.misses("[data-testid=field-duration] .field-error")
	w.click(submit)
	w.sees("[data-testid=field-duration] .field-error", "at most", "prod/database-readers")
	if got := w.count(inChannel); got != 0 {
		t.Errorf("%d messages stand in the channel before anything was filed", got)
	}

	w.enter(control(modal, "duration"), "5m")
	w.enter(control(modal, "reason"), "Refunds hang since 09:40")
	w.enter(control(modal, "ticket"), "PAY-1432")
	w.click(submit)
	w.misses(modal)
	w.sees(inChannel, "Alice Adams asks for access to Production database, read only", "prod/database-readers",
		"5 minutes", "Refunds hang since 09:40", "PAY-1432", "Waiting for approval", "a reviewer", "@Bob Brown", "@Carol Clark")
	w.sees(control(inChannel, "expiry"), "5 minutes")
	s.record(`(?m)^request \w+: alice → prod/database-readers`)
}

func refusedAlone(t *testing.T, s *stage) {
	s.ask(alice, "payments-admins 5m deploy fix")
	d, b, a := s.desk(dan), s.desk(bob), s.desk(alice)
	d.click(control(inChannel, "approve"))
	d.sees(onlyMe, "not among those who may approve", "Only visible to you")

	a.misses(onlyMe, "not among those who may approve")
	a.click(control(inChannel, "approve"))
	a.sees(onlyMe, "not among those who may approve", "Only visible to you")

	// What is said afterwards arrives after the refusals would have.
	d.enter(composer, "Sorry, not mine to press."+kb.Enter)
	b.sees(inChannel, "Sorry, not mine to press.")
	if got := b.texts(onlyMe); len(got) > 0 {
		t.Errorf("Bob sees the refusals of others: %q", got)
	}
	b.sees(inChannel, "Waiting for approval")
	s.record(`(?m)^refuse.*\(by dan\)`)

	d.click("[data-testid=dismiss]")
	d.misses(onlyMe)
}

func approvedLive(t *testing.T, s *stage) {
	a, b := s.desk(alice), s.desk(bob)
	s.ask(alice, "payments-admins")
	b.sees(inChannel, "Alice Adams asks for access to Payments admins", "not said")

	b.click(control(inChannel, "approve"))
	b.sees(onlyMe, "expiry")
	b.choose(control(inChannel, "expiry"), "5m")
	b.sees(control(inChannel, "expiry"), "5 minutes")
	b.click(control(inChannel, "approve"))
	for _, w := range []*window{a, b} {
		w.sees(inChannel, "Approved by", "Bob Brown", "Live until")
		w.sees(control(inChannel, "revoke"), "Revoke")
		w.misses(control(inChannel, "approve"))
		w.misses(control(inChannel, "deny"))
		w.misses(control(inChannel, "expiry"))
	}
	s.record(`(?m)^approve \w+: alice → payments-admins for 5m \(by bob\)`)

	a.click("#places a", "Countersign")
	a.sees(inChannel, "Payments admins", "is live until", "approved by", "Bob Brown")
	a.sees(control(inChannel, "give_back"), "Give back")
	a.sees(control(inChannel, "extend"), "Extend")
	if got := a.count(control(inChannel, "cancel")); got != 0 {
		t.Errorf("%d buttons cancel what is approved already", got)
	}
}

func threadRecorded(t *testing.T, s *stage) {
	s.ask(alice, "payments-admins 5m deploy fix")
	b, a := s.desk(bob), s.desk(alice)
	b.hover(inChannel, "Payments admins")
	b.click("[data-testid=reply]")
	b.enter(reply, "Which deploy is it?"+kb.Enter)
	b.sees(inThread, "Which deploy is it?")

	a.click("[data-testid=open-thread]", "1 reply")
	a.sees(inThread, "Which deploy is it?")
	a.enter(reply, "The refund job, since nine"+kb.Enter)
	b.sees(inThread, "The refund job, since nine")
	a.enter(reply, "and this one was a mistake"+kb.Enter)
	b.sees(inThread, "and this one was a mistake")
	s.record("and this one was a mistake")

	// A reply that is sent in the moment in which its thread closes stays a draft:
	// it is not said in the channel.
	b.enter(reply, "Not for everybody")
	script[bool](b, `(reply) => new Promise((done) => {
	  const field = document.querySelector(reply);
	  addEventListener('hashchange', () => setTimeout(() => {
	    field.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, cancelable: true}));
	    done(true);
	  }), {once: true});
	  document.querySelector('[data-testid=thread-close]').click();
	})`, reply)
	b.misses("#thread")
	b.click("[data-testid=open-thread]")
	b.sees(reply, "Not for everybody")
	if got := b.count(inChannel, "Not for everybody"); got != 0 {
		t.Error("a reply was posted in the channel")
	}

	a.hover(inThread, "The refund job, since nine")
	a.click(inThread + ":hover [data-testid=edit]")
	a.enter("[data-testid=edit-composer]", "The refund job, since ten"+kb.Enter)
	b.sees(inThread, "The refund job, since ten", "(edited)")
	b.misses(inThread, "since nine")

	a.hover(inThread, "and this one was a mistake")
	a.click(inThread + ":hover [data-testid=delete]")
	a.click("[data-testid=confirm-ok]")
	b.misses(inThread, "and this one was a mistake")
	if got := b.count("#thread [data-testid=edit]"); got != 1 {
		t.Errorf("Bob can edit %d messages of the thread, want the one of his own", got)
	}

	log := s.record("(?s)deleted.*edited|message_deleted")
	for _, want := range []string{"Which deploy is it?", "since nine", "since ten", "and this one was a mistake"} {
		if !strings.Contains(log, want) {
			t.Errorf("git does not know the text %q", want)
		}
	}
	wantOrder(t, s.git("-C", s.repo(), "log", "--reverse", "--format=", "--name-only", "audit"),
		"requested", "message.yaml", "message_edited", "message_deleted")
}

// wantOrder fails unless the words occur in this order.
func wantOrder(t *testing.T, text string, words ...string) {
	t.Helper()
	if !regexp.MustCompile("(?s)" + strings.Join(words, ".*")).MatchString(text) {
		t.Errorf("not in the order %q:\n%s", words, text)
	}
}

func expiresLive(t *testing.T, s *stage) {
	s.ask(alice, "payments-admins 4s deploy fix")
	b, a := s.desk(bob), s.desk(alice)
	a.click("#places a", "Countersign")
	a.sees(control(inChannel, "cancel"), "Cancel request")
	b.click(control(inChannel, "approve"))

	b.sees(inChannel, "Expired", "Approved by")
	b.misses("#middle .block-actions")
	a.sees(inChannel, "has ended", "Expired")
	a.misses("#middle .block-actions")
	for _, w := range []*window{a, b} {
		if got := w.count("#middle .message .button"); got != 0 {
			t.Errorf("%d buttons are left where %s looks", got, w.name)
		}
	}
	s.record(`(?m)^expire \w+: alice`)
}

func deniedWithReason(t *testing.T, s *stage) {
	s.ask(alice, "payments-admins 5m deploy fix")
	b, a := s.desk(bob), s.desk(alice)
	b.click(control(inChannel, "deny"))
	b.sees(modal, "Deny the request", "One denial ends the request", "Alice Adams")
	b.enter(control(modal, "reason"), "Please ask for the read-only one")
	b.click(submit)
	b.misses(modal)
	for _, w := range []*window{a, b} {
		w.sees(inChannel, "Denied", "Bob Brown", "Please ask for the read-only one")
		w.misses("#middle .block-actions")
	}
	a.click("#places a", "Countersign")
	a.sees(inChannel, "was denied by", "Bob Brown", "Please ask for the read-only one")
	a.misses("#middle .block-actions")
	s.record(`(?m)^deny \w+: alice → payments-admins \(by bob\)`)
}

func extended(t *testing.T, s *stage) {
	s.ask(alice, "payments-admins 5m deploy fix")
	b, a := s.desk(bob), s.desk(alice)
	b.click(control(inChannel, "approve"))
	a.click("#places a", "Countersign")
	a.click(control(inChannel, "extend"))
	a.sees(modal, "Extend the access", "How much longer")
	a.enter(control(modal, "duration"), "9h")
	a.click(submit)
	a.sees("[data-testid=field-duration] .field-error", "at most", "payments-admins")
	a.enter(control(modal, "duration"), "1h")
	a.enter(control(modal, "reason"), "The job still runs")
	a.click(submit)
	a.misses(modal)
	a.sees(inChannel, "asked for 1 hour more, which waits for approval")

	b.sees(inChannel, "Alice Adams asks for 1 hour more", "The job still runs")
	b.sees(control(inChannel, "revoke"), "Revoke")
	b.click(control(inChannel, "approve_extension"))
	b.sees(inChannel, "Extended by 1 hour", "Live until")
	b.misses(control(inChannel, "approve_extension"))
	b.misses(control(inChannel, "deny_extension"))
	a.sees(inChannel, "the extension by 1 hour was approved by", "Bob Brown")
	a.misses(inChannel, "which waits for approval")
	s.record(`(?m)^extend \w+: alice → payments-admins`)
}

func givenBackAtHome(t *testing.T, s *stage) {
	s.ask(alice, "payments-admins 5m deploy fix")
	b := s.desk(bob)
	a := s.open(alice, "home", 1280, 860)
	home := "[data-testid=home]"
	a.sees(home, "Your access", "You hold no access now", "Waiting for approval", "Payments admins")
	b.click(control(inChannel, "approve"))
	a.sees(home, "is live until", "Bob Brown", "Payments admins")
	a.misses(home, "Waiting for approval")
	a.click(control(home, "give_back"))
	a.sees("[data-testid=confirm]", "Give it back?")
	a.click("[data-testid=confirm-cancel]")
	a.sees(home, "is live until")
	a.click(control(home, "give_back"))
	a.click("[data-testid=confirm-ok]")
	a.sees(home, "You hold no access now", "Lately", "given back")
	a.misses(control(home, "give_back"))
	b.sees(inChannel, "Given back by", "Alice Adams")
	b.misses("#middle .block-actions")
	s.record(`(?m)^give back \w+: alice`)

	a.click(control(home, "request_access"))
	a.sees(modal, "Request access")
	a.click("[data-testid=modal-close]")
	a.misses(modal)
}

func traced(t *testing.T, s *stage) {
	s.ask(alice, "payments-admins 5m deploy fix")
	b := s.desk(bob)
	b.click("[data-testid=trace-toggle]")
	b.sees("#trace", "What happens")
	b.click(control(inChannel, "approve"))
	b.sees(entry+"[data-kind=envelope]", "block_actions")
	b.sees(entry+"[data-kind=api]", "chat.update", "ok")
	b.sees(control(inChannel, "revoke"), "Revoke")
	acks := b.texts(entry + "[data-kind=ack] .speed")
	if len(acks) == 0 {
		t.Error("no ack shows how long it took")
	}
	for _, ack := range acks {
		if !regexp.MustCompile(`^\d+ ms$`).MatchString(ack) {
			t.Errorf("an ack took %q", ack)
		}
	}
	if got := b.count("[data-testid=finding]"); got != 0 {
		t.Errorf("%d findings: %q", got, b.texts("[data-testid=finding]"))
	}
	// By script: entries move down under the mouse as new ones come.
	script[bool](b, `(entries) => {
	  const one = [...document.querySelectorAll(entries)].find((e) => e.textContent.includes('block_actions'));
	  one.querySelector('summary').click();
	  return one.open;
	}`, entry+"[data-kind=envelope]")
	b.sees(entry+"[open] pre", `"action_id": "approve"`)
	b.click("[data-testid=filter-api]")
	b.misses(entry + "[data-kind=api]")
	b.click("[data-testid=trace-close]")
	b.misses("#trace")
}

// tab moves the focus forward until it is where it is wanted.
func (w *window) tab(selector string) {
	w.t.Helper()
	for range 80 {
		if script[bool](w, "(s) => document.activeElement.matches(s)", selector) {
			return
		}
		w.keys(kb.Tab)
	}
	w.t.Fatalf("the Tab key does not lead to %s; the focus is on %s", selector, script[string](w, "() => document.activeElement.outerHTML.slice(0, 300)"))
}

// completion is what the composer offers for what was typed so far.
const completion = "[data-testid^=complete-]"

func byKeyboard(t *testing.T, s *stage) {
	w := s.open(alice, "c/"+accessChannel, 1280, 860)
	w.sees(composer, "")
	w.tab(composer)
	w.keys("/acc")
	w.sees(completion, "/access")
	w.keys(kb.Enter + "req")
	w.sees(completion, "request")
	w.keys(kb.Tab + kb.Enter)
	w.sees(modal, "Request access")
	w.tab(control(modal, "resource"))
	w.keys("pay")
	w.sees("[role=option]", "Payments admins")
	w.misses("[role=option]", "Deploy to production")
	w.keys(kb.Enter)
	w.sees(control(modal, "resource"), "payments-admins")
	w.tab(control(modal, "duration"))
	w.keys("5m")
	w.tab(control(modal, "reason"))
	w.keys("By hand")
	w.tab(control(modal, "ticket"))
	w.keys(kb.Enter)
	w.misses(modal)
	w.sees(inChannel, "Alice Adams asks for access to Payments admins", "By hand")
	if got := script[string](w, "() => document.activeElement.dataset.testid || document.activeElement.tagName"); got != "composer" {
		t.Errorf("after the form the focus is on %s, want the composer where it was", got)
	}

	w.tab("[data-testid=person-switcher]")
	w.keys(kb.Enter + kb.ArrowDown)
	w.sees("[role=menuitem]:focus", "Bob Brown")
	w.keys(kb.Enter)
	w.sees("#person", "Bob Brown")
	w.tab(control(inChannel, "expiry"))
	w.keys(kb.Enter)
	w.sees("[role=listbox]", "1 hour")
	w.keys(kb.ArrowDown + kb.Enter)
	w.sees(control(inChannel, "expiry"), "1 hour")
	w.tab(control(inChannel, "approve"))
	w.keys(kb.Enter)
	w.sees(inChannel, "Live until")
	s.record(`(?m)^approve \w+: alice → payments-admins for 1h \(by bob\)`)

	w.tab(control(inChannel, "revoke"))
	w.keys(kb.Enter)
	w.sees(modal, "Revoke the access")
	w.keys(kb.Escape)
	w.misses(modal)
	w.sees(control(inChannel, "revoke"), "Revoke")
}

// hostile is what nobody means well with; inert is what of it may show.
const (
	hostile = "<img src=x onerror=\"window.pwned=1\"> <!channel> *bold* <script>window.pwned=1</script> \u202Edesrever"
	inert   = "<img src=x onerror=\"window.pwned=1\"> <!channel> *bold* <script>window.pwned=1</script> desrever"
)

func hostileTexts(t *testing.T, s *stage) {
	a, b := s.desk(alice), s.desk(bob)
	a.enter(composer, "/access request payments-admins 5m "+kb.Escape)
	a.paste(hostile)
	a.keys(kb.Enter)
	a.sees(inChannel, inert)
	b.sees(inChannel, inert)

	b.hover(inChannel, inert)
	b.click("[data-testid=reply]")
	b.click(reply)
	b.paste(hostile)
	b.keys(kb.Enter)
	b.sees(inThread, "<img src=x onerror=", "<script>window.pwned=1</script>")
	b.click(control(inChannel, "deny"))
	b.click(control(modal, "reason"))
	b.paste(hostile)
	b.click(submit)
	b.sees(inChannel, "Denied", "Reason given: "+inert)
	a.click("#places a", "Countersign")
	a.sees(inChannel, "was denied by", "Reason given: "+inert)

	for _, w := range []*window{a, b} {
		w.inertPage()
	}
	a.click("#places a", "access-requests")
	a.enter(composer, "/access list"+kb.Enter)
	a.sees(onlyMe, "Your requests")
	id := a.texts(onlyMe + " code")[0]
	a.enter(composer, "/access show "+id+kb.Enter)
	a.sees(onlyMe, id, "<script>window.pwned=1</script>")
	a.inertPage()
	if log := s.git("-C", s.repo(), "log", "--format=%B", "audit"); strings.Contains(log, "pwned") {
		t.Error("what people typed stands in the messages of commits")
	}
}

// inertPage fails where a text of somebody has become more than a text.
func (w *window) inertPage() {
	w.t.Helper()
	if script[bool](w, "() => 'pwned' in window") {
		w.t.Errorf("a script of a text ran where %s looks", w.name)
	}
	for selector, want := range map[string]int{"[data-testid=message] img": 0, "[data-testid=message] script": 0, "body > script, #app script": 0, "[onerror]": 0} {
		if got := script[int](w, "(s) => document.querySelectorAll(s).length", selector); got != want {
			w.t.Errorf("%d elements %s where %s looks, want %d", got, selector, w.name, want)
		}
	}
	if got := w.count(inChannel+" .mention", "@channel"); got != 0 {
		w.t.Errorf("%s sees the channel called by a text", w.name)
	}
	if got := script[int](w, `() => [...document.querySelectorAll('[data-testid=message]')].filter((m) => m.querySelector('.tag') && /\u202e/.test(m.textContent)).length`); got != 0 {
		w.t.Errorf("%d messages of the app turn the direction of what follows", got)
	}
}
