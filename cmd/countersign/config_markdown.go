package main

import (
	"fmt"
	"html"
	"strings"
	"unicode"

	"countersign/bot/forge"
)

// How much of a preview is shown. GitHub takes 65,536 characters of a comment.
const (
	mostRows   = 100   // changed requests
	mostOpen   = 10    // of them that are not folded away
	mostCell   = 300   // characters of one text in the table
	mostLine   = 500   // characters of one line of what follows
	mostListed = 12000 // bytes of errors, of warnings, and of failed tests
)

// markdown is the preview for a pull request.
//
// What people wrote stands only in HTML blocks, inside code or pre, as text with
// its entities: in a block of HTML nothing is read as Markdown, and in code and
// pre GitHub links nobody and nothing. Such a block ends at a blank line, so that
// no text may bring one.
func (p *preview) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### What this change of <code>%s</code> would do\n\n", inertText(p.name))
	switch {
	case p.problems != "":
		b.WriteString("❌ **It cannot be used.**\n\n" + preformatted(p.problems))
		return b.String()
	case p.same:
		b.WriteString("Nothing: the file is as it was.\n\n")
	default:
		b.WriteString("✅ It is a configuration.\n\n")
	}
	if len(p.warnings) > 0 {
		fmt.Fprintf(&b, "⚠️ %s:\n\n%s", count(len(p.warnings), "warning"), preformatted(strings.Join(p.warnings, "\n")))
	}
	p.writeTests(&b)
	if !p.same {
		p.writeChanges(&b)
	}
	return b.String()
}

func (p *preview) writeTests(b *strings.Builder) {
	switch {
	case p.tests.Tests == 0:
		b.WriteString("No policy tests stand beside the rules.\n\n")
	case p.tests.Failures == 0:
		fmt.Fprintf(b, "✅ %s passed.\n\n", count(p.tests.Tests, "policy test"))
	default:
		fmt.Fprintf(b, "❌ **%d of %s failed.**\n\n", p.tests.Failures, count(p.tests.Tests, "policy test"))
		var all []string
		for _, t := range p.tests.Cases {
			if t.Failure != nil {
				all = append(all, fmt.Sprintf("line %d: %s\n%s", t.Line, t.Name, t.Failure.Text))
			}
		}
		b.WriteString(preformatted(strings.Join(all, "\n")))
	}
}

func (p *preview) writeChanges(b *strings.Builder) {
	if p.replayed != "" {
		fmt.Fprintf(b, "Past requests: %s\n", p.replayed)
		return
	}
	period := "all time"
	if p.since != "0" {
		period = "the log's last " + p.since
	}
	fmt.Fprintf(b, "Of %s in %s, **%d** would be treated differently.\n", count(p.asked, "request"), period, len(p.changes))
	if len(p.changes) == 0 {
		return
	}
	b.WriteString("\n")
	end := "</table>\n"
	if len(p.changes) > mostOpen {
		b.WriteString("<details><summary>Show them</summary>\n")
		end += "</details>\n"
	}
	b.WriteString("<table>\n<tr><th>request</th><th>asked, UTC</th><th>for</th><th>resource</th><th>became</th><th>now</th><th>then</th></tr>\n")
	shown := 0
	for _, c := range p.changes[:min(len(p.changes), mostRows)] {
		row := c.row()
		// Room for the closing tags and for the line that says what is missing.
		if b.Len()+len(row)+200 > forge.MostNote {
			break
		}
		b.WriteString(row)
		shown++
	}
	b.WriteString(end)
	if left := len(p.changes) - shown; left > 0 {
		fmt.Fprintf(b, "\nand %d more: `countersign policy diff` lists them all.\n", left)
	}
}

func (c change) row() string {
	var b strings.Builder
	b.WriteString("<tr>")
	for _, cell := range []string{c.id, c.filed, c.principal, c.resource, c.status, c.was, c.is} {
		b.WriteString("<td><code>" + inertText(clip(cell, mostCell)) + "</code></td>")
	}
	return b.String() + "</tr>\n"
}

// preformatted shows lines as they are, up to a size. The block ends only with
// its closing tag, so that lines may be blank.
func preformatted(text string) string {
	var b strings.Builder
	b.WriteString("<pre>")
	for i, line := range strings.Split(text, "\n") {
		line = inertText(clip(line, mostLine))
		if i > 0 {
			b.WriteString("\n")
		}
		if b.Len()+len(line) > mostListed {
			b.WriteString("…")
			break
		}
		b.WriteString(line)
	}
	return b.String() + "</pre>\n\n"
}

// inertText is one line of text as HTML shows it.
func inertText(s string) string { return html.EscapeString(oneLine(s)) }

// oneLine replaces line breaks and removes what cannot be seen: control
// characters, and those that turn the direction of the text around.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\r', r == '\t', r == '\v', r == '\f', r == '\u0085', r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

// logLine is a line for the log of a run, where some words would be commands to
// the runner. It takes those that begin a line only from its beginning, which is
// never what somebody else wrote.
func logLine(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(oneLine(s)), "##[", "## [")
}

// clip cuts a text to so many characters.
func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
