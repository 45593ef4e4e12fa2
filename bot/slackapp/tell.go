package slackapp

import (
	"context"
	"errors"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// What people read when something is broken.
const (
	faultText     = "That could not be recorded, so nothing happened. Please try again in a moment."
	doubtText     = "It is not known whether that was recorded: the answer of the log's repository was lost. If it was, the request shows it as soon as the repository can be reached again; if not, nothing happened, and you can try again then."
	directoryText = "Slack's directory cannot be asked right now who you are, so nothing happened. Please try again in a moment."
	triggerText   = "Slack was too slow to open the form. Please try again."
)

// reply is where somebody gets an answer that only they see.
type reply struct {
	user    string
	channel string // empty: in a direct message
	thread  string
	url     string // came with the command or the click
}

// tell answers somebody: through the address that came with what they did, in the
// channel, or in a direct message, whichever works first.
func (a *App) tell(ctx context.Context, to reply, m message) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if to.url != "" {
		err := a.web.respond(ctx, to.url, map[string]any{
			"response_type": slack.ResponseTypeEphemeral, "replace_original": false, "text": m.Text, "blocks": m.Blocks,
			"unfurl_links": false, "unfurl_media": false,
		})
		if err == nil {
			return
		}
		a.log.Warn("slack: no answer through the response address", "error", a.web.safe(err))
	}
	if to.channel != "" {
		options := m.options()
		if to.thread != "" {
			options = append(options, slack.MsgOptionTS(to.thread))
		}
		_, err := a.web.bot.PostEphemeralContext(ctx, to.channel, to.user, options...)
		if err == nil {
			return
		}
		a.log.Warn("slack: no answer in the channel", "error", a.web.safe(err))
	}
	a.tellDirectly(ctx, to.user, m)
}

func (a *App) tellDirectly(ctx context.Context, user string, m message) {
	channel, err := a.direct(ctx, user)
	if err == nil {
		_, _, err = a.web.bot.PostMessageContext(ctx, channel, m.options()...)
	}
	if err != nil {
		a.log.Error("slack: somebody could not be answered", "user", user, "error", a.web.safe(err))
	}
}

// say is a message of one sentence or a few, in mrkdwn.
func say(text string) message {
	return message{Text: text, Blocks: []slack.Block{section(mrkdwn(text))}}
}

// sayAll is a message of several paragraphs, within Slack's limits.
func sayAll(paragraphs ...string) message {
	m := message{Text: clip(paragraphs[0], 3000)}
	left := 9000
	for i, p := range paragraphs {
		n := len([]rune(p))
		if n > left || i == 45 {
			m.Blocks = append(m.Blocks, note("There is more than Slack can show here."))
			break
		}
		left -= n
		if p != "" {
			m.Blocks = append(m.Blocks, section(mrkdwn(p)))
		}
	}
	return m
}

// perform hands a command on and tells the person if it was refused or could not be
// recorded. It reports whether it was done.
func (a *App) perform(ctx context.Context, c access.Command, to reply) (access.Request, bool) {
	r, err := a.cfg.Handle(ctx, c)
	if err == nil {
		return r, true
	}
	if why, ok := access.AsRefusal(err); ok {
		a.tell(ctx, to, say(why.Text))
		return r, false
	}
	a.log.Error("a command could not be recorded", "id", c.ID, "error", a.web.safe(err))
	a.tell(ctx, to, say(faultOf(err)))
	return r, false
}

// faultOf is the truth about what could not be recorded.
func faultOf(err error) string {
	if errors.Is(err, access.ErrUncertain) {
		return doubtText
	}
	return faultText
}

// who looks up the person who acts; an outage is told and decides nothing.
func (a *App) who(ctx context.Context, to reply) (access.Actor, bool) {
	actor, err := a.people.actor(ctx, to.user)
	if err != nil {
		a.log.Warn("slack: the directory cannot be reached", "error", a.web.safe(err))
		a.tell(ctx, to, say(directoryText))
		return actor, false
	}
	return actor, true
}
