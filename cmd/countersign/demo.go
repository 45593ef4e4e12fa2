package main

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"countersign/bot/slacksim"
	"countersign/bot/web"
	"countersign/gitstore"
)

// What the demo's repositories hold at first.
var (
	//go:embed demo/countersign.yaml
	demoConfig string
	//go:embed demo/access.yaml
	demoAccess []byte
)

// demoOperator is who sets the demo's repositories up: people change the
// configuration, never the bot.
var demoOperator = gitstore.Identity{Name: "Olga Operator", Email: "olga@example.com"}

// demo runs everything on this machine.
func demo(ctx context.Context, args []string, c console) error {
	fs := flags(c, "demo", "[flags]", `Runs the bot against a local Slack in the browser and local repositories. It
needs no account, no token and no network. A second start goes on where the
first ended.`)
	dir := fs.String("dir", "", "the `DIR` that keeps the demo's state (default: in the state directory of the user)")
	listen := fs.String("listen", "127.0.0.1:8765", "the `ADDRESS` of the local Slack, on loopback")
	verbose := fs.Bool("v", false, "print the bot's log")
	if err := parse(fs, args); err != nil {
		return err
	}
	if err := onLoopback(*listen); err != nil {
		return usageError{err.Error()}
	}
	if *dir == "" {
		state, err := stateDir(c)
		if err != nil {
			return err
		}
		*dir = state + "-demo"
	}
	abs, err := filepath.Abs(*dir)
	if err != nil {
		return err
	}
	level := slog.LevelWarn
	if *verbose {
		level = slog.LevelInfo
	}
	d := demonstration{dir: abs, listen: *listen, console: c}
	return d.run(ctx, level)
}

// onLoopback refuses every address that others could reach: the demo knows no
// sign-in.
func onLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--listen %s: the demo has no sign-in and listens on loopback only, such as 127.0.0.1:8765", addr)
}

// beside listens where the dashboard of the demo is: on the next port, so that its
// address stays the same, or where there is room.
func beside(l net.Listener) (net.Listener, error) {
	at := *l.Addr().(*net.TCPAddr)
	at.Port++
	second, err := net.Listen("tcp", at.String())
	if err != nil {
		at.Port = 0
		second, err = net.Listen("tcp", at.String())
	}
	return second, err
}

type demonstration struct {
	console
	dir    string
	listen string
}

func (d demonstration) path(name string) string { return filepath.Join(d.dir, name) }

func (d demonstration) run(ctx context.Context, level slog.Level) error {
	ctx, stop := quietly(ctx)
	defer stop()
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	l, err := net.Listen("tcp", d.listen)
	if err != nil {
		return fmt.Errorf("%w (another demo may be running; --listen takes another port)", err)
	}
	defer l.Close()
	base := "http://" + l.Addr().String()
	second, err := beside(l)
	if err != nil {
		return err
	}
	defer second.Close()
	world := demoWorld()
	log := slog.New(hushed{newLogger(d.err, level, world.App.BotToken, world.App.AppToken, world.App.UserToken, pagerToken).Handler(), ctx})
	s := setup{
		git:  &gitAccess{},
		repo: d.path("countersign.git"), configBranch: "main", configPath: "countersign.yaml", auditBranch: "audit",
		dataDir: d.path("data"), poll: 2 * time.Second, log: log, console: d.console,
		slack:     slackTokens{bot: world.App.BotToken, app: world.App.AppToken, user: world.App.UserToken, api: base + "/api/"},
		pagerduty: vendor{token: pagerToken, api: base + pagerAPI},
		page:      "http://" + second.Addr().String(),
	}
	again, err := d.repositories(ctx, s)
	if err != nil {
		return err
	}
	onCall, err := d.pager(base, world)
	if err != nil {
		return err
	}
	sim, err := slacksim.New(slacksim.Config{World: world, State: d.path("slack.json"), BaseURL: base, Logger: log})
	if err != nil {
		return err
	}
	defer sim.Close()
	v, err := s.open(ctx)
	if err != nil {
		return err
	}
	mux := v.health()
	mux.Handle("/", sim.Handler())
	onCall.serve(mux)
	page, err := v.show(web.Config{Loopback: true})
	if err != nil {
		v.unlock()
		return err
	}
	defer serveHTTP(l, mux, log)()
	defer serveHTTP(second, page, log)()
	d.welcome(base, s.page, again)
	if err := v.run(ctx); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "\nStopped. The state stays in %s; the same command goes on from here.\n", d.dir)
	return nil
}

