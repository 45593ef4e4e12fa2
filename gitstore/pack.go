package gitstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"
)

// The layout of an index of version 2: a header, 256 counts by first byte,
// then a table each of ids, checksums, 4-byte and 8-byte offsets, then two
// checksums of the files.
const (
	idxHeader  = 8
	idxFanout  = 256 * 4
	idxTrailer = 2 * hashSize
	hashSize   = 20
)

var idxMagic = []byte{0xff, 't', 'O', 'c', 0, 0, 0, 2}

// maxDeltas bounds a chain of deltas; git's own limit is 4095.
const maxDeltas = 4096

// pack is an opened pack file and its index. Both stay readable until the last
// user has let go of it.
type pack struct {
	path  string // of the .pack file
	seq   int64  // distinguishes packs in the cache of delta bases
	file  *mapped
	index *mapped
	size  int64 // of the file
	count int64
	fan   [256]uint32
	big   int64 // number of 8-byte offsets

	foreign atomic.Bool // it holds deltas or is marked: not ours to merge
}

var packSeq atomic.Int64

func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// openPack opens a pack by the path of its .pack file.
func openPack(path string) (*pack, error) {
	idx, err := mapFile(strings.TrimSuffix(path, ".pack") + ".idx")
	if err != nil {
		return nil, err
	}
	file, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	p := &pack{path: path, seq: packSeq.Add(1), file: file, index: idx, size: file.size()}
	if err := idx.read(p.readHeader); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return p, nil
}

// readHeader reads the counts and compares them with the size of the index,
// so that no later read runs out of it.
func (p *pack) readHeader(idx []byte) error {
	if len(idx) < idxHeader+idxFanout {
		return fmt.Errorf("%w: pack index broke off", ErrCorrupt)
	}
	if !bytes.HasPrefix(idx, idxMagic) {
		return fmt.Errorf("%w: pack index is not of version 2", ErrUnsupported)
	}
	last := uint32(0)
	for i := range p.fan {
		p.fan[i] = be32(idx[idxHeader+4*i:])
		if p.fan[i] < last {
			return fmt.Errorf("%w: pack index counts backwards", ErrCorrupt)
		}
		last = p.fan[i]
	}
	p.count = int64(last)
	rest := int64(len(idx)) - idxHeader - idxFanout - idxTrailer - p.count*(hashSize+4+4)
	if rest < 0 || rest%8 != 0 {
		return fmt.Errorf("%w: pack index has the wrong size", ErrCorrupt)
	}
	p.big = rest / 8
	return nil
}

// offset returns where an object begins in the pack.
func (p *pack) offset(id plumbing.Hash) (off int64, ok bool, err error) {
	lo, hi := 0, int(p.fan[id[0]])
	if id[0] > 0 {
		lo = int(p.fan[id[0]-1])
	}
	err = p.index.read(func(idx []byte) error {
		names := idx[idxHeader+idxFanout:]
		for lo < hi {
			mid := int(uint(lo+hi) / 2)
			switch c := bytes.Compare(id[:], names[mid*hashSize:][:hashSize]); {
			case c < 0:
				hi = mid
			case c > 0:
				lo = mid + 1
			default:
				ok = true
				off, err = p.offsetAt(idx, int64(mid))
				return err
			}
		}
		return nil
	})
	return off, ok && err == nil, err
}

// offsetAt returns the offset of the i-th object of the index.
func (p *pack) offsetAt(idx []byte, i int64) (int64, error) {
	small := idx[idxHeader+idxFanout+p.count*(hashSize+4):]
	v := be32(small[4*i:])
	if v < 1<<31 {
		return int64(v), nil
	}
	i = int64(v &^ (1 << 31))
	if i >= p.big {
		return 0, fmt.Errorf("%w: pack index names an offset it does not have", ErrCorrupt)
	}
	return int64(binary.BigEndian.Uint64(small[4*p.count+8*i:])), nil
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
func (p *pack) readEntry(off int64) (e packEntry, err error) {
	if off < packHeader || off >= p.size-hashSize {
		return packEntry{}, fmt.Errorf("%w: offset %d lies outside of %s", ErrCorrupt, off, p.path)
	}
	err = p.file.read(func(file []byte) error {
		if e, _, err = decodeEntry(file[:p.size-hashSize], off); err != nil {
			return fmt.Errorf("%w: offset %d of %s: %w", ErrCorrupt, off, p.path, err)
		}
		return nil
	})
	return e, err
}

// decodeEntry decodes the entry at an offset of a pack, and returns where it ends.
func decodeEntry(pack []byte, off int64) (e packEntry, end int64, err error) {
	head := bytes.NewReader(pack[off:])
	e, size, err := readEntryHeader(head, off)
	if err != nil {
		return e, 0, err
	}
	body := pack[int64(len(pack))-int64(head.Len()):]
	data, used, err := inflate(body, size)
	e.data = data
	return e, int64(len(pack)-len(body)) + int64(used), err
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
		if obj, ok := s.bases.get(baseKey{p.seq, off}); ok {
			return s.patch(p, obj, deltas, offs)
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
				s.bases.put(baseKey{p.seq, off}, object{e.kind, e.data})
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
		data, err := patchDelta(obj.data, deltas[i])
		if err != nil {
			return object{}, fmt.Errorf("%w: delta at %d of %s: %w", ErrCorrupt, offs[i], p.path, err)
		}
		obj.data = data
		s.bases.put(baseKey{p.seq, offs[i]}, obj)
	}
	return obj, nil
}
