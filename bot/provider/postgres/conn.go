package postgres

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// longest is how long a call takes at most, whatever its deadline.
	longest = time.Minute
	// lockWait is how long a statement waits for another session.
	lockWait = 5 * time.Second
	// goodbye is how long the end of a connection may take.
	goodbye = time.Second
)

// do connects, calls f in a transaction and, after that is durable, then with
// the same connection. Nothing that pgx or the server says leaves it as it is.
func (p *Provider) do(ctx context.Context, at place, f func(context.Context, pgx.Tx) error, then ...func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	release, err := p.slot(ctx, at.env)
	if err != nil {
		return err
	}
	defer release()
	config, err := p.config(at.env)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return explainConnect(ctx, at, err)
	}
	defer hangUp(conn)
	if err := inTransaction(ctx, conn, f); err != nil {
		return explain(ctx, at, err)
	}
	for _, f := range then {
		if err := f(ctx, conn); err != nil {
			return explain(ctx, at, err)
		}
	}
	return nil
}

// slot waits until another connection may be opened.
func (p *Provider) slot(ctx context.Context, env string) (release func(), err error) {
	p.mu.Lock()
	slots := p.slots[env]
	if slots == nil {
		slots = make(chan struct{}, p.maxConns)
		p.slots[env] = slots
	}
	p.mu.Unlock()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, because(ctx.Err(), "the other calls to the server of %s take too long; it is tried again", env)
	}
}

func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = conn.Close(ctx) // the transaction is over, or is rolled back by this
}

// config reads the connection string.
func (p *Provider) config(env string) (*pgx.ConnConfig, error) {
	const form = "such as postgres://countersign:…@db.example.com/app?sslmode=verify-full"
	dsn := p.getenv(env)
	if strings.TrimSpace(dsn) == "" {
		return nil, failure("the environment variable %s is not set; put the connection string there, %s", env, form)
	}
	c, err := pgx.ParseConfig(dsn)
	if err != nil { // which quotes the string
		return nil, failure("the environment variable %s does not hold a connection string, %s", env, form)
	}
	if downgrades(&c.Config) {
		return nil, failure("the connection string in %s may fall back to plain text; add sslmode=verify-full to it (or sslmode=disable, if the network is yours)", env)
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "countersign"
	}
	c.RuntimeParams["client_encoding"] = "UTF8"
	c.DefaultQueryExecMode = pgx.QueryExecModeExec // works behind a connection pool
	return c, nil
}

// downgrades reports whether a host of another machine is asked both with and
// without TLS: then somebody in between decides which.
func downgrades(c *pgconn.Config) bool {
	with, without := map[string]bool{}, map[string]bool{}
	for _, h := range append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}, c.Fallbacks...) {
		key := h.Host + " " + strconv.Itoa(int(h.Port))
		if h.TLSConfig == nil && !local(h.Host, h.Port) {
			without[key] = true
		} else {
			with[key] = true
		}
		if with[key] && without[key] {
			return true
		}
	}
	return false
}

// local reports whether a host is this machine.
func local(host string, port uint16) bool {
	if network, _ := pgconn.NetworkAddress(host, port); network == "unix" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// inTransaction calls f in a transaction that waits for nobody longer than the
// deadline. Nothing that f does can become durable after an error: that takes a
// commit, which is sent last.
func inTransaction(ctx context.Context, conn *pgx.Conn, f func(context.Context, pgx.Tx) error) error {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadWrite})
	if isCode(err, "0A000") {
		return failure("it is a standby, whose roles may be old and cannot be changed; name the primary, or add target_session_attrs=read-write")
	}
	if err != nil {
		return err
	}
	rest := longest
	if end, ok := ctx.Deadline(); ok {
		rest = time.Until(end)
	}
	_, err = tx.Exec(ctx, `SELECT pg_catalog.set_config('search_path', 'pg_catalog', true), pg_catalog.set_config('lock_timeout', $1, true),
		pg_catalog.set_config('statement_timeout', $2, true), pg_catalog.set_config('idle_in_transaction_session_timeout', $2, true)`,
		milliseconds(min(lockWait, rest*3/4)), milliseconds(rest))
	if err != nil {
		return err
	}
	if err := f(ctx, tx); err != nil {
		return err // closing the connection rolls back
	}
	return tx.Commit(ctx)
}

// milliseconds is a setting of the server; zero would mean without end.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10)
}
