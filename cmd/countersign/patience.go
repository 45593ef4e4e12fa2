package main

import (
	"context"
	"path"
	"slices"
	"strings"
	"sync"

	"countersign/bot/access"
	"countersign/bot/ledger"
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
// else wants to change the same request: nobody waits for a message to be recorded
// before their click counts.
func urge(b *gitstore.Batch, w *awaited) {
	patient := true
	for _, e := range b.Entries {
		_, kind, _ := strings.Cut(strings.TrimSuffix(path.Base(e.Path), ".yaml"), "-")
		patient = patient && slices.Contains(patientKinds, kind)
		b.First = b.First || slices.Contains(endingKinds, kind)
	}
	if patient && strings.HasPrefix(b.Dir, "requests/") {
		b.Wait = w.signal(path.Base(b.Dir))
	}
}

// awaited knows which requests more than one is about to change.
type awaited struct {
	mu sync.Mutex
	by map[string]*rivals // guarded by mu: by request
}

type rivals struct {
	count  int
	signal chan struct{} // closed while there are several
}

// enter counts somebody who is about to change a request, until leave is called.
func (w *awaited) enter(id string) (leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = make(map[string]*rivals)
	}
	r := w.by[id]
	if r == nil {
		r = &rivals{signal: make(chan struct{})}
		w.by[id] = r
	}
	if r.count++; r.count == 2 {
		close(r.signal)
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch r.count--; r.count {
		case 0:
			delete(w.by, id)
		case 1:
			r.signal = make(chan struct{})
		}
	}
}

// signal is closed as soon as a second one is about to change a request.
func (w *awaited) signal(id string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.by[id]; r != nil {
		return r.signal
	}
	return make(chan struct{})
}

// watchedLedger is the ledger of a bot whose waiting for a request is seen.
type watchedLedger struct {
	*ledger.Ledger
	awaited *awaited
}

// Update implements [bot.Ledger].
func (l watchedLedger) Update(ctx context.Context, id string, decide func(access.Request) ([]access.Event, error)) (access.Request, error) {
	defer l.awaited.enter(id)()
	return l.Ledger.Update(ctx, id, decide)
}
