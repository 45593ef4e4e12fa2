package gitstoretest

import (
	"errors"
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
	Throttles    Fault = "throttles" // no effect, and the word to come back after RetryAfter
)

// Web serves the repositories of a directory by the real git http-backend. Once it
// does, its fields change by Set: the port may have been another test's, whose
// clients still ask.
type Web struct {
	URL   string // of the directory
	Token string // the password that is demanded; empty: none

	// Fault says what happens to a request for a service ("git-receive-pack",
	// "git-upload-pack"); act is false for the one that lists the refs. Nil means
	// Fine.
	Fault func(service string, act bool) Fault
	// RetryAfter is what is said to those who are throttled; empty: nothing.
	RetryAfter string
	// Delay is how long each request takes at least.
	Delay time.Duration

	backend http.Handler
	mu      sync.Mutex
	seen    []string
}

// ServeHTTP serves the repositories below dir on loopback until the test ends.
func ServeHTTP(t testing.TB, dir string) *Web {
	t.Helper()
	w, stop, err := StartHTTP(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return w
}

// StartHTTP is ServeHTTP until stop is called.
func StartHTTP(dir string) (w *Web, stop func(), err error) {
	if w, err = NewWeb(dir); err != nil {
		return nil, nil, err
	}
	srv := httptest.NewServer(w)
	w.URL = srv.URL
	return w, func() { srv.CloseClientConnections(); srv.Close() }, nil
}

// NewWeb is a handler that serves the repositories below dir.
func NewWeb(dir string) (*Web, error) {
	exec, err := TryGit(".", "--exec-path")
	if err != nil {
		return nil, err
	}
	return &Web{backend: &cgi.Handler{
		Path: filepath.Join(exec, "git-http-backend"), Root: "/",
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=bot", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1"},
	}}, nil
}

// ServeHTTP implements [http.Handler].
func (w *Web) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	service, act := filepath.Base(req.URL.Path), req.Method == http.MethodPost
	if !act {
		service = req.URL.Query().Get("service")
	}
	w.mu.Lock()
	w.seen = append(w.seen, fmt.Sprintf("%s %s", req.Method, service))
	token, faultOf, after, delay := w.Token, w.Fault, w.RetryAfter, w.Delay
	w.mu.Unlock()
	_, password, _ := req.BasicAuth()
	if token != "" && password != token {
		http.Error(rw, "who are you?", http.StatusUnauthorized)
		return
	}
	fault := Fine
	if faultOf != nil {
		fault = faultOf(service, act)
	}
	switch fault {
	case Fine:
		time.Sleep(delay)
		w.backend.ServeHTTP(rw, req)
	case Fails:
		http.Error(rw, "out of order", http.StatusServiceUnavailable)
	case Throttles:
		if after != "" {
			rw.Header().Set("Retry-After", after)
		}
		http.Error(rw, "slow down", http.StatusTooManyRequests)
	case Hangs:
		_, _ = io.Copy(io.Discard, req.Body) // only then is it noticed that the caller is gone
		<-req.Context().Done()
	default:
		w.backend.ServeHTTP(httptest.NewRecorder(), req)
		if fault == HangsApplied {
			<-req.Context().Done()
		}
		panic(http.ErrAbortHandler) // the connection breaks
	}
}

// Set changes how requests are answered from now on.
func (w *Web) Set(change func(*Web)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
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
	if Sshd() == "" {
		t.Skip("there is no sshd (Debian: openssh-server)")
	}
	s, stop, err := StartSSH(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return s
}

// Sshd returns the path of sshd; empty where there is none.
func Sshd() string {
	for _, name := range []string{"sshd", "/usr/sbin/sshd"} {
		if path, err := exec.LookPath(name); err == nil {
			if path, err = filepath.Abs(path); err == nil {
				return path // it insists on being called by its whole path
			}
		}
	}
	return ""
}

// StartSSH is ServeSSH until stop is called, with its keys in dir.
func StartSSH(dir string) (s *SSH, stop func(), err error) {
	me, err := user.Current()
	if err != nil {
		return nil, nil, err
	}
	if me.Uid == "0" { // where sshd gives up its rights; a bare machine has made none
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, nil, err
		}
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, nil, err
	}
	s = &SSH{Addr: addr, User: me.Username, KeyFile: filepath.Join(dir, "ssh_key"), KnownHosts: filepath.Join(dir, "known_hosts")}
	conf, err := s.configure(dir)
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(Sshd(), "-D", "-e", "-f", conf)
	log := &lockedText{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if err := waitFor(s.Addr); err != nil {
		stop()
		return nil, nil, fmt.Errorf("sshd: %w: %s", err, log)
	}
	return s, stop, nil
}

// configure writes keys and configuration, and returns the file of the latter.
func (s *SSH) configure(dir string) (string, error) {
	hostKey := filepath.Join(dir, "ssh_host_key")
	for _, file := range []string{s.KeyFile, hostKey} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file).CombinedOutput(); err != nil {
			return "", fmt.Errorf("ssh-keygen: %w: %s", err, out)
		}
	}
	public, err := os.ReadFile(hostKey + ".pub")
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return "", err
	}
	conf := filepath.Join(dir, "sshd_config")
	return conf, errors.Join(
		os.WriteFile(s.KnownHosts, fmt.Appendf(nil, "[%s]:%s %s", host, port, public), 0o600),
		os.WriteFile(conf, []byte(strings.Join([]string{
			"ListenAddress " + host, "Port " + port, "HostKey " + hostKey, "AuthorizedKeysFile " + s.KeyFile + ".pub",
			"PasswordAuthentication no", "KbdInteractiveAuthentication no", "UsePAM no", "StrictModes no",
			"PermitRootLogin prohibit-password", "PidFile none", "LogLevel ERROR", "",
		}, "\n")), 0o600))
}

// lockedText is what a process says, while it still may.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// waitFor waits until somebody listens.
func waitFor(addr string) error {
	var err error
	for range 2000 {
		var c net.Conn
		if c, err = net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}
