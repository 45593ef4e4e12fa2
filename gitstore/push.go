package gitstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"countersign/gitstore/remote"
)

const (
	// pushPatience is how long a remote may take to answer a push. One that
	// needs longer may still take it; see settle.
	pushPatience = 20 * time.Second
	// pushTries is how often the same push is sent where its answer was lost.
	pushTries = 3
)

// A push moves one branch of the remote to a commit whose pack is published here
// already. What the remote accepts is written; no ref here has moved before.
type push struct {
	repo     *Repo
	ref      string
	old, new plumbing.Hash // the zero old means that the branch must not exist
	pack     builtPack

	// wanted reports whether anybody still waits for it. A push whose answer
	// was lost is sent again only for them: what people were told is unknown must
	// not come to be behind their back.
	wanted func() bool
}

// send pushes on a session that saw the branch at old. It fails with errMoved if
// somebody else moved the branch, so that nothing of ours is there; with ErrRefused
// if the remote said no, or asked to wait (remote.ErrThrottled); with ErrUncertain if
// nobody knows.
//
// After an error it asks what is so, and never reads what the text says: if the
// branch leads to our commit, it was accepted and only the answer was lost. If
// the branch has moved without it, it never will be: the remote compares. If
// neither, a refusal stands; and where there was no answer, the same push is
// sent again. It cannot count twice, having the same id.
//
// A crash of ours anywhere here is the same as a lost answer: the next fetch
// shows whether the commit is there.
func (p push) send(ctx context.Context, s *remote.Push) error {
	for try := 1; ; try++ {
		within, cancel := context.WithTimeoutCause(ctx, p.repo.pushWait, fmt.Errorf("no answer to a push within %v", p.repo.pushWait))
		err := s.Send(within, p.ref, p.old.String(), p.new.String(), p.pack.parts[:]...)
		cancel()
		if err == nil {
			return nil
		}
		s.Close()
		if errors.Is(err, remote.ErrThrottled) {
			return err // by a status that says that nothing was done
		}
		refused := errors.Is(err, remote.ErrRefused)
		next, lookErr := p.repo.upstream.Push(ctx)
		switch {
		case lookErr != nil && refused:
			return fmt.Errorf("%w: %w", ErrRefused, err)
		case lookErr != nil:
			return fmt.Errorf("%w: %w", ErrUncertain, err)
		}
		switch tip := plumbing.NewHash(next.Refs[p.ref]); {
		case tip == p.new:
			next.Close()
			return nil
		case tip != p.old:
			next.Close()
			return p.lookBehind(ctx, err)
		case refused:
			next.Close()
			return fmt.Errorf("%w: %w", ErrRefused, err)
		case try == pushTries || !p.wanted():
			next.Close()
			return fmt.Errorf("%w: %w", ErrUncertain, err)
		}
		s = next
	}
}

// lookBehind finds out whether others have built on our commit already.
func (p push) lookBehind(ctx context.Context, sent error) error {
	unknown := func(err error) error { return fmt.Errorf("%w: %w; %w", ErrUncertain, sent, err) }
	s, err := p.repo.upstream.Pull(ctx)
	if err != nil {
		return unknown(err)
	}
	defer s.Close()
	tip := plumbing.NewHash(s.Refs[p.ref])
	if tip.IsZero() {
		return errMoved
	}
	if err := p.repo.bring(ctx, s, tip); err != nil {
		return unknown(err)
	}
	built, err := p.repo.isAncestor(ctx, p.new, tip)
	if err != nil {
		return unknown(err)
	}
	if !built {
		return errMoved
	}
	return nil
}

// beginPush begins a session and brings what the branch holds at the remote; the
// zero id where there is no such branch. In a repository that stands alone there
// is no session, and the branch is the one here.
func (r *Repo) beginPush(ctx context.Context, ref string) (*remote.Push, plumbing.Hash, error) {
	if r.upstream == nil {
		tip, err := r.readRef(ref)
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return nil, tip, err
	}
	s, err := r.upstream.Push(ctx)
	if err != nil {
		return nil, plumbing.ZeroHash, err
	}
	tip := plumbing.NewHash(s.Refs[ref])
	if tip.IsZero() {
		return s, tip, nil
	}
	if err := r.bringOne(ctx, tip); err != nil {
		s.Close()
		return nil, tip, err
	}
	return s, tip, nil
}

// bringOne brings a commit that a session to push has seen, unless it is here.
func (r *Repo) bringOne(ctx context.Context, id plumbing.Hash) error {
	if _, err := r.objects.get(id); !errors.Is(err, errNoObject) {
		return err
	}
	p, err := r.upstream.Pull(ctx)
	if err != nil {
		return err
	}
	defer p.Close()
	return r.bring(ctx, p, id)
}

// publishUp is publishAt for a mirror.
func (r *Repo) publishUp(ctx context.Context, s *remote.Push, w *packWriter, ref string, old, new plumbing.Hash) error {
	pack, err := w.build()
	if err != nil {
		return fmt.Errorf("build pack: %w", err)
	}
	if err := r.keepPack(ctx, pack); err != nil {
		return err
	}
	p := push{repo: r, ref: ref, old: old, new: new, pack: pack, wanted: func() bool { return ctx.Err() == nil }}
	if err := p.send(ctx, s); err != nil {
		return err
	}
	// It is written. That the mirror cannot say so is mended by the next fetch.
	_ = r.setRef(context.WithoutCancel(ctx), ref, new)
	return nil
}

// keepPack publishes a pack before it is pushed. Where that fails nothing is
// pushed: what the remote has and we could not keep would be recorded without
// our knowing. Where the push fails, the pack is one that nothing refers to.
func (r *Repo) keepPack(ctx context.Context, pack builtPack) error {
	lock, err := r.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	if _, err := r.publishPack(pack); err != nil {
		return err
	}
	_ = r.tidy() // see there for why the error may go
	return nil
}
