package bottest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/bot"
	"countersign/bot/access"
)

// A Fixture is a provider and the world that it acts on. The functions look at
// that world themselves and never ask the provider.
type Fixture struct {
	Provider bot.Provider
	Target   access.Target  // an access that nobody has
	Other    access.Target  // another one that nobody has; zero: there is none
	Alice    access.Account // two people with accounts
	Bob      access.Account
	Nobody   access.Account // has no account; zero: everybody has one
	Blind    bool           // Has always answers unknown

	// Holders are the subjects that have an access, sorted.
	Holders func(t *testing.T, target access.Target) []string
	// Give and Take change the world behind the provider's back. Nil: the world
	// is changed by the provider alone.
	Give, Take func(t *testing.T, target access.Target, subject string)
	// Settle lets people do all that an answer waits for, see [access.Awaiting].
	// Nil: no answer does.
	Settle func(t *testing.T)
	// Inject makes the next call that changes something go wrong. Nil: it cannot.
	Inject func(t *testing.T, f Fault)
	// Pending reports whether what was injected has not come yet. Nil: it comes
	// within 50 ms of a call, however busy the machine is.
	Pending func() bool
}

// patience is how long a call may take after its context has ended, however busy
// the machine is.
const patience = 20 * time.Second

// TestProvider runs a provider through its contract. Each test gets a fixture of
// its own.
func TestProvider(t *testing.T, fixture func(t *testing.T) Fixture) {
	tests := []struct {
		name string
		run  func(*suite, *testing.T)
	}{
		{"subjects", (*suite).subjects},
		{"no account", (*suite).noAccount},
		{"grant and revoke", (*suite).grantAndRevoke},
		{"grant twice", (*suite).grantTwice},
		{"revoke twice", (*suite).revokeTwice},
		{"was there before", (*suite).wasThere},
		{"gone before the end", (*suite).goneBefore},
		{"other people", (*suite).otherPeople},
		{"other targets", (*suite).otherTargets},
		{"several at once", (*suite).atOnce},
		{"cancelled", (*suite).cancelled},
		{"hangs", (*suite).hangs},
		{"fails without effect", func(s *suite, t *testing.T) { s.asksAgain(t, Fails) }},
		{"fails after the effect", func(s *suite, t *testing.T) { s.asksAgain(t, FailsAfter) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &suite{Fixture: fixture(t)}
			s.alice, s.bob = s.subject(t, s.Alice), s.subject(t, s.Bob)
			tt.run(s, t)
		})
	}
}

