package slackapp

import (
	"context"
	"slices"
	"strings"
	"sync"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// How the user group of the approvers is called where the configuration does not
// say, and by which words in its description the bot knows it as its own.
const (
	groupHandle = "access-approvers"
	groupMark   = "Kept by Countersign"
)

// group is the user group that is kept in step with the reviewers.
type group struct {
	app  *App
	wake chan struct{}

	mu       sync.Mutex
	id       string   // guarded by mu; empty: there is none, people are mentioned one by one
	members  []string // guarded by mu; Slack ids of the reviewers
	done     bool     // guarded by mu; the first look is over
	excuse   string   // guarded by mu; why there is no group, as last logged
	missing  string   // guarded by mu; reviewers without an account, as last logged
	foreigns string   // guarded by mu; reviewers whose account may not take part, as last logged
}

// mention is how the approvers are called in a message.
func (g *group) mention() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.id != "" {
		return "<!subteam^" + g.id + ">"
	}
	names := make([]string, 0, len(g.members))
	for _, m := range g.members[:min(len(g.members), 30)] {
		names = append(names, "<@"+m+">")
	}
	if len(names) == 0 {
		return "the reviewers (none of them has a Slack account)"
	}
	return strings.Join(names, " ")
}

// known reports whether the approvers were looked up once.
func (g *group) known() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.done
}

// owns reports whether an event is about this group, or may be: while the group
// is being looked up, an event about it is known to nobody yet, and must not be lost.
func (g *group) owns(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return id != "" && (id == g.id || !g.done)
}

// sync brings the group in step with the reviewers. Whatever Slack refuses, the
// reviewers can still be mentioned one by one. It reports whether all is as it
// should be.
func (g *group) sync(ctx context.Context) bool {
	rules := g.app.cfg.Reader.Rules()
	members, err := g.reviewers(ctx, rules)
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		g.app.log.Warn("the reviewers cannot be looked up", "error", g.app.web.safe(err))
		g.settle(g.current())
		return false
	}
	id, excuse := g.keep(ctx, approverGroup(rules), members)
	if ctx.Err() != nil {
		return false
	}
	g.mu.Lock()
	told := g.excuse == excuse
	g.excuse = excuse
	g.mu.Unlock()
	if excuse != "" && !told {
		g.app.log.Warn("the reviewers are mentioned one by one", "reason", excuse)
	}
	g.settle(id, members)
	return excuse == ""
}

// approverGroup is the handle of the group.
func approverGroup(rules *access.Rules) string {
	if handle := strings.TrimPrefix(rules.Slack.ApproverGroup, "@"); handle != "" {
		return handle
	}
	return groupHandle
}

func (g *group) current() (string, []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.id, g.members
}

// settle takes the result over and renders what mentions the approvers.
func (g *group) settle(id string, members []string) {
	before := g.mention()
	g.mu.Lock()
	first := !g.done
	g.id, g.members, g.done = id, members, true
	g.mu.Unlock()
	if first || before != g.mention() {
		g.app.out.hurry(approvalLane)
		g.app.renderOpen()
	}
}

// reviewers are the Slack accounts of the reviewers. Those without one are named in
// the log, once.
func (g *group) reviewers(ctx context.Context, rules *access.Rules) ([]string, error) {
	var found, missing, unfit []string
	for _, email := range rules.Reviewers {
		accounts, err := g.app.people.accounts(ctx, rules, email)
		if err != nil {
			return nil, err
		}
		able := 0
		for _, user := range accounts {
			actor, err := g.app.people.actor(ctx, user)
			if err != nil {
				return nil, err
			}
			if actor.Barred != "" {
				unfit = append(unfit, email+": "+actor.Barred)
				continue
			}
			able++
			if !slices.Contains(found, user) {
				found = append(found, user)
			}
		}
		if len(accounts) == 0 {
			missing = append(missing, email)
		}
	}
	slices.Sort(found)
	g.name(missing, unfit)
	return found, nil
}

