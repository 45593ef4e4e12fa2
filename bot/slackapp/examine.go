package slackapp

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"
	"countersign/bot/checkup"

	"github.com/slack-go/slack"
)

// skew is by how much our clock may differ from Slack's.
const skew = 30 * time.Second

// callLimit is how long one call of an examination may take.
const callLimit = 10 * time.Second

// Examine asks Slack whether a bot with this configuration could work there: its
// tokens and scopes, the approval channel, the user groups, and the people whom the
// rules (nil: they cannot be read) name. Of cfg the tokens, APIURL and HTTPClient
// count. It changes nothing, connects no socket, and may run beside the bot.
func Examine(ctx context.Context, cfg Config, rules *access.Rules, s *checkup.Sheet) {
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{}
	}
	client := *cfg.HTTPClient
	if client.Timeout == 0 || client.Timeout > callLimit {
		client.Timeout = callLimit
	}
	cfg.HTTPClient = &client
	if cfg.APIURL == "" {
		cfg.APIURL = DefaultAPIURL
	}
	if !strings.HasSuffix(cfg.APIURL, "/") {
		cfg.APIURL += "/"
	}
	if err := safeURL(cfg.APIURL); err != nil {
		s.Fault("slack.api", "", "correct SLACK_API_URL, or unset it", "%v", err)
		return
	}
	w := newWeb(cfg, newCounters())
	x := &examination{Sheet: s, cfg: cfg, web: w, people: newDirectory(w), rules: rules}
	known := x.bot(ctx)
	x.transport(ctx)
	if !known {
		return // nothing else would be answered
	}
	x.user(ctx)
	if rules == nil {
		return
	}
	x.channel(ctx)
	x.groups(ctx)
	x.persons(ctx)
}

// examination is one run of [Examine].
type examination struct {
	*checkup.Sheet
	cfg    Config
	web    *web
	people *directory
	rules  *access.Rules
	team   string
	admin  bool // SLACK_USER_TOKEN is there, and is an admin's
}

// bot reports whether the bot token is one that Slack takes.
func (x *examination) bot(ctx context.Context) bool {
	const check, get = "slack.bot_token", "copy the Bot User OAuth Token (xoxb-…) from OAuth & Permissions of the app into SLACK_BOT_TOKEN"
	switch token := x.cfg.BotToken; {
	case token == "":
		x.Fault(check, "", get, "SLACK_BOT_TOKEN is not set")
		return false
	case !strings.HasPrefix(token, "xoxb-"):
		x.Fault(check, "", get, "SLACK_BOT_TOKEN is no bot token: those begin with xoxb-")
		return false
	}
	answer, header, err := x.web.ask(ctx, x.cfg.BotToken, "auth.test", nil)
	switch {
	case err != nil && permanent(err):
		x.Fault(check, "", get+"; install the app anew if it was removed", "Slack refuses SLACK_BOT_TOKEN: %s", x.web.safe(err))
		return false
	case err != nil:
		x.Fault(check, "", "see whether this machine reaches "+x.cfg.APIURL, "Slack cannot be asked: %s", x.web.safe(err))
		return false
	case answer.str("bot_id") == "":
		x.Fault(check, "", get, "SLACK_BOT_TOKEN is not that of a bot")
		return false
	}
	x.team = answer.str("team_id")
	x.people.home(x.team, answer.str("enterprise_id"))
	x.OK(check, "", "the bot is @%s in the workspace %s (%s)", answer.str("user"), answer.str("team"), x.team)
	x.scopes(header)
	x.clock(header)
	return true
}

// scopes compares what the token may do with what the manifest asks for.
func (x *examination) scopes(header http.Header) {
	const check, reinstall = "slack.scopes", "compare the app with `countersign slack manifest`, then install it anew: a scope counts from then on"
	has := scopesOf(header)
	if len(has) == 0 {
		x.Warn(check, "", reinstall, "Slack does not say which scopes the bot token has")
		return
	}
	all := true
	for _, scope := range botScopes {
		switch {
		case slices.Contains(has, scope):
		case strings.HasPrefix(scope, "usergroups:") && x.cfg.UserToken != "":
		case strings.HasPrefix(scope, "usergroups:"):
			all = false
			x.Warn(check, scope, reinstall, "the bot token lacks this scope: the reviewers are mentioned one by one, not by a user group")
		default:
			all = false
			x.Fault(check, scope, reinstall, "the bot token lacks this scope")
		}
	}
	if more := slices.DeleteFunc(has, func(s string) bool { return slices.Contains(botScopes, s) }); len(more) > 0 {
		x.Warn(check, "", "remove them from the app and install it anew", "the bot token has scopes that Countersign never uses: %s", strings.Join(more, ", "))
	} else if all {
		x.OK(check, "", "the bot token has what it needs, and no more")
	}
}

