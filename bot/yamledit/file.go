package yamledit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxFile is more than any list of people needs, in bytes.
const maxFile = 8 << 20

// A file is a YAML file as text and as nodes, which say where in the text they are.
type file struct {
	bom      bool
	text     string // without the byte order mark
	root     *yaml.Node
	starts   []int  // offset of each line
	eol      string // as in the first line
	step     int    // by how much a mapping is indented in another
	listStep int    // by how much a list is indented under its key
}

// An edit replaces text[from:to].
type edit struct {
	from, to int
	text     string
}

// parse reads one YAML document, or none.
func parse(data []byte) (*file, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("the file has more than %d bytes", maxFile)
	}
	f := &file{eol: "\n", step: -1, listStep: -1}
	f.text, f.bom = strings.CutPrefix(string(data), "\ufeff")
	if strings.ContainsAny(strings.ReplaceAll(f.text, "\r\n", "\n"), "\r\u0085\u2028\u2029") {
		return nil, fmt.Errorf("%w: it has line ends that only YAML knows", ErrUnsafe)
	}
	doc, err := decode(f.text)
	if err != nil {
		return nil, err
	}
	if doc != nil {
		f.root = doc.Content[0]
		if isNull(f.root) && f.root.Value == "" && untouchable(f.root) == nil {
			f.root = nil // nothing but comments and marks
		}
	}
	f.starts = []int{0}
	for i := range len(f.text) {
		if f.text[i] == '\n' && i+1 < len(f.text) {
			f.starts = append(f.starts, i+1)
		}
	}
	if i := strings.IndexByte(f.text, '\n'); i > 0 && f.text[i-1] == '\r' {
		f.eol = "\r\n"
	}
	if f.root != nil {
		f.learn(f.root)
	}
	if f.step < 0 {
		f.step = 2
	}
	if f.listStep < 0 {
		f.listStep = f.step
	}
	return f, nil
}

// decode reads the only document of a text; nil where there is none.
func decode(text string) (doc *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil { // the parser is not at fault for what it is given
			doc, err = nil, fmt.Errorf("not YAML: %v", p)
		}
	}()
	dec := yaml.NewDecoder(strings.NewReader(text))
	first, second := &yaml.Node{}, &yaml.Node{}
	switch err := dec.Decode(first); {
	case errors.Is(err, io.EOF) || err == nil && len(first.Content) == 0:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	if err := dec.Decode(second); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it has several documents", ErrUnsafe)
	}
	return first, nil
}

// learn finds out how the file is indented, by its first example of each.
func (f *file) learn(n *yaml.Node) {
	if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle == 0 {
		for i := 0; i+1 < len(n.Content); i += 2 {
			v := n.Content[i+1]
			by := v.Column - n.Column
			switch {
			case v.Style&yaml.FlowStyle != 0 || v.Line == n.Content[i].Line:
			case v.Kind == yaml.SequenceNode && f.listStep < 0 && by >= 0:
				f.listStep = by
			case v.Kind == yaml.MappingNode && f.step < 0 && by > 0:
				f.step = by
			}
		}
	}
	for _, c := range n.Content {
		f.learn(c)
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	return "a scalar"
}

// A spot is where a list is in a file, or where it would be.
type spot struct {
	path    []string
	node    *yaml.Node // the list, or the null in its place; nil: the key is missing
	key     *yaml.Node // of node
	parent  *yaml.Node // the mapping that lacks the first missing key
	missing []string   // keys that are to be made below key, or in parent
	flow    bool       // within brackets
	next    *yaml.Node // the key that follows the parent; nil: the end of the file
}

// find walks down to a key.
func (f *file) find(path []string) (spot, error) {
	s := spot{path: path, missing: path}
	if f.root == nil {
		return s, nil
	}
	at := f.root
	for i, name := range path {
		if at.Kind != yaml.MappingNode {
			return s, fmt.Errorf("line %d: %s is %s, not a mapping", at.Line, or(strings.Join(path[:i], "."), "the file"), kind(at))
		}
		if err := untouchable(at); err != nil {
			return s, err
		}
		s.flow = s.flow || at.Style&yaml.FlowStyle != 0
		j, err := lookup(at, name)
		if err != nil {
			return s, err
		}
		if j < 0 {
			s.node, s.parent, s.missing = nil, at, path[i:]
			return s, nil
		}
		if j+2 < len(at.Content) {
			s.next = at.Content[j+2]
		}
		s.key, s.node, at = at.Content[j], at.Content[j+1], at.Content[j+1]
		s.missing = path[i+1:]
		if isNull(at) {
			return s, untouchable(at)
		}
	}
	if err := untouchable(at); err != nil {
		return s, err
	}
	if at.Kind != yaml.SequenceNode {
		return s, fmt.Errorf("line %d: %s is %s, not a list", at.Line, strings.Join(path, "."), kind(at))
	}
	for _, e := range at.Content {
		if e.Kind == yaml.AliasNode {
			return s, fmt.Errorf("%w: the list has an alias (*%s) in line %d", ErrUnsafe, e.Value, e.Line)
		}
	}
	return s, nil
}

func or(s, unset string) string {
	if s == "" {
		return unset
	}
	return s
}

// untouchable refuses what means something in another place, or comes from there.
func untouchable(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode:
		return fmt.Errorf("%w: there is an alias (*%s) in line %d", ErrUnsafe, n.Value, n.Line)
	case n.Anchor != "":
		return fmt.Errorf("%w: there is an anchor (&%s) in line %d", ErrUnsafe, n.Anchor, n.Line)
	case n.Style&yaml.TaggedStyle != 0:
		return fmt.Errorf("%w: there is a tag (%s) in line %d", ErrUnsafe, n.Tag, n.Line)
	}
	return nil
}

