package slacksim

import (
	"maps"
	"slices"
)

// Message is a message as a person sees it.
type Message struct {
	TS         string `json:"ts"`
	User       string `json:"user"`
	Bot        bool   `json:"bot"`
	Text       string `json:"text"`   // mrkdwn
	Blocks     []any  `json:"blocks"` // as the app sent them; nil for what people wrote
	ThreadTS   string `json:"thread_ts,omitempty"`
	ReplyCount int    `json:"reply_count,omitempty"`
	LastReply  string `json:"last_reply,omitempty"`
	Edited     bool   `json:"edited,omitempty"`
	Ephemeral  bool   `json:"ephemeral,omitempty"`
	Metadata   obj    `json:"metadata,omitempty"`
	State      obj    `json:"state,omitempty"` // this person's choices: {block_id: {action_id: choice}}
}

// HasAction reports whether an element with this action_id stands in the message.
func (m Message) HasAction(actionID string) bool {
	_, el := findElement(m.Blocks, "", actionID)
	return el != nil
}

// Element returns the first element with this action_id as the app sent it, or nil.
func (m Message) Element(actionID string) map[string]any {
	_, el := findElement(m.Blocks, "", actionID)
	return el
}

// View is a modal or a Home tab as a person sees it: Slack's view object, with the "errors" of
// the last submission and a "notice" of Slack's where there are any.
type View map[string]any

// ID returns the view_id.
func (v View) ID() string { return str(v, "id") }

// CallbackID returns what the app calls the view.
func (v View) CallbackID() string { return str(v, "callback_id") }

// Title returns the words in the title bar.
func (v View) Title() string { return str(sub(v, "title"), "text") }

// Element returns the first element with this action_id, or nil.
func (v View) Element(actionID string) map[string]any {
	_, el := findElement(list(v, "blocks"), "", actionID)
	return el
}

// show renders messages for a user.
func (ws *workspace) show(c *channel, u *User, match func(*message) bool) []Message {
	out := []Message{}
	for _, m := range c.messages {
		if (m.Ephemeral == "" || m.Ephemeral == u.ID) && match(m) {
			out = append(out, ws.shown(c, u, m))
		}
	}
	return out
}

func (ws *workspace) shown(c *channel, u *User, m *message) Message {
	one := Message{
		TS: m.TS, User: m.User, Bot: m.Bot, Text: m.Text, Blocks: m.Blocks, ThreadTS: m.Thread,
		Edited: m.EditedTS != "", Ephemeral: m.Ephemeral != "", Metadata: m.Metadata,
	}
	if replies := c.threads[m.TS]; len(replies) > 0 {
		one.ReplyCount, one.LastReply, one.ThreadTS = len(replies), replies[len(replies)-1].TS, m.TS
	}
	if state := choices(m.Blocks, m.Chosen[u.ID]); len(state) > 0 {
		one.State = state
	}
	return copyJSON(one)
}

// read runs f with the channel, which the person must be in; without it the answer is empty.
func (a *Actor) read(in string, f func(ws *workspace, c *channel, u *User)) {
	_ = a.with(func(ws *workspace, u *User) error {
		c, err := ws.channelFor(u, in)
		if err == nil {
			f(ws, c, u)
		}
		return err
	})
}

// Messages returns the messages of a channel that are not replies, oldest first, with the
// ephemeral ones that the person may see.
func (a *Actor) Messages(in string) (out []Message) {
	a.read(in, func(ws *workspace, c *channel, u *User) {
		out = ws.show(c, u, func(m *message) bool { return m.Thread == "" })
	})
	return out
}

// Thread returns a message and its replies.
func (a *Actor) Thread(in, ts string) (out []Message) {
	a.read(in, func(ws *workspace, c *channel, u *User) {
		out = ws.show(c, u, func(m *message) bool { return m.TS == ts || m.Thread == ts })
	})
	return out
}

// Ephemerals returns what only this person sees in a channel and its threads.
func (a *Actor) Ephemerals(in string) (out []Message) {
	a.read(in, func(ws *workspace, c *channel, u *User) {
		out = ws.show(c, u, func(m *message) bool { return m.Ephemeral != "" })
	})
	return out
}

// DMs returns the direct messages between the person and the app.
func (a *Actor) DMs() (out []Message) {
	_ = a.with(func(ws *workspace, u *User) error {
		if c := ws.im(u.ID); c != nil {
			out = ws.show(c, u, func(*message) bool { return true })
		}
		return nil
	})
	return out
}

// Modals returns the open modals of the person, the top one last.
func (a *Actor) Modals() []View {
	out := []View{}
	_ = a.with(func(ws *workspace, u *User) error {
		for _, v := range ws.modals[u.ID] {
			out = append(out, ws.seen(v))
		}
		return nil
	})
	return out
}

// Home returns what the app published for the person, or nil.
func (a *Actor) Home() (out View) {
	_ = a.with(func(ws *workspace, u *User) error {
		if v := ws.homes[u.ID]; v != nil {
			out = ws.seen(v)
		}
		return nil
	})
	return out
}

func (ws *workspace) seen(v *view) View {
	out := ws.viewJSON(v)
	if len(v.errors) > 0 {
		out["errors"] = maps.Clone(v.errors)
	}
	if v.notice != "" {
		out["notice"] = v.notice
	}
	return copyJSON(View(out))
}

// Group returns a user group by handle; the second result is false when there is none.
func (s *Server) Group(handle string) (g Group, ok bool) {
	_ = s.do(func(ws *workspace) error {
		if found := ws.groupByHandle(handle); found != nil {
			g, ok = *found, true
			g.Users = slices.Clone(found.Users)
		}
		return nil
	})
	return g, ok
}
