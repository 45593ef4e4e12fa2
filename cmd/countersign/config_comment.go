package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"countersign/bot/forge"
)

// previewMark is the first line of the comment, by which it is found again. It
// never changes: with another mark every open pull request would get a second one.
const previewMark = "<!-- countersign: config preview -->"

// configComment keeps one comment on a pull request up to date.
func configComment(ctx context.Context, args []string, c console) error {
	fs := flags(c, "config comment", "FILE --repo OWNER/NAME --pull N [flags]", `Writes a file of Markdown as the one comment on a pull request, or brings the
comment that is there up to date. It takes GITHUB_TOKEN, which may write pull
requests. The address of the comment is printed. On a pull request from a fork the
token may not: that is said, nothing is printed, and it is no failure.`)
	repo := fs.String("repo", "", "the repository on GitHub, `OWNER/NAME` (required)")
	pull := pullFlag(fs)
	author := fs.String("author", "github-actions[bot]", "the `LOGIN` that GITHUB_TOKEN writes as")
	update := fs.Bool("update", false, "only change a comment that is there")
	files, err := parseAround(fs, args, "FILE")
	if err != nil {
		return err
	}
	g, err := openGitHub(c, *repo)
	if err != nil {
		return err
	}
	if *pull < 1 {
		return usageError{"--pull is missing"}
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	url, err := g.Comment(ctx, *pull, forge.Note{Mark: previewMark, Author: *author, Body: string(text), Update: *update})
	if errors.Is(err, forge.ErrForbidden) {
		return forbidden(ctx, c, g, *pull, err)
	}
	if err == nil && url != "" {
		fmt.Fprintln(c.out, logLine(url))
	}
	return err
}

// forbidden tells a fork, whose token only reads, from a permission that is
// missing by mistake.
func forbidden(ctx context.Context, c console, g *forge.GitHub, pull int, cause error) error {
	p, err := g.Proposal(ctx, pull)
	if err != nil {
		return errors.Join(cause, err)
	}
	if !p.Fork {
		return fmt.Errorf("%w; give the job pull-requests: write", cause)
	}
	fmt.Fprintf(c.err, "#%d comes from a fork, whose token may not comment: the result stands in the summary only\n", pull)
	return nil
}
