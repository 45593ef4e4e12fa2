package config

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"countersign/bot/access"
)

// plainAddress removes what does not tell people apart, as access does.
func plainAddress(s string) string { return (&access.Rules{}).Canonical(s) }

// rawAddress reads an address without asking whose it is.
func (v value) rawAddress() (string, bool) {
	s, ok := v.text()
	if !ok {
		return "", false
	}
	if len(s) > 254 || strings.IndexByte(s, '@') > 64 || !v.r.shapes.address.MatchString(s) {
		v.fail("write name@example.com", "%s is not an e-mail address", strconv.QuoteToASCII(s[:min(len(s), 100)]))
		return "", false
	}
	return plainAddress(s), true
}

// address reads an address and answers the one that stands for its person.
func (v value) address() (string, bool) {
	s, ok := v.rawAddress()
	if !ok {
		return "", false
	}
	if c, known := v.r.persons[s]; known {
		s = c
	}
	return s, true
}

// who reads the address at a key; empty where there is none.
func (o object) who(key string) string {
	v, ok := o.fields[key]
	if !ok {
		return ""
	}
	s, ok := v.address()
	if ok {
		o.r.seen[s] = true
	}
	return s
}

// addresses reads a list of different people.
func (r *reader) addresses(list []value) []string {
	var out []string
	lines := map[string]int{}
	for _, v := range list {
		s, ok := v.address()
		if !ok {
			continue
		}
		if line, twice := lines[s]; twice {
			v.fail("keep one of them", "%s is the same person as in line %d", quote(v.node.Value), line)
			continue
		}
		lines[s] = v.node.Line
		r.seen[s] = true
		out = append(out, s)
	}
	return out
}

// people reads what cannot be looked up by address. First all addresses are
// taken, so that an alias which is somebody else's address is the alias's error.
func (r *reader) people(list []value) []access.Known {
	objects := make([]object, len(list))
	known := make([]access.Known, len(list))
	claims := claims{}
	for i, v := range list {
		objects[i] = v.object("email", "aliases", "slack", "github", "postgres", "manager")
		objects[i].require(v, "write {email: name@example.com, …}")
		if e, ok := objects[i].need("email", "write email: name@example.com"); ok {
			if s, ok := e.rawAddress(); ok && claims.take(e, s) {
				known[i].Email, r.persons[s], r.seen[s] = s, s, true
			}
		}
	}
	for i, o := range objects {
		for _, a := range o.list("aliases") {
			if s, ok := a.rawAddress(); ok && claims.take(a, s) {
				known[i].Aliases = append(known[i].Aliases, s)
				if known[i].Email != "" {
					r.persons[s] = known[i].Email
				}
			}
		}
		o.accounts(&known[i], claims)
	}
	for i, o := range objects {
		known[i].Manager = o.who("manager")
		if m := known[i].Manager; m != "" && m == known[i].Email {
			o.fields["manager"].fail("name somebody else or remove the key", "nobody is their own manager")
		}
	}
	return known
}

// require fails where an entry is nothing at all; other types fail by themselves.
func (o object) require(v value, hint string) {
	if v.null() {
		v.fail(hint, "is empty")
	}
}

// accounts reads the accounts of one person elsewhere, each of which is only theirs.
func (o object) accounts(k *access.Known, claims claims) {
	for _, v := range o.list("slack") {
		if s, ok := v.shaped(o.r.shapes.slackUser, "a Slack user id such as U012AB"); ok && claims.take(v, s) {
			k.Slack = append(k.Slack, s)
		}
	}
	if v, ok := o.fields["github"]; ok {
		if s, ok := v.shaped(o.r.shapes.login, "a GitHub login without @"); ok && claims.take(v, "github "+strings.ToLower(s)) {
			k.GitHub = s
		}
	}
	if v, ok := o.fields["postgres"]; ok {
		if s, ok := v.text(); ok && claims.take(v, "postgres "+s) {
			k.Postgres = s
		}
	}
}

// claims says where something that only one person can have was found first.
type claims map[string]int

// take reports whether it was free, else fails: two people with one address or
// account would be one person to every rule.
func (c claims) take(v value, what string) bool {
	if line, taken := c[what]; taken {
		v.fail("remove one of them", "%s is taken in line %d", quote(v.node.Value), line)
		return false
	}
	c[what] = v.node.Line
	return true
}

// groups reads the named sets of people.
func (v value) groups() []access.Group {
	var groups []access.Group
	for _, f := range v.table() {
		if _, ok := f.key.shaped(v.r.shapes.handle, "a group's name in lower case, such as eng"); !ok {
			continue
		}
		groups = append(groups, f.value.group(f.key.node.Value))
	}
	return groups
}

func (v value) group(name string) access.Group {
	g := access.Group{Name: name}
	if v.null() || v.isList() {
		g.Members = v.r.addresses(v.list())
		if len(g.Members) == 0 {
			v.warn("list its members", "the group is empty")
		}
		return g
	}
	if v.node.Kind != yaml.MappingNode {
		v.wrong("a list of addresses", "write [a@example.com, b@example.com], {github_team: org/team} or {slack_group: handle}")
		return g
	}
	o := v.object("github_team", "slack_group")
	t, team := o.fields["github_team"]
	h, group := o.fields["slack_group"]
	if team {
		g.GitHubTeam, _ = t.shaped(v.r.shapes.ownerName, "org/team")
	}
	if group {
		g.SlackGroup, _ = h.shaped(v.r.shapes.handle, "the handle of a user group without @")
	}
	if team == group {
		v.fail("write one of github_team and slack_group, or a list of addresses", "a group has one source")
	}
	return g
}
