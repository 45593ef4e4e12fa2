package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"countersign/bot/access"
)

// A File is an event's file as the store keeps it, in a commit of its own.
type File struct {
	Path    string
	Data    []byte
	Message string    // of the commit
	Time    time.Time // of the commit
	Commit  string    // its id; empty before it is stored
}

// ErrConflict is what a [Store] answers when the directory does not hold as
// many files as the batch presumes: somebody else has written. Nothing was.
var ErrConflict = errors.New("somebody else has written meanwhile")

// ErrRewritten is what a [Store] answers when it is asked for what came after a
// commit that is not, or no longer, in the log.
var ErrRewritten = errors.New("the log does not hold that commit")

// A Tail is the end of a directory that files are added to.
type Tail struct {
	Dir  string
	Have int // how many files are there
	// Last is the last of them, where that is not known to be in the log: others may
	// have put as many there. Nil: it is known.
	Last *File
}

// A Store is the append-only log that a ledger stands on. It is safe for
// concurrent use.
type Store interface {
	// Append adds files to a directory that now ends so: all of them or none,
	// durably, each in a commit of its own, whose ids it returns. After
	// [ErrConflict] nothing was written. After any other error that is not
	// known; reading shows it.
	Append(ctx context.Context, on Tail, files []File) ([]string, error)
	// Scan calls fn for each file that was added after a commit ("" for all),
	// oldest first, and returns the newest commit. It fails with [ErrRewritten]
	// where that commit is not in the log, and ends with fn's first error.
	Scan(ctx context.Context, after string, fn func(File) error) (head string, err error)
	// Read returns the files of a directory, sorted by name, with their paths
	// and bytes; none of a directory that is not there. Everything that Scan has
	// shown and Append has written is there, and possibly more.
	Read(ctx context.Context, dir string) ([]File, error)
}

// An Entry is one recorded event of a request.
type Entry struct {
	Event  access.Event
	Path   string
	Commit string
}

// A Ledger is the log folded into requests. It is safe for concurrent use.
type Ledger struct {
	store      Store
	checkpoint Checkpoint // nil: everything stays in memory

	turns keyed // one decision about a request at a time

	mu         sync.RWMutex
	state      map[string]*item    // guarded by mu, as is all below; requests in memory
	keys       map[string][]string // the ids of these, by what they are found by
	open       map[string]bool     // ids of requests for which something may be owed, see [access.Request.Open]
	owing      map[string]bool     // ids of those about which something is still to be done, though they may have ended
	allowances map[string]pass
	flights    map[string]*flight  // the newest of each request
	strangers  map[string][]string // who sweeps have found, by target
	config     string              // config commit of the newest event
	newest     time.Time           // time of the newest event
	scanned    string              // commit up to which everything was read
	ahead      map[string]bool     // commits that were appended and folded before they were read
	count      int                 // of the requests that ever came into memory

	unsaved // what the checkpoint does not have
}

// item is a request in memory.
type item struct {
	request access.Request
	entries []Entry
	order   int           // among those in memory, as they came
	read    int           // how many of its files Sync has come by
	saved   int           // how many of them the checkpoint has
	used    atomic.Uint64 // when it was asked for last
}

