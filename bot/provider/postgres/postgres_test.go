package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/provider/postgres"
)

var _ bot.Provider = (*postgres.Provider)(nil)

// TestOnServers runs everything that needs a server on each one that is here.
func TestOnServers(t *testing.T) {
	bins := binaries()
	if len(bins) == 0 {
		t.Skip("no PostgreSQL server here (Debian: postgresql); POSTGRES_BIN names its directories")
	}
	tests := []struct {
		name string
		run  func(*testing.T, *server)
	}{
		{"contract", contract},
		{"subjects", subjects},
		{"hostile names", hostileNames},
		{"given by others", givenByOthers},
		{"given by others too", givenByOthersToo},
		{"administers only", administersOnly},
		{"refused", refused},
		{"not refused", notRefused},
		{"no admin option", noAdminOption},
		{"revokes what it would refuse", revokesAnyway},
		{"holders", holders},
		{"too many holders", tooMany},
		{"renamed", renamed},
		{"moved", moved},
		{"role gone", roleGone},
		{"hijack", hijack},
		{"sessions stay", sessionsStay},
		{"sessions end", sessionsEnd},
		{"sessions cannot be ended", sessionsCannotEnd},
		{"lock", lock},
		{"lock of the same membership", lockOfSame},
		{"gives up", givesUp},
		{"every message lost", everyMessageLost},
		{"connections", connections},
		{"secrets", secrets},
		{"restart", restart},
		{"standby", standby},
	}
	for _, bin := range bins {
		t.Run(strings.ReplaceAll(strings.Trim(bin, "/"), "/", "_"), func(t *testing.T) {
			s := start(t, bin)
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) { tt.run(t, s) })
			}
		})
	}
}

func contract(t *testing.T, s *server) {
	s.exec(t, "GRANT pg_signal_backend TO bot")
	defer s.exec(t, "REVOKE pg_signal_backend FROM bot")
	for name, terminate := range map[string]bool{"plain": false, "terminate": true} {
		t.Run(name, func(t *testing.T) {
			bottest.TestProvider(t, func(t *testing.T) bottest.Fixture {
				x := newProxy(t, s.address())
				role, alice := s.names(t)
				other, bob := s.names(t)
				s.exec(t, "ALTER ROLE "+bob+` RENAME TO "`+bob+`@example.com"`)
				return bottest.Fixture{
					Provider: provider(t, x.dsn()), Target: target(role, terminate), Other: target(other, terminate),
					Alice:   access.Account{Email: "alice@example.com", Postgres: alice},
					Bob:     access.Account{Email: bob + "@example.com"},
					Nobody:  access.Account{Email: "nobody@example.com"},
					Holders: func(t *testing.T, at access.Target) []string { return s.holders(t, at.With["role"].(string)) },
					Give: func(t *testing.T, at access.Target, subject string) {
						member, _, _ := strings.Cut(subject, "#")
						s.exec(t, "GRANT "+at.With["role"].(string)+" TO "+quote(member))
					},
					Take:   func(t *testing.T, at access.Target, subject string) { s.take(t, at.With["role"].(string), subject) },
					Inject: x.inject, Pending: x.waiting,
				}
			})
		})
	}
}

// expect compares who is a member by whose grant.
func (s *server) expect(t *testing.T, role string, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, s.grants(t, role), cmp.Transformer("empty", func(l []string) string { return strings.Join(l, ", ") })); d != "" {
		t.Fatalf("members of %s (-want +got)\n%s", role, d)
	}
}

// fails checks that an error says all of some things.
func fails(t *testing.T, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one that says %q", says)
	}
	for _, part := range says {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %q; want it to say %q", err, part)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func expectHas(t *testing.T, p *postgres.Provider, o access.Order, want access.Presence) {
	t.Helper()
	if got, err := p.Has(within(t), o.Target, o.Subject); got != want || err != nil {
		t.Fatalf("Has = %q, %v; want %q", got, err, want)
	}
}

