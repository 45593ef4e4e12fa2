package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/index"
	"countersign/bot/web"
)

// many is how many requests the pages are measured over: about a million events.
const many = 150_000

// ledger is a record that finds what it is asked for at once, as the real one does.
type ledger struct {
	*memory
	open []access.Request
	byID map[string]access.Request
}

func (l ledger) Open(context.Context) ([]access.Request, error) { return l.open, nil }

func (l ledger) History(_ context.Context, id string) (access.Request, []web.Entry, error) {
	return l.byID[id], l.entries[id], nil
}

// BenchmarkPages measures the pages at the server, over the real read model, and
// what the first page weighs with all that it refers to.
//
//	go test ./bot/web -run '^$' -bench Pages
func BenchmarkPages(b *testing.B) {
	end := time.Now().UTC().Truncate(time.Second)
	m := logOf(many, end)
	x, err := index.Open(b.Context(), filepath.Join(b.TempDir(), "index"))
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	for i := 0; i < len(m.list); i += 5000 {
		if err := x.Put(b.Context(), index.Batch{Head: "h", Requests: m.list[i:min(i+5000, len(m.list))]}); err != nil {
			b.Fatal(err)
		}
	}
	record := ledger{memory: m, byID: map[string]access.Request{}}
	for _, r := range m.list {
		record.byID[r.ID] = r
	}
	record.open, _ = m.Open(b.Context())
	s := serve(b, m, everything, end, func(c *web.Config) { c.Requests, c.Record = x, record })
	last := m.list[len(m.list)-1]
	fetch := func(b *testing.B, path string) []byte {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+path, nil))
		if w.Code != http.StatusOK {
			b.Fatalf("%s: %d", path, w.Code)
		}
		return w.Body.Bytes()
	}
	for name, path := range map[string]string{
		"now": "/", "list": "/requests", "person": "/requests?person=" + last.Requestor.Email, "status": "/requests?status=live&status=pending",
		"provider": "/requests?provider=github", "text": "/requests?q=deadlock", "two words": "/requests?q=deadlock+ledger",
		"drawer": "/requests?open=" + last.ID, "details": "/requests/" + last.ID,
		"approvals": "/approvals", "approvals of all time": "/approvals?span=all", "as of": "/asof?at=" + end.AddDate(0, -6, 0).Format("2006-01-02T15:04"),
	} {
		b.Run(name, func(b *testing.B) {
			size := 0
			for b.Loop() {
				size = len(fetch(b, path))
			}
			b.ReportMetric(float64(size)/1000, "kB")
		})
	}
	b.Run("weight", func(b *testing.B) {
		first := fetch(b, "/")
		size := len(first)
		for _, asset := range regexp.MustCompile(`/static/[^"#]+`).FindAllString(string(first), -1) {
			size += len(fetch(b, asset))
		}
		for b.Loop() {
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(size)/1000, "kB-in-all")
	})
}
