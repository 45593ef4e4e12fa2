package bottest

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"countersign/bot/access"
)

// colleague is somebody in the made-up company.
type colleague struct {
	access.Person
	team    int
	manager string
	east    time.Duration // of UTC, by which they keep office hours
}

// company is everybody and everything that the stories are about. It does not
// change while they are told.
type company struct {
	people    []colleague
	teams     [][]int // indices of people; the first three lead the team
	reviewers []string
	keepers   []int // who guards sensitive data: two of them at a time
	resources []access.Resource
	groups    []access.Group
	policies  map[string][]access.Policy // by the resource that they are about
	commits   []string                   // of the configuration, oldest first
}

var (
	teamNames = strings.Fields("payments checkout identity search catalog logistics data platform mobile security support billing")
	services  = strings.Fields(`ledger payouts invoices cart vouchers login sessions profiles search-index suggest catalog
		prices stock orders shipping returns warehouse events lake metrics deployer registry gateway push-sender
		app-config audit-trail secrets tickets chat subscriptions`)
	firstNames = strings.Fields(`Aisha Alice Amara Anders Anna Arjun Astrid Ben Bianca Bob Carla Carol Chen Chidi Clara Dan Deepa
		Diego Elena Emil Erin Esra Eva Farid Fatima Felix Fiona Frank Gita Goran Grace Hana Hugo Ines Ivan Jan Jaya
		Jonas Julia Kaito Karim Kateryna Lars Laura Leila Lena Li Liam Lucia Luka Magda Malik Maria Marta Mehmet Mia
		Milan Mina Nadia Nils Noor Nora Olga Oliver Omar Paula Pavel Petra Priya Quentin Rafael Ravi Rosa Ruth Sami
		Sara Selin Sofia Sven Tariq Theo Tomas Uma Valentina Viktor Wei Yara Yuki Zoe`)
	lastNames = strings.Fields(`Abe Adeyemi Almeida Andersen Banerjee Bauer Becker Berg Bianchi Brandt Chowdhury Costa Dahl
		Demir Diaz Dubois Eriksen Fischer Fontana Garcia Gupta Haddad Hansen Horvat Ito Ivanova Jansen Jensen Kaya Keller
		Khan Kim Kovac Kowalski Kumar Larsen Lopez Marino Martin Mehta Meyer Moreau Nakamura Nguyen Novak Okafor Olsen
		Patel Pereira Petrov Rossi Ruiz Sato Schmidt Silva Singh Smith Tanaka Torres Vogel Wagner Walker Weber Wong Yilmaz Zhang`)
)

// found makes the company of a seed.
func found(seed uint64) *company {
	rng := rand.New(rand.NewPCG(seed, 0))
	c := &company{}
	c.hire(rng, 200)
	c.supply()
	c.rule()
	for range 60 {
		c.commits = append(c.commits, fmt.Sprintf("%016x%016x%08x", rng.Uint64(), rng.Uint64(), rng.Uint32()))
	}
	return c
}

func (c *company) hire(rng *rand.Rand, n int) {
	hours := []time.Duration{time.Hour, time.Hour, time.Hour, 0, -5 * time.Hour, 5*time.Hour + 30*time.Minute}
	c.teams = make([][]int, len(teamNames))
	names := rng.Perm(len(firstNames) * len(lastNames))
	for i := range n {
		first, last := firstNames[names[i]%len(firstNames)], lastNames[names[i]/len(firstNames)]
		domain := "acme.example"
		if i%17 == 16 {
			domain = "partner.example"
		}
		team := i % len(c.teams)
		p := access.Person{
			Email: strings.ToLower(first + "." + last + "@" + domain),
			Slack: fmt.Sprintf("U0%09X", 0x1A2B3C4D5+uint64(i)*7919),
		}
		lead := p.Email // the first of a team has no manager but themselves: none
		if len(c.teams[team]) > 0 {
			lead = c.people[c.teams[team][0]].Email
		}
		c.people = append(c.people, colleague{p, team, lead, hours[rng.IntN(len(hours))]})
		c.teams[team] = append(c.teams[team], i)
	}
	for t := range 6 {
		c.reviewers = append(c.reviewers, c.people[c.teams[t][1]].Email)
	}
	for i := range 8 {
		c.keepers = append(c.keepers, c.teams[9][i], c.teams[6][i])
	}
}

