package exec_test

import (
	"encoding/json"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/provider/exec"
)

var _ bot.Provider = (*exec.Provider)(nil)

// TestMain sets what no program may see, and a mask that keeps others from
// writing to the tests' own directories.
func TestMain(m *testing.M) {
	for _, name := range []string{"SLACK_BOT_TOKEN", "COUNTERSIGN_GIT_TOKEN", "HOOK_SECRET"} {
		os.Setenv(name, "/never/shown")
	}
	syscall.Umask(0o022)
	os.Exit(m.Run())
}

// programs is a directory of programs that were built, and whatever a test adds.
func programs(t *testing.T, names ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "programs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if out, err := osexec.Command("go", "build", "-o", dir+"/", "./testdata/"+name).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// script adds a shell script to a directory of programs.
func script(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o755); err != nil { // whatever the mask is
		t.Fatal(err)
	}
}

func provider(t *testing.T, dir string) *exec.Provider {
	t.Helper()
	p, err := exec.New(exec.Config{Dir: dir, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// target is a target as the log has it after it was read.
func target(command ...string) access.Target {
	words := []any{}
	for _, w := range command {
		words = append(words, w)
	}
	return access.Target{Provider: "exec", With: map[string]any{"command": words}}
}

func order(at access.Target) access.Order {
	return access.Order{
		Request: "01JXYZ", Resource: "ssh/bastion", Target: at, Subject: "alice@example.com",
		Principal: access.Person{Email: "renamed@example.com"}, Expires: time.Date(2030, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)),
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	dir := programs(t, "world")
	bottest.TestProvider(t, func(t *testing.T) bottest.Fixture {
		state := t.TempDir()
		for _, d := range []string{"crm", "wiki", "answers"} {
			if err := os.Mkdir(filepath.Join(state, d), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		holder := func(at access.Target, subject string) string {
			return filepath.Join(state, at.With["command"].([]any)[2].(string), subject)
		}
		return bottest.Fixture{
			Provider: provider(t, dir), Target: target("world", state, "crm"), Other: target("world", state, "wiki"), Blind: true,
			Alice: access.Account{Email: "alice@example.com"}, Bob: access.Account{Email: "bob@example.com"},
			Nobody: access.Account{GitHub: "nobody", Postgres: "nobody"},
			Holders: func(t *testing.T, at access.Target) []string {
				files, err := os.ReadDir(holder(at, ""))
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, f := range files {
					got = append(got, f.Name())
				}
				return got
			},
			Give: func(t *testing.T, at access.Target, subject string) { write(t, holder(at, subject), "") },
			Take: func(t *testing.T, at access.Target, subject string) {
				if err := os.Remove(holder(at, subject)); err != nil {
					t.Fatal(err)
				}
			},
			Inject: func(t *testing.T, f bottest.Fault) { write(t, filepath.Join(state, "fault"), string(f)) },
			Pending: func() bool {
				_, err := os.Stat(filepath.Join(state, "fault"))
				return err == nil
			},
		}
	})
}

// TestInput: the bytes that programs read, and the arguments as they are written.
func TestInput(t *testing.T) {
	dir, out := programs(t), t.TempDir()
	script(t, dir, "note", `cat >>"$1/in"; shift; printf '<%s>' "$@" >>"`+out+`/args"; echo '{"changed":true,"present_before":false}'`)
	at := target("note", out, "$(touch x)", "; touch x", "*", "a b", "", "-x", "${HOME}", "`id`", "new\nline")
	o := order(at)
	p := provider(t, dir)
	if err := p.Grant(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	o.Subject, o.Request = "a\"},{\n", "$(id) 'x'\x00"
	if err := p.Revoke(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(filepath.Join(out, "in"))
	want := `{"action":"grant","request":"01JXYZ","principal":"alice@example.com","resource":"ssh/bastion","expires_at":"2030-01-02T02:04:05Z"}` + "\n" +
		`{"action":"revoke","request":"$(id) 'x'\u0000","principal":"a\"},{\n","resource":"ssh/bastion","expires_at":"2030-01-02T02:04:05Z"}` + "\n"
	if string(got) != want {
		t.Errorf("input\n%s\nwant\n%s", got, want)
	}
	got, _ = os.ReadFile(filepath.Join(out, "args"))
	args := "<$(touch x)><; touch x><*><a b><><-x><${HOME}><`id`><new\nline>"
	if string(got) != args+args {
		t.Errorf("arguments %s, want %s twice", got, args)
	}
	// The log may hand on the words as text, too.
	o.Target.With["command"] = []string{"note", out}
	if err := p.Revoke(t.Context(), o); err != nil {
		t.Error(err)
	}
}

func TestObserving(t *testing.T) {
	dir := programs(t)
	p := provider(t, dir)
	for _, tt := range []struct {
		changed, before bool
		exit            int
		want            access.Presence
	}{{true, false, 0, access.Absent}, {false, true, 0, access.Present}, {true, true, 0, access.Present}, {true, true, 1, access.Unknown}, {false, false, 0, access.Unknown}} {
		answer, _ := json.Marshal(map[string]bool{"changed": tt.changed, "present_before": tt.before})
		script(t, dir, "say", fmt.Sprintf("echo '%s'; exit %d", answer, tt.exit))
		got, err := p.GrantObserving(t.Context(), order(target("say")))
		if got != tt.want || (err != nil) != (tt.want == access.Unknown) {
			t.Errorf("%+v: %s, %v", tt, got, err)
		}
	}
}

// TestAnswers: what counts as done, and what an operator reads where it is not.
func TestAnswers(t *testing.T) {
	const yes = `echo '{"changed":true,"present_before":false}'`
	tests := []struct {
		text          string
		grant, revoke string // a part of the error; empty: done
	}{
		{yes, "", ""},
		{`printf '\n {"changed":true, "present_before":true, "note":"x"}  \n\n'`, "", ""},
		{`cat >/dev/null; echo progress >&2; ` + yes, "", ""},
		{`exec <&-; ` + yes, "", ""},
		{`head -c 10000000 /dev/zero >&2; ` + yes, "", ""},
		{`echo '{"changed":false,"present_before":true}'`, "", "still there"},
		{`echo '{"changed":false,"present_before":false}'`, "nothing was given", ""},
		{`true`, "is not {", "is not {"},
		{`echo ok`, "but: ok", "but: ok"},
		{`echo null`, "is not {", "is not {"},
		{yes + `; ` + yes, "is not {", "is not {"},
		{yes + `; echo done`, "is not {", "is not {"},
		{`echo done; ` + yes, "is not {", "is not {"},
		{`echo '{"changed":true}'`, "is not {", "is not {"},
		{`echo '{"present_before":true}'`, "is not {", "is not {"},
		{`echo '{"changed":1,"present_before":true}'`, "is not {", "is not {"},
		{`printf '\033[2J\r\nFrom: x'`, "but: ?[2J  From: x", "but: ?[2J  From: x"},
		{yes + `; exit 1`, "exit status 1; it wrote nothing", "exit status 1; it wrote nothing"},
		{yes + `; echo no such person >&2; exit 3`, "exit status 3; it wrote: no such person", "exit status 3"},
		{yes + `; kill -TERM $$`, "signal: terminated", "signal: terminated"},
		{`no-such-program`, "not found", "exit status 127"},
		{`printf 'a\033]0;x\007b\r\n\000c' >&2; exit 1`, "it wrote: a?]0;x?b  ?c", "it wrote: a"},
	}
	dir := programs(t)
	p := provider(t, dir)
	for _, tt := range tests {
		script(t, dir, "say", tt.text)
		for action, want := range map[string]string{"grant": tt.grant, "revoke": tt.revoke} {
			do := p.Grant
			if action == "revoke" {
				do = p.Revoke
			}
			err := do(t.Context(), order(target("say")))
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s by %q: %v; want %q", action, tt.text, err, want)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\r\x1b\x00") {
				t.Errorf("%s by %q: %q", action, tt.text, err)
			}
		}
	}
}

func TestSubject(t *testing.T) {
	dir := programs(t)
	script(t, dir, "say", "")
	p := provider(t, dir)
	who := access.Account{Email: "alice@example.com", GitHub: "alice-gh", Postgres: "alice"}
	if got, err := p.Subject(t.Context(), target("say"), who); got != "alice@example.com" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := p.Subject(t.Context(), target("gone"), who); got != "" || err == nil || !strings.Contains(err.Error(), "put it there") {
		t.Errorf("no program: %q, %v", got, err)
	}
}

func TestOrders(t *testing.T) {
	dir := programs(t)
	script(t, dir, "say", `echo '{"changed":true,"present_before":true}'`)
	p := provider(t, dir)
	for name, change := range map[string]func(*access.Order){
		"request":  func(o *access.Order) { o.Request = "" },
		"subject":  func(o *access.Order) { o.Subject = "" },
		"resource": func(o *access.Order) { o.Resource = "" },
		"no end":   func(o *access.Order) { o.Expires = time.Time{} },
	} {
		o := order(target("say"))
		change(&o)
		if err := p.Grant(t.Context(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}
