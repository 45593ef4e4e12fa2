package exec

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"countersign/bot/access"
)

// Config is what a [Provider] is made of.
type Config struct {
	// Dir is the directory of programs. Unset: exec is off, and every call says so.
	Dir string
	// Timeout bounds each call. Unset: 25 seconds.
	Timeout time.Duration
}

// ErrOff is the error of every call where no directory of programs is set.
var ErrOff = errors.New("exec: this bot runs no programs; start it with --exec-dir, or use another provider")

// A Provider gives access by running programs. It keeps no state, and is safe for
// concurrent use.
type Provider struct {
	dir     string // absolute; empty: off
	timeout time.Duration
}

// New returns a provider. It looks at no file: where the directory of programs
// is not there or may be changed by others, every call says so, and is right as
// soon as that is mended.
func New(c Config) (*Provider, error) {
	if c.Timeout <= 0 {
		c.Timeout = 25 * time.Second
	}
	if c.Dir == "" {
		return &Provider{timeout: c.Timeout}, nil
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("exec: %w", err)
	}
	return &Provider{dir, c.Timeout}, nil
}

// Ready says why the program of a target could not be run: exec is off, or there
// is no such program, or others may change it.
func (p *Provider) Ready(t access.Target) error {
	_, err := p.find(t)
	return err
}

// Subject is the address of the person.
func (p *Provider) Subject(_ context.Context, t access.Target, who access.Account) (string, error) {
	if _, err := p.find(t); err != nil {
		return "", err
	}
	if who.Email == "" {
		return "", fmt.Errorf("exec: the person has no address: %w", access.ErrNoAccount)
	}
	return who.Email, nil
}

// Has answers unknown: programs are never asked.
func (p *Provider) Has(_ context.Context, t access.Target, _ string) (access.Presence, error) {
	_, err := p.find(t)
	return access.Unknown, err
}

// Grant has the program give the access, or extend it.
func (p *Provider) Grant(ctx context.Context, o access.Order) error {
	_, err := p.GrantObserving(ctx, o)
	return err
}

// GrantObserving is Grant, and answers whether the access was there before this
// order was first given. What counts is the answer to the first order of a
// request, while no other grant of the same access is the bot's own: an extension
// finds what the grant made.
func (p *Provider) GrantObserving(ctx context.Context, o access.Order) (access.Presence, error) {
	a, err := p.order(ctx, "grant", o)
	switch {
	case err != nil:
		return access.Unknown, err
	case *a.PresentBefore:
		return access.Present, nil
	}
	return access.Absent, nil
}

// Revoke has the program end the access.
func (p *Provider) Revoke(ctx context.Context, o access.Order) error {
	_, err := p.order(ctx, "revoke", o)
	return err
}

// order runs the program once.
func (p *Provider) order(ctx context.Context, action string, o access.Order) (answer, error) {
	c, err := p.find(o.Target)
	if err != nil {
		return answer{}, err
	}
	input, err := message(action, o)
	if err != nil {
		return answer{}, err
	}
	if err := ctx.Err(); err != nil {
		return answer{}, fmt.Errorf("exec: %s: %w", action, err)
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	output, err := c.run(ctx, input)
	if err != nil {
		return answer{}, fmt.Errorf("exec: %s by %s: %w", action, c.name, err)
	}
	a, err := read(action, output)
	if err != nil {
		return answer{}, fmt.Errorf("exec: %s by %s: %w", action, c.name, err)
	}
	return a, nil
}

// A command is a program that may be run.
type command struct {
	name      string // as the target names it
	path, dir string // absolute, without symbolic links
	args      []string
}

// find takes a target for its command.
func (p *Provider) find(t access.Target) (command, error) {
	words, ok := wordsOf(t.With["command"])
	if !ok || len(words) == 0 {
		return command{}, errors.New("exec: the target's command is not a list of a program and its arguments")
	}
	for _, w := range words {
		if strings.ContainsRune(w, 0) {
			return command{}, errors.New("exec: the target's command contains a NUL")
		}
	}
	name := words[0]
	if !filepath.IsLocal(name) || filepath.Clean(name) != name || name == "." {
		return command{}, fmt.Errorf("exec: %q is no path below --exec-dir; write one such as grant.sh", name)
	}
	if p.dir == "" {
		return command{}, ErrOff
	}
	dir, err := programs(p.dir)
	if err != nil {
		return command{}, err
	}
	path, err := program(dir, name)
	if err != nil {
		return command{}, err
	}
	return command{name: fmt.Sprintf("%q", name), path: path, dir: dir, args: words[1:]}, nil
}

// wordsOf reads a list of words, as the configuration and the log have it.
func wordsOf(v any) ([]string, bool) {
	switch list := v.(type) {
	case []string:
		return list, true
	case []any:
		var words []string
		for _, x := range list {
			s, ok := x.(string)
			if !ok {
				return nil, false
			}
			words = append(words, s)
		}
		return words, true
	}
	return nil, false
}
