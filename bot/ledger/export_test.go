package ledger

import "context"

// ResumeSmall is Resume with a memory so small that requests leave it.
func ResumeSmall(ctx context.Context, s Store, c Checkpoint) (*Ledger, error) {
	return resume(ctx, s, c, limits{kept: 3, chunk: 5})
}

// InMemory is how many requests are in memory.
func (l *Ledger) InMemory() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.state)
}

// SaveNow is Save, whether there is something to be saved or not.
func (l *Ledger) SaveNow(ctx context.Context) error {
	if err := l.renew(ctx); err != nil {
		return err
	}
	if err := l.save(ctx); err != nil {
		return err
	}
	clear(l.told)
	return nil
}
