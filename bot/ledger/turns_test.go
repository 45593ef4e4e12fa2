package ledger_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"
)

// TestAHangingWriteHoldsNobodyUp: who waits for another write of the same request
// waits as long as they said, and no longer: ends of access depend on it.
func TestAHangingWriteHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := ledger.Open(t.Context(), &bottest.Store{})
		if err != nil {
			t.Fatal(err)
		}
		release, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			_, err := l.Update(context.Background(), "id", func(access.Request) ([]access.Event, error) {
				<-release
				return nil, nil
			})
			if err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		since := time.Now()
		_, err = l.Update(ctx, "id", func(access.Request) ([]access.Event, error) { return nil, nil })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(since) != 3*time.Second {
			t.Errorf("after %s: %v", time.Since(since), err)
		}
		close(release)
		<-done
		if _, err := l.Update(t.Context(), "id", func(access.Request) ([]access.Event, error) { return nil, nil }); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// stuck is a store that is asked, and does not answer.
type stuck struct {
	ledger.Store
	hangs bool
}

func (s *stuck) Scan(ctx context.Context, from string, fn func(ledger.File) error) (string, error) {
	if s.hangs {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return s.Store.Scan(ctx, from, fn)
}

// TestAHangingReadHoldsNobodyUp: nor does it wait longer for what somebody else
// reads of the log.
func TestAHangingReadHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stuck{Store: &bottest.Store{}}
		l, err := ledger.Open(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		s.hangs = true
		slow, end := context.WithTimeout(t.Context(), time.Minute)
		defer end()
		go func() { _, _ = l.Sync(slow) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		since := time.Now()
		if _, err := l.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(since) != 3*time.Second {
			t.Errorf("after %s: %v", time.Since(since), err)
		}
		end()
		synctest.Wait()
		s.hangs = false
		if _, err := l.Sync(t.Context()); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}
