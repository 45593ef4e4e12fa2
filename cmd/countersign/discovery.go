package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/bot/provider/github"
)

// rosterStays is how old the list of an organization's teams may become.
const rosterStays = 5 * time.Minute

// A roster knows the teams of organizations as GitHub listed them last. While
// GitHub cannot be asked nothing new is offered. It is safe for concurrent use.
type roster struct {
	find func(ctx context.Context, org string) ([]github.Team, error)
	log  *slog.Logger

	mu    sync.Mutex // guards all below
	teams map[string][]string
	asked map[string]time.Time
}

func newRoster(find func(context.Context, string) ([]github.Team, error), log *slog.Logger) *roster {
	return &roster{find: find, log: log, teams: map[string][]string{}, asked: map[string]time.Time{}}
}

// of are the slugs of an organization's teams; none as long as nobody was asked.
func (r *roster) of(org string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.teams[strings.ToLower(org)]
}

// follow asks for the teams of all organizations that are named, now and again
// and as soon as a configuration names another one, until the context ends.
func (r *roster) follow(ctx context.Context, orgs func() []string) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		for _, org := range orgs() {
			r.look(ctx, org)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look asks for the teams of one organization, if it is time.
func (r *roster) look(ctx context.Context, org string) {
	key := strings.ToLower(org)
	r.mu.Lock()
	due := time.Since(r.asked[key]) >= rosterStays
	r.mu.Unlock()
	if !due {
		return
	}
	within, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	found, err := r.find(within, org)
	if err != nil && ctx.Err() == nil {
		r.log.Warn("the teams cannot be listed; those that are known are offered", "org", org, "err", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[key] = time.Now()
	if err != nil {
		r.asked[key] = time.Now().Add(time.Minute - rosterStays) // again in a minute
		return
	}
	slugs := []string{}
	for _, t := range found {
		slugs = append(slugs, t.Slug)
	}
	r.teams[key] = slugs
}

// teams is where the Slack edge looks; nil without GitHub.
func (v *service) teams() func(org string) []string {
	if v.roster == nil {
		return nil
	}
	return v.roster.of
}

// orgs are the organizations whose teams are discovered.
func (v *service) orgs() []string {
	var orgs []string
	for _, d := range v.rules.Current().Discoveries {
		orgs = append(orgs, d.Org)
	}
	slices.Sort(orgs)
	return slices.Compact(orgs)
}
