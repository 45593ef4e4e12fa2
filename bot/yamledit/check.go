package yamledit

import (
	"errors"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// addedOnly reports an error unless a text is this file with exactly one more
// entry: it reads the text and takes the entry out again.
func (f *file) addedOnly(text []byte, key []string, entry string) error {
	g, err := parse(text)
	if err != nil {
		return err
	}
	if g.root == nil {
		return errors.New("nothing is left")
	}
	// A document of its own: what is taken out must not show in g.
	got, err := takeOut(f.root, g.root, key, entry)
	if err != nil {
		return err
	}
	return same(f.root, got)
}

// takeOut answers now as it was before the entry, where before says whether the
// list and the levels above it were there.
func takeOut(before, now *yaml.Node, key []string, entry string) (*yaml.Node, error) {
	if before == nil || isNull(before) {
		return before, isChain(now, key, entry)
	}
	if len(key) == 0 {
		last := len(now.Content) - 1
		if now.Kind != yaml.SequenceNode || last < 0 || now.Content[last].Value != entry || now.Content[last].Tag != "!!str" {
			return nil, errors.New("the entry is not at the end of the list")
		}
		now.Content = now.Content[:last]
		return now, nil
	}
	i, err := lookup(now, key[0])
	if err != nil || i < 0 {
		return nil, fmt.Errorf("the key %s is lost", key[0])
	}
	j, err := lookup(before, key[0])
	if err != nil {
		return nil, err
	}
	if j < 0 {
		err := isChain(now.Content[i+1], key[1:], entry)
		now.Content = slices.Delete(now.Content, i, i+2)
		return now, err
	}
	now.Content[i+1], err = takeOut(before.Content[j+1], now.Content[i+1], key[1:], entry)
	return now, err
}

// isChain reports an error unless there is nothing but the keys, one in the
// other, and a list of the one entry.
func isChain(n *yaml.Node, key []string, entry string) error {
	for _, k := range key {
		if n.Kind != yaml.MappingNode || len(n.Content) != 2 || n.Content[0].Value != k || n.Content[0].Tag != "!!str" {
			return fmt.Errorf("the key %s is not made as it should be", k)
		}
		n = n.Content[1]
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) != 1 || n.Content[0].Value != entry || n.Content[0].Tag != "!!str" {
		return errors.New("the list is not made as it should be")
	}
	return nil
}

// removedOnly reports an error unless a text is this file without the entry i.
// It uses up the file's nodes.
func (f *file) removedOnly(text []byte, key []string, i int) error {
	g, err := parse(text)
	if err != nil {
		return err
	}
	s, err := f.find(key)
	if err != nil {
		return err
	}
	s.node.Content = slices.Delete(s.node.Content, i, i+1)
	return same(f.root, g.root)
}

// same reports where two trees differ in what they say.
func same(a, b *yaml.Node) error {
	switch {
	case a == nil && b == nil:
		return nil
	case a == nil || b == nil:
		return errors.New("something else would change")
	case a.Kind != b.Kind || a.Tag != b.Tag || a.Value != b.Value || a.Anchor != b.Anchor || len(a.Content) != len(b.Content),
		a.Kind == yaml.ScalarNode && a.Style != b.Style:
		return fmt.Errorf("line %d would change", a.Line)
	}
	for i := range a.Content {
		if err := same(a.Content[i], b.Content[i]); err != nil {
			return err
		}
	}
	return nil
}
