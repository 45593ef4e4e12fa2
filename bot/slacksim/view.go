package slacksim

import (
	"maps"
	"slices"
	"time"
)

const (
	maxStack    = 3
	maxViewSize = 250 << 10
)

// view is a modal or a Home tab, of one user.
type view struct {
	ID       string         `json:"id"`
	Hash     string         `json:"hash"`
	User     string         `json:"user"`
	Body     obj            `json:"body"` // as the app sent it, completed
	Previous string         `json:"previous,omitempty"`
	Root     string         `json:"root"`
	Chosen   elementChoices `json:"chosen,omitempty"`
	errors   map[string]string
	notice   string
	served   map[string]obj
}

func (v *view) blocks() []any { return list(v.Body, "blocks") }

// trigger is the right to open one view, for a short time.
type trigger struct {
	user    string
	view    string // the modal it came from
	expires time.Time
	used    bool
}

// newTrigger makes a trigger_id.
func (ws *workspace) newTrigger(user, fromView string) string {
	ws.sweep()
	id := ws.nextTS() + "." + lower(randomID(32))
	ws.triggers[id] = &trigger{user: user, view: fromView, expires: time.Now().Add(ws.timing.Trigger)}
	return id
}

// sweep forgets, now and then, triggers and response_urls that are long over.
func (ws *workspace) sweep() {
	now := time.Now()
	if now.Sub(ws.swept) < time.Minute {
		return
	}
	ws.swept = now
	maps.DeleteFunc(ws.triggers, func(_ string, t *trigger) bool { return now.Sub(t.expires) > time.Minute })
	maps.DeleteFunc(ws.hooks, func(_ string, h *hook) bool { return now.After(h.expires) })
}

// useTrigger exchanges a trigger_id for its user.
func (ws *workspace) useTrigger(id string) (*trigger, error) {
	t := ws.triggers[id]
	switch {
	case t == nil:
		return nil, apiErr("invalid_trigger_id")
	case t.used:
		return nil, apiErr("exchanged_trigger_id")
	case time.Now().After(t.expires):
		return nil, apiErr("expired_trigger_id")
	}
	t.used = true
	return t, nil
}

// newView makes a view out of a body that was checked.
func (ws *workspace) newView(user string, body obj) *view {
	v := &view{ID: "V" + randomID(10), User: user, Chosen: elementChoices{}}
	v.Root = v.ID
	ws.setBody(v, body)
	return v
}

// setBody replaces the content of a view; what was chosen stays where the ids stay.
func (ws *workspace) setBody(v *view, body obj) {
	fillIn(list(body, "blocks"))
	fillTexts(body["title"])
	fillTexts(body["submit"])
	fillTexts(body["close"])
	v.Body, v.errors, v.notice = body, nil, ""
	v.Hash = beforeDot(ws.nextTS()) + "." + lower(randomID(8))
}

// openModal replaces whatever the user had open.
func (ws *workspace) openModal(user string, body obj) *view {
	v := ws.newView(user, body)
	ws.modals[user] = []*view{v}
	ws.notify(user, "modals")
	return v
}

// pushModal puts a view on top of the user's stack.
func (ws *workspace) pushModal(user string, body obj) (*view, error) {
	stack := ws.modals[user]
	if len(stack) == 0 {
		return nil, apiErr("invalid_trigger_id")
	}
	if len(stack) >= maxStack {
		return nil, apiErr("push_limit_reached")
	}
	v := ws.newView(user, body)
	v.Previous, v.Root = stack[len(stack)-1].ID, stack[0].ID
	ws.modals[user] = append(stack, v)
	ws.notify(user, "modals")
	return v, nil
}

// closeModal takes a view and those above it off the stack.
func (ws *workspace) closeModal(v *view) {
	stack := ws.modals[v.User]
	if i := slices.Index(stack, v); i >= 0 {
		ws.modals[v.User] = stack[:i:i]
	}
	ws.notify(v.User, "modals")
}

// findView returns an open modal or a published Home tab by id, or nil.
func (ws *workspace) findView(id string) *view {
	return ws.anyView(func(v *view) bool { return v.ID == id })
}

func (ws *workspace) findExternal(id string) *view {
	if id == "" {
		return nil
	}
	return ws.anyView(func(v *view) bool { return str(v.Body, "external_id") == id })
}

func (ws *workspace) anyView(match func(*view) bool) *view {
	for _, stack := range ws.modals {
		for _, v := range stack {
			if match(v) {
				return v
			}
		}
	}
	for _, v := range ws.homes {
		if match(v) {
			return v
		}
	}
	return nil
}

// changed tells the user's pages about a view.
func (ws *workspace) viewChanged(v *view) {
	if str(v.Body, "type") == "home" {
		ws.notify(v.User, "home")
		return
	}
	ws.notify(v.User, "modals")
}

// viewJSON is a view as the API and interactions give it.
func (ws *workspace) viewJSON(v *view) obj {
	opt := func(key string) any {
		if x, there := v.Body[key]; there {
			return x
		}
		return nil
	}
	previous := any(nil)
	if v.Previous != "" {
		previous = v.Previous
	}
	out := obj{
		"id": v.ID, "team_id": ws.team.ID, "type": v.Body["type"], "blocks": v.blocks(),
		"private_metadata": str(v.Body, "private_metadata"), "callback_id": str(v.Body, "callback_id"),
		"state": obj{"values": choices(v.blocks(), v.Chosen)}, "hash": v.Hash,
		"title": opt("title"), "close": opt("close"), "submit": opt("submit"),
		"clear_on_close": flag(v.Body, "clear_on_close"), "notify_on_close": flag(v.Body, "notify_on_close"),
		"previous_view_id": previous, "root_view_id": v.Root, "app_id": ws.app.ID,
		"external_id": str(v.Body, "external_id"), "app_installed_team_id": ws.team.ID, "bot_id": ws.app.BotID,
	}
	if str(v.Body, "type") == "home" {
		out["title"] = obj{"type": "plain_text", "text": "View Title", "emoji": true}
	}
	return out
}

// checkedView validates what an app sent as a view. The error is invalid_arguments, with
// what is wrong.
func (ws *workspace) checkedView(body any, kind string) (obj, error) {
	c := checkView(body, kind)
	for _, s := range c.markdown {
		ws.judgeText("view", s)
	}
	if len(c.problems) > 0 {
		return nil, apiErrWith("invalid_arguments", obj{"response_metadata": obj{"messages": toAny(c.problems)}})
	}
	if len(raw(body)) > maxViewSize {
		return nil, apiErr("view_too_large")
	}
	return body.(map[string]any), nil
}

func toAny(l []string) []any {
	out := []any{}
	for _, s := range l {
		out = append(out, s)
	}
	return out
}
