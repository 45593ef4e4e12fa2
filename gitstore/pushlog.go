package gitstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"countersign/gitstore/remote"
)

// A log in a mirror is written at the remote: what the remote accepted is in the
// log, and nothing else is.
//
//  1. A session begins, and says where the branch is. If it is not where we
//     believe, it is fetched, and all who wait decide again.
//  2. Those whose callers have given up are left out. From here on a caller that
//     gives up does not know what becomes of its batch.
//  3. The commits are made and their pack is published here. A crash, or a disk
//     that fails, leaves a pack that nothing refers to.
//  4. The pack is pushed. A crash here is a lost answer: the fetch at the next
//     start shows whether the entries exist.
//  5. The branch moves here too, and the callers are answered. A crash before
//     that is the same as one in step 4.

// pushTurn is writeTurn for a log with a remote.
func (l *Log) pushTurn(ctx context.Context, turn []*request) (err error) {
	r := l.cfg.Repo
	s, err := r.upstream.Push(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if tip := s.Refs[l.ref]; tip != l.Head() {
		if _, err := l.pull(ctx); err != nil {
			return err
		}
		return fmt.Errorf("%w: %s of %s was moved by somebody else", ErrConflict, l.cfg.Branch, r.upstream)
	}
	live := l.claim(turn)
	old := plumbing.NewHash(s.Refs[l.ref])
	tip, err := l.commitTurn(old, live)
	if err != nil || tip == old {
		return err
	}
	defer func() {
		if err != nil {
			l.root = nil // it holds entries that were not written
		}
	}()
	return l.pushTo(ctx, s, old, tip, live)
}

// pushTo publishes the pack of a turn and pushes it.
func (l *Log) pushTo(ctx context.Context, s *remote.Push, old, tip plumbing.Hash, live []*request) error {
	r := l.cfg.Repo
	pack, err := l.pack.build()
	if err != nil {
		return fmt.Errorf("build pack: %w", err)
	}
	if err := r.keepPack(ctx, pack); err != nil {
		return err
	}
	l.spend()
	p := push{repo: r, ref: l.ref, old: old, new: tip, pack: pack, wanted: func() bool { return l.anyWaits(live) }}
	err = p.send(ctx, s)
	if errors.Is(err, errMoved) {
		return fmt.Errorf("%w: %s of %s was moved by somebody else", ErrConflict, l.cfg.Branch, r.upstream)
	}
	if err != nil {
		return err
	}
	// Where the head has moved already, a pull has seen our commit, or more.
	l.advance(old.String(), tip.String())
	l.tip = tip
	l.root.forget(l.turn)
	_ = l.moveRef(ctx) // written it is; the next fetch mends the mirror
	return nil
}

// anyWaits reports whether the caller of one of some requests still waits.
func (l *Log) anyWaits(turn []*request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range turn {
		if !q.gone {
			return true
		}
	}
	return false
}

// moveRef moves the mirror's branch to the head. One at a time, so that it
// never goes back.
func (l *Log) moveRef(ctx context.Context) error {
	l.moving.Lock()
	defer l.moving.Unlock()
	return l.cfg.Repo.setRef(ctx, l.ref, plumbing.NewHash(l.Head()))
}

// pull fetches the branch from the remote and returns the head, which descends
// from the one known before.
func (l *Log) pull(ctx context.Context) (string, error) {
	before := l.Head() // the remote had it before it is asked now
	s, err := l.cfg.Repo.upstream.Pull(ctx)
	if err != nil {
		return "", err
	}
	defer s.Close()
	tip, err := l.seen(ctx, s, plumbing.NewHash(before))
	if err != nil {
		return "", err
	}
	for {
		known := l.Head()
		// What Append has pushed meanwhile is ahead of what this session saw.
		ahead, err := l.cfg.Repo.isAncestor(ctx, tip, plumbing.NewHash(known))
		if err != nil {
			return "", err
		}
		if ahead || l.advance(known, tip.String()) {
			return l.Head(), l.moveRef(ctx)
		}
	}
}

// seen returns where the remote has the branch, which descends from a commit
// that it had before, and brings it here.
func (l *Log) seen(ctx context.Context, s *remote.Pull, before plumbing.Hash) (plumbing.Hash, error) {
	r := l.cfg.Repo
	id, ok := s.Refs[l.ref]
	if !ok {
		return before, fmt.Errorf("%w: %s is gone from %s", ErrBranchMissing, l.cfg.Branch, r.upstream)
	}
	tip := plumbing.NewHash(id)
	if tip == before {
		return tip, nil
	}
	rewritten := fmt.Errorf("%w: %s of %s is at %s, which does not descend from %s", ErrRewritten, l.cfg.Branch, r.upstream, tip, before)
	if l.isFork(id) {
		return tip, rewritten
	}
	if err := r.bring(ctx, s, tip); err != nil {
		return tip, err
	}
	descends, err := r.isAncestor(ctx, before, tip)
	if err != nil {
		return tip, err
	}
	if !descends {
		l.setFork(id)
		return tip, rewritten
	}
	return tip, nil
}

// isFork reports whether a head is known to lie in another history: finding that
// out means walking all of it.
func (l *Log) isFork(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fork == id
}

func (l *Log) setFork(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fork = id
}

// Stale says why the log was opened with what the mirror has: the remote could
// not be reached, or has lost or replaced the branch. Nil: it was compared. What
// was written since by others is then not known; Sync and Append ask again, and
// fail as long as it is so.
func (l *Log) Stale() error { return l.stale }

// openMirrored finds the branch at the remote, or begins it there.
func (l *Log) openMirrored(ctx context.Context) error {
	r := l.cfg.Repo
	here, err := r.readRef(l.ref)
	switch {
	case errors.Is(err, ErrNotFound):
		err = l.openFirst(ctx)
	case err == nil:
		l.head = here.String()
		if _, l.stale = l.pull(ctx); ctx.Err() != nil {
			return l.stale
		}
	}
	if err != nil {
		return err
	}
	l.tip = plumbing.NewHash(l.head)
	if err := l.checkFormat(l.tip); err != nil {
		return err
	}
	return l.mark()
}

// openFirst opens a branch that the mirror has never seen.
func (l *Log) openFirst(ctx context.Context) error {
	r := l.cfg.Repo
	s, tip, err := r.beginPush(ctx, l.ref)
	if err != nil {
		return err
	}
	defer s.Close()
	if tip.IsZero() {
		if tip, err = l.beginAt(ctx, s); err != nil {
			return err
		}
	}
	l.head = tip.String()
	return l.moveRef(ctx)
}

// beginAt begins the branch at the remote. Where another bot was faster, its
// beginning is ours.
func (l *Log) beginAt(ctx context.Context, s *remote.Push) (plumbing.Hash, error) {
	if err := l.mayBegin(ctx); err != nil {
		return plumbing.ZeroHash, err
	}
	r := l.cfg.Repo
	var w packWriter
	tip, err := l.formatCommit(&w)
	if err != nil {
		return tip, err
	}
	err = r.publishUp(ctx, s, &w, l.ref, plumbing.ZeroHash, tip)
	if !errors.Is(err, errMoved) {
		return tip, err
	}
	p, err := r.upstream.Pull(ctx)
	if err != nil {
		return tip, err
	}
	defer p.Close()
	tip = plumbing.NewHash(p.Refs[l.ref])
	if tip.IsZero() {
		return tip, fmt.Errorf("%w: %s is gone from %s", ErrBranchMissing, l.cfg.Branch, r.upstream)
	}
	return tip, r.bring(ctx, p, tip)
}
