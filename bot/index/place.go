package index

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// A Place says where in the log something stands. What it is about is the
// feeder's business.
type Place struct {
	ID      string
	Dir     string
	Commits []string // ids of 40 digits
	Open    bool     // whether [Index.Places] names it, however old it is
	Last    time.Time
	Keys    []string // by which it is found, besides its id
}

// place writes a place. The keys that it had stay.
func (p *putter) place(x Place) error {
	var commits []byte
	for _, c := range x.Commits {
		id, err := hex.DecodeString(c)
		if err != nil || len(id) != commitSize {
			return fmt.Errorf("%q is no commit", c)
		}
		commits = append(commits, id...)
	}
	err := p.exec("INSERT OR REPLACE INTO place VALUES (?, ?, ?, ?, ?)", x.ID, x.Dir, commits, x.Open, nanos(x.Last))
	for _, k := range x.Keys {
		if err == nil {
			err = p.exec("INSERT OR IGNORE INTO key VALUES (?, ?)", k, x.ID)
		}
	}
	return err
}

const commitSize = 20

// Places returns the head, the note that came with it, and the places that are
// open, or whose Last is less than late before the greatest of all. They come
// without their keys.
func (x *Index) Places(ctx context.Context, late time.Duration) (head, note string, list []Place, err error) {
	err = x.reading(ctx, "list what is open", func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT id, note FROM head").Scan(&head, &note)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		list, err = placesWhere(ctx, tx, "open = 1 OR last > (SELECT max(last) FROM place) - ?", int64(late))
		return err
	})
	return head, note, list, err
}

// PlacesOf are the places with an id, or with a key, the greatest id first,
// without their keys.
func (x *Index) PlacesOf(ctx context.Context, idOrKey string) (list []Place, err error) {
	err = x.reading(ctx, "look up a place", func(tx *sql.Tx) error {
		list, err = placesWhere(ctx, tx, "id = ?1 OR id IN (SELECT id FROM key WHERE key = ?1) ORDER BY id DESC", idOrKey)
		return err
	})
	return list, err
}

func placesWhere(ctx context.Context, tx *sql.Tx, where string, arg any) ([]Place, error) {
	rows, err := tx.QueryContext(ctx, "SELECT id, dir, commits, open, last FROM place WHERE "+where, arg)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Place
	for rows.Next() {
		var p Place
		var commits sql.RawBytes
		var last int64
		if err := rows.Scan(&p.ID, &p.Dir, &commits, &p.Open, &last); err != nil {
			return nil, err
		}
		if len(commits)%commitSize != 0 {
			return nil, ErrDamaged
		}
		for ; len(commits) > 0; commits = commits[commitSize:] {
			p.Commits = append(p.Commits, hex.EncodeToString(commits[:commitSize]))
		}
		p.Last = time.Unix(0, last).UTC()
		out = append(out, p)
	}
	return out, rows.Err()
}
