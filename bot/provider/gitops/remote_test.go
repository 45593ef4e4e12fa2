package gitops_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/access"
	"countersign/bot/provider/gitops"
	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
	"countersign/gitstore/remote"
)

// hand is what people keep in such files: comments everywhere, anchors, aliases and
// merge keys, every style of quotes, odd indentation, keys with dots.
const hand = `# Who may do what.
defaults: &defaults   {mfa: true,  ttl: 1h}   # anchored


teams:
    payments:   &payments
        <<:   *defaults
        note: |
          not a list:
            - alice@example.com
        'on': yes
    "search":
      members:          # by address
      -   "erin@example.com"   # for good
      # - bob@example.com was here

      - 'dan@example.com'
    same: *payments
hosts:
  "db.example.com": {admins: [ "erin@example.com" , 'dan@example.com' ] , port:  5432}   # dots
  db: {example: {com: {admins: [nobody@example.com]}}}
ünïcode: "\u00fc"	# a tab before this
last: !custom x
`

// atRemote is a bare repository served by real git over http, and how the provider
// reaches it, as the program wires it.
type atRemote struct {
	dir  string
	web  *gitstoretest.Web
	repo *gitstore.Repo
}

func (a atRemote) Edit(ctx context.Context, _, branch, path, message string, change func([]byte) ([]byte, error)) (string, error) {
	if err := a.repo.Fetch(ctx); err != nil {
		return "", err
	}
	return editor{a.repo}.Edit(ctx, "", branch, path, message, change)
}

func (a atRemote) Read(ctx context.Context, _, branch, path string) ([]byte, error) {
	if err := a.repo.Fetch(ctx); err != nil {
		return nil, err
	}
	return editor{a.repo}.Read(ctx, "", branch, path)
}

func overHTTP(t *testing.T, files map[string]string) (atRemote, *gitops.Provider) {
	t.Helper()
	dir := gitstoretest.Clone(t, gitstoretest.WorkTree(t, files), "--bare")
	a := atRemote{dir: dir, web: gitstoretest.ServeHTTP(t, filepath.Dir(dir))}
	r, err := remote.New(remote.Config{URL: a.web.URL + "/" + filepath.Base(dir)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	if a.repo, err = gitstore.OpenMirror(t.Context(), filepath.Join(t.TempDir(), "mirror.git"), r); err != nil {
		t.Fatal(err)
	}
	p, err := gitops.New(gitops.Config{Editor: a})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gitstoretest.Fsck(t, dir) })
	return a, p
}

// in is a list of a file.
func in(file, key string) access.Target {
	at := target(key, "email")
	at.With["file"] = file
	return at
}

// TestByteForByte: in a file that people keep by hand a grant is one line for git, and
// after the end every byte is as it was; what cannot be edited so is left alone.
func TestByteForByte(t *testing.T) {
	for name, text := range map[string]string{"as it is": hand, "CRLF": strings.ReplaceAll(hand, "\n", "\r\n"), "no end": strings.TrimSuffix(hand, "\n")} {
		t.Run(name, func(t *testing.T) {
			a, p := overHTTP(t, map[string]string{"access/hand.yaml": text, "README": "about\n"})
			show := func() string {
				return gitstoretest.Git(t, a.dir, "show", "main:access/hand.yaml") + text[len(strings.TrimSuffix(text, "\n")):]
			}
			for key, want := range map[string]string{
				"teams.search.members":          `+      - 'alice@example.com'`,
				`hosts."db.example.com".admins`: `+  "db.example.com": {admins: [ "erin@example.com" , 'dan@example.com', 'alice@example.com' ] , port:  5432}   # dots`,
				"hosts.db.example.com.admins":   `+  db: {example: {com: {admins: [nobody@example.com, alice@example.com]}}}`,
				"teams.new.members":             "+    new:\n+        members:\n+        - alice@example.com",
			} {
				before := show()
				o := order(in("access/hand.yaml", key), "alice@example.com")
				if err := p.Grant(t.Context(), o); err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				added := ""
				for l := range strings.SplitSeq(changed(gitstoretest.Git(t, a.dir, "show", "--format=", "-U0", "main")), "\n") {
					if strings.HasPrefix(l, "+") {
						added += strings.TrimRight(l, "\r") + "\n"
					}
				}
				if added = strings.TrimSuffix(added, "\n"); added != want && name != "no end" {
					t.Errorf("%s adds\n%s\nwant\n%s", key, added, want)
				}
				if err := p.Revoke(t.Context(), o); err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				if after := show(); after != before && key != "teams.new.members" {
					t.Errorf("%s: after the end something is different (-before +after)\n%s", key, cmp.Diff(before, after))
				}
			}
			head := gitstoretest.Git(t, a.dir, "rev-parse", "main")
			for key, says := range map[string]string{
				"teams.payments.members": "anchor (&payments)", "teams.same.members": "teams.same is an alias", "defaults.ttl": "anchor (&defaults)", "last": "tag",
			} {
				err := p.Grant(t.Context(), order(in("access/hand.yaml", key), "alice@example.com"))
				if err == nil || !strings.Contains(err.Error(), says) || gitstoretest.Git(t, a.dir, "rev-parse", "main") != head {
					t.Errorf("%s: %v, want %q", key, err, says)
				}
			}
		})
	}
}

