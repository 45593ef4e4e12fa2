package main_test

import (
	"testing"

	"countersign/bot/bottest/browser"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestBrowserNarrow is the page on a telephone, in the dark: everything is within
// reach, and nothing runs out of the window to the side.
func TestBrowserNarrow(t *testing.T) {
	t.Parallel()
	s := startDemo(t, browser.Start(t, browser.Dark()))
	w := s.open(alice, "c/"+accessChannel, 420, 800)
	if got := script[string](w, "() => getComputedStyle(document.body).backgroundColor"); got == "rgb(255, 255, 255)" {
		t.Error("the page is white where people ask for dark")
	}
	w.fits()
	w.enter(composer, "/access request"+kb.Enter)
	w.sees(modal, "Request access")
	w.fits()
	w.click(control(modal, "resource"))
	w.sees("[role=option]", "Payments admins")
	w.fits()
	w.click("[role=option]", "Payments admins")
	w.enter(control(modal, "duration"), "5m")
	w.enter(control(modal, "reason"), "Anunbrokenwordthatislongerthanthewindowiswide_"+"andgoesonandonandonandon")
	w.click(submit)
	w.sees(inChannel, "Payments admins", "Waiting for approval")
	w.fits()

	w.click("[data-testid=menu]")
	w.fits()
	w.click("[data-testid=person-switcher]")
	w.sees("[role=menu]", "Bob Brown")
	w.fits()
	w.click("[role=menuitem]", "Bob Brown")
	w.sees(inChannel, "Payments admins")
	w.click(control(inChannel, "expiry"))
	w.fits()
	w.click("[role=option]", "1 hour")
	w.click(control(inChannel, "approve"))
	w.sees(control(inChannel, "revoke"), "Revoke")
	w.fits()

	w.hover(inChannel, "Payments admins")
	w.click("[data-testid=reply]")
	w.enter(reply, "A_long_unbroken_word_in_a_reply_that_is_wider_than_the_window"+kb.Enter)
	w.sees(inThread, "A_long_unbroken")
	w.fits()
	w.click("[data-testid=thread-close]")
	w.click("[data-testid=trace-toggle]")
	w.sees(entry, "chat.update")
	w.fits()
	w.click(entry+" summary", "chat.update")
	w.fits()
	w.click("[data-testid=trace-close]")
	w.click("[data-testid=menu]")
	w.click("[data-testid=app-home]")
	w.sees("[data-testid=home]", "Your access")
	w.fits()
}

// fits fails where something reaches out of the window to the side, or can be
// scrolled there.
func (w *window) fits() {
	w.t.Helper()
	type box struct{ What, Why string }
	got := script[[]box](w, `async () => {
	  await new Promise((done) => setTimeout(done, 220));
	  const out = [];
	  const say = (e, why) => out.push({what: e.outerHTML.slice(0, 160), why});
	  for (const e of document.querySelectorAll('body, body *')) {
	    if (!e.checkVisibility({visibilityProperty: true}) || e.closest('svg svg *')) continue;
	    const at = e.getBoundingClientRect();
	    if (!at.width || !at.height) continue;
	    if (at.left < -1 || at.right > innerWidth + 1) say(e, 'from ' + at.left + ' to ' + at.right);
	    const style = getComputedStyle(e);
	    if (['auto', 'scroll'].includes(style.overflowX) && e.scrollWidth > e.clientWidth + 1) say(e, 'scrolls sideways: ' + e.scrollWidth + ' in ' + e.clientWidth);
	  }
	  if (document.documentElement.scrollWidth > innerWidth) say(document.documentElement, 'the page is wider than the window');
	  return out.slice(0, 5);
	}`)
	for _, b := range got {
		w.t.Errorf("out of the window (%s): %s", b.Why, b.What)
	}
}

// looks are what people ask their browsers for.
var looks = map[string][]chromedp.ExecAllocatorOption{"light": nil, "dark": {browser.Dark()}}

// TestBrowserAccessible lets axe-core look for what keeps people out.
func TestBrowserAccessible(t *testing.T) {
	t.Parallel()
	for scheme := range looks {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			axe := browser.AxeCore(t)
			s := startDemo(t, browser.Start(t, looks[scheme]...))
			s.ask(alice, "payments-admins 5m deploy fix")
			w := s.open(bob, "c/"+accessChannel, 1440, 900)
			w.sees(control(inChannel, "approve"), "Approve")
			w.inject(axe)
			w.hover(inChannel, "Payments admins")
			w.click("[data-testid=reply]")
			w.enter(reply, "Which `deploy` is it, @alice?"+kb.Enter)
			w.sees(inThread, "Which deploy is it")
			w.click("[data-testid=trace-toggle]")
			w.sees(entry, "chat.postMessage")
			w.accessible("channel, thread and trace")
			w.click("[data-testid=trace-close]")
			w.click("[data-testid=thread-close]")

			w.click(control(inChannel, "expiry"))
			w.accessible("open select")
			w.keys(kb.Escape)
			d := s.open(dan, "c/"+accessChannel, 1440, 900)
			d.inject(axe)
			d.click(control(inChannel, "approve"))
			d.sees(onlyMe, "not among those who may approve")
			d.accessible("refusal")

			w.enter(composer, "/access request"+kb.Enter)
			w.sees(modal, "Request access")
			w.click(submit)
			w.sees("[data-testid=field-resource].wrong", "")
			w.accessible("form with an error")
			w.click("[data-testid=modal-close]")
			w.misses(modal)
			w.click(control(inChannel, "approve"))
			w.sees(control(inChannel, "revoke"), "Revoke")
			w.accessible("approved")

			a := s.open(alice, "home", 1440, 900)
			a.inject(axe)
			a.sees(control("[data-testid=home]", "give_back"), "Give back")
			a.accessible("Home tab")
			a.click(control("[data-testid=home]", "give_back"))
			a.accessible("confirmation")
		})
	}
}

func (w *window) inject(source string) {
	w.t.Helper()
	w.do(chromedp.Evaluate[chromedp.Void](source))
}

// accessible fails on serious and critical findings.
func (w *window) accessible(what string) {
	w.t.Helper()
	type finding struct{ ID, Impact, Help, Where string }
	got := script[[]finding](w, `async () => {
	  const {violations} = await axe.run(document, {resultTypes: ['violations']});
	  return violations.filter((v) => ['serious', 'critical'].includes(v.impact)).flatMap((v) => v.nodes.map((n) => ({
	    id: v.id, impact: v.impact, help: v.help, where: n.target.join(' ') + ' ' + n.html.slice(0, 160) + ' ' + n.failureSummary})));
	}`)
	for _, f := range got {
		w.t.Errorf("%s: %s (%s, %s): %s", what, f.Help, f.ID, f.Impact, f.Where)
	}
}
