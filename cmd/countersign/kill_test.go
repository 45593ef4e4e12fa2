package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/slacksim"
)

var kills = flag.Int("kills", 3, "how many lives TestKill interrupts; 60 for a thorough run")

// TestKill kills the bot, as a power cut would, at a random moment of a request's
// life, starts it again, and judges what came of it: git's own checks and verify,
// one decision at most, nothing acknowledged lost, nothing told twice, and nobody
// holds what the log says has ended.
//
// A failing life is played again with the moment that it prints, by the real clock.
func TestKill(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	moments := rand.New(rand.NewPCG(seed, 0))
	for i := range *kills {
		// Evenly over the whole life: the first half second is the busiest.
		moment := time.Duration(moments.Int64N(int64(1500 * time.Millisecond)))
		if i%2 == 0 {
			moment /= 4
		}
		t.Run(fmt.Sprintf("%d after %v", i, moment.Round(time.Millisecond)), func(t *testing.T) {
			t.Parallel()
			if err := oneLife(t, moment, i%3 == 1); err != nil {
				t.Error(err)
			}
		})
	}
}

// oneLife plays one request up to a moment, and after a restart to its end: over
// sockets, or in HTTP mode.
func oneLife(t *testing.T, moment time.Duration, http bool) error {
	w, err := newWorld(t.TempDir(), defaultConfig, defaultDesired)
	if err != nil {
		return err
	}
	defer w.close()
	if http {
		w.env = append(w.env, "SLACK_APP_TOKEN=", "SLACK_SIGNING_SECRET="+slacksim.DefaultWorld().App.SigningSecret)
	}
	defer func() {
		if t.Failed() {
			t.Log(tail(w.said(0), 4000))
		}
	}()
	if err := w.ready(); err != nil {
		return err
	}
	// Alice and Bob act as soon as they can, whether or not the bot lives.
	ended := make(chan struct{})
	acted := make(chan struct{})
	go func() { defer close(acted); w.act(ended) }()
	time.Sleep(moment)
	if err := w.kill(); err != nil {
		return err
	}
	told := w.told()
	if err := w.ready(); err != nil {
		return err
	}
	ok := eventually(100*time.Millisecond, w.settled)
	close(ended)
	<-acted
	if !ok {
		return errors.New("the request does not come to its end")
	}
	if err := w.end(os.Interrupt); err != nil {
		return fmt.Errorf("Ctrl-C: %w", err)
	}
	return w.autopsy(told)
}

func (w *world) ready() error {
	if err := w.start(w.env); err != nil {
		return err
	}
	if !eventually(10*time.Millisecond, w.isReady) {
		return errors.New("the bot does not become ready")
	}
	return nil
}

// act lets Alice ask until there is a request, and Bob and Carol approve it until it
// is decided: people try again where nothing happens.
func (w *world) act(until chan struct{}) {
	wait := func(d time.Duration) (over bool) {
		select {
		case <-until:
			return true
		case <-time.After(d):
			return false
		}
	}
	for len(w.approvalMessages()) == 0 {
		_, _ = w.sim.As("alice").Command(approvals, "/access request payments-admins 2s deploy") // she sees what comes of it
		for range 20 {
			if len(w.approvalMessages()) > 0 {
				break
			}
			if wait(50 * time.Millisecond) {
				return
			}
		}
	}
	for !wait(20 * time.Millisecond) {
		for _, m := range w.approvalMessages() {
			if !m.HasAction("approve") {
				continue
			}
			at := slacksim.InMessage(channelID(), m.TS)
			go func() { _ = w.sim.As("carol").Click(at, "", "approve") }() // the loser, or nobody listens
			_ = w.sim.As("bob").Click(at, "", "approve")
			if wait(time.Second) {
				return
			}
		}
	}
}

// settled reports whether every request has ended and been told.
func (w *world) settled() bool {
	all, err := w.requests()
	if err != nil || len(all) == 0 {
		return false
	}
	for _, r := range all {
		if _, told := r.Post(access.NoticeEnded, r.Requestor); r.Status != access.Expired || !told {
			return false
		}
	}
	return true
}

// told is what people had been told when the bot died: what is acknowledged.
func (w *world) told() map[string]bool {
	told := map[string]bool{}
	for _, m := range w.approvalMessages() {
		told[about(m, "request")+" filed"] = true
		if strings.Contains(messageText(m), "*Approved*") {
			told[about(m, "request")+" approved"] = true
		}
	}
	for _, m := range w.sim.As("alice").DMs() {
		told[about(m, "request")+" "+about(m, "notice")] = true
	}
	for _, m := range w.sim.As("alice").Ephemerals(approvals) {
		if _, id, ok := strings.Cut(m.Text, "It is `"); ok {
			told[id[:26]+" filed"] = true
		}
	}
	return told
}

// autopsy judges a whole life.
func (w *world) autopsy(told map[string]bool) error {
	if err := w.judge(); err != nil {
		return err
	}
	if found := w.sim.Findings(); len(found) > 0 {
		return fmt.Errorf("the local Slack found: %s %s", found[0].Kind, found[0].Text)
	}
	all, err := w.requests()
	if err != nil {
		return err
	}
	for key := range told {
		id, _, _ := strings.Cut(key, " ")
		if !slices.ContainsFunc(all, func(r access.Request) bool { return r.ID == id }) {
			return fmt.Errorf("%s was told, and is lost", key)
		}
	}
	for _, r := range all {
		if err := w.once(r); err != nil {
			return err
		}
	}
	have, err := w.have("payments.admins")
	if err != nil {
		return err
	}
	if !slices.Equal(have, []string{"olga@example.com"}) {
		return fmt.Errorf("everything has ended, and %v have the access", have)
	}
	return nil
}

// once: each event that must not happen twice did not, each message was posted once,
// and each post is in the log.
func (w *world) once(r access.Request) error {
	out, err := w.git(w.repo(), "log", "--format=%(trailers:key=Event,valueonly,separator=)", "--grep=^Request-Id: "+r.ID, "audit")
	if err != nil {
		return err
	}
	count := map[string]int{}
	for _, e := range strings.Fields(out) {
		count[e]++
	}
	for event, want := range map[string]int{"requested": 1, "approved": 1, "revoke_intent": 1, "expired": 1} {
		if count[event] != want {
			return fmt.Errorf("%s: %d times %s", r.ID, count[event], event)
		}
	}
	if count["grant_intent"] > 1 || count["granted"] > 1 {
		return fmt.Errorf("%s: %v", r.ID, count)
	}
	posted := map[string]int{}
	for _, m := range append(w.approvalMessages(), w.sim.As("alice").DMs()...) {
		if about(m, "request") == r.ID {
			posted[about(m, "notice")]++
		}
	}
	for notice, n := range posted {
		if n != 1 {
			return fmt.Errorf("%s: posted %d times: %s", r.ID, n, notice)
		}
	}
	for _, p := range r.Posts {
		if posted[p.Notice] != 1 {
			return fmt.Errorf("%s: the log names a message that is not there: %s", r.ID, p.Notice)
		}
	}
	if len(r.Posts) != len(posted) {
		return fmt.Errorf("%s: %d messages, of which the log knows %d", r.ID, len(posted), len(r.Posts))
	}
	return nil
}
