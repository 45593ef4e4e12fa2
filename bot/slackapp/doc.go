// Package slackapp is the Slack edge: what people do in Slack becomes an
// [access.Command], and what stands in the log becomes messages, forms and the
// Home tab.
//
// # Way in
//
// Two Socket Mode clients are connected at a time, so that one is there while the
// other is exchanged (socket.go). Without an app-level token Slack brings everything
// by signed requests instead (http.go). Everything that arrives is acknowledged at
// once and then handled in order, request by request (receive.go, queue.go); only
// the submission of a form and the options of a select are answered within the
// acknowledgement, from memory. Payloads are read field by field from the raw JSON
// (payload.go): one odd field must not make a click unreadable. A click or a form
// is a proposal; Config.Handle decides and records it. The command's id derives
// from the delivery, so that the same delivery twice is seen as done.
//
// # Way out
//
// A message is a pure function of the request's state (render.go, notice.go). One
// worker a channel renders the newest state (outbox.go, deliver.go): older states
// never overwrite newer ones, and rendering again is always safe. Which message
// stands for which request is in the log, not in this package's memory.
//
// A crash between posting a message and recording it leaves a message that the log
// does not know. Each message therefore carries its request in its metadata, and
// before a message is posted that might be there already, the channel's history is
// searched for it.
//
// # Access policies
//
// What is offered and shown under access policies is foretold by the rules
// themselves (foretell.go, scene.go), from groups whose members are remembered for
// a minute (members.go). No decision rests on that: where it takes facts that are
// asked at the click, a dry run refuses nothing. Approvers are asked by direct
// message (invite.go), which follows the state like every other message.
//
// Break-glass (glass.go) takes two steps: the wish, in the form or by a button, and a
// confirmation that spells out what it means; nothing is recorded before the second.
// Whoever may review the use is told in the thread and by direct message, and every
// message about it shows how it stands with the review, also after the end.
//
// # People
//
// Who clicks is told by Slack's user id, which is looked up in the directory
// (people.go). An account that may not act (another workspace, a guest, a bot, no
// confirmed address) is handed on with the reason; the decision and its record are
// not this package's. A directory that cannot be reached decides nothing.
package slackapp
