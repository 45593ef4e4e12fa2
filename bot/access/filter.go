package access

import (
	"slices"
	"strings"
	"time"
)

// A Filter says which requests are meant. A zero field restricts nothing.
type Filter struct {
	// ID is what the id begins or ends with, upper and lower case aside.
	ID string
	// Text is words, each of which must occur somewhere in what was written or
	// in the names, upper and lower case aside.
	Text string
	// Person are the keys of one person, see [Rules.Keys], who asked for the
	// access, gets it, or decided or ended it. Empty restricts nothing.
	Person   []string
	Resource string
	Provider string
	Status   []Status // as people see it, see [Request.Shown]
	Source   Source
	Policy   string    // that took part in the decision
	From, To time.Time // filed in [From, To)
	// Involves are the keys of one person: only what they ask for or get. Nil
	// restricts nothing; empty is nobody.
	Involves []string
}

// Match reports whether a request is meant.
func (f Filter) Match(r Request) bool {
	id := strings.ToUpper(f.ID)
	switch {
	case !strings.HasPrefix(r.ID, id) && !strings.HasSuffix(r.ID, id),
		f.Resource != "" && r.Resource != f.Resource,
		f.Provider != "" && r.Target.Provider != f.Provider,
		len(f.Status) > 0 && !slices.Contains(f.Status, r.Shown()),
		f.Source != "" && (r.Decision == nil || r.Decision.Source != f.Source),
		f.Policy != "" && (r.Decision == nil || !slices.Contains(r.Decision.Policies, f.Policy)),
		!f.From.IsZero() && r.FiledAt.Before(f.From),
		!f.To.IsZero() && !r.FiledAt.Before(f.To),
		len(f.Person) > 0 && !slices.ContainsFunc(r.People(), func(k string) bool { return slices.Contains(f.Person, k) }),
		f.Involves != nil && !slices.ContainsFunc(r.Parties(), func(k string) bool { return slices.Contains(f.Involves, k) }):
		return false
	}
	text := r.Searchable()
	for _, word := range f.Words() {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// Words are those that a text is searched for.
func (f Filter) Words() []string { return strings.Fields(strings.ToLower(f.Text)) }

// Parties are the keys of those who ask for the access and get it.
func (r Request) Parties() []string { return keysOf(r.Requestor, r.Principal) }

// People are the keys of everybody who had a part in the request: who asked,
// gets it, approved, decided or ended it.
func (r Request) People() []string {
	people := []Person{r.Requestor, r.Principal}
	for _, v := range r.Votes {
		people = append(people, v.By)
	}
	if d := r.Decision; d != nil {
		people = append(append(people, d.By), d.Approvers...)
	}
	if e := r.End; e != nil {
		people = append(people, e.By)
	}
	return keysOf(people...)
}

// keysOf are addresses, without what does not tell people apart, and Slack ids.
func keysOf(people ...Person) []string {
	var out []string
	for _, p := range people {
		for _, k := range []string{plain(p.Email), p.Slack} {
			if k != "" && !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	return out
}

// Keys are all by which a person can stand in the log: the addresses and Slack
// accounts that the configuration says are theirs, and those given.
func (r *Rules) Keys(p Person) []string {
	who := r.Who(p)
	people := []Person{p, {Email: who}}
	for _, k := range r.People {
		if plain(k.Email) != who {
			continue
		}
		for _, a := range k.Aliases {
			people = append(people, Person{Email: a})
		}
		for _, s := range k.Slack {
			people = append(people, Person{Slack: s})
		}
	}
	return keysOf(people...)
}

// Searchable is all text of a request that can be searched for, in lower case.
func (r Request) Searchable() string {
	parts := []string{r.ID, r.Resource, r.Title, r.Reason, r.Ticket, r.Requestor.Email, r.Principal.Email}
	if d := r.Decision; d != nil {
		parts = append(parts, d.By.Email, d.Reason)
		parts = append(parts, d.Policies...)
		for _, p := range d.Approvers {
			parts = append(parts, p.Email)
		}
	}
	if e := r.End; e != nil {
		parts = append(parts, e.By.Email, e.Reason)
	}
	if v := r.Review; v != nil {
		parts = append(parts, v.By.Email, v.Text)
	}
	for _, m := range r.Messages {
		parts = append(parts, m.By.Email, m.Text)
		for _, e := range m.Edits {
			parts = append(parts, e.Text)
		}
	}
	return strings.ToLower(strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n"))
}

// LiveAt reports whether the access was there at a moment, as far as the log
// knows: from the provider's confirmation to that of the end.
func (r Request) LiveAt(t time.Time) bool {
	if r.Grant == nil || r.Grant.GrantedAt.IsZero() || r.Grant.GrantedAt.After(t) {
		return false
	}
	return r.End == nil || r.End.At.After(t)
}

// Choices are the values that occur in requests, each sorted: what a filter can
// be chosen from.
type Choices struct {
	People    []string // addresses
	Resources []string
	Providers []string
	Policies  []string
}
