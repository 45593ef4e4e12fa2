// Package checkup is what an examination of an installation finds: what is as it
// should be, what may surprise somebody, and what would break; and for the latter
// two how to mend it.
//
// Those who examine know one thing each (Slack, a forge, a provider) and write
// their findings into a [Sheet]. [Run] lets them work at the same time, and goes on
// where one of them fails.
package checkup

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
)

// A Level says how bad a finding is.
type Level string

// The levels. With a warning the bot works; a fault is something that would break.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Fault   Level = "fault"
)

// A Finding is one thing that was looked at.
type Finding struct {
	Check   string // what was examined, such as slack.scopes; such names never change
	Level   Level
	Subject string // what of several it is about, such as an address; empty: there is only one
	Text    string // a sentence
	Remedy  string // how to mend it; empty where all is well
}

// A Sheet collects the findings of one examiner. It is not safe for concurrent use.
type Sheet struct{ findings []Finding }

// OK notes what is as it should be.
func (s *Sheet) OK(check, subject, format string, args ...any) {
	s.findings = append(s.findings, Finding{check, OK, subject, fmt.Sprintf(format, args...), ""})
}

// Warn notes what works and may surprise, or what could not be found out.
func (s *Sheet) Warn(check, subject, remedy, format string, args ...any) {
	s.findings = append(s.findings, Finding{check, Warning, subject, fmt.Sprintf(format, args...), remedy})
}

// Fault notes what would break.
func (s *Sheet) Fault(check, subject, remedy, format string, args ...any) {
	s.findings = append(s.findings, Finding{check, Fault, subject, fmt.Sprintf(format, args...), remedy})
}

// Findings are all that were noted, in the order in which they were.
func (s *Sheet) Findings() []Finding { return s.findings }

// An Examiner examines one thing.
type Examiner struct {
	Check    string        // the name under which it is noted that it did not come to an end
	Patience time.Duration // after which its ctx ends
	Examine  func(ctx context.Context, s *Sheet)
}

// Run lets examiners work at the same time and returns what they found, in the
// order of the examiners. One that panics, or does not end a second after its ctx,
// is a fault, and takes nothing from the others.
func Run(ctx context.Context, examiners ...Examiner) []Finding {
	found := make([][]Finding, len(examiners))
	var wg sync.WaitGroup
	for i, e := range examiners {
		wg.Go(func() { found[i] = e.run(ctx) })
	}
	wg.Wait()
	var all []Finding
	for _, f := range found {
		all = append(all, f...)
	}
	return all
}

func (e Examiner) run(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeout(ctx, e.Patience)
	defer cancel()
	done := make(chan []Finding, 1)
	go func() {
		var s Sheet
		defer func() {
			if p := recover(); p != nil {
				s.Fault(e.Check, "", "report this, it is a mistake of the program", "the examination broke off: %v", p)
			}
			done <- s.Findings()
		}()
		e.Examine(ctx, &s)
	}()
	select {
	case f := <-done:
		return f
	case <-time.After(e.Patience + time.Second):
		var s Sheet
		s.Fault(e.Check, "", "see what is slow on the way there, and try again", "there was no answer within %s", e.Patience)
		return s.Findings()
	}
}

// Count is how many findings have a level.
func Count(findings []Finding, l Level) int {
	n := 0
	for _, f := range findings {
		if f.Level == l {
			n++
		}
	}
	return n
}

// WriteText writes findings for people, one a line, each remedy under what it mends.
func WriteText(w io.Writer, findings []Finding) error {
	var b strings.Builder
	for _, f := range findings {
		text := f.Text
		if f.Subject != "" {
			text = f.Subject + ": " + text
		}
		fmt.Fprintf(&b, "%-8s %-20s %s\n", f.Level, f.Check, flat(text))
		if f.Remedy != "" {
			fmt.Fprintf(&b, "%29s → %s\n", "", flat(f.Remedy))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// flat keeps a text of several lines, such as a key to be added, under its own
// column. What would move a terminal's cursor is left out: names come from elsewhere.
func flat(s string) string {
	s = strings.Map(func(c rune) rune {
		if c != '\n' && !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, s)
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n"+strings.Repeat(" ", 32))
}

// WriteJSON writes findings for programs. Keys and the names of checks and levels
// stay as they are; new ones may come.
func WriteJSON(w io.Writer, findings []Finding) error {
	type stored struct {
		Check   string `json:"check"`
		Level   Level  `json:"level"`
		Subject string `json:"subject,omitempty"`
		Text    string `json:"text"`
		Remedy  string `json:"remedy,omitempty"`
	}
	list := make([]stored, 0, len(findings))
	for _, f := range findings {
		list = append(list, stored(f))
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Version  int      `json:"version"`
		Faults   int      `json:"faults"`
		Warnings int      `json:"warnings"`
		Findings []stored `json:"findings"`
	}{1, Count(findings, Fault), Count(findings, Warning), list})
}
