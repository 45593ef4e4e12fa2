package slacksim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Actor is one person, who does what people do in Slack. Its methods return errors in words
// that can be shown to that person. ErrNotConnected and ErrNoAck are among them.
type Actor struct {
	s    *Server
	user string
	base string // overrides the server's base URL
}

// As returns the person with this id, or this name.
func (s *Server) As(user string) *Actor {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.ws.userByName(user); u != nil {
		user = u.ID
	}
	return &Actor{s: s, user: user}
}

// me returns the person, who must be able to sign in.
func (a *Actor) me(ws *workspace) (*User, error) {
	u := ws.users[a.user]
	switch {
	case u == nil:
		return nil, fmt.Errorf("there is no user %q", a.user)
	case u.Deleted:
		return nil, fmt.Errorf("the account of %s is deactivated", u.Name)
	case u.Bot || u.ID == slackbot:
		return nil, fmt.Errorf("%s is a bot", u.Name)
	}
	return u, nil
}

// with runs f with the person and the workspace.
func (a *Actor) with(f func(ws *workspace, u *User) error) error {
	return a.s.do(func(ws *workspace) error {
		u, err := a.me(ws)
		if err != nil {
			return err
		}
		return f(ws, u)
	})
}

func (a *Actor) baseURL() string {
	if a.base != "" {
		return a.base
	}
	return a.s.baseURL(nil)
}

// Post writes a message and returns its timestamp. A text that begins with a command of the app
// is given as that command, and the timestamp is empty.
func (a *Actor) Post(channel, text string) (ts string, err error) {
	return a.Reply(channel, "", text)
}

// Reply writes a message into a thread.
func (a *Actor) Reply(channel, thread, text string) (ts string, err error) {
	if a.s.command(text) != nil {
		if thread != "" {
			name, _, _ := strings.Cut(text, " ")
			return "", fmt.Errorf("%s is not supported in threads, sorry", name)
		}
		_, err := a.Command(channel, text)
		return "", err
	}
	err = a.with(func(ws *workspace, u *User) error {
		ts, err = ws.personPosts(u, channel, thread, text)
		return err
	})
	return ts, err
}

func (ws *workspace) personPosts(u *User, channel, thread, text string) (string, error) {
	ch, err := ws.channelFor(u, channel)
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(text) == "" {
		return "", errors.New("an empty message cannot be sent")
	}
	if thread != "" {
		parent := ch.find(thread)
		if parent == nil || parent.Ephemeral != "" {
			return "", errors.New("there is no such thread")
		}
		if parent.Thread != "" {
			thread = parent.Thread
		}
	}
	t := ws.tokens(text)
	m := &message{User: u.ID, Text: mrkdwn(t), Rich: richText(t), Thread: thread, ClientID: newEnvelopeID()}
	ws.postMessage(ch, m)
	return m.TS, nil
}

// own finds a message that the person wrote.
func (ws *workspace) own(u *User, channel, ts string) (*channel, *message, error) {
	ch, err := ws.channelFor(u, channel)
	if err != nil {
		return nil, nil, err
	}
	m := ch.find(ts)
	if m == nil || m.User != u.ID {
		return nil, nil, errors.New("only your own messages can be changed")
	}
	return ch, m, nil
}

// Edit changes one of the person's own messages.
func (a *Actor) Edit(channel, ts, text string) error {
	return a.with(func(ws *workspace, u *User) error {
		ch, m, err := ws.own(u, channel, ts)
		if err != nil {
			return err
		}
		t := ws.tokens(text)
		ws.editMessage(ch, m, func() {
			m.Text, m.Rich = mrkdwn(t), richText(t)
			m.EditedBy, m.EditedTS = u.ID, ws.nextTS()
		})
		return nil
	})
}

// Delete removes one of the person's own messages.
func (a *Actor) Delete(channel, ts string) error {
	return a.with(func(ws *workspace, u *User) error {
		ch, m, err := ws.own(u, channel, ts)
		if err != nil {
			return err
		}
		ws.deleteMessage(ch, m)
		return nil
	})
}

// Join makes the person a member of a public channel.
func (a *Actor) Join(channel string) error {
	return a.with(func(ws *workspace, u *User) error {
		ch := ws.channelByName(channel)
		if ch == nil || ch.Private || ch.isIM() {
			return fmt.Errorf("there is no public channel %q", channel)
		}
		if u.Guest || u.SingleChannel || ws.foreign(u) {
			return errors.New("guests cannot join channels by themselves")
		}
		ws.join(ch, u.ID)
		return nil
	})
}

func (ws *workspace) join(ch *channel, user string) {
	if ch.has(user) {
		return
	}
	ch.Members = append(ch.Members, user)
	if ws.botIn(ch) {
		ws.emit("member_joined_channel", obj{
			"type": "member_joined_channel", "user": user, "channel": ch.ID, "channel_type": strings.ToUpper(ch.kind()[:1]),
			"team": ws.users[user].Team, "event_ts": ws.nextTS(),
		})
	}
	ws.notify("", "sidebar", "channel:"+ch.ID)
}

// Leave takes the person out of a channel.
func (a *Actor) Leave(channel string) error {
	return a.with(func(ws *workspace, u *User) error {
		ch, err := ws.channelFor(u, channel)
		if err != nil {
			return err
		}
		ws.leave(ch, u.ID)
		return nil
	})
}

func (ws *workspace) leave(ch *channel, user string) {
	if ws.botIn(ch) {
		ws.emit("member_left_channel", obj{
			"type": "member_left_channel", "user": user, "channel": ch.ID, "channel_type": strings.ToUpper(ch.kind()[:1]),
			"team": ws.users[user].Team, "event_ts": ws.nextTS(),
		})
	}
	ch.Members = slices.DeleteFunc(ch.Members, func(m string) bool { return m == user })
	ws.notify("", "sidebar", "channel:"+ch.ID)
}

// Read marks everything in a conversation as read.
func (a *Actor) Read(channel string) error {
	return a.with(func(ws *workspace, u *User) error {
		ch, err := ws.channelFor(u, channel)
		if err != nil {
			return err
		}
		if n := len(ch.messages); n > 0 && ch.read[u.ID] != ch.messages[n-1].TS {
			ch.read[u.ID] = ch.messages[n-1].TS
			ws.notify(u.ID, "sidebar")
		}
		return nil
	})
}

// OpenHome opens the app's Home tab.
func (a *Actor) OpenHome() error {
	return a.with(func(ws *workspace, u *User) error {
		if ws.app.NoHome || ws.foreign(u) {
			return errors.New("the app has no Home tab here")
		}
		im := ws.im(u.ID)
		if im == nil {
			return errors.New("the app has no Home tab here")
		}
		e := obj{"type": "app_home_opened", "user": u.ID, "channel": im.ID, "tab": "home", "event_ts": ws.nextTS()}
		if v := ws.homes[u.ID]; v != nil {
			e["view"] = ws.viewJSON(v)
		}
		ws.emit("app_home_opened", e)
		return nil
	})
}
