package slacksim_test

import (
	"fmt"
	"strings"
	"testing"
)

// Short forms for the JSON of blocks.

func plain(s string) string  { return fmt.Sprintf(`{"type":"plain_text","text":%q}`, s) }
func mrkdwn(s string) string { return fmt.Sprintf(`{"type":"mrkdwn","text":%q}`, s) }
func long(n int) string      { return strings.Repeat("ä", n) } // two bytes each: limits count characters

func section(fields string) string   { return `{"type":"section",` + fields + `}` }
func actions(elements string) string { return `{"type":"actions","elements":[` + elements + `]}` }
func input(element string) string {
	return `{"type":"input","label":` + plain("L") + `,"element":` + element + `}`
}
func accessory(element string) string {
	return section(`"text":` + plain("t") + `,"accessory":` + element)
}

func button(more string) string {
	return `{"type":"button","action_id":"b","text":` + plain("Go") + more + `}`
}

func opt(text, value string) string { return `{"text":` + plain(text) + `,"value":"` + value + `"}` }

func sel(kind, more string) string { return `{"type":"` + kind + `","action_id":"s"` + more + `}` }

func times(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }

func confirm(more string) string {
	return `,"confirm":{"title":` + plain("T") + `,"text":` + mrkdwn("t") + `,"confirm":` + plain("Yes") + `,"deny":` + plain("No") + more + `}`
}

