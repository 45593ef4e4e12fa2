package slackapp

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// Lanes that are no direct messages.
const (
	approvalLane = "approval"
	backfillLane = "backfill"
	busyLane     = "busy"
	homeLane     = "home"
	groupLane    = "groups"
	inviteLane   = "invitations"
	threadLane   = "thread " // followed by the request
)

// outbox does what is to be sent, one lane at a time and one task of a lane after
// the other. A task that waits already is not queued twice: it reads the newest
// state when it runs, so an older one never comes last.
type outbox struct {
	log *slog.Logger

	mu    sync.Mutex
	ctx   context.Context  // guarded by mu; nil until start
	lanes map[string]*lane // guarded by mu
}

// lane is what belongs to one channel.
type lane struct {
	tasks   []*task   // guarded by outbox.mu; in their order
	running bool      // guarded by outbox.mu
	working bool      // guarded by outbox.mu; a task is under way
	paused  time.Time // guarded by outbox.mu; Slack asked us to wait
	urge    func()    // guarded by outbox.mu; hastens the record that the task under way waits for; nil: there is none
	wake    chan struct{}
	posts   *bucket
}

// task is one thing to be done until it succeeds.
type task struct {
	key     string
	do      func(context.Context, *task) error
	tries   int
	after   time.Time
	lane    *lane
	unclear bool      // an earlier try may have had its effect
	turn    time.Time // when it may post; zero: no turn is reserved
}

// aside makes a task wait for its turn while others of its lane go on.
type aside struct{ until time.Time }

func (a aside) Error() string { return "waits for its turn to post" }

// mayPost says whether the task may post now. Slack takes about one message a second
// and channel; whoever has to wait makes way for what is not limited so, such as
// showing a decision on a message that stands.
func (t *task) mayPost() error {
	if t.turn.IsZero() {
		t.turn = t.lane.posts.reserve()
	}
	if time.Now().Before(t.turn) {
		return aside{t.turn}
	}
	t.turn = time.Time{}
	return nil
}

// errDrop ends a task for good.
var errDrop = errors.New("given up")

func newOutbox(log *slog.Logger) *outbox { return &outbox{log: log, lanes: map[string]*lane{}} }

// start begins to work on what is queued.
func (o *outbox) start(ctx context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ctx = ctx
	for name, l := range o.lanes {
		o.runLocked(name, l)
	}
}

func (o *outbox) runLocked(name string, l *lane) {
	if o.ctx != nil && !l.running && len(l.tasks) > 0 {
		l.running = true
		go o.work(o.ctx, name, l)
	}
}

// add queues a task unless one of that key waits already, which then is due now
// (a try that failed keeps its distance to the next one).
func (o *outbox) add(name, key string, do func(context.Context, *task) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.lanes[name]
	if l == nil {
		l = &lane{wake: make(chan struct{}, 1), posts: newBucket(5, time.Second)}
		o.lanes[name] = l
	}
	for _, t := range l.tasks {
		if t.key == key {
			return
		}
	}
	l.tasks = append(l.tasks, &task{key: key, do: do, lane: l})
	if l.urge != nil {
		l.urge()
	}
	wake(l.wake)
	o.runLocked(name, l)
}

// recording says that a task waits for something to be recorded, until done is
// called. As soon as others wait behind it, urge is called, once, to hasten that;
// leave, which it returns, when it is recorded.
func (o *outbox) recording(t *task, urge func() (leave func())) (done func()) {
	var once sync.Once
	leave := func() {}
	o.mu.Lock()
	defer o.mu.Unlock()
	t.lane.urge = func() { once.Do(func() { leave = urge() }) }
	if len(t.lane.tasks) > 0 {
		t.lane.urge()
	}
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		t.lane.urge = nil
		leave()
	}
}

// hurry makes everything in a lane due now: what it waited for has happened.
func (o *outbox) hurry(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if l := o.lanes[name]; l != nil {
		for _, t := range l.tasks {
			t.after = time.Time{}
		}
		wake(l.wake)
	}
}

// work runs a lane until it is empty.
func (o *outbox) work(ctx context.Context, name string, l *lane) {
	for {
		t, wait := o.next(name, l)
		switch {
		case t == nil && wait == 0:
			return
		case t == nil:
			if !o.idle(ctx, l, wait) {
				return
			}
			continue
		}
		limited, cancel := context.WithTimeout(ctx, 5*time.Minute)
		err := t.do(limited, t)
		cancel()
		o.finish(ctx, name, l, t, err)
	}
}

