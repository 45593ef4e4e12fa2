package slacksim

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The payloads of commands and interactions.

// Ref names where an element stands: a message (Channel and TS) or a view (View).
type Ref struct {
	Channel string
	TS      string
	View    string
}

// InMessage refers to a message.
func InMessage(channel, ts string) Ref { return Ref{Channel: channel, TS: ts} }

// InView refers to a modal or a Home tab.
func InView(id string) Ref { return Ref{View: id} }

// place is a Ref that was looked up.
type place struct {
	ch     *channel
	m      *message
	v      *view
	blocks []any
	chosen elementChoices
}

// lookup finds what a user refers to; it must be something the user can see.
func (ws *workspace) lookup(u *User, ref Ref) (*place, error) {
	if ref.View != "" {
		v := ws.findView(ref.View)
		if v == nil || v.User != u.ID {
			return nil, errors.New("that view is not open")
		}
		return &place{v: v, blocks: v.blocks(), chosen: v.Chosen}, nil
	}
	ch, err := ws.channelFor(u, ref.Channel)
	if err != nil {
		return nil, err
	}
	m := ch.find(ref.TS)
	if m == nil || (m.Ephemeral != "" && m.Ephemeral != u.ID) {
		return nil, errors.New("there is no such message")
	}
	if m.Chosen == nil {
		m.Chosen = map[string]elementChoices{}
	}
	if m.Chosen[u.ID] == nil {
		m.Chosen[u.ID] = elementChoices{}
	}
	return &place{ch: ch, m: m, blocks: m.Blocks, chosen: m.Chosen[u.ID]}, nil
}

// channelFor finds a conversation that the user is in.
func (ws *workspace) channelFor(u *User, id string) (*channel, error) {
	ch := ws.channelByName(id)
	if ch == nil {
		return nil, fmt.Errorf("there is no channel %q", id)
	}
	if !ch.has(u.ID) {
		return nil, fmt.Errorf("%s is not in #%s", u.Name, ch.Name)
	}
	return ch, nil
}

