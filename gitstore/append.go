package gitstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"

	"countersign/gitstore/remote"
)

// maxTurn is how many entries one durable write takes at most, unless a
// single batch has more.
const maxTurn = 512

// request is a batch on its way through the writer.
type request struct {
	batch   Batch
	done    chan struct{} // closed when commits and err are set
	commits []string
	err     error

	// These are guarded by Log.mu.
	at      time.Time // when it came
	due     time.Time // when it waits for company no longer; zero: it never did
	claimed bool      // it is being written
	gone    bool      // its caller has given up
}

// Append writes the entries of a batch in order, one commit each, and returns
// the ids of the commits. When it returns nil they survive kill -9 and a power
// cut. Callers that come while a write is under way share the next one. A batch may
// build on another that still waits: Have counts its entries then, and both are
// written together.
//
// Its errors: ErrInvalid (never writable), ErrConflict (Dir does not hold Have
// entries: read again and decide again), ErrRewritten, ErrBranchMissing,
// ErrLocked, ErrRefused, and faults of the disk or of reaching the remote: nothing
// of the batch is in the log. With ErrUncertain it may be; a second attempt finds
// out, since it then answers ErrConflict.
//
// Where the log has a remote, whatever moved its branch there is a conflict too:
// what was decided without knowing of it is decided again.
//
// A caller whose ctx ends returns at once. If nothing was written yet the batch
// is withdrawn, and never will be; if the write was under way it is finished, and
// the error matches ErrUncertain besides that of ctx.
func (l *Log) Append(ctx context.Context, b Batch) (commits []string, err error) {
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("append to log: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("append to log: %w", err)
	}
	q := &request{batch: b, done: make(chan struct{})}
	l.enqueue(ctx, q)
	for hurry := b.Wait; ; {
		select {
		case <-q.done:
			if q.err != nil {
				return nil, fmt.Errorf("append to log: %w", q.err)
			}
			return q.commits, nil
		case <-hurry:
			hurry = nil
			l.hurry(q)
		case <-ctx.Done():
			if l.withdraw(q) {
				return nil, fmt.Errorf("append to log: %w", context.Cause(ctx))
			}
			return nil, fmt.Errorf("append to log: %w: %w", ErrUncertain, context.Cause(ctx))
		}
	}
}

// enqueue hands a request to the writer, and starts one if none is at work.
// The writer is a goroutine that lives as long as there is something to write:
// so a caller can give up, and a write goes on without it.
func (l *Log) enqueue(ctx context.Context, q *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q.at, q.due = time.Now(), l.patience(ctx, q.batch)
	l.queue = append(l.queue, q)
	if !l.writing {
		l.writing = true
		go l.writeAll()
		return
	}
	l.rouse()
}

// hurry ends the patience of a request.
func (l *Log) hurry(q *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q.due = time.Time{}
	l.rouse()
}

// withdraw takes a request back, and reports whether no writer had begun to
// write it.
func (l *Log) withdraw(q *request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.queue, q); i >= 0 {
		l.queue = slices.Delete(slices.Clone(l.queue), i, i+1)
		l.rouse()
		return !q.claimed // it may have been sent, to a remote that then asked to wait
	}
	q.gone = true
	return !q.claimed
}

// claim returns those of a turn whose callers still wait. From here on they can
// no longer be withdrawn.
func (l *Log) claim(turn []*request) []*request {
	l.mu.Lock()
	defer l.mu.Unlock()
	var live []*request
	for _, q := range turn {
		if !q.gone {
			q.claimed = true
			live = append(live, q)
		}
	}
	return live
}

// take waits until something may be written and returns it, up to maxTurn
// entries, those first that must not wait; none ends the writer.
func (l *Log) take() []*request {
	for {
		turn, wait := l.tryTake()
		if wait == 0 {
			return turn
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.roused:
		}
		timer.Stop()
	}
}

// tryTake is take without waiting: it says how long there is nothing to do.
func (l *Log) tryTake() (turn []*request, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait := l.pause(); wait > 0 {
		return nil, wait
	}
	sortQueue(l.queue)
	n, entries := 0, 0
	for n < len(l.queue) && (n == 0 || entries+len(l.queue[n].batch.Entries) <= maxTurn) {
		entries += len(l.queue[n].batch.Entries)
		n++
	}
	turn = slices.Clone(l.queue[:n])
	l.queue = slices.Clone(l.queue[n:])
	l.writing = n > 0
	return turn, 0
}

// sortQueue brings those that must not wait to the front, each behind what it builds
// on: batches for one directory stay together, in their order, and the most urgent of
// them speaks for all.
func sortQueue(queue []*request) {
	type place struct{ rank, at int }
	places := make(map[string]place, len(queue))
	for i, q := range queue {
		p, known := places[q.batch.Dir]
		if !known {
			p = place{q.batch.rank(), i}
		}
		places[q.batch.Dir] = place{min(p.rank, q.batch.rank()), p.at}
	}
	slices.SortStableFunc(queue, func(a, b *request) int {
		x, y := places[a.batch.Dir], places[b.batch.Dir]
		return cmp.Or(x.rank-y.rank, x.at-y.at, a.batch.Have-b.batch.Have)
	})
}

// writeAll is the writer.
func (l *Log) writeAll() {
	for turn := l.take(); len(turn) > 0; turn = l.take() {
		err := l.writeTurn(turn)
		if errors.Is(err, remote.ErrThrottled) && !errors.Is(err, ErrUncertain) {
			l.resume(turn)
			continue
		}
		for _, q := range turn {
			if err != nil {
				q.commits, q.err = nil, err
			}
			close(q.done)
		}
	}
}

