package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/forge"
	"countersign/bot/oncall/incidentio"
	"countersign/bot/oncall/pagerduty"
	"countersign/bot/slackapp"
)

// githubTeams are the groups that GitHub keeps, as people of the configuration:
// a login that stands in no `people` entry is nobody that could be judged.
type githubTeams struct {
	teams *forge.Teams
	rules *bot.Rulebook
}

func (d githubTeams) Members(ctx context.Context, g access.Group) ([]access.Person, error) {
	logins, err := d.teams.Members(ctx, g.GitHubTeam)
	if err != nil {
		return nil, err
	}
	var out []access.Person
	for _, k := range d.rules.Current().People {
		for _, login := range logins {
			if k.GitHub != "" && strings.EqualFold(k.GitHub, login) {
				out = append(out, access.Person{Email: k.Email})
			}
		}
	}
	return out, nil
}

// slackGroups are the groups that Slack keeps.
type slackGroups struct{ app *slackapp.App }

func (d slackGroups) Members(ctx context.Context, g access.Group) ([]access.Person, error) {
	return d.app.GroupMembers(ctx, g.SlackGroup)
}

// directories are the keepers of groups that there are credentials for.
func (v *service) directories() (map[string]bot.Directory, error) {
	out := map[string]bot.Directory{"slack": slackGroups{v.app}}
	client, err := v.githubClient()
	if client == nil || err != nil {
		return out, err
	}
	teams, err := forge.NewTeams(forge.Config{Client: client, APIURL: v.githubAPI})
	if err != nil {
		return nil, err
	}
	out["github"] = githubTeams{teams, v.rules}
	return out, nil
}

// alarm wakes the operators, where a routing key is there for it.
func (v *service) alarm() (bot.Alarm, error) {
	if v.routingKey == "" {
		return nil, nil
	}
	p, err := pagerduty.New(pagerduty.Config{
		RoutingKey: v.routingKey, BaseURL: v.pagerduty.api, EventsURL: v.pagerdutyEvents, Client: &http.Client{Timeout: 20 * time.Second}, Now: time.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("PAGERDUTY_ROUTING_KEY, PAGERDUTY_EVENTS_URL: %w", err)
	}
	return p, nil
}

// onCall are the services that tokens are there for.
func (v *service) onCall() (map[string]bot.OnCall, error) {
	out := map[string]bot.OnCall{}
	client := &http.Client{Timeout: 20 * time.Second}
	if v.pagerduty.token != "" {
		p, err := pagerduty.New(pagerduty.Config{Token: v.pagerduty.token, BaseURL: v.pagerduty.api, Client: client, Now: time.Now})
		if err != nil {
			return nil, fmt.Errorf("PAGERDUTY_API_URL: %w", err)
		}
		out["pagerduty"] = p
	}
	if v.incidentio.token != "" {
		i, err := incidentio.New(incidentio.Config{Token: v.incidentio.token, BaseURL: v.incidentio.api, Client: client, Now: time.Now})
		if err != nil {
			return nil, fmt.Errorf("INCIDENT_IO_API_URL: %w", err)
		}
		out["incidentio"] = i
	}
	return out, nil
}