// scopesOf are the scopes of the token, as Slack says them with each answer.
func scopesOf(header http.Header) []string {
	return strings.FieldsFunc(header.Get("X-OAuth-Scopes"), func(c rune) bool { return c == ',' || c == ' ' })
}

// clock compares our time with Slack's, which is of whole seconds.
func (x *examination) clock(header http.Header) {
	const check, sync = "clock", "let this machine's clock follow a time server (NTP)"
	theirs, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		x.Warn(check, "", sync, "Slack's answer has no date to compare the clock with")
		return
	}
	off := time.Since(theirs)
	if off > 0 {
		off = max(0, off-time.Second)
	}
	if off.Abs() <= skew {
		x.OK(check, "", "this machine's clock agrees with Slack's")
		return
	}
	way := "ahead of"
	if off < 0 {
		way = "behind"
	}
	x.Fault(check, "", sync, "this machine's clock is %s %s Slack's: signed requests are refused, and access ends at the wrong time", off.Abs().Round(time.Second), way)
}

// transport judges what Slack's deliveries come by.
func (x *examination) transport(ctx context.Context) {
	if x.cfg.AppToken == "" {
		x.secret()
		return
	}
	const check, get = "slack.app_token", "make an App-Level Token with the scope connections:write under Basic Information of the app, and put it into SLACK_APP_TOKEN"
	if !strings.HasPrefix(x.cfg.AppToken, "xapp-") {
		x.Fault(check, "", get, "SLACK_APP_TOKEN is no app-level token: those begin with xapp-")
		return
	}
	// The address that is answered can be connected to within half a minute. It is not.
	answer, _, err := x.web.ask(ctx, x.cfg.AppToken, "apps.connections.open", nil)
	switch {
	case err != nil && (permanent(err) || slackError(err) == "missing_scope"):
		x.Fault(check, "", get, "Slack refuses SLACK_APP_TOKEN: %s", x.web.safe(err))
	case err != nil:
		x.Fault(check, "", "see whether this machine reaches "+x.cfg.APIURL+", and whether Socket Mode is on in the app's settings", "Slack opens no socket: %s", x.web.safe(err))
	case safeURL(answer.str("url")) != nil:
		x.Fault(check, "", "see who answers at "+x.cfg.APIURL, "Slack answers no address of a socket")
	default:
		x.OK(check, "", "Slack would open a socket (Socket Mode)")
	}
	if x.cfg.SigningSecret != "" {
		x.Warn("slack.signing_secret", "", "unset SLACK_APP_TOKEN for HTTP mode, or SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN is set too: Socket Mode it is, and /slack/ does not answer")
	}
}

func (x *examination) secret() {
	const check, get = "slack.signing_secret", "copy the Signing Secret from Basic Information of the app into SLACK_SIGNING_SECRET; or set SLACK_APP_TOKEN for Socket Mode"
	switch secret := x.cfg.SigningSecret; {
	case secret == "":
		x.Fault(check, "", get, "neither SLACK_APP_TOKEN nor SLACK_SIGNING_SECRET is set: nothing that people do in Slack would arrive")
	case !plausibleSecret(secret):
		x.Fault(check, "", get, "SLACK_SIGNING_SECRET cannot be a signing secret: those are 32 letters and digits")
	default:
		x.OK(check, "", "the signing secret has the right form (HTTP mode). Whether it is this app's shows when Slack's first request arrives; the bot's log says so")
	}
}

// user judges the admin's token.
func (x *examination) user(ctx context.Context) {
	const check, get = "slack.user_token", "let an admin install the app with the user scopes usergroups:read and usergroups:write, and put their User OAuth Token (xoxp-…) into SLACK_USER_TOKEN; or unset it"
	switch token := x.cfg.UserToken; {
	case token == "":
		return
	case !strings.HasPrefix(token, "xoxp-"):
		x.Fault(check, "", get, "SLACK_USER_TOKEN is no user token: those begin with xoxp-")
		return
	}
	answer, header, err := x.web.ask(ctx, x.cfg.UserToken, "auth.test", nil)
	if err != nil {
		x.Fault(check, "", get, "Slack does not take SLACK_USER_TOKEN: %s", x.web.safe(err))
		return
	}
	if team := answer.str("team_id"); team != x.team {
		x.Fault(check, "", get, "SLACK_USER_TOKEN is for another workspace (%s) than the bot (%s)", team, x.team)
		return
	}
	has := scopesOf(header)
	for _, scope := range []string{"usergroups:read", "usergroups:write"} {
		if !slices.Contains(has, scope) {
			x.Fault(check, scope, get, "the user token lacks this scope")
			return
		}
	}
	info, err := x.web.call(ctx, "users.info", url.Values{"user": {answer.str("user_id")}})
	if err != nil {
		x.Warn(check, "", get, "whose SLACK_USER_TOKEN is cannot be looked up: %s", x.web.safe(err))
		return
	}
	x.admin = info.flag("user", "is_admin") || info.flag("user", "is_owner")
	if !x.admin {
		x.Warn(check, "", get, "SLACK_USER_TOKEN is that of @%s, who is no admin: it may do no more with user groups than the bot", answer.str("user"))
		return
	}
	x.OK(check, "", "SLACK_USER_TOKEN is that of @%s, an admin, and is used for user groups", answer.str("user"))
}

