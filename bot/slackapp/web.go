package slackapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"countersign/bot/access"

	"github.com/slack-go/slack"
)

// messenger is the part of the Web API that writes what people see. The client
// library implements it.
type messenger interface {
	PostMessageContext(ctx context.Context, channel string, options ...slack.MsgOption) (string, string, error)
	UpdateMessageContext(ctx context.Context, channel, ts string, options ...slack.MsgOption) (string, string, string, error)
	PostEphemeralContext(ctx context.Context, channel, user string, options ...slack.MsgOption) (string, error)
	GetPermalinkContext(ctx context.Context, p *slack.PermalinkParameters) (string, error)
	OpenConversationContext(ctx context.Context, p *slack.OpenConversationParameters) (*slack.Channel, bool, bool, error)
	OpenViewContext(ctx context.Context, trigger string, view slack.ModalViewRequest) (*slack.ViewResponse, error)
	UpdateViewContext(ctx context.Context, view slack.ModalViewRequest, externalID, hash, viewID string) (*slack.ViewResponse, error)
	PublishViewContext(ctx context.Context, req slack.PublishViewContextRequest) (*slack.ViewResponse, error)
	AuthTestContext(ctx context.Context) (*slack.AuthTestResponse, error)
}

// places is the part that knows channels and user groups.
type places interface {
	GetConversationInfoContext(ctx context.Context, in *slack.GetConversationInfoInput) (*slack.Channel, error)
	GetConversationsContext(ctx context.Context, p *slack.GetConversationsParameters) ([]slack.Channel, string, error)
}

// groups is the part that keeps user groups; it may run under another token.
type groups interface {
	GetUserGroupsContext(ctx context.Context, o ...slack.GetUserGroupsOption) ([]slack.UserGroup, error)
	CreateUserGroupContext(ctx context.Context, g slack.UserGroup, o ...slack.CreateUserGroupOption) (slack.UserGroup, error)
	EnableUserGroupContext(ctx context.Context, g string, o ...slack.EnableUserGroupOption) (slack.UserGroup, error)
	DisableUserGroupContext(ctx context.Context, g string, o ...slack.DisableUserGroupOption) (slack.UserGroup, error)
	GetUserGroupMembersContext(ctx context.Context, g string, o ...slack.GetUserGroupMembersOption) ([]string, error)
	UpdateUserGroupMembersContext(ctx context.Context, g, members string, o ...slack.UpdateUserGroupMembersOption) (slack.UserGroup, error)
}

// web is Slack's Web API with our limits on it.
type web struct {
	url    string
	token  string
	http   *throttled
	bot    messenger
	places places
	groups groups
	socket *slack.Client // opens connections; not retried, since its caller waits by itself
	secret []string
}

func newWeb(cfg Config, stats *counters) *web {
	client := *cfg.HTTPClient
	// A redirect would carry the token in the body to another host.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t := &throttled{client: &client, stats: stats, opens: newBucket(4, 3*time.Second), updates: newBucket(100, 100*time.Millisecond)}
	options := []slack.Option{slack.OptionAPIURL(cfg.APIURL), slack.OptionHTTPClient(t)}
	// Retried is 429 and nothing else: after a cut connection the message may be there.
	patient := append(options[:2:2], slack.OptionRetry(2))
	w := &web{url: cfg.APIURL, token: cfg.BotToken, http: t, secret: []string{cfg.BotToken}}
	for _, s := range []string{cfg.AppToken, cfg.SigningSecret} {
		if s != "" {
			w.secret = append(w.secret, s)
		}
	}
	bot := slack.New(cfg.BotToken, patient...)
	w.bot, w.places, w.groups = bot, bot, bot
	if cfg.UserToken != "" {
		w.groups = slack.New(cfg.UserToken, patient...)
		w.secret = append(w.secret, cfg.UserToken)
	}
	w.socket = slack.New(cfg.BotToken, append(options[:2:2], slack.OptionAppLevelToken(cfg.AppToken))...)
	return w
}

// safe is the text of an error without tokens.
func (w *web) safe(err error) string {
	text := err.Error()
	for _, s := range w.secret {
		text = strings.ReplaceAll(text, s, "[token]")
	}
	text, _ = access.Redact(text)
	return text
}

