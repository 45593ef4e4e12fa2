package slackapp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/slackapp"
	"countersign/bot/slacksim"
)

const channel = "C0ACCESS"

// book is a log in memory with the real rules: it decides, folds and answers.
type book struct {
	mu       sync.Mutex
	rules    *access.Rules
	old      map[string]*access.Rules
	requests map[string]access.Request
	order    []string
	commands []access.Command
	broken   func(access.Command) error
	changed  func(id string)
	// Who is in groups that somebody else keeps and who is on call; nobody who is
	// not here can be asked.
	members map[string][]access.Person
	duties  map[string][]access.Duty

	allowances *slackapp.Allowances // nil: there are none

	// posting reports what is just being recorded; nil: nothing ever is.
	posting func(request, channel, ts string) bool
}

// asked is what the bot asks before it decides.
func (b *book) asked(f access.Facts, r access.Request, do access.Action) access.Facts {
	filing, files := do.(access.File)
	for _, x := range b.requests {
		if access.BreaksGlass(do) && x.ToReview() && b.rules.Same(x.Principal, f.Actor.Person) {
			f.Unreviewed = x.ID
		}
	}
	if !access.Asks(do) {
		return f
	}
	id := r.Resource
	if files {
		id = filing.Resource
	}
	res, _ := b.rules.Resource(id)
	n := access.NeedsOf(res, files, !r.Escalated.IsZero(), f.Rules, f.Filed)
	f.Members, f.Duties = map[string][]access.Person{}, map[string][]access.Duty{}
	for _, g := range n.Groups {
		if m, ok := b.members[g.Key()]; ok {
			f.Members[g.Key()] = m
		}
	}
	for _, w := range n.Watches {
		if d, ok := b.duties[w.Integration]; ok {
			f.Duties[w.Integration] = d
		}
	}
	return f
}

// Members answers who is in a group.
func (b *book) Members(_ context.Context, g access.Group) ([]access.Person, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m, ok := b.members[g.Key()]
	if !ok {
		return nil, errors.New("nobody answers")
	}
	return m, nil
}

// Duties answers who is on call.
func (b *book) Duties(_ context.Context, w access.Watch) ([]access.Duty, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d, ok := b.duties[w.Integration]
	if !ok {
		return nil, errors.New("nobody answers")
	}
	return d, nil
}

func newBook() *book {
	r := &access.Rules{
		Commit:    "c0ffee1",
		Slack:     access.SlackSettings{Channel: channel},
		Reviewers: []string{"bob@example.com", "carol@partner.example"},
		Auditors:  []string{"erin@example.com"},
		Settings: access.Settings{
			ExpiryOptions: []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour},
			MaxDuration:   30 * 24 * time.Hour, PendingTimeout: 14 * 24 * time.Hour,
		},
		Resources: []access.Resource{
			{ID: "github/payments-admins", Title: "Payments admins", MaxDuration: 8 * time.Hour, Target: access.Target{Provider: "gitops"}},
			{ID: "db/orders", Title: "Orders <database> & more", Target: access.Target{Provider: "gitops"}},
		},
	}
	return &book{rules: r, old: map[string]*access.Rules{r.Commit: r}, requests: map[string]access.Request{}}
}

func (b *book) Rules() *access.Rules {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rules
}

func (b *book) RulesAt(_ context.Context, commit string) *access.Rules {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.old[commit]
}

func (b *book) Request(id string) (access.Request, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.requests[id]
	return r, ok
}

func (b *book) Requests() []access.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []access.Request
	for _, id := range slices.Backward(b.order) {
		all = append(all, b.requests[id])
	}
	return all
}

func (b *book) Lately() []access.Request { return b.Requests() }

func (b *book) Find(_ context.Context, f access.Filter, limit int) ([]access.Request, error) {
	found := slices.DeleteFunc(b.Requests(), func(r access.Request) bool { return !f.Match(r) })
	return found[:min(limit, len(found))], nil
}

func (b *book) Unreviewed() []access.Request {
	return slices.DeleteFunc(b.Requests(), func(r access.Request) bool { return !r.ToReview() })
}

func (b *book) ByPost(channel, ts string) (string, bool) {
	for _, r := range b.Requests() {
		if r.PostedAt(channel, ts) {
			return r.ID, true
		}
	}
	return "", false
}

func (b *book) Posted(request, channel, ts string) bool {
	if b.posting != nil && b.posting(request, channel, ts) {
		return true
	}
	id, ok := b.ByPost(channel, ts)
	return ok && id == request
}

// handle is what the bot does with a command.
func (b *book) handle(_ context.Context, c access.Command) (access.Request, error) {
	r, changed, err := b.decide(c)
	if changed && b.changed != nil {
		b.changed(r.ID)
	}
	return r, err
}

