package bot_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"
)

// branch is a config branch in memory: commits in order, the head among them.
type branch struct {
	mu      sync.Mutex        // a bot reads while a test pushes
	commits []string          // oldest first
	files   map[string]string // by commit; "bad" does not parse
	head    string
	forged  map[string]bool // carries the bot's own hand
	down    bool
}

func (b *branch) push(commit, file string) *branch {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.files == nil {
		b.files = map[string]string{}
	}
	b.commits, b.files[commit], b.head = append(b.commits, commit), file, commit
	return b
}

func (b *branch) Head(context.Context) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return "", errors.New("network down")
	}
	return b.head, nil
}

func (b *branch) Read(_ context.Context, commit string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, ok := b.files[commit]
	if !ok {
		return nil, fmt.Errorf("no commit %s", commit)
	}
	return []byte(f), nil
}

func (b *branch) Since(_ context.Context, after, to string) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, j := slices.Index(b.commits, after), slices.Index(b.commits, to)
	if after != "" && (i < 0 || i > j) {
		return nil, bot.ErrNotDescendant
	}
	found := slices.Clone(b.commits[i+1 : j+1])
	slices.Reverse(found)
	return found, nil
}

func (b *branch) Vet(_ context.Context, commit string) error {
	if b.forged[commit] {
		return errors.New("made by the bot")
	}
	return nil
}

// parse reads "reviewer reviewer …".
func parse(data []byte, commit string) (*access.Rules, error) {
	if string(data) == "bad" {
		return nil, errors.New("countersign.yaml:3:1: broken")
	}
	return &access.Rules{Commit: commit, Reviewers: strings.Fields(string(data))}, nil
}

func openRules(t *testing.T, b *branch, change func(*bot.RulebookConfig)) (*bot.Rulebook, bot.Change, error) {
	t.Helper()
	c := bot.RulebookConfig{Source: b, Parse: parse}
	if change != nil {
		change(&c)
	}
	return bot.OpenRulebook(t.Context(), c)
}

func used(commits ...string) func(*bot.RulebookConfig) {
	return func(c *bot.RulebookConfig) { c.Used = commits }
}

func TestRulebookStart(t *testing.T) {
	three := func() *branch { return new(branch).push("c1", "bob").push("c2", "bob carol").push("c3", "bad") }
	for _, c := range []struct {
		name    string
		branch  *branch
		change  func(*bot.RulebookConfig)
		want    string // commit in force; "" for an error
		refused bool
	}{
		{"the head", new(branch).push("c1", "bob").push("c2", "bob"), nil, "c2", false},
		{"a broken head falls back", three(), nil, "c2", true},
		{"a broken head, but never behind what was used", three(), used("c3"), "", true},
		{"never behind what the log has used, where nothing else is known", three(), used("c3", ""), "", true},
		{"used before, and still the head", new(branch).push("c1", "bob"), used("c1"), "c1", false},
		{"nothing was ever good", new(branch).push("c1", "bad"), nil, "", true},
		{"gone back to an ancestor", &branch{commits: []string{"c1", "c2"}, files: map[string]string{"c1": "bob", "c2": "carol"}, head: "c1"}, used("c2"), "c2", true},
		{"another history", &branch{commits: []string{"x1"}, files: map[string]string{"x1": "bob", "c2": "carol"}, head: "x1"}, used("c2"), "c2", true},
		{"another history, the old one lost", new(branch).push("x1", "bob"), used("c2"), "", true},
		{"another history, accepted", new(branch).push("x1234567", "bob"), func(c *bot.RulebookConfig) { c.Used, c.Accept = []string{"c2"}, "x1234567" }, "x1234567", false},
		{"another history, another one accepted", new(branch).push("x1234567", "bob"), func(c *bot.RulebookConfig) { c.Used, c.Accept = []string{"c2"}, "y1234567" }, "", true},
		{"the bot's own commit", &branch{commits: []string{"c1", "c2"}, files: map[string]string{"c1": "bob", "c2": "carol"}, head: "c2", forged: map[string]bool{"c2": true}}, nil, "c1", true},
		{"the bot's own commit below another", &branch{commits: []string{"c1", "c2", "c3"}, files: map[string]string{"c1": "bob", "c2": "carol", "c3": "dan"}, head: "c3", forged: map[string]bool{"c2": true}}, used("c1"), "c1", true},
		{"the bot's own commit, accepted", &branch{commits: []string{"c1", "c2345678"}, files: map[string]string{"c1": "bob", "c2345678": "carol"}, head: "c2345678", forged: map[string]bool{"c2345678": true}}, func(c *bot.RulebookConfig) { c.Used, c.Accept = []string{"c1"}, "c2345678" }, "c2345678", false},
		{"the bot's own commit, accepted long ago", &branch{commits: []string{"c1", "c2"}, files: map[string]string{"c1": "bob", "c2": "carol"}, head: "c2", forged: map[string]bool{"c1": true}}, used("c1"), "c2", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules, change, err := openRules(t, c.branch, c.change)
			got := ""
			if err == nil {
				got = rules.Current().Commit
			}
			if got != c.want {
				t.Errorf("in force %q, want %q (%v)", got, c.want, err)
			}
			if (change.Refused != nil || err != nil) != c.refused {
				t.Errorf("refused: %v, want %t", change.Refused, c.refused)
			}
		})
	}
}

