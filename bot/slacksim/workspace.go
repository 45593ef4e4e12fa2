package slacksim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// slackbot is the user that speaks for Slack itself. users.info calls it a person.
const slackbot = "USLACKBOT"

// workspace is the whole state. Its methods expect Server.mu to be held.
type workspace struct {
	team     Team
	others   []Team
	app      App
	rule     GroupRule
	users    map[string]*User
	order    []string // user ids as they came
	channels map[string]*channel
	chOrder  []string
	groups   []*Group
	homes    map[string]*view   // by user
	modals   map[string][]*view // by user, the top is last
	triggers map[string]*trigger
	hooks    map[string]*hook
	swept    time.Time // when triggers and hooks were last tidied
	lastTS   int64     // microseconds of the last timestamp given out

	now    func() time.Time
	emit   func(kind string, event obj)        // an event for the app
	notify func(user string, topics ...string) // for pages; an empty user means everyone
	finds  func(kind, text string, detail any) // keeps a finding
	timing Timing
	odd    bool // Chaos.OddPayloads
}

type channel struct {
	Channel
	messages []*message
	threads  map[string][]*message // replies by the parent's ts
	read     map[string]string     // last ts read, by user
}

// message is one message. Ephemeral ones stand among the others, and one user sees them.
type message struct {
	TS        string                    `json:"ts"`
	User      string                    `json:"user"`
	Bot       bool                      `json:"bot,omitempty"`
	Text      string                    `json:"text"`
	Blocks    []any                     `json:"blocks,omitempty"`
	Rich      []any                     `json:"rich,omitempty"` // rich_text elements of what a person typed
	Thread    string                    `json:"thread,omitempty"`
	EditedTS  string                    `json:"edited_ts,omitempty"`
	EditedBy  string                    `json:"edited_by,omitempty"`
	Metadata  obj                       `json:"metadata,omitempty"`
	Ephemeral string                    `json:"ephemeral,omitempty"` // the one user who sees it
	ClientID  string                    `json:"client_id,omitempty"`
	Tombstone bool                      `json:"tombstone,omitempty"` // a deleted parent of replies
	Chosen    map[string]elementChoices `json:"chosen,omitempty"`    // by user
	served    map[string]obj            // options offered by the app, by user, block, action and value
}

// elementChoices are state objects by block_id and action_id.
type elementChoices map[string]map[string]obj

func (e elementChoices) set(block, action string, state obj) {
	if e[block] == nil {
		e[block] = map[string]obj{}
	}
	e[block][action] = state
}

// newWorkspace builds the state out of a world. Everyone of the own team gets the direct
// messages with the app.
func newWorkspace(w World, now func() time.Time) *workspace {
	ws := &workspace{
		team: w.Team, others: w.Others, app: w.App, rule: w.GroupRule,
		users: map[string]*User{}, channels: map[string]*channel{},
		homes: map[string]*view{}, modals: map[string][]*view{},
		triggers: map[string]*trigger{}, hooks: map[string]*hook{}, now: now,
	}
	if ws.rule == "" {
		ws.rule = GroupsByEveryone
	}
	ws.putUser(User{ID: slackbot, Name: "slackbot", RealName: "Slackbot", Title: "Slack itself", Color: "#555555"})
	for _, u := range w.Users {
		ws.putUser(u)
	}
	for _, c := range w.Channels {
		ws.putChannel(c)
	}
	for _, g := range w.Groups {
		ws.groups = append(ws.groups, &g)
	}
	return ws
}

func (ws *workspace) putUser(u User) *User {
	if u.Team == "" {
		u.Team = ws.team.ID
	}
	if u.Color == "" {
		u.Color = "#4a5568"
	}
	if _, known := ws.users[u.ID]; !known {
		ws.order = append(ws.order, u.ID)
	}
	ws.users[u.ID] = &u
	if ws.isStaff(&u) && ws.im(u.ID) == nil {
		ws.putChannel(Channel{ID: imID(u.ID), User: u.ID, Members: []string{u.ID, ws.app.BotUser}})
	}
	return &u
}

// isStaff reports whether the user can have direct messages with the app from the start.
func (ws *workspace) isStaff(u *User) bool {
	return !u.Bot && u.ID != slackbot && u.Team == ws.team.ID
}

