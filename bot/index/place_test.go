package index_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"countersign/bot/index"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestPlaces: what is open or new is named, everything is found by its id and by
// any key that it ever had, and all of it is there after a restart.
func TestPlaces(t *testing.T) {
	day := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	commit := func(n int) string { return fmt.Sprintf("%040x", n) }
	at := func(id string, age time.Duration, open bool, commits int, keys ...string) index.Place {
		p := index.Place{ID: id, Dir: "requests/" + id, Open: open, Last: day.Add(-age), Keys: keys}
		for n := range commits {
			p.Commits = append(p.Commits, commit(n+1))
		}
		return p
	}
	path := filepath.Join(t.TempDir(), "index")
	x := open(t, path)
	if head, note, list, err := x.Places(t.Context(), time.Hour); head != "" || note != "" || len(list) != 0 || err != nil {
		t.Errorf("an empty index: %q, %q, %v, %v", head, note, list, err)
	}
	put(t, x, index.Batch{Head: commit(1), Note: "a", Places: []index.Place{
		at("A", 48*time.Hour, true, 1, "filed a"), at("B", 48*time.Hour, true, 2, "filed b", "grant g"),
		at("C", 59*time.Minute, false, 3, "filed c", "grant g"), at("D", time.Hour, false, 1), at("E", 0, false, 1, "' OR '1' = '1"),
	}})
	put(t, x, index.Batch{Head: commit(2), Note: "b", Places: []index.Place{at("B", 47*time.Hour, false, 4, "post x")}})
	x.Close()
	x = open(t, path)
	keyless := cmpopts.IgnoreFields(index.Place{}, "Keys")
	byID := cmpopts.SortSlices(func(a, b index.Place) bool { return a.ID < b.ID })
	head, note, list, err := x.Places(t.Context(), time.Hour)
	want := []index.Place{at("A", 48*time.Hour, true, 1), at("C", 59*time.Minute, false, 3), at("E", 0, false, 1)}
	if d := gocmp.Diff(want, list, keyless, byID); d != "" || head != commit(2) || note != "b" || err != nil {
		t.Errorf("head %q, note %q, %v, %s", head, note, err, d)
	}
	b, c := at("B", 47*time.Hour, false, 4), at("C", 59*time.Minute, false, 3)
	for key, want := range map[string][]index.Place{
		"B": {b}, "filed b": {b}, "post x": {b}, "filed c": {c}, "grant g": {c, b}, "grant": nil, "Z": nil, "": nil, "' OR '1' = '1": {at("E", 0, false, 1)},
	} {
		got, err := x.PlacesOf(t.Context(), key)
		if d := gocmp.Diff(want, got, keyless); d != "" || err != nil {
			t.Errorf("%q: %v %s", key, err, d)
		}
	}
	if err := x.Put(t.Context(), index.Batch{Head: commit(3), Places: []index.Place{{ID: "F", Commits: []string{"c0ffee"}}}}); err == nil {
		t.Error("something that is no commit was taken")
	}
	if x.Head() != commit(2) {
		t.Errorf("the head is %s", x.Head())
	}
}

// TestPlacesDamaged: bytes that were not written are told from those that were.
func TestPlacesDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index")
	x := open(t, path)
	put(t, x, index.Batch{Head: "h", Places: []index.Place{{ID: "A", Open: true, Commits: []string{fmt.Sprintf("%040x", 1)}}}})
	alter(t, path, "UPDATE place SET commits = x'00'")
	if _, err := x.PlacesOf(t.Context(), "A"); !errors.Is(err, index.ErrDamaged) {
		t.Errorf("got %v", err)
	}
}
