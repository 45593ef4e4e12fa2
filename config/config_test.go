package config_test

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"gopkg.in/yaml.v3"

	"countersign/bot/access"
	"countersign/config"
)

// patterns compares regular expressions by their text.
func patterns() cmp.Option {
	return cmp.Comparer(func(a, b *regexp.Regexp) bool {
		return (a == nil) == (b == nil) && (a == nil || a.String() == b.String())
	})
}

func zones() cmp.Option {
	return cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })
}

func mustRead(t *testing.T, text string) *config.File {
	t.Helper()
	f, _, err := config.Read("countersign.yaml", []byte(text))
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return f
}

// TestFullExample reads the example that documents the whole grammar.
func TestFullExample(t *testing.T) {
	data, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, warnings, err := config.Read("countersign.yaml", data)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("Read: %v, warnings %v", err, warnings)
	}
	want := &config.File{
		Rules: access.Rules{
			Slack:     access.SlackSettings{Channel: "C0123456789", ApproverGroup: "access-approvers"},
			Reviewers: []string{"bob@example.com", "carol@partner.example"},
			Settings: access.Settings{
				ExpiryOptions:  []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour, 168 * time.Hour, 720 * time.Hour},
				MaxDuration:    180 * 24 * time.Hour,
				PendingTimeout: 14 * 24 * time.Hour,
				Reminders:      []time.Duration{15 * time.Minute, time.Hour, 4 * time.Hour},
			},
			People: []access.Known{{
				Email: "alice@example.com", Aliases: []string{"al@example.com"}, Slack: []string{"U012AB"},
				GitHub: "alice-gh", Postgres: "alice", Manager: "bob@example.com",
			}},
			Resources: []access.Resource{{
				ID: "github/payments-admins", Title: "Payments admins", Owner: "bob@example.com",
				Tags: map[string]string{"env": "prod"}, MaxDuration: 8 * time.Hour,
				Target: access.Target{Provider: "github", With: map[string]any{"org": "acme", "team": "payments-admins", "role": "member"}},
			}},
			Groups: []access.Group{
				{Name: "eng", Members: []string{"alice@example.com", "erin@example.com"}},
				{Name: "sre", Members: []string{"bob@example.com", "dan@example.com"}},
				{Name: "dba", GitHubTeam: "acme/dba"},
				{Name: "ops", SlackGroup: "ops"},
			},
			OnCall: access.OnCall{
				PagerDuty: &access.PagerDuty{
					AutoApprove: true, EscalationPolicies: []string{"PABC123"}, Services: []string{"PSVC123"}, From: "ops@example.com",
					AutoDuration: time.Hour, RequireSchedule: true, MaxEscalationLevel: 1,
				},
				IncidentIO: &access.IncidentIO{AutoApprove: true, Schedules: []string{"01HXYZ"}, EscalationPath: "01HABC", AutoDuration: time.Hour},
			},
			Policies: []access.Policy{{
				Name:      "payments by sre",
				Requestor: access.Whom{Type: "group", Groups: []string{"eng"}},
				Resource: access.Which{
					Type: "match", ID: regexp.MustCompile("^(?:github/payments-.*)$"),
					Tags: map[string]*regexp.Regexp{"env": regexp.MustCompile("^(?:prod)$")},
				},
				Approval: []access.Way{
					{Type: "group", Groups: []string{"sre"}, Count: 2},
					{Type: "auto", Integration: "pagerduty", EscalationPolicies: []string{"PABC123"}},
					{Type: "escalation", Integration: "incidentio", Schedules: []string{"01HXYZ"}},
				},
				Terms: access.Terms{RequireReason: true, MaxDuration: 4 * time.Hour},
			}},
		},
		Tests: []config.Test{{
			Line: 47, As: "alice@example.com", For: "alice@example.com", Resource: "github/payments-admins",
			Want: []string{"bob@example.com", "dan@example.com"},
		}},
	}
	if d := cmp.Diff(want, got, patterns(), zones(), cmpopts.IgnoreUnexported(access.Rules{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestParse(t *testing.T) {
	rules, warnings, err := config.Parse("c.yaml", []byte("version: 1\nslack: {channel: C0123}\n"), "abc123")
	if err != nil {
		t.Fatal(err)
	}
	if rules.Commit != "abc123" || len(rules.Policies) > 0 {
		t.Errorf("commit %q, policies %v", rules.Commit, rules.Policies)
	}
	want := []string{
		"c.yaml:1:1: there are no reviewers; list at least one address",
		"c.yaml:1:1: there are no resources; list what can be asked for",
	}
	if d := cmp.Diff(want, lines(warnings)); d != "" {
		t.Errorf("warnings (-want +got)\n%s", d)
	}
	if rules, _, err := config.Parse("c.yaml", []byte("version: 2"), "abc123"); err == nil || rules != nil {
		t.Errorf("Parse of an unknown version = %v, %v; want nil and an error", rules, err)
	}
}

func lines(ws []config.Warning) []string {
	var out []string
	for _, w := range ws {
		out = append(out, w.String())
	}
	return out
}

// TestPeopleAreOne: every address becomes the one that stands for its person.
func TestPeopleAreOne(t *testing.T) {
	f := mustRead(t, `version: 1
slack: {channel: "#access"}
reviewers: [Al@Example.com, Bob+ops@example.com]
auditors: [AL+x@example.com]
people:
  - {email: Alice@example.com, aliases: [al@example.com], manager: BOB@example.com}
groups: {eng: [al@example.com]}
resources:
  - {id: a, owner: al@example.com, provider: postgres, with: {dsn_env: DSN, role: r}}
`)
	if d := cmp.Diff([]string{"alice@example.com", "bob@example.com"}, f.Rules.Reviewers); d != "" {
		t.Errorf("reviewers (-want +got)\n%s", d)
	}
	if d := cmp.Diff([]string{"alice@example.com"}, f.Rules.Auditors); d != "" {
		t.Errorf("auditors (-want +got)\n%s", d)
	}
	if got := f.Rules.People[0].Manager; got != "bob@example.com" {
		t.Errorf("manager = %q", got)
	}
	if got := f.Rules.Resources[0].Owner; got != "alice@example.com" {
		t.Errorf("owner = %q", got)
	}
	if d := cmp.Diff([]string{"alice@example.com"}, f.Rules.Groups[0].Members); d != "" {
		t.Errorf("group (-want +got)\n%s", d)
	}
}

// TestSettings: what is written counts, and a pattern has to match the whole.
func TestSettings(t *testing.T) {
	f := mustRead(t, `version: 1
slack: {channel: C0123, approver_group: approvers, groups_restricted: true}
settings:
  one_party: true
  require_reason: true
  require_duration: true
  require_ticket: "[A-Z]+-[0-9]+|none"
  expiry_options: [30m, 2h]
  max_duration: 1w2d
  pending_timeout: 3d
  reminders: []
`)
	s := f.Rules.Settings
	if !s.OneParty || !s.RequireReason || !s.RequireDuration || !f.GroupsRestricted || f.Rules.Slack.ApproverGroup != "approvers" {
		t.Errorf("flags: %+v %+v", s, f.Rules.Slack)
	}
	if s.TicketPattern() != "[A-Z]+-[0-9]+|none" || s.RequireTicket.MatchString("xOPS-1") || !s.RequireTicket.MatchString("OPS-1") {
		t.Errorf("ticket pattern %v", s.RequireTicket)
	}
	if s.MaxDuration != 9*24*time.Hour || s.PendingTimeout != 72*time.Hour || len(s.Reminders) != 0 {
		t.Errorf("durations: %+v", s)
	}
	if d := cmp.Diff([]time.Duration{30 * time.Minute, 2 * time.Hour}, s.ExpiryOptions); d != "" {
		t.Errorf("expiry options (-want +got)\n%s", d)
	}
	if got := mustRead(t, "version: 1\nslack: {channel: C0123}\nsettings: {require_ticket: \"\"}\n").Rules.Settings.RequireTicket; got != nil {
		t.Errorf("an empty ticket pattern gives %v, want none", got)
	}
}

// TestWith: the target of each provider, complete, and the same after a round
// trip through YAML, as the log makes it.
func TestWith(t *testing.T) {
	tests := []struct {
		text string
		want map[string]any
	}{
		{`provider: gitops, with: {repo: https://git.example/a.git, file: t.yaml, key: a.b, value: email}`,
			map[string]any{"repo": "https://git.example/a.git", "branch": "main", "file": "t.yaml", "key": "a.b", "value": "email"}},
		{`provider: gitops, with: {repo: /srv/my repo.git, branch: release/1, file: d/t.yaml, key: a, value: github}`,
			map[string]any{"repo": "/srv/my repo.git", "branch": "release/1", "file": "d/t.yaml", "key": "a", "value": "github"}},
		{`provider: gitops, with: {repo: /r, file: t.yaml, key: 'hosts."db.example.com".admins', value: email}`,
			map[string]any{"repo": "/r", "branch": "main", "file": "t.yaml", "key": `hosts."db.example.com".admins`, "value": "email"}},
		{`provider: gitops, with: {repo: "git@git.example:a/b.git", file: t.yaml, key: a, value: email}`,
			map[string]any{"repo": "git@git.example:a/b.git", "branch": "main", "file": "t.yaml", "key": "a", "value": "email"}},
		{`provider: gitops, with: {repo: "git@git.example:a/b.git", file: t.yaml, key: a, value: email, via: pull_request}`,
			map[string]any{"repo": "git@git.example:a/b.git", "branch": "main", "file": "t.yaml", "key": "a", "value": "email", "via": "pull_request"}},
		{`provider: github, with: {org: acme, team: a}`, map[string]any{"org": "acme", "team": "a", "role": "member"}},
		{`provider: github, with: {org: acme, team: a, role: maintainer}`, map[string]any{"org": "acme", "team": "a", "role": "maintainer"}},
		{`provider: github, with: {repo: acme/x.y, permission: push}`, map[string]any{"repo": "acme/x.y", "permission": "push"}},
		{`provider: webhook, with: {url: "https://x.example/a?b=1", secret_env: HOOK}`,
			map[string]any{"url": "https://x.example/a?b=1", "secret_env": "HOOK", "allow_private": false}},
		{`provider: webhook, with: {url: "http://[::1]:80/", secret_env: HOOK, allow_private: true}`,
			map[string]any{"url": "http://[::1]:80/", "secret_env": "HOOK", "allow_private": true}},
		{`provider: exec, with: {command: [bin/grant, --fast, ""]}`, map[string]any{"command": []any{"bin/grant", "--fast", ""}}},
		{`provider: postgres, with: {dsn_env: PG_DSN, role: "Read Only"}`, map[string]any{"dsn_env": "PG_DSN", "role": "Read Only", "terminate": false}},
		{`provider: postgres, with: {dsn_env: PG_DSN, role: r, terminate: true}`, map[string]any{"dsn_env": "PG_DSN", "role": "r", "terminate": true}},
	}
	for _, tt := range tests {
		f := mustRead(t, "version: 1\nslack: {channel: C0123}\nresources:\n- {id: x, "+tt.text+"}\n")
		got := f.Rules.Resources[0].Target.With
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", tt.text, d)
		}
		var again map[string]any
		if text, err := yaml.Marshal(got); err != nil || yaml.Unmarshal(text, &again) != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%s: %#v is %#v after a round trip", tt.text, got, again)
		}
	}
}

// TestListKeys: which keys name a list.
func TestListKeys(t *testing.T) {
	for key, ok := range map[string]bool{
		"a": true, "a.b": true, `a."b.c".d`: true, `"a.b"`: true, `"x y"."z"`: true, `a"b`: true,
		"": false, "a.": false, ".a": false, "a..b": false, `"a`: false, `"a"b`: false, `a."".b`: false, `a."`: false, `"<<"`: false, `a." b"`: false,
		strings.Repeat("a.", 19) + "a": true, strings.Repeat("a.", 20) + "a": false,
	} {
		_, _, err := config.Read("c.yaml", fmt.Appendf(nil, "version: 1\nslack: {channel: C0123}\nreviewers: [bob@example.com]\nresources:\n- {id: x, provider: gitops, with: {repo: /r, file: t.yaml, key: '%s', value: email}}\n", key))
		if (err == nil) != ok {
			t.Errorf("%s: %v, want ok=%t", key, err, ok)
		}
	}
}

// TestDiscover: which teams become resources, and how the entry fails.
func TestDiscover(t *testing.T) {
	const begin = "version: 1\nslack: {channel: C0123}\nresources:\n- {id: github/acme, title: Teams, tags: {env: prod}, max_duration: 1h, "
	f := mustRead(t, begin+"provider: github, discover: {org: acme}}\n- {id: x, provider: github, with: {org: acme, team: x}}\n")
	want := []access.Discovery{{ID: "github/acme", Org: "acme", Role: "member", Title: "Teams", Tags: map[string]string{"env": "prod"}, MaxDuration: time.Hour}}
	if d := cmp.Diff(want, f.Rules.Discoveries); d != "" || len(f.Rules.Resources) != 1 {
		t.Errorf("%d resources, and (-want +got)\n%s", len(f.Rules.Resources), d)
	}
	for text, says := range map[string]string{
		"provider: github, discover: {}":                                                                  "c.yaml:4:100: resources[0].discover: org is missing",
		"provider: github, discover: {org: 'a/b'}":                                                        `resources[0].discover.org: "a/b" is not allowed here`,
		"provider: github, discover: {org: a, role: owner}":                                               `resources[0].discover.role: "owner" is not known`,
		"provider: github, discover: {org: a, team: b}":                                                   `there is no key "team" here`,
		"provider: github, discover: {org: a}, with: {org: a, team: b}":                                   "resources[0].with: stands beside discover",
		"provider: gitops, discover: {org: a}":                                                            `resources[0].provider: "gitops" is not known; did you mean github?`,
		"provider: github, discover: {org: a}}\n- {id: github/acme, provider: github, discover: {org: b}": `"github/acme" is there twice`,
	} {
		if _, _, err := config.Read("c.yaml", []byte(begin+text+"}\n")); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want %s", text, err, says)
		}
	}
}

