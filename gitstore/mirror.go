package gitstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"countersign/gitstore/remote"
)

// OpenMirror opens the bare repository at dir that mirrors a remote, making it
// if need be. Nobody is contacted: what it holds are the branches as they were
// last seen, each where the remote had it. It belongs to one process at a time.
//
// A Log and an Edit in a mirror write to the remote: what they report as written
// was accepted there. Reading reads what is here; see Fetch and Log.Sync.
func OpenMirror(ctx context.Context, dir string, r *remote.Remote) (*Repo, error) {
	if r == nil {
		return nil, errors.New("open mirror: no remote")
	}
	repo, err := openOrInit(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("open mirror of %s: %w", r, err)
	}
	if err := repo.removeDownloads(); err != nil {
		return nil, fmt.Errorf("open mirror of %s: %w", r, err)
	}
	repo.upstream, repo.pushWait = r, pushPatience
	repo.path = r.String()
	return repo, nil
}

// openOrInit makes the repository under another name first: a crash must not
// leave a half-made one in its place.
func openOrInit(ctx context.Context, dir string) (*Repo, error) {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return Open(ctx, dir)
	}
	parent := filepath.Dir(dir)
	if err := new(disk).makeDirs(parent, 0o700); err != nil {
		return nil, err
	}
	fresh := dir + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return nil, err
	}
	if _, err := Init(ctx, fresh); err != nil {
		return nil, err
	}
	if err := os.Rename(fresh, dir); err != nil {
		return nil, err
	}
	if err := new(disk).syncDir(parent); err != nil {
		return nil, err
	}
	return Open(ctx, dir)
}

// Remote returns what the repository mirrors; nil for one that stands alone.
func (r *Repo) Remote() *remote.Remote { return r.upstream }

// Fetch brings branches as the remote has them now, or all of them where none
// is named, and moves the mirror's there, wherever they were before: whether a
// history may go back is for the caller to judge. It fails with ErrNotFound if
// the remote lacks a branch that is named; the mirror then keeps what it has.
// A repository that stands alone has nothing to fetch.
//
// It is not for the branch of a Log, which never goes back: see Log.Sync.
func (r *Repo) Fetch(ctx context.Context, branches ...string) error {
	if r.upstream == nil {
		return nil
	}
	if err := r.fetch(ctx, branches); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	return nil
}

func (r *Repo) fetch(ctx context.Context, branches []string) error {
	p, err := r.upstream.Pull(ctx)
	if err != nil {
		return err
	}
	defer p.Close()
	heads, err := r.chosen(p.Refs, branches)
	if err != nil {
		return err
	}
	ids := make([]plumbing.Hash, 0, len(heads))
	for _, id := range heads {
		ids = append(ids, id)
	}
	if err := r.bring(ctx, p, ids...); err != nil {
		return err
	}
	for ref, id := range heads {
		if err := r.setRef(ctx, ref, id); err != nil {
			return err
		}
	}
	return nil
}

// chosen picks branches out of what a remote has.
func (r *Repo) chosen(refs remote.Refs, branches []string) (map[string]plumbing.Hash, error) {
	heads := make(map[string]plumbing.Hash)
	if len(branches) == 0 {
		for ref, id := range refs {
			if strings.HasPrefix(ref, "refs/heads/") && checkRef(ref) == nil {
				heads[ref] = plumbing.NewHash(id)
			}
		}
	}
	for _, b := range branches {
		ref, err := branchRef(b)
		if err != nil {
			return nil, err
		}
		id, ok := refs[ref]
		if !ok {
			return nil, fmt.Errorf("branch %s of %s: %w", b, r.upstream, ErrNotFound)
		}
		heads[ref] = plumbing.NewHash(id)
	}
	return heads, nil
}

// setRef moves a ref of the mirror to where the remote has it.
func (r *Repo) setRef(ctx context.Context, ref string, id plumbing.Hash) error {
	old, err := r.readRef(ref)
	if err == nil && old == id {
		return nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	lock, err := r.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	for {
		old, err := r.readRef(ref)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if old == id {
			return nil
		}
		if err := r.updateRef(ctx, ref, old, id); !errors.Is(err, errMoved) {
			return err
		}
	}
}

// heads are the commits that the mirror has, with all that they need.
func (r *Repo) heads() ([]string, error) {
	refs, err := r.allRefs()
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, id := range refs {
		if !slices.Contains(ids, id.String()) {
			ids = append(ids, id.String())
		}
	}
	return ids, nil
}
