package index

import (
	"database/sql"
	"math"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"
)

// A row is what is drawn from a request to find it and to count it.
type row struct {
	id                                string
	seq                               int
	day, filed                        int64
	resource, provider, shown, source string
	live, late                        bool
	fate, step                        int
	granted                           sql.Null[int64]
	ended                             int64
	words                             []byte
	marks                             []mark
	deciders                          []decider
	data                              []byte // the request itself
}

type mark struct {
	kind int
	key  string
}

// A decider is one person's part in a decision.
type decider struct {
	email  string
	denied bool
	wait   time.Duration
}

// never is the end of what has not ended.
const never = math.MaxInt64

func (c *codec) rowOf(r access.Request) (row, error) {
	data, err := c.encode(r)
	if err != nil {
		return row{}, err
	}
	x := row{
		id: r.ID, seq: r.Seq, day: dayOf(r.FiledAt), filed: nanos(r.FiledAt),
		resource: r.Resource, provider: r.Target.Provider, shown: string(r.Shown()),
		live: r.Status == access.Live, fate: slices.Index(access.Fates, access.FateOf(r.Shown())), step: -1,
		ended: never, late: mayBeLate(r), words: wordsOf(r.Searchable()), marks: marksOf(r), data: data,
	}
	if r.Grant != nil && !r.Grant.GrantedAt.IsZero() {
		x.granted = sql.Null[int64]{V: nanos(r.Grant.GrantedAt), Valid: true}
	}
	if r.End != nil {
		x.ended = nanos(r.End.At)
	}
	if d := r.Decision; d != nil {
		x.source = string(d.Source)
		wait := d.At.Sub(r.FiledAt)
		for _, email := range r.Deciders() {
			x.step = access.WaitStep(wait)
			x.deciders = append(x.deciders, decider{email, r.Status == access.Denied, wait})
		}
	}
	return x, nil
}

// mayBeLate reports whether a request is an overrun, or might be one later.
func mayBeLate(r access.Request) bool {
	if r.Grant == nil || r.Grant.GrantedAt.IsZero() {
		return false
	}
	_, over := r.Overrun(r.Last)
	return over || r.End == nil
}

func marksOf(r access.Request) []mark {
	var out []mark
	add := func(kind int, keys []string) {
		for _, k := range keys {
			if m := (mark{kind, k}); !slices.Contains(out, m) {
				out = append(out, m)
			}
		}
	}
	add(markPerson, r.People())
	add(markParty, r.Parties())
	if r.Decision != nil {
		add(markPolicy, r.Decision.Policies)
	}
	return out
}

// wordsOf keeps each word of a text once. What is searched for has no spaces in
// it, so it is in the text exactly where it is in one of the words.
func wordsOf(text string) []byte {
	seen := map[string]bool{}
	out := make([]byte, 0, len(text))
	for word := range strings.FieldsSeq(text) {
		if !seen[word] {
			seen[word] = true
			out = append(append(out, word...), '\n')
		}
	}
	return out
}

// nanos is a time as the file has it; what is centuries away is far away.
func nanos(t time.Time) int64 {
	const far = math.MaxInt64 / int64(time.Second)
	switch s := t.Unix(); {
	case s >= far:
		return never - 1
	case s <= -far:
		return math.MinInt64
	}
	return t.UnixNano()
}

// dayOf counts days since 1970, in UTC.
func dayOf(t time.Time) int64 {
	return t.UTC().Truncate(24*time.Hour).Unix() / (24 * 60 * 60)
}
