package slacksim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A choice is what a person chose or typed in one element, in the form of Slack's
// state.values: {"type":"static_select","selected_option":{…}}.

// choiceField returns the field of a choice that holds the value, and the field of the
// element that holds its initial value. Both are empty for elements without state.
func choiceField(kind string) (value, initial string) {
	switch kind {
	case "static_select", "external_select", "radio_buttons":
		return "selected_option", "initial_option"
	case "multi_static_select", "multi_external_select", "checkboxes":
		return "selected_options", "initial_options"
	case "users_select":
		return "selected_user", "initial_user"
	case "multi_users_select":
		return "selected_users", "initial_users"
	case "datepicker":
		return "selected_date", "initial_date"
	case "timepicker":
		return "selected_time", "initial_time"
	case "datetimepicker":
		return "selected_date_time", "initial_date_time"
	case "plain_text_input", "number_input", "email_text_input", "url_text_input":
		return "value", "initial_value"
	}
	return "", ""
}

// initialChoice is the choice nobody made yet, or nil for elements without state.
func initialChoice(el obj) obj {
	kind := str(el, "type")
	value, initial := choiceField(kind)
	if value == "" {
		return nil
	}
	v := el[initial]
	if v == nil && (value == "selected_options" || value == "selected_users") {
		v = []any{}
	}
	return obj{"type": kind, value: v}
}

// isEmpty reports whether a choice holds nothing.
func isEmpty(c obj) bool {
	field, _ := choiceField(str(c, "type"))
	switch v := c[field].(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	}
	return false
}

// makeChoice turns what a page or a test sends into a choice. The value may be an option's
// value, an option, a list of either, a user's id, a text, or a complete choice. Options that the
// element does not list itself are looked up in served (those the app offered).
func makeChoice(el obj, v any, served func(value string) obj) (obj, error) {
	kind := str(el, "type")
	field, _ := choiceField(kind)
	if kind == "overflow" {
		field = "selected_option"
	}
	if field == "" {
		return nil, fmt.Errorf("nothing can be chosen in a %s", kind)
	}
	if o, ok := v.(map[string]any); ok {
		if inner, there := o[field]; there {
			v = inner
		} else if inner, there := o["value"]; there && o["text"] == nil {
			v = inner
		}
	}
	value, err := choiceValue(el, field, v, served)
	if err != nil {
		return nil, err
	}
	return obj{"type": kind, field: value}, nil
}

func choiceValue(el obj, field string, v any, served func(string) obj) (any, error) {
	if v == nil {
		return initialChoice(obj{"type": el["type"]})[field], nil
	}
	switch field {
	case "selected_option":
		return pickOption(el, v, served)
	case "selected_options":
		return pickEach(v, func(v any) (any, error) { return pickOption(el, v, served) })
	case "selected_users":
		return pickEach(v, func(v any) (any, error) { return asText(v) })
	case "selected_date_time":
		return asNumber(v)
	}
	return asText(v)
}

func pickEach(v any, pick func(any) (any, error)) (any, error) {
	l, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("a list is wanted here")
	}
	out := []any{}
	for _, e := range l {
		one, err := pick(e)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func pickOption(el obj, v any, served func(string) obj) (any, error) {
	want, _ := v.(string)
	if o, ok := v.(map[string]any); ok {
		want = str(o, "value")
	}
	for _, o := range optionsOf(el) {
		if str(o, "value") == want {
			return o, nil
		}
	}
	if strings.HasSuffix(str(el, "type"), "external_select") {
		if o := served(want); o != nil {
			return o, nil
		}
		if o := sub(el, "initial_option"); o != nil && str(o, "value") == want {
			return o, nil
		}
	}
	return nil, fmt.Errorf("%q is none of the options of %s", want, str(el, "action_id"))
}

func asText(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("a text is wanted here")
	}
	if s == "" {
		return nil, nil
	}
	return s, nil
}

func asNumber(v any) (any, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case json.Number:
		return v.Float64()
	case string:
		return strconv.ParseFloat(v, 64)
	}
	return nil, fmt.Errorf("a number is wanted here")
}

// choices returns the state.values of a message or view: every element that has state, with
// what was chosen in it as long as it still can be.
func choices(blocks []any, chosen elementChoices) obj {
	out := obj{}
	for _, v := range blocks {
		b, ok := v.(map[string]any)
		if !ok {
			continue
		}
		for _, el := range elementsOf(b) {
			state := initialChoice(el)
			if state == nil {
				continue
			}
			block, action := str(b, "block_id"), str(el, "action_id")
			if c := chosen[block][action]; c != nil && stillPossible(el, c) {
				state = c
			}
			if out[block] == nil {
				out[block] = obj{}
			}
			sub(out, block)[action] = state
		}
	}
	return out
}

// stillPossible reports whether a choice fits the element as it is now.
func stillPossible(el, c obj) bool {
	if el["type"] != c["type"] {
		return false
	}
	known := optionsOf(el)
	if known == nil {
		return true
	}
	in := func(v any) bool {
		return slices.ContainsFunc(known, func(k obj) bool { return sameOption(k, v) })
	}
	if one := c["selected_option"]; one != nil && !in(one) {
		return false
	}
	for _, o := range list(c, "selected_options") {
		if !in(o) {
			return false
		}
	}
	return true
}

// inputErrors is what Slack's own client says before it sends a form: by block id.
func inputErrors(blocks []any, values obj) map[string]string {
	out := map[string]string{}
	for _, v := range blocks {
		b, ok := v.(map[string]any)
		if !ok || str(b, "type") != "input" {
			continue
		}
		el := sub(b, "element")
		id := str(b, "block_id")
		if msg := inputError(el, sub(sub(values, id), str(el, "action_id")), flag(b, "optional")); msg != "" {
			out[id] = msg
		}
	}
	return out
}

func inputError(el, choice obj, optional bool) string {
	if isEmpty(choice) {
		if optional {
			return ""
		}
		return "Please complete this required field."
	}
	text, _ := choice["value"].(string)
	n := float64(utf8.RuneCountInString(text))
	if low, ok := el["min_length"].(float64); ok && n < low {
		return fmt.Sprintf("Please enter at least %.0f characters.", low)
	}
	if high, ok := el["max_length"].(float64); ok && n > high {
		return fmt.Sprintf("Please enter at most %.0f characters.", high)
	}
	if str(el, "type") == "plain_text_input" && n > 3000 {
		return "Please enter at most 3000 characters."
	}
	if str(el, "type") == "number_input" {
		return numberError(el, text)
	}
	return ""
}

func numberError(el obj, text string) string {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || (!flag(el, "is_decimal_allowed") && strings.Contains(text, ".")) {
		return "Please enter a number."
	}
	if low, err := strconv.ParseFloat(str(el, "min_value"), 64); err == nil && n < low {
		return "Please enter at least " + str(el, "min_value") + "."
	}
	if high, err := strconv.ParseFloat(str(el, "max_value"), 64); err == nil && n > high {
		return "Please enter at most " + str(el, "max_value") + "."
	}
	return ""
}
