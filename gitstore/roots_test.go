package gitstore_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"countersign/gitstore/gitstoretest"

	"github.com/google/go-cmp/cmp"
)

// TestRootsNoted: with a note from before, with none and with a bad one, the roots
// are those that git finds, however history has moved meanwhile.
func TestRootsNoted(t *testing.T) {
	work := gitstoretest.WorkTree(t, map[string]string{"a": "1"})
	git := func(args ...string) string { return gitstoretest.Git(t, work, args...) }
	private := filepath.Join(work, ".git", "countersign")
	if err := os.Mkdir(private, 0o755); err != nil {
		t.Fatal(err)
	}
	note := filepath.Join(private, "roots")
	same := func(when string) {
		t.Helper()
		want := strings.Fields(git("rev-list", "--max-parents=0", "--all"))
		slices.Sort(want)
		got, err := openRepo(t, work).Roots(t.Context())
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", when, err, diff)
		}
		if _, err := os.Stat(note); err != nil {
			t.Errorf("%s: not noted: %v", when, err)
		}
	}
	same("at first")
	same("unchanged")
	git("commit", "--quiet", "--allow-empty", "--message", "more")
	same("one commit later")
	git("checkout", "--quiet", "--orphan", "lone")
	git("commit", "--quiet", "--allow-empty", "--message", "lone")
	same("another history beside it")
	git("checkout", "--quiet", "main")
	git("merge", "--quiet", "--no-edit", "--allow-unrelated-histories", "lone")
	same("both joined")
	git("reset", "--quiet", "--hard", "HEAD~1")
	git("branch", "--quiet", "-D", "lone")
	same("one taken away")

	for what, text := range map[string]string{
		"of foreign commits": "tip " + strings.Repeat("1", 40) + "\nroot " + strings.Repeat("2", 40) + "\n",
		"without roots":      "tip " + git("rev-parse", "HEAD") + "\n",
		"of no ids":          "tip x\nroot y\n",
		"empty":              "",
	} {
		if err := os.WriteFile(note, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		same("a note " + what)
	}

	// That the note is used, and not the whole walked again, shows where it lies.
	lie := strings.Repeat("3", 40)
	if err := os.WriteFile(note, []byte("tip "+git("rev-parse", "HEAD")+"\nroot "+lie+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := openRepo(t, work).Roots(t.Context()); err != nil || !slices.Equal(got, []string{lie}) {
		t.Errorf("with a lying note: %v, %v; the note is not used", got, err)
	}
}
