package index

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"
)

// few is how many matches are read and sorted, rather than counted and found
// along the order.
const few = 1000

// Find lists up to limit requests that match, the newest filing first, of those
// filed at once the greatest id, beginning after the one with the id after (""
// for the newest), and counts all that match. After an id that is not there
// comes nothing. Free text of thousands of words is [ErrTooMuch].
func (x *Index) Find(ctx context.Context, f access.Filter, after string, limit int) (list []access.Request, total int, err error) {
	err = x.reading(ctx, "find requests", func(tx *sql.Tx) error {
		begin, there, err := begins(ctx, tx, after)
		if err != nil {
			return err
		}
		if !there {
			limit = 0
		}
		w, err := where(f, sorting)
		if err != nil {
			return err
		}
		matches, err := places(ctx, tx, "SELECT r.n, r.day, r.filed, r.id"+w.query("")+" LIMIT ?", append(w.args, few+1)...)
		if err != nil {
			return err
		}
		var numbers []int64
		if total = len(matches); total <= few {
			numbers = newest(matches, begin, limit)
		} else {
			if err := tx.QueryRowContext(ctx, "SELECT count(*)"+w.query(""), w.args...).Scan(&total); err != nil {
				return err
			}
			if numbers, err = walk(ctx, tx, f, begin, limit); err != nil {
				return err
			}
		}
		list, err = x.states(ctx, tx, numbers)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return list, total, nil
}

// A place is where a request stands in the order.
type place struct {
	n, day, filed int64
	id            string
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.day, o.day), cmp.Compare(p.filed, o.filed), cmp.Compare(p.id, o.id))
}

func places(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]place, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []place
	for rows.Next() {
		var p place
		if err := rows.Scan(&p.n, &p.day, &p.filed, &p.id); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// begins finds the place after which a page begins: nil for the first one.
func begins(ctx context.Context, tx *sql.Tx, after string) (p *place, there bool, err error) {
	if after == "" {
		return nil, true, nil
	}
	found, err := places(ctx, tx, "SELECT n, day, filed, id FROM request WHERE id = ?", after)
	if err != nil || len(found) == 0 {
		return nil, false, err
	}
	return &found[0], true, nil
}

// newest makes a page of all matches.
func newest(matches []place, begin *place, limit int) []int64 {
	if begin != nil {
		matches = slices.DeleteFunc(matches, func(p place) bool { return p.compare(*begin) >= 0 })
	}
	slices.SortFunc(matches, func(a, b place) int { return b.compare(a) })
	var out []int64
	for _, p := range matches[:max(0, min(limit, len(matches)))] {
		out = append(out, p.n)
	}
	return out
}

// walk makes a page by going along the order: so many match that the next ones
// are not far.
func walk(ctx context.Context, tx *sql.Tx, f access.Filter, begin *place, limit int) ([]int64, error) {
	w, err := where(f, walking)
	if err != nil || limit <= 0 {
		return nil, err
	}
	if begin != nil {
		w.add("(r.day, r.filed, r.id) < (?, ?, ?)", begin.day, begin.filed, begin.id)
	}
	return column[int64](ctx, tx, "SELECT r.n"+w.query("")+newestFirst+" LIMIT ?", append(w.args, limit)...)
}

const newestFirst = " ORDER BY r.day DESC, r.filed DESC, r.id DESC"

// list reads the requests whose numbers a query names, in its order. The states
// are read one by one: sorting them would take the room of them all.
func (x *Index) list(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]access.Request, error) {
	numbers, err := column[int64](ctx, tx, query, args...)
	if err != nil {
		return nil, err
	}
	return x.states(ctx, tx, numbers)
}

