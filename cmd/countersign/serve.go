package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
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
	s, err := readSetup(fs, args, c)
	if err != nil {
		return err
	}
	if s.slack.bot == "" || s.slack.app == "" && s.slack.secret == "" {
		return errors.New("SLACK_BOT_TOKEN (xoxb-…) must be set, and SLACK_APP_TOKEN (xapp-…) for Socket Mode or SLACK_SIGNING_SECRET for HTTP mode; `countersign slack manifest` makes the app that has them")
	}
	s.log = newLogger(c.err, slog.LevelInfo, s.tokens()...)
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
	return v.serve(ctx, s.listen, page)
}

// serve runs the bot and its page of health, until the context ends.
func (v *service) serve(ctx context.Context, listen string, more http.Handler) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		v.unlock()
		return fmt.Errorf("--listen: %w", err)
	}
	mux := v.health()
	mux.Handle("/slack/", v.afterStart(v.app.Handler())) // not found in Socket Mode
	if more != nil {
		mux.Handle("/", more)
	}
	stop := serveHTTP(l, mux, v.log)
	defer stop()
	v.log.Info("serving", "listen", l.Addr().String(), "repo", v.repo, "config", v.rules.Current().Commit)
	return v.run(ctx)
}

// afterStart refuses requests until what was overdue at the start is worked off.
// Slack tells people to try again, and repeats its events.
func (v *service) afterStart(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-v.workedOff:
			h.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "5")
			http.Error(w, "starting", http.StatusServiceUnavailable)
		}
	})
}

// serveHTTP answers on a listener until stop is called.
func serveHTTP(l net.Listener, h http.Handler, log *slog.Logger) (stop func()) {
	srv := &http.Server{Handler: hasty(h), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
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

// bodyTime is how long the body of a request may take to arrive.
const bodyTime = 5 * time.Second

// hasty bounds the time in which a request's body arrives. A limit of the server's
// own would end what is read for hours, as the dashboard's events are; without one,
// whoever announces a body and never sends it holds a connection for ever, even where
// nobody reads it.
func hasty(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // the server lifts it after the request
		}
		h.ServeHTTP(w, r)
	})
}
