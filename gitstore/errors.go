package gitstore

import "errors"

// The errors below are matched with errors.Is. Each says whether something
// may have been written. Errors that match none of them are faults of the
// machine (a full disk, a permission): nothing was written to the branch.
var (
	// ErrNotRepository says that a path holds no git repository.
	ErrNotRepository = errors.New("not a git repository")

	// ErrUnsupported says that a repository exists but cannot be trusted or
	// understood here: shallow or grafted (its history has gaps), SHA-256,
	// reftable, partial.
	ErrUnsupported = errors.New("unsupported repository")

	// ErrNotFound says that a branch, commit, directory or file does not exist.
	ErrNotFound = errors.New("not found")

	// ErrExists says that what should be created is there already. Nothing
	// was written.
	ErrExists = errors.New("already exists")

	// ErrInvalid says that an argument can never be written: a hostile path,
	// a name with a line break. Nothing was written.
	ErrInvalid = errors.New("invalid argument")

	// ErrConflict says that the directory of a Batch does not hold what the
	// caller believed: somebody else wrote, or an earlier attempt of the
	// caller succeeded although it reported an error. Nothing of the batch
	// was written; the caller reads again and decides again.
	ErrConflict = errors.New("conflict")

	// ErrRewritten says that the branch no longer descends from the commit
	// known last: its history was replaced. Nothing was written, and nothing
	// will be until the Log is opened anew.
	ErrRewritten = errors.New("history was rewritten")

	// ErrBranchMissing says that the log's branch is gone although it once
	// existed. Nothing was written; a second history is never begun.
	ErrBranchMissing = errors.New("branch is missing")

	// ErrLocked says that another program holds the lock file of a branch, or
	// left it behind. Nothing was written.
	ErrLocked = errors.New("branch is locked")

	// ErrCheckedOut says that a branch is checked out in a work tree, which a
	// write would leave looking modified. Nothing was written.
	ErrCheckedOut = errors.New("branch is checked out")

	// ErrRefused says that the remote did not take what was pushed: a hook or a
	// rule of it said no. Nothing was written. Trying again changes nothing.
	ErrRefused = errors.New("refused by the remote")

	// ErrUncertain says that the write may or may not have been made: the
	// caller gave up while it was under way, or the last step failed. Whoever
	// tries again finds out: what was written answers with ErrConflict.
	ErrUncertain = errors.New("may have been written")

	// ErrCorrupt says that an object cannot be what its id says.
	ErrCorrupt = errors.New("corrupt object")
)
