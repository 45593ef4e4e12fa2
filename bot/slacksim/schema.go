package slacksim

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// The validator knows each JSON object that an app may send as a shape: its fields, each
// with a rule. A field that is not in the shape is refused, as Slack does.

// A rule judges one value and reports what is wrong to the checker.
type rule func(c *checker, path string, v any)

type field struct {
	need bool
	rule rule
}

type shape map[string]field

func need(r rule) field { return field{true, r} }
func may(r rule) field  { return field{false, r} }

// checker gathers what is wrong with the blocks of one message or view.
type checker struct {
	problems []string
	surface  string // "message", "modal", "home"
	blockIDs map[string]bool
	focus    int
	inputs   int
	chars    int      // of all texts
	markdown []string // texts that Slack interprets, for judging
}

func newChecker(surface string) *checker {
	return &checker{surface: surface, blockIDs: map[string]bool{}}
}

func (c *checker) fail(path, format string, args ...any) {
	c.problems = append(c.problems, "[ERROR] "+fmt.Sprintf(format, args...)+" [json-pointer:"+path+"]")
}

// object checks a value against a shape and returns it, or nil when it is no object.
func (c *checker) object(path string, v any, s shape) obj {
	o, ok := v.(map[string]any)
	if !ok {
		c.fail(path, "must be an object")
		return nil
	}
	for key := range o {
		if _, known := s[key]; !known {
			c.fail(path, "no more than the documented fields allowed: %q", key)
		}
	}
	keys := make([]string, 0, len(s))
	for key := range s {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		v, there := o[key]
		switch {
		case !there && s[key].need:
			c.fail(path, "missing required field: %s", key)
		case there:
			s[key].rule(c, path+"/"+key, v)
		}
	}
	return o
}

// of makes a rule of a shape.
func of(s shape) rule {
	return func(c *checker, path string, v any) { c.object(path, v, s) }
}

func anything(*checker, string, any) {}

func boolean(c *checker, path string, v any) {
	if _, ok := v.(bool); !ok {
		c.fail(path, "must be a boolean")
	}
}

// length wants a string of lo to hi characters.
func length(lo, hi int) rule {
	return func(c *checker, path string, v any) {
		s, ok := v.(string)
		if !ok {
			c.fail(path, "must be a string")
			return
		}
		switch n := utf8.RuneCountInString(s); {
		case n < lo:
			c.fail(path, "must be more than %d characters", lo-1)
		case n > hi:
			c.fail(path, "must be less than %d characters", hi+1)
		}
	}
}

func oneOf(values ...string) rule {
	return func(c *checker, path string, v any) {
		if s, ok := v.(string); !ok || !slices.Contains(values, s) {
			c.fail(path, "must be one of: %s", strings.Join(values, ", "))
		}
	}
}

func matching(pattern *regexp.Regexp, what string) rule {
	return func(c *checker, path string, v any) {
		if s, ok := v.(string); !ok || !pattern.MatchString(s) {
			c.fail(path, "must be %s", what)
		}
	}
}

// whole wants an integer of lo to hi.
func whole(lo, hi float64) rule {
	return func(c *checker, path string, v any) {
		n, ok := v.(float64)
		if !ok || n != float64(int64(n)) || n < lo || n > hi {
			c.fail(path, "must be an integer from %.0f to %.0f", lo, hi)
		}
	}
}

// each wants an array of lo to hi elements.
func each(lo, hi int, r rule) rule {
	return func(c *checker, path string, v any) {
		l, ok := v.([]any)
		if !ok {
			c.fail(path, "must be an array")
			return
		}
		if len(l) < lo {
			c.fail(path, "no fewer than %d items allowed", lo)
		}
		if len(l) > hi {
			c.fail(path, "no more than %d items allowed", hi)
		}
		for i, e := range l {
			r(c, fmt.Sprintf("%s/%d", path, i), e)
		}
	}
}

// plain wants a plain_text object of at most limit characters.
func plain(limit int) rule { return text(limit, "plain_text") }

// anyText wants a plain_text or mrkdwn object of at most limit characters.
func anyText(limit int) rule { return text(limit, "plain_text", "mrkdwn") }

func text(limit int, kinds ...string) rule {
	return func(c *checker, path string, v any) {
		o, ok := v.(map[string]any)
		if !ok {
			c.fail(path, "must be a text object")
			return
		}
		kind := str(o, "type")
		if !slices.Contains(kinds, kind) {
			c.fail(path+"/type", "must be one of: %s", strings.Join(kinds, ", "))
			return
		}
		s := shape{"type": need(anything), "text": need(length(1, limit))}
		if kind == "plain_text" {
			s["emoji"] = may(boolean)
		} else {
			s["verbatim"] = may(boolean)
			c.markdown = append(c.markdown, str(o, "text"))
		}
		c.object(path, v, s)
		c.chars += utf8.RuneCountInString(str(o, "text"))
	}
}
