package slackapp

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"
)

// paragraphs joins lines into texts that fit into a block each.
func paragraphs(lines []string) []string {
	var out []string
	var b strings.Builder
	size := 0
	for _, l := range lines {
		n := len([]rune(l)) + 1
		if size > 0 && size+n > 2500 {
			out = append(out, b.String())
			b.Reset()
			size = 0
		}
		if size > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(l)
		size += n
	}
	return append(out, b.String())
}

// storyLine is a request in one line.
func storyLine(r access.Request) string {
	line := code(r.ID) + " " + name(r)
	if r.Principal.Slack != r.Requestor.Slack {
		line += " for " + mention(r.Principal)
	}
	state := strings.ReplaceAll(string(r.Shown()), "_", " ")
	switch {
	case r.Status == access.Live || r.Status == access.Approved:
		state += " until " + date(r.Expires())
	case r.End != nil:
		state += " " + date(r.End.At)
	default:
		state += " since " + date(r.FiledAt)
	}
	if r.ToReview() {
		state += ", waits for a review"
	}
	return line + " · " + state + thread(r)
}

// listText are the requests that somebody is in.
func (a *App) listText(ctx context.Context, me access.Actor) message {
	rules := a.cfg.Reader.Rules()
	lines := []string{"*Your requests*"}
	list, err := a.cfg.Reader.Find(ctx, access.Filter{Involves: rules.Keys(me.Person)}, 21)
	if err != nil {
		a.log.Error("slack: requests cannot be looked up", "error", err)
		return say("Your requests cannot be looked up now. Try again in a minute.")
	}
	for i, r := range list {
		if i < 20 {
			lines = append(lines, "• "+storyLine(r))
		} else {
			lines = append(lines, "Older ones are on the dashboard and in the log.")
			break
		}
	}
	if len(lines) == 1 {
		return say("You have not asked for anything yet. `/access request` opens the form.")
	}
	return sayAll(paragraphs(lines)...)
}

// pendingText is what waits for approval, or for the review of a use of break-glass:
// all of it for reviewers and auditors, else one's own and what one may decide.
func (a *App) pendingText(ctx context.Context, me access.Actor) message {
	rules := a.cfg.Reader.Rules()
	lines := []string{"*Waiting for approval*"}
	for _, r := range a.cfg.Reader.Lately() {
		if r.Status != access.Pending && r.Extension == nil && !r.ToReview() || !a.maySee(ctx, rules, me.Person, r) {
			continue
		}
		line := "• " + headline(r) + " · " + code(r.ID) + thread(r)
		if r.ToReview() {
			line = "• " + headline(r) + ", which waits for a review · " + code(r.ID) + thread(r)
		}
		if x := r.Extension; x != nil {
			line = "• " + mention(x.By) + " asks for " + spell(x.Duration) + " more of " + name(r) + " · " + code(r.ID) + thread(r)
		}
		if lines = append(lines, line); len(lines) > 30 {
			lines = append(lines, "There are more.")
			break
		}
	}
	if len(lines) == 1 {
		return say("Nothing waits for approval.")
	}
	return sayAll(paragraphs(lines)...)
}

// whoText says who may approve a resource, and who has it. The latter is for those
// who may see all requests, and for the resource's owner.
func (a *App) whoText(ctx context.Context, me access.Actor, text string) message {
	rules := a.cfg.Reader.Rules()
	id, _ := cut(text)
	res, ok := rules.Resource(id)
	if !ok {
		return say("There is no resource " + code(id) + " that can be asked for. `/access request` shows what there is.")
	}
	a.members.look(ctx, elsewhere(rules))
	e := a.facts(rules).Explain(rules, me.Person, me.Person, res)
	sees := rules.Reviewer(me.Person) || rules.Auditor(me.Person)
	lines := a.whoLines(ctx, rules, res, e, sees)
	if res.Owner != "" {
		lines = append(lines, "Owner: "+inert(res.Owner, 100))
	}
	owner := res.Owner != "" && rules.Same(me.Person, access.Person{Email: res.Owner})
	if !sees && !owner {
		return sayAll(paragraphs(lines)...)
	}
	lines = append(lines, "*Has it now*")
	before := len(lines)
	for _, r := range a.cfg.Reader.Lately() {
		if r.Resource == id && (r.Status == access.Live || r.Status == access.Approved) {
			lines = append(lines, "• "+mention(r.Principal)+" until "+date(r.Expires())+", "+code(r.ID)+thread(r))
		}
	}
	if len(lines) == before {
		lines = append(lines, "nobody")
	}
	return sayAll(paragraphs(lines)...)
}