// Open folds the whole log and keeps all of it in memory. An error that is no
// fault of the store means that the log is corrupt, and names the file.
func Open(ctx context.Context, s Store) (*Ledger, error) {
	l, err := begin(s, nil, usual)
	if err != nil {
		return nil, err
	}
	if _, err := l.Sync(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

func begin(s Store, c Checkpoint, within limits) (*Ledger, error) {
	if s == nil {
		return nil, errors.New("ledger: no store")
	}
	return &Ledger{
		store: s, checkpoint: c, state: map[string]*item{}, keys: map[string][]string{}, open: map[string]bool{}, owing: map[string]bool{},
		allowances: map[string]pass{}, flights: map[string]*flight{}, strangers: map[string][]string{}, ahead: map[string]bool{},
		unsaved: unsaved{wake: make(chan struct{}, 1), dirty: map[string]bool{}, told: map[string]bool{}, trimBeyond: 2 * within.kept, limits: within},
	}, nil
}

// eventPath is where events live; everything else in the log is not a request.
var eventPath = regexp.MustCompile(`^requests/\d{4}/\d{2}/\d{2}/([0-9A-Z]{26})/(\d{4,})-([a-z_]+)\.yaml$`)

// Sync reads what others have added and returns the ids of the requests that
// changed by it.
func (l *Ledger) Sync(ctx context.Context) ([]string, error) {
	done, err := l.turns.lock(ctx, syncing)
	if err != nil {
		return nil, err
	}
	defer done()
	return l.sync(ctx)
}

// syncing is the turn of whoever reads what others have added: a revocation that
// has three seconds for the log does not wait longer for somebody's fetch.
const syncing = "syncing"

// sync is Sync for whose turn it is. Where it fails, the next one goes on from
// there.
func (l *Ledger) sync(ctx context.Context) ([]string, error) {
	changed := map[string]bool{}
	head, err := l.store.Scan(ctx, l.Head(), func(f File) error {
		id, fresh, err := l.take(ctx, f)
		if err != nil {
			return &takeError{err}
		}
		if fresh {
			changed[id] = true
		}
		l.reach(f.Commit)
		l.relieve(ctx)
		return nil
	})
	ids := slices.Sorted(maps.Keys(changed))
	if err != nil {
		return ids, fmt.Errorf("read the log: %w", err)
	}
	l.reach(head)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = false
	return ids, nil
}

// reach notes the commit up to which everything was read.
func (l *Ledger) reach(commit string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scanned = commit
}

// A takeError says that a file of the log does not follow from what was read
// before.
type takeError struct{ error }

func (e *takeError) Unwrap() error { return e.error }

// ErrNoEvent says that a file of the log is no event of a request.
var ErrNoEvent = errors.New("not an event of a request")

// Read decodes a file of the log and checks that it is what its path says.
func Read(f File) (access.Event, error) {
	id, _, kind, err := split(f.Path)
	if err != nil {
		return access.Event{}, err
	}
	e, err := Decode(f.Data)
	if err != nil {
		return e, err
	}
	if e.Request != id || e.Body.Kind() != kind {
		return e, fmt.Errorf("the file does not belong there: it is %s of request %s", e.Body.Kind(), e.Request)
	}
	return e, nil
}

// split takes a path apart.
func split(name string) (id string, n int, kind string, err error) {
	m := eventPath.FindStringSubmatch(name)
	if m == nil {
		return "", 0, "", ErrNoEvent
	}
	n, err = strconv.Atoi(m[2])
	return m[1], n, m[3], err
}

// RequestPath reports whether a file of the log is an event of a request, and of
// which.
func RequestPath(path string) (id string, ok bool) {
	id, _, _, err := split(path)
	return id, err == nil
}

// take adds one file of the log; fresh is false for one that is known already.
func (l *Ledger) take(ctx context.Context, f File) (id string, fresh bool, err error) {
	if id, ok := AllowancePath(f.Path); ok {
		return "", false, l.takeAllowance(id, f)
	}
	if _, ok := SweepPath(f.Path); ok {
		return "", false, l.takeSweep(f)
	}
	id, n, _, err := split(f.Path)
	if errors.Is(err, ErrNoEvent) {
		return "", false, nil
	}
	if err == nil {
		// The first file of a request that is not in memory is followed by all
		// others: there is nothing to look up.
		err = l.with(ctx, id, n == 1, func(it *item) error {
			delete(l.ahead, f.Commit)
			if fresh = n > it.request.Seq; fresh {
				return l.takeNext(it, n, f)
			}
			it.read = max(it.read, n)
			l.sawConfig(it.entries[n-1].Event)
			return nil
		})
	}
	if err != nil {
		return id, false, fmt.Errorf("%s: %w", f.Path, err)
	}
	return id, fresh, nil
}

// takeNext folds the file that is the n-th of its request. The caller holds mu.
func (l *Ledger) takeNext(it *item, n int, f File) error {
	e, err := Read(f)
	switch {
	case err != nil:
		return err
	case n != it.request.Seq+1:
		return fmt.Errorf("event %d is missing", it.request.Seq+1)
	case n > 1 && path.Dir(f.Path) != path.Dir(it.entries[0].Path):
		return errors.New("the file stands in another directory than the request's first one")
	case n == 1 && path.Dir(f.Path) != Dir(e.Request, e.At):
		return fmt.Errorf("a request that was filed then stands in %s", Dir(e.Request, e.At))
	}
	it.read = n
	return l.apply(it, Entry{Event: e, Path: f.Path, Commit: f.Commit})
}

// apply folds one entry. The caller holds mu.
func (l *Ledger) apply(it *item, x Entry) error {
	r, err := access.Apply(it.request, x.Event)
	if err != nil {
		return err
	}
	it.request, it.entries = r, append(it.entries, x)
	if r.Seq == 1 {
		l.insert(it)
	} else {
		l.classify(it)
	}
	l.addKeys(it, it.entries[r.Seq-1:])
	l.changed(r.ID)
	l.sawConfig(x.Event)
	return nil
}

// sawConfig notes under which configuration the newest event happened, and when.
// The caller holds mu.
func (l *Ledger) sawConfig(e access.Event) {
	if e.Config != "" {
		l.config = e.Config
	}
	if e.At.After(l.newest) {
		l.newest = e.At
	}
}

// insert brings a request into memory. The caller holds mu.
func (l *Ledger) insert(it *item) {
	l.count++
	it.order = l.count
	l.state[it.request.ID] = it
	l.classify(it)
}

// owes reports whether something is still to be done about a request that may
// have ended.
func owes(r access.Request) bool { return r.ToReview() || r.Status.Ended() && access.Alarmed(r) }

// classify notes what is still to be done about a request. The caller holds mu.
func (l *Ledger) classify(it *item) {
	set := func(in map[string]bool, is bool) {
		if is {
			in[it.request.ID] = true
		} else {
			delete(in, it.request.ID)
		}
	}
	set(l.open, it.request.Open())
	set(l.owing, owes(it.request))
}
