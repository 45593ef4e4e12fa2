package gitstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
	"countersign/gitstore/remote"
)

// upstream is a repository and a way to reach it.
type upstream struct {
	dir    string // of the bare repository
	config remote.Config
	web    *gitstoretest.Web // nil unless it is reached over http
}

func overHTTP(t testing.TB) upstream {
	dir := gitstoretest.Upstream(t)
	web := gitstoretest.ServeHTTP(t, filepath.Dir(dir))
	web.Set(func(w *gitstoretest.Web) { w.Token = "s3cret-token" })
	token := func(context.Context, string) (string, error) { return web.Token, nil }
	return upstream{dir, remote.Config{URL: web.URL + "/" + filepath.Base(dir), Token: token}, web}
}

func overSSH(t testing.TB) upstream {
	s, dir := gitstoretest.ServeSSH(t), gitstoretest.Upstream(t)
	return upstream{dir: dir, config: remote.Config{URL: s.URL(dir), KeyFile: s.KeyFile, KnownHosts: []string{s.KnownHosts}}}
}

func overFile(t testing.TB) upstream {
	dir := gitstoretest.Upstream(t)
	return upstream{dir: dir, config: remote.Config{URL: "file://" + dir}}
}

// mirror opens the mirror at dir; empty: a fresh one.
func (u upstream) mirror(t testing.TB, dir string) *gitstore.Repo {
	t.Helper()
	r, err := remote.New(u.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	if dir == "" {
		dir = filepath.Join(t.TempDir(), "mirror.git")
	}
	repo, err := gitstore.OpenMirror(context.Background(), dir, r)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func (u upstream) log(t testing.TB, signer *gitstore.Signer) (*gitstore.Log, *gitstore.Repo) {
	t.Helper()
	repo := u.mirror(t, "")
	return openLogIn(t, repo, signer), repo
}

func openLogIn(t testing.TB, repo *gitstore.Repo, signer *gitstore.Signer) *gitstore.Log {
	t.Helper()
	l, err := gitstore.OpenLog(context.Background(), gitstore.LogConfig{Repo: repo, Branch: "audit", Identity: bot, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestContract holds every kind of log to the same promises.
func TestContract(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(testing.TB) upstream{"http": overHTTP, "ssh": overSSH, "file": overFile}
	for name, make := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := make(t)
			contract(t, u.dir, func() *gitstore.Log { l, _ := u.log(t, nil); return l })
		})
	}
	t.Run("local", func(t *testing.T) {
		t.Parallel()
		dir := gitstoretest.Upstream(t)
		contract(t, dir, func() *gitstore.Log { return openLog(t, dir, nil) })
	})
}

// contract is what callers may rely on, with two writers of one branch.
func contract(t *testing.T, dir string, open func() *gitstore.Log) {
	ctx := context.Background()
	ours := open()
	mustAppend(t, ours, batch(1, 0, 2))
	theirs := open()
	if theirs.Head() != ours.Head() {
		t.Fatalf("a second log opens at %s, want %s", theirs.Head(), ours.Head())
	}
	mustAppend(t, theirs, batch(1, 2, 1))
	if _, err := ours.Append(ctx, batch(1, 2, 1)); !errors.Is(err, gitstore.ErrConflict) {
		t.Errorf("append to a request that has moved: %v, want ErrConflict", err)
	}
	if head, err := ours.Sync(ctx); err != nil || head != theirs.Head() {
		t.Errorf("Sync: %s, %v, want %s", head, err, theirs.Head())
	}
	var wg sync.WaitGroup
	for i, l := range []*gitstore.Log{ours, theirs} {
		for j := range 3 {
			wg.Go(func() { appendPersistently(t, l, 10+10*i+j) })
		}
	}
	wg.Wait()
	if _, err := ours.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	entries, _ := scan(t, ours, "")
	if len(entries) != 9 {
		t.Errorf("there are %d entries, want 9", len(entries))
	}
	gitstoretest.Judge(t, dir, gitstoretest.Log{Entries: entries})
	if again := open(); again.Head() != ours.Head() {
		t.Errorf("opened anew the log is at %s, want %s", again.Head(), ours.Head())
	}
}

// appendPersistently decides again on every conflict, as the ledger does.
func appendPersistently(t testing.TB, l *gitstore.Log, n int) {
	for {
		_, err := l.Append(context.Background(), batch(n, 0, 1))
		if err == nil {
			return
		}
		if !errors.Is(err, gitstore.ErrConflict) {
			t.Error(err)
			return
		}
		if _, err := l.Sync(context.Background()); err != nil {
			t.Error(err)
			return
		}
	}
}

// TestSignedAtRemote has the real git judge what arrived.
func TestSignedAtRemote(t *testing.T) {
	t.Parallel()
	u, signer := overHTTP(t), newSigner(t)
	l, repo := u.log(t, signer)
	for n := range 34 { // enough that the mirror merges packs
		mustAppend(t, l, batch(n, 0, 1))
	}
	entries, _ := scan(t, l, "")
	want := gitstoretest.Log{Entries: entries, Signer: signer, Email: bot.Email}
	gitstoretest.Judge(t, u.dir, want)
	if n := gitstore.Packs(repo); n > 32 {
		t.Errorf("the mirror has %d packs", n)
	}
}

// TestNothingHereBeforeThere: a refused push leaves no trace in the mirror's
// branch, is told as a refusal and is not tried again.
func TestNothingHereBeforeThere(t *testing.T) {
	u := overHTTP(t)
	l, repo := u.log(t, nil)
	head := l.Head()
	hook := filepath.Join(u.dir, "hooks", "pre-receive")
	if err := os.Mkdir(filepath.Dir(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hook, []byte("#!/bin/sh\necho 'not on a Sunday' >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := l.Append(context.Background(), batch(1, 0, 1))
	if !errors.Is(err, gitstore.ErrRefused) || errors.Is(err, gitstore.ErrUncertain) || !strings.Contains(err.Error(), "not on a Sunday") {
		t.Errorf("append: %v, want ErrRefused with the words of the hook", err)
	}
	posts := 0
	for _, r := range u.web.Requests() {
		if r == "POST git-receive-pack" {
			posts++
		}
	}
	if posts != 2 { // the first began the branch
		t.Errorf("%d pushes, want 2", posts)
	}
	if got, _ := repo.Resolve(context.Background(), "audit"); got != head || l.Head() != head {
		t.Errorf("the mirror moved to %s, the head to %s, want %s", got, l.Head(), head)
	}
	if err := os.Remove(hook); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, batch(1, 0, 1))
}

// TestRemoteRewritten: history that was replaced, cut short or removed stops all
// writing, what was read before stays readable, also after a restart, and when
// the branch is back the log goes on.
func TestRemoteRewritten(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		damage func(t *testing.T, u upstream)
		want   error
	}{
		"cut short": {func(t *testing.T, u upstream) {
			gitstoretest.Git(t, u.dir, "update-ref", "refs/heads/audit", "audit~1")
		}, gitstore.ErrRewritten},
		"replaced": {func(t *testing.T, u upstream) {
			other := gitstoretest.Upstream(t)
			mustAppend(t, openLog(t, other, nil), batch(7, 0, 1))
			gitstoretest.Git(t, u.dir, "fetch", "--quiet", "file://"+other, "+audit:audit")
		}, gitstore.ErrRewritten},
		"removed": {func(t *testing.T, u upstream) {
			gitstoretest.Git(t, u.dir, "update-ref", "-d", "refs/heads/audit")
		}, gitstore.ErrBranchMissing},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, u := context.Background(), overHTTP(t)
			dir := filepath.Join(t.TempDir(), "mirror.git")
			l := openLogIn(t, u.mirror(t, dir), nil)
			mustAppend(t, l, batch(1, 0, 2))
			head := l.Head()
			test.damage(t, u)
			check := func(l *gitstore.Log) {
				t.Helper()
				for range 2 {
					if _, err := l.Append(ctx, batch(2, 0, 1)); !errors.Is(err, test.want) {
						t.Errorf("Append: %v, want %v", err, test.want)
					}
					if _, err := l.Sync(ctx); !errors.Is(err, test.want) {
						t.Errorf("Sync: %v, want %v", err, test.want)
					}
				}
				if entries, _ := scan(t, l, ""); len(entries) != 2 || l.Head() != head {
					t.Errorf("%d entries up to %s, want the 2 up to %s", len(entries), l.Head(), head)
				}
			}
			check(l)
			again := openLogIn(t, u.mirror(t, dir), nil)
			if !errors.Is(again.Stale(), test.want) {
				t.Errorf("Stale: %v, want %v", again.Stale(), test.want)
			}
			check(again)
			gitstoretest.Git(t, u.dir, "update-ref", "refs/heads/audit", head)
			mustAppend(t, again, batch(2, 0, 1))
		})
	}
}

// TestNeverASecondHistory: a mirror that was lost with its data does not begin
// the branch anew where the marker says that it once was.
func TestNeverASecondHistory(t *testing.T) {
	u, marker := overHTTP(t), filepath.Join(t.TempDir(), "log-exists")
	cfg := gitstore.LogConfig{Repo: u.mirror(t, ""), Branch: "audit", Identity: bot, Marker: marker}
	if _, err := gitstore.OpenLog(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	gitstoretest.Git(t, u.dir, "update-ref", "-d", "refs/heads/audit")
	cfg.Repo = u.mirror(t, "")
	if _, err := gitstore.OpenLog(context.Background(), cfg); !errors.Is(err, gitstore.ErrBranchMissing) {
		t.Errorf("open: %v, want ErrBranchMissing", err)
	}
	if out, err := gitstoretest.TryGit(u.dir, "rev-parse", "--verify", "--quiet", "audit"); err == nil {
		t.Errorf("the branch was begun again at %s", out)
	}
}

// TestMayBegin: a branch that is not to be begun is begun nowhere, and not
// remembered as one that was; one that is there is nobody's question.
func TestMayBegin(t *testing.T) {
	u, here := overHTTP(t), gitstoretest.Upstream(t)
	for dir, open := range map[string]func() *gitstore.Repo{
		u.dir: func() *gitstore.Repo { return u.mirror(t, "") },
		here:  func() *gitstore.Repo { return openRepo(t, here) },
	} {
		ctx, no := context.Background(), errors.New("not with this key")
		cfg := gitstore.LogConfig{
			Repo: open(), Branch: "audit", Identity: bot, Marker: filepath.Join(t.TempDir(), "log-exists"),
			MayBegin: func(context.Context) error { return no },
		}
		if _, err := gitstore.OpenLog(ctx, cfg); !errors.Is(err, no) {
			t.Errorf("open: %v, want %q", err, no)
		}
		if out := gitstoretest.Git(t, dir, "for-each-ref", "refs/heads/audit"); out != "" {
			t.Errorf("the branch was begun: %s", out)
		}
		cfg.MayBegin = nil
		if _, err := gitstore.OpenLog(ctx, cfg); err != nil {
			t.Fatal(err)
		}
		cfg.Repo, cfg.MayBegin = open(), func(context.Context) error { return no }
		if _, err := gitstore.OpenLog(ctx, cfg); err != nil {
			t.Errorf("the branch is there: %v", err)
		}
	}
}

// TestBothBegin has two bots begin one branch at once.
func TestBothBegin(t *testing.T) {
	t.Parallel()
	u := overHTTP(t)
	logs := make([]*gitstore.Log, 3)
	var wg sync.WaitGroup
	for i := range logs {
		repo := u.mirror(t, "")
		wg.Go(func() { logs[i] = openLogIn(t, repo, nil) })
	}
	wg.Wait()
	for i, l := range logs {
		if l.Head() != logs[0].Head() {
			t.Errorf("log %d begins at %s, another at %s", i, l.Head(), logs[0].Head())
		}
	}
	for i, l := range logs {
		appendPersistently(t, l, i)
	}
}

// TestGivenUp: an append whose caller gives up while the remote hangs was never
// made, and never will be.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	u := overHTTP(t)
	u.config.Patience = hangs
	l, _ := u.log(t, nil)
	var mu sync.Mutex
	fault := gitstoretest.Hangs
	u.web.Set(func(w *gitstoretest.Web) {
		w.Fault = func(string, bool) gitstoretest.Fault { mu.Lock(); defer mu.Unlock(); return fault }
	})
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := l.Append(ctx, batch(1, 0, 1))
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, gitstore.ErrUncertain) {
		t.Errorf("append: %v, want a deadline and no doubt", err)
	}
	mu.Lock()
	fault = gitstoretest.Fine
	mu.Unlock()
	appendPersistently(t, l, 2)
	if entries, _ := scan(t, l, ""); len(entries) != 1 {
		t.Errorf("%d entries, want that of the second request alone", len(entries))
	}
}
