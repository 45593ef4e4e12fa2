package index

import (
	"fmt"
	"hash/fnv"
	"reflect"
	"time"

	"countersign/bot/access"
)

// applicationID marks a SQLite file as an index: "CSix".
const applicationID = 0x43536978

// schema is made anew for each file; there are no migrations.
//
// The index in_order is what lists walk along. The day goes first in it so that
// figures by day need no sorting, and the columns that are counted are in it.
const schema = `
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, note TEXT NOT NULL);
CREATE TABLE config (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, id TEXT NOT NULL, UNIQUE (at, id));
CREATE TABLE request (
	n        INTEGER PRIMARY KEY,
	id       TEXT NOT NULL UNIQUE,
	seq      INTEGER NOT NULL,
	day      INTEGER NOT NULL, -- of filing, since 1970
	filed    INTEGER NOT NULL, -- nanoseconds since 1970, as all times
	resource TEXT NOT NULL,
	provider TEXT NOT NULL,
	shown    TEXT NOT NULL,    -- status as people see it
	live     INTEGER NOT NULL, -- whether the status is live
	source   TEXT NOT NULL,
	fate     INTEGER NOT NULL, -- which of access.Fates
	step     INTEGER NOT NULL, -- of waiting, for what people decided; else -1
	granted  INTEGER,
	ended    INTEGER NOT NULL, -- far away where it has not
	late     INTEGER NOT NULL, -- whether it outlived its expiry, or may still
	words    BLOB NOT NULL     -- each word once, in lower case
);
CREATE TABLE body (n INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE mark (kind INTEGER, key TEXT, n INTEGER, PRIMARY KEY (kind, key, n)) WITHOUT ROWID;
CREATE TABLE decider (n INTEGER, i INTEGER, email TEXT NOT NULL, day INTEGER NOT NULL, denied INTEGER NOT NULL, wait INTEGER NOT NULL,
	PRIMARY KEY (n, i)) WITHOUT ROWID;
CREATE TABLE place (id TEXT PRIMARY KEY, dir TEXT NOT NULL, commits BLOB NOT NULL, open INTEGER NOT NULL, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE key (key TEXT, id TEXT, PRIMARY KEY (key, id)) WITHOUT ROWID;
CREATE INDEX to_do ON place (id) WHERE open = 1;
CREATE INDEX by_last ON place (last);
CREATE INDEX in_order ON request (day, filed, id, fate, step);
CREATE INDEX by_day ON request (day, fate, step);
CREATE INDEX by_decider ON decider (email, wait, day, denied);
CREATE INDEX by_resource ON request (resource, day, filed);
CREATE INDEX by_provider ON request (provider, day, filed);
CREATE INDEX by_shown ON request (shown, day, filed);
CREATE INDEX by_source ON request (source, day, filed);
CREATE INDEX being ON request (ended, granted) WHERE granted IS NOT NULL;
CREATE INDEX living ON request (resource) WHERE live = 1;
CREATE INDEX lately ON request (filed) WHERE late = 1;
`

// The kinds of marks: what else a request can be found by, besides its columns.
const (
	markPerson = iota // of [access.Request.People]
	markParty         // of [access.Request.Parties]
	markPolicy
)

// version is that of the files this program reads, see the package comment.
func (c *codec) version() (int32, error) {
	r := access.Request{}
	specimen(reflect.ValueOf(&r).Elem(), new(int))
	x := fnv.New32a()
	fmt.Fprintln(x, schema, c.types)
	for _, s := range []access.Status{access.Denied, access.Live, access.Pending} {
		r.Status = s
		row, err := c.rowOf(r)
		if err != nil {
			return 0, err
		}
		fmt.Fprintf(x, "%+v\n", row)
	}
	return int32(x.Sum32()), nil
}

// specimen fills a value so that each part of it can be told from the others.
func specimen(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("Part %d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		specimen(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		specimen(v.Index(0), n)
		specimen(v.Index(1), n)
	case reflect.Struct:
		if v.Type() == timeType {
			v.Set(reflect.ValueOf(time.Unix(int64(*n)*100, 0).UTC()))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				specimen(v.Field(i), n)
			}
		}
	}
}
