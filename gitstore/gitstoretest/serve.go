package gitstoretest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Fault is what happens to a request on its way.
type Fault string

// The faults: before the request has its effect, or after.
const (
	Fine         Fault = ""
	Fails        Fault = "fails"              // an error, no effect
	FailsApplied Fault = "fails, but applied" // the effect, and no answer
	Hangs        Fault = "hangs"              // no effect, and no answer until the caller gives up
	HangsApplied Fault = "hangs, but applied"
)

// Web serves the repositories of a directory by the real git http-backend.
type Web struct {
	URL   string // of the directory
	Token string // the password that is demanded; empty: none

	// Fault says what happens to a request for a service ("git-receive-pack",
	// "git-upload-pack"); act is false for the one that lists the refs. Nil means
	// Fine.
	Fault func(service string, act bool) Fault
	// Delay is how long each request takes at least.
	Delay time.Duration

	mu   sync.Mutex
	seen []string
}

// ServeHTTP serves the repositories below dir on loopback until the test ends.
func ServeHTTP(t testing.TB, dir string) *Web {
	t.Helper()
	exec, err := TryGit(".", "--exec-path")
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(exec, "git-http-backend"), Root: "/",
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=bot", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1"},
	}
	w := &Web{}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) { w.serve(backend, rw, req) }))
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections)
	w.URL = srv.URL
	return w
}

func (w *Web) serve(backend http.Handler, rw http.ResponseWriter, req *http.Request) {
	service, act := filepath.Base(req.URL.Path), req.Method == http.MethodPost
	if !act {
		service = req.URL.Query().Get("service")
	}
	w.mu.Lock()
	w.seen = append(w.seen, fmt.Sprintf("%s %s", req.Method, service))
	w.mu.Unlock()
	_, password, _ := req.BasicAuth()
	if w.Token != "" && password != w.Token {
		http.Error(rw, "who are you?", http.StatusUnauthorized)
		return
	}
	fault := Fine
	if w.Fault != nil {
		fault = w.Fault(service, act)
	}
	switch fault {
	case Fine:
		time.Sleep(w.Delay)
		backend.ServeHTTP(rw, req)
	case Fails:
		http.Error(rw, "out of order", http.StatusServiceUnavailable)
	case Hangs:
		_, _ = io.Copy(io.Discard, req.Body) // only then is it noticed that the caller is gone
		<-req.Context().Done()
	default:
		backend.ServeHTTP(httptest.NewRecorder(), req)
		if fault == HangsApplied {
			<-req.Context().Done()
		}
		panic(http.ErrAbortHandler) // the connection breaks
	}
}

// Requests returns what was asked for so far, such as "POST git-receive-pack".
func (w *Web) Requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.seen...)
}

// SSH is a real sshd on loopback.
type SSH struct {
	Addr       string // host:port
	User       string // who may come in
	KeyFile    string // the key with which
	KnownHosts string // a file that knows the host
}

// URL returns the address of a repository.
func (s *SSH) URL(dir string) string { return "ssh://" + s.User + "@" + s.Addr + dir }

// ServeSSH starts the real sshd until the test ends, as whoever runs the test.
// It skips the test where there is none.
func ServeSSH(t testing.TB) *SSH {
	t.Helper()
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		if sshd, err = exec.LookPath("/usr/sbin/sshd"); err != nil {
			t.Skip("there is no sshd (Debian: openssh-server)")
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if me.Uid == "0" { // where sshd gives up its rights; a bare machine has made none
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	s := &SSH{Addr: freeAddr(t), User: me.Username, KeyFile: filepath.Join(dir, "key"), KnownHosts: filepath.Join(dir, "known_hosts")}
	for _, name := range []string{"key", "host"} {
		run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name))
	}
	host, port, _ := net.SplitHostPort(s.Addr)
	public, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, s.KnownHosts, fmt.Sprintf("[%s]:%s %s", host, port, public))
	write(t, filepath.Join(dir, "sshd_config"), strings.Join([]string{
		"ListenAddress " + host, "Port " + port, "HostKey " + filepath.Join(dir, "host"),
		"AuthorizedKeysFile " + filepath.Join(dir, "key.pub"), "PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"UsePAM no", "StrictModes no", "PermitRootLogin prohibit-password", "PidFile none", "LogLevel ERROR", "",
	}, "\n"))
	cmd := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("sshd: %s", log.String())
		}
	})
	waitFor(t, s.Addr)
	return s
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// waitFor waits until somebody listens.
func waitFor(t testing.TB, addr string) {
	t.Helper()
	for range 1000 {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("nobody listens on %s", addr)
}
