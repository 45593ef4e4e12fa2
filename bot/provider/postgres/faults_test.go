package postgres_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"countersign/bot/access"
	"countersign/bot/provider/postgres"
)

// alive reports whether a session can still be used.
func alive(t *testing.T, c *pgx.Conn) bool {
	t.Helper()
	_, err := c.Exec(t.Context(), "SELECT 1")
	return err == nil
}

// become makes a session that uses a role.
func (s *server) become(t *testing.T, member, role string) *pgx.Conn {
	t.Helper()
	c := s.as(t, member, "x")
	_, err := c.Exec(t.Context(), "SET ROLE "+role)
	must(t, err)
	return c
}

// sessionsStay: the end of the membership is not that of a session with the role.
func sessionsStay(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, false)
	s.exec(t, "CREATE TABLE of_"+role+" (x int)", "GRANT SELECT ON of_"+role+" TO "+role)
	must(t, p.Grant(within(t), o))
	c := s.become(t, alice, role)
	must(t, p.Revoke(within(t), o))
	if _, err := c.Exec(t.Context(), "SELECT * FROM of_"+role); err != nil {
		t.Errorf("a session with the role, after the end: %v", err)
	}
	if _, err := c.Exec(t.Context(), "RESET ROLE"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "SET ROLE "+role); err == nil {
		t.Error("the role can be set after the end")
	}
}

// sessionsEnd: with terminate all of the member's end, and nobody else's.
func sessionsEnd(t *testing.T, s *server) {
	s.exec(t, "GRANT pg_signal_backend TO bot")
	defer s.exec(t, "REVOKE pg_signal_backend FROM bot")
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, true)
	_, bob := s.names(t)
	other := s.orderFor(t, p, o.Target, bob)
	must(t, p.Grant(within(t), o))
	must(t, p.Grant(within(t), other))
	with, without := s.become(t, alice, role), s.as(t, alice, "x")
	bobs, admins, bots := s.become(t, bob, role), s.as(t, "postgres", rootPassword), s.as(t, "bot", botPassword)
	_, err := admins.Exec(t.Context(), "SET SESSION AUTHORIZATION "+alice)
	must(t, err)
	must(t, p.Revoke(within(t), o))
	if alive(t, with) || alive(t, without) {
		t.Error("a session of the member goes on")
	}
	for name, c := range map[string]*pgx.Conn{"bob": bobs, "the administrator": admins, "the bot": bots} {
		if !alive(t, c) {
			t.Errorf("a session of %s has ended", name)
		}
	}
	s.expect(t, role, bob+" by bot")

	// A crash after the membership's end, and before that of the sessions.
	must(t, p.Grant(within(t), o))
	with = s.become(t, alice, role)
	s.take(t, role, o.Subject)
	must(t, p.Revoke(within(t), o))
	if alive(t, with) {
		t.Error("the membership was gone, and the session goes on")
	}
	// Somebody dropped the member, whose session goes on under a number.
	must(t, p.Grant(within(t), o))
	with = s.become(t, alice, role)
	s.exec(t, "DROP ROLE "+alice)
	if !alive(t, with) {
		t.Fatal("the session of a dropped role ended by itself")
	}
	must(t, p.Revoke(within(t), o))
	if alive(t, with) {
		t.Error("the member was dropped, and the session goes on")
	}
	// A membership by somebody else is a reason to have a session.
	bobs = s.become(t, bob, role)
	s.take(t, role, other.Subject)
	s.exec(t, "GRANT "+role+" TO "+bob)
	fails(t, p.Revoke(within(t), other), `by the grant of "postgres"`)
	if !alive(t, bobs) {
		t.Error("the session of somebody who still has the role has ended")
	}
}

