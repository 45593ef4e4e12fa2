package slackapp

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"countersign/bot/access"
)

// few is how many people are mentioned one by one in the approval message.
const few = 8

// scene is what stands in a request's messages beside its own state.
type scene struct {
	rules     *access.Rules
	group     string          // how the approvers of the default approvals are called
	takes     string          // whose approval it takes, in words; empty: that of the default approvals
	may       []string        // addresses of those who may approve
	asked     []access.Person // those of them whose approval is not given yet
	need      int             // how many approvals it takes; 0: that depends on whose
	lapsed    []access.Person // those of the approvers whose approval counts no more
	vendors   string          // of people on call whose word it was, or who were paged
	dashboard string
	glass     offer           // whether the requestor may take it without approval
	review    []string        // addresses of those who may review what was taken so
	examiners []access.Person // they, as people to be called
}

// scene looks up what the messages of a request show. Who cannot be looked up now
// is shown by address.
func (a *App) scene(ctx context.Context, r access.Request) scene {
	rules := a.cfg.Reader.Rules()
	s := scene{rules: rules, group: a.group.mention(), dashboard: a.cfg.Dashboard}
	if d := r.Decision; d != nil {
		s.vendors = vendorsOf(a.cfg.Reader.RulesAt(ctx, d.Config), d)
	}
	votes, waits := waiting(r)
	if !r.ToReview() && (!waits || len(rules.Policies) == 0) {
		return s
	}
	filed := a.cfg.Reader.RulesAt(ctx, r.FiledUnder)
	a.members.look(ctx, elsewhere(rules, filed))
	if r.ToReview() {
		s.review = a.examiners(rules, r)
		s.examiners = a.callable(ctx, rules, persons(s.review))
	}
	if !waits || len(rules.Policies) == 0 {
		return s
	}
	s.glass = a.glass(rules, filed, r)
	today := a.explain(rules, r)
	s.takes, s.may = today.Takes, a.approvers(ctx, rules, r)
	if !asksElsewhere(r, rules, filed) {
		s.lapsed = unqualified(rules, votes, s.may)
	}
	given := len(votes) - len(s.lapsed)
	s.need = needed(rules, today, given)
	if filed != nil && filed.Commit != rules.Commit {
		then := a.explain(filed, r)
		s.need = max(s.need, needed(filed, then, given))
		if then.Takes != today.Takes {
			s.takes += " (and by the rules of its filing: " + then.Takes + ")"
		}
	}
	missing := slices.DeleteFunc(persons(s.may), func(p access.Person) bool { return voted(rules, votes, p) })
	s.asked = a.callable(ctx, rules, missing)
	return s
}

func persons(emails []string) []access.Person {
	var out []access.Person
	for _, e := range emails {
		out = append(out, access.Person{Email: e})
	}
	return out
}

// callable are the accounts of people, where they are not too many to be looked up.
func (a *App) callable(ctx context.Context, rules *access.Rules, people []access.Person) []access.Person {
	if len(people) > mostInvited {
		return people
	}
	return a.accounts(ctx, rules, people)
}

// accounts are the Slack accounts of people, without those who have none by which
// they may act. Who cannot be looked up now stays an address.
func (a *App) accounts(ctx context.Context, rules *access.Rules, people []access.Person) []access.Person {
	var out []access.Person
	for _, p := range people {
		account, able, err := a.account(ctx, rules, p.Email)
		switch {
		case err != nil:
			out = append(out, p)
		case able:
			out = append(out, account)
		}
	}
	return out
}

// waiting are the approvals given so far to what waits for one.
func waiting(r access.Request) ([]access.Ballot, bool) {
	switch {
	case r.Status == access.Pending:
		return r.Votes, true
	case r.Extension != nil:
		return r.Extension.Votes, true
	}
	return nil, false
}

// plea asks for the approval.
func (s scene) plea() string {
	if s.takes == "" {
		return s.group + ": please decide."
	}
	text := "It takes the approval of " + escape(clip(printable(s.takes), 700))
	if n := len(s.asked); n > 0 && n <= few {
		return text + ": " + s.call(few) + "."
	}
	return text + "."
}

// call mentions those whose approval is missing, or, where they are more than so
// many, nobody.
func (s scene) call(most int) string {
	if s.takes == "" {
		return s.group
	}
	return mentions(s.asked, most)
}

// mentions calls people by name or, where they are more than so many, nobody.
func mentions(people []access.Person, most int) string {
	if len(people) > most {
		return ""
	}
	names := make([]string, 0, len(people))
	for _, p := range people {
		names = append(names, mention(p))
	}
	return strings.Join(names, " ")
}

// mayReview reports whether a use of break-glass waits for this person.
func (s scene) mayReview(p access.Person) bool { return slices.Contains(s.review, s.rules.Who(p)) }

// reviewPlea asks those who may review to do so, and mentions them unless they are
// more than so many.
func (s scene) reviewPlea(most int, how string) string {
	who := s.group
	if len(s.rules.Policies) > 0 {
		who = mentions(s.examiners, most)
	}
	if who == "" {
		return "Please look at what was done and " + how
	}
	return who + ": please look at what was done and " + how
}

// ballots tells the approvals given so far: "1 of 2: Bob ✓"; empty if there are
// none. One that counts no more, since the rules have changed, is named as such.
func (s scene) ballots(votes []access.Ballot) string {
	if len(votes) == 0 {
		return ""
	}
	var names, lapsed []string
	for _, b := range votes {
		if slices.Contains(s.lapsed, b.By) {
			lapsed = append(lapsed, mention(b.By))
			continue
		}
		names = append(names, mention(b.By)+" ✓ "+date(b.At))
	}
	so := "*" + count(len(names), "approval") + " so far*"
	if s.need > len(names) {
		so = fmt.Sprintf("*%d of %d*", len(names), s.need)
	}
	if len(names) > 0 {
		so += ": " + strings.Join(names, ", ")
	}
	if len(lapsed) > 0 {
		so += ". By " + strings.Join(lapsed, ", ") + ", who may not approve it any more: does not count"
	}
	return so
}

