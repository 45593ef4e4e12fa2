package access

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Drifted records that a provider holds something else than the log says: that a
// live access is gone, so that somebody took it away by hand, or that one which
// had ended is there again. What is there again may be an administrator's own
// decision. It is told and never undone without a person who says so.
type Drifted struct{ Found Presence }

// Kind implements [Body].
func (Drifted) Kind() string { return "drift" }

func (b Drifted) apply(r *Request, e Event) error {
	present := r.Drift != nil && r.Drift.Found == Present
	switch {
	case r.Grant == nil:
		return fmt.Errorf("drifts, and was never given")
	case b.Found == Absent && r.Status == Live && r.Ending == nil:
	case b.Found == Absent && r.Status.Ended() && present:
		r.Failure = nil
	case b.Found == Present && r.Status.gone() && !present:
	default:
		return fmt.Errorf("found %q of what is %s", b.Found, r.Status)
	}
	if b.Found == Present {
		r.Drifts++
	}
	r.Drift = &Drift{Found: b.Found, At: e.At}
	return nil
}

// gone reports whether an access was given and has ended.
func (s Status) gone() bool { return slices.Contains([]Status{Expired, Revoked, GivenBack}, s) }

// removedByHand is the reason that stands in the record of such an end.
const removedByHand = "The access was gone from its provider: somebody took it away there."

// RemovedByHand reports whether an access was, or is being, ended because it was
// gone from its provider.
func (r Request) RemovedByHand() bool {
	return r.Ending != nil && r.Ending.Cause == CauseRevoked && r.Ending.By.IsZero()
}

// SeenAgain reports whether an access that has ended is there again, as far as
// is known.
func (r Request) SeenAgain() bool {
	return r.Status.Ended() && r.Drift != nil && r.Drift.Found == Present
}

// GoneByHand reports whether a live access that is gone from its provider was taken
// away there by somebody. Past the end that the provider knows of nobody can tell:
// an extension may have got into the log while the access was ended, by the
// provider or by a bot that could not read of it yet. Then it is given again.
func GoneByHand(r Request, now time.Time) bool {
	return r.Status == Live && r.Ending == nil && now.Before(r.Grant.Until)
}

// Open reports whether the log may still owe something for a request without
// anybody acting: it has not ended, or what was seen again is to be taken away.
func (r Request) Open() bool {
	return !r.Status.Ended() || r.SeenAgain() && r.Drift.Ending != nil
}

// Observe records what a provider holds, where that is not what the log says.
type Observe struct {
	Request string
	Found   Presence
}

// Target implements [Action].
func (a Observe) Target() (string, int) { return a.Request, 0 }

func (a Observe) decide(f Facts, r Request) ([]Event, error) {
	switch {
	case r.Grant == nil:
	case a.Found == Absent && GoneByHand(r, f.Now):
		drift := f.event(r, Drifted{Found: Absent})
		after, err := Apply(r, drift)
		if err != nil {
			return nil, err
		}
		return []Event{drift, f.event(after, RevokeIntent{Cause: CauseRevoked, Reason: removedByHand})}, nil
	case a.Found == Present && r.Status.gone() && r.End.Kept == "" && !r.SeenAgain(),
		a.Found == Absent && r.SeenAgain():
		return []Event{f.event(r, Drifted{Found: a.Found})}, nil
	}
	return nil, nil
}

// NoticeDrift tells that an access which had ended is there again. Which time it
// is follows it.
const NoticeDrift = "drift"

// drifted are the notices of an access that is there again: to the people in it,
// to who approved it, and in the approval channel.
func (r Request) drifted() []Notice {
	if !r.SeenAgain() || r.Drift.Ending != nil {
		return nil
	}
	name := fmt.Sprintf("%s-%d", NoticeDrift, r.Drifts)
	out := []Notice{{name, Person{}}}
	for _, p := range r.concerned() {
		out = append(out, Notice{name, p})
	}
	return out
}

// concerned are the people in a request and who approved it, each once.
func (r Request) concerned() []Person {
	out := slices.Clone(r.audience())
	if r.Decision == nil {
		return out
	}
	for _, p := range r.Decision.Approvers {
		if p.Slack != "" && !slices.ContainsFunc(out, func(o Person) bool { return o.Slack == p.Slack }) {
			out = append(out, p)
		}
	}
	return out
}

// SameSubject reports whether two subjects of one provider are the same account.
// A provider may add its own id of the account, after a # sign: then that counts,
// for names change.
func SameSubject(a, b string) bool {
	_, idA, okA := strings.Cut(a, "#")
	_, idB, okB := strings.Cut(b, "#")
	if okA && okB {
		return idA == idB
	}
	return strings.EqualFold(a, b)
}

// A Finding is what one sweep saw at one target of people whose access the log
// knows nothing of: who has appeared, and who of those seen before is gone.
type Finding struct {
	Sweep    string // id
	Resource string // what the target is called; empty where the configuration has none
	Target   Target
	Appeared []string // subjects, as the provider knows them
	Gone     []string
}
