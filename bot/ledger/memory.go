package ledger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"countersign/bot/access"
)

// item finds a request, in memory or by the checkpoint; nil where there is none.
func (l *Ledger) item(ctx context.Context, id string) (*item, error) {
	if it := l.remembered(id); it != nil || l.checkpoint == nil || id == "" {
		return it, nil
	}
	// One at a time: what is read must not be older than what has left memory
	// since.
	done, err := l.turns.lock(ctx, "reading "+id)
	if err != nil {
		return nil, err
	}
	defer done()
	if it := l.remembered(id); it != nil {
		return it, nil
	}
	places, err := l.places(ctx, id)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	it, err := l.read(ctx, places[0])
	if err != nil {
		return nil, l.suspect(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.state[id]; now != nil {
		return now, nil
	}
	l.admit(it)
	l.trim()
	return it, nil
}

func (l *Ledger) remembered(id string) *item {
	l.mu.RLock()
	defer l.mu.RUnlock()
	it := l.state[id]
	if it != nil {
		it.used.Store(l.clock.Add(1))
	}
	return it
}

// places asks the checkpoint. That it has nothing means nothing while it is being
// built anew.
func (l *Ledger) places(ctx context.Context, idOrKey string) ([]Place, error) {
	found, err := l.checkpoint.Find(ctx, idOrKey)
	if err != nil {
		return nil, fmt.Errorf("ask the checkpoint: %w", l.suspect(err))
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(found) == 0 && l.partial {
		return nil, errors.New("the checkpoint is being built anew from the log; try again")
	}
	return found, nil
}

// read reads a request from the log.
func (l *Ledger) read(ctx context.Context, p Place) (*item, error) {
	files, err := l.store.Read(ctx, p.Dir)
	if err != nil {
		return nil, err
	}
	if len(files) < len(p.Commits) || len(p.Commits) == 0 {
		return nil, &takeError{fmt.Errorf("%s holds %d files, not %d", p.Dir, len(files), len(p.Commits))}
	}
	it := &item{read: len(p.Commits), saved: len(p.Commits)}
	for i, commit := range p.Commits {
		x := Entry{Path: files[i].Path, Commit: commit}
		if x.Event, err = Read(files[i]); err == nil {
			it.request, err = access.Apply(it.request, x.Event)
		}
		if err != nil {
			return nil, &takeError{fmt.Errorf("%s: %w", x.Path, err)}
		}
		it.entries = append(it.entries, x)
	}
	if it.request.ID != p.ID {
		return nil, &takeError{fmt.Errorf("%s does not hold request %s", p.Dir, p.ID)}
	}
	return it, nil
}

// admit brings a request that was read into memory. The caller holds mu.
func (l *Ledger) admit(it *item) {
	it.used.Store(l.clock.Add(1))
	l.insert(it)
	l.addKeys(it, it.entries)
	if it.request.Last.After(l.newest) {
		l.newest = it.request.Last
	}
}

// suspect has the checkpoint built anew where an error means that it does not fit
// the log, or is damaged.
func (l *Ledger) suspect(err error) error {
	if unfit(err) {
		l.mu.Lock()
		l.damaged = true
		l.mu.Unlock()
		l.rouse()
	}
	return err
}

// keyVersion is another one when the same requests are found by other keys.
const keyVersion = 1

// What requests are found by, besides their ids.

func filedKey(delivery string) string { return "filed " + delivery }

func postKey(p access.Post) string { return "post " + p.Channel + " " + p.TS }

// grantKey is the same for the same access of the same account, and rarely for
// another one.
func grantKey(t access.Target, subject string) string {
	t = t.Entitlement()
	with := []byte("{}")
	if len(t.With) > 0 {
		with, _ = json.Marshal(t.With) // what cannot be written shares a key
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", t.Provider, with, subject))
	return "grant " + hex.EncodeToString(sum[:12])
}

// keysOf are the keys that some entries of a request give it.
func keysOf(r access.Request, entries []Entry) []string {
	var out []string
	for _, x := range entries {
		switch b := x.Event.Body.(type) {
		case access.Requested:
			out = append(out, filedKey(x.Event.ID))
		case access.Notified:
			out = append(out, postKey(b.Post))
		case access.GrantIntent:
			out = append(out, grantKey(r.Target, b.Subject))
		}
	}
	return out
}

// addKeys has a request found by what some of its entries say. The caller holds
// mu.
func (l *Ledger) addKeys(it *item, entries []Entry) {
	for _, k := range keysOf(it.request, entries) {
		if !slices.Contains(l.keys[k], it.request.ID) {
			l.keys[k] = append(l.keys[k], it.request.ID)
		}
	}
}

// find names the requests that have a key.
func (l *Ledger) find(ctx context.Context, key string) ([]string, error) {
	l.mu.RLock()
	ids := slices.Clone(l.keys[key])
	l.mu.RUnlock()
	if l.checkpoint == nil {
		return ids, nil
	}
	places, err := l.places(ctx, key)
	if err != nil && len(ids) == 0 {
		return nil, err
	}
	for _, p := range places {
		if !slices.Contains(ids, p.ID) {
			ids = append(ids, p.ID)
		}
	}
	return ids, nil
}

// trim lets ended requests leave memory, those first that nobody has asked for
// lately. What is open stays, what is of late, and what is not saved and read in
// full. The caller holds mu.
func (l *Ledger) trim() {
	if l.checkpoint == nil || len(l.state) < l.trimBeyond {
		return
	}
	var idle []*item
	for _, it := range l.state {
		if !l.current(it) && !l.owing[it.request.ID] && it.saved == it.request.Seq && it.read == it.request.Seq {
			idle = append(idle, it)
		}
	}
	if len(idle) > l.kept {
		slices.SortFunc(idle, func(a, b *item) int { return cmp.Compare(a.used.Load(), b.used.Load()) })
		for _, it := range idle[:len(idle)-l.kept] {
			l.forget(it)
		}
	}
	l.trimBeyond = len(l.state) + l.kept
}

// forget takes a request out of memory. The caller holds mu.
func (l *Ledger) forget(it *item) {
	id := it.request.ID
	delete(l.state, id)
	for _, k := range keysOf(it.request, it.entries) {
		rest := slices.DeleteFunc(l.keys[k], func(has string) bool { return has == id })
		if l.keys[k] = rest; len(rest) == 0 {
			delete(l.keys, k)
		}
	}
}
