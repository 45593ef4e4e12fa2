package ledger

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"countersign/bot/access"
)

// A million events are decoded when a log is read for the first time, and the
// YAML library takes a tenth of a millisecond for each. What Encode writes is a
// small part of YAML, which is read here about five times as fast. Everything else is
// left to the library, so that this reader never has to decide what is wrong:
// FuzzCanonical holds that whatever it takes means the same to both.

// node is a value as it stands in a file.
type node struct {
	kind   nodeKind
	text   string // of a scalar
	quoted bool
	keys   []node // of a mapping: scalars
	values []node // of a mapping or a list
}

type nodeKind int

const (
	scalar nodeKind = iota
	mapping
	list
)

// lines are what is left of a file.
type lines struct {
	rest string
	bad  bool // it is nothing for this reader
}

// readCanonical reads a file in the form that Encode gives it; ok is false for
// what this reader leaves to the library.
func readCanonical(data []byte) (r record, ok bool) {
	s := &lines{rest: string(data)}
	n := s.block(0)
	if s.bad || s.rest != "" || n.kind != mapping {
		return r, false
	}
	f := fields{}
	f.record(n, &r)
	return r, !f.bad
}

// indent is how far the next line is indented; -1 at the end.
func (s *lines) indent() int {
	for i := range len(s.rest) {
		if s.rest[i] != ' ' {
			return i
		}
	}
	return -1
}

// line takes the next line, without its break.
func (s *lines) line() string {
	line, rest, ok := strings.Cut(s.rest, "\n")
	if s.rest = rest; !ok {
		s.bad = true
	}
	return line
}

// block reads the mapping or list whose first line is indented so far.
func (s *lines) block(at int) node {
	if strings.HasPrefix(s.rest[min(at, len(s.rest)):], "- ") {
		n := node{kind: list}
		for !s.bad && s.indent() == at && strings.HasPrefix(s.rest[at:], "- ") {
			n.values = append(n.values, s.item(at))
		}
		return n
	}
	n := node{kind: mapping}
	if at == 0 { // that of the event, which has about so many keys
		n.keys, n.values = make([]node, 0, 16), make([]node, 0, 16)
	}
	for !s.bad && s.indent() == at {
		s.entry(at, s.line()[at:], &n)
	}
	s.bad = s.bad || len(n.keys) == 0
	return n
}

// item reads what follows a dash: a scalar, or a mapping that begins behind it.
func (s *lines) item(at int) node {
	line := s.line()[at+2:]
	if key, rest, ok := cutKey(line); ok {
		n := node{kind: mapping}
		s.value(at+2, key, rest, &n)
		for !s.bad && s.indent() == at+2 {
			s.entry(at+2, s.line()[at+2:], &n)
		}
		return n
	}
	v, ok := inline(line)
	s.bad = s.bad || !ok
	return v
}

// entry reads one key of a mapping and its value.
func (s *lines) entry(at int, line string, n *node) {
	key, rest, ok := cutKey(line)
	if !ok {
		s.bad = true
		return
	}
	s.value(at, key, rest, n)
}

func (s *lines) value(at int, key node, rest string, n *node) {
	if slices.ContainsFunc(n.keys, func(k node) bool { return k.text == key.text }) {
		s.bad = true // twice the same key
		return
	}
	var v node
	if rest == "" {
		deeper := s.indent()
		if deeper <= at {
			s.bad = true
			return
		}
		v = s.block(deeper)
	} else {
		ok := rest[0] == ' '
		if ok {
			v, ok = inline(rest[1:])
		}
		s.bad = s.bad || !ok
	}
	n.keys, n.values = append(n.keys, key), append(n.values, v)
}

// cutKey takes the key of a mapping off a line. What is left begins with a space,
// or is empty.
func cutKey(line string) (key node, rest string, ok bool) {
	if strings.HasPrefix(line, `"`) {
		text, rest, ok := unquote(line)
		if !ok || !strings.HasPrefix(rest, ":") {
			return key, "", false
		}
		return node{text: text, quoted: true}, rest[1:], true
	}
	name, rest, ok := strings.Cut(line, ": ")
	switch {
	case ok:
		rest = " " + rest
	case strings.HasSuffix(line, ":"):
		name = line[:len(line)-1]
	default:
		return key, "", false
	}
	return node{text: name}, rest, plain(name)
}

// inline reads a value that stands in one line.
func inline(s string) (node, bool) {
	switch {
	case s == "{}":
		return node{kind: mapping}, true
	case s == "[]":
		return node{kind: list}, true
	case strings.HasPrefix(s, `"`):
		text, rest, ok := unquote(s)
		return node{text: text, quoted: true}, ok && rest == ""
	}
	return node{text: s}, plain(s)
}

// plain reports whether a text without quotes is nothing but itself.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '/', c == '.', c == '_':
		case i > 0 && (c == '-' || c == '@' || c == '+'):
		case i > 0 && c == ':' && i < len(s)-1 && s[i+1] != ' ':
		case i > 0 && c == ' ' && i < len(s)-1 && s[i+1] != ' ':
		default:
			return false
		}
	}
	switch s {
	case "", "null", "Null", "NULL":
		return false
	}
	return true
}

