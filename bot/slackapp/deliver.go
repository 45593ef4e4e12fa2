package slackapp

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// metadataType marks the bot's own messages.
const metadataType = "countersign"

// noticeAsked is the reply by which the approvers are told of an extension: an
// update of the message above it would notify nobody. The round follows it.
const noticeAsked = access.NoticeAsked

// target is where a message belongs, and which one it is.
type target struct {
	channel string
	thread  string // empty: a message of its own
	request string
	notice  string
	to      access.Person
}

func (t target) metadata() slack.SlackMetadata {
	return slack.SlackMetadata{EventType: metadataType, EventPayload: map[string]any{"request": t.request, "notice": t.notice, "to": t.to.Slack}}
}

// settleApproval brings the request's message in the approval channel in step with
// its state: posted if it is owed, rendered anew if it stands.
func (a *App) settleApproval(ctx context.Context, id string, t *task) error {
	r, ok := a.cfg.Reader.Request(id)
	if !ok {
		return nil
	}
	if !a.group.known() {
		return notYet{errors.New("the approvers are not looked up yet")}
	}
	if _, posted := r.ApprovalPost(); !posted {
		var err error
		if r, err = a.postApproval(ctx, r, t); err != nil {
			return err
		}
	}
	for _, p := range r.Posts {
		if m, ok := a.standsFor(ctx, r, p); ok {
			if err := a.update(ctx, p, m); err != nil {
				return err
			}
		}
	}
	r, err := a.announceGlass(ctx, r, t)
	if err != nil {
		return err
	}
	if err := a.askExtension(ctx, r, t); err != nil {
		return err
	}
	return a.callOverdue(ctx, r, t)
}

// callOverdue tells the approvers, in the request's thread, that an access has
// long outlived its end, or is there again after it.
func (a *App) callOverdue(ctx context.Context, r access.Request, t *task) error {
	root, ok := r.ApprovalPost()
	if !ok {
		return nil
	}
	what := whose(r, access.Person{})
	for _, n := range access.Owed(r, time.Now()) {
		text := ""
		switch kind, _, _ := strings.Cut(n.Name, "-"); kind {
		case access.NoticeOverdue:
			text = overdueText(r, what)
		case access.NoticeDrift:
			text = driftText(r, what)
		}
		if text == "" || !n.To.IsZero() {
			continue
		}
		to := target{channel: root.Channel, thread: root.TS, request: r.ID, notice: n.Name}
		var err error
		if r, err = a.deliver(ctx, r, to, say(a.group.mention()+": "+text), t); err != nil {
			return err
		}
	}
	return nil
}

// notYet makes a task wait for something that others see to.
type notYet struct{ error }

// standsFor is what a post in the approval channel has to show now; false for one
// that stays as it is. What called people says how it ended as soon as nothing waits
// for them any more.
func (a *App) standsFor(ctx context.Context, r access.Request, p access.Post) (message, bool) {
	kind, _, _ := strings.Cut(p.Notice, "-")
	switch {
	case !p.To.IsZero():
	case kind == access.NoticeApproval:
		return a.approval(ctx, r), true
	case (kind == noticeApprove || kind == access.NoticeReminder) && r.Status != access.Pending:
		return say(withReview(invitation(r, access.Person{}, a.scene(ctx, r)), r)), true
	case kind == noticeAsked:
		text, ok := answered(r, p.Notice)
		return say(text), ok
	case kind == noticeGlass && !r.ToReview():
		return glassCall(r, a.scene(ctx, r)), true
	case kind == access.NoticeOverdue && r.Status.Ended():
		return say(overdueText(r, whose(r, access.Person{}))), true
	case kind == access.NoticeDrift && !(r.SeenAgain() && r.Drift.Ending == nil):
		return say(driftText(r, whose(r, access.Person{}))), true
	}
	return message{}, false
}

// approval renders the request's message.
func (a *App) approval(ctx context.Context, r access.Request) message {
	c := access.ControlsOf(r, a.cfg.Reader.Rules(), a.cfg.Reader.RulesAt(ctx, r.FiledUnder))
	return approvalMessage(r, c, a.scene(ctx, r))
}

// postApproval posts the message and records it. A crash in between leaves a
// message that the next try finds by its metadata.
func (a *App) postApproval(ctx context.Context, r access.Request, t *task) (access.Request, error) {
	channel, err := a.channel.current()
	if err != nil {
		return r, notYet{err}
	}
	m := a.approval(ctx, r)
	to := target{channel: channel, request: r.ID, notice: access.NoticeApproval}
	late := a.mayStand(r, t)
	recorded, err := a.deliver(ctx, r, to, m, t)
	switch slackError(err) {
	case "not_in_channel", "channel_not_found", "is_archived":
		a.channel.refuse(fmt.Errorf("slack: nothing can be posted in the approval channel: %s", slackError(err)))
		wake(a.channel.wake)
	}
	if err != nil {
		return r, err
	}
	a.changedFor(recorded)
	if post, ok := recorded.ApprovalPost(); late && ok {
		a.reread(ctx, r.ID, post)
	}
	return recorded, nil
}

