// Countersign is a ChatOps bot for just-in-time access: asked for and approved
// in Slack, ended by itself, recorded in git.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/mattn/go-isatty"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], console{
		env: os.Getenv, out: os.Stdout, err: os.Stderr, in: os.Stdin, terminal: isatty.IsTerminal(os.Stdin.Fd()),
	})
	stop()
	os.Exit(code)
}

// A console is what a subcommand has of the world: the environment, where to
// write, and whom to ask. Data goes to out, everything else to err.
type console struct {
	env      func(string) string
	out, err io.Writer
	in       io.Reader
	terminal bool // a person sits at in
}

// The exit codes.
const (
	exitOK    = 0
	exitFound = 1 // something was found, or failed
	exitUsage = 2
)

// A command is one subcommand.
type command struct {
	name, args, short string
	run               func(ctx context.Context, args []string, c console) error
}

func commands() []command {
	return []command{
		{"demo", "", "try everything on this machine: a local Slack, local repositories", demo},
		{"serve", "--repo PATH", "run the bot", serve},
		{"init", "--repo PATH", "make a repository ready: rules, keys, checks, both branches", initCommand},
		{"report", "--repo PATH", "write the log as a table (TSV)", reportCommand},
		{"asof", "--repo PATH TIME", "say who had what at a time", asof},
		{"site", "--repo PATH -o DIR", "write the dashboard as files", site},
		{"verify", "--repo PATH", "check a clone of the log, offline", verifyCommand},
		{"config check", "FILE", "check a configuration", configCheck},
		{"config preview", "OLD NEW --repo PATH", "say in Markdown what a change of the configuration would do", configPreview},
		{"config comment", "FILE --repo OWNER/NAME --pull N", "keep the comment with that on a pull request", configComment},
		{"config review", "--repo OWNER/NAME --pull N", "pass when somebody else has approved a change", configReview},
		{"policy test", "FILE", "run the tests beside the policies", policyTest},
		{"policy diff", "OLD NEW --repo PATH", "replay past requests under two configurations", policyDiff},
		{"policy explain", "--as ADDRESS --resource ID", "say who may approve, and why", policyExplain},
		{"slack manifest", "[--http URL]", "print the manifest of the Slack app", slackManifest},
		{"doctor", "--repo PATH", "check the real workspace, tokens and repositories", doctor},
		{"version", "", "print the version", version},
		{"completion", "bash|zsh|fish", "print what the shell reads to complete command lines", completion},
		{"man", "", "print the manual page", man},
	}
}

// errFound ends a command that has already said what it found.
var errFound = errors.New("found")

// usageError is a command line that cannot be meant.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func run(ctx context.Context, args []string, c console) int {
	if len(args) == 0 {
		usage(c.err)
		return exitUsage
	}
	if args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		usage(c.out)
		return exitOK
	}
	cmd, rest, ok := find(args)
	if !ok {
		fmt.Fprintf(c.err, "countersign: there is no command %q\n\n", args[0])
		usage(c.err)
		return exitUsage
	}
	return exitCode(cmd, cmd.run(ctx, rest, c), c.err)
}

func exitCode(cmd command, err error, w io.Writer) int {
	var wrong usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &wrong):
		fmt.Fprintf(w, "countersign %s: %s\nSee countersign %s --help.\n", cmd.name, wrong.text, cmd.name)
		return exitUsage
	case errors.Is(err, errFound):
		return exitFound
	}
	fmt.Fprintf(w, "countersign %s: %v\n", cmd.name, err)
	return exitFound
}

// find matches the longest name: "config check" before "config".
func find(args []string) (command, []string, bool) {
	for _, cmd := range commands() {
		if args[0] == cmd.name {
			return cmd, args[1:], true
		}
		if len(args) > 1 && args[0]+" "+args[1] == cmd.name {
			return cmd, args[2:], true
		}
	}
	return command{}, nil, false
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "Countersign gives just-in-time access, approved in Slack and recorded in git.")
	fmt.Fprintln(w, "\nUsage:")
	const column = 36
	for _, cmd := range commands() {
		line := strings.TrimSpace(cmd.name + " " + cmd.args)
		if len(line) > column { // what it does stands below
			line += fmt.Sprintf("\n%*s", len("  countersign ")+column, "")
		}
		fmt.Fprintf(w, "  countersign %-*s %s\n", column, line, cmd.short)
	}
	fmt.Fprintln(w, "\nEach command has --help.")
}

// flags makes the flag set of a command. Its help goes to out: [parse] prints it
// only where it was asked for.
func flags(c console, name, args, about string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {
		fmt.Fprintf(c.out, "Usage: countersign %s\n\n%s\n", strings.TrimSpace(name+" "+args), about)
		title := "\nFlags:\n"
		fs.VisitAll(func(f *flag.Flag) {
			value, use := flag.UnquoteUsage(f)
			if f.DefValue != "" && f.DefValue != "false" {
				use += " (default " + f.DefValue + ")"
			}
			fmt.Fprintf(c.out, "%s  %s\n      %s\n", title, strings.TrimSpace("--"+f.Name+" "+value), use)
			title = ""
		})
	}
	return fs
}

// parseAround reads the flags and exactly as many arguments as are named, which may
// stand before the flags or after them.
func parseAround(fs *flag.FlagSet, args []string, names ...string) ([]string, error) {
	n := 0
	for n < min(len(args), len(names)) && !strings.HasPrefix(args[n], "-") {
		n++
	}
	err := parse(fs, args[n:], names[n:]...)
	return slices.Concat(args[:n], fs.Args()), err
}

// parse reads the flags and exactly as many arguments as are named.
func parse(fs *flag.FlagSet, args []string, names ...string) error {
	help := fs.Usage
	fs.Usage = func() {} // the package would print it for every mistake
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			help()
			return err
		}
		return usageError{err.Error()}
	}
	if fs.NArg() < len(names) {
		return usageError{names[fs.NArg()] + " is missing"}
	}
	if fs.NArg() > len(names) {
		return usageError{fmt.Sprintf("unexpected argument %q", fs.Arg(len(names)))}
	}
	return nil
}
