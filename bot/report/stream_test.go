package report_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"

	"countersign/bot/bottest"
	"countersign/bot/report"
)

// TestStreamed: row by row come the same bytes as at once.
func TestStreamed(t *testing.T) {
	for _, n := range []int{0, 1, 3000} {
		list := bottest.Requests(1, n)
		var want, got bytes.Buffer
		if err := report.TSV(&want, list); err != nil {
			t.Fatal(err)
		}
		w := report.NewWriter(&got)
		for _, r := range list {
			if err := w.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want.Bytes(), got.Bytes()) {
			t.Errorf("%d requests: other bytes", n)
		}
		if lines := bytes.Count(got.Bytes(), []byte("\n")); lines != n+1 {
			t.Errorf("%d requests: %d lines", n, lines)
		}
	}
}

// broken fails after so many bytes.
type broken int

var errFull = errors.New("disk full")

func (b *broken) Write(p []byte) (int, error) {
	if *b -= broken(len(p)); *b < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// TestBroken: an error of the writer beneath ends the table soon.
func TestBroken(t *testing.T) {
	list := bottest.Requests(1, 200)
	room := broken(10000)
	w := report.NewWriter(&room)
	rows := 0
	for _, r := range list {
		if err := w.Add(r); err != nil {
			if !errors.Is(err, errFull) {
				t.Errorf("got %v", err)
			}
			break
		}
		rows++
	}
	if rows == len(list) {
		t.Error("all rows were added to a writer that fails")
	}
	if err := w.Flush(); !errors.Is(err, errFull) {
		t.Errorf("flush: %v", err)
	}
	room = 10000
	if err := report.TSV(&room, list); !errors.Is(err, errFull) {
		t.Errorf("at once: %v", err)
	}
}

func BenchmarkWriter(b *testing.B) {
	list := bottest.Requests(1, 2000)
	w, i := report.NewWriter(io.Discard), 0
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Add(list[i%len(list)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapInuse)/1e6, "MB-heap")
}
