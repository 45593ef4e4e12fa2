// Package access holds the rules of just-in-time access and nothing else.
//
// A [Request] is the fold of its events: [Apply] adds one [Event] to it, and a
// request that cannot be folded is a corrupt log. An [Action] is what somebody
// wants done with a request. It is decided from [Facts] (who acts, under which
// [Rules], at what time) and yields either new events or a [Refusal] that can
// be read out to the person. [Due] says what the log owes the world next.
//
// The package is pure: it reads no clock, draws no randomness, touches no file
// and no network, and knows neither YAML nor Slack. Everything that it needs
// comes in as a value, and everything it decides can be replayed years later.
package access

import (
	"errors"
	"time"
)

// Evaluator is the version of the rules in this package. It is recorded with
// every event, so that an old decision can be judged by the rules of its day.
const Evaluator = 1

// A Person is somebody as Slack and the configuration know them.
type Person struct {
	Email string // lower case; empty if unknown
	Slack string // Slack user id, such as "U012AB"; empty if unknown
}

// IsZero reports whether nobody is named: an event by nobody is the bot's own.
func (p Person) IsZero() bool { return p == Person{} }

// Status is where a request stands. The values are those of the TSV report.
type Status string

// The statuses of a request.
const (
	Pending   Status = "pending"
	Approved  Status = "approved" // decided; the grant is owed
	Live      Status = "live"     // granted at the provider
	Denied    Status = "denied"
	Cancelled Status = "cancelled"
	TimedOut  Status = "timed_out"
	Expired   Status = "expired"
	Revoked   Status = "revoked"
	GivenBack Status = "given_back"
	Failed    Status = "failed"
)

// Ended reports whether a request with this status can never change again.
func (s Status) Ended() bool {
	switch s {
	case Pending, Approved, Live, "":
		return false
	}
	return true
}

// Endings are the statuses of requests that have ended.
var Endings = []Status{Denied, Cancelled, TimedOut, Expired, Revoked, GivenBack, Failed}

// Source says on whose word a request was approved.
type Source string

// The sources of approval that these rules give.
const (
	ByReviewer   Source = "reviewer"
	BySelf       Source = "self" // a reviewer's own request, where one_party allows it
	ByGroup      Source = "group"
	ByManager    Source = "manager"
	ByEscalation Source = "escalation"
	// ByOnCall is given to a requestor who is on call.
	ByOnCall Source = "on_call"
	// ByBreakGlass is taken by the requestor, and reviewed afterwards.
	ByBreakGlass Source = "break_glass"
	// ByAllowance rests on approvals that were given ahead.
	ByAllowance Source = "pre_approval"
	// ByPersistent is always given, by nobody in particular, and ends like all access.
	ByPersistent Source = "persistent"
)

// alone reports whether no person gave the approval.
func (s Source) alone() bool { return s == ByPersistent || s == ByOnCall || s == ByBreakGlass }

// A Target is the access itself as its provider knows it. It is pinned in the
// log when a request is filed and approved: revoking uses the pinned target,
// never today's configuration.
type Target struct {
	Provider string
	With     map[string]any // as written in the configuration; names of secrets, never values
}

// Presence is what a provider says about somebody's access.
type Presence string

// What a provider may answer when asked whether somebody has an access.
const (
	Present Presence = "present"
	Absent  Presence = "absent"
	Unknown Presence = "unknown" // this provider cannot tell
)

// An Account is everything by which a provider may know a person.
type Account struct {
	Email    string
	GitHub   string
	Postgres string
}

// An Order asks a provider to make or end one access. The same order may be
// given any number of times and must have the effect of one.
type Order struct {
	Request   string
	Resource  string
	Target    Target
	Subject   string // the account at the provider, as recorded with the intent
	Principal Person
	Expires   time.Time
}

// ErrUncertain says that nobody knows whether something was recorded: it was on
// its way when the answer was lost. The log will show.
var ErrUncertain = errors.New("it is not known whether it was recorded")

// ErrNoAccount is what a provider answers when the person has no account that
// could be given access. No retry can mend it.
var ErrNoAccount = errors.New("no account at the provider")

// Awaiting is the error of a provider that has done its part. The effect is there
// as soon as somebody else has done theirs: accepts an invitation, merges a pull
// request. It is no failure, and the provider is asked again.
type Awaiting struct {
	For string // what is to be done and by whom, one sentence for people
}

// Error implements error.
func (w *Awaiting) Error() string { return w.For }
