package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"countersign/bot/forge"
)

var ownerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$`)

// reviewStatus is the status by which the action config-review passes a change.
const reviewStatus = "countersign/review"

// protect sets the protections of both branches on GitHub, and says what it did.
func protect(ctx context.Context, repo string, c console) error {
	if !ownerName.MatchString(repo) {
		return usageError{"--protect wants OWNER/NAME, the repository on GitHub"}
	}
	var token, api string
	if err := c.secrets(map[string]*string{"GITHUB_TOKEN": &token, "GITHUB_API_URL": &api}); err != nil {
		return err
	}
	if token == "" {
		return errors.New("GITHUB_TOKEN is not set: a token of yours with administration: write for that repository (not the bot's, which must not have that)")
	}
	g, err := forge.NewGitHub(forge.Config{Remote: "https://github.com/" + repo, Token: token, APIURL: api, Patience: time.Minute})
	if err != nil {
		return err
	}
	p := forge.Protection{Log: "audit", Rules: "main"}
	checked, err := g.HasFile(ctx, p.Rules, ".github/workflows/config.yml")
	if err != nil {
		return err
	}
	if checked {
		p.Status = reviewStatus
	}
	did, err := g.Protect(ctx, p)
	for _, line := range did {
		fmt.Fprintln(c.err, line)
	}
	switch {
	case errors.Is(err, forge.ErrNoBranch):
		return fmt.Errorf("%w: push main and audit first, since a protected branch could not be begun; nothing was changed", err)
	case errors.Is(err, forge.ErrForbidden):
		return fmt.Errorf("%w. The token needs administration: write; a private repository needs a plan with rulesets", err)
	case err != nil:
		return err
	}
	return owned(ctx, g, c, checked)
}

// owned says what keeps the review that was just demanded from being one.
func owned(ctx context.Context, g *forge.GitHub, c console, checked bool) error {
	if !checked {
		fmt.Fprintf(c.err, "note: main has no .github/workflows/config.yml, so that the status %s is not required\n", reviewStatus)
	}
	problems, err := g.CodeOwnersProblems(ctx)
	if errors.Is(err, forge.ErrNotFound) {
		problems, err = []string{"there is none: anybody with write access may approve a change of the rules"}, nil
	}
	if err != nil {
		return err
	}
	for _, p := range problems {
		fmt.Fprintf(c.err, "CODEOWNERS: %s\n", p)
	}
	if len(problems) > 0 {
		return errFound
	}
	return nil
}
