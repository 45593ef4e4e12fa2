package gitstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// formatFile is the one file of a log's first commit.
const formatFile = "FORMAT"

// formatText is what it says. It never changes: another text would be another
// format.
const formatText = `version: 1
# An append-only log of access requests. Every commit adds one file; no commit
# changes or removes one.
`

// LogConfig says where a log is and who writes it.
type LogConfig struct {
	Repo     *Repo    // required
	Branch   string   // required, such as "audit"
	Identity Identity // required: author and committer of every commit

	// Signer signs every commit. Nil leaves them unsigned, which only a log
	// without auditors can bear.
	Signer *Signer

	// Now gives the time of entries that bring none. Nil means time.Now.
	Now func() time.Time

	// Marker is the path of a file outside of the repository that says that
	// this branch once existed. Where it exists and the branch does not,
	// OpenLog fails with ErrBranchMissing instead of beginning a second
	// history. Empty means that there is no such memory.
	Marker string

	// MayBegin is asked before the branch is begun, which its error forbids: the
	// first commit, too, stays for ever. Nil: the marker alone is asked.
	MayBegin func(ctx context.Context) error

	// Held is called when the remote asks to be left alone for a while before the
	// next push. What waits is written then, First first. Nil: nobody is told.
	Held func(time.Duration)
}

// Entry is one file of a log, and the commit that added it.
type Entry struct {
	Path    string    // from the top, such as "requests/2026/01/31/01J…/0001-requested.yaml"
	Data    []byte    // the file's bytes
	Message string    // the commit message; its first line is the subject
	Time    time.Time // of the commit, to the second; the zero Time means now
	Commit  string    // the commit's id; set when read, ignored when written
}

// Batch is a set of entries that are written all or not at all.
type Batch struct {
	// Dir is the directory that all entries lie in directly.
	Dir string

	// Have is how many entries the caller knows Dir to hold: 0 for one that
	// does not exist yet.
	Have int

	// Last is the newest of them, where the caller does not know it to be in the log:
	// this batch then builds on another that is still to be written. Nil: it is known.
	Last *Entry

	Entries []Entry

	// Wait says that the batch may wait a while, ten seconds at most, for others
	// to share a push with; no longer once Wait is closed, nor until the caller's
	// ctx is about to end. Nil means at once. It has no meaning for a log without
	// a remote.
	Wait <-chan struct{}

	// First puts the batch before all others that wait.
	First bool
}

// Log is an append-only log on a branch: every commit adds exactly one file,
// signed, and history is linear. It is safe for use by several goroutines, and
// several processes may write one log.
type Log struct {
	cfg LogConfig
	ref string

	mu      sync.Mutex
	head    string     // guarded by mu: the last commit known to be durable
	queue   []*request // guarded by mu: batches that wait for a writer
	writing bool       // guarded by mu: a writer is at work
	budget  budget     // guarded by mu: of pushes
	fork    string     // guarded by mu: the head of a history that is not ours, once seen
	stale   error      // set when opened: why the remote could not be compared

	moving sync.Mutex    // held while the mirror's branch is moved
	roused chan struct{} // holds one while the writer should look again

	// These belong to the writer: the goroutine that set writing.
	tip  plumbing.Hash // the commit that root belongs to
	root *tree         // nil if it must be read anew
	turn int           // counts the durable writes
	pack packWriter    // what this turn writes
}

// OpenLog opens the log on a branch. It begins the branch, with one commit
// that holds the file FORMAT, only where neither the repository nor the marker
// says that there ever was one; otherwise it fails with ErrBranchMissing. In a
// clone that has the branch as origin's only, the local branch begins there.
//
// In a mirror it is the remote that is asked. Where that cannot be reached, or
// has lost or replaced the branch, and the mirror has it, the log opens with what
// the mirror has, so that what it says is known; see [Log.Stale].
func OpenLog(ctx context.Context, cfg LogConfig) (*Log, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	ref, err := branchRef(cfg.Branch)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &Log{cfg: cfg, ref: ref, roused: make(chan struct{}, 1)}
	if err := cfg.Repo.checkNotCheckedOut(ref); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if err := l.open(ctx); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return l, nil
}

