package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A helpPage is what a command says of itself when it is asked for --help.
type helpPage struct {
	command
	usage, about string
	flags        []helpFlag
}

type helpFlag struct{ name, value, use string }

// helpPages asks every command for its help, so that there is one list of commands and
// one of flags.
func helpPages(ctx context.Context) []helpPage {
	var all []helpPage
	for _, cmd := range commands() {
		var help bytes.Buffer
		c := console{env: func(string) string { return "" }, out: &help, err: io.Discard, in: strings.NewReader("")}
		_ = cmd.run(ctx, []string{"--help"}, c) // says that it was help
		p := helpPage{command: cmd}
		text, list, _ := strings.Cut(help.String(), "\nFlags:\n")
		usage, about, _ := strings.Cut(text, "\n\n")
		p.usage, p.about = strings.TrimPrefix(usage, "Usage: "), strings.TrimSpace(about)
		for line := range strings.Lines(list) {
			line = strings.TrimSpace(line)
			if flag, ok := strings.CutPrefix(line, "--"); ok {
				name, value, _ := strings.Cut(flag, " ")
				p.flags = append(p.flags, helpFlag{name: name, value: value})
			} else if n := len(p.flags); n > 0 {
				p.flags[n-1].use = line
			}
		}
		all = append(all, p)
	}
	return all
}

// completion prints what a shell reads to complete command lines.
func completion(ctx context.Context, args []string, c console) error {
	fs := flags(c, "completion", "bash|zsh|fish", `Prints what the shell reads to complete commands and flags:
source <(countersign completion bash), the same with zsh, and
countersign completion fish | source.`)
	if err := parse(fs, args, "the shell (bash, zsh or fish)"); err != nil {
		return err
	}
	var text string
	switch fs.Arg(0) {
	case "bash":
		text = bashCompletion(helpPages(ctx))
	case "zsh":
		text = "#compdef countersign\nautoload -U +X bashcompinit && bashcompinit\n" + bashCompletion(helpPages(ctx))
	case "fish":
		text = fishCompletion(helpPages(ctx))
	default:
		return usageError{fmt.Sprintf("there is no completion for %q; there is for bash, zsh and fish", fs.Arg(0))}
	}
	_, err := io.WriteString(c.out, text)
	return err
}

// firstWords are the first words of the commands, each with the second ones it has.
func firstWords(all []helpPage) (first []string, second map[string][]string) {
	second = map[string][]string{}
	for _, p := range all {
		a, b, two := strings.Cut(p.name, " ")
		if !slices.Contains(first, a) {
			first = append(first, a)
		}
		if two {
			second[a] = append(second[a], b)
		}
	}
	return first, second
}

// bashCompletion completes words and flags; whatever else is wanted is a file.
func bashCompletion(all []helpPage) string {
	var b strings.Builder
	first, second := firstWords(all)
	b.WriteString("_countersign() {\n\tlocal cur=\"${COMP_WORDS[COMP_CWORD]}\" words=\"\"\n\tCOMPREPLY=()\n")
	fmt.Fprintf(&b, "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\twords=\"%s\"\n\telse\n\t\tcase \"$COMP_CWORD ${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n", strings.Join(first, " "))
	for _, a := range first {
		if len(second[a]) > 0 {
			fmt.Fprintf(&b, "\t\t\"2 %s \"*) words=\"%s\" ;;\n", a, strings.Join(second[a], " "))
		}
	}
	for _, p := range all {
		words := []string{"--help"}
		for _, f := range p.flags {
			words = append(words, "--"+f.name)
		}
		pattern := fmt.Sprintf("*\" %s \"*", p.name)
		if strings.Contains(p.name, " ") {
			pattern = fmt.Sprintf("*\" %s\"", p.name)
		}
		fmt.Fprintf(&b, "\t\t%s) [[ $cur != -* ]] || words=\"%s\" ;;\n", pattern, strings.Join(words, " "))
	}
	b.WriteString("\t\tesac\n\tfi\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _countersign countersign\n")
	return b.String()
}

func fishCompletion(all []helpPage) string {
	var b strings.Builder
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	first, second := firstWords(all)
	for _, p := range all {
		a, word, two := strings.Cut(p.name, " ")
		when := "__fish_seen_subcommand_from " + a
		if two {
			fmt.Fprintf(&b, "complete -c countersign -n %s -f -a %s -d %s\n",
				quote(when+"; and not __fish_seen_subcommand_from "+strings.Join(second[a], " ")), word, quote(p.short))
			when += "; and __fish_seen_subcommand_from " + word
		} else {
			fmt.Fprintf(&b, "complete -c countersign -n __fish_use_subcommand -f -a %s -d %s\n", a, quote(p.short))
		}
		for _, f := range p.flags {
			kind := "-l"
			if len(f.name) == 1 {
				kind = "-s"
			}
			if f.value != "" {
				kind = "-r " + kind
			}
			fmt.Fprintf(&b, "complete -c countersign -n %s %s %s -d %s\n", quote(when), kind, f.name, quote(f.use))
		}
	}
	for _, a := range first {
		if len(second[a]) > 0 {
			fmt.Fprintf(&b, "complete -c countersign -n __fish_use_subcommand -f -a %s\n", a)
		}
	}
	return b.String()
}
