package gitstore

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/hash"
)

// packHeader is the length of "PACK", the version and the count.
const packHeader = 12

// tempPrefix begins the names of unfinished packs. Whoever holds the write
// lock of the repository knows that nobody is writing them. git removes files
// of this kind as well, once they are old.
const tempPrefix = "tmp_countersign_"

// maxKeptBuffer is how many bytes a packWriter keeps for its next pack.
const maxKeptBuffer = 4 << 20

// packWriter collects objects and builds from them one pack and its index, in
// memory. The zero value is ready for use.
type packWriter struct {
	body    bytes.Buffer // the entries, behind the header
	entries []packItem
	seen    map[plumbing.Hash]bool
	plain   *zlib.Writer // for trees: hashes do not deflate
	deflate *zlib.Writer
}

type packItem struct {
	id  plumbing.Hash
	off uint64
	crc uint32
}

// reset empties w. It keeps its compressors, which are dear, and its buffer,
// unless that has become large.
func (w *packWriter) reset() {
	w.entries = w.entries[:0]
	clear(w.seen)
	if w.body.Cap() > maxKeptBuffer {
		w.body = bytes.Buffer{}
	}
	w.body.Reset()
}

// put adds an object and returns its id.
func (w *packWriter) put(kind plumbing.ObjectType, data []byte) (plumbing.Hash, error) {
	id := plumbing.ComputeHash(kind, data)
	if w.seen[id] {
		return id, nil
	}
	start := w.body.Len()
	w.writeEntryHeader(kind, len(data))
	z, err := w.compressor(kind)
	if err != nil {
		return id, err
	}
	z.Reset(&w.body)
	if _, err := z.Write(data); err != nil {
		return id, err
	}
	if err := z.Close(); err != nil {
		return id, err
	}
	w.note(id, start)
	return id, nil
}

// putRaw adds an object in the form that another pack stores it in: header
// and compressed bytes, not a delta.
func (w *packWriter) putRaw(id plumbing.Hash, raw []byte) {
	if !w.seen[id] {
		start := w.body.Len()
		w.body.Write(raw)
		w.note(id, start)
	}
}

func (w *packWriter) note(id plumbing.Hash, start int) {
	if w.seen == nil {
		w.seen = make(map[plumbing.Hash]bool)
	}
	w.seen[id] = true
	crc := crc32.ChecksumIEEE(w.body.Bytes()[start:])
	w.entries = append(w.entries, packItem{id, packHeader + uint64(start), crc})
}

func (w *packWriter) compressor(kind plumbing.ObjectType) (z *zlib.Writer, err error) {
	if kind == plumbing.TreeObject {
		if w.plain == nil {
			w.plain, err = zlib.NewWriterLevel(nil, zlib.NoCompression)
		}
		return w.plain, err
	}
	if w.deflate == nil {
		w.deflate, err = zlib.NewWriterLevel(nil, zlib.DefaultCompression)
	}
	return w.deflate, err
}

func (w *packWriter) writeEntryHeader(kind plumbing.ObjectType, size int) {
	b := byte(kind)<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		w.body.WriteByte(b | 0x80)
		b = byte(size & 0x7f)
	}
	w.body.WriteByte(b)
}

// builtPack is a pack and its index, ready to be written and sent.
type builtPack struct {
	parts [2][]byte // the pack, behind one another
	index []byte
	sum   plumbing.Hash // of the pack, which names it
}

// build ends the pack. Nothing can be put into w any more until it is reset.
func (w *packWriter) build() (b builtPack, err error) {
	head := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(len(w.entries)))
	h := hash.New(hash.CryptoType)
	h.Write(head)
	h.Write(w.body.Bytes())
	h.Sum(b.sum[:0])
	w.body.Write(b.sum[:])
	b.parts = [2][]byte{head, w.body.Bytes()}

	var buf bytes.Buffer
	err = writeIndex(&buf, w.entries, b.sum)
	b.index = buf.Bytes()
	return b, err
}

// publish builds the pack of w and publishes it.
func (r *Repo) publish(w *packWriter) (path string, err error) {
	b, err := w.build()
	if err != nil {
		return "", fmt.Errorf("build pack: %w", err)
	}
	return r.publishPack(b)
}

// publishPack writes a pack and returns the path of its file. When the error
// is nil its objects survive a power cut. A crash before that leaves temporary
// files, or a pack that nothing refers to, or a pack without its index: all of
// them harmless, since no ref names a commit before its pack is published. The
// caller holds the write lock.
//
// git gc, which heeds no lock of ours, may take the pack away before it is open: no
// ref leads to it yet. Then it is written again, more and more patiently: a gc that
// has seen the name takes what bears it whenever it comes to it.
func (r *Repo) publishPack(b builtPack) (path string, err error) {
	const attempts, longest = 10, 320 * time.Millisecond
	pause := 5 * time.Millisecond
	for n := 1; ; n++ {
		path, err = r.tryPublish(b)
		if n == attempts || !errors.Is(err, fs.ErrNotExist) {
			return path, err
		}
		time.Sleep(pause)
		pause = min(2*pause, longest)
	}
}

func (r *Repo) tryPublish(b builtPack) (path string, err error) {
	dir := r.objects.packDir()
	if err := r.makeDirs(dir); err != nil {
		return "", fmt.Errorf("write pack: %w", err)
	}
	if err := r.disk.step("pack write"); err != nil {
		return "", fmt.Errorf("write pack: %w", err)
	}
	tmpPack, err := r.disk.writeTemp(dir, tempPrefix, 0o444, b.parts[:]...)
	if err != nil {
		return "", fmt.Errorf("write pack: %w", err)
	}
	defer removeOnError(&err, tmpPack)
	if err := r.disk.step("index write"); err != nil {
		return "", fmt.Errorf("write pack index: %w", err)
	}
	tmpIdx, err := r.disk.writeTemp(dir, tempPrefix, 0o444, b.index)
	if err != nil {
		return "", fmt.Errorf("write pack index: %w", err)
	}
	defer removeOnError(&err, tmpIdx)
	return r.namePack(tmpPack, tmpIdx, b.sum)
}

// namePack gives a complete pack and its index, both synced, their names, and
// lets readers see them. The caller holds the write lock.
func (r *Repo) namePack(tmpPack, tmpIdx string, sum plumbing.Hash) (path string, err error) {
	name := filepath.Join(r.objects.packDir(), "pack-"+sum.String())
	if err := r.renamePack(tmpPack, tmpIdx, name); err != nil {
		return "", fmt.Errorf("publish pack: %w", err)
	}
	p, err := openPack(name + ".pack")
	if err != nil {
		return "", err
	}
	r.objects.add(p)
	return p.path, nil
}

// renamePack gives pack and index their names, the pack first: git looks for
// indexes and then expects their packs.
func (r *Repo) renamePack(tmpPack, tmpIdx, name string) error {
	if err := r.disk.step("pack rename"); err != nil {
		return err
	}
	if err := os.Rename(tmpPack, name+".pack"); err != nil {
		return err
	}
	if err := r.disk.step("index rename"); err != nil {
		return err
	}
	if err := os.Rename(tmpIdx, name+".idx"); err != nil {
		return err
	}
	if err := r.disk.step("pack directory sync"); err != nil {
		return err
	}
	return r.disk.syncDir(filepath.Dir(name))
}

// removeOnError removes a temporary file after a failure. If even that fails,
// a later writer finds the file and removes it.
func removeOnError(err *error, path string) {
	if *err != nil {
		os.Remove(path)
	}
}
