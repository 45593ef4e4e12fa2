package main

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// printed is what a command line of ours prints.
func printed(t *testing.T, args ...string) string {
	t.Helper()
	var out, wrong bytes.Buffer
	if code := run(t.Context(), args, console{env: func(string) string { return "" }, out: &out, err: &wrong}); code != exitOK {
		t.Fatalf("%q ends with %d: %s", args, code, wrong.String())
	}
	return out.String()
}

// TestCompletionInBash asks the real bash what it would offer.
func TestCompletionInBash(t *testing.T) {
	t.Parallel()
	needs(t, "bash")
	script := printed(t, "completion", "bash")
	for _, c := range []struct {
		line []string
		want string
	}{
		{[]string{"se"}, "serve"},
		{[]string{"config", "c"}, "check comment"},
		{[]string{"policy", ""}, "test diff explain"},
		{[]string{"serve", "--audit"}, "--audit-branch"},
		{[]string{"serve", "--repo", "x", "--data"}, "--data-dir"},
		{[]string{"policy", "explain", "--as", "a@example.com", "--res"}, "--resource"},
		{[]string{"report", "-"}, "--help --o --ref --repo --summary"},
		{[]string{"serve", "--repo", ""}, ""}, // bash offers files
		{[]string{"nonsense", "--"}, ""},
	} {
		cmd := exec.Command("bash", append([]string{"--norc", "-c", script + `
COMP_WORDS=(countersign "$@") COMP_CWORD=$#
_countersign
echo "${COMPREPLY[*]}"`, "bash"}, c.line...)...)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
			t.Errorf("%q: %q, want %q (%v)", c.line, got, c.want, err)
		}
	}
}

// TestEveryCommandIsTold: the page and each completion have every command, and every
// flag that its help has.
func TestEveryCommandIsTold(t *testing.T) {
	t.Parallel()
	manual, bash, fish := printed(t, "man"), printed(t, "completion", "bash"), printed(t, "completion", "fish")
	if !strings.HasSuffix(printed(t, "completion", "zsh"), bash) {
		t.Error("zsh completes other things than bash")
	}
	for _, cmd := range commands() {
		help := printed(t, append(strings.Fields(cmd.name), "--help")...)
		if !strings.Contains(manual, ".SS "+roff("countersign "+cmd.name)) {
			t.Errorf("the manual lacks %s", cmd.name)
		}
		for line := range strings.Lines(help) {
			flag, ok := strings.CutPrefix(line, "  --")
			if !ok {
				continue
			}
			name := strings.Fields(flag)[0]
			if !strings.Contains(manual, "\n"+roff("--"+strings.TrimSpace(flag))+"\n") || !strings.Contains(bash, "--"+name) ||
				!slices.ContainsFunc([]string{"l", "s"}, func(k string) bool { return strings.Contains(fish, "-"+k+" "+name+" ") }) {
				t.Errorf("--%s of %s is told nowhere", name, cmd.name)
			}
		}
	}
	if _, err := exec.LookPath("man"); err == nil {
		cmd := exec.Command("man", "--warnings", "-l", "-")
		cmd.Stdin = strings.NewReader(manual)
		var wrong bytes.Buffer
		cmd.Stderr = &wrong
		if out, err := cmd.Output(); err != nil || wrong.Len() > 0 || !strings.Contains(string(out), "EXIT STATUS") {
			t.Errorf("man: %v %s", err, wrong.String())
		}
	}
	if got := roff(".so x\n'y\n\\fB-a"); got != "\\&.so x\n\\&'y\n\\efB\\-a" {
		t.Errorf("roff: %q", got)
	}
}
