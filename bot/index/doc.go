// Package index is the read model of the log: lists, filters, search and
// figures over all requests, answered from a file on disk instead of memory. It
// is the ledger's checkpoint, too.
//
// # What it is
//
// An [Index] is a SQLite file that can be thrown away at any time. Nothing in
// it cannot be rebuilt from the log: it holds the present state of each
// request, the columns by which requests are found, where in the log each stands
// ([Place]), and the commit of the log that all this amounts to ([Index.Head]).
// Whoever feeds it asks for the head,
// reads the log from there, and puts what changed; an empty head means
// everything. A head is written in the same transaction as the states, so a
// crash loses at most the last batches, and they are fed again.
//
// What is found is defined elsewhere: [access.Filter.Match], [access.Request.LiveAt]
// and [access.Count]. The test of this package holds every answer against them.
//
// # The file
//
// A file is recognized by its application id. One of another version, or
// damaged, is replaced by an empty one; a file that is not an index is never
// touched. The version is a fingerprint of the tables, of the type
// [access.Request], and of what is drawn from a specimen request, so that a
// change of any of these needs nobody to think of the files out there.
//
// The file belongs to one process. It is in WAL mode with synchronous=NORMAL: a
// power cut may lose the newest batches together with their head, never leave
// a head without its states.
//
// # Free text
//
// Words are looked for by scanning the text of all requests, each word of a
// request kept once. That was measured against FTS5 with trigrams, on a table of
// nothing but the texts of 50,000 requests: any word took 7 to 28 ms, against 1
// ms for rare words and 40 for common ones, in half the room or a quarter of it,
// and the table was filled in 0.1 s instead of 3 to 4. It is exact for words of
// any length, and has no query language in which a word could mean something.
// It grows with the text: 150,000 requests take about 0.1 s.
package index
