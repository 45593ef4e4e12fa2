package slacksim

import (
	"regexp"
	"slices"
)

var (
	datePattern = regexp.MustCompile(`^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$`)
	timePattern = regexp.MustCompile(`^([01]\d|2[0-3]):[0-5]\d$`)
	numberForm  = regexp.MustCompile(`^-?\d+(\.\d+)?$`)
)

// inBlocks says which elements may stand in which block.
func inBlocks(kind string) []string {
	switch kind {
	case "button", "overflow", "image":
		if kind == "image" {
			return []string{"section"}
		}
		return []string{"section", "actions"}
	case "static_select", "external_select", "users_select", "radio_buttons", "checkboxes", "datepicker", "timepicker":
		return []string{"section", "actions", "input"}
	case "multi_static_select", "multi_external_select", "multi_users_select":
		return []string{"section", "input"}
	case "datetimepicker":
		return []string{"actions", "input"}
	case "plain_text_input", "number_input", "email_text_input", "url_text_input":
		return []string{"input"}
	}
	return nil
}

// element checks an interactive element that stands in a block of the given type.
func element(block string) rule {
	return func(c *checker, path string, v any) {
		o, ok := v.(map[string]any)
		if !ok {
			c.fail(path, "must be an object")
			return
		}
		kind := str(o, "type")
		if !slices.Contains(inBlocks(kind), block) {
			c.fail(path+"/type", "unsupported type: %s in %s", kind, block)
			return
		}
		if kind == "image" {
			c.object(path, v, imageShape())
			c.imageRules(path, o)
			return
		}
		s := elementShape(kind)
		s["type"] = need(anything)
		s["action_id"] = may(length(1, 255))
		c.object(path, v, s)
		c.elementRules(path, o)
	}
}

func elementShape(kind string) shape {
	switch kind {
	case "button":
		return shape{
			"text": need(plain(75)), "url": may(length(1, 3000)), "value": may(length(0, 2000)),
			"style": may(oneOf("primary", "danger")), "confirm": may(of(confirmShape())),
			"accessibility_label": may(length(1, 75)),
		}
	case "overflow":
		return shape{"options": need(each(1, 5, option("overflow"))), "confirm": may(of(confirmShape()))}
	case "radio_buttons":
		return focusable(shape{
			"options": need(each(1, 10, option("rich"))), "initial_option": may(option("rich")), "confirm": may(of(confirmShape())),
		})
	case "checkboxes":
		return focusable(shape{
			"options": need(each(1, 10, option("rich"))), "initial_options": may(each(1, 10, option("rich"))), "confirm": may(of(confirmShape())),
		})
	case "datepicker", "timepicker", "datetimepicker":
		return pickerShape(kind)
	case "plain_text_input", "number_input", "email_text_input", "url_text_input":
		return inputShape(kind)
	}
	return selectShape(kind)
}

func confirmShape() shape {
	return shape{
		"title": need(plain(100)), "text": need(anyText(300)), "confirm": need(plain(30)), "deny": need(plain(30)),
		"style": may(oneOf("primary", "danger")),
	}
}

func focusable(s shape) shape {
	s["focus_on_load"] = may(func(c *checker, path string, v any) {
		boolean(c, path, v)
		if v == true {
			c.focus++
			if c.surface == "message" {
				c.fail(path, "focus_on_load is not allowed in messages")
			}
		}
	})
	return s
}

func pickerShape(kind string) shape {
	s := focusable(shape{"confirm": may(of(confirmShape()))})
	switch kind {
	case "datepicker":
		s["initial_date"] = may(matching(datePattern, "a date of the form YYYY-MM-DD"))
		s["placeholder"] = may(plain(150))
	case "timepicker":
		s["initial_time"] = may(matching(timePattern, "a time of the form HH:mm"))
		s["placeholder"] = may(plain(150))
		s["timezone"] = may(length(1, 100))
	case "datetimepicker":
		s["initial_date_time"] = may(whole(1e9, 9999999999))
	}
	return s
}