// escapes are what may follow a backslash, and need no digits.
var escapes = map[byte]string{
	'"': `"`, '\\': `\`, 'n': "\n", 't': "\t", 'r': "\r", '0': "\x00", 'a': "\a", 'b': "\b", 'e': "\x1b", 'f': "\f", 'v': "\v",
	'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029",
}

// unquote reads a text in double quotes, and returns what follows it.
func unquote(s string) (text, rest string, ok bool) {
	s = s[1:]
	if i := strings.IndexAny(s, `"\`); i >= 0 && s[i] == '"' {
		return s[:i], s[i+1:], printable(s[:i]) // nothing to replace
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexAny(s, `"\`)
		if i < 0 || !printable(s[:i]) {
			break
		}
		b.WriteString(s[:i])
		if s[i] == '"' {
			return b.String(), s[i+1:], true
		}
		if s = s[i+1:]; s == "" {
			break
		}
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]
		if digits == 0 {
			with, ok := escapes[s[0]]
			if !ok {
				break
			}
			b.WriteString(with)
			s = s[1:]
			continue
		}
		if len(s) < 1+digits {
			break
		}
		code, err := strconv.ParseUint(s[1:1+digits], 16, 32)
		if err != nil || !utf8.ValidRune(rune(code)) {
			break
		}
		b.WriteRune(rune(code))
		s = s[1+digits:]
	}
	return "", "", false
}

// printable reports whether a text may stand in quotes as it is.
func printable(s string) bool {
	for i, r := range s {
		switch {
		case r >= ' ' && r <= '~', r > 0xa0 && r < 0xd800 && r != 0x2028 && r != 0x2029, r > 0xdfff && r < 0xfff0 && r != 0xfeff, r > 0xffff:
		case r == utf8.RuneError && strings.HasPrefix(s[i:], string(utf8.RuneError)):
		default:
			return false
		}
	}
	return true
}

// fields takes nodes for the values that a record has.
type fields struct{ bad bool }

func (f *fields) fail() { f.bad = true }

func (f *fields) string(n node) string {
	if n.kind != scalar {
		f.fail()
	}
	return n.text
}

func (f *fields) bool(n node) bool {
	if n.kind != scalar || n.quoted || n.text != "true" && n.text != "false" {
		f.fail()
	}
	return n.text == "true"
}

func (f *fields) int(n node) int {
	x, ok := n.int()
	if !ok {
		f.fail()
	}
	return x
}

func (n node) int() (int, bool) {
	if n.kind != scalar || n.quoted || len(n.text) > 15 || len(n.text) > 1 && n.text[0] == '0' {
		return 0, false
	}
	for i := range len(n.text) {
		if n.text[i] < '0' || n.text[i] > '9' {
			return 0, false
		}
	}
	x, err := strconv.Atoi(n.text)
	return x, err == nil
}

func (f *fields) time(n node) time.Time {
	t, err := time.Parse(time.RFC3339, n.text)
	if n.kind != scalar || n.quoted || err != nil || !strings.HasSuffix(n.text, "Z") {
		f.fail()
	}
	return t
}

func (f *fields) length(n node) length {
	d, err := access.ParseDuration(n.text)
	if n.kind != scalar || err != nil {
		f.fail()
	}
	return length(d)
}

func (f *fields) text(n node) *text { return ptr(text(f.string(n))) }

// each calls fn with the entries of a mapping.
func (f *fields) each(n node, fn func(key string, v node)) {
	if n.kind != mapping {
		f.fail()
		return
	}
	for i, k := range n.keys {
		fn(k.text, n.values[i])
	}
}

// listOf reads a list; an empty one is left to the library.
func listOf[T any](f *fields, n node, one func(node) T) []T {
	if n.kind != list || len(n.values) == 0 {
		f.fail()
		return nil
	}
	out := make([]T, len(n.values))
	for i, v := range n.values {
		out[i] = one(v)
	}
	return out
}

// mapOf reads a mapping whose values are lists, which may be empty.
func mapOf[T any](f *fields, n node, one func(node) T) map[string][]T {
	out := map[string][]T{}
	f.each(n, func(key string, v node) {
		if out[key] = []T{}; v.kind != list || len(v.values) > 0 {
			out[key] = listOf(f, v, one)
		}
	})
	return out
}

func (f *fields) person(n node) (p person) {
	f.each(n, func(key string, v node) {
		switch key {
		case "email":
			p.Email = f.string(v)
		case "slack":
			p.Slack = f.string(v)
		default:
			f.fail()
		}
	})
	return p
}

func (f *fields) duty(n node) (d duty) {
	f.each(n, func(key string, v node) {
		switch key {
		case "email":
			d.Email = f.string(v)
		case "slack":
			d.Slack = f.string(v)
		case "policy":
			d.Policy = f.string(v)
		case "level":
			d.Level = f.int(v)
		case "schedule":
			d.Schedule = f.string(v)
		case "start":
			d.Start = f.time(v)
		case "end":
			d.End = f.time(v)
		default:
			f.fail()
		}
	})
	return d
}

func (f *fields) call(n node) (c call) {
	f.each(n, func(key string, v node) {
		switch key {
		case "integration":
			c.Integration = f.string(v)
		case "services":
			c.Services = listOf(f, v, f.string)
		case "escalation_policies":
			c.EscalationPolicies = listOf(f, v, f.string)
		case "schedules":
			c.Schedules = listOf(f, v, f.string)
		case "escalation_path":
			c.EscalationPath = f.string(v)
		case "from":
			c.From = f.string(v)
		default:
			f.fail()
		}
	})
	return c
}

func (f *fields) target(n node) (t target) {
	f.each(n, func(key string, v node) {
		switch key {
		case "provider":
			t.Provider = f.string(v)
		case "with":
			t.With = with(f.settings(v))
		default:
			f.fail()
		}
	})
	return t
}

// settings reads a mapping of any values.
func (f *fields) settings(n node) map[string]any {
	out := map[string]any{}
	if n.kind != mapping {
		f.fail()
		return out
	}
	for i, k := range n.keys {
		if !k.quoted && !word(k.text) {
			f.fail() // it may be a number
		}
		out[k.text] = f.any(n.values[i])
	}
	return out
}

func (f *fields) any(n node) any {
	switch {
	case n.kind == mapping:
		return f.settings(n)
	case n.kind == list:
		out := make([]any, len(n.values))
		for i, v := range n.values {
			out[i] = f.any(v)
		}
		return out
	case n.quoted:
		return n.text
	case n.text == "true", n.text == "false":
		return n.text == "true"
	}
	return f.int(n)
}

// word reports whether a key without quotes is a text whatever it is read as.
func word(s string) bool {
	c := s[0] | 0x20
	if c < 'a' || c > 'z' {
		return false
	}
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null":
		return false
	}
	return true
}

// record reads a whole file: what each has, and what its kind of event has.
func (f *fields) record(n node, r *record) {
	f.each(n, func(key string, v node) {
		switch key {
		case "version":
			r.Version = f.int(v)
		case "event_id":
			r.EventID = f.string(v)
		case "request":
			r.Request = f.string(v)
		case "event":
			r.Event = f.string(v)
		case "at":
			r.At = f.time(v)
		case "by":
			r.By = f.person(v)
		case "config_commit":
			r.ConfigCommit = f.string(v)
		case "rules":
			r.Rules = f.int(v)
		case "recorded_late":
			r.RecordedLate = f.bool(v)
		case "groups":
			r.Groups = mapOf(f, v, f.person)
		case "on_call":
			r.OnCall = mapOf(f, v, f.duty)
		case "unreached":
			r.Unreached = listOf(f, v, f.string)
		default:
			if !f.asked(key, v, r) && !f.happened(key, v, r) {
				f.fail()
			}
		}
	})
}

// asked reads what says what was asked for and decided.
func (f *fields) asked(key string, v node, r *record) bool {
	switch key {
	case "requestor":
		r.Requestor = ptr(f.person(v))
	case "principal":
		r.Principal = ptr(f.person(v))
	case "resource":
		r.Resource = f.string(v)
	case "title":
		r.Title = text(f.string(v))
	case "ticket":
		r.Ticket = text(f.string(v))
	case "duration":
		r.Duration = f.length(v)
	case "source":
		r.Source = f.string(v)
	case "approvers":
		r.Approvers = listOf(f, v, f.person)
	case "policies":
		r.Policies = listOf(f, v, f.string)
	case "expires_at":
		r.ExpiresAt = f.time(v)
	case "target":
		r.Target = ptr(f.target(v))
	case "reason":
		r.Reason = text(f.string(v))
	case "action":
		r.Action = f.string(v)
	case "code":
		r.Code = f.string(v)
	case "message":
		r.Message = text(f.string(v))
	default:
		return false
	}
	return true
}

// happened reads what says what was done, said and seen.
func (f *fields) happened(key string, v node, r *record) bool {
	switch key {
	case "subject":
		r.Subject = text(f.string(v))
	case "observed_before":
		r.ObservedBefore = f.string(v)
	case "inherited_from":
		r.InheritedFrom = f.string(v)
	case "cause":
		r.Cause = f.string(v)
	case "kept":
		r.Kept = f.string(v)
	case "error":
		r.Error = text(f.string(v))
	case "final":
		r.Final = f.bool(v)
	case "waiting":
		r.Waiting = f.bool(v)
	case "ts":
		r.TS = f.string(v)
	case "bot":
		r.Bot = f.string(v)
	case "text":
		r.Text = f.text(v)
	case "previous":
		r.Previous = f.text(v)
	case "allowances":
		r.Allowances = listOf(f, v, f.string)
	case "round":
		r.Round = f.int(v)
	case "notice":
		r.Notice = f.string(v)
	case "to":
		r.To = ptr(f.person(v))
	case "channel":
		r.Channel = f.string(v)
	case "permalink":
		r.Permalink = f.string(v)
	case "calls":
		r.Calls = listOf(f, v, f.call)
	case "found":
		r.Found = f.string(v)
	default:
		return false
	}
	return true
}
