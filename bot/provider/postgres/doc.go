// Package postgres gives access by membership in a role of a PostgreSQL server,
// version 14 or later.
//
// A target's `with` has dsn_env (the name of the environment variable with the
// connection string), role (the role that is given) and terminate (true: the
// end also ends the person's sessions; false unless set).
//
// # Who gets it
//
// The member is the role people.postgres, else the one named like the person's
// address. It must exist and be able to log in: what cannot is a group, and
// would give to many what was approved for one. The subject is its name, a #
// sign, its number (oid), a dot and the server's system_identifier in base 36,
// such as "alice#16385.1mlaub4y7l1t2". On that server the number counts: a role
// that was renamed still loses what it was given, and one that was made anew
// under an old name is not taken for the old one. On another server, as after
// pg_upgrade or a restore from a dump, the numbers may be other people's, and
// the name counts. A name holds at most 63 bytes (the server cuts longer ones
// silently, and might then mean another role) and no # sign.
//
// # What is ours
//
// A membership is ours where pg_auth_members names our own user as its grantor.
// Only such a one is ever revoked. One that somebody else gave is reported as
// present, is never doubled, and makes Revoke answer an error that names the
// grantor, since the person still has the access.
//
//   - Up to PostgreSQL 15 there is one membership of a person in a role, and the
//     grantor is who made it first, or who last added the ADMIN OPTION. REVOKE
//     would take any, so the grantor is looked at in the same transaction.
//   - From 16 on each grantor may give the same membership once. Ours is given
//     and revoked GRANTED BY CURRENT_USER, which leaves the others alone. A
//     membership that only administers, with neither INHERIT nor SET, is not the
//     access and does not count.
//
// Access by way of a further role (a role of the person's is a member of the
// given one) is neither seen nor touched. Roles are given by their name: if the
// given role itself is renamed while somebody has it, it is gone for this
// package, and the membership must be revoked by hand.
//
// VALID UNTIL is not set: it ends a password, not a membership, and not even the
// sessions that it opened. The end comes from the bot alone.
//
// # What the bot's user needs
//
// A role of its own with LOGIN, no superuser, and GRANT role TO bot WITH ADMIN
// OPTION (up to 15, CREATEROLE would do as well and is far too much); for
// terminate also GRANT pg_signal_backend TO bot. Keep the name of that user:
// what another one gave is not its own, and it cannot revoke it.
//
// Grant refuses, and Revoke never does:
//
//   - a superuser as the bot's own user: from PostgreSQL 16 on all superusers
//     grant under one name, so that what is ours cannot be told;
//   - a role with which a holder could keep access past the end, itself or by
//     what it is a member of: a superuser, one with CREATEROLE or an ADMIN
//     OPTION, the bot's own user, and pg_read_server_files,
//     pg_write_server_files and pg_execute_server_program, which the manual
//     equates with superusers;
//   - with terminate, a member whose sessions the bot may not end.
//
// # Sessions
//
// REVOKE does not end a session that did SET ROLE before: it keeps the rights of
// the given role until it ends or resets. Which role another session has set
// cannot be known; who logged in can. So terminate ends all sessions for which
// the member logged in, to any database, and nobody else's: a member behind a
// connection pool that logs in as somebody else is not reached. What a holder
// made or handed on with the role's rights stays.
//
// # Connections
//
// Each call has a connection and a transaction of its own, a few at once for
// each dsn_env. Nothing is kept, so a server may restart at any time. The
// connection string comes from the operator and may name a Unix socket. To
// another machine it says sslmode itself (verify-full, or disable): the default
// falls back to plain text where somebody in between wants it. A standby is
// refused, since what it says is old. The string, its host and user appear in
// no error; the names of roles do.
package postgres