func imID(user string) string { return "D" + strings.TrimPrefix(user, "U") }

func (ws *workspace) putChannel(c Channel) *channel {
	c.Members = slices.Clone(c.Members)
	ch := &channel{Channel: c, threads: map[string][]*message{}, read: map[string]string{}}
	if _, known := ws.channels[c.ID]; !known {
		ws.chOrder = append(ws.chOrder, c.ID)
	}
	ws.channels[c.ID] = ch
	return ch
}

// im returns the direct messages of a user and the app, or nil.
func (ws *workspace) im(user string) *channel {
	for _, id := range ws.chOrder {
		if c := ws.channels[id]; c.isIM() && c.User == user {
			return c
		}
	}
	return nil
}

func (c *channel) isIM() bool               { return c.User != "" }
func (c *channel) has(user string) bool     { return slices.Contains(c.Members, user) }
func (ws *workspace) botIn(c *channel) bool { return c.has(ws.app.BotUser) }

// kind is Slack's channel_type.
func (c *channel) kind() string {
	switch {
	case c.isIM():
		return "im"
	case c.Private:
		return "group"
	}
	return "channel"
}

// nextTS returns a timestamp that was never given out, in Slack's form.
func (ws *workspace) nextTS() string {
	us := max(ws.now().UnixMicro(), ws.lastTS+1)
	ws.lastTS = us
	return fmt.Sprintf("%d.%06d", us/1e6, us%1e6)
}

// find returns the message with this timestamp, or nil.
func (c *channel) find(ts string) *message {
	i, ok := slices.BinarySearchFunc(c.messages, ts, func(m *message, ts string) int { return compareTS(m.TS, ts) })
	if !ok {
		return nil
	}
	return c.messages[i]
}

// compareTS compares timestamps, which may have different numbers of digits.
func compareTS(a, b string) int {
	if d := len(beforeDot(a)) - len(beforeDot(b)); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

func beforeDot(ts string) string { s, _, _ := strings.Cut(ts, "."); return s }

// add appends a message, whose timestamp is the newest.
func (c *channel) add(m *message) {
	c.messages = append(c.messages, m)
	if m.Thread != "" && m.Ephemeral == "" {
		c.threads[m.Thread] = append(c.threads[m.Thread], m)
	}
}

func (c *channel) remove(m *message) {
	drop := func(l []*message) []*message {
		return slices.DeleteFunc(l, func(x *message) bool { return x == m })
	}
	c.messages = drop(c.messages)
	if m.Thread != "" {
		c.threads[m.Thread] = drop(c.threads[m.Thread])
	}
}

// topics are what a change of the message concerns.
func (c *channel) topics(m *message) []string {
	root := m.Thread
	if root == "" {
		root = m.TS
	}
	t := []string{"sidebar", "channel:" + c.ID, "thread:" + c.ID + ":" + root}
	if m.Ephemeral != "" {
		t = append(t, "ephemeral")
	}
	return t
}

// userByName finds a user of any workspace by what is typed after an @, or by id.
func (ws *workspace) userByName(name string) *User {
	if u := ws.users[name]; u != nil {
		return u
	}
	for _, id := range ws.order {
		if u := ws.users[id]; strings.EqualFold(u.Name, name) {
			return u
		}
	}
	return nil
}

// channelByName finds a channel by id, by name, or by name with a #.
func (ws *workspace) channelByName(name string) *channel {
	if c := ws.channels[name]; c != nil {
		return c
	}
	name = strings.TrimPrefix(name, "#")
	for _, id := range ws.chOrder {
		if c := ws.channels[id]; !c.isIM() && c.Name == name {
			return c
		}
	}
	return nil
}

func (ws *workspace) group(id string) *Group {
	for _, g := range ws.groups {
		if g.ID == id {
			return g
		}
	}
	return nil
}

func (ws *workspace) groupByHandle(handle string) *Group {
	for _, g := range ws.groups {
		if g.Handle == handle {
			return g
		}
	}
	return nil
}

// foreign reports whether the user belongs to another workspace.
func (ws *workspace) foreign(u *User) bool { return u.Team != ws.team.ID }

// teamOf returns the workspace a user belongs to.
func (ws *workspace) teamOf(u *User) Team {
	for _, t := range ws.others {
		if t.ID == u.Team {
			return t
		}
	}
	return ws.team
}
