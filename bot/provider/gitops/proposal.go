package gitops

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/bot/access"
)

// A Draft is a branch of the bot's own that changes one file of a base.
type Draft struct{ Repo, Base, Branch, Path string }

// Drafts makes such branches. As an [Editor] it decides which repositories may be
// changed at all; it is safe for concurrent use and keeps the deadline of ctx.
type Drafts interface {
	// Make makes the branch anew: one commit on the head of the base, in the place
	// of whatever the branch held. The rest is as in [Editor]. Where change answers
	// the bytes that it was given there is nothing to propose, and no branch is made.
	Make(ctx context.Context, d Draft, message string, change func(old []byte) ([]byte, error)) error
	// Conflicts reports whether the branch's pull request cannot be merged any more,
	// because its base was changed in the same place meanwhile.
	Conflicts(ctx context.Context, d Draft, number int) (bool, error)
}

// A Pull is a pull request.
type Pull struct {
	Number      int
	URL         string
	Title, Body string
	Open        bool
	Merged      bool
}

// A Forge has the pull requests of one repository. It is safe for concurrent use
// and keeps the deadline of ctx. After an error of a call that changes something
// the change may be there.
type Forge interface {
	// Pulls are those from a branch of the repository itself to a base, open or not,
	// the newest first.
	Pulls(ctx context.Context, base, branch string) ([]Pull, error)
	// Open opens one. It is an error if there is an open one already.
	Open(ctx context.Context, base, branch, title, body string) (Pull, error)
	// Close closes one without merging it, and gives it another title. What was
	// merged before is an error.
	Close(ctx context.Context, number int, title string) error
	// Drop removes a branch; one that is not there counts as removed.
	Drop(ctx context.Context, branch string) error
}

// withdrawn begins the title of a pull request that was closed here and not by
// people.
const withdrawn = "Withdrawn: "

// propose brings a change about by a pull request that people merge. What counts is
// the base alone: whoever brings it there, it is done then.
//
// An access of a person has two branches, one for giving and one for ending it,
// whichever requests want that: requests that overlap share a pull request, and of
// the two never both are open. The branch also finds the pull request again after a
// crash; at any point of what follows, the next call goes on from what is there.
func (p *Provider) propose(ctx context.Context, at place, o access.Order, c change) error {
	f, err := p.pullsOf(at)
	if err != nil {
		return err
	}
	d := at.draft(c.verb, o.Subject)
	pulls, err := f.Pulls(ctx, d.Base, d.Branch)
	if err != nil {
		return err
	}
	open := slices.IndexFunc(pulls, func(x Pull) bool { return x.Open })
	if open < 0 {
		// Before the base is looked at: what is seen there must not be undone after.
		// While one is open, this has been done already.
		if err := withdraw(ctx, f, at.draft(c.opposite, o.Subject)); err != nil {
			return err
		}
	}
	done, err := p.done(ctx, at, o, c)
	switch {
	case err != nil:
		return err
	case done:
		return withdraw(ctx, f, d) // somebody else did it, or it is merged
	case open < 0:
		return p.open(ctx, f, at, o, c, pulls)
	}
	conflicts, err := p.drafts.Conflicts(ctx, d, pulls[open].Number)
	if err == nil && conflicts {
		err = p.make(ctx, d, at, o, c)
	}
	if err != nil {
		return err
	}
	return at.await(pulls[open], o, c)
}

// open opens a pull request, for there is none. One that people have closed is
// their answer to a grant; an end is proposed again.
func (p *Provider) open(ctx context.Context, f Forge, at place, o access.Order, c change, before []Pull) error {
	closed := ""
	if len(before) > 0 && before[0].refuses(o) {
		closed = before[0].URL
	}
	if closed != "" && c.there {
		return fmt.Errorf("%s, which was to give the access, was closed without being merged: reopen it there, or revoke this request", closed)
	}
	d := at.draft(c.verb, o.Subject)
	if err := p.make(ctx, d, at, o, c); err != nil {
		return err
	}
	made, err := f.Open(ctx, d.Base, d.Branch, c.title(o), at.body(o, c))
	if err != nil {
		return err
	}
	// A forge may merge by itself, as soon as there is something to merge.
	switch done, err := p.done(ctx, at, o, c); {
	case err != nil:
		return err
	case done:
		return withdraw(ctx, f, d)
	case closed != "":
		return fmt.Errorf("%s, which was to end the access, was closed without being merged: %s is open in its place, merge it", closed, made.URL)
	}
	return at.await(made, o, c)
}