// mayStand reports whether a message may have been posted before: by an earlier run,
// or by a call whose answer was lost.
func (a *App) mayStand(r access.Request, t *task) bool {
	return t.unclear || r.FiledAt.Before(a.started)
}

// deliver posts a message, or finds it posted, and records it.
func (a *App) deliver(ctx context.Context, r access.Request, to target, m message, t *task) (access.Request, error) {
	if err := t.mayPost(); err != nil {
		return r, err
	}
	ts, err := "", error(nil)
	if a.mayStand(r, t) {
		if ts, err = a.find(ctx, to, r.FiledAt); err != nil {
			return r, err
		}
	}
	if ts == "" {
		if ts, err = a.post(ctx, to, m); err != nil {
			return r, err
		}
		a.rendered.keep(to.channel, ts, m)
	}
	a.unrecorded.Store(posted{to.channel, ts}, r.ID)
	defer a.unrecorded.Delete(posted{to.channel, ts})
	post := access.Post{Notice: to.notice, To: to.to, Channel: to.channel, TS: ts, Permalink: a.permalink(ctx, to.channel, ts)}
	defer a.out.recording(t, func() func() { return a.cfg.Urge(r.ID) })()
	recorded, err := a.cfg.Handle(ctx, access.Command{
		ID: eventID("post", to.channel, ts, to.notice),
		Do: access.Notify{Request: r.ID, Post: post},
	})
	if err != nil {
		// It is posted, but not known: the next try looks for it.
		t.unclear = true
		return r, fmt.Errorf("record what was posted: %w", err)
	}
	return recorded, nil
}

// posted names a message of ours.
type posted struct{ channel, ts string }

// awaitRecord waits until the log knows a message of ours, at most so long. What is
// just being recorded waits for no others then.
func (a *App) awaitRecord(ctx context.Context, channel, ts string, most time.Duration) {
	var leave func()
	until(ctx, most, func() bool {
		if _, known := a.cfg.Reader.ByPost(channel, ts); known {
			return true
		}
		if id, ok := a.unrecorded.Load(posted{channel, ts}); ok && leave == nil {
			leave = a.cfg.Urge(id.(string))
		}
		return false
	})
	if leave != nil {
		leave()
	}
}

func (a *App) post(ctx context.Context, to target, m message) (string, error) {
	options := append(m.options(), slack.MsgOptionMetadata(to.metadata()))
	if to.thread != "" {
		options = append(options, slack.MsgOptionTS(to.thread))
	}
	_, ts, err := a.web.bot.PostMessageContext(ctx, to.channel, options...)
	if err == nil && ts == "" {
		return "", errors.New("slack answered no message id")
	}
	return ts, err
}

