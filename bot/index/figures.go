package index

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"countersign/bot/access"
)

// Figures are those of the requests that match, as [access.Count] makes them.
func (x *Index) Figures(ctx context.Context, f access.Filter, now time.Time) (out access.Figures, err error) {
	err = x.reading(ctx, "count requests", func(tx *sql.Tx) error {
		w, err := where(f, sorting)
		if err != nil {
			return err
		}
		parts := []func(context.Context, *sql.Tx, *condition, *access.Figures) error{days, deciders, living}
		if span, ok := spanOf(f); ok {
			parts = []func(context.Context, *sql.Tx, *condition, *access.Figures) error{span.days, span.deciders, living}
		}
		for _, part := range parts {
			if err := part(ctx, tx, w, &out); err != nil {
				return err
			}
		}
		return x.overruns(ctx, tx, w, now, &out)
	})
	if err != nil {
		return access.Figures{}, err
	}
	out.Sort()
	return out, nil
}

// days counts the fates and the steps of waiting, by day of filing.
func days(ctx context.Context, tx *sql.Tx, w *condition, out *access.Figures) error {
	var sums strings.Builder
	for i := range access.Fates {
		fmt.Fprintf(&sums, ", sum(r.fate = %d)", i)
	}
	for i := range out.Waits {
		fmt.Fprintf(&sums, ", sum(r.step = %d)", i)
	}
	rows, err := tx.QueryContext(ctx, "SELECT r.day"+sums.String()+w.query("")+" GROUP BY r.day", w.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	counts := make([]int64, 1+len(access.Fates)+len(out.Waits))
	into := make([]any, len(counts))
	for i := range counts {
		into[i] = &counts[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		day := access.Day{Date: time.Unix(counts[0]*24*60*60, 0).UTC(), Fates: map[access.Fate]int{}}
		for i, fate := range access.Fates {
			if n := counts[1+i]; n > 0 {
				day.Fates[fate] = int(n)
			}
		}
		out.Days = append(out.Days, day)
		for i := range out.Waits {
			out.Waits[i] += int(counts[1+len(access.Fates)+i])
		}
	}
	return rows.Err()
}

// deciders counts who decides how much, and how fast.
func deciders(ctx context.Context, tx *sql.Tx, w *condition, out *access.Figures) error {
	query := "SELECT d.email, d.denied, d.wait"
	if len(w.parts) == 0 {
		query += " FROM decider d"
	} else {
		query += w.query(" CROSS JOIN decider d ON d.n = r.n")
	}
	rows, err := tx.QueryContext(ctx, query, w.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	type tally struct {
		access.Decider
		waits []time.Duration
	}
	by := map[string]*tally{}
	for rows.Next() {
		var email sql.RawBytes
		var denied bool
		var wait int64
		if err := rows.Scan(&email, &denied, &wait); err != nil {
			return err
		}
		d := by[string(email)]
		if d == nil {
			d = &tally{Decider: access.Decider{Email: string(email)}}
			by[d.Email] = d
		}
		if denied {
			d.Denied++
		} else {
			d.Approved++
		}
		d.waits = append(d.waits, time.Duration(wait))
	}
	for _, d := range by {
		d.Median = access.Median(d.waits)
		out.Deciders = append(out.Deciders, d.Decider)
	}
	return rows.Err()
}

// A span of whole days is what most figures are asked of, and nothing else is. It
// is counted along indexes of its own, in which everything stands that is counted.
type span struct{ from, to int64 } // days since 1970, both of them in it

// spanOf is the span that a filter is about, where it is about nothing else.
func spanOf(f access.Filter) (span, bool) {
	s := span{math.MinInt64, math.MaxInt64}
	if !reflect.DeepEqual(f, access.Filter{From: f.From, To: f.To}) || !wholeDay(f.From) || !wholeDay(f.To) {
		return s, false
	}
	if !f.From.IsZero() {
		s.from = dayOf(f.From)
	}
	if !f.To.IsZero() {
		s.to = dayOf(f.To) - 1
	}
	return s, true
}

// wholeDay reports whether a time is the beginning of a day, or none.
func wholeDay(t time.Time) bool { return t.IsZero() || t.UTC().Truncate(24*time.Hour).Equal(t) }

func (s span) days(ctx context.Context, tx *sql.Tx, _ *condition, out *access.Figures) error {
	rows, err := tx.QueryContext(ctx, "SELECT day, fate, step, count(*) FROM request INDEXED BY by_day WHERE day BETWEEN ? AND ? GROUP BY day, fate, step", s.from, s.to)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var day, fate, step int64
		var n int
		if err := rows.Scan(&day, &fate, &step, &n); err != nil {
			return err
		}
		date := time.Unix(day*24*60*60, 0).UTC()
		if last := len(out.Days) - 1; last < 0 || !out.Days[last].Date.Equal(date) {
			out.Days = append(out.Days, access.Day{Date: date, Fates: map[access.Fate]int{}})
		}
		out.Days[len(out.Days)-1].Fates[access.Fates[fate]] += n
		if step >= 0 {
			out.Waits[step] += n
		}
	}
	return rows.Err()
}

// deciders are counted by SQLite; of how long each took, it looks up the middle one.
func (s span) deciders(ctx context.Context, tx *sql.Tx, _ *condition, out *access.Figures) error {
	rows, err := tx.QueryContext(ctx, "SELECT email, count(*), sum(denied) FROM decider INDEXED BY by_decider WHERE day BETWEEN ? AND ? GROUP BY email", s.from, s.to)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var d access.Decider
		if err := rows.Scan(&d.Email, &d.Approved, &d.Denied); err != nil {
			return err
		}
		d.Approved -= d.Denied
		out.Deciders = append(out.Deciders, d)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for i := range out.Deciders {
		d := &out.Deciders[i]
		row := tx.QueryRowContext(ctx, "SELECT wait FROM decider INDEXED BY by_decider WHERE email = ? AND day BETWEEN ? AND ? ORDER BY wait LIMIT 1 OFFSET ?",
			d.Email, s.from, s.to, (d.Approved+d.Denied-1)/2)
		if err := row.Scan(&d.Median); err != nil {
			return err
		}
	}
	return nil
}

// living counts live access by resource.
func living(ctx context.Context, tx *sql.Tx, w *condition, out *access.Figures) error {
	live := w.and("r.live = 1")
	rows, err := tx.QueryContext(ctx, "SELECT r.resource, count(*)"+live.query("")+" GROUP BY r.resource", live.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var t access.Tally
		if err := rows.Scan(&t.Name, &t.Count); err != nil {
			return err
		}
		out.Live = append(out.Live, t)
	}
	return rows.Err()
}

// overruns asks the requests themselves: those that may be any are few.
func (x *Index) overruns(ctx context.Context, tx *sql.Tx, w *condition, now time.Time, out *access.Figures) error {
	late := w.and("r.late = 1")
	list, err := x.list(ctx, tx, "SELECT r.n"+late.query(""), late.args...)
	for _, r := range list {
		if o, over := r.Overrun(now); over {
			out.Overruns = append(out.Overruns, o)
		}
	}
	return err
}
