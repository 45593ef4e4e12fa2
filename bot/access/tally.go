package access

import (
	"slices"
	"time"
)

// A Ballot is one person's approval, as it is counted.
type Ballot struct {
	By        Person
	At        time.Time
	For       time.Duration
	Allowance string            // id of the pre-approval that cast it
	Duties    map[string][]Duty // who was on call when it was cast, see [Facts.Duties]
}

// A tally is what ballots come to under one ruling. Ballots are named by their
// place among those that were cast.
type tally struct {
	met    bool
	source Source
	used   []int // what the ways that are met count
	useful []int // what any way counts
}

// A verdict is what an approval rests on.
type verdict struct {
	source  Source
	counted []Person // in the order of their votes
	lasts   time.Duration
}

// settle counts one more ballot with the earlier ones, which are counted again.
// Who counts must count under the rules of today and under those of the filing,
// and enough must count under both. A ballot that counts for nothing is refused.
func settle(today, then ruling, r Request, cast []Ballot, b Ballot) (verdict, bool, error) {
	all := append(slices.Clone(cast), b)
	last := len(all) - 1
	now, before := today.tally(r, all), then.tally(r, all)
	useful := slices.Contains(now.useful, last) && slices.Contains(before.useful, last)
	now, before = agree(today, then, r, all)
	switch {
	case now.met && before.met && today.among(all, now.useful, last) && then.among(all, before.useful, last):
		return today.verdict(r, all, now.source, merge(now.used, before.used)), true, nil
	case useful:
		return verdict{}, false, nil
	}
	for _, c := range cast {
		if today.rules.Same(c.By, b.By) || then.rules.Same(c.By, b.By) {
			return verdict{}, false, refuse(AlreadyVoted, "You have approved this already. It still takes %s.", today.describe(r))
		}
	}
	return verdict{}, false, refuse(NotYet, "It is not your turn yet: somebody else has to approve first. It takes %s.", today.describe(r))
}

// agree tallies the ballots of those whom both rulings count, though it be at
// different steps: leaving out who counts under one only can leave out others.
func agree(today, then ruling, r Request, all []Ballot) (now, before tally) {
	which := every(all)
	for {
		now, before = today.tallyOf(r, all, which), then.tallyOf(r, all, which)
		rest := slices.DeleteFunc(slices.Clone(which), func(i int) bool {
			return !today.among(all, now.useful, i) || !then.among(all, before.useful, i)
		})
		if len(rest) == len(which) {
			return now, before
		}
		which = rest
	}
}

// verdict lasts the shortest of what those counted have chosen, and of what the
// last one has, whose choice was held against the limit.
func (x ruling) verdict(r Request, all []Ballot, s Source, used []int) verdict {
	v := verdict{source: s, lasts: all[len(all)-1].For}
	for _, i := range used {
		p := all[i].By
		v.lasts = min(v.lasts, all[i].For)
		if r.Involves(x.rules, p) {
			v.source = BySelf
		}
		if !slices.ContainsFunc(v.counted, func(o Person) bool { return x.rules.Same(o, p) }) {
			v.counted = append(v.counted, p)
		}
	}
	return v
}

// tally counts ballots by every way. It does not depend on the order of the
// policies or of their ways.
func (x ruling) tally(r Request, all []Ballot) tally {
	return x.tallyOf(r, all, every(all))
}

func every(all []Ballot) []int {
	which := make([]int, len(all))
	for i := range all {
		which[i] = i
	}
	return which
}

// tallyOf counts some of the ballots.
func (x ruling) tallyOf(r Request, all []Ballot, which []int) tally {
	var t tally
	for _, policy := range x.taking {
		valid := slices.DeleteFunc(slices.Clone(which), func(i int) bool {
			return !policy.Terms.OneParty && r.Involves(x.rules, all[i].By)
		})
		for _, w := range policy.Approval {
			used, ok := x.meets(w, r, all, valid)
			t.useful = merge(t.useful, used)
			if !ok {
				continue
			}
			t.used = merge(t.used, used)
			if s := w.source(); !t.met || s.rank() < t.source.rank() {
				t.met, t.source = true, s
			}
		}
	}
	return t
}

// source is on whose word an approval in this way is given.
func (w Way) source() Source {
	switch w.Type {
	case "reviewers":
		return ByReviewer
	case "steps":
		return ByGroup
	}
	return Source(w.Type)
}

// rank orders the sources, of which the first is named where several would do.
func (s Source) rank() int {
	return slices.Index([]Source{ByReviewer, ByGroup, ByManager, ByEscalation}, s)
}

// meets says which of the ballots count for a way, and whether they are enough.
// Each person counts once.
func (x ruling) meets(w Way, r Request, all []Ballot, which []int) (used []int, ok bool) {
	if w.Type == "steps" {
		return x.steps(w, r, all, which)
	}
	for _, i := range which {
		if x.counts(w, r, all[i]) == yes && !x.among(all, used, i) {
			used = append(used, i)
		}
	}
	need := 1
	if w.Type == "group" {
		need = max(w.Count, 1)
	}
	return used, len(used) >= need
}

// among reports whether a ballot is one of some, or by somebody who cast one.
func (x ruling) among(all []Ballot, others []int, i int) bool {
	return slices.ContainsFunc(others, func(o int) bool { return x.rules.Same(all[o].By, all[i].By) })
}

// steps are met in order: what counts for a step was cast after the one before
// it was met, by people who counted in none of the earlier steps.
func (x ruling) steps(w Way, r Request, all []Ballot, which []int) (used []int, ok bool) {
	for _, step := range w.Steps {
		by, end, met := x.step(step, r, all, which, used)
		used = merge(used, by)
		if !met {
			return used, false
		}
		which = which[end:]
	}
	return used, true
}

// step finds the first ballots that meet any entry of a step, and where they
// end; where none is met, those that count for any.
func (x ruling) step(step []Way, r Request, all []Ballot, which, earlier []int) (used []int, end int, met bool) {
	var fresh []int
	for _, i := range which {
		end++
		if x.among(all, earlier, i) {
			continue
		}
		fresh, used = append(fresh, i), nil
		var some []int
		for _, entry := range step {
			by, ok := x.meets(entry, r, all, fresh)
			some = merge(some, by)
			if ok {
				met, used = true, merge(used, by)
			}
		}
		if met {
			return used, end, true
		}
		used = some
	}
	return used, end, false
}

// merge is what is in either, ascending and once.
func merge(a, b []int) []int {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}
