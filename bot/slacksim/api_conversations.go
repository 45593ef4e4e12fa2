package slacksim

import (
	"slices"
	"strings"
)

// scopeFor is the scope for a kind of conversation: "channels:read", "groups:history", ….
func scopeFor(ch *channel, what string) string {
	return map[string]string{"im": "im", "group": "groups", "channel": "channels"}[ch.kind()] + ":" + what
}

// conversation finds the conversation of a reading call and checks the scope for its kind.
func (c *call) conversation(what string) (*channel, error) {
	ch := c.ws.channels[c.str("channel")]
	if ch == nil || !c.visible(ch) {
		return nil, apiErr("channel_not_found")
	}
	return ch, c.need(scopeFor(ch, what))
}

func conversationsInfo(c *call) (obj, error) {
	ch, err := c.conversation("read")
	if err != nil {
		return nil, err
	}
	out := c.ws.channelJSON(ch)
	if c.flag("include_num_members") {
		out["num_members"] = len(ch.Members)
	}
	return obj{"channel": out}, nil
}

func conversationsList(c *call) (obj, error) {
	types := strings.Split(c.str("types"), ",")
	if c.str("types") == "" {
		types = []string{"public_channel"}
	}
	kinds := map[string]bool{}
	for _, t := range types {
		kind, known := map[string]string{"public_channel": "channel", "private_channel": "group", "im": "im", "mpim": "mpim"}[strings.TrimSpace(t)]
		if !known {
			return nil, apiErr("invalid_types")
		}
		scope := map[string]string{"channel": "channels:read", "group": "groups:read", "im": "im:read", "mpim": "mpim:read"}[kind]
		if err := c.need(scope); err != nil {
			return nil, err
		}
		kinds[kind] = true
	}
	var all []*channel
	for _, id := range c.ws.chOrder {
		ch := c.ws.channels[id]
		if kinds[ch.kind()] && c.visible(ch) && (!ch.Archived || !c.flag("exclude_archived")) {
			all = append(all, ch)
		}
	}
	from, to, next, err := c.page(len(all), 100, 1000)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, ch := range all[from:to] {
		one := c.ws.channelJSON(ch)
		if !ch.isIM() {
			one["num_members"] = len(ch.Members)
		}
		out = append(out, one)
	}
	return obj{"channels": out, "response_metadata": cursor(next)}, nil
}

func conversationsMembers(c *call) (obj, error) {
	ch, err := c.conversation("read")
	if err != nil {
		return nil, err
	}
	from, to, next, err := c.page(len(ch.Members), 100, 1000)
	if err != nil {
		return nil, err
	}
	return obj{"members": toAny(ch.Members[from:to]), "response_metadata": cursor(next)}, nil
}

// openIM returns the direct messages of a user and the app; they come into being here.
func (ws *workspace) openIM(u *User) (*channel, error) {
	switch {
	case u.Deleted:
		return nil, apiErr("user_disabled")
	case u.Bot || u.ID == slackbot:
		return nil, apiErr("cannot_dm_bot")
	}
	if ch := ws.im(u.ID); ch != nil {
		return ch, nil
	}
	ws.notify(u.ID, "sidebar")
	return ws.putChannel(Channel{ID: imID(u.ID), User: u.ID, Members: []string{u.ID, ws.app.BotUser}}), nil
}

func conversationsOpen(c *call) (obj, error) {
	if c.kind != botToken {
		return nil, apiErr("not_allowed_token_type")
	}
	if id := c.str("channel"); id != "" {
		ch := c.ws.channels[id]
		if ch == nil || !ch.isIM() || !c.visible(ch) {
			return nil, apiErr("channel_not_found")
		}
		return c.opened(ch, true), nil
	}
	users := strings.Split(c.str("users"), ",")
	if c.str("users") == "" {
		return nil, apiErr("users_list_not_supplied")
	}
	if len(users) > 1 {
		if err := c.need("mpim:write"); err != nil {
			return nil, err
		}
		return nil, apiErr("method_not_supported_for_channel_type")
	}
	u := c.ws.users[strings.TrimSpace(users[0])]
	if u == nil {
		return nil, apiErr("user_not_found")
	}
	already := c.ws.im(u.ID) != nil
	ch, err := c.ws.openIM(u)
	if err != nil {
		return nil, err
	}
	return c.opened(ch, already), nil
}

func (c *call) opened(ch *channel, already bool) obj {
	out := obj{"channel": obj{"id": ch.ID}}
	if already {
		out["no_op"], out["already_open"] = true, true
	}
	if c.flag("return_im") {
		out["channel"] = c.ws.channelJSON(ch)
	}
	return out
}

// inWindow applies oldest, latest and inclusive.
func (c *call) inWindow(ts string) bool {
	inclusive := c.flag("inclusive")
	if oldest := c.str("oldest"); oldest != "" && oldest != "0" {
		if d := compareTS(ts, oldest); d < 0 || (d == 0 && !inclusive) {
			return false
		}
	}
	if latest := c.str("latest"); latest != "" {
		if d := compareTS(ts, latest); d > 0 || (d == 0 && !inclusive) {
			return false
		}
	}
	return true
}

// readable is conversation for the methods that read messages, which need membership.
func (c *call) readable() (*channel, error) {
	ch, err := c.conversation("history")
	if err != nil {
		return nil, err
	}
	if !ch.has(c.user) {
		return nil, apiErr("not_in_channel")
	}
	return ch, nil
}

func (c *call) messages(ch *channel, all []*message) []any {
	out := []any{}
	for _, m := range all {
		if c.flag("include_all_metadata") {
			out = append(out, c.withMetadata(ch, m))
		} else {
			out = append(out, c.ws.messageJSON(ch, m))
		}
	}
	return out
}

func conversationsHistory(c *call) (obj, error) {
	ch, err := c.readable()
	if err != nil {
		return nil, err
	}
	var all []*message
	for _, m := range slices.Backward(ch.messages) {
		if m.Thread == "" && m.Ephemeral == "" && c.inWindow(m.TS) {
			all = append(all, m)
		}
	}
	from, to, next, err := c.page(len(all), 100, 999)
	if err != nil {
		return nil, err
	}
	out := obj{"messages": c.messages(ch, all[from:to]), "has_more": next != "", "pin_count": 0}
	if next != "" {
		out["response_metadata"] = cursor(next)
	}
	return out, nil
}

func conversationsReplies(c *call) (obj, error) {
	ch, err := c.readable()
	if err != nil {
		return nil, err
	}
	parent := ch.find(c.str("ts"))
	if parent == nil || parent.Ephemeral != "" {
		return nil, apiErr("thread_not_found")
	}
	all := []*message{parent}
	for _, m := range ch.threads[parent.TS] {
		if c.inWindow(m.TS) {
			all = append(all, m)
		}
	}
	from, to, next, err := c.page(len(all), 1000, 1000)
	if err != nil {
		return nil, err
	}
	out := obj{"messages": c.messages(ch, all[from:to]), "has_more": next != ""}
	if next != "" {
		out["response_metadata"] = cursor(next)
	}
	return out, nil
}