// refuses reports whether people have closed a pull request of that very order.
func (x Pull) refuses(o access.Order) bool {
	return !x.Open && !x.Merged && !strings.HasPrefix(x.Title, withdrawn) && strings.Contains(x.Body, requestTrailer(o))
}

func (p *Provider) make(ctx context.Context, d Draft, at place, o access.Order, c change) error {
	return p.drafts.Make(ctx, d, message(o, c), func(old []byte) ([]byte, error) { return c.edit(old, at.key, o.Subject) })
}

// done reports whether the base is as it should become.
func (p *Provider) done(ctx context.Context, at place, o access.Order, c change) (bool, error) {
	has, err := p.Has(ctx, o.Target, o.Subject)
	return (has == access.Present) == c.there, err
}

// withdraw closes what is open of a branch, and removes the branch.
func withdraw(ctx context.Context, f Forge, d Draft) error {
	pulls, err := f.Pulls(ctx, d.Base, d.Branch)
	if err != nil {
		return err
	}
	for _, x := range pulls {
		if !x.Open {
			continue
		}
		if err := f.Close(ctx, x.Number, withdrawn+x.Title); err != nil {
			return err
		}
	}
	return f.Drop(ctx, d.Branch)
}

// pullsOf are the pull requests of a place's repository.
func (p *Provider) pullsOf(at place) (Forge, error) {
	if p.drafts == nil || p.forge == nil {
		return nil, errors.New("there are no pull requests here")
	}
	return p.forge(at.repo)
}

// draft is the branch on which an entry is proposed. Its name says no more than
// which one it is: what is read by people stands in the pull request.
func (at place) draft(verb, subject string) Draft {
	parts := append([]string{at.branch, at.file, strings.ToLower(subject)}, at.key...)
	id := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return Draft{Repo: at.repo, Base: at.branch, Path: at.file, Branch: fmt.Sprintf("countersign/%s-%x", verb, id[:10])}
}

// await says what is waited for.
func (at place) await(x Pull, o access.Order, c change) error {
	what := "adds %s to %s: the access begins then"
	if !c.there {
		what = "takes %s out of %s: the access ends then"
	}
	text := fmt.Sprintf("Somebody has to merge %s, which "+what+".", x.URL, line(o.Subject), line(at.list()))
	return &access.Awaiting{For: text}
}

// list names the list for people.
func (at place) list() string { return at.written + " in " + at.file }

// title is that of the pull request.
func (c change) title(o access.Order) string {
	text := fmt.Sprintf("%s %s %s %s", c.verb, line(o.Resource), c.preposition, line(principal(o)))
	return strings.ToUpper(text[:1]) + text[1:min(len(text), 200)]
}

// body says what merging does. It holds nothing that people wrote.
func (at place) body(o access.Order, c change) string {
	var b strings.Builder
	list := code(at.written) + " in " + code(at.file)
	if c.there {
		fmt.Fprintf(&b, "Adds %s to %s.\n\nThis gives access to %s, until %s. The access begins when this is merged. Closed without being merged, it is refused. At its end another pull request takes the entry out again.\n\n",
			code(o.Subject), list, code(o.Resource), o.Expires.UTC().Format(time.RFC3339))
	} else {
		fmt.Fprintf(&b, "Takes %s out of %s.\n\nThis ends access to %s, which is over by what was decided. **It is still there until this is merged.** Closed without being merged, it is proposed again.\n\n",
			code(o.Subject), list, code(o.Resource))
	}
	fmt.Fprintf(&b, "Who asked, who decided and why stands in the log under request %s. This branch belongs to the bot, which makes it anew where the base has moved.\n\n%s\n", code(o.Request), requestTrailer(o))
	return b.String()
}

func requestTrailer(o access.Order) string { return "Request-Id: " + line(o.Request) }

// code is a word that Markdown makes nothing of.
func code(s string) string { return "`" + strings.ReplaceAll(line(s), "`", "'") + "`" }
