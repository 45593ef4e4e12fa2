package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"countersign/bot/access"
)

// statuses are all that a row can have, in the order of the summary.
var statuses = []access.Status{
	access.Pending, access.Approved, access.Live, access.Expired, access.Revoked, access.GivenBack,
	access.Denied, access.Cancelled, access.TimedOut, access.Failed,
}

// sources are the ways in which access is approved, in the order of the summary.
var sources = []access.Source{
	access.ByReviewer, access.ByGroup, access.ByManager, access.ByOnCall, access.ByEscalation,
	access.ByPersistent, access.ByAllowance, access.ByBreakGlass, access.BySelf,
}

// weeks is how many the summary looks back, from the newest request.
const weeks = 12

// Summary writes in Markdown what the requests come to: how many of each status
// and each source of approval, and, as pictures that GitHub draws (Mermaid), their
// shares and how many were filed week by week. No text of people is in it, nor a
// name: it is made of counts and days, and the same for the same requests.
func Summary(w io.Writer, requests []access.Request) error {
	out := bufio.NewWriter(w)
	byStatus, bySource, byWeek := map[access.Status]int{}, map[access.Source]int{}, map[time.Time]int{}
	var first, last time.Time
	for _, r := range requests {
		byStatus[r.Shown()]++
		if r.Decision != nil && r.Decision.Source != "" {
			bySource[r.Decision.Source]++
		}
		byWeek[monday(r.FiledAt)]++
		if first.IsZero() || r.FiledAt.Before(first) {
			first = r.FiledAt
		}
		if r.FiledAt.After(last) {
			last = r.FiledAt
		}
	}
	if len(requests) == 0 {
		fmt.Fprintln(out, "No request yet.")
		return out.Flush()
	}
	fmt.Fprintf(out, "**%d** filed from %s to %s; **%d** live, **%d** pending.\n\n",
		len(requests), first.UTC().Format(time.DateOnly), last.UTC().Format(time.DateOnly), byStatus[access.Live], byStatus[access.Pending])
	pie(out, byStatus)
	bars(out, byWeek, monday(last))
	table(out, "status", statuses, byStatus)
	table(out, "approved by", sources, bySource)
	return out.Flush()
}

// monday is the beginning of a time's week, in UTC.
func monday(t time.Time) time.Time {
	t = t.UTC()
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	return day.AddDate(0, 0, -(int(t.Weekday())+6)%7)
}

func pie(out io.Writer, n map[access.Status]int) {
	fmt.Fprint(out, "```mermaid\npie showData title Requests by status\n")
	for _, s := range statuses {
		if n[s] > 0 {
			fmt.Fprintf(out, "    %q : %d\n", words(s), n[s])
		}
	}
	fmt.Fprint(out, "```\n\n")
}

func bars(out io.Writer, n map[time.Time]int, last time.Time) {
	var days, counts []string
	top := 1
	for i := weeks - 1; i >= 0; i-- {
		week := last.AddDate(0, 0, -7*i)
		days = append(days, fmt.Sprintf("%q", week.Format("01-02")))
		counts = append(counts, fmt.Sprint(n[week]))
		top = max(top, n[week])
	}
	fmt.Fprintf(out, "```mermaid\nxychart-beta\n    title \"Requests filed, by week\"\n    x-axis [%s]\n    y-axis \"requests\" 0 --> %d\n    bar [%s]\n```\n\n",
		strings.Join(days, ", "), top, strings.Join(counts, ", "))
}

func table[K ~string](out io.Writer, title string, order []K, n map[K]int) {
	if len(n) == 0 {
		return
	}
	fmt.Fprintf(out, "| %s | requests |\n| --- | ---: |\n", title)
	for _, k := range order {
		if n[k] > 0 {
			fmt.Fprintf(out, "| %s | %d |\n", words(k), n[k])
		}
	}
	fmt.Fprintln(out)
}

func words[K ~string](k K) string { return strings.ReplaceAll(string(k), "_", " ") }
