package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"countersign/bot/provider/github/githubtest"
	"countersign/gitstore/gitstoretest"
)

// atHub is the desired state's repository on GitHub.
const atHub = "acme/desired"

// serveGit answers for that repository's files below /acme/, as the real git does,
// to whoever has the token for GitHub.
func (p *places) serveGit(mux *http.ServeMux, desired string) error {
	p.github.Repos[atHub] = &githubtest.Repo{Dir: desired}
	p.github.Repos["acme/countersign"] = &githubtest.Repo{Dir: filepath.Join(filepath.Dir(desired), "countersign.git")}
	web, err := gitstoretest.NewWeb(filepath.Dir(desired))
	if err != nil {
		return err
	}
	web.Set(func(w *gitstoretest.Web) { w.Token = githubtest.Token })
	mux.Handle("/acme/", http.StripPrefix("/acme", web))
	return nil
}

// protectDesired lets main of the desired state change by what people do alone, and
// shows that as a rule of GitHub's; all: the rules of many, which hold for each branch.
func protectDesired(s *story, args []string) error {
	s.github.Do(func() {
		at := s.github.Repos[atHub]
		if at.Rules = map[string][]string{"main": {"pull_request", "non_fast_forward"}}; len(args) > 0 {
			at.Rules["*"] = []string{"deletion"}
		}
	})
	hook := "#!/bin/sh\n[ -z \"$REMOTE_USER\" ] || [ \"$1\" != refs/heads/main ] || { echo 'GH006: Protected branch update failed' >&2; exit 1; }\n"
	dir := filepath.Join(s.desired(), "hooks")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "update"), []byte(hook), 0o755)
}

// pull is a pull request there, as a person sees it or treats it.
func pull(s *story, args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return errUsage
	}
	number, err := strconv.Atoi(args[1])
	if err != nil {
		return errUsage
	}
	switch args[0] {
	case "merge", "close", "reopen":
		return s.treatPull(args[0], number)
	}
	pattern, err := pattern(append(args[2:], "")[:1])
	if err != nil {
		return err
	}
	state := ""
	ok := wait(func() bool {
		text := ""
		if state, text = s.pullState(number); state != args[0] {
			return s.neg
		}
		return pattern.MatchString(text) != s.neg
	})
	if !ok {
		return fmt.Errorf("#%d is %q", number, state)
	}
	return nil
}

func (s *story) treatPull(how string, number int) (err error) {
	s.github.Do(func() {
		at := s.github.Repos[atHub]
		if number > len(at.Pulls) {
			err = fmt.Errorf("there are %d", len(at.Pulls))
			return
		}
		if how == "merge" {
			err = at.Merge(number)
			return
		}
		at.Pulls[number-1].Open = how == "reopen"
	})
	return err
}

// pullState is open, stuck (it cannot be merged as it is), merged or closed; empty
// where there is no such one.
func (s *story) pullState(number int) (state, text string) {
	s.github.Do(func() {
		all := s.github.Repos[atHub].Pulls
		if number > len(all) {
			return
		}
		x := all[number-1]
		state, text = "closed", strings.Join([]string{x.Title, x.Body, x.Branch}, "\n")
		switch {
		case x.Merged:
			state = "merged"
		case x.Open && s.github.Repos[atHub].Mergeable(x):
			state = "open"
		case x.Open:
			state = "stuck"
		}
	})
	return state, text
}