func inputShape(kind string) shape {
	s := focusable(shape{
		"placeholder":            may(plain(150)),
		"dispatch_action_config": may(of(shape{"trigger_actions_on": may(each(1, 2, oneOf("on_enter_pressed", "on_character_entered")))})),
	})
	number := matching(numberForm, "a number in a string")
	switch kind {
	case "plain_text_input":
		s["initial_value"] = may(length(0, 3000))
		s["multiline"] = may(boolean)
		s["min_length"] = may(whole(0, 3000))
		s["max_length"] = may(whole(1, 3000))
	case "number_input":
		s["is_decimal_allowed"] = need(boolean)
		s["initial_value"] = may(number)
		s["min_value"] = may(number)
		s["max_value"] = may(number)
	default:
		s["initial_value"] = may(length(0, 3000))
	}
	return s
}

func selectShape(kind string) shape {
	s := focusable(shape{"placeholder": may(plain(150)), "confirm": may(of(confirmShape()))})
	options := may(each(1, maxOptions, option("plain")))
	switch kind {
	case "static_select":
		s["options"], s["option_groups"], s["initial_option"] = options, may(optionGroups), may(option("plain"))
	case "multi_static_select":
		s["options"], s["option_groups"], s["initial_options"] = options, may(optionGroups), options
	case "external_select":
		s["min_query_length"], s["initial_option"] = may(whole(0, 3000)), may(option("plain"))
	case "multi_external_select":
		s["min_query_length"], s["initial_options"] = may(whole(0, 3000)), options
	case "users_select":
		s["initial_user"] = may(length(1, 255))
	case "multi_users_select":
		s["initial_users"] = may(each(1, maxOptions, length(1, 255)))
	}
	if len(kind) > 6 && kind[:6] == "multi_" {
		s["max_selected_items"] = may(whole(1, maxOptions))
	}
	return s
}

func optionGroups(c *checker, path string, v any) {
	each(1, maxOptions, of(shape{
		"label": need(plain(75)), "options": need(each(1, maxOptions, option("plain"))),
	}))(c, path, v)
}

// option checks an option of a menu: "plain", "overflow" (may have a url), or "rich"
// (radio buttons and checkboxes, whose texts may be mrkdwn).
func option(kind string) rule {
	s := shape{"text": need(plain(75)), "value": need(length(1, 75)), "description": may(plain(75))}
	switch kind {
	case "overflow":
		s["url"] = may(length(1, 3000))
	case "rich":
		s["text"], s["description"] = need(anyText(75)), may(anyText(75))
	}
	return of(s)
}

// elementRules are those that concern several fields of an element.
func (c *checker) elementRules(path string, o obj) {
	kind := str(o, "type")
	if kind == "static_select" || kind == "multi_static_select" {
		if (o["options"] == nil) == (o["option_groups"] == nil) {
			c.fail(path, "exactly one of options and option_groups is required")
		}
	}
	low, hasLow := o["min_length"].(float64)
	high, hasHigh := o["max_length"].(float64)
	if hasLow && hasHigh && low > high {
		c.fail(path, "min_length is more than max_length")
	}
	known := optionsOf(o)
	if known == nil {
		return
	}
	initial := list(o, "initial_options")
	if one := o["initial_option"]; one != nil {
		initial = append(slices.Clone(initial), one)
	}
	for _, i := range initial {
		if !slices.ContainsFunc(known, func(k obj) bool { return sameOption(k, i) }) {
			c.fail(path, "initial_option does not match any of the options")
		}
	}
}

// sameOption reports whether an initial option is that option: value and text both count.
func sameOption(known obj, v any) bool {
	o, ok := v.(map[string]any)
	return ok && str(known, "value") == str(o, "value") && str(sub(known, "text"), "text") == str(sub(o, "text"), "text")
}

// optionsOf returns the options an element lists itself, those of its groups included;
// nil when the element lists none.
func optionsOf(o obj) []obj {
	var out []obj
	take := func(l []any) {
		for _, v := range l {
			if m, ok := v.(map[string]any); ok {
				out = append(out, m)
			}
		}
	}
	take(list(o, "options"))
	for _, g := range list(o, "option_groups") {
		if m, ok := g.(map[string]any); ok {
			take(list(m, "options"))
		}
	}
	return out
}