func (x *Index) states(ctx context.Context, tx *sql.Tx, numbers []int64) ([]access.Request, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	body, err := tx.PrepareContext(ctx, "SELECT data FROM body WHERE n = ?")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	out := make([]access.Request, len(numbers))
	for i, n := range numbers {
		var data []byte
		if err := body.QueryRowContext(ctx, n).Scan(&data); err != nil {
			return nil, err
		}
		if out[i], err = x.codec.decode(data); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// column reads all values of a query with one column.
func column[T any](ctx context.Context, tx *sql.Tx, query string, args ...any) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Each calls fn with every request that matches, by filing, then by id, oldest
// first, one at a time: it takes the memory of one. It ends with fn's first
// error, as it is. All are of one state of the index, for which the file keeps
// what is written meanwhile aside until fn is through: give ctx an end.
func (x *Index) Each(ctx context.Context, f access.Filter, fn func(access.Request) error) error {
	var refused error
	err := x.reading(ctx, "go through the requests", func(tx *sql.Tx) error {
		w, err := where(f, walking)
		if err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, "SELECT (SELECT data FROM body b WHERE b.n = r.n)"+
			w.query("")+" ORDER BY r.day, r.filed, r.id", w.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var data sql.RawBytes
			if err := rows.Scan(&data); err != nil {
				return err
			}
			r, err := x.codec.decode(data)
			if err != nil {
				return err
			}
			if refused = fn(r); refused != nil {
				return nil
			}
		}
		return rows.Err()
	})
	if refused != nil {
		return refused
	}
	return err
}

// LiveAt lists the requests that match whose access was there at a moment, see
// [access.Request.LiveAt], the newest filing first.
func (x *Index) LiveAt(ctx context.Context, f access.Filter, at time.Time) (list []access.Request, err error) {
	err = x.reading(ctx, "find live access", func(tx *sql.Tx) error {
		w, err := where(f, sorting)
		if err != nil {
			return err
		}
		w.add("r.granted IS NOT NULL AND r.granted <= ? AND r.ended > ?", nanos(at), nanos(at))
		list, err = x.list(ctx, tx, "SELECT r.n"+w.query("")+newestFirst, w.args...)
		return err
	})
	return list, err
}

// Request is the state of one request; false if there is none of that id.
func (x *Index) Request(ctx context.Context, id string) (r access.Request, there bool, err error) {
	err = x.reading(ctx, "look up a request", func(tx *sql.Tx) error {
		list, err := x.list(ctx, tx, "SELECT n FROM request WHERE id = ?", id)
		if len(list) > 0 {
			r, there = list[0], true
		}
		return err
	})
	return r, there, err
}

// ConfigAt is the commit of the configuration that was in use at a moment; empty
// if none was as early. Of several from one moment on, it is the last put.
func (x *Index) ConfigAt(ctx context.Context, t time.Time) (commit string, err error) {
	err = x.reading(ctx, "look up a configuration", func(tx *sql.Tx) error {
		found, err := column[string](ctx, tx, "SELECT id FROM config WHERE at <= ? ORDER BY at DESC, n DESC LIMIT 1", nanos(t))
		if len(found) > 0 {
			commit = found[0]
		}
		return err
	})
	return commit, err
}

// Choices are the values that occur in requests, each sorted. The people are
// those that a filter for a person finds, by address.
func (x *Index) Choices(ctx context.Context) (c access.Choices, err error) {
	err = x.reading(ctx, "list the choices", func(tx *sql.Tx) error {
		for _, v := range []struct {
			into      *[]string
			key, from string
		}{
			{&c.People, "key", fmt.Sprintf("mark WHERE kind = %d", markPerson)},
			{&c.Policies, "key", fmt.Sprintf("mark WHERE kind = %d", markPolicy)},
			{&c.Resources, "resource", "request WHERE true"},
			{&c.Providers, "provider", "request WHERE true"},
		} {
			// From each value to the next greater one: a step each, whatever the table's size.
			least := "SELECT min(" + v.key + ") FROM " + v.from
			var err error
			*v.into, err = column[string](ctx, tx, "WITH RECURSIVE v (x) AS ("+least+" UNION ALL SELECT ("+least+" AND "+v.key+
				" > v.x) FROM v WHERE v.x IS NOT NULL) SELECT x FROM v WHERE x IS NOT NULL AND x <> ''")
			if err != nil {
				return err
			}
		}
		c.People = slices.DeleteFunc(c.People, func(k string) bool { return !strings.Contains(k, "@") })
		return nil
	})
	return c, err
}