func subjects(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	role, alice := s.names(t)
	s.exec(t, `CREATE ROLE "erin@example.com" LOGIN`, "CREATE ROLE team_nologin", `CREATE ROLE "a#b" LOGIN`, `CREATE ROLE "`+strings.Repeat("x", 63)+`" LOGIN`)
	number := func(name string) string {
		return s.value(t, "SELECT oid::text FROM pg_roles WHERE rolname = $1", name) + s.cluster
	}
	tests := []struct {
		who  access.Account
		want string
		says string
	}{
		{access.Account{Email: "erin@example.com", Postgres: alice}, alice + "#" + number(alice), ""},
		{access.Account{Email: "erin@example.com"}, "erin@example.com#" + number("erin@example.com"), ""},
		{access.Account{Postgres: strings.Repeat("x", 63)}, strings.Repeat("x", 63) + "#" + number(strings.Repeat("x", 63)), ""},
		{access.Account{Postgres: strings.Repeat("x", 64)}, "", "longer than the 63 bytes"},
		{access.Account{Postgres: strings.Repeat("ü", 32)}, "", "longer than the 63 bytes"},
		{access.Account{Email: "dan@example.com"}, "", `there is no role "dan@example.com"`},
		{access.Account{Email: "erin@example.com", Postgres: "Erin@example.com"}, "", "there is no role"},
		{access.Account{}, "", "is empty"},
		{access.Account{Postgres: "a#b"}, "", "has a # sign"},
		{access.Account{Postgres: alice + "\x00"}, "", "is not a text"},
		{access.Account{Postgres: alice + "\xff"}, "", "is not a text"},
		{access.Account{Postgres: "bot"}, "", "is this bot's own"},
		{access.Account{Postgres: "team_nologin"}, "", "cannot log in"},
	}
	for _, tt := range tests {
		got, err := p.Subject(within(t), target(role, false), tt.who)
		if got != tt.want || errors.Is(err, access.ErrNoAccount) != (tt.says != "") {
			t.Errorf("%+v is %q, %v; want %q", tt.who, got, err, tt.want)
		}
		if tt.says != "" {
			fails(t, err, tt.says, "postgres: ", "no account at the provider")
		}
	}
}

// hostileNames: a name is a name, whatever is in it, and only its own.
func hostileNames(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	tests := []string{
		`a"b`, `"`, `""; DROP ROLE bot; --`, `x'; GRANT postgres TO public; --`, "PUBLIC", "current_user ", "NONE", "select", "a.b", `back\slash`, "$1",
		"two\nlines", "tab\t", "Ünïcødé ☃ 名", "ﬀ", "\u202etxt", strings.Repeat("é", 31) + "e", "a@b.example", "  ", "%s", "/*",
	}
	for i, name := range tests {
		given, member := "given "+name, name
		if i == 16 { // the longest there may be
			given, member = strings.Repeat("é", 31)+"g", name
		}
		s.exec(t, "CREATE ROLE "+quote(given), "CREATE ROLE "+quote(member)+" LOGIN", "GRANT "+quote(given)+" TO bot WITH ADMIN OPTION")
		before := s.values(t, everything)
		o := s.orderFor(t, p, target(given, false), member)
		must(t, p.Grant(within(t), o))
		expectHas(t, p, o, access.Present)
		s.expect(t, given, member+" by bot")
		if got := s.values(t, everything); len(got) != len(before)+1 {
			t.Errorf("%q: after the grant there are %q, before %q", name, got, before)
		}
		must(t, p.Revoke(within(t), o))
		expectHas(t, p, o, access.Absent)
		if d := cmp.Diff(before, s.values(t, everything)); d != "" {
			t.Errorf("%q: after the end (-want +got)\n%s", name, d)
		}
	}
	// What PostgreSQL would cut to a name that is there.
	long := strings.Repeat("r", 63)
	_, alice := s.names(t)
	s.exec(t, "CREATE ROLE "+long, "GRANT "+long+" TO bot WITH ADMIN OPTION")
	o := s.orderFor(t, p, target(long, false), alice)
	for _, bad := range []string{long + "r", "", long[:62] + "\x00", "r\xff"} {
		o.Target = target(bad, false)
		fails(t, p.Grant(within(t), o), "the target's role")
		fails(t, p.Revoke(within(t), o), "the target's role")
	}
	s.expect(t, long)
}

const everything = `SELECT pg_get_userbyid(roleid) || ' to ' || pg_get_userbyid(member) || ' by ' || pg_get_userbyid(grantor) FROM pg_auth_members
	UNION ALL SELECT rolname FROM pg_roles ORDER BY 1`