// blockRules has one line for each rule; an empty want means that the blocks are accepted.
var blockRules = []struct{ name, blocks, want string }{
	{"header", `{"type":"header","text":` + plain(long(150)) + `}`, ""},
	{"header too long", `{"type":"header","text":` + plain(long(151)) + `}`, "must be less than 151 characters [json-pointer:/blocks/0/text/text]"},
	{"header in mrkdwn", `{"type":"header","text":` + mrkdwn("x") + `}`, "must be one of: plain_text"},
	{"header without text", `{"type":"header"}`, "missing required field: text"},
	{"divider", `{"type":"divider"}`, ""},
	{"unknown block", `{"type":"banner"}`, "unsupported type: banner"},
	{"block is no object", `"section"`, "must be an object"},
	{"unknown field of a block", `{"type":"divider","colour":"red"}`, `"colour"`},
	{"block_id of 255", `{"type":"divider","block_id":"` + long(255) + `"}`, ""},
	{"block_id of 256", `{"type":"divider","block_id":"` + long(256) + `"}`, "must be less than 256 characters"},
	{"same block_id", `{"type":"divider","block_id":"a"},{"type":"divider","block_id":"a"}`, `block_id "a" already exists`},
	{"50 blocks", times(50, `{"type":"divider"}`), ""},
	{"51 blocks", times(51, `{"type":"divider"}`), "no more than 50 items allowed"},

	{"section", section(`"text":` + mrkdwn(long(3000))), ""},
	{"section too long", section(`"text":` + mrkdwn(long(3001))), "must be less than 3001 characters"},
	{"section empty", section(`"text":` + mrkdwn("")), "must be more than 0 characters"},
	{"section without text and fields", section(`"expand":true`), "text or fields"},
	{"10 fields", section(`"fields":[` + times(10, plain("f")) + `]`), ""},
	{"11 fields", section(`"fields":[` + times(11, plain("f")) + `]`), "no more than 10 items allowed"},
	{"field too long", section(`"fields":[` + plain(long(2001)) + `]`), "must be less than 2001 characters"},
	{"emoji in mrkdwn", section(`"text":{"type":"mrkdwn","text":"x","emoji":true}`), `"emoji"`},
	{"verbatim in plain", section(`"text":{"type":"plain_text","text":"x","verbatim":true}`), `"verbatim"`},
	{"unknown kind of text", section(`"text":{"type":"html","text":"x"}`), "must be one of: plain_text, mrkdwn"},
	{"text without text", section(`"text":{"type":"mrkdwn"}`), "missing required field: text"},

	{"context", `{"type":"context","elements":[` + mrkdwn("a") + `,{"type":"image","image_url":"https://x/y.png","alt_text":"y"}]}`, ""},
	{"empty context", `{"type":"context","elements":[]}`, "no fewer than 1 items allowed"},
	{"context of 11", `{"type":"context","elements":[` + times(11, mrkdwn("a")) + `]}`, "no more than 10 items allowed"},
	{"button in context", `{"type":"context","elements":[` + button("") + `]}`, "must be one of"},
	{"image", `{"type":"image","image_url":"https://x/y.png","alt_text":"y","title":` + plain("t") + `}`, ""},
	{"image without alt_text", `{"type":"image","image_url":"https://x/y.png"}`, "missing required field: alt_text"},
	{"image without address", `{"type":"image","alt_text":"y"}`, "exactly one of image_url and slack_file"},
	{"rich text", `{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[]}]}`, ""},
	{"unknown rich text", `{"type":"rich_text","elements":[{"type":"rich_text_poem","elements":[]}]}`, "unsupported type: rich_text_poem"},

	{"25 actions", actions(strings.TrimSuffix(numbered(25), ",")), ""},
	{"26 actions", actions(strings.TrimSuffix(numbered(26), ",")), "no more than 25 items allowed"},
	{"no actions", actions(""), "no fewer than 1 items allowed"},
	{"same action_id", actions(button("") + "," + button("")), `action_id "b" already exists`},
	{"same action_id in two blocks", actions(button("")) + "," + actions(button("")), ""},
	{"action_id of 256", actions(`{"type":"button","action_id":"` + long(256) + `","text":` + plain("x") + `}`), "must be less than 256 characters"},
	{"unknown element", actions(`{"type":"slider","action_id":"x"}`), "unsupported type: slider in actions"},

	{"button", actions(button(`,"style":"primary","value":"` + long(2000) + `"`)), ""},
	{"button in a section", accessory(button("")), ""},
	{"button in an input", input(button("")), "unsupported type: button in input"},
	{"default style", actions(button(`,"style":"default"`)), "must be one of: primary, danger"},
	{"button text too long", actions(`{"type":"button","action_id":"b","text":` + plain(long(76)) + `}`), "must be less than 76 characters"},
	{"button in mrkdwn", actions(`{"type":"button","action_id":"b","text":` + mrkdwn("x") + `}`), "must be one of: plain_text"},
	{"button value too long", actions(button(`,"value":"` + long(2001) + `"`)), "must be less than 2001 characters"},
	{"unknown field of a button", actions(button(`,"disabled":true`)), `"disabled"`},
	{"confirm", actions(button(confirm(`,"style":"danger"`))), ""},
	{"confirm with unknown style", actions(button(confirm(`,"style":"blue"`))), "must be one of: primary, danger"},
	{"confirm without deny", actions(button(`,"confirm":{"title":` + plain("T") + `,"text":` + plain("t") + `,"confirm":` + plain("Y") + `}`)), "missing required field: deny"},
	{"confirm title too long", actions(button(`,"confirm":{"title":` + plain(long(101)) + `,"text":` + plain("t") + `,"confirm":` + plain("Y") + `,"deny":` + plain("N") + `}`)), "must be less than 101 characters"},
	{"confirm text too long", actions(button(`,"confirm":{"title":` + plain("T") + `,"text":` + plain(long(301)) + `,"confirm":` + plain("Y") + `,"deny":` + plain("N") + `}`)), "must be less than 301 characters"},
	{"confirm word too long", actions(button(`,"confirm":{"title":` + plain("T") + `,"text":` + plain("t") + `,"confirm":` + plain(long(31)) + `,"deny":` + plain("N") + `}`)), "must be less than 31 characters"},

	{"select", actions(sel("static_select", `,"options":[`+opt("a", "1")+`],"initial_option":`+opt("a", "1"))), ""},
	{"empty select", actions(sel("static_select", `,"options":[]`)), "no fewer than 1 items allowed"},
	{"select without options", actions(sel("static_select", "")), "exactly one of options and option_groups"},
	{"select with both", actions(sel("static_select", `,"options":[`+opt("a", "1")+`],"option_groups":[{"label":`+plain("g")+`,"options":[`+opt("a", "1")+`]}]`)), "exactly one of options and option_groups"},
	{"select with groups", actions(sel("static_select", `,"option_groups":[{"label":`+plain("g")+`,"options":[`+opt("a", "1")+`]}]`)), ""},
	{"group label too long", actions(sel("static_select", `,"option_groups":[{"label":`+plain(long(76))+`,"options":[`+opt("a", "1")+`]}]`)), "must be less than 76 characters"},
	{"initial_option elsewhere", actions(sel("static_select", `,"options":[`+opt("a", "1")+`],"initial_option":`+opt("a", "2"))), "initial_option does not match"},
	{"initial_option with another text", actions(sel("static_select", `,"options":[`+opt("a", "1")+`],"initial_option":`+opt("b", "1"))), "initial_option does not match"},
	{"100 options", actions(sel("static_select", `,"options":[`+times(100, opt("a", "1"))+`]`)), ""},
	{"101 options", actions(sel("static_select", `,"options":[`+times(101, opt("a", "1"))+`]`)), "no more than 100 items allowed"},
	{"option text too long", actions(sel("static_select", `,"options":[`+opt(long(76), "1")+`]`)), "must be less than 76 characters"},
	{"option value too long", actions(sel("static_select", `,"options":[`+opt("a", long(76))+`]`)), "must be less than 76 characters"},
	{"option without value", actions(sel("static_select", `,"options":[{"text":`+plain("a")+`}]`)), "missing required field: value"},
	{"option in mrkdwn", actions(sel("static_select", `,"options":[{"text":`+mrkdwn("a")+`,"value":"1"}]`)), "must be one of: plain_text"},
	{"option description too long", actions(sel("static_select", `,"options":[{"text":`+plain("a")+`,"value":"1","description":`+plain(long(76))+`}]`)), "must be less than 76 characters"},
	{"placeholder too long", actions(sel("users_select", `,"placeholder":`+plain(long(151)))), "must be less than 151 characters"},
	{"users select", actions(sel("users_select", `,"initial_user":"U0BOB"`)), ""},
	{"users select with options", actions(sel("users_select", `,"options":[`+opt("a", "1")+`]`)), `"options"`},
	{"external select", actions(sel("external_select", `,"min_query_length":0`)), ""},
	{"external select, odd length", actions(sel("external_select", `,"min_query_length":"3"`)), "must be an integer"},
	{"several users", accessory(sel("multi_users_select", `,"initial_users":["U0BOB"],"max_selected_items":2`)), ""},
	{"several users in actions", actions(sel("multi_users_select", "")), "unsupported type: multi_users_select in actions"},
	{"max_selected_items of 0", accessory(sel("multi_users_select", `,"max_selected_items":0`)), "must be an integer from 1"},
	{"overflow", accessory(sel("overflow", `,"options":[`+times(5, opt("a", "1"))+`]`)), ""},
	{"overflow of 6", accessory(sel("overflow", `,"options":[`+times(6, opt("a", "1"))+`]`)), "no more than 5 items allowed"},
	{"radio buttons", actions(sel("radio_buttons", `,"options":[{"text":`+mrkdwn("*a*")+`,"value":"1"}]`)), ""},
	{"11 radio buttons", actions(sel("radio_buttons", `,"options":[`+times(11, opt("a", "1"))+`]`)), "no more than 10 items allowed"},
	{"checkboxes", actions(sel("checkboxes", `,"options":[`+opt("a", "1")+`,`+opt("b", "2")+`],"initial_options":[`+opt("b", "2")+`]`)), ""},
	{"checkboxes with a strange initial one", actions(sel("checkboxes", `,"options":[`+opt("a", "1")+`],"initial_options":[`+opt("b", "2")+`]`)), "initial_option does not match"},
	{"focus in a message", actions(sel("users_select", `,"focus_on_load":true`)), "focus_on_load is not allowed in messages"},

	{"datepicker", actions(sel("datepicker", `,"initial_date":"2026-02-28"`)), ""},
	{"datepicker with a bad date", actions(sel("datepicker", `,"initial_date":"28.2.2026"`)), "YYYY-MM-DD"},
	{"timepicker", actions(sel("timepicker", `,"initial_time":"23:59"`)), ""},
	{"timepicker with a bad time", actions(sel("timepicker", `,"initial_time":"24:00"`)), "HH:mm"},
	{"datetimepicker", actions(sel("datetimepicker", `,"initial_date_time":1700000000`)), ""},
	{"datetimepicker in milliseconds", actions(sel("datetimepicker", `,"initial_date_time":1700000000000`)), "must be an integer"},
	{"datetimepicker in a section", accessory(sel("datetimepicker", "")), "unsupported type: datetimepicker in section"},

	{"text input", input(sel("plain_text_input", `,"multiline":true,"min_length":1,"max_length":3000`)), ""},
	{"text input in actions", actions(sel("plain_text_input", "")), "unsupported type: plain_text_input in actions"},
	{"initial_value too long", input(sel("plain_text_input", `,"initial_value":"`+long(3001)+`"`)), "must be less than 3001 characters"},
	{"max_length too high", input(sel("plain_text_input", `,"max_length":3001`)), "must be an integer from 1 to 3000"},
	{"min above max", input(sel("plain_text_input", `,"min_length":5,"max_length":4`)), "min_length is more than max_length"},
	{"number input", input(sel("number_input", `,"is_decimal_allowed":false,"min_value":"1"`)), ""},
	{"number input, kind missing", input(sel("number_input", "")), "missing required field: is_decimal_allowed"},
	{"number input, bare number", input(sel("number_input", `,"is_decimal_allowed":false,"min_value":1`)), "a number in a string"},
	{"input without label", `{"type":"input","element":` + sel("plain_text_input", "") + `}`, "missing required field: label"},
	{"label too long", `{"type":"input","label":` + plain(long(2001)) + `,"element":` + sel("plain_text_input", "") + `}`, "must be less than 2001 characters"},
	{"hint too long", `{"type":"input","label":` + plain("l") + `,"hint":` + plain(long(2001)) + `,"element":` + sel("plain_text_input", "") + `}`, "must be less than 2001 characters"},
	{"label in mrkdwn", `{"type":"input","label":` + mrkdwn("l") + `,"element":` + sel("plain_text_input", "") + `}`, "must be one of: plain_text"},
	{"optional in words", `{"type":"input","label":` + plain("l") + `,"optional":"yes","element":` + sel("plain_text_input", "") + `}`, "must be a boolean"},
}

