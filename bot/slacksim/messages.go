package slacksim

// Changes of messages, with the events that they cause.

// postMessage appends a message, and tells the app and the pages.
func (ws *workspace) postMessage(c *channel, m *message) {
	m.TS = ws.nextTS()
	c.add(m)
	ws.notify("", c.topics(m)...)
	if m.Ephemeral != "" {
		return
	}
	if !m.Bot {
		c.read[m.User] = m.TS
	}
	ws.messageEvent(c, ws.asEvent(c, m))
}

// asEvent is a new message as an event of its own.
func (ws *workspace) asEvent(c *channel, m *message) obj {
	e := ws.messageJSON(c, m)
	e["channel"], e["event_ts"], e["channel_type"] = c.ID, m.TS, c.kind()
	return e
}

// messageEvent sends an event to the app if it is in the channel and subscribed.
func (ws *workspace) messageEvent(c *channel, e obj) {
	if !ws.botIn(c) {
		return
	}
	kind := map[string]string{"im": "message.im", "group": "message.groups", "channel": "message.channels"}[c.kind()]
	ws.emit(kind, e)
}

// editMessage changes a message by f and sends message_changed.
func (ws *workspace) editMessage(c *channel, m *message, f func()) {
	if m.Ephemeral != "" {
		f()
		ws.notify("", c.topics(m)...)
		return
	}
	before := ws.messageJSON(c, m)
	before = copyJSON(before)
	f()
	ts := ws.nextTS()
	ws.messageEvent(c, obj{
		"type": "message", "subtype": "message_changed", "hidden": true, "channel": c.ID, "channel_type": c.kind(),
		"ts": ts, "event_ts": ts, "message": ws.messageJSON(c, m), "previous_message": before,
	})
	ws.notify("", c.topics(m)...)
}

// deleteMessage removes a message. A parent of replies becomes a tombstone, which Slack
// reports as a change.
func (ws *workspace) deleteMessage(c *channel, m *message) {
	if m.Thread == "" && len(c.threads[m.TS]) > 0 {
		ws.editMessage(c, m, func() {
			*m = message{TS: m.TS, User: slackbot, Text: "This message was deleted.", Tombstone: true}
		})
		return
	}
	before := ws.messageJSON(c, m)
	c.remove(m)
	ws.notify("", c.topics(m)...)
	if m.Ephemeral != "" {
		return
	}
	ts := ws.nextTS()
	ws.messageEvent(c, obj{
		"type": "message", "subtype": "message_deleted", "hidden": true, "deleted_ts": m.TS, "channel": c.ID,
		"channel_type": c.kind(), "previous_message": before, "ts": ts, "event_ts": ts,
	})
}

// ephemeral shows a message to one user only.
func (ws *workspace) ephemeral(c *channel, m *message, user string) {
	m.Ephemeral = user
	ws.postMessage(c, m)
}

// slackbotSays shows a notice of Slack itself to one user.
func (ws *workspace) slackbotSays(c *channel, user, text string) {
	ws.ephemeral(c, &message{User: slackbot, Text: escaper.Replace(text)}, user)
}

// content judges what an app wants to be shown: text, blocks, metadata. The error is one of
// Slack's.
func (ws *workspace) content(o obj, textLimit int) (*message, error) {
	m := &message{Bot: true, User: ws.app.BotUser, Text: str(o, "text")}
	if n := len([]rune(m.Text)); n > textLimit {
		return nil, apiErr("msg_too_long")
	}
	if o["attachments"] != nil {
		ws.finds("unsupported", "attachments are not supported here; use blocks", nil)
	}
	if blocks, there := o["blocks"]; there && blocks != nil {
		if err := ws.contentBlocks(m, blocks); err != nil {
			return nil, err
		}
	}
	if m.Text == "" && len(m.Blocks) == 0 {
		return nil, apiErr("no_text")
	}
	if m.Text == "" {
		ws.finds("no_fallback", "blocks without a text: notifications and screen readers have nothing to show", nil)
	}
	ws.judgeText("text", m.Text)
	return m, ws.contentMetadata(m, o["metadata"])
}

func (ws *workspace) contentBlocks(m *message, blocks any) error {
	c := checkBlocks(blocks)
	for _, s := range c.markdown {
		ws.judgeText("blocks", s)
	}
	if len(c.problems) > 0 {
		return apiErrWith("invalid_blocks", obj{
			"errors": toAny(c.problems), "response_metadata": obj{"messages": toAny(c.problems)},
		})
	}
	if c.chars > maxBlockChars {
		return apiErr("msg_blocks_too_long")
	}
	m.Blocks = blocks.([]any)
	fillIn(m.Blocks)
	return nil
}

func (ws *workspace) contentMetadata(m *message, v any) error {
	if v == nil {
		return nil
	}
	o, ok := v.(map[string]any)
	if !ok || str(o, "event_type") == "" || sub(o, "event_payload") == nil {
		return apiErr("invalid_metadata_format")
	}
	if len(raw(o)) > 16<<10 {
		return apiErr("metadata_too_large")
	}
	m.Metadata = o
	return nil
}
