package access

import (
	"fmt"
	"strconv"
	"time"
)

// The notices that the bot owes about a request. Each is posted once for each
// recipient and recorded; what stands in it follows the request's state.
const (
	NoticeApproval  = "approval" // the message in the approval channel
	NoticeFiled     = "filed"
	NoticeApproved  = "approved"
	NoticeClosed    = "closed" // denied, cancelled or timed out
	NoticeExpiring  = "expiring"
	NoticeEnded     = "ended" // expired, revoked, given back, failed
	NoticeFailing   = "failing"
	NoticeExtension = "extension" // followed by the round
	noticeNotEnding = NoticeFailing + "-end"
	NoticeWaiting   = "waiting"  // for somebody to do their part of giving the access; -end: of ending it
	NoticeReviewed  = "reviewed" // of a use of break-glass
	NoticeUnpaged   = "unpaged"  // the people on call could not be called so far

	// What approvers are told beside the approval message.
	NoticeInvite   = "approve"     // to each whom a policy names: a request waits
	NoticeReminder = "reminder"    // followed by its number: it still waits
	NoticeAsked    = "asked"       // followed by the round: an extension waits
	NoticeGlass    = "broke_glass" // somebody took access without approval
)

// A Notice is a message that is owed: which one, and to whom (zero: to the
// approval channel).
type Notice struct {
	Name string
	To   Person
}

// Owed lists the notices that the state calls for and that were not posted yet.
// What is long over is not told any more.
func Owed(r Request, now time.Time) []Notice {
	var owed []Notice
	add := func(name string, to Person) {
		if _, done := r.Post(name, to); !done {
			owed = append(owed, Notice{name, to})
		}
	}
	add(NoticeApproval, Person{})
	if at := r.unpaged(); !at.IsZero() && !now.Before(at) {
		add(NoticeUnpaged, r.Requestor)
	}
	for _, p := range r.audience() {
		for _, name := range r.due(now) {
			add(name, p)
		}
	}
	for _, n := range append(r.overdue(now), r.drifted()...) {
		add(n.Name, n.To)
	}
	return owed
}

// audience are the people in the request, each once.
func (r Request) audience() []Person {
	if r.Principal.Slack == r.Requestor.Slack {
		return []Person{r.Requestor}
	}
	return []Person{r.Requestor, r.Principal}
}

// due names the direct messages of the present state. A state that was passed
// while nobody looked is not told any more: the present one says it all.
func (r Request) due(now time.Time) []string {
	var names []string
	switch {
	case r.Status == Pending:
		names = append(names, NoticeFiled)
	case r.Status == Approved, r.Status == Live:
		names = append(names, NoticeApproved)
		switch {
		case r.Failure == nil:
		case r.Failure.Waiting && r.Failure.Revoking:
			names = append(names, NoticeWaiting+"-end")
		case r.Failure.Waiting:
			names = append(names, NoticeWaiting)
		case r.Failure.Revoking:
			names = append(names, noticeNotEnding)
		default:
			names = append(names, NoticeFailing)
		}
		if lead := r.lead(); r.Status == Live && lead > 0 && !now.Before(r.Expires().Add(-lead)) && now.Before(r.Expires()) {
			names = append(names, expiring(r))
		}
		if n := len(r.Settled); n > 0 {
			names = append(names, NoticeExtension+"-"+strconv.Itoa(r.Settled[n-1].Round))
		}
	case r.Decision != nil && r.Decision.Expires.IsZero():
		names = append(names, NoticeClosed)
	default:
		names = append(names, NoticeEnded)
	}
	if r.Review != nil && !r.ToReview() {
		names = append(names, NoticeReviewed)
	}
	return names
}

// pagePatience is how long a page may take before its requestor is told that it
// did not go out.
const pagePatience = time.Minute

// unpaged is when the requestor is to be told that nobody could be called; zero
// if everybody was, or the notice is out.
func (r Request) unpaged() time.Time {
	if _, told := r.Post(NoticeUnpaged, r.Requestor); told || len(Pages(r)) == 0 {
		return time.Time{}
	}
	return r.Escalated.Add(pagePatience)
}

// expiring is told once for each end that was set.
func expiring(r Request) string {
	if r.Rounds == 0 {
		return NoticeExpiring
	}
	return fmt.Sprintf("%s-%d", NoticeExpiring, r.Rounds)
}

// Notified records a message of the bot's.
type Notified struct{ Post Post }

// Reminded records that the approvers were reminded of a pending request.
type Reminded struct{}

// Kind implements [Body].
func (Notified) Kind() string { return "notified" }

// Kind implements [Body].
func (Reminded) Kind() string { return "reminded" }

func (b Notified) apply(r *Request, _ Event) error {
	if b.Post.Notice == "" || b.Post.Channel == "" || b.Post.TS == "" {
		return fmt.Errorf("a notice names what was posted and where")
	}
	if _, done := r.Post(b.Post.Notice, b.Post.To); done {
		return fmt.Errorf("notice %s was recorded before", b.Post.Notice)
	}
	r.Posts = append(r.Posts, b.Post)
	return nil
}

func (Reminded) apply(r *Request, e Event) error {
	if err := r.must(Pending); err != nil {
		return err
	}
	r.Reminders++
	r.Reminded = e.At
	return nil
}

// Notify records what the bot posted.
type Notify struct {
	Request string
	Post    Post
}

// Remind records a reminder to the approvers, before it is sent: one that is
// lost is better than one that is sent twice.
type Remind struct{ Request string }

// Target implements [Action].
func (a Notify) Target() (string, int) { return a.Request, 0 }

// Target implements [Action].
func (a Remind) Target() (string, int) { return a.Request, 0 }

func (a Notify) decide(f Facts, r Request) ([]Event, error) {
	if _, done := r.Post(a.Post.Notice, a.Post.To); done {
		return nil, nil
	}
	return []Event{f.event(r, Notified{Post: a.Post})}, nil
}

func (a Remind) decide(f Facts, r Request) ([]Event, error) {
	if at := r.nextReminder(f.Rules); at.IsZero() || f.Now.Before(at) {
		return nil, nil
	}
	return []Event{f.event(r, Reminded{})}, nil
}

// nextReminder is when the approvers are reminded next; zero for never.
func (r Request) nextReminder(rules *Rules) time.Time {
	gaps := rules.Settings.Reminders
	if r.Status != Pending || len(gaps) == 0 {
		return time.Time{}
	}
	if n := r.Reminders; n == 0 {
		return r.FiledAt.Add(gaps[0])
	} else if n < len(gaps) {
		// As far from the one before as it was meant to be: what fell due while nobody
		// looked does not come all at once.
		at, apart := r.FiledAt.Add(gaps[n]), r.Reminded.Add(gaps[n]-gaps[n-1])
		if at.Before(apart) {
			return apart
		}
		return at
	}
	// Past the configured ones the last distance doubles each time, at most a day apart.
	gap := gaps[len(gaps)-1]
	for range r.Reminders - len(gaps) + 1 {
		gap = min(2*gap, 24*time.Hour)
	}
	return r.Reminded.Add(gap)
}
