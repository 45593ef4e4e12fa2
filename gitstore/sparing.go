package gitstore

import (
	"context"
	"time"
)

// Forges advise at most about six pushes a minute for a repository. So what must
// not wait is pushed at once, and the rest goes along with it; alone it goes after a
// second, as long as the budget lasts, and after ten seconds in any case. A batch that
// waits is not written yet, and its caller is not answered: a crash loses nothing that
// anybody was told of.
//
// The second is for what comes together: an outcome and the messages that tell it, a
// message and the click of somebody who was waiting for it. A push that has just begun
// would make them wait for all of it.
const (
	gather      = time.Second
	pushEvery   = 10 * time.Second // one push in this time, on average
	pushBurst   = 6                // and so many at once after a quiet time
	maxPatience = 10 * time.Second
)

// budget counts pushes. Its zero value is full.
type budget struct{ spent time.Time } // the time by which all pushes so far are paid for

// spend takes one push out of the budget, which may go below nothing.
func (b *budget) spend(now time.Time) {
	if b.spent.Before(now) {
		b.spent = now
	}
	b.spent = b.spent.Add(pushEvery)
}

// wait is how long until a push fits the budget.
func (b *budget) wait(now time.Time) time.Duration {
	return b.spent.Add(-(pushBurst - 1) * pushEvery).Sub(now)
}

func (l *Log) spend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.budget.spend(time.Now())
}

// patience returns until when a batch may wait for company: the zero time means
// that it may not. A caller with a deadline is kept for half of its time at most.
func (l *Log) patience(ctx context.Context, b Batch) time.Time {
	if l.cfg.Repo.upstream == nil || b.Wait == nil {
		return time.Time{}
	}
	wait := maxPatience
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)/2)
	}
	return time.Now().Add(wait)
}

// pause is how long the writer leaves alone what waits. The caller holds mu.
func (l *Log) pause() time.Duration {
	if len(l.queue) == 0 {
		return 0
	}
	now := time.Now()
	wait := maxPatience
	for _, q := range l.queue {
		alone := max(l.budget.wait(now), q.at.Add(gather).Sub(now))
		wait = min(wait, alone, q.due.Sub(now))
	}
	if up := l.cfg.Repo.upstream; up != nil {
		wait = max(wait, up.Held())
	}
	return max(wait, 0)
}

// resume puts back what could not be written because the remote wants to be left
// alone, but for those whose callers have given up: they were told so.
func (l *Log) resume(turn []*request) {
	if l.cfg.Held != nil {
		l.cfg.Held(l.cfg.Repo.upstream.Held())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var again []*request
	for _, q := range turn {
		if q.commits, q.err = nil, nil; !q.gone {
			again = append(again, q)
		}
	}
	l.queue = append(again, l.queue...)
}

// rouse makes the writer look again.
func (l *Log) rouse() {
	select {
	case l.roused <- struct{}{}:
	default: // it is about to
	}
}

// rank orders batches that wait: the lowest is written first.
func (b Batch) rank() int {
	switch {
	case b.First:
		return 0
	case b.Wait == nil:
		return 1
	}
	return 2
}