// whoLines say what the configuration makes of a request for a resource. The part
// of each policy is for those who look after the rules.
func (a *App) whoLines(ctx context.Context, rules *access.Rules, res access.Resource, e access.Explanation, parts bool) []string {
	lines := []string{title(res.Title, res.ID) + ", at most " + spell(e.Limit)}
	switch {
	case len(rules.Policies) == 0:
		lines = append(lines, "May approve: "+a.group.mention())
		if !rules.Settings.OneParty {
			lines = append(lines, "Nobody approves their own request, or their own access.")
		}
	case e.Outcome == access.WouldBeDenied:
		lines = append(lines, "You cannot have it: "+e.Reason)
	case e.Outcome == access.WouldBeGiven:
		lines = append(lines, "It is given to you at once, and ends like all access.")
	case e.Takes == "nobody":
		lines = append(lines, "Nobody is named who could approve it for you.")
	default:
		lines = append(lines, "For you it takes the approval of "+escape(printable(clip(e.Takes, 700)))+a.names(ctx, rules, e.Approvers)+".")
	}
	if d := demands(e); d != "" && e.Outcome != access.WouldBeDenied {
		lines = append(lines, "It demands "+d+".")
	}
	if parts && len(e.Policies) > 0 {
		lines = append(lines, "*Access policies*")
		for _, p := range e.Policies {
			lines = append(lines, "• “"+inert(p.Policy, 100)+"” "+inert(p.Part, 200))
		}
	}
	return lines
}

