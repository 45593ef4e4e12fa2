package main

import (
	"context"
	"io"
)

// Demo is the subcommand, for tests from outside. It returns the exit code.
func Demo(ctx context.Context, out, errs io.Writer, args ...string) int {
	env := func(string) string { return "" }
	return run(ctx, append([]string{"demo"}, args...), console{env: env, out: out, err: errs})
}

// A Story is a world for the tests that look at it from outside.
type Story struct{ *world }

// NewStory makes a world with the usual configuration in dir.
func NewStory(dir string) (Story, error) {
	w, err := newWorld(dir, defaultConfig, defaultDesired)
	return Story{w}, err
}

// Serve starts the bot with more of an environment than usual.
func (s Story) Serve(more []string, flags ...string) error {
	return s.start(append(s.env[:len(s.env):len(s.env)], more...), flags...)
}

// Addr is where the bot listens.
func (s Story) Addr() string { return s.addr }

// Ready reports whether the bot is.
func (s Story) Ready() bool { return s.isReady() }

// Ask sends a command in Slack.
func (s Story) Ask(as, text string) error {
	_, err := s.sim.As(as).Command("C0ACCESS", text)
	return err
}

// Said is what the bot has written to its log.
func (s Story) Said() string { return s.said(0) }

// Close ends what runs.
func (s Story) Close() { s.close() }
