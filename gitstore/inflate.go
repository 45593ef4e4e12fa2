package gitstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zlib"
)

// An inflater decompresses one zlib stream after another: a new reader would
// cost 40 kB each time.
type inflater struct {
	src bytes.Reader
	z   io.Reader // nil before the first stream
	buf [16 << 10]byte
}

// inflaters are those that nobody uses at the moment.
var inflaters = sync.Pool{New: func() any { return new(inflater) }}

// inflate decompresses the stream that raw begins with, of a known size, and
// returns how many bytes of raw it took.
func inflate(raw []byte, size int64) (data []byte, used int, err error) {
	f := inflaters.Get().(*inflater)
	defer inflaters.Put(f)
	if err := f.start(raw); err != nil {
		return nil, 0, err
	}
	data, err = readExactly(f.z, size)
	used = len(raw) - f.src.Len()
	f.src.Reset(nil)
	return data, used, err
}

// inflateTo is inflate that keeps nothing: what it decompresses goes to a writer
// that never fails.
func inflateTo(to io.Writer, raw []byte, size int64) (used int, err error) {
	f := inflaters.Get().(*inflater)
	defer inflaters.Put(f)
	err = f.start(raw)
	for err == nil {
		var n int
		n, err = f.z.Read(f.buf[:])
		_, _ = to.Write(f.buf[:n])
		if size -= int64(n); size < 0 {
			return 0, errors.New("more bytes than announced")
		}
	}
	used = len(raw) - f.src.Len()
	f.src.Reset(nil)
	if err == io.EOF && size > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != io.EOF {
		return 0, err
	}
	return used, nil
}

// start begins a stream.
func (f *inflater) start(raw []byte) (err error) {
	f.src.Reset(raw)
	if f.z == nil {
		f.z, err = zlib.NewReader(&f.src)
		return err
	}
	return f.z.(zlib.Resetter).Reset(&f.src, nil)
}

// firstRead is how many bytes are made room for before any was read, so that a
// size that is a lie costs nothing.
const firstRead = 1 << 20

// readExactly reads size bytes and the end of the stream, where zlib compares
// its checksum.
func readExactly(r io.Reader, size int64) ([]byte, error) {
	if size < 0 || size > maxObject {
		return nil, fmt.Errorf("size of %d bytes is out of bounds", size)
	}
	data := make([]byte, min(size, firstRead))
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	for have := len(data); int64(have) < size; have = len(data) {
		data = slices.Grow(data, min(have, int(size)-have))
		data = data[:min(2*have, int(size))]
		if _, err := io.ReadFull(r, data[have:]); err != nil {
			return nil, err
		}
	}
	var more [1]byte
	switch n, err := io.ReadFull(r, more[:]); {
	case n != 0:
		return nil, errors.New("more bytes than announced")
	case err != io.EOF:
		return nil, err
	}
	return data, nil
}

var errDelta = errors.New("malformed delta")

// patchDelta makes an object from another one and the instructions of a delta:
// copy some bytes of the other one, or take some that follow.
func patchDelta(base, delta []byte) ([]byte, error) {
	from, rest, ok1 := deltaSize(delta)
	to, rest, ok2 := deltaSize(rest)
	if !ok1 || !ok2 || from != uint64(len(base)) || to > maxObject {
		return nil, errDelta
	}
	// What the instructions add up to is known before any room is made for it.
	var sum uint64
	for in := rest; len(in) > 0; {
		step, more, err := nextStep(in, len(base))
		if err != nil {
			return nil, err
		}
		sum, in = sum+uint64(step.size), more
	}
	if sum != to {
		return nil, errDelta
	}
	out := make([]byte, 0, to)
	for len(rest) > 0 {
		step, more, _ := nextStep(rest, len(base))
		if step.fresh != nil {
			out = append(out, step.fresh...)
		} else {
			out = append(out, base[step.from:step.from+step.size]...)
		}
		rest = more
	}
	return out, nil
}

// A deltaStep copies size bytes from the base, or adds fresh ones.
type deltaStep struct {
	from, size int
	fresh      []byte
}

func nextStep(in []byte, base int) (s deltaStep, rest []byte, err error) {
	op, in := in[0], in[1:]
	if op&0x80 == 0 {
		if op == 0 || int(op) > len(in) {
			return s, nil, errDelta
		}
		return deltaStep{size: int(op), fresh: in[:op]}, in[op:], nil
	}
	for i := range 7 {
		if op&(1<<i) == 0 {
			continue
		}
		if len(in) == 0 {
			return s, nil, errDelta
		}
		if i < 4 {
			s.from |= int(in[0]) << (8 * i)
		} else {
			s.size |= int(in[0]) << (8 * (i - 4))
		}
		in = in[1:]
	}
	if s.size == 0 {
		s.size = 0x10000
	}
	if s.from > base || s.size > base-s.from {
		return s, nil, errDelta
	}
	return s, in, nil
}

// deltaSize reads one of the two sizes that a delta begins with.
func deltaSize(in []byte) (size uint64, rest []byte, ok bool) {
	for i, b := range in {
		if i > 8 {
			break
		}
		size |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return size, in[i+1:], true
		}
	}
	return 0, nil, false
}
