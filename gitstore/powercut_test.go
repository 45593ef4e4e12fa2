package gitstore_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"countersign/gitstore"
	"countersign/gitstore/gitstoretest"
)

// powerCut knows what of a directory tree has been synced, and makes what a
// power cut could leave of it: of each name either what it was when its
// directory was synced last, or what it is now; of each file that was never
// synced either all bytes or none.
type powerCut struct {
	t     *testing.T
	root  string
	files map[uint64][]byte          // synced bytes by inode
	pins  []*os.File                 // keep inodes from being used again
	names map[string]map[string]name // synced names by directory
	links map[uint64]string          // in the copy being made: path by inode
}

// name is what a name in a directory stands for.
type name struct {
	inode uint64
	dir   bool
}

// newPowerCut takes all that is below root as synced.
func newPowerCut(t *testing.T, root string) *powerCut {
	p := &powerCut{t: t, root: root, files: make(map[uint64][]byte), names: make(map[string]map[string]name)}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		p.synced(f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range p.pins {
			f.Close()
		}
	})
	return p
}

// synced notes that a file or directory is durable as it is now.
func (p *powerCut) synced(f *os.File) {
	info, err := f.Stat()
	if err != nil {
		p.t.Error(err)
		return
	}
	if info.IsDir() {
		p.names[f.Name()] = p.list(f.Name())
		return
	}
	pin, err := os.Open(f.Name())
	if err != nil {
		p.t.Error(err)
		return
	}
	p.pins = append(p.pins, pin)
	data, err := os.ReadFile(f.Name())
	if err != nil {
		p.t.Error(err)
	}
	p.files[inode(info)] = data
}

func inode(info fs.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }

// list returns the names in a directory as they are now.
func (p *powerCut) list(dir string) map[string]name {
	entries, err := os.ReadDir(dir)
	if err != nil {
		p.t.Error(err)
	}
	names := make(map[string]name, len(entries))
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			names[e.Name()] = name{inode(info), e.IsDir()}
		}
	}
	return names
}

// cut makes in a new directory what a power cut could leave.
func (p *powerCut) cut() string {
	dst := filepath.Join(p.t.TempDir(), "cut")
	p.links = make(map[uint64]string)
	p.copyDir(p.root, dst)
	return dst
}

func (p *powerCut) copyDir(src, dst string) {
	if err := os.Mkdir(dst, 0o755); err != nil {
		p.t.Error(err)
		return
	}
	now, then := p.list(src), p.names[src]
	all := maps.Clone(now)
	maps.Copy(all, then)
	for n := range all {
		of := now
		if rand.IntN(2) == 0 {
			of = then
		}
		e, ok := of[n]
		switch {
		case !ok:
		case e.dir:
			p.copyDir(filepath.Join(src, n), filepath.Join(dst, n))
		default:
			p.copyFile(e.inode, filepath.Join(src, n), filepath.Join(dst, n))
		}
	}
}

func (p *powerCut) copyFile(inode uint64, src, dst string) {
	if first, ok := p.links[inode]; ok {
		if err := os.Link(first, dst); err != nil {
			p.t.Error(err)
		}
		return
	}
	p.links[inode] = dst
	data, synced := p.files[inode]
	if !synced && rand.IntN(2) == 0 {
		data, _ = os.ReadFile(src)
	}
	if err := os.WriteFile(dst, data, 0o644); err != nil {
		p.t.Error(err)
	}
}

// TestPowerCut cuts the power at each step of many writes, among them one that
// merges packs. What was acknowledged before is there, and git finds no fault.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "repo.git")
	repo, err := gitstore.Init(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := gitstore.OpenLog(ctx, gitstore.LogConfig{Repo: repo, Branch: "audit", Identity: bot})
	if err != nil {
		t.Fatal(err)
	}
	begin, end := 29, 34 // packs are merged from 32 on
	if *kills > 10 {
		begin, end = 12, 40
	}
	for n := range begin {
		mustAppend(t, l, batch(n, 0, 1))
	}
	p := newPowerCut(t, dir)
	acked, cuts := begin, 0
	var judges sync.WaitGroup
	places := make(chan bool, 4)
	judge := func() {
		dir, acked := p.cut(), acked
		places <- true
		judges.Go(func() { checkCut(t, dir, acked); <-places })
	}
	gitstore.OnSync(repo, p.synced)
	gitstore.SetFault(repo, func(step string) error {
		if step == "pack remove" && rand.IntN(8) > 0 {
			return nil
		}
		cuts++
		judge()
		return nil
	})
	for n := begin; n < end; n++ {
		mustAppend(t, l, batch(n, 0, 1))
		acked = n + 1
		judge()
		if t.Failed() {
			break
		}
	}
	judges.Wait()
	if got := gitstore.Packs(repo); got > 30 {
		t.Errorf("%d packs: none were merged", got)
	}
	t.Logf("%d power cuts during writes", cuts)
}

// checkCut judges what a power cut has left. It runs in goroutines of its own, where
// a test must not end.
func checkCut(t *testing.T, dir string, acked int) {
	t.Helper()
	if err := tryCut(dir, acked); err != nil {
		t.Error(err)
	}
	gitstoretest.Fsck(t, dir)
}

func tryCut(dir string, acked int) error {
	ctx := context.Background()
	if _, err := gitstoretest.TryGit(dir, "fsck", "--strict"); err != nil {
		return err // of what the cut left, before anything is cleaned up
	}
	repo, err := gitstore.Open(ctx, dir)
	if err != nil {
		return err
	}
	l, err := gitstore.OpenLog(ctx, gitstore.LogConfig{Repo: repo, Branch: "audit", Identity: bot})
	if err != nil {
		return err
	}
	count := 0
	if _, err := l.Scan(ctx, "", func(gitstore.Entry) error { count++; return nil }); err != nil {
		return err
	}
	if count < acked || count > acked+1 {
		return fmt.Errorf("%d entries after a power cut, %d were acknowledged", count, acked)
	}
	_, err = l.Append(ctx, batch(99, 0, 1))
	return err
}
