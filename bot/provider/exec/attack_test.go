package exec_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/provider/exec"
)

const yes = `echo '{"changed":true,"present_before":true}'; `

// refused fails the test unless every call of a target is refused, and for that
// reason.
func refused(t *testing.T, p *exec.Provider, at access.Target, why string) {
	t.Helper()
	o := order(at)
	_, serr := p.Subject(t.Context(), at, access.Account{Email: o.Subject})
	has, herr := p.Has(t.Context(), at, o.Subject)
	for call, err := range map[string]error{"Grant": p.Grant(t.Context(), o), "Revoke": p.Revoke(t.Context(), o), "Subject": serr, "Has": herr} {
		if err == nil || !strings.Contains(err.Error(), why) || strings.ContainsAny(err.Error(), "\x00\n") || has != access.Unknown {
			t.Errorf("%s of %q: %v; want %q", call, at.With["command"], err, why)
		}
	}
}

// permitted fails the test unless a program runs.
func permitted(t *testing.T, p *exec.Provider, at access.Target) {
	t.Helper()
	if err := p.Grant(t.Context(), order(at)); err != nil {
		t.Errorf("%q: %v", at.With["command"], err)
	}
}

// TestCommands: only what names a program below the directory is one.
func TestCommands(t *testing.T) {
	dir := programs(t)
	script(t, dir, "say", yes)
	script(t, filepath.Dir(dir), "outside", yes)
	p := provider(t, dir)
	for _, name := range []string{
		"", ".", "..", "../outside", "/bin/true", dir + "/say", "./say", "sub/../say", "sub/../../outside", "say/", "say/.", "//say", "a//b", "../programs/say", "~/say",
	} {
		why := "no path below --exec-dir"
		if name == "~/say" {
			why = "there is no program"
		}
		refused(t, p, target(name), why)
	}
	refused(t, p, target("say\x00"), "NUL")
	refused(t, p, target("say", "a\x00b"), "NUL")
	refused(t, p, target("true"), "there is no program") // not by PATH
	for _, command := range []any{nil, []any{}, []string{}, "say", []any{"say", 5}, []any{[]any{"say"}}, map[string]any{"say": nil}} {
		refused(t, p, access.Target{With: map[string]any{"command": command}}, "not a list of a program")
	}
	refused(t, p, access.Target{}, "not a list of a program")
	permitted(t, p, target("say"))
}

// TestWhere: a program counts where it is, not where it seems to be.
func TestWhere(t *testing.T) {
	dir := programs(t)
	up := filepath.Dir(dir)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	script(t, dir, "say", yes)
	script(t, up, "outside", yes)
	must(os.MkdirAll(filepath.Join(dir, "sub/deep"), 0o755))
	must(os.Mkdir(filepath.Join(up, "programs-too"), 0o755))
	script(t, filepath.Join(dir, "sub/deep"), "say", yes)
	script(t, filepath.Join(up, "programs-too"), "say", yes)
	for name, to := range map[string]string{
		"out": "/bin/true", "out-relative": "../outside", "out-dir": "..", "out-alike": "../programs-too/say", "chain": "out",
		"in": "sub/deep/say", "in-dir": "sub", "in-roundabout": "../programs/say", "loop": "loop", "dangling": "nowhere",
	} {
		must(os.Symlink(to, filepath.Join(dir, name)))
	}
	must(os.Symlink(dir, filepath.Join(up, "programs-link")))
	p := provider(t, filepath.Join(up, "programs-link"))
	for _, name := range []string{"out", "out-relative", "out-dir/outside", "out-alike", "chain"} {
		refused(t, p, target(name), "outside --exec-dir")
	}
	refused(t, p, target("loop"), "too many links")
	refused(t, p, target("dangling"), "there is no program")
	refused(t, p, target("sub"), "is no program")
	for _, name := range []string{"say", "sub/deep/say", "in", "in-dir/deep/say", "in-roundabout"} {
		permitted(t, p, target(name))
	}
}

