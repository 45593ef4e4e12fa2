package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"countersign/bot/ledger"
	"countersign/bot/report"
	"countersign/bot/slackapp"
	"countersign/config"
	"countersign/gitstore"
)

func isExists(err error) bool { return errors.Is(err, gitstore.ErrExists) }

// reportCommand writes the table of a log.
func reportCommand(ctx context.Context, args []string, c console) error {
	fs := flags(c, "report", "--repo PATH [--ref audit] [-o FILE] [--summary FILE]", `Writes one row for each request, tab-separated. The same commit gives the same
bytes on any machine.`)
	path := fs.String("repo", "", "the path of a repository or clone, or the `URL` of one elsewhere (required)")
	ref := fs.String("ref", "audit", "the log's `BRANCH`; origin's is taken where there is no other")
	file := fs.String("o", "", "the `FILE` to write (default: standard output)")
	summary := fs.String("summary", "", "also the `FILE` to write counts and pictures to, in Markdown as GitHub shows it")
	if err := parse(fs, args); err != nil {
		return err
	}
	if *path == "" {
		return usageError{"--repo is missing"}
	}
	access, err := readGitAccess(c, *path)
	if err != nil {
		return err
	}
	repo, done, err := access.readRepo(ctx, *path)
	if err != nil {
		return err
	}
	defer done()
	l, err := ledger.Open(ctx, readStore{repo, *ref})
	if err != nil {
		return err
	}
	if *summary != "" {
		if err := writeOutput(*summary, func(w io.Writer) error { return report.Summary(w, l.Requests()) }); err != nil {
			return err
		}
	}
	if *file == "" {
		return report.TSV(c.out, l.Requests())
	}
	return writeOutput(*file, func(w io.Writer) error { return report.TSV(w, l.Requests()) })
}

// writeOutput writes a file that somebody named on the command line. What they named
// by a link, a device or a pipe is written to, not replaced: as root, that would be
// the machine's /dev/null.
func writeOutput(name string, write func(io.Writer) error) error {
	at, err := os.Lstat(name)
	if err != nil || at.Mode().IsRegular() {
		return writeFile(name, write)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// writeFile writes a whole file or leaves the old one as it was.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".countersign-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(write(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// configCheck checks a configuration file.
func configCheck(_ context.Context, args []string, c console) error {
	fs := flags(c, "config check", "FILE", "Checks a countersign.yaml and prints every error with its line.")
	if err := parse(fs, args, "FILE"); err != nil {
		return err
	}
	name := fs.Arg(0)
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	rules, warnings, err := config.Parse(name, data, "")
	for _, w := range warnings {
		fmt.Fprintf(c.err, "warning: %s\n", w)
	}
	if err != nil {
		fmt.Fprintln(c.err, err)
		return errFound
	}
	fmt.Fprintf(c.err, "%s: ok, %s, %s\n", name, count(len(rules.Reviewers), "reviewer"), count(len(rules.Resources), "resource"))
	return nil
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// slackManifest prints the manifest of the Slack app.
func slackManifest(_ context.Context, args []string, c console) error {
	fs := flags(c, "slack manifest", "[--http URL]", "Prints the app manifest: in Slack, Create New App, From a manifest.")
	base := fs.String("http", "", "for HTTP mode, the `URL` at which Slack reaches serve, such as https://access.example.com (default: Socket Mode)")
	if err := parse(fs, args); err != nil {
		return err
	}
	if *base != "" {
		u, err := url.Parse(*base)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return usageError{"--http is an address that begins with https://, such as https://access.example.com: Slack takes no other"}
		}
	}
	_, err := c.out.Write(slackapp.Manifest(*base == "", *base))
	return err
}