// givenByOthers: what somebody else gave before is there, is not doubled, and stays.
func givenByOthers(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, false)
	s.exec(t, "GRANT "+role+" TO "+alice)
	expectHas(t, p, o, access.Present)
	must(t, p.Grant(within(t), o))
	s.expect(t, role, alice+" by postgres")
	fails(t, p.Revoke(within(t), o), alice, role, `by the grant of "postgres"`, "not this bot's to revoke")
	s.expect(t, role, alice+" by postgres")
	s.take(t, role, o.Subject)
	must(t, p.Revoke(within(t), o))
}

// givenByOthersToo: somebody else gives while ours is live.
func givenByOthersToo(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, false)
	s.exec(t, "CREATE ROLE dba_"+role, "GRANT "+role+" TO dba_"+role+" WITH ADMIN OPTION")
	must(t, p.Grant(within(t), o))
	s.exec(t, "SET ROLE dba_"+role, "GRANT "+role+" TO "+alice, "RESET ROLE")
	theirs := "dba_" + role + " by postgres"
	if s.version < 16 {
		// The second grant left no trace, so the access ends with ours …
		must(t, p.Revoke(within(t), o))
		s.expect(t, role, theirs)
		// … unless it gave more, which made it theirs.
		must(t, p.Grant(within(t), o))
		s.exec(t, "GRANT "+role+" TO "+alice+" WITH ADMIN OPTION")
		fails(t, p.Revoke(within(t), o), `by the grant of "postgres"`)
		s.expect(t, role, alice+" by postgres", theirs)
		return
	}
	s.exec(t, "GRANT "+role+" TO "+alice)
	s.expect(t, role, alice+" by bot", alice+" by dba_"+role, alice+" by postgres", theirs)
	fails(t, p.Revoke(within(t), o), `by the grant of "dba_`+role+`" and "postgres"`)
	s.expect(t, role, alice+" by dba_"+role, alice+" by postgres", theirs)
	expectHas(t, p, o, access.Present)
	s.take(t, role, o.Subject)
	must(t, p.Revoke(within(t), o))
	expectHas(t, p, o, access.Absent)
}

// administersOnly: who may only give a role does not have it.
func administersOnly(t *testing.T, s *server) {
	if s.version < 16 {
		t.Skip("every membership is usable before PostgreSQL 16")
	}
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, false)
	s.exec(t, "GRANT "+role+" TO "+alice+" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
	expectHas(t, p, o, access.Absent)
	must(t, p.Grant(within(t), o))
	expectHas(t, p, o, access.Present)
	s.expect(t, role, alice+" by bot", alice+" by postgres")
	must(t, p.Revoke(within(t), o))
	expectHas(t, p, o, access.Absent)
	s.expect(t, role, alice+" by postgres")
	for _, usable := range []string{"INHERIT TRUE, SET FALSE", "INHERIT FALSE, SET TRUE"} {
		s.exec(t, "GRANT "+role+" TO "+alice+" WITH "+usable)
		expectHas(t, p, o, access.Present)
	}
}

