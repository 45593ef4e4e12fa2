package access

import (
	"strconv"
	"time"
)

// Effect is what the log owes the world for a request.
type Effect string

// The effects.
const (
	Nothing   Effect = ""
	DoGrant   Effect = "grant"
	DoRevoke  Effect = "revoke"
	DoTimeOut Effect = "time_out"
	DoRemind  Effect = "remind"
	DoPage    Effect = "page"
)

// Due says what is owed for a request at a time. An access that is past its
// expiry is owed its revocation even where no grant stands in the log: the
// provider may have acted just before a crash.
func Due(r Request, rules *Rules, now time.Time) Effect {
	switch r.Status {
	case Pending:
		if !now.Before(r.FiledAt.Add(rules.Settings.PendingTimeout)) {
			return DoTimeOut
		}
		// The reminder first: a page that fails is tried again and again.
		if at := r.nextReminder(rules); !at.IsZero() && !now.Before(at) {
			return DoRemind
		}
		if len(Pages(r)) > 0 {
			return DoPage
		}
	case Approved, Live:
		if r.Ending != nil || !now.Before(r.Expires()) {
			return DoRevoke
		}
		if r.Status == Approved || r.behind() {
			return DoGrant
		}
	default:
		if r.Open() && r.Seq > 0 {
			return DoRevoke
		}
	}
	return Nothing
}

// Next is when something becomes due, or a notice owed, without anybody acting;
// zero if never.
func Next(r Request, rules *Rules) time.Time {
	switch r.Status {
	case Pending:
		out := r.FiledAt.Add(rules.Settings.PendingTimeout)
		for _, at := range []time.Time{r.nextReminder(rules), r.unpaged()} {
			if !at.IsZero() && at.Before(out) {
				out = at
			}
		}
		return out
	case Approved, Live:
		if lead := r.lead(); lead > 0 {
			if _, told := r.Post(expiring(r), r.Requestor); !told {
				return r.Expires().Add(-lead)
			}
		}
		return r.Expires()
	}
	return time.Time{}
}

// ownID is the id of an event that no delivery caused. It derives from its
// place in the request, so that writing it twice is seen as done.
func ownID(request string, seq int) string {
	return request + "/" + strconv.Itoa(seq)
}
