package gitops_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/provider/gitops"
	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

// An editor edits one real repository.
type editor struct{ repo *gitstore.Repo }

func (e editor) Edit(ctx context.Context, _, branch, path, message string, change func([]byte) ([]byte, error)) (string, error) {
	return e.repo.Edit(ctx, gitstore.Edit{Branch: branch, Path: path, Message: message, Author: identity()}, change)
}

func (e editor) Read(ctx context.Context, _, branch, path string) ([]byte, error) {
	head, err := e.repo.Resolve(ctx, branch)
	if err != nil {
		return nil, err
	}
	data, err := e.repo.ReadFile(ctx, head, path)
	if errors.Is(err, gitstore.ErrNotFound) {
		return nil, nil
	}
	return data, err
}

func identity() gitstore.Identity {
	return gitstore.Identity{Name: "countersign", Email: "countersign@localhost"}
}

// real is a bare repository with the file, and a provider on it.
func real(t *testing.T) (dir string, p *gitops.Provider) {
	t.Helper()
	dir = t.TempDir() + "/access.git"
	r, err := gitstore.Init(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Create(t.Context(), gitstore.Creation{
		Branch: "main", Message: "Begin", Author: identity(),
		Files: map[string][]byte{path: []byte(teams), "README": []byte("about\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err = gitops.New(gitops.Config{Editor: editor{r}})
	if err != nil {
		t.Fatal(err)
	}
	return dir, p
}

// TestContractOnGit runs the provider through the suite on a real repository,
// which git reads.
func TestContractOnGit(t *testing.T) {
	bottest.TestProvider(t, func(t *testing.T) bottest.Fixture {
		dir, p := real(t)
		t.Cleanup(func() { gitstoretest.Fsck(t, dir) })
		read := func() []byte { return []byte(gitstoretest.Git(t, dir, "show", "main:"+path)) }
		f := fixture(t, p, target("teams.payments.members", "email"), target("teams.search.members", "email"), read, nil)
		f.Give, f.Take = nil, nil
		return f
	})
}

// TestOneLine: git itself sees one file and one line changed, and the next
// commit puts everything back.
func TestOneLine(t *testing.T) {
	dir, p := real(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, tt := range []struct {
		target access.Target
		diff   string
		stat   string
	}{
		{target("teams.payments.members", "email"), "+      - alice@example.com", "1\t0\t" + path},
		{target("teams.search.members", "email"),
			"-  search: {members: [erin-gh, \"dan-gh\"]}\n+  search: {members: [erin-gh, \"dan-gh\", \"alice@example.com\"]}", "1\t1\t" + path},
	} {
		o := order(tt.target, "alice@example.com")
		if err := p.Grant(ctx, o); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(gitstoretest.Git(t, dir, "show", "--numstat", "--format=", "main")); got != tt.stat {
			t.Errorf("changed %q, want %q", got, tt.stat)
		}
		if got := changed(gitstoretest.Git(t, dir, "show", "--format=", "-U0", "main")); got != tt.diff {
			t.Errorf("diff\n%s\nwant\n%s", got, tt.diff)
		}
		if got := strings.TrimSpace(gitstoretest.Git(t, dir, "log", "-1", "--format=%s|%(trailers:key=Request-Id,valueonly)", "main")); got != "grant gitops/payments to alice@example.com (request 01JXYZ)|01JXYZ" {
			t.Errorf("message %q", got)
		}
		if err := p.Revoke(ctx, o); err != nil {
			t.Fatal(err)
		}
		if got := gitstoretest.Git(t, dir, "diff", "main~2", "main"); got != "" {
			t.Errorf("after the end something else is different:\n%s", got)
		}
	}
	gitstoretest.Fsck(t, dir)
}

// changed are the lines that a patch removes and adds.
func changed(patch string) string {
	var out []string
	for l := range strings.Lines(patch) {
		if l = strings.TrimRight(l, "\n"); l != "" && strings.Contains("+-", l[:1]) && !strings.HasPrefix(l, "+++") && !strings.HasPrefix(l, "---") {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

// TestManyWriters: several providers on one repository lose nothing.
func TestManyWriters(t *testing.T) {
	dir, _ := real(t)
	var wg sync.WaitGroup
	names := []string{"a", "b", "c", "d", "e", "f"}
	for _, name := range names {
		wg.Go(func() {
			r, err := gitstore.Open(t.Context(), dir)
			if err != nil {
				t.Error(err)
				return
			}
			p, err := gitops.New(gitops.Config{Editor: editor{r}})
			if err != nil {
				t.Error(err)
				return
			}
			for _, n := range []string{name + "1", name + "2"} {
				if err := p.Grant(t.Context(), order(target("teams.payments.members", "email"), n+"@example.com")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	data := gitstoretest.Git(t, dir, "show", "main:"+path)
	if got := len(list(t, []byte(data), "teams.payments.members")); got != 1+2*len(names) {
		t.Errorf("%d entries, want %d:\n%s", got, 1+2*len(names), data)
	}
	gitstoretest.Fsck(t, dir)
}