// TestTrust: what somebody else could change is not run, whenever that came to be.
func TestTrust(t *testing.T) {
	dir := programs(t)
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	script(t, sub, "say", yes)
	p, at := provider(t, dir), target("sub/say")
	up := filepath.Dir(dir)
	tests := []struct {
		path string
		mode os.FileMode
		why  string // empty: permitted
	}{
		{sub + "/say", 0o775, "may be written"}, {sub + "/say", 0o757, "may be written"}, {sub + "/say", 0o644, "is no program"}, {sub + "/say", 0o500, ""},
		{sub, 0o775, "may be written"}, {sub, 0o757, "may be written"}, {sub, 0o777 | os.ModeSticky, "may be written"},
		{dir, 0o775, "may be written"}, {dir, 0o757, "may be written"}, {dir, 0o777 | os.ModeSticky, "may be written"}, {dir, 0o700, ""},
		{up, 0o775, "may be written"}, {up, 0o757, "may be written"}, {up, 0o777 | os.ModeSticky, ""},
	}
	for _, tt := range tests {
		if err := os.Chmod(tt.path, tt.mode); err != nil {
			t.Fatal(err)
		}
		if tt.why == "" {
			permitted(t, p, at)
		} else {
			refused(t, p, at, tt.why)
		}
		if err := p.Ready(at); (err != nil) != (tt.why != "") {
			t.Errorf("Ready with %s %s: %v", tt.path, tt.mode, err)
		}
		if err := os.Chmod(tt.path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	permitted(t, p, at)
	if os.Geteuid() != 0 {
		return // nothing can be given to somebody else
	}
	for _, path := range []string{sub + "/say", sub, dir, up} {
		if err := os.Chown(path, 65534, -1); err != nil {
			t.Fatal(err)
		}
		refused(t, p, at, "belongs neither")
		if err := os.Chown(path, 0, -1); err != nil {
			t.Fatal(err)
		}
	}
	permitted(t, p, at)
}

func TestNew(t *testing.T) {
	dir := programs(t)
	script(t, dir, "say", yes)
	off, err := exec.New(exec.Config{})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, off, target("say"), "--exec-dir")
	if err := off.Revoke(t.Context(), order(target("say"))); !errors.Is(err, exec.ErrOff) {
		t.Error(err)
	}
	for _, d := range []string{filepath.Join(dir, "say"), filepath.Join(dir, "gone")} {
		refused(t, provider(t, d), target("say"), "--exec-dir")
	}
	if err := provider(t, dir).Ready(target("gone")); err == nil || !strings.Contains(err.Error(), `no program "gone"`) {
		t.Errorf("Ready for a program that is not there: %v", err)
	}
	t.Chdir(filepath.Dir(dir))
	p := provider(t, "programs")
	t.Chdir("/")
	permitted(t, p, target("say"))
}

// TestNoShell: what the system cannot run is not given to a shell.
func TestNoShell(t *testing.T) {
	dir := programs(t)
	path := filepath.Join(dir, "say")
	if err := os.WriteFile(path, []byte(yes), 0o755); err != nil {
		t.Fatal(err)
	}
	err := provider(t, dir).Grant(t.Context(), order(target("say")))
	if err == nil || !strings.Contains(err.Error(), "#!/bin/sh") {
		t.Error(err)
	}
}

// pid reads the number of a process that a script has noted.
func pid(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	n, aerr := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || aerr != nil {
		t.Fatal(err, aerr)
	}
	return n
}

// lives reports whether a process still does after a while: the killed need a moment.
func lives(pid int, while time.Duration) bool {
	for end := time.Now().Add(while); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return false
		}
	}
	return true
}

// A behaviour is a program that does not simply answer. Some note a process of
// theirs in the file that is their argument.
type behaviour struct {
	name, text string
	hangs      bool          // its deadline comes as soon as it has noted the process
	within     time.Duration // less than what the output of those who left the group is waited for
	why        string        // empty: done
	survives   bool          // what was left behind lives, and is ended by the test
}

