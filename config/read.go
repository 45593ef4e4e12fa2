package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"countersign/bot/access"
)

// A reader collects what is wrong while the file is read, instead of stopping.
type reader struct {
	name     string
	errs     []Error
	warnings []Warning
	shapes   shapes
	persons  map[string]string // plain address -> the one that stands for the person
	seen     map[string]bool   // canonical addresses found anywhere but in tests
}

func newReader(name string) *reader {
	return &reader{name: name, shapes: newShapes(), persons: map[string]string{}, seen: map[string]bool{}}
}

func (r *reader) failAt(line, column int, path, hint, format string, args ...any) {
	r.errs = append(r.errs, Error{File: r.name, Line: line, Column: column, Path: path, Text: fmt.Sprintf(format, args...), Hint: hint})
}

// A value is a node of the file and the path that leads to it.
type value struct {
	r    *reader
	node *yaml.Node
	path string
}

func (v value) fail(hint, format string, args ...any) {
	v.r.failAt(v.node.Line, v.node.Column, v.path, hint, format, args...)
}

func (v value) warn(hint, format string, args ...any) {
	v.r.warnings = append(v.r.warnings, Warning{File: v.r.name, Line: v.node.Line, Column: v.node.Column, Path: v.path, Text: fmt.Sprintf(format, args...), Hint: hint})
}

// null reports whether nothing is written where a value could be.
func (v value) null() bool { return v.node.Kind == yaml.ScalarNode && v.node.Tag == "!!null" }

// isList reports whether a list is written, be it empty.
func (v value) isList() bool { return v.node.Kind == yaml.SequenceNode }

// foreign reports whether an error about this value was reported already.
func (v value) foreign() bool {
	return v.node.Kind == yaml.AliasNode || v.node.Style&yaml.TaggedStyle != 0
}

// is names what a value is, for messages about what it should have been.
func (v value) is() string {
	switch v.node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch v.node.Tag {
	case "!!null":
		return "empty"
	case "!!bool":
		return "the boolean " + v.node.Value
	case "!!int", "!!float":
		return "the number " + quote(v.node.Value)
	case "!!timestamp":
		return "the date " + quote(v.node.Value)
	}
	return quote(v.node.Value)
}

// wrong reports a value of another type than wanted.
func (v value) wrong(want, hint string) {
	if !v.foreign() {
		v.fail(hint, "is %s, not %s", v.is(), want)
	}
}

// An object is a mapping of which the keys are known. Where there is none, it
// has no fields and ok is false.
type object struct {
	value
	ok     bool
	fields map[string]value
}

// object reads a mapping with known keys. Nothing counts as an empty one.
func (v value) object(known ...string) object {
	o := object{value: v, fields: map[string]value{}}
	for _, f := range v.table() {
		key := f.key.node.Value
		if !slices.Contains(known, key) {
			f.key.fail(v.r.oneOf(key, known), "there is no key %s here", quote(key))
			continue
		}
		o.fields[key] = f.value
	}
	o.ok = v.node.Kind == yaml.MappingNode
	return o
}

// A field is a key and its value.
type field struct{ key, value value }

// table reads a mapping of any keys, in their order.
func (v value) table() []field {
	if v.null() {
		return nil
	}
	if v.node.Kind != yaml.MappingNode {
		v.wrong("a mapping", "write key: value")
		return nil
	}
	var fields []field
	lines := map[string]int{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := value{r: v.r, node: v.node.Content[i], path: v.path}
		switch first := lines[key.node.Value]; {
		case key.node.Tag == "!!merge":
			key.fail("write the keys out", "a merge key (<<) is not allowed")
		case key.node.Kind != yaml.ScalarNode || key.node.Tag != "!!str":
			key.wrong("a key", "write a word; in quotes if it looks like something else")
		case first > 0:
			key.fail("keep one of them", "the key %s is there twice (first in line %d)", quote(key.node.Value), first)
		default:
			lines[key.node.Value] = key.node.Line
			fields = append(fields, field{key, value{r: v.r, node: v.node.Content[i+1], path: join(v.path, key.node.Value)}})
		}
	}
	return fields
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + strings.Trim(quote(key), `"`)
}

// need finds a field that must be there.
func (o object) need(key, hint string) (value, bool) {
	v, ok := o.fields[key]
	if !ok && o.ok {
		o.fail(hint, "%s is missing", key)
	}
	return v, ok
}

// child is the value at a key, or nothing.
func (o object) child(key string) value {
	if v, ok := o.fields[key]; ok {
		return v
	}
	return value{r: o.r, path: join(o.path, key), node: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: o.node.Line, Column: o.node.Column}}
}

// list is the list at a key; nothing counts as an empty one.
func (o object) list(key string) []value { return o.child(key).list() }

// full is the list at a key that must be there and have entries.
func (o object) full(key, hint string) []value {
	v, ok := o.need(key, hint)
	if !ok {
		return nil
	}
	return v.full(hint)
}

func (v value) full(hint string) []value {
	if v.null() || v.isList() && len(v.node.Content) == 0 {
		v.fail(hint, "is an empty list")
		return nil
	}
	return v.list()
}

func (v value) list() []value {
	if v.null() {
		return nil
	}
	if !v.isList() {
		v.wrong("a list", "write [a, b], or one line with - for each")
		return nil
	}
	list := make([]value, len(v.node.Content))
	for i, n := range v.node.Content {
		list[i] = value{r: v.r, node: n, path: fmt.Sprintf("%s[%d]", v.path, i)}
	}
	return list
}

