package main

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"countersign/bot/slacksim"

	"gopkg.in/yaml.v3"
)

// patience is how long a story waits for something to happen. It is no claim
// about speed: what happens sooner is seen sooner.
const patience = time.Minute

// eventually polls until ok holds, and reports whether it came to that.
func eventually(every time.Duration, ok func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(every) {
		if ok() {
			return true
		}
	}
	return ok()
}

// textOf is all text of a message or a view, in reading order, one part a line.
func textOf(v any) string {
	var lines []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			if s, ok := v["text"].(string); ok {
				lines = append(lines, s)
			}
			keys := make([]string, 0, len(v))
			for k := range v {
				keys = append(keys, k)
			}
			sort.Strings(keys)
			for _, k := range keys {
				walk(v[k])
			}
		}
	}
	walk(v)
	return strings.Join(lines, "\n")
}

// readable replaces ids by names, so that stories read well.
func (w *world) readable(text string) string {
	var pairs []string
	for _, u := range slacksim.DefaultWorld().Users {
		pairs = append(pairs, "<@"+u.ID+">", "@"+u.Name)
	}
	for _, handle := range []string{"access-approvers", "approvers"} {
		if g, ok := w.sim.Group(handle); ok {
			pairs = append(pairs, "<!subteam^"+g.ID+">", "@"+handle)
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

func messageText(m slacksim.Message) string { return m.Text + "\n" + textOf(m.Blocks) }

// sight is where somebody looks.
type sight string

const (
	everywhere sight = ""
	inChannel  sight = "-channel" // the approval channel, its threads, ephemeral messages
	onlyMe     sight = "-only"    // what only this person sees there
	inDirect   sight = "-dm"
	inHome     sight = "-home"
	inForm     sight = "-form"
	atRequest  sight = "-message" // the approval message of the story's request
)

// seen is all text that a person can see in a place.
func (w *world) seen(who string, where sight, id string) string {
	a := w.sim.As(who)
	var parts []string
	look := func(at sight) bool { return where == at || where == everywhere && at != atRequest && at != onlyMe }
	if look(inChannel) {
		for _, m := range a.Messages(approvals) {
			for _, t := range a.Thread(approvals, m.TS) {
				parts = append(parts, messageText(t))
			}
		}
	}
	if look(onlyMe) || look(inChannel) {
		for _, m := range a.Ephemerals(approvals) {
			parts = append(parts, messageText(m))
		}
	}
	if look(inDirect) {
		for _, m := range a.DMs() {
			parts = append(parts, messageText(m))
		}
	}
	if look(inHome) {
		parts = append(parts, textOf(map[string]any(a.Home())))
	}
	if look(inForm) {
		for _, v := range a.Modals() {
			parts = append(parts, textOf(map[string]any(v))+fmt.Sprint(v["errors"]))
		}
	}
	if look(atRequest) {
		if m, ok := w.approval(id); ok {
			parts = append(parts, messageText(m))
		}
	}
	return w.readable(strings.Join(parts, "\n\n"))
}

// about reads the metadata of the bot's messages.
func about(m slacksim.Message, key string) string {
	payload, _ := m.Metadata["event_payload"].(map[string]any)
	s, _ := payload[key].(string)
	return s
}

// approvalMessages are the requests' messages in the channel, oldest first.
func (w *world) approvalMessages() []slacksim.Message {
	return slices.DeleteFunc(w.sim.As("bob").Messages(approvals), func(m slacksim.Message) bool { return about(m, "notice") != "approval" })
}

// approval is the approval message of a request.
func (w *world) approval(id string) (slacksim.Message, bool) {
	for _, m := range w.approvalMessages() {
		if about(m, "request") == id {
			return m, true
		}
	}
	return slacksim.Message{}, false
}

// channelID is the approval channel's id.
func channelID() string {
	for _, c := range slacksim.DefaultWorld().Channels {
		if c.Name == approvals {
			return c.ID
		}
	}
	return ""
}

func userID(name string) string {
	for _, u := range slacksim.DefaultWorld().Users {
		if u.Name == name {
			return u.ID
		}
	}
	return ""
}

// direct is the id of the direct messages between a person and the bot.
func direct(who string) string { return "D" + strings.TrimPrefix(userID(who), "U") }

// A place is where an element stands: in which message or view, in which block
// (empty: the first that has it).
type place struct {
	in    slacksim.Ref
	block string
}

// button finds where somebody can press it: in the approval message of a request,
// in their direct messages, or in their Home tab.
func (w *world) button(who string, where sight, id, action string) (place, bool) {
	a := w.sim.As(who)
	switch where {
	case inDirect:
		for _, m := range slices.Backward(a.DMs()) {
			if m.HasAction(action) && (id == "" || about(m, "request") == id) {
				return place{in: slacksim.InMessage(direct(who), m.TS)}, true
			}
		}
	case inHome:
		v := a.Home()
		blocks, _ := v["blocks"].([]any)
		for _, b := range blocks {
			if block, ok := b.(map[string]any); ok && offers(block, action, id) {
				return place{slacksim.InView(v.ID()), block["block_id"].(string)}, true
			}
		}
	default:
		if m, ok := w.approval(id); ok && m.HasAction(action) {
			return place{in: slacksim.InMessage(channelID(), m.TS)}, true
		}
	}
	return place{}, false
}

// offers reports whether a button of a block is there, and is about a request. One
// that is about none, such as Request access, counts for any.
func offers(v any, action, id string) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(x any) bool { return offers(x, action, id) })
	case map[string]any:
		if v["action_id"] == action {
			about, _, ok := strings.Cut(fmt.Sprint(v["value"]), ":")
			return !ok || about == id
		}
		return offers(v["elements"], action, id) || offers(v["accessory"], action, id)
	}
	return false
}

// press presses a button as soon as it is there, after choosing an expiry if one
// is named.
func (w *world) press(who string, where sight, id, action, expiry string) error {
	var at place
	if !eventually(10*time.Millisecond, func() (ok bool) { at, ok = w.button(who, where, id, action); return ok }) {
		return fmt.Errorf("%s sees no button %q on %s", who, action, id)
	}
	a := w.sim.As(who)
	if expiry != "" {
		if err := a.Select(at.in, at.block, "expiry", expiry); err != nil {
			return err
		}
	}
	return a.Click(at.in, at.block, action)
}

// form is the topmost form of a person, once it is open.
func (w *world) form(who string) (slacksim.View, error) {
	var v slacksim.View
	ok := eventually(10*time.Millisecond, func() bool {
		if all := w.sim.As(who).Modals(); len(all) > 0 {
			v = all[len(all)-1]
		}
		return v != nil
	})
	if !ok {
		return nil, errors.New("no form is open")
	}
	return v, nil
}

// have is who stands in the desired state at a key such as payments.admins.
func (w *world) have(key string) ([]string, error) {
	text, err := w.git(w.desired(), "show", "main:access.yaml")
	if err != nil {
		return nil, err
	}
	var at any
	if err := yaml.Unmarshal([]byte(text), &at); err != nil {
		return nil, err
	}
	for _, k := range strings.Split(key, ".") {
		m, ok := at.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("there is no key %s", key)
		}
		at = m[k]
	}
	var who []string
	list, _ := at.([]any)
	for _, x := range list {
		who = append(who, fmt.Sprint(x))
	}
	return who, nil
}
