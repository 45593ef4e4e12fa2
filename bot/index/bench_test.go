package index_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/index"
)

// many is as many requests as some years of a large company leave.
const many = 150_000

// BenchmarkIndex builds an index once and asks it everything:
//
//	go test ./bot/index -run '^$' -bench Index -benchtime 10x
func BenchmarkIndex(b *testing.B) {
	list := bottest.Requests(1, many)
	path := filepath.Join(b.TempDir(), "index")
	x := open(b, path)
	began := time.Now()
	for i := 0; i < many; i += 5000 {
		head := ""
		if i+5000 >= many {
			head = "h"
		}
		put(b, x, index.Batch{Head: head, Requests: list[i : i+5000]})
	}
	built := time.Since(began)
	last := list[many-1]
	deep := list[many/2].ID
	rare := list[many/3].ID
	list = nil
	runtime.GC()
	b.Run("build", func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(many/built.Seconds(), "rows/s")
		b.ReportMetric(float64(size(path))/1e6, "MB-on-disk")
		b.ReportMetric(float64(size(path))/many, "bytes/row")
	})
	person, decision := last.Requestor.Email, "payments owns its services"
	quarter := access.Filter{From: bottest.HistoryEnd.AddDate(0, 0, -90)}
	for _, c := range []struct {
		name, after string
		f           access.Filter
	}{
		{"none", "", access.Filter{}},
		{"none-deep", deep, access.Filter{}},
		{"person", "", access.Filter{Person: []string{person}}},
		{"nobody", "", access.Filter{Person: []string{"nobody@acme.example"}}},
		{"resource", "", access.Filter{Resource: last.Resource}},
		{"provider", "", access.Filter{Provider: "github"}},
		{"provider-deep", deep, access.Filter{Provider: "github"}},
		{"status-common", "", access.Filter{Status: []access.Status{access.Expired}}},
		{"status-rare", "", access.Filter{Status: []access.Status{access.Live, access.Pending}}},
		{"source", "", access.Filter{Source: access.ByBreakGlass}},
		{"policy-common", "", access.Filter{Policy: "on call for production"}},
		{"policy", "", access.Filter{Policy: decision}},
		{"quarter", "", quarter},
		{"involves", "", access.Filter{Involves: []string{person, last.Requestor.Slack}}},
		{"all-at-once", "", access.Filter{Person: []string{person}, Provider: "github", Status: []access.Status{access.Expired}, From: quarter.From}},
		{"text-id", "", access.Filter{Text: rare}},
		{"text-no-match", "", access.Filter{Text: "floccinaucinihilipilification"}},
		{"text-rare", "", access.Filter{Text: "INC-12345"}},
		{"text-some", "", access.Filter{Text: "zertifikat"}},
		{"text-common", "", access.Filter{Text: "production"}},
		{"text-2-letters", "", access.Filter{Text: "xy"}},
		{"text-2-words", "", access.Filter{Text: "deadlock ledger"}},
		{"text-and-person", "", access.Filter{Text: "deadlock", Person: []string{person}}},
		{"text-in-quarter", "", access.Filter{Text: "deadlock", From: quarter.From}},
	} {
		b.Run("find/"+c.name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				_, all, err := x.Find(b.Context(), c.f, c.after, 50)
				if err != nil {
					b.Fatal(err)
				}
				n = all
			}
			b.ReportMetric(float64(n), "matches")
		})
	}
	for name, f := range map[string]access.Filter{"90-days": quarter, "all-time": {}, "all-time-person": {Person: []string{person}}, "all-time-provider": {Provider: "github"}} {
		b.Run("figures/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := x.Figures(b.Context(), f, bottest.HistoryEnd); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for name, at := range map[string]time.Time{"now": bottest.HistoryEnd, "a-year-ago": bottest.HistoryEnd.AddDate(-1, 0, 0), "at-first": bottest.HistoryEnd.AddDate(-2, 0, 5)} {
		b.Run("live/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := x.LiveAt(b.Context(), access.Filter{}, at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("choices", func(b *testing.B) {
		for b.Loop() {
			if _, err := x.Choices(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("each/all", func(b *testing.B) {
		most := uint64(0)
		for b.Loop() {
			n := 0
			err := x.Each(b.Context(), access.Filter{}, func(access.Request) error {
				if n++; n%30000 == 0 {
					most = max(most, heap())
				}
				return nil
			})
			if err != nil || n != many {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(float64(most)/1e6, "MB-heap")
		b.ReportMetric(resident()/1e6, "MB-resident")
	})
	b.Run("put/one", func(b *testing.B) {
		for b.Loop() {
			last.Seq++
			last.Reason = fmt.Sprint("change ", last.Seq)
			put(b, x, index.Batch{Head: strconv.Itoa(last.Seq), Requests: []access.Request{last}})
		}
	})
	b.Run("open", func(b *testing.B) {
		x.Close()
		for b.Loop() {
			y, err := index.Open(b.Context(), path)
			if err != nil || y.Head() == "" {
				b.Fatal(y.Head(), err)
			}
			y.Close()
		}
	})
}

func size(path string) int64 {
	var n int64
	for _, end := range []string{"", "-wal"} {
		if info, err := os.Stat(path + end); err == nil {
			n += info.Size()
		}
	}
	return n
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// resident is the memory of the whole process, SQLite's included, in bytes; zero
// where the system does not say.
func resident() float64 {
	data, _ := os.ReadFile("/proc/self/statm")
	if f := strings.Fields(string(data)); len(f) > 1 {
		pages, _ := strconv.ParseFloat(f[1], 64)
		return pages * float64(os.Getpagesize())
	}
	return 0
}

// BenchmarkJSON is what the codec of stored requests is to be compared with.
func BenchmarkJSON(b *testing.B) {
	var data [][]byte
	n := 0
	for _, r := range bottest.Requests(1, 1000) {
		one, err := json.Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		data, n = append(data, one), n+len(one)
	}
	i := 0
	for b.Loop() {
		var r access.Request
		if err := json.Unmarshal(data[i%len(data)], &r); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(n)/1000, "bytes/row")
}
