package slackapp

import (
	"context"
	"time"
)

// An intake is the way on which Slack's deliveries arrive: [sockets] or [requests].
// Each hands them to [App.receive].
type intake interface {
	// run takes deliveries until ctx ends; what it has taken by then is handed on.
	// An error is one that no waiting can mend.
	run(ctx context.Context) error
	// ready says why nothing can arrive now.
	ready() error
	// up counts the connections that Slack can use; none where Slack makes its own.
	up() int
}

// An acker acknowledges deliveries to where they came from.
type acker interface {
	// ack acknowledges the delivery of that id, which arrived at since, with the
	// answer that it takes; nil: none. It reports whether that was sent, waits no
	// longer than Slack does, and is called at most once a delivery.
	ack(id string, answer any, since time.Time) bool
}
