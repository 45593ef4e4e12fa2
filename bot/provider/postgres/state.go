package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// manyGrantors is the first version (server_version_num) where each grantor
// may give the same membership once.
const manyGrantors = 160000

// self is our own user, and the server.
type self struct {
	version int
	cluster uint64 // system_identifier; another after pg_upgrade or a restore from a dump
	role
}

type role struct {
	oid          uint32
	name         string
	login, super bool
}

// A membership is one grant of the given role to the member.
type membership struct {
	grantor uint32
	by      string // the grantor's name
}

// state is all about one place and one subject, as one transaction sees it.
type state struct {
	me            self
	given, member *role // nil: there is none
	grants        []membership
}

func look(ctx context.Context, tx pgx.Tx, at place, who subject) (s state, err error) {
	if s.me, err = whoAmI(ctx, tx); err != nil {
		return s, err
	}
	if s.given, err = find(ctx, tx, `rolname = $1`, at.role); err != nil {
		return s, err
	}
	if who.cluster == s.me.cluster {
		s.member, err = find(ctx, tx, `oid = $1::oid`, int64(who.oid))
	} else {
		s.member, err = find(ctx, tx, `rolname = $1`, who.name)
	}
	if err != nil || s.given == nil || s.member == nil {
		return s, err
	}
	s.grants, err = s.memberships(ctx, tx)
	return s, err
}

func whoAmI(ctx context.Context, tx pgx.Tx) (me self, err error) {
	var id int64 // the server shows it with a sign
	err = tx.QueryRow(ctx, `SELECT system_identifier FROM pg_control_system()`).Scan(&id)
	if isCode(err, "42501") {
		return me, failure("the bot's user may not ask which server this is; run GRANT EXECUTE ON FUNCTION pg_control_system() TO it")
	}
	if err != nil {
		return me, err
	}
	me.cluster = uint64(id)
	err = tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, oid, rolname, rolcanlogin, rolsuper FROM pg_roles WHERE rolname = current_user`).
		Scan(&me.version, &me.oid, &me.name, &me.login, &me.super)
	return me, err
}

func find(ctx context.Context, tx pgx.Tx, where string, value any) (*role, error) {
	var r role
	err := tx.QueryRow(ctx, `SELECT oid, rolname, rolcanlogin, rolsuper FROM pg_roles WHERE `+where, value).Scan(&r.oid, &r.name, &r.login, &r.super)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &r, err
}

// memberships are the grants by which the member can use the given role.
func (s state) memberships(ctx context.Context, tx pgx.Tx) ([]membership, error) {
	sql := `SELECT grantor, pg_get_userbyid(grantor) FROM pg_auth_members WHERE roleid = $1::oid AND member = $2::oid`
	if s.me.version >= manyGrantors {
		sql += ` AND (inherit_option OR set_option)`
	}
	rows, err := tx.Query(ctx, sql+` ORDER BY 2`, int64(s.given.oid), int64(s.member.oid))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (m membership, err error) {
		err = row.Scan(&m.grantor, &m.by)
		return m, err
	})
}

// mostMembers is how many members of a role are listed.
const mostMembers = 10_000

// members are the subjects of all who can use the given role by a membership of
// their own, but for our own user, who must have one to give it.
func (s state) members(ctx context.Context, tx pgx.Tx) ([]string, error) {
	sql := `SELECT DISTINCT r.rolname, r.oid FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE m.roleid = $1::oid AND m.member <> $2::oid`
	if s.me.version >= manyGrantors {
		sql += ` AND (m.inherit_option OR m.set_option)`
	}
	rows, err := tx.Query(ctx, sql+fmt.Sprintf(` ORDER BY 1 LIMIT %d`, mostMembers+1), int64(s.given.oid), int64(s.me.oid))
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		m := subject{cluster: s.me.cluster}
		err := row.Scan(&m.name, &m.oid)
		return m.String(), err
	})
	if len(all) > mostMembers {
		err = failure("%q has more than %d members, too many to look at", s.given.name, mostMembers)
	}
	return all, err
}

// login is the number under which the member logs in; 0 if that is not known.
// A role that was dropped may still have sessions, under its old number.
func (s state) login(who subject) uint32 {
	switch {
	case who.cluster == s.me.cluster:
		return who.oid
	case s.member != nil:
		return s.member.oid
	}
	return 0
}

// ours reports whether we gave a membership.
func (s state) ours(m membership) bool { return m.grantor == s.me.oid }

func names(grants []membership) string {
	var out []string
	for _, g := range grants {
		out = append(out, fmt.Sprintf("%q", g.by))
	}
	return strings.Join(out, " and ")
}

// mayGive says why the role must not be given: its holder could keep access
// past the end, or the end could not be what was promised.
func (s state) mayGive(ctx context.Context, tx pgx.Tx, at place) error {
	if s.me.super {
		return failure("%s signs in as a superuser, under whose name others grant too; give the bot a user of its own that has %s", at.env, s.adminOption())
	}
	name, why, err := s.power(ctx, tx)
	if err != nil {
		return err
	}
	if why != "" {
		return failure("the role %q is not given for a time, since a holder could keep access past the end: %q %s", s.given.name, name, why)
	}
	if !at.terminate {
		return nil
	}
	return s.mayEndSessions(ctx, tx)
}

// power finds what would let a holder of the role outlast the end: in the role
// itself, or in one that it can become.
func (s state) power(ctx context.Context, tx pgx.Tx) (name, why string, err error) {
	const reachable = `
		SELECT name, why FROM (SELECT r.oid, r.rolname AS name, CASE
			WHEN r.rolsuper THEN 'is a superuser'
			WHEN r.rolcreaterole THEN 'has CREATEROLE'
			WHEN r.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program') THEN 'reaches the files and programs of the server'
			WHEN r.oid = $2::oid THEN 'is this bot''s own user'
			WHEN EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid AND m.admin_option) THEN 'has the ADMIN OPTION of a role'
			END AS why
			FROM pg_roles r WHERE pg_has_role($1::oid, r.oid, 'MEMBER')) reachable
		WHERE why IS NOT NULL ORDER BY oid <> $1::oid, oid LIMIT 1`
	err = tx.QueryRow(ctx, reachable, int64(s.given.oid), int64(s.me.oid)).Scan(&name, &why)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", "", nil
	}
	return name, why, err
}

// adminOption is what somebody must run for us.
func (s state) adminOption() string {
	return fmt.Sprintf("GRANT %s TO … WITH ADMIN OPTION", pgx.Identifier{s.given.name}.Sanitize())
}
