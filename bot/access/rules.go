package access

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// Rules are the configuration at one commit, as values: who may review, what
// can be asked for, within which limits.
type Rules struct {
	Commit      string // of the configuration; recorded with every decision
	Slack       SlackSettings
	Reviewers   []string // canonical addresses
	Auditors    []string
	Settings    Settings
	People      []Known
	Resources   []Resource
	Groups      []Group
	Discoveries []Discovery
	Policies    []Policy // replace the default approvals as soon as there are any
	OnCall      OnCall

	known map[string]int // see [Rules.Index]
}

// Index makes people quick to be found, by address and by Slack account. Rules
// that were indexed must not get other People.
func (r *Rules) Index() {
	r.known = map[string]int{}
	add := func(key string, i int) {
		if _, taken := r.known[key]; !taken {
			r.known[key] = i
		}
	}
	for i, k := range r.People {
		add(plain(k.Email), i)
		for _, a := range k.Aliases {
			add(plain(a), i)
		}
		for _, s := range k.Slack {
			add(slackKey(s), i)
		}
	}
}

// slackKey is what no address can be.
func slackKey(id string) string { return "slack " + id }

// find is the place of somebody in People, by a plain address or a [slackKey];
// -1 if they are not there. Of several entries the first one counts.
func (r *Rules) find(key string) int {
	if r.known != nil {
		if i, ok := r.known[key]; ok {
			return i
		}
		return -1
	}
	id, slack := strings.CutPrefix(key, "slack ")
	return slices.IndexFunc(r.People, func(k Known) bool {
		if slack {
			return slices.Contains(k.Slack, id)
		}
		return plain(k.Email) == key || slices.ContainsFunc(k.Aliases, func(a string) bool { return plain(a) == key })
	})
}

// SlackSettings say where in Slack the bot speaks.
type SlackSettings struct {
	Channel       string // id, or #name
	ApproverGroup string // handle of the user group kept in step with the reviewers
}

// Settings hold for every request. The configuration fills in the defaults.
type Settings struct {
	OneParty        bool
	RequireReason   bool
	RequireDuration bool
	RequireTicket   *regexp.Regexp // matches the whole ticket; nil: not required
	ExpiryOptions   []time.Duration
	MaxDuration     time.Duration
	PendingTimeout  time.Duration
	Reminders       []time.Duration // after the filing; the last one repeats
}

// TicketPattern is the pattern as it was written in the configuration; empty if
// no ticket is required.
func (s Settings) TicketPattern() string {
	if s.RequireTicket == nil {
		return ""
	}
	return patternText(s.RequireTicket)
}

// Known is what the configuration says about a person that cannot be looked up
// by e-mail.
type Known struct {
	Email    string
	Aliases  []string
	Slack    []string
	GitHub   string
	Postgres string
	Manager  string
}

// A Resource is something that can be asked for.
type Resource struct {
	ID          string
	Title       string
	Owner       string
	Tags        map[string]string
	MaxDuration time.Duration // 0: only the settings limit it
	Target      Target
}

// Resource finds a resource by its id, be it written or discovered.
func (r *Rules) Resource(id string) (Resource, bool) {
	i := slices.IndexFunc(r.Resources, func(x Resource) bool { return x.ID == id })
	if i < 0 {
		return r.discovered(id)
	}
	return r.Resources[i], true
}

// Limit is the longest time for which a resource may be given.
func (r *Rules) Limit(res Resource) time.Duration {
	if res.MaxDuration > 0 {
		return min(res.MaxDuration, r.Settings.MaxDuration)
	}
	return r.Settings.MaxDuration
}

