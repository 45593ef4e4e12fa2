package gitops_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/provider/gitops"
)

// An office is a repository whose base changes by pull requests alone, and its
// forge. It is stricter than a real one: whatever moves the base is a conflict.
type office struct {
	world
	quick bool // merges whatever is opened, at once
	late  bool // was protected only after access was given by a push

	branches map[string]branch // guarded by mu, as all below
	pulls    []*request
	calls    int           // that touch the world, so far
	at       int           // the call that goes wrong; 0: none
	wrong    bottest.Fault // how
}

type branch struct{ from, data []byte }

type request struct {
	gitops.Pull
	base, branch string
}

func newOffice(t *testing.T, file string) (*office, *gitops.Provider) {
	o := &office{world: world{t: t}, branches: map[string]branch{}}
	if file != "" {
		o.data = []byte(file)
	}
	p, err := gitops.New(gitops.Config{Editor: o, Drafts: o, Forge: func(at string) (gitops.Forge, error) {
		if at != repo {
			return nil, fmt.Errorf("%s is elsewhere", at)
		}
		return o, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return o, p
}

// step is one call, with what is to go wrong in it.
func (o *office) step(ctx context.Context, opens bool, do func() error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	o.calls++
	fault := bottest.Fault("")
	hangs := o.next == bottest.Hangs || o.next == bottest.HangsAfter
	if opens || hangs {
		fault, o.next = o.next, ""
	}
	if o.calls == o.at {
		fault = o.wrong
	}
	var err error
	if fault != bottest.Fails && fault != bottest.Hangs {
		err = do()
	}
	switch {
	case hangs:
		o.mu.Unlock()
		<-ctx.Done()
		o.mu.Lock()
		return ctx.Err()
	case fault != "":
		return bottest.ErrInjected
	}
	return err
}

func (o *office) Edit(context.Context, string, string, string, string, func([]byte) ([]byte, error)) (string, error) {
	if !o.late {
		o.t.Error("the base is pushed to")
	}
	return "", fmt.Errorf("protected: %w", gitops.ErrRefused)
}

func (o *office) Make(ctx context.Context, d gitops.Draft, message string, change func([]byte) ([]byte, error)) error {
	return o.step(ctx, false, func() error {
		if d.Repo != repo || d.Base != "main" || d.Path != path {
			return fmt.Errorf("a branch for %+v", d)
		}
		data, err := change(bytes.Clone(o.data))
		if err == nil && !bytes.Equal(data, o.data) {
			o.branches[d.Branch] = branch{bytes.Clone(o.data), data}
			o.messages = append(o.messages, message)
		}
		return err
	})
}

func (o *office) Conflicts(ctx context.Context, d gitops.Draft, number int) (conflicts bool, err error) {
	err = o.step(ctx, false, func() error {
		if x := o.pulls[number-1]; !x.Open || x.branch != d.Branch {
			o.t.Errorf("whether #%d of %s conflicts makes no sense", number, d.Branch)
		}
		conflicts = !bytes.Equal(o.branches[d.Branch].from, o.data)
		return nil
	})
	return conflicts, err
}

func (o *office) Pulls(ctx context.Context, base, branch string) (all []gitops.Pull, err error) {
	err = o.step(ctx, false, func() error {
		for _, x := range slices.Backward(o.pulls) {
			if x.base == base && x.branch == branch {
				all = append(all, x.Pull)
			}
		}
		return nil
	})
	return all, err
}

func (o *office) Open(ctx context.Context, base, branch, title, body string) (made gitops.Pull, err error) {
	err = o.step(ctx, true, func() error {
		if _, ok := o.branches[branch]; !ok || slices.ContainsFunc(o.pulls, func(x *request) bool { return x.Open && x.branch == branch }) {
			return errors.New("validation failed")
		}
		n := len(o.pulls) + 1
		made = gitops.Pull{Number: n, URL: fmt.Sprintf("https://git.example/pull/%d", n), Title: title, Body: body, Open: true}
		o.pulls = append(o.pulls, &request{made, base, branch})
		if len(o.open()) > 1 && strings.Contains(o.open()[0].branch, "revoke") != strings.Contains(branch, "revoke") {
			o.t.Errorf("both are open: %s and %s", o.open()[0].Title, title)
		}
		if o.quick {
			_ = o.merge(n) // or not, where somebody else was quicker
		}
		return nil
	})
	return made, err
}

func (o *office) Close(ctx context.Context, number int, title string) error {
	return o.step(ctx, false, func() error {
		x := o.pulls[number-1]
		if x.Merged {
			return errors.New("validation failed")
		}
		x.Open, x.Title = false, title
		return nil
	})
}

func (o *office) Drop(ctx context.Context, name string) error {
	return o.step(ctx, false, func() error {
		delete(o.branches, name)
		for _, x := range o.pulls {
			x.Open = x.Open && x.branch != name
		}
		return nil
	})
}

// open are the pull requests that are; the caller holds mu.
func (o *office) open() (all []*request) {
	for _, x := range o.pulls {
		if x.Open {
			all = append(all, x)
		}
	}
	return all
}

// merge is what people do; the caller holds mu.
func (o *office) merge(n int) error {
	x := o.pulls[n-1]
	b, ok := o.branches[x.branch]
	if !x.Open || !ok || !bytes.Equal(b.from, o.data) {
		return fmt.Errorf("#%d cannot be merged", n)
	}
	o.data, x.Open, x.Merged = b.data, false, true
	return nil
}

// mergeAll merges what can be.
func (o *office) mergeAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, x := range o.open() {
		_ = o.merge(x.Number) // the next may conflict with it, and is made anew
	}
}

// titles are those of all pull requests, each with what became of it.
func (o *office) titles() (all []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, x := range o.pulls {
		all = append(all, map[[2]bool]string{{true, false}: "open ", {false, true}: "merged ", {false, false}: "closed "}[[2]bool{x.Open, x.Merged}]+x.Title)
	}
	return all
}

func proposed(key string) access.Target {
	t := target(key, "email")
	t.With["via"] = "pull_request"
	return t
}

// TestProposeContract runs pull requests through the suite, merged by the forge at
// once, and merged by people.
func TestProposeContract(t *testing.T) {
	for name, quick := range map[string]bool{"by the forge": true, "by people": false} {
		t.Run(name, func(t *testing.T) {
			bottest.TestProvider(t, func(t *testing.T) bottest.Fixture {
				o, p := newOffice(t, teams)
				o.quick = quick
				t.Cleanup(func() {
					for _, x := range o.titles() {
						if strings.HasPrefix(x, "open ") {
							t.Errorf("left behind: %s", x)
						}
					}
				})
				read := func() []byte {
					o.mu.Lock()
					defer o.mu.Unlock()
					return bytes.Clone(o.data)
				}
				f := fixture(t, p, proposed("teams.payments.members"), proposed("teams.search.members"), read, func(d []byte) { o.data = d })
				f.Settle = func(*testing.T) { o.mergeAll() }
				if quick {
					f.Inject, f.Pending = o.inject, o.pending
				}
				return f
			})
		})
	}
}

// waits holds that an order waits for somebody, and answers for what.
func waits(t *testing.T, err error) string {
	t.Helper()
	w, ok := errors.AsType[*access.Awaiting](err)
	if !ok {
		t.Fatalf("%v, want an answer that waits for somebody", err)
	}
	return w.For
}

// TestProposals: what people do to pull requests, and what comes of it.
func TestProposals(t *testing.T) {
	const grant, revoke = "Grant gitops/payments to alice@example.com", "Revoke gitops/payments from alice@example.com"
	first := order(proposed("teams.payments.members"), "alice@example.com")
	second := first
	second.Request = "01JZZZ"
	by := func(o *office, f func()) { o.mu.Lock(); defer o.mu.Unlock(); f() }
	hand := func(o *office, old, new string) {
		by(o, func() { o.data = bytes.Replace(o.data, []byte(old), []byte(new), 1) })
	}
	const erin = "      - erin@example.com"
	for name, c := range map[string]struct {
		run  func(t *testing.T, o *office, p *gitops.Provider)
		want []string
	}{
		"closed is refused, and reopened waits again": {func(t *testing.T, o *office, p *gitops.Provider) {
			waits(t, p.Grant(t.Context(), first))
			by(o, func() { o.pulls[0].Open = false })
			for range 2 {
				if err := p.Grant(t.Context(), first); err == nil || !strings.HasSuffix(err.Error(), "https://git.example/pull/1, which was to give the access, was closed without being merged: reopen it there, or revoke this request") {
					t.Fatalf("after it was closed: %v", err)
				}
			}
			by(o, func() { o.pulls[0].Open = true })
			waits(t, p.Grant(t.Context(), first))
		}, []string{"open " + grant}},
		"closed is the answer to one request": {func(t *testing.T, o *office, p *gitops.Provider) {
			waits(t, p.Grant(t.Context(), first))
			by(o, func() { o.pulls[0].Open = false })
			waits(t, p.Grant(t.Context(), second))
		}, []string{"closed " + grant, "open " + grant}},
		"an end is proposed until it is merged": {func(t *testing.T, o *office, p *gitops.Provider) {
			hand(o, erin, erin+"\n      - alice@example.com")
			waits(t, p.Revoke(t.Context(), first))
			by(o, func() { o.pulls[0].Open = false })
			if err := p.Revoke(t.Context(), first); err == nil || !strings.HasSuffix(err.Error(), "https://git.example/pull/1, which was to end the access, was closed without being merged: https://git.example/pull/2 is open in its place, merge it") {
				t.Fatalf("after it was closed: %v", err)
			}
			if got := waits(t, p.Revoke(t.Context(), first)); got != "Somebody has to merge https://git.example/pull/2, which takes alice@example.com out of teams.payments.members in access/teams.yaml: the access ends then." {
				t.Errorf("it waits for %q", got)
			}
			o.mergeAll()
			if err := p.Revoke(t.Context(), first); err != nil {
				t.Fatal(err)
			}
		}, []string{"closed " + revoke, "merged " + revoke}},
		"an early end withdraws": {func(t *testing.T, o *office, p *gitops.Provider) {
			waits(t, p.Grant(t.Context(), first))
			if err := p.Revoke(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			if len(o.branches) > 0 {
				t.Errorf("branches are left: %v", o.branches)
			}
			waits(t, p.Grant(t.Context(), first)) // it was not people who have closed it
		}, []string{"closed Withdrawn: " + grant, "open " + grant}},
		"merged just before the end": {func(t *testing.T, o *office, p *gitops.Provider) {
			waits(t, p.Grant(t.Context(), first))
			o.mergeAll()
			waits(t, p.Revoke(t.Context(), first))
		}, []string{"merged " + grant, "open " + revoke}},
		"two requests for one access share one": {func(t *testing.T, o *office, p *gitops.Provider) {
			a, b := waits(t, p.Grant(t.Context(), first)), waits(t, p.Grant(t.Context(), second))
			if a != b {
				t.Errorf("one waits for %q, the other for %q", a, b)
			}
			if err := p.Revoke(t.Context(), second); err != nil {
				t.Fatal(err)
			}
		}, []string{"closed Withdrawn: " + grant}},
		"given again while its end waits": {func(t *testing.T, o *office, p *gitops.Provider) {
			hand(o, erin, erin+"\n      - alice@example.com")
			waits(t, p.Revoke(t.Context(), first))
			if err := p.Grant(t.Context(), second); err != nil {
				t.Fatal(err)
			}
		}, []string{"closed Withdrawn: " + revoke}},
		"done by hand meanwhile": {func(t *testing.T, o *office, p *gitops.Provider) {
			waits(t, p.Grant(t.Context(), first))
			hand(o, erin, erin+"\n      - ALICE@example.com")
			if err := p.Grant(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			waits(t, p.Revoke(t.Context(), first))
			hand(o, "\n      - ALICE@example.com", "")
			if err := p.Revoke(t.Context(), first); err != nil {
				t.Fatal(err)
			}
		}, []string{"closed Withdrawn: " + grant, "closed Withdrawn: " + revoke}},
		"made anew where the base has moved": {func(t *testing.T, o *office, p *gitops.Provider) {
			a := waits(t, p.Grant(t.Context(), first))
			hand(o, erin, erin+"\n      - zoe@example.com")
			o.mergeAll()
			if b := waits(t, p.Grant(t.Context(), first)); a != b {
				t.Errorf("it waits for %q and then for %q", a, b)
			}
			o.mergeAll()
			if d := cmp.Diff([]string{"erin@example.com", "zoe@example.com", "alice@example.com"}, list(t, o.data, "teams.payments.members")); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		}, []string{"merged " + grant}},
	} {
		t.Run(name, func(t *testing.T) {
			o, p := newOffice(t, teams)
			c.run(t, o, p)
			if d := cmp.Diff(c.want, o.titles()); d != "" {
				t.Errorf("pull requests (-want +got)\n%s", d)
			}
		})
	}
}

// TestProtectedMeanwhile: where a branch takes pushes no more, what was given by a push
// still ends; nothing is given so.
func TestProtectedMeanwhile(t *testing.T) {
	o, p := newOffice(t, strings.Replace(teams, "erin@example.com", "alice@example.com", 1))
	o.late = true
	x := order(target("teams.payments.members", "email"), "alice@example.com")
	waits(t, p.Revoke(t.Context(), x))
	o.mergeAll()
	if err := p.Revoke(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if got := list(t, o.data, "teams.payments.members"); len(got) > 0 {
		t.Errorf("the list has %q", got)
	}
	for name, err := range map[string]error{"grant": p.Grant(t.Context(), x), "no forge": without(t, o).Revoke(t.Context(), x)} {
		if !errors.Is(err, gitops.ErrRefused) || !strings.HasSuffix(err.Error(), "where the branch is protected, add via: pull_request") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// without is the provider of an office that has no pull requests.
func without(t *testing.T, o *office) *gitops.Provider {
	p, err := gitops.New(gitops.Config{Editor: o})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestProposeAfterAnyFault: whichever call fails, before its effect or after, there
// is one pull request for each way, and the access ends.
func TestProposeAfterAnyFault(t *testing.T) {
	life := func(t *testing.T, at int, wrong bottest.Fault) (calls int) {
		o, p := newOffice(t, teams)
		o.at, o.wrong = at, wrong
		x := order(proposed("teams.payments.members"), "alice@example.com")
		for _, do := range []func(context.Context, access.Order) error{p.Grant, p.Revoke} {
			var err error
			for range 6 {
				if err = do(t.Context(), x); err == nil {
					break
				}
				if _, ok := errors.AsType[*access.Awaiting](err); ok {
					o.mergeAll()
				}
			}
			if err != nil {
				t.Errorf("call %d %s: it never comes to an end: %v", at, wrong, err)
			}
		}
		want := []string{"merged Grant gitops/payments to alice@example.com", "merged Revoke gitops/payments from alice@example.com"}
		if d := cmp.Diff(want, o.titles()); d != "" || string(o.data) != teams || len(o.branches) > 0 {
			t.Errorf("call %d %s: pull requests (-want +got)\n%s branches %v, file\n%s", at, wrong, d, o.branches, o.data)
		}
		return o.calls
	}
	n := life(t, 0, "")
	for at := 1; at <= n; at++ {
		for _, wrong := range []bottest.Fault{bottest.Fails, bottest.FailsAfter} {
			life(t, at, wrong)
		}
	}
	t.Logf("%d calls, each failed in two ways", n)
}

// TestProposalText: nothing that stands in an order becomes more than a word.
func TestProposalText(t *testing.T) {
	o, p := newOffice(t, teams)
	x := order(proposed("teams.payments.members"), "alice@example.com")
	waits(t, p.Grant(t.Context(), x))
	want := "Adds `alice@example.com` to `teams.payments.members` in `access/teams.yaml`.\n\n" +
		"This gives access to `gitops/payments`, until 2030-01-02T02:04:05Z. The access begins when this is merged. Closed without being merged, it is refused. At its end another pull request takes the entry out again.\n\n" +
		"Who asked, who decided and why stands in the log under request `01JXYZ`. This branch belongs to the bot, which makes it anew where the base has moved.\n\nRequest-Id: 01JXYZ\n"
	if d := cmp.Diff(want, o.pulls[0].Body); d != "" {
		t.Errorf("body (-want +got)\n%s", d)
	}
	x.Resource, x.Request, x.Subject, x.Principal.Email = "a`\n@everyone", "01J\n## hi", "`@acme/all`", strings.Repeat("x", 300)
	waits(t, p.Grant(t.Context(), x))
	got := o.pulls[1].Body + "\n" + o.pulls[1].Title
	if strings.Contains(got, "\n@") || strings.Contains(got, "\n##") || strings.Count(o.pulls[1].Body, "`") != 10 || len(o.pulls[1].Title) > 200 {
		t.Errorf("a log that was tampered with makes\n%s", got)
	}
}

// TestProposeReady: without a forge for the repository nothing is offered.
func TestProposeReady(t *testing.T) {
	_, with := newOffice(t, teams)
	_, without := newWorld(t, teams)
	elsewhere, strange := proposed("a"), proposed("a")
	elsewhere.With["repo"], strange.With["via"] = "https://other.example/acme/state", "fax"
	for name, c := range map[string]struct {
		p    *gitops.Provider
		at   access.Target
		want string
	}{
		"ready":     {with, proposed("a"), ""},
		"pushed":    {without, target("a", "email"), ""},
		"no forge":  {without, proposed("a"), "via: pull_request: there are no pull requests here"},
		"elsewhere": {with, elsewhere, "is elsewhere"},
		"strange":   {with, strange, `via is "fax"`},
	} {
		err := c.p.Ready(c.at)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestCovers: the same list is one place, whatever its entries are and however it is
// changed.
func TestCovers(t *testing.T) {
	_, p := newWorld(t, teams)
	elsewhere := target("a.b", "email")
	elsewhere.With["branch"] = "next"
	for i, other := range []access.Target{target("a.b", "github"), proposed("a.b"), target("a", "email"), elsewhere, {}} {
		if got, want := p.Covers(target("a.b", "email"), other), i < 2; got != want {
			t.Errorf("%v: %t", other.With, got)
		}
	}
}
