package slackapp

import (
	"encoding/json"
	"strconv"
	"strings"
)

// payload is JSON from Slack, read field by field. What is not there, or is of
// another type than expected, reads as empty: one odd field never makes the rest
// unreadable.
type payload json.RawMessage

// at follows a path of keys (and of numbers, in lists).
func (p payload) at(path ...string) payload {
	for _, key := range path {
		p = p.step(key)
	}
	return p
}

func (p payload) step(key string) payload {
	switch p.first() {
	case '{':
		var m map[string]json.RawMessage
		if json.Unmarshal(p, &m) == nil {
			return payload(m[key])
		}
	case '[':
		i, err := strconv.Atoi(key)
		if list := p.list(); err == nil && i >= 0 && i < len(list) {
			return list[i]
		}
	}
	return nil
}

// first is the first character that is no white space.
func (p payload) first() byte {
	s := strings.TrimLeft(string(p[:min(len(p), 64)]), " \t\r\n")
	if s == "" {
		return 0
	}
	return s[0]
}

// str is a string or a number as text.
func (p payload) str(path ...string) string {
	v := p.at(path...)
	switch c := v.first(); {
	case c == '"':
		var s string
		if json.Unmarshal(v, &s) == nil {
			return s
		}
	case c == '-' || c >= '0' && c <= '9':
		return strings.TrimSpace(string(v))
	}
	return ""
}

// flag reports whether a value is true.
func (p payload) flag(path ...string) bool { return string(p.at(path...)) == "true" }

// denied reports whether a value is there and false.
func (p payload) denied(path ...string) bool { return string(p.at(path...)) == "false" }

// has reports whether a value is there and not null.
func (p payload) has(path ...string) bool {
	v := p.at(path...)
	return len(v) > 0 && string(v) != "null"
}

// list are the elements of a list.
func (p payload) list(path ...string) []payload {
	var raw []json.RawMessage
	if v := p.at(path...); v.first() != '[' || json.Unmarshal(v, &raw) != nil {
		return nil
	}
	list := make([]payload, len(raw))
	for i, r := range raw {
		list[i] = payload(r)
	}
	return list
}

// eventID makes an id for the log from the parts of a delivery: printable ASCII
// without spaces.
func eventID(parts ...string) string {
	id := []byte(strings.Join(parts, ":"))
	for i, c := range id {
		if c <= ' ' || c > '~' {
			id[i] = '_'
		}
	}
	return string(id)
}
