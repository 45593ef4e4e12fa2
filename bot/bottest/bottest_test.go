package bottest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/access"
	"countersign/bot/bottest"
)

func target(name string) access.Target {
	return access.Target{Provider: "test", With: map[string]any{"team": name}}
}

func fixture(t *testing.T) bottest.Fixture {
	p := bottest.NewProvider(t)
	return bottest.Fixture{
		Provider: p,
		Target:   target("a"),
		Other:    target("b"),
		Alice:    access.Account{Email: "alice@example.com"},
		Bob:      access.Account{Email: "bob@example.com"},
		Nobody:   access.Account{GitHub: "nobody"},
		Holders:  func(_ *testing.T, t access.Target) []string { return p.Holders(t) },
		Give:     func(_ *testing.T, t access.Target, s string) { p.Give(t, s) },
		Take:     func(_ *testing.T, t access.Target, s string) { p.Take(t, s) },
		Inject:   func(_ *testing.T, f bottest.Fault) { p.Inject("", f) },
	}
}

// TestFakeKeepsTheContract: the fake is a provider like any other.
func TestFakeKeepsTheContract(t *testing.T) {
	bottest.TestProvider(t, fixture)
	t.Run("lister", func(t *testing.T) {
		bottest.TestProvider(t, func(t *testing.T) bottest.Fixture {
			f := fixture(t)
			f.Provider = bottest.Lister{Provider: f.Provider.(*bottest.Provider)}
			return f
		})
	})
	t.Run("blind", func(t *testing.T) {
		bottest.TestProvider(t, func(t *testing.T) bottest.Fixture {
			f := fixture(t)
			f.Provider.(*bottest.Provider).Blind, f.Blind = true, true
			return f
		})
	})
}

// recorder is a test that is told of errors instead of failing.
type recorder struct {
	testing.TB
	errs []string
}

func (r *recorder) Errorf(format string, _ ...any) { r.errs = append(r.errs, format) }

// TestStrict: each way to break the contract is found.
func TestStrict(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	full := access.Order{Request: "R", Resource: "r", Target: target("a"), Subject: "alice", Expires: time.Now()}
	bare := full
	bare.Expires = time.Time{}
	tests := []struct {
		name string
		do   func(p *bottest.Provider)
		want string // part of the one error; empty: none
	}{
		{"fine", func(p *bottest.Provider) { _ = p.Grant(ctx, full) }, ""},
		{"no deadline", func(p *bottest.Provider) { _ = p.Grant(t.Context(), full) }, "no deadline"},
		{"not complete", func(p *bottest.Provider) { _ = p.Revoke(ctx, bare) }, "not complete"},
		{"overlap", func(p *bottest.Provider) {
			p.Inject("Grant", bottest.HangsAfter)
			short, stop := context.WithTimeout(ctx, time.Minute)
			done := make(chan error)
			go func() { done <- p.Grant(short, full) }()
			for len(p.Holders(full.Target)) == 0 {
				time.Sleep(time.Millisecond)
			}
			_ = p.Revoke(ctx, full)
			stop()
			<-done
		}, "under way"},
	}
	for _, tt := range tests {
		r := &recorder{TB: t}
		tt.do(bottest.NewProvider(r))
		if tt.want == "" && len(r.errs) > 0 || tt.want != "" && (len(r.errs) != 1 || !strings.Contains(r.errs[0], tt.want)) {
			t.Errorf("%s: errors %q, want %q", tt.name, r.errs, tt.want)
		}
	}
}

// TestFaults: what each injected fault does, and what the fake notes of it.
func TestFaults(t *testing.T) {
	o := access.Order{Request: "R", Resource: "r", Target: target("a"), Subject: "alice", Expires: time.Now()}
	for _, tt := range []struct {
		fault  bottest.Fault
		err    error
		effect bool
	}{
		{"", nil, true},
		{bottest.Fails, bottest.ErrInjected, false},
		{bottest.FailsAfter, bottest.ErrInjected, true},
		{bottest.Hangs, context.DeadlineExceeded, false},
		{bottest.HangsAfter, context.DeadlineExceeded, true},
	} {
		p := bottest.NewProvider(t)
		p.Inject("Grant", tt.fault)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := p.Grant(ctx, o)
		cancel()
		if !errors.Is(err, tt.err) || (len(p.Holders(o.Target)) > 0) != tt.effect {
			t.Errorf("%q: %v, holders %v", tt.fault, err, p.Holders(o.Target))
		}
		want := bottest.Call{Method: "Grant", Request: "R", Subject: "alice", Err: err}.String()
		if got := p.Calls(); len(got) != 1 || got[0].String() != want {
			t.Errorf("%q: calls %s", tt.fault, cmp.Diff(want, got))
		}
	}
}