// options are text and blocks, always both, with nothing unfurled.
func (m message) options() []slack.MsgOption {
	return []slack.MsgOption{
		slack.MsgOptionText(clip(m.Text, 3000), false), slack.MsgOptionBlocks(m.Blocks...),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
}

// update renders a message anew, unless it looks like that already.
func (a *App) update(ctx context.Context, p access.Post, m message) error {
	if a.rendered.same(p.Channel, p.TS, m) {
		return nil
	}
	_, _, _, err := a.web.bot.UpdateMessageContext(ctx, p.Channel, p.TS, m.options()...)
	switch code := slackError(err); code {
	case "channel_not_found", "is_archived", "is_inactive", "not_in_channel":
		if id, _ := a.channel.current(); id == p.Channel {
			// It may come back, and must not show then what cannot be done any more.
			return notYet{fmt.Errorf("slack: a message in the approval channel cannot be updated: %s", code)}
		}
		fallthrough
	case "message_not_found", "cant_update_message", "edit_window_closed":
		// Gone for good: the log still knows everything.
		a.log.Warn("a message cannot be updated", "channel", p.Channel, "ts", p.TS, "error", code)
		err = nil
	}
	if err == nil {
		a.rendered.keep(p.Channel, p.TS, m)
	}
	return err
}

func (a *App) permalink(ctx context.Context, channel, ts string) string {
	address, err := a.web.bot.GetPermalinkContext(ctx, &slack.PermalinkParameters{Channel: channel, Ts: ts})
	if err != nil {
		a.log.Warn("no link to a message", "error", a.web.safe(err))
		return ""
	}
	return address
}

// find looks in the history for a message of ours with the same metadata.
func (a *App) find(ctx context.Context, to target, since time.Time) (string, error) {
	method, args := "conversations.history", url.Values{"channel": {to.channel}, "limit": {"200"}, "include_all_metadata": {"true"}}
	args.Set("oldest", strconv.FormatInt(since.Add(-time.Minute).Unix(), 10)+".000000")
	if to.thread != "" {
		method = "conversations.replies"
		args.Set("ts", to.thread)
	}
	for range 20 {
		page, err := a.web.call(ctx, method, args)
		if err != nil {
			return "", err
		}
		for _, m := range page.list("messages") {
			if a.ours(m) && to.is(m.at("metadata")) {
				return m.str("ts"), nil
			}
		}
		cursor := page.str("response_metadata", "next_cursor")
		if cursor == "" {
			break
		}
		args.Set("cursor", cursor)
	}
	return "", nil
}

func (t target) is(metadata payload) bool {
	p := metadata.at("event_payload")
	return metadata.str("event_type") == metadataType && p.str("request") == t.request && p.str("notice") == t.notice && p.str("to") == t.to.Slack
}

// ours reports whether the bot itself wrote a message. Metadata alone does not say
// so: any app can set it.
func (a *App) ours(m payload) bool {
	me := a.self()
	return m.str("bot_id") != "" && m.str("bot_id") == me.Bot || m.str("user") != "" && m.str("user") == me.User
}

// settleDirect brings the direct messages to one person in step with the state.
func (a *App) settleDirect(ctx context.Context, id string, to access.Person, t *task) error {
	r, ok := a.cfg.Reader.Request(id)
	if !ok {
		return nil
	}
	if _, posted := r.ApprovalPost(); !posted && r.Status == access.Pending {
		// The approval message comes first; when it stands, we are called again.
		if _, err := a.channel.current(); err == nil {
			return nil
		}
	}
	if r.FiledAt.Before(a.started) && !a.rendered.adopted(to.Slack) {
		if err := a.adopt(ctx, to.Slack); err != nil {
			return err
		}
		r, _ = a.cfg.Reader.Request(id)
	}
	s := a.scene(ctx, r)
	for _, p := range r.Posts {
		if p.To.Slack == to.Slack && !p.To.IsZero() {
			if err := a.update(ctx, p, noticeMessage(r, p.Notice, p.To, s)); err != nil {
				return err
			}
		}
	}
	for _, n := range access.Owed(r, time.Now()) {
		if n.To.Slack != to.Slack || n.To.IsZero() {
			continue
		}
		channel, err := a.direct(ctx, to.Slack)
		if err != nil {
			return err
		}
		where := target{channel: channel, request: r.ID, notice: n.Name, to: n.To}
		if r, err = a.deliver(ctx, r, where, noticeMessage(r, n.Name, n.To, s), t); err != nil {
			return err
		}
	}
	return nil
}

// adopt records the direct messages that an earlier run posted and did not live to
// record. Where the request has moved on, nobody owes them any more, and their
// buttons would stay for ever.
func (a *App) adopt(ctx context.Context, user string) error {
	channel, err := a.direct(ctx, user)
	if err != nil {
		return err
	}
	args := url.Values{"channel": {channel}, "limit": {"200"}, "include_all_metadata": {"true"}}
	args.Set("oldest", strconv.FormatInt(a.unsettled().Add(-time.Minute).Unix(), 10)+".000000")
	for range 20 {
		page, err := a.web.call(ctx, "conversations.history", args)
		if err != nil {
			return err
		}
		for _, m := range page.list("messages") {
			if err := a.adoptOne(ctx, user, channel, m); err != nil {
				return err
			}
		}
		if args.Set("cursor", page.str("response_metadata", "next_cursor")); args.Get("cursor") == "" {
			break
		}
	}
	a.rendered.adopt(user)
	return nil
}

func (a *App) adoptOne(ctx context.Context, user, channel string, m payload) error {
	about := m.at("metadata", "event_payload")
	request, notice := about.str("request"), about.str("notice")
	r, ok := a.cfg.Reader.Request(request)
	if !ok || notice == "" || about.str("to") != user || !a.ours(m) || m.str("metadata", "event_type") != metadataType {
		return nil
	}
	if _, known := r.Post(notice, access.Person{Slack: user}); known {
		return nil
	}
	to := a.person(ctx, user).Person
	for _, p := range []access.Person{r.Requestor, r.Principal} {
		if p.Slack == user {
			to = p
		}
	}
	_, err := a.cfg.Handle(ctx, access.Command{
		ID: eventID("post", channel, m.str("ts"), notice),
		Do: access.Notify{Request: request, Post: access.Post{
			Notice: notice, To: to, Channel: channel, TS: m.str("ts"), Permalink: a.permalink(ctx, channel, m.str("ts")),
		}},
	})
	return err
}

// unsettled is since when there are requests that are open, or changed within an hour
// of the log's newest event: older messages are not looked for.
func (a *App) unsettled() time.Time {
	var since time.Time
	for _, r := range a.cfg.Reader.Lately() {
		if since.IsZero() || r.FiledAt.Before(since) {
			since = r.FiledAt
		}
	}
	return since
}

// direct is the channel of the direct messages to somebody.
func (a *App) direct(ctx context.Context, user string) (string, error) {
	c, _, _, err := a.web.bot.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{user}})
	switch {
	case err != nil:
		return "", err
	case c == nil || c.ID == "":
		return "", errors.New("slack opened no direct messages")
	}
	return c.ID, nil
}

