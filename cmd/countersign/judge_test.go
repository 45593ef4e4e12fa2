package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"

	"countersign/bot/provider/github/githubtest"
	"countersign/bot/slacksim"
)

// judge asks those who know better than the bot: git itself, whether the history
// is whole, straight and only ever added to, and verify, whether it is just.
func (w *world) judge() error {
	// A bot that runs merges packs, and may take one away under fsck's eyes: what is
	// wrong with the repository is wrong the next time too.
	out, err := w.git(w.repo(), "fsck", "--strict", "--no-dangling", "--no-progress")
	for range 2 {
		if err != nil {
			out, err = w.git(w.repo(), "fsck", "--strict", "--no-dangling", "--no-progress")
		}
	}
	if err != nil || out != "" {
		return fmt.Errorf("fsck: %s %w", out, err)
	}
	for what, args := range map[string][]string{
		"merge commits":   {"log", "--merges", "--format=%h", "audit"},
		"changed files":   {"log", "--diff-filter=DMRT", "--format=%h", "--name-status", "audit"},
		"files elsewhere": {"ls-tree", "--name-only", "audit", "--", "countersign.yaml", "allowed_signers", ".github"},
	} {
		if out, err := w.git(w.repo(), args...); err != nil || out != "" {
			return fmt.Errorf("%s: %s %w", what, out, err)
		}
	}
	for _, check := range []func() error{w.hands, w.secrets, w.calls, w.signed, w.oneFileEach} {
		if err := check(); err != nil {
			return err
		}
	}
	return w.verify()
}

// hands: the bot alone writes the log, and nothing else.
func (w *world) hands() error {
	for branch, want := range map[string]bool{"audit": true, "main": false} {
		out, err := w.git(w.repo(), "log", "--format=%an <%ae>, %cn <%ce>", branch)
		if err != nil {
			return err
		}
		for _, l := range strings.Split(out, "\n") {
			const bot = "countersign <countersign@localhost>"
			if mine := l == bot+", "+bot; mine != want || !want && strings.Contains(l, "countersign@localhost") {
				return fmt.Errorf("on %s there is a commit by %s", branch, l)
			}
		}
	}
	return nil
}

// secrets: no token gets into what the bot says, nor into any object of git.
func (w *world) secrets() error {
	app := slacksim.DefaultWorld().App
	tree, err := w.git(w.repo(), "log", "--format=%B", "-p", "--all")
	if err != nil {
		return err
	}
	for _, token := range []string{app.BotToken, app.AppToken, app.UserToken, app.SigningSecret, pagerdutyToken, incidentioAPIKey, routingKey, githubtest.Token, hookSecret, "b0t-s3cret"} {
		if strings.Contains(w.said(0), token) {
			return fmt.Errorf("the bot said %s", token)
		}
		if strings.Contains(tree, token) {
			return fmt.Errorf("%s stands in the repository", token)
		}
	}
	return nil
}

// calls: whatever people type, nobody is called but by the bot's own words, and no
// link leads elsewhere.
func (w *world) calls() error {
	for _, u := range slacksim.DefaultWorld().Users {
		a := w.sim.As(u.Name)
		all := append(a.DMs(), a.Ephemerals(approvals)...)
		for _, m := range a.Messages(approvals) {
			all = append(all, a.Thread(approvals, m.TS)...)
		}
		for _, m := range all {
			if text := m.Text + "\n" + markup(m.Blocks); m.Bot && loud.MatchString(text) {
				return fmt.Errorf("%s reads %q", u.Name, loud.FindString(text))
			}
		}
	}
	return nil
}

var loud = regexp.MustCompile(`<!(channel|here|everyone)|evil\.example[^\n]*>|\x1b|[\x{202a}-\x{202e}\x{2066}-\x{2069}]`)

// markup is the text of blocks in which mentions and links have effect.
func markup(v any) string {
	var b strings.Builder
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			b.WriteString(markup(x))
		}
	case map[string]any:
		if s, ok := v["text"].(string); ok && v["type"] == "mrkdwn" {
			b.WriteString(s + "\n")
		}
		for _, x := range v {
			b.WriteString(markup(x))
		}
	}
	return b.String()
}

// signed: git itself finds the bot's good signature. It starts two programs for
// each, a fifth of all the work of the stories, so here it judges the newest few;
// verify judges every one, and the tests of gitstore hold git against it.
func (w *world) signed() error {
	out, err := w.git(w.repo(), "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+w.path("allowed_signers"),
		"log", "-6", "--format=%h %G?", "audit")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(out, "\n") {
		if !strings.HasSuffix(line, " G") {
			return fmt.Errorf("git finds no good signature: %s", line)
		}
	}
	return nil
}

// oneFileEach: each commit adds exactly one file.
func (w *world) oneFileEach() error {
	out, err := w.git(w.repo(), "log", "--format=commit %h", "--name-status", "audit")
	if err != nil {
		return err
	}
	for _, c := range strings.Split(out, "commit ")[1:] {
		lines := strings.Split(strings.TrimSpace(c), "\n")
		if len(lines) != 3 || !strings.HasPrefix(lines[2], "A\t") {
			return fmt.Errorf("a commit does more or less than adding one file: %q", lines)
		}
	}
	return nil
}

// verify runs the program's own check. It runs in this process, for speed; the
// stories about verify run the program.
func (w *world) verify() error {
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"verify", "--repo", w.repo()}, console{env: func(string) string { return "" }, out: &out, err: &errs})
	if code != exitOK {
		return fmt.Errorf("verify ends with %d:\n%s%s", code, out.String(), errs.String())
	}
	return nil
}
