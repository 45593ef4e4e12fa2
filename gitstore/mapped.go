package gitstore

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"unsafe"

	"github.com/edsrzf/mmap-go"
)

// mapped is a file that the system maps into memory. Opening one costs the same
// at any size, and what was read of it is the system's to forget. The file may
// be removed meanwhile; it is let go of once nobody has the mapped any more.
type mapped struct {
	path string
	data mmap.MMap
}

// mapFile maps a whole file, which is never written to again.
func mapFile(path string) (*mapped, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m := &mapped{path: path}
	if info.Size() == 0 {
		return m, nil // what is empty cannot be mapped
	}
	if m.data, err = mmap.Map(f, mmap.RDONLY, 0); err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	runtime.AddCleanup(m, func(data mmap.MMap) { _ = data.Unmap() }, m.data)
	return m, nil
}

func (m *mapped) size() int64 { return int64(len(m.data)) }

// read calls fn with the bytes, which must not be used after it returns. Where the
// disk fails, or somebody has cut the file short, touching them would end the
// program; here it is an error, as it is for any other way to read.
func (m *mapped) read(fn func(data []byte) error) (err error) {
	defer runtime.KeepAlive(m)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if what := recover(); what != nil {
			if !m.faulted(what) {
				panic(what)
			}
			err = fmt.Errorf("read %s: the disk failed, or the file was cut short: %v", m.path, what)
		}
	}()
	return fn(m.data)
}

// faulted reports whether a panic says that these bytes could not be read.
func (m *mapped) faulted(what any) bool {
	fault, ok := what.(interface{ Addr() uintptr })
	if !ok || len(m.data) == 0 {
		return false
	}
	first := uintptr(unsafe.Pointer(unsafe.SliceData(m.data)))
	return fault.Addr() >= first && fault.Addr()-first < uintptr(len(m.data))
}
