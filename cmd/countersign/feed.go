package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"countersign/bot/access"
	"countersign/bot/index"
	"countersign/bot/ledger"
)

// A feed keeps the read model up with the log. The read model is disposable and
// may lag behind: nobody decides on it.
type feed struct {
	ledger *ledger.Ledger
	index  *index.Index
	store  ledger.Store
	told   func(id string) // after a change can be read; nil: nobody listens
	log    *slog.Logger

	mu   sync.Mutex
	ids  map[string]bool // guarded by mu: changed, and not yet fed
	wake chan struct{}
}

func newFeed(l *ledger.Ledger, x *index.Index, s ledger.Store, log *slog.Logger) *feed {
	return &feed{ledger: l, index: x, store: s, log: log, ids: map[string]bool{}, wake: make(chan struct{}, 1)}
}

// changed says that a request has a new state. It does not wait.
func (f *feed) changed(id string) {
	f.mu.Lock()
	f.ids[id] = true
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// feedRetry is how long a feed that failed waits before it tries again.
const feedRetry = 5 * time.Second

// run feeds until the context ends.
func (f *feed) run(ctx context.Context) {
	for f.catchUp(ctx) != nil || f.follow(ctx) != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(feedRetry):
		}
	}
}

// follow feeds what changes; nil when the context ends. A damaged file is given up
// at once, so that the next catchUp begins anew.
func (f *feed) follow(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		}
		ids := f.take()
		if err := f.put(ctx, f.index.Head(), ids); err != nil {
			for _, id := range ids {
				f.changed(id)
			}
			if errors.Is(err, index.ErrDamaged) {
				err = errors.Join(err, f.index.Reset(ctx))
			}
			return f.failed(ctx, err)
		}
		for _, id := range ids {
			if f.told != nil {
				f.told(id)
			}
		}
	}
}

func (f *feed) failed(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		f.log.Error("the dashboard's read model cannot be fed; it is tried again", "err", err)
	}
	return err
}

func (f *feed) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []string
	for id := range f.ids {
		ids = append(ids, id)
	}
	clear(f.ids)
	slices.Sort(ids)
	return ids
}

// put feeds the present states of requests.
func (f *feed) put(ctx context.Context, head string, ids []string) error {
	b := index.Batch{Head: head}
	for _, id := range ids {
		if r, ok := f.ledger.Request(id); ok {
			b.Requests = append(b.Requests, r)
			b.Configs = append(b.Configs, uses(f.ledger.History(id))...)
		}
	}
	return f.index.Put(ctx, b)
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

// feedChunk is how many requests are fed in one transaction.
const feedChunk = 2000

// catchUp feeds what the log has and the read model has not. Where it cannot go
// on from where it ended, it begins anew: the log was replaced, or the file is
// damaged.
func (f *feed) catchUp(ctx context.Context) error {
	err := f.advance(ctx)
	if err != nil && ctx.Err() == nil {
		f.log.Warn("the dashboard's read model is built anew", "err", err)
		if err = f.index.Reset(ctx); err == nil {
			err = f.advance(ctx)
		}
	}
	if err != nil {
		return f.failed(ctx, err)
	}
	return nil
}

func (f *feed) advance(ctx context.Context) error {
	head, ids, err := f.missing(ctx)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(ids, feedChunk) {
		if err := f.put(ctx, f.index.Head(), chunk); err != nil {
			return err
		}
	}
	return f.put(ctx, head, nil)
}

// missing names the requests that changed since the read model was fed, and the
// commit up to which these are all. That commit is one whose events the ledger has
// folded for sure: the log itself may be ahead of it for a moment.
func (f *feed) missing(ctx context.Context) (head string, ids []string, err error) {
	head = f.ledger.Head() // before the states: what comes in between is fed twice
	if f.index.Head() == "" {
		return head, idsOf(f.ledger.Requests()), nil
	}
	seen := map[string]bool{}
	_, err = f.store.Scan(ctx, f.index.Head(), func(x ledger.File) error {
		if id, ok := ledger.RequestPath(x.Path); ok && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
		return nil
	})
	return head, ids, err
}

func idsOf(requests []access.Request) []string {
	var ids []string
	for _, r := range requests {
		ids = append(ids, r.ID)
	}
	return ids
}
