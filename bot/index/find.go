package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"
)

// few is how many matches are sorted rather than found along the order.
const few = 5000

// Find lists up to limit requests that match, the newest filing first, of those
// filed at once the greatest id, beginning after the one with the id after (""
// for the newest), and counts all that match. After an id that is not there
// comes nothing. Free text of thousands of words is [ErrTooMuch].
func (x *Index) Find(ctx context.Context, f access.Filter, after string, limit int) (list []access.Request, total int, err error) {
	err = x.reading(ctx, "find requests", func(tx *sql.Tx) error {
		w, err := where(f, sorting)
		if err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM request r"+w.clause(), w.args...).Scan(&total); err != nil {
			return err
		}
		if total == 0 || limit <= 0 {
			return nil
		}
		from := "request r"
		if total > few {
			from = "request r INDEXED BY in_order"
			if w, err = where(f, walking); err != nil {
				return err
			}
		}
		if after != "" {
			day, filed, there, err := place(ctx, tx, after)
			if err != nil || !there {
				return err
			}
			w.add("(r.day, r.filed, r.id) < (?, ?, ?)", day, filed, after)
		}
		list, err = x.list(ctx, tx, "SELECT r.n FROM "+from+w.clause()+newestFirst+" LIMIT ?", append(w.args, limit)...)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return list, total, nil
}

const newestFirst = " ORDER BY r.day DESC, r.filed DESC, r.id DESC"

// place is where a request stands in the order.
func place(ctx context.Context, tx *sql.Tx, id string) (day, filed int64, there bool, err error) {
	err = tx.QueryRowContext(ctx, "SELECT day, filed FROM request WHERE id = ?", id).Scan(&day, &filed)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, false, nil
	}
	return day, filed, err == nil, err
}

// list reads the requests whose numbers a query names, in its order. The states
// are read one by one: sorting them would take the room of them all.
func (x *Index) list(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]access.Request, error) {
	numbers, err := column[int64](ctx, tx, query, args...)
	if err != nil || len(numbers) == 0 {
		return nil, err
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
// error, as it is.
func (x *Index) Each(ctx context.Context, f access.Filter, fn func(access.Request) error) error {
	var refused error
	err := x.reading(ctx, "go through the requests", func(tx *sql.Tx) error {
		w, err := where(f, walking)
		if err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, "SELECT (SELECT data FROM body b WHERE b.n = r.n) FROM request r INDEXED BY in_order"+
			w.clause()+" ORDER BY r.day, r.filed, r.id", w.args...)
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
		list, err = x.list(ctx, tx, "SELECT r.n FROM request r"+w.clause()+newestFirst, w.args...)
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
