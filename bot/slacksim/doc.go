// Package slacksim is a Slack workspace that runs on one machine: its Web API, its
// Socket Mode and HTTP mode, and its pages in a browser, for trying the program out and
// for testing it end to end.
//
// It is an implementation of its own. It builds Slack's JSON by hand and knows neither
// the client library nor any other package of this program, so that a mistake in one of
// them is not repeated, and thereby hidden, here.
//
// # Where it is strict
//
// Everything an app sends is judged by the limits that Slack documents: token kinds and
// scopes, membership, triggers (3 seconds, once), blocks down to single fields, message
// and view sizes, the acknowledgement within 3 seconds. What Slack would refuse is
// refused with Slack's error. What Slack would refuse because of a mistake in the app, and
// what it would let pass but is bad manners all the same, is also kept as a [Finding].
//
// # The parts
//
//   - [World] is what the workspace starts with: people, channels, and one app.
//   - Server.Handler serves the app ("/api/", "/socket/", "/hooks/") and the browser
//     ("/", "/sim/", "/archives/").
//   - Server.Deliver switches to HTTP mode: signed requests to the app instead of sockets.
//   - [Actor] is one person: posts, gives commands, clicks, submits. The browser does the
//     same through POST /sim/act.
//   - [Fault] and [Chaos] make the network and Slack misbehave.
//
// # Time
//
// Config.Now dates messages and events. Durations of the protocol (the life of a trigger,
// the time to acknowledge) are measured with the machine's clock, see [Timing].
//
// # Locks
//
// One mutex guards the workspace; it is never held during a write to the network. Methods
// of workspace expect it to be held. The hub (sockets), the trace, and the watchers have
// a mutex each, which may be taken while the workspace's is held, never the other way.
package slacksim
