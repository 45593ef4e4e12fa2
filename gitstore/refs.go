package gitstore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// branchRef returns the full name of a branch, and refuses names that git
// would refuse or that lead out of the refs directory.
func branchRef(branch string) (string, error) {
	ref := "refs/heads/" + branch
	if err := checkRef(ref); err != nil {
		return "", err
	}
	return ref, nil
}

func checkRef(ref string) error {
	err := plumbing.ReferenceName(ref).Validate()
	if err == nil {
		err = checkPath(ref)
	}
	if err == nil && (!strings.HasPrefix(ref, "refs/") || strings.HasSuffix(ref, ".lock")) {
		err = errors.New("not a ref")
	}
	if err != nil {
		return fmt.Errorf("%w: ref %q: %w", ErrInvalid, ref, err)
	}
	return nil
}

func (r *Repo) refFile(ref string) string { return filepath.Join(r.dir, filepath.FromSlash(ref)) }

// readRef returns the object that a ref names, following symbolic refs;
// ErrNotFound where there is none.
func (r *Repo) readRef(ref string) (plumbing.Hash, error) {
	for range 5 {
		value, err := r.readRefOnce(ref)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		target, symbolic := strings.CutPrefix(value, "ref: ")
		if !symbolic {
			return parseID(ref, value)
		}
		if ref = strings.TrimSpace(target); checkRef(ref) != nil {
			return plumbing.ZeroHash, fmt.Errorf("%w: a symbolic ref names %q", ErrCorrupt, ref)
		}
	}
	return plumbing.ZeroHash, fmt.Errorf("%w: symbolic refs in a circle at %s", ErrCorrupt, ref)
}

// readRefOnce returns the text of a ref: of its file, else of packed-refs. In
// this order, since git packs a ref before it removes the file.
func (r *Repo) readRefOnce(ref string) (string, error) {
	data, err := os.ReadFile(r.refFile(ref))
	switch {
	case err == nil:
		return strings.TrimSpace(string(data)), nil
	case !errors.Is(err, fs.ErrNotExist) && !isNotDir(err) && !isDir(r.refFile(ref)):
		return "", fmt.Errorf("read ref %s: %w", ref, err)
	}
	packed, err := r.packedRefs()
	if err != nil {
		return "", err
	}
	if value, ok := packed[ref]; ok {
		return value, nil
	}
	return "", fmt.Errorf("%s: %w", ref, ErrNotFound)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func parseID(ref, value string) (plumbing.Hash, error) {
	if !plumbing.IsHash(value) {
		return plumbing.ZeroHash, fmt.Errorf("%w: ref %s holds %q", ErrCorrupt, ref, value)
	}
	return plumbing.NewHash(value), nil
}

// packedRefs reads the packed-refs file: "<id> <ref>" a line.
func (r *Repo) packedRefs() (map[string]string, error) {
	data, err := os.ReadFile(filepath.Join(r.dir, "packed-refs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read packed refs: %w", err)
	}
	refs := make(map[string]string)
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		id, ref, ok := strings.Cut(lines.Text(), " ")
		if ok && plumbing.IsHash(id) { // else a comment, or "^id" of a peeled tag
			refs[ref] = id
		}
	}
	return refs, nil
}

// allRefs returns every ref below refs/, by name, with the object it names.
// Symbolic refs that lead nowhere are left out.
func (r *Repo) allRefs() (map[string]plumbing.Hash, error) {
	names, err := r.packedRefs()
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(filepath.Join(r.dir, "refs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".lock") {
			return err
		}
		rel, err := filepath.Rel(r.dir, path)
		names[filepath.ToSlash(rel)] = ""
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list refs: %w", err)
	}
	refs := make(map[string]plumbing.Hash, len(names))
	for ref := range names {
		id, err := r.readRef(ref)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		refs[ref] = id
	}
	return refs, nil
}

// Resolve returns the id of the commit that ref names: a branch ("audit"), a
// branch of the remote "origin" where there is no local one of that name (also
// written "origin/audit"), a full name ("refs/tags/v1", "HEAD"), or a commit id
// of 40 digits. Annotated tags are followed. It fails with ErrNotFound.
func (r *Repo) Resolve(ctx context.Context, ref string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("resolve %s: %w", ref, err)
	}
	id, err := r.resolve(ref)
	if err != nil {
		return "", fmt.Errorf("resolve %q in %s: %w", ref, r.path, err)
	}
	return id.String(), nil
}

func (r *Repo) resolve(ref string) (plumbing.Hash, error) {
	candidates := []string{"refs/heads/" + ref, "refs/remotes/origin/" + ref}
	switch {
	case strings.HasPrefix(ref, "origin/"):
		candidates = append(candidates, "refs/remotes/"+ref)
	case ref == "HEAD":
		candidates = []string{ref}
	case strings.HasPrefix(ref, "refs/"):
		candidates = slices.Insert(candidates, 0, ref)
	case plumbing.IsHash(ref):
		id, err := r.peel(plumbing.NewHash(ref))
		if !errors.Is(err, ErrNotFound) {
			return id, err
		}
	}
	for _, name := range candidates {
		if name != "HEAD" && checkRef(name) != nil {
			continue
		}
		id, err := r.readRef(name)
		if err == nil {
			return r.peel(id)
		}
		if !errors.Is(err, ErrNotFound) {
			return plumbing.ZeroHash, err
		}
	}
	return plumbing.ZeroHash, ErrNotFound
}

// peel follows annotated tags to their commit.
func (r *Repo) peel(id plumbing.Hash) (plumbing.Hash, error) {
	for range 10 {
		obj, err := r.objects.get(id)
		if errors.Is(err, errNoObject) {
			return plumbing.ZeroHash, fmt.Errorf("object %s: %w", id, ErrNotFound)
		}
		if err != nil {
			return plumbing.ZeroHash, err
		}
		if obj.kind == plumbing.CommitObject {
			return id, nil
		}
		line, _, _ := bytes.Cut(obj.data, []byte("\n"))
		target, ok := bytes.CutPrefix(line, []byte("object "))
		if obj.kind != plumbing.TagObject || !ok || !plumbing.IsHash(string(target)) {
			break
		}
		id = plumbing.NewHash(string(target))
	}
	return plumbing.ZeroHash, fmt.Errorf("object %s is not a commit: %w", id, ErrNotFound)
}

// checkNotCheckedOut refuses a branch that a work tree has checked out: its
// files would then look modified against the new commit.
func (r *Repo) checkNotCheckedOut(ref string) error {
	heads, err := filepath.Glob(filepath.Join(r.dir, "worktrees", "*", "HEAD"))
	if err != nil {
		return err
	}
	if !r.bare {
		heads = append(heads, filepath.Join(r.dir, "HEAD"))
	}
	for _, head := range heads {
		data, err := os.ReadFile(head)
		if err == nil && strings.TrimSpace(string(data)) == "ref: "+ref {
			return fmt.Errorf("%w: %s in a work tree of %s (use a bare repository, or check out another branch)", ErrCheckedOut, ref, r.path)
		}
	}
	return nil
}
