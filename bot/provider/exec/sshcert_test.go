package exec_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	osexec "os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/provider/exec"
)

// An authority is the example with an authority and Alice's key.
type authority struct {
	dir string // what the example is given
	key string // Alice's private key
	p   *exec.Provider
	at  access.Target
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	tmp := t.TempDir()
	a := authority{dir: filepath.Join(tmp, "sshcert"), key: filepath.Join(tmp, "alice"), p: provider(t, programs(t, "sshcert"))}
	if err := os.MkdirAll(filepath.Join(a.dir, "keys"), 0o755); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(tmp, "ca")
	for _, k := range []string{ca, a.key, filepath.Join(tmp, "host")} {
		keygen(t, "-q", "-t", "ed25519", "-N", "", "-f", k)
	}
	pub, err := os.ReadFile(a.key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(a.dir, "keys/alice@example.com.pub"), string(pub))
	a.at = target("sshcert", ca, a.dir)
	return a
}

func keygen(t *testing.T, args ...string) string {
	t.Helper()
	out, err := osexec.Command("ssh-keygen", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// order is an order of a request of its own.
func (a authority) order(request string, until time.Time) access.Order {
	o := order(a.at)
	o.Request, o.Expires = request, until
	return o
}

// fetch copies a certificate, as Alice does, and returns where it is.
func (a authority) fetch(t *testing.T, request string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(a.dir, "certs", request+"-cert.pub"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cert.pub")
	write(t, path, string(data))
	return path
}

func (a authority) revoked(t *testing.T, cert string) bool {
	t.Helper()
	out, err := osexec.Command("ssh-keygen", "-Q", "-f", filepath.Join(a.dir, "krl"), cert).CombinedOutput()
	if exit, ok := errors.AsType[*osexec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 1 || !bytes.Contains(out, []byte("REVOKED"))) {
		t.Fatalf("%v\n%s", err, out)
	}
	return err != nil
}

// TestCertificates: what ssh-keygen says of the example's certificates.
func TestCertificates(t *testing.T) {
	a := newAuthority(t)
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	o := a.order("01JAAA", until)
	for range 2 {
		if before, err := a.p.GrantObserving(t.Context(), o); err != nil || before != access.Absent {
			t.Fatal(before, err)
		}
	}
	first := a.fetch(t, "01JAAA")
	text := func(cert string) string {
		cmd := osexec.Command("ssh-keygen", "-L", "-f", cert)
		cmd.Env = append(os.Environ(), "TZ=UTC")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	for _, want := range []string{"user certificate", `Key ID: "01JAAA"`, "Principals: \n                alice@example.com\n", " to " + until.UTC().Format("2006-01-02T15:04:05") + "\n"} {
		if got := text(first); !strings.Contains(got, want) {
			t.Errorf("the certificate lacks %q:\n%s", want, got)
		}
	}
	o.Expires = until.Add(time.Hour)
	if err := a.p.Grant(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	second := a.fetch(t, "01JAAA")
	if got, want := text(second), " to "+o.Expires.UTC().Format("2006-01-02T15:04:05"); !strings.Contains(got, want) {
		t.Errorf("extended, but not%s:\n%s", want, got)
	}
	if err := a.p.Grant(t.Context(), a.order("01JBBB", until)); err != nil {
		t.Fatal(err)
	}
	other := a.fetch(t, "01JBBB")
	for range 2 {
		if err := a.p.Revoke(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if !a.revoked(t, first) || !a.revoked(t, second) || a.revoked(t, other) {
		t.Errorf("revoked: %t, extended %t, another request's %t", a.revoked(t, first), a.revoked(t, second), a.revoked(t, other))
	}
	if left, _ := filepath.Glob(filepath.Join(a.dir, "certs/*")); len(left) != 1 {
		t.Errorf("certificates that can be fetched: %q", left)
	}
}

// TestCertificateRefusals: no certificate comes from a wrong order.
func TestCertificateRefusals(t *testing.T) {
	a := newAuthority(t)
	in := time.Now().Add(time.Hour)
	ended := a.order("01JEND", in)
	if err := a.p.Revoke(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	stranger := a.order("01JAAA", in)
	stranger.Subject = "bob@example.com"
	climber := a.order("01JAAA", in)
	climber.Subject = "../keys/alice@example.com"
	for want, o := range map[string]access.Order{
		"has ended already": a.order("01JAAA", time.Now().Add(-time.Second)), "request 01JEND has ended": ended, "has no key here": stranger,
		"cannot be a file's name": climber, `request "../x"`: a.order("../x", in), `request "-x"`: a.order("-x", in), `request "a b"`: a.order("a b", in),
	} {
		if err := a.p.Grant(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(a.dir, "certs/*")); len(left) != 0 {
		t.Errorf("certificates: %q", left)
	}
}

// sshd starts a server that takes Alice's certificates, and her key itself if
// plain, and answers how to log in. It skips the test where none can run.
func sshd(t *testing.T, a authority, plain bool) func(cert string) error {
	t.Helper()
	path, err := osexec.LookPath("sshd")
	if err != nil {
		if path = "/usr/sbin/sshd"; osexec.Command(path, "-V").Run() != nil && !exists(path) {
			t.Skip("there is no sshd")
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	tmp := filepath.Dir(a.key)
	write(t, filepath.Join(tmp, "principals"), "alice@example.com\n")
	keys := "none"
	if plain {
		keys = a.key + ".pub"
	}
	config := filepath.Join(t.TempDir(), "sshd_config")
	write(t, config, fmt.Sprintf("ListenAddress 127.0.0.1\nPort %s\nHostKey %s/host\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"+
		"PasswordAuthentication no\nKbdInteractiveAuthentication no\nAuthorizedKeysFile %s\nTrustedUserCAKeys %s/ca.pub\nRevokedKeys %s/krl\n"+
		"AuthorizedPrincipalsFile %s/principals\nForceCommand echo in\n", port, tmp, keys, tmp, a.dir, tmp))
	var said bytes.Buffer
	cmd := osexec.Command(path, "-D", "-e", "-f", config)
	cmd.Stderr, cmd.WaitDelay = &said, time.Second
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() || t.Skipped() {
			t.Logf("sshd: %s", said.String())
		}
	})
	for range 1500 { // half a minute
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return func(cert string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		args := []string{"-F", "none", "-p", port, "-l", me.Username, "-i", a.key, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
			"-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"}
		if cert != "" {
			args = append(args, "-o", "CertificateFile="+cert)
		}
		out, err := osexec.CommandContext(ctx, "ssh", append(args, "127.0.0.1")...).CombinedOutput()
		if err == nil && string(out) != "in\n" {
			t.Errorf("logged in, and read %q", out)
		}
		if err != nil && !bytes.Contains(out, []byte("Permission denied")) {
			err = fmt.Errorf("%w: %s", err, out)
			t.Log(err)
		}
		return err
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestLogin: a real sshd lets Alice in while the access lasts, and not before,
// nor after its end, nor with a certificate that she kept.
func TestLogin(t *testing.T) {
	a := newAuthority(t)
	if err := a.p.Revoke(t.Context(), a.order("01JFIRST", time.Now())); err != nil { // makes the list of the revoked
		t.Fatal(err)
	}
	if err := sshd(t, a, true)(""); err != nil {
		t.Skip("the sshd of this machine lets nobody in, not even by a key: ", err)
	}
	login := sshd(t, a, false)
	if login("") == nil {
		t.Error("logged in before the grant")
	}
	o := a.order("01JAAA", time.Now().Add(time.Hour))
	if err := a.p.Grant(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	kept := a.fetch(t, "01JAAA")
	if err := login(kept); err != nil {
		t.Errorf("granted: %v", err)
	}
	if err := a.p.Revoke(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if login(kept) == nil {
		t.Error("logged in with a certificate that was revoked")
	}
	until := time.Now().Add(5 * time.Second)
	err := a.p.Grant(t.Context(), a.order("01JBBB", until))
	for range 4 { // too late already, on a busy machine
		if err != nil && time.Now().After(until.Add(-time.Second)) {
			until = time.Now().Add(15 * time.Second)
			err = a.p.Grant(t.Context(), a.order("01JBBB", until))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	short := a.fetch(t, "01JBBB")
	if err := login(short); err != nil && time.Now().Before(until.Add(-time.Second)) {
		t.Errorf("granted for a few seconds: %v", err)
	}
	time.Sleep(time.Until(until.Add(100 * time.Millisecond)))
	if login(short) == nil {
		t.Error("logged in after the end")
	}
}
