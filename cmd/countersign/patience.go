package main

import (
	"path"
	"slices"
	"strings"
	"sync"

	"countersign/gitstore"
)

// What only tells what has happened may wait a while to share a push with others;
// what is decided or intended may not. What ends access goes first.
var (
	patientKinds = []string{
		"granted", "grant_failed", "revoke_failed", "expired", "revoked", "given_back", "drift",
		"message", "message_edited", "message_deleted", "notified", "reminded", "refused",
	}
	endingKinds = []string{"revoke_intent", "expired", "revoked", "given_back"}
)

// urge says how urgent a batch is. One that may wait hurries as soon as somebody
// waits for it, until done is called.
func urge(b *gitstore.Batch, w *awaited) (done func()) {
	patient := true
	for _, e := range b.Entries {
		_, kind, _ := strings.Cut(strings.TrimSuffix(path.Base(e.Path), ".yaml"), "-")
		patient = patient && slices.Contains(patientKinds, kind)
		b.First = b.First || slices.Contains(endingKinds, kind)
	}
	if !patient || !strings.HasPrefix(b.Dir, "requests/") {
		return func() {}
	}
	b.Wait, done = w.watch(path.Base(b.Dir))
	return done
}

// awaited knows for which requests somebody waits until what is on its way is in the
// log.
type awaited struct {
	mu sync.Mutex
	by map[string]*interest // guarded by mu: by request
}

// interest is of batches on their way, and of those who wait for them.
type interest struct {
	users, waiting int
	hurry          chan struct{} // closed while somebody waits
}

// watch returns what is closed as soon as somebody waits for a request, and how to
// end the watch.
func (w *awaited) watch(id string) (hurry <-chan struct{}, leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.join(id)
	return x.hurry, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.leave(id, x)
	}
}

// enter says that somebody waits for a request, until leave is called.
func (w *awaited) enter(id string) (leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.join(id)
	if x.waiting++; x.waiting == 1 {
		close(x.hurry)
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if x.waiting--; x.waiting == 0 {
			x.hurry = make(chan struct{})
		}
		w.leave(id, x)
	}
}

// join and leave count who uses an entry. The caller holds mu.
func (w *awaited) join(id string) *interest {
	if w.by == nil {
		w.by = make(map[string]*interest)
	}
	x := w.by[id]
	if x == nil {
		x = &interest{hurry: make(chan struct{})}
		w.by[id] = x
	}
	x.users++
	return x
}

func (w *awaited) leave(id string, x *interest) {
	if x.users--; x.users == 0 {
		delete(w.by, id)
	}
}
