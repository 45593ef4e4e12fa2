package gitops_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/provider/gitops"
)

var _ bot.Lister = (*gitops.Provider)(nil)

const (
	repo = "https://git.example/access.git"
	path = "access/teams.yaml"
	// teams is the file to begin with. Each target has a key of its own in it.
	teams = "# Who is in which team.\nteams:\n  payments:\n    members:   # by address\n      - erin@example.com # for good\n      # - bob@example.com was here\n  search: {members: [erin-gh, \"dan-gh\"]}\n"
)

func target(key, value string) access.Target {
	return access.Target{Provider: "gitops", With: map[string]any{"repo": repo, "branch": "main", "file": path, "key": key, "value": value}}
}

// A world is a repository in memory. It is stricter than a real one: change is
// always called twice, as after a conflict, and must answer the same.
type world struct {
	t *testing.T

	mu       sync.Mutex // guards all below
	data     []byte
	messages []string
	next     bottest.Fault
}

func (w *world) Read(ctx context.Context, r, branch, p string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r != repo || branch != "main" || p != path {
		return nil, fmt.Errorf("read %s %s %s", r, branch, p)
	}
	return bytes.Clone(w.data), ctx.Err()
}

func (w *world) Edit(ctx context.Context, r, branch, p, message string, change func([]byte) ([]byte, error)) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r != repo || branch != "main" || p != path || ctx.Err() != nil {
		return "", errors.Join(fmt.Errorf("edit %s %s %s", r, branch, p), ctx.Err())
	}
	fault := w.next
	w.next = ""
	if fault == "" || fault == bottest.FailsAfter || fault == bottest.HangsAfter {
		if err := w.change(message, change); err != nil {
			return "", err
		}
	}
	switch fault {
	case bottest.Hangs, bottest.HangsAfter:
		w.mu.Unlock()
		<-ctx.Done()
		w.mu.Lock()
		return "", ctx.Err()
	case bottest.Fails, bottest.FailsAfter:
		return "", bottest.ErrInjected
	}
	return fmt.Sprintf("%040x", len(w.messages)), nil
}

func (w *world) inject(_ *testing.T, f bottest.Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = f
}

func (w *world) pending() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next != ""
}

func (w *world) change(message string, change func([]byte) ([]byte, error)) error {
	lost, err := change(bytes.Clone(w.data))
	if err != nil {
		return err
	}
	data, err := change(bytes.Clone(w.data))
	if err != nil || !bytes.Equal(lost, data) {
		w.t.Errorf("the same change gives %q and then %q, %v", lost, data, err)
	}
	if !bytes.Equal(data, w.data) {
		w.data, w.messages = data, append(w.messages, message)
	}
	return nil
}

// list reads a list of the file as any program would.
func list(t *testing.T, data []byte, key string) []string {
	t.Helper()
	var at any
	if err := yaml.Unmarshal(data, &at); err != nil {
		t.Fatalf("the file cannot be read: %v\n%s", err, data)
	}
	for _, k := range strings.Split(key, ".") {
		m, _ := at.(map[string]any)
		at = m[k]
	}
	var out []string
	items, _ := at.([]any)
	for _, x := range items {
		out = append(out, fmt.Sprint(x))
	}
	return out
}

// others are in the file from the beginning and are nobody's business.
func others(s string) bool { return s == "erin@example.com" || s == "erin-gh" || s == "dan-gh" }

func fixture(t *testing.T, p *gitops.Provider, a, b access.Target, read func() []byte, write func([]byte)) bottest.Fixture {
	holders := func(t *testing.T, at access.Target) []string {
		got := slices.DeleteFunc(list(t, read(), at.With["key"].(string)), others)
		slices.Sort(got)
		return got
	}
	return bottest.Fixture{
		Provider: p, Target: a, Other: b,
		Alice:   access.Account{Email: "alice@example.com", GitHub: "Alice-gh"},
		Bob:     access.Account{Email: "bob@example.com", GitHub: "1234"},
		Nobody:  access.Account{Postgres: "nobody"},
		Holders: holders,
		// By hand only teams.payments.members is ever edited.
		Give: func(_ *testing.T, _ access.Target, subject string) {
			write(bytes.Replace(read(), []byte("      - erin@example.com"), []byte("      - "+subject+"\n      - erin@example.com"), 1))
		},
		Take: func(t *testing.T, _ access.Target, subject string) {
			var kept []string
			for l := range strings.Lines(string(read())) {
				if !strings.Contains(l, "- "+subject) {
					kept = append(kept, l)
				}
			}
			write([]byte(strings.Join(kept, "")))
		},
	}
}

func newWorld(t *testing.T, file string) (*world, *gitops.Provider) {
	w := &world{t: t}
	if file != "" {
		w.data = []byte(file)
	}
	p, err := gitops.New(gitops.Config{Editor: w})
	if err != nil {
		t.Fatal(err)
	}
	return w, p
}

// TestContract runs the provider through the suite on every kind of list.
func TestContract(t *testing.T) {
	tests := []struct {
		name, file string
		a, b       access.Target
	}{
		{"block list", teams, target("teams.payments.members", "email"), target("teams.search.members", "email")},
		{"flow list", teams, target("teams.search.members", "github"), target("teams.payments.members", "github")},
		{"no key", teams, target("teams.new.members", "github"), target("teams.new.admins", "github")},
		{"no file", "", target("a.b", "email"), target("a.c", "email")},
		{"CRLF", strings.ReplaceAll(teams, "\n", "\r\n"), target("teams.payments.members", "email"), target("teams.search.members", "email")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bottest.TestProvider(t, func(t *testing.T) bottest.Fixture {
				w, p := newWorld(t, tt.file)
				f := fixture(t, p, tt.a, tt.b, func() []byte { return w.data }, func(d []byte) { w.data = d })
				f.Inject, f.Pending = w.inject, w.pending
				if !strings.HasPrefix(tt.name, "block") {
					f.Give, f.Take = nil, nil
				}
				return f
			})
		})
	}
}

