package slackapp

import (
	"context"
	"sync"
	"time"
)

// queue runs jobs: those of one key in their order, those of different keys at the
// same time, so many at once.
type queue struct {
	mu      sync.Mutex
	waiting map[string][]func(context.Context) // guarded by mu; a key is here while its jobs run
	count   int                                // guarded by mu; jobs that are not done
	most    int
	slots   chan struct{}
	ctx     context.Context // guarded by mu; nil until start
}

func newQueue(parallel, most int) *queue {
	return &queue{waiting: map[string][]func(context.Context){}, most: most, slots: make(chan struct{}, parallel)}
}

func (q *queue) start(ctx context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ctx = ctx
}

// add takes a job; false if there are too many, or none are taken any more.
func (q *queue) add(key string, job func(context.Context)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count >= q.most || q.ctx == nil || q.ctx.Err() != nil {
		return false
	}
	q.count++
	jobs, running := q.waiting[key]
	q.waiting[key] = append(jobs, job)
	if !running {
		go q.run(q.ctx, key)
	}
	return true
}

func (q *queue) run(ctx context.Context, key string) {
	for {
		job := q.next(key)
		if job == nil {
			return
		}
		q.slots <- struct{}{}
		limited, cancel := context.WithTimeout(ctx, 2*time.Minute)
		job(limited)
		cancel()
		<-q.slots
		q.mu.Lock()
		q.count--
		q.mu.Unlock()
	}
}

func (q *queue) next(key string) func(context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	jobs := q.waiting[key]
	if len(jobs) == 0 {
		delete(q.waiting, key)
		return nil
	}
	q.waiting[key] = jobs[1:]
	return jobs[0]
}

// drain waits until all jobs are done, but not for ever.
func (q *queue) drain(most time.Duration) {
	for end := time.Now().Add(most); q.pending() > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
}

func (q *queue) pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count
}
