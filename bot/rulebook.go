package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"countersign/bot/access"
)

// A Source is the branch on which people change the configuration. Commits are
// named by their full ids.
type Source interface {
	// Head is the newest commit.
	Head(ctx context.Context) (string, error)
	// Read returns the configuration as it stands in a commit.
	Read(ctx context.Context, commit string) ([]byte, error)
	// Since lists the commits after one ("" for all) up to another, newest
	// first, along first parents. It answers [ErrNotDescendant] if the history
	// does not lead there.
	Since(ctx context.Context, after, to string) ([]string, error)
	// Vet says why a commit must not count: the bot's own hand is in it.
	Vet(ctx context.Context, commit string) error
}

// ErrNotDescendant says that a commit does not build on the one in force.
var ErrNotDescendant = errors.New("the commit does not descend from the configuration in force")

// A Proposal is the pull request that brought a commit.
type Proposal struct {
	Number    int
	URL       string
	Proposer  string
	Merger    string
	Approvers []string
}

// A Rulebook follows the configuration: the last known good one is in force, a
// broken one never replaces it, and it never goes back. It is safe for
// concurrent use.
type Rulebook struct {
	source Source
	parse  func(data []byte, commit string) (*access.Rules, error)
	// origin finds the pull request of a commit; nil where no forge is known.
	origin func(ctx context.Context, commit string) (*Proposal, error)

	mu      sync.Mutex
	current *access.Rules
	refused string                   // the commit that was refused last, and told; it is tried again quietly
	old     map[string]*access.Rules // by commit; nil for what cannot be read
}

// RulebookConfig is what a [Rulebook] is made of. Origin may be nil.
type RulebookConfig struct {
	Source Source
	Parse  func(data []byte, commit string) (*access.Rules, error)
	Origin func(ctx context.Context, commit string) (*Proposal, error)
	// Used are the commits that are known to have been in force before; the
	// last is the newest. The configuration must descend from all of them.
	Used []string
	// Accept names a commit whose history may replace that of the ones used.
	Accept string
}

// A Change is what a look at the configuration brought.
type Change struct {
	Commit   string        // the commit that was looked at
	Old, New *access.Rules // New is nil if nothing changed
	Refused  error         // why the commit was not taken; told once
	Accepted bool          // a replaced history was accepted by the operator's word
}

// OpenRulebook loads the configuration at the head of its branch, or the newest
// good one before it. It fails where none is left that may be used.
func OpenRulebook(ctx context.Context, c RulebookConfig) (*Rulebook, Change, error) {
	if c.Source == nil || c.Parse == nil {
		return nil, Change{}, errors.New("bot: a rulebook needs a source and a parser")
	}
	b := &Rulebook{source: c.Source, parse: c.Parse, origin: c.Origin, old: map[string]*access.Rules{}}
	head, err := b.source.Head(ctx)
	if err != nil {
		return nil, Change{}, fmt.Errorf("look at the configuration: %w", err)
	}
	change := Change{Commit: head}
	if c.Accept != "" && len(c.Accept) >= 7 && strings.HasPrefix(head, c.Accept) {
		change.Accepted = true
		c.Used = nil
	}
	var last string
	for _, u := range c.Used {
		if u == "" {
			continue
		}
		last = u
		if _, err := b.source.Since(ctx, u, head); err != nil {
			return b.stay(ctx, u, change, err)
		}
	}
	if last != "" {
		change.Old = b.At(ctx, last)
	}
	if err := b.newest(ctx, last, &change); err != nil {
		return nil, change, err
	}
	if change.Old != nil && change.Old.Commit == b.current.Commit {
		change.New = nil
	}
	return b, change, nil
}

// newest takes the newest good configuration that is last or descends from it,
// and is not newer than a commit with the bot's own hand in it.
func (b *Rulebook) newest(ctx context.Context, last string, change *Change) error {
	commits, err := b.source.Since(ctx, last, change.Commit)
	if err != nil {
		return fmt.Errorf("look at the configuration: %w", err)
	}
	if last != "" {
		commits = append(commits, last)
	}
	for i, commit := range slices.Backward(commits) {
		if commit == last || change.Accepted {
			continue
		}
		if err := b.source.Vet(ctx, commit); err != nil {
			change.Refused = b.vetoed(err, change.Commit)
			commits = commits[i+1:]
			break
		}
	}
	for _, commit := range commits {
		// Where last came in by a merge, first parents lead past it.
		if _, err := b.source.Since(ctx, last, commit); err != nil {
			continue
		}
		rules, err := b.load(ctx, commit)
		if err == nil {
			b.current, change.New = rules, rules
			if change.Refused != nil {
				b.refused = change.Commit
			}
			return nil
		}
		if change.Refused == nil {
			change.Refused = err
		}
	}
	if change.Refused == nil {
		change.Refused = errors.New("there is none")
	}
	return fmt.Errorf("no configuration can be used: %w", change.Refused)
}

// vetoed says how to go on after a commit that people did not make.
func (b *Rulebook) vetoed(err error, head string) error {
	return fmt.Errorf("%w; look at what it changed, and start with --accept-config %s to accept it", err, head)
}

