package checkup_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot/checkup"

	"github.com/google/go-cmp/cmp"
)

// some are one finding of each kind.
func some() []checkup.Finding {
	var s checkup.Sheet
	s.OK("slack.bot_token", "", "the bot is @countersign in Acme")
	s.Warn("slack.people", "zoe@example.com", "correct the address", "a reviewer without a Slack account: <nobody> & co")
	s.Fault("repo.key", "", "add this line:\na\nb", "the key is unknown")
	return s.Findings()
}

func TestJSON(t *testing.T) {
	golden(t, "testdata/findings.json", func(b *strings.Builder) error { return checkup.WriteJSON(b, some()) })
	golden(t, "testdata/none.json", func(b *strings.Builder) error { return checkup.WriteJSON(b, nil) })
}

func TestText(t *testing.T) {
	var hostile strings.Builder
	if err := checkup.WriteText(&hostile, []checkup.Finding{{Check: "x", Level: checkup.OK, Text: "a\x1b[2Jb\u202ec\r"}}); err != nil {
		t.Fatal(err)
	}
	if got := hostile.String(); !strings.HasSuffix(got, " a[2Jbc\n") {
		t.Errorf("a name moves the cursor: %q", got)
	}
	golden(t, "testdata/findings.txt", func(b *strings.Builder) error { return checkup.WriteText(b, some()) })
}

func golden(t *testing.T, file string, write func(*strings.Builder) error) {
	t.Helper()
	var b strings.Builder
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s:\n%s", file, diff)
	}
}

// TestRun: whatever one examiner does, the others are heard.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := make(chan struct{})
		defer close(hung)
		note := func(check string) checkup.Examiner {
			return checkup.Examiner{Check: check, Patience: time.Second, Examine: func(_ context.Context, s *checkup.Sheet) { s.OK(check, "", "fine") }}
		}
		var ended bool
		got := checkup.Run(t.Context(),
			note("a"),
			checkup.Examiner{Check: "panics", Patience: time.Second, Examine: func(_ context.Context, s *checkup.Sheet) {
				s.OK("panics", "", "before")
				panic("oh")
			}},
			checkup.Examiner{Check: "hangs", Patience: time.Second, Examine: func(context.Context, *checkup.Sheet) { <-hung }},
			checkup.Examiner{Check: "waits", Patience: time.Second, Examine: func(ctx context.Context, s *checkup.Sheet) {
				<-ctx.Done()
				ended = true
				s.Fault("waits", "", "wait", "late")
			}},
			note("z"),
		)
		var lines []string
		for _, f := range got {
			lines = append(lines, f.Check+" "+string(f.Level)+" "+f.Text)
		}
		want := []string{
			"a ok fine", "panics ok before", "panics fault the examination broke off: oh",
			"hangs fault there was no answer within 1s", "waits fault late", "z ok fine",
		}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Error(diff)
		}
		if !ended || checkup.Count(got, checkup.Fault) != 3 || checkup.Count(got, checkup.OK) != 3 {
			t.Errorf("ended %v, %d faults", ended, checkup.Count(got, checkup.Fault))
		}
	})
}