// text reads one line of text that is not empty.
func (v value) text() (string, bool) {
	s, ok := v.word()
	if ok && strings.TrimSpace(s) == "" {
		v.fail("write a value or remove the key", "is empty")
		return "", false
	}
	return s, ok
}

// word reads one line of text.
func (v value) word() (string, bool) {
	switch {
	case v.null() && !v.foreign():
		v.fail("write a value or remove the key", "is empty")
		return "", false
	case v.node.Kind != yaml.ScalarNode || v.foreign():
		v.wrong("a text", "write one text")
		return "", false
	case v.node.Tag != "!!str":
		v.wrong("a text", "write it in quotes")
		return "", false
	case strings.ContainsFunc(v.node.Value, invisible):
		v.fail("remove it", "contains a line break or an invisible character: %s", quote(v.node.Value))
		return "", false
	}
	return v.node.Value, true
}

// texts reads a list of different texts of one shape.
func (v value) texts(list []value, shape *regexp.Regexp, what string) []string {
	var out []string
	lines := map[string]int{}
	for _, x := range list {
		if s, ok := x.shaped(shape, what); ok && x.once(lines, s) {
			out = append(out, s)
		}
	}
	return out
}

// shaped reads a text that a pattern matches.
func (v value) shaped(shape *regexp.Regexp, what string) (string, bool) {
	s, ok := v.text()
	if ok && (len(s) > maxName || !shape.MatchString(s)) {
		v.fail("write "+what, "%s is not allowed here", quote(s))
		return "", false
	}
	return s, ok
}

// once reports whether something is there for the first time, else fails.
func (v value) once(lines map[string]int, s string) bool {
	if line, twice := lines[s]; twice {
		v.fail("keep one of them", "%s is there twice (first in line %d)", quote(s), line)
		return false
	}
	lines[s] = v.node.Line
	return true
}

// optional reads the text at a key; empty where there is none.
func (o object) optional(key string) string {
	if v, ok := o.fields[key]; ok {
		s, _ := v.text()
		return s
	}
	return ""
}

// choice reads one of a few words, unset where there is none ("" = needed).
func (o object) choice(key, unset string, words ...string) string {
	v, ok := o.fields[key]
	if !ok && unset != "" {
		return unset
	}
	if !ok {
		o.need(key, "use "+strings.Join(words, ", "))
		return ""
	}
	s, ok := v.text()
	if ok && !slices.Contains(words, s) {
		v.fail(v.r.oneOf(s, words), "%s is not known", quote(s))
		return ""
	}
	return s
}

// flag reads true or false.
func (o object) flag(key string, unset bool) bool {
	v, ok := o.fields[key]
	if !ok {
		return unset
	}
	switch n := v.node; {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && (n.Value == "true" || n.Value == "false"):
		return n.Value == "true"
	case n.Kind != yaml.ScalarNode || v.null():
		v.wrong("true or false", "write true or false")
	default:
		v.wrong("true or false", truth(n.Value))
	}
	return unset
}

// truth is the hint for what somebody wrote instead of true or false.
func truth(s string) string {
	switch strings.ToLower(s) {
	case "yes", "y", "on", "1", "true":
		return "write true, without quotes"
	case "no", "n", "off", "0", "false":
		return "write false, without quotes"
	}
	return "write true or false"
}

// integer reads a whole number of up to six digits.
func (v value) integer() (int, bool) {
	n, err := strconv.Atoi(v.node.Value)
	if v.node.Kind != yaml.ScalarNode || v.node.Tag != "!!int" || err != nil || n < 0 || n > 999999 || strconv.Itoa(n) != v.node.Value {
		v.wrong("a whole number", "write digits without quotes")
		return 0, false
	}
	return n, true
}

// count reads a number from 1 to most.
func (o object) count(key string, unset, most int) int {
	v, ok := o.fields[key]
	if !ok {
		return unset
	}
	n, ok := v.integer()
	if ok && (n < 1 || n > most) {
		v.fail(fmt.Sprintf("write a number from 1 to %d", most), "%d is not possible", n)
		return unset
	}
	return n
}

// duration reads a duration such as 30m, 4h, 2d or 1w.
func (o object) duration(key string, unset time.Duration) time.Duration {
	if v, ok := o.fields[key]; ok {
		if d, ok := v.duration(); ok {
			return d
		}
	}
	return unset
}

func (v value) duration() (time.Duration, bool) {
	const hint = "write for example 30m, 4h, 2d or 1w"
	if v.node.Kind == yaml.ScalarNode && v.node.Tag == "!!int" {
		v.wrong("a duration", hint)
		return 0, false
	}
	s, ok := v.text()
	if !ok {
		return 0, false
	}
	d, err := access.ParseDuration(s)
	if err != nil {
		v.fail(hint, "%s is not a duration", quote(s))
	}
	return d, err == nil
}

// pattern reads a regular expression that has to match the whole of a text.
func (v value) pattern() (*regexp.Regexp, bool) {
	s, ok := v.text()
	if !ok {
		return nil, false
	}
	_, err := regexp.Compile(s)
	var whole *regexp.Regexp
	if err == nil {
		// The second can fail where the first does not: \Q without \E would
		// swallow what closes the group.
		whole, err = regexp.Compile(`^(?:` + s + `)$`)
	}
	if err != nil {
		v.fail("write a regular expression in RE2's syntax", "%s is not a pattern: %s", quote(s), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nil, false
	}
	return whole, true
}
