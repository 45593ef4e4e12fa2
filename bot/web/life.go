package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"countersign/bot/access"
)

// life is one request from its filing on.
type life struct {
	row
	Provider   string
	With       []fact
	Source     string
	Policies   []string
	Denial     string // or what was said on breaking glass
	EndedBy    string
	EndReason  string
	Kept       string
	Account    string
	Overrun    time.Duration
	Review     *access.Review
	Since      time.Time // since when it fails
	Revoking   bool
	Waiting    bool
	FiledUnder commit
	Decision   commit
	Steps      []step
	Talk       []said
	Words      int // how many messages stand or stood
	Ending     string
	Signed     int // how many of the events have a valid signature by a known key
	Close      string
	Permanent  string
	People     map[string]string // addresses by Slack id
}

// Heading names the request for people.
func (l *life) Heading() string { return first(l.Title, l.Resource) }

// Recipient is who gets the access.
func (l *life) Recipient() string { return first(l.Principal, l.Requestor) }

// A commit is named by its id and, where one is known, by its web address.
type commit struct{ ID, URL string }

// Brief is the beginning of the id.
func (c commit) Brief() string { return brief(c.ID) }

// said is a message of the conversation.
type said struct {
	By      string
	Bot     string
	Text    string
	At      time.Time
	Edits   []access.Edit
	Deleted time.Time
	People  map[string]string
}

func (s *Server) request(r *http.Request, v view) (content, error) {
	id := r.PathValue("id")
	if !ids.MatchString(id) {
		return content{}, errNoReq
	}
	l, err := s.life(r.Context(), v, id)
	if err != nil {
		return content{}, err
	}
	l.Close = v.links.list(nil)
	return content{"request", l.Heading() + " for " + l.Recipient(), l}, nil
}

// life reads one request that the viewer may see; [ErrNotFound] if there is none.
func (s *Server) life(ctx context.Context, v view, id string) (*life, error) {
	r, entries, err := s.Record.History(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, errNoReq
	case err != nil:
		return nil, err
	case !s.visible(v.Viewer, r):
		return nil, errNoReq
	}
	l := s.outline(r, v)
	l.People = known(r, entries)
	t := teller{request: r, people: l.People}
	for i, e := range entries {
		x := t.tell(e.Event)
		x.N, x.Path = i+1, e.Path
		x.Commit = commit{e.Commit, commitURL(s.CommitURL, e.Commit)}
		x.Config = commit{e.Event.Config, commitURL(s.ConfigURL, e.Event.Config)}
		if x.Signature, err = s.signature(ctx, e.Commit); err != nil {
			return nil, err
		}
		if x.Signature.Valid && x.Signature.Known {
			l.Signed++
		}
		l.Steps = append(l.Steps, x)
	}
	for _, m := range r.Messages {
		l.Talk = append(l.Talk, said{named(m.By), m.Bot, m.Text, m.At, m.Edits, m.Deleted, l.People})
	}
	return l, nil
}

func (s *Server) signature(ctx context.Context, id string) (Signature, error) {
	if id == "" {
		return Signature{}, nil
	}
	return s.Record.Signature(ctx, id)
}

// outline is what the request amounts to by now.
func (s *Server) outline(r access.Request, v view) *life {
	l := &life{
		row: rowOf(r, v.links.request(r.ID)), Provider: r.Target.Provider, With: settings(r.Target.With),
		Review: r.Review, Words: len(r.Messages),
		FiledUnder: commit{r.FiledUnder, commitURL(s.ConfigURL, r.FiledUnder)}, Permanent: v.links.request(r.ID),
	}
	if d := r.Decision; d != nil {
		l.Policies, l.Denial = d.Policies, d.Reason
		l.Decision = commit{d.Config, commitURL(s.ConfigURL, d.Config)}
		if d.Source != "" {
			l.Source = grounds(d.Source)
		}
	}
	if g := r.Grant; g != nil {
		l.Account = g.Subject
	}
	if f := r.Failure; f != nil {
		l.Since, l.Revoking, l.Waiting = f.Since, f.Revoking, f.Waiting
	}
	if e := r.Ending; e != nil && r.End == nil {
		l.Ending = spell(e.Cause)
	}
	if e := r.End; e != nil {
		l.EndedBy, l.EndReason, l.Kept = named(e.By), e.Reason, kept(e.Kept)
	}
	if o, over := r.Overrun(v.Now); over {
		l.Overrun = o.By
	}
	return l
}

// kept says why an access was left in place at its end.
func kept(why string) string {
	switch why {
	case "":
		return ""
	case "had_before":
		return "The access was left in place: the person had it before."
	case "other_grant":
		return "The access was left in place: another live request gives it."
	}
	return "The access was left in place: " + spell(why) + "."
}

// known are the addresses of those in a request whose Slack account the log
// names.
func known(r access.Request, entries []Entry) map[string]string {
	out := map[string]string{}
	add := func(people ...access.Person) {
		for _, p := range people {
			if p.Slack != "" && p.Email != "" {
				out[p.Slack] = p.Email
			}
		}
	}
	add(r.Requestor, r.Principal)
	for _, e := range entries {
		add(e.Event.By)
		for _, members := range e.Event.Groups {
			add(members...)
		}
	}
	if r.Decision != nil {
		add(r.Decision.Approvers...)
	}
	return out
}

// Program reports whether a message is the bot's or another program's.
func (m said) Program() bool { return m.Bot != "" }

// Gone reports whether the message was deleted.
func (m said) Gone() bool { return !m.Deleted.IsZero() }

// Initials stand for a face.
func (m said) Initials() string {
	if m.By == "" {
		return "·"
	}
	return strings.ToUpper(fmt.Sprintf("%.1s", m.By))
}
