package config

import (
	"fmt"
	"slices"
	"strings"

	"countersign/bot/access"
)

// An Error is one thing that is wrong in the file.
type Error struct {
	File   string // as given to Parse
	Line   int    // from 1
	Column int    // from 1, in characters
	Path   string // of the value, such as resources[2].with.repo; empty for the whole file
	Text   string // what is wrong
	Hint   string // what to do
}

// Error is "file:line:col: what is wrong; what to do".
func (e Error) Error() string {
	text := e.Text
	if e.Path != "" {
		text = e.Path + ": " + text
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, text)
}

// Errors are all that is wrong in the file, in its order; at most [MaxErrors].
type Errors []Error

// MaxErrors is how many errors are reported at once.
const MaxErrors = 100

// Error prints one error a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// A Warning is something in the file that is allowed and probably not meant.
type Warning Error

// String prints a warning like an error.
func (w Warning) String() string { return Error(w).Error() }

// err is everything found so far, in the order of the file.
func (r *reader) err() error {
	if len(r.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(r.errs, func(a, b Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return Errors(r.errs[:min(len(r.errs), MaxErrors)])
}

// quote shows a value in a message: one line, escaped, not too long, and
// without what looks like a secret.
func quote(s string) string {
	s, _ = access.Redact(s)
	if c := []rune(s); len(c) > 60 {
		s = string(c[:59]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// oneOf is the hint for a word that must be one of those known.
func (r *reader) oneOf(got string, known []string) string {
	if near := r.nearest(got, known); near != "" {
		return "did you mean " + near + "?"
	}
	switch {
	case len(known) == 0:
		return "there are none in this file"
	case len(known) > 20:
		return fmt.Sprintf("use one of the %d in this file", len(known))
	}
	return "use " + strings.Join(known, ", ")
}

// nearest is the known word that somebody probably meant; empty for none. It
// is not looked for once there are more errors than are shown.
func (r *reader) nearest(got string, known []string) string {
	if len(got) > 100 || len(r.errs) > MaxErrors {
		return ""
	}
	best, least := "", 1+len(got)/3
	for _, k := range known {
		if d := distance(strings.ToLower(got), k); d <= least && (best == "" || d < least) {
			best, least = k, d
		}
	}
	return best
}

// distance is how many letters must be changed, added, removed or swapped with
// their neighbour to make b of a.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
