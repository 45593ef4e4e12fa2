package slackapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// DefaultAPIURL is where Slack's Web API is.
const DefaultAPIURL = "https://slack.com/api/"

// Config is what the Slack edge needs.
type Config struct {
	BotToken string // xoxb-…
	AppToken string // xapp-…, with connections:write: Socket Mode
	// SigningSecret is for HTTP mode, which is used where there is no AppToken: Slack
	// brings everything to [App.Handler].
	SigningSecret string
	UserToken     string // an admin's xoxp-…, where only admins may change user groups; empty: the bot's token is used
	APIURL        string // empty: DefaultAPIURL; plain http only on loopback
	// HTTPClient makes the calls; nil: one with a timeout of 30 seconds.
	HTTPClient *http.Client
	// Handle decides a command and records it. An [access.Refusal] is for the
	// person; any other error means that nothing happened.
	Handle func(ctx context.Context, c access.Command) (access.Request, error)
	Reader Reader
	Logger *slog.Logger
	// Urge says that somebody waits for what is being recorded of a request, until
	// leave is called: a record that could wait for others then does not. Nil: none
	// ever waits.
	Urge func(request string) (leave func())
	// Members says who is in a group that somebody else keeps, now. What is offered
	// and shown rests on it, no decision; nil: such groups are unknown here.
	Members func(ctx context.Context, g access.Group) ([]access.Person, error)
	// Duties are the people on call, now. Who may be told about a request that was
	// escalated rests on it, no decision; nil: they are unknown here.
	Duties func(ctx context.Context, w access.Watch) ([]access.Duty, error)
	// Teams are the slugs of an organization's teams at GitHub, from memory: they
	// are offered where the rules discover them. Nil: none are.
	Teams func(org string) []string
	// Allowances are the pre-approvals; nil: there are none here.
	Allowances *Allowances
	// Propose opens a pull request that adds or removes a reviewer, and returns its
	// address; nil: that cannot be done from here.
	Propose func(ctx context.Context, by access.Actor, add bool, email string) (url string, err error)
	// Dashboard is the base URL of the dashboard; empty: messages do not link to it.
	Dashboard string
}

// A Reader answers from the log and the configuration as they are now. It is safe
// for concurrent use. It asks nobody over the network: the acknowledgement of a
// form waits for it.
type Reader interface {
	// Rules are the rules in force.
	Rules() *access.Rules
	// RulesAt are those of a config commit; nil if it cannot be read.
	RulesAt(ctx context.Context, commit string) *access.Rules
	// Request finds a request by its id.
	Request(id string) (access.Request, bool)
	// Lately are those that are open, whose review is due, or that changed within
	// the hour before the log's newest event, the newest filing first.
	Lately() []access.Request
	// Find lists up to limit requests that match, the newest filing first.
	Find(ctx context.Context, f access.Filter, limit int) ([]access.Request, error)
	// Unreviewed are those whose use of break-glass nobody has reviewed.
	Unreviewed() []access.Request
	// ByPost finds the request that a message of the bot's belongs to.
	ByPost(channel, ts string) (id string, ok bool)
	// Posted reports whether a message is known to be a request's, or is just being
	// recorded as one: what is decided from here on builds on that.
	Posted(request, channel, ts string) bool
}

// App is the Slack edge of one workspace. Its methods are safe for concurrent use.
type App struct {
	cfg      Config
	log      *slog.Logger
	web      *web
	people   *directory
	group    *group
	members  *memberships
	rota     *rota
	channel  *channel
	out      *outbox
	jobs     *queue
	in       intake
	stats    *counters
	rendered *seen
	homes    *homes
	// Messages that were posted and are not recorded yet: posted -> request id.
	unrecorded sync.Map
	started    time.Time

	mu     sync.Mutex
	bot    identity // guarded by mu; zero until auth.test answered
	broken error    // guarded by mu; what makes the app useless until an operator acts

	delivered map[string]bool // guarded by mu; ids of commands and clicks, as far back as memory serves
	accepted  map[string]any  // guarded by mu; what forms that were accepted were answered, likewise
}

// identity is who the bot is, as auth.test says.
type identity struct {
	User, Bot, Team, Enterprise string
}

