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
)

// Report says what Verify has looked at.
type Report struct {
	Head    string         // the newest commit
	First   string         // the oldest commit reached
	Commits int            // how many, with the first
	Entries int            // how many entries were handed on
	From    time.Time      // of the first commit
	To      time.Time      // of the newest commit
	Signers map[string]int // commits by fingerprint of their key; "" for unsigned ones

	// SignaturesChecked reports whether signers were compared with a list.
	SignaturesChecked bool
}

// Problem is something that a log must not contain.
type Problem struct {
	Commit string // the commit's id
	Path   string // the file concerned; "" if there is none
	Text   string // a sentence that says what is wrong
}

// String writes a problem as one line.
func (p Problem) String() string {
	if p.Path == "" {
		return fmt.Sprintf("%s: %s", p.Commit, p.Text)
	}
	return fmt.Sprintf("%s: %s: %s", p.Commit, p.Path, p.Text)
}

// Verify checks every commit of the log that ref names, from the raw objects,
// whose ids it computes anew, and calls fn (which may be nil) for each entry,
// oldest first, also for those with a problem, as far as they can be read.
//
// It checks that history is linear; that the first commit adds exactly FORMAT
// and each later one exactly one regular file in one of the log's directories,
// and changes nothing else; that author and committer are the same; that the
// commit has the form in which a Log writes it; and that its signature is good
// and made by a key that keys allows for the committer's address at that time.
// Where keys is nil, signatures only have to be good where there are any.
//
// The error is for what kept it from checking: an unknown ref, a failing disk,
// a ctx that ended, an error of fn. Problems of the log are no error.
func Verify(ctx context.Context, r *Repo, ref string, keys *AllowedSigners, fn func(Entry, CommitInfo) error) (Report, []Problem, error) {
	head, err := r.resolve(ref)
	if err != nil {
		return Report{}, nil, fmt.Errorf("verify %s: %w", ref, err)
	}
	v := &verifier{
		repo: r, keys: keys, fn: fn,
		diff: differ{objects: r.objects, verify: true},
		report: Report{
			Head: head.String(), Signers: make(map[string]int), SignaturesChecked: keys != nil,
		},
	}
	ids, err := v.collect(ctx, head)
	if err != nil {
		return v.report, v.problems, fmt.Errorf("verify %s: %w", ref, err)
	}
	for _, id := range slices.Backward(ids) {
		if err := ctx.Err(); err != nil {
			return v.report, v.problems, fmt.Errorf("verify %s: %w", ref, err)
		}
		if err := v.commit(id); err != nil {
			return v.report, v.problems, err
		}
	}
	return v.report, v.problems, nil
}

type verifier struct {
	repo     *Repo
	keys     *AllowedSigners
	fn       func(Entry, CommitInfo) error
	diff     differ
	prev     plumbing.Hash // the tree of the commit before
	report   Report
	problems []Problem
}

func (v *verifier) problem(id plumbing.Hash, path, format string, args ...any) {
	v.problems = append(v.problems, Problem{id.String(), path, fmt.Sprintf(format, args...)})
}

// damage turns the error of a missing or corrupt object into a problem, and
// reports whether it was one.
func (v *verifier) damage(id plumbing.Hash, err error) bool {
	if errors.Is(err, errNoObject) || errors.Is(err, ErrCorrupt) {
		v.problem(id, "", "%v.", err)
		return true
	}
	return false
}

// load reads a commit and computes its id anew.
func (v *verifier) load(id plumbing.Hash) (*commit, error) {
	raw, err := v.diff.read(id, plumbing.CommitObject)
	if err != nil {
		return nil, err
	}
	return parseCommit(id, raw)
}

// collect returns the commits from head back to the first, or to where
// history breaks off, newest first.
func (v *verifier) collect(ctx context.Context, head plumbing.Hash) (ids []plumbing.Hash, err error) {
	for id := head; ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, err := v.load(id)
		if err != nil && v.damage(id, err) {
			v.problem(id, "", "History breaks off here.")
			return ids, nil
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		if len(c.parents) == 0 {
			return ids, nil
		}
		if len(c.parents) > 1 {
			v.problem(id, "", "The commit is a merge; history must be linear.")
		}
		id = c.parents[0]
	}
}

// commit checks one commit. Its error is that of fn, or of the disk.
func (v *verifier) commit(id plumbing.Hash) error {
	c, err := v.load(id)
	if err != nil {
		return err
	}
	v.count(c)
	info := c.info()
	v.report.Signers[info.Signer]++
	v.form(c, info)
	prev := v.prev
	v.prev = c.tree
	if len(c.parents) == 0 {
		return v.first(c)
	}
	if prev.IsZero() {
		return nil // the parent is missing, which was said already
	}
	e, err := v.diff.entry(c.id, c.step(), prev)
	if err != nil {
		if v.damage(id, err) {
			return nil
		}
		return err
	}
	if err := checkLogPath(e.Path); err != nil {
		v.problem(id, e.Path, "The file lies where a log has none: %v.", err)
	}
	v.report.Entries++
	if v.fn == nil {
		return nil
	}
	return v.fn(e, info)
}

func (v *verifier) count(c *commit) {
	if v.report.Commits == 0 {
		v.report.First, v.report.From = c.id.String(), c.committer.when
	}
	v.report.Commits++
	v.report.To = c.committer.when
}

// form checks a commit apart from its files.
func (v *verifier) form(c *commit, info CommitInfo) {
	if c.author.who != c.committer.who || !c.author.when.Equal(c.committer.when) {
		v.problem(c.id, "", "Author and committer are not the same.")
	}
	head, tail := c.encode()
	signature, _ := c.signature()
	if signature != nil {
		head = append(head, gpgsigHeader(signature)...)
	}
	if !bytes.Equal(append(head, tail...), c.raw) {
		v.problem(c.id, "", "The commit is not in the form in which a log is written.")
	}
	switch {
	case v.keys != nil:
		if err := v.keys.Check(info); err != nil {
			v.problem(c.id, "", "The commit cannot be trusted: %v.", err)
		}
	case signature != nil && !info.SignatureValid:
		v.problem(c.id, "", "The signature is not good.")
	}
}

// first checks the files of a commit without parents.
func (v *verifier) first(c *commit) error {
	raw, err := v.diff.tree(0, c.tree)
	if err != nil {
		if v.damage(c.id, err) {
			return nil
		}
		return err
	}
	want := treeEntry{formatFile, filemode.Regular, plumbing.ComputeHash(plumbing.BlobObject, []byte(formatText))}
	if !bytes.Equal(raw, encodeTree([]treeEntry{want})) {
		v.problem(c.id, "", "The first commit does not hold exactly the file %s of a known version.", formatFile)
		return nil
	}
	if _, err := v.diff.read(want.id, plumbing.BlobObject); err != nil && !v.damage(c.id, err) {
		return err
	}
	return nil
}

// checkTree refuses trees that git would not write: entries out of order,
// names that stand twice, modes in another spelling, hostile names.
func checkTree(raw []byte) error {
	entries, err := parseTree(raw)
	if err != nil {
		return err
	}
	if !bytes.Equal(encodeTree(entries), raw) {
		return fmt.Errorf("%w: a tree is not in git's form", ErrCorrupt)
	}
	seen := make(map[string]bool, len(entries))
	for i, e := range entries {
		if seen[e.name] || i > 0 && compareEntries(entries[i-1], e) >= 0 {
			return fmt.Errorf("%w: a tree has %q twice or out of order", ErrCorrupt, e.name)
		}
		seen[e.name] = true
		if err := checkName(e.name); err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	return nil
}
