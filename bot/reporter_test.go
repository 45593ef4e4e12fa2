package bot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot"
)

// press makes reports in a simulated forge.
type press struct {
	mu        sync.Mutex // guards all below
	head      string
	made      int           // reports that there are
	unchanged bool          // runs find nothing new
	takes     time.Duration // a run
	start     error
	looks     []error // answers to the next looks; nil: the truth
	fails     bool    // the run
	starts    []time.Time
	looked    int
	said      []string

	memory   string
	memoryAt time.Time
	full     bool // the disk
}

func (p *press) started() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.starts)
}

// with changes it, or looks.
func (p *press) with(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
}

func (p *press) now() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.head
}

func (p *press) Start(context.Context) (bot.ReportRun, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starts = append(p.starts, time.Now())
	if p.start != nil {
		return nil, p.start
	}
	return &pressRun{p, time.Now().Add(p.takes)}, nil
}

func (p *press) Newest(context.Context) (string, string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made == 0 {
		return "", "", nil
	}
	return fmt.Sprint(p.made), fmt.Sprintf("https://forge/blob/%d", p.made), nil
}

func (p *press) Load() (string, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.memory, p.memoryAt
}

func (p *press) Save(head string, at time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.full {
		return errors.New("no space left on device")
	}
	p.memory, p.memoryAt = head, at
	return nil
}

type pressRun struct {
	p    *press
	ends time.Time
}

func (r *pressRun) URL() string { return "https://forge/run" }

func (r *pressRun) Look(context.Context) (done, passed bool, err error) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	r.p.looked++
	if len(r.p.looks) > 0 {
		err, r.p.looks = r.p.looks[0], r.p.looks[1:]
		return false, false, err
	}
	if time.Now().Before(r.ends) {
		return false, false, nil
	}
	if !r.p.fails && !r.p.unchanged {
		r.p.made++
	}
	return true, !r.p.fails, nil
}

// pressed runs a reporter in simulated time; each step is what happens, and how long
// it is left alone then.
func pressed(t *testing.T, p *press, during func(wait func(time.Duration))) (log string) {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		r, err := bot.NewReporter(bot.ReporterConfig{
			Reports: p, Memory: p, Head: p.now,
			Announce: func(text string) { p.with(func() { p.said = append(p.said, text) }) }, Log: slog.New(slog.NewTextHandler(&out, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go r.Run(ctx)
		during(func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		})
		stop()
		synctest.Wait()
	})
	return out.String()
}

// TestReporterSparing: a busy log starts one report in ten minutes, a quiet one none;
// each that is new is told once.
func TestReporterSparing(t *testing.T) {
	p := &press{head: "h0", takes: 2 * time.Minute}
	pressed(t, p, func(wait func(time.Duration)) {
		for i := range 60 { // an hour
			p.with(func() { p.head = fmt.Sprintf("h%d", i) })
			wait(time.Minute)
		}
		wait(20 * time.Minute) // the last change is reported too
		if n := p.started(); n != 7 {
			t.Errorf("%d reports in an hour and a bit", n)
		}
		before := p.started()
		wait(48 * time.Hour)
		if n := p.started(); n != before {
			t.Errorf("a quiet log started %d reports", n-before)
		}
	})
	for i := 1; i < len(p.starts); i++ {
		if gap := p.starts[i].Sub(p.starts[i-1]); gap < 10*time.Minute {
			t.Errorf("two starts within %s", gap)
		}
	}
	if len(p.said) != len(p.starts) || p.said[0] != "There is a new <https://forge/blob/1|report of all requests>, by <https://forge/run|this run>." {
		t.Errorf("%d starts, and said:\n%s", len(p.starts), strings.Join(p.said, "\n"))
	}
	if p.memory != "h59" {
		t.Errorf("the last one was of %s", p.memory)
	}
}

// TestReporterRestart: a restart neither starts what was started nor forgets when.
func TestReporterRestart(t *testing.T) {
	p := &press{head: "h0"}
	pressed(t, p, func(wait func(time.Duration)) { wait(5 * time.Minute) })
	pressed(t, p, func(wait func(time.Duration)) {
		p.with(func() { p.starts, p.memoryAt = nil, time.Now() })
		wait(time.Hour)
		if p.started() != 0 {
			t.Error("the same log was reported again")
		}
		p.with(func() { p.head, p.memoryAt = "h1", time.Now() })
		wait(9 * time.Minute)
		if p.started() != 0 {
			t.Error("within ten minutes of the last one")
		}
		wait(3 * time.Minute)
		if n := p.started(); n != 1 {
			t.Errorf("%d starts", n)
		}
	})
}

// TestReporterFails: failures are logged and tried again with back-off, and nothing is
// told of them in Slack.
func TestReporterFails(t *testing.T) {
	for name, c := range map[string]struct {
		p    *press
		want string
	}{
		"start": {&press{start: errors.New("start report.yml: 403")}, "403"},
		"run":   {&press{fails: true}, "the run failed: https://forge/run"},
		"hangs": {&press{takes: 1000 * time.Hour}, "has not ended after 30m0s"},
	} {
		p := c.p
		p.head = "h"
		log := pressed(t, p, func(wait func(time.Duration)) {
			wait(24 * time.Hour)
			if n := p.started(); n < 5 || n > 10 {
				t.Errorf("%s: %d tries in a day", name, n)
			}
			p.with(func() { p.start, p.fails, p.takes = nil, false, time.Second })
			wait(7 * time.Hour)
			tries := p.started()
			wait(24 * time.Hour)
			if n := p.started(); n != tries {
				t.Errorf("%s: %d tries after it had worked", name, n-tries)
			}
		})
		if !strings.Contains(log, c.want) || len(p.said) != 1 {
			t.Errorf("%s: said %v, logged:\n%s", name, p.said, log)
		}
	}
}

// TestReporterLooks: a failing look is no failing run, looks are few, and a run that
// changes nothing is not told of.
func TestReporterLooks(t *testing.T) {
	p := &press{head: "h", made: 1, takes: 20 * time.Minute, looks: []error{errors.New("502"), errors.New("502")}, unchanged: true}
	log := pressed(t, p, func(wait func(time.Duration)) { wait(2 * time.Hour) })
	if len(p.starts) != 1 || p.looked > 8 || len(p.said) > 0 || !strings.Contains(log, "the report has not changed") {
		t.Errorf("%d starts, %d looks, said %v:\n%s", len(p.starts), p.looked, p.said, log)
	}
}

// TestReporterWithoutMemory: where it cannot be noted that one is started, none is: a
// restart would start another.
func TestReporterWithoutMemory(t *testing.T) {
	p := &press{head: "h", full: true}
	log := pressed(t, p, func(wait func(time.Duration)) { wait(time.Hour) })
	if len(p.starts) > 0 || !strings.Contains(log, "no space left") {
		t.Errorf("%d starts:\n%s", len(p.starts), log)
	}
}
