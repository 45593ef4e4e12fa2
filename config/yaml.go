package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"countersign/bot/access"
)

// What is too large to be a configuration that a person reviewed.
const (
	MaxSize  = 1 << 20 // bytes of the file
	maxDepth = 12      // levels of nesting; the grammar needs 7
)

// load reads the bytes as one YAML document without any of the features that
// make a document mean something else than it shows.
func (r *reader) load(data []byte) (value, bool) {
	if len(data) > MaxSize {
		r.failAt(1, 1, "", "remove what is not needed", "the file is larger than %d bytes", MaxSize)
		return value{}, false
	}
	if !r.legible(data) {
		return value{}, false
	}
	doc, ok := r.document(data)
	if !ok {
		return value{}, false
	}
	root := value{r: r, node: doc.Content[0]}
	return root, r.plain(root, 0)
}

// legible refuses what a reviewer of a change cannot see: bytes that are no
// UTF-8, control characters, and characters that reorder the text around them.
func (r *reader) legible(data []byte) bool {
	line, column := 1, 1
	for i := 0; i < len(data); {
		c, n := utf8.DecodeRune(data[i:])
		switch {
		case c == utf8.RuneError && n == 1:
			r.failAt(line, column, "", "save the file as UTF-8", "the file is not UTF-8")
			return false
		case c == '\uFEFF' && i == 0:
		case invisible(c) && c != '\n' && c != '\t' && c != '\r':
			r.failAt(line, column, "", "remove it", "the character %U is not allowed", c)
			return false
		}
		i, column = i+n, column+1
		if c == '\n' {
			line, column = line+1, 1
		}
	}
	return true
}

// invisible reports whether a character changes a text without being seen.
func invisible(c rune) bool {
	return unicode.IsControl(c) || access.Bidi(c) || c == '\uFEFF' || c == '\u2028' || c == '\u2029' || c >= '\u200B' && c <= '\u200D'
}

// document parses the one document of the file.
func (r *reader) document(data []byte) (*yaml.Node, bool) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	doc, err := decode(dec)
	switch {
	case errors.Is(err, io.EOF), err == nil && len(doc.Content) == 0:
		r.failAt(1, 1, "", "write version: 1 as the first line", "the file is empty")
		return nil, false
	case err != nil:
		r.syntax(err)
		return nil, false
	}
	second, err := decode(dec)
	switch {
	case errors.Is(err, io.EOF):
		return doc, true
	case err != nil:
		r.syntax(err)
	default:
		r.failAt(second.Line, second.Column, "", "keep one document in the file", "a second document begins here")
	}
	return nil, false
}

// decode reads the next document. A parser that panics on a hostile file must
// not take down the process that looks at it.
func decode(dec *yaml.Decoder) (n *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	n = &yaml.Node{}
	return n, dec.Decode(n)
}

// syntax reports an error of the YAML parser, which knows the line at best.
func (r *reader) syntax(err error) {
	line, text := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := regexp.MustCompile(`^line (\d+): (.*)$`).FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	r.failAt(line, 1, "", "look at indentation, quotes and brackets here and above", "this is not YAML: %s", text)
}

// plain refuses the features that make one place of the file change another. It
// reports whether the tree is shallow enough to be looked at further.
func (r *reader) plain(v value, depth int) bool {
	n := v.node
	if depth > maxDepth {
		v.fail("write it flatter", "this is nested more than %d levels deep", maxDepth)
		return false
	}
	switch {
	case n.Kind == yaml.AliasNode:
		v.fail("write the value out", "an alias (*%s) is not allowed", n.Value)
		return true
	case n.Anchor != "":
		v.fail("remove it and write the value where it is needed", "an anchor (&%s) is not allowed", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		v.fail("remove it", "a tag (%s) is not allowed", n.Tag)
	}
	for _, c := range n.Content {
		if !r.plain(value{r: r, node: c, path: v.path}, depth+1) {
			return false
		}
	}
	return true
}
