package slackapp

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// heard takes a message event, as [App.event] does.
func (a *App) heard(p payload) (string, func(context.Context)) {
	channel, root := p.str("event", "channel"), a.early(p.at("event"))
	if root == "" {
		a.hear(p)
		return "", nil
	}
	// Somebody answered faster than the message above got into the log.
	return waitingBelow(channel, root), func(ctx context.Context) {
		a.awaitRecord(ctx, channel, root, 8*time.Second)
		a.hear(p)
	}
}

// early is the message of ours that an event's message is a reply to, where the log
// does not know it; empty otherwise.
func (a *App) early(ev payload) string {
	for _, m := range []payload{ev, ev.at("message"), ev.at("previous_message")} {
		root := m.str("thread_ts")
		if root == "" || root == m.str("ts") || m.str("parent_user_id") != a.self().User || a.ours(m) {
			continue
		}
		if _, known := a.cfg.Reader.ByPost(ev.str("channel"), root); !known {
			return root
		}
	}
	return ""
}

// hear takes a message event. What belongs to the thread of a request is recorded;
// nothing that is written there decides anything.
func (a *App) hear(p payload) {
	ev, id := p.at("event"), eventID("event", p.str("event_id"))
	channel := ev.str("channel")
	switch ev.str("subtype") {
	case "", "thread_broadcast", "file_share", "bot_message", "me_message":
		if request, ok := a.threadOf(channel, ev); ok {
			a.record(request, id, func(ctx context.Context) error { return a.said(ctx, request, id, ev) })
		}
	case "message_changed":
		a.heardChange(channel, id, ev)
	case "message_deleted":
		old := ev.at("previous_message")
		if request, ok := a.threadOf(channel, old); ok {
			a.record(request, id, func(ctx context.Context) error {
				return a.deleted(ctx, request, id, first(ev.str("deleted_ts"), old.str("ts")), old)
			})
		}
	}
}

func (a *App) heardChange(channel, id string, ev payload) {
	now, old := ev.at("message"), ev.at("previous_message")
	request, ok := a.threadOf(channel, now)
	if !ok {
		if request, ok = a.threadOf(channel, old); !ok {
			return
		}
	}
	if now.str("subtype") == "tombstone" {
		a.record(request, id, func(ctx context.Context) error { return a.deleted(ctx, request, id, now.str("ts"), old) })
		return
	}
	a.record(request, id, func(ctx context.Context) error { return a.edited(ctx, request, id, now, old) })
}

// threadOf finds the request under whose message somebody replied. The bot's own
// messages are no conversation.
func (a *App) threadOf(channel string, m payload) (string, bool) {
	root := m.str("thread_ts")
	if root == "" || root == m.str("ts") || a.ours(m) {
		return "", false
	}
	id, ok := a.cfg.Reader.ByPost(channel, root)
	if !ok {
		return "", false
	}
	r, ok := a.cfg.Reader.Request(id)
	if p, posted := r.ApprovalPost(); !ok || !posted || p.Channel != channel || p.TS != root {
		return "", false
	}
	return id, true
}

// record queues an entry of a conversation. It is tried until it is in the log, in
// the order in which it was said.
func (a *App) record(request, key string, do func(context.Context) error) {
	a.out.add(threadLane+request, key, func(ctx context.Context, _ *task) error { return do(ctx) })
}

// said records a reply.
func (a *App) said(ctx context.Context, request, id string, m payload) error {
	text := content(m)
	err := a.put(ctx, access.Command{
		ID: id, Actor: a.author(ctx, m),
		Do: access.Say{Request: request, TS: m.str("ts"), Bot: botOf(m), Text: text},
	})
	if err == nil {
		a.warnSecret(ctx, request, m, text)
	}
	return err
}

