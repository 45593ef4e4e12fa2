package bot

import (
	"context"
	"sync"
)

// lanes bound how many do something at once, by what it is done to. A lane is
// there only while somebody uses it. The zero value is ready.
type lanes struct {
	mu   sync.Mutex
	used map[string]*lane // guarded by mu
}

type lane struct {
	slots chan struct{}
	users int // guarded by lanes.mu
}

// enter waits for a place among n in the lane of that key, first come, first
// served. All who enter a lane give the same n.
func (l *lanes) enter(ctx context.Context, key string, n int) (leave func(), err error) {
	l.mu.Lock()
	if l.used == nil {
		l.used = map[string]*lane{}
	}
	x := l.used[key]
	if x == nil {
		x = &lane{slots: make(chan struct{}, n)}
		l.used[key] = x
	}
	x.users++
	l.mu.Unlock()
	out := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if x.users--; x.users == 0 {
			delete(l.used, key)
		}
	}
	select {
	case x.slots <- struct{}{}:
		return func() { <-x.slots; out() }, nil
	case <-ctx.Done():
		out()
		return nil, context.Cause(ctx)
	}
}
