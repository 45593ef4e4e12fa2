package ledger

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"sync"
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

// A Store is the append-only log that a ledger stands on. It is safe for
// concurrent use.
type Store interface {
	// Append adds files to a directory that now holds have files: all of them
	// or none, durably, each in a commit of its own, whose ids it returns. After
	// [ErrConflict] nothing was written. After any other error that is not
	// known; reading shows it.
	Append(ctx context.Context, dir string, have int, files []File) ([]string, error)
	// Scan calls fn for each file that was added after a commit ("" for all),
	// oldest first, and returns the newest commit.
	Scan(ctx context.Context, after string, fn func(File) error) (head string, err error)
}

// An Entry is one recorded event of a request.
type Entry struct {
	Event  access.Event
	Path   string
	Commit string
}

// A Ledger is the log folded into requests. It is safe for concurrent use.
type Ledger struct {
	store Store

	turns keyed // one change of a request at a time

	mu         sync.RWMutex
	state      map[string]*item  // guarded by mu, as is all below
	order      []string          // ids by filing
	open       map[string]bool   // ids of requests that have not ended
	filings    map[string]string // delivery -> the request that it filed
	posts      map[access.Place]string
	allowances map[string]access.Allowance
	review     map[string]bool // ids of requests whose review is due
	config     string          // config commit of the newest event
	scanned    string          // commit up to which everything was read

	syncing sync.Mutex // one Sync at a time
}

type item struct {
	request access.Request
	dir     string
	entries []Entry
}

