package gitstore_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
	"countersign/gitstore/remote"
)

// kills is how often the kill -9 test kills. A long run: -kills=300.
var kills = flag.Int("kills", 4, "how often to kill a writing process; above 10 TestPowerCut cuts more often too")

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("GITSTORE_TEST_WRITER"); dir != "" {
		fmt.Fprintln(os.Stderr, runWriter(dir, os.Getenv("GITSTORE_TEST_DIE_AT")))
		os.Exit(1)
	}
	// Tests wait for disks, processes and what hangs more than for a processor.
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("12")
	}
	os.Exit(m.Run())
}

// runWriter appends one request after the other, two at a time, and reports
// each on standard output once it is acknowledged. Where dieAt names a step,
// the process kills itself there, at its third write.
func runWriter(dir, dieAt string) error {
	ctx := context.Background()
	signer, _, err := gitstore.LoadOrCreateSigner(filepath.Join(dir, "key"))
	if err != nil {
		return err
	}
	repo, err := writersRepo(ctx, dir)
	if err != nil {
		return err
	}
	l, err := gitstore.OpenLog(ctx, gitstore.LogConfig{
		Repo: repo, Branch: "audit", Identity: bot, Signer: signer, Marker: filepath.Join(dir, "marker"),
	})
	if err != nil {
		return err
	}
	count := 0
	gitstore.SetFault(repo, func(step string) error {
		if step == dieAt {
			if count++; count == 3 {
				return syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		}
		return nil
	})
	first, err := strconv.Atoi(os.Getenv("GITSTORE_TEST_FIRST"))
	if err != nil {
		return err
	}
	fail := make(chan error)
	for start := range 2 {
		go func() {
			for n := first + start; ; n += 2 {
				b := batch(n, 0, 2)
				commits, err := l.Append(ctx, b)
				if err != nil {
					fail <- err
					return
				}
				// One write call a line: a kill never tears it.
				os.Stdout.WriteString(fmt.Sprintf("%d %s\n", n, strings.Join(commits, " ")))
			}
		}()
	}
	return <-fail
}

// writersRepo is the repository itself, or a mirror of it.
func writersRepo(ctx context.Context, dir string) (*gitstore.Repo, error) {
	if os.Getenv("GITSTORE_TEST_MIRROR") == "" {
		return gitstore.Open(ctx, filepath.Join(dir, "repo"))
	}
	r, err := remote.New(remote.Config{URL: "file://" + filepath.Join(dir, "repo")})
	if err != nil {
		return nil, err
	}
	return gitstore.OpenMirror(ctx, filepath.Join(dir, "mirror"), r)
}

// crashSite is a repository that writers are killed in.
type crashSite struct {
	dir    string
	mirror bool // they write to it through a mirror
	next   int
	acked  map[int][]string // commits by request
}

func newCrashSite(t *testing.T) *crashSite {
	s := &crashSite{dir: t.TempDir(), acked: make(map[int][]string)}
	gitstoretest.Git(t, ".", "init", "--quiet", "--bare", "--initial-branch=main", filepath.Join(s.dir, "repo"))
	return s
}

// run starts a writer and notes what it acknowledges, until it is dead. It is
// killed after some time, unless it kills itself.
func (s *crashSite) run(t *testing.T, dieAt string, after time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GITSTORE_TEST_WRITER="+s.dir, "GITSTORE_TEST_DIE_AT="+dieAt, fmt.Sprintf("GITSTORE_TEST_FIRST=%d", s.next))
	if s.mirror {
		cmd.Env = append(cmd.Env, "GITSTORE_TEST_MIRROR=yes")
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer timer.Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		words := strings.Fields(lines.Text())
		n, err := strconv.Atoi(words[0])
		if err != nil || len(words) != 3 {
			t.Fatalf("writer says %q", lines.Text())
		}
		s.acked[n] = words[1:]
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("writer was not killed: %v: %s", err, stderr.String())
	}
	s.next += 1_000_000
}

// judge checks that everything acknowledged is there, each batch whole, and
// that the log can be written on. It returns all entries.
func (s *crashSite) judge(t *testing.T) {
	t.Helper()
	repo := filepath.Join(s.dir, "repo")
	signer, _, err := gitstore.LoadOrCreateSigner(filepath.Join(s.dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	gitstoretest.FsckAtRest(t, repo) // before anything is cleaned up
	l := openLog(t, repo, signer)
	mustAppend(t, l, batch(s.next, 0, 1))
	s.next++
	entries, _ := scan(t, l, "")
	byPath := make(map[string]string)
	perDir := make(map[string]int)
	for _, e := range entries {
		byPath[e.Path] = e.Commit
		perDir[filepath.Dir(e.Path)]++
	}
	for n, commits := range s.acked {
		for i, e := range batch(n, 0, 2).Entries {
			if byPath[e.Path] != commits[i] {
				t.Errorf("%s was acknowledged as %s, is %q", e.Path, commits[i], byPath[e.Path])
			}
		}
		if got := perDir[requestDir(n)]; got != 2 {
			t.Errorf("%s holds %d entries, want 2", requestDir(n), got)
		}
	}
	gitstoretest.Judge(t, repo, gitstoretest.Log{Entries: entries, Signer: signer, Email: bot.Email})
	for _, pattern := range []string{"refs/heads/*.lock", "countersign/ref-*", "objects/pack/tmp_*"} {
		if left, _ := filepath.Glob(filepath.Join(repo, pattern)); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// TestKillAtEachStep kills a writer at each step of a write.
func TestKillAtEachStep(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, step := range gitstore.Steps() {
		t.Run(strings.ReplaceAll(step, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s := newCrashSite(t)
			s.run(t, step, time.Minute)
			if len(s.acked) == 0 {
				t.Error("nothing was acknowledged before the crash")
			}
			s.judge(t)
		})
	}
}

// TestKill kills a writer at any moment, again and again in one repository.
func TestKill(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	s := newCrashSite(t)
	for range *kills {
		s.run(t, "", time.Duration(20+rand.IntN(150))*time.Millisecond)
		s.judge(t)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills, %d batches acknowledged, none lost", *kills, len(s.acked))
}

// TestKillMirrored kills a writer that writes through a mirror: what it has
// acknowledged is at the remote, and the mirror stays sound.
func TestKillMirrored(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	s := newCrashSite(t)
	s.mirror = true
	for range max(2, *kills/4) {
		s.run(t, "", time.Duration(100+rand.IntN(1900))*time.Millisecond)
		s.judge(t)
		if mirror := filepath.Join(s.dir, "mirror"); isThere(mirror) {
			gitstoretest.Fsck(t, mirror)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d batches acknowledged, none lost", len(s.acked))
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestFailAtEachStep lets each step of a write fail once: the caller learns
// whether it may have been written, and trying again ends well.
func TestFailAtEachStep(t *testing.T) {
	t.Parallel()
	for _, step := range gitstore.Steps() {
		for _, reopen := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/reopen=%v", strings.ReplaceAll(step, " ", "_"), reopen), func(t *testing.T) {
				t.Parallel()
				testFailAt(t, step, reopen)
			})
		}
	}
}

var errDisk = errors.New("the disk fails")

func testFailAt(t *testing.T, step string, reopen bool) {
	ctx := context.Background()
	dir := gitstoretest.Upstream(t)
	repo := openRepo(t, dir)
	cfg := gitstore.LogConfig{Repo: repo, Branch: "audit", Identity: bot, Signer: newSigner(t)}
	l, err := gitstore.OpenLog(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, batch(1, 0, 2))
	failed := false
	gitstore.SetFault(repo, func(s string) error {
		if s == step && !failed {
			failed = true
			return errDisk
		}
		return nil
	})
	_, err = l.Append(ctx, batch(1, 2, 2))
	if !errors.Is(err, errDisk) {
		t.Fatalf("error %v, want that of the disk", err)
	}
	uncertain := step == "ref directory sync"
	if got := errors.Is(err, gitstore.ErrUncertain); got != uncertain {
		t.Errorf("uncertain %v, want %v", got, uncertain)
	}
	if reopen {
		if l, err = gitstore.OpenLog(ctx, cfg); err != nil {
			t.Fatal(err)
		}
	}
	_, err = l.Append(ctx, batch(1, 2, 2))
	if got := errors.Is(err, gitstore.ErrConflict); got != uncertain || !uncertain && err != nil {
		t.Errorf("second attempt: %v, want a conflict: %v", err, uncertain)
	}
	if _, err := l.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, batch(1, 4, 1))
	entries, _ := scan(t, l, "")
	if len(entries) != 5 {
		t.Errorf("%d entries, want 5", len(entries))
	}
	gitstoretest.Judge(t, dir, gitstoretest.Log{Entries: entries, Signer: cfg.Signer, Email: bot.Email})
}

// TestHangingDisk has a write that does not end: callers can give up, and
// learn which of them may have been written.
func TestHangingDisk(t *testing.T) {
	dir := gitstoretest.Upstream(t)
	repo := openRepo(t, dir)
	l, err := gitstore.OpenLog(context.Background(), gitstore.LogConfig{Repo: repo, Branch: "audit", Identity: bot})
	if err != nil {
		t.Fatal(err)
	}
	hangs, goOn := make(chan bool, 1), make(chan bool)
	gitstore.SetFault(repo, func(step string) error {
		if step == "pack rename" {
			hangs <- true
			<-goOn
		}
		return nil
	})
	first, cancelFirst := context.WithCancel(context.Background())
	firstErr := make(chan error)
	go func() {
		_, err := l.Append(first, batch(1, 0, 1))
		firstErr <- err
	}()
	<-hangs
	second, cancelSecond := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancelSecond()
	_, err = l.Append(second, batch(2, 0, 1))
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, gitstore.ErrUncertain) {
		t.Errorf("a caller that waited: %v, want its deadline and nothing written", err)
	}
	cancelFirst()
	err = <-firstErr
	if !errors.Is(err, context.Canceled) || !errors.Is(err, gitstore.ErrUncertain) {
		t.Errorf("a caller whose write was under way: %v, want its ctx's end and ErrUncertain", err)
	}
	close(goOn)
	mustAppend(t, l, batch(3, 0, 1))
	entries, _ := scan(t, l, "")
	var got []string
	for _, e := range entries {
		got = append(got, filepath.Dir(e.Path))
	}
	if len(got) != 2 || got[0] != requestDir(1) || got[1] != requestDir(3) {
		t.Errorf("entries in %v, want those of requests 1 and 3", got)
	}
}
