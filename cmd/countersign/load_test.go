package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/bot/slacksim"
)

var load = flag.Duration("load", 0, "how long TestLoad lets people ask; 30s says something")

var rate = flag.Float64("rate", 5, "how many requests a second TestLoad asks")

var farAway = flag.Duration("load-remote", 0, "TestLoad's log is served over http, and each request to it takes so long, such as 100ms")

// A measure is how long things took.
type measure []time.Duration

func (m measure) String() string {
	if len(m) == 0 {
		return "none"
	}
	s := slices.Sorted(slices.Values(m))
	at := func(p int) time.Duration { return s[min(len(s)-1, len(s)*p/100)].Round(100 * time.Microsecond) }
	return fmt.Sprintf("%4d, p50 %v, p90 %v, p95 %v, p99 %v, longest %v", len(s), at(50), at(90), at(95), at(99), s[len(s)-1].Round(100*time.Microsecond))
}

// TestLoad prints how the program does while -rate requests a second are asked, each
// approved as soon as it is seen, and somebody writes into a thread every second. It
// claims nothing about the figures; that everything is decided, it does. Slack lets
// an app post about one message a second in a channel, and update about as many in
// all: what comes faster than that stands in a queue. With -scale the log has a past
// of so many requests.
func TestLoad(t *testing.T) {
	if *load == 0 {
		t.Skip("only with -load 30s")
	}
	w, args := loadWorld(t)
	if *farAway > 0 {
		w.serveFrom(t, *farAway)
	}
	if err := w.start(w.env, args...); err != nil {
		t.Fatal(err)
	}
	if !eventually(5*time.Millisecond, w.isReady) {
		t.Fatalf("not ready:\n%s", tail(w.said(0), 4000))
	}
	o := &observer{world: w, seen: map[string]time.Time{}, decided: map[string]bool{}}
	asked := o.play(*load)
	for end := time.Now().Add(*load + 5*time.Minute); len(o.decided) < asked && time.Now().Before(end); {
		o.look()
	}
	t.Logf("asked %d in %v, decided %d", asked, *load, len(o.decided))
	t.Logf("click to visible decision: %v", o.visible)
	acks := map[string]measure{}
	for _, l := range w.sim.Latencies() {
		acks["all"] = append(acks["all"], l.Took)
		acks[l.Type+" "+l.What] = append(acks[l.Type+" "+l.What], l.Took)
	}
	for kind, m := range acks {
		t.Logf("ack of %s: %v", kind, m)
	}
	if len(o.decided) != asked {
		t.Errorf("%d of %d were decided", len(o.decided), asked)
	}
	if err := w.end(os.Interrupt); err != nil {
		t.Error(err)
	}
	if *scale > 0 {
		return // the configuration that governed the past is nowhere, so nothing verifies it
	}
	if err := w.verify(); err != nil {
		t.Error(err)
	}
}

// loadWorld is a new world, or with -scale an old one, and what serve is to be told
// there.
func loadWorld(t *testing.T) (*world, []string) {
	t.Helper()
	if *scale > 0 {
		w, accept := oldWorld(t, packedLog(t, endedLog(t, *scale)))
		return w, []string{"--accept-config", accept}
	}
	w, err := newWorld(t.TempDir(), defaultConfig, defaultDesired)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w, nil
}

// An observer looks at the approval channel all the time, as somebody with the
// channel open does, and approves what it sees there.
type observer struct {
	*world
	seen    map[string]time.Time // when it was clicked
	decided map[string]bool
	visible measure
}

// play lets people ask and talk for a while; it returns how many requests they made.
func (o *observer) play(d time.Duration) (asked int) {
	start := time.Now()
	people := []string{"alice", "erin", "dan"}
	talked := 0
	for time.Since(start) < d {
		if n := int(time.Since(start).Seconds() * *rate); n >= asked {
			who, text := people[asked%len(people)], fmt.Sprintf("/access request payments-admins 1h load %d", asked)
			asked++
			go func() { _, _ = o.sim.As(who).Command(approvals, text) }() // the ack is measured, the outcome seen
		}
		if all := o.approvalMessages(); len(all) > 0 && time.Since(start) > time.Duration(talked)*time.Second {
			talked++
			_, _ = o.sim.As("carol").Reply(approvals, all[len(all)-1].TS, "please say more")
		}
		o.look()
	}
	return asked
}

// look clicks what is new, and notes what is decided.
func (o *observer) look() {
	for _, m := range o.approvalMessages() {
		id := about(m, "request")
		clicked, known := o.seen[id]
		switch {
		case !known && m.HasAction("approve") && strings.Contains(messageText(m), "load "):
			o.seen[id] = time.Now()
			go func() { _ = o.sim.As("bob").Click(slacksim.InMessage(channelID(), m.TS), "", "approve") }()
		case known && !o.decided[id] && strings.Contains(messageText(m), "*Approved*"):
			o.decided[id] = true
			o.visible = append(o.visible, time.Since(clicked))
		}
	}
	time.Sleep(5 * time.Millisecond)
}
