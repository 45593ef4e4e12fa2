package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"countersign/bot/provider/github/githubtest"
)

// hookSecret is what the bot and the example receiver share.
const hookSecret = "whsec_c3RvcnkgcmVjZWl2ZXIgc2VjcmV0IQ=="

// A place is where a story's access is: a receiver of webhooks, a GitHub, a
// PostgreSQL server.
type places struct {
	github *githubtest.Hub
	wrong  complaints
	thief  complaints // what has come to somebody who should get nothing

	receiver *exec.Cmd
	hook     atomic.Pointer[url.URL] // nil while nothing receives

	postgres *exec.Cmd
	port     int
}

// complaints are what a fake had to say of the bot.
type complaints struct {
	mu  sync.Mutex
	all []string // guarded by mu
}

func (c *complaints) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, fmt.Sprintf(format, args...))
}

func (c *complaints) told() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

// serve answers as GitHub below /api/v3/ and /acme/, and as the receiver at /hook.
func (p *places) serve(mux *http.ServeMux, base, desired string) error {
	p.github = githubtest.New(p.wrong.add)
	p.github.URL = base
	mux.Handle("/api/v3/", p.github)
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(p.hook.Load()) }}
	mux.HandleFunc("/hook", func(w http.ResponseWriter, r *http.Request) {
		if p.hook.Load() == nil {
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, r)
	})
	p.serveThief(mux)
	return p.serveGit(mux, desired)
}

// exampleReceiver is the receiver that the documentation names, built once.
var exampleReceiver = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "receiver-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "receiver")
	out, err := exec.Command("go", "build", "-o", program, "countersign/bot/provider/webhook/testdata/receiver").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return program, nil
})

// receiver runs the example, or ends it: what it has noted stays.
func receiver(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	if args[0] == "down" {
		s.hook.Store(nil)
		return s.receiver.Process.Kill()
	}
	program, err := exampleReceiver()
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "127.0.0.1:0", s.path("receiver"))
	cmd.Env = []string{"RECEIVER_SECRET=" + hookSecret}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return err
	}
	s.receiver = cmd
	s.hook.Store(&url.URL{Scheme: "http", Host: strings.TrimSpace(strings.TrimPrefix(line, "listening on "))})
	go func() { _ = cmd.Wait() }()
	return nil
}

// githubHas says whether a login has a place in a team (org/slug) or repository.
func githubHas(s *story, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	var have []string
	s.github.Do(func() {
		for id, u := range s.github.Users {
			if t := s.github.Teams[args[0]]; t != nil && t.Members[id] != "" {
				have = append(have, u.Login+" "+t.Members[id])
			}
			if r := s.github.Repos[args[0]]; r != nil && r.Direct[id] != "" {
				have = append(have, u.Login+" "+r.Direct[id])
			}
		}
	})
	slices.Sort(have)
	if slices.Contains(have, args[1]) == s.neg {
		return fmt.Errorf("at %s are %q", args[0], have)
	}
	return nil
}

// githubAct is what people do at GitHub: join a team, leave it, accept its invitation,
// or make the token that the bot has (of whom, with the team named for nothing).
func githubAct(s *story, args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	err := errUsage
	s.github.Do(func() {
		t := s.github.Teams[args[1]]
		for id, u := range s.github.Users {
			switch {
			case t == nil || u.Login != args[2]:
				continue
			case args[0] == "join":
				t.Members[id] = "member"
			case args[0] == "leave":
				delete(t.Members, id)
			case args[0] == "token":
				s.github.Self = id
			case args[0] == "accept":
				t.Members[id] = strings.TrimPrefix(t.Members[id], "pending ")
				s.github.Members[id] = true
			}
			err = nil
		}
	})
	return err
}

// serverPrograms is where a PostgreSQL server's programs are; empty where there is
// none.
func serverPrograms() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	return ""
}

// asServant lets a command run as somebody other than root, whom a server refuses
// to be.
func asServant(cmd *exec.Cmd, dir string) error {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := osuser.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return os.Chown(dir, uid, gid)
}

// postgresServer starts a server of the story's own, with a bot that may give
// the role readers, or ends it, or lets its administrator do something by hand.
func postgresServer(s *story, args []string) error {
	if len(args) == 2 && args[0] == "sql" {
		for statement := range strings.SplitSeq(args[1], ";") {
			if _, err := s.sql(statement); err != nil {
				return err
			}
		}
		return nil
	}
	if len(args) != 1 {
		return errUsage
	}
	if args[0] == "down" {
		return s.postgresDown()
	}
	if s.port == 0 {
		if err := s.initdb(); err != nil {
			return err
		}
	}
	if err := s.postgresUp(); err != nil {
		return err
	}
	s.ts.Setenv("PG_DSN", fmt.Sprintf("postgres://bot:b0t-s3cret@127.0.0.1:%d/postgres?sslmode=disable", s.port))
	return nil
}

// dataRoom is where the server's files are: outside the story's directory, which
// another user may not enter.
func (w *world) dataRoom() string {
	return filepath.Join(os.TempDir(), "pg-"+filepath.Base(filepath.Dir(w.dir))+"-"+filepath.Base(w.dir))
}

func (w *world) initdb() error {
	port, err := freePort()
	if err != nil {
		return err
	}
	dir := w.dataRoom()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(serverPrograms(), "initdb"), "-D", dir, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
	if err := asServant(cmd, dir); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	// What a server runs in single-user mode needs no connection.
	cmd = exec.Command(filepath.Join(serverPrograms(), "postgres"), "--single", "-D", dir, "postgres")
	cmd.Stdin = strings.NewReader(`CREATE ROLE bot LOGIN PASSWORD 'b0t-s3cret'
CREATE ROLE alice LOGIN
CREATE ROLE readers
GRANT readers TO bot WITH ADMIN OPTION
GRANT EXECUTE ON FUNCTION pg_control_system() TO bot
`)
	if err := asServant(cmd, dir); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("ERROR")) {
		return fmt.Errorf("postgres --single: %w: %s", err, out)
	}
	w.port = port
	return nil
}

func (w *world) postgresUp() error {
	cmd := exec.Command(filepath.Join(serverPrograms(), "postgres"), "-D", w.dataRoom(), "-p", strconv.Itoa(w.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off")
	if err := asServant(cmd, w.dataRoom()); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	w.postgres = cmd
	var said error
	if !wait(func() bool { _, said = w.sql("SELECT 1"); return said == nil }) {
		return said
	}
	return nil
}

func (w *world) postgresDown() error {
	if w.postgres == nil {
		return errors.New("no server runs")
	}
	defer func() { w.postgres = nil }()
	if err := w.postgres.Process.Signal(syscall.SIGQUIT); err != nil {
		return err
	}
	_ = w.postgres.Wait() // it was told to
	return nil
}

// endPlaces ends what a story has left running.
func (w *world) endPlaces() {
	if w.receiver != nil {
		_ = w.receiver.Process.Kill()
	}
	if w.postgres != nil {
		_ = w.postgresDown()
	}
	if w.port != 0 {
		_ = os.RemoveAll(w.dataRoom())
	}
}

// isMember says whether a role of the server has another one.
func isMember(s *story, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	out, err := s.sql("SELECT count(*) FROM pg_auth_members WHERE pg_get_userbyid(member) = $1 AND pg_get_userbyid(roleid) = $2", args[0], args[1])
	if err != nil {
		return err
	}
	if (out == "1") == s.neg {
		return fmt.Errorf("%s has %s of %s", args[0], out, args[1])
	}
	return nil
}