// edited records an edit. The reply itself may not have arrived: then what it said
// before is recorded first.
func (a *App) edited(ctx context.Context, request, id string, now, old payload) error {
	text, ts := content(now), now.str("ts")
	before := now
	if old.has("ts") {
		before = old
	}
	if err := a.saidBefore(ctx, request, id, ts, before); err != nil {
		return err
	}
	by := a.author(ctx, now)
	if editor := now.str("edited", "user"); editor != "" && editor != by.Slack {
		by = a.person(ctx, editor)
	}
	err := a.put(ctx, access.Command{ID: id, Actor: by, Do: access.EditMessage{Request: request, TS: ts, Text: text}})
	if err == nil {
		a.warnSecret(ctx, request, now, text)
	}
	return err
}

// saidBefore records what an edit or a deletion is about, where the log does not
// know it yet: the two sockets keep no order between them.
func (a *App) saidBefore(ctx context.Context, request, id, ts string, m payload) error {
	r, ok := a.cfg.Reader.Request(request)
	known := slices.ContainsFunc(r.Messages, func(x access.Message) bool { return x.TS == ts })
	if !ok || known || m.str("ts") != ts {
		return nil
	}
	return a.said(ctx, request, eventID(id, "before"), m)
}

// deleted records that a reply was deleted. Slack does not say by whom; only its
// author and admins can.
func (a *App) deleted(ctx context.Context, request, id, ts string, old payload) error {
	if err := a.saidBefore(ctx, request, id, ts, old); err != nil {
		return err
	}
	return a.deletedBy(ctx, request, id, ts, old.str("user"))
}

func (a *App) deletedBy(ctx context.Context, request, id, ts, author string) error {
	var by access.Actor
	if author != "" {
		by = a.person(ctx, author)
	}
	return a.put(ctx, access.Command{ID: id, Actor: by, Do: access.DeleteMessage{Request: request, TS: ts}})
}

// put hands an entry on. A refusal cannot be mended by trying again.
func (a *App) put(ctx context.Context, c access.Command) error {
	_, err := a.cfg.Handle(ctx, c)
	if why, refused := access.AsRefusal(err); refused {
		a.log.Warn("a reply was refused by the log", "id", c.ID, "reason", why.Text)
		return nil
	}
	return err
}

// author is who wrote a message; nobody for an app's.
func (a *App) author(ctx context.Context, m payload) access.Actor {
	user := m.str("user")
	if user == "" || botOf(m) != "" {
		return access.Actor{}
	}
	return a.person(ctx, user)
}

// person looks somebody up; while the directory is out of reach, the Slack id alone
// has to do: what was said is recorded in any case.
func (a *App) person(ctx context.Context, user string) access.Actor {
	actor, err := a.people.actor(ctx, user)
	if err != nil {
		return access.Actor{Person: access.Person{Slack: user}}
	}
	return actor
}

// botOf is the app or bot that wrote a message; empty for a person.
func botOf(m payload) string { return first(m.str("bot_id"), m.str("app_id")) }

// content is the text of a message as it was typed, with the names of its files.
func content(m payload) string {
	parts := []string{unescape(m.str("text"))}
	for _, f := range m.list("files") {
		parts = append(parts, "[file: "+first(f.str("name"), f.str("title"), f.str("id"), "unnamed")+"]")
	}
	if parts[0] == "" {
		for _, x := range m.list("attachments") {
			parts = append(parts, unescape(first(x.str("fallback"), x.str("text"))))
		}
	}
	text := strings.TrimSpace(strings.Join(parts, "\n"))
	if text == "" {
		return "[a message without text]"
	}
	return text
}

// warnSecret tells somebody who pasted a secret what to do. The log keeps only that
// there was one.
func (a *App) warnSecret(ctx context.Context, request string, m payload, text string) {
	_, kinds := access.Redact(text)
	r, ok := a.cfg.Reader.Request(request)
	p, posted := r.ApprovalPost()
	if len(kinds) == 0 || !ok || !posted || m.str("user") == "" || botOf(m) != "" {
		return
	}
	a.tell(ctx, reply{user: m.str("user"), channel: p.Channel, thread: p.TS},
		say("Your message seems to contain a secret ("+strings.Join(kinds, ", ")+"). Please delete the message and replace the secret: others have seen it. The audit log keeps only that there was one."))
}