// channel judges the approval channel.
func (x *examination) channel(ctx context.Context) {
	const check = "slack.channel"
	name := x.rules.Slack.Channel
	id, err := x.web.approvals(ctx, name)
	var bad unusable
	switch {
	case errors.As(err, &bad):
		x.Fault(check, name, bad.remedy, "%s", bad.why)
	case err != nil:
		x.Fault(check, name, "see whether Slack can be reached, and the scopes", "%s", x.web.safe(err))
	default:
		x.OK(check, name, "the approval channel (%s) is not shared with another organization, and the bot is in it", id)
	}
}

// groups judges the group that is kept in step with the reviewers, and those that
// the configuration names.
func (x *examination) groups(ctx context.Context) {
	const check, instead = "slack.groups", "reviewers are mentioned one by one instead"
	all, err := x.web.groups.GetUserGroupsContext(ctx, slack.GetUserGroupsOptionIncludeDisabled(true))
	if err != nil {
		x.Warn(check, "", "nothing, if that is good enough", "%s: %s", x.web.groupless(err), instead)
		x.named(nil, err)
		return
	}
	handle := approverGroup(x.rules)
	i := slices.IndexFunc(all, func(g slack.UserGroup) bool { return g.Handle == handle })
	if i >= 0 && !strings.Contains(all[i].Description, groupMark) {
		x.Warn(check, "@"+handle, "write \""+groupMark+"\" into its description (its members are then replaced by the reviewers), or choose another slack.approver_group",
			"there is such a user group, and Countersign did not make it: %s", instead)
	}
	x.mayChangeGroups(ctx, check, instead)
	x.named(all, nil)
}

// mayChangeGroups finds out by asking for a change of a group that cannot exist: who
// may not change any is refused before that is noticed. Where Slack only says that
// there is no such group, nothing speaks against it.
func (x *examination) mayChangeGroups(ctx context.Context, check, instead string) {
	_, err := x.web.groups.UpdateUserGroupMembersContext(ctx, "S00000000", "U00000000")
	whose := "the bot token"
	if x.cfg.UserToken != "" {
		whose = "the user token"
	}
	switch code := slackError(err); code {
	case "paid_teams_only", "plan_upgrade_required", "feature_not_enabled":
		x.Warn(check, "", "nothing, if that is good enough; user groups need a paid plan", "%s: %s", x.web.groupless(err), instead)
	case "permission_denied", "restricted_action", "not_allowed":
		x.Warn(check, "", "set SLACK_USER_TOKEN to an admin's token, or let everyone change user groups in the workspace's settings", "%s may not change user groups (%s): %s", whose, code, instead)
	case "no_such_subteam", "subteam_not_found", "no_such_usergroup":
		x.OK(check, "", "Slack does not refuse changes of user groups by %s", whose)
	case "missing_scope":
		// slack.scopes, or slack.user_token, has said so
	default:
		text := "it was not refused"
		if err != nil {
			text = x.web.safe(err)
		}
		x.Warn(check, "", "try again", "whether %s may change user groups cannot be told: %s", whose, text)
	}
}

// named judges the user groups that the configuration names.
func (x *examination) named(all []slack.UserGroup, err error) {
	const check, remedy = "slack.group", "correct the handle in the configuration, or make the group in Slack: while it cannot be asked it lets nobody ask or approve"
	for _, g := range x.rules.Groups {
		if g.SlackGroup == "" {
			continue
		}
		handle := strings.TrimPrefix(g.SlackGroup, "@")
		i := slices.IndexFunc(all, func(o slack.UserGroup) bool { return o.Handle == handle })
		switch {
		case err != nil:
			x.Fault(check, g.Name, remedy, "the user group @%s cannot be looked up: %s", handle, x.web.safe(err))
		case i < 0:
			x.Fault(check, g.Name, remedy, "there is no user group @%s", handle)
		case all[i].DateDelete != 0:
			x.Fault(check, g.Name, "enable it in Slack", "the user group @%s is disabled", handle)
		default:
			x.OK(check, g.Name, "the user group @%s is there", handle)
		}
	}
}
