package gitstore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// AllowedSigners says which keys may sign for which addresses, and when.
type AllowedSigners struct{ lines []allowedLine }

// allowedLine is one line of an allowed signers file.
type allowedLine struct {
	principals []string // patterns
	namespaces []string // patterns; nil allows all
	after      time.Time
	before     time.Time
	key        string // fingerprint
}

// ParseAllowedSigners reads a file in the format of OpenSSH's allowed signers
// (ssh-keygen(1)): principals, options, key. The options namespaces,
// valid-after and valid-before are understood. Times without a Z are UTC too,
// so that the answer is the same on every machine. Any other option, above all
// cert-authority, is refused, with the number of its line: a restriction that
// is not understood must not be ignored.
func ParseAllowedSigners(data []byte) (*AllowedSigners, error) {
	a := &AllowedSigners{}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		l, err := parseAllowedLine(text)
		if err != nil {
			return nil, fmt.Errorf("allowed signers, line %d: %w", number, err)
		}
		a.lines = append(a.lines, l)
	}
	return a, nil
}

func parseAllowedLine(text string) (l allowedLine, err error) {
	principals, rest, ok := cutPrincipals(text)
	if !ok {
		return l, errors.New("there is no key")
	}
	l.principals = strings.Split(principals, ",")
	key, _, options, more, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil || len(more) > 0 {
		return l, errors.New("the key cannot be read")
	}
	if _, isCert := key.(*ssh.Certificate); isCert {
		return l, errors.New("certificates are not supported")
	}
	l.key = fingerprint(key)
	for _, o := range options {
		if err := l.option(o); err != nil {
			return l, err
		}
	}
	return l, nil
}

// cutPrincipals splits the first word off, which may stand in quotes.
func cutPrincipals(text string) (principals, rest string, ok bool) {
	if quoted, found := strings.CutPrefix(text, `"`); found {
		principals, rest, ok = strings.Cut(quoted, `"`)
	} else if i := strings.IndexAny(text, " \t"); i > 0 {
		principals, rest, ok = text[:i], text[i:], true
	}
	rest = strings.TrimSpace(rest)
	return principals, rest, ok && principals != "" && rest != ""
}

func (l *allowedLine) option(o string) (err error) {
	name, value, _ := strings.Cut(o, "=")
	value = strings.Trim(value, `"`)
	switch strings.ToLower(name) {
	case "namespaces":
		l.namespaces = strings.Split(value, ",")
	case "valid-after":
		l.after, err = parseSignerTime(value)
	case "valid-before":
		l.before, err = parseSignerTime(value)
	default:
		err = fmt.Errorf("option %s is not supported", name)
	}
	return err
}

// parseSignerTime reads YYYYMMDD[HHMM[SS]][Z].
func parseSignerTime(s string) (time.Time, error) {
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if t, err := time.Parse(layout, strings.TrimSuffix(s, "Z")); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time like 20260131 or 202601311200Z", s)
}

// Check returns nil if the commit carries a good signature, made with a key
// that may sign for the committer's address at the commit's time. Otherwise
// the error says why not.
func (a *AllowedSigners) Check(c CommitInfo) error {
	switch {
	case c.Signer == "":
		return errors.New("it has no SSH signature")
	case !c.SignatureValid:
		return fmt.Errorf("its signature with the key %s is not good", c.Signer)
	}
	reason := fmt.Errorf("the key %s is not an allowed signer", c.Signer)
	for _, l := range a.lines {
		if l.key != c.Signer {
			continue
		}
		err := l.check(c.Committer.Email, c.CommittedAt)
		if err == nil {
			return nil
		}
		reason = fmt.Errorf("the key %s %w", c.Signer, err)
	}
	return reason
}

func (l *allowedLine) check(email string, at time.Time) error {
	switch {
	case !matchList(l.principals, email):
		return fmt.Errorf("may not sign for %s", email)
	case l.namespaces != nil && !matchList(l.namespaces, sigNamespace):
		return errors.New("may not sign commits")
	case !l.after.IsZero() && at.Before(l.after):
		return fmt.Errorf("may sign from %s on only", l.after.Format(time.RFC3339))
	case !l.before.IsZero() && at.After(l.before):
		return fmt.Errorf("could sign until %s only", l.before.Format(time.RFC3339))
	}
	return nil
}

// matchList reports whether a pattern of a list matches, and no negated one.
func matchList(patterns []string, s string) bool {
	matched := false
	for _, p := range patterns {
		p, negated := strings.CutPrefix(p, "!")
		if match(p, s) {
			if negated {
				return false
			}
			matched = true
		}
	}
	return matched
}

// match matches with * (any characters) and ? (one).
func match(pattern, s string) bool {
	for pattern != "" {
		switch {
		case pattern[0] == '*':
			for i := range len(s) + 1 {
				if match(pattern[1:], s[i:]) {
					return true
				}
			}
			return false
		case s == "" || pattern[0] != '?' && pattern[0] != s[0]:
			return false
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}