func (c LogConfig) check() error {
	if c.Repo == nil {
		return errors.New("no repository")
	}
	return c.Identity.check()
}

// open finds or begins the branch. It holds the write lock, so that two
// processes do not both begin it, and so that a ref whose writer is about to
// make it durable is not read too early.
func (l *Log) open(ctx context.Context) error {
	if l.cfg.Repo.upstream != nil {
		return l.openMirrored(ctx)
	}
	lock, err := l.cfg.Repo.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	tip, err := l.cfg.Repo.readRef(l.ref)
	if errors.Is(err, ErrNotFound) {
		tip, err = l.begin(ctx)
	}
	if err != nil {
		return err
	}
	if err := l.checkFormat(tip); err != nil {
		return err
	}
	l.tip, l.head = tip, tip.String()
	return l.mark()
}

// begin creates the branch.
func (l *Log) begin(ctx context.Context) (plumbing.Hash, error) {
	r := l.cfg.Repo
	remote := "refs/remotes/origin/" + l.cfg.Branch
	tip, err := r.readRef(remote)
	if errors.Is(err, ErrNotFound) {
		if err := l.mayBegin(ctx); err != nil {
			return plumbing.ZeroHash, err
		}
		tip, err = l.writeFormat()
	}
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return tip, r.updateRef(ctx, l.ref, plumbing.ZeroHash, tip)
}

// mayBegin fails if the branch once existed, or is not to be begun.
func (l *Log) mayBegin(ctx context.Context) error {
	if err := l.checkNeverWas(); err != nil {
		return err
	}
	if l.cfg.MayBegin == nil {
		return nil
	}
	return l.cfg.MayBegin(ctx)
}

// checkNeverWas fails if the marker says that the branch once existed.
func (l *Log) checkNeverWas() error {
	if l.cfg.Marker == "" {
		return nil
	}
	_, err := os.Stat(l.cfg.Marker)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s has no branch %s, but %s says that it once had one", ErrBranchMissing, l.cfg.Repo.path, l.cfg.Branch, l.cfg.Marker)
}

// writeFormat publishes the first commit, which no ref names yet.
func (l *Log) writeFormat() (plumbing.Hash, error) {
	var w packWriter
	id, err := l.formatCommit(&w)
	if err != nil {
		return id, err
	}
	_, err = l.cfg.Repo.publish(&w)
	return id, err
}

// formatCommit makes the first commit.
func (l *Log) formatCommit(w *packWriter) (plumbing.Hash, error) {
	blob, err := w.put(plumbing.BlobObject, []byte(formatText))
	if err != nil {
		return plumbing.ZeroHash, err
	}
	root, err := w.put(plumbing.TreeObject, encodeTree([]treeEntry{{formatFile, filemode.Regular, blob}}))
	if err != nil {
		return plumbing.ZeroHash, err
	}
	by := stamp{l.cfg.Identity, l.cfg.Now()}
	c := &commit{tree: root, author: by, committer: by, message: "begin the log\n"}
	return c.write(w, l.cfg.Signer)
}

// checkFormat refuses a branch that is not a log of this format.
func (l *Log) checkFormat(tip plumbing.Hash) error {
	text, err := l.cfg.Repo.readFile(tip, formatFile)
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: branch %s is not a log: it has no file %s", ErrUnsupported, l.cfg.Branch, formatFile)
	}
	if err != nil {
		return err
	}
	if string(text) != formatText {
		return fmt.Errorf("%w: branch %s is a log of an unknown format", ErrUnsupported, l.cfg.Branch)
	}
	return nil
}

