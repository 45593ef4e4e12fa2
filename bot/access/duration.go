package access

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// units of a duration as people write it, largest first.
var units = []struct {
	name string
	unit time.Duration
}{
	{"w", 7 * 24 * time.Hour},
	{"d", 24 * time.Hour},
	{"h", time.Hour},
	{"m", time.Minute},
	{"s", time.Second},
}

// maxDuration is far beyond any access and far below what overflows.
const maxDuration = 100 * 365 * 24 * time.Hour

// ParseDuration reads a duration such as 30m, 4h, 2d or 1w2d: whole numbers
// with the units s, m, h, d (24 hours) and w (7 days), each at most once and
// from the larger to the smaller. It is positive.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration such as 30m, 4h, 2d or 1w", s)
	rest, total, next := strings.ToLower(strings.TrimSpace(s)), time.Duration(0), 0
	if rest == "" {
		return 0, bad
	}
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 || digits > 9 || digits == len(rest) {
			return 0, bad
		}
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return 0, bad
		}
		i := next
		for i < len(units) && units[i].name != rest[digits:digits+1] {
			i++
		}
		if i == len(units) || n > int64(maxDuration/units[i].unit) {
			return 0, bad
		}
		total += time.Duration(n) * units[i].unit
		rest, next = rest[digits+1:], i+1
	}
	if total <= 0 || total > maxDuration {
		return 0, bad
	}
	return total, nil
}

// FormatDuration writes a duration so that [ParseDuration] reads it back, whole
// seconds presumed: 1h30m, 2d, 1w. Zero is the empty string.
func FormatDuration(d time.Duration) string {
	var b strings.Builder
	for _, u := range units {
		if n := d / u.unit; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d -= n * u.unit
		}
	}
	return b.String()
}

// Spell writes a duration in words, as people say it: 30 days, 2 weeks, 1 hour
// 30 minutes. Zero is the empty string.
func Spell(d time.Duration) string {
	const day, week = 24 * time.Hour, 7 * 24 * time.Hour
	if d >= week && d%week == 0 {
		return number(int(d/week), "week")
	}
	var parts []string
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"day", day}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		if n := d / u.unit; n > 0 {
			parts = append(parts, number(int(n), u.name))
			d -= n * u.unit
		}
	}
	return strings.Join(parts, " ")
}

func number(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
