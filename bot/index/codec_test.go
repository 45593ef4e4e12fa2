package index

import (
	"errors"
	"testing"

	"countersign/bot/bottest"
)

// TestDamagedBytes: no bytes that were not written are taken for a request.
func TestDamagedBytes(t *testing.T) {
	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	data, err := c.encode(bottest.Requests(1, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.decode(data); err != nil {
		t.Fatal(err)
	}
	for i := range data {
		if _, err := c.decode(data[:i]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut off at %d: %v", i, err)
		}
		bad := append([]byte(nil), data...)
		bad[i] ^= 0x10
		if _, err := c.decode(bad); !errors.Is(err, ErrDamaged) {
			t.Fatalf("with byte %d changed: %v", i, err)
		}
	}
}

// TestVersion: it is the same each time, whatever addresses and maps do.
func TestVersion(t *testing.T) {
	var first int32
	for i := range 5 {
		c, err := newCodec()
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.version()
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = v
		}
		if v != first {
			t.Fatalf("version %d, then %d", first, v)
		}
	}
}

func BenchmarkCodec(b *testing.B) {
	c, err := newCodec()
	if err != nil {
		b.Fatal(err)
	}
	var data [][]byte
	n := 0
	for _, r := range bottest.Requests(1, 1000) {
		one, err := c.encode(r)
		if err != nil {
			b.Fatal(err)
		}
		data, n = append(data, one), n+len(one)
	}
	i := 0
	for b.Loop() {
		if _, err := c.decode(data[i%len(data)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(n)/1000, "bytes/row")
}
