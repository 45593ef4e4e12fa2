package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"
)

// asofPage is who had what at a moment, and who could have approved it.
type asofPage struct {
	At               string // as it was typed
	Moment           time.Time
	Resource, Person string
	Choices          access.Choices
	Rows             []row
	Total            int
	Suggestions      []link
	Asked            bool
	Judged           *judged
	Own              bool // the viewer may ask for themselves alone
}

// judged is what the configuration of a moment says.
type judged struct {
	access.Explanation
	Resource, Person string
	Config           commit
	Missing          string // why nothing can be said
	Elsewhere        bool   // who is in a group is asked of somebody else, today
	OnCall           bool   // it depended on who was on call
}

// mostRows is how many rows of the past one page shows.
const mostRows = 500

func (s *Server) asof(r *http.Request, v view) (content, error) {
	p, err := s.past(r, v)
	if err != nil {
		return content{}, err
	}
	if !p.Asked {
		return content{"asof", "Time travel", p}, nil
	}
	known := p.Choices.People
	f := s.scope(v.Viewer, access.Filter{Resource: p.Resource})
	holder := key(s.Rules.Rules(), p.Person, known)
	list, err := s.Requests.LiveAt(r.Context(), f, p.Moment)
	if err != nil {
		return content{}, err
	}
	if holder != "" {
		list = slices.DeleteFunc(slices.Clone(list), func(q access.Request) bool {
			return !s.Rules.Rules().Same(q.Principal, personOf(holder))
		})
	}
	slices.SortStableFunc(list, func(a, b access.Request) int {
		return cmp.Or(strings.Compare(a.Resource, b.Resource), strings.Compare(a.Principal.Email, b.Principal.Email))
	})
	p.Total = len(list)
	for _, q := range list[:min(len(list), mostRows)] {
		p.Rows = append(p.Rows, rowOf(q, v.links.request(q.ID)))
	}
	if p.Resource != "" && holder != "" {
		if p.Judged, err = s.judge(r, v, p, holder); err != nil {
			return content{}, err
		}
	}
	return content{"asof", "Who had what at " + short(p.Moment) + " UTC", p}, nil
}

// past reads the parameters.
func (s *Server) past(r *http.Request, v view) (asofPage, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return asofPage{}, bad("The address has a part that cannot be read. Fill in the form anew.")
	}
	p := asofPage{Own: !v.Viewer.All}
	for name, to := range map[string]*string{"at": &p.At, "resource": &p.Resource, "person": &p.Person} {
		if *to, err = text(q, name); err != nil {
			return p, err
		}
	}
	if p.Choices, err = s.choices(r.Context(), v.Viewer); err != nil {
		return p, err
	}
	for _, a := range []struct {
		text string
		back time.Duration
	}{{"an hour ago", time.Hour}, {"yesterday", 24 * time.Hour}, {"a week ago", 7 * 24 * time.Hour}, {"30 days ago", 30 * 24 * time.Hour}} {
		at := v.Now.Add(-a.back).Truncate(time.Minute).Format(atForm)
		p.Suggestions = append(p.Suggestions, link{a.text, v.links.asof(url.Values{"at": {at}}), false})
	}
	if p.At == "" {
		if p.Resource != "" || p.Person != "" {
			p.At, p.Moment, p.Asked = v.Now.Format(atForm), v.Now, true
		}
		return p, nil
	}
	p.Asked = true
	p.Moment, err = moment(p.At)
	if err == nil && p.Moment.After(v.Now) {
		err = bad("That is in the future. What will be live then is decided in Slack; this page shows what was.")
	}
	return p, err
}

const atForm = "2006-01-02T15:04"

// moment reads a time: of a form's field, of a person, or of a program.
func moment(typed string) (time.Time, error) {
	typed = strings.TrimSuffix(strings.TrimSpace(typed), " UTC")
	for _, form := range []string{time.RFC3339, atForm, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.Parse(form, typed); err == nil && t.Year() >= 1970 && t.Year() <= 9999 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, bad("A moment is written as in 2026-11-23 14:30, in UTC.")
}

// personOf is somebody of whom a key is known.
func personOf(key string) access.Person {
	if slackID.MatchString(key) {
		return access.Person{Slack: key}
	}
	return access.Person{Email: key}
}

// judge asks the configuration of the moment who could have approved.
func (s *Server) judge(r *http.Request, v view, p asofPage, holder string) (*judged, error) {
	if !v.Viewer.All && !slices.Contains(s.Rules.Rules().Keys(v.Viewer.Person), holder) {
		return nil, &problem{http.StatusForbidden, "Only for yourself", "Reviewers and auditors may look up who could approve access for others."}
	}
	j := &judged{Resource: p.Resource, Person: holder}
	rules := s.Rules.RulesOf(r.Context(), p.Moment)
	if rules == nil {
		j.Missing = "Which configuration was in force then is not known: the log has nothing that old, or it cannot be read any more."
		return j, nil
	}
	j.Config = commit{rules.Commit, commitURL(s.ConfigURL, rules.Commit)}
	res, ok := rules.Resource(p.Resource)
	if !ok {
		j.Missing = "In the configuration of that time there was no such resource, so nobody could have asked for it."
		return j, nil
	}
	person := personOf(holder)
	person.Email = rules.Who(person)
	f := access.Facts{Now: p.Moment, Rules: rules, Filed: rules, Members: s.Rules.Members(r.Context(), rules)}
	j.Explanation = f.Explain(rules, person, person, res)
	asked := access.NeedsOf(res, true, true, rules)
	j.Elsewhere, j.OnCall = len(asked.Groups) > 0, len(asked.Watches) > 0
	return j, nil
}
