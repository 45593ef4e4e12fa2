package gitstore

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/hash"
)

// keptBases is how many bytes of objects each of those who work on a pack keeps,
// because others are deltas of them. What is dropped is made again when needed.
const keptBases = 64 << 20

// An indexer finds out what a pack from elsewhere holds: the ids in its index are
// computed from what is there, so that none can lie. Nothing that the pack says
// about sizes and counts is believed before there are bytes for it.
type indexer struct {
	file *mapped
	sum  plumbing.Hash // of the pack, which names it
	objs []packed      // as they lie in the pack
	refs []refDelta    // by base
	left atomic.Int64  // deltas that nobody has made an object of yet
	keep int           // bytes of objects that each who works keeps
}

// packed is one object of a pack.
type packed struct {
	packItem
	kind           plumbing.ObjectType // as stored
	child, sibling int32               // its first delta by offset, the next one of the same base; 0: none
}

// refDelta is a delta that names its base by id.
type refDelta struct {
	base  plumbing.Hash
	i     int32
	taken *atomic.Bool // of two objects of one id, one has it
}

// indexPack checks a pack: its checksum, that it holds so many objects as it says
// and nothing else, that each is whole, and that all can be made from what is there.
func indexPack(ctx context.Context, path string) (*indexer, error) {
	x := &indexer{keep: keptBases}
	return x, x.index(ctx, path)
}

func (x *indexer) index(ctx context.Context, path string) (err error) {
	if x.file, err = mapFile(path); err != nil {
		return err
	}
	if x.file.size() < packHeader+hashSize {
		return fmt.Errorf("%w: it broke off", ErrCorrupt)
	}
	summed := make(chan error, 1)
	go func() { summed <- x.file.read(x.checkSum) }()
	err = x.file.read(func(data []byte) error { return x.survey(ctx, data[:len(data)-hashSize]) })
	if bad := <-summed; bad != nil {
		return bad
	}
	if err != nil {
		return err
	}
	return x.resolve(ctx)
}

// checkSum compares the checksum at the end of a pack with its bytes.
func (x *indexer) checkSum(data []byte) error {
	body := len(data) - hashSize
	copy(x.sum[:], data[body:])
	if sha1.Sum(data[:body]) != x.sum {
		return fmt.Errorf("%w: its checksum is wrong, or it broke off", ErrCorrupt)
	}
	return nil
}

// survey goes through a pack from the beginning to the end.
func (x *indexer) survey(ctx context.Context, pack []byte) error {
	if version := be32(pack[4:]); !bytes.HasPrefix(pack, []byte("PACK")) || version != 2 && version != 3 {
		return fmt.Errorf("%w: it is no pack of a known version", ErrCorrupt)
	}
	count := int64(be32(pack[8:]))
	if count > math.MaxInt32 {
		return fmt.Errorf("%w: it says that it holds %d objects", ErrUnsupported, count)
	}
	h := newHasher()
	off := int64(packHeader)
	for n := range count {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if off >= int64(len(pack)) {
			return fmt.Errorf("%w: it says that it holds %d objects, and ends after %d", ErrCorrupt, count, n)
		}
		end, err := x.take(pack, off, h)
		if err != nil {
			return fmt.Errorf("%w: object at offset %d: %w", ErrCorrupt, off, err)
		}
		off = end
	}
	if off != int64(len(pack)) {
		return fmt.Errorf("%w: %d bytes follow its last object", ErrCorrupt, int64(len(pack))-off)
	}
	slices.SortFunc(x.refs, func(a, b refDelta) int { return bytes.Compare(a.base[:], b.base[:]) })
	return nil
}

