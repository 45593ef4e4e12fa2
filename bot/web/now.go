package web

import (
	"net/http"
	"slices"
	"time"

	"countersign/bot/access"
)

// nowPage is who has what at this moment, and what waits.
type nowPage struct {
	Failing   []failing
	Overdue   []live
	Unseen    []row
	Pending   []pending
	Live      []live
	Waiting   int // how many are pending, and live: rows are the first of them
	Having    int
	Asked     int // in the last 24 hours
	Decided   int // of these
	Any       bool
	Own       bool   // it is about what involves the viewer alone
	PendingAt string // addresses of all of them in the list
	LiveAt    string
}

// failing is an effect that does not work right now.
type failing struct {
	row
	Revoking   bool
	Waiting    bool
	Error      string
	Since, Try time.Time
}

// pending is a request that waits, and for whom.
type pending struct {
	row
	Takes     string
	Approvers []string
	More      int // approvers beyond those named
	Waits     time.Duration
	Why       string // it cannot be approved
	Votes     []string
	Escalated bool
}

// live is an access that somebody has.
type live struct {
	row
	Left    time.Duration
	Percent int // of its time that is over
	Ending  string
	Wants   time.Duration // more time that was asked for
}

// mostNow is how many rows each table has; a copy in files has all.
const mostNow = 50

// manyNames is how many approvers a row names.
const manyNames = 4

func (s *Server) now(r *http.Request, v view) (content, error) {
	open, err := s.open(r.Context(), v.Viewer)
	if err != nil {
		return content{}, err
	}
	p := nowPage{
		Own:       !v.Viewer.All,
		PendingAt: v.links.list(map[string][]string{"status": {"pending"}}),
		LiveAt:    v.links.list(map[string][]string{"status": {"live", "approved"}}),
	}
	var waiting []access.Request
	for _, q := range open {
		x := rowOf(q, v.links.request(q.ID))
		if q.ToReview() {
			p.Unseen = append(p.Unseen, x)
		}
		switch {
		case q.Status.Ended():
		case q.Status == access.Pending:
			waiting = append(waiting, q)
		default:
			p.have(liveOf(q, x, v.Now), q)
		}
	}
	slices.SortStableFunc(p.Live, func(a, b live) int { return a.Expires.Compare(b.Expires) })
	slices.Reverse(waiting)
	if p.Waiting, p.Having = len(waiting), len(p.Live); !v.links.static {
		waiting, p.Live = waiting[:min(len(waiting), mostNow)], p.Live[:min(len(p.Live), mostNow)]
	}
	members := s.Rules.Members(r.Context(), s.Rules.Rules())
	for _, q := range waiting {
		p.Pending = append(p.Pending, s.pending(r, q, rowOf(q, v.links.request(q.ID)), v.Now, members))
	}
	if err := s.lately(r, v, &p); err != nil {
		return content{}, err
	}
	return content{"now", "Now", p}, nil
}

// have adds an access that somebody has, or is to have.
func (p *nowPage) have(l live, q access.Request) {
	p.Live = append(p.Live, l)
	switch f := q.Failure; {
	case f != nil:
		p.Failing = append(p.Failing, failing{l.row, f.Revoking, f.Waiting, f.Error, f.Since, f.At})
	case l.Left < -access.Grace:
		p.Overdue = append(p.Overdue, l)
	}
}

// lately counts the last day, and whether there was ever anything.
func (s *Server) lately(r *http.Request, v view, p *nowPage) error {
	day := s.scope(v.Viewer, access.Filter{From: v.Now.Add(-24 * time.Hour)})
	waiting := day
	waiting.Status = []access.Status{access.Pending}
	for _, c := range []struct {
		f  access.Filter
		to *int
	}{{day, &p.Asked}, {waiting, &p.Decided}} {
		_, n, err := s.Requests.Find(r.Context(), c.f, "", 1)
		if err != nil {
			return err
		}
		*c.to = n
	}
	p.Decided = p.Asked - p.Decided
	p.Any = p.Asked+p.Having+p.Waiting+len(p.Unseen) > 0
	if !p.Any {
		list, _, err := s.Requests.Find(r.Context(), s.scope(v.Viewer, access.Filter{}), "", 1)
		p.Any = len(list) > 0
		return err
	}
	return nil
}

// pending says for whom a request waits: under the rules of today, as far as
// these name people.
func (s *Server) pending(r *http.Request, q access.Request, x row, now time.Time, members map[string][]access.Person) pending {
	p := pending{row: x, Waits: max(0, now.Sub(q.FiledAt)), Escalated: !q.Escalated.IsZero()}
	for _, b := range q.Votes {
		p.Votes = append(p.Votes, named(b.By))
	}
	rules := s.Rules.Rules()
	res, ok := rules.Resource(q.Resource)
	if !ok {
		p.Why = "It is no longer in the configuration, so nobody can approve it."
		return p
	}
	filed := s.Rules.RulesAt(r.Context(), q.FiledUnder)
	f := access.Facts{Now: now, Rules: rules, Filed: filed, Members: members, Anytime: true}
	e := f.Explain(rules, q.Requestor, q.Principal, res)
	switch {
	case filed == nil:
		p.Why = "The configuration of its filing cannot be read, so nobody can approve it."
	case e.Outcome == access.WouldBeDenied:
		p.Why = access.Plain(e.Reason)
	}
	p.Takes, p.Approvers = e.Takes, e.Approvers
	if filed != nil {
		then := f.Approvers(filed, q.Requestor, q.Principal, resourceOf(filed, q))
		p.Approvers = slices.DeleteFunc(slices.Clone(p.Approvers), func(e string) bool {
			return !slices.ContainsFunc(then, func(o string) bool {
				return rules.Same(access.Person{Email: e}, access.Person{Email: o})
			})
		})
	}
	if p.Why != "" {
		p.Approvers = nil
	}
	if n := len(p.Approvers); n > manyNames+1 {
		p.Approvers, p.More = p.Approvers[:manyNames], n-manyNames
	}
	return p
}

// resourceOf is a request's resource, as the log has pinned it where the
// configuration has it no more.
func resourceOf(rules *access.Rules, q access.Request) access.Resource {
	if res, ok := rules.Resource(q.Resource); ok {
		return res
	}
	return access.Resource{ID: q.Resource, Title: q.Title, Target: q.Target}
}

func liveOf(q access.Request, x row, now time.Time) live {
	l := live{row: x, Left: x.Expires.Sub(now)}
	if q.Ending != nil {
		l.Ending = spell(q.Ending.Cause)
	}
	if q.Extension != nil {
		l.Wants = q.Extension.Duration
	}
	begin := x.Decided
	if !x.Granted.IsZero() {
		begin = x.Granted
	}
	if whole := x.Expires.Sub(begin); whole > 0 {
		l.Percent = int(min(100, max(0, 100*now.Sub(begin)/whole)))
	}
	return l
}
