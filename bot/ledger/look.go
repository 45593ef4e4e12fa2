package ledger

import (
	"context"
	"slices"
	"time"

	"countersign/bot/access"
)

// present is the state of a request; zero where there is none.
func (l *Ledger) present(ctx context.Context, id string) (access.Request, error) {
	it, err := l.item(ctx, id)
	if it == nil {
		return access.Request{}, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return it.request, nil
}

// Request is the present state of a request. One that ended long ago is read
// from the log; where that fails, there seems to be none.
func (l *Ledger) Request(id string) (access.Request, bool) {
	r, err := l.present(context.Background(), id)
	return r, err == nil && r.Seq > 0
}

// History is what is recorded of a request, oldest first; nothing where there
// is none.
func (l *Ledger) History(ctx context.Context, id string) ([]Entry, error) {
	it, err := l.item(ctx, id)
	if it == nil {
		return nil, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Clone(it.entries), nil
}

// Requests are all requests, newest first. It panics on a ledger with a
// checkpoint, which exists so that nobody has them all in memory.
func (l *Ledger) Requests() []access.Request {
	if l.checkpoint != nil {
		panic("ledger: all requests were asked of a ledger with a checkpoint")
	}
	return l.inMemory(func(*item) bool { return true })
}

// inMemory are the requests in memory that are meant, newest first.
func (l *Ledger) inMemory(meant func(*item) bool) []access.Request {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var items []*item
	for _, it := range l.state {
		if meant(it) {
			items = append(items, it)
		}
	}
	slices.SortFunc(items, func(a, b *item) int { return b.order - a.order })
	out := make([]access.Request, len(items))
	for i, it := range items {
		out[i] = it.request
	}
	return out
}

// of are the requests with some ids. The caller holds mu.
func (l *Ledger) of(ids map[string]bool) []access.Request {
	out := make([]access.Request, 0, len(ids))
	for id := range ids {
		out = append(out, l.state[id].request)
	}
	return out
}

// Open are the requests that have not ended, in no order.
func (l *Ledger) Open() []access.Request {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.of(l.open)
}

// Unreviewed are the requests whose review is due, in no order.
func (l *Ledger) Unreviewed() []access.Request {
	return l.owed(access.Request.ToReview)
}

// Alarmed are the ended requests for which an alarm was raised that is not
// resolved, in no order.
func (l *Ledger) Alarmed() []access.Request {
	return l.owed(func(r access.Request) bool { return r.Status.Ended() && access.Alarmed(r) })
}

func (l *Ledger) owed(meant func(access.Request) bool) []access.Request {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.DeleteFunc(l.of(l.owing), func(r access.Request) bool { return !meant(r) })
}

// lately is how long before the log's newest event something is of late.
const lately = time.Hour

// Lately are the requests that are open, whose review is due, or that changed
// within the hour before the log's newest event: those which people may have
// before their eyes. The newest filing comes first.
func (l *Ledger) Lately() []access.Request {
	out := l.inMemory(l.current)
	slices.SortStableFunc(out, func(a, b access.Request) int { return b.FiledAt.Compare(a.FiledAt) })
	return out
}

// current reports whether a request is of [Ledger.Lately]. The caller holds mu.
func (l *Ledger) current(it *item) bool {
	r := it.request
	return !r.Status.Ended() || r.ToReview() || r.Last.After(l.newest.Add(-lately))
}

// Granted are the requests by which an account was ever to get an access, in no
// order.
func (l *Ledger) Granted(ctx context.Context, t access.Target, subject string) ([]access.Request, error) {
	ids, err := l.find(ctx, grantKey(t, subject))
	if err != nil {
		return nil, err
	}
	var out []access.Request
	for _, id := range ids {
		r, err := l.present(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// ByPost finds the request that a message of the bot's is about.
func (l *Ledger) ByPost(channel, ts string) (string, bool) {
	ids, err := l.find(context.Background(), postKey(access.Post{Channel: channel, TS: ts}))
	if err != nil || len(ids) == 0 {
		return "", false
	}
	return ids[0], true
}

// Head is the commit up to which all of the log is folded. What was appended
// since the last Sync is folded too.
func (l *Ledger) Head() string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.scanned
}

// Config is the config commit of the newest event: the last configuration that
// is known to have been used. It is empty for an empty log.
func (l *Ledger) Config() string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.config
}
