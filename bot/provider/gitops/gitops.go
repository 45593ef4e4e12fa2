// Package gitops gives access by an entry in a YAML file of a repository, which
// some other tool applies: the list at a key of that file holds the addresses or
// GitHub logins of those who have the access.
//
// A target's `with` has repo, branch (main unless set), file, key (dots for
// levels; a level with a dot of its own in double quotes, such as
// hosts."db.example.com".admins) and value, which is email or github and says what
// the entries are. With
// via: pull_request nothing is pushed to the branch: the change is proposed, and
// Grant and Revoke answer [access.Awaiting] until the branch has it. That is for
// branches that are protected.
//
// The file is people's own: it is edited as text, so that comments, order,
// indentation and line ends of everything else stay as they are, byte for byte.
// The result is read again before it is written, and where anything but the one
// entry differs, or the file cannot be edited safely, nothing is changed and the
// error says why. An entry is compared without regard to case, as addresses and
// logins are.
//
// Every change is one commit, whose message names the resource, the address and
// the request, and carries no text that people wrote.
package gitops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"
	"countersign/bot/yamledit"
)

// An Editor reads and changes files of repositories. It decides which ones may
// be changed at all, and refuses the bot's own: a target that edits the
// configuration or the log would take over the bot.
//
// It is safe for concurrent use and keeps the deadline of ctx.
type Editor interface {
	// Edit changes one file of a branch in one commit, by compare-and-swap: it
	// calls change with the bytes of the file (nil if there is none), again each
	// time that somebody else moved the branch meanwhile. An error of change
	// ends the edit and is returned, possibly wrapped. Where change answers the
	// bytes that it was given, nothing is committed. After nil the commit is
	// durable; after an error it may exist. The error wraps [ErrRefused] where the
	// branch takes no push.
	Edit(ctx context.Context, repo, branch, path, message string, change func(old []byte) ([]byte, error)) (commit string, err error)
	// Read answers the bytes of a file; nil and no error where it does not exist.
	Read(ctx context.Context, repo, branch, path string) ([]byte, error)
}

// ErrRefused says that a branch takes no push of the bot's: it is protected, or a hook
// has refused what was pushed. Nothing was written.
var ErrRefused = errors.New("the push was refused")

// Config is what a [Provider] is made of.
type Config struct {
	Editor Editor // required
	// Drafts and Forge are for via: pull_request; without them there is none. Forge
	// answers an error where a repository has no pull requests that it could open.
	Drafts Drafts
	Forge  func(repo string) (Forge, error)
}

// A Provider gives access by entries in YAML files. It keeps no state, and is
// safe for concurrent use.
type Provider struct {
	editor Editor
	drafts Drafts
	forge  func(repo string) (Forge, error)
}

// New returns a provider.
func New(c Config) (*Provider, error) {
	if c.Editor == nil {
		return nil, errors.New("gitops: no editor")
	}
	return &Provider{c.Editor, c.Drafts, c.Forge}, nil
}

// Ready says why access could not be given here; nil if it might be.
func (p *Provider) Ready(t access.Target) error {
	at, err := placeOf(t)
	if err != nil || !at.propose {
		return err
	}
	if _, err := p.pullsOf(at); err != nil {
		return fmt.Errorf("gitops: via: pull_request: %w", err)
	}
	return nil
}

// Subject is the entry that stands for the person: an address or a GitHub login.
func (p *Provider) Subject(_ context.Context, t access.Target, who access.Account) (string, error) {
	at, err := placeOf(t)
	if err != nil {
		return "", err
	}
	subject, missing := who.Email, "the person has no address"
	if at.value == "github" {
		subject, missing = who.GitHub, fmt.Sprintf("the configuration has no people.github for %s", who.Email)
	}
	if subject == "" {
		return "", fmt.Errorf("gitops: %s: %w", missing, access.ErrNoAccount)
	}
	if err := checkEntry(subject); err != nil {
		return "", err
	}
	return subject, nil
}

// Has looks for the entry.
func (p *Provider) Has(ctx context.Context, t access.Target, subject string) (access.Presence, error) {
	at, err := placeOf(t)
	if err != nil {
		return access.Unknown, err
	}
	data, err := p.editor.Read(ctx, at.repo, at.branch, at.file)
	if err != nil {
		return access.Unknown, fmt.Errorf("gitops: read %s: %w", at.file, err)
	}
	there, err := yamledit.Has(data, at.key, subject)
	switch {
	case err != nil:
		return access.Unknown, fmt.Errorf("gitops: %s: %w", at.file, err)
	case there:
		return access.Present, nil
	}
	return access.Absent, nil
}

// Holders are the entries of the list, whoever wrote them.
func (p *Provider) Holders(ctx context.Context, t access.Target) ([]string, error) {
	at, err := placeOf(t)
	if err != nil {
		return nil, err
	}
	data, err := p.editor.Read(ctx, at.repo, at.branch, at.file)
	if err != nil {
		return nil, fmt.Errorf("gitops: read %s: %w", at.file, err)
	}
	all, err := yamledit.List(data, at.key)
	if err != nil {
		return nil, fmt.Errorf("gitops: %s: %w", at.file, err)
	}
	return all, nil
}

