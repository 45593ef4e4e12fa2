package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"countersign/bot/access"
	"countersign/bot/provider/postgres"
)

const (
	rootPassword = "r00t-s3cret"
	botPassword  = "b0t-s3cret"
)

// binaries are the directories with a server each: those in POSTGRES_BIN
// (several with colons between), else what Debian has installed, else the PATH.
func binaries() []string {
	if v := os.Getenv("POSTGRES_BIN"); v != "" {
		return filepath.SplitList(v)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		if path, err := exec.LookPath("initdb"); err == nil {
			found = []string{path}
		}
	}
	for i, path := range found {
		found[i] = filepath.Dir(path)
	}
	return found
}

// A server is a real one, with a superuser postgres and the bot's user bot.
type server struct {
	bin, dir string
	port     int
	version  int
	cluster  string // as it stands in subjects
	process  *exec.Cmd
	admin    *pgx.Conn // the superuser's, until the process ends
	serial   int       // makes names
}

// start makes a server and ends it with the test.
func start(t *testing.T, bin string) *server {
	t.Helper()
	room := openRoom(t)
	s := &server{bin: bin, dir: filepath.Join(room, "data")}
	password := filepath.Join(room, "password")
	if err := os.WriteFile(password, []byte(rootPassword), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if uid, gid, ok := servant(t); ok {
		if err := os.Chown(s.dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	init := s.command(t, "initdb", "-D", s.dir, "-U", "postgres", "--pwfile="+password, "--auth=scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C")
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.run(t)
	t.Cleanup(func() { s.stop(syscall.SIGQUIT) })
	number, err := strconv.Atoi(s.value(t, "SHOW server_version_num"))
	if err != nil {
		t.Fatal(err)
	}
	s.version = number / 10000
	id, err := strconv.ParseUint(s.value(t, "SELECT system_identifier::text FROM pg_control_system()"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	s.cluster = "." + strconv.FormatUint(id, 36)
	s.exec(t, "CREATE ROLE bot LOGIN PASSWORD '"+botPassword+"'")
	return s
}

// openRoom is a temporary directory that another user may enter.
func openRoom(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// servant is as whom a server runs, which refuses to be root's.
func servant(t *testing.T) (uid, gid int, needed bool) {
	t.Helper()
	if os.Getuid() != 0 {
		return 0, 0, false
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, err1 := strconv.Atoi(u.Uid)
			gid, err2 := strconv.Atoi(u.Gid)
			if err1 == nil && err2 == nil {
				return uid, gid, true
			}
		}
	}
	t.Skip("a server does not run as root, and there is nobody else")
	return 0, 0, false
}

func (s *server) command(t *testing.T, program string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, program), args...)
	c.Dir, c.Env = "/", []string{"PATH=/usr/bin:/bin", "TZ=UTC", "LC_ALL=C"}
	if uid, gid, ok := servant(t); ok {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	return c
}

// run starts the process, on the same port as before, if there was one.
func (s *server) run(t *testing.T) {
	t.Helper()
	if s.port == 0 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.port = l.Addr().(*net.TCPAddr).Port
		l.Close()
	}
	var log bytes.Buffer
	s.process = s.command(t, "postgres", "-D", s.dir, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "deadlock_timeout=200ms", "-c", "max_connections=40")
	s.process.Stdout, s.process.Stderr = &log, &log
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		c, err := pgx.Connect(context.Background(), s.dsn("postgres", rootPassword))
		if err == nil {
			s.admin = c
			return
		}
		if time.Since(began) > 30*time.Second {
			s.stop(syscall.SIGQUIT)
			t.Fatalf("the server does not start: %v\n%s", err, log.Bytes())
		}
	}
}

// stop ends the process: SIGINT cleanly, SIGQUIT as a crash.
func (s *server) stop(how syscall.Signal) {
	if s.process != nil {
		s.process.Process.Signal(how)
		s.process.Wait()
		s.process = nil
		if s.admin != nil {
			s.admin.Close(context.Background())
			s.admin = nil
		}
	}
}

func (s *server) address() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

func (s *server) dsn(name, password string) string { return dsn(name, password, s.address()) }

func dsn(name, password, address string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/postgres?sslmode=disable", name, password, address)
}

// as is a session of somebody's.
func (s *server) as(t *testing.T, name, password string) *pgx.Conn {
	t.Helper()
	c, err := pgx.ParseConfig(s.dsn("x", "x"))
	if err != nil {
		t.Fatal(err)
	}
	c.User, c.Password = name, password
	conn, err := pgx.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// exec runs statements as the superuser.
func (s *server) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := s.admin.Exec(context.Background(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func (s *server) value(t *testing.T, sql string, args ...any) string {
	t.Helper()
	return strings.Join(s.values(t, sql, args...), " ")
}

func (s *server) values(t *testing.T, sql string, args ...any) []string {
	t.Helper()
	rows, err := s.admin.Query(context.Background(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// holders are the members of a role as subjects, the bot left out.
func (s *server) holders(t *testing.T, role string) []string {
	t.Helper()
	got := s.values(t, `SELECT m.rolname || '#' || m.oid || $2 FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member JOIN pg_roles r ON r.oid = a.roleid
		WHERE r.rolname = $1 AND m.rolname <> 'bot'`, role, s.cluster)
	slices.Sort(got)
	return got
}

// grants are all memberships of a role, each as "member by grantor", the bot's
// own left out.
func (s *server) grants(t *testing.T, role string) []string {
	t.Helper()
	return s.values(t, `SELECT pg_get_userbyid(a.member) || ' by ' || pg_get_userbyid(a.grantor) FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid
		WHERE r.rolname = $1 AND pg_get_userbyid(a.member) <> 'bot' ORDER BY 1`, role)
}

// take ends a membership, by whosever grant.
func (s *server) take(t *testing.T, role, subject string) {
	t.Helper()
	member, _, _ := strings.Cut(subject, "#")
	for _, g := range s.grants(t, role) {
		name, by, _ := strings.Cut(g, " by ")
		if name != member {
			continue
		}
		sql := "REVOKE " + quote(role) + " FROM " + quote(member)
		if s.version >= 16 {
			sql += " GRANTED BY " + quote(by)
		}
		s.exec(t, sql)
	}
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// names makes roles that no other test uses: one that the bot may give, and one
// that can log in.
func (s *server) names(t *testing.T) (role, member string) {
	t.Helper()
	s.serial++
	role, member = fmt.Sprintf("payments_%d", s.serial), fmt.Sprintf("alice_%d", s.serial)
	s.exec(t, "CREATE ROLE "+role, "GRANT "+role+" TO bot WITH ADMIN OPTION", "CREATE ROLE "+member+" LOGIN PASSWORD 'x'")
	return role, member
}

func target(role string, terminate bool) access.Target {
	return access.Target{Provider: "postgres", With: map[string]any{"dsn_env": "DB", "role": role, "terminate": terminate}}
}

func order(t access.Target, subject string) access.Order {
	return access.Order{
		Request: "01JXYZ", Resource: "postgres/payments", Target: t, Subject: subject,
		Principal: access.Person{Email: "alice@example.com"}, Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

// env is an environment with one variable.
func env(dsn string) func(string) string {
	return func(name string) string {
		if name == "DB" {
			return dsn
		}
		return ""
	}
}

func provider(t *testing.T, dsn string) *postgres.Provider {
	t.Helper()
	p, err := postgres.New(postgres.Config{Getenv: env(dsn)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// order makes roles, and an order for them.
func (s *server) order(t *testing.T, p *postgres.Provider, terminate bool) (o access.Order, role, member string) {
	t.Helper()
	role, member = s.names(t)
	return s.orderFor(t, p, target(role, terminate), member), role, member
}

func (s *server) orderFor(t *testing.T, p *postgres.Provider, at access.Target, member string) access.Order {
	t.Helper()
	subject, err := p.Subject(within(t), at, access.Account{Email: "somebody@example.com", Postgres: member})
	if err != nil {
		t.Fatal(err)
	}
	return order(at, subject)
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
