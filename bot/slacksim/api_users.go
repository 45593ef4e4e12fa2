package slacksim

import (
	"slices"
	"strings"
)

// seesEmail reports whether the token may read addresses.
func (c *call) seesEmail() bool { return slices.Contains(c.scopes, "users:read.email") }

func usersInfo(c *call) (obj, error) {
	u := c.ws.users[c.str("user")]
	if u == nil {
		return nil, apiErr("user_not_found")
	}
	return obj{"user": c.ws.userJSON(u, c.seesEmail())}, nil
}

func usersList(c *call) (obj, error) {
	from, to, next, err := c.page(len(c.ws.order), 1000, 1000)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, id := range c.ws.order[from:to] {
		out = append(out, c.ws.userJSON(c.ws.users[id], c.seesEmail()))
	}
	return obj{"members": out, "cache_ts": c.ws.now().Unix(), "response_metadata": cursor(next)}, nil
}

// usersLookup knows neither deactivated people, nor bots, nor people of other workspaces.
func usersLookup(c *call) (obj, error) {
	email := c.str("email")
	for _, id := range c.ws.order {
		u := c.ws.users[id]
		if email != "" && strings.EqualFold(u.Email, email) && !u.Deleted && !u.Bot && !c.ws.foreign(u) {
			return obj{"user": c.ws.userJSON(u, true)}, nil
		}
	}
	return nil, apiErr("users_not_found")
}

func botsInfo(c *call) (obj, error) {
	if id := c.str("bot"); id != "" && id != c.ws.app.BotID {
		return nil, apiErr("bot_not_found")
	}
	return obj{"bot": obj{
		"id": c.ws.app.BotID, "deleted": false, "name": c.ws.app.Name, "updated": 1700000000,
		"app_id": c.ws.app.ID, "user_id": c.ws.app.BotUser, "icons": obj{},
	}}, nil
}

func teamInfo(c *call) (obj, error) {
	return obj{"team": obj{
		"id": c.ws.team.ID, "name": c.ws.team.Name, "url": "https://" + c.ws.team.Domain + ".slack.com/",
		"domain": c.ws.team.Domain, "email_domain": "", "icon": obj{}, "avatar_base_url": "https://ca.slack-edge.com/", "is_verified": false,
	}}, nil
}
