package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"countersign/gitstore/gitstoretest"
)

// packedLog is a log in one pack, as a forge keeps it.
func packedLog(t *testing.T, dir string) string {
	t.Helper()
	packed := filepath.Join(filepath.Dir(dir), "packed-"+filepath.Base(dir))
	if _, err := os.Stat(packed); err == nil {
		return packed
	}
	gitstoretest.Git(t, ".", "clone", "--quiet", "--mirror", "--no-local", dir, packed+".part")
	if err := os.Rename(packed+".part", packed); err != nil {
		t.Fatal(err)
	}
	return packed
}

// TestStart prints how long serve takes until /readyz says so, from the start of the
// process on, with a large log: the first time, when all of it is read, and again;
// with the repository on this machine, and with one that is 100 ms away.
func TestStart(t *testing.T) {
	if *scale == 0 {
		t.Skip("only with -scale 12500, which are about 100,000 events")
	}
	log := packedLog(t, bigLog(t, *scale))
	t.Run("here", func(t *testing.T) { startOften(t, log, 0) })
	t.Run("100 ms away", func(t *testing.T) { startOften(t, log, 100*time.Millisecond) })
}

// oldWorld is a world whose log has a past: that of -scale requests, under another
// configuration. It returns the commit of this one, which is to be accepted.
func oldWorld(t *testing.T, log string) (w *world, accept string) {
	t.Helper()
	dir := t.TempDir()
	key, err := os.ReadFile(filepath.Join(filepath.Dir(log), "key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "signing_key"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if w, err = newWorld(dir, defaultConfig, defaultDesired); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	if err := errors.Join(
		os.MkdirAll(filepath.Join(w.repo(), "objects/info"), 0o755),
		os.WriteFile(filepath.Join(w.repo(), "objects/info/alternates"), []byte(filepath.Join(log, "objects")+"\n"), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	gitstoretest.Git(t, w.repo(), "update-ref", "refs/heads/audit", gitstoretest.Git(t, log, "rev-parse", "audit"))
	t.Logf("%s commits", gitstoretest.Git(t, w.repo(), "rev-list", "--count", "audit"))
	return w, gitstoretest.Git(t, w.repo(), "rev-parse", "main")
}

// serveFrom moves the repositories of a world behind a web server, to which each
// request takes so long.
func (w *world) serveFrom(t *testing.T, away time.Duration) {
	t.Helper()
	web, stop, err := gitstoretest.StartHTTP(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	web.Set(func(web *gitstoretest.Web) { web.Delay = away })
	w.away = upstream{base: web.URL, web: web}
}

func startOften(t *testing.T, log string, away time.Duration) {
	w, accept := oldWorld(t, log)
	if away > 0 {
		w.serveFrom(t, away)
	}
	for _, what := range []string{"first start", "restart", "restart"} {
		began := time.Now()
		if err := w.start(w.env, "--accept-config", accept); err != nil {
			t.Fatal(err)
		}
		serving := time.Since(began)
		if !eventually(5*time.Millisecond, w.isReady) {
			t.Fatalf("%s: not ready:\n%s", what, tail(w.said(0), 4000))
		}
		ready, bot := time.Since(began), w.bot
		if err := w.end(os.Interrupt); err != nil {
			if _, ended := errors.AsType[*exec.ExitError](err); !ended {
				t.Fatal(err)
			}
		}
		worked := bot.ProcessState.UserTime() + bot.ProcessState.SystemTime()
		t.Logf("%s: serves after %v, ready after %v, %v of a processor until its end", what,
			serving.Round(time.Millisecond), ready.Round(time.Millisecond), worked.Round(time.Millisecond))
	}
}