// name tells the operator which reviewers cannot act in Slack.
func (g *group) name(missing, unfit []string) {
	m, u := strings.Join(missing, ", "), strings.Join(unfit, "; ")
	g.mu.Lock()
	newM, newU := m != g.missing, u != g.foreigns
	g.missing, g.foreigns = m, u
	g.mu.Unlock()
	if newM && m != "" {
		g.app.log.Warn("reviewers without a Slack account of that address", "reviewers", m)
	}
	if newU && u != "" {
		g.app.log.Warn("reviewers whose Slack account cannot take part", "reviewers", u)
	}
}

// keep makes the group what it has to be. It answers its id, or why there is none.
func (g *group) keep(ctx context.Context, handle string, members []string) (id, excuse string) {
	api := g.app.web.groups
	// Counts are not asked for: the library cannot read them.
	all, err := api.GetUserGroupsContext(ctx, slack.GetUserGroupsOptionIncludeDisabled(true))
	if err != nil {
		return g.without(err)
	}
	i := slices.IndexFunc(all, func(x slack.UserGroup) bool { return x.Handle == handle })
	if i < 0 {
		return g.create(ctx, handle, members)
	}
	found := all[i]
	if !strings.Contains(found.Description, groupMark) {
		return "", "there is a user group @" + handle + " that Countersign did not make. To hand it over, write \"" + groupMark +
			"\" into its description (its members are then replaced by the reviewers), or choose another slack.approver_group"
	}
	return g.fill(ctx, found, members)
}

func (g *group) create(ctx context.Context, handle string, members []string) (string, string) {
	if len(members) == 0 {
		return "", ""
	}
	made, err := g.app.web.groups.CreateUserGroupContext(ctx, slack.UserGroup{
		Name: "Access approvers (" + handle + ")", Handle: handle,
		Description: groupMark + " in step with the reviewers of countersign.yaml",
	})
	if err != nil {
		return g.without(err)
	}
	return g.fill(ctx, made, members)
}

// fill sets the members. A group cannot be empty: it is disabled instead.
func (g *group) fill(ctx context.Context, found slack.UserGroup, members []string) (string, string) {
	api, enabled := g.app.web.groups, found.DateDelete == 0
	if len(members) == 0 {
		if enabled {
			if _, err := api.DisableUserGroupContext(ctx, found.ID); err != nil {
				return g.without(err)
			}
		}
		return "", ""
	}
	if !enabled {
		if _, err := api.EnableUserGroupContext(ctx, found.ID); err != nil {
			return g.without(err)
		}
	}
	now, err := api.GetUserGroupMembersContext(ctx, found.ID, slack.GetUserGroupMembersOptionIncludeDisabled(true))
	if err != nil {
		return g.without(err)
	}
	slices.Sort(now)
	if slices.Equal(now, members) {
		return found.ID, ""
	}
	if _, err := api.UpdateUserGroupMembersContext(ctx, found.ID, strings.Join(members, ",")); err != nil {
		return g.without(err)
	}
	g.app.log.Info("the user group of the approvers has new members", "group", found.Handle, "members", len(members))
	return found.ID, ""
}

// without is the group after an error: that of before if Slack could not be asked,
// none if Slack refuses.
func (g *group) without(err error) (id, excuse string) {
	if slackError(err) == "" {
		id, _ = g.current()
	}
	return id, g.app.web.groupless(err)
}

// groupless says in words why there is no group to be kept.
func (w *web) groupless(err error) string {
	switch code := slackError(err); code {
	case "paid_teams_only", "plan_upgrade_required", "feature_not_enabled":
		return "this workspace's plan has no user groups (" + code + ")"
	case "permission_denied", "restricted_action", "not_allowed":
		return "only admins may change user groups here (" + code + "): set SLACK_USER_TOKEN to an admin's token"
	case "missing_scope":
		return "the token lacks usergroups:read or usergroups:write"
	}
	return "the user group cannot be kept: " + w.safe(err)
}
