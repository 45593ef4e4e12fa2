package gitstore_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

// manyShapes is a repository with what packs are made of: long chains of deltas,
// objects beyond what is kept of them, empty ones, a tag of a tag.
func manyShapes(t testing.TB) string {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return string(b)
	}
	large, lines := noise(3<<19), noise(2000)
	dir := gitstoretest.WorkTree(t, map[string]string{"a": "1\n", "large": large, "lines": lines, "d/empty": ""})
	for i := range 12 {
		lines += noise(50)
		large = fmt.Sprint(i) + large
		for name, text := range map[string]string{"lines": lines, "large": large, fmt.Sprintf("d/%d", i): noise(i)} {
			if name == "large" && i > 2 {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		gitstoretest.Git(t, dir, "add", ".")
		gitstoretest.Git(t, dir, "commit", "--quiet", "--message", fmt.Sprint("change ", i))
	}
	gitstoretest.Git(t, dir, "tag", "--annotate", "--message", "first", "v1")
	gitstoretest.Git(t, dir, "tag", "--annotate", "--message", "again", "v2", "v1")
	return dir
}

// pack packs all of a repository, and returns the path.
func pack(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"pack-objects", "--all", "--stdout", "--quiet"}, args...)...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader("")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git pack-objects: %v", err)
	}
	path := filepath.Join(t.TempDir(), "p.pack")
	if err := os.WriteFile(path, out, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestIndexPackAsGit: the index of a pack has the bytes that git gives it, however
// the objects lie and however little of them is kept meanwhile.
func TestIndexPackAsGit(t *testing.T) {
	t.Parallel()
	dir := manyShapes(t)
	for name, args := range map[string][]string{
		"by offset":      {"--delta-base-offset", "--depth=50"},
		"by id":          {"--no-reuse-delta", "--depth=50"},
		"without deltas": {"--no-reuse-delta", "--window=0"},
	} {
		path := pack(t, dir, args...)
		theirs := filepath.Join(t.TempDir(), "theirs.idx")
		gitstoretest.Git(t, dir, "index-pack", "-o", theirs, path)
		want, err := os.ReadFile(theirs)
		if err != nil {
			t.Fatal(err)
		}
		for _, keep := range []int{0, 3000, 5 << 20, 64 << 20} {
			got, err := gitstore.IndexPack(context.Background(), path, keep)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, %d bytes kept: the index differs from git's, %v", name, keep, err)
			}
		}
		if err := os.WriteFile(strings.TrimSuffix(path, ".pack")+".idx", want, 0o644); err != nil {
			t.Fatal(err)
		}
		if n, err := gitstore.ReadPack(path); err != nil || n < 50 {
			t.Errorf("%s: read %d objects, %v", name, n, err)
		}
	}
}

// TestIndexFarOffsets: what lies beyond 2 GB has its place in the table for that.
func TestIndexFarOffsets(t *testing.T) {
	offs := []uint64{12, 1<<31 - 1, 1 << 31, 5 << 32}
	idx, err := gitstore.FinishIndex(offs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("git", "show-index")
	cmd.Stdin = bytes.NewReader(idx)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git show-index: %v", err)
	}
	for _, off := range offs {
		if !strings.Contains("\n"+string(out), fmt.Sprintf("\n%d ", off)) {
			t.Errorf("git finds no object at %d:\n%s", off, out)
		}
	}
}

// packed builds a pack by hand: each part is written as it is.
func packed(count uint32, parts ...[]byte) []byte {
	out := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), count)
	return sealed(append(out, bytes.Join(parts, nil)...))
}

// sealed puts the right checksum behind a pack.
func sealed(body []byte) []byte {
	sum := sha1.Sum(body)
	return append(body, sum[:]...)
}

// entry is an object in a pack that says it has so many bytes.
func entry(kind byte, size int, base, data []byte) []byte {
	b := []byte{kind<<4 | byte(size&15)}
	for size >>= 4; size > 0; size >>= 7 {
		b[len(b)-1] |= 0x80
		b = append(b, byte(size&0x7f))
	}
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, _ = w.Write(data)
	_ = w.Close()
	return append(append(b, base...), z.Bytes()...)
}

const (
	asBlob   = 3
	byOffset = 6
	byID     = 7
)

