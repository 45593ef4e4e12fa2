package web

import (
	"context"
	"net/http"
	"slices"
	"time"

	"countersign/bot/access"
)

// approvalsPage is who decided how much and how fast, in pictures and tables.
type approvalsPage struct {
	Spans    []link
	Span     string
	Words    string // the span in words
	Total    int
	Days     stacks
	Waits    []bar
	Decided  int
	Deciders []decider
	Live     []bar
	LiveAll  int
	Overruns []overrun
	Late     int // how many there are in all
	Empty    bool
	Own      bool // it is about what involves the viewer alone
}

type decider struct {
	access.Decider
	Approve, Deny bar
	Href          string
}

type overrun struct {
	access.Overrun
	Href string
	Bar  bar
}

// span is a stretch of time that ends now.
type span struct {
	Name, Text string
	Days       int // 0: all
	Step       int // days in one bar; 0: as many as it takes
}

const defaultSpan = "30d"

// spansOf are those that can be chosen.
func spansOf() []span {
	return []span{{"30d", "30 days", 30, 1}, {"90d", "90 days", 90, 3}, {"1y", "a year", 364, 7}, {"all", "all", 0, 0}}
}

// most is how long the lists of a picture are.
const most = 12

func (s *Server) approvals(r *http.Request, v view) (content, error) {
	name := r.URL.Query().Get("span")
	if name == "" {
		name = defaultSpan
	}
	i := slices.IndexFunc(spansOf(), func(x span) bool { return x.Name == name })
	if i < 0 {
		return content{}, bad("There is no such span of time. Choose one at the top of the page.")
	}
	p, err := s.figures(r.Context(), v, spansOf()[i])
	return content{"approvals", "Approvals", p}, err
}

func (s *Server) figures(ctx context.Context, v view, x span) (approvalsPage, error) {
	p := approvalsPage{Span: x.Name, Words: "the last " + x.Text, Own: !v.Viewer.All}
	for _, o := range spansOf() {
		p.Spans = append(p.Spans, link{o.Text, v.links.approvals(o.Name), o.Name == x.Name})
	}
	f := s.scope(v.Viewer, access.Filter{})
	if x.Days > 0 {
		f.From = today(v.Now).AddDate(0, 0, 1-x.Days)
	} else {
		p.Words = "all time"
	}
	got, err := s.Requests.Figures(ctx, f, v.Now)
	if err != nil {
		return p, err
	}
	p.Days = stacked(got.Days, x, v.Now)
	p.Total = p.Days.Total
	p.Waits, p.Decided = waits(got.Waits)
	p.deciders(got.Deciders, v)
	if err := s.liveNow(ctx, v, &p); err != nil {
		return p, err
	}
	p.Late = len(got.Overruns)
	for _, o := range got.Overruns[:min(len(got.Overruns), most)] {
		p.Overruns = append(p.Overruns, overrun{o, v.links.request(o.Request), bar{Count: int(o.By / time.Second), Of: int(got.Overruns[0].By / time.Second)}})
	}
	p.Empty = p.Total == 0
	return p, nil
}

// liveNow counts live access, whenever it was asked for.
func (s *Server) liveNow(ctx context.Context, v view, p *approvalsPage) error {
	open, err := s.open(ctx, v.Viewer)
	if err != nil {
		return err
	}
	live := access.Count(open, v.Now).Live
	p.LiveAll = len(live)
	for _, t := range live[:min(len(live), most)] {
		p.Live = append(p.Live, bar{Label: t.Name, Count: t.Count, Text: grouped(t.Count), Of: live[0].Count})
	}
	return nil
}

// deciders are the most active ones, drawn to one scale.
func (p *approvalsPage) deciders(list []access.Decider, v view) {
	for _, d := range list[:min(len(list), most)] {
		whole := list[0].Approved + list[0].Denied
		x := decider{Decider: d, Approve: bar{Count: d.Approved, Of: whole}, Deny: bar{Count: d.Denied, Of: whole}}
		if !v.links.static {
			x.Href = v.links.list(map[string][]string{"person": {d.Email}})
		}
		p.Deciders = append(p.Deciders, x)
	}
}

func today(now time.Time) time.Time { return now.UTC().Truncate(24 * time.Hour) }
