package slackapp

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/slack-go/slack"
)

// channel is the approval channel of the configuration, as Slack has it now.
type channel struct {
	app  *App
	wake chan struct{}

	mu      sync.Mutex
	id      string // guarded by mu
	problem error  // guarded by mu; why nothing can be posted there
}

// current is the id of the channel, or why there is none to use.
func (c *channel) current() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id, c.problem
}

// resolve looks the channel up. When it becomes usable, or is another one, what
// waits to be posted is posted. It reports whether the channel can be used.
func (c *channel) resolve(ctx context.Context) bool {
	id, problem := c.app.web.approvals(ctx, c.app.cfg.Reader.Rules().Slack.Channel)
	if ctx.Err() != nil {
		return false
	}
	c.mu.Lock()
	before, had := c.id, c.problem
	if problem != nil && id == "" {
		id = before
	}
	c.id, c.problem = id, problem
	c.mu.Unlock()
	switch {
	case problem != nil && (had == nil || had.Error() != problem.Error()):
		c.app.log.Error("the approval channel cannot be used", "reason", problem)
	case problem == nil && (had != nil || before != id):
		c.app.log.Info("the approval channel is ready", "channel", id)
		c.app.out.hurry(approvalLane)
		c.app.renderOpen()
	}
	return problem == nil
}

// refuse makes the channel unusable until it is looked up again.
func (c *channel) refuse(problem error) {
	c.mu.Lock()
	c.problem = problem
	c.mu.Unlock()
	c.app.log.Error("the approval channel cannot be used", "reason", problem)
}

// unusable is why a channel cannot be the approval channel.
type unusable struct{ why, remedy string }

// Error says both.
func (u unusable) Error() string { return "slack: " + u.why + ". " + u.remedy }

// approvals finds the approval channel and judges it.
func (w *web) approvals(ctx context.Context, name string) (string, error) {
	found, err := w.channel(ctx, name)
	if err != nil {
		return "", err
	}
	label := "the approval channel #" + found.Name
	switch {
	case found.IsExtShared || found.IsShared || found.IsPendingExtShared:
		return found.ID, unusable{label + " is shared with another organization: people outside would read requests and see the buttons", "Set slack.channel to a channel of this workspace alone"}
	case found.IsOrgShared:
		return found.ID, unusable{label + " is shared with other workspaces of the organization", "Set slack.channel to a channel of this workspace alone"}
	case found.IsArchived:
		return found.ID, unusable{label + " is archived", "Set slack.channel to another one, or unarchive it"}
	case !found.IsMember:
		return found.ID, unusable{"the bot is not a member of " + label, "Invite it there: /invite @countersign"}
	}
	return found.ID, nil
}

// channel finds a channel by id or #name.
func (w *web) channel(ctx context.Context, name string) (*slack.Channel, error) {
	nowhere := unusable{"there is no channel " + name + ", or it is private or archived and the bot is not in it", "Invite the bot, or correct slack.channel"}
	plain, named := strings.CutPrefix(name, "#")
	if !named {
		found, err := w.places.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: name})
		switch code := slackError(err); {
		case code == "channel_not_found":
			return nil, nowhere
		case err != nil:
			return nil, w.unseen(name, err)
		}
		return found, nil
	}
	for cursor := ""; ; {
		page, next, err := w.places.GetConversationsContext(ctx, &slack.GetConversationsParameters{
			Cursor: cursor, Limit: 200, ExcludeArchived: true, Types: []string{"public_channel", "private_channel"},
		})
		if err != nil {
			return nil, w.unseen(name, err)
		}
		for i := range page {
			if page[i].Name == plain {
				return &page[i], nil
			}
		}
		if cursor = next; cursor == "" {
			return nil, nowhere
		}
	}
}

func (w *web) unseen(name string, err error) error {
	return fmt.Errorf("slack: the approval channel %s cannot be looked up: %s%s", name, w.safe(err), advice(slackError(err)))
}
