package web

import (
	"bytes"
	"fmt"
	"html/template"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"countersign/bot/access"
)

// hides reports whether a character reorders or hides the text around it.
func hides(c rune) bool {
	switch {
	case c == '\n' || c == '\t' || c == '\r':
		return false
	case c == '\u2028' || c == '\u2029' || c == '\uFEFF':
		return true
	}
	return unicode.IsControl(c) || access.Bidi(c)
}

// when shows a moment: in UTC, exactly to the second where it is pointed at, and
// in the reader's own zone where there is a script.
func when(t time.Time) template.HTML { return stamp(t, "short", short(t)) }

// exactly shows a moment with its seconds.
func exactly(t time.Time) template.HTML {
	return stamp(t, "full", t.UTC().Format("2006-01-02 15:04:05"))
}

// clock shows the time of a day.
func clock(t time.Time) template.HTML { return stamp(t, "clock", t.UTC().Format("15:04")) }

func stamp(t time.Time, form, text string) template.HTML {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s" data-as="%s">%s</time>`,
		t.Format(time.RFC3339), t.Format("2006-01-02 15:04:05 UTC"), form, text))
}

func short(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04") }

// who shows a person by address, of which the part that tells people apart
// stands out.
func who(email string) template.HTML {
	local, domain, ok := strings.Cut(email, "@")
	if !ok {
		return template.HTML(`<bdi class="who">` + template.HTMLEscapeString(email) + `</bdi>`)
	}
	return template.HTML(`<bdi class="who" title="` + template.HTMLEscapeString(email) + `">` + template.HTMLEscapeString(local) + `<span>@` + template.HTMLEscapeString(domain) + `</span></bdi>`)
}

// named is how a person is called: by address where one is known.
func named(p access.Person) string {
	if p.Email != "" {
		return p.Email
	}
	return p.Slack
}

// lasting is a duration as it is read at a glance: 4 h, 1 h 30 m, 14 d 2 h. Two
// units are exact enough.
func lasting(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	if d < time.Minute {
		return strconv.Itoa(int(d/time.Second)) + " s"
	}
	var parts []string
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}} {
		if n := d / u.unit; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			d -= n * u.unit
		} else if len(parts) > 0 {
			break
		}
		if len(parts) == 2 {
			break
		}
	}
	return strings.Join(parts, " ")
}

// grouped writes a number so that its thousands can be told.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(n) + " " + noun + "s"
}

// capital begins a text of ASCII with a capital letter.
func capital(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// brief is the beginning of a commit's id.
func brief(commit string) string { return fmt.Sprintf("%.10s", commit) }

// spans are what Slack marks in a text: people, channels, addresses.
var spans = regexp.MustCompile(`<([@#!]|https?://|mailto:)([^<>|\s]*)(?:\|([^<>|]*))?>|https?://[^\s<>"']+`)

// talk shows what somebody wrote in Slack: people by their addresses where these
// are known, web addresses as links, and all else as it was typed.
func talk(text string, people map[string]string) template.HTML {
	var b strings.Builder
	rest := 0
	for _, m := range spans.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(template.HTMLEscapeString(text[rest:m[0]]))
		rest = m[1]
		part := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return text[m[2*i]:m[2*i+1]]
		}
		b.WriteString(string(marked(text[m[0]:m[1]], part(1), part(2), part(3), people)))
	}
	b.WriteString(template.HTMLEscapeString(text[rest:]))
	return template.HTML(b.String())
}

func marked(whole, mark, target, label string, people map[string]string) template.HTML {
	show := func(s string) template.HTML {
		return template.HTML(`<b class="mention">` + template.HTMLEscapeString(s) + `</b>`)
	}
	switch mark {
	case "@":
		if email := people[target]; email != "" {
			return show("@" + email)
		}
		return show("@" + first(label, target))
	case "#", "!":
		return show(addressed(mark, target, label))
	case "mailto:":
		return template.HTML(template.HTMLEscapeString(first(label, target)))
	case "":
		address := strings.TrimRight(whole, ".,;:!?)")
		return anchor(address, address) + template.HTML(template.HTMLEscapeString(whole[len(address):]))
	}
	return anchor(mark+target, first(label, mark+target))
}

// addressed is how Slack shows what a text is addressed to: a channel, or
// everybody in it.
func addressed(mark, target, label string) string {
	if mark == "!" {
		mark = "@"
	}
	if label != "" {
		return mark + strings.TrimPrefix(label, mark)
	}
	return mark + target
}

// unmarked is a text of Slack's as one reads it, without its marks and without
// links: for where a text is only glanced at.
func unmarked(text string) string {
	return spans.ReplaceAllStringFunc(text, func(whole string) string {
		m := spans.FindStringSubmatch(whole)
		switch mark, target, label := m[1], m[2], m[3]; mark {
		case "":
			return whole
		case "@", "#", "!":
			return addressed(mark, target, label)
		case "mailto:":
			return first(label, target)
		default:
			return first(label, mark+target)
		}
	})
}

// anchor is a link to another site. The address is shown, whatever the text
// claims to lead to.
func anchor(address, text string) template.HTML {
	safe := outward(address)
	if safe == "" {
		return template.HTML(template.HTMLEscapeString(text))
	}
	return template.HTML(`<a href="` + template.HTMLEscapeString(safe) + `" rel="noopener noreferrer" title="` + template.HTMLEscapeString(safe) + `">` + template.HTMLEscapeString(text) + `</a>`)
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// plainly is what the bot told somebody, without the marks of Slack.
func plainly(text string, people map[string]string) template.HTML {
	return talk(strings.NewReplacer("`", "", "*", "", "&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(text), people)
}

// inertly replaces what reorders or hides text, and what is no text. It is
// applied to whole pages, so that no place can be forgotten.
func inertly(page []byte) []byte {
	if utf8.Valid(page) && bytes.IndexFunc(page, hides) < 0 {
		return page
	}
	return bytes.Map(func(c rune) rune {
		if hides(c) {
			return utf8.RuneError
		}
		return c
	}, page)
}
