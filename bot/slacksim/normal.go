package slacksim

// fillIn completes blocks in place the way Slack gives them back: block and action ids
// that the app left out, and the flags of text objects.
func fillIn(blocks []any) {
	for _, v := range blocks {
		b, ok := v.(map[string]any)
		if !ok {
			continue
		}
		if str(b, "block_id") == "" {
			b["block_id"] = lower(randomID(5))
		}
		for _, e := range elementsOf(b) {
			if str(e, "action_id") == "" && str(e, "type") != "image" {
				e["action_id"] = lower(randomID(5))
			}
		}
		fillTexts(b)
	}
}

func fillTexts(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			fillTexts(e)
		}
	case map[string]any:
		if _, isText := v["text"].(string); isText {
			setDefault(v, "plain_text", "emoji", true)
			setDefault(v, "mrkdwn", "verbatim", false)
		}
		for _, e := range v {
			fillTexts(e)
		}
	}
}

func setDefault(text obj, kind, key string, value bool) {
	if _, there := text[key]; !there && text["type"] == kind {
		text[key] = value
	}
}

// findElement returns the block and the element with these ids. An empty block id means
// the first block that has the action.
func findElement(blocks []any, blockID, actionID string) (block, el obj) {
	for _, v := range blocks {
		b, ok := v.(map[string]any)
		if !ok || (blockID != "" && str(b, "block_id") != blockID) {
			continue
		}
		for _, e := range elementsOf(b) {
			if str(e, "action_id") == actionID {
				return b, e
			}
		}
	}
	return nil, nil
}
