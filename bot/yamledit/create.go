package yamledit

import (
	"fmt"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// create says what to insert where there is no list yet: under a key without a
// value, in a mapping without the key, or in a file without anything.
func (f *file) create(s spot, entry string) ([]edit, error) {
	switch {
	case f.root == nil:
		return f.atEnd(f.lines(s.missing, 0, entry)), nil
	case s.node != nil && s.node.Value != "":
		return f.replaceNull(s, entry)
	case s.node != nil && s.flow:
		at, err := f.afterColon(s.key)
		return []edit{{at, at, " " + inline(s.missing, entry)}}, err
	case s.node != nil:
		return f.below(s, entry)
	case s.parent.Style&yaml.FlowStyle != 0:
		return f.fill(s.parent, '{', '}', pair(s.missing, entry))
	}
	return f.lastKey(s, entry)
}

// replaceNull writes the list for ~ or null.
func (f *file) replaceNull(s spot, entry string) ([]edit, error) {
	from, to, err := f.span(s.node)
	return []edit{{from, to, inline(s.missing, entry)}}, err
}

// below writes the list under a key that has no value.
func (f *file) below(s spot, entry string) ([]edit, error) {
	at, err := f.afterColon(s.key)
	if err != nil {
		return nil, err
	}
	if !rest().MatchString(f.text[at:f.lineEnd(at)]) {
		return nil, fmt.Errorf("%w: line %d has more than a key", ErrUnsafe, s.key.Line)
	}
	indent := s.key.Column - 1
	var lines []string
	if len(s.missing) == 0 {
		lines = []string{f.item(indent, entry)}
	} else {
		lines = f.lines(s.missing, indent+f.step, entry)
	}
	end := f.lineEnd(at)
	return f.insert(end, lines), nil
}

// lastKey writes the missing keys at the end of a mapping: above the blank lines
// and the comments that belong to what follows.
func (f *file) lastKey(s spot, entry string) ([]edit, error) {
	indent := s.parent.Column - 1
	lines := f.lines(s.missing, indent, entry)
	line := len(f.starts) + 1 // number of the line that follows the mapping, from 1
	if s.next != nil {
		line = s.next.Line
	}
	for line--; line > s.parent.Line; line-- {
		text := f.text[f.starts[line-1]:f.lineEnd(f.starts[line-1])]
		bare := strings.TrimLeft(text, " \t")
		if bare != "" && !(bare[0] == '#' && len(text)-len(bare) < indent) {
			break
		}
	}
	at := f.lineEnd(f.starts[line-1])
	return f.insert(at, lines), nil
}

// insert puts lines below the one that ends at an offset.
func (f *file) insert(at int, lines []string) []edit {
	eol := f.eolAt(at)
	return []edit{{at, at, eol + strings.Join(lines, eol)}}
}

// atEnd appends lines to a file that says nothing yet.
func (f *file) atEnd(lines []string) []edit {
	text := strings.Join(lines, f.eol) + f.eol
	if f.text != "" && !strings.HasSuffix(f.text, "\n") {
		text = f.eol + text
	}
	return []edit{{len(f.text), len(f.text), text}}
}

// lines are keys, one below the other, and the list with the entry.
func (f *file) lines(keys []string, indent int, entry string) []string {
	var out []string
	for i, k := range keys {
		if i > 0 {
			indent += f.step
		}
		out = append(out, strings.Repeat(" ", indent)+scalar(k, 0)+":")
	}
	return append(out, f.item(indent, entry))
}

// item is the line of an entry of the list under a key.
func (f *file) item(indent int, entry string) string {
	return strings.Repeat(" ", indent+f.listStep) + "- " + scalar(entry, 0)
}

// inline is the list with the entry, under keys or not, in one line.
func inline(keys []string, entry string) string {
	if len(keys) == 0 {
		return "[" + scalar(entry, 0) + "]"
	}
	return "{" + pair(keys, entry) + "}"
}

func pair(keys []string, entry string) string {
	return scalar(keys[0], 0) + ": " + inline(keys[1:], entry)
}

// fill puts something first into a list or mapping in brackets.
func (f *file) fill(n *yaml.Node, open, shut byte, what string) ([]edit, error) {
	at, err := f.offset(n)
	if err != nil {
		return nil, err
	}
	if at >= len(f.text) || f.text[at] != open {
		return nil, fmt.Errorf("%w: line %d does not begin with %q", ErrUnsafe, n.Line, open)
	}
	at++
	if len(n.Content) > 0 {
		return []edit{{at, at, what + ", "}}, nil
	}
	end := at + len(regexp.MustCompile(`^\s*`).FindString(f.text[at:]))
	if end >= len(f.text) || f.text[end] != shut {
		return nil, fmt.Errorf("%w: there is a comment between the brackets in line %d", ErrUnsafe, n.Line)
	}
	return []edit{{at, end, what}}, nil
}

// word is what YAML of any version reads as itself, in every place.
func word() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.+@%/-]*$`) }

// scalar writes a text so that YAML reads it back as that text; in quotes where
// it must be, or where its neighbour has them.
func scalar(s string, like yaml.Style) string {
	switch {
	case like&yaml.DoubleQuotedStyle != 0, strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' }):
		return doubleQuoted(s)
	case like&yaml.SingleQuotedStyle != 0, !word().MatchString(s), reserved(s):
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return s
}

func doubleQuoted(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(s)
	return `"` + s + `"`
}

// reserved reports whether some version of YAML reads the word as something else.
func reserved(s string) bool {
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return true
	}
	return false
}
