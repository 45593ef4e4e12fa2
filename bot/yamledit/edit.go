package yamledit

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// Has reports whether the list at the key has the entry.
func Has(data []byte, key []string, entry string) (bool, error) {
	f, err := parse(data)
	if err != nil {
		return false, err
	}
	s, err := f.find(key)
	if err != nil {
		return false, err
	}
	return s.index(entry) >= 0, nil
}

// List are the entries of the list at the key, in their order.
func List(data []byte, key []string) ([]string, error) {
	f, err := parse(data)
	if err != nil {
		return nil, err
	}
	s, err := f.find(key)
	if err != nil || s.node == nil || s.node.Kind != yaml.SequenceNode {
		return nil, err
	}
	var out []string
	for _, n := range s.node.Content {
		if n.Kind == yaml.ScalarNode && !isNull(n) {
			out = append(out, n.Value)
		}
	}
	return out, nil
}

// Add returns the file with the entry at the end of the list.
func Add(old []byte, key []string, entry string) ([]byte, error) {
	f, err := parse(old)
	if err != nil {
		return nil, err
	}
	s, err := f.find(key)
	if err != nil {
		return nil, err
	}
	if s.index(entry) >= 0 {
		return old, nil
	}
	edits, err := f.add(s, entry)
	if err != nil {
		return nil, err
	}
	text := f.apply(edits)
	if err := f.addedOnly(text, key, entry); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsafe, err)
	}
	return text, nil
}

// Remove returns the file without the entry, however often it is there.
func Remove(old []byte, key []string, entry string) ([]byte, error) {
	text := old
	for {
		f, err := parse(text)
		if err != nil {
			return nil, err
		}
		s, err := f.find(key)
		if err != nil {
			return nil, err
		}
		i := s.index(entry)
		if i < 0 {
			return text, nil
		}
		edits, err := f.remove(s, i)
		if err != nil {
			return nil, err
		}
		text = f.apply(edits)
		if err := f.removedOnly(text, key, i); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnsafe, err)
		}
	}
}

// ErrUnsafe is the answer where an edit would change more than it should. It is
// found out before anything is written.
var ErrUnsafe = errors.New("the file cannot be edited safely")

// add says what to insert for one more entry.
func (f *file) add(s spot, entry string) ([]edit, error) {
	n := s.node
	switch {
	case n == nil || isNull(n):
		return f.create(s, entry)
	case n.Kind != yaml.SequenceNode:
		return nil, fmt.Errorf("line %d: %s is %s, not a list", n.Line, strings.Join(s.path, "."), kind(n))
	case len(n.Content) == 0:
		return f.fill(n, '[', ']', scalar(entry, 0))
	case n.Style&yaml.FlowStyle != 0:
		return f.addFlow(n, entry)
	}
	return f.addBlock(n, entry)
}

// addBlock adds a line below the last one, which begins like that.
func (f *file) addBlock(n *yaml.Node, entry string) ([]edit, error) {
	last := n.Content[len(n.Content)-1]
	from, to, err := f.span(last)
	if err != nil {
		return nil, err
	}
	prefix := f.text[f.lineStart(from):from]
	if err := f.ownLine(last, prefix, to); err != nil {
		return nil, err
	}
	at := f.lineEnd(to)
	return []edit{{at, at, f.eolAt(at) + prefix + scalar(entry, last.Style)}}, nil
}

// dash is what may stand before an entry of a list that has a line for each.
func dash() *regexp.Regexp { return regexp.MustCompile(`^ *- +$`) }

// rest is what may stand behind it.
func rest() *regexp.Regexp { return regexp.MustCompile(`^[ \t]*(#.*)?$`) }

// ownLine refuses entries that share their line with something else.
func (f *file) ownLine(n *yaml.Node, prefix string, end int) error {
	if !dash().MatchString(prefix) || !rest().MatchString(f.text[end:f.lineEnd(end)]) {
		return fmt.Errorf("%w: the entry in line %d is not a line of its own", ErrUnsafe, n.Line)
	}
	return nil
}

// comma is what may stand behind an entry of [a, b] that has its own line.
func comma() *regexp.Regexp { return regexp.MustCompile(`^[ \t]*(,?)[ \t]*(#.*)?$`) }

// alone reports whether an entry of a flow list has its own line, and how far
// behind it the comma is (0: there is none).
func (f *file) alone(from, to int) (own bool, behind int) {
	if strings.Trim(f.text[f.lineStart(from):from], " \t") != "" {
		return false, 0
	}
	m := comma().FindStringSubmatchIndex(f.text[to:f.lineEnd(to)])
	if m == nil {
		return false, 0
	}
	return true, m[3] * min(1, m[3]-m[2])
}

// addFlow adds an entry to [a, b], on a line of its own if the last one has one.
func (f *file) addFlow(n *yaml.Node, entry string) ([]edit, error) {
	last := n.Content[len(n.Content)-1]
	from, to, err := f.span(last)
	if err != nil {
		return nil, err
	}
	word := scalar(entry, last.Style)
	own, behind := f.alone(from, to)
	if !own {
		return []edit{{to, to, ", " + word}}, nil
	}
	end := f.lineEnd(to)
	line := f.eolAt(end) + f.text[f.lineStart(from):from] + word
	if behind > 0 {
		return []edit{{end, end, line + ","}}, nil
	}
	return []edit{{to, to, ","}, {end, end, line}}, nil
}

// remove says what to cut for one entry less.
func (f *file) remove(s spot, i int) ([]edit, error) {
	if s.node.Style&yaml.FlowStyle != 0 {
		return f.removeFlow(s.node, i)
	}
	n := s.node.Content[i]
	from, to, err := f.span(n)
	if err != nil {
		return nil, err
	}
	if err := f.ownLine(n, f.text[f.lineStart(from):from], to); err != nil {
		return nil, err
	}
	edits := []edit{f.wholeLine(from)}
	if len(s.node.Content) == 1 {
		at, err := f.afterColon(s.key)
		if err != nil {
			return nil, err
		}
		edits = append(edits, edit{at, at, " []"})
	}
	return edits, nil
}

// removeFlow cuts an entry out of [a, b, c] with the comma that it no longer needs.
func (f *file) removeFlow(n *yaml.Node, i int) ([]edit, error) {
	from, to, err := f.span(n.Content[i])
	if err != nil {
		return nil, err
	}
	before := -1 // end of the entry before
	if i > 0 {
		if _, before, err = f.span(n.Content[i-1]); err != nil {
			return nil, err
		}
	}
	own, behind := f.alone(from, to)
	switch {
	case own && behind == 0 && i > 0 && strings.HasPrefix(f.text[before:], ","):
		return []edit{{before, before + 1, ""}, f.wholeLine(from)}, nil
	case own:
		return []edit{f.wholeLine(from)}, nil
	case i > 0:
		return []edit{{before, to, ""}}, nil
	case len(n.Content) > 1:
		next, _, err := f.span(n.Content[1])
		return []edit{{from, next, ""}}, err
	}
	if m := regexp.MustCompile(`^\s*,`).FindString(f.text[to:]); m != "" {
		to += len(m)
	}
	return []edit{{from, to, ""}}, nil
}