// backfill reads the threads of what is open, for what was said while nobody
// listened. It goes gently: one thread after the other.
func (a *App) backfill(ctx context.Context, _ *task) error {
	pause := time.Duration(0)
	for _, r := range a.cfg.Reader.Lately() {
		post, ok := r.ApprovalPost()
		if !ok || r.Status.Ended() && time.Since(r.Last) > time.Hour {
			continue
		}
		if !sleep(ctx, pause) {
			return nil
		}
		pause = 1200 * time.Millisecond
		if err := a.compare(ctx, r, post); err != nil && ctx.Err() == nil {
			a.log.Warn("slack: a thread could not be read", "request", r.ID, "error", a.web.safe(err))
		}
	}
	return nil
}

// reread reads the thread of a message that has got into the log late: what was said
// below it was the reply to a message that the log did not know. Events that wait for
// that, or are under way, come first: they know what a reply said before it was edited.
func (a *App) reread(ctx context.Context, id string, post access.Post) {
	read := func(context.Context) {
		soon := time.Now().Add(3 * time.Second)
		a.out.add(backfillLane, "thread "+id, func(ctx context.Context, _ *task) error {
			if time.Now().Before(soon) {
				return aside{soon}
			}
			r, _ := a.cfg.Reader.Request(id)
			return a.compare(ctx, r, post)
		})
	}
	if !a.jobs.add(waitingBelow(post.Channel, post.TS), read) {
		read(ctx)
	}
}

// waitingBelow is the key of what waits for the record of a message.
func waitingBelow(channel, ts string) string { return "thread " + channel + " " + ts }

// compare records what is in a thread and not in the log.
func (a *App) compare(ctx context.Context, r access.Request, post access.Post) error {
	replies, err := a.replies(ctx, post)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, m := range replies {
		ts := m.str("ts")
		there[ts] = true
		if ts == post.TS || a.ours(m) || m.str("subtype") == "tombstone" {
			delete(there, ts)
			continue
		}
		i := slices.IndexFunc(r.Messages, func(x access.Message) bool { return x.TS == ts })
		switch {
		case i < 0:
			id := eventID("msg", post.Channel, ts)
			a.record(r.ID, id, func(ctx context.Context) error { return a.said(ctx, r.ID, id, m) })
		case m.has("edited") && r.Messages[i].Text != access.Clean(content(m), access.MaxText):
			id := eventID("edit", post.Channel, ts, m.str("edited", "ts"))
			a.record(r.ID, id, func(ctx context.Context) error { return a.edited(ctx, r.ID, id, m, nil) })
		}
	}
	for _, x := range r.Messages {
		if !there[x.TS] && x.Deleted.IsZero() {
			id := eventID("deleted", post.Channel, x.TS)
			a.record(r.ID, id, func(ctx context.Context) error { return a.deletedBy(ctx, r.ID, id, x.TS, x.By.Slack) })
		}
	}
	return nil
}

// replies is a whole thread. A thread whose first message is gone has none, and
// says nothing about what was deleted.
func (a *App) replies(ctx context.Context, post access.Post) ([]payload, error) {
	args := url.Values{"channel": {post.Channel}, "ts": {post.TS}, "limit": {"200"}}
	var all []payload
	for {
		page, err := a.web.call(ctx, "conversations.replies", args)
		if err != nil {
			return nil, err
		}
		all = append(all, page.list("messages")...)
		cursor := page.str("response_metadata", "next_cursor")
		if cursor == "" {
			break
		}
		args.Set("cursor", cursor)
	}
	if !slices.ContainsFunc(all, func(m payload) bool { return m.str("ts") == post.TS }) {
		return nil, slack.SlackErrorResponse{Err: "thread_not_found"}
	}
	return all, nil
}
