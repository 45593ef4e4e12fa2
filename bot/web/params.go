package web

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"countersign/bot/access"
)

// A selection is which requests an address asks for: the filter as it was typed.
type selection struct {
	Text, Person, Resource, Provider, Source, Policy string

	Status   []access.Status
	From, To string // days, such as 2026-11-23, in UTC; To is included

	After string // id of the request after which the page begins
	Open  string // id of the request that is open beside the list

	filter access.Filter
}

// maxText is how long one parameter may be, in characters.
const maxText = 200

// ids are what the log names requests by; others are not looked for.
var ids = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

// selected reads the parameters of an address; unknown ones mean nothing.
func selected(r *http.Request) (selection, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return selection{}, bad("The address has a part that cannot be read. Set the filters anew.")
	}
	var s selection
	for name, to := range s.texts() {
		if *to, err = text(q, name); err != nil {
			return s, err
		}
	}
	for _, id := range []string{s.After, s.Open} {
		if id != "" && !ids.MatchString(id) {
			return s, errNoReq
		}
	}
	for _, v := range q["status"] {
		if v == "" {
			continue
		}
		if !slices.Contains(statuses[:], access.Status(v)) {
			return s, bad("There is no status of that name. Choose one in the filter.")
		}
		if !slices.Contains(s.Status, access.Status(v)) {
			s.Status = append(s.Status, access.Status(v))
		}
	}
	slices.SortFunc(s.Status, func(a, b access.Status) int {
		return slices.Index(statuses[:], a) - slices.Index(statuses[:], b)
	})
	if s.Source != "" && !slices.Contains(sources[:], access.Source(s.Source)) {
		return s, bad("There is no source of approval of that name. Choose one in the filter.")
	}
	return s, s.days()
}

// texts are the parameters that are one text each.
func (s *selection) texts() map[string]*string {
	return map[string]*string{
		"q": &s.Text, "person": &s.Person, "resource": &s.Resource, "provider": &s.Provider, "source": &s.Source,
		"policy": &s.Policy, "from": &s.From, "to": &s.To, "after": &s.After, "open": &s.Open,
	}
}

// text reads one parameter.
func text(q url.Values, name string) (string, error) {
	v := strings.TrimSpace(q.Get(name))
	switch {
	case !utf8.ValidString(v) || strings.ContainsRune(v, 0):
		return "", bad("The address has characters that are none. Set the filters anew.")
	case utf8.RuneCountInString(v) > maxText:
		return "", bad("What is looked for is too long: 200 characters are the most.")
	}
	return v, nil
}

// days makes the filter out of what was typed.
func (s *selection) days() error {
	s.filter = access.Filter{
		Text: s.Text, Resource: s.Resource, Provider: s.Provider,
		Status: s.Status, Source: access.Source(s.Source), Policy: s.Policy,
	}
	var err error
	if s.filter.From, err = day(s.From); err != nil {
		return err
	}
	if s.filter.To, err = day(s.To); err != nil {
		return err
	}
	if !s.filter.To.IsZero() {
		s.filter.To = s.filter.To.AddDate(0, 0, 1)
		if !s.filter.From.Before(s.filter.To) {
			return bad("The last day is before the first one.")
		}
	}
	return nil
}

func day(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return t, bad("A day is written as in 2026-11-23.")
	}
	return t, nil
}

// query is the selection as an address has it, without the place in the list.
func (s selection) query() url.Values {
	q := url.Values{}
	for name, v := range s.texts() {
		if *v != "" && name != "after" && name != "open" {
			q.Set(name, *v)
		}
	}
	for _, v := range s.Status {
		q.Add("status", string(v))
	}
	return q
}

// without is the query after one filter is taken away.
func (s selection) without(name, value string) url.Values {
	q := s.query()
	rest := slices.DeleteFunc(slices.Clone(q[name]), func(v string) bool { return v == value })
	if q.Del(name); len(rest) > 0 {
		q[name] = rest
	}
	return q
}

// A chip is one active filter, with the address of the list without it.
type chip struct{ Name, Value, Href string }

// chips are the active filters.
func (s selection) chips(l links) []chip {
	var out []chip
	for _, c := range []struct{ name, label, value string }{
		{"q", "text", s.Text}, {"person", "person", s.Person}, {"resource", "resource", s.Resource}, {"provider", "provider", s.Provider},
		{"source", "approved by", s.Source}, {"policy", "policy", s.Policy}, {"from", "since", s.From}, {"to", "until", s.To},
	} {
		if c.value == "" {
			continue
		}
		shown := c.value
		if c.name == "source" {
			shown = spell(c.value)
		}
		out = append(out, chip{c.label, shown, l.list(s.without(c.name, c.value))})
	}
	for _, v := range s.Status {
		out = append(out, chip{"status", spell(v), l.list(s.without("status", string(v)))})
	}
	return out
}

// slackID is how Slack names people.
var slackID = regexp.MustCompile(`^[UW][A-Z0-9]{2,}$`)

// key is by which a person is found whose name was typed: an address, a Slack
// id, or what stands before the @ where only one person is called so.
func key(rules *access.Rules, typed string, known []string) string {
	if typed == "" {
		return ""
	}
	if slackID.MatchString(typed) {
		return typed
	}
	if !strings.Contains(typed, "@") {
		var found []string
		for _, e := range known {
			if local, _, _ := strings.Cut(e, "@"); strings.EqualFold(local, typed) {
				found = append(found, e)
			}
		}
		if len(found) == 1 {
			typed = found[0]
		}
	}
	return rules.Keys(access.Person{Email: typed})[0]
}

// keys are all by which the log may have a person whose name was typed: whoever
// has another address than before is still the same.
func keys(rules *access.Rules, typed string, known []string) []string {
	if typed == "" {
		return nil
	}
	return rules.Keys(personOf(key(rules, typed, known)))
}
