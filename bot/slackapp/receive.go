package slackapp

import (
	"context"
	"time"
)

// receive takes one envelope: it is acknowledged within the time that Slack gives,
// and handled after that. It is called by one goroutine a socket or request and does
// not wait for anything but the acknowledgement.
func (a *App) receive(l acker, e envelope) {
	since := time.Now()
	if e.id == "" {
		return
	}
	switch e.kind {
	case "slash_commands":
		a.receiveCommand(l, e, since)
	case "interactive":
		a.receiveInteraction(l, e, since)
	case "events_api":
		a.receiveEvent(l, e, since)
	default:
		// Unknown to us. Unacknowledged, Slack would send it again and again.
		l.ack(e.id, nil, since)
	}
}

// busy is what people read when too much is going on at once.
const busy = "Countersign has too much to do right now, and nothing happened. Please try again in a minute."

func (a *App) receiveCommand(l acker, e envelope, since time.Time) {
	c := slashOf(e.payload)
	if !a.first(c.id()) {
		l.ack(e.id, nil, since)
		return
	}
	if a.jobs.add("user "+c.user, func(ctx context.Context) { a.command(ctx, c) }) {
		l.ack(e.id, nil, since)
		return
	}
	l.ack(e.id, map[string]string{"response_type": "ephemeral", "text": busy}, since)
}

func (a *App) receiveInteraction(l acker, e envelope, since time.Time) {
	p := e.payload
	switch p.str("type") {
	case "block_suggestion":
		l.ack(e.id, a.suggest(p), since)
	case "view_submission":
		answer, job := a.submitted(p)
		if l.ack(e.id, answer, since); job != nil {
			a.enqueue("user "+p.str("user", "id"), reply{user: p.str("user", "id")}, job)
		}
	case "block_actions":
		l.ack(e.id, nil, since)
		for i := range p.list("actions") {
			c := clickOf(p, i)
			c.ours = a.ours(p.at("message"))
			a.receiveClick(c)
		}
	case "shortcut":
		l.ack(e.id, nil, since)
		s := shortcutOf(p)
		if a.first(eventID("shortcut", s.trigger)) {
			a.enqueue("user "+s.user, reply{user: s.user}, func(ctx context.Context) { a.shortcut(ctx, s) })
		}
	default:
		l.ack(e.id, nil, since)
	}
}

// receiveClick queues a click behind what is under way for the same request.
func (a *App) receiveClick(c click) {
	key := "user " + c.user
	if c.request != "" {
		key = "request " + c.request
	}
	if a.first(c.id) {
		a.enqueue(key, c.reply(), func(ctx context.Context) { a.clicked(ctx, c) })
	}
}

// enqueue takes a job that is acknowledged already. If there are too many, the
// person is told that nothing happens, once where they press again meanwhile.
func (a *App) enqueue(key string, to reply, job func(context.Context)) {
	if !a.jobs.add(key, job) {
		a.out.add(busyLane, "user "+to.user, func(ctx context.Context, _ *task) error {
			a.tell(ctx, to, say(busy))
			return nil
		})
	}
}

// first reports whether a delivery was not seen before by this process. The log
// knows what was recorded; but a form would be opened twice, and an answer given
// twice.
func (a *App) first(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.delivered[id] {
		return false
	}
	if len(a.delivered) >= 5000 {
		clear(a.delivered)
	}
	a.delivered[id] = true
	return true
}

// receiveEvent queues an event. One that cannot be queued is not acknowledged:
// Slack sends it again later.
func (a *App) receiveEvent(l acker, e envelope, since time.Time) {
	key, job := a.event(e.payload)
	if job != nil && !a.jobs.add(key, job) {
		return
	}
	l.ack(e.id, nil, since)
}
