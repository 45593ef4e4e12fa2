package slackapp_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/slackapp"
	"countersign/bot/slacksim"
)

func TestAllowanceMessages(t *testing.T) {
	at := time.Date(2026, 3, 28, 9, 30, 0, 0, time.UTC)
	x := access.Allowance{
		ID: "01KQ4Y2E7M0000000000000000", Seq: 1, By: bob.Person, For: erin.Person, Resource: "github/payments-admins",
		From: at, To: at.Add(72 * time.Hour), Duration: 90 * time.Minute, At: at,
	}
	golden(t, "allowance/maker", slackapp.AllowanceEnding(x, bob.Person))
	golden(t, "allowance/recipient", slackapp.AllowanceEnding(x, erin.Person))
}

// promise is one pre-approval that ends soon, and the log that keeps it.
type promise struct {
	mu     sync.Mutex
	a      access.Allowance // guarded by mu
	broken bool             // guarded by mu; nothing can be recorded
	tries  int              // guarded by mu; to record something
}

// promised is set up with a pre-approval of bob's for erin.
func promised(p *promise) func(*slacksim.Config, *book) {
	now := time.Now()
	p.a = access.Allowance{
		ID: "01KTESTALLOWANCE0000000000", Seq: 1, By: bob.Person, For: erin.Person, Resource: "db/orders",
		From: now.Add(-8 * time.Hour), To: now.Add(time.Hour), Duration: time.Hour, At: now.Add(-8 * time.Hour),
	}
	return func(_ *slacksim.Config, b *book) {
		b.allowances = &slackapp.Allowances{List: p.list, Reminded: p.reminded}
	}
}

func (p *promise) list() []access.Allowance {
	p.mu.Lock()
	defer p.mu.Unlock()
	return []access.Allowance{p.a}
}

func (p *promise) reminded(_ context.Context, delivery, id string, r access.EndReminder) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries++
	if p.broken {
		return errors.New("the log is down")
	}
	if id != p.a.ID || !strings.HasPrefix(delivery, "post:"+r.Channel+":"+r.TS) {
		return errors.New("that is something else")
	}
	p.a, err = p.a.Remind(r)
	return err
}

func (p *promise) set(change func(*promise)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// told are those whose reminder is recorded, by account.
func (p *promise) told() []string {
	var out []string
	for _, r := range p.list()[0].Reminded {
		out = append(out, r.To.Slack)
	}
	slices.Sort(out)
	return out
}

// reminders counts the messages that somebody got.
func (s *stage) reminders(who string) int {
	n := 0
	for _, m := range s.slack.As(who).DMs() {
		if holds(m, "ends <!date^", "/access allow withdraw 01KTESTALLOWANCE0000000000") {
			n++
		}
	}
	return n
}

func (s *stage) bothOnce(p *promise) {
	s.Helper()
	s.eventually("both reminders to be recorded", func() bool { return slices.Equal(p.told(), []string{bob.Slack, erin.Slack}) })
	for _, who := range []string{"bob", "erin"} {
		if n := s.reminders(who); n != 1 {
			s.Errorf("%s was told %d times", who, n)
		}
	}
}

// TestRemindsOfAllowances: both are told, each once, whatever Slack answers first.
func TestRemindsOfAllowances(t *testing.T) {
	for _, how := range []string{"", "internal_error", "500", "ratelimited", "cut_before", "cut_after"} {
		t.Run(how, func(t *testing.T) {
			var p promise
			s := start(t, promised(&p))
			if how != "" {
				if err := s.slack.Fault(slacksim.Fault{Fail: &slacksim.FailCalls{Method: "chat.postMessage", Error: how, Times: 1, RetryAfter: 1}}); err != nil {
					t.Fatal(err)
				}
			}
			s.app.AllowanceEnding(p.a.ID)
			s.app.AllowanceEnding(p.a.ID)
			s.bothOnce(&p)
			s.app.AllowanceEnding(p.a.ID)
			s.bothOnce(&p)
			s.noFindings()
		})
	}
}

// TestReminderThatWasNotRecorded: the next run finds the message that the last one
// sent and did not live to record.
func TestReminderThatWasNotRecorded(t *testing.T) {
	var p promise
	p.broken = true
	s := start(t, promised(&p))
	s.app.AllowanceEnding(p.a.ID)
	s.eventually("the messages", func() bool { return s.reminders("bob") == 1 && s.reminders("erin") == 1 })
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if got := p.told(); len(got) != 0 {
		t.Fatalf("recorded while the log is down: %v", got)
	}
	p.set(func(p *promise) { p.broken = false })
	s.run()
	s.app.AllowanceEnding(p.a.ID)
	s.bothOnce(&p)
	s.noFindings()
}

// TestNoReminderOfWhatIsOver: what is withdrawn before the message can be sent is
// not told of, and the message waits no longer.
func TestNoReminderOfWhatIsOver(t *testing.T) {
	for name, end := range map[string]func(*promise){
		"withdrawn": func(p *promise) { p.a.Withdrawn = time.Now() },
		"over":      func(p *promise) { p.a.To = time.Now().Add(-time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			var p promise
			s := start(t, promised(&p))
			if err := s.slack.Fault(slacksim.Fault{Fail: &slacksim.FailCalls{Method: "conversations.open", Error: "internal_error", Times: 2}}); err != nil {
				t.Fatal(err)
			}
			s.app.AllowanceEnding(p.a.ID)
			s.eventually("both tries", func() bool { return strings.Count(s.logs.String(), "will be tried again") >= 2 })
			p.set(end)
			s.eventually("nothing to wait", s.app.Settled)
			if n := s.reminders("bob") + s.reminders("erin") + len(p.told()); n != 0 {
				t.Errorf("%d reminders", n)
			}
		})
	}
}

// TestAllowCommandWords: list and revoke do what people expect of them.
func TestAllowCommandWords(t *testing.T) {
	var p promise
	s := start(t, promised(&p), func(_ *slacksim.Config, b *book) {
		b.allowances.Withdraw = func(context.Context, string, access.Actor, string) error {
			p.set(func(p *promise) { p.a.Withdrawn = time.Now() })
			return nil
		}
	})
	s.command("bob", "/access allow list")
	s.told("bob", "*Pre-approvals*", p.a.ID)
	s.command("bob", "/access allow revoke "+p.a.ID)
	s.told("bob", "Withdrawn: ")
	s.command("bob", "/access allow list")
	s.told("bob", "There are none.")
}