// supply makes ten resources for each service, in the five providers.
func (c *company) supply() {
	for i, s := range services {
		team := teamNames[i%len(teamNames)]
		class := "plain"
		if i%5 == 0 {
			class = "sensitive"
		}
		add := func(id, title, env, class string, limit time.Duration, provider string, with map[string]any) {
			c.resources = append(c.resources, access.Resource{
				ID: id, Title: title, Owner: team, MaxDuration: limit,
				Tags:   map[string]string{"team": team, "env": env, "class": class},
				Target: access.Target{Provider: provider, With: with},
			})
		}
		file := map[string]any{"repo": "acme/access", "file": "access.yaml", "value": "email"}
		at := func(key string) map[string]any {
			w := map[string]any{"key": key}
			for k, v := range file {
				w[k] = v
			}
			return w
		}
		add(s+"/staging", "Deploy "+s+" to staging", "staging", "plain", 0, "gitops", at("staging."+s))
		add(s+"/production", "Deploy "+s+" to production", "production", "plain", 12*time.Hour, "gitops", at("production."+s))
		add("github/"+s+"-maintain", "Maintain the repository "+s, "production", "plain", 30*24*time.Hour, "github",
			map[string]any{"repo": "acme/" + s, "permission": "maintain"})
		add("github/"+s+"-admins", "Administer the repository "+s, "production", class, 7*24*time.Hour, "github",
			map[string]any{"org": "acme", "team": s + "-admins", "role": "member"})
		add("db/"+s+"-read", "Read the database of "+s, "production", class, 24*time.Hour, "postgres",
			map[string]any{"dsn_env": "PG_" + strings.ToUpper(s), "role": s + "_read"})
		add("db/"+s+"-write", "Change data in the database of "+s, "production", "sensitive", 4*time.Hour, "postgres",
			map[string]any{"dsn_env": "PG_" + strings.ToUpper(s), "role": s + "_write"})
		add("dashboards/"+s, "Edit the dashboards of "+s, "staging", "plain", 0, "webhook",
			map[string]any{"url": "https://hooks.acme.example/dashboards/" + s, "secret_env": "HOOK_SECRET"})
		add("flags/"+s, "Switch the feature flags of "+s, "production", "plain", 24*time.Hour, "webhook",
			map[string]any{"url": "https://hooks.acme.example/flags/" + s, "secret_env": "HOOK_SECRET"})
		add("shell/"+s+"-eu", "A shell on "+s+", Europe", "production", "plain", 8*time.Hour, "exec",
			map[string]any{"command": []any{"grant-shell", "eu-central", s}})
		add("shell/"+s+"-us", "A shell on "+s+", America", "production", "plain", 8*time.Hour, "exec",
			map[string]any{"command": []any{"grant-shell", "us-east", s}})
	}
}

// rule makes the groups and the access policies.
func (c *company) rule() {
	whole := func(s string) *regexp.Regexp { return regexp.MustCompile("^(?:" + s + ")$") }
	match := func(env, class, team string) access.Which {
		w := access.Which{Type: "match", Tags: map[string]*regexp.Regexp{"env": whole(env), "class": whole(class)}}
		if team != "" {
			w.Tags["team"] = whole(team)
		}
		return w
	}
	anyone := access.Whom{Type: "any"}
	all := []access.Policy{
		{Name: "staging is open", Requestor: anyone, Resource: match("staging", "plain", ""),
			Approval: []access.Way{{Type: "persistent"}}, Terms: access.Terms{MaxDuration: 12 * time.Hour}},
		{Name: "sensitive data takes two", Requestor: anyone, Resource: match("production", "sensitive", ""),
			Approval: []access.Way{{Type: "group", Groups: []string{"keepers"}, Count: 2}},
			Terms:    access.Terms{RequireReason: true, RequireTicket: whole(`[A-Z]+-\d+`)}},
		{Name: "on call for production", Requestor: anyone, Resource: match("production", "plain", ""),
			Approval: []access.Way{
				{Type: "auto", Integration: "pagerduty", EscalationPolicies: []string{"PX1C4LL"}},
				{Type: "escalation", Integration: "pagerduty", EscalationPolicies: []string{"PX1C4LL"}},
			},
			Terms: access.Terms{RequireReason: true, BreakGlass: true}},
	}
	for t, team := range teamNames {
		g := access.Group{Name: team + "-leads"}
		for _, i := range c.teams[t][:3] {
			g.Members = append(g.Members, c.people[i].Email)
		}
		c.groups = append(c.groups, g)
		all = append(all, access.Policy{
			Name: team + " owns its services", Requestor: anyone, Resource: match("production", "plain", team),
			Approval: []access.Way{{Type: "group", Groups: []string{g.Name}}, {Type: "manager"}, {Type: "reviewers"}},
		})
	}
	keepers := access.Group{Name: "keepers"}
	for _, i := range c.keepers {
		keepers.Members = append(keepers.Members, c.people[i].Email)
	}
	c.groups = append(c.groups, keepers)
	c.policies = map[string][]access.Policy{}
	for _, res := range c.resources {
		for _, p := range all {
			if about(p.Resource, res) {
				p.Resource = access.Which{Type: "any"}
				c.policies[res.ID] = append(c.policies[res.ID], p)
			}
		}
	}
}

// about reports whether all the tags match.
func about(w access.Which, res access.Resource) bool {
	for key, pattern := range w.Tags {
		if !pattern.MatchString(res.Tags[key]) {
			return false
		}
	}
	return true
}

// rules are those of a config commit, as far as they are about one person and
// one resource: looking the others up would take most of the time.
func (c *company) rules(commit string, who colleague, res access.Resource) *access.Rules {
	return &access.Rules{
		Commit: commit, Reviewers: c.reviewers, Groups: c.groups, Policies: c.policies[res.ID],
		Resources: []access.Resource{res},
		People:    []access.Known{{Email: who.Email, Manager: who.manager}},
		OnCall: access.OnCall{PagerDuty: &access.PagerDuty{
			AutoApprove: true, EscalationPolicies: []string{"PX1C4LL"}, Services: []string{"PSV01"},
			AutoDuration: time.Hour, RequireSchedule: true, MaxEscalationLevel: 1,
		}},
		Settings: access.Settings{
			ExpiryOptions:  []time.Duration{30 * time.Minute, time.Hour, 4 * time.Hour, 8 * time.Hour, 24 * time.Hour},
			MaxDuration:    30 * 24 * time.Hour,
			PendingTimeout: 3 * 24 * time.Hour,
			Reminders:      []time.Duration{time.Hour, 8 * time.Hour},
		},
	}
}
