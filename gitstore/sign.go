package gitstore

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// sigNamespace is what git signs for; a signature made for anything else does
// not count.
const sigNamespace = "git"

// Signer signs commits with an SSH key, in the way that git verify-commit
// checks with gpg.format=ssh. It is safe for use by several goroutines.
type Signer struct{ key ssh.Signer }

// LoadOrCreateSigner reads an unencrypted ed25519 private key in OpenSSH's
// format from a file, or makes a new one there, readable by its owner only,
// and reports whether it did. A key that others can read is refused, as ssh
// does. A new key is on disk when LoadOrCreateSigner returns.
func LoadOrCreateSigner(path string) (s *Signer, created bool, err error) {
	s, err = loadSigner(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, false, err
	}
	err = createKey(path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, false, fmt.Errorf("create signing key: %w", err)
	}
	created = err == nil // else another process was faster
	s, err = loadSigner(path)
	return s, created && err == nil, err
}

// LoadSigner is [LoadOrCreateSigner] where no key may be made: that there is none is
// an error that matches fs.ErrNotExist.
func LoadSigner(path string) (*Signer, error) { return loadSigner(path) }

func loadSigner(path string) (*Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("read signing key: %s can be read by others (mode %04o; run: chmod 600 %s)", path, mode, path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	key, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("read signing key %s: %w", path, err)
	}
	if t := key.PublicKey().Type(); t != ssh.KeyAlgoED25519 {
		return nil, fmt.Errorf("read signing key %s: it is of type %s, not %s", path, t, ssh.KeyAlgoED25519)
	}
	return &Signer{key}, nil
}

// createKey writes a new key to path. It fails with fs.ErrExist rather than
// replace a key: the file is complete before it gets its name.
func createKey(path string) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(private, "countersign")
	if err != nil {
		return err
	}
	var d disk
	dir := filepath.Dir(path)
	if err := d.makeDirs(dir, 0o700); err != nil {
		return err
	}
	tmp, err := d.writeTemp(dir, ".signing-key-", 0o600, pem.EncodeToMemory(block))
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	if err := os.Link(tmp, path); err != nil {
		return err
	}
	return d.syncDir(dir)
}

// Sign returns an armored SSH signature of payload for the namespace "git".
func (s *Signer) Sign(payload []byte) ([]byte, error) {
	sig, err := sshsig.Sign(bytes.NewReader(payload), s.key, sshsig.HashSHA512, sigNamespace)
	if err != nil {
		return nil, err
	}
	return sshsig.Armor(sig), nil
}

// Fingerprint returns the key's fingerprint as ssh-keygen prints it: SHA256:….
func (s *Signer) Fingerprint() string { return fingerprint(s.key.PublicKey()) }

// AllowedSignersLine returns the line, without a line break, that lets the key
// sign for an address, in the format of OpenSSH's allowed signers file.
func (s *Signer) AllowedSignersLine(email string) string {
	key := bytes.TrimSpace(ssh.MarshalAuthorizedKey(s.key.PublicKey()))
	return fmt.Sprintf("%s namespaces=%q %s", email, sigNamespace, key)
}

func fingerprint(key ssh.PublicKey) string { return ssh.FingerprintSHA256(key) }

// checkSignature returns the key in an armored SSH signature, nil if it is
// none, and whether the signature over payload is good. A nil payload is never
// good.
func checkSignature(armored, payload []byte) (key ssh.PublicKey, valid bool) {
	if len(armored) == 0 {
		return nil, false
	}
	sig, err := sshsig.Unarmor(armored)
	if err != nil {
		return nil, false
	}
	if _, isCert := sig.PublicKey.(*ssh.Certificate); isCert || payload == nil {
		return sig.PublicKey, false
	}
	if sig.Signature.Format == ssh.KeyAlgoRSA {
		return sig.PublicKey, false // RSA with SHA-1, which OpenSSH refuses too
	}
	err = sshsig.Verify(bytes.NewReader(payload), sig, sig.PublicKey, sig.HashAlgorithm, sigNamespace)
	return sig.PublicKey, err == nil
}
