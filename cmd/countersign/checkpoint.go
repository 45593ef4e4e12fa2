package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"countersign/bot/index"
	"countersign/bot/ledger"
)

// A checkpoint is the index as the ledger saves into it: what the dashboard reads
// is fed by the same batches.
type checkpoint struct{ index *index.Index }

// Load implements [ledger.Checkpoint].
func (c checkpoint) Load(ctx context.Context, late time.Duration) (ledger.Mark, []ledger.Place, error) {
	head, note, list, err := c.index.Places(ctx, late)
	return ledger.Mark{Head: head, Note: note}, placesOf(list), damage(err)
}

// Find implements [ledger.Checkpoint].
func (c checkpoint) Find(ctx context.Context, idOrKey string) ([]ledger.Place, error) {
	list, err := c.index.PlacesOf(ctx, idOrKey)
	return placesOf(list), damage(err)
}

// Save implements [ledger.Checkpoint].
func (c checkpoint) Save(ctx context.Context, m ledger.Mark, changes []ledger.Change) error {
	b := index.Batch{Head: m.Head, Note: m.Note}
	for _, x := range changes {
		b.Places = append(b.Places, index.Place(x.Place))
		if x.Request.ID != "" {
			b.Requests = append(b.Requests, x.Request)
			b.Configs = append(b.Configs, uses(x.Entries)...)
		}
	}
	return damage(c.index.Put(ctx, b))
}

// Reset implements [ledger.Checkpoint].
func (c checkpoint) Reset(ctx context.Context) error { return c.index.Reset(ctx) }

func placesOf(list []index.Place) []ledger.Place {
	var out []ledger.Place
	for _, p := range list {
		out = append(out, ledger.Place(p))
	}
	return out
}

// damage says in the ledger's words that an index is damaged.
func damage(err error) error {
	if errors.Is(err, index.ErrDamaged) {
		return fmt.Errorf("%w: %w", ledger.ErrDamaged, err)
	}
	return err
}

// uses are the config commits under which the events of a request happened, each
// from its first one on.
func uses(history []ledger.Entry) []index.ConfigUse {
	var out []index.ConfigUse
	for _, x := range history {
		if c := x.Event.Config; c != "" && (len(out) == 0 || out[len(out)-1].Commit != c) {
			out = append(out, index.ConfigUse{At: x.Event.At, Commit: c})
		}
	}
	return out
}

// saveRetry is how long a save that failed waits before it is tried again.
const saveRetry = 5 * time.Second

// keepSaved saves what the ledger folds, and tells of each request that can then
// be read, until the context ends. Where it cannot, the bot goes on: memory grows,
// and the next start reads more of the log.
func keepSaved(ctx context.Context, l *ledger.Ledger, told func(id string), log *slog.Logger) {
	for ctx.Err() == nil {
		ids, err := l.Save(ctx)
		for _, id := range ids {
			told(id)
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		log.Error("what was read of the log cannot be saved for the dashboard and the next start; it is tried again", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(saveRetry):
		}
	}
}
