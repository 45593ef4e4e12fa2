package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"countersign/bot/access"
	"countersign/bot/index"
	"countersign/bot/ledger"
	"countersign/bot/web"
	"countersign/gitstore"
)

// A library is what the dashboard reads: the log and the rules, today's and
// former ones.
type library struct {
	ledger  *ledger.Ledger
	index   *index.Index
	repo    *gitstore.Repo // of the log
	rules   func() *access.Rules
	rulesAt func(ctx context.Context, commit string) *access.Rules
	signers func(ctx context.Context) (*gitstore.AllowedSigners, error)
	members func(ctx context.Context, g access.Group) ([]access.Person, error) // nil: nobody can be asked

	mu      sync.Mutex
	known   map[string]membership // guarded by mu
	keys    *gitstore.AllowedSigners
	keysFor string // config commit of keys; guarded by mu, as keys is
}

// membership is who was in a group when it was asked about last.
type membership struct {
	people []access.Person
	at     time.Time
	asking bool
}

// The pages show members as they were known this long ago.
const membersStay = time.Minute

// Open implements [web.Record].
func (l *library) Open(context.Context) ([]access.Request, error) {
	open := slices.DeleteFunc(l.ledger.Open(), func(r access.Request) bool { return r.Status.Ended() })
	for _, r := range l.ledger.Unreviewed() {
		if r.Status.Ended() {
			open = append(open, r)
		}
	}
	return open, nil
}

// History implements [web.Record].
func (l *library) History(ctx context.Context, id string) (access.Request, []web.Entry, error) {
	history, err := l.ledger.History(ctx, id)
	if err != nil {
		return access.Request{}, nil, err
	}
	r, ok := l.ledger.Request(id)
	if !ok {
		return r, nil, web.ErrNotFound
	}
	var out []web.Entry
	for _, x := range history {
		out = append(out, web.Entry(x))
	}
	return r, out, nil
}

// Signature implements [web.Record].
func (l *library) Signature(ctx context.Context, commit string) (web.Signature, error) {
	c, err := l.repo.Commit(ctx, commit)
	if err != nil {
		return web.Signature{}, err
	}
	keys, err := l.allowed(ctx)
	if err != nil {
		return web.Signature{}, err
	}
	return web.Signature{Key: c.Signer, Valid: c.SignatureValid, Known: keys != nil && keys.Check(c) == nil}, nil
}

// allowed are the keys that may sign under the rules in force; nil where these
// name none.
func (l *library) allowed(ctx context.Context) (*gitstore.AllowedSigners, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	commit := l.rules().Commit
	if l.keysFor == commit {
		return l.keys, nil
	}
	keys, err := l.signers(ctx)
	if err != nil {
		return nil, err
	}
	l.keys, l.keysFor = keys, commit
	return keys, nil
}

// Rules implements [web.Rulebook].
func (l *library) Rules() *access.Rules { return l.rules() }

// RulesAt implements [web.Rulebook].
func (l *library) RulesAt(ctx context.Context, commit string) *access.Rules {
	return l.rulesAt(ctx, commit)
}

// RulesOf implements [web.Rulebook].
func (l *library) RulesOf(ctx context.Context, at time.Time) *access.Rules {
	commit, err := l.index.ConfigAt(ctx, at)
	if err != nil || commit == "" {
		return nil
	}
	return l.rulesAt(ctx, commit)
}

// Members implements [web.Rulebook]. It answers what is known, and asks for the
// rest in the background: no page waits for a directory.
func (l *library) Members(ctx context.Context, rules *access.Rules) map[string][]access.Person {
	out := map[string][]access.Person{}
	if l.members == nil {
		return out
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range rules.Groups {
		key := g.Key()
		if key == "" {
			continue
		}
		m := l.known[key]
		if m.people != nil {
			out[key] = m.people
		}
		if !m.asking && time.Since(m.at) > membersStay {
			m.asking = true
			l.known[key] = m
			go l.ask(context.WithoutCancel(ctx), g)
		}
	}
	return out
}

func (l *library) ask(ctx context.Context, g access.Group) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	people, err := l.members(ctx, g)
	l.mu.Lock()
	defer l.mu.Unlock()
	m := membership{at: time.Now()}
	if err == nil {
		m.people = append([]access.Person{}, people...)
	}
	l.known[g.Key()] = m
}

// shelf is the library of a running bot.
func (v *service) shelf(x *index.Index) *library {
	return &library{
		ledger: v.ledger, index: x, repo: v.repository, rules: v.rules.Current, rulesAt: v.rules.At,
		signers: v.allowedSigners, known: map[string]membership{},
		members: func(ctx context.Context, g access.Group) ([]access.Person, error) { return v.bot.Members(ctx, g) },
	}
}

var _ interface {
	web.Record
	web.Rulebook
} = (*library)(nil)
