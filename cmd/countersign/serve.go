package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// serve runs the bot for a real workspace.
func serve(ctx context.Context, args []string, c console) error {
	fs := flags(c, "serve", "--repo PATH [flags]", `Runs the bot. The log is written to the branch of --audit-branch, the
configuration read from --config-branch. Tokens come from the environment:
SLACK_BOT_TOKEN, and SLACK_APP_TOKEN for Socket Mode; without it
SLACK_SIGNING_SECRET for HTTP mode, in which Slack brings everything to
/slack/events, /slack/interactive, /slack/commands and /slack/options on
--listen. Each also as NAME_FILE.`)
	var s setup
	fs.StringVar(&s.repo, "repo", "", "the `PATH` of the repository with the log (required)")
	fs.StringVar(&s.configRepo, "config-repo", "", "the `PATH` of the repository with the configuration (default: --repo)")
	fs.StringVar(&s.configBranch, "config-branch", "main", "the `BRANCH` of the configuration")
	fs.StringVar(&s.configPath, "config-path", "countersign.yaml", "the configuration's `FILE` on it")
	fs.StringVar(&s.auditBranch, "audit-branch", "audit", "the `BRANCH` of the log")
	fs.StringVar(&s.dataDir, "data-dir", "", "the `DIR` for the signing key and what can be rebuilt (default: in the state directory of the user)")
	fs.DurationVar(&s.poll, "poll", 30*time.Second, "how often the config branch is looked at")
	fs.StringVar(&s.accept, "accept-config", "", "accept the `COMMIT` at the head of the config branch although it does not build on the last one used")
	listen := fs.String("listen", "127.0.0.1:8080", "the `ADDRESS` of /healthz, /readyz, /metrics, the dashboard and, in HTTP mode, /slack/")
	fs.StringVar(&s.page, "dashboard", "", "the `URL` of the dashboard as browsers see it, such as https://access.example.com; it needs a sign-in")
	fs.StringVar(&s.entrance.header, "dashboard-header", "", "the `NAME` of the header in which a reverse proxy that signs people in gives their address")
	fs.StringVar(&s.entrance.proxies, "dashboard-proxy", "", "the `ADDRESSES` from which that proxy connects, by commas")
	fs.String("exec-dir", "", "the `DIR` of the programs that exec resources may run; this version has no exec provider yet")
	if err := parse(fs, args); err != nil {
		return err
	}
	switch {
	case s.repo == "":
		return usageError{"--repo is missing"}
	case s.poll < time.Second:
		return usageError{"--poll is at least 1s"}
	}
	if s.dataDir == "" {
		dir, err := stateDir(c)
		if err != nil {
			return err
		}
		s.dataDir = dir
	}
	err := c.secrets(map[string]*string{
		"SLACK_BOT_TOKEN": &s.slack.bot, "SLACK_APP_TOKEN": &s.slack.app, "SLACK_USER_TOKEN": &s.slack.user,
		"SLACK_SIGNING_SECRET": &s.slack.secret,
		"SLACK_API_URL":        &s.slack.api, "COUNTERSIGN_SIGNING_KEY_FILE": &s.keyFile,
		"PAGERDUTY_TOKEN": &s.pagerduty.token, "PAGERDUTY_API_URL": &s.pagerduty.api,
		"INCIDENT_IO_API_KEY": &s.incidentio.token, "INCIDENT_IO_API_URL": &s.incidentio.api,
		"COUNTERSIGN_OIDC_ISSUER": &s.entrance.issuer, "COUNTERSIGN_OIDC_CLIENT_ID": &s.entrance.clientID,
		"COUNTERSIGN_OIDC_CLIENT_SECRET": &s.entrance.clientSecret, "COUNTERSIGN_OIDC_DOMAINS": &s.entrance.domains,
		"GITHUB_TOKEN": &s.githubToken, "GITHUB_API_URL": &s.githubAPI,
	})
	if err != nil {
		return err
	}
	if s.slack.bot == "" || s.slack.app == "" && s.slack.secret == "" {
		return errors.New("SLACK_BOT_TOKEN (xoxb-…) must be set, and SLACK_APP_TOKEN (xapp-…) for Socket Mode or SLACK_SIGNING_SECRET for HTTP mode; `countersign slack manifest` makes the app that has them")
	}
	s.page = strings.TrimSuffix(s.page, "/")
	s.log = newLogger(c.err, slog.LevelInfo, s.slack.bot, s.slack.app, s.slack.user, s.slack.secret, s.githubToken, s.pagerduty.token, s.incidentio.token, s.entrance.clientSecret)
	if s.slack.app != "" && s.slack.secret != "" {
		s.log.Info("SLACK_APP_TOKEN and SLACK_SIGNING_SECRET are both set: Socket Mode it is, and /slack/ does not answer; unset the former for HTTP mode")
	}
	v, err := s.open(ctx)
	if err != nil {
		return err
	}
	page, err := v.dashboard(ctx)
	if err != nil {
		v.unlock()
		return fmt.Errorf("dashboard: %w", err)
	}
	return v.serve(ctx, *listen, page)
}

// serve runs the bot and its page of health, until the context ends.
func (v *service) serve(ctx context.Context, listen string, more http.Handler) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		v.unlock()
		return fmt.Errorf("--listen: %w", err)
	}
	mux := v.health()
	mux.Handle("/slack/", v.app.Handler()) // not found in Socket Mode
	if more != nil {
		mux.Handle("/", more)
	}
	stop := serveHTTP(l, mux, v.log)
	defer stop()
	v.log.Info("serving", "listen", l.Addr().String(), "repo", v.repo, "config", v.rules.Current().Commit)
	return v.run(ctx)
}

// serveHTTP answers on a listener until stop is called.
func serveHTTP(l net.Listener, h http.Handler, log *slog.Logger) (stop func()) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the HTTP server ended", "err", err)
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
	}
}

// stateDir is where programs of this user keep what must survive a restart.
func stateDir(c console) (string, error) {
	if dir := c.env("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "countersign"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("--data-dir is not set, and there is no home directory: %w", err)
	}
	return filepath.Join(home, ".local", "state", "countersign"), nil
}
