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
