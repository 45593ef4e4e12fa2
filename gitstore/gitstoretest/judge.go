package gitstoretest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/gitstore"
)

// maxSignatures is how many of the newest commits have their signature checked
// by git, which starts two processes for each.
const maxSignatures = 10

// Log is what a log should be in the eyes of git.
type Log struct {
	Branch  string           // "audit" if empty
	Entries []gitstore.Entry // all of them, oldest first; Path, Data and Commit count
	Signer  *gitstore.Signer // nil: signatures are not looked at
	Email   string           // the address that Signer signs for
}

// Judge lets the real git judge a log: the repository is sound, history is
// linear and adds files only, one a commit, the files hold the bytes that were
// appended, and the signatures are good and those of the signer.
func Judge(t testing.TB, dir string, want Log) {
	t.Helper()
	if want.Branch == "" {
		want.Branch = "audit"
	}
	Fsck(t, dir)
	judgeHistory(t, dir, want)
	judgeFiles(t, dir, want)
	if want.Signer != nil {
		judgeSignatures(t, dir, want)
	}
}

// Fsck lets git check every object, and fails the test at any complaint other
// than about objects that nothing refers to.
func Fsck(t testing.TB, dir string) {
	t.Helper()
	if err := fsck(dir); err != nil {
		t.Error(err)
	}
}

// FsckAtRest is Fsck of a repository to which something may still be pushed, by
// somebody who was killed meanwhile: git looks at one thing after the other, and finds
// what comes in between without what it rests on.
func FsckAtRest(t testing.TB, dir string) {
	t.Helper()
	err := fsck(dir)
	for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); err = fsck(dir) {
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		t.Error(err)
	}
}

func fsck(dir string) error {
	cmd := exec.Command("git", "fsck", "--strict", "--full", "--no-dangling", "--no-progress")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	// That main is unborn, or that no branch is there yet, is no fault of anybody's.
	for _, notice := range []string{"notice: HEAD points to an unborn branch (main)", "notice: No default references"} {
		out = bytes.TrimSpace(bytes.ReplaceAll(out, []byte(notice), nil))
	}
	if err != nil || len(out) > 0 {
		return fmt.Errorf("git fsck: %v: %s", err, out)
	}
	return nil
}

func judgeHistory(t testing.TB, dir string, want Log) {
	t.Helper()
	if n := Git(t, dir, "rev-list", "--count", "--min-parents=2", want.Branch); n != "0" {
		t.Errorf("there are %s merges", n)
	}
	if out := Git(t, dir, "log", "--format=%H", "--name-status", "--diff-filter=ac", want.Branch); out != "" {
		t.Errorf("files were changed or removed:\n%s", out)
	}
	commits := strings.Fields(Git(t, dir, "rev-list", "--reverse", want.Branch))
	if len(commits) != len(want.Entries)+1 {
		t.Fatalf("there are %d commits, want %d", len(commits), len(want.Entries)+1)
	}
	for i, e := range want.Entries {
		if commits[i+1] != e.Commit {
			t.Fatalf("commit %d is %s, want %s (%s)", i+1, commits[i+1], e.Commit, e.Path)
		}
	}
	added := strings.Fields(Git(t, dir, "log", "--reverse", "--format=", "--name-only", "--diff-filter=A", want.Branch))
	if len(added) != len(commits) {
		t.Errorf("%d files were added by %d commits", len(added), len(commits))
	}
}

func judgeFiles(t testing.TB, dir string, want Log) {
	t.Helper()
	var names strings.Builder
	for _, e := range want.Entries {
		fmt.Fprintf(&names, "%s:%s\n", e.Commit, e.Path)
	}
	cmd := exec.Command("git", "cat-file", "--batch=%(objecttype) %(objectsize)")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(names.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git cat-file: %v", err)
	}
	for _, e := range want.Entries {
		head, rest, _ := bytes.Cut(out, []byte("\n"))
		size, err := strconv.Atoi(strings.TrimPrefix(string(head), "blob "))
		if err != nil || len(rest) < size+1 {
			t.Fatalf("git cat-file answers %q for %s", head, e.Path)
		}
		if !bytes.Equal(rest[:size], e.Data) {
			t.Errorf("%s holds %q, want %q", e.Path, rest[:size], e.Data)
		}
		out = rest[size+1:]
	}
}

func judgeSignatures(t testing.TB, dir string, want Log) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "allowed_signers")
	if err := os.WriteFile(file, []byte(want.Signer.AllowedSignersLine(want.Email)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	conf := []string{"-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile=" + file}
	Git(t, dir, append(conf, "verify-commit", want.Branch)...)
	out := Git(t, dir, append(conf, "log", "-n", strconv.Itoa(maxSignatures), "--format=%G? %GF %GS", want.Branch)...)
	good := fmt.Sprintf("G %s %s", want.Signer.Fingerprint(), want.Email)
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != good {
			t.Errorf("git says %q of a signature, want %q", line, good)
		}
	}
}
