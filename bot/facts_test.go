package bot_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"
)

// empty are vendors that know nobody. They say so with a list that is empty, not
// nil: the log must read back what is recorded.
type empty struct{}

func (empty) Members(context.Context, access.Group) ([]access.Person, error) {
	return []access.Person{}, nil
}

func (empty) Duties(context.Context, access.Watch) ([]access.Duty, error) {
	return []access.Duty{}, nil
}

func (empty) Page(context.Context, access.Page) (ref, url string, err error) { return "", "", nil }

// TestNobodyInTheGroup: where a group is empty, or nobody is on call, requests
// are filed and decided all the same.
func TestNobodyInTheGroup(t *testing.T) {
	parse := func(_ []byte, commit string) (*access.Rules, error) {
		r, err := rules(nil, commit)
		r.Groups = []access.Group{{Name: "sre", SlackGroup: "sre"}}
		r.Policies = []access.Policy{{
			Name: "p", Requestor: access.Whom{Type: "any"}, Resource: access.Which{Type: "any"},
			Approval: []access.Way{
				{Type: "auto", Integration: "pagerduty", EscalationPolicies: []string{"P1"}},
				{Type: "group", Groups: []string{"sre"}}, {Type: "reviewers"},
			},
		}}
		return r, err
	}
	l, err := ledger.Open(t.Context(), &bottest.Store{})
	if err != nil {
		t.Fatal(err)
	}
	book, _, err := bot.OpenRulebook(t.Context(), bot.RulebookConfig{Source: new(branch).push("c1", ""), Parse: parse})
	if err != nil {
		t.Fatal(err)
	}
	b, err := bot.New(bot.Config{
		Ledger: l, Rules: book, Notifier: &told{}, Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Directories: map[string]bot.Directory{"slack": empty{}}, OnCall: map[string]bot.OnCall{"pagerduty": empty{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Handle(t.Context(), access.Command{ID: "form:1", Actor: alice, Do: access.File{Resource: "admins"}})
	if err != nil || r.Status != access.Pending {
		t.Fatalf("filed: %q, %v", r.Status, err)
	}
	r, err = b.Handle(t.Context(), access.Command{ID: "click:1", Actor: bob, Do: access.Approve{Request: r.ID, For: time.Hour}})
	if err != nil || r.Status != access.Approved {
		t.Errorf("approved: %q, %v", r.Status, err)
	}
}
