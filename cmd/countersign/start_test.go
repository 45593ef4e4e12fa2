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

// packedLog is a log as TestScale makes it, in one pack, as a forge keeps it.
func packedLog(t *testing.T, n int) string {
	t.Helper()
	dir := bigLog(t, n)
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
	log := packedLog(t, *scale)
	t.Run("here", func(t *testing.T) { startOften(t, log, 0) })
	t.Run("100 ms away", func(t *testing.T) { startOften(t, log, 100*time.Millisecond) })
}

func startOften(t *testing.T, log string, away time.Duration) {
	w, err := newWorld(t.TempDir(), defaultConfig, defaultDesired)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if err := errors.Join(
		os.MkdirAll(filepath.Join(w.repo(), "objects/info"), 0o755),
		os.WriteFile(filepath.Join(w.repo(), "objects/info/alternates"), []byte(filepath.Join(log, "objects")+"\n"), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	gitstoretest.Git(t, w.repo(), "update-ref", "refs/heads/audit", gitstoretest.Git(t, log, "rev-parse", "audit"))
	t.Logf("%s commits", gitstoretest.Git(t, w.repo(), "rev-list", "--count", "audit"))
	if away > 0 {
		web, stop, err := gitstoretest.StartHTTP(w.dir)
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		web.Delay, w.away = away, upstream{base: web.URL, web: web}
	}
	// The log of another configuration's requests goes on under this one.
	accept := gitstoretest.Git(t, w.repo(), "rev-parse", "main")
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
