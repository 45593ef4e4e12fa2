package index_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/index"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// exported compares all that a request shows.
var exported = cmpopts.IgnoreUnexported(access.Request{})

// same compares lists: all of short ones, of long ones the ids, of which the
// rest follows by [index.Index.Request].
func same(want, got []access.Request) string {
	if len(want) < 50 && len(got) < 50 {
		return gocmp.Diff(want, got, exported)
	}
	return gocmp.Diff(ids(want), ids(got))
}

func ids(list []access.Request) []string {
	var out []string
	for _, r := range list {
		out = append(out, fmt.Sprint(r.ID, " ", r.Seq, " ", r.Status, " ", r.FiledAt))
	}
	return out
}

func open(t testing.TB, path string) *index.Index {
	t.Helper()
	x, err := index.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func put(t testing.TB, x *index.Index, b index.Batch) {
	t.Helper()
	if err := x.Put(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// hostile is what people may write, or look for.
var hostile = []string{
	`'`, `"`, `''; DROP TABLE request; --`, `%`, `_`, `*`, `a OR b`, `NEAR(x y)`, `"x" AND -y`, `^x`, `col:x`, `\`, "nul\x00nul", "\x00",
	"bad\xffutf8\xc3", "é\u0301", "ÄRGER", "İstanbul", "ſ", "K", "東京", "👍🏽", "\u00a0x", "a\u2003b", "\t\n", "?1", ":n", "{}", "[1]",
	strings.Repeat("long ", 2000), strings.Repeat("x", 10000),
}

// garble changes requests so that nothing in them is as people usually write it.
func garble(rng *rand.Rand, list []access.Request) {
	text := func(s *string) {
		if rng.IntN(3) == 0 {
			*s = hostile[rng.IntN(len(hostile)-2)] // the long ones would take the time
		}
	}
	for i := range list {
		if rng.IntN(4) > 0 {
			continue
		}
		r := &list[i]
		text(&r.Reason)
		text(&r.Ticket)
		text(&r.Title)
		text(&r.Resource)
		text(&r.Requestor.Email)
		text(&r.Principal.Slack)
		text(&r.Target.Provider)
		if rng.IntN(3) == 0 {
			r.Target.With = map[string]any{
				"none": nil, "yes": true, "n": 7, "big": int64(-1 << 60), "u": uint64(1 << 63), "f": -0.5, "t": r.FiledAt,
				"list": []any{"a", 1, []any{}, map[string]any{}}, "odd": map[any]any{1: "x", "y": nil}, "texts": []string{"", "b"},
			}
		}
		if r.Decision != nil {
			d := *r.Decision
			r.Decision = &d
			text(&d.Reason)
			d.Policies = slices.Concat(d.Policies, d.Policies, []string{hostile[rng.IntN(10)]})
			d.Approvers = slices.Concat(d.Approvers, d.Approvers)
		}
		switch rng.IntN(6) {
		case 0: // as many at once
			r.FiledAt = list[i/50*50].FiledAt
		case 1:
			r.FiledAt = r.FiledAt.Add(time.Duration(rng.IntN(1e9)))
		case 2:
			r.FiledAt = r.FiledAt.Truncate(24 * time.Hour)
		}
		if rng.IntN(40) == 0 {
			r.FiledAt = time.Date(1969-rng.IntN(60), 1, 2, 3, 4, 5, 6, time.UTC)
		}
	}
}

// filters are random ones, most of them made of what is there to be found.
func filter(rng *rand.Rand, list []access.Request) access.Filter {
	some := func() access.Request { return list[rng.IntN(len(list))] }
	maybe := func(one int) bool { return rng.IntN(one) == 0 }
	var f access.Filter
	if maybe(3) {
		for range 1 + rng.IntN(3) {
			f.Text += word(rng, some()) + " "
		}
	}
	if maybe(8) {
		id := some().ID
		f.ID = pick(rng, []string{id, id[:8], id[20:], strings.ToLower(id[:7]), id[5:9], "no id at all, and longer than one"})
	}
	if maybe(6) {
		f.Person = append(some().People(), "nobody@example.com")[rng.IntN(2):]
		if maybe(2) {
			f.Person = []string{pick(rng, f.Person)}
		}
	}
	if maybe(6) {
		f.Resource = some().Resource
	}
	if maybe(6) {
		f.Provider = some().Target.Provider
	}
	if maybe(4) {
		f.Status = []access.Status{some().Shown(), access.Live, access.Pending, "odd"}[rng.IntN(3):]
	}
	if d := some().Decision; maybe(6) && d != nil {
		f.Source, f.Policy = d.Source, pick(rng, append(d.Policies, ""))
	}
	if maybe(4) {
		f.From = some().FiledAt.Add(time.Duration(rng.IntN(3) - 1))
	}
	if maybe(4) {
		f.To = some().FiledAt.Add(time.Duration(rng.IntN(3) - 1))
	}
	if maybe(6) {
		f.Involves = append(some().Parties(), "U0")[rng.IntN(2):]
		if maybe(5) {
			f.Involves = []string{}
		}
	}
	return f
}

// word is a part of what a request says, or something hostile.
func word(rng *rand.Rand, r access.Request) string {
	if rng.IntN(4) == 0 {
		return pick(rng, hostile)
	}
	text := []rune(r.Searchable())
	from := rng.IntN(len(text))
	word := string(text[from:min(len(text), from+1+rng.IntN(9))])
	if rng.IntN(3) == 0 {
		return strings.ToUpper(word)
	}
	return word
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// older is a request as it might have been some events before, with other
// things to be found by.
func older(r access.Request) access.Request {
	r.Seq, r.Status, r.Decision, r.Grant, r.End = r.Seq-1, access.Pending, nil, nil, nil
	r.Reason, r.Ticket = "before", "none"
	r.Messages, r.Votes = nil, nil
	r.Principal = access.Person{Email: "somebody.else@example.com"}
	return r
}

// feed puts states in some order, older ones among them, and some twice.
func feed(t *testing.T, rng *rand.Rand, x *index.Index, list []access.Request) {
	t.Helper()
	var states []access.Request
	for _, i := range rng.Perm(len(list)) {
		r := list[i]
		switch rng.IntN(4) {
		case 0:
			states = append(states, older(r), r, older(r))
		case 1:
			states = append(states, r, r)
		default:
			states = append(states, r)
		}
	}
	n := 0
	for batch := range slices.Chunk(states, 700) {
		n++
		put(t, x, index.Batch{Head: fmt.Sprint("head ", n), Requests: batch})
		if got, want := x.Head(), fmt.Sprint("head ", n); got != want {
			t.Fatalf("the head is %q, want %q", got, want)
		}
	}
}

// TestAgainstTheMeaning holds every answer against the pure functions of access.
func TestAgainstTheMeaning(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	list := bottest.Requests(3, 1500/slower)
	garble(rng, list)
	x := open(t, filepath.Join(t.TempDir(), "a b?c#d%41.db"))
	feed(t, rng, x, list)
	slices.SortFunc(list, func(a, b access.Request) int {
		return cmp.Or(a.FiledAt.Compare(b.FiledAt), cmp.Compare(a.ID, b.ID))
	})
	found := 0
	for i := range 300 / slower {
		f := access.Filter{}
		switch midnight := bottest.HistoryEnd.Truncate(24*time.Hour).AddDate(0, 0, -rng.IntN(700)); {
		case i > 5:
			f = filter(rng, list)
		case i > 0: // whole days are counted in a way of their own
			f.From, f.To = midnight, midnight.AddDate(0, 0, 1+rng.IntN(300))
			if i == 1 {
				f.To = time.Time{}
			} else if i == 2 {
				f.From = time.Time{}
			}
		}
		var want []access.Request
		for _, r := range list {
			if f.Match(r) {
				want = append(want, r)
			}
		}
		found += min(1, len(want))
		name := fmt.Sprintf("filter %d %.300q", i, fmt.Sprintf("%+v", f))
		checkEach(t, name, x, f, want)
		checkFind(t, name, x, f, want, 1+len(want)/(1+rng.IntN(6)))
		checkLive(t, name, x, f, want, list[rng.IntN(len(list))])
		now := bottest.HistoryEnd.Add(time.Duration(rng.IntN(100)) * time.Minute)
		got, err := x.Figures(t.Context(), f, now)
		if d := gocmp.Diff(access.Count(want, now), got); d != "" || err != nil {
			t.Errorf("%s: figures: %v %s", name, err, d)
		}
		if t.Failed() {
			break
		}
	}
	if found < 120/slower {
		t.Errorf("only %d filters found anything", found)
	}
	checkChoices(t, x, list)
	for _, want := range list {
		got, there, err := x.Request(t.Context(), want.ID)
		if d := gocmp.Diff(want, got, exported); d != "" || !there || err != nil {
			t.Errorf("request %s: %v %v %s", want.ID, there, err, d)
		}
	}
	if _, there, err := x.Request(t.Context(), "none"); there || err != nil {
		t.Errorf("no such request: %v %v", there, err)
	}
}

func checkEach(t *testing.T, name string, x *index.Index, f access.Filter, want []access.Request) {
	t.Helper()
	var got []access.Request
	err := x.Each(t.Context(), f, func(r access.Request) error {
		got = append(got, r)
		return nil
	})
	if d := same(want, got); d != "" || err != nil {
		t.Errorf("%s: each: %v %s", name, err, d)
	}
}

// checkFind joins the pages.
func checkFind(t *testing.T, name string, x *index.Index, f access.Filter, want []access.Request, limit int) {
	t.Helper()
	var got []access.Request
	after := ""
	for {
		page, total, err := x.Find(t.Context(), f, after, limit)
		if err != nil || total != len(want) {
			t.Fatalf("%s: find: %d in all, want %d: %v", name, total, len(want), err)
		}
		got = append(got, page...)
		if len(page) < limit {
			break
		}
		after = page[len(page)-1].ID
	}
	slices.Reverse(got)
	if d := same(want, got); d != "" {
		t.Errorf("%s: find: %s", name, d)
	}
}

func checkLive(t *testing.T, name string, x *index.Index, f access.Filter, match []access.Request, some access.Request) {
	t.Helper()
	at := some.Last
	switch {
	case len(match)%2 == 0 && some.End != nil:
		at = some.End.At
	case some.Grant != nil:
		at = some.Grant.GrantedAt
	}
	var want []access.Request
	for _, r := range slices.Backward(match) {
		if r.LiveAt(at) {
			want = append(want, r)
		}
	}
	got, err := x.LiveAt(t.Context(), f, at)
	if d := same(want, got); d != "" || err != nil {
		t.Errorf("%s: live at %s: %v %s", name, at, err, d)
	}
}

func checkChoices(t *testing.T, x *index.Index, list []access.Request) {
	t.Helper()
	var want access.Choices
	for _, r := range list {
		for _, k := range r.People() {
			if strings.Contains(k, "@") {
				want.People = append(want.People, k)
			}
		}
		want.Resources = append(want.Resources, r.Resource)
		want.Providers = append(want.Providers, r.Target.Provider)
		if r.Decision != nil {
			want.Policies = append(want.Policies, r.Decision.Policies...)
		}
	}
	for _, v := range []*[]string{&want.People, &want.Resources, &want.Providers, &want.Policies} {
		slices.Sort(*v)
		*v = slices.Compact(*v)
	}
	got, err := x.Choices(t.Context())
	if d := gocmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("choices: %v %s", err, d)
	}
}

// TestManyMatches pages through more than are sorted, and through nothing.
func TestManyMatches(t *testing.T) {
	if slower > 1 {
		t.Skip("alone, it cannot race")
	}
	list := bottest.Requests(4, 7000)
	x := open(t, filepath.Join(t.TempDir(), "index"))
	if got, total, err := x.Find(t.Context(), access.Filter{}, "", 10); len(got) != 0 || total != 0 || err != nil {
		t.Errorf("an empty index has %d of %d: %v", len(got), total, err)
	}
	put(t, x, index.Batch{Head: "a", Requests: list})
	for _, f := range []access.Filter{
		{}, {Text: "example"}, {Text: "a", Policy: ""}, {Involves: parties(list)}, {From: list[100].FiledAt, To: list[6900].FiledAt},
	} {
		var want []access.Request
		for _, r := range list {
			if f.Match(r) {
				want = append(want, r)
			}
		}
		if len(want) < 6000 {
			t.Fatalf("only %d match %.200q", len(want), fmt.Sprint(f))
		}
		checkFind(t, fmt.Sprintf("%.200q", fmt.Sprint(f)), x, f, want, 997)
	}
	if got, total, err := x.Find(t.Context(), access.Filter{}, "no such id", 10); len(got) != 0 || total != 7000 || err != nil {
		t.Errorf("after an id that is not there come %d of %d: %v", len(got), total, err)
	}
	if got, total, err := x.Find(t.Context(), access.Filter{}, "", 0); len(got) != 0 || total != 7000 || err != nil {
		t.Errorf("up to none are %d of %d: %v", len(got), total, err)
	}
}

func parties(list []access.Request) []string {
	var out []string
	for _, r := range list {
		out = append(out, r.Parties()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestHostileText: whatever is looked for is a text to look for.
func TestHostileText(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index"))
	var list []access.Request
	for i, h := range hostile {
		list = append(list, access.Request{ID: fmt.Sprint("R", i), Seq: 1, FiledAt: time.Unix(int64(i), 0).UTC(), Reason: h, Resource: h, Requestor: access.Person{Email: h}})
	}
	put(t, x, index.Batch{Head: "a", Requests: list})
	for _, h := range hostile {
		for _, f := range []access.Filter{
			{ID: h}, {Text: h}, {Resource: h}, {Person: []string{h}}, {Provider: h}, {Policy: h}, {Source: access.Source(h)},
			{Status: []access.Status{access.Status(h)}}, {Involves: []string{h}},
		} {
			var want []access.Request
			for _, r := range list {
				if f.Match(r) {
					want = append(want, r)
				}
			}
			checkFind(t, fmt.Sprintf("%.80q", fmt.Sprint(f)), x, f, want, 1000)
		}
	}
	var many strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&many, "%d ", i)
	}
	if _, total, err := x.Find(t.Context(), access.Filter{Text: many.String()}, "", 10); total != 0 || err != nil {
		t.Errorf("4,000 words find %d: %v", total, err)
	}
	if _, _, err := x.Find(t.Context(), access.Filter{Text: many.String() + strings.ReplaceAll(many.String(), " ", "x ")}, "", 10); !errors.Is(err, index.ErrTooMuch) {
		t.Errorf("8,000 words: %v", err)
	}
}

func TestEachEndsWithTheFirstError(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index"))
	put(t, x, index.Batch{Head: "a", Requests: bottest.Requests(1, 100)})
	want, calls := errors.New("enough"), 0
	err := x.Each(t.Context(), access.Filter{}, func(access.Request) error {
		if calls++; calls == 3 {
			return want
		}
		return nil
	})
	if err != want || calls != 3 {
		t.Errorf("%d calls, then %v", calls, err)
	}
}

func TestConfigAt(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index"))
	at := func(h int) time.Time { return time.Date(2026, 1, 1, h, 0, 0, 0, time.UTC) }
	uses := []index.ConfigUse{{at(1), "one"}, {at(5), "five"}, {at(5), "six"}, {at(9), "nine"}}
	put(t, x, index.Batch{Head: "a", Configs: uses})
	put(t, x, index.Batch{Head: "a", Configs: uses})
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Time{}, ""}, {at(0), ""}, {at(1), "one"}, {at(5).Add(-1), "one"}, {at(5), "six"}, {at(8), "six"}, {at(20), "nine"},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), "nine"},
	} {
		if got, err := x.ConfigAt(t.Context(), c.at); got != c.want || err != nil {
			t.Errorf("at %s: %q, want %q (%v)", c.at, got, c.want, err)
		}
	}
}

// TestCancelled: a context that ends ends a long query.
func TestCancelled(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index"))
	put(t, x, index.Batch{Head: "a", Requests: bottest.Requests(1, 3000)})
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := x.Each(ctx, access.Filter{}, func(access.Request) error {
		if n++; n == 10 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || n == 3000 {
		t.Errorf("after %d of 3000: %v", n, err)
	}
	if _, _, err := x.Find(ctx, access.Filter{}, "", 10); !errors.Is(err, context.Canceled) {
		t.Errorf("find: %v", err)
	}
	if err := x.Put(ctx, index.Batch{Head: "b"}); !errors.Is(err, context.Canceled) || x.Head() != "a" {
		t.Errorf("put: %v, head %q", err, x.Head())
	}
	if _, total, err := x.Find(t.Context(), access.Filter{}, "", 10); total != 3000 || err != nil {
		t.Errorf("afterwards: %d, %v", total, err)
	}
}