func TestRulebookPoll(t *testing.T) {
	b := new(branch).push("c1", "bob")
	rules, _, err := openRules(t, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	poll := func() bot.Change {
		t.Helper()
		c, err := rules.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := poll(); c.New != nil || c.Refused != nil {
		t.Errorf("nothing changed, got %+v", c)
	}
	b.push("c2", "bad")
	if c := poll(); c.Refused == nil || rules.Current().Commit != "c1" {
		t.Errorf("a broken one came into force, or was not told: %+v", c)
	}
	if c := poll(); c.Refused != nil {
		t.Error("a refusal was told twice")
	}
	b.push("c3", "bob carol")
	if c := poll(); c.New == nil || c.Old.Commit != "c1" || rules.Current().Commit != "c3" {
		t.Errorf("got %+v, want c3 in force", c)
	}
	b.head = "c1"
	if c := poll(); !errors.Is(c.Refused, bot.ErrNotDescendant) || rules.Current().Commit != "c3" {
		t.Errorf("going back: got %v, in force %s", c.Refused, rules.Current().Commit)
	}
	b.down = true
	if _, err := rules.Poll(t.Context()); err == nil || rules.Current().Commit != "c3" {
		t.Error("an unreachable branch changed the rules, or was not said")
	}
	b.down, b.forged = false, map[string]bool{"c4": true}
	b.push("c4", "mallory").push("c5", "mallory")
	if c := poll(); c.Refused == nil || rules.Current().Commit != "c3" {
		t.Error("a commit of the bot's own, hidden below another, came into force")
	}
}

// A commit that cannot be read is not refused for good: it may be the one that
// takes somebody's right away.
func TestRulebookPollsAgain(t *testing.T) {
	b := new(branch).push("c1", "bob carol")
	rules, _, err := openRules(t, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.push("c2", "bob")
	delete(b.files, "c2")
	for i, told := range []bool{true, false} {
		c, err := rules.Poll(t.Context())
		if err != nil || (c.Refused != nil) != told || rules.Current().Commit != "c1" {
			t.Errorf("look %d: refused %v, %v; in force %s", i, c.Refused, err, rules.Current().Commit)
		}
	}
	b.files["c2"] = "bob"
	if c, err := rules.Poll(t.Context()); err != nil || c.New == nil || rules.Current().Commit != "c2" {
		t.Errorf("in force %s after c2 could be read (%+v, %v)", rules.Current().Commit, c, err)
	}
}

// merged is a history whose first parents lead past c2: m merges it into f1.
type merged struct{ *branch }

func (m merged) Since(_ context.Context, after, to string) ([]string, error) {
	line := map[string][]string{"m": {"m", "f1", "c1"}, "f1": {"f1", "c1"}, "c1": {"c1"}, "c2": {"c2", "c1"}}[to]
	if after == "" || after == "c2" && to == "m" {
		return line, nil
	}
	if after == to {
		return nil, nil
	}
	return nil, bot.ErrNotDescendant
}

// A broken merge of the configuration in force falls back to that, not to the
// other side of the merge, which never knew it.
func TestRulebookStartsFromAMerge(t *testing.T) {
	b := merged{new(branch).push("c1", "bob mallory").push("c2", "bob").push("f1", "bob mallory").push("m", "bad")}
	rules, change, err := bot.OpenRulebook(t.Context(), bot.RulebookConfig{Source: b, Parse: parse, Used: []string{"c2"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := rules.Current().Commit; got != "c2" || change.Refused == nil {
		t.Errorf("in force %s (refused: %v), want c2", got, change.Refused)
	}
}

func TestRulesAtAnyCommit(t *testing.T) {
	b := new(branch).push("c1", "bob").push("c2", "bad").push("c3", "carol")
	rules, _, err := openRules(t, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := rules.At(t.Context(), "c1"); r == nil || !r.Reviewer(access.Person{Email: "bob"}) {
		t.Errorf("rules at c1: %+v", r)
	}
	for _, none := range []string{"c2", "unknown", ""} {
		if r := rules.At(t.Context(), none); r != nil {
			t.Errorf("rules at %q: %+v, want none", none, r)
		}
	}
}

// TestEndIsNoFault: what cannot be looked at because the program ends is no fault
// that somebody should be woken for; what is unreachable is.
func TestEndIsNoFault(t *testing.T) {
	b := new(branch).push("c1", "bob")
	rules, _, err := openRules(t, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), &bottest.Store{})
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	w, err := bot.New(bot.Config{Ledger: l, Rules: rules, Notifier: &told{}, Now: time.Now, Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	b.down = true
	ended, end := context.WithCancel(t.Context())
	end()
	w.PollRules(ended)
	if said.Len() > 0 {
		t.Errorf("the end of the program was told as a fault: %s", said.String())
	}
	w.PollRules(t.Context())
	if !strings.Contains(said.String(), "cannot be looked at") {
		t.Errorf("an unreachable branch was not told: %q", said.String())
	}
}
