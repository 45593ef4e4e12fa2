package gitstore

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
)

// Identity is who makes a commit.
type Identity struct {
	Name  string // such as "Countersign"
	Email string // such as "countersign@example.com"
}

// check refuses identities that git could not write or would read as
// something else.
func (i Identity) check() error {
	for what, s := range map[string]string{"name": i.Name, "address": i.Email} {
		if s == "" || s != strings.TrimSpace(s) || !utf8.ValidString(s) || strings.ContainsAny(s, "<>") || strings.ContainsFunc(s, unicode.IsControl) {
			return fmt.Errorf("%w: %s %q of an identity", ErrInvalid, what, s)
		}
	}
	if strings.ContainsFunc(i.Email, unicode.IsSpace) {
		return fmt.Errorf("%w: address %q of an identity", ErrInvalid, i.Email)
	}
	return nil
}

// CommitInfo is what a commit says about itself.
type CommitInfo struct {
	ID        string   // 40 hexadecimal digits
	Parents   []string // none for a root commit
	Author    Identity
	Committer Identity
	AuthoredAt,
	CommittedAt time.Time // in the commit's own zone, to the second
	Message string // with its line break at the end

	// Signer is the fingerprint (SHA256:…) of the SSH key in the signature;
	// "" where there is no SSH signature.
	Signer string

	// SignatureValid reports whether the signature was made by the key that
	// Signer names over the bytes of this commit. Whether that key may sign
	// is another question: see AllowedSigners.
	SignatureValid bool
}

// Commit reads one commit by its id.
func (r *Repo) Commit(ctx context.Context, id string) (CommitInfo, error) {
	if err := ctx.Err(); err != nil {
		return CommitInfo{}, fmt.Errorf("read commit %s: %w", id, err)
	}
	c, err := r.readCommit(id)
	if err != nil {
		return CommitInfo{}, err
	}
	return c.info(), nil
}

// readCommit reads a commit by its 40 digits.
func (r *Repo) readCommit(id string) (*commit, error) {
	if !plumbing.IsHash(id) {
		return nil, fmt.Errorf("commit %q: %w", id, ErrNotFound)
	}
	c, err := r.loadCommit(plumbing.NewHash(id))
	if errors.Is(err, errNoObject) {
		return nil, fmt.Errorf("commit %s: %w", id, ErrNotFound)
	}
	return c, err
}

func (r *Repo) loadCommit(id plumbing.Hash) (*commit, error) {
	raw, err := r.objects.getKind(id, plumbing.CommitObject)
	if err != nil {
		return nil, err
	}
	return parseCommit(id, raw)
}

// commit is a parsed commit object. Raw keeps the bytes: a signature is
// checked over them, never over a commit encoded anew.
type commit struct {
	id        plumbing.Hash
	raw       []byte
	tree      plumbing.Hash
	parents   []plumbing.Hash
	author    stamp
	committer stamp
	sig       [2]int // where in raw the header with the signature begins and ends
	message   string
}

// signature returns the armored signature, nil if there is none, and what it
// is made over: raw without it.
func (c *commit) signature() (armored, payload []byte) {
	start, end := c.sig[0], c.sig[1]
	if end == 0 {
		return nil, nil
	}
	_, value, _ := bytes.Cut(c.raw[start:min(end, len(c.raw))], []byte(" "))
	value = bytes.TrimSuffix(value, []byte("\n"))
	armored = append(bytes.ReplaceAll(value, []byte("\n "), []byte("\n")), '\n')
	return armored, slices.Concat(c.raw[:start], c.raw[min(end, len(c.raw)):])
}

// stamp is an author or committer line.
type stamp struct {
	who  Identity
	when time.Time
}

// String writes a stamp as a commit has it, in UTC.
func (s stamp) String() string {
	return fmt.Sprintf("%s <%s> %d +0000", s.who.Name, s.who.Email, s.when.Unix())
}

// encode returns the bytes of a commit by its fields: first the part before
// the signature's place, then the rest.
func (c *commit) encode() (head, tail []byte) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", c.tree)
	for _, p := range c.parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	fmt.Fprintf(&b, "author %s\ncommitter %s\n", c.author, c.committer)
	return b.Bytes(), []byte("\n" + c.message)
}

// write signs a commit, adds it to w, and returns its id.
func (c *commit) write(w *packWriter, signer *Signer) (plumbing.Hash, error) {
	head, tail := c.encode()
	if signer != nil {
		armored, err := signer.Sign(append(head[:len(head):len(head)], tail...))
		if err != nil {
			return plumbing.ZeroHash, fmt.Errorf("sign commit: %w", err)
		}
		head = append(head, gpgsigHeader(armored)...)
	}
	return w.put(plumbing.CommitObject, append(head, tail...))
}

