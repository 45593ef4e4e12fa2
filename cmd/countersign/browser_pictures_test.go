package main_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"countersign/bot/bottest/browser"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var screenshots = flag.String("screenshots", "", "write pictures of the demo at work into this `DIR`")

// TestBrowserPictures writes the pictures of the README: a story told up to the
// moment of decision, as its people see it.
func TestBrowserPictures(t *testing.T) {
	if *screenshots == "" {
		t.Skip("no -screenshots DIR is given")
	}
	for scheme := range looks {
		t.Run(scheme, func(t *testing.T) {
			s := startDemo(t, browser.Start(t, looks[scheme]...))
			request := atWork(s)
			for _, width := range []int64{1440, 420} {
				s.pictures(request, fmt.Sprintf("%s-%d", scheme, width), width)
			}
			suffix := map[string]string{"light": "", "dark": "-dark"}[scheme]
			s.readme(request, "demo"+suffix)
			s.form("form" + suffix)
		})
	}
}

// atWork tells a story: one request that is approved because its requestor is on
// call, and one that has one approval of two while people talk about it. It
// returns the message of the latter.
func atWork(s *stage) string {
	e := s.desk(erin)
	e.fileByForm("prod/deployers", "1h", "Ship the hotfix for double receipts", "PAY-1418")
	b := s.desk(bob)
	b.sees(inChannel, "is on call", "Live until")

	a := s.desk(alice)
	a.fileByForm("prod/database-owners", "1h", "Refunds hang since 09:40. I want to free what the queue waits for.", "PAY-1432")
	b.hover(inChannel, "Production database")
	b.click(inChannel + ":has([data-testid=action-approve]) [data-testid=reply]")
	b.enter(reply, "Which tables do you need?"+kb.Enter)
	a.click("[data-testid=open-thread]", "1 reply")
	a.sees(inThread, "Which tables do you need?")
	a.enter(reply, "`refund_jobs`: two rows are locked"+kb.Enter)
	b.enter(reply, "Fine. An hour should do, ask for more if it does not."+kb.Enter)
	a.sees(inThread, "An hour should do")
	b.click(control(inChannel, "approve"))
	a.sees(inChannel, "1 of 2")
	return script[string](a, "() => location.hash.split('/').at(-1)")
}

// fileByForm fills in the form and sends it.
func (w *window) fileByForm(resource, duration, reason, ticket string) {
	w.t.Helper()
	w.fillIn(resource, duration, reason, ticket)
	w.click(submit)
	w.misses(modal)
	w.sees(inChannel, reason)
}

func (w *window) fillIn(resource, duration, reason, ticket string) {
	w.t.Helper()
	w.enter(composer, "/access request"+kb.Enter)
	w.click(control(modal, "resource"))
	w.keys(resource)
	w.click("[role=option]", resource)
	w.enter(control(modal, "duration"), duration)
	w.enter(control(modal, "reason"), reason)
	w.enter(control(modal, "ticket"), ticket)
}

// form is the picture of a request that is about to be filed.
func (s *stage) form(name string) {
	w := s.open(alice, "c/"+accessChannel, 1000, 820)
	w.fillIn("payments-admins", "1h", "Refund the double receipts of this morning", "PAY-1440")
	w.shoot(name)
}

func (s *stage) pictures(request, name string, width int64) {
	height := int64(900)
	w := s.open(bob, "c/"+accessChannel, width, height)
	w.sees(inChannel, "Production database")
	w.shoot("channel-" + name)

	w.click("[data-testid=trace-toggle]")
	w.sees(entry, "chat.postMessage")
	w.shoot("trace-" + name)
	w.click("[data-testid=trace-close]")

	w.at(request)
	w.sees(inThread, "An hour should do")
	w.shoot("thread-" + name)

	w = s.open(erin, "home", width, height)
	w.sees("[data-testid=home]", "is live until")
	w.shoot("home-" + name)
	w.click(control("[data-testid=home]", "request_access"))
	w.sees(modal, "Request access")
	w.shoot("modal-" + name)
	w.click("[data-testid=modal-close]")
	w.misses(modal)
}

// readme is the picture of the README: 1440 by 900 points that show a little more.
func (s *stage) readme(request, name string) {
	w := s.open(bob, "c/"+accessChannel, 1600, 1000)
	w.do(chromedp.EmulateViewport(1600, 1000, chromedp.EmulateScale(0.9)))
	w.sees(inChannel, "Production database")
	w.at(request)
	w.sees(inThread, "An hour should do")
	w.shoot(name)
}

// at opens the thread of a message.
func (w *window) at(message string) {
	w.t.Helper()
	script[string](w, "(ts) => location.hash = location.hash + '/' + ts", message)
}

// look writes a picture for people to look at, where they asked for pictures.
func (w *window) look(name string) {
	w.t.Helper()
	if *screenshots != "" {
		w.shoot(name)
	}
}

// shoot writes a picture of the window once everything in it holds still.
func (w *window) shoot(name string) {
	w.t.Helper()
	// Without a screen no mouse hovers, and what shows under the mouse shows always.
	script[int](w, "() => { const hide = new CSSStyleSheet(); hide.replaceSync('.tools { display: none }'); return document.adoptedStyleSheets.push(hide); }")
	script[bool](w, "() => document.fonts.ready.then(() => new Promise((done) => setTimeout(() => done(true), 250)))")
	png, err := chromedp.Run(w.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), png, 0o644); err != nil {
		w.t.Fatal(err)
	}
}
