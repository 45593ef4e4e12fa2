package gitstore_test

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

var remoteEvents = flag.Int("remote-events", 1000, "how many events BenchmarkRemote's log has")

// BenchmarkRemote measures what a click costs with a remote that is 100 ms away,
// served by the real git http-backend: reading what is new and one append, which
// is accepted there. It prints the 50th and 95th percentile, and what the first
// fetch of the whole log takes and opening it again.
func BenchmarkRemote(b *testing.B) {
	dir, signer := gitstoretest.Upstream(b), newSigner(b)
	fill(b, dir, signer, *remoteEvents)
	gitstoretest.Git(b, dir, "repack", "-a", "-d", "--quiet") // as a forge keeps it; else its git does that at each fetch
	web := gitstoretest.ServeHTTP(b, filepath.Dir(dir))
	web.Set(func(w *gitstoretest.Web) { w.Delay = 100 * time.Millisecond })
	u := upstream{dir: dir, web: web}
	u.config.URL = web.URL + "/" + filepath.Base(dir)
	mirror := filepath.Join(b.TempDir(), "mirror.git")
	start := time.Now()
	openLogIn(b, u.mirror(b, mirror), signer)
	clone := time.Since(start)
	start = time.Now()
	l := openLogIn(b, u.mirror(b, mirror), signer)
	again := time.Since(start)
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		if _, err := l.Sync(context.Background()); err != nil {
			b.Fatal(err)
		}
		if _, err := l.Append(context.Background(), batch(10_000_000+i, 0, 1)); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[len(took)*95/100].Seconds()*1000, "p95-ms")
	b.ReportMetric(clone.Seconds(), "s/clone")
	b.ReportMetric(again.Seconds(), "s/reopen")
}

// fill writes so many events into a log, five a request.
func fill(b *testing.B, dir string, signer *gitstore.Signer, events int) {
	b.Helper()
	l := openLog(b, dir, signer)
	var wg sync.WaitGroup
	const writers = 64
	for i := range writers {
		wg.Go(func() {
			for n := i; n < events/5; n += writers {
				if _, err := l.Append(context.Background(), batch(n, 0, 5)); err != nil {
					b.Error(fmt.Errorf("fill: %w", err))
					return
				}
			}
		})
	}
	wg.Wait()
}
