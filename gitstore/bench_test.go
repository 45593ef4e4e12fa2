package gitstore_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

// BenchmarkAppend measures durable, signed appends of one entry each, as the
// callers see them.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l := openLog(b, gitstoretest.Upstream(b), newSigner(b))
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						if _, err := l.Append(context.Background(), batch(int(n), 0, 1)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// grown makes a log of a thousand requests with five entries each.
func grown(b *testing.B) string {
	dir := gitstoretest.Upstream(b)
	l := openLog(b, dir, newSigner(b))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := i; n < 1000; n += 8 {
				if _, err := l.Append(context.Background(), batch(n, 0, 5)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return dir
}

// BenchmarkScan reads a log of 5,000 entries, as gitstore packs it and as git
// does.
func BenchmarkScan(b *testing.B) {
	dir := grown(b)
	for _, how := range []string{"own packs", "after gc"} {
		if how == "after gc" {
			gitstoretest.Git(b, dir, "gc", "--quiet")
		}
		b.Run(how, func(b *testing.B) {
			for b.Loop() {
				count := 0
				_, err := openLog(b, dir, nil).Scan(context.Background(), "", func(gitstore.Entry) error {
					count++
					return nil
				})
				if err != nil || count != 5000 {
					b.Fatalf("%d entries, %v", count, err)
				}
			}
			b.ReportMetric(5000*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// BenchmarkVerify checks a log of 5,000 entries.
func BenchmarkVerify(b *testing.B) {
	repo := openRepo(b, grown(b))
	b.ResetTimer()
	for b.Loop() {
		_, problems, err := gitstore.Verify(context.Background(), repo, "audit", nil, nil)
		if err != nil || len(problems) > 0 {
			b.Fatalf("%v, %v", problems, err)
		}
	}
	b.ReportMetric(5001*float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}
