package remote

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// ErrThrottled says that the remote wants to be left alone for a while (HTTP status
// 429, Retry-After). What was asked for was not done. Until [Remote.Held] is over
// nothing more is asked.
var ErrThrottled = errors.New("the remote asks to be left alone for a while")

// How long a remote is left alone: as it says, within bounds. What it holds back
// are revocations too, so that no mistake of a header may last.
const (
	heldUnsaid = 30 * time.Second
	heldAtMost = 10 * time.Minute
)

// A hold is the time until which a remote is left alone.
type hold struct {
	mu    sync.Mutex
	until time.Time // guarded by mu
}

// left is how long it still lasts; 0 where there is none.
func (h *hold) left() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(0, time.Until(h.until))
}

// err is nil where there is none.
func (h *hold) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Until(h.until) <= 0 {
		return nil
	}
	return fmt.Errorf("%w: until %s", ErrThrottled, h.until.UTC().Format(time.TimeOnly+" UTC"))
}

// heed begins a hold where an answer asks for one.
func (h *hold) heed(res *http.Response) error {
	if res.StatusCode != http.StatusTooManyRequests {
		return nil
	}
	wait := retryAfter(res.Header.Get("Retry-After"), time.Now())
	h.mu.Lock()
	if until := time.Now().Add(wait); until.After(h.until) {
		h.until = until
	}
	h.mu.Unlock()
	return h.err()
}

// retryAfter reads a number of seconds, or a date.
func retryAfter(value string, now time.Time) time.Duration {
	wait := heldUnsaid
	if n, err := strconv.ParseInt(value, 10, 32); err == nil {
		wait = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, time.Second), heldAtMost)
}

// throttled finds ErrThrottled in what go-git made of it.
func throttled(err error) bool {
	if u, ok := errors.AsType[*plumbing.UnexpectedError](err); ok {
		err = u.Err
	}
	return errors.Is(err, ErrThrottled)
}