// numbered returns n buttons with ids of their own.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"type":"button","action_id":"b%d","text":%s},`, i, plain("x"))
	}
	return b.String()
}

func TestBlockRules(t *testing.T) {
	s := start(t)
	for _, r := range blockRules {
		out := s.call("chat.postMessage", "channel", "C0ACCESS", "text", "x", "blocks", "["+r.blocks+"]")
		if r.want == "" {
			if out["ok"] != true {
				t.Errorf("%s: refused: %s", r.name, jsonOf(out))
			}
			continue
		}
		if out["error"] != "invalid_blocks" {
			t.Errorf("%s: got %s, want invalid_blocks", r.name, jsonOf(out))
			continue
		}
		meta, _ := out["response_metadata"].(map[string]any)
		found := false
		for _, m := range meta["messages"].([]any) {
			found = found || strings.Contains(m.(string), r.want)
		}
		if !found {
			t.Errorf("%s: got %s, want %q", r.name, jsonOf(meta["messages"]), r.want)
		}
	}
}

// TestViewRules has one line for each rule of modals and Home tabs.
func TestViewRules(t *testing.T) {
	s := start(t)
	field := input(sel("plain_text_input", ""))
	view := func(more, blocks string) string {
		return `{"type":"modal"` + more + `,"blocks":[` + blocks + `]}`
	}
	title := `,"title":` + plain("T")
	submit := `,"submit":` + plain("S")
	for _, r := range []struct{ name, view, want string }{
		{"modal", view(title+submit, field), ""},
		{"100 blocks", view(title, times(100, `{"type":"divider"}`)), ""},
		{"101 blocks", view(title, times(101, `{"type":"divider"}`)), "no more than 100 items allowed"},
		{"no title", view("", ""), "missing required field: title"},
		{"title too long", view(`,"title":`+plain(long(25)), ""), "must be less than 25 characters [json-pointer:/view/title/text]"},
		{"submit too long", view(title+`,"submit":`+plain(long(25)), ""), "must be less than 25 characters"},
		{"close too long", view(title+`,"close":`+plain(long(25)), ""), "must be less than 25 characters"},
		{"input without submit", view(title, field), "missing required field: submit"},
		{"metadata", view(title+`,"private_metadata":"`+long(3000)+`"`, ""), ""},
		{"metadata too long", view(title+`,"private_metadata":"`+long(3001)+`"`, ""), "must be less than 3001 characters"},
		{"callback_id too long", view(title+`,"callback_id":"`+long(256)+`"`, ""), "must be less than 256 characters"},
		{"unknown field", view(title+`,"state":{}`, ""), `"state"`},
		{"a home tab", `{"type":"home","blocks":[]}`, "must be modal here"},
		{"no blocks", `{"type":"modal"` + title + `}`, "missing required field: blocks"},
		{"two with focus", view(title+submit, input(sel("plain_text_input", `,"focus_on_load":true`))+","+input(sel("plain_text_input", `,"focus_on_load":true`))), "only one element may have focus_on_load"},
	} {
		out := s.call("views.open", "trigger_id", "none", "view", r.view)
		if r.want == "" {
			if out["error"] != "invalid_trigger_id" { // the view passed
				t.Errorf("%s: got %s", r.name, jsonOf(out))
			}
			continue
		}
		if out["error"] != "invalid_arguments" || !strings.Contains(jsonOf(out), strings.ReplaceAll(r.want, `"`, `\"`)) {
			t.Errorf("%s: got %s, want %q", r.name, jsonOf(out), r.want)
		}
	}
	out := s.call("views.publish", "user_id", "U0ALICE", "view", `{"type":"home","title":`+plain("x")+`,"blocks":[]}`)
	if out["error"] != "invalid_arguments" {
		t.Errorf("a title in a Home tab: got %s", jsonOf(out))
	}
}

