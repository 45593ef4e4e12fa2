// Sshcert gives access to machines by OpenSSH certificates that are valid until
// the access ends:
//
//	provider: exec
//	with: {command: [sshcert, /etc/countersign/ca, /var/lib/sshcert]}
//
// It signs DIR/keys/<address>.pub, the person's key, with the authority's private
// key and leaves DIR/certs/<request>-cert.pub, which the person fetches. Machines
// need the authority's public key, the list of certificates that were taken back,
// and whom an account lets in:
//
//	TrustedUserCAKeys /etc/ssh/ca.pub
//	RevokedKeys /etc/ssh/krl                      # DIR/krl; it must be there
//	AuthorizedPrincipalsFile /etc/ssh/principals  # a line an address
//
// A certificate ends by itself, so that a machine that did not hear of a
// revocation lets nobody in for longer than was approved.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

type order struct {
	Action, Request, Principal, Resource string
	ExpiresAt                            time.Time `json:"expires_at"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: sshcert CA DIR")
	}
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		log.Fatal("no order on the standard input: ", err)
	}
	answer, err := carryOut(os.Args[1], os.Args[2], o)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer)
}

// carryOut does what is ordered. A certificate is of one request, so that nothing
// is ever there before its grant.
func carryOut(ca, dir string, o order) (string, error) {
	name := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]*$`)
	if !name.MatchString(o.Request) || !name.MatchString(o.Principal) {
		return "", fmt.Errorf("the request %q or the address %q cannot be a file's name", o.Request, o.Principal)
	}
	for _, d := range []string{"certs", "ended"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return "", err
		}
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dir, "krl")); err != nil {
		if err := keygen("-k", "-f", filepath.Join(dir, "krl")); err != nil {
			return "", err
		}
	}
	ended, err := os.ReadFile(filepath.Join(dir, "ended", o.Request))
	switch {
	case o.Action == "grant" && err == nil:
		return "", fmt.Errorf("the request %s has ended", o.Request)
	case o.Action == "grant":
		return `{"changed":true,"present_before":false}`, sign(ca, dir, o)
	case o.Action == "revoke" && err == nil:
		return string(ended), nil // as it was answered at first
	case o.Action == "revoke":
		return revoke(ca, dir, o.Request)
	}
	return "", fmt.Errorf("the action %q is unknown", o.Action)
}

// sign makes the certificate. A minute in the past is for clocks that are late.
func sign(ca, dir string, o order) error {
	if time.Now().After(o.ExpiresAt) {
		return fmt.Errorf("the access has ended already, at %s", o.ExpiresAt)
	}
	key, err := os.ReadFile(filepath.Join(dir, "keys", o.Principal+".pub"))
	if err != nil {
		return fmt.Errorf("%s has no key here: %w", o.Principal, err)
	}
	tmp, err := os.MkdirTemp(dir, "tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.WriteFile(filepath.Join(tmp, "key.pub"), key, 0o600); err != nil {
		return err
	}
	validity := "-1m:" + o.ExpiresAt.UTC().Format("20060102150405")
	if err := keygen("-q", "-s", ca, "-I", o.Request, "-n", o.Principal, "-V", validity, filepath.Join(tmp, "key.pub")); err != nil {
		return err
	}
	return os.Rename(filepath.Join(tmp, "key-cert.pub"), certificate(dir, o.Request))
}

// revoke takes back every certificate of a request: it was fetched long ago.
func revoke(ca, dir, request string) (string, error) {
	_, err := os.Stat(certificate(dir, request))
	answer := fmt.Sprintf(`{"changed":true,"present_before":%t}`, err == nil)
	krl, err := os.ReadFile(filepath.Join(dir, "krl"))
	if err != nil {
		return "", err
	}
	next, spec := filepath.Join(dir, "krl.new"), filepath.Join(dir, "krl.spec")
	if err := os.WriteFile(next, krl, 0o644); err != nil {
		return "", err
	}
	if err := os.WriteFile(spec, []byte("id: "+request+"\n"), 0o600); err != nil {
		return "", err
	}
	if err := keygen("-k", "-u", "-f", next, "-s", ca+".pub", spec); err != nil {
		return "", err
	}
	if err := os.Rename(next, filepath.Join(dir, "krl")); err != nil {
		return "", err
	}
	if err := os.RemoveAll(certificate(dir, request)); err != nil {
		return "", err
	}
	return answer, os.WriteFile(filepath.Join(dir, "ended", request), []byte(answer), 0o644)
}

func certificate(dir, request string) string {
	return filepath.Join(dir, "certs", request+"-cert.pub")
}

// keygen runs ssh-keygen, which reads times in the zone of the machine.
func keygen(args ...string) error {
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ssh-keygen: %w: %s", err, out)
	}
	return nil
}
