package slacksim

import "strings"

const (
	maxPost   = 40000 // characters of the text of a new message
	maxUpdate = 4000  // characters of the text of a changed one
)

// target finds the conversation to write to, as the app may see it.
func (c *call) target() (*channel, error) {
	ch := c.ws.channels[c.str("channel")]
	if ch == nil || !c.visible(ch) {
		return nil, apiErr("channel_not_found")
	}
	if !ch.has(c.user) {
		return nil, apiErr("not_in_channel")
	}
	if ch.Archived {
		return nil, apiErr("is_archived")
	}
	return ch, nil
}

// visible reports whether the token's user can know of the conversation.
func (c *call) visible(ch *channel) bool {
	return ch.has(c.user) || (!ch.Private && !ch.isIM())
}

// postTarget also takes a #name, and a user's id for the direct messages with them.
func (c *call) postTarget() (*channel, error) {
	to := c.str("channel")
	if u := c.ws.users[to]; u != nil {
		ch, err := c.ws.openIM(u)
		if err != nil {
			return nil, apiErr("channel_not_found")
		}
		return ch, nil
	}
	if strings.HasPrefix(to, "#") {
		if ch := c.ws.channelByName(to); ch != nil {
			c.args["channel"] = ch.ID
		}
	}
	return c.target()
}

// message judges the content arguments of a call.
func (c *call) message(limit int) (*message, error) {
	content := obj{"text": c.str("text")}
	for key, bad := range map[string]string{
		"blocks": "invalid_blocks_format", "metadata": "invalid_metadata_format", "attachments": "invalid_attachments",
	} {
		v, ok := c.json(key)
		if !ok {
			return nil, apiErr(bad)
		}
		if v != nil {
			content[key] = v
		}
	}
	for _, key := range []string{"username", "icon_url", "icon_emoji"} {
		if c.str(key) != "" {
			if err := c.need("chat:write.customize"); err != nil {
				return nil, err
			}
		}
	}
	if c.flag("link_names") {
		c.ws.finds("link_names", c.name+": link_names turns plain words into mentions", nil)
	}
	m, err := c.ws.content(content, limit)
	if err != nil {
		return nil, err
	}
	m.User, m.Bot = c.user, c.kind == botToken
	return m, nil
}

// inThread puts a new message under the parent that thread_ts names.
func (c *call) inThread(ch *channel, m *message) error {
	ts := c.str("thread_ts")
	if ts == "" {
		return nil
	}
	parent := ch.find(ts)
	if parent == nil || parent.Thread != "" || parent.Ephemeral != "" {
		return apiErr("cannot_reply_to_message")
	}
	m.Thread = ts
	return nil
}

func chatPost(c *call) (obj, error) {
	ch, err := c.postTarget()
	if err != nil {
		return nil, err
	}
	m, err := c.message(maxPost)
	if err != nil {
		return nil, err
	}
	if err := c.inThread(ch, m); err != nil {
		return nil, err
	}
	c.ws.postMessage(ch, m)
	return obj{"channel": ch.ID, "ts": m.TS, "message": c.withMetadata(ch, m)}, nil
}

func (c *call) withMetadata(ch *channel, m *message) obj {
	out := c.ws.messageJSON(ch, m)
	if m.Metadata != nil {
		out["metadata"] = m.Metadata
	}
	return out
}

// ownMessage finds the message of the app that ts names. Ephemeral messages have no ts that
// the API would know.
func (c *call) ownMessage(ch *channel, other string) (*message, error) {
	m := ch.find(c.str("ts"))
	if m == nil || m.Ephemeral != "" || m.Tombstone {
		return nil, apiErr("message_not_found")
	}
	if m.User != c.user {
		return nil, apiErr(other)
	}
	return m, nil
}

func chatUpdate(c *call) (obj, error) {
	ch, err := c.target()
	if err != nil {
		return nil, err
	}
	m, err := c.ownMessage(ch, "cant_update_message")
	if err != nil {
		return nil, err
	}
	n, err := c.message(maxUpdate)
	if err != nil {
		return nil, err
	}
	_, hasBlocks := c.args["blocks"]
	_, hasText := c.args["text"]
	c.ws.editMessage(ch, m, func() {
		if hasText {
			m.Text = n.Text
		}
		if hasBlocks { // blocks that are not sent stay, as documented
			m.Blocks = n.Blocks
		}
		if n.Metadata != nil {
			m.Metadata = n.Metadata
		}
		m.EditedBy, m.EditedTS = c.user, c.ws.nextTS()
	})
	return obj{"channel": ch.ID, "ts": m.TS, "text": m.Text, "message": c.withMetadata(ch, m)}, nil
}

func chatDelete(c *call) (obj, error) {
	ch, err := c.target()
	if err != nil {
		return nil, err
	}
	m, err := c.ownMessage(ch, "cant_delete_message")
	if err != nil {
		return nil, err
	}
	c.ws.deleteMessage(ch, m)
	return obj{"channel": ch.ID, "ts": c.str("ts")}, nil
}

func chatEphemeral(c *call) (obj, error) {
	ch, err := c.target()
	if err != nil {
		return nil, err
	}
	u := c.ws.users[c.str("user")]
	if u == nil || u.Deleted {
		return nil, apiErr("user_not_found")
	}
	if !ch.has(u.ID) {
		return nil, apiErr("user_not_in_channel")
	}
	m, err := c.message(maxPost)
	if err != nil {
		return nil, err
	}
	if err := c.inThread(ch, m); err != nil {
		return nil, err
	}
	c.ws.ephemeral(ch, m, u.ID)
	return obj{"message_ts": m.TS}, nil
}

func chatPermalink(c *call) (obj, error) {
	ch := c.ws.channels[c.str("channel")]
	if ch == nil || !c.visible(ch) {
		return nil, apiErr("channel_not_found")
	}
	m := ch.find(c.str("message_ts"))
	if m == nil || m.Ephemeral != "" {
		return nil, apiErr("message_not_found")
	}
	link := c.base + "/archives/" + ch.ID + "/p" + strings.Replace(m.TS, ".", "", 1)
	if m.Thread != "" {
		link += "?thread_ts=" + m.Thread + "&cid=" + ch.ID
	}
	return obj{"channel": ch.ID, "permalink": link}, nil
}
