package slacksim

import (
	"strings"
	"time"
)

// How people, channels, messages and groups look in JSON. The field names and their presence
// follow Slack's documentation.

func (ws *workspace) userJSON(u *User, withEmail bool) obj {
	profile := obj{
		"title": u.Title, "phone": "", "skype": "", "real_name": u.RealName, "real_name_normalized": u.RealName,
		"display_name": u.Name, "display_name_normalized": u.Name, "fields": obj{}, "status_text": "", "status_emoji": "",
		"status_expiration": 0, "avatar_hash": "g" + lower(u.ID), "team": u.Team,
	}
	if withEmail && u.Email != "" {
		profile["email"] = u.Email
	}
	out := obj{
		"id": u.ID, "team_id": u.Team, "name": u.Name, "deleted": u.Deleted, "profile": profile,
		"is_bot": u.Bot, "is_app_user": false, "updated": ws.now().Unix(),
	}
	if u.Bot {
		profile["api_app_id"], profile["bot_id"], profile["always_active"] = ws.app.ID, ws.app.BotID, true
	}
	if u.Deleted {
		return out // Slack leaves the rest out for deactivated people
	}
	out["color"], out["real_name"] = strings.TrimPrefix(u.Color, "#"), u.RealName
	tz := u.TZ
	if tz == "" {
		tz = "Etc/UTC"
	}
	out["tz"], out["tz_label"], out["tz_offset"] = tz, tz, offset(tz, ws.now())
	out["is_admin"], out["is_owner"], out["is_primary_owner"] = u.Admin, u.Admin, false
	out["is_restricted"], out["is_ultra_restricted"] = u.Guest || u.SingleChannel, u.SingleChannel
	out["is_email_confirmed"] = !u.Unconfirmed
	out["who_can_share_contact_card"] = "EVERYONE"
	if ws.foreign(u) {
		out["is_stranger"] = !ws.sharesChannel(u.ID)
	}
	return out
}

func offset(tz string, now time.Time) int {
	loc, err := time.LoadLocation(tz)
	if err != nil {
		return 0
	}
	_, seconds := now.In(loc).Zone()
	return seconds
}

// sharesChannel reports whether the user is in a channel that the app is in.
func (ws *workspace) sharesChannel(user string) bool {
	for _, c := range ws.channels {
		if c.has(user) && ws.botIn(c) {
			return true
		}
	}
	return false
}

func (ws *workspace) channelJSON(c *channel) obj {
	created := int64(1700000000)
	if c.isIM() {
		return obj{
			"id": c.ID, "created": created, "is_archived": c.Archived, "is_im": true, "is_org_shared": false,
			"context_team_id": ws.team.ID, "updated": created * 1000, "user": c.User,
			"is_user_deleted": ws.users[c.User].Deleted, "priority": 0,
		}
	}
	return obj{
		"id": c.ID, "name": c.Name, "is_channel": !c.Private, "is_group": false, "is_im": false, "is_mpim": false,
		"is_private": c.Private, "created": created, "is_archived": c.Archived, "is_general": c.Name == "general",
		"unlinked": 0, "name_normalized": c.Name, "is_shared": c.Shared, "is_org_shared": false, "is_frozen": false,
		"is_pending_ext_shared": false, "pending_shared": []any{}, "context_team_id": ws.team.ID, "updated": created * 1000,
		"parent_conversation": nil, "creator": slackbot, "is_ext_shared": c.Shared,
		"shared_team_ids": ws.sharedTeams(c), "pending_connected_team_ids": []any{}, "is_member": ws.botIn(c),
		"topic":   obj{"value": escaper.Replace(c.Topic), "creator": slackbot, "last_set": created},
		"purpose": obj{"value": "", "creator": "", "last_set": 0}, "previous_names": []any{},
	}
}

func (ws *workspace) sharedTeams(c *channel) []any {
	out := []any{ws.team.ID}
	if c.Shared {
		for _, t := range ws.others {
			out = append(out, t.ID)
		}
	}
	return out
}