// mark writes the marker, durably, if it is not there.
func (l *Log) mark() error {
	marker := l.cfg.Marker
	if marker == "" {
		return nil
	}
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	dir := filepath.Dir(marker)
	if err := l.cfg.Repo.disk.makeDirs(dir, 0o777); err != nil {
		return fmt.Errorf("write marker: %w", err)
	}
	text := fmt.Sprintf("The branch %s of %s was seen on %s, at commit %s.\n",
		l.cfg.Branch, l.cfg.Repo.path, l.cfg.Now().UTC().Format(time.DateOnly), l.tip)
	tmp, err := l.cfg.Repo.disk.writeTemp(dir, ".marker-", 0o644, []byte(text))
	if err != nil {
		return fmt.Errorf("write marker: %w", err)
	}
	if err := os.Rename(tmp, marker); err != nil {
		return fmt.Errorf("write marker: %w", errors.Join(err, os.Remove(tmp)))
	}
	return l.cfg.Repo.disk.syncDir(dir)
}

// Head returns the id of the newest commit known to be durable. Commits of
// other writers are known after Sync or Append.
func (l *Log) Head() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// Sync looks whether other writers have moved the branch, and returns its
// head. It fails with ErrRewritten if the branch no longer descends from the
// head known before, and with ErrBranchMissing if it is gone; the head then
// stays as it was.
//
// With a remote it is the remote that is asked.
func (l *Log) Sync(ctx context.Context) (head string, err error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("sync log: %w", err)
	}
	if l.cfg.Repo.upstream != nil {
		head, err := l.pull(ctx)
		if err != nil {
			return "", fmt.Errorf("sync log: %w", err)
		}
		return head, nil
	}
	for {
		known := l.Head()
		tip, err := l.follow(ctx, plumbing.NewHash(known))
		if err != nil {
			return "", fmt.Errorf("sync log: %w", err)
		}
		if l.advance(known, tip.String()) {
			return tip.String(), nil
		}
	}
}

// advance sets the head if it is still what the caller based its finding on.
func (l *Log) advance(from, to string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head != from {
		return false
	}
	l.head = to
	return true
}

// follow returns what the branch holds now, which descends from known.
func (l *Log) follow(ctx context.Context, known plumbing.Hash) (plumbing.Hash, error) {
	r := l.cfg.Repo
	tip, err := r.readRef(l.ref)
	if errors.Is(err, ErrNotFound) {
		return tip, fmt.Errorf("%w: %s is gone from %s", ErrBranchMissing, l.cfg.Branch, r.path)
	}
	if err != nil || tip == known {
		return tip, err
	}
	descends, err := r.isAncestor(ctx, known, tip)
	if err != nil {
		return tip, err
	}
	if !descends {
		return tip, fmt.Errorf("%w: %s in %s is at %s, which does not descend from %s", ErrRewritten, l.cfg.Branch, r.path, tip, known)
	}
	// Its writer may not have come to this yet, and what is read here may be
	// acted upon. The directory is missing where all its refs are packed.
	err = r.disk.syncDir(filepath.Dir(r.refFile(l.ref)))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return tip, err
}

// check refuses batches that could never be written.
func (b Batch) check() error {
	if len(b.Entries) == 0 {
		return fmt.Errorf("%w: batch without entries", ErrInvalid)
	}
	if b.Have < 0 {
		return fmt.Errorf("%w: batch expects %d entries", ErrInvalid, b.Have)
	}
	seen := make(map[string]bool, len(b.Entries))
	for _, e := range b.Entries {
		if err := checkLogPath(e.Path); err != nil {
			return err
		}
		if path.Dir(e.Path) != b.Dir {
			return fmt.Errorf("%w: %q does not lie directly in %q", ErrInvalid, e.Path, b.Dir)
		}
		if seen[e.Path] {
			return fmt.Errorf("%w: %q stands in the batch twice", ErrInvalid, e.Path)
		}
		seen[e.Path] = true
		if _, err := cleanMessage(e.Message); err != nil {
			return err
		}
		if len(e.Data) > maxObject {
			return fmt.Errorf("%w: %q has %d bytes", ErrInvalid, e.Path, len(e.Data))
		}
		if !e.Time.IsZero() && (e.Time.Unix() < 0 || e.Time.Year() > 9999) {
			return fmt.Errorf("%w: %q has the time %v", ErrInvalid, e.Path, e.Time)
		}
	}
	return nil
}