func TestMessageLimits(t *testing.T) {
	s := start(t)
	body := times(5, section(`"text":`+plain(long(2700))))
	for _, r := range []struct {
		name string
		args []string
		want any
	}{
		{"nothing to say", []string{"text", ""}, "no_text"},
		{"long text", []string{"text", long(40001)}, "msg_too_long"},
		{"blocks in all too long", []string{"text", "x", "blocks", "[" + body + "]"}, "msg_blocks_too_long"},
		{"blocks that are no JSON", []string{"text", "x", "blocks", "[{"}, "invalid_blocks_format"},
		{"metadata without payload", []string{"text", "x", "metadata", `{"event_type":"e"}`}, "invalid_metadata_format"},
		{"another name", []string{"text", "x", "username", "Boss"}, "missing_scope"},
		{"under nothing", []string{"text", "x", "thread_ts", "1.000001"}, "cannot_reply_to_message"},
	} {
		out := s.call("chat.postMessage", append([]string{"channel", "C0ACCESS"}, r.args...)...)
		if out["error"] != r.want {
			t.Errorf("%s: got %s, want %v", r.name, jsonOf(out), r.want)
		}
		if n := len(s.Findings()); n == 0 && r.name != "blocks that are no JSON" {
			t.Errorf("%s: no finding", r.name)
		}
	}
}

func TestManners(t *testing.T) {
	for kind, args := range map[string][]string{
		"mass_mention":    {"text", "look <!channel>"},
		"unescaped":       {"text", "a <b> c"},
		"unknown_mention": {"text", "<@U0NOBODY>"},
		"bad_date":        {"text", "<!date^soon^{time}|soon>"},
		"no_fallback":     {"blocks", "[" + section(`"text":`+mrkdwn("x")) + "]"},
		"link_names":      {"text", "@alice", "link_names", "true"},
	} {
		s := start(t)
		s.must("chat.postMessage", append([]string{"channel", "C0ACCESS"}, args...)...)
		s.hasFinding(kind)
	}
	s := start(t)
	s.must("chat.postMessage", "channel", "C0ACCESS", "text",
		"&lt;!channel&gt; <@U0ALICE> <#C0ACCESS> <https://example.com|x> <!date^1700000000^{date_short_pretty} {time}|later>")
	s.noFindings()
}
