package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"countersign/bot/access"
	"countersign/bot/ledger"
	"countersign/config"
	"countersign/gitstore"
)

// A preview is what a change of the configuration would do.
type preview struct {
	name     string // of the file, for people
	since    string // how far back the replay goes
	problems string // what is wrong with the new file; empty if nothing
	warnings []string
	tests    testSuite
	replayed string // why nothing was replayed; empty if it was
	asked    int
	changes  []change
	same     bool // nothing changes
}

// A change is a recorded request that the new configuration would treat
// differently. No text that a person typed is in it: a comment could not be
// erased where the log can.
type change struct {
	id, filed, principal, resource, status string
	was, is                                string
}

// configPreview checks a new configuration, runs its tests, and replays past
// requests under it.
func configPreview(ctx context.Context, args []string, c console) error {
	fs := flags(c, "config preview", "OLD NEW --repo PATH [flags]", `Says in Markdown what a change of the configuration would do: config check and
policy test of NEW, and policy diff of both on the requests in the log. OLD need
not exist; without a log nothing is replayed. Exits with 1 if NEW is missing, has
errors, or fails a test of its own; past requests that it would treat differently
are no failure.`)
	path := fs.String("repo", "", "the `PATH` of a repository or clone with the log (required)")
	ref := fs.String("ref", "audit", "the log's `BRANCH`; origin's is taken where there is no other")
	p := &preview{}
	fs.StringVar(&p.since, "since", "90d", "how far back from the log's end, as a `DURATION`; 0 for all")
	fs.StringVar(&p.name, "name", "countersign.yaml", "the `NAME` of the file in what is said")
	junit := fs.String("junit", "", "write the results of the tests as JUnit XML to this `FILE`")
	out := fs.String("o", "", "the `FILE` to write (default: standard output)")
	files, err := parseAround(fs, args, "OLD", "NEW")
	if err != nil {
		return err
	}
	if *path == "" {
		return usageError{"--repo is missing"}
	}
	period, err := sinceFlag(p.since)
	if err != nil {
		return err
	}
	if err := p.make(ctx, files[0], files[1], period, readStoreAt{*path, *ref}); err != nil {
		return err
	}
	if *junit != "" {
		if err := writeOutput(*junit, p.tests.write); err != nil {
			return err
		}
	}
	if err := p.tell(c, *out); err != nil {
		return err
	}
	if p.failed() {
		return errFound
	}
	return nil
}

// sinceFlag reads how far back a replay goes; 0 for all.
func sinceFlag(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	period, err := access.ParseDuration(text)
	if err != nil {
		return 0, usageError{"--since: " + err.Error()}
	}
	return period, nil
}

// readStoreAt is where a log may be.
type readStoreAt struct{ path, ref string }

// open reads the log; nil if there is none yet.
func (s readStoreAt) open(ctx context.Context) (*ledger.Ledger, error) {
	repo, err := gitstore.Open(ctx, s.path)
	if err != nil {
		return nil, err
	}
	if _, err := repo.Resolve(ctx, s.ref); errors.Is(err, gitstore.ErrNotFound) {
		return nil, nil
	}
	return ledger.Open(ctx, readStore{repo, s.ref})
}

func (p *preview) failed() bool { return p.problems != "" || p.tests.Failures > 0 }

// tell writes the preview, and for the log of the run what is wrong.
func (p *preview) tell(c console, file string) error {
	for _, text := range append([]string{p.problems}, p.warnings...) {
		for line := range strings.Lines(text) {
			fmt.Fprintln(c.err, logLine(line))
		}
	}
	fmt.Fprintf(c.err, "%s, %d failed; %s replayed, %d would be treated differently\n",
		count(p.tests.Tests, "policy test"), p.tests.Failures, count(p.asked, "request"), len(p.changes))
	write := func(w io.Writer) error {
		_, err := io.WriteString(w, p.markdown())
		return err
	}
	if file == "" {
		return write(c.out)
	}
	return writeOutput(file, write)
}

// make fills the preview. An error means that it could not be made.
func (p *preview) make(ctx context.Context, was, is string, period time.Duration, log readStoreAt) error {
	p.tests.Name = p.name
	before, err := readMaybe(was)
	if err != nil {
		return err
	}
	after, err := readMaybe(is)
	if err != nil {
		return err
	}
	if after == nil {
		p.problems = p.name + ": there is no such file, and the bot does not start without it"
		return nil
	}
	p.same = before != nil && string(before) == string(after)
	f, warnings, err := config.Read(p.name, after)
	for _, w := range warnings {
		p.warnings = append(p.warnings, fmt.Sprint(w))
	}
	if err != nil {
		p.problems = err.Error()
		return nil
	}
	for _, t := range f.Tests {
		p.tests.add(p.name, t, runTest(f, t))
	}
	return p.replay(ctx, before, f, period, log)
}

// readMaybe reads a file; nil if there is none.
func readMaybe(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return append([]byte{}, data...), err
}

// replay asks both configurations about each request of the period, newest first.
func (p *preview) replay(ctx context.Context, old []byte, after *config.File, period time.Duration, log readStoreAt) error {
	if old == nil {
		p.replayed = "There was no configuration before."
		return nil
	}
	before, _, err := config.Read(p.name, old)
	if err != nil {
		p.replayed = "The configuration before has errors, so that nothing can be compared with it."
		return nil
	}
	l, err := log.open(ctx)
	if err != nil {
		return err
	}
	if l == nil {
		p.replayed = "There is no log yet."
		return nil
	}
	requests := l.Requests()
	for _, r := range requests {
		if period > 0 && r.FiledAt.Before(requests[0].FiledAt.Add(-period)) {
			continue
		}
		p.asked++
		history, err := l.History(ctx, r.ID)
		if err != nil {
			return err
		}
		facts := factsOf(history)
		was, is := foretell(facts, before, r), foretell(facts, after, r)
		if was != is {
			p.changes = append(p.changes, change{
				r.ID, r.FiledAt.UTC().Format("2006-01-02 15:04"), r.Principal.Email, r.Resource, string(r.Status), was, is,
			})
		}
	}
	return nil
}
