package bot_test

import (
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot/access"
)

var exploreAll = flag.Bool("explore", false, "TestExplore: every pair of faults, not a sample of them")

// Of how many one is tried without -explore: pairs of faults, and single ones
// where the race detector watches.
const (
	pairsSampled = 997
	racedSampled = 20
)

const minute = time.Minute

func acts(all ...[]act) []act {
	var out []act
	for _, a := range all {
		out = append(out, a...)
	}
	return out
}

// scenarios are all that the grant protocol has to cope with.
var scenarios = []scenario{
	{name: "expiry", acts: ask("A", 0, 20*minute)},
	{name: "revoked", acts: append(ask("A", 0, 20*minute), revoke("A", 10*minute)), want: map[string]access.Status{"A": access.Revoked}},
	{name: "given_back", acts: append(ask("A", 0, 20*minute), giveBack("A", 10*minute)), want: map[string]access.Status{"A": access.GivenBack}},
	// The revocation is recorded while the grant is on its way.
	{name: "revoked_at_once", acts: append(ask("A", 0, 20*minute), revoke("A", 1500*time.Millisecond)), want: map[string]access.Status{"A": access.Revoked}},
	{name: "extended", acts: append(ask("A", 0, 20*minute), extend("A", 5*minute, 20*minute), allow("A", 6*minute))},
	// The extension gets into the log just before the end.
	{name: "extension_races_end", acts: append(ask("A", 0, 20*minute), extend("A", 5*minute, 20*minute),
		atTheEnd("A", -writeTakes/2-time.Millisecond, allow("A", 0)))},
	{name: "extension_too_late", acts: append(ask("A", 0, 20*minute), extend("A", 5*minute, 20*minute),
		atTheEnd("A", time.Millisecond, allow("A", 0)))},
	{name: "extended_revoked", acts: append(ask("A", 0, 20*minute), extend("A", 5*minute, 20*minute), allow("A", 6*minute), revoke("A", 25*minute)),
		want: map[string]access.Status{"A": access.Revoked}},
	{name: "overlap_shorter_first", acts: acts(ask("A", 0, 20*minute), ask("B", 5*minute, 30*minute))},
	{name: "overlap_longer_first", acts: acts(ask("A", 0, 30*minute), ask("B", 5*minute, 10*minute))},
	{name: "overlap_first_revoked", acts: acts(ask("A", 0, 30*minute), ask("B", 5*minute, 20*minute), []act{revoke("A", 10*minute)}),
		want: map[string]access.Status{"A": access.Revoked}},
	{name: "overlap_second_revoked", acts: acts(ask("A", 0, 30*minute), ask("B", 5*minute, 20*minute), []act{revoke("B", 10*minute)}),
		want: map[string]access.Status{"B": access.Revoked}},
	// The second begins as the first ends.
	{name: "back_to_back", acts: acts(ask("A", 0, 20*minute), []act{file("B", 10*minute),
		{at: -writeTakes/2 - time.Millisecond, endOf: "A", do: func(p *play) { p.insist(bob, access.Approve{Request: p.id("B"), For: 20 * minute}) }}})},
	{name: "swept", acts: append(ask("A", 0, 20*minute), sweep(10*minute), sweep(25*minute))},
	{name: "removed_by_hand", acts: append(ask("A", 0, 20*minute), take(8*minute), sweep(9*minute), sweep(10*minute), sweep(11*minute)),
		want: map[string]access.Status{"A": access.Revoked}, hand: true},
	{name: "seen_again", acts: append(ask("A", 0, 20*minute), give(25*minute), sweep(26*minute), sweep(27*minute), sweep(28*minute), revoke("A", 29*minute)), hand: true},
}

// TestExplore drives the real engine through every scenario with every single
// fault at every step, and with pairs of them: the steps come from a run without
// the fault, so that none is guessed. What must hold is in judge_test.go. A run
// is named by its faults, and each name can be given to -run, with -explore
// where it has two.
func TestExplore(t *testing.T) {
	var explored [3]atomic.Int64
	began := time.Now()
	percent := debug.SetGCPercent(400) // thousands of small worlds
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		t.Logf("explored %d scenarios, %d single faults, %d pairs of faults in %s on %d cores", explored[0].Load(), explored[1].Load(), explored[2].Load(),
			time.Since(began).Round(time.Second/10), runtime.GOMAXPROCS(0))
	})
	for _, s := range scenarios {
		for _, observer := range []bool{false, true} {
			for _, before := range []bool{false, true} {
				if s.hand && (observer || before) {
					continue
				}
				kind, had := "looks", "absent"
				if observer {
					kind = "observes"
				}
				if before {
					had = "present"
				}
				t.Run(fmt.Sprintf("%s,%s,%s", s.name, kind, had), func(t *testing.T) {
					t.Parallel()
					x := explorer{&explored, s, observer, before}
					x.explore(t, nil, "")
				})
			}
		}
	}
}

type explorer struct {
	explored *[3]atomic.Int64
	scenario
	observer, before bool
}

// explore makes a run with some faults, and others with one fault more, which
// comes after the last of these.
func (x explorer) explore(t *testing.T, faults map[string]fault, last string) {
	var came *steps
	defer func() {
		if came == nil { // a run that fails ends the test
			t.Logf("again: go test ./bot -explore -run '^%s$'", strings.ReplaceAll(t.Name(), "/", "$/^"))
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		if steps := perform(t, x.scenario, x.observer, x.before, faults); !t.Failed() {
			came = steps
		}
	})
	if len(faults) > 0 && !slices.Contains(came.came, last) {
		return // two things at the same moment came in another order this time
	}
	if x.explored[len(faults)].Add(1); len(faults) == len(x.explored)-1 {
		return
	}
	for _, step := range came.after(last) {
		for _, f := range everyFault {
			if !*exploreAll && !drawn(t.Name()+step+string(f), len(faults)) {
				continue
			}
			more := maps.Clone(faults)
			if more == nil {
				more = map[string]fault{}
			}
			more[step] = f
			t.Run(step+"="+string(f), func(t *testing.T) { x.explore(t, more, step) })
		}
	}
}

// drawn reports whether one more fault is tried beside those there are. The
// sample is always the same.
func drawn(name string, faults int) bool {
	of := uint32(1)
	switch {
	case faults == 1:
		of = pairsSampled
	case raced:
		of = racedSampled
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32()%of == 0
}
