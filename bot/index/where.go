package index

import (
	"slices"
	"strings"

	"countersign/bot/access"
)

// A plan says how a query goes about what stands in tables of its own.
type plan int

const (
	sorting plan = iota // find the matches first, put them in order afterwards
	walking             // go along the order and ask of each whether it matches
)

// A condition is the end of a query. Values are only ever in its arguments.
type condition struct {
	parts []string
	args  []any
}

func (c *condition) add(sql string, args ...any) {
	c.parts, c.args = append(c.parts, sql), append(c.args, args...)
}

func (c *condition) clause() string {
	if len(c.parts) == 0 {
		return ""
	}
	return " WHERE " + nest(c.parts)
}

// nest joins conditions so that they nest flatly: SQLite allows for a thousand
// levels.
func nest(parts []string) string {
	const most = 50
	for len(parts) > most {
		var groups []string
		for group := range slices.Chunk(parts, most) {
			groups = append(groups, "("+strings.Join(group, " AND ")+")")
		}
		parts = groups
	}
	return strings.Join(parts, " AND ")
}

// maxValues is how many values one query looks for: far more than people type.
const maxValues = 5000

// where says in SQL what [access.Filter.Match] says of the request r.
func where(f access.Filter, p plan) (*condition, error) {
	c := &condition{}
	equal := func(column, value string) {
		if value != "" {
			c.add("r."+column+" = ?", value)
		}
	}
	equal("resource", f.Resource)
	equal("provider", f.Provider)
	equal("source", string(f.Source))
	if len(f.Status) > 0 {
		c.add("r.shown IN ("+places(len(f.Status))+")", values(f.Status)...)
	}
	if !f.From.IsZero() {
		c.add("r.day >= ? AND r.filed >= ?", dayOf(f.From), nanos(f.From))
	}
	if !f.To.IsZero() {
		c.add("r.day <= ? AND r.filed < ?", dayOf(f.To), nanos(f.To))
	}
	if f.Person != "" {
		c.marked(p, markPerson, []string{f.Person})
	}
	if f.Policy != "" {
		c.marked(p, markPolicy, []string{f.Policy})
	}
	if f.Involves != nil {
		c.marked(p, markParty, f.Involves)
	}
	for _, word := range needed(f.Words()) {
		c.add("instr(r.words, ?) > 0", []byte(word))
	}
	if len(c.args) > maxValues {
		return nil, ErrTooMuch
	}
	return c, nil
}

// marked asks for requests with any of some marks.
func (c *condition) marked(p plan, kind int, keys []string) {
	from := "FROM mark m WHERE m.kind = ? AND m.key IN (" + places(len(keys)) + ")"
	args := append([]any{kind}, values(keys)...)
	if p == walking {
		c.add("EXISTS (SELECT 1 "+from+" AND m.n = r.n)", args...)
		return
	}
	c.add("r.n IN (SELECT m.n "+from+")", args...)
}

func places(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

func values[S ~string](list []S) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// needed are the words to look for, the longest first, which are the rarest:
// each once.
func needed(words []string) []string {
	slices.SortFunc(words, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(words)
}
