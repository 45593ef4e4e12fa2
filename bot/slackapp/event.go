package slackapp

import (
	"context"
	"errors"
)

// event takes an Events API payload. It answers the job that is still to be queued
// for it, and its key; no job where there is none.
func (a *App) event(p payload) (string, func(context.Context)) {
	ev := p.at("event")
	switch ev.str("type") {
	case "message":
		return a.heard(p)
	case "app_home_opened":
		if ev.str("tab") != "messages" {
			user := ev.str("user")
			a.homes.open(user)
			a.publishHome(user)
		}
	case "user_change":
		if a.people.changed(ev.at("user")) {
			wake(a.group.wake)
		}
	case "channel_shared", "channel_unshared", "channel_id_changed", "member_joined_channel", "member_left_channel",
		"channel_archive", "channel_unarchive", "group_archive", "group_unarchive":
		a.channelEvent(ev)
	case "subteam_updated", "subteam_members_changed":
		// Whoever changed the group: the reviewers of the configuration stand.
		if a.group.owns(first(ev.str("subteam_id"), ev.str("subteam", "id"))) {
			wake(a.group.wake)
		}
	case "tokens_revoked":
		if a.mine(p) && len(ev.list("tokens", "bot")) > 0 {
			a.fail(errors.New("slack: the bot's token was revoked: install the app again and set SLACK_BOT_TOKEN"))
		}
	case "app_uninstalled":
		if a.mine(p) {
			a.fail(errors.New("slack: the app was uninstalled from the workspace: install it again and set its tokens"))
		}
	}
	return "", nil
}

// mine reports whether an event comes from the bot's own workspace, or organization.
// One app may be installed in several, and all their events arrive here: that
// somebody elsewhere removes it must not stop this bot.
func (a *App) mine(p payload) bool {
	me, team, enterprise := a.self(), p.str("team_id"), p.str("enterprise_id")
	return team == "" && enterprise == "" || team == me.Team || me.Enterprise != "" && enterprise == me.Enterprise
}

// channelEvent looks the approval channel up again when something happened to it.
func (a *App) channelEvent(ev payload) {
	id, _ := a.channel.current()
	about := first(ev.str("channel"), ev.str("old_channel_id"))
	kind, user := ev.str("type"), ev.str("user")
	if kind == "member_joined_channel" || kind == "member_left_channel" {
		// Only the bot's own coming and going matters, in a channel that may be the one.
		if user == a.self().User {
			wake(a.channel.wake)
		}
		return
	}
	if id == "" || about == id {
		wake(a.channel.wake)
	}
}
