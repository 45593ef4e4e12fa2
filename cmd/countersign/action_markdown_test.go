package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"countersign/bot/forge"
)

// hostile are texts that would do something in Markdown, in HTML, on GitHub or in
// the log of a run, if they were not made inert.
var hostile = []string{
	"| a | b |", "`code` ``` ~~~", "**bold** _it_ ~~no~~", "<script>alert(1)</script>", "</code></td></tr></table>", "</pre><img src=x onerror=y>",
	"@acme/everybody @bob-gh", "#12 GH-12 acme/access#1", "https://evil.example www.evil.example", "[text](https://evil.example)", "![x](https://evil.example/x.png)",
	"line\n\n# heading\n\n- [ ] box", "a\r\n\r\nb", "\u2028\u2028x", "<!-- countersign: config preview -->", "<!--", "-->", "&lt;b&gt; &amp; &#64;bob",
	"\u202eexe.txt\u2066", "nul\x00esc\x1b[31m", "\xff\xfe", "::set-output name=code::0", "##[set-output name=code]0", "$(id) ${{ secrets.X }}", strings.Repeat("🙂", 5000),
	"'\"` onload=x", "]]>", "<details open>", "\\| \\` \\<",
}

// wholePreview puts a text everywhere where people's words may be.
func wholePreview(text string, rows int) *preview {
	p := &preview{name: "countersign.yaml", since: "90d", warnings: []string{text}, asked: rows}
	p.tests = testSuite{Tests: 1, Failures: 1, Cases: []testCase{{Name: text, Failure: &testFailure{Text: text}}}}
	for range rows {
		p.changes = append(p.changes, change{"01K", "2026-11-20 10:00", text, text, "live", text, text})
	}
	return p
}

// ours are the lines that the program writes, outside of blocks of HTML.
var ours = regexp.MustCompile(`^(|### What this change of <code>countersign\.yaml</code> would do|✅ It is a configuration\.|⚠️ 1 warning:|❌ \*\*1 of 1 policy test failed\.\*\*|❌ \*\*It cannot be used\.\*\*|Of \d+ requests? in the log's last 90d, \*\*\d+\*\* would be treated differently\.|and \d+ more: .countersign policy diff. lists them all\.)$`)

// TestPreviewIsInert: outside of HTML blocks there is nothing but our own words,
// and in the blocks, read by a parser that knows nothing of us, there is nothing
// but the elements of the table, without attributes, with people's words as text
// in code or pre.
func TestPreviewIsInert(t *testing.T) {
	t.Parallel()
	for _, text := range hostile {
		for _, rows := range []int{1, 11} {
			checkInert(t, text, wholePreview(text, rows).markdown(), 4*rows+3)
		}
		broken := preview{name: "countersign.yaml", problems: text}
		checkInert(t, text, broken.markdown(), 1)
	}
}

func checkInert(t *testing.T, text, markdown string, times int) {
	t.Helper()
	blocks := htmlBlocks(markdown)
	for line := range strings.Lines(blocks.outside) {
		if !ours.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Errorf("%.60q: Markdown has the line %q", text, line)
		}
	}
	found := 0
	for _, b := range blocks.inside {
		for _, shown := range texts(t, b) {
			found += strings.Count(shown, firstWord(text))
		}
	}
	if found < times {
		t.Errorf("%.60q is shown %d times, want %d:\n%s", text, found, times, markdown)
	}
	for _, r := range markdown {
		if r == '\u202e' || r == '\u2066' || r == '\u2028' || r < ' ' && r != '\n' || r == 0x7f {
			t.Errorf("%.60q: the preview contains %U", text, r)
		}
	}
}

// firstWord is a part of a text that is shown as it is.
func firstWord(s string) string {
	s = oneLine(s)
	if f := strings.Fields(s); len(f) > 0 {
		s = f[0]
	}
	return string([]rune(s)[:min(10, len([]rune(s)))])
}

type split struct {
	outside string
	inside  []string
}

// htmlBlocks takes Markdown apart by the rules of CommonMark (4.6): a block that
// begins with <pre ends with the line that has </pre>, one that begins with <table
// or <details ends before a blank line.
func htmlBlocks(markdown string) split {
	var s split
	block, pre := "", false
	for line := range strings.Lines(markdown) {
		switch {
		case block == "" && strings.HasPrefix(line, "<pre"):
			block, pre = line, true
		case block == "" && (strings.HasPrefix(line, "<table") || strings.HasPrefix(line, "<details")):
			block, pre = line, false
		case block == "":
			s.outside += line
			continue
		case !pre && strings.TrimSpace(line) == "":
			s.inside, block = append(s.inside, block), ""
			continue
		default:
			block += line
		}
		if pre && strings.Contains(line, "</pre>") {
			s.inside, block = append(s.inside, block), ""
		}
	}
	if block != "" {
		s.inside = append(s.inside, block)
	}
	return s
}

// texts reads a block strictly and returns what stands in code and pre.
func texts(t *testing.T, block string) []string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(block))
	var open, found []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, block)
		}
		switch x := token.(type) {
		case xml.StartElement:
			open = append(open, x.Name.Local)
			if !strings.Contains(" table tr th td code pre details summary ", " "+x.Name.Local+" ") || len(x.Attr) > 0 {
				t.Errorf("the element %v in:\n%s", x, block)
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			switch {
			case len(open) > 0 && (open[len(open)-1] == "code" || open[len(open)-1] == "pre"):
				found = append(found, string(x))
			case strings.TrimSpace(string(x)) != "" && !strings.Contains("request asked, UTC for resource became now then Show them", string(x)):
				t.Errorf("the text %q outside of code in:\n%s", x, block)
			}
		default:
			t.Errorf("%#v in:\n%s", token, block)
		}
	}
	return found
}

// TestPreviewFits: however much would change, the comment is one that GitHub
// takes, and says what it leaves out.
func TestPreviewFits(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"short", strings.Repeat("&", 400), strings.Repeat("\n", 20000), strings.Repeat("<\"", 30000), strings.Repeat("🙂&", 9000)} {
		got := wholePreview(text, 2000).markdown()
		if len(got) > forge.MostNote {
			t.Errorf("%.10q: %d bytes", text, len(got))
		}
		left := 2000 - strings.Count(got, "<tr><td>")
		if want := fmt.Sprintf("and %d more", left); !strings.Contains(got, want) || left == 2000 {
			t.Errorf("%.10q: %d rows, without %q", text, 2000-left, want)
		}
		if strings.Count(got, "<details>") != strings.Count(got, "</details>") || strings.Count(got, "<table>") != strings.Count(got, "</table>") {
			t.Errorf("%.10q: something is left open", text)
		}
	}
	if got := wholePreview("x", 10).markdown(); strings.Contains(got, "<details>") {
		t.Error("ten rows are folded away")
	}
}

// TestLogLines: nothing that people wrote is a command to the runner.
func TestLogLines(t *testing.T) {
	t.Parallel()
	for _, text := range hostile {
		line := "countersign.yaml:1:1: " + text
		got := logLine(line)
		if strings.Contains(got, "##[") || strings.ContainsAny(got, "\n\r\x1b") || strings.HasPrefix(got, "::") {
			t.Errorf("%.60q is logged as %.80q", text, got)
		}
	}
}
