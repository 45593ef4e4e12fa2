package webhook_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/provider/webhook"
)

func discard() *log.Logger { return log.New(io.Discard, "", 0) }

// build builds the example.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "receiver")
	if out, err := exec.Command("go", "build", "-o", program, "./testdata/receiver").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// start runs the example and answers its address.
func start(t *testing.T, program, dir string) string {
	t.Helper()
	cmd := exec.Command(program, "127.0.0.1:0", dir)
	cmd.Env = []string{"RECEIVER_SECRET=" + whsec}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
}

// member is the file that the example keeps of a person.
func member(dir, subject string) string {
	sum := sha256.Sum256([]byte("test/resource\n" + subject))
	return filepath.Join(dir, "members", hex.EncodeToString(sum[:]))
}

// TestReceiver runs the provider against the example, as a program of its own.
func TestReceiver(t *testing.T) {
	program := build(t)
	bottest.TestProvider(t, func(t *testing.T) bottest.Fixture {
		dir := t.TempDir()
		return bottest.Fixture{
			Provider: provider(t, func(c *webhook.Config) { c.Now = time.Now }), Target: target(start(t, program, dir)), Blind: true,
			Alice: access.Account{Email: "alice@example.com"}, Bob: access.Account{Email: "bob@example.com"},
			Holders: func(t *testing.T, _ access.Target) []string {
				var got []string
				for _, who := range []string{"alice@example.com", "bob@example.com"} {
					if _, err := os.Stat(member(dir, who)); err == nil {
						got = append(got, who)
					}
				}
				if all, _ := os.ReadDir(filepath.Join(dir, "members")); len(all) != len(got) {
					t.Errorf("there are %d members, of whom %v are known", len(all), got)
				}
				return got
			},
			Give: func(t *testing.T, _ access.Target, who string) {
				if err := os.WriteFile(member(dir, who), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			},
			Take: func(t *testing.T, _ access.Target, who string) {
				if err := os.Remove(member(dir, who)); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

// TestReceiverRemembers: the example answers a repeated order as at first, also
// after it was started anew, and carries it out all the same.
func TestReceiverRemembers(t *testing.T) {
	program, dir := build(t), t.TempDir()
	p := provider(t, func(c *webhook.Config) { c.Now = time.Now })
	o := order(access.Target{})
	o.Resource = "test/resource"
	for range 2 {
		o.Target = target(start(t, program, dir))
		for range 2 {
			got, err := p.GrantObserving(t.Context(), o)
			if err != nil || got != access.Absent {
				t.Errorf("%s, %v", got, err)
			}
		}
		os.Remove(member(dir, o.Subject))
		if _, err := p.GrantObserving(t.Context(), o); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(member(dir, o.Subject)); err != nil {
			t.Error(err)
		}
		os.Remove(member(dir, o.Subject))
	}
}

// TestReceiverRefuses: the example takes orders from the bot alone, and in time.
func TestReceiverRefuses(t *testing.T) {
	dir := t.TempDir()
	at := target(start(t, build(t), dir))
	now := func(shift time.Duration) func(*webhook.Config) {
		return func(c *webhook.Config) { c.Now = func() time.Time { return time.Now().Add(shift) } }
	}
	wrong := func(c *webhook.Config) {
		c.Secret = func(string) (string, error) { return "another secret of that length", nil }
	}
	o := order(at)
	late := o
	late.Expires = time.Now().Add(-time.Minute)
	for name, x := range map[string]struct {
		p    *webhook.Provider
		o    access.Order
		want string
	}{
		"another secret":     {provider(t, now(0), wrong), o, "401"},
		"an old timestamp":   {provider(t, now(-6*time.Minute)), o, "401"},
		"an early timestamp": {provider(t, now(6*time.Minute)), o, "401"},
		"a grant too late":   {provider(t, now(0)), late, "422"},
	} {
		if err := x.p.Grant(t.Context(), x.o); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	res, err := http.Post(at.With["url"].(string), "application/json", strings.NewReader("{}"))
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("unsigned: %v, %v", res.Status, err)
	}
	res.Body.Close()
	if all, _ := os.ReadDir(filepath.Join(dir, "members")); len(all) != 0 {
		t.Errorf("%d members", len(all))
	}
	if err := provider(t, now(0)).Grant(t.Context(), o); err != nil {
		t.Error(err)
	}
}