// A suite is a fixture and the subjects of its people.
type suite struct {
	Fixture
	alice, bob string // subjects
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (s *suite) subject(t *testing.T, who access.Account) string {
	t.Helper()
	name, err := s.Provider.Subject(deadline(t), s.Target, who)
	if err != nil || name == "" {
		t.Fatalf("Subject(%+v) = %q, %v", who, name, err)
	}
	return name
}

// order is an order for a subject.
func (s *suite) order(subject string, who access.Account) access.Order {
	return access.Order{
		Request: "01JTEST0000000000000000000", Resource: "test/resource", Target: s.Target, Subject: subject,
		Principal: access.Person{Email: who.Email, Slack: "U0TEST"}, Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func (s *suite) grant(t *testing.T, o access.Order) {
	t.Helper()
	if err := s.settled(t, s.Provider.Grant, o); err != nil {
		t.Fatalf("Grant to %s: %v", o.Subject, err)
	}
}

func (s *suite) revoke(t *testing.T, o access.Order) {
	t.Helper()
	if err := s.settled(t, s.Provider.Revoke, o); err != nil {
		t.Fatalf("Revoke from %s: %v", o.Subject, err)
	}
}

// settled gives an order and, where the answer waits for somebody, lets them do
// their part and gives it again. As long as they have not, the answer is the same.
func (s *suite) settled(t *testing.T, do func(context.Context, access.Order) error, o access.Order) error {
	t.Helper()
	err := do(deadline(t), o)
	first, waits := errors.AsType[*access.Awaiting](err)
	if !waits || s.Settle == nil {
		return err
	}
	again, _ := errors.AsType[*access.Awaiting](do(deadline(t), o))
	if d := cmp.Diff(first, again); d != "" || first.For == "" {
		t.Errorf("what is waited for changes, or is not said (-first +again)\n%s", d)
	}
	s.Settle(t)
	return do(deadline(t), o)
}

// holders compares who has the access with who should, in any order, and what
// the provider says about both people.
func (s *suite) holders(t *testing.T, want ...string) {
	t.Helper()
	has := map[string]bool{}
	for _, w := range want {
		has[w] = true
	}
	got := map[string]bool{}
	for _, h := range s.Holders(t, s.Target) {
		if got[h] {
			t.Errorf("%s has the access twice", h)
		}
		got[h] = true
	}
	if d := cmp.Diff(has, got); d != "" {
		t.Fatalf("holders (-want +got)\n%s", d)
	}
	s.listed(t, want)
	for _, subject := range []string{s.alice, s.bob} {
		p := access.Absent
		switch {
		case s.Blind:
			p = access.Unknown
		case has[subject]:
			p = access.Present
		}
		if got, err := s.Provider.Has(deadline(t), s.Target, subject); err != nil || got != p {
			t.Fatalf("Has(%s) = %q, %v; want %q", subject, got, err, p)
		}
	}
}

// listed compares those whom a [bot.Lister] names with those who have the access.
func (s *suite) listed(t *testing.T, want []string) {
	t.Helper()
	l, ok := s.Provider.(bot.Lister)
	if !ok {
		return
	}
	if !l.Covers(s.Target, s.Target) || s.Other.Provider != "" && l.Covers(s.Target, s.Other) {
		t.Error("Covers is not so of the same target, or is of another one")
	}
	got, err := l.Holders(deadline(t), s.Target)
	if err != nil {
		t.Fatalf("Holders: %v", err)
	}
	same := func(list []string, x string) bool {
		return slices.ContainsFunc(list, func(o string) bool { return access.SameSubject(o, x) })
	}
	for _, w := range want {
		if !same(got, w) {
			t.Fatalf("Holders = %q, without %s", got, w)
		}
	}
	for _, subject := range []string{s.alice, s.bob} { // bystanders may be there too
		if same(got, subject) && !same(want, subject) {
			t.Fatalf("Holders = %q, want %q", got, want)
		}
	}
}

func (s *suite) subjects(t *testing.T) {
	if s.alice == s.bob {
		t.Errorf("two people are both %q", s.alice)
	}
	if again := s.subject(t, s.Alice); again != s.alice {
		t.Errorf("the same person is %q and then %q", s.alice, again)
	}
	s.holders(t)
}

func (s *suite) noAccount(t *testing.T) {
	if s.Nobody == (access.Account{}) {
		t.Skip("everybody has an account")
	}
	name, err := s.Provider.Subject(deadline(t), s.Target, s.Nobody)
	if !errors.Is(err, access.ErrNoAccount) || name != "" {
		t.Errorf("Subject = %q, %v; want an error that wraps access.ErrNoAccount", name, err)
	}
}

func (s *suite) grantAndRevoke(t *testing.T) {
	o := s.order(s.alice, s.Alice)
	s.grant(t, o)
	s.holders(t, s.alice)
	// An order from the log names the subject of its day, and that is who counts.
	o.Principal = access.Person{}
	s.revoke(t, o)
	s.holders(t)
}

func (s *suite) grantTwice(t *testing.T) {
	o := s.order(s.alice, s.Alice)
	s.grant(t, o)
	s.grant(t, o)
	o.Expires = o.Expires.Add(time.Hour)
	s.grant(t, o)
	s.holders(t, s.alice)
	s.revoke(t, o)
	s.holders(t)
	s.grant(t, o)
	s.holders(t, s.alice)
}

func (s *suite) revokeTwice(t *testing.T) {
	o := s.order(s.alice, s.Alice)
	s.revoke(t, o)
	s.holders(t)
	s.grant(t, o)
	s.revoke(t, o)
	s.revoke(t, o)
	s.holders(t)
}

func (s *suite) wasThere(t *testing.T) {
	if s.Give == nil {
		t.Skip("the world is changed by the provider alone")
	}
	s.Give(t, s.Target, s.alice)
	s.holders(t, s.alice)
	s.grant(t, s.order(s.alice, s.Alice))
	s.holders(t, s.alice)
}

func (s *suite) goneBefore(t *testing.T) {
	if s.Take == nil {
		t.Skip("the world is changed by the provider alone")
	}
	o := s.order(s.alice, s.Alice)
	s.grant(t, o)
	s.Take(t, s.Target, s.alice)
	s.holders(t)
	s.revoke(t, o)
	s.holders(t)
}

func (s *suite) otherPeople(t *testing.T) {
	a, b := s.order(s.alice, s.Alice), s.order(s.bob, s.Bob)
	s.grant(t, b)
	s.grant(t, a)
	s.holders(t, s.alice, s.bob)
	s.revoke(t, a)
	s.holders(t, s.bob)
	s.revoke(t, a)
	s.holders(t, s.bob)
}

func (s *suite) otherTargets(t *testing.T) {
	if s.Other.Provider == "" {
		t.Skip("there is no other target")
	}
	a, other := s.order(s.alice, s.Alice), s.order(s.alice, s.Alice)
	other.Target = s.Other
	s.grant(t, a)
	if got := s.Holders(t, s.Other); len(got) != 0 {
		t.Fatalf("the other target is held by %v", got)
	}
	s.grant(t, other)
	s.revoke(t, a)
	s.holders(t)
	if d := cmp.Diff([]string{s.alice}, s.Holders(t, s.Other)); d != "" {
		t.Errorf("holders of the other target (-want +got)\n%s", d)
	}
}

// atOnce gives to two people at the same time, again and again.
func (s *suite) atOnce(t *testing.T) {
	for range 4 {
		s.both(t, s.Provider.Grant)
		s.holders(t, s.alice, s.bob)
		s.both(t, s.Provider.Revoke)
		s.holders(t)
	}
}

func (s *suite) both(t *testing.T, do func(context.Context, access.Order) error) {
	t.Helper()
	var wg sync.WaitGroup
	var waits sync.Map // by subject
	orders := []access.Order{s.order(s.alice, s.Alice), s.order(s.bob, s.Bob)}
	for _, o := range orders {
		wg.Go(func() {
			err := do(deadline(t), o)
			if _, ok := errors.AsType[*access.Awaiting](err); ok && s.Settle != nil {
				waits.Store(o.Subject, true)
			} else if err != nil {
				t.Errorf("%s, at the same time as somebody else: %v", o.Subject, err)
			}
		})
	}
	wg.Wait()
	for _, o := range orders {
		if _, ok := waits.Load(o.Subject); !ok {
			continue
		}
		s.Settle(t)
		if err := s.settled(t, do, o); err != nil {
			t.Errorf("%s, after everybody did their part: %v", o.Subject, err)
		}
	}
}

// cancelled: a call whose context has ended does nothing, and says so.
func (s *suite) cancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cancel()
	o := s.order(s.alice, s.Alice)
	if err := s.within(t, ctx, s.Provider.Grant, o); err == nil {
		t.Error("Grant with an ended context answers nil")
	}
	s.holders(t)
	s.grant(t, o)
	if err := s.within(t, ctx, s.Provider.Revoke, o); err == nil {
		t.Error("Revoke with an ended context answers nil")
	}
	s.holders(t, s.alice)
}

// hangs: a world that does not answer costs no more than the deadline.
func (s *suite) hangs(t *testing.T) {
	if s.Inject == nil {
		t.Skip("no faults can be injected")
	}
	o := s.order(s.alice, s.Alice)
	for _, f := range []Fault{Hangs, HangsAfter} {
		for name, do := range map[string]func(context.Context, access.Order) error{"Grant": s.Provider.Grant, "Revoke": s.Provider.Revoke} {
			s.Inject(t, f)
			ctx, cancel := s.untilItHangs(t)
			err := s.within(t, ctx, do, o)
			cancel()
			if err == nil {
				t.Errorf("%s answers nil though nothing answered it (%s)", name, f)
			}
		}
	}
	s.grant(t, o)
	s.holders(t, s.alice)
	s.revoke(t, o)
	s.holders(t)
}

// untilItHangs is a context that ends when a fault that was injected has come.
func (s *suite) untilItHangs(t *testing.T) (context.Context, context.CancelFunc) {
	if s.Pending == nil {
		return context.WithTimeout(t.Context(), 50*time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	go func() {
		for s.Pending() && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	return ctx, cancel
}

// within fails if a call does not return soon after its context has ended.
func (s *suite) within(t *testing.T, ctx context.Context, do func(context.Context, access.Order) error, o access.Order) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do(ctx, o) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("the call does not keep its deadline")
		return nil
	}
}

// asksAgain: after an error the same order is given again, and has one effect.
func (s *suite) asksAgain(t *testing.T, f Fault) {
	if s.Inject == nil {
		t.Skip("no faults can be injected")
	}
	o := s.order(s.alice, s.Alice)
	s.grant(t, s.order(s.bob, s.Bob))
	s.Inject(t, f)
	if err := s.Provider.Grant(deadline(t), o); err == nil {
		t.Errorf("Grant answers nil where it %s", f)
	}
	s.holders(t, given(f == FailsAfter, s.bob, s.alice)...)
	s.grant(t, o)
	s.holders(t, s.alice, s.bob)
	s.Inject(t, f)
	if err := s.Provider.Revoke(deadline(t), o); err == nil {
		t.Errorf("Revoke answers nil where it %s", f)
	}
	s.holders(t, given(f != FailsAfter, s.bob, s.alice)...)
	s.revoke(t, o)
	s.holders(t, s.bob)
}

// given is who has an access: the first, and the second if both.
func given(both bool, first, second string) []string {
	if both {
		return []string{first, second}
	}
	return []string{first}
}