// unqualified are those who have voted and are not among who may.
func unqualified(rules *access.Rules, votes []access.Ballot, may []string) []access.Person {
	var out []access.Person
	for _, b := range votes {
		if !slices.Contains(may, rules.Who(b.By)) {
			out = append(out, b.By)
		}
	}
	return out
}

// needed is how many approvals it takes in all, more than there are already; 0
// where the ways that are left differ in it.
func needed(rules *access.Rules, e access.Explanation, given int) int {
	need := 0
	for _, p := range rules.Policies {
		if !slices.Contains(e.Policies, access.Share{Policy: p.Name, Part: "takes part"}) {
			continue
		}
		for _, w := range p.Approval {
			switch n := people(w); {
			case n <= given:
			case need != 0 && need != n:
				return 0
			default:
				need = n
			}
		}
	}
	return need
}

// people is how many different people a way takes; 0 for none.
func people(w access.Way) int {
	switch w.Type {
	case "group":
		return max(w.Count, 1)
	case "reviewers", "manager", "escalation":
		return 1
	case "steps":
		sum := 0
		for _, step := range w.Steps {
			least := 0
			for _, entry := range step {
				if n := people(entry); least == 0 || n < least {
					least = n
				}
			}
			sum += least
		}
		return sum
	}
	return 0
}

// vendorsOf names the service by whose word somebody was on call, where the
// configuration of the decision leaves only one.
func vendorsOf(rules *access.Rules, d *access.Decision) string {
	kind := map[access.Source]string{access.ByOnCall: "auto", access.ByEscalation: "escalation"}[d.Source]
	if rules == nil || kind == "" {
		return ""
	}
	var found []string
	add := func(integration string) {
		if !slices.Contains(found, integration) {
			found = append(found, integration)
		}
	}
	var collect func([]access.Way)
	collect = func(ways []access.Way) {
		for _, w := range ways {
			if w.Type == kind {
				add(w.Integration)
			}
			for _, step := range w.Steps {
				collect(step)
			}
		}
	}
	for _, p := range rules.Policies {
		if slices.Contains(d.Policies, p.Name) {
			collect(p.Approval)
		}
	}
	if c := rules.OnCall.PagerDuty; len(d.Policies) == 0 && c != nil && (kind == "escalation" || c.AutoApprove) {
		add("pagerduty")
	}
	if c := rules.OnCall.IncidentIO; len(d.Policies) == 0 && c != nil && (kind == "escalation" || c.AutoApprove) {
		add("incidentio")
	}
	if len(found) != 1 {
		return ""
	}
	return vendor(found[0])
}

func vendor(integration string) string {
	switch integration {
	case "pagerduty":
		return "PagerDuty"
	case "incidentio":
		return "incident.io"
	}
	return inert(integration, 40)
}

// grounds says on whose word, or why, access was approved; it follows "approved".
func grounds(r access.Request, vendor string) string {
	d := r.Decision
	by := make([]string, 0, len(d.Approvers))
	for _, p := range d.Approvers {
		by = append(by, mention(p))
	}
	text := "by " + strings.Join(by, ", ")
	if len(by) == 0 {
		text = "by " + mention(d.By)
	}
	switch d.Source {
	case access.ByOnCall:
		return "because " + mention(r.Principal) + " is on call" + bracket(vendor)
	case access.ByPersistent:
		return "by " + policies(d.Policies)
	case access.ByBreakGlass:
		return text + " (breaking glass)"
	case access.ByManager:
		return text + " (the manager of " + mention(r.Principal) + ")"
	case access.ByEscalation:
		if vendor != "" {
			return text + " (on call in " + vendor + ")"
		}
		return text + " (on call)"
	case access.ByGroup:
		return text + bracket("by "+policies(d.Policies))
	case access.BySelf:
		return text + " (their own request: one party is enough here)"
	}
	return text
}

// approval says how and on whose word access was given.
func approval(r access.Request, vendor string) string {
	if broken(r) {
		return "taken without approval " + grounds(r, vendor)
	}
	return "approved " + grounds(r, vendor)
}

func bracket(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// policies names access policies.
func policies(names []string) string {
	if len(names) == 0 {
		return "the configuration"
	}
	quoted := make([]string, 0, len(names))
	for _, n := range names {
		quoted = append(quoted, "“"+inert(n, 100)+"”")
	}
	if len(quoted) == 1 {
		return "policy " + quoted[0]
	}
	return "policies " + strings.Join(quoted, ", ")
}

// escalated tells who was called and when; empty if nobody was.
func escalated(r access.Request) string {
	if r.Escalated.IsZero() {
		return ""
	}
	text := "🚨 *Escalated* " + date(r.Escalated)
	if who := paged(r); who != "" {
		text += ", " + who
	}
	return text + "."
}

// paged names the calls that were made; empty where there are none.
func paged(r access.Request) string {
	var calls []string
	for _, p := range r.Posts {
		if integration, page := strings.CutPrefix(p.Notice, access.NoticePage+"-"); page && p.To.IsZero() {
			calls = append(calls, hyperlink(p.Permalink, vendor(integration)+" incident"))
		}
	}
	switch {
	case len(calls) > 0:
		return "paged: " + strings.Join(calls, ", ")
	case r.Status == access.Pending:
		return "the people on call are being paged"
	}
	return ""
}
