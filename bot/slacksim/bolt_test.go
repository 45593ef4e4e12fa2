package slacksim_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/slacksim"
)

// bolt is an app of Slack's own framework, in a process of its own.
type bolt struct {
	mu    sync.Mutex
	lines []map[string]any
}

func (b *bolt) wait(t *testing.T, what string) map[string]any {
	t.Helper()
	var found map[string]any
	eventually(t, what, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, l := range b.lines {
			if l["what"] == what {
				found = l
			}
		}
		return found != nil
	})
	return found
}

// startBolt installs the framework into a temporary directory. Without node, npm or network
// the test is skipped.
func startBolt(t *testing.T, s *sim, env ...string) *bolt {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	install := exec.CommandContext(t.Context(), "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", dir, "@slack/bolt@latest")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("npm install: %v\n%s", err, out)
	}
	script, err := os.ReadFile("testdata/bolt.js")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "bolt.js")
	if err := os.WriteFile(file, script, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", file, s.url+"/api/")
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "BOT_TOKEN="+botToken, "APP_TOKEN="+appToken), env...)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &bolt{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			var l map[string]any
			if json.Unmarshal(sc.Bytes(), &l) != nil {
				l = map[string]any{"what": "text", "text": sc.Text()}
			}
			b.mu.Lock()
			b.lines = append(b.lines, l)
			b.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("lines %s\nstderr %s", jsonOf(b.lines), errors.String())
		}
	})
	return b
}

// TestBolt lets Slack's own framework judge: what it understands cannot be far from what Slack
// sends. It needs the npm registry, so it runs only when it is asked for with -run Bolt.
func TestBolt(t *testing.T) {
	asked(t)
	s := start(t)
	b := startBolt(t, s)
	for end := time.Now().Add(30 * time.Second); s.Connected() == 0 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	b.wait(t, "ready")
	playBolt(t, s, b)
}

// TestBoltHTTP is the same in HTTP mode: the framework checks the signatures.
func TestBoltHTTP(t *testing.T) {
	asked(t)
	s := start(t)
	b := startBolt(t, s, "SIGNING_SECRET="+slacksim.DefaultWorld().App.SigningSecret)
	at := fmt.Sprintf("http://127.0.0.1:%.0f/slack/events", b.wait(t, "ready")["port"])
	to := slacksim.Endpoints{Events: at, Interactive: at, Commands: at, Options: at}
	if err := s.Deliver(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	playBolt(t, s, b)
	if s.Connected() != 0 {
		t.Error("it played over a socket")
	}
}

func asked(t *testing.T) {
	t.Helper()
	if !strings.Contains(flag.Lookup("test.run").Value.String(), "Bolt") {
		t.Skip("run with -run Bolt")
	}
}

func playBolt(t *testing.T, s *sim, b *bolt) {
	t.Helper()
	alice, bob := s.As("alice"), s.As("bob")

	if _, err := alice.Post("C0ACCESS", "hello & welcome"); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"what": "message", "text": "hello &amp; welcome", "email": "alice@example.com", "last": 1.0}
	if diff := cmp.Diff(want, b.wait(t, "message")); diff != "" {
		t.Error(diff)
	}
	if notice, err := alice.Command("C0ACCESS", "/access request for @dan"); err != nil {
		t.Fatal(notice, err)
	}
	if diff := cmp.Diff("request for <@U0DAN|dan>", b.wait(t, "command")["text"]); diff != "" {
		t.Error(diff)
	}
	if got := alice.Ephemerals("C0ACCESS"); len(got) != 1 || got[0].Text != "got request for <@U0DAN|dan>" {
		t.Errorf("the answer in the ack: %+v", got)
	}
	id := alice.Modals()[0].ID()
	found, err := alice.Suggest(slacksim.InView(id), "what", "what", "pay")
	if err != nil || len(found.Options) != 1 {
		t.Fatal(found, err)
	}
	problems, err := alice.Submit(id, map[string]map[string]any{"why": {"why": "x"}, "what": {"what": "one"}})
	if err != nil || problems["why"] != "say more" {
		t.Fatal(problems, err)
	}
	if problems, err = alice.Submit(id, map[string]map[string]any{"why": {"why": "incident"}}); err != nil || problems != nil {
		t.Fatal(problems, err)
	}
	if got := at(b.wait(t, "view"), "chosen", "value"); got != "one" {
		t.Errorf("chosen %v, want one", got)
	}

	messages := bob.Messages("C0ACCESS")
	in := slacksim.InMessage("C0ACCESS", messages[len(messages)-1].TS)
	if err := bob.Select(in, "", "expiry", "1h"); err != nil {
		t.Fatal(err)
	}
	if err := bob.Click(in, "", "approve"); err != nil {
		t.Fatal(err)
	}
	want = map[string]any{"what": "action", "by": "U0BOB", "value": "r1", "expiry": "1h"}
	if diff := cmp.Diff(want, b.wait(t, "action")); diff != "" {
		t.Error(diff)
	}
	if got := bob.Ephemerals("C0ACCESS"); len(got) != 1 || got[0].Text != "thank you" {
		t.Errorf("the answer by response_url: %+v", got)
	}
	if err := alice.OpenHome(); err != nil {
		t.Fatal(err)
	}
	b.wait(t, "home")
	if alice.Home() == nil {
		t.Error("no Home tab was published")
	}
	if err := alice.Shortcut("request_access"); err != nil {
		t.Fatal(err)
	}
	b.wait(t, "shortcut")
	s.noFindings()
}
