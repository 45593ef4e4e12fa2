package slackapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// How long the members of groups are believed where they are only shown: after
// the first they are asked again, after the second they are unknown.
const (
	membersFresh = time.Minute
	membersKept  = 15 * time.Minute
	membersAgain = 10 * time.Second // after an answer that did not come
)

// memberships are the members of groups that somebody else keeps, for what is
// shown. No decision rests on them.
type memberships struct {
	ask     func(context.Context, access.Group) ([]access.Person, error) // nil: nobody can be asked
	log     *slog.Logger
	changed func() // somebody came or went, or a group became known or unknown

	mu    sync.Mutex
	known map[string]membership // guarded by mu; by access.Group.Key
}

type membership struct {
	people []access.Person
	at     time.Time
	failed bool // nobody answered
}

func (m membership) stale() bool {
	if m.failed {
		return time.Since(m.at) > membersAgain
	}
	return time.Since(m.at) > membersFresh
}

// recall is what is known without asking, by the group's key.
func (m *memberships) recall() map[string][]access.Person {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string][]access.Person{}
	for key, x := range m.known {
		if !x.failed && time.Since(x.at) < membersKept {
			out[key] = x.people
		}
	}
	return out
}

// due are the groups that have to be asked again.
func (m *memberships) due(groups []access.Group) []access.Group {
	if m.ask == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []access.Group
	for _, g := range groups {
		if x, ok := m.known[g.Key()]; !ok || x.stale() {
			out = append(out, g)
		}
	}
	return out
}

// look asks for what is due, all at once, and answers what is known then.
func (m *memberships) look(ctx context.Context, groups []access.Group) map[string][]access.Person {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for _, g := range m.due(groups) {
		wg.Go(func() {
			people, err := m.ask(ctx, g)
			if err != nil {
				text, _ := access.Redact(err.Error())
				m.log.Warn("a group cannot be asked for its members", "group", g.Name, "error", text)
			}
			m.keep(g.Key(), membership{people: people, at: time.Now(), failed: err != nil})
		})
	}
	wg.Wait()
	return m.recall()
}

func (m *memberships) keep(key string, now membership) {
	m.mu.Lock()
	before, had := m.known[key]
	m.known[key] = now
	m.mu.Unlock()
	same := func(a, b access.Person) bool { return a == b }
	if had && before.failed == now.failed && slices.EqualFunc(before.people, now.people, same) {
		return
	}
	m.changed()
}

// elsewhere are the groups of configurations that somebody else keeps, each once.
func elsewhere(configs ...*access.Rules) []access.Group {
	var out []access.Group
	for _, rules := range configs {
		if rules == nil {
			continue
		}
		for _, g := range rules.Groups {
			if g.Key() != "" && !slices.ContainsFunc(out, func(o access.Group) bool { return o.Key() == g.Key() }) {
				out = append(out, g)
			}
		}
	}
	return out
}

// refreshGroups asks, in the background, who is in the groups of the configuration.
func (a *App) refreshGroups() {
	if groups := elsewhere(a.cfg.Reader.Rules()); len(a.members.due(groups)) > 0 {
		a.out.add(groupLane, "members", func(ctx context.Context, _ *task) error {
			a.members.look(ctx, groups)
			return nil
		})
	}
}

// GroupMembers are the people who are in a Slack user group at this moment, by
// address and Slack id; accounts that may not take part are left out. A group
// that is disabled or not there, and a member who cannot be looked up, are
// errors: a list with somebody missing could widen what it is used for.
func (a *App) GroupMembers(ctx context.Context, handle string) ([]access.Person, error) {
	handle = strings.TrimPrefix(handle, "@")
	all, err := a.web.groups.GetUserGroupsContext(ctx, slack.GetUserGroupsOptionIncludeDisabled(true))
	if err != nil {
		return nil, fmt.Errorf("slack: list the user groups: %s", a.web.safe(err))
	}
	i := slices.IndexFunc(all, func(g slack.UserGroup) bool { return handle != "" && g.Handle == handle })
	switch {
	case i < 0:
		return nil, fmt.Errorf("slack: there is no user group @%s", handle)
	case all[i].DateDelete != 0:
		return nil, fmt.Errorf("slack: the user group @%s is disabled", handle)
	}
	users, err := a.web.groups.GetUserGroupMembersContext(ctx, all[i].ID)
	if err != nil {
		return nil, fmt.Errorf("slack: list the members of @%s: %s", handle, a.web.safe(err))
	}
	return a.persons(ctx, users)
}

// persons looks accounts up, several at a time.
func (a *App) persons(ctx context.Context, users []string) ([]access.Person, error) {
	actors, errs := make([]access.Actor, len(users)), make([]error, len(users))
	slots := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for i, user := range users {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			actors[i], errs[i] = a.people.actor(ctx, user)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("slack: look up the members of a user group: %s", a.web.safe(err))
	}
	var out []access.Person
	for _, actor := range actors {
		if actor.Barred == "" {
			out = append(out, actor.Person)
		}
	}
	return out, nil
}
