package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/index"
	"countersign/bot/ledger"
	"countersign/gitstore"
)

var (
	scale    = flag.Int("scale", 0, "how many requests TestScale makes a log of; 150000 are a million events")
	scaleDir = flag.String("scale-dir", "", "where TestScale keeps that log, so that it makes it once (default: a temporary directory)")
)

// bigLog is a repository with a signed log of n requests, by real decisions; one
// that is there is taken as it is.
func bigLog(t *testing.T, n int) string {
	return makeLog(t, fmt.Sprintf("log-%d.git", n), bottest.Events(1, n, bottest.HistoryEnd))
}

// endedLog is bigLog without what is still open, whose messages are in no channel and
// whose access is at no provider.
func endedLog(t *testing.T, n int) string {
	open := map[string]bool{}
	for _, r := range bottest.Requests(1, n) {
		open[r.ID] = r.Open() || r.ToReview()
	}
	return makeLog(t, fmt.Sprintf("ended-%d.git", n), func(yield func(access.Event) bool) {
		for e := range bottest.Events(1, n, bottest.HistoryEnd) {
			if !open[e.Request] && !yield(e) {
				return
			}
		}
	})
}

func makeLog(t *testing.T, name string, history iter.Seq[access.Event]) string {
	t.Helper()
	dir := *scaleDir
	if dir == "" {
		dir = t.TempDir()
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	began, events := time.Now(), 0
	repo, err := gitstore.Init(t.Context(), path+".part")
	if err != nil {
		t.Fatal(err)
	}
	signer, _, err := gitstore.LoadOrCreateSigner(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := gitstore.OpenLog(t.Context(), gitstore.LogConfig{Repo: repo, Branch: "audit", Identity: botIdentity, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	w := &bulk{log: log, states: map[string]access.Request{}}
	for e := range history {
		if err := w.add(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		events++
	}
	if err := errors.Join(w.flush(t.Context()), os.Rename(path+".part", path)); err != nil {
		t.Fatal(err)
	}
	t.Logf("made: %s, %d events in %v", name, events, time.Since(began).Round(time.Second))
	return path
}

// bulk writes events many at a time, in about their order.
type bulk struct {
	log     *gitstore.Log
	states  map[string]access.Request // of requests that may go on
	waiting map[string]*gitstore.Batch
	order   []string
	size    int
}

func (w *bulk) add(ctx context.Context, e access.Event) error {
	r, err := access.Apply(w.states[e.Request], e)
	if err != nil {
		return err
	}
	w.states[e.Request] = r
	data, err := ledger.Encode(e)
	if err != nil {
		return err
	}
	if w.waiting == nil {
		w.waiting = map[string]*gitstore.Batch{}
	}
	b := w.waiting[r.ID]
	if b == nil {
		b = &gitstore.Batch{Dir: ledger.Dir(r.ID, r.FiledAt), Have: r.Seq - 1}
		w.waiting[r.ID], w.order = b, append(w.order, r.ID)
	}
	b.Entries = append(b.Entries, gitstore.Entry{
		Path: fmt.Sprintf("%s/%04d-%s.yaml", b.Dir, r.Seq, e.Body.Kind()), Data: data, Message: ledger.Message(r, e), Time: e.At,
	})
	if w.size++; w.size < 500 {
		return nil
	}
	return w.flush(ctx)
}

// flush writes what waits; each request's part in a batch of its own, all at once.
func (w *bulk) flush(ctx context.Context) error {
	errs := make([]error, len(w.order))
	var all sync.WaitGroup
	for i, id := range w.order {
		all.Go(func() { _, errs[i] = w.log.Append(ctx, *w.waiting[id]) })
	}
	all.Wait()
	w.waiting, w.order, w.size = nil, nil, 0
	return errors.Join(errs...)
}

// TestScale prints what a large log costs: the first start, which reads all of it, a
// restart, memory, and what pages are made of.
func TestScale(t *testing.T) {
	if *scale == 0 {
		t.Skip("only with -scale 150000")
	}
	ctx, path := t.Context(), bigLog(t, *scale)
	repo, err := gitstore.Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	store, file := readStore{repo, "audit"}, filepath.Join(t.TempDir(), indexFile)
	var l *ledger.Ledger
	var x *index.Index
	for _, start := range []string{"first start", "restart"} {
		took(t, start, func() (err error) {
			if x, err = index.Open(ctx, file); err == nil {
				l, err = ledger.Resume(ctx, store, checkpoint{x})
			}
			return err
		})
		t.Logf("memory of the process: %d MB, of which %d on the heap; %d requests open", resident()>>20, heap()>>20, len(l.Open()))
		if start == "first start" {
			x.Close()
		}
	}
	defer x.Close()
	var old []access.Request
	find := func(f access.Filter) func() error {
		return func() (err error) { old, _, err = x.Find(ctx, f, "", 50); return err }
	}
	took(t, "list", find(access.Filter{}))
	took(t, "list of a status", find(access.Filter{Status: []access.Status{access.Expired}}))
	took(t, "list of a person", find(access.Filter{Person: []string{old[0].Requestor.Email}}))
	took(t, "part of an id", find(access.Filter{ID: old[0].ID[20:]}))
	took(t, "free text", find(access.Filter{Text: "deadlock ledger"}))
	took(t, "figures of all time", func() error { _, err := x.Figures(ctx, access.Filter{}, bottest.HistoryEnd); return err })
	took(t, "list of long ago", find(access.Filter{To: bottest.HistoryEnd.AddDate(-1, 0, 0)}))
	took(t, "history of a request that has ended", func() error { _, err := l.History(ctx, old[len(old)-1].ID); return err })
	took(t, "find what was once granted", func() error {
		r := old[0]
		_, err := l.Granted(ctx, r.Target, r.Principal.Email)
		return err
	})
}

func took(t *testing.T, what string, do func() error) {
	t.Helper()
	began, worked := time.Now(), processorTime()
	if err := do(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	t.Logf("%s: %v, %v of a processor", what, time.Since(began).Round(100*time.Microsecond), processorTime()-worked)
}

// processorTime is what the process has used: a busy machine does not change it
// much.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Round(time.Millisecond)
}

// heap is what the program holds, in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// resident is the memory of the process, in bytes, without what it has mapped of
// files, which the system takes back when it needs room; 0 where the system does not
// say.
func resident() int {
	data, _ := os.ReadFile("/proc/self/statm")
	var size, pages, mapped int
	_, _ = fmt.Sscan(string(data), &size, &pages, &mapped)
	return (pages - mapped) * os.Getpagesize()
}
