package access

import (
	"fmt"
	"slices"
	"time"
)

// An Event is one entry of the log: something that happened to one request.
type Event struct {
	ID      string              // unique in the log; derived from the Slack delivery where there is one
	Request string              // id of the request
	At      time.Time           // UTC, whole seconds; never before the request's previous event
	By      Person              // who caused it; zero for the bot itself
	Config  string              // commit of the configuration that was in force
	Rules   int                 // version of the evaluator that decided
	Groups  map[string][]Person // who was in the groups that were asked, by [Group.Key]
	Duties  map[string][]Duty   // who was on call, by integration, where that was asked
	// Unreached are the directories and on-call services that did not answer,
	// see [Facts.Unreached]: what was decided rests on nobody being there.
	Unreached []string
	Late      bool // recorded after the fact: the log could not be written at the time
	Body      Body
}

// Body is what sort of event it is, with the values proper to it. The types in
// this package that implement it are all there are.
type Body interface {
	// Kind is the event's name in the log, such as "approved".
	Kind() string
	// apply adds the event to the request, or says why the log is corrupt.
	apply(*Request, Event) error
}

// Apply returns the request with one more event. An error means that the log
// is corrupt: no decision of this package ever yields an event that Apply
// refuses. The given request is not changed.
func Apply(r Request, e Event) (Request, error) {
	if err := admit(r, e); err != nil {
		return r, fmt.Errorf("request %s, event %d (%s): %w", e.Request, r.Seq+1, kindOf(e.Body), err)
	}
	n := r.clone()
	if err := e.Body.apply(&n, e); err != nil {
		return r, fmt.Errorf("request %s, event %d (%s): %w", e.Request, r.Seq+1, e.Body.Kind(), err)
	}
	n.Seq++
	n.Last = e.At
	n.seen = append(n.seen, e.ID)
	return n, nil
}

// Replay folds a whole history.
func Replay(events []Event) (Request, error) {
	var r Request
	for _, e := range events {
		var err error
		if r, err = Apply(r, e); err != nil {
			return r, err
		}
	}
	return r, nil
}

func kindOf(b Body) string {
	if b == nil {
		return "nothing"
	}
	return b.Kind()
}

// admit holds for every event, whatever its kind.
func admit(r Request, e Event) error {
	_, files := e.Body.(Requested)
	switch {
	case e.Body == nil:
		return fmt.Errorf("no event")
	case e.ID == "":
		return fmt.Errorf("no event id")
	case e.Request == "":
		return fmt.Errorf("no request id")
	case e.At.IsZero():
		return fmt.Errorf("no time")
	case files != (r.Seq == 0):
		return fmt.Errorf("a request begins with its filing, once")
	case r.Seq > 0 && e.Request != r.ID:
		return fmt.Errorf("belongs to another request than %s", r.ID)
	case e.At.Before(r.Last):
		return fmt.Errorf("time runs backwards: %s after %s", e.At.Format(time.RFC3339), r.Last.Format(time.RFC3339))
	case slices.Contains(r.seen, e.ID):
		return fmt.Errorf("event id %s occurs twice", e.ID)
	}
	return nil
}
