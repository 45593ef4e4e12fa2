package slackapp

import (
	"fmt"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// The names of controls. They stay the same across updates, or Slack forgets what
// was chosen, and clicks on older messages would not be understood.
const (
	actApprove          = "approve"
	actDeny             = "deny"
	actCancel           = "cancel"
	actEscalate         = "escalate"
	actRevoke           = "revoke"
	actExpiry           = "expiry"
	actApproveExtension = "approve_extension"
	actDenyExtension    = "deny_extension"
	actGiveBack         = "give_back"
	actExtend           = "extend"
	actBreakGlass       = "break_glass"
	actReview           = "review"
	actRequest          = "request_access"
	actOpen             = "open" // a link: Slack opens it, nothing is to be done

	blockDecide = "decide"
	blockAccess = "access"
)

// message is what Slack shows: text for notifications, blocks for the eye.
type message struct {
	Text   string        `json:"text"`
	Blocks []slack.Block `json:"blocks"`
}

// value is what a button carries: which request, and which of its extensions.
// Everything else is read from the log.
func value(request string, round int) string { return fmt.Sprintf("%s:%d", request, round) }

func button(action, text, value string, style slack.Style) *slack.ButtonBlockElement {
	b := slack.NewButtonBlockElement(action, value, label(text, 75))
	b.Style = style
	return b
}

func section(text *slack.TextBlockObject) slack.Block { return slack.NewSectionBlock(text, nil, nil) }

// note is small grey text.
func note(text string) slack.Block {
	return slack.NewContextBlock("", mrkdwn(clip(text, 2000)))
}

// quote shows what a person typed, as they typed it, up to a length.
func quote(what, text, request string, most int) slack.Block {
	full := []rune(text)
	if len(full) > most {
		text = string(full[:most]) + "… (the whole text: /access show " + request + ")"
	}
	return section(plain(what + ": " + text))
}

// escalateButton calls the people on call, after a question: it may wake somebody.
func escalateButton(r access.Request) *slack.ButtonBlockElement {
	b := button(actEscalate, "Escalate", value(r.ID, 0), "")
	b.Confirm = slack.NewConfirmationBlockObject(
		label("Page the people on call?", 100), label("They are called now, whatever the hour, and may then approve the access to "+clip(r.Resource, 100)+".", 300),
		label("Page them", 30), label("Wait", 30))
	return b
}

// expirySelect is the select of the expiry; nil if there is nothing to choose.
func expirySelect(c access.Controls) *slack.SelectBlockElement {
	if len(c.Expiry) == 0 {
		return nil
	}
	s := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, label("Select expiry", 150), actExpiry)
	for _, d := range c.Expiry[:min(len(c.Expiry), 100)] {
		o := slack.NewOptionBlockObject(access.FormatDuration(d), label(spell(d), 75), nil)
		s.Options = append(s.Options, o)
		if d == c.Preset {
			s.InitialOption = o
		}
	}
	return s
}