// TestByHand: what people do to the file meanwhile counts, whatever case they
// write an address in.
func TestByHand(t *testing.T) {
	w, p := newWorld(t, teams)
	f := fixture(t, p, target("teams.payments.members", "email"), access.Target{}, func() []byte { return w.data }, func(d []byte) { w.data = d })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o := order(f.Target, "alice@example.com")
	f.Give(t, f.Target, strings.ToUpper(o.Subject))
	before := string(w.data)
	if has, err := p.Has(ctx, f.Target, o.Subject); has != access.Present || err != nil {
		t.Errorf("given by hand: %s, %v", has, err)
	}
	if err := p.Grant(ctx, o); err != nil || string(w.data) != before || len(w.messages) != 0 {
		t.Errorf("a grant of what is there: %v, commits %q, file\n%s", err, w.messages, w.data)
	}
	f.Take(t, f.Target, strings.ToUpper(o.Subject))
	if err := p.Revoke(ctx, o); err != nil || string(w.data) != teams || len(w.messages) != 0 {
		t.Errorf("a revocation of what is gone: %v, commits %q, file\n%s", err, w.messages, w.data)
	}
}

func order(t access.Target, subject string) access.Order {
	return access.Order{
		Request: "01JXYZ", Resource: "gitops/payments", Target: t, Subject: subject,
		Principal: access.Person{Email: "alice@example.com"}, Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)),
	}
}

// TestMessages: what a commit says, for people and for programs.
func TestMessages(t *testing.T) {
	w, p := newWorld(t, teams)
	o := order(target("teams.search.members", "github"), "alice-gh")
	ctx := t.Context()
	if err := errors.Join(p.Grant(ctx, o), p.Revoke(ctx, o)); err != nil {
		t.Fatal(err)
	}
	o.Resource, o.Principal.Email = "a\nSigned-off-by: x", "" // a log that was tampered with
	if err := p.Grant(ctx, o); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"grant gitops/payments to alice@example.com (request 01JXYZ)\n\nRequest-Id: 01JXYZ\nResource: gitops/payments\nPrincipal: alice@example.com\nExpires: 2030-01-02T02:04:05Z\n",
		"revoke gitops/payments from alice@example.com (request 01JXYZ)\n\nRequest-Id: 01JXYZ\nResource: gitops/payments\nPrincipal: alice@example.com\n",
		"grant a?Signed-off-by: x to alice-gh (request 01JXYZ)\n\nRequest-Id: 01JXYZ\nResource: a?Signed-off-by: x\nPrincipal: alice-gh\nExpires: 2030-01-02T02:04:05Z\n",
	}
	if d := cmp.Diff(want, w.messages); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestSubject(t *testing.T) {
	_, p := newWorld(t, teams)
	tests := []struct {
		value     string
		who       access.Account
		want      string
		noAccount bool
	}{
		{"email", access.Account{Email: "a@example.com", GitHub: "a-gh"}, "a@example.com", false},
		{"github", access.Account{Email: "a@example.com", GitHub: "a-gh"}, "a-gh", false},
		{"github", access.Account{Email: "a@example.com"}, "", true},
		{"email", access.Account{GitHub: "a-gh"}, "", true},
		{"email", access.Account{Email: "a@example.com\n- b"}, "", false},
		{"slack", access.Account{Email: "a@example.com"}, "", false},
	}
	for _, tt := range tests {
		got, err := p.Subject(t.Context(), target("a", tt.value), tt.who)
		if got != tt.want || (err != nil) != (tt.want == "") || errors.Is(err, access.ErrNoAccount) != tt.noAccount {
			t.Errorf("%s of %+v: %q, %v", tt.value, tt.who, got, err)
		}
	}
}

// TestRefusals: a target or file that makes no sense changes nothing.
func TestRefusals(t *testing.T) {
	if _, err := gitops.New(gitops.Config{}); err == nil {
		t.Error("New without an editor answers nil")
	}
	w, p := newWorld(t, "a: &x [b]\nc: *x\n")
	for _, change := range []func(*access.Order){
		func(o *access.Order) {},
		func(o *access.Order) { o.Target = target("a..b", "email") },
		func(o *access.Order) { o.Target.With["repo"] = "" },
		func(o *access.Order) { o.Target.With["file"] = 5 },
		func(o *access.Order) { o.Target.With["value"] = "slack" },
		func(o *access.Order) { o.Subject = "" },
		func(o *access.Order) { o.Subject = "a b" },
	} {
		o := order(target("a", "email"), "alice@example.com")
		change(&o)
		if err := p.Grant(t.Context(), o); err == nil || len(w.messages) > 0 {
			t.Errorf("%+v: %v, commits %q", o, err, w.messages)
		}
		if has, err := p.Has(t.Context(), o.Target, "alice@example.com"); o.Subject == "alice@example.com" && (err == nil || has != access.Unknown) {
			t.Errorf("%+v: has %s, %v", o, has, err)
		}
	}
}