// refused: what a holder could keep access with.
func refused(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	tests := []struct{ setup, undo, says string }{
		{"ALTER ROLE %r SUPERUSER", "ALTER ROLE %r NOSUPERUSER", `"%r" is a superuser`},
		{"ALTER ROLE %r CREATEROLE", "ALTER ROLE %r NOCREATEROLE", `"%r" has CREATEROLE`},
		{"GRANT pg_execute_server_program TO %r", "REVOKE pg_execute_server_program FROM %r", `"pg_execute_server_program" reaches the files and programs`},
		{"GRANT pg_write_server_files TO %r", "REVOKE pg_write_server_files FROM %r", `"pg_write_server_files" reaches the files and programs`},
		{"GRANT pg_read_server_files TO %r", "REVOKE pg_read_server_files FROM %r", `"pg_read_server_files" reaches the files and programs`},
		{"CREATE ROLE up_%r SUPERUSER; CREATE ROLE mid_%r; GRANT up_%r TO mid_%r; GRANT mid_%r TO %r", "REVOKE mid_%r FROM %r", `"up_%r" is a superuser`},
		{"CREATE ROLE more_%r; GRANT more_%r TO %r WITH ADMIN OPTION", "DROP ROLE more_%r", `"%r" has the ADMIN OPTION of a role`},
		{"CREATE ROLE sub_%r; CREATE ROLE low_%r; GRANT low_%r TO sub_%r WITH ADMIN OPTION; GRANT sub_%r TO %r", "DROP ROLE sub_%r", `"sub_%r" has the ADMIN OPTION of a role`},
		{"ALTER ROLE bot SUPERUSER", "ALTER ROLE bot NOSUPERUSER", "DB signs in as a superuser"},
	}
	o, role, _ := s.order(t, p, false)
	fill := func(text string) string { return strings.ReplaceAll(text, "%r", role) }
	for _, tt := range tests {
		s.exec(t, strings.Split(fill(tt.setup), ";")...)
		fails(t, p.Grant(within(t), o), fill(tt.says))
		s.expect(t, role)
		s.exec(t, fill(tt.undo))
	}
	must(t, p.Grant(within(t), o))
	must(t, p.Revoke(within(t), o))

	// With the bot's own user a holder could give what the bot may give.
	s.exec(t, "CREATE ROLE deputy", "GRANT bot TO deputy")
	for _, given := range []string{"bot", "deputy"} {
		o.Target = target(given, false)
		fails(t, p.Grant(within(t), o), `"bot" is this bot's own user`)
	}
}

// notRefused: ordinary roles, predefined ones too.
func notRefused(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, false)
	s.exec(t, "ALTER ROLE "+role+" BYPASSRLS CREATEDB REPLICATION", "GRANT pg_monitor TO "+role, "GRANT pg_read_all_data TO bot WITH ADMIN OPTION")
	must(t, p.Grant(within(t), o))
	o = s.orderFor(t, p, target("pg_read_all_data", false), alice)
	must(t, p.Grant(within(t), o))
	s.expect(t, "pg_read_all_data", alice+" by bot")
	must(t, p.Revoke(within(t), o))
	s.expect(t, "pg_read_all_data")
}

func noAdminOption(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, false)
	says := []string{`the bot's user "bot" may not give or end the role "` + role + `"`, `GRANT "` + role + `" TO "bot" WITH ADMIN OPTION`}
	must(t, p.Check(within(t), o.Target))
	s.exec(t, "REVOKE "+role+" FROM bot")
	fails(t, p.Grant(within(t), o), says...)
	fails(t, p.Check(within(t), o.Target), says...)
	s.exec(t, "GRANT "+role+" TO bot") // a member that may not give
	fails(t, p.Grant(within(t), o), says...)
	fails(t, p.Check(within(t), o.Target), says...)
	if s.version < 16 { // where that is right enough
		s.exec(t, "ALTER ROLE bot CREATEROLE")
		must(t, p.Check(within(t), o.Target))
		s.exec(t, "ALTER ROLE bot NOCREATEROLE")
	}
	s.expect(t, role)
	s.exec(t, "GRANT "+role+" TO bot WITH ADMIN OPTION")
	must(t, p.Check(within(t), o.Target))
	s.expect(t, role)
	fails(t, p.Check(within(t), target("none such", false)), `there is no role "none such" on the server`)
	s.exec(t, "ALTER ROLE "+role+" CREATEROLE")
	fails(t, p.Check(within(t), o.Target), "has CREATEROLE")
	s.exec(t, "ALTER ROLE "+role+" NOCREATEROLE")
	must(t, p.Grant(within(t), o))
	if s.version >= 16 {
		return // taking the option away would take away what was given with it
	}
	s.exec(t, "REVOKE ADMIN OPTION FOR "+role+" FROM bot")
	fails(t, p.Revoke(within(t), o), says...)
	s.expect(t, role, alice+" by bot")
}

// revokesAnyway: what may no longer be given is ended all the same.
func revokesAnyway(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, _ := s.order(t, p, false)
	must(t, p.Grant(within(t), o))
	s.exec(t, "ALTER ROLE bot SUPERUSER")
	err := p.Revoke(within(t), o)
	s.exec(t, "ALTER ROLE bot NOSUPERUSER")
	must(t, err)
	s.expect(t, role)
	must(t, p.Grant(within(t), o))
	s.exec(t, "GRANT pg_execute_server_program TO "+role)
	must(t, p.Revoke(within(t), o))
	s.expect(t, role)
}

