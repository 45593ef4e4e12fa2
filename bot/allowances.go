package bot

import (
	"context"
	"errors"
	"time"

	"countersign/bot/access"
)

// Allowances are the recorded pre-approvals. *ledger.Ledger is the real one.
type Allowances interface {
	// Allow records one, once for each delivery. It returns decide's error as it is.
	Allow(ctx context.Context, id, delivery string, decide func() (access.Allowance, error)) (access.Allowance, error)
	// Withdraw ends one.
	Withdraw(ctx context.Context, id, delivery string, by access.Person, config string, now time.Time, decide func(access.Allowance) error) error
	// Allowances are all there are, newest first.
	Allowances() []access.Allowance
}

// errNoAllowances is a bot that was built without them.
var errNoAllowances = errors.New("bot: pre-approvals are not set up")

// Allow makes a pre-approval. The error is a refusal or a fault, as of [Bot.Handle].
func (b *Bot) Allow(ctx context.Context, delivery string, actor access.Actor, a access.Allow) (access.Allowance, error) {
	if b.Config.Allowances == nil {
		return access.Allowance{}, errNoAllowances
	}
	f := access.Facts{ID: delivery, Actor: actor, Rules: b.Rules.Current()}
	if res, ok := f.Rules.Resource(a.Resource); ok {
		f.Members, f.Duties = b.ask(ctx, access.NeedsOf(res, false, false, f.Rules))
	}
	id, err := b.newID()
	if err != nil {
		return access.Allowance{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return b.Config.Allowances.Allow(ctx, id, delivery, func() (access.Allowance, error) {
		f.Now = b.Now()
		return access.MakeAllowance(f, a)
	})
}

// Withdraw ends a pre-approval. The error is a refusal or a fault.
func (b *Bot) Withdraw(ctx context.Context, delivery string, actor access.Actor, id string) error {
	if b.Config.Allowances == nil {
		return errNoAllowances
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	f := access.Facts{ID: delivery, Actor: actor, Rules: b.Rules.Current()}
	return b.Config.Allowances.Withdraw(ctx, id, delivery, actor.Person, f.Rules.Commit, b.Now(), func(a access.Allowance) error {
		return access.MayWithdraw(f, a)
	})
}

// ahead are the pre-approvals that may count for a filing, each with the rules
// of its making.
func (b *Bot) ahead(ctx context.Context, rules *access.Rules, principal access.Person, resource string) []access.Ahead {
	if b.Config.Allowances == nil {
		return nil
	}
	var out []access.Ahead
	for _, a := range b.Config.Allowances.Allowances() {
		if a.Resource == resource && a.Stands(b.Now()) && rules.Same(a.For, principal) {
			out = append(out, access.Ahead{Allowance: a, Made: b.Rules.At(ctx, a.Config)})
		}
	}
	return out
}
