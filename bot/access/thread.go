package access

import (
	"fmt"
	"slices"
)

// MessagePosted is a reply under the approval message.
type MessagePosted struct {
	TS   string
	Bot  string
	Text string
}

// MessageEdited replaces the text of a reply; the earlier text stays known.
type MessageEdited struct {
	TS       string
	Text     string
	Previous string
}

// MessageDeleted takes a reply away from Slack, though not from the record.
type MessageDeleted struct {
	TS       string
	Previous string
}

// Kind implements [Body].
func (MessagePosted) Kind() string { return "message" }

// Kind implements [Body].
func (MessageEdited) Kind() string { return "message_edited" }

// Kind implements [Body].
func (MessageDeleted) Kind() string { return "message_deleted" }

func (b MessagePosted) apply(r *Request, e Event) error {
	if b.TS == "" || r.message(b.TS) >= 0 {
		return fmt.Errorf("message %q has no id, or was recorded before", b.TS)
	}
	r.Messages = append(r.Messages, Message{TS: b.TS, By: e.By, Bot: b.Bot, Text: b.Text, At: e.At})
	return nil
}

func (b MessageEdited) apply(r *Request, e Event) error {
	i := r.message(b.TS)
	if i < 0 {
		return fmt.Errorf("edits message %q, which is not known", b.TS)
	}
	m := &r.Messages[i]
	m.Edits = append(slices.Clip(m.Edits), Edit{Text: m.Text, At: e.At})
	m.Text = b.Text
	return nil
}

func (b MessageDeleted) apply(r *Request, e Event) error {
	i := r.message(b.TS)
	if i < 0 {
		return fmt.Errorf("deletes message %q, which is not known", b.TS)
	}
	r.Messages[i].Deleted = e.At
	return nil
}

func (r Request) message(ts string) int {
	return slices.IndexFunc(r.Messages, func(m Message) bool { return m.TS == ts })
}

// Talk counts the messages that people wrote.
func (r Request) Talk() int {
	n := 0
	for _, m := range r.Messages {
		if m.Bot == "" {
			n++
		}
	}
	return n
}

// Say records a reply in the thread.
type Say struct {
	Request string
	TS      string
	Bot     string // bot or app id where no person wrote it
	Text    string
}

// EditMessage records that a reply was edited.
type EditMessage struct {
	Request string
	TS      string
	Text    string
}

// DeleteMessage records that a reply was deleted.
type DeleteMessage struct {
	Request string
	TS      string
}

// Target implements [Action].
func (a Say) Target() (string, int) { return a.Request, 0 }

// Target implements [Action].
func (a EditMessage) Target() (string, int) { return a.Request, 0 }

// Target implements [Action].
func (a DeleteMessage) Target() (string, int) { return a.Request, 0 }

func (a Say) decide(f Facts, r Request) ([]Event, error) {
	if r.message(a.TS) >= 0 {
		return nil, nil
	}
	return []Event{f.event(r, MessagePosted{TS: a.TS, Bot: a.Bot, Text: Clean(a.Text, MaxText)})}, nil
}

func (a EditMessage) decide(f Facts, r Request) ([]Event, error) {
	i, text := r.message(a.TS), Clean(a.Text, MaxText)
	if i < 0 || !r.Messages[i].Deleted.IsZero() || r.Messages[i].Text == text {
		return nil, nil
	}
	return []Event{f.event(r, MessageEdited{TS: a.TS, Text: text, Previous: r.Messages[i].Text})}, nil
}

func (a DeleteMessage) decide(f Facts, r Request) ([]Event, error) {
	i := r.message(a.TS)
	if i < 0 || !r.Messages[i].Deleted.IsZero() {
		return nil, nil
	}
	return []Event{f.event(r, MessageDeleted{TS: a.TS, Previous: r.Messages[i].Text})}, nil
}
