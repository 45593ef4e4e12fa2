package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"countersign/bot/access"
)

//go:embed static templates
var embedded embed.FS

// assets are the files that pages refer to, by names that change with what is in
// them: so they may be kept for ever.
type assets struct {
	css, js, icon string // names
	data          map[string][]byte
}

func openAssets() (*assets, error) {
	a := &assets{data: map[string][]byte{}}
	for name, to := range map[string]*string{"app.css": &a.css, "app.js": &a.js, "icon.svg": &a.icon} {
		data, err := fs.ReadFile(embedded, "static/"+name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		ext := path.Ext(name)
		*to = strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
		a.data[*to] = data
	}
	return a, nil
}

func (s *Server) asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	data, ok := s.assets.data[name]
	if !ok {
		s.signedIn(func(w http.ResponseWriter, r *http.Request, v Viewer) { s.fail(w, r, v, errNoPage) })(w, r)
		return
	}
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	w.Header().Set("Content-Type", types[path.Ext(name)])
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// pages are the templates, one for each page, each with the frame around it.
type pages struct{ byName map[string]*template.Template }

func openPages() (*pages, error) {
	common, err := template.New("").Funcs(template.FuncMap{
		"when": when, "exactly": exactly, "clock": clock, "who": who, "brief": brief, "talk": talk, "unmarked": unmarked, "plain": access.Plain,
		"lasting": lasting, "grouped": grouped, "counted": counted,
		"status": func(s access.Status) string { return capital(spell(s)) }, "source": spell[access.Source],
		"isoday": func(t time.Time) string { return t.Format(time.DateOnly) },
	}).ParseFS(embedded, "templates/parts/*.html")
	if err != nil {
		return nil, err
	}
	p := &pages{map[string]*template.Template{}}
	for _, name := range []string{"now", "list", "request", "approvals", "asof", "problem"} {
		t, err := common.Clone()
		if err != nil {
			return nil, err
		}
		if p.byName[name], err = t.ParseFS(embedded, "templates/"+name+".html"); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// render writes a page with its frame.
func (p *pages) render(w io.Writer, f frame, c content) error {
	t := p.byName[c.Name]
	var body, whole bytes.Buffer
	if err := t.ExecuteTemplate(&body, "main", c.Data); err != nil {
		return err
	}
	f.Body = template.HTML(body.String())
	if err := t.ExecuteTemplate(&whole, "frame", f); err != nil {
		return err
	}
	_, err := w.Write(inertly(whole.Bytes()))
	return err
}