// call asks a method of the Web API and hands back the raw answer. It serves the
// methods whose answers the client library cannot read in full: it loses whether
// an address is confirmed, and one unknown element in anybody's message makes a
// whole history unreadable.
func (w *web) call(ctx context.Context, method string, args url.Values) (payload, error) {
	for try := 0; ; try++ {
		answer, err := w.once(ctx, method, args)
		limited, ok := errors.AsType[*slack.RateLimitedError](err)
		if !ok || try == 2 || !sleep(ctx, limited.RetryAfter) {
			return answer, err
		}
	}
}

func (w *web) once(ctx context.Context, method string, args url.Values) (payload, error) {
	answer, _, err := w.ask(ctx, w.token, method, args)
	return answer, err
}

// ask makes one call with a token. The header comes with every answer of Slack's,
// also with one that is an error.
func (w *web) ask(ctx context.Context, token, method string, args url.Values) (payload, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+method, strings.NewReader(args.Encode()))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusTooManyRequests {
		return nil, resp.Header, &slack.RateLimitedError{RetryAfter: retryAfter(resp)}
	}
	if resp.StatusCode != http.StatusOK {
		return nil, resp.Header, slack.StatusCodeError{Code: resp.StatusCode, Status: resp.Status}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 32<<20))
	if err != nil {
		return nil, resp.Header, fmt.Errorf("read the answer of %s: %w", method, err)
	}
	answer := payload(body)
	if !json.Valid(body) {
		return nil, resp.Header, fmt.Errorf("the answer of %s is not JSON", method)
	}
	if !answer.flag("ok") {
		return nil, resp.Header, slack.SlackErrorResponse{Err: answer.str("error"), Needed: answer.str("needed"), Provided: answer.str("provided")}
	}
	return answer, resp.Header, nil
}

// retryAfter is how long Slack wants us to wait.
func retryAfter(resp *http.Response) time.Duration {
	n, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || n < 1 {
		n = 1
	}
	return time.Duration(n) * time.Second
}

// respond answers through the address that came with a command or a click.
func (w *web) respond(ctx context.Context, to string, body any) error {
	if err := safeURL(to); err != nil {
		return err
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(string(data)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := w.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return slack.StatusCodeError{Code: resp.StatusCode, Status: resp.Status}
	}
	said, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if answer := payload(said); err == nil && answer.denied("ok") {
		return slack.SlackErrorResponse{Err: answer.str("error")}
	}
	return nil // it was taken, also where the rest of the answer is lost
}

// throttled is the HTTP client under everything: it counts, and slows down the
// methods that something else would call in a hot loop.
type throttled struct {
	client  *http.Client
	stats   *counters
	opens   *bucket
	updates *bucket
}

// Do makes one request.
func (t *throttled) Do(req *http.Request) (*http.Response, error) {
	method := req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]
	switch method {
	case "apps.connections.open":
		// A socket that Slack accepts and closes at once is reopened without pause
		// by the client library.
		if err := t.opens.wait(req.Context()); err != nil {
			return nil, err
		}
	case "chat.update":
		if err := t.updates.wait(req.Context()); err != nil {
			return nil, err
		}
	}
	resp, err := t.client.Do(req)
	t.stats.called(resp, err)
	return resp, err
}

// A bucket lets a burst through and then one call an interval.
type bucket struct {
	mu    sync.Mutex
	every time.Duration
	burst time.Duration
	next  time.Time // when the bucket would be empty; guarded by mu
}

func newBucket(burst int, every time.Duration) *bucket {
	return &bucket{every: every, burst: time.Duration(burst) * every}
}

// wait blocks until a call may be made.
func (b *bucket) wait(ctx context.Context) error {
	if delay := time.Until(b.reserve()); delay > 0 && !sleep(ctx, delay) {
		return ctx.Err()
	}
	return nil
}

// reserve takes the next turn and says when it is.
func (b *bucket) reserve() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if floor := now.Add(-b.burst); b.next.Before(floor) {
		b.next = floor
	}
	b.next = b.next.Add(b.every)
	return b.next
}
