package gitstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	signature []byte // armored; nil if there is none
	payload   []byte // raw without the signature
	message   string
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
	for _, h := range splitHeaders(head) {
		err := error(nil)
		switch h.key {
		case "tree":
			c.tree = plumbing.NewHash(h.value)
		case "parent":
			c.parents = append(c.parents, plumbing.NewHash(h.value))
		case "author":
			c.author, err = parseStamp(h.value)
		case "committer":
			c.committer, err = parseStamp(h.value)
		case "gpgsig":
			c.signature = []byte(h.value + "\n")
			c.payload = append(append([]byte(nil), raw[:h.start]...), raw[h.end:]...)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: commit %s: %w", ErrCorrupt, id, err)
		}
	}
	if c.tree.IsZero() || c.committer.who.Email == "" && c.committer.when.IsZero() {
		return nil, fmt.Errorf("%w: commit %s lacks a tree or a committer", ErrCorrupt, id)
	}
	return c, nil
}

// header is one header of a commit, its continuation lines unfolded.
type header struct {
	key, value string
	start, end int // in the bytes of the commit, with the line break
}

func splitHeaders(head []byte) []header {
	var headers []header
	pos := 0
	for line := range bytes.SplitSeq(head, []byte("\n")) {
		start := pos
		pos += len(line) + 1
		if len(line) > 0 && line[0] == ' ' && len(headers) > 0 {
			h := &headers[len(headers)-1]
			h.value += "\n" + string(line[1:])
			h.end = pos
			continue
		}
		key, value, _ := strings.Cut(string(line), " ")
		headers = append(headers, header{key, value, start, pos})
	}
	return headers
}

// parseStamp reads "Name <address> seconds zone".
func parseStamp(s string) (stamp, error) {
	open, end := strings.IndexByte(s, '<'), strings.LastIndexByte(s, '>')
	if open < 0 || end < open {
		return stamp{}, fmt.Errorf("malformed identity %q", s)
	}
	who := Identity{Name: strings.TrimSpace(s[:open]), Email: s[open+1 : end]}
	secs, zone, _ := strings.Cut(strings.TrimSpace(s[end+1:]), " ")
	unix, err := strconv.ParseInt(secs, 10, 64)
	if err != nil {
		return stamp{}, fmt.Errorf("malformed time in %q", s)
	}
	return stamp{who, time.Unix(unix, 0).In(parseZone(zone))}, nil
}

// parseZone reads "+0130"; what it cannot read is UTC.
func parseZone(zone string) *time.Location {
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
	if key, valid := checkSignature(c.signature, c.payload); key != nil {
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
