package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"strings"
	"time"

	"countersign/bot/access"
)

// ErrDamaged is what a [Checkpoint] answers that does not hold what was saved.
var ErrDamaged = errors.New("the checkpoint is damaged")

// A Checkpoint remembers where in the log things stand, so that a ledger need
// neither keep them in memory nor read the whole log at each start. It is safe
// for concurrent use, and belongs to one ledger.
//
// It is disposable: what was decided is always read from the log itself, and a
// checkpoint that does not fit the log is built anew. What it saved may be lost,
// the newest first, as after a power cut; it never keeps a mark without the
// places that were saved with it. A method that fails with [ErrDamaged] fails
// until Reset.
type Checkpoint interface {
	// Load returns the newest mark, the zero Mark if nothing was ever saved,
	// and the places that are open or whose Last is less than late before the
	// greatest.
	Load(ctx context.Context, late time.Duration) (Mark, []Place, error)
	// Save keeps a mark and the changes up to it: all of it or nothing. After an
	// error that is not known; the ledger saves the same or newer ones again. A
	// place replaces the one of the same id, and keeps the keys of that.
	Save(ctx context.Context, m Mark, changes []Change) error
	// Find returns the place with an id, or all that have a key.
	Find(ctx context.Context, idOrKey string) ([]Place, error)
	// Reset forgets everything.
	Reset(ctx context.Context) error
}

// A Mark says what a checkpoint amounts to: every file of the log up to a commit
// is in its places, and some that came later may be.
type Mark struct {
	Head string // the commit
	Note string // the ledger's own
}

// A Place says where the files of a request, or of a pre-approval, stand.
type Place struct {
	ID      string
	Dir     string
	Commits []string // of its files, in their order
	Open    bool     // whether something is still to be done about it
	Last    time.Time
	Keys    []string // by which it can be found, besides its id
}

// A Change is a place that is new or has moved on, and what stands there. Of a
// pre-approval only the place is given.
type Change struct {
	Place
	Request access.Request
	Entries []Entry
}

// note is what a ledger needs besides the places to go on.
type note struct {
	Config string   `json:"config"`
	Ahead  []string `json:"ahead,omitempty"` // commits after the head whose files are in the places
	Open   uint64   `json:"open"`            // see [seal]
	Keys   int      `json:"keys,omitempty"`  // [keyVersion] of the places' keys

	Strangers map[string][]string `json:"strangers,omitempty"` // whom sweeps have found, by target
}

// Resume opens a ledger that keeps in memory what is open and little else. It
// reads what the checkpoint does not have; where that does not fit the log, it
// is built anew from all of it, see [Ledger.Anew].
func Resume(ctx context.Context, s Store, c Checkpoint) (*Ledger, error) {
	return resume(ctx, s, c, usual)
}

func resume(ctx context.Context, s Store, c Checkpoint, within limits) (*Ledger, error) {
	if c == nil {
		return nil, errors.New("ledger: no checkpoint")
	}
	l, err := begin(s, c, within)
	if err != nil {
		return nil, err
	}
	if err := l.resume(ctx); err != nil {
		if !unfit(err) && !errors.Is(err, ErrRewritten) || ctx.Err() != nil {
			return nil, err
		}
		if l, _ = begin(s, c, within); err != errNothing {
			l.anew = err
			if err := c.Reset(ctx); err != nil {
				return nil, fmt.Errorf("reset the checkpoint: %w", err)
			}
		}
		if _, err := l.Sync(ctx); err != nil {
			return nil, err
		}
	}
	if err := l.save(ctx); err != nil {
		l.rouse() // Save tries again, and says so
	}
	clear(l.told)
	return l, nil
}

// errNothing says that a checkpoint is empty.
var errNothing error = &takeError{errors.New("nothing was saved yet")}

// unfit reports whether an error means that a checkpoint is damaged, or does not
// fit the log.
func unfit(err error) bool {
	_, bad := errors.AsType[*takeError](err)
	return bad || errors.Is(err, ErrDamaged)
}

// resume reads what is open, and what came after the checkpoint.
func (l *Ledger) resume(ctx context.Context) error {
	mark, places, err := l.checkpoint.Load(ctx, lately)
	if err != nil {
		return fmt.Errorf("load the checkpoint: %w: %w", ErrDamaged, err)
	}
	if mark == (Mark{}) {
		return errNothing
	}
	var n note
	if err := json.Unmarshal([]byte(mark.Note), &n); err != nil {
		return fmt.Errorf("load the checkpoint: %w: %w", ErrDamaged, err)
	}
	if n.Keys != keyVersion {
		return fmt.Errorf("load the checkpoint: %w: another version of this program made it", ErrDamaged)
	}
	for _, p := range places {
		if err := l.adopt(ctx, p); err != nil {
			return fmt.Errorf("load the checkpoint: %w", err)
		}
	}
	if l.seal() != n.Open {
		return fmt.Errorf("load the checkpoint: %w: it does not name all that is open", ErrDamaged)
	}
	l.scanned, l.config, l.savedTo = mark.Head, n.Config, mark
	for _, c := range n.Ahead {
		l.ahead[c] = true
	}
	maps.Copy(l.strangers, n.Strangers)
	if _, err := l.Sync(ctx); err != nil {
		return err
	}
	for _, c := range n.Ahead {
		if l.ahead[c] {
			return fmt.Errorf("the checkpoint goes up to %s: %w", c, ErrRewritten)
		}
	}
	return nil
}

// adopt reads one place into memory, before anybody else uses the ledger.
func (l *Ledger) adopt(ctx context.Context, p Place) error {
	if strings.HasPrefix(p.Dir, "allowances/") {
		a, err := l.readAllowance(ctx, p)
		l.allowances[p.ID] = a
		return err
	}
	it, err := l.read(ctx, p)
	if err == nil {
		l.admit(it)
	}
	return err
}

// Anew says why the checkpoint was not used at the start, though there was one;
// nil if it was, or if there was none.
func (l *Ledger) Anew() error { return l.anew }

// seal is drawn from the ids of all that is open. A request that a checkpoint
// has lost would otherwise never be looked at again, and its access never end.
func (l *Ledger) seal() uint64 {
	var sum uint64
	add := func(id string) {
		h := fnv.New64a()
		h.Write([]byte(id))
		sum += h.Sum64() | 1
	}
	for id := range l.open {
		add(id)
	}
	for id := range l.owing {
		add(id)
	}
	for id := range l.allowances {
		add(id)
	}
	return sum
}
