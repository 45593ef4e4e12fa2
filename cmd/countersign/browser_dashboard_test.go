package main_test

import (
	"regexp"
	"testing"

	"github.com/chromedp/chromedp"
)

// The dashboard of the demo, beside the local Slack.

// dashboard is its address, as the demo prints it.
func (s *stage) dashboard() string {
	s.t.Helper()
	found := regexp.MustCompile(`(http://\S+) +the dashboard`).FindStringSubmatch(s.out.String())
	if found == nil {
		s.t.Fatalf("the demo does not print where the dashboard is:\n%s", s.out)
	}
	return found[1]
}

func dashboardFollows(t *testing.T, s *stage) {
	d, b := s.open(carol, "home", 1280, 860), s.desk(bob)
	d.sees("a.link", "Dashboard")
	if got, want := script[string](d, "() => [...document.querySelectorAll('a')].find((a) => a.textContent === 'Dashboard').href"), s.dashboard()+"/"; got != want {
		t.Errorf("the Home tab leads to %s, want %s", got, want)
	}
	d.do(chromedp.Navigate(s.dashboard() + "/requests"))
	until(t, "the page listens", func() error {
		return said(script[string](d, "() => document.documentElement.dataset.live || ''"), "on")
	})
	d.look("dashboard-empty")

	// What is asked in Slack announces itself, and moves nothing.
	s.ask(alice, "payments-admins 5m deploy the fix")
	d.sees(".pill", "1 new request")
	d.click(".pill")
	d.sees("tr[data-id]", "Pending", "alice", "Payments admins", "deploy the fix")
	d.click("tr[data-id]", "Payments admins")
	d.sees(".drawer", "Payments admins", "deploy the fix", "Asked for")
	b.click(control(inChannel, "approve"))
	for _, words := range [][]string{{"Live"}, {"Approved", "bob", "one reviewer"}, {"signed"}, {"The access is there"}} {
		d.sees(".drawer", words...)
	}
	d.sees("tr[data-id]", "Live", "bob")
	d.look("dashboard-drawer")
	if got, want := script[string](d, "() => [...document.querySelectorAll('.drawer a')].find((a) => a.textContent.includes('Open in Slack')).href"), s.base+"/"; len(got) < len(want) || got[:len(want)] != want {
		t.Errorf("the drawer leads back to %s, want an address at %s", got, want)
	}
	d.keys("\x1b")
	d.misses(".drawer", "deploy the fix")

	// From the message in Slack to its page, and back to the thread.
	to := script[string](b, "(s) => [...document.querySelectorAll(s)].find((a) => a.href.includes('/requests/')).href", inChannel+" a")
	d.do(chromedp.Navigate(to))
	d.sees("main", "Payments admins", "deploy the fix", "What happened")
	d.do(chromedp.Navigate(script[string](d, "() => [...document.querySelectorAll('main a')].find((a) => a.textContent.includes('Open in Slack')).href")))
	d.sees(inThread, "Payments admins", "deploy the fix")
}
