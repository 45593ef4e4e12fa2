package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// sshIdle is how long a connection may have been unused before it is not
// trusted any more: what lies between may have forgotten it without a word.
const sshIdle = time.Minute

// sshHost reaches a repository over ssh. The connection is kept, and each
// session is a channel of it: a new connection costs about ten round trips.
type sshHost struct {
	address address
	config  Config

	mu     sync.Mutex
	client *ssh.Client // guarded by mu
	last   time.Time   // guarded by mu: when it was last used
}

func (h *sshHost) dial(ctx context.Context, service string) (line, error) {
	for first := true; ; first = false {
		client, fresh, err := h.connect(ctx)
		if err != nil {
			return nil, err
		}
		s, err := h.start(ctx, client, service)
		if err == nil {
			return s, nil
		}
		h.forget(client)
		if fresh || !first || ctx.Err() != nil {
			return nil, err
		}
	}
}

// start begins a session on a connection.
func (h *sshHost) start(ctx context.Context, client *ssh.Client, service string) (line, error) {
	stop := context.AfterFunc(ctx, func() { h.forget(client) })
	defer stop()
	session, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	s := &stream{errors: &tail{}, end: func() { _ = session.Close() }}
	session.Stderr = s.errors
	if s.in, err = session.StdinPipe(); err == nil {
		s.out, err = session.StdoutPipe()
	}
	if err == nil {
		err = session.Start(service + " " + quote(h.path()))
	}
	if err != nil {
		_ = session.Close()
		return nil, err
	}
	s.lost = func() { h.forget(client) } // the connection may be dead
	return s, nil
}

// path is the repository's path on the host; "/~" leads to a home there.
func (h *sshHost) path() string {
	if rest, ok := strings.CutPrefix(h.address.path, "/~"); ok {
		return "~" + rest
	}
	return h.address.path
}

// quote makes one word of the remote's shell, as git does.
func quote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

// connect returns the connection, making one if need be.
func (h *sshHost) connect(ctx context.Context) (client *ssh.Client, fresh bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.client != nil && time.Since(h.last) < sshIdle {
		h.last = time.Now()
		return h.client, false, nil
	}
	if h.client != nil {
		_ = h.client.Close()
		h.client = nil
	}
	conf, err := h.clientConfig()
	if err != nil {
		return nil, true, err
	}
	addr := h.address.dial("22")
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, true, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // the handshake knows no ctx
	defer stop()
	c, chans, reqs, err := ssh.NewClientConn(conn, addr, conf)
	if err != nil {
		_ = conn.Close()
		return nil, true, h.explain(err)
	}
	h.client, h.last = ssh.NewClient(c, chans, reqs), time.Now()
	return h.client, true, nil
}

// forget closes a connection that is not to be used again.
func (h *sshHost) forget(client *ssh.Client) {
	_ = client.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.client == client {
		h.client = nil
	}
}

// drop closes the connection.
func (h *sshHost) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.client != nil {
		_ = h.client.Close()
		h.client = nil
	}
}

// clientConfig reads the key and the known hosts anew each time: both may be
// replaced while we run.
func (h *sshHost) clientConfig() (*ssh.ClientConfig, error) {
	if h.config.KeyFile == "" {
		return nil, errors.New("there is no key for ssh: set COUNTERSIGN_SSH_KEY_FILE")
	}
	pem, err := os.ReadFile(h.config.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("COUNTERSIGN_SSH_KEY_FILE: %w", err)
	}
	key, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return nil, fmt.Errorf("COUNTERSIGN_SSH_KEY_FILE: %s: %w", h.config.KeyFile, err)
	}
	hosts, err := knownhosts.NewDB(h.knownHosts()...)
	if err != nil {
		return nil, fmt.Errorf("known hosts: %w", err)
	}
	user := h.address.user
	if user == "" {
		user = "git"
	}
	return &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback:   hosts.HostKeyCallback(),
		HostKeyAlgorithms: hosts.HostKeyAlgorithms(h.address.dial("22")),
	}, nil
}

// knownHosts are the files that exist; those that the operator names must.
func (h *sshHost) knownHosts() []string {
	if len(h.config.KnownHosts) > 0 {
		return h.config.KnownHosts
	}
	var files []string
	home, err := os.UserHomeDir()
	if err == nil {
		files = append(files, filepath.Join(home, ".ssh", "known_hosts"))
	}
	files = append(files, "/etc/ssh/ssh_known_hosts")
	var found []string
	for _, f := range files {
		if _, err := os.Stat(f); err == nil {
			found = append(found, f)
		}
	}
	return found
}

func (h *sshHost) explain(err error) error {
	switch {
	case knownhosts.IsHostKeyChanged(err):
		return fmt.Errorf("the host shows another key than known_hosts has for it: somebody may stand in between; where the key was replaced on purpose, change it there (%w)", err)
	case knownhosts.IsHostUnknown(err):
		return fmt.Errorf("the host is not in known_hosts: compare its key with what its operator publishes, add it with ssh-keyscan, and name the file in SSH_KNOWN_HOSTS (%w)", err)
	}
	return err
}