// renamed: on the server where it was given the number counts.
func renamed(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, false)
	must(t, p.Grant(within(t), o))
	s.exec(t, "ALTER ROLE "+alice+" RENAME TO new_"+alice, "CREATE ROLE "+alice+" LOGIN")
	expectHas(t, p, o, access.Present)
	again := s.orderFor(t, p, o.Target, alice)
	expectHas(t, p, again, access.Absent)
	must(t, p.Grant(within(t), again))
	s.expect(t, role, alice+" by bot", "new_"+alice+" by bot")
	must(t, p.Revoke(within(t), o))
	s.expect(t, role, alice+" by bot")
	expectHas(t, p, o, access.Absent)
	fails(t, p.Grant(within(t), o), "was dropped, renamed or made anew")
	s.exec(t, "DROP ROLE new_"+alice)
	fails(t, p.Grant(within(t), o), "was dropped, renamed or made anew")
	must(t, p.Revoke(within(t), o))
	s.expect(t, role, alice+" by bot")
}

// moved: on another server, which has everything from a dump, the numbers are
// other people's.
func moved(t *testing.T, s *server) {
	s.exec(t, "GRANT pg_signal_backend TO bot")
	defer s.exec(t, "REVOKE pg_signal_backend FROM bot")
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, true)
	_, bob := s.names(t)
	other := s.orderFor(t, p, o.Target, bob)
	number, _, _ := strings.Cut(strings.TrimPrefix(other.Subject, bob), ".")
	o.Subject = alice + number + ".another" // alice had the number that is bob's here
	must(t, p.Grant(within(t), other))
	must(t, p.Grant(within(t), o))
	s.expect(t, role, alice+" by bot", bob+" by bot")
	bobs, alices := s.become(t, bob, role), s.become(t, alice, role)
	must(t, p.Revoke(within(t), o))
	s.expect(t, role, bob+" by bot")
	if !alive(t, bobs) || alive(t, alices) {
		t.Error("the session of the other has ended")
	}
	s.exec(t, "DROP ROLE "+alice)
	expectHas(t, p, o, access.Absent)
	must(t, p.Revoke(within(t), o))
	s.expect(t, role, bob+" by bot")
	if !alive(t, bobs) {
		t.Error("the session of the other has ended")
	}
}

// roleGone: a role or a member that is not there any more is revoked.
func roleGone(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, alice := s.order(t, p, true)
	s.exec(t, "GRANT pg_signal_backend TO bot")
	must(t, p.Grant(within(t), o))
	s.exec(t, "REVOKE pg_signal_backend FROM bot", "DROP ROLE "+role)
	expectHas(t, p, o, access.Absent)
	must(t, p.Revoke(within(t), o))
	fails(t, p.Grant(within(t), o), `there is no role "`+role+`"`, "create it")
	s.exec(t, "DROP ROLE "+alice)
	expectHas(t, p, o, access.Absent)
	must(t, p.Revoke(within(t), o))
}

// hijack: what others put before the system's own tables and functions is not used.
func hijack(t *testing.T, s *server) {
	p := provider(t, s.dsn("bot", botPassword))
	o, role, _ := s.order(t, p, false)
	s.exec(t, "CREATE SCHEMA evil", "GRANT USAGE ON SCHEMA evil TO PUBLIC",
		"CREATE VIEW evil.pg_auth_members AS SELECT * FROM pg_catalog.pg_auth_members WHERE false", "GRANT SELECT ON evil.pg_auth_members TO PUBLIC",
		"CREATE FUNCTION evil.pg_has_role(oid, oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT false'",
		"CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS 'SELECT NULL'",
		"ALTER ROLE bot SET search_path = evil, pg_catalog", "ALTER ROLE bot SET default_transaction_read_only = on")
	defer s.exec(t, "ALTER ROLE bot RESET ALL", "DROP SCHEMA evil CASCADE")
	must(t, p.Grant(within(t), o))
	expectHas(t, p, o, access.Present)
	must(t, p.Revoke(within(t), o))
	s.exec(t, "ALTER ROLE "+role+" CREATEROLE")
	fails(t, p.Grant(within(t), o), "has CREATEROLE")
}