// next takes the first task that is due, or says how long there is nothing to do.
func (o *outbox) next(name string, l *lane) (*task, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(l.tasks) == 0 {
		l.running = false
		if name != approvalLane {
			delete(o.lanes, name)
		}
		return nil, 0
	}
	now := time.Now()
	if now.Before(l.paused) {
		return nil, l.paused.Sub(now)
	}
	soonest := time.Hour
	for i, t := range l.tasks {
		if !now.Before(t.after) {
			l.tasks = append(l.tasks[:i:i], l.tasks[i+1:]...)
			l.working = true
			return t, 0
		}
		soonest = min(soonest, t.after.Sub(now))
	}
	return nil, soonest
}

// idle waits for the time, or for something new; false at the end.
func (o *outbox) idle(ctx context.Context, l *lane, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
	case <-l.wake:
	}
	return true
}

// finish drops a task that is done or never will be, and queues any other again.
func (o *outbox) finish(ctx context.Context, name string, l *lane, t *task, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l.working = false
	if err == nil || ctx.Err() != nil {
		return
	}
	text, _ := access.Redact(err.Error())
	if errors.Is(err, errDrop) || final(err) {
		o.log.Warn("slack: given up", "lane", name, "task", t.key, "error", text)
		return
	}
	if a, ok := errors.AsType[aside](err); ok {
		t.after = a.until
		o.requeue(l, t)
		return
	}
	t.tries++
	wait := min(time.Second<<min(t.tries-1, 6), time.Minute)
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		l.paused = time.Now().Add(limited.RetryAfter)
		wait = limited.RetryAfter
	}
	t.after = time.Now().Add(wait)
	t.unclear = t.unclear || unclear(err)
	level := slog.LevelWarn
	if _, ok := errors.AsType[notYet](err); ok {
		level = slog.LevelDebug
	}
	o.log.Log(ctx, level, "slack: will be tried again", "lane", name, "task", t.key, "in", wait, "error", text)
	if strings.HasPrefix(name, threadLane) {
		// What was said in a thread is recorded in its order.
		l.tasks = append([]*task{t}, l.tasks...)
		l.paused = t.after
		return
	}
	o.requeue(l, t)
}

// requeue puts a task behind the others of its lane. Where a newer one of that key
// waits already, which does the same, that one learns what we know.
func (o *outbox) requeue(l *lane, t *task) {
	for _, x := range l.tasks {
		if x.key == t.key {
			x.unclear = x.unclear || t.unclear
			x.after, x.tries, x.turn = t.after, t.tries, t.turn
			return
		}
	}
	l.tasks = append(l.tasks, t)
}

// waiting counts what is queued.
func (o *outbox) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, l := range o.lanes {
		n += len(l.tasks)
	}
	return n
}

// drain waits until what is due is sent, but not for ever.
func (o *outbox) drain(most time.Duration) {
	for end := time.Now().Add(most); o.busy() && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
}

func (o *outbox) busy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for _, l := range o.lanes {
		if l.working {
			return true
		}
		for _, t := range l.tasks {
			if !now.Before(t.after) && !now.Before(l.paused) {
				return true
			}
		}
	}
	return false
}

// unclear reports whether a call may have had its effect although it failed.
func unclear(err error) bool {
	if _, ok := errors.AsType[notYet](err); ok {
		return false
	}
	switch slackError(err) {
	case "":
		_, limited := errors.AsType[*slack.RateLimitedError](err)
		return !limited && err != nil
	case "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org":
		return true
	}
	return false
}

// final reports whether trying again cannot help.
func final(err error) bool {
	switch slackError(err) {
	case "message_not_found", "cant_update_message", "edit_window_closed", "invalid_blocks", "invalid_blocks_format", "invalid_arguments",
		"msg_too_long", "msg_blocks_too_long", "no_text", "user_not_found", "user_disabled", "users_not_found", "cannot_dm_bot", "user_not_visible",
		"restricted_action", "metadata_too_large", "invalid_metadata_format", "invalid_metadata_schema", "thread_not_found":
		return true
	}
	return false
}