// hostile are packs that must be refused, and what is said of them.
func hostile() map[string]struct {
	pack []byte
	says string
} {
	hello := entry(asBlob, 5, nil, []byte("hello"))
	copyAll := []byte{5, 5, 0x90, 5} // of five bytes, makes five bytes
	back := func(n int) []byte { return []byte{byte(n)} }
	id := bytes.Repeat([]byte{7}, 20)
	flipped := packed(1, hello)
	flipped[len(flipped)-3] ^= 1
	broken := bytes.Clone(hello)
	broken[len(broken)-1] ^= 1
	return map[string]struct {
		pack []byte
		says string
	}{
		"empty":                      {nil, "broke off"},
		"cut":                        {packed(1, hello)[:30], "broke off"},
		"wrong checksum":             {flipped, "checksum"},
		"no pack":                    {sealed([]byte("KCAP\x00\x00\x00\x02\x00\x00\x00\x00")), "no pack"},
		"from 2099":                  {sealed([]byte("PACK\x00\x00\x00\x07\x00\x00\x00\x00")), "known version"},
		"fewer than it says":         {packed(1<<31-1, hello), "ends after 1"},
		"more than anybody has":      {packed(1<<32-1, hello), "4294967295"},
		"something behind":           {packed(1, hello, hello), "follow its last object"},
		"size is a lie":              {packed(1, entry(asBlob, 200<<20, nil, []byte("hello"))), "unexpected EOF"},
		"more than it says":          {packed(1, entry(asBlob, 4, nil, []byte("hello"))), "more bytes"},
		"damaged stream":             {packed(1, broken), "offset 12"},
		"unknown type":               {packed(1, entry(5, 5, nil, []byte("hello"))), "unknown object type"},
		"base nowhere":               {packed(2, hello, entry(byOffset, 4, back(3), copyAll)), "where no object begins"},
		"base before it all":         {packed(2, hello, entry(byOffset, 4, back(100), copyAll)), "out of bounds"},
		"base is itself":             {packed(1, entry(byOffset, 4, back(0), copyAll)), "out of bounds"},
		"base is not there":          {packed(2, hello, entry(byID, 4, id, copyAll)), "bases of 1 deltas"},
		"delta of another object":    {packed(2, hello, entry(byOffset, 4, back(len(hello)), []byte{6, 5, 0x90, 5})), "malformed delta"},
		"delta's size is a lie":      {packed(2, hello, entry(byOffset, 200<<20, back(len(hello)), copyAll)), "unexpected EOF"},
		"delta makes less":           {packed(2, hello, entry(byOffset, 7, back(len(hello)), []byte{5, 0xff, 0xff, 0xff, 0x7f, 0x90, 5})), "malformed delta"},
		"delta copies what is not":   {packed(2, hello, entry(byOffset, 5, back(len(hello)), []byte{5, 5, 0x91, 1, 5})), "malformed delta"},
		"delta is empty":             {packed(2, hello, entry(byOffset, 0, back(len(hello)), nil)), "malformed delta"},
		"delta of a damaged delta":   {packed(3, hello, entry(byOffset, 3, back(len(hello)), []byte{5, 5, 0}), entry(byOffset, 4, back(len(entry(byOffset, 3, back(len(hello)), []byte{5, 5, 0}))), copyAll)), "malformed delta"},
		"size that does not end":     {packed(1, bytes.Repeat([]byte{0xbf}, 40)), "out of bounds"},
		"delta that names no base":   {packed(1, []byte{0x70}), "EOF"},
		"object without a beginning": {packed(1, []byte{0xb5}), "EOF"},
	}
}

// TestHostilePacks: each is refused, says why, and costs no memory; git refuses
// them too.
func TestHostilePacks(t *testing.T) {
	for name, tt := range hostile() {
		path := filepath.Join(t.TempDir(), "p.pack")
		if err := os.WriteFile(path, tt.pack, 0o644); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := gitstore.IndexPack(context.Background(), path, 64<<20)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, gitstore.ErrCorrupt) && !errors.Is(err, gitstore.ErrUnsupported) || !strings.Contains(fmt.Sprint(err), tt.says) {
			t.Errorf("%s: %v, want an error that says %q", name, err, tt.says)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
			t.Errorf("%s: it took %d bytes of memory to refuse %d", name, took, len(tt.pack))
		}
		if out, err := exec.Command("git", "index-pack", "-o", filepath.Join(t.TempDir(), "i.idx"), path).CombinedOutput(); err == nil {
			t.Errorf("%s: git has nothing against it: %s", name, out)
		}
	}
}

// TestLyingSizes: neither an object nor a delta that says how large it is is believed
// before there are bytes for it, wherever it was found.
func TestLyingSizes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.pack")
	idx, err := gitstore.FinishIndex([]uint64{12})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		os.WriteFile(path, packed(1, entry(asBlob, 200<<20, nil, []byte("hello"))), 0o644),
		os.WriteFile(strings.TrimSuffix(path, ".pack")+".idx", idx, 0o644),
	); err != nil {
		t.Fatal(err)
	}
	lie := append([]byte{5}, binary.AppendUvarint(nil, 200<<20)...)
	for what, try := range map[string]func() error{
		"object": func() error { _, err := gitstore.ReadPack(path); return err },
		"delta":  func() error { _, err := gitstore.PatchDelta([]byte("hello"), append(lie, 0x90, 5)); return err },
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := try()
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 8<<20 {
			t.Errorf("%s: %v, and it took %d bytes of memory", what, err, took)
		}
	}
}

// FuzzIndexPack: whatever a pack holds, it is refused, or every object of it can
// be read and has its id.
func FuzzIndexPack(f *testing.F) {
	for _, tt := range hostile() {
		f.Add(tt.pack[:max(0, len(tt.pack)-20)])
	}
	hello := entry(asBlob, 5, nil, []byte("hello"))
	sum := sha1.Sum([]byte("blob 5\x00hello"))
	copyAll := []byte{5, 5, 0x90, 5}
	good := packed(3, hello, entry(byOffset, 4, []byte{byte(len(hello))}, copyAll), entry(byID, 4, sum[:], copyAll))
	f.Add(good[:len(good)-20])
	f.Fuzz(func(t *testing.T, body []byte) {
		path := filepath.Join(t.TempDir(), "p.pack")
		if err := os.WriteFile(path, sealed(body), 0o644); err != nil {
			t.Fatal(err)
		}
		idx, err := gitstore.IndexPack(context.Background(), path, 100)
		if err != nil {
			return
		}
		if err := os.WriteFile(strings.TrimSuffix(path, ".pack")+".idx", idx, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := gitstore.ReadPack(path); err != nil {
			t.Error(err)
		}
	})
}
