package slacksim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// command returns the app's command that a text begins with, or nil.
func (s *Server) command(text string) *Command {
	name, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	for i, c := range s.cfg.World.App.Commands {
		if c.Command == name {
			return &s.cfg.World.App.Commands[i]
		}
	}
	return nil
}

// Command gives a slash command in a channel and waits for the app's acknowledgement. The notice
// is what Slack itself says to the person when the app did not answer; the error is then
// ErrNotConnected or ErrNoAck.
func (a *Actor) Command(in, text string) (notice string, err error) {
	cmd := a.s.command(text)
	if cmd == nil {
		return "", fmt.Errorf("%s is not a valid command", text)
	}
	_, args, _ := strings.Cut(strings.TrimSpace(text), " ")
	var e *envelope
	var ch *channel
	err = a.with(func(ws *workspace, u *User) error {
		if ch, err = ws.channelFor(u, in); err != nil {
			return err
		}
		if ws.foreign(u) {
			return fmt.Errorf("%s is not a valid command in %s", cmd.Command, ws.teamOf(u).Name)
		}
		p := ws.commandPayload(u, ch, *cmd, strings.TrimSpace(args), a.baseURL())
		e = &envelope{kind: kindCommand, title: cmd.Command, accepts: true, payload: raw(p)}
		return nil
	})
	if err != nil {
		return "", err
	}
	answer, err := a.s.hub.ask(e)
	return a.commandAnswer(ch, cmd.Command, answer, err)
}

// commandAnswer shows the app's answer, or why there is none.
func (a *Actor) commandAnswer(ch *channel, cmd string, answer json.RawMessage, err error) (string, error) {
	code := "operation_timeout"
	if errors.Is(err, ErrNotConnected) {
		code = "dispatch_failed"
	}
	fails := a.s.do(func(ws *workspace) error {
		if err != nil {
			ws.slackbotSays(ch, a.user, fmt.Sprintf("%s failed with the error %q: %s.", cmd, code, err))
			return nil
		}
		body, bad := ackObject(answer)
		if bad == nil && body != nil {
			bad = ws.respond(ch, a.user, nil, body)
		}
		if bad != nil {
			ws.finds("bad_answer", cmd+": "+bad.Error(), answer)
			ws.slackbotSays(ch, a.user, cmd+" failed because the app did not respond in the right form.")
		}
		return bad
	})
	if err != nil {
		return fmt.Sprintf("%s failed with the error %q: %s.", cmd, code, err), err
	}
	return "", fails
}

// Shortcut runs a global shortcut of the app.
func (a *Actor) Shortcut(callbackID string) error {
	var e *envelope
	err := a.with(func(ws *workspace, u *User) error {
		known := slices.ContainsFunc(ws.app.Shortcuts, func(s Shortcut) bool { return s.CallbackID == callbackID })
		if !known || ws.foreign(u) {
			return fmt.Errorf("there is no shortcut %q", callbackID)
		}
		e = interactive(ws.shortcutPayload(u, callbackID))
		return nil
	})
	if err != nil {
		return err
	}
	_, err = a.s.hub.ask(e)
	return err
}

// Click presses a button. An empty block id means the first block that has the action.
func (a *Actor) Click(in Ref, blockID, actionID string) error {
	return a.act(in, blockID, actionID, nil, nil)
}

// Select chooses in a select, a picker, radio buttons, checkboxes or an overflow menu. The value is
// an option's value, a user's id, a date; a list of these where several can be chosen. In an input block
// of a form it is filled in, and goes to the app with Submit.
func (a *Actor) Select(in Ref, blockID, actionID string, value any) error {
	return a.act(in, blockID, actionID, value, nil)
}

// act sends block_actions. Elements of input blocks without dispatch_action are only filled in. The values, as for Submit, are what else stands in the form.
func (a *Actor) act(in Ref, blockID, actionID string, value any, values obj) error {
	var e *envelope
	err := a.with(func(ws *workspace, u *User) error {
		at, err := ws.lookup(u, in)
		if err != nil {
			return err
		}
		block, el := findElement(at.blocks, blockID, actionID)
		if el == nil {
			return fmt.Errorf("there is no element %q here", actionID)
		}
		if err := ws.takeValues(at, u.ID, values); err != nil {
			return err
		}
		choice, err := ws.choose(at, u.ID, block, el, value)
		if err != nil {
			return err
		}
		if str(block, "type") == "input" && !flag(block, "dispatch_action") {
			return nil // it goes with the form
		}
		e = interactive(ws.blockActions(u, at, block, el, choice, a.baseURL()))
		return nil
	})
	if err != nil || e == nil {
		return err
	}
	_, err = a.s.hub.ask(e)
	if in.View != "" && err != nil {
		a.notice(in.View, err)
	}
	return err
}

