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
// on. What is on its way into the log counts as written, but only to build on: it
// stands in the log before the rest does, or the rest is decided again. A refusal,
// or that nothing is to be done, rests on what is in the log.
//
// Update returns the request as it then stands. When it returns an error of decide,
// nothing was recorded; after any other error that is not known, and the next
// Update of the request finds out.
func (l *Ledger) Update(ctx context.Context, id string, decide Decide) (access.Request, error) {
	for range tries {
		r, err := l.attempt(ctx, id, decide)
		if !errors.Is(err, ErrConflict) {
			return r, err
		}
		if _, err := l.Sync(ctx); err != nil {
			return r, err
		}
	}
	return access.Request{}, fmt.Errorf("request %s: %w, %d times in a row", id, ErrConflict, tries)
}

// Decide makes events of a request's state, none where nothing is to be done.
type Decide = func(access.Request) ([]access.Event, error)

// File is an Update that begins a request. The same delivery twice files once:
// the second time it returns the request that the first has made.
func (l *Ledger) File(ctx context.Context, id, delivery string, decide Decide) (access.Request, error) {
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
	return l.Update(ctx, id, decide)
}

// tries is how often a decision is taken anew before giving up; each failure
// means that somebody else made progress.
const tries = 50

// attempt decides and writes, once.
func (l *Ledger) attempt(ctx context.Context, id string, decide Decide) (access.Request, error) {
	b, f, err := l.launch(ctx, id, decide)
	if f == nil {
		return b.before, err
	}
	r, err := l.fly(ctx, b, f)
	if errors.Is(err, ErrConflict) && b.on != nil {
		// What it was to follow is not there, or not yet.
		if err := l.await(ctx, b.on); err != nil {
			return r, err
		}
	}
	return r, err
}

// launch decides, and says what is on its way from now on; nil where nothing is.
func (l *Ledger) launch(ctx context.Context, id string, decide Decide) (batch, *flight, error) {
	done, err := l.turns.lock(ctx, id)
	if err != nil {
		return batch{}, nil, err
	}
	defer done()
	b, err := l.prepare(ctx, id, decide)
	if err != nil || len(b.events) == 0 {
		return b, nil, err
	}
	return b, l.depart(b), nil
}

// batch are events that are to be written together.
type batch struct {
	before, after access.Request
	events        []access.Event
	dir           string
	files         []File
	on            *flight // what it builds on, while that is not in the log
}

// prepare decides, on what is on its way or on what is in the log.
func (l *Ledger) prepare(ctx context.Context, id string, decide Decide) (b batch, err error) {
	for {
		if b.on = l.flying(id); b.on != nil {
			b.before = b.on.after
		} else if b.before, err = l.present(ctx, id); err != nil {
			return b, err
		}
		b.events, err = decide(b.before)
		switch {
		case err == nil && len(b.events) > 0:
			return b, b.encode()
		case b.on == nil:
			return b, err
		}
		if err := l.await(ctx, b.on); err != nil {
			return b, err
		}
	}
}

func (b *batch) encode() (err error) {
	b.after = b.before
	for _, e := range b.events {
		if b.after, err = access.Apply(b.after, e); err != nil {
			return fmt.Errorf("a decision that cannot be applied: %w", err)
		}
		data, err := Encode(e)
		if err != nil {
			return err
		}
		b.dir = Dir(b.after.ID, b.after.FiledAt)
		b.files = append(b.files, File{
			Path: fmt.Sprintf("%s/%04d-%s.yaml", b.dir, b.after.Seq, e.Body.Kind()),
			Data: data, Message: Message(b.after, e), Time: e.At,
		})
	}
	return nil
}

// fly writes a batch. Those who build on it hear what has become of it, also where
// this goroutine ends before it does.
func (l *Ledger) fly(ctx context.Context, b batch, f *flight) (r access.Request, err error) {
	err = access.ErrUncertain
	defer func() { l.land(f, err) }()
	return l.append(ctx, b)
}

// append makes a batch durable and folds it.
func (l *Ledger) append(ctx context.Context, b batch) (access.Request, error) {
	on := Tail{Dir: b.dir, Have: b.before.Seq}
	if b.on != nil {
		on.Last = &b.on.last
	}
	commits, err := l.store.Append(ctx, on, b.files)
	if err != nil {
		return b.before, fmt.Errorf("write the log: %w", err)
	}
	after, err := l.fold(ctx, b, commits)
	if err != nil {
		return b.before, fmt.Errorf("%w: what was written cannot be read: %w", access.ErrUncertain, err)
	}
	return after, nil
}

// fold takes up what was written.
func (l *Ledger) fold(ctx context.Context, b batch, commits []string) (after access.Request, err error) {
	if b.on != nil {
		// Its commits are there, since these follow them; so they are folded first.
		if <-b.on.landed; b.on.err != nil {
			if _, err := l.Sync(ctx); err != nil {
				return after, err
			}
		}
	}
	err = l.with(ctx, b.after.ID, b.before.Seq == 0, func(it *item) error {
		for i, e := range b.events {
			if it.request.Seen(e.ID) {
				continue // a Sync was faster
			}
			l.ahead[commits[i]] = true
			if err := l.apply(it, Entry{Event: e, Path: b.files[i].Path, Commit: commits[i]}); err != nil {
				return fmt.Errorf("%s: %w", b.files[i].Path, err)
			}
		}
		after = it.request
		return nil
	})
	return after, err
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
