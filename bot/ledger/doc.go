// Package ledger turns events into files and files into requests.
//
// # The format
//
// Each event is one YAML file in one commit of its own:
//
//	requests/2026/11/23/01KAQ…/0002-approved.yaml
//
//	version: 1
//	event_id: click:C0ACCESS:1763876410.000300:approve:U0BOB:1763876431.000100
//	request: 01KAQ…
//	event: approved
//	at: 2026-11-23T05:40:31Z
//	by:
//	    email: bob@example.com
//	    slack: U0BOB
//	config_commit: 4f1c…
//	rules: 1
//	source: reviewer
//	approvers:
//	    - email: bob@example.com
//	      slack: U0BOB
//	expires_at: 2026-11-23T06:40:31Z
//	target:
//	    provider: gitops
//	    with:
//	        file: "access.yaml"
//	        key: "payments.admins"
//
// The date in the path is that of the filing, in UTC. Files are numbered from
// 0001 without gaps and never changed. An empty `by` is the bot itself. What
// people wrote is always double-quoted, and stands in the file only: a commit
// message holds nothing but ids, addresses, resource names and times.
//
// Pre-approvals are kept by the same rules, in allowances/2026/11/23/01KAQ…/:
// 0001-approved.yaml makes one, a reminded.yaml for each person who was told of
// its end names the message that told them, and a revoked.yaml withdraws it.
//
// What sweeps find of people whose access the log knows nothing of stands in
// sweeps/2026/11/23/01KAQ…/0001-found.yaml: the target, who has appeared there,
// and who of those found before is gone.
//
// Version 1 stays readable for ever: what this package once wrote, it reads.
// The golden files under testdata hold one file of each kind and are only ever
// added to.
//
// # The projection
//
// A [Ledger] folds the log into requests. [Ledger.Update] is the one way to
// change a request: it decides on the present state, appends, and decides again
// where somebody else was faster. An old decision is never carried over to a new
// state.
//
// Writing takes a while, above all where the log has a remote. Who changes a request
// meanwhile builds on what is on its way: both are then written together, or in their
// order. What one builds on is named by its bytes, so that nothing else can take its
// place unseen. A refusal must be true, so it waits for what is on its way.
//
// # What is in memory
//
// [Open] reads the whole log and keeps it, which is right for a report. A bot
// that runs for years is opened by [Resume]: it keeps what is open, what is of
// late, and a thousand of the ended requests that were asked for last. Of the
// others a [Checkpoint] knows where in the log they stand, and by which delivery,
// message or account they are found; they are read from the log again when they
// are needed, so that nothing is ever decided on what a checkpoint says.
//
// The checkpoint is behind the log, never ahead of it but for commits that it
// names: a crash between the two costs reading some files again. One that is
// missing, damaged, or of a history that is gone is built anew from the log. What
// it must not do is lose something open: its access would never end. So the sum
// of all that is open is saved beside it, and is compared when it is loaded.
//
// # Reading fast
//
// What Encode writes is read by a small reader of our own, everything else by the
// YAML library; a fuzz test holds the one against the other.
package ledger
