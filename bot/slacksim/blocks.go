package slacksim

import (
	"fmt"
	"slices"
)

// The limits of blocks, in characters and elements.
const (
	maxMessageBlocks = 50
	maxViewBlocks    = 100
	maxBlockChars    = 13000 // all block texts of a message
	maxOptions       = 100
)

// blocks checks the blocks of a message or view.
func (c *checker) blocks(path string, v any) {
	l, ok := v.([]any)
	if !ok {
		c.fail(path, "must be an array")
		return
	}
	limit := maxViewBlocks
	if c.surface == "message" {
		limit = maxMessageBlocks
	}
	if len(l) > limit {
		c.fail(path, "no more than %d items allowed", limit)
	}
	for i, b := range l {
		c.block(fmt.Sprintf("%s/%d", path, i), b)
	}
	if c.focus > 1 {
		c.fail(path, "only one element may have focus_on_load")
	}
}

func (c *checker) block(path string, v any) {
	o, ok := v.(map[string]any)
	if !ok {
		c.fail(path, "must be an object")
		return
	}
	s := blockShape(str(o, "type"))
	if s == nil {
		c.fail(path+"/type", "unsupported type: %s", str(o, "type"))
		return
	}
	s["type"] = need(anything)
	s["block_id"] = may(length(1, 255))
	c.object(path, o, s)
	c.blockID(path, str(o, "block_id"))
	c.blockRules(path, o)
}

func blockShape(kind string) shape {
	switch kind {
	case "header":
		return shape{"text": need(plain(150))}
	case "divider":
		return shape{}
	case "section":
		return shape{
			"text": may(anyText(3000)), "fields": may(each(1, 10, anyText(2000))),
			"accessory": may(element("section")), "expand": may(boolean),
		}
	case "actions":
		return shape{"elements": need(each(1, 25, element("actions")))}
	case "context":
		return shape{"elements": need(each(1, 10, contextElement))}
	case "input":
		return shape{
			"label": need(plain(2000)), "element": need(element("input")), "hint": may(plain(2000)),
			"optional": may(boolean), "dispatch_action": may(boolean),
		}
	case "image":
		s := imageShape()
		s["title"] = may(plain(2000))
		return s
	case "rich_text":
		return shape{"elements": need(each(0, 100, richElement))}
	}
	return nil
}

func imageShape() shape {
	return shape{
		"type": need(anything), "image_url": may(length(1, 3000)), "slack_file": may(anything),
		"alt_text": need(length(1, 2000)),
	}
}

func contextElement(c *checker, path string, v any) {
	if o, ok := v.(map[string]any); ok && str(o, "type") == "image" {
		c.object(path, v, imageShape())
		return
	}
	anyText(2000)(c, path, v)
}

// richElement checks the parts of rich text as far as their kinds.
func richElement(c *checker, path string, v any) {
	o, _ := v.(map[string]any)
	kinds := []string{"rich_text_section", "rich_text_list", "rich_text_quote", "rich_text_preformatted"}
	if !slices.Contains(kinds, str(o, "type")) {
		c.fail(path+"/type", "unsupported type: %s", str(o, "type"))
		return
	}
	c.object(path, v, shape{
		"type": need(anything), "elements": need(each(0, 1000, anything)), "border": may(whole(0, 1)),
		"style": may(oneOf("bullet", "ordered")), "indent": may(whole(0, 8)), "offset": may(whole(0, 1e6)),
	})
}

func (c *checker) blockID(path, id string) {
	if id == "" {
		return
	}
	if c.blockIDs[id] {
		c.fail(path+"/block_id", "block_id %q already exists", id)
	}
	c.blockIDs[id] = true
}

// blockRules are those that concern several fields of a block.
func (c *checker) blockRules(path string, o obj) {
	switch str(o, "type") {
	case "section":
		if o["text"] == nil && o["fields"] == nil {
			c.fail(path, "missing required field: text or fields")
		}
	case "image":
		c.imageRules(path, o)
	case "input":
		c.inputs++
	}
	seen := map[string]bool{}
	for _, e := range elementsOf(o) {
		id := str(e, "action_id")
		if id != "" && seen[id] {
			c.fail(path, "action_id %q already exists in this block", id)
		}
		seen[id] = true
	}
}

func (c *checker) imageRules(path string, o obj) {
	if (o["image_url"] == nil) == (o["slack_file"] == nil) {
		c.fail(path, "exactly one of image_url and slack_file is required")
	}
}

// elementsOf returns the interactive elements of a block.
func elementsOf(block obj) []obj {
	var out []obj
	take := func(v any) {
		if e, ok := v.(map[string]any); ok {
			out = append(out, e)
		}
	}
	switch str(block, "type") {
	case "section":
		take(block["accessory"])
	case "input":
		take(block["element"])
	case "actions":
		for _, e := range list(block, "elements") {
			take(e)
		}
	}
	return out
}

// viewShape is what views.open, push, update and publish accept.
func viewShape(kind string) shape {
	s := shape{
		"type": need(oneOf("modal", "home")), "blocks": need((*checker).blocks),
		"private_metadata": may(length(0, 3000)), "callback_id": may(length(0, 255)), "external_id": may(length(0, 255)),
	}
	if kind == "modal" {
		s["title"] = need(plain(24))
		s["submit"] = may(plain(24))
		s["close"] = may(plain(24))
		s["clear_on_close"] = may(boolean)
		s["notify_on_close"] = may(boolean)
		s["submit_disabled"] = may(boolean)
	}
	return s
}

// checkView returns what is wrong with a view that an app sent.
func checkView(v any, kind string) *checker {
	c := newChecker(kind)
	o := c.object("/view", v, viewShape(kind))
	if o == nil {
		return c
	}
	if str(o, "type") != kind {
		c.fail("/view/type", "must be %s here", kind)
	}
	if kind == "modal" && c.inputs > 0 && o["submit"] == nil {
		c.fail("/view", "missing required field: submit, as the view has input blocks")
	}
	return c
}

// checkBlocks returns what is wrong with the blocks of a message.
func checkBlocks(v any) *checker {
	c := newChecker("message")
	c.blocks("/blocks", v)
	return c
}
