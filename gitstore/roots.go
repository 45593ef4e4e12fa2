package gitstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// Roots returns the ids of the commits without parents that are reachable
// from any ref, in order. Two repositories that share one are copies of the
// same project, whatever their addresses.
//
// What was found is noted in the directory that writers of this package keep in a
// repository: history below a commit never changes, so the next call walks only
// what is new. A note that is missing, damaged or about commits that are no longer
// reachable costs a whole walk, and nothing else.
func (r *Repo) Roots(ctx context.Context) ([]string, error) {
	tips, err := r.tips()
	if err != nil {
		return nil, fmt.Errorf("find root commits: %w", err)
	}
	note := r.readRootsNote()
	roots, whole, err := r.rootsOf(ctx, tips, note)
	if err == nil && !whole {
		roots, _, err = r.rootsOf(ctx, tips, rootsNote{})
	}
	if err != nil {
		return nil, fmt.Errorf("find root commits: %w", err)
	}
	if !slices.Equal(tips, note.tips) {
		r.writeRootsNote(rootsNote{tips, roots})
	}
	out := make([]string, len(roots))
	for i, id := range roots {
		out[i] = id.String()
	}
	slices.Sort(out)
	return out, nil
}

// tips are the commits that refs lead to.
func (r *Repo) tips() ([]plumbing.Hash, error) {
	refs, err := r.allRefs()
	if err != nil {
		return nil, err
	}
	var out []plumbing.Hash
	for _, id := range refs {
		id, err := r.peel(id)
		if errors.Is(err, ErrNotFound) {
			continue // a tag of a file, say
		}
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b plumbing.Hash) int { return bytes.Compare(a[:], b[:]) })
	return out, nil
}

// A rootsNote says which roots some commits come to, all of them together.
type rootsNote struct{ tips, roots []plumbing.Hash }

// rootsOf walks from some commits, as far as those of the note, whose roots are
// known. It reports whether it has met all of these: only then are their roots
// those that can be reached.
func (r *Repo) rootsOf(ctx context.Context, from []plumbing.Hash, note rootsNote) (roots []plumbing.Hash, whole bool, err error) {
	met := 0
	roots = slices.Clone(note.roots)
	seen, queue := make(map[plumbing.Hash]bool), slices.Clone(from)
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		if seen[id] {
			continue
		}
		seen[id] = true
		if slices.Contains(note.tips, id) {
			met++
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		c, err := r.loadCommit(id)
		if err != nil {
			return nil, false, err
		}
		if len(c.parents) == 0 && !slices.Contains(roots, id) {
			roots = append(roots, id)
		}
		queue = append(queue, c.parents...)
	}
	return roots, met == len(note.tips), nil
}

func (r *Repo) rootsFile() string { return filepath.Join(r.privateDir(), "roots") }

// readRootsNote is empty where there is no note that can be used.
func (r *Repo) readRootsNote() rootsNote {
	text, err := os.ReadFile(r.rootsFile())
	if err != nil {
		return rootsNote{}
	}
	var note rootsNote
	for line := range strings.Lines(string(text)) {
		what, id, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch {
		case !plumbing.IsHash(id):
			return rootsNote{}
		case what == "tip":
			note.tips = append(note.tips, plumbing.NewHash(id))
		case what == "root":
			note.roots = append(note.roots, plumbing.NewHash(id))
		default:
			return rootsNote{}
		}
	}
	if len(note.roots) == 0 {
		return rootsNote{} // cut short: every history has a root
	}
	return note
}

// writeRootsNote replaces the note. In a repository that this package has never
// written to there is no place for it, and the next call walks again.
func (r *Repo) writeRootsNote(note rootsNote) {
	var text strings.Builder
	for _, id := range note.tips {
		fmt.Fprintf(&text, "tip %s\n", id)
	}
	for _, id := range note.roots {
		fmt.Fprintf(&text, "root %s\n", id)
	}
	tmp, err := r.disk.writeTemp(r.privateDir(), ".roots-", 0o644, []byte(text.String()))
	if err != nil {
		return
	}
	if os.Rename(tmp, r.rootsFile()) != nil {
		_ = os.Remove(tmp)
	}
}
