package config

import (
	"time"

	"gopkg.in/yaml.v3"
)

// A Test says what the policies are meant to answer.
type Test struct {
	Line      int
	As        string    // canonical address of who asks
	For       string    // of who gets the access; As unless set
	Resource  string    // id
	At        time.Time // zero: any time
	Want      []string  // canonical addresses of all who may approve
	Denied    bool      // want: denied
	Automatic bool      // want: automatic
}

func (r *reader) tests(list []value, f *File) []Test {
	known := map[string]bool{}
	var ids []string
	for _, res := range f.Rules.Resources {
		known[res.ID] = true
		ids = append(ids, res.ID)
	}
	var out []Test
	for _, v := range list {
		out = append(out, v.test(known, ids))
	}
	return out
}

func (v value) test(known map[string]bool, ids []string) Test {
	o := v.object("as", "for", "resource", "at", "want")
	o.require(v, "write {as: …, resource: …, want: …}")
	t := Test{Line: v.node.Line}
	if x, ok := o.need("as", "write the address of who asks"); ok {
		t.As, _ = x.address()
	}
	t.For = t.As
	if x, ok := o.fields["for"]; ok {
		t.For, _ = x.address()
	}
	if x, ok := o.need("resource", "write the id of a resource"); ok {
		t.Resource, ok = x.text()
		if ok && !known[t.Resource] {
			x.fail(x.r.oneOf(t.Resource, ids), "there is no resource %s", quote(t.Resource))
		}
	}
	if x, ok := o.fields["at"]; ok {
		t.At = x.instant()
	}
	if x, ok := o.need("want", "write the addresses of who may approve, or denied, or automatic"); ok {
		x.want(&t)
	}
	return t
}

func (v value) want(t *Test) {
	const hint = "write the addresses of who may approve, or denied, or automatic"
	if v.isList() {
		t.Want = v.people(v.full(hint))
		return
	}
	s, ok := v.text()
	switch {
	case !ok:
	case s == "denied":
		t.Denied = true
	case s == "automatic":
		t.Automatic = true
	default:
		v.fail(hint, "%s is neither", quote(s))
	}
}

// people reads who is expected to approve; a name that stands nowhere else is
// probably misspelt, though a directory may know it.
func (v value) people(list []value) []string {
	var out []string
	lines := map[string]int{}
	for _, x := range list {
		s, ok := x.address()
		if !ok || !x.once(lines, s) {
			continue
		}
		if !v.r.seen[s] {
			x.warn("check the spelling", "%s stands nowhere else in this file", quote(s))
		}
		out = append(out, s)
	}
	return out
}

// instant reads a time as RFC 3339 has it, in quotes or not.
func (v value) instant() time.Time {
	if v.node.Kind != yaml.ScalarNode || v.foreign() {
		v.wrong("a time", `write it as "2026-01-31T09:00:00Z"`)
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, v.node.Value)
	if err != nil {
		v.fail(`write it as "2026-01-31T09:00:00Z"`, "%s is not a time", quote(v.node.Value))
		return time.Time{}
	}
	return t.UTC()
}
