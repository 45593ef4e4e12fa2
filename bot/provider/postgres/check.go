package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"countersign/bot/access"
)

// Check says what would keep a grant from succeeding: the server, the role, or what
// the bot's user may not do. It changes nothing.
func (p *Provider) Check(ctx context.Context, t access.Target) error {
	at, err := placeOf(t)
	if err != nil {
		return err
	}
	return p.do(ctx, at, func(ctx context.Context, tx pgx.Tx) error {
		s, err := look(ctx, tx, at, subject{})
		if err != nil {
			return err
		}
		if s.given == nil {
			return failure("there is no role %q on the server; create it, or correct the resource's role", at.role)
		}
		if err := s.mayGive(ctx, tx, at); err != nil {
			return err
		}
		return s.mayGrant(ctx, tx)
	})
}

// mayGrant says that our user lacks the right to give the role. Up to PostgreSQL 15
// CREATEROLE is that right too.
func (s state) mayGrant(ctx context.Context, tx pgx.Tx) error {
	var may bool
	err := tx.QueryRow(ctx, `SELECT pg_has_role($1::oid, 'MEMBER WITH ADMIN OPTION') OR ($2 AND rolcreaterole) FROM pg_roles WHERE rolname = current_user`,
		int64(s.given.oid), s.me.version < manyGrantors).Scan(&may)
	if err != nil || may {
		return err
	}
	return s.lacksOption()
}