func TestPolicies(t *testing.T) {
	f := mustRead(t, `version: 1
slack: {channel: C0123, groups_restricted: true}
reviewers: [bob@example.com]
groups:
  eng: {slack_group: eng}
  sre: [bob@example.com, dan@example.com]
resources:
  - {id: a, provider: postgres, with: {dsn_env: DSN, role: r}}
policies:
  - name: by steps
    requestor: {type: user, users: [Erin@example.com]}
    resource: {type: match, provider: postgres, effect: remove}
    approval:
      - {type: steps, steps: [[{type: manager}], [{type: group, groups: [eng]}, {type: reviewers}]]}
      - {type: escalation, integration: pagerduty, services: [P1], escalation_policies: [P2]}
    options:
      one_party: true
      require_ticket: "A-[0-9]+"
      break_glass: true
      max_duration: 30m
      hours: {days: [mon, fri], from: "09:00", to: "24:00", zone: Europe/Berlin}
  - name: nobody from sre
    disabled: true
    requestor: {type: group, groups: [sre], effect: remove}
    resource: {type: any}
    approval: [{type: deny}]
tests:
  - {as: erin@example.com, for: dan@example.com, resource: a, at: 2026-01-05T09:00:00+01:00, want: denied}
  - {as: erin@example.com, resource: a, want: automatic}
`)
	want := []access.Policy{
		{
			Name:      "by steps",
			Requestor: access.Whom{Type: "user", Users: []string{"erin@example.com"}},
			Resource:  access.Which{Type: "match", Provider: "postgres", Remove: true},
			Approval: []access.Way{
				{Type: "steps", Steps: [][]access.Way{{{Type: "manager"}}, {{Type: "group", Groups: []string{"eng"}, Count: 1}, {Type: "reviewers"}}}},
				{Type: "escalation", Integration: "pagerduty", Services: []string{"P1"}, EscalationPolicies: []string{"P2"}},
			},
			Terms: access.Terms{
				OneParty: true, RequireTicket: regexp.MustCompile("^(?:A-[0-9]+)$"), BreakGlass: true, MaxDuration: 30 * time.Minute,
				Hours: &access.Hours{Days: []time.Weekday{time.Monday, time.Friday}, From: 9 * time.Hour, To: 24 * time.Hour, Zone: zone(t, "Europe/Berlin")},
			},
		},
		{
			Name: "nobody from sre", Disabled: true,
			Requestor: access.Whom{Type: "group", Groups: []string{"sre"}, Remove: true},
			Resource:  access.Which{Type: "any"},
			Approval:  []access.Way{{Type: "deny"}},
		},
	}
	if d := cmp.Diff(want, f.Rules.Policies, patterns(), zones(), cmpopts.IgnoreUnexported(access.Rules{})); d != "" {
		t.Errorf("policies (-want +got)\n%s", d)
	}
	tests := []config.Test{
		{Line: 28, As: "erin@example.com", For: "dan@example.com", Resource: "a", At: time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC), Denied: true},
		{Line: 29, As: "erin@example.com", For: "erin@example.com", Resource: "a", Automatic: true},
	}
	if d := cmp.Diff(tests, f.Tests); d != "" {
		t.Errorf("tests (-want +got)\n%s", d)
	}
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// FuzzParse: no input makes it panic, the same bytes give the same answer, and
// an error always says where.
func FuzzParse(f *testing.F) {
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	for _, tt := range errorTable() {
		f.Add([]byte(tt.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, aw, aerr := config.Read("c", data)
		b, bw, berr := config.Read("c", data)
		if d := cmp.Diff(a, b, patterns(), zones(), cmpopts.IgnoreUnexported(access.Rules{})); d != "" || !reflect.DeepEqual(aw, bw) || !reflect.DeepEqual(aerr, berr) {
			t.Fatalf("two readings differ: %s %v %v", d, aerr, berr)
		}
		if (a == nil) != (aerr != nil) {
			t.Fatalf("file %v with error %v", a, aerr)
		}
		if es, ok := aerr.(config.Errors); aerr != nil && !ok {
			t.Fatalf("error of type %T", aerr)
		} else {
			for _, e := range es {
				if e.Line < 1 || e.Column < 1 || e.Text == "" || e.Hint == "" || strings.ContainsAny(e.Error(), "\n\x00\u202e") {
					t.Fatalf("bad error %#v", e)
				}
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	data, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := config.Read("c", data); err != nil {
			b.Fatal(err)
		}
	}
}
