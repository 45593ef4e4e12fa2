package access

import "time"

// A Controls value says which controls the request's own message carries. The
// message shows these and no others: no stale button stays.
type Controls struct {
	Expiry    []time.Duration // options of Select expiry; nil: no select
	Preset    time.Duration   // the option that is chosen to begin with; 0: none
	Decide    bool            // Approve and Deny
	Cancel    bool
	Escalate  bool // for the requestor, while nobody was called yet
	Revoke    bool
	Extension *Extension // its Approve and Deny
	Review    bool       // of a use of break-glass, for those who may approve
}

// ControlsOf says what can be done in the request's own message now.
func ControlsOf(r Request, today, filed *Rules) Controls {
	switch r.Status {
	case Pending:
		c := Controls{Expiry: Options(r, today, filed), Decide: true, Cancel: true,
			Escalate: mayEscalate(r, today, filed)}
		for _, d := range c.Expiry {
			if d == r.Duration {
				c.Preset = d
			}
		}
		return c
	case Approved, Live:
		return Controls{Revoke: r.Ending == nil, Extension: r.Extension, Review: r.ToReview()}
	}
	return Controls{Review: r.ToReview(), Revoke: r.SeenAgain() && r.Drift.Ending == nil}
}

// Holds reports whether the holder may still give back or extend: the controls
// of the direct messages.
func Holds(r Request) bool { return r.Status == Live && r.Ending == nil }
