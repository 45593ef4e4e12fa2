package slackapp

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"

	"countersign/bot/access"
)

// maxListed is how many accounts are looked through for those that are deactivated.
const maxListed = 10_000

// persons judges the accounts of those who are named as reviewers, auditors or
// approvers, each by name.
func (x *examination) persons(ctx context.Context) {
	const check = "slack.people"
	parts := x.parts()
	able, reviewers := 0, 0
	users := map[string]string{} // whose account it is
	var missing []string
	for _, email := range slices.Sorted(maps.Keys(parts)) {
		reviewer := x.rules.Reviewer(access.Person{Email: email})
		if reviewer {
			reviewers++
		}
		accounts, err := x.people.accounts(ctx, x.rules, email)
		if err != nil {
			x.Fault(check, email, "try again, and see the scopes", "cannot be looked up: %s", x.web.safe(err))
			return // the others would not be either
		}
		if len(accounts) == 0 {
			missing = append(missing, email)
			continue
		}
		if x.fit(ctx, email, parts[email], accounts, users) && reviewer {
			able++
		}
	}
	x.absent(ctx, parts, missing)
	switch {
	case reviewers > 0 && able == 0:
		x.Fault(check, "", "name somebody with an account of this workspace in reviewers:", "none of the reviewers can act in Slack")
	case reviewers > 0:
		x.OK(check, "", "%d of %d reviewers can act in Slack", able, reviewers)
	}
}

// parts are the people who are named for something, by address, and for what.
func (x *examination) parts() map[string]string {
	out := map[string]string{}
	add := func(what string, list []string) {
		for _, e := range list {
			if e = x.rules.Canonical(e); out[e] == "" {
				out[e] = what
			}
		}
	}
	add("a reviewer", x.rules.Reviewers)
	for _, g := range x.rules.Groups {
		if approves(x.rules, g.Name) {
			add("an approver (group "+g.Name+")", g.Members)
		}
	}
	add("an auditor", x.rules.Auditors)
	return out
}

// approves reports whether a policy that is in force names a group as approvers.
func approves(rules *access.Rules, group string) bool {
	var among func(ways []access.Way) bool
	among = func(ways []access.Way) bool {
		return slices.ContainsFunc(ways, func(w access.Way) bool {
			return w.Type == "group" && slices.Contains(w.Groups, group) || slices.ContainsFunc(w.Steps, among)
		})
	}
	return slices.ContainsFunc(rules.Policies, func(p access.Policy) bool { return !p.Disabled && among(p.Approval) })
}

// fit reports whether one of somebody's accounts may take part.
func (x *examination) fit(ctx context.Context, email, part string, accounts []string, users map[string]string) bool {
	const check = "slack.people"
	able := false
	for _, user := range accounts {
		if other := users[user]; other != "" {
			x.Warn(check, email, "list both under people: as one person, with aliases:", "%s, has the same Slack account as %s, so that the two can only be one", part, other)
		}
		users[user] = email
		actor, err := x.people.actor(ctx, user)
		switch {
		case err != nil:
			x.Fault(check, email, "try again", "cannot be looked up: %s", x.web.safe(err))
		case actor.Barred != "":
			x.Warn(check, email, "name another account of theirs under people:, or somebody else", "%s, cannot take part with the account %s: %s", part, user, actor.Barred)
		default:
			able = true
		}
	}
	return able
}

// absent names those who have no account. Slack answers the same about accounts that
// are deactivated, so the list of all is looked through for those.
func (x *examination) absent(ctx context.Context, parts map[string]string, missing []string) {
	const check = "slack.people"
	if len(missing) == 0 {
		return
	}
	gone, err := x.deactivated(ctx, missing)
	for _, email := range missing {
		switch {
		case err != nil:
			x.Warn(check, email, "correct the address, or name the account under people: (slack: [U…])", "%s, has no active Slack account (the list of accounts cannot be read: %s)", parts[email], x.web.safe(err))
		case slices.Contains(gone, email):
			x.Warn(check, email, "take the address out, or activate the account", "%s, has a Slack account that is deactivated", parts[email])
		default:
			x.Warn(check, email, "correct the address, invite them, or name their account under people: (slack: [U…])", "%s, has no Slack account of that address", parts[email])
		}
	}
}

// deactivated are those of some addresses that a deactivated account has.
func (x *examination) deactivated(ctx context.Context, emails []string) ([]string, error) {
	var out []string
	cursor := ""
	for range maxListed / 200 {
		answer, err := x.web.call(ctx, "users.list", url.Values{"limit": {"200"}, "cursor": {cursor}})
		if err != nil {
			return nil, err
		}
		for _, u := range answer.list("members") {
			if email := x.rules.Canonical(u.str("profile", "email")); u.flag("deleted") && slices.Contains(emails, email) {
				out = append(out, email)
			}
		}
		if cursor = strings.TrimSpace(answer.str("response_metadata", "next_cursor")); cursor == "" {
			break
		}
	}
	return out, nil
}
