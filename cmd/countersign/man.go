package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// man prints the manual page, made of the commands' own help.
func man(ctx context.Context, args []string, c console) error {
	fs := flags(c, "man", "", "Prints the manual page: countersign man | man -l -")
	if err := parse(fs, args); err != nil {
		return err
	}
	_, err := io.WriteString(c.out, manPage(helpPages(ctx)))
	return err
}

// roff writes text so that nothing in it is taken for a request or an escape.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

func manPage(all []helpPage) string {
	var b strings.Builder
	b.WriteString(".TH COUNTERSIGN 1\n.SH NAME\ncountersign \\- just\\-in\\-time access, approved in Slack and recorded in git\n")
	b.WriteString(".SH SYNOPSIS\n.B countersign\n.I COMMAND\n[\\fIFLAG\\fR...]\n.SH COMMANDS\n")
	for _, p := range all {
		fmt.Fprintf(&b, ".SS %s\n%s\n", roff(p.usage), roff(p.about))
		for _, f := range p.flags {
			fmt.Fprintf(&b, ".TP\n%s\n%s\n", roff(strings.TrimSpace("--"+f.name+" "+f.value)), roff(f.use))
		}
	}
	fmt.Fprintf(&b, ".SH EXIT STATUS\n.TP\n%d\nsuccess\n.TP\n%d\nsomething was found, or failed\n.TP\n%d\nthe command line cannot be meant\n", exitOK, exitFound, exitUsage)
	return b.String()
}
