package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"countersign/bot/access"
	"countersign/bot/forge"
	"countersign/config"
)

// githubPatience is how long a command waits in all where GitHub says to come
// back later.
const githubPatience = 2 * time.Minute

var repoName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$`)

// openGitHub is the repository OWNER/NAME, with the token of the environment.
func openGitHub(c console, name string) (*forge.GitHub, error) {
	if name == "" {
		return nil, usageError{"--repo is missing"}
	}
	if !repoName.MatchString(name) {
		return nil, usageError{fmt.Sprintf("--repo %q: write OWNER/NAME", name)}
	}
	token, err := c.secret("GITHUB_TOKEN")
	if err != nil {
		return nil, err
	}
	if token == "" {
		return nil, errors.New("GITHUB_TOKEN is not set")
	}
	return forge.NewGitHub(forge.Config{
		Remote: "https://github.com/" + name, Token: token, APIURL: c.env("GITHUB_API_URL"), Patience: githubPatience,
	})
}

// pullFlag is the number of a pull request; zero unless given.
func pullFlag(fs *flag.FlagSet) *int {
	n := new(int)
	fs.Func("pull", "the `NUMBER` of the pull request (required)", func(text string) (err error) {
		if *n, err = strconv.Atoi(text); err != nil || *n < 1 {
			return errors.New("write its number")
		}
		return nil
	})
	return n
}

// configReview decides whether a change of the configuration has been approved.
func configReview(ctx context.Context, args []string, c console) error {
	fs := flags(c, "config review", "--repo OWNER/NAME --pull N [flags]", `Passes when somebody has approved the newest commit of a pull request who is
neither its author, nor wrote a commit of it, nor asked for it in Slack, and who
may write to the repository. It takes GITHUB_TOKEN, which may read contents and
pull requests.

Who asked stands in lines Requested-by; whose login that is, in people of the
configuration on --config-branch, never in that of the pull request. Where a
requestor has no login there, only people whose own login stands there can
approve. A pull request that touches neither the configuration, allowed_signers
nor .github passes. Exits with 1 as long as the approval is missing.`)
	repo := fs.String("repo", "", "the repository on GitHub, `OWNER/NAME` (required)")
	pull := pullFlag(fs)
	head := fs.String("head", "", "the `COMMIT` that the answer is for; refused if the pull request has gone on")
	status := fs.String("status", "", "also set the commit status of this `NAME`")
	link := fs.String("link", "", "`URL` that the status leads to")
	j := arbiter{}
	fs.StringVar(&j.branch, "config-branch", "main", "the `BRANCH` that the configuration is read from")
	fs.StringVar(&j.path, "config-path", "countersign.yaml", "the `PATH` of the configuration in it")
	if err := parse(fs, args); err != nil {
		return err
	}
	g, err := openGitHub(c, *repo)
	if err != nil {
		return err
	}
	if *pull < 1 {
		return usageError{"--pull is missing"}
	}
	mark := marker{c, g, *status, *link}
	if err := mark.set(ctx, *head, "pending", "Looking at the reviews."); err != nil {
		return err
	}
	p, v, err := j.review(ctx, g, *pull, *head)
	if err != nil {
		return errors.Join(err, mark.set(ctx, *head, "error", "The pull request could not be judged."))
	}
	state := map[bool]string{true: "success", false: "failure"}[v.approved]
	if err := mark.set(ctx, cmp.Or(*head, p.Head), state, v.reason); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "#%d: %s\n", p.Number, logLine(v.reason))
	for _, d := range v.details {
		fmt.Fprintf(c.err, "  %s\n", logLine(d))
	}
	if !v.approved {
		return errFound
	}
	return nil
}

// review reads the pull request and the rules, and decides.
func (j arbiter) review(ctx context.Context, g *forge.GitHub, number int, head string) (*forge.Proposal, verdict, error) {
	p, err := g.Proposal(ctx, number)
	if err != nil {
		return nil, verdict{}, err
	}
	if head != "" && p.Head != head {
		return p, refuse("It has gone on from %.10s to %.10s.", head, p.Head), nil
	}
	if j.rules, err = j.read(ctx, g); err != nil {
		return nil, verdict{}, err
	}
	j.mayWrite = func(login string) (bool, error) { return g.MayWrite(ctx, login) }
	v, err := j.decide(p)
	return p, v, err
}

// read reads the rules of the branch. Without a configuration nobody is known.
// One that is broken says nothing about anybody: a person can still repair it.
func (j arbiter) read(ctx context.Context, g *forge.GitHub) (*access.Rules, error) {
	data, err := g.ReadFile(ctx, j.branch, j.path)
	if errors.Is(err, forge.ErrNotFound) {
		return &access.Rules{}, nil
	}
	if err != nil {
		return nil, err
	}
	rules, _, err := config.Parse(j.path, data, "")
	if err != nil {
		return &access.Rules{}, nil
	}
	return rules, nil
}

// A marker writes the verdict on the commit, where that was asked for.
type marker struct {
	console
	g          *forge.GitHub
	name, link string
}

// set marks a commit. A token that may not, as that of a fork's pull request, is
// said and no failure: the exit code still tells the verdict.
func (m marker) set(ctx context.Context, commit, state, text string) error {
	if m.name == "" || commit == "" {
		return nil
	}
	err := m.g.SetStatus(ctx, commit, forge.Status{Name: m.name, State: state, Text: oneLine(text), URL: m.link})
	if errors.Is(err, forge.ErrForbidden) {
		if state == "pending" {
			fmt.Fprintf(m.err, "this token may not set the status %s, as on a pull request from a fork: only this run says the result\n", m.name)
		}
		return nil
	}
	return err
}
