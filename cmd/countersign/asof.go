package main

import (
	"context"
	"fmt"
	"time"

	"countersign/bot/access"
	"countersign/bot/ledger"
	"countersign/bot/report"
	"countersign/gitstore"
)

// asof says who had what at a moment.
func asof(ctx context.Context, args []string, c console) error {
	fs := flags(c, "asof", "--repo PATH [--ref audit] TIME", `Says who had what at that time, tab-separated, a row for each access: what the
log knew then, so that an extension that came later is not foreseen. TIME is as
2026-01-31T09:00:00Z, or a day, 2026-01-31, which means its first moment in UTC;
it is not in the future.`)
	path := fs.String("repo", "", "the `PATH` of a repository or clone (required)")
	ref := fs.String("ref", "audit", "the log's `BRANCH`; origin's is taken where there is no other")
	times, err := parseAround(fs, args, "TIME")
	if err != nil {
		return err
	}
	if *path == "" {
		return usageError{"--repo is missing"}
	}
	at, err := moment(times[0], time.Now())
	if err != nil {
		return err
	}
	repo, err := gitstore.Open(ctx, *path)
	if err != nil {
		return err
	}
	l, err := ledger.Open(ctx, readStore{repo, *ref})
	if err != nil {
		return err
	}
	var then []access.Request
	begun := false
	for _, r := range l.Requests() {
		begun = begun || !r.FiledAt.After(at)
		history, err := l.History(ctx, r.ID)
		if err != nil {
			return err
		}
		past, err := replayed(history, at)
		if err != nil {
			return err
		}
		if past.Status == access.Live {
			then = append(then, past)
		}
	}
	if !begun {
		fmt.Fprintf(c.err, "the log begins after %s\n", at.Format(time.RFC3339))
	}
	return report.Held(c.out, then)
}

// replayed is a request as it stood at a moment; zero before its filing.
func replayed(history []ledger.Entry, at time.Time) (access.Request, error) {
	var events []access.Event
	for _, x := range history {
		if x.Event.At.After(at) {
			break
		}
		events = append(events, x.Event)
	}
	return access.Replay(events)
}

// moment reads a time as people give it on the command line. What will be, no log
// knows.
func moment(s string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		t, err := time.Parse(layout, s)
		switch {
		case err != nil:
			continue
		case t.After(now):
			return time.Time{}, usageError{fmt.Sprintf("%s is in the future: the latest is now, %s", s, now.UTC().Format(time.RFC3339))}
		}
		return t.UTC(), nil
	}
	return time.Time{}, usageError{fmt.Sprintf("%q is no time: write it as 2026-01-31T09:00:00Z or 2026-01-31", s)}
}
