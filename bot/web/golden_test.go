package web_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// main is what is between the frame of a page, without what changes by itself.
var mainPart = regexp.MustCompile(`(?s)<main.*</main>`)

// TestGolden: what a person reads of one request, and of what is there now. A
// change of these files is a change of the dashboard, to be looked at.
func TestGolden(t *testing.T) {
	end := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	m := logOf(0, end)
	stories := m.stories(t, end)
	s := serve(t, m, everything, end)
	for name, path := range map[string]string{
		"denied": "/requests/" + stories["denied"].id, "list": "/requests?resource=payments-admins&status=denied",
		"asof": "/asof?at=2026-11-22T09:00&resource=payments-admins&person=alice@example.com",
	} {
		_, body, _ := get(t, s, path)
		got := strings.TrimSpace(mainPart.FindString(body)) + "\n"
		file := filepath.Join("testdata", "golden", name+".html")
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("%v (-update writes it)", err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s has changed (-update, and look at it):\n%s", path, d)
		}
	}
}