// Covers reports whether two targets are the same list, however it is changed.
func (p *Provider) Covers(t, other access.Target) bool {
	a, err := placeOf(t)
	b, err2 := placeOf(other)
	return err == nil && err2 == nil && a.repo == b.repo && a.branch == b.branch && a.file == b.file && slices.Equal(a.key, b.key)
}

// Grant adds the entry at the end of the list, and makes the list, the levels
// above it and the file where they are missing.
func (p *Provider) Grant(ctx context.Context, o access.Order) error {
	return p.bring(ctx, o, change{verb: "grant", opposite: "revoke", preposition: "to", there: true, edit: yamledit.Add})
}

// Revoke removes the entry. An empty list stays behind, since other tools may
// not take a missing one for empty.
func (p *Provider) Revoke(ctx context.Context, o access.Order) error {
	return p.bring(ctx, o, change{verb: "revoke", opposite: "grant", preposition: "from", edit: yamledit.Remove})
}

// A change is one of the two things that are done to an entry.
type change struct {
	verb, preposition string
	opposite          string // the verb of the other one
	there             bool   // whether the entry is there in the end
	edit              func(data []byte, key []string, entry string) ([]byte, error)
}

// bring brings a change about.
func (p *Provider) bring(ctx context.Context, o access.Order, c change) error {
	at, err := placeOf(o.Target)
	if err != nil {
		return err
	}
	if err := checkEntry(o.Subject); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("gitops: %s: %w", c.verb, err)
	}
	do := p.push
	if at.propose {
		do = p.propose
	}
	if err := do(ctx, at, o, c); err != nil {
		return fmt.Errorf("gitops: %s in %s of branch %s: %w", c.verb, at.file, at.branch, err)
	}
	return nil
}

// push brings a change about by a push. The target of an access is pinned, and the
// branch may be protected only since it was given: then its end is proposed.
func (p *Provider) push(ctx context.Context, at place, o access.Order, c change) error {
	_, err := p.editor.Edit(ctx, at.repo, at.branch, at.file, message(o, c), func(old []byte) ([]byte, error) {
		return c.edit(old, at.key, o.Subject)
	})
	if !errors.Is(err, ErrRefused) {
		return err
	}
	if _, none := p.pullsOf(at); none == nil && !c.there {
		return p.propose(ctx, at, o, c)
	}
	return fmt.Errorf("%w: where the branch is protected, add via: pull_request", err)
}

// message is the message of the commit. Its trailers are for programs.
func message(o access.Order, c change) string {
	who := principal(o)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s %s (request %s)\n\n", c.verb, line(o.Resource), c.preposition, line(who), line(o.Request))
	fmt.Fprintf(&b, "Request-Id: %s\nResource: %s\nPrincipal: %s\n", line(o.Request), line(o.Resource), line(who))
	if c.there && !o.Expires.IsZero() {
		fmt.Fprintf(&b, "Expires: %s\n", o.Expires.UTC().Format(time.RFC3339))
	}
	return b.String()
}

// principal is who an order is about, by their address where it is known.
func principal(o access.Order) string {
	if o.Principal.Email != "" {
		return o.Principal.Email
	}
	return o.Subject
}

// line keeps a value within its line, whatever it contains.
func line(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
}

// A place is a list in a file of a repository.
type place struct {
	repo, branch, file string
	key                []string
	written            string // the key as the target has it
	value              string // email or github
	propose            bool   // by a pull request
}

func placeOf(t access.Target) (place, error) {
	get := func(key string) string {
		s, _ := t.With[key].(string)
		return s
	}
	p := place{repo: get("repo"), branch: get("branch"), file: get("file"), written: get("key"), value: get("value")}
	if p.branch == "" {
		p.branch = "main"
	}
	for _, key := range []string{"repo", "file", "key", "value"} {
		if get(key) == "" {
			return p, fmt.Errorf("gitops: the target has no %s", key)
		}
	}
	var ok bool
	if p.key, ok = levels(p.written); !ok {
		return p, fmt.Errorf("gitops: the target's key %q has an empty level, or a quote that does not end at one", p.written)
	}
	if p.value != "email" && p.value != "github" {
		return p, fmt.Errorf("gitops: the target's value is %q, not email or github", p.value)
	}
	if via := get("via"); via != "" {
		if p.propose = via == "pull_request"; !p.propose {
			return p, fmt.Errorf("gitops: the target's via is %q, not pull_request", via)
		}
	}
	return p, nil
}

// levels takes a key apart.
func levels(key string) (all []string, ok bool) {
	for {
		level, rest, more := "", "", false
		if quoted, is := strings.CutPrefix(key, `"`); is {
			level, rest, ok = strings.Cut(quoted, `"`)
			more = strings.HasPrefix(rest, ".")
			if !ok || rest != "" && !more {
				return nil, false
			}
			rest = strings.TrimPrefix(rest, ".")
		} else {
			level, rest, more = strings.Cut(key, ".")
		}
		if level == "" {
			return nil, false
		}
		if all = append(all, level); !more {
			return all, true
		}
		key = rest
	}
}

// checkEntry refuses what is neither an address nor a login: such a thing could
// be more to YAML than a word.
func checkEntry(s string) error {
	if s == "" || len(s) > 300 || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return fmt.Errorf("gitops: %q cannot be an entry", s)
	}
	return nil
}
