package index_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/index"
)

func total(t *testing.T, x *index.Index) int {
	t.Helper()
	_, n, err := x.Find(t.Context(), access.Filter{}, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// filled makes a file with so many requests and the head "h".
func filled(t *testing.T, n int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "index")
	x := open(t, path)
	put(t, x, index.Batch{Head: "h", Requests: bottest.Requests(1, n)})
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// alter changes a file as SQLite would.
func alter(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func TestReopened(t *testing.T) {
	path := filled(t, 50)
	x := open(t, path)
	if x.Head() != "h" || total(t, x) != 50 {
		t.Errorf("head %q, %d requests", x.Head(), total(t, x))
	}
	if err := x.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if x.Head() != "" || total(t, x) != 0 {
		t.Errorf("after the reset: head %q, %d requests", x.Head(), total(t, x))
	}
	put(t, x, index.Batch{Head: "i", Requests: bottest.Requests(1, 20)})
	x.Close()
	if x = open(t, path); x.Head() != "i" || total(t, x) != 20 {
		t.Errorf("reopened after the reset: head %q, %d requests", x.Head(), total(t, x))
	}
}

// TestThrownAway: what cannot be used is replaced by an empty index.
func TestThrownAway(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, path string){
		"another version": func(t *testing.T, path string) { alter(t, path, "PRAGMA user_version = 7") },
		"no table":        func(t *testing.T, path string) { alter(t, path, "DROP TABLE head") },
		"cut off": func(t *testing.T, path string) {
			if err := os.Truncate(path, 20000); err != nil {
				t.Fatal(err)
			}
		},
		"overwritten": func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			copy(data[len(data)/2:], bytes.Repeat([]byte{0xa5}, 9000))
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"empty": func(t *testing.T, path string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		},
		"gone": func(t *testing.T, path string) { os.Remove(path) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filled(t, 300)
			harm(t, path)
			x := open(t, path)
			if x.Head() != "" || total(t, x) != 0 {
				t.Errorf("head %q, %d requests", x.Head(), total(t, x))
			}
			put(t, x, index.Batch{Head: "new", Requests: bottest.Requests(1, 30)})
			if total(t, x) != 30 {
				t.Errorf("%d requests after feeding anew", total(t, x))
			}
		})
	}
}

// TestForeign: what is not an index stays as it is.
func TestForeign(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other.db")
	alter(t, other, "CREATE TABLE precious (x); INSERT INTO precious VALUES (1)")
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{other, text} {
		before, _ := os.ReadFile(path)
		if _, err := index.Open(t.Context(), path); !errors.Is(err, index.ErrForeign) {
			t.Errorf("%s: %v", path, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s was changed", path)
		}
	}
	if _, err := index.Open(t.Context(), dir); err == nil {
		t.Error("a directory was opened")
	}
	beside := filepath.Join(dir, "index")
	if err := os.WriteFile(beside+".new", []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := index.Open(t.Context(), beside); !errors.Is(err, index.ErrForeign) {
		t.Errorf("a file in the way: %v", err)
	}
}

// TestDamageIsTold: damage that is met later is an error by its name, and a
// reset mends it.
func TestDamageIsTold(t *testing.T) {
	path := filled(t, 40)
	alter(t, path, "UPDATE body SET data = zeroblob(length(data)) WHERE n = 7")
	x := open(t, path)
	if _, _, err := x.Find(t.Context(), access.Filter{}, "", 100); !errors.Is(err, index.ErrDamaged) {
		t.Errorf("find: %v", err)
	}
	if err := x.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, x, index.Batch{Head: "h", Requests: bottest.Requests(1, 40)})
	if list, _, err := x.Find(t.Context(), access.Filter{}, "", 100); len(list) != 40 || err != nil {
		t.Errorf("after the reset: %d, %v", len(list), err)
	}
}

// TestKilled: whatever of the files a crash leaves, a head comes with its states.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index")
	x := open(t, path)
	list := bottest.Requests(1, 400)
	for i := range 40 {
		put(t, x, index.Batch{Head: fmt.Sprint((i + 1) * 10), Requests: list[i*10 : i*10+10]})
		if i%8 != 7 {
			continue
		}
		for _, lost := range []int{0, 1, 5000, 40000} { // bytes at the end of the newest file
			copied := filepath.Join(t.TempDir(), "index")
			for _, end := range []string{"", "-wal"} {
				data, err := os.ReadFile(path + end)
				if err != nil {
					t.Fatal(err)
				}
				if end == "-wal" {
					data = data[:max(0, len(data)-lost)]
				}
				if err := os.WriteFile(copied+end, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			y := open(t, copied)
			if got := fmt.Sprint(total(t, y)); got != y.Head() && y.Head()+got != "0" {
				t.Errorf("%s requests with the head %q", got, y.Head())
			}
			if lost == 0 && y.Head() != x.Head() {
				t.Errorf("the head %q became %q", x.Head(), y.Head())
			}
		}
	}
}

// TestWhileFed: readers see whole batches only, and a reset does not disturb them.
func TestWhileFed(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index"))
	list := bottest.Requests(1, 120)
	const enough = 40 // reads, for something to have come in between
	done := make(chan struct{})
	var reads atomic.Int64
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ; ; reads.Add(1) {
				select {
				case <-done:
					return
				default:
				}
				seen, n := map[string]bool{}, 0
				err := x.Each(t.Context(), access.Filter{}, func(r access.Request) error {
					seen[r.Reason] = true
					n++
					return nil
				})
				if err != nil || len(seen) > 1 || n != 0 && n != len(list) {
					t.Errorf("%d requests of %d batches: %v", n, len(seen), err)
					return
				}
				page, all, err := x.Find(t.Context(), access.Filter{Text: "batch"}, "", 200)
				if err != nil || len(page) != all {
					t.Errorf("a page of %d of %d: %v", len(page), all, err)
					return
				}
			}
		})
	}
	for i := 0; i < 60/slower || reads.Load() < enough && !t.Failed(); i++ {
		batch := make([]access.Request, len(list))
		for k, r := range list {
			r.Seq, r.Reason = 100+i, fmt.Sprint("batch ", i)
			batch[k] = r
		}
		put(t, x, index.Batch{Head: fmt.Sprint(i), Requests: batch})
		if i%4 == 3 {
			if err := x.Reset(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	close(done)
	readers.Wait()
}

// TestResetWhileRead: a reader who comes between the old file and the new one
// reads the new one.
func TestResetWhileRead(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index"))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := x.ConfigAt(t.Context(), time.Unix(0, 0)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 25 {
		if err := x.Reset(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
}

func TestClosed(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index"))
	for range 2 {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := x.Put(t.Context(), index.Batch{Head: "a"}); err == nil {
		t.Error("put into a closed index")
	}
	if _, err := x.LiveAt(t.Context(), access.Filter{}, time.Now()); err == nil {
		t.Error("asked a closed index")
	}
	if err := x.Reset(t.Context()); err == nil {
		t.Error("reset a closed index")
	}
}
