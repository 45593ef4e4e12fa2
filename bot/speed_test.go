package bot_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"countersign/bot"
	"countersign/bot/access"
	"countersign/bot/bottest"
	"countersign/bot/ledger"
)

// slow answers each call after 50 ms.
type slow struct{ *bottest.Provider }

func (p slow) Has(ctx context.Context, t access.Target, s string) (access.Presence, error) {
	time.Sleep(50 * time.Millisecond)
	return p.Provider.Has(ctx, t, s)
}

func (p slow) Revoke(ctx context.Context, o access.Order) error {
	time.Sleep(50 * time.Millisecond)
	return p.Provider.Revoke(ctx, o)
}

// TestManyAtOnce: grants that expire in the same second at a provider that takes
// 50 ms are revoked together, not one after the other. Time is simulated.
func TestManyAtOnce(t *testing.T) {
	const n = 200
	run(t, func(w *world) {
		w.parse = several("slow")
		w.others = map[string]bot.Provider{"slow": slow{bottest.NewProvider(t)}}
	}, func(w *world) {
		for i := range n {
			w.file(i, fmt.Sprintf("slow-%d", i), time.Hour)
		}
		time.Sleep(time.Hour + 5*time.Second)
		l, err := ledger.Open(context.Background(), w.store)
		if err != nil {
			t.Fatal(err)
		}
		if left := len(l.Open()); left > 0 {
			t.Errorf("5s after the end of %d grants %d are not revoked", n, left)
		}
	})
}