// Options are the expiries that an approver may choose from, ascending: the
// presets within the limit, the requested duration even where it is no preset,
// and the limit itself where no preset fits.
func Options(r Request, today, filed *Rules) []time.Duration {
	limit, err := Facts{Rules: today, Filed: filed, Anytime: true}.limit(r)
	if err != nil || limit <= 0 {
		return nil
	}
	var fit []time.Duration
	for _, d := range today.Settings.ExpiryOptions {
		if d <= limit {
			fit = append(fit, d)
		}
	}
	if len(fit) == 0 {
		fit = append(fit, limit)
	}
	if r.Duration > 0 && r.Duration <= limit {
		fit = append(fit, r.Duration)
	}
	slices.Sort(fit)
	return slices.Compact(fit)
}

// Canonical is the one address that stands for a person: lower case, without a
// plus-tag, and for an alias the address that it is an alias of.
func (r *Rules) Canonical(email string) string {
	e := plain(email)
	if i := r.find(e); i >= 0 {
		return plain(r.People[i].Email)
	}
	return e
}

// Address is an e-mail address in lower case. Only ASCII letters are folded:
// others have look-alikes that fold to ASCII, such as the Kelvin sign, and an
// address that looks like a reviewer's is not theirs.
func Address(email string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, strings.TrimSpace(email))
}

// plain removes what does not tell people apart: case and plus-tags.
func plain(email string) string {
	e := Address(email)
	if !strings.Contains(e, "+") {
		return e
	}
	local, domain, ok := strings.Cut(e, "@")
	if !ok {
		return e
	}
	if tagged, _, plus := strings.Cut(local, "+"); plus && tagged != "" {
		local = tagged
	}
	return local + "@" + domain
}

// Who is the canonical address of a person, found by address or by one of the
// Slack accounts that the configuration says are theirs.
func (r *Rules) Who(p Person) string {
	if p.Slack != "" {
		if i := r.find(slackKey(p.Slack)); i >= 0 {
			return plain(r.People[i].Email)
		}
	}
	return r.Canonical(p.Email)
}

// Same reports whether two accounts belong to one person.
func (r *Rules) Same(a, b Person) bool {
	if a.Slack != "" && a.Slack == b.Slack {
		return true
	}
	x, y := r.Who(a), r.Who(b)
	return x != "" && x == y
}

// Reviewer reports whether the person stands in `reviewers:`.
func (r *Rules) Reviewer(p Person) bool { return r.among(r.Reviewers, p) }

// Auditor reports whether the person stands in `auditors:`.
func (r *Rules) Auditor(p Person) bool { return r.among(r.Auditors, p) }

func (r *Rules) among(list []string, p Person) bool {
	who := r.Who(p)
	return who != "" && slices.ContainsFunc(list, func(e string) bool { return r.Canonical(e) == who })
}

// MaySee reports whether the person may be told about a request: the people in
// it, those who may decide it, reviewers and auditors.
func (r *Rules) MaySee(p Person, q Request) bool {
	return q.Involves(r, p) || r.Reviewer(p) || r.Auditor(p)
}

// Account is everything by which providers may know the person.
func (r *Rules) Account(p Person) Account {
	who := r.Who(p)
	if i := r.find(who); i >= 0 {
		return Account{Email: who, GitHub: r.People[i].GitHub, Postgres: r.People[i].Postgres}
	}
	return Account{Email: who}
}

// Changed lists who became and who ceased to be a reviewer from a to b.
func Changed(a, b *Rules) (added, removed []string) {
	was := func(r *Rules, e string) bool { return r.Reviewer(Person{Email: e}) }
	for _, e := range b.Reviewers {
		if !was(a, e) {
			added = append(added, e)
		}
	}
	for _, e := range a.Reviewers {
		if !was(b, e) {
			removed = append(removed, e)
		}
	}
	return added, removed
}

// Manager is the canonical address of a person's manager; empty if none is
// known, or if it would be themselves.
func (r *Rules) Manager(p Person) string {
	who := r.Who(p)
	if i := r.find(who); who != "" && i >= 0 && r.People[i].Manager != "" {
		if m := r.Canonical(r.People[i].Manager); m != who {
			return m
		}
	}
	return ""
}