// messageJSON is a message as history, events and clicks give it.
func (ws *workspace) messageJSON(c *channel, m *message) obj {
	if m.Tombstone {
		return ws.tombstoneJSON(c, m)
	}
	u := ws.users[m.User]
	out := obj{"type": "message", "user": m.User, "text": m.Text, "ts": m.TS, "team": u.Team}
	switch {
	case m.Bot:
		out["bot_id"], out["app_id"], out["bot_profile"] = ws.app.BotID, ws.app.ID, ws.botProfile()
		if m.Blocks != nil {
			out["blocks"] = m.Blocks
		}
	default:
		out["client_msg_id"] = m.ClientID
		out["blocks"] = richBlocks(m)
	}
	if m.EditedTS != "" {
		out["edited"] = obj{"user": m.EditedBy, "ts": m.EditedTS}
	}
	ws.threadFields(c, m, out)
	return out
}

func richBlocks(m *message) []any {
	if m.Blocks != nil {
		return m.Blocks // posted with a user's token
	}
	return []any{obj{"type": "rich_text", "block_id": "r" + beforeDot(m.TS), "elements": []any{
		obj{"type": "rich_text_section", "elements": m.Rich},
	}}}
}

func (ws *workspace) botProfile() obj {
	return obj{
		"id": ws.app.BotID, "deleted": false, "name": ws.app.Name, "updated": 1700000000, "app_id": ws.app.ID,
		"user_id": ws.app.BotUser, "icons": obj{}, "team_id": ws.team.ID,
	}
}

func (ws *workspace) tombstoneJSON(c *channel, m *message) obj {
	out := obj{
		"type": "message", "subtype": "tombstone", "text": "This message was deleted.", "user": slackbot,
		"hidden": true, "ts": m.TS,
	}
	ws.threadFields(c, m, out)
	return out
}

func (ws *workspace) threadFields(c *channel, m *message, out obj) {
	if m.Thread != "" {
		out["thread_ts"] = m.Thread
		if parent := c.find(m.Thread); parent != nil {
			out["parent_user_id"] = parent.User
		}
		return
	}
	replies := c.threads[m.TS]
	if len(replies) == 0 {
		return
	}
	users, seen := []any{}, map[string]bool{}
	for _, r := range replies {
		if !seen[r.User] {
			users = append(users, r.User)
		}
		seen[r.User] = true
	}
	out["thread_ts"], out["reply_count"], out["reply_users_count"] = m.TS, len(replies), len(users)
	out["latest_reply"], out["reply_users"] = replies[len(replies)-1].TS, users
	out["is_locked"], out["subscribed"] = false, false
}

func (ws *workspace) groupJSON(g *Group, withUsers bool) obj {
	deleted := int64(0)
	if g.Disabled {
		deleted = g.Updated
	}
	out := obj{
		"id": g.ID, "team_id": ws.team.ID, "is_usergroup": true, "is_subteam": true, "name": g.Name,
		"description": g.Description, "handle": g.Handle, "is_external": false, "date_create": 1700000000,
		"date_update": g.Updated, "date_delete": deleted, "auto_type": nil, "auto_provision": false,
		"enterprise_subteam_id": "", "created_by": ws.app.BotUser, "updated_by": ws.app.BotUser, "deleted_by": nil,
		"prefs": obj{"channels": []any{}, "groups": []any{}}, "user_count": len(g.Users),
	}
	if withUsers {
		out["users"] = toAny(g.Users)
	}
	return out
}

// eventPayload wraps an event the way the Events API does.
func (ws *workspace) eventPayload(event obj, shared bool) obj {
	return obj{
		"token": ws.app.VerificationToken, "team_id": ws.team.ID, "context_team_id": ws.team.ID,
		"context_enterprise_id": nil, "api_app_id": ws.app.ID, "event": event, "type": "event_callback",
		"event_id": "Ev" + randomID(10), "event_time": ws.now().Unix(),
		"authorizations": []any{obj{
			"enterprise_id": nil, "team_id": ws.team.ID, "user_id": ws.app.BotUser, "is_bot": true, "is_enterprise_install": false,
		}},
		"is_ext_shared_channel": shared, "event_context": "4-" + lower(randomID(24)),
	}
}
