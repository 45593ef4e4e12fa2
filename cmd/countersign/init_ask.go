package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"os/exec"
	"strings"

	"countersign/gitstore"
)

// A question is something that a command has to be told, by the flag of that name
// or on a terminal.
type question struct {
	flag, text string
	required   bool
	set        func(string) error // an error says what is wrong with the answer
}

// answer sets what the flags say, and asks the person at the terminal for the rest.
// In a script what is required and was not told is wrong usage.
func answer(c console, told map[string]string, questions []question) error {
	var missing []string
	var lines *bufio.Scanner
	if c.terminal {
		lines = bufio.NewScanner(c.in)
	}
	for _, q := range questions {
		value, ok := told[q.flag]
		switch {
		case ok:
			if err := q.set(value); err != nil {
				return usageError{"--" + q.flag + ": " + err.Error()}
			}
		case lines != nil:
			if err := q.ask(c.err, lines); err != nil {
				return err
			}
		case q.required:
			missing = append(missing, "--"+q.flag)
		}
	}
	if len(missing) > 0 {
		return usageError{strings.Join(missing, " and ") + " must be given where nobody can be asked"}
	}
	return nil
}

// ask asks until the answer can be taken.
func (q question) ask(w io.Writer, lines *bufio.Scanner) error {
	for {
		fmt.Fprintf(w, "%s: ", q.text)
		if !lines.Scan() {
			return errors.Join(errors.New("the answers ended too early; nothing was changed"), lines.Err())
		}
		value := strings.TrimSpace(lines.Text())
		if value == "" && !q.required {
			return nil
		}
		err := q.set(value)
		if err == nil {
			return nil
		}
		fmt.Fprintf(w, "  %v\n", err)
	}
}

// whose is the person that a commit is made as: as told, else as git would make it.
func whose(ctx context.Context, told, dir string, c console) (gitstore.Identity, error) {
	if told != "" {
		a, err := mail.ParseAddress(told)
		if err != nil || a.Name == "" {
			return gitstore.Identity{}, usageError{`--author: want "NAME <ADDRESS>"`}
		}
		return gitstore.Identity{Name: a.Name, Email: a.Address}, nil
	}
	who := gitstore.Identity{Name: c.env("GIT_AUTHOR_NAME"), Email: c.env("GIT_AUTHOR_EMAIL")}
	for key, p := range map[string]*string{"user.name": &who.Name, "user.email": &who.Email} {
		if *p == "" {
			*p = gitSetting(ctx, dir, key)
		}
	}
	if who.Name == "" || who.Email == "" {
		return who, usageError{`git does not know who you are: give --author "NAME <ADDRESS>"; the first commit is a person's`}
	}
	return who, nil
}

// gitSetting asks git for a setting, in the repository if there is one; empty where
// git does not know, or is not there.
func gitSetting(ctx context.Context, dir, key string) string {
	for _, args := range [][]string{{"-C", dir, "config", key}, {"config", "--global", key}} {
		if out, err := exec.CommandContext(ctx, "git", args...).Output(); err == nil {
			return strings.TrimSpace(string(out))
		}
	}
	return ""
}