// secrets: no error repeats anything of the connection string but its variable.
func secrets(t *testing.T, s *server) {
	_, port, _ := strings.Cut(s.address(), ":")
	hidden := []string{"hunter2", "wronguser", "wrongdb", "no-such-host", "127.0.0.1", port, botPassword}
	tests := []struct{ dsn, says string }{
		{"postgres://bot:hunter2@127.0.0.1:" + port + "/postgres?sslmode=disable", "refused the sign-in"},
		{"postgres://wronguser:hunter2@127.0.0.1:" + port + "/postgres?sslmode=disable", "refused the sign-in"},
		{"postgres://bot:" + botPassword + "@127.0.0.1:" + port + "/wrongdb?sslmode=disable", "no database"},
		{"postgres://bot:hunter2@no-such-host.invalid/wrongdb?sslmode=disable", "cannot be found"},
		{"postgres://bot:hunter2@127.0.0.1:1/wrongdb?sslmode=disable", "nothing listens"},
		{"host=/nonexistent/hunter2 user=wronguser", "nothing listens"},
		{"postgres://bot:hunter2@127.0.0.1:" + port + "/postgres?sslmode=require", "speaks no TLS"},
		{"postgres://wronguser:hun:ter2hunter2@127.0.0.1/?x=%zz", "does not hold a connection string"},
		{"hunter2", "does not hold a connection string"},
		{"postgres://bot:hunter2@db.example.com/app", "fall back to plain text"},
		{"postgres://bot:hunter2@db.example.com/app?sslmode=allow", "fall back to plain text"},
		{"postgres://bot:hunter2@127.0.0.1,db.example.com/app", "fall back to plain text"},
		{"", "DB is not set"},
		{" ", "DB is not set"},
	}
	for _, tt := range tests {
		p := provider(t, tt.dsn)
		_, subjectErr := p.Subject(within(t), target("r", false), access.Account{Email: "a@example.com"})
		_, hasErr := p.Has(within(t), target("r", false), "alice#1.a")
		o := order(target("r", false), "alice#1.a")
		for _, err := range []error{subjectErr, hasErr, p.Grant(within(t), o), p.Revoke(within(t), o)} {
			fails(t, err, tt.says, "DB", "postgres: ")
			for e := err; e != nil; e = errors.Unwrap(e) {
				for _, h := range hidden {
					if strings.Contains(e.Error(), h) {
						t.Errorf("the error of %q shows %q: %v", tt.dsn, h, e)
					}
				}
			}
			if errors.Is(err, access.ErrNoAccount) {
				t.Errorf("%v is taken for the lack of an account", err)
			}
		}
	}
}

// connections: no more than MaxConns for one variable, and none for long.
func connections(t *testing.T, s *server) {
	x := newProxy(t, s.address())
	p, err := postgres.New(postgres.Config{MaxConns: 1, Getenv: func(name string) string {
		if name == "HANGS" {
			return x.dsn()
		}
		return s.dsn("bot", botPassword)
	}})
	must(t, err)
	o, _, _ := s.order(t, p, false)
	hung := o
	hung.Target = target(o.Target.With["role"].(string), false)
	hung.Target.With["dsn_env"] = "HANGS"
	x.inject(t, bottest.Hangs)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := make(chan error, 1)
	go func() { first <- p.Grant(ctx, hung) }()
	for x.waiting() {
		time.Sleep(time.Millisecond)
	}
	short, cancel2 := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel2()
	err = p.Grant(short, hung) // would go well, if there were a place for it
	fails(t, err, "the other calls to the server of HANGS take too long")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is not the end of the context", err)
	}
	must(t, p.Grant(within(t), o)) // another variable, another queue: the first call hangs still
	cancel()
	fails(t, <-first, "did not answer in time")
	must(t, p.Grant(within(t), hung))
	idle := func() []string {
		return s.values(t, "SELECT pid::text FROM pg_stat_activity WHERE application_name = 'countersign' AND state = 'idle'")
	}
	for end := time.Now().Add(time.Minute); len(idle()) > 1; time.Sleep(20 * time.Millisecond) { // the server learns of a closed connection in its own time
		if time.Now().After(end) {
			t.Fatalf("connections stay open: %v", idle())
		}
	}
}
