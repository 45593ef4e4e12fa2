package web

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	maxListeners = 256              // at once, all viewers together
	backlog      = 64               // changes that one may be behind before it is let go
	heartbeat    = 20 * time.Second // so that nothing in between takes the line for dead
	lifetime     = 15 * time.Minute // then the page asks anew, and is asked anew who it is
	sendTimeout  = 10 * time.Second // for one write to a slow reader
)

// hub hands the ids of changed requests to whoever listens.
type hub struct {
	mu        sync.Mutex
	listeners map[chan string]bool // guarded by mu
}

// listen is a place among the listeners; false where all are taken. The channel
// is closed when its reader is too slow.
func (h *hub) listen() (chan string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.listeners) >= maxListeners {
		return nil, false
	}
	if h.listeners == nil {
		h.listeners = map[chan string]bool{}
	}
	c := make(chan string, backlog)
	h.listeners[c] = true
	return c, true
}

func (h *hub) leave(c chan string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners, c)
}

func (h *hub) tell(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.listeners {
		select {
		case c <- id:
		default:
			delete(h.listeners, c)
			close(c)
		}
	}
}

// Changed tells the pages that are open that a request has changed, or is new.
// It does not wait for them. Call it when what the pages read is up to date.
func (s *Server) Changed(id string) {
	if ids.MatchString(id) {
		s.hub.tell(id)
	}
}

// changes is a stream of the ids of requests that changed and that the viewer
// may see. What happened while nobody listened is not told: a page that connects
// again looks at everything anew.
func (s *Server) changes(w http.ResponseWriter, r *http.Request, v Viewer) {
	c, ok := s.hub.listen()
	if !ok {
		w.Header().Set("Retry-After", "30")
		s.fail(w, r, v, &problem{http.StatusServiceUnavailable, "Too many pages are open", "The page works without live changes; load it again to see what is new."})
		return
	}
	defer s.hub.leave(c)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return
	}
	line := http.NewResponseController(w)
	send := func(text string) error {
		if err := line.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		if _, err := fmt.Fprint(w, text); err != nil {
			return err
		}
		return line.Flush()
	}
	if send("retry: 3000\n\n") != nil {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	end := time.NewTimer(lifetime)
	defer end.Stop()
	for {
		var text string
		select {
		case <-r.Context().Done():
			return
		case <-end.C:
			return
		case <-beat.C:
			text = ": still here\n\n"
		case id, open := <-c:
			if !open {
				return
			}
			if !s.tells(r, v, id) {
				continue
			}
			text = "data: " + id + "\n\n"
		}
		if send(text) != nil {
			return
		}
	}
}

// tells reports whether the viewer may learn of a request.
func (s *Server) tells(r *http.Request, v Viewer, id string) bool {
	if v.All {
		return true
	}
	q, _, err := s.Record.History(r.Context(), id)
	return err == nil && s.visible(v, q)
}
