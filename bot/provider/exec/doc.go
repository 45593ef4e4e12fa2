// Package exec gives access by a program of the operator's, for everything that
// has no provider of its own and no receiver of webhooks.
//
// A target's `with` has command: the program's path below the directory of
// programs (--exec-dir), and its arguments. No shell reads it and nothing is put
// into it.
//
// # What the program is given
//
// The order as one line of JSON on the standard input:
//
//	{"action":"grant","request":"01J…","principal":"alice@example.com",
//	 "resource":"ssh/bastion","expires_at":"2030-01-02T03:04:05Z"}
//
// The action is grant or revoke; the principal is the address of the person as it
// was recorded with the grant. Of the environment there is this and no more, so
// that no credential of the bot's gets into a program:
//
//	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
//	LANG=C.UTF-8
//	TZ=UTC
//
// The working directory is the directory of programs. The user is the bot's.
//
// # What the program must do
//
//   - See to it that the access is there (grant) or is gone (revoke), each time
//     that it is asked. A grant with a later expires_at extends the access.
//   - Write {"changed":…,"present_before":…} to the standard output, and nothing
//     else: whether this changed anything, and whether the access was there before.
//   - Answer the same order again what it answered at first. A call whose answer
//     was lost is made again, and must not take the first call's work for something
//     that was there before.
//   - Exit with 0. Whatever else it exits with, and a signal, means that it did not
//     succeed; its effect is unknown, its answer does not count, and the bot asks
//     again.
//
// {"changed":false,"present_before":true} to a revoke is no success, for it says
// that the access is still there; nor is false and false to a grant. Access that
// is gone already, and a person who no longer exists, are revoked: exit with 0
// and {"changed":false,"present_before":false}.
//
// The end of what it writes to the standard error, 300 characters at most, goes
// into the error and so into the log, which keeps it for ever: it must write no
// secret there. The standard output is 64 KiB at most; a program that writes more
// is killed.
//
// # Processes
//
// The program and whatever it starts are a process group of their own. At the
// deadline the group is killed, without warning. It is killed too as soon as the
// program has ended: nothing that it left in the background goes on, or keeps the
// bot waiting. What leaves the group (setsid) lives, and after three seconds its
// hold of the output is no longer waited for. Where the bot is the first process
// of a container, run it under an init, which reaps what is left of the killed.
//
// # Which programs
//
// The configuration names the program, and whoever may propose a change to that
// must not run others. So exec is off unless the directory is set, and a program
// runs only if, with every symbolic link followed, it lies inside that directory;
// and if neither it nor any directory on the way to it belongs to anybody but root
// and the bot's user, or may be written by group or others. Above the directory
// of programs sticky ones, such as /tmp, may be.
//
// The bot never asks who has an access, so that [Provider.Has] answers unknown.
// Whether it was there before is known from the answer to the first grant, which
// [Provider.GrantObserving] returns.
//
// testdata/sshcert is an example: it issues an OpenSSH certificate that is valid
// for the granted time.
package exec
