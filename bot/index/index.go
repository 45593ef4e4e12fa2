package index

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrForeign says that a file is not an index, and was left alone.
	ErrForeign = errors.New("not an index of Countersign")
	// ErrDamaged says that the file is not what was written to it. Reset the
	// index and feed it anew.
	ErrDamaged = errors.New("the index is damaged")
	// ErrTooMuch says that a filter has thousands of words or keys.
	ErrTooMuch = errors.New("too much to look for at once")
)

// An Index answers questions about all requests. It is safe for concurrent
// use: one feeds it, any number ask, and nobody sees half of a batch.
type Index struct {
	path    string
	codec   *codec
	version int32

	feeding sync.Mutex // one Put or Reset at a time

	mu   sync.Mutex
	file *file // guarded by mu; nil once closed
	head string
}

// A file is an open index file: readers that cannot write, and one writer.
type file struct {
	read, write *sql.DB
}

// Open opens the index at a path, or makes an empty one where there is none or
// where the one there is damaged or of another version. It returns [ErrForeign]
// where the file there is something else.
func Open(ctx context.Context, path string) (*Index, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open the index: %w", err)
	}
	x := &Index{path: abs}
	if x.codec, err = newCodec(); err != nil {
		return nil, err
	}
	if x.version, err = x.codec.version(); err != nil {
		return nil, err
	}
	there, err := ours(abs)
	if err != nil {
		return nil, fmt.Errorf("open the index: %w", err)
	}
	if there {
		if err = x.adopt(ctx); err == nil || ctx.Err() != nil {
			return x, err
		}
	}
	if err := x.renew(ctx); err != nil {
		return nil, fmt.Errorf("open the index: %w", err)
	}
	return x, nil
}

// ours reports whether there is a file that is an index; an empty one is as good
// as none. The application id is at byte 68 of every SQLite file.
func ours(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, 72)
	n, err := io.ReadFull(f, head)
	switch {
	case err == io.EOF:
		return false, nil
	case err != nil && err != io.ErrUnexpectedEOF:
		return false, err
	case n < len(head), string(head[:16]) != "SQLite format 3\x00", binary.BigEndian.Uint32(head[68:]) != applicationID:
		return false, fmt.Errorf("%s: %w", path, ErrForeign)
	}
	return true, nil
}

// adopt takes over the file that is there, if it is sound and of this version.
func (x *Index) adopt(ctx context.Context) error {
	f, err := connect(x.path)
	if err != nil {
		return err
	}
	head, err := f.check(ctx, x.version)
	if err != nil {
		f.close()
		return err
	}
	x.file, x.head = f, head
	return nil
}

func (f *file) check(ctx context.Context, want int32) (head string, err error) {
	var version int32
	if err := f.write.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return "", err
	}
	if version != want {
		return "", fmt.Errorf("version %d, not %d", version, want)
	}
	var sound string
	if err := f.write.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&sound); err != nil || sound != "ok" {
		return "", fmt.Errorf("%w: %s %v", ErrDamaged, sound, err)
	}
	err = f.write.QueryRowContext(ctx, "SELECT id FROM head").Scan(&head)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return head, err
}

// renew puts an empty file into the place of the one that is there. Readers of
// the old one finish with it. The new one is made beside it and renamed, so
// that whatever happens the file at the path is known for what it is.
func (x *Index) renew(ctx context.Context) error {
	fresh := x.path + ".new"
	if _, err := ours(fresh); err != nil {
		return err
	}
	if err := remove(fresh); err != nil {
		return err
	}
	if err := create(ctx, fresh, x.version); err != nil {
		return err
	}
	if err := remove(x.path); err != nil {
		return err
	}
	if err := os.Rename(fresh, x.path); err != nil {
		return err
	}
	f, err := connect(x.path)
	if err != nil {
		return err
	}
	x.mu.Lock()
	old := x.file
	x.file, x.head = f, ""
	x.mu.Unlock()
	if old != nil {
		old.close()
	}
	return nil
}

// remove removes a database and what SQLite keeps beside it.
func remove(path string) error {
	for _, end := range []string{"-wal", "-shm", "-journal", ""} {
		if err := os.Remove(path + end); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func create(ctx context.Context, path string, version int32) error {
	db, err := sql.Open("sqlite", dsn(path, "_pragma=page_size(8192)"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d; %s PRAGMA journal_mode = WAL;", applicationID, version, schema))
	return errors.Join(err, db.Close())
}

func dsn(path, query string) string {
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query}).String()
}

// connect opens a file. Each reader may keep 8 MB of it in memory, the writer 32.
func connect(path string) (*file, error) {
	const both = "_pragma=busy_timeout(5000)&_pragma=synchronous(normal)&_pragma=journal_size_limit(67108864)&"
	read, err := sql.Open("sqlite", dsn(path, both+"_pragma=query_only(1)&_pragma=cache_size(-8192)"))
	if err != nil {
		return nil, err
	}
	read.SetMaxOpenConns(maxReaders)
	read.SetMaxIdleConns(idleReaders)
	write, err := sql.Open("sqlite", dsn(path, both+"_txlock=immediate&_pragma=cache_size(-32768)"))
	if err != nil {
		return nil, errors.Join(err, read.Close())
	}
	write.SetMaxOpenConns(1)
	return &file{read, write}, nil
}

// So many may read at once, an export for as long as it is downloaded.
const maxReaders, idleReaders = 32, 4

func (f *file) close() error { return errors.Join(f.read.Close(), f.write.Close()) }

// Close ends the use of the index.
func (x *Index) Close() error {
	x.feeding.Lock()
	defer x.feeding.Unlock()
	x.mu.Lock()
	f := x.file
	x.file = nil
	x.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.close()
}

// Head is the commit of the log up to which the index was fed; empty for none.
func (x *Index) Head() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.head
}

// Reset forgets everything, as is due when the log was replaced by another or
// the index is damaged. Who reads meanwhile finishes with what was there.
func (x *Index) Reset(ctx context.Context) error {
	x.feeding.Lock()
	defer x.feeding.Unlock()
	if _, err := x.current(); err != nil {
		return err
	}
	if err := x.renew(ctx); err != nil {
		return fmt.Errorf("reset the index: %w", err)
	}
	return nil
}

func (x *Index) current() (*file, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.file == nil {
		return nil, errors.New("the index is closed")
	}
	return x.file, nil
}

// reading calls fn with one state of the index: whatever it asks, no batch comes
// in between.
func (x *Index) reading(ctx context.Context, what string, fn func(*sql.Tx) error) error {
	for {
		f, err := x.current()
		if err != nil {
			return err
		}
		tx, err := f.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err == nil {
			err = fn(tx)
			tx.Rollback()
		} else if now, closed := x.current(); closed == nil && now != f {
			continue // the index was reset in between
		}
		return explain(ctx, what, err)
	}
}

// explain names the operation, says what damage is, and lets a context that was
// ended speak for itself.
func explain(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w (%v)", ended, err)
	}
	if fault, ok := errors.AsType[*sqlite.Error](err); ok {
		if code := fault.Code() & 0xff; code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return fmt.Errorf("%s in the index: %w", what, err)
}
