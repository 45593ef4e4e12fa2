package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/bot/access"
)

// A Directory knows who is in groups that somebody else keeps. It is asked at
// each decision, never from a cache; an error means that nobody can be told to
// be a member.
type Directory interface {
	Members(ctx context.Context, g access.Group) ([]access.Person, error)
}

// An OnCall is a service that knows who is on call, and can call them. Both
// calls may be repeated.
type OnCall interface {
	// Duties are the people on call right now. An error means that nobody may
	// be taken to be.
	Duties(ctx context.Context, w access.Watch) ([]access.Duty, error)
	// Page calls them, once however often it is asked to for the same request,
	// and returns a reference and an address of what was opened.
	Page(ctx context.Context, p access.Page) (ref, url string, err error)
}

// askTimeout bounds the questions that a decision waits for.
const askTimeout = 6 * time.Second

// facts are what a decision on a request rests on besides the state: the rules
// and, asked now, who is in the groups and on call that the rules name. What
// cannot be asked is left out, which never widens anything.
func (b *Bot) facts(ctx context.Context, c access.Command, r access.Request) access.Facts {
	f := access.Facts{ID: c.ID, Actor: c.Actor, Rules: b.Rules.Current()}
	resource := r.Resource
	filing, files := c.Do.(access.File)
	if files {
		resource = filing.Resource
	} else {
		f.Filed = b.Rules.At(ctx, r.FiledUnder)
	}
	if access.BreaksGlass(c.Do) {
		f.Unreviewed = b.unreviewed(f.Rules, c.Actor.Person)
	}
	if !access.Asks(c.Do) {
		return f
	}
	res, ok := f.Rules.Resource(resource)
	if !ok {
		res = access.Resource{ID: r.Resource, Target: r.Target}
	}
	if files && (filing.Principal.IsZero() || f.Rules.Same(filing.Principal.Person, c.Actor.Person)) {
		f.Ahead = b.ahead(ctx, f.Rules, c.Actor.Person, res.ID)
	}
	configs := []*access.Rules{f.Rules, f.Filed}
	for _, a := range f.Ahead {
		configs = append(configs, a.Made)
	}
	_, extends := c.Do.(access.Extend) // by the rules of a new request
	n := access.NeedsOf(res, files || extends, !r.Escalated.IsZero(), configs...)
	f.Members, f.Duties, f.Unreached = b.ask(ctx, n)
	return f
}

// ask puts all questions at once; who does not answer is named.
func (b *Bot) ask(ctx context.Context, n access.Needs) (members map[string][]access.Person, duties map[string][]access.Duty, unreached []string) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	silent := func(who string) {
		mu.Lock()
		defer mu.Unlock()
		unreached = append(unreached, who)
	}
	for _, g := range n.Groups {
		wg.Go(func() {
			got, err := b.Members(ctx, g)
			if err != nil {
				b.Log.Warn("a group cannot be asked for its members", "group", g.Name, "err", err)
				silent(g.Key())
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if members == nil {
				members = map[string][]access.Person{}
			}
			members[g.Key()] = append([]access.Person(nil), got...) // nobody is nil, as the log reads it
		})
	}
	for _, w := range n.Watches {
		wg.Go(func() {
			got, err := b.Duties(ctx, w)
			if err != nil {
				b.Log.Warn("who is on call cannot be asked", "integration", w.Integration, "err", err)
				silent(w.Integration)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if duties == nil {
				duties = map[string][]access.Duty{}
			}
			duties[w.Integration] = append([]access.Duty(nil), got...)
		})
	}
	wg.Wait()
	slices.Sort(unreached)
	return members, duties, unreached
}

// Members asks who is in a group that somebody else keeps.
func (b *Bot) Members(ctx context.Context, g access.Group) ([]access.Person, error) {
	kind, _, _ := strings.Cut(g.Key(), ":")
	d := b.Directories[kind]
	if d == nil {
		return nil, fmt.Errorf("no %s directory is set up", kind)
	}
	return d.Members(ctx, g)
}

// Duties asks one integration who is on call. Its times are recorded to the second.
func (b *Bot) Duties(ctx context.Context, w access.Watch) ([]access.Duty, error) {
	o := b.OnCall[w.Integration]
	if o == nil {
		return nil, fmt.Errorf("%s is not set up", w.Integration)
	}
	list, err := o.Duties(ctx, w)
	for i := range list {
		list[i].Start, list[i].End = list[i].Start.UTC().Truncate(time.Second), list[i].End.UTC().Truncate(time.Second)
	}
	return list, err
}

// unreviewed finds a use of break-glass by a person that is still to be reviewed.
func (b *Bot) unreviewed(rules *access.Rules, p access.Person) string {
	for _, r := range b.Ledger.Unreviewed() {
		if rules.Same(r.Principal, p) {
			return r.ID
		}
	}
	return ""
}
