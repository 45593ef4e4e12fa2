package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"countersign/bot/access"
)

// Config is what a [Provider] is made of.
type Config struct {
	// Getenv answers the value of an environment variable, and "" where it is not
	// set. It is asked at each call, for the names in dsn_env. Required.
	Getenv func(name string) string
	// MaxConns is how many connections may be open at once for each dsn_env; 4
	// unless set.
	MaxConns int
}

// A Provider gives access by role membership. It is safe for concurrent use and
// keeps no connection between calls.
type Provider struct {
	getenv   func(string) string
	maxConns int

	mu    sync.Mutex
	slots map[string]chan struct{} // by dsn_env, so that one dead server holds up no other; guarded by mu
}

// New returns a provider.
func New(c Config) (*Provider, error) {
	if c.Getenv == nil {
		return nil, errors.New("postgres: no environment")
	}
	if c.MaxConns < 0 {
		return nil, errors.New("postgres: MaxConns is negative")
	}
	if c.MaxConns == 0 {
		c.MaxConns = 4
	}
	return &Provider{getenv: c.Getenv, maxConns: c.MaxConns, slots: map[string]chan struct{}{}}, nil
}

// Ready says why a target's server could not even be called: there is no
// connection string for it, or none that can be used.
func (p *Provider) Ready(t access.Target) error {
	at, err := placeOf(t)
	if err != nil {
		return err
	}
	_, err = p.config(at.env)
	return err
}

// Subject is the name and number of the person's role, such as
// "alice#16385.1mlaub4y7l1t2".
// An error that wraps [access.ErrNoAccount] says that there is no such role, or
// that it is nobody's own.
func (p *Provider) Subject(ctx context.Context, t access.Target, who access.Account) (string, error) {
	at, err := placeOf(t)
	if err != nil {
		return "", err
	}
	name, err := memberName(who)
	if err != nil {
		return "", err
	}
	var s state
	err = p.do(ctx, at, func(ctx context.Context, tx pgx.Tx) (err error) {
		s, err = look(ctx, tx, at, subject{name: name})
		return err
	})
	switch {
	case err != nil:
		return "", err
	case s.member == nil:
		return "", noAccount("there is no role %q on the server; create it, or set people.postgres", name)
	case s.member.oid == s.me.oid:
		return "", noAccount("the role %q is this bot's own; correct people.postgres", name)
	case !s.member.login:
		return "", noAccount("the role %q cannot log in, so it is nobody's account; correct people.postgres", name)
	}
	return subject{name, s.member.oid, s.me.cluster}.String(), nil
}

// Has says whether the subject is a direct member of the role, by whosever grant.
func (p *Provider) Has(ctx context.Context, t access.Target, subject string) (access.Presence, error) {
	at, who, err := parse(t, subject)
	if err != nil {
		return access.Unknown, err
	}
	var s state
	err = p.do(ctx, at, func(ctx context.Context, tx pgx.Tx) error {
		s, err = look(ctx, tx, at, who)
		return err
	})
	switch {
	case err != nil:
		return access.Unknown, err
	case len(s.grants) > 0:
		return access.Present, nil
	}
	return access.Absent, nil
}

// Holders are the direct members of the role, by whosever grant, but for the bot's
// own user. A role that is a member may stand for many people. After a move to
// another server, who was given the access on the old one is named as anybody else:
// the numbers are other ones there.
func (p *Provider) Holders(ctx context.Context, t access.Target) (all []string, err error) {
	at, err := placeOf(t)
	if err != nil {
		return nil, err
	}
	err = p.do(ctx, at, func(ctx context.Context, tx pgx.Tx) error {
		s, err := look(ctx, tx, at, subject{})
		if err == nil && s.given != nil {
			all, err = s.members(ctx, tx)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Covers reports whether two targets are the same role.
func (p *Provider) Covers(t, other access.Target) bool {
	a, err := placeOf(t)
	b, err2 := placeOf(other)
	return err == nil && err2 == nil && a.env == b.env && a.role == b.role
}

// Grant makes the subject a member of the role, unless it is one already.
func (p *Provider) Grant(ctx context.Context, o access.Order) error {
	at, who, err := parse(o.Target, o.Subject)
	if err != nil {
		return err
	}
	return p.do(ctx, at, func(ctx context.Context, tx pgx.Tx) error {
		s, err := look(ctx, tx, at, who)
		if err != nil {
			return err
		}
		if s.given == nil {
			return failure("there is no role %q on the server; create it, or correct the resource's role", at.role)
		}
		if s.member == nil || s.member.name != who.name {
			return failure("the role %q was dropped, renamed or made anew since the access was approved; ask again", who.name)
		}
		if len(s.grants) > 0 {
			return nil
		}
		if err := s.mayGive(ctx, tx, at); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, s.sql("GRANT %s TO %s", " WITH SET TRUE GRANTED BY CURRENT_USER"))
		return s.denied(err)
	})
}

// Revoke ends the membership that we gave and, with terminate, the member's
// sessions. A membership by somebody else's grant stays, and is an error.
func (p *Provider) Revoke(ctx context.Context, o access.Order) error {
	at, who, err := parse(o.Target, o.Subject)
	if err != nil {
		return err
	}
	var s state
	end := func(ctx context.Context, tx pgx.Tx) (err error) {
		if s, err = look(ctx, tx, at, who); err != nil {
			return err
		}
		if !slices.ContainsFunc(s.grants, s.ours) {
			return nil
		}
		_, err = tx.Exec(ctx, s.sql("REVOKE %s FROM %s", " GRANTED BY CURRENT_USER"))
		return s.denied(err)
	}
	// A crash after the membership's end leaves the sessions: the order comes
	// again, finds no membership, and ends them.
	return p.do(ctx, at, end, func(ctx context.Context, conn *pgx.Conn) error {
		if theirs := slices.DeleteFunc(s.grants, s.ours); len(theirs) > 0 {
			return failure("%q is still a member of %q, by the grant of %s, which is not this bot's to revoke: let them end it, or do so by hand", s.member.name, at.role, names(theirs))
		}
		if !at.terminate {
			return nil
		}
		return endSessions(ctx, conn, who, s.login(who))
	})
}

// sql is a statement about the given role and the member. From PostgreSQL 16 on
// it says whose grant is meant.
func (s state) sql(form, exact string) string {
	sql := fmt.Sprintf(form, pgx.Identifier{s.given.name}.Sanitize(), pgx.Identifier{s.member.name}.Sanitize())
	if s.me.version >= manyGrantors {
		sql += exact
	}
	return sql
}
