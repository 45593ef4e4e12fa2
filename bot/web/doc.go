// Package web is the dashboard: what was asked for, who decided, who has what
// now and had at any time before. It reads and cannot write.
//
// # Pages
//
// [Server] answers these, all of them to GET and HEAD alone:
//
//	/                  what is live, pending, failing or unreviewed now
//	/requests          all requests, filtered by the address; ?open=ID opens one beside the list
//	/requests.tsv      the same selection as a table, in the bytes of package report
//	/requests/{id}     one request: its whole life, its conversation, its commits
//	/approvals         who decided how much and how fast, in pictures and tables
//	/asof              who had what at a moment, and who could have approved it
//	/changes           server-sent events: ids of requests that changed
//
// Every page is whole without JavaScript; the one script adds comfort. The same
// templates make the static copy that [Site] writes.
//
// # Who sees what
//
// A [Viewer] comes with each request, from whoever signs people in. One who may
// not see everything sees the requests that they ask for or get, and nothing
// else: a request of others answers as one that does not exist. The filter for
// that is made in one place, [Server.scope], and everything that is read passes
// through it or through [Server.visible].
//
// # Text of people
//
// html/template escapes what people wrote, links are made of http and https
// addresses only, and no character that reorders text leaves this package.
package web
