// Package gitstore keeps an append-only log on a branch of a git repository,
// and reads and edits other branches. It knows bytes, paths and commits, not
// what they mean. It is built on go-git's formats; go-git's types do not show.
//
// # The log
//
// A Log is a branch of its own. Its first commit adds the file FORMAT, every
// later one adds exactly one file below requests/, allowances/, reviews/,
// sweeps/ or erasures/, and changes nothing else. History is linear, author
// and committer are the bot, and every commit carries an SSH signature that
// git verify-commit checks. So git log is the audit trail, and a clone is all
// that an auditor needs. Verify checks all this, offline, on any clone.
//
// Append is a compare-and-swap: a Batch says how many entries its directory
// holds already, and is refused with ErrConflict where that is not so. Whoever
// is refused reads what happened meanwhile (Sync, Scan) and decides again.
//
// # What survives what
//
// Callers that come while a write is under way share the next one: one pack,
// one move of the branch. Its order is what makes a crash harmless:
//
//  1. The pack and its index are written as temporary files and synced.
//     A crash leaves temporary files, which the next writer removes.
//  2. They get their names, the pack first, and the directory is synced.
//     A crash leaves objects that no ref leads to.
//  3. The new value of the branch is written to a temporary file and synced;
//     the branch's lock file becomes a second name of it. A crash leaves a
//     lock, which the next writer knows to be a dead writer's and removes.
//  4. The lock is renamed over the branch. From here on the entries exist. A
//     process that is killed here has written them, though nobody was told.
//  5. The directory is synced, and the callers are answered.
//
// Writers of this package, in whatever process, take turns by an flock(2) in
// the repository's directory countersign/, which git ignores. git itself is
// kept apart by its own protocol, the lock file of the branch. Hard links and
// flock are needed: a Unix and a local file system.
//
// # Reading
//
// Packs and their indexes are mapped into memory, so that opening a repository costs
// the same at any size; a disk that fails under a mapping is an error like any other.
// Scan reads each commit once, as long as there is room for what it needs of it, and
// of the trees those on the way to the file that was added. It reads ahead while its
// caller is at work.
//
// A pack from elsewhere gets its index here: its checksum, its count, every object and
// every base of a delta are checked before it has a name, and nothing that it says
// about sizes is believed before there are bytes for it.
//
// # With a remote
//
// A repository opened by OpenMirror is a mirror of one elsewhere, reached as
// package remote describes. A Log and an Edit in it write at the remote: the push
// that it accepts is the commit point, and no branch moves here before. pushlog.go
// says what a crash means at each step.
//
// After an error of a push nobody knows what became of it, so the remote is asked:
// if the branch leads to our commit, it was accepted; if it has moved otherwise, that
// is ErrConflict, and the caller decides again; if the remote said no, that is
// ErrRefused; and only if there is no telling, ErrUncertain. Of a Batch whose
// caller gave up before it was sent nothing is ever written.
//
// A branch that no longer descends from what it held before (ErrRewritten), or is
// gone (ErrBranchMissing), stops all writing until it is back. What was read stays
// readable, also after a restart. A second history is never begun.
//
// Batches that may wait share pushes; see sparing.go.
package gitstore
