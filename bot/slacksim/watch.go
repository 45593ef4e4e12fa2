package slacksim

import (
	"slices"
	"sync"
)

// watchers tells pages what to fetch again.
type watchers struct {
	mu   sync.Mutex
	all  map[*watcher]bool
	done chan struct{} // closed at the end
}

func newWatchers() *watchers {
	return &watchers{all: map[*watcher]bool{}, done: make(chan struct{})}
}

// ended is closed when the server is.
func (w *watchers) ended() <-chan struct{} { return w.done }

// end lets all streams finish.
func (w *watchers) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.done:
	default:
		close(w.done)
	}
}

// watcher is one open page. Topics gather until the page takes them.
type watcher struct {
	user   string
	signal chan struct{} // holds one
	mu     sync.Mutex
	topics []string
}

func (w *watchers) open(user string) *watcher {
	one := &watcher{user: user, signal: make(chan struct{}, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all[one] = true
	return one
}

func (w *watchers) close(one *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, one)
}

// notify never blocks. An empty user means everyone.
func (w *watchers) notify(user string, topics ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.all {
		if user == "" || one.user == user {
			one.add(topics)
		}
	}
}

func (one *watcher) add(topics []string) {
	one.mu.Lock()
	for _, t := range topics {
		if !slices.Contains(one.topics, t) {
			one.topics = append(one.topics, t)
		}
	}
	one.mu.Unlock()
	select {
	case one.signal <- struct{}{}:
	default:
	}
}

func (one *watcher) take() []string {
	one.mu.Lock()
	defer one.mu.Unlock()
	t := one.topics
	one.topics = nil
	return t
}
