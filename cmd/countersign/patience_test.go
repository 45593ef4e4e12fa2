package main

import (
	"testing"

	"countersign/gitstore"
)

// TestUrge: what is decided or intended is pushed at once, and what may wait
// hurries when somebody wants the same request.
func TestUrge(t *testing.T) {
	const dir = "requests/2026/01/31/01J"
	batch := func(names ...string) *gitstore.Batch {
		b := &gitstore.Batch{Dir: dir}
		for _, name := range names {
			b.Entries = append(b.Entries, gitstore.Entry{Path: dir + "/" + name + ".yaml"})
		}
		return b
	}
	for _, test := range []struct {
		files       []string
		wait, first bool
	}{
		{[]string{"0001-requested"}, false, false},
		{[]string{"0002-approved"}, false, false},
		{[]string{"0002-vote"}, false, false},
		{[]string{"0003-grant_intent"}, false, false},
		{[]string{"0004-granted"}, true, false},
		{[]string{"0005-message"}, true, false},
		{[]string{"0005-message", "0006-approved"}, false, false},
		{[]string{"0005-revoke_intent"}, false, true},
		{[]string{"0006-expired"}, true, true},
		{[]string{"0009-something_new"}, false, false},
	} {
		b := batch(test.files...)
		urge(b, &awaited{})()
		if (b.Wait != nil) != test.wait || b.First != test.first {
			t.Errorf("%v: waits %t, first %t", test.files, b.Wait != nil, b.First)
		}
	}
	var w awaited
	b := batch("0002-notified")
	done := urge(b, &w)
	hurries := func() bool {
		select {
		case <-b.Wait:
			return true
		default:
			return false
		}
	}
	other := w.enter("01K")
	if hurries() {
		t.Error("it hurries though nobody waits")
	}
	leave := w.enter("01J")
	if !hurries() {
		t.Error("it does not hurry though somebody waits")
	}
	done()
	if done = urge(b, &w); !hurries() {
		t.Error("a batch that comes later does not hurry though somebody waits")
	}
	leave()
	done()
	if done = urge(b, &w); hurries() {
		t.Error("it hurries though nobody waits any more")
	}
	done()
	other()
	if len(w.by) != 0 {
		t.Errorf("%d requests are still counted", len(w.by))
	}
}
