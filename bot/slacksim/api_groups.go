package slacksim

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// mayChange applies the workspace's rule for user groups. An admin's user token passes where
// bots do not.
func (c *call) mayChange() error {
	switch c.ws.rule {
	case GroupsUnpaid:
		return apiErr("paid_teams_only")
	case GroupsByAdmins:
		if c.kind != userToken || !c.ws.users[c.user].Admin {
			return apiErr("permission_denied")
		}
	}
	return nil
}

func groupsList(c *call) (obj, error) {
	if c.ws.rule == GroupsUnpaid {
		return obj{"usergroups": []any{}}, nil
	}
	out := []any{}
	for _, g := range c.ws.groups {
		if g.Disabled && !c.flag("include_disabled") {
			continue
		}
		one := c.ws.groupJSON(g, c.flag("include_users"))
		if c.flag("include_count") {
			one["user_count"] = strconv.Itoa(len(g.Users)) // a string here, as Slack does it
		} else {
			delete(one, "user_count")
		}
		out = append(out, one)
	}
	return obj{"usergroups": out}, nil
}

var handleForm = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}][\p{Ll}\p{Lo}\p{N}._-]{0,20}$`)

// groupFields applies name, handle and description to a group.
func (c *call) groupFields(g *Group) error {
	name, handle := c.str("name"), c.str("handle")
	for _, other := range c.ws.groups {
		switch {
		case other == g:
		case name != "" && other.Name == name:
			return apiErr("name_already_exists")
		case handle != "" && other.Handle == handle:
			return apiErr("handle_already_exists")
		}
	}
	if handle != "" {
		if !handleForm.MatchString(handle) {
			return apiErr("invalid_handle")
		}
		if u := c.ws.userByName(handle); u != nil || c.ws.channelByName(handle) != nil {
			return apiErr("handle_already_exists")
		}
		g.Handle = handle
	}
	if name != "" {
		g.Name = name
	}
	if _, there := c.args["description"]; there {
		g.Description = c.str("description")
	}
	g.Updated = c.ws.now().Unix()
	return nil
}

func groupsCreate(c *call) (obj, error) {
	if err := c.mayChange(); err != nil {
		return nil, err
	}
	if c.str("name") == "" {
		return nil, apiErr("invalid_name")
	}
	g := &Group{ID: "S" + randomID(10)}
	if err := c.groupFields(g); err != nil {
		return nil, err
	}
	if g.Handle == "" {
		g.Handle = strings.ReplaceAll(lower(g.Name), " ", "-")
	}
	c.ws.groups = append(c.ws.groups, g)
	event := c.ws.groupJSON(g, true)
	c.ws.emit("subteam_created", obj{"type": "subteam_created", "subteam": event, "event_ts": c.ws.nextTS()})
	c.ws.notify("", "world")
	return obj{"usergroup": c.ws.groupJSON(g, true)}, nil
}

// theGroup finds the group that a changing call names.
func (c *call) theGroup() (*Group, error) {
	if err := c.mayChange(); err != nil {
		return nil, err
	}
	g := c.ws.group(c.str("usergroup"))
	if g == nil {
		return nil, apiErr("no_such_subteam")
	}
	return g, nil
}

// changedGroup is the end of every change of a group.
func (c *call) changedGroup(g *Group) obj {
	g.Updated = c.ws.now().Unix()
	c.ws.emit("subteam_updated", obj{"type": "subteam_updated", "subteam": c.ws.groupJSON(g, true), "event_ts": c.ws.nextTS()})
	c.ws.notify("", "world")
	return obj{"usergroup": c.ws.groupJSON(g, true)}
}

func groupsUpdate(c *call) (obj, error) {
	g, err := c.theGroup()
	if err != nil {
		return nil, err
	}
	if err := c.groupFields(g); err != nil {
		return nil, err
	}
	return c.changedGroup(g), nil
}

func groupsEnable(c *call) (obj, error)  { return setDisabled(c, false) }
func groupsDisable(c *call) (obj, error) { return setDisabled(c, true) }

func setDisabled(c *call, disabled bool) (obj, error) {
	g, err := c.theGroup()
	if err != nil {
		return nil, err
	}
	if g.Disabled == disabled {
		return nil, apiErr(map[bool]string{true: "already_disabled", false: "already_enabled"}[disabled])
	}
	g.Disabled = disabled
	return c.changedGroup(g), nil
}

func groupUsersList(c *call) (obj, error) {
	g := c.ws.group(c.str("usergroup"))
	if g == nil || (g.Disabled && !c.flag("include_disabled")) {
		return nil, apiErr("no_such_subteam")
	}
	return obj{"users": toAny(g.Users)}, nil
}

// groupMembers judges the argument users: nobody, strangers and guests are refused.
func (c *call) groupMembers() ([]string, error) {
	var ids []string
	for _, id := range strings.Split(c.str("users"), ",") {
		if id = strings.TrimSpace(id); id == "" {
			continue
		}
		u := c.ws.users[id]
		switch {
		case u == nil || u.Deleted || u.Bot || c.ws.foreign(u) || id == slackbot:
			return nil, apiErr("invalid_users")
		case u.SingleChannel:
			return nil, apiErr("user_is_ultra_restricted")
		case u.Guest:
			return nil, apiErr("user_is_restricted")
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, apiErr("no_users_provided")
	}
	return ids, nil
}

func groupUsersUpdate(c *call) (obj, error) {
	g, err := c.theGroup()
	if err != nil {
		return nil, err
	}
	ids, err := c.groupMembers()
	if err != nil {
		return nil, err
	}
	c.ws.setGroupUsers(g, ids)
	return c.changedGroup(g), nil
}

// setGroupUsers changes who is in a group and tells the app.
func (ws *workspace) setGroupUsers(g *Group, ids []string) {
	without := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
	}
	added, removed := without(ids, g.Users), without(g.Users, ids)
	before := g.Updated
	g.Users, g.Updated = ids, ws.now().Unix()
	if len(added)+len(removed) == 0 {
		return
	}
	ws.emit("subteam_members_changed", obj{
		"type": "subteam_members_changed", "subteam_id": g.ID, "team_id": ws.team.ID,
		"date_previous_update": before, "date_update": g.Updated,
		"added_users": toAny(added), "added_users_count": strconv.Itoa(len(added)),
		"removed_users": toAny(removed), "removed_users_count": strconv.Itoa(len(removed)), "event_ts": ws.nextTS(),
	})
}
