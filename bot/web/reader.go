package web

import (
	"context"
	"errors"
	"time"

	"countersign/bot/access"
)

// ErrNotFound is what a [Record] answers for a request that does not exist.
var ErrNotFound = errors.New("no such request")

// Requests finds requests. *index.Index is the real one. It is safe for
// concurrent use, and answers from what was fed to it: a little behind the log.
type Requests interface {
	// Find lists up to limit requests, the newest filing first, beginning after
	// the one with the id after ("" for the newest), and counts all that match.
	Find(ctx context.Context, f access.Filter, after string, limit int) (list []access.Request, total int, err error)
	// Each calls fn with every request that matches, in the order of the report:
	// by filing, then by id, oldest first. It ends with fn's first error.
	Each(ctx context.Context, f access.Filter, fn func(access.Request) error) error
	// LiveAt lists the access that was there at a moment, see
	// [access.Request.LiveAt], the newest filing first.
	LiveAt(ctx context.Context, f access.Filter, at time.Time) ([]access.Request, error)
	// Figures are those of the requests that match, as [access.Count] makes them.
	Figures(ctx context.Context, f access.Filter, now time.Time) (access.Figures, error)
	// Choices are the values that occur.
	Choices(ctx context.Context) (access.Choices, error)
}

// A Record is the log itself. It is safe for concurrent use.
type Record interface {
	// Open are the requests that have not ended, and the ended ones whose use of
	// break-glass nobody has reviewed yet, each once, in any order.
	Open(ctx context.Context) ([]access.Request, error)
	// History is a request and its events, oldest first; [ErrNotFound] if there
	// is none of that id.
	History(ctx context.Context, id string) (access.Request, []Entry, error)
	// Signature says how a commit of the log is signed.
	Signature(ctx context.Context, commit string) (Signature, error)
}

// An Entry is one event as it stands in the log.
type Entry struct {
	Event  access.Event
	Path   string
	Commit string
}

// A Signature is that of a commit.
type Signature struct {
	Key   string // fingerprint, such as "SHA256:…"; empty where there is none
	Valid bool   // whether it is a signature of the commit's bytes by that key
	Known bool   // whether allowed_signers lists the key for the log's author
}

// A Rulebook is the configuration, today's and former ones. It is safe for
// concurrent use.
type Rulebook interface {
	// Rules are those in force.
	Rules() *access.Rules
	// RulesAt are those of a config commit; nil if it cannot be read.
	RulesAt(ctx context.Context, commit string) *access.Rules
	// RulesOf are those that were in force at a moment; nil if nothing in the log
	// is as old, or they cannot be read.
	RulesOf(ctx context.Context, at time.Time) *access.Rules
	// Members are the people in groups that somebody else keeps, by
	// [access.Group.Key], as far as they are known: for display.
	Members(ctx context.Context, rules *access.Rules) map[string][]access.Person
}
