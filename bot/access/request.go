package access

import (
	"fmt"
	"slices"
	"time"
)

// A Request is the state of one request for access: the fold of its events.
type Request struct {
	ID         string
	Seq        int // how many events it has
	Last       time.Time
	Status     Status
	Requestor  Person
	Principal  Person // who gets the access
	Resource   string
	Title      string // the resource's title at the filing
	Target     Target // pinned at the filing, confirmed by the approval
	Reason     string
	Ticket     string
	Duration   time.Duration // asked for; 0 if nothing was said
	FiledAt    time.Time
	FiledUnder string // config commit of the filing

	Escalated time.Time  // when the people on call were called; zero: not
	Calls     []Call     // whom that calls
	Unreached []string   // who could not be asked at the filing, see [Facts.Unreached]
	Votes     []Ballot   // approvals that were not enough by themselves
	Decision  *Decision  // approved, denied, cancelled or timed out; nil while pending
	Grant     *Grant     // nil until the intent to grant stands in the log
	Failure   *Failure   // what does not work right now or waits for somebody, and is being tried again
	Ending    *Ending    // an early or due end that stands in the log but is not done yet
	End       *End       // how it ended
	Drift     *Drift     // what the provider was seen to hold instead; nil: nothing else
	Drifts    int        // how often it was seen again after its end
	Extension *Extension // an extension that waits for its decision
	Rounds    int        // how many extensions were asked for
	Settled   []Settled  // the extensions that were decided

	Review *Review // of a use of break-glass; nil where none is needed

	Messages  []Message // the conversation in the thread
	Posts     []Post    // what the bot posted about it
	Reminders int
	Reminded  time.Time
	Refusals  []Refused

	seen []string
}

// A Decision says how a pending request was settled.
type Decision struct {
	At        time.Time
	By        Person    // who settled it; zero for the bot
	Source    Source    // of an approval
	Approvers []Person  // in the order of their votes
	Policies  []string  // the access policies that took part in an approval or denial
	Reason    string    // of a denial, or of breaking glass
	Config    string    // config commit it was decided under
	Expires   time.Time // end of an approved access, extensions included
}

// A Grant is what the provider was asked to do.
type Grant struct {
	IntentAt  time.Time
	Subject   string    // the account, as the provider knows it
	Before    Presence  // whether the access was there before this bot gave it
	Inherited string    // the overlapping request whose observation was taken over
	GrantedAt time.Time // zero until the provider confirmed
	Until     time.Time // the end that the provider knows of
}

// A Drift is what a provider was seen to hold against the log: the end of a live
// access, or an access that had ended.
type Drift struct {
	Found  Presence
	At     time.Time
	Ending *Ending // what was seen again is to be taken away; nil: nobody has said so
}

// A Failure is an effect that is not there yet: the provider refuses it, cannot be
// reached, or waits for somebody.
type Failure struct {
	At       time.Time // when it was last recorded
	Since    time.Time
	Revoking bool   // whether it is the end that fails
	Waiting  bool   // nothing is wrong: somebody has to do their part, see [Awaiting]
	Error    string // or what it waits for
}

// Cause is why an access ends. Each is also the name of the ending event.
type Cause string

// The causes of an end.
const (
	CauseExpired   Cause = "expired"
	CauseRevoked   Cause = "revoked"
	CauseGivenBack Cause = "given_back"
)

// An Ending is an end that is recorded as intended.
type Ending struct {
	Cause  Cause
	At     time.Time
	By     Person
	Reason string
}

// An End says how the access, or the request, came to its end.
type End struct {
	At     time.Time
	By     Person // zero for the bot
	Reason string
	Kept   string // why the access was left in place: "had_before" or "other_grant"
}

// An Extension is a wish for more time on a live access.
type Extension struct {
	Round    int // 1 for the first of a request
	At       time.Time
	By       Person
	Duration time.Duration
	Reason   string
	Votes    []Ballot
}

// A Settled extension is one that was decided.
type Settled struct {
	Round    int
	Duration time.Duration
	Granted  bool
	At       time.Time
	By       Person
	Reason   string // of a denial
}

// A Review is the look at an access that nobody approved beforehand.
type Review struct {
	Due  time.Time
	At   time.Time // zero until somebody has looked
	By   Person
	Text string
}

// A Message is one entry of the conversation under the approval message.
type Message struct {
	TS      string // Slack's id of the message within its channel
	By      Person
	Bot     string // bot or app id, if no person wrote it
	Text    string
	At      time.Time
	Edits   []Edit
	Deleted time.Time // zero while it stands
}

// An Edit is an earlier text of a message.
type Edit struct {
	Text string    // what it said before
	At   time.Time // when that was replaced
}

// A Post is a message of the bot's about a request.
type Post struct {
	Notice    string // which of the request's notices it is
	To        Person // zero for the approval channel
	Channel   string
	TS        string
	Permalink string
}

// Refused is a refusal that stands in the log.
type Refused struct {
	By     Person
	Action string
	Code   Code
	Text   string // what they were told
	At     time.Time
}

// Shown is the status as people see it: what fails is shown as failed while it does.
func (r Request) Shown() Status {
	if r.Failure != nil && !r.Failure.Waiting && !r.Status.Ended() {
		return Failed
	}
	return r.Status
}

// Seen reports whether an event of that id is part of the request.
func (r Request) Seen(eventID string) bool { return slices.Contains(r.seen, eventID) }

// Expires is when the access ends; zero if it was never approved.
func (r Request) Expires() time.Time {
	if r.Decision == nil {
		return time.Time{}
	}
	return r.Decision.Expires
}

// ApprovalPost is the message in the approval channel.
func (r Request) ApprovalPost() (Post, bool) { return r.Post(NoticeApproval, Person{}) }

// Post finds what was posted to somebody for a notice.
func (r Request) Post(notice string, to Person) (Post, bool) {
	for _, p := range r.Posts {
		if p.Notice == notice && p.To.Slack == to.Slack {
			return p, true
		}
	}
	return Post{}, false
}

// PostedAt reports whether a message is one that the bot posted about the request.
func (r Request) PostedAt(channel, ts string) bool {
	return slices.ContainsFunc(r.Posts, func(p Post) bool { return p.Channel == channel && p.TS == ts })
}

// Involves reports whether the person asked for the access or gets it.
func (r Request) Involves(rules *Rules, p Person) bool {
	return rules.Same(p, r.Requestor) || rules.Same(p, r.Principal)
}

// clone copies what apply may change, so that older values stay as they are.
func (r Request) clone() Request {
	n := r
	n.seen = slices.Clip(r.seen)
	n.Posts = slices.Clip(r.Posts)
	n.Votes = slices.Clip(r.Votes)
	n.Settled = slices.Clip(r.Settled)
	n.Refusals = slices.Clip(r.Refusals)
	n.Messages = slices.Clone(r.Messages)
	n.Decision = copied(r.Decision)
	n.Grant = copied(r.Grant)
	n.Failure = copied(r.Failure)
	n.Drift = copied(r.Drift)
	return n
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// must is the guard of every apply: the statuses in which an event may happen.
func (r *Request) must(be ...Status) error {
	if slices.Contains(be, r.Status) {
		return nil
	}
	return fmt.Errorf("cannot happen to a request that is %s", r.Status)
}
