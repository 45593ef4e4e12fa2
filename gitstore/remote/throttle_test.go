package remote_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"countersign/gitstore/remote"
)

// TestThrottled: a remote is left alone as long as it says, within bounds, and is not
// asked meanwhile.
func TestThrottled(t *testing.T) {
	for _, tt := range []struct {
		header   string
		from, to time.Duration
	}{
		{"60", 30 * time.Second, time.Minute},
		{time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat), time.Minute, 2 * time.Minute},
		{"", 5 * time.Second, 30 * time.Second},
		{"soon", 5 * time.Second, 30 * time.Second},
		{"0", 0, time.Second},
		{"-5", 0, time.Second},
		{"86400", 9 * time.Minute, 10 * time.Minute},
		{"99999999999999999999", 5 * time.Second, 30 * time.Second},
	} {
		asked := 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if asked++; tt.header != "" {
				w.Header().Set("Retry-After", tt.header)
			}
			w.WriteHeader(http.StatusTooManyRequests)
		}))
		r, err := remote.New(remote.Config{URL: srv.URL + "/audit.git"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Pull(context.Background())
		held := r.Held()
		// What passes in between is the machine's.
		if !errors.Is(err, remote.ErrThrottled) || held < tt.from || held > tt.to {
			t.Errorf("%q: held for %v, want %v to %v; %v", tt.header, held, tt.from, tt.to, err)
		}
		if tt.from > time.Second { // else it may be over already
			if _, err := r.Push(context.Background()); !errors.Is(err, remote.ErrThrottled) || asked != 1 {
				t.Errorf("%q: asked %d times; %v", tt.header, asked, err)
			}
		}
		srv.Close()
	}
}
