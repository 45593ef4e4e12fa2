package gitstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"

	"countersign/gitstore/remote"
)

// tempDownload begins the names of packs on their way here, in the private
// directory: a download holds no lock, so it must not lie where those who hold
// it clean up.
const tempDownload = "fetch-"

// removeDownloads removes what a crash left of downloads.
func (r *Repo) removeDownloads() error {
	files, err := filepath.Glob(filepath.Join(r.privateDir(), tempDownload+"*"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// bring fetches commits that are not here, with all that they need. After nil
// they survive a power cut. No ref is moved. A crash leaves temporary files, or
// a pack that nothing refers to and the next fetch finds.
//
// A commit that is here is here with all it needs: packs are published whole,
// and each rests on one that was published before it.
func (r *Repo) bring(ctx context.Context, p *remote.Pull, ids ...plumbing.Hash) error {
	var want []string
	for _, id := range ids {
		switch _, err := r.objects.get(id); {
		case errors.Is(err, errNoObject):
			want = append(want, id.String())
		case err != nil:
			return err
		}
	}
	if len(want) == 0 {
		return nil
	}
	have, err := r.heads()
	if err != nil {
		return err
	}
	if err := r.makeDirs(r.privateDir()); err != nil {
		return err
	}
	d := &download{repo: r}
	defer d.remove()
	if err := d.run(ctx, p, want, have); err != nil {
		return err
	}
	for _, id := range want {
		if _, err := r.objects.get(plumbing.NewHash(id)); err != nil {
			return fmt.Errorf("%s announced %s and did not send it: %w", r.upstream, id, err)
		}
	}
	return nil
}

// download is one pack on its way.
type download struct {
	repo      *Repo
	pack, idx string // temporary files; empty once they are gone or have their names
}

func (d *download) remove() {
	for _, f := range []string{d.pack, d.idx} {
		if f != "" {
			os.Remove(f) // the next start removes it otherwise
		}
	}
}

func (d *download) run(ctx context.Context, p *remote.Pull, want, have []string) error {
	r := d.repo
	if err := r.disk.step("fetch write"); err != nil {
		return fmt.Errorf("write pack: %w", err)
	}
	f, err := os.CreateTemp(r.privateDir(), tempDownload)
	if err != nil {
		return fmt.Errorf("write pack: %w", err)
	}
	defer f.Close()
	d.pack = f.Name()
	buffered := bufio.NewWriterSize(f, 1<<20)
	if err := p.Fetch(ctx, want, have, buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write pack: %w", err)
	}
	x, err := indexPack(ctx, d.pack)
	if err != nil {
		return fmt.Errorf("pack from %s: %w", r.upstream, err)
	}
	if err := errors.Join(f.Chmod(0o444), r.disk.sync(f)); err != nil {
		return fmt.Errorf("write pack: %w", err)
	}
	d.idx, err = r.disk.writeTempBy(r.privateDir(), tempDownload, 0o444, func(w io.Writer) error {
		return writeIndex(w, x.items(), x.sum)
	})
	if err != nil {
		return fmt.Errorf("write pack index: %w", err)
	}
	if err := r.makeDirs(r.objects.packDir()); err != nil {
		return fmt.Errorf("write pack: %w", err)
	}
	lock, err := r.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	if _, err = r.namePack(d.pack, d.idx, x.sum); err != nil {
		return err
	}
	d.pack, d.idx = "", ""
	_ = r.tidy() // see there for why the error may go
	return nil
}