// lookup finds a key of a mapping: its index in Content, or -1.
func lookup(n *yaml.Node, name string) (int, error) {
	found, merged := -1, 0
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		switch {
		case k.Tag == "!!merge":
			merged = k.Line
		case k.Kind != yaml.ScalarNode || k.Value != name:
		case found >= 0:
			return -1, fmt.Errorf("%w: the key %s is there twice, in lines %d and %d", ErrUnsafe, name, n.Content[found].Line, k.Line)
		default:
			found = i
		}
	}
	if found < 0 && merged > 0 {
		return -1, fmt.Errorf("%w: there is a merge key (<<) in line %d", ErrUnsafe, merged)
	}
	return found, nil
}

// index finds an entry of the list, without regard to case; -1 for none.
func (s spot) index(entry string) int {
	if s.node == nil || s.node.Kind != yaml.SequenceNode {
		return -1
	}
	return slices.IndexFunc(s.node.Content, func(n *yaml.Node) bool {
		return n.Kind == yaml.ScalarNode && !isNull(n) && strings.EqualFold(n.Value, entry)
	})
}

// offset is where a node begins in the text.
func (f *file) offset(n *yaml.Node) (int, error) {
	if n.Line < 1 || n.Line > len(f.starts) {
		return 0, fmt.Errorf("%w: line %d is not found", ErrUnsafe, n.Line)
	}
	at := f.starts[n.Line-1]
	for range n.Column - 1 {
		if at >= len(f.text) || f.text[at] == '\n' {
			return 0, fmt.Errorf("%w: column %d of line %d is not found", ErrUnsafe, n.Column, n.Line)
		}
		_, size := utf8.DecodeRuneInString(f.text[at:])
		at += size
	}
	return at, nil
}

// span is where a scalar of one line begins and ends in the text.
func (f *file) span(n *yaml.Node) (from, to int, err error) {
	from, err = f.offset(n)
	if err != nil {
		return 0, 0, err
	}
	line := f.text[from:f.lineEnd(from)]
	length := -1
	switch {
	case n.Kind != yaml.ScalarNode || n.Anchor != "":
	case n.Style&yaml.DoubleQuotedStyle != 0 && strings.HasPrefix(line, `"`):
		length = closing(line, '"', `\`)
	case n.Style&yaml.SingleQuotedStyle != 0 && strings.HasPrefix(line, "'"):
		length = closing(line, '\'', "'")
	case n.Style == 0 && n.Value != "" && strings.HasPrefix(line, n.Value):
		length = len(n.Value)
	}
	if length < 0 {
		return 0, 0, fmt.Errorf("%w: what is in line %d is not a word of one line", ErrUnsafe, n.Line)
	}
	return from, from + length, nil
}

// closing is the length of a quoted text at the beginning of a line; -1 where
// it does not end there.
func closing(line string, quote byte, escape string) int {
	for i := 1; i < len(line); i++ {
		switch {
		case escape == `\` && line[i] == '\\', escape == "'" && strings.HasPrefix(line[i:], "''"):
			i++
		case line[i] == quote:
			return i + 1
		}
	}
	return -1
}

// afterColon is behind the colon of a key.
func (f *file) afterColon(key *yaml.Node) (int, error) {
	_, to, err := f.span(key)
	if err != nil {
		return 0, err
	}
	line := f.text[to:f.lineEnd(to)]
	bare := strings.TrimLeft(line, " \t")
	if !strings.HasPrefix(bare, ":") {
		return 0, fmt.Errorf("%w: the key in line %d has no colon behind it", ErrUnsafe, key.Line)
	}
	return to + len(line) - len(bare) + 1, nil
}

func (f *file) lineStart(at int) int { return strings.LastIndexByte(f.text[:at], '\n') + 1 }

// lineEnd is where the line ends, its line end not counted.
func (f *file) lineEnd(at int) int {
	n := strings.IndexByte(f.text[at:], '\n')
	if n < 0 {
		return len(f.text)
	}
	if n > 0 && f.text[at+n-1] == '\r' {
		n--
	}
	return at + n
}

// eolAt is the line end at an offset where a line ends: the line's own, or that
// of the first line.
func (f *file) eolAt(at int) string {
	switch {
	case strings.HasPrefix(f.text[at:], "\r\n"):
		return "\r\n"
	case strings.HasPrefix(f.text[at:], "\n"):
		return "\n"
	}
	return f.eol
}

// wholeLine cuts the line at an offset, with its own line end or, if it is the
// last and has none, with that of the line before.
func (f *file) wholeLine(at int) edit {
	from, to := f.lineStart(at), f.lineEnd(at)
	switch {
	case to < len(f.text):
		to += strings.IndexByte(f.text[to:], '\n') + 1
	case from > 0:
		from = f.lineEnd(f.lineStart(from - 1))
	}
	return edit{from, to, ""}
}

// apply makes the new text.
func (f *file) apply(edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int {
		return cmp.Or(a.from-b.from, a.to-b.to)
	})
	var b bytes.Buffer
	if f.bom {
		b.WriteString("\ufeff")
	}
	at := 0
	for _, e := range edits {
		b.WriteString(f.text[at:e.from])
		b.WriteString(e.text)
		at = e.to
	}
	b.WriteString(f.text[at:])
	return b.Bytes()
}
