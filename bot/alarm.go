package bot

import (
	"context"
	"maps"
	"slices"
	"time"

	"countersign/bot/access"
)

// An Alarm wakes the operators where an access cannot be given or ended. The
// key is the request's id. *pagerduty.Client is one.
type Alarm interface {
	// Alert raises an alert, or makes the one with the same key as severe as that:
	// warning, error or critical.
	Alert(ctx context.Context, key, summary, severity string) error
	// Resolve ends it. That there is none is no error.
	Resolve(ctx context.Context, key string) error
}

const (
	alarmChannel = "alarm" // in the log, the place of what was raised
	alarmTimeout = 30 * time.Second
	alarmRetry   = time.Minute
)

// A ring is what the alarm was last told of a request.
type ring struct {
	severity string // empty: nothing, or that it is over
	busy     bool
	again    time.Time // not before, after an error
}

// alarms tells the [Alarm] what has changed since it was last told. What was
// raised before a restart is told again, which the key makes one.
func (e *engine) alarms(ctx context.Context, open []access.Request, now time.Time) {
	if e.b.Alarm == nil {
		return
	}
	for _, r := range open {
		if access.Severity(r, now) != "" || access.Alarmed(r) {
			e.ring(ctx, r, now)
		}
	}
	e.mu.Lock()
	known := slices.Collect(maps.Keys(e.rings))
	e.mu.Unlock()
	for _, id := range known {
		if r, _ := e.b.Ledger.Request(id); r.Status.Ended() {
			e.ring(ctx, r, now)
		}
	}
}

// leftAlarms are those that a bot which died has not resolved.
func (e *engine) leftAlarms(ctx context.Context) {
	if e.b.Alarm == nil {
		return
	}
	now := e.b.Now()
	for _, r := range e.b.Ledger.Alarmed() {
		if now.Sub(r.Last) < 30*24*time.Hour {
			e.ring(ctx, r, now)
		}
	}
}

// ring tells of one request, if that is not how it was told of last.
func (e *engine) ring(ctx context.Context, r access.Request, now time.Time) {
	latest, _ := e.b.Ledger.Request(r.ID)
	e.mu.Lock()
	defer e.mu.Unlock()
	x, known := e.rings[r.ID]
	if x == nil {
		x = &ring{}
		e.rings[r.ID] = x
	}
	if same := known && x.severity == access.Severity(r, now) && x.again.IsZero(); x.busy || same && !latest.Status.Ended() || now.Before(x.again) {
		return
	}
	x.busy = true
	go e.ringAlone(ctx, r.ID, access.AlarmOf(r, now), x)
}

// ringAlone raises or resolves one alarm and records it. A crash in between has
// it told once more.
func (e *engine) ringAlone(ctx context.Context, id string, a access.Alarm, x *ring) {
	call, cancel := context.WithTimeout(ctx, alarmTimeout)
	defer cancel()
	var err error
	note := a.Raised(id, alarmChannel)
	if a.Severity != "" {
		err = e.b.Alarm.Alert(call, id, a.Summary, a.Severity)
	} else {
		err = e.b.Alarm.Resolve(call, id)
		note = access.Resolved(id, alarmChannel)
	}
	r, _ := e.b.Ledger.Request(id)
	if over := r.Status.Ended(); err == nil && (a.Severity != "" || over) {
		err = e.record(ctx, id, note)
	}
	if err != nil && ctx.Err() == nil {
		e.b.Log.Error("the operators could not be alerted; it is tried again", "request", id, "severity", a.Severity, "err", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	x.busy, x.again = false, time.Time{}
	switch {
	case err != nil:
		x.again = e.b.Now().Add(alarmRetry)
	case a.Severity == "" && r.Status.Ended():
		delete(e.rings, id)
	default:
		x.severity = a.Severity
	}
}