// TestManyAtRemote: grants of several files and keys of one repository at once, beside
// a second writer, lose nothing of each other.
func TestManyAtRemote(t *testing.T) {
	a, p := overHTTP(t, map[string]string{"a.yaml": "# a\nx: []\ny:\n  - olga@example.com # stays\n", "b/b.yaml": "x: []\n"})
	work := gitstoretest.Clone(t, a.dir)
	var mu sync.Mutex
	written := 0
	a.web.Set(func(w *gitstoretest.Web) {
		w.Fault = func(service string, act bool) gitstoretest.Fault {
			if service != "git-receive-pack" || !act {
				return gitstoretest.Fine
			}
			mu.Lock()
			defer mu.Unlock()
			if written < 6 { // the branch moves while a push is on its way
				written += writes(t, work, written)
			}
			return gitstoretest.Fine
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	lists := []access.Target{in("a.yaml", "x"), in("a.yaml", "y"), in("a.yaml", "new.list"), in("b/b.yaml", "x"), in("c/new.yaml", "x.y")}
	each := func(do func(context.Context, access.Order) error) {
		var wg sync.WaitGroup
		for i, at := range lists {
			for j := range 2 {
				wg.Go(func() {
					if err := do(ctx, order(at, fmt.Sprintf("p%d%d@example.com", i, j))); err != nil {
						t.Errorf("list %d: %v", i, err)
					}
				})
			}
		}
		wg.Wait()
	}
	each(p.Grant)
	for i, at := range lists {
		holders, err := p.Holders(ctx, at)
		if err != nil || !strings.Contains(strings.Join(holders, " "), fmt.Sprintf("p%d0@", i)) || !strings.Contains(strings.Join(holders, " "), fmt.Sprintf("p%d1@", i)) {
			t.Errorf("list %d: %q, %v", i, holders, err)
		}
	}
	each(p.Revoke)
	if got := gitstoretest.Git(t, a.dir, "show", "main:a.yaml"); got != "# a\nx: []\ny:\n  - olga@example.com # stays\nnew:\n  list: []" {
		t.Errorf("a.yaml is left as\n%s", got)
	}
	if got := gitstoretest.Git(t, a.dir, "show", "main:people.txt"); got != "0\n1\n2\n3\n4\n5" {
		t.Errorf("people have written %q", got)
	}
	if got := gitstoretest.Git(t, a.dir, "rev-list", "--count", "--author=countersign", "main"); got != "20" {
		t.Errorf("%s commits of ours, want one for each order", got)
	}
}

// writes adds a line to a file of the people's, as one of them does who is in time, and
// answers how many lines it has added.
func writes(t *testing.T, work string, n int) int {
	for _, args := range [][]string{{"fetch", "--quiet"}, {"reset", "--quiet", "--hard", "origin/main"}} {
		if _, err := gitstoretest.TryGit(work, args...); err != nil {
			t.Error(err)
		}
	}
	old, _ := os.ReadFile(filepath.Join(work, "people.txt")) // not there at first
	if err := os.WriteFile(filepath.Join(work, "people.txt"), fmt.Appendf(old, "%d\n", n), 0o644); err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{{"add", "-A"}, {"commit", "--quiet", "-m", "by hand"}} {
		if _, err := gitstoretest.TryGit(work, args...); err != nil {
			t.Error(err)
		}
	}
	if _, err := gitstoretest.TryGit(work, "push", "--quiet", "origin", "main"); err != nil {
		return 0 // the bot was quicker
	}
	return 1
}
