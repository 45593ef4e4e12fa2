package ledger

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// unsaved is what of a ledger concerns its checkpoint. But for the first two it
// is guarded by mu of the ledger.
type unsaved struct {
	wake   chan struct{} // holds one when there is something to save
	saving sync.Mutex    // one save at a time

	dirty      map[string]bool // ids of requests and pre-approvals
	told       map[string]bool // ids of requests that were saved since Save returned
	savedTo    Mark
	damaged    bool  // it must be built anew
	unsavable  bool  // the last save failed: the next one is tried later
	partial    bool  // it is being built anew: what it does not hold may exist
	anew       error // why it was built anew at the start
	trimBeyond int   // how many requests may be in memory before some leave it

	clock atomic.Uint64 // counts what is asked for

	limits
}

// limits bound what is in memory.
type limits struct {
	kept  int // how many ended requests stay, those asked for last
	chunk int // how many changes a long Sync gathers before it saves them
}

var usual = limits{kept: 1000, chunk: 2000}

// Save waits until there is something to save, saves it, and returns the ids of
// the requests that changed. After an error it is still to be saved. Nothing
// depends on its being called but memory and the time of the next start.
func (l *Ledger) Save(ctx context.Context) ([]string, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.wake:
	}
	err := l.renew(ctx)
	if err == nil {
		err = l.save(ctx)
	}
	if err != nil {
		l.rouse()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	ids := slices.Sorted(maps.Keys(l.told))
	clear(l.told)
	return ids, nil
}

// changed notes that a request or a pre-approval is to be saved. The caller holds
// mu.
func (l *Ledger) changed(id string) {
	if l.checkpoint != nil {
		l.dirty[id] = true
		l.rouse()
	}
}

func (l *Ledger) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// relieve saves in the middle of a long Sync, so that memory stays bounded. That
// it fails is no reason to stop reading.
func (l *Ledger) relieve(ctx context.Context) {
	l.mu.RLock()
	due := len(l.dirty) >= l.chunk && !l.unsavable
	l.mu.RUnlock()
	if due && l.save(ctx) != nil {
		l.mu.Lock()
		l.unsavable = true
		l.mu.Unlock()
	}
}

// save saves all that is to be saved.
func (l *Ledger) save(ctx context.Context) error {
	l.saving.Lock()
	defer l.saving.Unlock()
	mark, changes, due := l.toSave()
	if !due {
		return nil
	}
	if err := l.checkpoint.Save(ctx, mark, changes); err != nil {
		return l.suspect(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.savedTo, l.unsavable = mark, false
	for _, c := range changes {
		n := len(c.Commits)
		if it := l.state[c.ID]; it != nil {
			l.told[c.ID] = true
			it.saved = n
			if n == it.request.Seq {
				delete(l.dirty, c.ID)
			}
		} else if len(l.allowances[c.ID].commits) == n {
			delete(l.dirty, c.ID)
		}
	}
	l.trim()
	return nil
}

// toSave is what is to be saved, of one moment.
func (l *Ledger) toSave() (m Mark, out []Change, due bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, id := range slices.Sorted(maps.Keys(l.dirty)) {
		if it := l.state[id]; it != nil {
			out = append(out, it.change())
		} else if a, ok := l.allowances[id]; ok {
			out = append(out, Change{Place: Place{ID: id, Dir: a.At.Format(allowanceDir) + id, Commits: a.commits, Open: true, Last: a.At}})
		}
	}
	text, err := json.Marshal(note{Config: l.config, Ahead: slices.Sorted(maps.Keys(l.ahead)), Open: l.seal(), Keys: keyVersion, Strangers: l.strangers})
	if err != nil {
		panic(err) // strings and numbers
	}
	m = Mark{Head: l.scanned, Note: string(text)}
	return m, out, len(out) > 0 || m != l.savedTo
}

func (it *item) change() Change {
	r := it.request
	c := Change{Request: r, Entries: it.entries, Place: Place{
		ID: r.ID, Dir: Dir(r.ID, r.FiledAt), Open: r.Open() || owes(r), Last: r.Last, Keys: keysOf(r, it.entries),
	}}
	for _, x := range it.entries {
		c.Commits = append(c.Commits, x.Commit)
	}
	return c
}

// renew builds the checkpoint anew from the whole log, if it is damaged. What is
// in memory stays there; what is not cannot be found until this is through.
func (l *Ledger) renew(ctx context.Context) error {
	l.mu.RLock()
	damaged := l.damaged
	l.mu.RUnlock()
	if !damaged {
		return nil
	}
	done, err := l.turns.lock(ctx, syncing)
	if err != nil {
		return err
	}
	defer done()
	if err := l.checkpoint.Reset(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	l.damaged, l.partial, l.scanned, l.savedTo = false, true, "", Mark{}
	for id, it := range l.state {
		it.saved, it.read, l.dirty[id] = 0, 0, true
	}
	for id := range l.allowances {
		l.dirty[id] = true
	}
	l.mu.Unlock()
	_, err = l.sync(ctx)
	return err
}