// New checks the configuration. It starts nothing and calls nobody.
func New(cfg Config) (*App, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{Timeout: 30 * time.Second}
	}
	if cfg.Urge == nil {
		cfg.Urge = func(string) func() { return func() {} }
	}
	a := &App{cfg: cfg, log: cfg.Logger, stats: newCounters(), rendered: newSeen(), homes: newHomes(), started: time.Now(), delivered: map[string]bool{}, accepted: map[string]any{}}
	a.web = newWeb(cfg, a.stats)
	a.people = newDirectory(a.web)
	a.group = &group{app: a, wake: make(chan struct{}, 1)}
	a.members = &memberships{ask: cfg.Members, log: cfg.Logger, known: map[string]membership{}, changed: a.renderOpen}
	a.rota = &rota{ask: cfg.Duties, log: cfg.Logger, known: map[string]shift{}}
	a.channel = &channel{app: a, wake: make(chan struct{}, 1), problem: errors.New("the approval channel was not looked up yet")}
	a.out = newOutbox(cfg.Logger)
	a.jobs = newQueue(16, 2000)
	if a.in = newSockets(a); cfg.AppToken == "" {
		a.in = newRequests(a, cfg.SigningSecret)
	}
	return a, nil
}

func (c *Config) check() error {
	switch {
	case !strings.HasPrefix(c.BotToken, "xoxb-"):
		return errors.New("slack: the bot token (SLACK_BOT_TOKEN) must begin with xoxb-")
	case c.AppToken == "" && c.SigningSecret == "":
		return errors.New("slack: an app-level token (SLACK_APP_TOKEN) is needed for Socket Mode, or a signing secret (SLACK_SIGNING_SECRET) for HTTP mode")
	case c.AppToken == "" && !plausibleSecret(c.SigningSecret):
		return errors.New("slack: the signing secret (SLACK_SIGNING_SECRET) is 16 or more letters and digits: see Basic Information of the app")
	case c.AppToken != "" && !strings.HasPrefix(c.AppToken, "xapp-"):
		return errors.New("slack: the app-level token (SLACK_APP_TOKEN) must begin with xapp-")
	case c.UserToken != "" && !strings.HasPrefix(c.UserToken, "xoxp-"):
		return errors.New("slack: the user token (SLACK_USER_TOKEN) must begin with xoxp-")
	case c.Handle == nil || c.Reader == nil || c.Logger == nil:
		return errors.New("slack: Handle, Reader and Logger are needed")
	}
	if c.APIURL == "" {
		c.APIURL = DefaultAPIURL
	}
	if !strings.HasSuffix(c.APIURL, "/") {
		c.APIURL += "/"
	}
	c.Dashboard = strings.TrimSuffix(c.Dashboard, "/")
	return safeURL(c.APIURL)
}

// safeURL refuses to send tokens where others could read them.
func safeURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return fmt.Errorf("slack: %q is not an address of an API", raw)
	case u.Scheme == "https" || u.Scheme == "wss":
		return nil
	case (u.Scheme == "http" || u.Scheme == "ws") && loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("slack: %s://%s is refused: anything but https only on loopback", u.Scheme, u.Host)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Run connects to Slack and works until ctx ends; what is under way then has a few
// seconds to finish. It returns an error only where no waiting can help, such as a
// token that Slack refuses.
//
// A crash at any point leaves nothing that the next Run does not mend: it renders
// every open request anew and posts what is owed.
func (a *App) Run(ctx context.Context) error {
	if err := a.introduce(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	// What is under way outlives ctx for a few seconds.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	defer cancel()
	a.jobs.start(work)
	a.out.start(work)
	wg.Go(func() { a.lookAround(ctx) })
	err := a.in.run(ctx)
	a.jobs.drain(5 * time.Second)
	a.out.drain(3 * time.Second)
	return err
}

// introduce asks Slack who the bot is, until it answers.
func (a *App) introduce(ctx context.Context) error {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		who, err := a.web.bot.AuthTestContext(ctx)
		if err == nil {
			a.mu.Lock()
			a.bot = identity{User: who.UserID, Bot: who.BotID, Team: who.TeamID, Enterprise: who.EnterpriseID}
			a.mu.Unlock()
			a.people.home(who.TeamID, who.EnterpriseID)
			return nil
		}
		if permanent(err) {
			return fmt.Errorf("slack refuses the bot token (SLACK_BOT_TOKEN): %s", a.web.safe(err))
		}
		a.log.Warn("slack cannot be reached", "error", a.web.safe(err), "retry_in", wait)
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}

// permanent reports whether a token is refused for good.
func permanent(err error) bool {
	switch slackError(err) {
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type":
		return true
	}
	return false
}

// lookAround finds the channel and the approvers, pays what is owed, and keeps both
// in step from then on.
func (a *App) lookAround(ctx context.Context) {
	again := a.look(ctx, 0)
	a.catchUp()
	for {
		next := time.NewTimer(again)
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-next.C:
		case <-a.channel.wake:
		case <-a.group.wake:
			// Several events of one change arrive together.
			if !sleep(ctx, 300*time.Millisecond) {
				return
			}
		}
		next.Stop()
		again = a.look(ctx, again)
	}
}

