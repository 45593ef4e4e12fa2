// Package report turns requests into a table that auditors open: tab-separated,
// one row a request, the same bytes for the same requests on any machine.
package report

import (
	"bufio"
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"countersign/bot/access"
)

// Columns are the table's columns, in order. The names and their order are
// relied upon by other people's programs.
var Columns = strings.Fields(`
	id status requestor principal resource provider reason ticket requested_at requested_duration
	approval_source approved_by decided_at expires_at granted_at ended_at ended_by end_reason
	policies config_commit messages slack_permalink`)

// A Writer writes the table row by row, so that it takes the memory of one row
// however many there are. Rows are written in the order in which they are added:
// for the same bytes as [TSV] by the time of filing, then by id.
type Writer struct {
	out    *bufio.Writer
	headed bool
}

// NewWriter returns a writer of a table to w. It writes nothing yet.
func NewWriter(w io.Writer) *Writer { return &Writer{out: bufio.NewWriter(w)} }

// Add writes a row, the header before the first. The error is that of w, once
// it has failed.
func (w *Writer) Add(r access.Request) error {
	w.head()
	line(w.out, row(r))
	_, err := w.out.Write(nil) // what failed before is told now
	return err
}

// Flush ends the table: it writes what is still to be written, and the header
// where no row was added.
func (w *Writer) Flush() error {
	w.head()
	return w.out.Flush()
}

func (w *Writer) head() {
	if !w.headed {
		w.headed = true
		line(w.out, Columns)
	}
}

// TSV writes the table, sorted by the time of filing, then by id. Times are
// UTC in RFC 3339, people are e-mail addresses, empty means that there is none.
func TSV(w io.Writer, requests []access.Request) error {
	sorted := slices.SortedFunc(slices.Values(requests), func(a, b access.Request) int {
		return cmp.Or(a.FiledAt.Compare(b.FiledAt), strings.Compare(a.ID, b.ID))
	})
	out := NewWriter(w)
	for _, r := range sorted {
		if err := out.Add(r); err != nil {
			return err
		}
	}
	return out.Flush()
}

// line writes one record. bufio keeps the first error for Flush.
func line(w *bufio.Writer, fields []string) {
	for i, f := range fields {
		if i > 0 {
			w.WriteByte('\t')
		}
		w.WriteString(field(f))
	}
	w.WriteByte('\n')
}

func row(r access.Request) []string {
	var d access.Decision
	if r.Decision != nil {
		d = *r.Decision
	}
	var end access.End
	if r.End != nil {
		end = *r.End
	}
	var granted time.Time
	if r.Grant != nil {
		granted = r.Grant.GrantedAt
	}
	post, _ := r.ApprovalPost()
	return []string{
		r.ID, string(r.Shown()), r.Requestor.Email, r.Principal.Email, r.Resource, r.Target.Provider, r.Reason, r.Ticket,
		stamp(r.FiledAt), access.FormatDuration(r.Duration),
		string(d.Source), emails(d.Approvers), stamp(d.At), stamp(d.Expires), stamp(granted),
		stamp(end.At), end.By.Email, end.Reason,
		strings.Join(d.Policies, ","), cmp.Or(d.Config, r.FiledUnder), strconv.Itoa(r.Talk()), post.Permalink,
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func emails(people []access.Person) string {
	var out []string
	for _, p := range people {
		out = append(out, p.Email)
	}
	return strings.Join(out, ",")
}

// field makes a text one field of one line that no spreadsheet takes for a
// formula. See OWASP's page on CSV injection.
func field(s string) string {
	// One after the other: a Replacer would take most of an export's time and memory.
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), `\`, `\\`)
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\t", `\t`), "\n", `\n`)
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || access.Bidi(c) {
			return -1
		}
		return c
	}, s)
	if c, _ := utf8.DecodeRuneInString(s); s != "" && strings.ContainsRune("=+-@＝＋－＠", c) {
		return "'" + s
	}
	return s
}