// stay keeps to the configuration that was used last where the branch does not
// build on it: going back, or another history, is for the operator to accept.
func (b *Rulebook) stay(ctx context.Context, used string, change Change, why error) (*Rulebook, Change, error) {
	if !errors.Is(why, ErrNotDescendant) {
		return nil, change, fmt.Errorf("look at the configuration: %w", why)
	}
	change.Refused = fmt.Errorf("%w (%s): to go back make a new commit on top; to accept a replaced history start with --accept-config %s", ErrNotDescendant, short(used), change.Commit)
	rules, err := b.load(ctx, used)
	if err != nil {
		return nil, change, change.Refused
	}
	b.current, b.refused = rules, change.Commit
	return b, change, nil
}

func (b *Rulebook) load(ctx context.Context, commit string) (*access.Rules, error) {
	data, err := b.source.Read(ctx, commit)
	if err != nil {
		return nil, err
	}
	return b.parse(data, commit)
}

// Current are the rules in force.
func (b *Rulebook) Current() *access.Rules {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.current
}

// At are the rules as they were at a commit; nil if they cannot be read.
func (b *Rulebook) At(ctx context.Context, commit string) *access.Rules {
	b.mu.Lock()
	if b.current != nil && b.current.Commit == commit {
		defer b.mu.Unlock()
		return b.current
	}
	rules, known := b.old[commit]
	b.mu.Unlock()
	if known || commit == "" {
		return rules
	}
	data, err := b.source.Read(ctx, commit)
	if err != nil {
		return nil // perhaps only for now
	}
	if rules, err = b.parse(data, commit); err != nil {
		rules = nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.old[commit] = rules
	return rules
}

// Poll looks at the branch and takes a new configuration. The error is one of
// looking; a commit that was looked at and refused is told in the change, once.
func (b *Rulebook) Poll(ctx context.Context) (Change, error) {
	head, err := b.source.Head(ctx)
	if err != nil {
		return Change{}, err
	}
	b.mu.Lock()
	now, refused := b.current, b.refused
	b.mu.Unlock()
	if head == now.Commit {
		return Change{Commit: head}, nil
	}
	c := Change{Commit: head, Old: now}
	commits, err := b.source.Since(ctx, now.Commit, head)
	if errors.Is(err, ErrNotDescendant) {
		c.Refused = fmt.Errorf("%w (%s): to go back make a new commit on top", ErrNotDescendant, short(now.Commit))
	} else if err != nil {
		return c, err
	}
	for _, commit := range commits {
		if err := b.source.Vet(ctx, commit); err != nil && c.Refused == nil {
			c.Refused = b.vetoed(err, head)
		}
	}
	var next *access.Rules
	if c.Refused == nil {
		next, c.Refused = b.load(ctx, head)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.Refused != nil {
		// Perhaps it only could not be read: then it is taken when it can be.
		if b.refused = head; refused == head {
			c.Refused = nil
		}
		return c, nil
	}
	b.old[now.Commit] = now
	b.current, b.refused, c.New = next, "", next
	return c, nil
}

// announcement is what the approval channel is told about a change.
func (b *Rulebook) announcement(ctx context.Context, c Change) string {
	switch {
	case c.Refused != nil:
		return fmt.Sprintf("Configuration `%s` was *refused*; `%s` stays in force.\n```%s```", short(c.Commit), short(b.Current().Commit), code(c.Refused.Error()))
	case c.Accepted:
		return fmt.Sprintf("The configuration's history was replaced, by the operator's word: `%s` is in force.", short(c.Commit))
	case c.New == nil || c.Old == nil:
		return ""
	}
	added, removed := access.Changed(c.Old, c.New)
	if len(added)+len(removed) == 0 {
		return ""
	}
	var who []string
	for _, e := range added {
		who = append(who, "+"+e)
	}
	for _, e := range removed {
		who = append(who, "−"+e)
	}
	return fmt.Sprintf("Reviewers: %s, by commit `%s`%s.", strings.Join(who, ", "), short(c.New.Commit), b.provenance(ctx, c.New.Commit))
}

// provenance tells by which pull request a commit came, where that can be asked.
func (b *Rulebook) provenance(ctx context.Context, commit string) string {
	if b.origin == nil {
		return ""
	}
	p, err := b.origin(ctx, commit)
	if err != nil {
		return " (its pull request could not be looked up)"
	}
	if p == nil {
		return " (without a pull request)"
	}
	approvers := "nobody"
	if len(p.Approvers) > 0 {
		approvers = strings.Join(p.Approvers, ", ")
	}
	return fmt.Sprintf(" (<%s|#%d>, proposed by %s, approved by %s, merged by %s)", p.URL, p.Number, p.Proposer, approvers, p.Merger)
}

// code makes a text harmless inside a code block.
func code(s string) string {
	s = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "`", "'").Replace(s)
	if r := []rune(s); len(r) > 1500 {
		s = string(r[:1500]) + "…"
	}
	return s
}

func short(commit string) string { return commit[:min(len(commit), 10)] }
