package slacksim

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Submit sends a modal. The values are {block_id: {action_id: value}}, where a value is what Select
// takes, or {"value": …} and the like as in Slack's state.values. What is missing keeps what was
// chosen before, or its initial value. Errors by block id are what the app, or Slack's own
// client, found wrong with the input; the modal then stays open.
func (a *Actor) Submit(viewID string, values map[string]map[string]any) (problems map[string]string, err error) {
	in := obj{}
	for block, actions := range values {
		in[block] = map[string]any(actions)
	}
	return a.submit(viewID, in)
}

func (a *Actor) submit(viewID string, values obj) (problems map[string]string, err error) {
	var e *envelope
	err = a.with(func(ws *workspace, u *User) error {
		v, err := ws.topModal(u, viewID)
		if err != nil {
			return err
		}
		at := &place{v: v, blocks: v.blocks(), chosen: v.Chosen}
		if err := ws.takeValues(at, u.ID, values); err != nil {
			return err
		}
		v.errors, v.notice = nil, ""
		if problems = inputErrors(v.blocks(), choices(v.blocks(), v.Chosen)); len(problems) > 0 {
			v.errors = problems
			ws.viewChanged(v)
			return nil
		}
		e = interactive(ws.submission(u, v))
		return nil
	})
	if err != nil || e == nil {
		return problems, err
	}
	answer, err := a.s.hub.ask(e)
	if err != nil {
		a.notice(viewID, err)
		return nil, err
	}
	return a.submitted(viewID, answer)
}

func (ws *workspace) topModal(u *User, id string) (*view, error) {
	stack := ws.modals[u.ID]
	if len(stack) == 0 || stack[len(stack)-1].ID != id {
		return nil, errors.New("that form is not open")
	}
	v := stack[len(stack)-1]
	if v.Body["submit"] == nil {
		return nil, errors.New("that form cannot be submitted")
	}
	return v, nil
}

// submitted does what the app answered to a submission.
func (a *Actor) submitted(viewID string, answer json.RawMessage) (problems map[string]string, err error) {
	err = a.s.do(func(ws *workspace) error {
		v := ws.findView(viewID)
		if v == nil {
			return nil // closed meanwhile
		}
		body, err := ackObject(answer)
		if err == nil {
			problems, err = ws.viewAnswer(v, body)
		}
		if err != nil {
			ws.finds("bad_answer", "view_submission: "+err.Error(), answer)
			v.notice = "We had some trouble connecting. Try again?"
			ws.viewChanged(v)
			return fmt.Errorf("the app's answer makes no sense: %w", err)
		}
		return nil
	})
	return problems, err
}

func (ws *workspace) viewAnswer(v *view, body obj) (map[string]string, error) {
	switch action := str(body, "response_action"); {
	case body == nil:
		ws.closeModal(v)
		return nil, nil
	case action == "clear":
		ws.modals[v.User] = nil
		ws.notify(v.User, "modals")
		return nil, nil
	case action == "errors":
		return ws.viewErrors(v, body)
	case action == "update":
		next, err := ws.answeredView(body)
		if err != nil {
			return nil, err
		}
		ws.setBody(v, next)
		ws.viewChanged(v)
		return nil, nil
	case action == "push":
		next, err := ws.answeredView(body)
		if err != nil {
			return nil, err
		}
		_, err = ws.pushModal(v.User, next)
		return nil, err
	}
	return nil, fmt.Errorf("unknown response_action %q", str(body, "response_action"))
}

func (ws *workspace) answeredView(body obj) (obj, error) {
	next, err := ws.checkedView(body["view"], "modal")
	var e *apiError
	if errors.As(err, &e) {
		return nil, fmt.Errorf("%s: %s", e.code, raw(e.extra))
	}
	return next, err
}

// viewErrors shows errors at input blocks; Slack refuses errors at anything else.
func (ws *workspace) viewErrors(v *view, body obj) (map[string]string, error) {
	inputs := map[string]bool{}
	for _, b := range v.blocks() {
		if o, ok := b.(map[string]any); ok && str(o, "type") == "input" {
			inputs[str(o, "block_id")] = true
		}
	}
	problems := map[string]string{}
	for id, text := range sub(body, "errors") {
		s, ok := text.(string)
		if !ok || s == "" {
			return nil, fmt.Errorf("the error of block %q is no text", id)
		}
		if !inputs[id] {
			return nil, fmt.Errorf("there is no input block %q", id)
		}
		problems[id] = s
	}
	if len(problems) == 0 {
		return nil, errors.New("errors without an error")
	}
	v.errors = problems
	ws.viewChanged(v)
	return problems, nil
}

// CloseView closes a modal, the way Cancel does: those below it stay, unless the app set
// clear_on_close.
func (a *Actor) CloseView(viewID string) error { return a.closeView(viewID, false) }

// ClearViews closes all modals, the way the x in the corner does.
func (a *Actor) ClearViews(viewID string) error { return a.closeView(viewID, true) }

func (a *Actor) closeView(viewID string, all bool) error {
	var tell []*envelope
	err := a.with(func(ws *workspace, u *User) error {
		v := ws.findView(viewID)
		if v == nil || v.User != u.ID || str(v.Body, "type") != "modal" {
			return errors.New("that form is not open")
		}
		cleared := all || flag(v.Body, "clear_on_close")
		last := v
		if cleared {
			last = ws.modals[u.ID][0]
		}
		stack := ws.modals[u.ID]
		for i := len(stack) - 1; i >= 0; i-- {
			if flag(stack[i].Body, "notify_on_close") {
				tell = append(tell, interactive(ws.closed(u, stack[i], cleared)))
			}
			if stack[i] == last {
				break
			}
		}
		ws.closeModal(last)
		return nil
	})
	for _, e := range tell {
		if _, lost := a.s.hub.ask(e); lost != nil {
			a.s.log.Debug("view_closed not delivered", "error", lost)
		}
	}
	return err
}
