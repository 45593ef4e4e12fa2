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

// A condition is what a query is about: requests, as r, that meet all parts.
// Values are only ever in its arguments.
type condition struct {
	from  string
	parts []string
	args  []any
}

// query is the part of a query from FROM up to its order; what is joined to the
// requests comes in between.
func (c *condition) query(joined string) string { return " FROM " + c.from + joined + c.clause() }

func (c *condition) add(sql string, args ...any) {
	c.parts, c.args = append(c.parts, sql), append(c.args, args...)
}

// and is the condition with one part more, and the same values.
func (c *condition) and(sql string) *condition {
	return &condition{c.from, append([]string{sql}, c.parts...), c.args}
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
	c := &condition{from: "request r"}
	if p == walking {
		c.from = "request r INDEXED BY in_order"
	}
	equal := func(column, value string) {
		if value != "" {
			c.add("r."+column+" = ?", value)
		}
	}
	if id := strings.ToUpper(f.ID); id != "" {
		c.add("r.n IN (SELECT n FROM request WHERE substr(id, 1, length(?)) = ? OR substr(id, -length(?)) = ?)", id, id, id, id)
	}
	equal("resource", f.Resource)
	if len(f.Person) > 0 {
		c.marked(p, markPerson, f.Person)
	}
	if f.Policy != "" {
		c.marked(p, markPolicy, []string{f.Policy})
	}
	if f.Involves != nil {
		c.marked(p, markParty, f.Involves)
	}
	equal("provider", f.Provider)
	equal("source", string(f.Source))
	if len(f.Status) > 0 {
		c.add("r.shown IN ("+slots(len(f.Status))+")", values(f.Status)...)
	}
	if !f.From.IsZero() {
		c.add("r.day >= ? AND r.filed >= ?", dayOf(f.From), nanos(f.From))
	}
	if !f.To.IsZero() {
		c.add("r.day <= ? AND r.filed < ?", dayOf(f.To), nanos(f.To))
	}
	for _, word := range needed(f.Words()) {
		c.add("instr(r.words, ?) > 0", []byte(word))
	}
	if len(c.args) > maxValues {
		return nil, ErrTooMuch
	}
	return c, nil
}

// byMark is where a query begins that is about all requests with one mark.
const byMark = "mark m CROSS JOIN request r ON r.n = m.n"

// marked asks for requests with any of some marks. One mark leads to its
// requests; several, or a second one, are asked for each request: it would come
// more than once otherwise.
func (c *condition) marked(p plan, kind int, keys []string) {
	args := append([]any{kind}, values(keys)...)
	switch {
	case p == sorting && c.from != byMark && len(c.parts) == 0 && len(keys) == 1:
		c.from = byMark
		c.add("m.kind = ? AND m.key = ?", args...)
	case p == sorting && kind != markPolicy:
		c.add("r.n IN (SELECT k.n FROM mark k WHERE k.kind = ? AND k.key IN ("+slots(len(keys))+"))", args...)
	default:
		c.add("EXISTS (SELECT 1 FROM mark k WHERE k.kind = ? AND k.key IN ("+slots(len(keys))+") AND k.n = r.n)", args...)
	}
}

func slots(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

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
