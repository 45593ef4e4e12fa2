package gitstore

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// The layout of an index of version 2: a header, 256 counts by first byte,
// then a table each of ids, checksums, 4-byte and 8-byte offsets, then two
// checksums of the files.
const (
	idxHeader   = 8
	idxFanout   = 256 * 4
	idxTrailer  = 2 * hashSize
	hashSize    = 20
	idxInMemory = 1 << 20 // smaller indexes are read at once
)

// maxDeltas bounds a chain of deltas; git's own limit is 4095.
const maxDeltas = 4096

// pack is an opened pack file and its index. Its files stay open until the
// last user has let go of it.
type pack struct {
	path  string // of the .pack file
	seq   int64  // distinguishes packs in the cache of delta bases
	file  *os.File
	size  int64
	index io.ReaderAt
	count int64
	fan   [256]uint32
	big   int64 // number of 8-byte offsets
	z     inflaters

	foreign atomic.Bool // it holds deltas or is marked: not ours to merge
}

var packSeq atomic.Int64

func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// openPack opens a pack by the path of its .pack file.
func openPack(path string) (*pack, error) {
	idx, err := os.Open(strings.TrimSuffix(path, ".pack") + ".idx")
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		idx.Close()
		return nil, err
	}
	p, err := newPack(path, file, idx)
	if err != nil {
		idx.Close()
		file.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return p, nil
}

func newPack(path string, file, idx *os.File) (*pack, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	idxInfo, err := idx.Stat()
	if err != nil {
		return nil, err
	}
	p := &pack{path: path, seq: packSeq.Add(1), file: file, size: info.Size(), index: idx}
	if idxInfo.Size() <= idxInMemory {
		data, err := io.ReadAll(idx)
		if err != nil {
			return nil, err
		}
		p.index = bytes.NewReader(data)
		idx.Close()
	}
	return p, p.readHeader(idxInfo.Size())
}

// readHeader reads the counts and compares them with the size of the index,
// so that no later read runs out of it.
func (p *pack) readHeader(size int64) error {
	head := make([]byte, idxHeader+idxFanout)
	if _, err := p.index.ReadAt(head, 0); err != nil {
		return fmt.Errorf("%w: index: %w", ErrCorrupt, err)
	}
	if !bytes.Equal(head[:idxHeader], []byte{0xff, 't', 'O', 'c', 0, 0, 0, 2}) {
		return fmt.Errorf("%w: pack index is not of version 2", ErrUnsupported)
	}
	last := uint32(0)
	for i := range p.fan {
		p.fan[i] = be32(head[idxHeader+4*i:])
		if p.fan[i] < last {
			return fmt.Errorf("%w: pack index counts backwards", ErrCorrupt)
		}
		last = p.fan[i]
	}
	p.count = int64(last)
	rest := size - idxHeader - idxFanout - idxTrailer - p.count*(hashSize+4+4)
	if rest < 0 || rest%8 != 0 {
		return fmt.Errorf("%w: pack index has the wrong size", ErrCorrupt)
	}
	p.big = rest / 8
	return nil
}

// offset returns where an object begins in the pack.
func (p *pack) offset(id plumbing.Hash) (off int64, ok bool, err error) {
	lo, hi := int64(0), int64(p.fan[id[0]])
	if id[0] > 0 {
		lo = int64(p.fan[id[0]-1])
	}
	var name plumbing.Hash
	for lo < hi {
		mid := (lo + hi) / 2
		if _, err := p.index.ReadAt(name[:], idxHeader+idxFanout+mid*hashSize); err != nil {
			return 0, false, err
		}
		switch c := bytes.Compare(id[:], name[:]); {
		case c < 0:
			hi = mid
		case c > 0:
			lo = mid + 1
		default:
			off, err = p.offsetAt(mid)
			return off, err == nil, err
		}
	}
	return 0, false, nil
}

// offsetAt returns the offset of the i-th object of the index.
func (p *pack) offsetAt(i int64) (int64, error) {
	var b [8]byte
	small := idxHeader + idxFanout + p.count*(hashSize+4)
	if _, err := p.index.ReadAt(b[:4], small+4*i); err != nil {
		return 0, err
	}
	v := be32(b[:4])
	if v < 1<<31 {
		return int64(v), nil
	}
	i = int64(v &^ (1 << 31))
	if i >= p.big {
		return 0, fmt.Errorf("%w: pack index names an offset it does not have", ErrCorrupt)
	}
	if _, err := p.index.ReadAt(b[:], small+4*p.count+8*i); err != nil {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(b[:])), nil
}

// packEntry is one object as a pack stores it: whole, or as a delta against
// another object.
type packEntry struct {
	kind    plumbing.ObjectType
	data    []byte
	baseOff int64         // of an OFSDeltaObject
	baseID  plumbing.Hash // of a REFDeltaObject
}