// choose keeps a choice, so that it is part of every later click in the same place.
func (ws *workspace) choose(at *place, user string, block, el obj, value any) (obj, error) {
	if str(el, "type") == "button" {
		return nil, nil
	}
	blockID, actionID := str(block, "block_id"), str(el, "action_id")
	choice, err := makeChoice(el, value, func(v string) obj { return at.served()[servedKey(user, blockID, actionID, v)] })
	if err != nil {
		return nil, err
	}
	if str(el, "type") == "overflow" {
		return choice, nil
	}
	at.chosen.set(blockID, actionID, choice)
	if at.m != nil {
		ws.notify(user, at.ch.topics(at.m)...)
	}
	return choice, nil
}

func servedKey(parts ...string) string { return strings.Join(parts, "\x00") }

func (at *place) served() map[string]obj {
	if at.v != nil {
		return at.v.served
	}
	return at.m.served
}

// takeValues takes over what a page holds of a form: {block_id: {action_id: choice}}.
func (ws *workspace) takeValues(at *place, user string, values obj) error {
	for blockID, actions := range values {
		m, ok := actions.(map[string]any)
		if !ok {
			return fmt.Errorf("values of %q: an object of action ids is wanted", blockID)
		}
		for actionID, v := range m {
			block, el := findElement(at.blocks, blockID, actionID)
			if el == nil {
				return fmt.Errorf("there is no element %q in block %q", actionID, blockID)
			}
			if _, err := ws.choose(at, user, block, el, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// notice marks a view with what Slack says when the app failed to answer.
func (a *Actor) notice(viewID string, err error) {
	_ = a.s.do(func(ws *workspace) error {
		if v := ws.findView(viewID); v != nil {
			v.notice = "We had some trouble connecting. Try again? (" + err.Error() + ")"
			ws.viewChanged(v)
		}
		return nil
	})
}

// Suggestions are the options an app offers for what was typed.
type Suggestions struct {
	Options []any `json:"options"`
	Groups  []any `json:"option_groups,omitempty"`
}

// minQuery is how much must be typed before an app is asked for options: 3 characters unless it says
// otherwise.
func minQuery(el obj) float64 {
	if n, ok := el["min_query_length"].(float64); ok {
		return n
	}
	return 3
}

// Suggest types into an external_select and returns what the app offers. Nothing is asked, and
// nothing offered, before min_query_length characters.
func (a *Actor) Suggest(in Ref, blockID, actionID, query string) (Suggestions, error) {
	var e *envelope
	var served map[string]obj
	var key func(value string) string
	err := a.with(func(ws *workspace, u *User) error {
		at, err := ws.lookup(u, in)
		if err != nil {
			return err
		}
		block, el := findElement(at.blocks, blockID, actionID)
		if el == nil || !strings.HasSuffix(str(el, "type"), "external_select") {
			return fmt.Errorf("there is no external select %q here", actionID)
		}
		if float64(utf8.RuneCountInString(query)) < minQuery(el) {
			return nil
		}
		served = at.keepServed()
		key = func(v string) string { return servedKey(u.ID, str(block, "block_id"), str(el, "action_id"), v) }
		e = interactive(ws.suggestion(u, at, block, el, query))
		return nil
	})
	if err != nil || e == nil {
		return Suggestions{Options: []any{}}, err
	}
	answer, err := a.s.hub.ask(e)
	if err != nil {
		return Suggestions{}, err
	}
	return a.suggested(answer, served, key)
}

// keepServed returns the map that remembers offered options.
func (at *place) keepServed() map[string]obj {
	if at.v != nil {
		if at.v.served == nil {
			at.v.served = map[string]obj{}
		}
		return at.v.served
	}
	if at.m.served == nil {
		at.m.served = map[string]obj{}
	}
	return at.m.served
}

// suggested judges the app's answer and remembers the options it offers.
func (a *Actor) suggested(answer json.RawMessage, served map[string]obj, key func(string) string) (Suggestions, error) {
	body, err := ackObject(answer)
	c := newChecker("modal")
	switch {
	case err != nil || (body["options"] == nil && body["option_groups"] == nil):
		c.fail("/", "options or option_groups is required")
	case body["options"] != nil:
		each(0, maxOptions, option("plain"))(c, "/options", body["options"])
	default:
		optionGroups(c, "/option_groups", body["option_groups"])
	}
	if len(c.problems) > 0 {
		a.s.trace.finding("bad_answer", "block_suggestion: "+strings.Join(c.problems, "; "), answer)
		return Suggestions{}, errors.New("the app's options could not be loaded")
	}
	_ = a.s.do(func(*workspace) error {
		for _, o := range optionsOf(body) {
			served[key(str(o, "value"))] = o
		}
		return nil
	})
	out := Suggestions{Options: list(body, "options"), Groups: list(body, "option_groups")}
	if out.Options == nil {
		out.Options = []any{}
	}
	return out, nil
}
