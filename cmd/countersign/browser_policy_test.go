package main_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The stories of the demo's access policies: a quorum, an escalation, and who is
// on call.

func quorumOfTwo(t *testing.T, s *stage) {
	a, b, c, e := s.desk(alice), s.desk(bob), s.desk(carol), s.desk(erin)
	s.ask(alice, "prod/database-owners 5m restore a table")
	a.sees(inChannel, "Alice Adams asks for access to Production database, everything",
		"2 different people of sre", "Bob Brown", "Carol Clark", "Erin Evans", "restore a table")
	c.click("#places a", "Countersign")
	c.sees(inChannel, "Alice Adams asks for access to Production database, everything", "2 different people of sre")

	b.click(control(inChannel, "approve"))
	for _, w := range []*window{a, b, e} {
		w.sees(inChannel, "1 of 2", "Bob Brown ✓", "Carol Clark", "Erin Evans")
		w.sees(control(inChannel, "approve"), "Approve")
	}
	e.look("quorum-1-of-2")
	c.sees(inChannel, "1 of 2", "Bob Brown")
	b.click(control(inChannel, "approve"))
	b.sees(onlyMe, "You have approved this already", "Only visible to you")
	b.look("quorum-twice")
	s.record(`(?m)^vote \w+: alice → prod/database-owners.* \(by bob\)`)

	e.click(control(inChannel, "approve"))
	for _, w := range []*window{a, b, e} {
		w.sees(inChannel, "Approved by", "Bob Brown", "Erin Evans", "two of sre", "Live until")
		w.misses(control(inChannel, "approve"))
		w.misses(control(inChannel, "deny"))
	}
	e.look("quorum-approved")
	c.sees(inChannel, "approved by", "Bob Brown", "Erin Evans")
	c.misses(control(inChannel, "open"))
	c.look("quorum-direct-message")
	for _, w := range []*window{b, e} {
		w.click("#places a", "Countersign")
		w.sees(inChannel, "approved by", "Bob Brown", "Erin Evans")
		w.misses(control(inChannel, "open"))
	}
	s.record(`(?m)^approve \w+: alice → prod/database-owners for 5m \(by erin\)`)
}

func escalated(t *testing.T, s *stage) {
	a, e, d := s.desk(alice), s.desk(erin), s.desk(dan)
	s.ask(alice, "prod/deployers 5m hotfix")
	e.click(control(inChannel, "approve"))
	e.sees(onlyMe, "You are not among those who may approve this request")
	a.look("escalation-before")
	a.click(control(inChannel, "escalate"))
	a.sees("[data-testid=confirm]", "on call")
	a.look("escalation-confirm")
	a.click("[data-testid=confirm-ok]")
	for _, w := range []*window{a, e, d} {
		w.sees(inChannel, "Escalated", "paged: PagerDuty incident")
		w.misses(control(inChannel, "escalate"))
	}
	a.look("escalation-paged")
	until(t, "the page is told where the demo runs", s.said("PagerDuty pages Erin Evans: Access to prod/deployers for alice@example.com waits for approval"))

	incident := script[string](e, "(s) => [...document.querySelectorAll(s)].find((a) => a.textContent.includes('PagerDuty incident')).href", inChannel+" a")
	phone := s.open(erin, "c/"+accessChannel, 420, 800)
	phone.do(chromedp.Navigate(incident))
	phone.sees("main", "Access to prod/deployers for alice@example.com waits for approval", "PDEPLOY", "Erin Evans")
	phone.look("escalation-incident")
	phone.do(chromedp.Navigate(script[string](phone, "() => document.querySelector('main a').href")))
	phone.sees(inThread, "Deploy to production", "hotfix")

	// Whoever is not on call still may not.
	d.click(control(inChannel, "approve"))
	d.sees(onlyMe, "You are not among those who may approve this request")
	e.click(control(inChannel, "approve"))
	for _, w := range []*window{a, e, d} {
		w.sees(inChannel, "Approved by", "Erin Evans", "on call in PagerDuty", "Live until")
		w.misses(control(inChannel, "approve"))
	}
	e.look("escalation-approved")
	log := s.record(`(?m)^approve \w+: alice → prod/deployers for 5m \(by erin\)`)
	for _, want := range []string{"+event: escalated\n", "+source: escalation\n", "PSRE", "PPRIMARY"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}

func onCallAtOnce(t *testing.T, s *stage) {
	e := s.desk(erin)
	s.ask(erin, "prod/deployers 5m rollback")
	e.sees(inChannel, "Approved because", "Erin Evans", "is on call (PagerDuty)", "Live until")
	e.misses(control(inChannel, "approve"))
	e.look("on-call")
	log := s.record(`(?m)^approve \w+: erin → prod/deployers for 5m`)
	for _, want := range []string{"+source: on_call\n", "PSRE", "PPRIMARY"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}

func brokenGlass(t *testing.T, s *stage) {
	e, b, c := s.desk(erin), s.desk(bob), s.desk(carol)
	s.ask(erin, "prod/database-owners 5m no time to lose")
	c.sees(inChannel, "Waiting for approval")
	e.click("#places a", "Countersign")
	e.click(control(inChannel, "break_glass"))
	e.sees(modal, "Production database, everything", "for 5 minutes, without approval", "review")
	e.look("glass-confirm")
	e.click(submit)
	e.misses(modal)
	e.sees(inChannel, "taken without approval", "Waits for a review")
	e.misses(control(inChannel, "break_glass"))
	e.look("glass-taken")
	for _, w := range []*window{b, c} {
		w.sees(inChannel, "Erin Evans broke glass for access to Production database, everything", "Live until", "Waits for a review")
		w.misses(control(inChannel, "approve"))
	}
	b.look("glass-review")
	b.click(control(inChannel, "review"))
	b.enter(control(modal, "reason"), "One table, restored")
	b.click(submit)
	b.misses(modal)
	for _, w := range []*window{b, c} {
		w.sees(inChannel, "Reviewed by", "Bob Brown", "One table, restored")
		w.misses(control(inChannel, "review"))
	}
	b.look("glass-reviewed")
	s.record(`(?m)^review \w+: erin → prod/database-owners \(by bob\)`)
}
