package slacksim

import (
	"fmt"
	"slices"
)

// What an administrator of the workspace does, for tests. The app is told by events.

// seesEmail reports whether events may show the app people's addresses.
func (ws *workspace) seesEmail() bool { return slices.Contains(ws.app.Scopes, "users:read.email") }

// AddUser adds a person to the workspace and to the given channels. The fields that User
// leaves empty get defaults; the id must be new.
func (s *Server) AddUser(u User, channels ...string) error {
	return s.do(func(ws *workspace) error {
		if u.ID == "" || ws.users[u.ID] != nil {
			return fmt.Errorf("the user id %q is empty or taken", u.ID)
		}
		added := ws.putUser(u)
		ws.emit("team_join", obj{"type": "team_join", "user": ws.userJSON(added, ws.seesEmail()), "event_ts": ws.nextTS()})
		for _, id := range channels {
			ch := ws.channelByName(id)
			if ch == nil {
				return fmt.Errorf("there is no channel %q", id)
			}
			ws.join(ch, u.ID)
		}
		ws.notify("", "world")
		return nil
	})
}

// UpdateUser changes a person by f and sends user_change.
func (s *Server) UpdateUser(id string, f func(*User)) error {
	return s.do(func(ws *workspace) error {
		u := ws.users[id]
		if u == nil {
			return fmt.Errorf("there is no user %q", id)
		}
		f(u)
		u.ID = id
		ws.emit("user_change", obj{
			"type": "user_change", "user": ws.userJSON(u, ws.seesEmail()), "cache_ts": ws.now().Unix(), "event_ts": ws.nextTS(),
		})
		ws.notify("", "world", "sidebar")
		return nil
	})
}

// DeactivateUser deactivates a person: they lose their groups and cannot act any more.
func (s *Server) DeactivateUser(id string) error {
	err := s.UpdateUser(id, func(u *User) { u.Deleted = true })
	if err != nil {
		return err
	}
	return s.do(func(ws *workspace) error {
		for _, g := range ws.groups {
			if slices.Contains(g.Users, id) {
				ws.setGroupUsers(g, slices.DeleteFunc(slices.Clone(g.Users), func(x string) bool { return x == id }))
			}
		}
		delete(ws.modals, id)
		return nil
	})
}

// SetGroupRule changes who may change user groups.
func (s *Server) SetGroupRule(rule GroupRule) {
	_ = s.do(func(ws *workspace) error {
		ws.rule = rule
		ws.notify("", "world")
		return nil
	})
}

// SetGroupUsers changes who is in a user group, as a person would in Slack.
func (s *Server) SetGroupUsers(handle string, users ...string) error {
	return s.do(func(ws *workspace) error {
		g := ws.groupByHandle(handle)
		if g == nil {
			return fmt.Errorf("there is no user group %q", handle)
		}
		ws.setGroupUsers(g, slices.Clone(users))
		ws.emit("subteam_updated", obj{"type": "subteam_updated", "subteam": ws.groupJSON(g, true), "event_ts": ws.nextTS()})
		ws.notify("", "world")
		return nil
	})
}

// SetScopes installs the app anew with these scopes of its bot token.
func (s *Server) SetScopes(scopes ...string) {
	_ = s.do(func(ws *workspace) error {
		ws.app.Scopes = slices.Clone(scopes)
		return nil
	})
}

// ArchiveChannel archives a channel, or takes it out again.
func (s *Server) ArchiveChannel(id string, archived bool) error {
	return s.do(func(ws *workspace) error {
		ch := ws.channelByName(id)
		if ch == nil {
			return fmt.Errorf("there is no channel %q", id)
		}
		ch.Archived = archived
		kind := map[bool]string{false: "channel", true: "group"}[ch.Private] + map[bool]string{true: "_archive", false: "_unarchive"}[archived]
		ws.emit(kind, obj{"type": kind, "channel": ch.ID, "user": slackbot, "event_ts": ws.nextTS()})
		ws.notify("", "sidebar", "channel:"+ch.ID)
		return nil
	})
}

// AddChannel makes a channel; its id must be new.
func (s *Server) AddChannel(c Channel) error {
	return s.do(func(ws *workspace) error {
		if c.ID == "" || ws.channels[c.ID] != nil {
			return fmt.Errorf("the channel id %q is empty or taken", c.ID)
		}
		ws.putChannel(c)
		ws.notify("", "sidebar")
		return nil
	})
}

// ShareChannel shares a channel with another workspace, or ends that.
func (s *Server) ShareChannel(id string, shared bool) error {
	return s.do(func(ws *workspace) error {
		ch := ws.channelByName(id)
		if ch == nil || len(ws.others) == 0 {
			return fmt.Errorf("there is no channel %q, or nobody to share it with", id)
		}
		ch.Shared = shared
		kind := map[bool]string{true: "channel_shared", false: "channel_unshared"}[shared]
		ws.emit(kind, obj{"type": kind, "connected_team_id": ws.others[0].ID, "channel": ch.ID, "event_ts": ws.nextTS()})
		ws.notify("", "sidebar", "channel:"+ch.ID)
		return nil
	})
}

// AddMember puts a user, the app's included, into a channel.
func (s *Server) AddMember(channel, user string) error {
	return s.do(func(ws *workspace) error {
		ch := ws.channelByName(channel)
		if ch == nil || ws.users[user] == nil {
			return fmt.Errorf("there is no channel %q or no user %q", channel, user)
		}
		ws.join(ch, user)
		return nil
	})
}

// RemoveMember takes a user, the app's included, out of a channel.
func (s *Server) RemoveMember(channel, user string) error {
	return s.do(func(ws *workspace) error {
		ch := ws.channelByName(channel)
		if ch == nil {
			return fmt.Errorf("there is no channel %q", channel)
		}
		ws.leave(ch, user)
		return nil
	})
}

// Uninstall tells the app that it was removed: its tokens are revoked. Only the events are
// sent; the tokens go on working, so that the app's last words can be read.
func (s *Server) Uninstall() {
	_ = s.do(func(ws *workspace) error {
		ws.emit("tokens_revoked", obj{
			"type": "tokens_revoked", "tokens": obj{"oauth": []any{}, "bot": []any{ws.app.BotUser}}, "event_ts": ws.nextTS(),
		})
		ws.emit("app_uninstalled", obj{"type": "app_uninstalled", "event_ts": ws.nextTS()})
		return nil
	})
}
