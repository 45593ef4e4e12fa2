package slacksim

// viewArg reads and judges the argument view.
func (c *call) viewArg(kind string) (obj, error) {
	v, ok := c.json("view")
	if !ok || v == nil {
		return nil, apiErrWith("invalid_arguments", obj{"response_metadata": obj{
			"messages": []any{"[ERROR] view must be a JSON object [json-pointer:/view]"},
		}})
	}
	return c.ws.checkedView(v, kind)
}

// unusedExternal refuses an external_id that another view has.
func (c *call) unusedExternal(body obj, self *view) error {
	if v := c.ws.findExternal(str(body, "external_id")); v != nil && v != self {
		return apiErr("duplicate_external_id")
	}
	return nil
}

func viewsOpen(c *call) (obj, error) {
	body, err := c.viewArg("modal")
	if err != nil {
		return nil, err
	}
	if err := c.unusedExternal(body, nil); err != nil {
		return nil, err
	}
	t, err := c.ws.useTrigger(c.str("trigger_id"))
	if err != nil {
		return nil, err
	}
	return obj{"view": c.ws.viewJSON(c.ws.openModal(t.user, body))}, nil
}

func viewsPush(c *call) (obj, error) {
	body, err := c.viewArg("modal")
	if err != nil {
		return nil, err
	}
	if err := c.unusedExternal(body, nil); err != nil {
		return nil, err
	}
	t, err := c.ws.useTrigger(c.str("trigger_id"))
	if err != nil {
		return nil, err
	}
	v, err := c.ws.pushModal(t.user, body)
	if err != nil {
		return nil, err
	}
	return obj{"view": c.ws.viewJSON(v)}, nil
}

func viewsUpdate(c *call) (obj, error) {
	v := c.ws.findView(c.str("view_id"))
	if v == nil {
		v = c.ws.findExternal(c.str("external_id"))
	}
	if v == nil {
		return nil, apiErr("not_found")
	}
	body, err := c.viewArg(str(v.Body, "type"))
	if err != nil {
		return nil, err
	}
	if hash := c.str("hash"); hash != "" && hash != v.Hash {
		return nil, apiErr("hash_conflict")
	}
	if err := c.unusedExternal(body, v); err != nil {
		return nil, err
	}
	c.ws.setBody(v, body)
	c.ws.viewChanged(v)
	return obj{"view": c.ws.viewJSON(v)}, nil
}

func viewsPublish(c *call) (obj, error) {
	if c.ws.app.NoHome {
		return nil, apiErr("not_enabled")
	}
	u := c.ws.users[c.str("user_id")]
	if u == nil || u.Deleted || u.Bot || c.ws.foreign(u) {
		return nil, apiErr("user_not_found")
	}
	body, err := c.viewArg("home")
	if err != nil {
		return nil, err
	}
	v := c.ws.homes[u.ID]
	if hash := c.str("hash"); hash != "" && (v == nil || hash != v.Hash) {
		return nil, apiErr("hash_conflict")
	}
	if err := c.unusedExternal(body, v); err != nil {
		return nil, err
	}
	if v == nil {
		v = c.ws.newView(u.ID, body)
		c.ws.homes[u.ID] = v
	} else {
		c.ws.setBody(v, body)
	}
	c.ws.viewChanged(v)
	return obj{"view": c.ws.viewJSON(v)}, nil
}
