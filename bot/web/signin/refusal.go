package signin

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// A refusal is why somebody is not let in.
type refusal struct {
	status int
	say    string // a sentence for the person; holds nothing secret
	cause  error  // for the log; nil if the sentence says all
}

func refuse(status int, say string, cause error) *refusal {
	return &refusal{status: status, say: say, cause: cause}
}

// refused tells the person and the log.
func (g *Gate) refused(w http.ResponseWriter, r *http.Request, no *refusal) {
	if no.status != http.StatusUnauthorized {
		attrs := []slog.Attr{slog.String("reason", no.say)}
		if no.cause != nil {
			attrs = append(attrs, slog.String("err", clip(no.cause.Error())))
		}
		g.warn(r, "sign-in refused", attrs...)
	}
	if no.status >= 500 {
		w.Header().Set("Retry-After", "10")
	}
	g.show(w, no.status, "refused", page{Reason: no.say, Again: g.oidc != nil})
}

// warn writes about a request of somebody unknown. The query is left out: it
// holds the code.
func (g *Gate) warn(r *http.Request, msg string, attrs ...slog.Attr) {
	held, ok := g.flood.pass(msg)
	if !ok {
		return
	}
	if held > 0 {
		attrs = append(attrs, slog.Int("not_logged", held))
	}
	attrs = append(attrs, slog.String("peer", r.RemoteAddr), slog.String("host", clip(r.Host)), slog.String("path", clip(r.URL.Path)))
	g.log.LogAttrs(r.Context(), slog.LevelWarn, msg, attrs...)
}

// clip keeps a text of somebody else short.
func clip(s string) string {
	if len(s) > 300 {
		return s[:300] + "…"
	}
	return s
}

// A damper keeps strangers from filling the log: so many lines of one kind a
// minute, and the number of those that were left out.
type damper struct {
	now func() time.Time

	mu    sync.Mutex
	kinds map[string]burst // guarded by mu; one entry for each message in this package
}

type burst struct {
	since    time.Time
	n, quiet int
}

func newDamper(now func() time.Time) *damper {
	return &damper{now: now, kinds: map[string]burst{}}
}

const linesAMinute = 30

// pass reports whether a line may be written, and how many were not before it.
func (d *damper) pass(kind string) (held int, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, b := d.now(), d.kinds[kind]
	if now.Sub(b.since) >= time.Minute {
		held, b = b.quiet, burst{since: now}
	}
	if b.n++; b.n > linesAMinute {
		b.quiet++
	}
	d.kinds[kind] = b
	return held, b.n <= linesAMinute
}

// once remembers what was used, for at least [FlowLife] or the last so many.
type once struct {
	now func() time.Time

	mu       sync.Mutex
	seen     map[string]struct{} // guarded by mu
	before   map[string]struct{} // guarded by mu; the generation before
	from     time.Time           // guarded by mu; when seen was begun
	capacity int
}

func newOnce(now func() time.Time) *once {
	return &once{now: now, seen: map[string]struct{}{}, capacity: 4096}
}

// use reports whether this was never used before, and marks it as used.
func (o *once) use(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := o.now(); now.Sub(o.from) >= FlowLife || len(o.seen) >= o.capacity {
		o.before, o.seen, o.from = o.seen, map[string]struct{}{}, now
	}
	_, a := o.seen[key]
	_, b := o.before[key]
	o.seen[key] = struct{}{}
	return !a && !b
}