// common are the fields that all interactions share.
func (ws *workspace) common(kind string, u *User) obj {
	team := any(obj{"id": ws.team.ID, "domain": ws.team.Domain})
	if ws.odd {
		team = nil
	}
	return obj{
		"type": kind, "team": team, "api_app_id": ws.app.ID, "token": ws.app.VerificationToken,
		"user":       obj{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": u.Team},
		"enterprise": nil, "is_enterprise_install": false,
	}
}

// describePlace adds container, channel, message or view to an interaction.
func (ws *workspace) describePlace(p obj, at *place) {
	if at.v != nil {
		p["container"] = obj{"type": "view", "view_id": at.v.ID}
		p["view"] = ws.viewPayload(at.v)
		return
	}
	container := obj{"type": "message", "message_ts": at.m.TS, "channel_id": at.ch.ID, "is_ephemeral": at.m.Ephemeral != ""}
	if at.m.Thread != "" {
		container["thread_ts"] = at.m.Thread
	}
	p["container"], p["channel"] = container, obj{"id": at.ch.ID, "name": channelName(at.ch)}
	if at.m.Ephemeral == "" {
		p["message"] = ws.messagePayload(at)
	}
}

// channelName is the name that commands and interactions give.
func channelName(ch *channel) string {
	switch {
	case ch.isIM():
		return "directmessage"
	case ch.Private:
		return "privategroup"
	}
	return ch.Name
}

func (ws *workspace) viewPayload(v *view) obj {
	out := ws.viewJSON(v)
	if values := sub(sub(out, "state"), "values"); ws.odd && len(values) == 0 {
		out["state"] = obj{"values": []any{}}
	}
	return out
}

func (ws *workspace) messagePayload(at *place) obj {
	out := ws.messageJSON(at.ch, at.m)
	if at.m.Metadata != nil {
		out["metadata"] = at.m.Metadata
	}
	if ws.odd {
		odd := obj{"type": "timeline_2031", "block_id": "odd", "items": []any{obj{"at": 1}}}
		out["blocks"] = append(append([]any{}, at.m.Blocks...), odd)
	}
	return out
}

// stateOf is the "state" of an interaction in a message.
func (ws *workspace) stateOf(at *place) obj {
	values := choices(at.blocks, at.chosen)
	if ws.odd && nothingChosen(values) {
		return obj{"values": []any{}}
	}
	return obj{"values": values}
}

func nothingChosen(values obj) bool {
	for _, actions := range values {
		for _, c := range actions.(map[string]any) {
			if !isEmpty(c.(map[string]any)) {
				return false
			}
		}
	}
	return true
}

// actionPayload is one entry of actions.
func actionPayload(block, el obj, choice obj, ts string) obj {
	a := obj{"type": el["type"], "block_id": block["block_id"], "action_id": el["action_id"], "action_ts": ts}
	copyKeys := func(keys ...string) {
		for _, k := range keys {
			if v, there := el[k]; there {
				a[k] = v
			}
		}
	}
	if str(el, "type") == "button" {
		copyKeys("text", "value", "style", "url")
		return a
	}
	copyKeys("placeholder", "initial_option", "initial_options", "initial_date", "initial_time", "confirm")
	for k, v := range choice {
		a[k] = v
	}
	return a
}

func (ws *workspace) blockActions(u *User, at *place, block, el, choice obj, base string) obj {
	p := ws.common("block_actions", u)
	ws.describePlace(p, at)
	from := ""
	if at.v != nil && str(at.v.Body, "type") == "modal" {
		from = at.v.ID
	}
	p["trigger_id"] = ws.newTrigger(u.ID, from)
	p["actions"] = []any{actionPayload(block, el, choice, ws.nextTS())}
	if at.v == nil {
		p["state"] = ws.stateOf(at)
		p["response_url"] = ws.newHook(base, "actions", at.ch, u.ID, at.m)
	}
	return p
}

func (ws *workspace) suggestion(u *User, at *place, block, el obj, query string) obj {
	p := ws.common("block_suggestion", u)
	ws.describePlace(p, at)
	p["block_id"], p["action_id"], p["value"] = block["block_id"], el["action_id"], query
	return p
}

func (ws *workspace) submission(u *User, v *view) obj {
	p := ws.common("view_submission", u)
	p["trigger_id"], p["view"], p["response_urls"] = ws.newTrigger(u.ID, v.ID), ws.viewPayload(v), []any{}
	return p
}

func (ws *workspace) closed(u *User, v *view, cleared bool) obj {
	p := ws.common("view_closed", u)
	p["view"], p["is_cleared"] = ws.viewPayload(v), cleared
	return p
}

// shortcutPayload has, as documented, no api_app_id.
func (ws *workspace) shortcutPayload(u *User, callback string) obj {
	p := ws.common("shortcut", u)
	delete(p, "api_app_id")
	p["user"] = obj{"id": u.ID, "username": u.Name, "team_id": u.Team}
	p["callback_id"], p["trigger_id"], p["action_ts"] = callback, ws.newTrigger(u.ID, ""), ws.nextTS()
	return p
}

func (ws *workspace) commandPayload(u *User, ch *channel, cmd Command, typed, base string) obj {
	return obj{
		"token": ws.app.VerificationToken, "team_id": ws.team.ID, "team_domain": ws.team.Domain,
		"channel_id": ch.ID, "channel_name": channelName(ch), "user_id": u.ID, "user_name": u.Name,
		"command": cmd.Command, "text": commandText(typed, ws.tokens(typed), cmd.ShouldEscape),
		"api_app_id": ws.app.ID, "is_enterprise_install": "false",
		"response_url": ws.newHook(base, "commands", ch, u.ID, nil), "trigger_id": ws.newTrigger(u.ID, ""),
	}
}

// interactive makes the envelope of an interaction. Only some kinds take an answer in the ack.
func interactive(p obj) *envelope {
	kind := str(p, "type")
	return &envelope{
		kind: kindInteractive, title: kind, payload: raw(p),
		accepts: kind == "view_submission" || kind == "block_suggestion",
	}
}

// ackObject reads an answer in an ack; nil means there was none.
func ackObject(p json.RawMessage) (obj, error) {
	if !hasContent(p) {
		return nil, nil
	}
	var v any
	if err := json.Unmarshal(p, &v); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case map[string]any:
		return v, nil
	case string: // a slash command may be answered by a bare text
		return obj{"text": v}, nil
	}
	return nil, errors.New("the answer is neither an object nor a text")
}

// hook is a response_url.
type hook struct {
	ch      *channel
	user    string
	message *message // what the click was in
	uses    int
	expires time.Time
}

func (ws *workspace) newHook(base, kind string, ch *channel, user string, m *message) string {
	ws.sweep()
	id := kind + "-" + lower(randomID(24))
	ws.hooks[id] = &hook{ch: ch, user: user, message: m, expires: time.Now().Add(30 * time.Minute)}
	return base + "/hooks/" + id
}
