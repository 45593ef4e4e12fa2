// Package remote speaks git's pack protocol with a repository elsewhere: it
// reads the refs, brings packs, and moves a ref with a pack of ours. It keeps
// nothing and decides nothing; gitstore does.
//
// An address is one of
//
//	https://host/path       a token as password, for that host only
//	http://127.0.0.1/path   the same, on loopback only
//	ssh://git@host/path     a key, and a host that known_hosts knows
//	git@host:path           the same
//	file:///path            the git of this machine
//
// # A session
//
// [Remote.Pull] and [Remote.Push] begin one and learn the refs as they are now.
// A [Push] then moves one ref from a value to another, in one message with the
// pack: a compare-and-swap by the remote. It is never go-git's Push, which
// walks the whole history for each commit.
//
// # What an error means
//
// [ErrRefused] says that the remote answered and said no: nothing was moved. After
// any other error of [Push.Send] that is not known: the answer may have been lost
// on its way. What the texts say is for people; nothing is decided by them.
//
// # Secrets
//
// A token goes to the host that it was asked for, in a header, and nowhere else:
// redirects are not followed at all. An address with a password in it is refused
// and not repeated, and an error never holds the token, whatever the remote said.
package remote