// quietly is a context that ends with another one, but not by its cause: that
// somebody pressed Ctrl-C is no failure.
func quietly(ctx context.Context) (context.Context, context.CancelFunc) {
	quiet, stop := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, stop)
	return quiet, stop
}

// hushed writes no warnings any more once the demo ends: what is cut short then was
// cut short by that.
type hushed struct {
	slog.Handler
	ctx context.Context
}

// Enabled implements [slog.Handler].
func (h hushed) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, level) && (level != slog.LevelWarn || h.ctx.Err() == nil)
}

// WithAttrs implements [slog.Handler].
func (h hushed) WithAttrs(attrs []slog.Attr) slog.Handler {
	return hushed{h.Handler.WithAttrs(attrs), h.ctx}
}

// WithGroup implements [slog.Handler].
func (h hushed) WithGroup(name string) slog.Handler { return hushed{h.Handler.WithGroup(name), h.ctx} }

// demoWorld is the workspace of the demo: that of all tests, where each person
// says what part is theirs.
func demoWorld() slacksim.World {
	w := slacksim.DefaultWorld()
	for i := range w.Users {
		if w.Users[i].ID == "U0ERIN" {
			w.Users[i].Title = "Engineer · On call in PagerDuty"
		}
	}
	for i := range w.Channels {
		if w.Channels[i].ID == "C0ACCESS" {
			w.Channels[i].Topic = "One reviewer: payments-admins · two people: prod/database-owners · on call: prod/deployers"
		}
	}
	return w
}

// repositories makes what is missing of the two repositories, and reports
// whether everything was there already. A start that was cut short is finished
// by the next one.
func (d demonstration) repositories(ctx context.Context, s setup) (again bool, err error) {
	if err := os.MkdirAll(s.dataDir, 0o700); err != nil {
		return false, err
	}
	signer, _, err := gitstore.LoadOrCreateSigner(filepath.Join(s.dataDir, "signing_key"))
	if err != nil {
		return false, err
	}
	desired := d.path("desired-state.git")
	made, err := d.repository(ctx, desired, "Desired state of who has what", map[string][]byte{"access.yaml": demoAccess})
	if err != nil {
		return false, err
	}
	config := strings.ReplaceAll(demoConfig, "DESIRED_STATE", desired)
	also, err := d.repository(ctx, s.repo, "Reviewers, resources, settings", map[string][]byte{
		s.configPath:      []byte(config),
		"allowed_signers": []byte(strings.TrimSpace(signer.AllowedSignersLine(botIdentity.Email)) + "\n"),
	})
	return !made && !also, err
}

func (d demonstration) repository(ctx context.Context, path, message string, files map[string][]byte) (made bool, err error) {
	repo, err := gitstore.Init(ctx, path)
	if isExists(err) {
		repo, err = gitstore.Open(ctx, path)
	}
	if err != nil {
		return false, err
	}
	_, err = repo.Create(ctx, gitstore.Creation{Branch: "main", Files: files, Message: message + "\n", Author: demoOperator, Time: time.Now()})
	if isExists(err) {
		return false, nil
	}
	return true, err
}

func (d demonstration) welcome(base, page string, again bool) {
	state := "a fresh start"
	if again {
		state = "going on where it ended"
	}
	fmt.Fprintf(d.out, `Countersign demo: %s, state in %s

  Open   %s   the local Slack
         %s   the dashboard: who has what, who decided, and why

  Try    as Alice      /access request     (or: /access request payments-admins 5m deploy fix)
         as Bob        choose an expiry under "Select expiry", press Approve
         as Dan        press Approve: only he is told why he may not
         anybody       reply in the thread, edit it, delete it

  Quorum        as Alice   /access request prod/database-owners 5m restore a table
                as Bob, then Carol or Erin: Approve. It takes two of them.
  On call       as Erin    /access request prod/deployers 5m rollback
                PagerDuty has her on call, so it is hers at once.
  Escalation    as Alice   /access request prod/deployers 5m hotfix, then Escalate
                PagerDuty pages Erin, who may approve it from then on.
  Break-glass   as Erin    /access request prod/database-owners 5m no time to lose
                then Break glass in her messages from Countersign; Bob reviews it.

  Then   git -C %s log audit
         git -C %s show main:access.yaml
         git -C %s show main:countersign.yaml      the rules, policies included

  Ctrl-C ends it.
`, state, d.dir, base, page, d.path("countersign.git"), d.path("desired-state.git"), d.path("countersign.git"))
}
