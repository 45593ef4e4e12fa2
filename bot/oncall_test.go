package bot_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot"
	"countersign/bot/access"
)

// pager is somebody's being on call, and counts the pages. It is stricter than
// a vendor: a second page for the same request fails the test.
type pager struct {
	t      *testing.T
	mu     sync.Mutex
	duties []access.Duty
	down   bool
	lost   int // so many answers to a page are lost
	pages  map[string]int
}

func (p *pager) Duties(_ context.Context, w access.Watch) ([]access.Duty, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return nil, errors.New("no route to host")
	}
	return p.duties, nil
}

func (p *pager) Page(_ context.Context, x access.Page) (string, string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return "", "", errors.New("no route to host")
	}
	p.pages[x.Request] = 1 // the vendor's key makes it one
	if p.lost--; p.lost >= 0 {
		return "", "", errors.New("connection reset")
	}
	return "PINC1", "https://acme.pagerduty.com/incidents/PINC1", nil
}

// made is for how many requests somebody was paged.
func (p *pager) made() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pages)
}

// onCallRules are the default approvals with PagerDuty.
func onCallRules(_ []byte, commit string) (*access.Rules, error) {
	r, err := rules(nil, commit)
	r.OnCall.PagerDuty = &access.PagerDuty{
		AutoApprove: true, EscalationPolicies: []string{"P1"}, Services: []string{"S1"},
		AutoDuration: 30 * time.Minute, RequireSchedule: true, MaxEscalationLevel: 1,
	}
	return r, err
}

func onCallWorld(t *testing.T, p *pager) *world {
	w := newWorld(t)
	p.t, p.pages = t, map[string]int{}
	w.parse, w.onCall = onCallRules, map[string]bot.OnCall{"pagerduty": p}
	return w
}

func duty(who access.Actor, level int, schedule string) access.Duty {
	return access.Duty{Person: access.Person{Email: who.Email}, Policy: "P1", Level: level, Schedule: schedule}
}

func TestOnCallIsApproved(t *testing.T) {
	for name, c := range map[string]struct {
		duties []access.Duty
		down   bool
		forWho access.Actor
		want   access.Status
	}{
		"on call by a schedule":       {duties: []access.Duty{duty(alice, 1, "SCHED")}, want: access.Live},
		"named directly, permanently": {duties: []access.Duty{duty(alice, 1, "")}, want: access.Pending},
		"on call at level 3":          {duties: []access.Duty{duty(alice, 3, "SCHED")}, want: access.Pending},
		"somebody else is on call":    {duties: []access.Duty{duty(carol, 1, "SCHED")}, want: access.Pending},
		"for somebody else":           {duties: []access.Duty{duty(alice, 1, "SCHED")}, forWho: carol, want: access.Pending},
		"the service is down":         {duties: []access.Duty{duty(alice, 1, "SCHED")}, down: true, want: access.Pending},
		"on call of another policy":   {duties: []access.Duty{{Person: alice.Person, Policy: "P9", Level: 1, Schedule: "S"}}, want: access.Pending},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := onCallWorld(t, &pager{duties: c.duties, down: c.down})
				w.start()
				defer w.kill()
				r := w.insist("form:1", alice, access.File{Resource: "admins", Principal: c.forWho})
				synctest.Wait()
				got := w.judge(r.ID)
				if got.Status != c.want {
					t.Fatalf("is %s, want %s", got.Status, c.want)
				}
				if c.want != access.Live {
					return
				}
				if d := got.Decision; d.Source != access.ByOnCall || !d.By.IsZero() || got.Expires().Sub(d.At) != 30*time.Minute {
					t.Errorf("approved by %v as %s until %s", d.By, d.Source, got.Expires())
				}
				time.Sleep(31 * time.Minute)
				w.ends(r.ID, access.Expired, false, 5*time.Second)
			})
		})
	}
}

// TestEscalation: the people on call are called once, however often it is
// pressed and whatever answer is lost; then they may approve, and nobody else.
func TestEscalation(t *testing.T) {
	dan := access.Actor{Person: access.Person{Email: "dan@example.com", Slack: "UDAN"}}
	synctest.Test(t, func(t *testing.T) {
		p := &pager{duties: []access.Duty{duty(dan, 3, "")}, lost: 2}
		w := onCallWorld(t, p)
		w.start()
		defer w.kill()
		r := w.insist("form:1", alice, access.File{Resource: "admins"})
		w.insist("post:1", access.Actor{}, access.Notify{Request: r.ID, Post: access.Post{Notice: access.NoticeApproval, Channel: "C", TS: "1"}})
		approve := func(id string, who access.Actor) error {
			_, err := w.bot.Handle(context.Background(), access.Command{ID: id, Actor: who, Do: access.Approve{Request: r.ID, For: time.Hour}})
			return err
		}
		if err := approve("click:1", dan); err == nil {
			t.Error("somebody on call approved before anybody escalated")
		}
		w.insist("click:2", alice, access.Escalate{Request: r.ID})
		w.insist("click:3", alice, access.Escalate{Request: r.ID})
		time.Sleep(5 * time.Minute)
		if n := p.made(); n != 1 {
			t.Errorf("%d pages", n)
		}
		if _, told := w.judge(r.ID).Post(access.NoticePage+"-pagerduty", access.Person{}); !told {
			t.Error("the page does not stand in the log")
		}
		p.mu.Lock()
		p.down = true
		p.mu.Unlock()
		if err := approve("click:4", dan); err == nil {
			t.Error("approved while nobody could say who is on call")
		}
		p.mu.Lock()
		p.down = false
		p.mu.Unlock()
		if err := approve("click:5", dan); err != nil {
			t.Fatal(err)
		}
		got := w.judge(r.ID)
		if got.Decision == nil || got.Decision.Source != access.ByEscalation {
			t.Fatalf("decided as %+v", got.Decision)
		}
	})
}