func (b *book) decide(c access.Command) (access.Request, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.commands = append(b.commands, c)
	if strings.ContainsAny(c.ID, " \n") {
		return access.Request{}, false, fmt.Errorf("event id %q", c.ID)
	}
	if b.broken != nil {
		if err := b.broken(c); err != nil {
			return access.Request{}, false, err
		}
	}
	id, _ := c.Do.Target()
	r, ok := b.requests[id]
	if id != "" && !ok {
		return r, false, access.Refuse(access.NoSuchRequest, "There is no such request.")
	}
	if id == "" {
		for _, x := range b.requests {
			if c.ID != "" && x.Seen(c.ID) {
				return x, false, nil
			}
		}
	}
	f := access.Facts{
		Now: time.Now(), ID: c.ID, New: fmt.Sprintf("01KTEST%04d", len(b.order)+1), Actor: c.Actor,
		Rules: b.rules, Filed: b.old[r.FiledUnder],
	}
	f = b.asked(f, r, c.Do)
	events, err := access.Decide(f, r, c.Do)
	why, refused := access.AsRefusal(err)
	if refused {
		f.ID = ""
		events = access.Note(f, r, c.Do, why)
	} else if err != nil {
		return r, false, err
	}
	for _, e := range events {
		if r, err = access.Apply(r, e); err != nil {
			return r, false, err
		}
	}
	if len(events) > 0 {
		if _, known := b.requests[r.ID]; !known {
			b.order = append(b.order, r.ID)
		}
		b.requests[r.ID] = r
	}
	if refused {
		return r, len(events) > 0, why
	}
	return r, len(events) > 0, nil
}

// must hands on a command of the bot's own.
func (b *book) must(t *testing.T, do access.Action) access.Request {
	t.Helper()
	r, err := b.handle(context.Background(), access.Command{Do: do})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// grant makes an approved access live.
func (b *book) grant(t *testing.T, id string) {
	t.Helper()
	b.must(t, access.Intend{Request: id, Subject: "alice", Before: access.Absent})
	b.must(t, access.Confirm{Request: id})
}

func (b *book) actions(kind access.Action) []access.Command {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []access.Command
	for _, c := range b.commands {
		if fmt.Sprintf("%T", c.Do) == fmt.Sprintf("%T", kind) {
			out = append(out, c)
		}
	}
	return out
}

// logs is a log that tests can read.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// stage is a local Slack with the app on it.
type stage struct {
	testing.TB
	slack *slacksim.Server
	http  *httptest.Server
	world slacksim.World
	book  *book
	app   *slackapp.App
	logs  *logs
	stop  func() error
}

// set prepares everything but does not start the app.
func set(t testing.TB, change ...func(*slacksim.Config, *book)) *stage {
	t.Helper()
	if p, ok := t.(interface{ Parallel() }); ok {
		p.Parallel()
	}
	s := &stage{TB: t, book: newBook(), logs: &logs{}}
	cfg := slacksim.Config{World: slacksim.DefaultWorld()}
	for _, f := range change {
		f(&cfg, s.book)
	}
	s.world = cfg.World
	server, err := slacksim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.slack, s.http = server, httptest.NewServer(server.Handler())
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		s.http.Close()
	})
	return s
}

// start sets everything up and waits until the app is ready.
func start(t testing.TB, change ...func(*slacksim.Config, *book)) *stage {
	t.Helper()
	s := set(t, change...)
	s.run()
	s.eventually("the app to be ready", func() bool { return s.app.Ready() == nil })
	return s
}

// run starts an app, as a process would.
func (s *stage) run(change ...func(*slackapp.Config)) {
	s.Helper()
	cfg := slackapp.Config{
		BotToken: s.world.App.BotToken, AppToken: s.world.App.AppToken, APIURL: s.http.URL + "/api/",
		Handle: s.book.handle, Dashboard: "https://access.example.com", Reader: s.book, Members: s.book.Members, Duties: s.book.Duties, Allowances: s.book.allowances, Logger: slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg)
	}
	app, err := slackapp.New(cfg)
	if err != nil {
		s.Fatal(err)
	}
	s.app = app
	s.book.mu.Lock()
	s.book.changed = app.Changed
	s.book.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	once := sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(patience):
			return errors.New("the app does not end")
		}
	})
	s.stop = once
	s.Cleanup(func() {
		if err := once(); err != nil {
			s.Error(err)
		}
		for _, token := range []string{s.world.App.BotToken, s.world.App.AppToken, s.world.App.SigningSecret} {
			if strings.Contains(s.logs.String(), token) {
				s.Errorf("a token is in the log")
			}
		}
		if s.Failed() {
			s.Log(s.logs.String())
		}
	})
}

// patience is how long anything may take: it ends a test that hangs, and measures
// nothing.
const patience = time.Minute

func (s *stage) eventually(what string, ok func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("waited in vain for %s", what)
		}
	}
}