// look looks once and says when to look again: soon, and then ever later, where
// Slack could not be asked or refused something; the wait before is given.
func (a *App) look(ctx context.Context, waited time.Duration) time.Duration {
	const usual = 10 * time.Minute
	a.refreshGroups()
	channel, group := a.channel.resolve(ctx), a.group.sync(ctx)
	switch {
	case channel && group:
		return usual
	case waited == usual:
		return time.Second
	}
	return min(max(2*waited, time.Second), usual-1)
}

// catchUp renders what may be stale on the screen after a restart: every request
// that is open, and those of the last hour before the log's newest event.
func (a *App) catchUp() {
	for _, r := range slices.Backward(a.cfg.Reader.Lately()) {
		a.Changed(r.ID)
	}
}

// Changed says that a request has a new state: its messages are rendered anew, and
// notices that are owed are posted. It never blocks.
func (a *App) Changed(id string) {
	r, ok := a.cfg.Reader.Request(id)
	if !ok {
		return
	}
	a.out.add(approvalLane, "request "+id, func(ctx context.Context, t *task) error { return a.settleApproval(ctx, id, t) })
	a.changedFor(r)
	a.invite(r)
	a.glassChanged(r)
	a.refreshHomes()
}

// changedFor queues the direct messages: to the people in the request, and to all
// who were written to about it.
func (a *App) changedFor(r access.Request) {
	people := []access.Person{r.Requestor, r.Principal}
	for _, p := range r.Posts {
		people = append(people, p.To)
	}
	for _, n := range access.Owed(r, time.Now()) {
		people = append(people, n.To)
	}
	for _, p := range distinct(people...) {
		a.out.add("dm "+p.Slack, "request "+r.ID, func(ctx context.Context, t *task) error { return a.settleDirect(ctx, r.ID, p, t) })
	}
}

// distinct are the people with a Slack account, each once.
func distinct(people ...access.Person) []access.Person {
	var out []access.Person
	for _, p := range people {
		if p.Slack != "" && !contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

func contains(list []access.Person, p access.Person) bool {
	for _, x := range list {
		if x.Slack == p.Slack {
			return true
		}
	}
	return false
}

// RulesChanged says that another configuration is in force: the channel and the
// approvers are looked up anew, and the controls of open requests are rendered
// again. It never blocks.
func (a *App) RulesChanged() {
	a.people.forgetAddresses()
	a.refreshGroups()
	wake(a.channel.wake)
	wake(a.group.wake)
	a.renderOpen()
}

// renderOpen renders what is open and waits for somebody.
func (a *App) renderOpen() {
	for _, r := range a.cfg.Reader.Lately() {
		if r.Status == access.Pending || r.Extension != nil || r.ToReview() {
			a.Changed(r.ID)
		}
	}
}

// Ready says why nothing can be done in Slack now: no connection, or no usable
// approval channel. It is nil while all is well. In HTTP mode Slack makes the
// connections: there it means that Slack has said who the bot is. Whether Slack can
// reach the bot cannot be known until it has; the log notes the first request.
func (a *App) Ready() error {
	a.mu.Lock()
	broken := a.broken
	a.mu.Unlock()
	if broken != nil {
		return broken
	}
	if err := a.in.ready(); err != nil {
		return err
	}
	_, err := a.channel.current()
	return err
}

// fail makes the app not ready until Run is called anew.
func (a *App) fail(err error) {
	a.mu.Lock()
	a.broken = err
	a.mu.Unlock()
	a.log.Error("slack: an operator is needed", "error", err)
}

func (a *App) self() identity {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bot
}

// wake signals a loop that waits; a signal that is pending already is enough.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sleep waits; false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// until waits until something is so, at most so long.
func until(ctx context.Context, most time.Duration, is func() bool) {
	for end := time.Now().Add(most); !is() && time.Now().Before(end) && sleep(ctx, 20*time.Millisecond); {
	}
}

// slackError is the code of an error that Slack answered; empty for any other.
func slackError(err error) string {
	if e, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		return e.Err
	}
	return ""
}

// Home is the bot's workspace and, on Enterprise Grid, its organization; empty
// until Slack has said who the bot is.
func (a *App) Home() (team, enterprise string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bot.Team, a.bot.Enterprise
}