// Open folds the whole log. An error that is no fault of the store means that
// the log is corrupt, and names the file.
func Open(ctx context.Context, s Store) (*Ledger, error) {
	if s == nil {
		return nil, errors.New("ledger: no store")
	}
	l := &Ledger{store: s, state: map[string]*item{}, filings: map[string]string{}, open: map[string]bool{}, posts: map[access.Place]string{}, review: map[string]bool{}, allowances: map[string]access.Allowance{}}
	if _, err := l.Sync(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// eventPath is where events live; everything else in the log is not a request.
var eventPath = regexp.MustCompile(`^requests/\d{4}/\d{2}/\d{2}/([0-9A-Z]{26})/(\d{4,})-([a-z_]+)\.yaml$`)

// Sync reads what others have added and returns the ids of the requests that
// changed by it.
func (l *Ledger) Sync(ctx context.Context) ([]string, error) {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.RLock()
	after := l.scanned
	l.mu.RUnlock()
	var changed []string
	head, err := l.store.Scan(ctx, after, func(f File) error {
		id, fresh, err := l.take(f)
		if fresh && (len(changed) == 0 || changed[len(changed)-1] != id) {
			changed = append(changed, id)
		}
		return err
	})
	if err != nil {
		return changed, fmt.Errorf("read the log: %w", err)
	}
	l.mu.Lock()
	l.scanned = head
	l.mu.Unlock()
	slices.Sort(changed)
	return slices.Compact(changed), nil
}

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
func (l *Ledger) take(f File) (id string, fresh bool, err error) {
	if id, ok := AllowancePath(f.Path); ok {
		return l.takeAllowance(id, f)
	}
	id, n, _, err := split(f.Path)
	if errors.Is(err, ErrNoEvent) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("%s: %w", f.Path, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	have := 0
	if it := l.state[id]; it != nil {
		have = it.request.Seq
	}
	if n <= have {
		return id, false, nil
	}
	e, err := Read(f)
	if err == nil && n != have+1 {
		err = fmt.Errorf("event %d is missing", have+1)
	}
	if err != nil {
		return id, false, fmt.Errorf("%s: %w", f.Path, err)
	}
	return id, true, l.apply(Entry{Event: e, Path: f.Path, Commit: f.Commit})
}

// apply folds one entry. The caller holds mu.
func (l *Ledger) apply(x Entry) error {
	it := l.state[x.Event.Request]
	if it == nil {
		it = &item{dir: path.Dir(x.Path)}
	}
	r, err := access.Apply(it.request, x.Event)
	if err != nil {
		return fmt.Errorf("%s: %w", x.Path, err)
	}
	if it.request.Seq == 0 {
		l.state[r.ID] = it
		l.order = append(l.order, r.ID)
		l.filings[x.Event.ID] = r.ID
	}
	if it.request = r; r.Status.Ended() {
		delete(l.open, r.ID)
	} else {
		l.open[r.ID] = true
	}
	if due := r.Review != nil && r.Review.At.IsZero(); due {
		l.review[r.ID] = true
	} else {
		delete(l.review, r.ID)
	}
	it.entries = append(it.entries, x)
	if n, ok := x.Event.Body.(access.Notified); ok {
		l.posts[access.Place{Channel: n.Post.Channel, TS: n.Post.TS}] = r.ID
	}
	if x.Event.Config != "" {
		l.config = x.Event.Config
	}
	return nil
}

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
	l.mu.RLock()
	filed, done := l.filings[delivery]
	l.mu.RUnlock()
	if done {
		r, _ := l.Request(filed)
		return r, nil
	}
	return l.update(ctx, id, decide)
}

// tries is how often a decision is taken anew before giving up; each failure
// means that somebody else made progress.
const tries = 50

func (l *Ledger) update(ctx context.Context, id string, decide func(access.Request) ([]access.Event, error)) (access.Request, error) {
	for range tries {
		r, _ := l.Request(id)
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
	dir := l.dir(events[0])
	files := make([]File, len(events))
	n := r
	for i, e := range events {
		var err error
		if n, err = access.Apply(n, e); err != nil {
			return r, fmt.Errorf("a decision that cannot be applied: %w", err)
		}
		data, err := Encode(e)
		if err != nil {
			return r, err
		}
		files[i] = File{
			Path: fmt.Sprintf("%s/%04d-%s.yaml", dir, n.Seq, e.Body.Kind()),
			Data: data, Message: Message(n, e), Time: e.At,
		}
	}
	commits, err := l.store.Append(ctx, dir, r.Seq, files)
	if err != nil {
		return r, fmt.Errorf("write the log: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range events {
		if it := l.state[e.Request]; it != nil && it.request.Seen(e.ID) {
			continue // a Sync was faster
		}
		if err := l.apply(Entry{Event: e, Path: files[i].Path, Commit: commits[i]}); err != nil {
			return r, err
		}
	}
	return l.state[n.ID].request, nil
}

func (l *Ledger) dir(first access.Event) string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if it := l.state[first.Request]; it != nil {
		return it.dir
	}
	return Dir(first.Request, first.At)
}

// Dir is the directory of a request, by the time of its filing.
func Dir(id string, filed time.Time) string { return filed.UTC().Format("requests/2006/01/02/") + id }

// Request is the present state of a request.
func (l *Ledger) Request(id string) (access.Request, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if it := l.state[id]; it != nil {
		return it.request, true
	}
	return access.Request{}, false
}

// Requests are all requests, newest first.
func (l *Ledger) Requests() []access.Request {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make([]access.Request, 0, len(l.order))
	for _, id := range slices.Backward(l.order) {
		all = append(all, l.state[id].request)
	}
	return all
}

// Open are the requests that have not ended, in no order.
func (l *Ledger) Open() []access.Request {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make([]access.Request, 0, len(l.open))
	for id := range l.open {
		all = append(all, l.state[id].request)
	}
	return all
}

// Ended are the requests that have ended since then, in no order.
func (l *Ledger) Ended(since time.Time) []access.Request {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var all []access.Request
	for _, it := range l.state {
		if r := it.request; r.End != nil && !r.End.At.Before(since) {
			all = append(all, r)
		}
	}
	return all
}

// Unreviewed are the requests whose review is due, in no order.
func (l *Ledger) Unreviewed() []access.Request {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make([]access.Request, 0, len(l.review))
	for id := range l.review {
		all = append(all, l.state[id].request)
	}
	return all
}

// ByPost finds the request that a message of the bot's is about.
func (l *Ledger) ByPost(channel, ts string) (string, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	id, ok := l.posts[access.Place{Channel: channel, TS: ts}]
	return id, ok
}

// History is what is recorded of a request, oldest first.
func (l *Ledger) History(id string) []Entry {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if it := l.state[id]; it != nil {
		return slices.Clone(it.entries)
	}
	return nil
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

// keyed are mutexes by name, each there only while somebody uses it.
type keyed struct {
	mu   sync.Mutex
	held map[string]*turn
}

type turn struct {
	taken chan struct{} // holds one while it is somebody's turn
	users int
}

// lock waits for the turn of a key and returns how to end it. A write that
// hangs holds up the others of its key no longer than their contexts allow.
func (k *keyed) lock(ctx context.Context, key string) (done func(), err error) {
	k.mu.Lock()
	if k.held == nil {
		k.held = map[string]*turn{}
	}
	t := k.held[key]
	if t == nil {
		t = &turn{taken: make(chan struct{}, 1)}
		k.held[key] = t
	}
	t.users++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(k.held, key)
		}
	}
	select {
	case t.taken <- struct{}{}:
		return func() { <-t.taken; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, fmt.Errorf("wait for another change of the request: %w", ctx.Err())
	}
}
