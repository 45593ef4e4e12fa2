package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// mayEndSessions says why the member's sessions could not be ended: that is
// better known before the access is given than at its end.
func (s state) mayEndSessions(ctx context.Context, tx pgx.Tx) error {
	if s.member.super {
		return failure("%q is a superuser, whose sessions this bot cannot end; the resource says terminate", s.member.name)
	}
	var may bool
	err := tx.QueryRow(ctx, `SELECT pg_has_role('pg_signal_backend', 'USAGE') OR pg_has_role($1::oid, 'USAGE')`, int64(s.member.oid)).Scan(&may)
	if err != nil || may {
		return err
	}
	return failure("the bot's user may not end sessions, and the resource says terminate: run GRANT pg_signal_backend TO %s", pgx.Identifier{s.me.name}.Sanitize())
}

// endSessions ends the sessions for which a member logged in, and waits until
// they are gone. Sessions that begin meanwhile are not touched: they began
// without the membership. Number 0 is nobody's.
func endSessions(ctx context.Context, conn *pgx.Conn, who subject, oid uint32) error {
	if oid == 0 {
		return nil
	}
	rows, err := conn.Query(ctx, `SELECT pid FROM pg_catalog.pg_stat_activity WHERE usesysid OPERATOR(pg_catalog.=) $1::pg_catalog.oid AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()`, int64(oid))
	if err != nil {
		return err
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil || len(pids) == 0 {
		return err
	}
	const end = `SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity WHERE pid OPERATOR(pg_catalog.=) ANY ($1) AND usesysid OPERATOR(pg_catalog.=) $2::pg_catalog.oid`
	for range 250 {
		var left int
		err := conn.QueryRow(ctx, end, pids, int64(oid)).Scan(&left)
		if isCode(err, "42501") {
			return failure("the membership of %q is ended, and its sessions are not: the bot's user may not end them; run GRANT pg_signal_backend for it", who.name)
		}
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return failure("the membership of %q is ended, and some of its sessions are not yet; it is tried again", who.name)
}
