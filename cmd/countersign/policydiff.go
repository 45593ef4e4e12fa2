package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"countersign/bot/access"
	"countersign/bot/ledger"
	"countersign/config"
	"countersign/gitstore"
)

// policyDiff replays recorded requests under two configurations.
func policyDiff(ctx context.Context, args []string, c console) error {
	fs := flags(c, "policy diff", "OLD NEW --repo PATH [flags]", `Asks two configurations about every request in the log and lists those that they
would treat differently: who could approve them, or that they would be denied or
given automatically. Exits with 1 if there are any.

Who was in the groups that a directory keeps is taken from the log, as it was
when the request was filed or decided.`)
	path := fs.String("repo", "", "the `PATH` of a repository or clone with the log (required)")
	ref := fs.String("ref", "audit", "the log's `BRANCH`; origin's is taken where there is no other")
	since := fs.String("since", "90d", "how far back from the log's end, as a `DURATION`; 0 for all")
	files, err := parseAround(fs, args, "OLD", "NEW")
	if err != nil {
		return err
	}
	if *path == "" {
		return usageError{"--repo is missing"}
	}
	period := time.Duration(0)
	if *since != "0" {
		if period, err = access.ParseDuration(*since); err != nil {
			return usageError{"--since: " + err.Error()}
		}
	}
	before, err := readConfig(files[0])
	if err != nil {
		return err
	}
	after, err := readConfig(files[1])
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
	asked, changed, err := replayAll(ctx, c.out, l, period, before, after)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%s replayed, %d would be treated differently\n", count(asked, "request"), changed)
	if changed > 0 {
		return errFound
	}
	return nil
}

// replayAll asks both configurations about each request, newest first.
func replayAll(ctx context.Context, w io.Writer, l *ledger.Ledger, period time.Duration, before, after *config.File) (asked, changed int, err error) {
	requests := l.Requests()
	for _, r := range requests {
		if period > 0 && r.FiledAt.Before(requests[0].FiledAt.Add(-period)) {
			continue
		}
		asked++
		history, err := l.History(ctx, r.ID)
		if err != nil {
			return asked, changed, err
		}
		facts := factsOf(history)
		was, is := foretell(facts, before, r), foretell(facts, after, r)
		if was == is {
			continue
		}
		changed++
		fmt.Fprintf(w, "%s %s → %s, asked %s, then %s\n  - %s\n  + %s\n", r.ID, r.Principal.Email, r.Resource,
			r.FiledAt.Format("2006-01-02 15:04"), r.Status, was, is)
	}
	return asked, changed, nil
}

// factsOf are the groups and duties that the log holds of a request.
func factsOf(history []ledger.Entry) access.Facts {
	f := access.Facts{Members: map[string][]access.Person{}, Duties: map[string][]access.Duty{}}
	for _, x := range history {
		if f.Now.IsZero() {
			f.Now = x.Event.At
		}
		for key, people := range x.Event.Groups {
			f.Members[key] = people
		}
		for key, duties := range x.Event.Duties {
			f.Duties[key] = duties
		}
	}
	return f
}

// foretell is what a configuration says about a request, in a line.
func foretell(f access.Facts, c *config.File, r access.Request) string {
	res, ok := c.Rules.Resource(r.Resource)
	if !ok {
		return "denied: there is no such resource"
	}
	e := f.Explain(&c.Rules, r.Requestor, r.Principal, res)
	switch e.Outcome {
	case access.WouldBeDenied:
		return "denied: " + access.Plain(e.Reason)
	case access.WouldBeGiven:
		return "automatic: " + string(e.Source)
	}
	who := "nobody that the log names"
	if len(e.Approvers) > 0 {
		who = strings.Join(e.Approvers, ", ")
	}
	return fmt.Sprintf("%s (%s), at most %s", e.Takes, who, access.FormatDuration(e.Limit))
}
