package web

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"

	"countersign/bot/access"
	"countersign/bot/report"
)

// listPage is a page of the list of requests.
type listPage struct {
	selection
	Rows     []row
	Total    int
	Chips    []chip
	Statuses []option
	Sources  []option
	Choices  access.Choices
	More     bool   // whether one of the folded filters is active
	Clear    string // address without filters
	Newest   string // address of the first page; empty on it
	Older    string // address of the next page; empty on the last
	Export   string
	Ever     bool  // whether there is anything at all to be seen
	Own      bool  // it is about what involves the viewer alone
	Opened   *life // the request that is open beside the list
	Close    string
	Pages    string // "3 of 12" of a copy in files
}

// An option is a value that can be chosen in the filter.
type option struct {
	Value, Text string
	Chosen      bool
}

// perPage is how many requests a page of the list has.
const perPage = 50

func (s *Server) list(r *http.Request, v view) (content, error) {
	ctx := r.Context()
	sel, err := selected(r)
	if err != nil {
		return content{}, err
	}
	choices, err := s.choices(ctx, v.Viewer)
	if err != nil {
		return content{}, err
	}
	sel.filter.Person = keys(s.Rules.Rules(), sel.Person, choices.People)
	f := s.scope(v.Viewer, sel.filter)
	found, total, err := s.Requests.Find(ctx, f, sel.After, perPage+1)
	if err != nil {
		return content{}, err
	}
	if found, err = s.below(ctx, v.Viewer, sel.After, found); err != nil {
		return content{}, err
	}
	q := sel.query()
	p := listPage{
		selection: sel, Total: total, Choices: choices, Chips: sel.chips(v.links), Clear: v.links.list(nil),
		Export: v.links.export(q), Ever: total > 0 || len(q) > 0, Own: !v.Viewer.All,
		More: sel.Provider+sel.Source+sel.Policy+sel.From+sel.To != "",
	}
	p.options()
	if sel.After != "" {
		p.Newest = v.links.list(q)
	}
	if len(found) > perPage {
		found = found[:perPage]
		q.Set("after", found[perPage-1].ID)
		p.Older = v.links.list(q)
	}
	if q = sel.query(); sel.After != "" {
		q.Set("after", sel.After)
	}
	p.Close = v.links.list(q)
	for _, x := range found {
		q.Set("open", x.ID)
		p.Rows = append(p.Rows, rowOf(x, v.links.list(q)))
	}
	title := "Requests"
	if sel.Open != "" {
		if p.Opened, err = s.life(ctx, v, sel.Open); err != nil {
			return content{}, err
		}
		title = p.Opened.Heading() + " · Requests"
	}
	return content{"list", title, p}, nil
}

// below is what comes after a request of which the viewer may know: after one of
// others comes nothing, as after one that does not exist.
func (s *Server) below(ctx context.Context, v Viewer, after string, found []access.Request) ([]access.Request, error) {
	if after == "" || v.All {
		return found, nil
	}
	r, _, err := s.Record.History(ctx, after)
	if errors.Is(err, ErrNotFound) || err == nil && !s.visible(v, r) {
		return nil, nil
	}
	return found, err
}

func (p *listPage) options() {
	for _, x := range statuses {
		p.Statuses = append(p.Statuses, option{string(x), capital(spell(x)), slices.Contains(p.Status, x)})
	}
	for _, x := range sources {
		p.Sources = append(p.Sources, option{string(x), spell(x), p.Source == string(x)})
	}
}

// choices are the values that the viewer may choose from: who sees only their
// own requests is told nothing of what occurs in others'.
func (s *Server) choices(ctx context.Context, v Viewer) (access.Choices, error) {
	if v.All {
		return s.Requests.Choices(ctx)
	}
	var c access.Choices
	list, _, err := s.Requests.Find(ctx, s.scope(v, access.Filter{}), "", 200)
	for _, r := range list {
		c.People = append(c.People, r.Requestor.Email, r.Principal.Email)
		c.Resources = append(c.Resources, r.Resource)
		c.Providers = append(c.Providers, r.Target.Provider)
		if r.Decision != nil {
			c.Policies = append(c.Policies, r.Decision.Policies...)
		}
	}
	for _, l := range []*[]string{&c.People, &c.Resources, &c.Providers, &c.Policies} {
		slices.Sort(*l)
		*l = slices.Compact(*l)
	}
	return c, err
}

// export answers with the table of what is selected, as it is found: a table of
// any length takes no more memory than a page.
func (s *Server) export(w http.ResponseWriter, r *http.Request, v Viewer) {
	sel, err := selected(r)
	if err != nil {
		s.fail(w, r, v, err)
		return
	}
	choices, err := s.choices(r.Context(), v)
	if err != nil {
		s.fail(w, r, v, err)
		return
	}
	sel.filter.Person = keys(s.Rules.Rules(), sel.Person, choices.People)
	w.Header().Set("Content-Type", "text/tab-separated-values; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="requests.tsv"`)
	if r.Method == http.MethodHead {
		return
	}
	if err := s.table(r.Context(), w, s.scope(v, sel.filter)); err != nil {
		if r.Context().Err() == nil {
			s.Log.Error("the table cannot be written whole", "err", err)
		}
		// A download that breaks off is seen as broken; a short one is not.
		panic(http.ErrAbortHandler)
	}
}

// tableStep is how many requests are held while a table is written.
const tableStep = 500

// table writes what [report.TSV] writes, in steps: the order is the same, and
// only the first step has the heading.
func (s *Server) table(ctx context.Context, w interface{ Write([]byte) (int, error) }, f access.Filter) error {
	var held []access.Request
	begun := false
	flush := func() error {
		var buf bytes.Buffer
		if err := report.TSV(&buf, held); err != nil {
			return err
		}
		data := buf.Bytes()
		if begun {
			_, rest, ok := bytes.Cut(data, []byte("\n"))
			if !ok {
				return errors.New("a table without a heading")
			}
			data = rest
		}
		begun, held = true, held[:0]
		_, err := w.Write(data)
		return err
	}
	err := s.Requests.Each(ctx, f, func(r access.Request) error {
		if held = append(held, r); len(held) < tableStep {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	if len(held) > 0 || !begun {
		return flush()
	}
	return nil
}