// gpgsigHeader folds an armored signature into a header of a commit.
func gpgsigHeader(armored []byte) []byte {
	folded := bytes.ReplaceAll(bytes.TrimRight(armored, "\n"), []byte("\n"), []byte("\n "))
	return append(append([]byte("gpgsig "), folded...), '\n')
}

// parseCommit reads a commit object. Headers that it does not know are left
// alone, as git does.
func parseCommit(id plumbing.Hash, raw []byte) (*commit, error) {
	c := &commit{id: id, raw: raw}
	head, message, ok := bytes.Cut(raw, []byte("\n\n"))
	if !ok {
		head = bytes.TrimSuffix(raw, []byte("\n"))
	}
	c.message = string(message)
	for pos := 0; pos < len(head); {
		end := headerEnd(head, pos)
		if err := c.header(head[pos:end], pos); err != nil {
			return nil, fmt.Errorf("%w: commit %s: %w", ErrCorrupt, id, err)
		}
		pos = end + 1
	}
	if c.tree.IsZero() || c.committer.who.Email == "" && c.committer.when.IsZero() {
		return nil, fmt.Errorf("%w: commit %s lacks a tree or a committer", ErrCorrupt, id)
	}
	return c, nil
}

// headerEnd returns where the header at pos ends: before the first line break
// that no continuation line follows.
func headerEnd(head []byte, pos int) int {
	for {
		n := bytes.IndexByte(head[pos:], '\n')
		if n < 0 {
			return len(head)
		}
		pos += n
		if pos+1 == len(head) || head[pos+1] != ' ' {
			return pos
		}
		pos++
	}
}

// header takes up one header, which begins at pos.
func (c *commit) header(line []byte, pos int) (err error) {
	key, value, _ := bytes.Cut(line, []byte(" "))
	switch string(key) {
	case "tree":
		c.tree, err = headerID(value)
	case "parent":
		var id plumbing.Hash
		id, err = headerID(value)
		c.parents = append(c.parents, id)
	case "author":
		c.author, err = parseStamp(value)
	case "committer":
		c.committer, err = parseStamp(value)
	case "gpgsig":
		c.sig = [2]int{pos, pos + len(line) + 1}
	}
	return err
}

func headerID(value []byte) (id plumbing.Hash, err error) {
	if len(value) != hex.EncodedLen(hashSize) {
		return id, fmt.Errorf("malformed id %q", value)
	}
	_, err = hex.Decode(id[:], value)
	return id, err
}

// parseStamp reads "Name <address> seconds zone".
func parseStamp(s []byte) (stamp, error) {
	open, end := bytes.IndexByte(s, '<'), bytes.LastIndexByte(s, '>')
	if open < 0 || end < open {
		return stamp{}, fmt.Errorf("malformed identity %q", s)
	}
	who := Identity{Name: string(bytes.TrimSpace(s[:open])), Email: string(s[open+1 : end])}
	secs, zone, _ := bytes.Cut(bytes.TrimSpace(s[end+1:]), []byte(" "))
	unix, err := strconv.ParseInt(string(secs), 10, 64)
	if err != nil {
		return stamp{}, fmt.Errorf("malformed time in %q", s)
	}
	return stamp{who, time.Unix(unix, 0).In(parseZone(string(zone)))}, nil
}

// parseZone reads "+0130"; what it cannot read is UTC.
func parseZone(zone string) *time.Location {
	if zone == "+0000" {
		return time.UTC
	}
	t, err := time.Parse("-0700", zone)
	if err != nil {
		return time.UTC
	}
	_, offset := t.Zone()
	if offset == 0 {
		return time.UTC
	}
	return time.FixedZone("", offset)
}

func (c *commit) info() CommitInfo {
	info := CommitInfo{
		ID:          c.id.String(),
		Author:      c.author.who,
		Committer:   c.committer.who,
		AuthoredAt:  c.author.when,
		CommittedAt: c.committer.when,
		Message:     c.message,
	}
	for _, p := range c.parents {
		info.Parents = append(info.Parents, p.String())
	}
	if key, valid := checkSignature(c.signature()); key != nil {
		info.Signer, info.SignatureValid = fingerprint(key), valid
	}
	return info
}

// cleanMessage refuses what git would cut or change, and ends the message
// with one line break.
func cleanMessage(m string) (string, error) {
	m = strings.TrimRight(m, "\n")
	if strings.TrimSpace(m) == "" || !utf8.ValidString(m) || strings.ContainsRune(m, 0) {
		return "", fmt.Errorf("%w: commit message is empty, not UTF-8 or contains NUL", ErrInvalid)
	}
	return m + "\n", nil
}