// noFindings fails if Slack found fault with the app.
func (s *stage) noFindings() {
	s.Helper()
	for _, f := range s.slack.Findings() {
		s.Errorf("finding: %s: %s %s", f.Kind, f.Text, f.Detail)
	}
}

func (s *stage) command(who, text string) {
	s.Helper()
	if notice, err := s.slack.As(who).Command(channel, text); err != nil || notice != "" {
		s.Fatalf("%s: %q, %v", text, notice, err)
	}
}

// filed asks for access and waits for the message.
func (s *stage) filed(who, text string) (access.Request, slacksim.Message) {
	s.Helper()
	before := len(s.book.Requests())
	s.command(who, "/access request "+text)
	s.eventually("the request to be filed: "+text, func() bool { return len(s.book.Requests()) > before })
	id := s.book.Requests()[0].ID
	return s.request(id), s.message(id)
}

func (s *stage) request(id string) access.Request {
	s.Helper()
	r, ok := s.book.Request(id)
	if !ok {
		s.Fatalf("no request %s", id)
	}
	return r
}

// message waits for the request's message in the channel.
func (s *stage) message(id string) slacksim.Message {
	s.Helper()
	var found slacksim.Message
	s.eventually("the approval message of "+id, func() bool {
		p, ok := s.request(id).ApprovalPost()
		if !ok {
			return false
		}
		for _, m := range s.slack.As("bob").Messages(channel) {
			if m.TS == p.TS {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// shows waits until the request's message holds all the words.
func (s *stage) shows(id string, words ...string) slacksim.Message {
	s.Helper()
	var m slacksim.Message
	s.eventually(fmt.Sprintf("the message to show %q", words), func() bool {
		m = s.message(id)
		return holds(m, words...)
	})
	return m
}

// told waits until somebody was answered with the words.
func (s *stage) told(who string, words ...string) {
	s.Helper()
	s.eventually(fmt.Sprintf("%s to be told %q", who, words), func() bool {
		for _, m := range s.slack.As(who).Ephemerals(channel) {
			if holds(m, words...) {
				return true
			}
		}
		return false
	})
}

// written waits for a direct message with the words.
func (s *stage) written(who string, words ...string) slacksim.Message {
	s.Helper()
	var found slacksim.Message
	s.eventually(fmt.Sprintf("a direct message to %s with %q", who, words), func() bool {
		for _, m := range s.slack.As(who).DMs() {
			if holds(m, words...) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// holds reports whether a message has all the words, in its text or its blocks.
func holds(m slacksim.Message, words ...string) bool {
	text := m.Text + textOf(m.Blocks)
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// textOf is everything in blocks, as JSON without escaping.
func textOf(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err.Error()
	}
	return b.String()
}

func (s *stage) click(who string, m slacksim.Message, action string) {
	s.Helper()
	s.clickIn(who, channel, m, action)
}

func (s *stage) clickIn(who, in string, m slacksim.Message, action string) {
	s.Helper()
	if err := s.slack.As(who).Click(slacksim.InMessage(in, m.TS), "", action); err != nil {
		s.Fatalf("%s clicks %s: %v", who, action, err)
	}
}

// modal waits for a form.
func (s *stage) modal(who string) slacksim.View {
	s.Helper()
	s.eventually(who+" to see a form", func() bool { return len(s.slack.As(who).Modals()) > 0 })
	views := s.slack.As(who).Modals()
	return views[len(views)-1]
}

func (s *stage) status(id string, want access.Status) {
	s.Helper()
	s.eventually(fmt.Sprintf("%s to be %s", id, want), func() bool { return s.request(id).Status == want })
}

// asked reports whether the app called a method with something in its arguments or
// its answer.
func (s *stage) asked(method, about string) bool { return s.calls(method, about) > 0 }

// calls counts the app's calls of a method with something in their arguments or
// answers.
func (s *stage) calls(method, about string) int {
	n := 0
	entries, _ := s.slack.Trace(0)
	for _, e := range entries {
		if e.Kind == "api" && strings.Contains(e.Title, method) && strings.Contains(string(e.Detail), about) {
			n++
		}
	}
	return n
}

// offered is the value of the first resource that the type-ahead offers.
func (s *stage) offered(view, query string) any {
	s.Helper()
	found, err := s.slack.As("alice").Suggest(slacksim.InView(view), "resource", "resource", query)
	if err != nil || len(found.Options) == 0 {
		s.Fatalf("offered for %q: %v, %v", query, found, err)
	}
	return found.Options[0].(map[string]any)["value"]
}

// posted waits until the log knows a message of the bot's.
func (s *stage) posted(id, notice string, to access.Person) access.Post {
	s.Helper()
	var p access.Post
	s.eventually("the log to know "+notice, func() bool {
		var ok bool
		p, ok = s.request(id).Post(notice, to)
		return ok
	})
	return p
}
