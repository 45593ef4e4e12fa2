package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"countersign/bot/access"
	"countersign/bot/checkup"
	"countersign/bot/forge"
)

// A checker is a provider that can say what would keep a grant from succeeding, by
// looking only. An error that wraps [errors.ErrUnsupported] says that it cannot be
// known without trying.
type checker interface {
	Check(ctx context.Context, t access.Target) error
}

// atOnce is how many resources are looked at at a time.
const atOnce = 8

// resources examines what can be asked for, each resource by its provider.
func (d *examination) resources(ctx context.Context, s *checkup.Sheet) {
	const check = "resources"
	if d.file == nil || d.providers == nil {
		return
	}
	all := d.file.Rules.Resources
	found := make([]error, len(all))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, r := range all {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			found[i] = d.check(ctx, r.Target)
		})
	}
	wg.Wait()
	fine := map[string]int{}
	for i, r := range all {
		why, remedy := found[i], "mend it, or take the resource out: what is asked for there can be approved and not given"
		switch {
		case why == nil:
			fine[r.Target.Provider]++
		case errors.Is(why, errors.ErrUnsupported):
			s.Warn(check, r.ID, "try it once, with a resource that harms nobody", "it cannot be known whether access could be given: %s", strings.TrimSuffix(why.Error(), ": "+errors.ErrUnsupported.Error()))
		case d.unready(r.Target) != nil:
			s.Fault(check, r.ID, remedy, "it is not offered: %v", why)
		default:
			s.Fault(check, r.ID, remedy, "access cannot be given: %v", why)
		}
	}
	for _, provider := range slices.Sorted(maps.Keys(fine)) {
		s.OK(check, provider, "access to %s could be given", count(fine[provider], "resource"))
	}
}

// check asks the provider of a target.
func (d *examination) check(ctx context.Context, t access.Target) error {
	if err := d.unready(t); err != nil {
		return err
	}
	if c, ok := d.providers[t.Provider].(checker); ok {
		return c.Check(ctx, t)
	}
	return nil
}

// teams examines the groups that GitHub keeps.
func (d *examination) teams(ctx context.Context, s *checkup.Sheet) {
	const check = "github.team"
	if d.file == nil {
		return
	}
	client, err := d.githubClient()
	if err != nil {
		s.Fault("github.credentials", "", "correct or unset them", "%v", err)
		return
	}
	for _, g := range d.file.Rules.Groups {
		if g.GitHubTeam == "" {
			continue
		}
		if client == nil {
			s.Fault(check, g.Name, "set GITHUB_TOKEN, or the variables of a GitHub App", "nobody can be asked who is in %s: it lets nobody ask or approve", g.GitHubTeam)
			continue
		}
		directory, err := forge.NewTeams(forge.Config{Client: client, APIURL: d.githubAPI})
		if err != nil {
			s.Fault("github.credentials", "", "correct it, or unset it", "%v", err)
			return
		}
		logins, err := directory.Members(ctx, g.GitHubTeam)
		if err != nil {
			s.Fault(check, g.Name, "correct the team, or let the token read the organization's members", "it cannot be asked who is in %s: %v", g.GitHubTeam, err)
			continue
		}
		d.team(s, g, logins)
	}
}

// team judges who is in a team: a login that stands in no people entry is nobody.
func (d *examination) team(s *checkup.Sheet, g access.Group, logins []string) {
	const check = "github.team"
	var strangers []string
	for _, login := range logins {
		if !slices.ContainsFunc(d.file.Rules.People, func(k access.Known) bool { return strings.EqualFold(k.GitHub, login) }) {
			strangers = append(strangers, login)
		}
	}
	if len(strangers) > 0 {
		s.Warn(check, g.Name, "name them under people: with github: LOGIN", "in %s, and nobody here: %s", g.GitHubTeam, strings.Join(strangers, ", "))
	}
	if known := len(logins) - len(strangers); known == 0 {
		s.Warn(check, g.Name, "add people to the team, or to people:", "nobody who is known here is in %s: it lets nobody ask or approve", g.GitHubTeam)
	} else {
		s.OK(check, g.Name, "%s, and %s known here", g.GitHubTeam, people(known))
	}
}

func people(n int) string {
	if n == 1 {
		return "1 person is"
	}
	return fmt.Sprintf("%d people are", n)
}
