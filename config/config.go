// Package config reads countersign.yaml: who may review, what can be asked for
// and within which limits, the access policies and their tests.
//
// The package is pure. Bytes come in and values go out, so that the rules of any
// commit can be read again years later. It is also strict, because a rule that
// is read differently from how a person reads it gives access to the wrong
// people: unknown and duplicate keys, anchors, merge keys, tags, further
// documents, invisible characters and values of another type are errors. All
// errors are reported at once, each with its line and what to do about it.
//
// What a key means stands with the type that holds it; what is not written has
// the default said there.
package config

import (
	_ "time/tzdata" // the zones of hours, the same on every machine

	"countersign/bot/access"
)

// Parse reads countersign.yaml as it stood at a commit. The name is that of the
// file, for messages. All errors come at once: the error is an [Errors].
func Parse(name string, data []byte, commit string) (*access.Rules, []Warning, error) {
	f, warnings, err := Read(name, data)
	if err != nil {
		return nil, warnings, err
	}
	f.Rules.Commit = commit
	f.Rules.Index()
	return &f.Rules, warnings, nil
}

// A File is everything that stands in countersign.yaml.
type File struct {
	// Rules are the file's default approvals, people, settings and resources.
	// Their Commit is empty.
	Rules access.Rules
	// GroupsRestricted is the operator's word that only admins edit Slack user
	// groups (slack.groups_restricted, false unless set).
	GroupsRestricted bool
	Tests            []Test
}

// Read reads all of countersign.yaml. The error, if any, is an [Errors].
func Read(name string, data []byte) (*File, []Warning, error) {
	r := newReader(name)
	root, ok := r.load(data)
	if !ok {
		return nil, nil, r.err()
	}
	f := r.file(root)
	if err := r.err(); err != nil {
		return nil, r.warnings, err
	}
	return f, r.warnings, nil
}

// file reads the top level. People come first, since every address in the file
// is resolved to the one that stands for its person.
func (r *reader) file(root value) *File {
	o := root.object("version", "slack", "reviewers", "auditors", "settings", "people",
		"groups", "resources", "oncall", "policies", "tests")
	if !o.ok {
		o.require(root, "write version: 1 as the first line")
		return nil
	}
	if !o.version() {
		r.errs = r.errs[len(r.errs)-1:]
		return nil
	}
	f := &File{}
	f.Rules.People = r.people(o.list("people"))
	f.Rules.Slack, f.GroupsRestricted = o.slack()
	f.Rules.Reviewers = r.addresses(o.list("reviewers"))
	f.Rules.Auditors = r.addresses(o.list("auditors"))
	f.Rules.Settings = o.child("settings").settings()
	f.Rules.Groups = o.child("groups").groups()
	f.Rules.Resources, f.Rules.Discoveries = r.resources(o.list("resources"), f.Rules.Settings)
	f.Rules.OnCall = o.child("oncall").oncall()
	f.Rules.Policies = r.policies(o.list("policies"), f)
	f.Tests = r.tests(o.list("tests"), f)
	o.emptiness(f)
	return f
}

// version reports whether this is the version that this package reads. Where it
// is not, errors about anything else are noise.
func (o object) version() bool {
	v, ok := o.need("version", "write version: 1 as the first line")
	if !ok {
		return false
	}
	if n, ok := v.integer(); !ok || n == 1 {
		return ok
	}
	v.fail("write version: 1, or update Countersign", "version %s is not known", v.node.Value)
	return false
}

// emptiness warns about what is allowed and rarely meant.
func (o object) emptiness(f *File) {
	at := func(key string) value {
		if v, ok := o.fields[key]; ok {
			return v
		}
		return o.value
	}
	if len(f.Rules.Reviewers) == 0 {
		at("reviewers").warn("list at least one address", "there are no reviewers")
	}
	if len(f.Rules.Resources)+len(f.Rules.Discoveries) == 0 {
		at("resources").warn("list what can be asked for", "there are no resources")
	}
	if v, ok := o.fields["policies"]; ok && len(f.Rules.Policies) == 0 {
		v.warn("add a policy or remove the key", "there are no policies, so the default approvals are in force")
	}
	enabled := 0
	for _, p := range f.Rules.Policies {
		if !p.Disabled {
			enabled++
		}
	}
	if len(f.Rules.Policies) > 0 && enabled == 0 {
		at("policies").warn("remove the list to return to the default approvals",
			"every policy is disabled, and a list of disabled policies is not empty: nothing can be requested")
	}
}