// take takes up the object at an offset, and returns where it ends.
func (x *indexer) take(pack []byte, off int64, h *hasher) (end int64, err error) {
	head := bytes.NewReader(pack[off:])
	e, size, err := readEntryHeader(head, off)
	if err != nil {
		return 0, err
	}
	i := int32(len(x.objs))
	o := packed{packItem: packItem{off: uint64(off)}, kind: e.kind}
	var to io.Writer = io.Discard
	switch e.kind {
	case plumbing.OFSDeltaObject:
		base, ok := x.at(e.baseOff)
		if !ok {
			return 0, fmt.Errorf("it is a delta of what lies at offset %d, where no object begins", e.baseOff)
		}
		o.sibling, x.objs[base].child = x.objs[base].child, i
		x.left.Add(1)
	case plumbing.REFDeltaObject:
		x.refs = append(x.refs, refDelta{e.baseID, i, new(atomic.Bool)})
		x.left.Add(1)
	default:
		h.begin(e.kind, size)
		to = h
	}
	end = int64(len(pack) - head.Len())
	used, err := inflateTo(to, pack[end:], size)
	if err != nil {
		return 0, err
	}
	end += int64(used)
	if to == h {
		if o.id, err = h.id(); err != nil {
			return 0, err
		}
	}
	o.crc = crc32.ChecksumIEEE(pack[off:end])
	x.objs = append(x.objs, o)
	return end, nil
}

// at finds the object at an offset.
func (x *indexer) at(off int64) (int, bool) {
	return slices.BinarySearchFunc(x.objs, off, func(o packed, off int64) int { return cmp.Compare(int64(o.off), off) })
}