// sessionsCannotEnd: known before the access is given; said if it comes later.
func sessionsCannotEnd(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, true)
	fails(t, p.Grant(within(t), o), `run GRANT pg_signal_backend TO "bot"`)
	s.expect(t, role)
	s.exec(t, "GRANT pg_signal_backend TO bot", "ALTER ROLE "+alice+" SUPERUSER")
	fails(t, p.Grant(within(t), o), "is a superuser, whose sessions")
	s.expect(t, role)
	s.exec(t, "ALTER ROLE "+alice+" NOSUPERUSER")
	must(t, p.Grant(within(t), o))
	s.exec(t, "REVOKE pg_signal_backend FROM bot")
	c := s.become(t, alice, role)
	fails(t, p.Revoke(within(t), o), "the membership of", "is ended, and its sessions are not", "pg_signal_backend")
	s.expect(t, role)
	if !alive(t, c) {
		t.Fatal("the session has ended")
	}
	s.exec(t, "GRANT pg_signal_backend TO bot")
	must(t, p.Revoke(within(t), o))
	s.exec(t, "REVOKE pg_signal_backend FROM bot")
	if alive(t, c) {
		t.Error("the session goes on")
	}
	// Who is a member of the member may end its sessions as well.
	s.exec(t, "GRANT "+alice+" TO bot")
	must(t, p.Grant(within(t), o))
	must(t, p.Revoke(within(t), o))
}

// hold takes a lock as the superuser, and keeps it until the function is called.
func (s *server) hold(t *testing.T, sql string) (end func(how string)) {
	t.Helper()
	c := s.as(t, "postgres", rootPassword)
	for _, sql := range []string{"BEGIN", sql} {
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return func(how string) {
		if _, err := c.Exec(t.Context(), how); err != nil {
			t.Error(err)
		}
	}
}

// inTime is the error of a call that returns before its deadline; nil where none
// does. A deadline that is short for a busy machine says nothing about the call.
func inTime(t *testing.T, do func(context.Context, access.Order) error, o access.Order) error {
	t.Helper()
	for d := time.Second; d < 20*time.Second; d *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		err := do(ctx, o)
		early := ctx.Err() == nil
		cancel()
		if early {
			return err
		}
	}
	return nil
}

// lock: a lock of somebody else's costs less than the deadline, and is named.
func lock(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, false)
	for name, do := range map[string]func(context.Context, access.Order) error{"grant": p.Grant, "revoke": p.Revoke} {
		if name == "revoke" {
			must(t, p.Grant(within(t), o))
		} else {
			must(t, p.Revoke(within(t), o))
		}
		end := s.hold(t, "LOCK TABLE pg_auth_members IN SHARE MODE")
		if err := inTime(t, do, o); err != nil {
			fails(t, err, "another session", "holds the lock", "tried again")
		} else {
			t.Errorf("%s waits until its deadline, or not at all", name)
		}
		end("ROLLBACK")
		must(t, do(within(t), o))
	}
	must(t, p.Grant(within(t), o))
	s.expect(t, role, alice+" by bot")
}

// lockOfSame: somebody else is giving the very same at this moment.
func lockOfSame(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, false)
	end := s.hold(t, "GRANT "+role+" TO "+alice)
	fails(t, inTime(t, p.Grant, o), "another session", "holds the lock")
	done := make(chan error, 1)
	go func() { done <- p.Grant(within(t), o) }()
	s.waitFor(t, waits)
	end("COMMIT")
	err := <-done
	if s.version < 16 {
		fails(t, err, "somebody else changed the role", "tried again")
		must(t, p.Grant(within(t), o))
		s.expect(t, role, alice+" by postgres")
		return
	}
	must(t, err)
	s.expect(t, role, alice+" by bot", alice+" by postgres")
}

const (
	waits = `SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'countersign' AND wait_event_type = 'Lock'`
	none  = `SELECT (count(*) = 0)::int::text FROM pg_stat_activity WHERE application_name = 'countersign' AND state <> 'idle'`
)

// waitFor returns when a query answers 1.
func (s *server) waitFor(t *testing.T, sql string) {
	t.Helper()
	for began := time.Now(); s.value(t, sql) != "1"; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("never 1: %s", sql)
		}
	}
}

// givesUp: what the bot gave up on does not happen later.
func givesUp(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, _ := s.order(t, p, false)
	end := s.hold(t, "LOCK TABLE pg_auth_members IN SHARE MODE")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Grant(ctx, o) }()
	s.waitFor(t, waits)
	cancel()
	err := <-done
	fails(t, err, "did not answer in time")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v is not the end of the context", err)
	}
	end("ROLLBACK")
	s.waitFor(t, none)
	s.expect(t, role)
}