// askExtension tells the approvers, in the thread, that an extension waits.
func (a *App) askExtension(ctx context.Context, r access.Request, t *task) error {
	root, ok := r.ApprovalPost()
	if x := r.Extension; x == nil || !ok {
		return nil
	}
	notice := fmt.Sprintf("%s-%d", noticeAsked, r.Extension.Round)
	if _, done := r.Post(notice, access.Person{}); done {
		return nil
	}
	text := fmt.Sprintf("%s asks for %s more. Approve or deny it in the message above.", mention(r.Extension.By), spell(r.Extension.Duration))
	if who := a.scene(ctx, r).call(mostInvited); who != "" {
		text = who + ": " + text
	}
	to := target{channel: root.Channel, thread: root.TS, request: r.ID, notice: notice}
	_, err := a.deliver(ctx, r, to, message{Text: text, Blocks: []slack.Block{section(mrkdwn(text))}}, t)
	return err
}

// Remind reminds the approvers of a pending request, in its thread, once each time.
// It never blocks. What was posted is recorded, so that after the decision it says so.
func (a *App) Remind(id string) {
	a.out.add(approvalLane, "remind "+id, func(ctx context.Context, t *task) error {
		r, ok := a.cfg.Reader.Request(id)
		root, posted := r.ApprovalPost()
		notice := fmt.Sprintf("%s-%d", access.NoticeReminder, r.Reminders)
		_, done := r.Post(notice, access.Person{})
		if !ok || !posted || done || r.Status != access.Pending && !t.unclear {
			return nil
		}
		to := target{channel: root.Channel, thread: root.TS, request: id, notice: notice}
		if r.Status != access.Pending {
			if ts, err := a.find(ctx, to, r.FiledAt); err != nil || ts == "" {
				return err
			}
		}
		_, err := a.deliver(ctx, r, to, say(a.reminder(ctx, r)), t)
		return err
	})
}

// reminder mentions those whose approval is still missing.
func (a *App) reminder(ctx context.Context, r access.Request) string {
	s := a.scene(ctx, r)
	text := "This request still waits for a decision, since " + date(r.FiledAt) + "."
	if who := s.call(mostInvited); who != "" {
		text = who + ": this request still waits for a decision, since " + date(r.FiledAt) + "."
	}
	if b := s.ballots(r.Votes); b != "" {
		text += "\n" + b
	}
	return text
}

// Announce says something to everyone in the approval channel. The text is mrkdwn.
// It never blocks; it is tried until it is said.
func (a *App) Announce(text string) {
	notice := fmt.Sprintf("announcement-%x", sha256.Sum256([]byte(text+time.Now().String())))[:40]
	from := time.Now()
	a.out.add(approvalLane, notice, func(ctx context.Context, t *task) error {
		channel, err := a.channel.current()
		if err != nil {
			return notYet{err}
		}
		to := target{channel: channel, notice: notice}
		if t.unclear {
			if ts, err := a.find(ctx, to, from); err != nil || ts != "" {
				return err
			}
		}
		if err := t.mayPost(); err != nil {
			return err
		}
		_, err = a.post(ctx, to, message{Text: text, Blocks: []slack.Block{section(mrkdwn(text))}})
		return err
	})
}

// seen remembers what messages look like, so that nothing is sent in vain. It may
// forget: then a message is rendered once more.
type seen struct {
	mu    sync.Mutex
	looks map[string][sha256.Size]byte // guarded by mu
	known map[string]bool              // guarded by mu; whose messages of an earlier run were looked for
}

func newSeen() *seen {
	return &seen{looks: map[string][sha256.Size]byte{}, known: map[string]bool{}}
}

func (s *seen) adopted(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[user]
}

func (s *seen) adopt(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[user] = true
}

func look(m message) [sha256.Size]byte {
	data, err := json.Marshal(m)
	if err != nil {
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(data)
}

func (s *seen) same(channel, ts string, m message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, ok := s.looks[channel+" "+ts]
	return ok && was == look(m)
}

func (s *seen) keep(channel, ts string, m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.looks) > 10000 {
		clear(s.looks)
	}
	s.looks[channel+" "+ts] = look(m)
}
