package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Reports are made by somebody else, from the log as it is published: a workflow of
// the forge.
type Reports interface {
	// Start starts the making of one. An error may come although it was started.
	Start(ctx context.Context) (ReportRun, error)
	// Newest is the newest one there is: what tells it from others, and its address.
	// Both are empty where there is none.
	Newest(ctx context.Context) (id, url string, err error)
}

// A ReportRun is the making of one report.
type ReportRun interface {
	// Look asks how far it is. It is called sparingly, and not again after done.
	Look(ctx context.Context) (done, passed bool, err error)
	// URL is the address of its page; empty while that is not known.
	URL() string
}

// A ReportMemory is what survives a restart: what the log was, and when, at the last start
// of a report.
type ReportMemory interface {
	Load() (head string, at time.Time)
	Save(head string, at time.Time) error
}

// ReporterConfig is what a Reporter needs; all of it is required, but for the times.
type ReporterConfig struct {
	Reports  Reports
	Memory   ReportMemory
	Head     func() string // the newest durable commit of the log
	Announce func(text string)
	Log      *slog.Logger

	Every    time.Duration // at most one start in that time; unset: 10 min
	Patience time.Duration // how long one may take; unset: 30 min
}

// Reporter has a report made when the log has moved. Nothing waits for it: whatever
// fails is logged and tried again later.
type Reporter struct {
	ReporterConfig
	failed int // starts in a row that came to nothing
}

// NewReporter returns a reporter that does nothing until it runs.
func NewReporter(c ReporterConfig) (*Reporter, error) {
	if c.Reports == nil || c.Memory == nil || c.Head == nil || c.Announce == nil || c.Log == nil {
		return nil, errors.New("reporter: something is missing")
	}
	if c.Every <= 0 {
		c.Every = 10 * time.Minute
	}
	if c.Patience <= 0 {
		c.Patience = 30 * time.Minute
	}
	return &Reporter{ReporterConfig: c}, nil
}

// How often it looks whether the log has moved, and how long it waits at most after
// failures.
const (
	reportLook    = 30 * time.Second
	reportBackoff = 6 * time.Hour
)

// Run works until the context ends.
func (r *Reporter) Run(ctx context.Context) {
	for sleep(ctx, reportLook) {
		head, last, at := r.Head(), "", time.Time{}
		last, at = r.Memory.Load()
		wait := min(r.Every<<min(r.failed, 10), max(reportBackoff, r.Every))
		if head == "" || head == last && r.failed == 0 || time.Since(at) < wait {
			continue
		}
		// Noted before the start: a crash costs a report, never a start too many.
		if err := r.Memory.Save(head, time.Now()); err != nil {
			r.Log.Error("when a report was started cannot be noted; none is started", "err", err)
			continue
		}
		if err := r.report(ctx); err != nil && ctx.Err() == nil {
			r.failed++
			r.Log.Warn("no report was made", "err", err, "failures", r.failed)
		} else {
			r.failed = 0
		}
	}
}

// report has one report made and tells of it, if it is a new one.
func (r *Reporter) report(ctx context.Context) error {
	before, _, err := r.newest(ctx)
	if err != nil {
		return err
	}
	started, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	run, err := r.Reports.Start(started)
	if err != nil {
		return err
	}
	if err := r.follow(ctx, run); err != nil {
		return err
	}
	after, url, err := r.newest(ctx)
	if err != nil {
		return err
	}
	if after == "" || after == before {
		r.Log.Info("the report has not changed", "run", run.URL())
		return nil
	}
	r.Log.Info("there is a new report", "report", url, "run", run.URL())
	r.Announce(fmt.Sprintf("There is a new <%s|report of all requests>, by <%s|this run>.", url, run.URL()))
	return nil
}

func (r *Reporter) newest(ctx context.Context) (id, url string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return r.Reports.Newest(ctx)
}

// follow waits for the end of a run, and looks less and less often.
func (r *Reporter) follow(ctx context.Context, run ReportRun) error {
	var last error
	began := time.Now()
	for wait := 30 * time.Second; time.Since(began) < r.Patience && sleep(ctx, wait); wait = min(2*wait, 5*time.Minute) {
		look, cancel := context.WithTimeout(ctx, time.Minute)
		done, passed, err := run.Look(look)
		cancel()
		switch last = err; {
		case err != nil: // the run goes on all the same
		case done && !passed:
			return fmt.Errorf("the run failed: %s", run.URL())
		case done:
			return nil
		}
	}
	return errors.Join(fmt.Errorf("the run has not ended after %s: %s", r.Patience, run.URL()), last)
}

// sleep waits, and reports whether the context is still there.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