// names are the accounts of a few people, for the end of a sentence.
func (a *App) names(ctx context.Context, rules *access.Rules, emails []string) string {
	if len(emails) == 0 || len(emails) > few {
		return ""
	}
	var people []access.Person
	for _, e := range emails {
		people = append(people, access.Person{Email: e})
	}
	var names []string
	for _, p := range a.accounts(ctx, rules, people) {
		names = append(names, mention(p))
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + strings.Join(names, " ")
}

// demands are what a request must say.
func demands(e access.Explanation) string {
	var out []string
	if e.Reasons {
		out = append(out, "a reason")
	}
	if e.Durations {
		out = append(out, "a duration")
	}
	for _, p := range e.Tickets {
		out = append(out, "a ticket that matches "+code(p))
	}
	return strings.Join(out, ", ")
}

// entry is something that happened to a request.
type entry struct {
	at   time.Time
	text string
}

// story tells everything about a request, in the order in which it happened.
func story(r access.Request, s scene) []string {
	entries := append(milestones(r, s), conversation(r)...)
	slices.SortStableFunc(entries, func(x, y entry) int { return x.at.Compare(y.at) })
	lines := []string{
		"*" + headline(r) + "*", code(r.ID) + " · " + strings.ReplaceAll(string(r.Shown()), "_", " ") + thread(r),
		"Resource " + code(r.Resource) + ", provider " + code(r.Target.Provider),
	}
	if r.Review != nil {
		lines = append(lines, reviewed(r))
	}
	if r.Ticket != "" {
		lines = append(lines, "Ticket "+inert(r.Ticket, 200))
	}
	if r.Reason != "" {
		lines = append(lines, "Reason: "+escape(printable(clip(r.Reason, 2400))))
	}
	for _, e := range entries {
		lines = append(lines, date(e.at)+" "+e.text)
	}
	if f := r.Failure; f != nil {
		lines = append(lines, failing(r, f))
	}
	return paragraphs(lines)
}

// milestones are the steps of a request.
func milestones(r access.Request, s scene) []entry {
	asked := mention(r.Requestor) + " asked"
	if r.Duration > 0 {
		asked += " for " + spell(r.Duration)
	}
	out := []entry{{r.FiledAt, asked + " under configuration " + code(clip(r.FiledUnder, 10))}}
	if text := unreached(r); text != "" {
		out = append(out, entry{r.FiledAt, strings.TrimSuffix(text, ".\n")})
	}
	for _, x := range r.Refusals {
		out = append(out, entry{x.At, mention(x.By) + " was refused (" + strings.ReplaceAll(string(x.Code), "_", " ") + ")"})
	}
	for _, b := range r.Votes {
		out = append(out, entry{b.At, mention(b.By) + " approved, for " + spell(b.For)})
	}
	if !r.Escalated.IsZero() {
		out = append(out, entry{r.Escalated, strings.TrimSuffix(mention(r.Requestor)+" escalated; "+paged(r), "; ")})
	}
	if d := r.Decision; d != nil {
		out = append(out, entry{d.At, decisionEntry(r, d, s.vendors)})
	}
	if g := r.Grant; g != nil && !g.GrantedAt.IsZero() {
		out = append(out, entry{g.GrantedAt, "access given to " + code(g.Subject)})
	}
	for _, x := range r.Settled {
		out = append(out, entry{x.At, settled(x)})
	}
	if x := r.Extension; x != nil {
		out = append(out, entry{x.At, mention(x.By) + " asked for " + spell(x.Duration) + " more: " + inert(x.Reason, 300)})
		for _, b := range x.Votes {
			out = append(out, entry{b.At, mention(b.By) + " approved the extension"})
		}
	}
	if v := r.Review; v != nil && !r.ToReview() {
		out = append(out, entry{v.At, mention(v.By) + " reviewed it: " + inert(v.Text, 500)})
	}
	if e := r.Ending; e != nil {
		out = append(out, entry{e.At, "to be ended: " + cause(e.Cause, e.By)})
	}
	if e := r.End; e != nil && r.Grant != nil {
		text := "ended: " + strings.ReplaceAll(string(r.Status), "_", " ") + strings.ReplaceAll(kept(r), "\n", ". ")
		if e.Reason != "" {
			text += ": " + inert(e.Reason, 500)
		}
		out = append(out, entry{e.At, text})
	}
	return out
}

func decisionEntry(r access.Request, d *access.Decision, vendor string) string {
	switch r.Status {
	case access.Denied, access.Cancelled, access.TimedOut:
		text := decidedBy(r, vendor)
		if d.Reason != "" {
			text += ": " + inert(d.Reason, 500)
		}
		return text
	}
	text := approval(r, vendor) + " until " + date(d.Expires)
	if len(d.Policies) > 0 && d.Source != access.ByGroup && d.Source != access.ByPersistent {
		text += ", under " + policies(d.Policies)
	}
	if broken(r) && d.Reason != r.Reason {
		text += ": " + inert(d.Reason, 500)
	}
	return text
}

// named shows the people whom a reply mentions by name. Nothing else that was typed
// has an effect; who reads this is alone with it, so that nobody is called.
func named(text string) string {
	return regexp.MustCompile(`&lt;@([UW][A-Z0-9]{2,20})(?:\|[^&]*)?&gt;`).ReplaceAllString(text, "<@$1>")
}

// conversation are the messages of the thread, with what became of them.
func conversation(r access.Request) []entry {
	var out []entry
	for _, m := range r.Messages {
		by := mention(m.By)
		if m.Bot != "" {
			by = "app " + code(m.Bot)
		}
		text := fmt.Sprintf("%s wrote: %s", by, named(inert(m.Text, 600)))
		if n := len(m.Edits); n > 0 {
			text += fmt.Sprintf(" _(edited; first: %s)_", named(inert(m.Edits[0].Text, 300)))
		}
		if !m.Deleted.IsZero() {
			text += " _(deleted)_"
		}
		out = append(out, entry{m.At, text})
	}
	return out
}
