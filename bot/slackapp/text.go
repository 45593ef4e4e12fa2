package slackapp

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// escape makes text inert in mrkdwn: mentions and links in it are shown as typed.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// How Slack sends the names, and the addresses, that somebody typed in a command.
var (
	tagged = regexp.MustCompile(`<([@#])[A-Z0-9]+\|([^<>|]*)>`)
	linked = regexp.MustCompile(`<(?:https?://|mailto:)[^<>|]+(?:\|[^<>|]*)?>`)
)

// typed is a text of a command as its author typed it: @name, not <@U012|name>, and
// https://a.example, not <https://a.example>.
func typed(s string) string {
	s = linked.ReplaceAllStringFunc(s, func(link string) string {
		address, shown, _ := strings.Cut(strings.Trim(link, "<>"), "|")
		if shown != "" && strings.HasSuffix(address, shown) {
			return shown // a.example became <http://a.example|a.example>
		}
		return strings.TrimPrefix(address, "mailto:")
	})
	return unescape(tagged.ReplaceAllString(s, "$1$2"))
}

// unescape undoes, once, what Slack did to the text that somebody typed.
func unescape(s string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

// clip cuts text to so many characters.
func clip(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}

// tail keeps the end of a text: of an error, that is where its cause stands.
func tail(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return "…" + string(r[len(r)-most+1:])
}

// inert is what a person typed, for mrkdwn: one line, short, and without effect.
func inert(s string, most int) string {
	return escape(clip(strings.Join(strings.Fields(printable(s)), " "), most))
}

// printable drops control characters and those that reorder the text around them.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if access.Bidi(c) || c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// code is a name in typewriter letters.
func code(s string) string {
	return "`" + strings.ReplaceAll(inert(s, 200), "`", "'") + "`"
}

func plain(s string) *slack.TextBlockObject {
	return &slack.TextBlockObject{Type: slack.PlainTextType, Text: clip(printable(s), 3000)}
}

// label is plain text of at most so many characters.
func label(s string, most int) *slack.TextBlockObject { return plain(clip(s, most)) }

func mrkdwn(s string) *slack.TextBlockObject {
	return &slack.TextBlockObject{Type: slack.MarkdownType, Text: clip(s, 3000)}
}

// mention calls a person by name.
func mention(p access.Person) string {
	switch {
	case p.Slack != "":
		return "<@" + inert(p.Slack, 30) + ">"
	case p.Email != "":
		return inert(p.Email, 100)
	}
	return "Countersign"
}

// date is a time that everyone reads in their own zone.
func date(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} at {time}|%s>", t.Unix(), t.UTC().Format("2006-01-02 15:04 UTC"))
}

// spell writes a duration in words: "1 hour", "30 days", "1 hour 30 minutes".
func spell(d time.Duration) string { return access.Spell(d) }

func count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// hyperlink is text that leads somewhere; the text alone where there is no address.
func hyperlink(address, text string) string {
	if safeURL(address) != nil || strings.ContainsAny(address, "|<>") {
		return text
	}
	return "<" + address + "|" + text + ">"
}

// title is a resource as people know it, and its id.
func title(name, id string) string {
	if name == "" || name == id {
		return code(id)
	}
	return "*" + strings.ReplaceAll(inert(name, 100), "*", "∗") + "* (" + code(id) + ")"
}
