package main

import (
	"os"
	"path/filepath"
	"sync/atomic"

	"countersign/gitstore/gitstoretest"
)

// gitToken is what the git server of the stories demands. The judge looks for it.
const gitToken = "story-git-token"

// upstream is how the bot of a story reaches its repositories.
type upstream struct {
	base  string // before the name of a repository; empty: by path
	web   *gitstoretest.Web
	fault *atomic.Value // of every request, a gitstoretest.Fault
	loses *atomic.Bool  // the answer of the next push
}

func (u upstream) address(path string) string {
	if u.base == "" {
		return path
	}
	return u.base + "/" + filepath.Base(path)
}

func startUpstream(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	start := map[string]func(*story) error{"http": startWeb, "ssh": startSSH}[args[0]]
	if start == nil {
		return errUsage
	}
	if err := start(s); err != nil {
		return err
	}
	s.ts.Setenv("UPSTREAM", s.away.base)
	return nil
}

func startWeb(s *story) error {
	web, stop, err := gitstoretest.StartHTTP(s.dir)
	if err != nil {
		return err
	}
	s.ts.Defer(stop)
	u := upstream{base: web.URL, web: web, fault: new(atomic.Value), loses: new(atomic.Bool)}
	u.fault.Store(gitstoretest.Fine)
	web.Set(func(w *gitstoretest.Web) {
		w.Token = gitToken
		w.Fault = func(service string, act bool) gitstoretest.Fault {
			if service == "git-receive-pack" && act && u.loses.Swap(false) {
				return gitstoretest.FailsApplied
			}
			return u.fault.Load().(gitstoretest.Fault)
		}
	})
	s.away = u
	s.ts.Setenv("COUNTERSIGN_GIT_TOKEN", gitToken)
	return nil
}

func startSSH(s *story) error {
	dir, err := os.MkdirTemp(s.dir, "ssh")
	if err != nil {
		return err
	}
	sshd, stop, err := gitstoretest.StartSSH(dir)
	if err != nil {
		return err
	}
	s.ts.Defer(stop)
	s.away = upstream{base: sshd.URL(s.dir)}
	s.ts.Setenv("COUNTERSIGN_SSH_KEY_FILE", sshd.KeyFile)
	s.ts.Setenv("SSH_KNOWN_HOSTS", sshd.KnownHosts)
	return nil
}

func remoteFault(s *story, args []string) error {
	if len(args) != 1 || s.away.web == nil {
		return errUsage
	}
	faults := map[string]gitstoretest.Fault{"up": gitstoretest.Fine, "down": gitstoretest.Fails, "hangs": gitstoretest.Hangs}
	switch f, ok := faults[args[0]]; {
	case ok:
		s.away.fault.Store(f)
	case args[0] == "loses":
		s.away.loses.Store(true)
	default:
		return errUsage
	}
	return nil
}
