package bot

import (
	"context"

	"countersign/bot/access"
)

// A Provider gives and ends access somewhere. Implementations are safe for
// concurrent use; the bot never has two calls under way for the same subject
// and target. Every call has a deadline, which a provider must keep.
//
// Grant and Revoke are idempotent: granting what is there, and revoking what
// is gone, succeed. A person, team or entry that no longer exists counts as
// revoked. After an error the effect is unknown, and the bot asks again.
//
// Where the provider has done its part and somebody else has to do theirs, Grant
// and Revoke answer an error that wraps [access.Awaiting], which says what and by
// whom. People are told, and the bot asks again until it is done.
type Provider interface {
	// Subject names the principal's account at the provider. It answers an
	// error that wraps [access.ErrNoAccount] where there is none and never will
	// be, so that the request ends as failed.
	Subject(ctx context.Context, t access.Target, who access.Account) (string, error)
	// Has says whether the subject has the access now.
	Has(ctx context.Context, t access.Target, subject string) (access.Presence, error)
	// Grant gives the access. A second order with a later expiry extends it.
	Grant(ctx context.Context, o access.Order) error
	// Revoke ends it.
	Revoke(ctx context.Context, o access.Order) error
}

// An Observer is a Provider that cannot look, so that Has answers unknown, and
// learns from the answer to a grant what was there before.
type Observer interface {
	Provider
	// GrantObserving is Grant, and answers whether the access was there before
	// this order was first given. The same order gets the same answer however
	// often it is given. The bot asks for it until it has the first answer of a
	// request, and records that; access that was present is not taken away.
	// Where the answer was lost and the access is to end before its time, it may
	// be asked for once more, just before Revoke.
	GrantObserving(ctx context.Context, o access.Order) (access.Presence, error)
}

// A Lister is a Provider that can name everybody who has an access.
type Lister interface {
	Provider
	// Holders are the subjects that have the access now: all of them, or an error.
	// [access.SameSubject] must know them from those that Subject gives.
	Holders(ctx context.Context, t access.Target) ([]string, error)
	// Covers reports whether who was given the other target is among the holders of
	// t by that: it is the same place, in other words or at a higher level. Nobody
	// is asked.
	Covers(t, other access.Target) bool
}
