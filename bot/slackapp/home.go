package slackapp

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// homeStays is how long an opened Home tab is kept up to date.
const homeStays = time.Hour

// homes are the people who have looked at their Home tab lately.
type homes struct {
	mu     sync.Mutex
	opened map[string]time.Time // guarded by mu
}

func newHomes() *homes { return &homes{opened: map[string]time.Time{}} }

func (h *homes) open(user string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened[user] = time.Now()
}

// lately are those who opened it within the hour.
func (h *homes) lately() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var users []string
	for u, at := range h.opened {
		if time.Since(at) > homeStays {
			delete(h.opened, u)
			continue
		}
		users = append(users, u)
	}
	return users
}

// refreshHomes publishes the Home tabs that somebody may be looking at.
func (a *App) refreshHomes() {
	for _, user := range a.homes.lately() {
		a.publishHome(user)
	}
}

func (a *App) publishHome(user string) {
	a.out.add(homeLane, "home "+user, func(ctx context.Context, _ *task) error {
		actor, err := a.people.actor(ctx, user)
		if err != nil {
			return err
		}
		rules := a.cfg.Reader.Rules()
		waits := func(r access.Request) bool { return a.waitsFor(ctx, rules, actor.Person, r) }
		reviews := func(r access.Request) bool { return a.reviewWaitsFor(rules, actor.Person, r) }
		all, err := a.homeRequests(ctx, rules, actor.Person)
		if err != nil {
			return err
		}
		view := message{Blocks: homeBlocks(actor, rules, all, waits, reviews)}
		if a.cfg.Dashboard != "" {
			view.Blocks = append(view.Blocks, homeFooter(a.cfg.Dashboard))
		}
		if a.rendered.same("home", user, view) {
			return nil
		}
		_, err = a.web.bot.PublishViewContext(ctx, slack.PublishViewContextRequest{
			UserID: user, View: slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: view.Blocks}},
		})
		if err == nil {
			a.rendered.keep("home", user, view)
		}
		return err
	})
}

// homeRequests are those that a Home tab is made of, the newest filing first: what
// is of late, and the person's own past.
func (a *App) homeRequests(ctx context.Context, rules *access.Rules, me access.Person) ([]access.Request, error) {
	past, err := a.cfg.Reader.Find(ctx, access.Filter{Involves: rules.Keys(me), Status: access.Endings}, mostPast)
	if err != nil {
		return nil, err
	}
	all := append(a.cfg.Reader.Lately(), past...)
	slices.SortStableFunc(all, func(a, b access.Request) int {
		return cmp.Or(b.FiledAt.Compare(a.FiledAt), cmp.Compare(b.ID, a.ID))
	})
	return slices.CompactFunc(all, func(a, b access.Request) bool { return a.ID == b.ID }), nil
}

// mostPast is how many requests of the past a Home tab shows.
const mostPast = 10

// waitsFor reports whether something of a request waits for somebody's approval.
func (a *App) waitsFor(ctx context.Context, rules *access.Rules, me access.Person, r access.Request) bool {
	votes, waits := waiting(r)
	switch {
	case !waits || r.Involves(rules, me) || voted(rules, votes, me):
		return false
	case len(rules.Policies) == 0 && rules.Reviewer(me):
		return true
	}
	return len(rules.Policies) > 0 && a.mayApprove(ctx, rules, me, r) || a.onCall(ctx, rules, me, r)
}

