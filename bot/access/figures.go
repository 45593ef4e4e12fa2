package access

import (
	"cmp"
	"slices"
	"time"
)

// Figures are what many requests come to.
type Figures struct {
	Days     []Day     // of filing, in UTC, ascending; days without a request are left out
	Waits    [7]int    // requests that people decided, by how long that took: see [WaitSteps]
	Deciders []Decider // those who decide most first
	Live     []Tally   // live access by resource, the most first
	Overruns []Overrun // access that outlived its expiry by more than [Grace], the longest first
}

// Fate is what became of a request, in as few words as a picture has colours.
type Fate string

// The fates of a request.
const (
	Given     Fate = "given"
	Refusing  Fate = "denied"
	Withdrawn Fate = "withdrawn" // cancelled
	Lapsed    Fate = "timed out"
	Waiting   Fate = "pending"
	Faulty    Fate = "failed"
)

// Fates are all there are, in the order in which they are shown.
var Fates = []Fate{Given, Refusing, Withdrawn, Lapsed, Faulty, Waiting}

// FateOf says what became of a request with that status, see [Request.Shown].
func FateOf(s Status) Fate {
	switch s {
	case Pending:
		return Waiting
	case Denied:
		return Refusing
	case Cancelled:
		return Withdrawn
	case TimedOut:
		return Lapsed
	case Failed:
		return Faulty
	}
	return Given
}

// A Day is the requests that were filed on it, by what became of them.
type Day struct {
	Date  time.Time // midnight, UTC
	Fates map[Fate]int
}

// WaitSteps are the upper ends of the steps in which waiting is counted; what
// waits longer is counted in one step more.
var WaitSteps = [6]time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 24 * time.Hour}

// WaitStep is the step in which a wait is counted.
func WaitStep(d time.Duration) int {
	for i, most := range WaitSteps {
		if d <= most {
			return i
		}
	}
	return len(WaitSteps)
}

// A Decider is how much somebody decides, and how fast.
type Decider struct {
	Email            string
	Approved, Denied int
	Median           time.Duration // from the filing to the decision
}

// A Tally is how often something is.
type Tally struct {
	Name  string
	Count int
}

// Grace is how long a revocation may take before it is an overrun.
const Grace = 5 * time.Minute

// An Overrun is an access that outlived its expiry.
type Overrun struct {
	Request   string
	Principal string
	Resource  string
	Expired   time.Time
	By        time.Duration // so far, where it has not ended
	Ended     bool
}

// Deciders are the addresses of those by whose word a request was decided: who
// approved or denied it; none where no person did.
func (r Request) Deciders() []string {
	d := r.Decision
	if d == nil {
		return nil
	}
	var out []string
	if r.Status == Denied {
		out = append(out, d.By.Email)
	}
	for _, p := range d.Approvers {
		out = append(out, p.Email)
	}
	return out
}

// Overruns says whether an access outlived its expiry by more than [Grace].
func (r Request) Overrun(now time.Time) (Overrun, bool) {
	if r.Grant == nil || r.Grant.GrantedAt.IsZero() {
		return Overrun{}, false
	}
	end, ended := now, r.End != nil
	if ended {
		end = r.End.At
	}
	by := end.Sub(r.Expires())
	return Overrun{r.ID, r.Principal.Email, r.Resource, r.Expires(), by, ended}, by > Grace
}

// Count makes figures of requests, as at a moment.
func Count(requests []Request, now time.Time) Figures {
	var f Figures
	days := map[time.Time]map[Fate]int{}
	live := map[string]int{}
	waits := map[string][]time.Duration{}
	deciders := map[string]*Decider{}
	for _, r := range requests {
		day := r.FiledAt.UTC().Truncate(24 * time.Hour)
		if days[day] == nil {
			days[day] = map[Fate]int{}
		}
		days[day][FateOf(r.Shown())]++
		if r.Status == Live {
			live[r.Resource]++
		}
		if o, over := r.Overrun(now); over {
			f.Overruns = append(f.Overruns, o)
		}
		by := r.Deciders()
		if len(by) > 0 {
			f.Waits[WaitStep(r.Decision.At.Sub(r.FiledAt))]++
		}
		for _, email := range by {
			d := deciders[email]
			if d == nil {
				d = &Decider{Email: email}
				deciders[email] = d
			}
			if r.Status == Denied {
				d.Denied++
			} else {
				d.Approved++
			}
			waits[email] = append(waits[email], r.Decision.At.Sub(r.FiledAt))
		}
	}
	for date, fates := range days {
		f.Days = append(f.Days, Day{date, fates})
	}
	for email, d := range deciders {
		d.Median = Median(waits[email])
		f.Deciders = append(f.Deciders, *d)
	}
	for name, n := range live {
		f.Live = append(f.Live, Tally{name, n})
	}
	f.Sort()
	return f
}

// Sort puts figures in their order.
func (f *Figures) Sort() {
	slices.SortFunc(f.Days, func(a, b Day) int { return a.Date.Compare(b.Date) })
	slices.SortFunc(f.Deciders, func(a, b Decider) int {
		return cmp.Or(b.Approved+b.Denied-a.Approved-a.Denied, cmp.Compare(a.Email, b.Email))
	})
	slices.SortFunc(f.Live, func(a, b Tally) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Name, b.Name)) })
	slices.SortFunc(f.Overruns, func(a, b Overrun) int {
		return cmp.Or(cmp.Compare(b.By, a.By), cmp.Compare(a.Request, b.Request))
	})
}

// Median is the lower median of durations; zero of none.
func Median(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[(len(sorted)-1)/2]
}
