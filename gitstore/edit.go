package gitstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"

	"countersign/gitstore/remote"
)

// Edit says which file to change, and as whom.
type Edit struct {
	Branch  string
	Path    string
	Message string    // of the commit
	Author  Identity  // author and committer
	Time    time.Time // of the commit; the zero Time means now
	Signer  *Signer   // nil leaves the commit unsigned

	// Create makes the branch, with this file alone, if it does not exist.
	// Otherwise that is ErrNotFound.
	Create bool
	// From makes the branch anew: one commit on the head of this other branch, in
	// the place of whatever the branch held. Change gets the file as it is there.
	// It is for branches that nobody else writes to.
	From string
}

// by returns who commits, and when.
func (e Edit) by() stamp {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	return stamp{e.Author, e.Time}
}

// Edit changes one file on a branch in one commit, and returns the new head.
// It calls change with the file's bytes (nil if there is no such file), and
// calls it again whenever somebody else moved the branch meanwhile: change
// decides each time on what it is given and has no other effect. Where change
// returns the bytes unchanged, or nil for a file that does not exist, nothing
// is committed, and the current head is returned, with From that of the other
// branch. A file keeps its mode; a directory, link or submodule in its place
// is ErrInvalid. An error of change ends the edit and is returned as it is.
//
// After nil the commit survives a power cut. After ErrUncertain it may exist.
// After any other error it does not.
func (r *Repo) Edit(ctx context.Context, e Edit, change func(old []byte) ([]byte, error)) (commit string, err error) {
	ref, err := r.checkEdit(&e)
	if err != nil {
		return "", fmt.Errorf("edit %s: %w", e.Path, err)
	}
	for {
		if err := ctx.Err(); err != nil {
			return "", fmt.Errorf("edit %s: %w", e.Path, err)
		}
		id, err := r.tryEdit(ctx, ref, e, change)
		switch refusal := (*changeError)(nil); {
		case errors.Is(err, errMoved):
			continue
		case errors.As(err, &refusal):
			return "", refusal.err
		case err != nil:
			return "", fmt.Errorf("edit %s on %s: %w", e.Path, e.Branch, err)
		}
		return id.String(), nil
	}
}

// changeError carries an error of the caller's function past our own.
type changeError struct{ err error }

func (e *changeError) Error() string { return e.err.Error() }

// checkEdit refuses what can never be written, and returns the branch's ref.
func (r *Repo) checkEdit(e *Edit) (ref string, err error) {
	if err := checkPath(e.Path); err != nil {
		return "", err
	}
	if err := e.Author.check(); err != nil {
		return "", err
	}
	if e.Message, err = cleanMessage(e.Message); err != nil {
		return "", err
	}
	if ref, err = branchRef(e.Branch); err != nil {
		return "", err
	}
	if e.From == e.Branch || e.From != "" && e.Create {
		return "", fmt.Errorf("%w: a branch is made from another one that exists", ErrInvalid)
	}
	return ref, r.checkNotCheckedOut(ref)
}

// tryEdit is one attempt on the branch as it is now.
func (r *Repo) tryEdit(ctx context.Context, ref string, e Edit, change func([]byte) ([]byte, error)) (plumbing.Hash, error) {
	on, err := r.editBaseFrom(ctx, ref, e)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer on.close()
	head := on.parent
	file, old, err := r.editFile(on.root, e.Path)
	if err != nil {
		return head, err
	}
	data, err := change(bytes.Clone(old))
	if err != nil {
		return head, &changeError{err}
	}
	if bytes.Equal(old, data) && (old != nil || data == nil) {
		return head, unchanged(head)
	}
	var w packWriter
	if file.id, err = w.put(plumbing.BlobObject, data); err != nil {
		return head, err
	}
	top, err := r.insert(&w, on.root, e.Path, file, 0)
	if err != nil {
		return head, err
	}
	c := &commit{tree: top, author: e.by(), committer: e.by(), message: e.Message}
	if !head.IsZero() {
		c.parents = []plumbing.Hash{head}
	}
	id, err := c.write(&w, e.Signer)
	if err != nil {
		return head, err
	}
	return id, r.publishAt(ctx, &w, ref, on, id)
}

// unchanged is the answer to an edit that changes nothing: fine, unless there
// is not even a branch.
func unchanged(head plumbing.Hash) error {
	if head.IsZero() {
		return fmt.Errorf("%w: nothing to begin the branch with", ErrInvalid)
	}
	return nil
}

// base is what a commit on a branch builds on.
type base struct {
	head    plumbing.Hash // of the branch; zero for one that does not exist
	parent  plumbing.Hash // of the commit; the head, unless the branch is made anew
	root    *tree
	session *remote.Push // with the remote that has it there; nil where there is none
}

func (b base) close() {
	if b.session != nil {
		b.session.Close()
	}
}