// writeTurn writes what can be written of some requests in one durable write,
// and sets their results. Its error concerns all of them.
func (l *Log) writeTurn(turn []*request) error {
	// No ctx: a caller that waits for the lock of another process has no say
	// over the others that wait.
	ctx := context.Background()
	if l.cfg.Repo.upstream != nil {
		return l.pushTurn(ctx, turn)
	}
	lock, err := l.cfg.Repo.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	for err = errMoved; errors.Is(err, errMoved); {
		// It moves when git pushes to the branch between our look and our lock.
		err = l.tryTurn(ctx, turn)
	}
	if err == nil {
		_ = l.cfg.Repo.tidy() // see there for why the error may go
	}
	return err
}

// tryTurn is one attempt, on the tip as it is now. The caller holds the write
// lock.
func (l *Log) tryTurn(ctx context.Context, turn []*request) (err error) {
	tip, err := l.follow(ctx, plumbing.NewHash(l.Head()))
	if err != nil {
		return err
	}
	if tip, err = l.commitTurn(tip, l.claim(turn)); err != nil || tip == l.tip {
		return err
	}
	defer func() {
		if err != nil {
			l.root = nil // it holds entries that were not written
		}
	}()
	if _, err := l.cfg.Repo.publish(&l.pack); err != nil {
		return err
	}
	if err := l.cfg.Repo.updateRef(ctx, l.ref, l.tip, tip); err != nil {
		return err
	}
	l.tip = tip
	l.setHead(tip)
	l.root.forget(l.turn)
	return nil
}

// commitTurn puts what can be written of some requests into the pack, on top
// of a commit, and returns the new tip. Those that cannot be written have their
// error set.
func (l *Log) commitTurn(on plumbing.Hash, turn []*request) (tip plumbing.Hash, err error) {
	if err := l.catchUp(on); err != nil {
		return on, err
	}
	defer func() {
		if err != nil {
			l.root = nil // it holds entries that were not written
		}
	}()
	l.turn++
	l.pack.reset()
	tip = on
	for _, q := range turn {
		q.commits, q.err = nil, l.fits(q.batch)
		if errors.Is(q.err, ErrConflict) || errors.Is(q.err, ErrInvalid) {
			continue
		}
		if q.err != nil {
			return tip, q.err
		}
		if tip, err = l.commitAll(tip, q); err != nil {
			return tip, err
		}
	}
	return tip, nil
}

// catchUp makes tip and root those of the branch as it is now. Sync may have
// seen more of it than the writer.
func (l *Log) catchUp(tip plumbing.Hash) error {
	if tip == l.tip && l.root != nil {
		return nil
	}
	c, err := l.cfg.Repo.loadCommit(tip)
	if err != nil {
		return err
	}
	root, err := l.cfg.Repo.loadTree(c.tree)
	if err != nil {
		return err
	}
	l.root, l.tip = root, tip
	return nil
}

// setHead moves the head after a write. What was written descends from it,
// whatever Sync has found meanwhile: the ref was compared under its lock.
func (l *Log) setHead(tip plumbing.Hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head = tip.String()
}

// fits checks a batch against the tree as it would be written to. Entries of
// earlier batches of the same turn count.
func (l *Log) fits(b Batch) error {
	dir, err := l.cfg.Repo.descend(l.root, b.Dir, l.turn)
	if err != nil {
		return err
	}
	have := 0
	if dir != nil {
		have = len(dir.entries)
	}
	if have != b.Have {
		return fmt.Errorf("%w: %s holds %d entries, not %d", ErrConflict, b.Dir, have, b.Have)
	}
	if b.Last != nil && !dir.holds(*b.Last) {
		return fmt.Errorf("%w: %s does not hold %s as it was to be written", ErrConflict, b.Dir, path.Base(b.Last.Path))
	}
	for _, e := range b.Entries {
		if dir == nil {
			break
		}
		if _, exists := dir.entry(path.Base(e.Path)); exists {
			return fmt.Errorf("%w: %s exists", ErrConflict, e.Path)
		}
	}
	return nil
}

// commitAll adds the commits of one request to the pack and returns the new
// tip.
func (l *Log) commitAll(tip plumbing.Hash, q *request) (plumbing.Hash, error) {
	for _, e := range q.batch.Entries {
		id, err := l.commitEntry(tip, e)
		if err != nil {
			return tip, err
		}
		tip = id
		q.commits = append(q.commits, id.String())
	}
	return tip, nil
}

func (l *Log) commitEntry(parent plumbing.Hash, e Entry) (plumbing.Hash, error) {
	blob, err := l.pack.put(plumbing.BlobObject, e.Data)
	if err != nil {
		return parent, err
	}
	root, err := l.cfg.Repo.insert(&l.pack, l.root, e.Path, treeEntry{mode: filemode.Regular, id: blob}, l.turn)
	if err != nil {
		return parent, err
	}
	message, err := cleanMessage(e.Message)
	if err != nil {
		return parent, err
	}
	by := stamp{l.cfg.Identity, l.timeOf(e)}
	c := &commit{tree: root, parents: []plumbing.Hash{parent}, author: by, committer: by, message: message}
	return c.write(&l.pack, l.cfg.Signer)
}

func (l *Log) timeOf(e Entry) time.Time {
	if e.Time.IsZero() {
		return l.cfg.Now()
	}
	return e.Time
}
