package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/go-github/v62/github"
)

// perPage is the most that GitHub lists at once.
const perPage = 100

// call makes a call, and makes it again where GitHub says to come back later
// and the wait is within the patience. What is told of an error is what was to be
// done, and whether it is [ErrNotFound] or [ErrForbidden].
func (g *GitHub) call(ctx context.Context, doing string, do func() (*github.Response, error)) error {
	for left := g.patience; ; {
		resp, err := do()
		if err == nil {
			return nil
		}
		wait, later := comeBack(resp, time.Now())
		if !later || wait > left {
			return fmt.Errorf("%s: %w", doing, kind(resp, later, err))
		}
		left -= max(wait, time.Second)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", doing, ctx.Err())
		case <-time.After(wait):
		}
	}
}

// kind tells apart what callers tell apart. A limit is no refusal.
func kind(resp *github.Response, limited bool, err error) error {
	switch {
	case resp == nil || limited:
		return err
	case resp.StatusCode == http.StatusNotFound:
		return errors.Join(ErrNotFound, err)
	case resp.StatusCode == http.StatusForbidden && resp.Header.Get("X-RateLimit-Remaining") != "0":
		return errors.Join(ErrForbidden, err)
	}
	return err
}

// comeBack reads how long to wait: Retry-After in seconds or as a date, else the
// end of the hourly limit.
func comeBack(resp *github.Response, now time.Time) (time.Duration, bool) {
	if resp == nil || resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusTooManyRequests {
		return 0, false
	}
	if after := resp.Header.Get("Retry-After"); after != "" {
		if n, err := strconv.Atoi(after); err == nil {
			return time.Duration(max(n, 0)) * time.Second, true
		}
		at, err := http.ParseTime(after)
		return max(at.Sub(now), 0), err == nil
	}
	reset, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil || resp.Header.Get("X-RateLimit-Remaining") != "0" {
		return 0, false
	}
	return max(time.Unix(reset+1, 0).Sub(now), 0), true
}

// pages reads a list to its end, or not at all.
func pages[T any](ctx context.Context, g *GitHub, doing string, list func(*github.ListOptions) ([]T, *github.Response, error)) ([]T, error) {
	var all []T
	opt := &github.ListOptions{PerPage: perPage}
	for {
		var page []T
		var resp *github.Response
		err := g.call(ctx, doing, func() (_ *github.Response, err error) {
			page, resp, err = list(opt)
			return resp, err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if resp.NextPage == 0 {
			return all, nil
		}
		opt.Page = resp.NextPage
	}
}
