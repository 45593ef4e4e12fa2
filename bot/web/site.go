package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"countersign/bot/access"
)

// perFile is how many requests a page of the list has in a copy.
const perFile = 100

// Site writes the dashboard as files that need no server: what is there now, all
// requests in pages of a hundred, each request, the approvals, and the table. The
// paths are relative with slashes, such as "requests/01KAQ….html"; links between
// the files are relative too, so that they work from a disk and below any
// address. Whoever can read the files sees everything in them. Searching, time
// travel and live changes need a server and are left out. Of the configuration
// Viewer and Loopback mean nothing. The first error of write ends it.
func Site(ctx context.Context, c Config, write func(path string, data []byte) error) error {
	if write == nil {
		return errors.New("web: a copy must be written somewhere")
	}
	c.Loopback, c.Viewer, c.SignOut = true, nil, ""
	s, err := New(c)
	if err != nil {
		return err
	}
	w := &copier{Server: s, ctx: ctx, write: write, at: view{Viewer: Viewer{All: true}, Now: s.Now().UTC()}}
	for _, step := range []func() error{w.assets, w.single, w.lists, w.table} {
		if err := step(); err != nil {
			return fmt.Errorf("write a copy of the dashboard: %w", err)
		}
	}
	return nil
}

// A copier writes one copy.
type copier struct {
	*Server
	ctx   context.Context
	write func(string, []byte) error
	at    view
}

func (w *copier) assets() error {
	for _, name := range sorted(w.Server.assets.data) {
		if err := w.write("static/"+name, w.Server.assets.data[name]); err != nil {
			return err
		}
	}
	return nil
}

// put writes a page that make fills. root leads from it to the first page.
func (w *copier) put(path, root string, make func(view) (content, error)) error {
	v := w.at
	v.links = links{root: root, static: true}
	c, err := make(v)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	if err := w.pages.render(&buf, w.frame(c, v), c); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return w.write(path, buf.Bytes())
}

// single writes the pages of which there is one.
func (w *copier) single() error {
	r, err := http.NewRequestWithContext(w.ctx, http.MethodGet, "/", nil)
	if err != nil {
		return err
	}
	if err := w.put("index.html", "./", func(v view) (content, error) { return w.now(r, v) }); err != nil {
		return err
	}
	for _, x := range spansOf() {
		path := links{static: true}.approvals(x.Name)
		err := w.put(path, "./", func(v view) (content, error) {
			p, err := w.figures(w.ctx, v, x)
			return content{"approvals", "Approvals", p}, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lists writes the pages of the list and, for each request on them, its own.
func (w *copier) lists() error {
	after, written := "", map[string]bool{}
	for n := 1; ; n++ {
		list, total, err := w.Requests.Find(w.ctx, access.Filter{}, after, perFile)
		if err != nil {
			return err
		}
		if err := w.put(links{static: true}.listPage(n), "../", func(v view) (content, error) { return page(v, list, n, total), nil }); err != nil {
			return err
		}
		for _, r := range list {
			if err := w.one(r.ID); err != nil {
				return err
			}
			after, written[r.ID] = r.ID, true
		}
		if n*perFile >= total || len(list) == 0 {
			return w.others(written)
		}
	}
}

// others writes what is open and not in the list yet, which may be a little
// behind: every link of the first page leads somewhere.
func (w *copier) others(written map[string]bool) error {
	open, err := w.Record.Open(w.ctx)
	if err != nil {
		return err
	}
	for _, r := range open {
		if written[r.ID] {
			continue
		}
		if err := w.one(r.ID); err != nil {
			return err
		}
	}
	return nil
}

func (w *copier) one(id string) error {
	return w.put(links{static: true}.request(id), "../", func(v view) (content, error) {
		l, err := w.life(w.ctx, v, id)
		if err != nil {
			return content{}, err
		}
		l.Close = v.links.list(nil)
		return content{"request", l.Heading() + " for " + l.Recipient(), l}, nil
	})
}

// page is one page of the list in a copy.
func page(v view, list []access.Request, n, total int) content {
	pages := max(1, (total+perFile-1)/perFile)
	p := listPage{
		Total: total, Clear: v.links.list(nil), Export: v.links.export(nil), Ever: total > 0,
		Pages: fmt.Sprintf("%d of %d", n, pages),
	}
	if n > 1 {
		p.Newest = v.links.listPage(n - 1)
	}
	if n < pages {
		p.Older = v.links.listPage(n + 1)
	}
	for _, r := range list {
		p.Rows = append(p.Rows, rowOf(r, v.links.request(r.ID)))
	}
	return content{"list", "Requests", p}
}

func (w *copier) table() error {
	var buf bytes.Buffer
	if err := w.Server.table(w.ctx, &buf, access.Filter{}); err != nil {
		return err
	}
	return w.write("requests.tsv", slices.Clip(buf.Bytes()))
}