// resolve computes the ids of what is stored as deltas. One root at a time, those
// who work share them.
func (x *indexer) resolve(ctx context.Context) error {
	if x.left.Load() == 0 {
		return nil
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			err := x.file.read(func(data []byte) error {
				w := &resolver{indexer: x, pack: data[:len(data)-hashSize], h: newHasher()}
				for i := next.Add(1) - 1; i < int64(len(x.objs)); i = next.Add(1) - 1 {
					if err := w.root(ctx, int32(i)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				stop(err)
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if n := x.left.Load(); n > 0 {
		return fmt.Errorf("%w: the bases of %d deltas are not in it", ErrCorrupt, n)
	}
	return nil
}

// A resolver makes objects of deltas, on one way down from an object that is whole.
type resolver struct {
	*indexer
	pack []byte
	h    *hasher
	kind plumbing.ObjectType // of all objects on the way
	way  []made
	held int // bytes on the way
}

// made is an object on the way; its bytes may have been dropped.
type made struct {
	i    int32
	data []byte
}

// root makes all that rests on an object, if that is whole.
func (w *resolver) root(ctx context.Context, i int32) error {
	o := &w.objs[i]
	if o.kind == plumbing.OFSDeltaObject || o.kind == plumbing.REFDeltaObject || o.child == 0 && len(w.refsOf(o.id)) == 0 {
		return nil
	}
	w.kind, w.way, w.held = o.kind, append(w.way[:0], made{i: i}), 0
	return w.deltas(ctx)
}

// deltas makes the deltas of the last object on the way, and all that rests on
// them.
func (w *resolver) deltas(ctx context.Context) error {
	if len(w.way) > maxDeltas {
		return fmt.Errorf("%w: endless chain of deltas", ErrCorrupt)
	}
	i := w.way[len(w.way)-1].i
	for c := w.objs[i].child; c != 0; c = w.objs[c].sibling {
		if err := w.delta(ctx, c); err != nil {
			return err
		}
	}
	for _, r := range w.refsOf(w.objs[i].id) {
		if r.taken.CompareAndSwap(false, true) {
			if err := w.delta(ctx, r.i); err != nil {
				return err
			}
		}
	}
	return nil
}

// delta makes one object, and all that rests on it.
func (w *resolver) delta(ctx context.Context, c int32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	data, err := w.patch(len(w.way)-1, c)
	if err != nil {
		return err
	}
	w.h.begin(w.kind, int64(len(data)))
	_, _ = w.h.Write(data)
	o := &w.objs[c]
	if o.id, err = w.h.id(); err != nil {
		return fmt.Errorf("%w: object at offset %d: %w", ErrCorrupt, o.off, err)
	}
	w.left.Add(-1)
	if o.child == 0 && len(w.refsOf(o.id)) == 0 {
		return nil
	}
	w.way = append(w.way, made{c, data})
	w.hold(len(data))
	err = w.deltas(ctx)
	last := len(w.way) - 1
	w.held -= len(w.way[last].data)
	w.way = w.way[:last]
	return err
}

// patch makes the object c from the k-th one on the way.
func (w *resolver) patch(k int, c int32) ([]byte, error) {
	base, err := w.bytes(k)
	if err != nil {
		return nil, err
	}
	off := int64(w.objs[c].off)
	e, _, err := decodeEntry(w.pack, off)
	if err == nil {
		e.data, err = patchDelta(base, e.data)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: delta at offset %d: %w", ErrCorrupt, off, err)
	}
	return e.data, nil
}

// bytes returns the k-th object on the way.
func (w *resolver) bytes(k int) (data []byte, err error) {
	at := &w.way[k]
	if at.data != nil {
		return at.data, nil
	}
	if k > 0 {
		data, err = w.patch(k-1, at.i)
	} else {
		var e packEntry
		e, _, err = decodeEntry(w.pack, int64(w.objs[at.i].off))
		data = e.data
	}
	if err != nil {
		return nil, err
	}
	at.data = data
	w.hold(len(data))
	return data, nil
}

// hold counts what is kept, and drops what lies highest on the way: it is needed
// last.
func (w *resolver) hold(n int) {
	w.held += n
	for k := 0; k < len(w.way)-1 && w.held > w.keep; k++ {
		w.held -= len(w.way[k].data)
		w.way[k].data = nil
	}
}

// refsOf are the deltas that name an object by its id.
func (x *indexer) refsOf(id plumbing.Hash) []refDelta {
	if len(x.refs) == 0 {
		return nil
	}
	compare := func(r refDelta, id plumbing.Hash) int { return bytes.Compare(r.base[:], id[:]) }
	from, _ := slices.BinarySearchFunc(x.refs, id, compare)
	to := from
	for to < len(x.refs) && x.refs[to].base == id {
		to++
	}
	return x.refs[from:to]
}

// items are the objects of the pack, for its index.
func (x *indexer) items() []packItem {
	items := make([]packItem, len(x.objs))
	for i, o := range x.objs {
		items[i] = o.packItem
	}
	return items
}

// writeIndex writes an index of version 2. It sorts the items.
func writeIndex(to io.Writer, items []packItem, pack plumbing.Hash) error {
	slices.SortFunc(items, func(a, b packItem) int { return bytes.Compare(a.id[:], b.id[:]) })
	h := sha1.New()
	b := bufio.NewWriterSize(io.MultiWriter(to, h), 16<<10)
	_, _ = b.Write(idxMagic) // an error stays until Flush
	word := func(v uint32) { _, _ = b.Write(binary.BigEndian.AppendUint32(b.AvailableBuffer(), v)) }
	n := 0
	for first := range 256 {
		for n < len(items) && int(items[n].id[0]) == first {
			n++
		}
		word(uint32(n))
	}
	for i := range items {
		_, _ = b.Write(items[i].id[:])
	}
	for i := range items {
		word(items[i].crc)
	}
	const far = 1 << 31 // from here on offsets stand in a table of their own
	var big []uint64
	for i := range items {
		if off := items[i].off; off < far {
			word(uint32(off))
		} else {
			word(far | uint32(len(big)))
			big = append(big, off)
		}
	}
	for _, off := range big {
		word(uint32(off >> 32))
		word(uint32(off))
	}
	_, _ = b.Write(pack[:])
	if err := b.Flush(); err != nil {
		return err
	}
	_, err := to.Write(h.Sum(nil))
	return err
}

// hasher computes the ids of objects.
type hasher struct {
	hash.Hash
	head []byte
}

func newHasher() *hasher { return &hasher{Hash: hash.New(hash.CryptoType)} }

// begin begins an object of so many bytes.
func (h *hasher) begin(kind plumbing.ObjectType, size int64) {
	h.Reset()
	h.head = append(append(h.head[:0], kind.Bytes()...), ' ')
	h.head = append(strconv.AppendInt(h.head, size, 10), 0)
	_, _ = h.Write(h.head)
}

// id ends an object. One that was made so that another can have its id is refused,
// as git does.
func (h *hasher) id() (id plumbing.Hash, err error) {
	sum, collides := h.Hash.(interface {
		CollisionResistantSum([]byte) ([]byte, bool)
	}).CollisionResistantSum(h.head[:0])
	if collides {
		return id, errors.New("it is part of an attack on SHA-1")
	}
	copy(id[:], sum)
	return id, nil
}