// homeBlocks are what a person sees in the Home tab: their access, what they asked
// for, what waits for their approval and for their review, and what was lately.
func homeBlocks(me access.Actor, rules *access.Rules, all []access.Request, waiting, reviewing func(access.Request) bool) []slack.Block {
	blocks := []slack.Block{
		slack.NewHeaderBlock(label("Your access", 150)),
		slack.NewActionBlock("ask", button(actRequest, "Request access", "new", slack.StylePrimary)),
	}
	if me.Barred != "" {
		return []slack.Block{section(mrkdwn(me.Barred))}
	}
	var live, mine, waits, reviews, past []access.Request
	for _, r := range all {
		involved := r.Involves(rules, me.Person)
		switch {
		case involved && (r.Status == access.Live || r.Status == access.Approved):
			live = append(live, r)
		case involved && r.Status == access.Pending:
			mine = append(mine, r)
		case involved && len(past) < mostPast:
			past = append(past, r)
		}
		if waiting(r) {
			waits = append(waits, r)
		}
		if reviewing(r) {
			reviews = append(reviews, r)
		}
	}
	blocks = append(blocks, homeLive(live, me.Person)...)
	blocks = append(blocks, homeList("Waiting for approval", mine, 8, func(r access.Request) slack.Block { return homePending(r, me.Person, rules) })...)
	blocks = append(blocks, homeList("Waiting for you", waits, 8, homeWaiting)...)
	blocks = append(blocks, homeList("Waiting for your review", reviews, 8, homeReview)...)
	return append(blocks, homeList("Lately", past, mostPast, func(r access.Request) slack.Block { return note(storyLine(r)) })...)
}

// homeFooter leads to the dashboard.
func homeFooter(dashboard string) slack.Block {
	return note(hyperlink(dashboard+"/", "Dashboard") + " · who has what, who decided, and why")
}

func homeLive(live []access.Request, me access.Person) []slack.Block {
	if len(live) == 0 {
		return []slack.Block{note("You hold no access now.")}
	}
	var blocks []slack.Block
	for _, r := range live[:min(len(live), 8)] {
		blocks = append(blocks, section(mrkdwn(withReview(approvedText(r, me, ""), r))))
		if access.Holds(r) {
			blocks = append(blocks, slack.NewActionBlock("live "+r.ID, holderControls(r)...))
		}
	}
	return more(blocks, len(live), 8)
}

func homeList(title string, list []access.Request, most int, show func(access.Request) slack.Block) []slack.Block {
	if len(list) == 0 {
		return nil
	}
	blocks := []slack.Block{slack.NewDividerBlock(), section(mrkdwn("*" + title + "*"))}
	for _, r := range list[:min(len(list), most)] {
		blocks = append(blocks, show(r))
	}
	return more(blocks, len(list), most)
}

func more(blocks []slack.Block, all, shown int) []slack.Block {
	if all <= shown {
		return blocks
	}
	return append(blocks, note("and "+count(all-shown, "more request")+": `/access list`, `/access pending`"))
}

func homePending(r access.Request, me access.Person, rules *access.Rules) slack.Block {
	var accessory *slack.Accessory
	if rules.Same(me, r.Requestor) {
		accessory = slack.NewAccessory(button(actCancel, "Cancel", value(r.ID, 0), ""))
	}
	return slack.NewSectionBlock(mrkdwn(headline(r)+", "+date(r.FiledAt)+"\n"+code(r.ID)+thread(r)), nil, accessory, slack.SectionBlockOptionBlockID("mine "+r.ID))
}

func homeWaiting(r access.Request) slack.Block {
	text := headline(r)
	if x := r.Extension; x != nil {
		text = mention(x.By) + " asks for " + spell(x.Duration) + " more of " + name(r)
	}
	var accessory *slack.Accessory
	if p, ok := r.ApprovalPost(); ok && p.Permalink != "" && safeURL(p.Permalink) == nil {
		open := button(actOpen, "Open", "", "")
		open.URL = p.Permalink
		accessory = slack.NewAccessory(open)
	}
	return slack.NewSectionBlock(mrkdwn(text+"\n"+code(r.ID)), nil, accessory, slack.SectionBlockOptionBlockID("waits "+r.ID))
}

func homeReview(r access.Request) slack.Block {
	text := headline(r) + ", " + date(r.Decision.At) + "\n" + code(r.ID) + thread(r)
	return slack.NewSectionBlock(mrkdwn(text), nil, slack.NewAccessory(reviewButton(r)), slack.SectionBlockOptionBlockID("review "+r.ID))
}
