package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/config"
)

// head is what every file of the table begins with, unless it brings its own.
const head = "version: 1\nslack: {channel: C0123}\n"

type errorCase struct {
	text string
	want string // all errors, a line each
}

// broken is a file after the head; its first line is line 3.
func broken(text, want string) errorCase { return errorCase{head + text + "\n", want} }

// with is a resource of a provider; it stands in line 4.
func with(text, want string) errorCase {
	return broken("resources:\n- {id: x, provider: "+text+"}", want)
}

// policy is a policy's body, which begins in line 5.
func policy(text, want string) errorCase {
	return broken("policies:\n- name: p\n"+text, want)
}

// errorTable has a line for each kind of error, with the whole message.
func errorTable() []errorCase {
	return []errorCase{
		{"",
			"c.yaml:1:1: the file is empty; write version: 1 as the first line"},
		{"# nothing\n",
			"c.yaml:1:1: the file is empty; write version: 1 as the first line"},
		{"version: 1\n",
			`c.yaml:1:1: slack is missing; write slack: {channel: C0123456789}, or a name in quotes: "#access"`},
		{"slack: {channel: C0123}\n",
			"c.yaml:1:1: version is missing; write version: 1 as the first line"},
		{"version: 2\nbogus: 1\n",
			"c.yaml:1:10: version: version 2 is not known; write version: 1, or update Countersign"},
		{"version: \"1\"\n",
			`c.yaml:1:10: version: is "1", not a whole number; write digits without quotes`},
		{"version: 01\n",
			`c.yaml:1:10: version: is the number "01", not a whole number; write digits without quotes`},
		{"- version: 1\n",
			"c.yaml:1:1: is a list, not a mapping; write key: value"},
		{"version: 1\nslack: {channel: \"\xff\"}\n",
			"c.yaml:2:19: the file is not UTF-8; save the file as UTF-8"},
		{"version: 1\n# \u202e\n",
			"c.yaml:2:3: the character U+202E is not allowed; remove it"},
		{"version: 1\n# \u0007\n",
			"c.yaml:2:3: the character U+0007 is not allowed; remove it"},
		{"version: 1\n# a\u200bb\n",
			"c.yaml:2:4: the character U+200B is not allowed; remove it"},
		{"version: 1\nslack: [\n",
			"c.yaml:2:1: this is not YAML: did not find expected node content; look at indentation, quotes and brackets here and above"},
		{"version: 1\nslack:\n\tchannel: C0123\n",
			"c.yaml:3:1: this is not YAML: found character that cannot start any token; look at indentation, quotes and brackets here and above"},
		{"version: 1\nslack: {channel: C0123}\n---\nversion: 1\n",
			"c.yaml:3:1: a second document begins here; keep one document in the file"},
		{"version: 1\nslack:\n  channel: #access\n",
			`c.yaml:3:11: slack.channel: is empty (a # without quotes begins a comment); write slack: {channel: C0123456789}, or a name in quotes: "#access"`},
		{"version: 1\nslack: {channel: access}\n",
			`c.yaml:2:18: slack.channel: "access" is not allowed here; write a channel's id such as C0123456789, or its name in quotes such as "#access"`},
		{"version: 1\nslack:\n",
			`c.yaml:2:7: slack: is empty; write slack: {channel: C0123456789}, or a name in quotes: "#access"`},
		{"version: 1\nslack: {channel: C0123, approver_group: \"@approvers\"}\n",
			`c.yaml:2:41: slack.approver_group: "@approvers" is not allowed here; write the handle of a user group without @`},
		{"version: 1\nslack: {channel: C0123, approver_group: here}\n",
			`c.yaml:2:41: slack.approver_group: "here" is Slack's own; choose another handle`},
		{"version: 1\nslack: {channel: C0123, groups_restricted: yes}\n",
			`c.yaml:2:44: slack.groups_restricted: is "yes", not true or false; write true, without quotes`},
		{"version: 1\nslack: {channel: C0123, groups_restricted: \"true\"}\n",
			`c.yaml:2:44: slack.groups_restricted: is "true", not true or false; write true, without quotes`},
		broken("reviewer: [a@example.com]",
			`c.yaml:3:1: there is no key "reviewer" here; did you mean reviewers?`),
		broken("reviewers: [a@example.com]\nreviewers: [b@example.com]",
			`c.yaml:4:1: the key "reviewers" is there twice (first in line 3); keep one of them`),
		broken("zzz: 1",
			`c.yaml:3:1: there is no key "zzz" here; use version, slack, reviewers, auditors, settings, people, groups, resources, oncall, policies, tests`),
		broken("1: x",
			`c.yaml:3:1: is the number "1", not a key; write a word; in quotes if it looks like something else`),
		broken("? [a]\n: x",
			"c.yaml:3:3: is a list, not a key; write a word; in quotes if it looks like something else"),
		broken("reviewers: &r [a@example.com]\nauditors: *r",
			"c.yaml:3:12: an anchor (&r) is not allowed; remove it and write the value where it is needed\n"+
				"c.yaml:4:11: an alias (*r) is not allowed; write the value out"),
		broken("settings:\n  <<: {one_party: true}",
			"c.yaml:4:3: settings: a merge key (<<) is not allowed; write the keys out"),
		broken("reviewers: !custom [a@example.com]",
			"c.yaml:3:12: a tag (!custom) is not allowed; remove it"),
		broken("reviewers: [!!str a@example.com]",
			"c.yaml:3:13: a tag (!!str) is not allowed; remove it"),
		broken("reviewers: [[[[[[[[[[[[[[]]]]]]]]]]]]]]",
			"c.yaml:3:24: this is nested more than 12 levels deep; write it flatter"),
		broken("reviewers: a@example.com",
			`c.yaml:3:12: reviewers: is "a@example.com", not a list; write [a, b], or one line with - for each`),
		broken("reviewers: [bob]",
			`c.yaml:3:13: reviewers[0]: "bob" is not an e-mail address; write name@example.com`),
		broken("reviewers: [bob@localhost]",
			`c.yaml:3:13: reviewers[0]: "bob@localhost" is not an e-mail address; write name@example.com`),
		broken("reviewers: [bоb@example.com]",
			`c.yaml:3:13: reviewers[0]: "b\u043eb@example.com" is not an e-mail address; write name@example.com`),
		broken("reviewers: [a@example.com, A+x@example.com]",
			`c.yaml:3:28: reviewers[1]: "A+x@example.com" is the same person as in line 3; keep one of them`),
		broken("reviewers: [5]",
			`c.yaml:3:13: reviewers[0]: is the number "5", not a text; write it in quotes`),
		broken("reviewers: [null]",
			"c.yaml:3:13: reviewers[0]: is empty; write a value or remove the key"),
		broken("reviewers: [{}]",
			"c.yaml:3:13: reviewers[0]: is a mapping, not a text; write one text"),
		broken(`reviewers: ["a@example.com\n"]`,
			`c.yaml:3:13: reviewers[0]: contains a line break or an invisible character: "a@example.com\n"; remove it`),
		broken("settings: {one_party: on}",
			`c.yaml:3:23: settings.one_party: is "on", not true or false; write true, without quotes`),
		broken("settings: {one_party: No}",
			`c.yaml:3:23: settings.one_party: is "No", not true or false; write false, without quotes`),
		broken("settings: {one_party: True}",
			"c.yaml:3:23: settings.one_party: is the boolean True, not true or false; write true, without quotes"),
		broken("settings: {one_party: maybe}",
			`c.yaml:3:23: settings.one_party: is "maybe", not true or false; write true or false`),
		broken("settings: {one_party: }",
			"c.yaml:3:23: settings.one_party: is empty, not true or false; write true or false"),
		broken("settings: {one_party: [true]}",
			"c.yaml:3:23: settings.one_party: is a list, not true or false; write true or false"),
		broken("settings: []",
			"c.yaml:3:11: settings: is a list, not a mapping; write key: value"),
		broken("settings: {max_duration: 30}",
			`c.yaml:3:26: settings.max_duration: is the number "30", not a duration; write for example 30m, 4h, 2d or 1w`),
		broken("settings: {max_duration: 1h30}",
			`c.yaml:3:26: settings.max_duration: "1h30" is not a duration; write for example 30m, 4h, 2d or 1w`),
		broken("settings: {max_duration: 0h}",
			`c.yaml:3:26: settings.max_duration: "0h" is not a duration; write for example 30m, 4h, 2d or 1w`),
		broken("settings: {max_duration: -1h}",
			`c.yaml:3:26: settings.max_duration: "-1h" is not a duration; write for example 30m, 4h, 2d or 1w`),
		broken("settings: {pending_timeout: 2 days}",
			`c.yaml:3:29: settings.pending_timeout: "2 days" is not a duration; write for example 30m, 4h, 2d or 1w`),
		broken(`settings: {pending_timeout: ""}`,
			"c.yaml:3:29: settings.pending_timeout: is empty; write a value or remove the key"),
		broken("settings: {expiry_options: []}",
			"c.yaml:3:28: settings.expiry_options: is an empty list; list at least one, or remove the key"),
		broken("settings: {expiry_options: [1h, 30m]}",
			`c.yaml:3:33: settings.expiry_options[1]: "30m" is not longer than the one before; list them from the shortest to the longest, each once`),
		broken("settings: {expiry_options: [1h, 60m]}",
			`c.yaml:3:33: settings.expiry_options[1]: "60m" is not longer than the one before; list them from the shortest to the longest, each once`),
		broken("settings: {expiry_options: 1h}",
			`c.yaml:3:28: settings.expiry_options: is "1h", not a list; write [a, b], or one line with - for each`),
		broken("settings: {reminders: [4h, 1h]}",
			`c.yaml:3:28: settings.reminders[1]: "1h" is not longer than the one before; list them from the shortest to the longest, each once`),
		broken(`settings: {require_ticket: "("}`,
			"c.yaml:3:28: settings.require_ticket: \"(\" is not a pattern: missing closing ): `(`; write a regular expression in RE2's syntax"),
		broken(`settings: {require_ticket: "a)|(b"}`,
			"c.yaml:3:28: settings.require_ticket: \"a)|(b\" is not a pattern: unexpected ): `a)|(b`; write a regular expression in RE2's syntax"),
		broken(`settings: {require_ticket: "\\Qa"}`,
			"c.yaml:3:28: settings.require_ticket: \"\\\\Qa\" is not a pattern: missing closing ): `^(?:\\Qa)$`; write a regular expression in RE2's syntax"),
		broken("settings: {require_ticket: 5}",
			`c.yaml:3:28: settings.require_ticket: is the number "5", not a text; write it in quotes`),
		broken("settings: {require_ticket: 2026-01-01}",
			`c.yaml:3:28: settings.require_ticket: is the date "2026-01-01", not a text; write it in quotes`),
		broken("people: [{github: a}]",
			"c.yaml:3:10: people[0]: email is missing; write email: name@example.com"),
		broken("people: [{email: a@example.com, slak: [U01]}]",
			`c.yaml:3:33: people[0]: there is no key "slak" here; did you mean slack?`),
		broken("people:\n-",
			"c.yaml:4:2: people[0]: is empty; write {email: name@example.com, …}"),
		broken("people:\n- {email: a@example.com}\n- {email: A+b@example.com}",
			`c.yaml:5:11: people[1].email: "A+b@example.com" is taken in line 4; remove one of them`),
		broken("people:\n- {email: a@example.com, aliases: [b@example.com]}\n- {email: b@example.com}",
			`c.yaml:4:36: people[0].aliases[0]: "b@example.com" is taken in line 5; remove one of them`),
		broken("people:\n- {email: a@example.com, aliases: [c@example.com]}\n- {email: b@example.com, aliases: [C@example.com]}",
			`c.yaml:5:36: people[1].aliases[0]: "C@example.com" is taken in line 4; remove one of them`),
		broken("people:\n- {email: a@example.com, aliases: [a+x@example.com]}",
			`c.yaml:4:36: people[0].aliases[0]: "a+x@example.com" is taken in line 4; remove one of them`),
		broken("people:\n- {email: a@example.com, slack: [U0AB]}\n- {email: b@example.com, slack: [U0AB]}",
			`c.yaml:5:34: people[1].slack[0]: "U0AB" is taken in line 4; remove one of them`),
		broken("people:\n- {email: a@example.com, slack: [alice]}",
			`c.yaml:4:34: people[0].slack[0]: "alice" is not allowed here; write a Slack user id such as U012AB`),
		broken("people:\n- {email: a@example.com, slack: U0AB}",
			`c.yaml:4:33: people[0].slack: is "U0AB", not a list; write [a, b], or one line with - for each`),
		broken("people:\n- {email: a@example.com, github: A-b}\n- {email: b@example.com, github: a-B}",
			`c.yaml:5:34: people[1].github: "a-B" is taken in line 4; remove one of them`),
		broken("people:\n- {email: a@example.com, github: \"@a\"}",
			`c.yaml:4:34: people[0].github: "@a" is not allowed here; write a GitHub login without @`),
		broken("people:\n- {email: a@example.com, postgres: a}\n- {email: b@example.com, postgres: a}",
			`c.yaml:5:36: people[1].postgres: "a" is taken in line 4; remove one of them`),
		broken("people:\n- {email: a@example.com, github: 1e5}",
			`c.yaml:4:34: people[0].github: is the number "1e5", not a text; write it in quotes`),
		broken("people:\n- {email: a@example.com, manager: bob}",
			`c.yaml:4:35: people[0].manager: "bob" is not an e-mail address; write name@example.com`),
		broken("people:\n- {email: a@example.com, aliases: [b@example.com], manager: B+x@example.com}",
			"c.yaml:4:61: people[0].manager: nobody is their own manager; name somebody else or remove the key"),
		broken("groups: {Eng: []}",
			`c.yaml:3:10: groups: "Eng" is not allowed here; write a group's name in lower case, such as eng`),
		broken("groups: {eng: a@example.com}",
			`c.yaml:3:15: groups.eng: is "a@example.com", not a list of addresses; write [a@example.com, b@example.com], {github_team: org/team} or {slack_group: handle}`),
		broken("groups: {eng: {}}",
			"c.yaml:3:15: groups.eng: a group has one source; write one of github_team and slack_group, or a list of addresses"),
		broken("groups: {eng: {github_team: acme}}",
			`c.yaml:3:29: groups.eng.github_team: "acme" is not allowed here; write org/team`),
		broken("groups: {eng: {github_team: acme/a, slack_group: a}}",
			"c.yaml:3:15: groups.eng: a group has one source; write one of github_team and slack_group, or a list of addresses"),
		broken(`groups: {eng: {slack_group: "@ops"}}`,
			`c.yaml:3:29: groups.eng.slack_group: "@ops" is not allowed here; write the handle of a user group without @`),
		broken("groups: [a]",
			"c.yaml:3:9: groups: is a list, not a mapping; write key: value"),
		broken("resources: [{}]",
			"c.yaml:3:13: resources[0]: id is missing; write id: github/payments-admins\n"+
				"c.yaml:3:13: resources[0]: provider is missing; use gitops, github, webhook, exec, postgres\n"+
				"c.yaml:3:13: resources[0]: with is missing; write with: {…} as the provider needs it"),
		broken("resources:\n- {id: A b, provider: exec, with: {command: [a]}}",
			`c.yaml:4:8: resources[0].id: "A b" is not allowed here; write lower-case letters, digits and . _ / - (a letter or digit first, at most 100)`),
		broken("resources:\n- {id: a, provider: exec, with: {command: [a]}}\n- {id: a, provider: exec, with: {command: [a]}}",
			`c.yaml:5:8: resources[1].id: "a" is there twice (first in line 4); keep one of them`),
		broken("resources:\n- {id: a, title: \"\", tags: {env: true}, max_duration: 8, owner: x, provider: exec, with: {command: [a]}}",
			"c.yaml:4:18: resources[0].title: is empty; write a value or remove the key\n"+
				"c.yaml:4:34: resources[0].tags.env: is the boolean true, not a text; write it in quotes\n"+
				"c.yaml:4:55: resources[0].max_duration: is the number \"8\", not a duration; write for example 30m, 4h, 2d or 1w\n"+
				`c.yaml:4:65: resources[0].owner: "x" is not an e-mail address; write name@example.com`),
		broken("resources:\n- {id: a, tags: {\"a b\": c}, provider: exec, with: {command: [a]}}",
			`c.yaml:4:18: resources[0].tags: "a b" is not allowed here; write a tag such as env`),
		with("githab, with: {}",
			`c.yaml:4:21: resources[0].provider: "githab" is not known; did you mean github?`),
		with("okta, with: {}",
			`c.yaml:4:21: resources[0].provider: "okta" is not known; use gitops, github, webhook, exec, postgres`),
		with("gitops",
			"c.yaml:4:3: resources[0]: with is missing; write with: {…} as the provider needs it"),
		with("gitops, with: ",
			"c.yaml:4:35: resources[0].with: is empty; write what the provider needs"),
		with("gitops, with: {}",
			"c.yaml:4:35: resources[0].with: repo is missing; write the repository's URL or path\n"+
				"c.yaml:4:35: resources[0].with: file is missing; write the path of a YAML file in the repository, such as access/teams.yaml\n"+
				"c.yaml:4:35: resources[0].with: key is missing; write the key of the list, with dots for levels, such as teams.payments.members\n"+
				"c.yaml:4:35: resources[0].with: value is missing; use email, github"),
		with("gitops, with: {repo: a, file: b, key: c, value: mail}",
			`c.yaml:4:69: resources[0].with.value: "mail" is not known; did you mean email?`),
		with("gitops, with: {repo: a, file: b, key: c, value: email, path: x}",
			`c.yaml:4:76: resources[0].with: there is no key "path" here; use repo, branch, file, key, value, via`),
		with("gitops, with: {repo: 'git@github.com:acme/a', file: b, key: c, value: email, via: pr}",
			`c.yaml:4:103: resources[0].with.via: "pr" is not known; use pull_request`),
		with("gitops, with: {repo: /srv/git/a.git, file: b, key: c, value: email, via: pull_request}",
			`c.yaml:4:42: resources[0].with.repo: "/srv/git/a.git" is not allowed here; a pull request needs the repository's address on GitHub, such as https://github.com/acme/state`),
		with("gitops, with: {repo: 'https://github.com/acme/x/state', file: b, key: c, value: email, via: pull_request}",
			`c.yaml:4:42: resources[0].with.repo: "https://github.com/acme/x/state" is not allowed here; a pull request needs the repository's address on GitHub, such as https://github.com/acme/state`),
		with(`gitops, with: {repo: "https://u:p@git.example/a", file: ../b, branch: "a..b", key: a..b, value: email}`,
			"c.yaml:4:42: resources[0].with.repo: \"https://u:[redacted URL credentials]@git.example/a\" is not allowed here; write the repository's URL or path\n"+
				"c.yaml:4:77: resources[0].with.file: \"../b\" is not allowed here; write the path of a YAML file in the repository, such as access/teams.yaml\n"+
				"c.yaml:4:91: resources[0].with.branch: \"a..b\" is not allowed here; write the branch's name, such as main\n"+
				`c.yaml:4:104: resources[0].with.key: "a..b" is not allowed here; write the key of the list, with dots for levels, such as teams.payments.members`),
		with(`gitops, with: {repo: "ext::sh -c x", file: .git/config, branch: refs/heads/x, key: "<<", value: email}`,
			"c.yaml:4:42: resources[0].with.repo: \"ext::sh -c x\" is not allowed here; write the repository's URL or path\n"+
				"c.yaml:4:64: resources[0].with.file: \".git/config\" is not allowed here; write the path of a YAML file in the repository, such as access/teams.yaml\n"+
				"c.yaml:4:85: resources[0].with.branch: \"refs/heads/x\" is not allowed here; write the branch's name, such as main\n"+
				`c.yaml:4:104: resources[0].with.key: "<<" is not allowed here; write the key of the list, with dots for levels, such as teams.payments.members`),
		with(`gitops, with: {repo: "http://git.example/a", file: /etc/x, branch: -x, key: " a", value: email}`,
			"c.yaml:4:42: resources[0].with.repo: \"http://git.example/a\" is not allowed here; write the repository's URL or path\n"+
				"c.yaml:4:72: resources[0].with.file: \"/etc/x\" is not allowed here; write the path of a YAML file in the repository, such as access/teams.yaml\n"+
				"c.yaml:4:88: resources[0].with.branch: \"-x\" is not allowed here; write the branch's name, such as main\n"+
				`c.yaml:4:97: resources[0].with.key: " a" is not allowed here; write the key of the list, with dots for levels, such as teams.payments.members`),
		with("github, with: {}",
			"c.yaml:4:35: resources[0].with: one of a team and a repository is needed; write {org, team} or {repo, permission}"),
		with("github, with: {org: a}",
			"c.yaml:4:35: resources[0].with: team is missing; write the team's slug, such as payments-admins"),
		with("github, with: {org: a, team: b, repo: a/b}",
			"c.yaml:4:35: resources[0].with: one of a team and a repository is needed; write {org, team} or {repo, permission}"),
		with("github, with: {org: a, team: b, role: admin}",
			`c.yaml:4:59: resources[0].with.role: "admin" is not known; use member, maintainer`),
		with("github, with: {org: a, team: b, permission: push}",
			"c.yaml:4:65: resources[0].with.permission: has no meaning for a team; remove it"),
		with("github, with: {repo: a}",
			"c.yaml:4:35: resources[0].with: permission is missing; use pull, triage, push, maintain, admin\n"+
				`c.yaml:4:42: resources[0].with.repo: "a" is not allowed here; write owner/name`),
		with("github, with: {repo: a/b, permission: write}",
			`c.yaml:4:59: resources[0].with.permission: "write" is not known; use pull, triage, push, maintain, admin`),
		with("github, with: {repo: a/b, permission: push, role: member}",
			"c.yaml:4:71: resources[0].with.role: has no meaning for a repository; remove it"),
		with(`webhook, with: {url: "http://x.example/", secret_env: S, allow_private: true}`,
			`c.yaml:4:42: resources[0].with.url: "http://x.example/" is not allowed here; write an https address without user, password and fragment (http only on this machine and with allow_private: true)`),
		with(`webhook, with: {url: "http://127.0.0.1/", secret_env: S}`,
			`c.yaml:4:42: resources[0].with.url: "http://127.0.0.1/" is not allowed here; write an https address without user, password and fragment (http only on this machine and with allow_private: true)`),
		with(`webhook, with: {url: "https://u:p@x.example/", secret_env: SLACK_BOT_TOKEN}`,
			"c.yaml:4:42: resources[0].with.url: \"https://u:[redacted URL credentials]@x.example/\" is not allowed here; write an https address without user, password and fragment (http only on this machine and with allow_private: true)\n"+
				`c.yaml:4:80: resources[0].with.secret_env: "SLACK_BOT_TOKEN" is not allowed here; write the name of an environment variable such as PAYMENTS_SECRET, none of SLACK_*, GITHUB_*, PAGERDUTY_*, INCIDENT_IO_* and COUNTERSIGN_*`),
		with("webhook, with: {secret_env: lower, allow_private: yes}",
			"c.yaml:4:36: resources[0].with: url is missing; write an https address without user, password and fragment (http only on this machine and with allow_private: true)\n"+
				"c.yaml:4:49: resources[0].with.secret_env: \"lower\" is not allowed here; write the name of an environment variable such as PAYMENTS_SECRET, none of SLACK_*, GITHUB_*, PAGERDUTY_*, INCIDENT_IO_* and COUNTERSIGN_*\n"+
				`c.yaml:4:71: resources[0].with.allow_private: is "yes", not true or false; write true, without quotes`),
		with("exec, with: {command: []}",
			"c.yaml:4:43: resources[0].with.command: is an empty list; write [program, argument, …], the program inside --exec-dir"),
		with("exec, with: {command: sh}",
			`c.yaml:4:43: resources[0].with.command: is "sh", not a list; write [a, b], or one line with - for each`),
		with("exec, with: {command: [/bin/sh]}",
			`c.yaml:4:44: resources[0].with.command[0]: "/bin/sh" is not a program inside --exec-dir; write its path below --exec-dir, such as grant.sh`),
		with("exec, with: {command: [../sh]}",
			`c.yaml:4:44: resources[0].with.command[0]: "../sh" is not a program inside --exec-dir; write its path below --exec-dir, such as grant.sh`),
		with("exec, with: {command: [a, 5]}",
			`c.yaml:4:47: resources[0].with.command[1]: is the number "5", not a text; write it in quotes`),
		with("postgres, with: {dsn_env: COUNTERSIGN_X}",
			"c.yaml:4:37: resources[0].with: role is missing; write the name of the role that is given, at most 63 bytes\n"+
				`c.yaml:4:47: resources[0].with.dsn_env: "COUNTERSIGN_X" is not allowed here; write the name of an environment variable such as PAYMENTS_SECRET, none of SLACK_*, GITHUB_*, PAGERDUTY_*, INCIDENT_IO_* and COUNTERSIGN_*`),
		with("postgres, with: [a]",
			"c.yaml:4:37: resources[0].with: is a list, not a mapping; write key: value"),
		broken("oncall: {opsgenie: {}}",
			`c.yaml:3:10: oncall: there is no key "opsgenie" here; use pagerduty, incidentio`),
		broken("oncall: {pagerduty: {auto_approve: true}}",
			"c.yaml:3:21: oncall.pagerduty: auto_approve has nobody to ask about; name the escalation_policies whose people count"),
		broken(`oncall: {incidentio: {auto_approve: true, escalation_path: "a b"}}`,
			"c.yaml:3:22: oncall.incidentio: auto_approve has nobody to ask about; name the schedules whose people count\n"+
				`c.yaml:3:60: oncall.incidentio.escalation_path: "a b" is not allowed here; write an id such as 01HABC`),
		broken("oncall: {pagerduty: {max_escalation_level: 0}}",
			"c.yaml:3:44: oncall.pagerduty.max_escalation_level: 0 is not possible; write a number from 1 to 20"),
		broken("oncall: {pagerduty: {max_escalation_level: one}}",
			`c.yaml:3:44: oncall.pagerduty.max_escalation_level: is "one", not a whole number; write digits without quotes`),
		broken("oncall: {pagerduty: {services: [P1, P1], from: x}}",
			"c.yaml:3:37: oncall.pagerduty.services[1]: \"P1\" is there twice (first in line 3); keep one of them\n"+
				`c.yaml:3:48: oncall.pagerduty.from: "x" is not an e-mail address; write name@example.com`),
		broken("oncall: {incidentio: {services: [P1]}}",
			`c.yaml:3:23: oncall.incidentio: there is no key "services" here; use auto_approve, schedules, escalation_path, auto_duration`),
		broken("policies: [{}]",
			"c.yaml:3:12: policies[0]: name is missing; write name: payments by sre\n"+
				"c.yaml:3:12: policies[0]: requestor is missing; write requestor: {type: any}, user or group\n"+
				"c.yaml:3:12: policies[0]: resource is missing; write resource: {type: any} or match\n"+
				"c.yaml:3:12: policies[0]: approval is missing; write at least one entry, or type: deny"),
		broken("policies:\n-",
			"c.yaml:4:2: policies[0]: is empty; write {name: …, requestor: …, resource: …, approval: […]}"),
		policy("  requestor: {type: any}\n  resource: {type: any}\n  approval: []",
			"c.yaml:7:13: policies[0].approval: is an empty list; write at least one entry, or type: deny"),
		policy("  requestor: {type: any}\n  resource: {type: any}\n  approval:",
			"c.yaml:7:12: policies[0].approval: is an empty list; write at least one entry, or type: deny"),
		broken("policies:\n- {name: p, requestor: {type: any}, resource: {type: any}, approval: [{type: reviewers}]}\n- {name: p, requestor: {type: any}, resource: {type: any}, approval: [{type: reviewers}]}",
			`c.yaml:5:10: policies[1].name: "p" is there twice (first in line 4); keep one of them`),
		policy("  requestor: {type: people}\n  resource: {}\n  approval: [{type: reviewer}]",
			"c.yaml:5:21: policies[0].requestor.type: \"people\" is not known; use any, user, group\n"+
				"c.yaml:6:13: policies[0].resource: type is missing; use any, match\n"+
				`c.yaml:7:21: policies[0].approval[0].type: "reviewer" is not known; did you mean reviewers?`),
		policy("  requestor: {type: any, groups: [a]}\n  resource: {type: match}\n  approval: [{type: reviewers, count: 2}]",
			"c.yaml:5:34: policies[0].requestor.groups: has no meaning for type any; remove it\n"+
				"c.yaml:6:13: policies[0].resource: nothing says what matches; add id, provider or tags, or use type: any\n"+
				"c.yaml:7:39: policies[0].approval[0].count: has no meaning for type reviewers; remove it"),
		policy("  requestor: {type: user}\n  resource: {type: match, id: \"(\", effect: drop}\n  approval: [{type: group}]",
			"c.yaml:5:14: policies[0].requestor: users is missing; list at least one address\n"+
				"c.yaml:6:31: policies[0].resource.id: \"(\" is not a pattern: missing closing ): `(`; write a regular expression in RE2's syntax\n"+
				"c.yaml:6:44: policies[0].resource.effect: \"drop\" is not known; use keep, remove\n"+
				"c.yaml:7:14: policies[0].approval[0]: groups is missing; list at least one group"),
		policy("  requestor: {type: group, groups: [eng]}\n  resource: {type: match, provider: gitlab, tags: {env: \"[\"}}\n  approval: [{type: group, groups: [], count: 0}]",
			"c.yaml:5:37: policies[0].requestor.groups[0]: there is no group \"eng\"; there are none in this file\n"+
				"c.yaml:6:37: policies[0].resource.provider: \"gitlab\" is not known; did you mean github?\n"+
				"c.yaml:6:57: policies[0].resource.tags.env: \"[\" is not a pattern: missing closing ]: `[`; write a regular expression in RE2's syntax\n"+
				"c.yaml:7:36: policies[0].approval[0].groups: is an empty list; list at least one group\n"+
				"c.yaml:7:47: policies[0].approval[0].count: 0 is not possible; write a number from 1 to 100"),
		broken("groups: {eng: [a@example.com], ops: {slack_group: ops}}\npolicies:\n- name: p\n  requestor: {type: group, groups: [egn, ops, ops]}\n  resource: {type: any}\n  approval: [{type: group, groups: [ops]}]",
			"c.yaml:6:37: policies[0].requestor.groups[0]: there is no group \"egn\"; did you mean eng?\n"+
				"c.yaml:6:47: policies[0].requestor.groups[2]: \"ops\" is there twice (first in line 6); keep one of them\n"+
				`c.yaml:8:37: policies[0].approval[0].groups[0]: anyone may join the Slack group "ops", so it cannot name approvers; set slack.groups_restricted: true if only admins edit user groups, or use another kind of group`),
		policy("  requestor: {type: any}\n  resource: {type: any}\n  approval: [{type: auto}, {type: auto, integration: pagerduty, schedules: [S1]}, {type: auto, integration: incidentio}, {type: escalation, integration: opsgenie}, {type: auto, integration: pagerduty, services: [S1]}]",
			"c.yaml:7:14: policies[0].approval[0]: integration is missing; use pagerduty, incidentio\n"+
				"c.yaml:7:76: policies[0].approval[1].schedules: has no meaning for pagerduty; use escalation_policies\n"+
				"c.yaml:7:83: policies[0].approval[2]: nothing says who is on call; add schedules\n"+
				"c.yaml:7:154: policies[0].approval[3].integration: \"opsgenie\" is not known; use pagerduty, incidentio\n"+
				"c.yaml:7:165: policies[0].approval[4]: nothing says who is on call; add escalation_policies\n"+
				"c.yaml:7:212: policies[0].approval[4].services: has no meaning for type auto; remove it"),
		policy("  requestor: {type: any}\n  resource: {type: any}\n  approval: [{type: steps}, {type: steps, steps: [[]]}, {type: steps, steps: [[{type: deny}], [{type: steps}]]}, {type: steps, steps: [{type: manager}]}]",
			"c.yaml:7:14: policies[0].approval[0]: steps is missing; write [[entry], [entry]]\n"+
				"c.yaml:7:51: policies[0].approval[1].steps[0]: is an empty list; write at least one entry\n"+
				"c.yaml:7:87: policies[0].approval[2].steps[0][0].type: \"deny\" is not known; use reviewers, group, manager, auto, escalation\n"+
				"c.yaml:7:103: policies[0].approval[2].steps[1][0].type: \"steps\" is not known; use reviewers, group, manager, auto, escalation\n"+
				"c.yaml:7:136: policies[0].approval[3].steps[0]: is a mapping, not a list; write [a, b], or one line with - for each"),
		policy("  requestor: {type: any}\n  resource: {type: any}\n  approval: [{type: reviewers}]\n  options: {require_reson: true, max_duration: 1x, break_glass: yes}",
			"c.yaml:8:13: policies[0].options: there is no key \"require_reson\" here; did you mean require_reason?\n"+
				"c.yaml:8:48: policies[0].options.max_duration: \"1x\" is not a duration; write for example 30m, 4h, 2d or 1w\n"+
				`c.yaml:8:65: policies[0].options.break_glass: is "yes", not true or false; write true, without quotes`),
		policy("  requestor: {type: any}\n  resource: {type: any}\n  approval: [{type: reviewers}]\n  options: {hours: {}}",
			"c.yaml:8:20: policies[0].options.hours: is empty; write {days: […], from: …, to: …, zone: …} or remove the key"),
		policy("  requestor: {type: any}\n  resource: {type: any}\n  approval: [{type: reviewers}]\n  options: {hours: {days: [monday, tue, tue], from: 9:00, to: \"25:00\", zone: Mars}}",
			"c.yaml:8:28: policies[0].options.hours.days[0]: \"monday\" is not a day; did you mean mon?\n"+
				"c.yaml:8:41: policies[0].options.hours.days[2]: \"tue\" is there twice (first in line 8); keep one of them\n"+
				"c.yaml:8:53: policies[0].options.hours.from: \"9:00\" is not a time of day; write it as \"09:00\"\n"+
				"c.yaml:8:63: policies[0].options.hours.to: \"25:00\" is not a time of day; write it as \"09:00\"\n"+
				`c.yaml:8:78: policies[0].options.hours.zone: "Mars" is not a time zone; write a name such as Europe/Berlin or UTC`),
		policy("  requestor: {type: any}\n  resource: {type: any}\n  approval: [{type: reviewers}]\n  options: {hours: {days: [], from: \"18:00\", to: \"09:00\", zone: Local}}",
			"c.yaml:8:20: policies[0].options.hours: the hours end before they begin; write from before to, such as {from: \"09:00\", to: \"18:00\"}; use two policies for a night\n"+
				"c.yaml:8:27: policies[0].options.hours.days: is an empty list; list at least one of mon, tue, wed, thu, fri, sat, sun\n"+
				`c.yaml:8:65: policies[0].options.hours.zone: "Local" is not a time zone; write a name such as Europe/Berlin or UTC`),
		broken("tests: [{}]",
			"c.yaml:3:9: tests[0]: as is missing; write the address of who asks\n"+
				"c.yaml:3:9: tests[0]: resource is missing; write the id of a resource\n"+
				"c.yaml:3:9: tests[0]: want is missing; write the addresses of who may approve, or denied, or automatic"),
		broken("tests:\n- {as: alice, for: bob, resource: y, at: tomorrow, want: perhaps}",
			"c.yaml:4:8: tests[0].as: \"alice\" is not an e-mail address; write name@example.com\n"+
				"c.yaml:4:20: tests[0].for: \"bob\" is not an e-mail address; write name@example.com\n"+
				"c.yaml:4:35: tests[0].resource: there is no resource \"y\"; there are none in this file\n"+
				"c.yaml:4:42: tests[0].at: \"tomorrow\" is not a time; write it as \"2026-01-31T09:00:00Z\"\n"+
				`c.yaml:4:58: tests[0].want: "perhaps" is neither; write the addresses of who may approve, or denied, or automatic`),
		broken("resources:\n- {id: payments, provider: exec, with: {command: [a]}}\ntests:\n- {as: a@example.com, resource: paymants, at: 2026-01-01, want: []}",
			"c.yaml:6:33: tests[0].resource: there is no resource \"paymants\"; did you mean payments?\n"+
				"c.yaml:6:47: tests[0].at: \"2026-01-01\" is not a time; write it as \"2026-01-31T09:00:00Z\"\n"+
				"c.yaml:6:65: tests[0].want: is an empty list; write the addresses of who may approve, or denied, or automatic"),
		broken("tests:\n- {as: a@example.com, resource: [x], want: [b@example.com, B@example.com]}",
			"c.yaml:4:33: tests[0].resource: is a list, not a text; write one text\n"+
				`c.yaml:4:60: tests[0].want[1]: "b@example.com" is there twice (first in line 4); keep one of them`),
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range errorTable() {
		f, _, err := config.Read("c.yaml", []byte(tt.text))
		var es config.Errors
		if f != nil || !errors.As(err, &es) {
			t.Errorf("%q: file %v, error %v; want only Errors", tt.text, f, err)
			continue
		}
		if d := cmp.Diff(strings.Split(tt.want, "\n"), strings.Split(err.Error(), "\n")); d != "" {
			t.Errorf("%q (-want +got)\n%s", tt.text, d)
		}
	}
}

func TestWarnings(t *testing.T) {
	const rest = "reviewers: [bob@example.com]\nresources: [{id: a, provider: postgres, with: {dsn_env: DSN, role: r}}]\n"
	tests := []struct{ text, want string }{
		{"", ""},
		{"policies: []", "c.yaml:5:11: policies: there are no policies, so the default approvals are in force; add a policy or remove the key"},
		{"policies: [{name: p, disabled: true, requestor: {type: any}, resource: {type: any}, approval: [{type: reviewers}]}]",
			"c.yaml:5:11: policies: every policy is disabled, and a list of disabled policies is not empty: nothing can be requested; remove the list to return to the default approvals"},
		{"groups: {eng: []}", "c.yaml:5:15: groups.eng: the group is empty; list its members"},
		{"settings: {expiry_options: [1h, 2d], max_duration: 1d}", "c.yaml:5:28: settings.expiry_options: 2d is longer than max_duration and never offered; remove it or raise max_duration"},
		{"groups: {a: [bob@example.com]}\npolicies: [{name: p, requestor: {type: any}, resource: {type: any}, approval: [{type: group, groups: [a], count: 2}]}]",
			"c.yaml:6:80: policies[0].approval[0]: 2 people must approve and a has 1; lower count or add people"},
		{"policies: [{name: p, requestor: {type: any}, resource: {type: any}, approval: [{type: deny}, {type: reviewers}]}]",
			"c.yaml:5:79: policies[0].approval: deny wins over the other entries; keep either"},
		{"policies: [{name: p, requestor: {type: any}, resource: {type: any}, approval: [{type: reviewers}], options: {break_glass: true}}]",
			"c.yaml:5:109: policies[0].options: break_glass without max_duration lasts up to the settings' limit; add max_duration"},
		{"oncall: {pagerduty: {services: [S1]}}",
			"c.yaml:5:21: oncall.pagerduty: who is paged cannot approve: a service does not say who is on call; add escalation_policies"},
		{"policies: [{name: p, requestor: {type: any}, resource: {type: any}, approval: [{type: escalation, integration: pagerduty, services: [S1]}]}]",
			"c.yaml:5:80: policies[0].approval[0]: who is paged cannot approve: a service does not say who is on call; add escalation_policies, here or under oncall.pagerduty"},
		{"policies: [{name: p, requestor: {type: any}, resource: {type: any}, approval: [{type: escalation, integration: pagerduty, escalation_policies: [P1]}]}]",
			"c.yaml:5:80: policies[0].approval[0]: nobody can be paged: PagerDuty opens incidents on services; add services, here or under oncall.pagerduty"},
		{"oncall: {pagerduty: {services: [S1], escalation_policies: [P1]}}\npolicies: [{name: p, requestor: {type: any}, resource: {type: any}, approval: [{type: escalation, integration: pagerduty, services: [S2]}]}]", ""},
		{"tests: [{as: al@example.com, resource: a, want: [bbo@example.com]}]", "c.yaml:5:50: tests[0].want[0]: \"bbo@example.com\" stands nowhere else in this file; check the spelling"},
	}
	for _, tt := range tests {
		_, warnings, err := config.Read("c.yaml", []byte(head+rest+tt.text+"\n"))
		if got := strings.Join(lines(warnings), "\n"); err != nil || got != tt.want {
			t.Errorf("%s\n got %s (%v)\nwant %s", tt.text, got, err, tt.want)
		}
	}
	_, warnings, _ := config.Read("c.yaml", []byte(head+"reviewers:\nresources: [{id: a, max_duration: 200d, provider: postgres, with: {dsn_env: DSN, role: r}}]\n"))
	want := "c.yaml:4:35: resources[0].max_duration: 28w4d is longer than settings.max_duration, which counts; lower it, or raise settings.max_duration\n" +
		"c.yaml:3:11: reviewers: there are no reviewers; list at least one address"
	if got := strings.Join(lines(warnings), "\n"); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestMany: a file that is wrong everywhere is answered quickly and briefly.
func TestMany(t *testing.T) {
	text := head + "resources:\n" + strings.Repeat("- {idd: a}\n", 50000)
	_, _, err := config.Read("c.yaml", []byte(text))
	var es config.Errors
	if !errors.As(err, &es) || len(es) != config.MaxErrors {
		t.Errorf("%d errors, want %d", len(es), config.MaxErrors)
	}
	_, _, err = config.Read("c.yaml", []byte(strings.Repeat("#", config.MaxSize+1)))
	if got, want := err.Error(), "c.yaml:1:1: the file is larger than 1048576 bytes; remove what is not needed"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestOwnCredentials: no resource may name a variable of the bot's own, however
// it is written: the bot would send what stands in it to an address of the same
// pull request's choice.
func TestOwnCredentials(t *testing.T) {
	const file = "version: 1\nslack: {channel: C0123}\nreviewers: [bob@example.com]\nresources:\n- {id: a, provider: %s}\n"
	for _, name := range []string{
		"SLACK_BOT_TOKEN", "SLACK_APP_TOKEN_FILE", "slack_bot_token", "Slack_Bot_Token", "SLACK_", "GITHUB_TOKEN", "GITHUB_APP_PRIVATE_KEY",
		"GITHUB_APP_PRIVATE_KEY_FILE", "github_token", "PAGERDUTY_TOKEN", "PAGERDUTY_TOKEN_FILE", "INCIDENT_IO_API_KEY", "INCIDENT_IO_API_KEY_FILE",
		"COUNTERSIGN_GIT_TOKEN", "COUNTERSIGN_SSH_KEY_FILE", "COUNTERSIGN_OIDC_CLIENT_SECRET", "countersign_git_token", "X=Y", "A B", "\u017fLACK_BOT_TOKEN", "",
	} {
		for provider, key := range map[string]string{
			"webhook, with: {url: 'https://x.example/', secret_env: %q}": "resources[0].with.secret_env", "postgres, with: {role: r, dsn_env: %q}": "resources[0].with.dsn_env",
		} {
			_, _, err := config.Read("c.yaml", fmt.Appendf(nil, file, fmt.Sprintf(provider, name)))
			if err == nil || !strings.Contains(err.Error(), "c.yaml:5:") || !strings.Contains(err.Error(), key) {
				t.Errorf("%s of %q: %v", key, name, err)
			}
		}
	}
}
