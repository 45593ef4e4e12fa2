package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"countersign/bot/access"
)

// Update changes a request by what decide makes of its present state. decide
// has no effects of its own: it is called again whenever that state has moved
// on. Update returns the request as it then stands. When it returns an error of decide,
// nothing was recorded; after any other error that is not known, and the next
// Update of the request finds out.
func (l *Ledger) Update(ctx context.Context, id string, decide func(access.Request) ([]access.Event, error)) (access.Request, error) {
	done, err := l.turns.lock(ctx, id)
	if err != nil {
		return access.Request{}, err
	}
	defer done()
	return l.update(ctx, id, decide)
}

// File is an Update that begins a request. The same delivery twice files once:
// the second time it returns the request that the first has made.
func (l *Ledger) File(ctx context.Context, id, delivery string, decide func(access.Request) ([]access.Event, error)) (access.Request, error) {
	end, err := l.turns.lock(ctx, "filing "+delivery)
	if err != nil {
		return access.Request{}, err
	}
	defer end()
	// Another bot may have filed the same delivery, or an earlier try of ours
	// that seemed to fail.
	if _, err := l.Sync(ctx); err != nil {
		return access.Request{}, err
	}
	filed, err := l.find(ctx, filedKey(delivery))
	if err != nil {
		return access.Request{}, err
	}
	if len(filed) > 0 {
		return l.present(ctx, filed[0])
	}
	return l.update(ctx, id, decide)
}

// tries is how often a decision is taken anew before giving up; each failure
// means that somebody else made progress.
const tries = 50

func (l *Ledger) update(ctx context.Context, id string, decide func(access.Request) ([]access.Event, error)) (access.Request, error) {
	for range tries {
		r, err := l.present(ctx, id)
		if err != nil {
			return r, err
		}
		events, err := decide(r)
		if err != nil || len(events) == 0 {
			return r, err
		}
		after, err := l.append(ctx, r, events)
		if !errors.Is(err, ErrConflict) {
			return after, err
		}
		if _, err := l.Sync(ctx); err != nil {
			return r, err
		}
	}
	return access.Request{}, fmt.Errorf("request %s: %w, %d times in a row", id, ErrConflict, tries)
}

// append makes events durable and folds them.
func (l *Ledger) append(ctx context.Context, r access.Request, events []access.Event) (access.Request, error) {
	files := make([]File, len(events))
	n, dir := r, ""
	for i, e := range events {
		var err error
		if n, err = access.Apply(n, e); err != nil {
			return r, fmt.Errorf("a decision that cannot be applied: %w", err)
		}
		data, err := Encode(e)
		if err != nil {
			return r, err
		}
		dir = Dir(n.ID, n.FiledAt)
		files[i] = File{
			Path: fmt.Sprintf("%s/%04d-%s.yaml", dir, n.Seq, e.Body.Kind()),
			Data: data, Message: Message(n, e), Time: e.At,
		}
	}
	commits, err := l.store.Append(ctx, dir, r.Seq, files)
	if err != nil {
		return r, fmt.Errorf("write the log: %w", err)
	}
	err = l.with(ctx, n.ID, r.Seq == 0, func(it *item) error {
		for i, e := range events {
			if it.request.Seen(e.ID) {
				continue // a Sync was faster
			}
			l.ahead[commits[i]] = true
			if err := l.apply(it, Entry{Event: e, Path: files[i].Path, Commit: commits[i]}); err != nil {
				return fmt.Errorf("%s: %w", files[i].Path, err)
			}
		}
		n = it.request
		return nil
	})
	return n, err
}

// Dir is the directory of a request, by the time of its filing.
func Dir(id string, filed time.Time) string { return filed.UTC().Format("requests/2006/01/02/") + id }

// with calls fn with a request, holding mu: an empty one where there is none.
// For a new one nothing is looked up.
func (l *Ledger) with(ctx context.Context, id string, fresh bool, fn func(*item) error) error {
	for {
		var it *item
		var err error
		if !fresh {
			if it, err = l.item(ctx, id); err != nil {
				return err
			}
		}
		if done, err := l.try(id, it, fresh, fn); done {
			return err
		}
	}
}

// try calls fn, unless the request has left memory, or come into it, meanwhile.
func (l *Ledger) try(id string, it *item, fresh bool, fn func(*item) error) (done bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.state[id]
	switch {
	case now == nil && it == nil:
		return true, fn(&item{})
	case now == it, fresh:
		return true, fn(now)
	}
	return false, nil
}