// editBaseFrom returns the base on a branch, or on the one that it is made from.
func (r *Repo) editBaseFrom(ctx context.Context, ref string, e Edit) (base, error) {
	if e.From == "" {
		return r.editBase(ctx, ref, e.Create)
	}
	from, err := branchRef(e.From)
	if err != nil {
		return base{}, err
	}
	session, head, err := r.beginPush(ctx, ref)
	if err != nil {
		return base{}, err
	}
	b := base{head: head, session: session}
	if b.parent, err = r.headOf(ctx, from, session); err == nil {
		b.root, err = r.baseTree(from, b.parent, false)
	}
	if err != nil {
		b.close()
		return base{}, err
	}
	return b, nil
}

// headOf is the head of another branch than the one that a session is for; zero
// where there is no such branch.
func (r *Repo) headOf(ctx context.Context, ref string, s *remote.Push) (plumbing.Hash, error) {
	if s == nil {
		id, err := r.readRef(ref)
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return id, err
	}
	id := plumbing.NewHash(s.Refs[ref])
	if id.IsZero() {
		return id, nil
	}
	return id, r.bringOne(ctx, id)
}

// editBase returns the base on a branch; an empty one for a branch that does
// not exist and may be created.
func (r *Repo) editBase(ctx context.Context, ref string, create bool) (base, error) {
	session, head, err := r.beginPush(ctx, ref)
	if err != nil {
		return base{}, err
	}
	b := base{head: head, parent: head, session: session}
	if b.root, err = r.baseTree(ref, head, create); err != nil {
		b.close()
		return base{}, err
	}
	return b, nil
}

func (r *Repo) baseTree(ref string, head plumbing.Hash, create bool) (*tree, error) {
	if head.IsZero() && !create {
		return nil, fmt.Errorf("%s: %w", ref, ErrNotFound)
	}
	if head.IsZero() {
		return r.loadTree(head)
	}
	c, err := r.loadCommit(head)
	if err != nil {
		return nil, err
	}
	return r.loadTree(c.tree)
}

// editFile returns the entry of the file to change, without a name if it does
// not exist, and its bytes.
func (r *Repo) editFile(root *tree, path string) (treeEntry, []byte, error) {
	e := treeEntry{mode: filemode.Regular}
	t := root
	parts := slices.Collect(pathParts(path))
	for _, name := range parts[:len(parts)-1] {
		k, err := r.kid(t, name)
		if k == nil || err != nil {
			return e, nil, err
		}
		t = k
	}
	found, ok := t.entry(parts[len(parts)-1])
	if !ok {
		return e, nil, nil
	}
	if !found.isFile() {
		return e, nil, fmt.Errorf("%w: it is not a regular file", ErrInvalid)
	}
	data, err := r.objects.getKind(found.id, plumbing.BlobObject)
	return found, data, err
}

// publishAt makes objects durable and moves a branch from its base to the commit
// among them, at the remote where there is one.
func (r *Repo) publishAt(ctx context.Context, w *packWriter, ref string, on base, new plumbing.Hash) error {
	if on.session != nil {
		return r.publishUp(ctx, on.session, w, ref, on.head, new)
	}
	lock, err := r.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	// Looked at before anything is written: under contention of our own, only
	// the winner's pack comes to the disk.
	if err := r.compareRef(ref, on.head); err != nil {
		return err
	}
	if _, err := r.publish(w); err != nil {
		return err
	}
	if err := r.updateRef(ctx, ref, on.head, new); err != nil {
		return err
	}
	_ = r.tidy() // see there for why the error may go
	return nil
}

// Creation says how a branch begins.
type Creation struct {
	Branch  string
	Files   map[string][]byte // by path, at least one
	Message string            // of the commit
	Author  Identity          // author and committer
	Time    time.Time         // of the commit; the zero Time means now
	Signer  *Signer           // nil leaves the commit unsigned
}

// Create begins a branch with one commit that has no parent, and returns the
// commit. It fails with ErrExists if the branch exists. After nil the branch
// survives a power cut; after ErrUncertain it may exist; after any other error
// it was not created.
func (r *Repo) Create(ctx context.Context, c Creation) (commit string, err error) {
	id, err := r.create(ctx, c)
	if errors.Is(err, errMoved) {
		err = ErrExists
	}
	if err != nil {
		return "", fmt.Errorf("create branch %s: %w", c.Branch, err)
	}
	return id.String(), nil
}

func (r *Repo) create(ctx context.Context, cr Creation) (plumbing.Hash, error) {
	p, err := r.prepare(cr)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if err := r.checkNotCheckedOut(p.ref); err != nil {
		return plumbing.ZeroHash, err
	}
	on, err := r.editBase(ctx, p.ref, true)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer on.close()
	if !on.head.IsZero() {
		return plumbing.ZeroHash, errMoved
	}
	return r.commitFiles(ctx, p, on)
}