// readEntry reads the entry at an offset, without following deltas.
func (p *pack) readEntry(off int64) (packEntry, error) {
	if off < 12 || off >= p.size-hashSize {
		return packEntry{}, fmt.Errorf("%w: offset %d lies outside of %s", ErrCorrupt, off, p.path)
	}
	r := bufio.NewReaderSize(io.NewSectionReader(p.file, off, p.size-off), 1024)
	e, size, err := readEntryHeader(r, off)
	if err == nil {
		e.data, err = p.z.inflate(r, size)
	}
	if err != nil {
		return packEntry{}, fmt.Errorf("%w: offset %d of %s: %w", ErrCorrupt, off, p.path, err)
	}
	return e, nil
}

// readEntryHeader reads type, size and base of an entry.
func readEntryHeader(r io.ByteReader, off int64) (e packEntry, size int64, err error) {
	b, err := r.ReadByte()
	if err != nil {
		return e, 0, err
	}
	e.kind = plumbing.ObjectType(b >> 4 & 7)
	size = int64(b & 15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = r.ReadByte(); err != nil {
			return e, 0, err
		}
		if shift > 53 {
			return e, 0, errors.New("size is out of bounds")
		}
		size |= int64(b&0x7f) << shift
	}
	switch e.kind {
	case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
	case plumbing.OFSDeltaObject:
		e.baseOff, err = readBaseOffset(r, off)
	case plumbing.REFDeltaObject:
		for i := range e.baseID {
			if e.baseID[i], err = r.ReadByte(); err != nil {
				break
			}
		}
	default:
		err = fmt.Errorf("unknown object type %d", e.kind)
	}
	return e, size, err
}

// readBaseOffset reads how far before off the base of a delta lies.
func readBaseOffset(r io.ByteReader, off int64) (int64, error) {
	b, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	back := int64(b & 0x7f)
	for b&0x80 != 0 {
		if b, err = r.ReadByte(); err != nil {
			return 0, err
		}
		if back >= off {
			return 0, errors.New("base of a delta is out of bounds")
		}
		back = (back+1)<<7 | int64(b&0x7f)
	}
	if back <= 0 || back >= off {
		return 0, errors.New("base of a delta is out of bounds")
	}
	return off - back, nil
}

// readPacked reads an object from a pack, following its chain of deltas.
func (s *objectStore) readPacked(p *pack, off int64) (object, error) {
	var deltas [][]byte
	var offs []int64
	for {
		if data, kind, ok := s.cachedBase(p, off); ok {
			return s.patch(p, object{kind, data}, deltas, offs)
		}
		e, err := p.readEntry(off)
		if err != nil {
			return object{}, err
		}
		switch e.kind {
		case plumbing.OFSDeltaObject:
			deltas, offs, off = append(deltas, e.data), append(offs, off), e.baseOff
		case plumbing.REFDeltaObject:
			deltas, offs = append(deltas, e.data), append(offs, off)
			base, ok, err := p.offset(e.baseID)
			if err != nil {
				return object{}, err
			}
			if !ok {
				return object{}, fmt.Errorf("%w: the base %s of a delta is not in %s", ErrCorrupt, e.baseID, p.path)
			}
			off = base
		default:
			if len(deltas) > 0 {
				s.cacheBase(p, off, object{e.kind, e.data})
			}
			return s.patch(p, object{e.kind, e.data}, deltas, offs)
		}
		if len(deltas) > maxDeltas {
			return object{}, fmt.Errorf("%w: endless chain of deltas in %s", ErrCorrupt, p.path)
		}
	}
}

// patch applies deltas, the innermost last, and keeps each result.
func (s *objectStore) patch(p *pack, obj object, deltas [][]byte, offs []int64) (object, error) {
	for i := len(deltas) - 1; i >= 0; i-- {
		data, err := packfile.PatchDelta(obj.data, deltas[i])
		if err != nil {
			return object{}, fmt.Errorf("%w: delta at %d of %s: %w", ErrCorrupt, offs[i], p.path, err)
		}
		obj.data = data
		s.cacheBase(p, offs[i], obj)
	}
	return obj, nil
}

// baseKey names an object of a pack in the cache. Packs beyond 2^40 bytes are
// not expected.
func baseKey(p *pack, off int64) int64 { return p.seq<<40 | off }

func (s *objectStore) cacheBase(p *pack, off int64, obj object) {
	s.bases.Put(baseKey(p, off), append([]byte{byte(obj.kind)}, obj.data...))
}

func (s *objectStore) cachedBase(p *pack, off int64) ([]byte, plumbing.ObjectType, bool) {
	b, ok := s.bases.Get(baseKey(p, off))
	if !ok {
		return nil, 0, false
	}
	return b[1:], plumbing.ObjectType(b[0]), true
}