// TestProcesses: no program keeps the bot waiting, and none leaves anything behind
// in its group.
func TestProcesses(t *testing.T) {
	const hold = `sleep 300 & echo $! >"$1"; `
	const away = `setsid sh -c 'echo $$ >"$1"; exec sleep 300' sh "$1" & while [ ! -s "$1" ]; do sleep 0.05; done; `
	tests := []behaviour{
		{"ends", yes, false, 2500 * time.Millisecond, "", false},
		{"leaves one behind that holds the output", hold + yes, false, 2500 * time.Millisecond, "", false},
		{"leaves one behind, and fails", hold + "exit 1", false, 2500 * time.Millisecond, "exit status 1", false},
		{"leaves one behind without the output", `sleep 300 >/dev/null 2>&1 </dev/null & echo $! >"$1"; ` + yes, false, 2500 * time.Millisecond, "", false},
		{"leaves one behind that ignores signals", `(trap '' HUP INT TERM; sleep 300) & echo $! >"$1"; ` + yes, false, 2500 * time.Millisecond, "", false},
		{"leaves the group", away + yes, false, 6 * time.Second, "", true},
		{"hangs", `echo $$ >"$1"; sleep 300`, true, 2500 * time.Millisecond, "did not end in time", false},
		{"hangs with another", hold + "wait", true, 2500 * time.Millisecond, "did not end in time", false},
		{"ignores signals", `trap '' HUP INT TERM PIPE; ` + hold + `while :; do sleep 1; done`, true, 2500 * time.Millisecond, "did not end in time", false},
		{"hangs after its answer", yes + hold + "wait", true, 2500 * time.Millisecond, "did not end in time", false},
		{"hangs outside the group too", away + "wait", true, 6 * time.Second, "did not end in time", true},
		{"writes without end", `yes`, false, 5 * time.Second, "more than 65536 bytes", false},
		{"writes without end, and does not mind", `trap '' PIPE; while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done 2>/dev/null`, false, 10 * time.Second, "more than 65536 bytes", false},
		{"writes problems without end", `echo problems problems >&2; echo $$ >"$1"; yes problems >&2`, true, 3 * time.Second, "problems problems", false},
	}
	dir := programs(t)
	p := provider(t, dir)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			took := tt.play(t, p, dir)
			for range 4 { // that a busy machine was slow once says nothing
				if took > tt.within && !t.Failed() {
					took = tt.play(t, p, dir)
				}
			}
			if took > tt.within {
				t.Errorf("took %s", took)
			}
		})
	}
	zombies(t)
}

// play has the program give an access, and says how long that took.
func (b behaviour) play(t *testing.T, p *exec.Provider, dir string) time.Duration {
	t.Helper()
	note := filepath.Join(t.TempDir(), "pid")
	script(t, dir, "say", b.text)
	ctx, end := context.WithCancelCause(t.Context())
	defer end(nil)
	begin := time.Now()
	if b.hangs {
		go func() {
			for ctx.Err() == nil {
				if s, _ := os.ReadFile(note); strings.HasSuffix(string(s), "\n") {
					end(context.DeadlineExceeded)
				}
				time.Sleep(time.Millisecond)
			}
		}()
	}
	err := p.Grant(ctx, order(target("say", note)))
	took := time.Since(begin)
	if (err == nil) != (b.why == "") || err != nil && (!strings.Contains(err.Error(), b.why) || len(err.Error()) > 1500) {
		t.Errorf("%v; want %q", err, b.why)
	}
	if !strings.Contains(b.text, `>"$1"`) {
		return took
	}
	left, while := pid(t, note), 10*time.Second
	if b.survives {
		defer syscall.Kill(left, syscall.SIGKILL)
		while = time.Second
	}
	if got := lives(left, while); got != b.survives {
		t.Errorf("process %d lives: %t", left, got)
	}
	return took
}

// zombies fails the test for children of this process that were not waited for.
func zombies(t *testing.T) {
	t.Helper()
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, s := range stats {
		b, _ := os.ReadFile(s)
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(os.Getpid()) {
			t.Errorf("a child is left: %s", b)
		}
	}
}

// TestTimeout: a program ends in time even where the caller has none.
func TestTimeout(t *testing.T) {
	dir := programs(t)
	script(t, dir, "say", "sleep 300")
	p, err := exec.New(exec.Config{Dir: dir, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Revoke(context.Background(), order(target("say"))); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
