package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	program "countersign/cmd/countersign"
)

// patience is how long anything on the page may take before a test gives up.
const patience = time.Minute

// The people of the local Slack, and the channel that they meet in.
const (
	alice = "U0ALICE"
	bob   = "U0BOB"
	carol = "U0CAROL"
	dan   = "U0DAN"
	erin  = "U0ERIN"

	accessChannel = "C0ACCESS"
)

// A stage is a running demo with a browser in front of it.
type stage struct {
	t         *testing.T
	browser   context.Context
	dir, base string
	out       *printed // what the demo prints
}

// startDemo runs the demo until the test ends. Each edit is a pair of texts: what
// is in the demo's configuration, and what stands there instead.
func startDemo(t *testing.T, browser context.Context, edits ...string) *stage {
	t.Helper()
	s := &stage{t: t, browser: browser, dir: t.TempDir()}
	if len(edits) > 0 {
		s.configure(edits)
	}
	ctx, stop := context.WithCancel(context.Background())
	out, errs := &printed{}, &printed{}
	s.out = out
	done := make(chan int, 1)
	go func() {
		done <- program.Demo(ctx, out, errs, "--dir", s.dir, "--listen", "127.0.0.1:0")
	}()
	t.Cleanup(func() {
		stop()
		if code := <-done; code != 0 {
			t.Errorf("the demo ended with code %d:\n%s", code, errs)
		}
	})
	until(t, "the demo is ready", func() error {
		select {
		case code := <-done:
			done <- code
			t.Fatalf("the demo ended with code %d:\n%s", code, errs)
		default:
		}
		found := regexp.MustCompile(`http://\S+`).FindString(out.String())
		if found == "" {
			return fmt.Errorf("it printed no address:\n%s%s", out, errs)
		}
		s.base = found
		_, err := s.get("/readyz")
		return err
	})
	t.Cleanup(s.noFindings)
	return s
}

// configure makes the demo's repository with another configuration, as a person
// would: by a commit on main.
func (s *stage) configure(edits []string) {
	s.t.Helper()
	edits = append([]string{"DESIRED_STATE", filepath.Join(s.dir, "desired-state.git")}, edits...)
	data, err := os.ReadFile(filepath.Join("demo", "countersign.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			s.t.Fatalf("the demo's configuration has no %q", edits[i])
		}
		text = strings.ReplaceAll(text, edits[i], edits[i+1])
	}
	clone := s.t.TempDir()
	s.git("init", "--quiet", "--bare", "--initial-branch=main", s.repo())
	s.git("clone", "--quiet", s.repo(), clone)
	if err := os.WriteFile(filepath.Join(clone, "countersign.yaml"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.git("-C", clone, "checkout", "--quiet", "-B", "main")
	s.git("-C", clone, "add", "countersign.yaml")
	s.git("-C", clone, "commit", "--quiet", "--message", "Rules for this test")
	s.git("-C", clone, "push", "--quiet", "origin", "main")
}

func (s *stage) repo() string { return filepath.Join(s.dir, "countersign.git") }

func (s *stage) git(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Olga Operator", "GIT_AUTHOR_EMAIL=olga@example.com",
		"GIT_COMMITTER_NAME=Olga Operator", "GIT_COMMITTER_EMAIL=olga@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// record waits until the log says something, and returns what it says.
func (s *stage) record(pattern string) string {
	s.t.Helper()
	want, said := regexp.MustCompile(pattern), ""
	until(s.t, "the log has "+pattern, func() error {
		said = s.git("-C", s.repo(), "log", "--format=%s", "--patch", "audit")
		if !want.MatchString(said) {
			return fmt.Errorf("it says:\n%s", said)
		}
		return nil
	})
	return said
}

// said asks whether the demo printed something.
func (s *stage) said(words string) func() error {
	return func() error {
		if !strings.Contains(s.out.String(), words) {
			return fmt.Errorf("it printed:\n%s", s.out)
		}
		return nil
	}
}

func (s *stage) get(path string) ([]byte, error) {
	resp, err := http.Get(s.base + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, resp.Status, body)
	}
	return body, err
}

// act does something as a person without the page, for what a test does not look at.
func (s *stage) act(as, do string, more map[string]string) map[string]any {
	s.t.Helper()
	body := map[string]string{"as": as, "do": do}
	for k, v := range more {
		body[k] = v
	}
	data, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.Post(s.base+"/sim/act", "application/json", bytes.NewReader(data))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := map[string]any{}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s: %s %v %v", as, do, resp.Status, answer, err)
	}
	return answer
}

// ask files a request by the command.
func (s *stage) ask(as, text string) {
	s.t.Helper()
	s.act(as, "command", map[string]string{"channel": accessChannel, "text": "/access request " + text})
}

// noFindings fails where the local Slack found the bot at fault.
func (s *stage) noFindings() {
	body, err := s.get("/sim/trace?after=0")
	if err != nil {
		s.t.Errorf("read the trace: %v", err)
		return
	}
	var trace struct {
		Entries []struct {
			Kind, Title string
			Detail      json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &trace); err != nil {
		s.t.Errorf("read the trace: %v", err)
	}
	for _, e := range trace.Entries {
		if e.Kind == "finding" {
			s.t.Errorf("the local Slack found: %s %s", e.Title, e.Detail)
		}
	}
}

// printed is what a program printed.
type printed struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.String()
}

// until asks again and again until the answer is nil.
func until(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s: %v", patience, what, err)
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// said compares what something says with what it should.
func said(got, want string) error {
	if got != want {
		return fmt.Errorf("it says %q, want %q", got, want)
	}
	return nil
}
