package config

import (
	"strings"

	"countersign/bot/access"
)

// resources reads what can be asked for.
func (r *reader) resources(list []value, s access.Settings) (all []access.Resource, discoveries []access.Discovery) {
	lines := map[string]int{}
	for _, v := range list {
		res, d := v.resource(lines, s)
		if d == nil {
			all = append(all, res)
			continue
		}
		d.ID, d.Title, d.Owner, d.Tags, d.MaxDuration = res.ID, res.Title, res.Owner, res.Tags, res.MaxDuration
		discoveries = append(discoveries, *d)
	}
	return all, discoveries
}

// resource reads one entry, and what it discovers, if it does.
func (v value) resource(lines map[string]int, s access.Settings) (access.Resource, *access.Discovery) {
	o := v.object("id", "title", "owner", "tags", "max_duration", "provider", "with", "discover")
	o.require(v, "write {id: …, provider: …, with: {…}}")
	var res access.Resource
	if id, ok := o.need("id", "write id: github/payments-admins"); ok {
		s, ok := id.shaped(v.r.shapes.resource, "lower-case letters, digits and . _ / - (a letter or digit first, at most 100)")
		if ok && id.once(lines, s) {
			res.ID = s
		}
	}
	res.Title = o.optional("title")
	if len([]rune(res.Title)) > 150 {
		o.fields["title"].fail("keep it to 150 characters", "is too long")
	}
	res.Owner = o.who("owner")
	res.Tags = o.child("tags").tags()
	res.MaxDuration = o.duration("max_duration", 0)
	if res.MaxDuration > s.MaxDuration {
		o.fields["max_duration"].warn("lower it, or raise settings.max_duration", "%s is longer than settings.max_duration, which counts", access.FormatDuration(res.MaxDuration))
	}
	if d, ok := o.fields["discover"]; ok {
		return res, o.discovery(d)
	}
	res.Target = o.target()
	return res, nil
}

// discovery reads which teams become resources, each with an id below this one.
func (o object) discovery(v value) *access.Discovery {
	if with, ok := o.fields["with"]; ok {
		with.fail("remove it, or discover", "stands beside discover")
	}
	if p := o.choice("provider", "", "github"); p == "" {
		return &access.Discovery{}
	}
	d, m := v.object("org", "role"), map[string]any{}
	d.require(v, "write discover: {org: …}")
	d.put(m, "org", "write the organization's login", o.r.shapes.login.MatchString)
	org, _ := m["org"].(string)
	return &access.Discovery{Org: org, Role: d.choice("role", "member", "member", "maintainer")}
}

func (v value) tags() map[string]string {
	var tags map[string]string
	for _, f := range v.table() {
		key, ok := f.key.shaped(v.r.shapes.tag, "a tag such as env")
		if !ok {
			continue
		}
		if s, ok := f.value.text(); ok {
			if tags == nil {
				tags = map[string]string{}
			}
			tags[key] = s
		}
	}
	return tags
}

// providers are the known ones, each with how its `with` is read.
func providers() (names []string, with map[string]func(object) map[string]any) {
	return []string{"gitops", "github", "webhook", "exec", "postgres"}, map[string]func(object) map[string]any{
		"gitops": object.gitops, "github": object.github, "webhook": object.webhook, "exec": object.exec, "postgres": object.postgres,
	}
}

// target reads the provider and what it needs to know. Every default is filled
// in, because the target is pinned in the log and must mean the same later.
func (o object) target() access.Target {
	names, with := providers()
	provider := o.choice("provider", "", names...)
	v, ok := o.need("with", "write with: {…} as the provider needs it")
	if !ok || provider == "" {
		return access.Target{Provider: provider}
	}
	if v.null() && !v.foreign() {
		v.fail("write what the provider needs", "is empty")
		return access.Target{Provider: provider}
	}
	return access.Target{Provider: provider, With: with[provider](object{value: v})}
}

func (o object) gitops() map[string]any {
	o = o.object("repo", "branch", "file", "key", "value", "via")
	m := map[string]any{"branch": "main"}
	hint, fits := "write the repository's URL or path", gitRepo
	if _, ok := o.fields["via"]; ok {
		m["via"] = o.choice("via", "", "pull_request")
		hint, fits = "a pull request needs the repository's address on GitHub, such as https://github.com/acme/state", forgeRepo
	}
	o.put(m, "repo", hint, fits)
	if _, ok := o.fields["branch"]; ok {
		o.put(m, "branch", "write the branch's name, such as main", gitBranch)
	}
	o.put(m, "file", "write the path of a YAML file in the repository, such as access/teams.yaml", filePath)
	o.put(m, "key", "write the key of the list, with dots for levels, such as teams.payments.members", listKey)
	if s := o.choice("value", "", "email", "github"); s != "" {
		m["value"] = s
	}
	return m
}

func (o object) github() map[string]any {
	o = o.object("org", "team", "role", "repo", "permission")
	m := map[string]any{}
	_, org := o.fields["org"]
	_, team := o.fields["team"]
	_, repo := o.fields["repo"]
	if o.ok && (org || team) == repo {
		o.fail("write {org, team} or {repo, permission}", "one of a team and a repository is needed")
		return m
	}
	if repo {
		o.put(m, "repo", "write owner/name", o.r.shapes.ownerName.MatchString)
		m["permission"] = o.choice("permission", "", "pull", "triage", "push", "maintain", "admin")
		o.stray("role", "repository")
		return m
	}
	o.put(m, "org", "write the organization's login", o.r.shapes.login.MatchString)
	o.put(m, "team", "write the team's slug, such as payments-admins", o.r.shapes.slug.MatchString)
	m["role"] = o.choice("role", "member", "member", "maintainer")
	o.stray("permission", "team")
	return m
}

// stray fails about a key that belongs to the other form.
func (o object) stray(key, form string) {
	if v, ok := o.fields[key]; ok {
		v.fail("remove it", "has no meaning for a %s", form)
	}
}

func (o object) webhook() map[string]any {
	o = o.object("url", "secret_env", "allow_private")
	private := o.flag("allow_private", false)
	m := map[string]any{"allow_private": private}
	hint := "write an https address without user, password and fragment"
	o.put(m, "url", hint+" (http only on this machine and with allow_private: true)", func(s string) bool { return webhookURL(s, private) })
	o.put(m, "secret_env", envHint, o.r.shapes.envName)
	return m
}

func (o object) exec() map[string]any {
	o = o.object("command")
	var command []any
	for i, v := range o.full("command", "write [program, argument, …], the program inside --exec-dir") {
		s, ok := v.word()
		if ok && i == 0 && !filePath(s) {
			v.fail("write its path below --exec-dir, such as grant.sh", "%s is not a program inside --exec-dir", quote(s))
		}
		command = append(command, s)
	}
	return map[string]any{"command": command}
}

func (o object) postgres() map[string]any {
	o = o.object("dsn_env", "role", "terminate")
	m := map[string]any{"terminate": o.flag("terminate", false)}
	o.put(m, "dsn_env", envHint, o.r.shapes.envName)
	o.put(m, "role", "write the name of the role that is given, at most 63 bytes", func(s string) bool { return len(s) <= 63 })
	return m
}

// put reads a needed text that a test accepts.
func (o object) put(m map[string]any, key, hint string, fits func(string) bool) {
	v, ok := o.need(key, hint)
	if !ok {
		return
	}
	s, ok := v.text()
	switch {
	case !ok:
	case strings.TrimSpace(s) != s || len(s) > 1000 || !fits(s):
		v.fail(hint, "%s is not allowed here", quote(s))
	default:
		m[key] = s
	}
}
