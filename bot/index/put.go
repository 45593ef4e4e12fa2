package index

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"countersign/bot/access"
)

// A Batch is what happened in the log since it was fed last.
type Batch struct {
	// Head is the commit that the index has reached with this batch. Where a
	// first feed comes in several, all but the last have none.
	Head     string
	Note     string           // what the feeder wants to find again with the head
	Requests []access.Request // the present states of those that changed
	Configs  []ConfigUse      // that came into use
	Places   []Place          // that are new or have changed
}

// A ConfigUse says from when on a commit of the configuration was in use.
type ConfigUse struct {
	At     time.Time
	Commit string
}

// Put adds a batch: all of it, with its head, or nothing. Feeding the same twice
// is harmless, and an older state never replaces a newer one. After an error it
// is not known whether the batch is in; it can be put again.
func (x *Index) Put(ctx context.Context, b Batch) error {
	x.feeding.Lock()
	defer x.feeding.Unlock()
	f, err := x.current()
	if err != nil {
		return err
	}
	if err := f.put(ctx, x.codec, b); err != nil {
		return explain(ctx, "put a batch", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.head = b.Head
	return nil
}

func (f *file) put(ctx context.Context, c *codec, b Batch) error {
	tx, err := f.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	p := &putter{ctx: ctx, tx: tx, codec: c, made: map[string]*sql.Stmt{}}
	for _, r := range b.Requests {
		if err := p.request(r); err != nil {
			return err
		}
	}
	for _, u := range b.Configs {
		if err := p.exec("INSERT OR IGNORE INTO config (at, id) VALUES (?, ?)", nanos(u.At), u.Commit); err != nil {
			return err
		}
	}
	for _, at := range b.Places {
		if err := p.place(at); err != nil {
			return err
		}
	}
	if err := p.exec("INSERT OR REPLACE INTO head VALUES (1, ?, ?)", b.Head, b.Note); err != nil {
		return err
	}
	return tx.Commit()
}

// A putter writes within one transaction.
type putter struct {
	ctx   context.Context
	tx    *sql.Tx
	codec *codec
	made  map[string]*sql.Stmt // statements, by their text
}

func (p *putter) stmt(query string) (*sql.Stmt, error) {
	if s := p.made[query]; s != nil {
		return s, nil
	}
	s, err := p.tx.PrepareContext(p.ctx, query)
	if err == nil {
		p.made[query] = s
	}
	return s, err
}

func (p *putter) exec(query string, args ...any) error {
	s, err := p.stmt(query)
	if err == nil {
		_, err = s.ExecContext(p.ctx, args...)
	}
	return err
}

// request writes one state, unless one as new is there.
func (p *putter) request(r access.Request) error {
	find, err := p.stmt("SELECT n, seq FROM request WHERE id = ?")
	if err != nil {
		return err
	}
	var n int64
	var seq int
	err = find.QueryRowContext(p.ctx, r.ID).Scan(&n, &seq)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return p.insert(r)
	case err != nil || seq >= r.Seq:
		return err
	}
	return p.update(n, r)
}

func (p *putter) insert(r access.Request) error {
	x, err := p.codec.rowOf(r)
	if err != nil {
		return err
	}
	s, err := p.stmt(`INSERT INTO request (seq, day, filed, resource, provider, shown, live, source, fate, step, granted, ended, late, words, id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	done, err := s.ExecContext(p.ctx, x.columns()...)
	if err != nil {
		return err
	}
	n, err := done.LastInsertId()
	if err != nil {
		return err
	}
	if err := p.exec("INSERT INTO body VALUES (?, ?)", n, x.data); err != nil {
		return err
	}
	return p.rest(n, x, nil)
}

// update replaces a state. What the old one was found by is read from it, so
// that only what differs is written.
func (p *putter) update(n int64, r access.Request) error {
	x, err := p.codec.rowOf(r)
	if err != nil {
		return err
	}
	body, err := p.stmt("SELECT data FROM body WHERE n = ?")
	if err != nil {
		return err
	}
	var data []byte
	if err := body.QueryRowContext(p.ctx, n).Scan(&data); err != nil {
		return err
	}
	old, err := p.codec.decode(data)
	if err != nil {
		return err
	}
	err = p.exec(`UPDATE request SET seq = ?, day = ?, filed = ?, resource = ?, provider = ?, shown = ?, live = ?, source = ?, fate = ?,
		step = ?, granted = ?, ended = ?, late = ?, words = ? WHERE id = ?`, x.columns()...)
	if err != nil {
		return err
	}
	if err := p.exec("UPDATE body SET data = ? WHERE n = ?", x.data, n); err != nil {
		return err
	}
	if err := p.exec("DELETE FROM decider WHERE n = ?", n); err != nil {
		return err
	}
	had := marksOf(old)
	for _, m := range had {
		if !slices.Contains(x.marks, m) {
			if err := p.exec("DELETE FROM mark WHERE kind = ? AND key = ? AND n = ?", m.kind, m.key, n); err != nil {
				return err
			}
		}
	}
	return p.rest(n, x, had)
}

// rest writes what is in tables of its own, but for the marks that are there.
func (p *putter) rest(n int64, x row, had []mark) error {
	for _, m := range x.marks {
		if !slices.Contains(had, m) {
			if err := p.exec("INSERT INTO mark VALUES (?, ?, ?)", m.kind, m.key, n); err != nil {
				return err
			}
		}
	}
	for i, d := range x.deciders {
		if err := p.exec("INSERT INTO decider VALUES (?, ?, ?, ?, ?, ?)", n, i, d.email, x.day, d.denied, int64(d.wait)); err != nil {
			return err
		}
	}
	return nil
}

// columns are the values of the table request, the id last.
func (x row) columns() []any {
	return []any{x.seq, x.day, x.filed, x.resource, x.provider, x.shown, x.live, x.source, x.fate, x.step, x.granted, x.ended, x.late, x.words, x.id}
}