// everyMessageLost: wherever the connection breaks, the same order again has the
// effect of one.
func everyMessageLost(t *testing.T, s *server) {
	s.exec(t, "GRANT pg_signal_backend TO bot")
	defer s.exec(t, "REVOKE pg_signal_backend FROM bot")
	x := newProxy(t, s.address())
	p := provider(t, x.dsn())
	o, role, alice := s.order(t, p, true)
	for _, after := range []bool{false, true} {
		for n := 0; ; n++ {
			must(t, p.Revoke(within(t), o))
			granted := breakAt(t, x, n, after, func() error { return p.Grant(within(t), o) })
			must(t, p.Grant(within(t), o))
			s.expect(t, role, alice+" by bot")
			c := s.become(t, alice, role)
			revoked := breakAt(t, x, n, after, func() error { return p.Revoke(within(t), o) })
			must(t, p.Revoke(within(t), o))
			s.expect(t, role)
			if alive(t, c) {
				t.Errorf("broken at %d: a session goes on", n)
			}
			if !granted && !revoked {
				if n < 10 {
					t.Errorf("a call has only %d messages", n)
				}
				break
			}
		}
	}
}

// breakAt breaks the connection of a call at its nth round trip, and reports
// whether it has that many. Such a call must fail, unless it was only leaving.
func breakAt(t *testing.T, x *proxy, n int, after bool, call func() error) bool {
	t.Helper()
	seen, broken, leaving := 0, atomic.Bool{}, atomic.Bool{}
	x.cut(cut{after: after, at: func(i int, m []byte) bool {
		if i > 0 && m[0] != 'Q' && m[0] != 'S' && m[0] != 'X' {
			return false
		}
		leaving.Store(i > 0 && m[0] == 'X')
		hit := seen == n
		seen++
		broken.Store(broken.Load() || hit)
		return hit
	}})
	err := call()
	if broken.Load() && !leaving.Load() && err == nil {
		t.Errorf("broken at %d, and no error", n)
	}
	if err != nil && !broken.Load() {
		t.Errorf("not broken at %d, and %v", n, err)
	}
	x.take()
	return broken.Load()
}

// restart: the server crashes in the middle, is away, and comes back.
func restart(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, false)
	for _, how := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGINT} {
		must(t, p.Revoke(within(t), o))
		s.hold(t, "LOCK TABLE pg_auth_members IN SHARE MODE")
		done := make(chan error, 1)
		go func() { done <- p.Grant(within(t), o) }()
		s.waitFor(t, waits)
		s.stop(how)
		fails(t, <-done, "server of DB")
		fails(t, p.Grant(within(t), o), "nothing listens where DB says")
		if has, err := p.Has(within(t), o.Target, o.Subject); has != access.Unknown || err == nil {
			t.Errorf("without a server Has = %q, %v", has, err)
		}
		s.run(t)
		s.expect(t, role)
		must(t, p.Grant(within(t), o))
		s.expect(t, role, alice+" by bot")
	}
}

// standby: a copy of the server that only reads.
func standby(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, _, _ := s.order(t, p, false)
	copied := &server{bin: s.bin, dir: filepath.Join(openRoom(t), "data")}
	s.stop(syscall.SIGINT)
	if out, err := exec.Command("cp", "-a", s.dir, copied.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	must(t, os.WriteFile(filepath.Join(copied.dir, "standby.signal"), nil, 0o644))
	s.run(t)
	copied.run(t)
	t.Cleanup(func() { copied.stop(syscall.SIGQUIT) })
	on := provider(t, copied.dsn("bot", botPassword))
	_, err := on.Has(within(t), o.Target, o.Subject)
	for _, err := range []error{err, on.Grant(within(t), o), on.Revoke(within(t), o)} {
		fails(t, err, "standby", "name the primary")
	}
	// Of two servers the one that can be changed is asked.
	both, err := postgres.New(postgres.Config{Getenv: env("postgres://bot:" + botPassword + "@" + copied.address() + "," + s.address() + "/postgres?sslmode=disable&target_session_attrs=read-write")})
	must(t, err)
	must(t, both.Grant(within(t), o))
	expectHas(t, p, o, access.Present)
}
