package ledger

import (
	"context"
	"fmt"
	"sync"
)

// keyed are mutexes by name, each there only while somebody uses it.
type keyed struct {
	mu   sync.Mutex
	held map[string]*turn
}

type turn struct {
	taken chan struct{} // holds one while it is somebody's turn
	users int
}

// lock waits for the turn of a key and returns how to end it. A write that
// hangs holds up the others of its key no longer than their contexts allow.
func (k *keyed) lock(ctx context.Context, key string) (done func(), err error) {
	k.mu.Lock()
	if k.held == nil {
		k.held = map[string]*turn{}
	}
	t := k.held[key]
	if t == nil {
		t = &turn{taken: make(chan struct{}, 1)}
		k.held[key] = t
	}
	t.users++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(k.held, key)
		}
	}
	select {
	case t.taken <- struct{}{}:
		return func() { <-t.taken; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, fmt.Errorf("wait until another is through: %w", ctx.Err())
	}
}
