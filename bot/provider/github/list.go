package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/google/go-github/v62/github"
)

const (
	perPage  = 100 // the most that GitHub lists at once
	maxPages = 500 // of one list
	maxReads = 6   // of one list that changes
)

// get reads one JSON value.
func (p *Provider) get(ctx context.Context, path string, into any) error {
	req, err := p.client.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	_, err = p.client.Do(ctx, req, into)
	return err
}

// listable reports by nil that a list may be read.
func (p *Provider) listable(ctx context.Context, path string) error {
	var items []struct{}
	if err := p.get(ctx, path, &items); err != nil {
		return err
	}
	if items == nil {
		return errNoList
	}
	return nil
}

var errNoList = errors.New("the answer is not a list")

// list reads a list to its end, or not at all: of half a list nothing can be
// said about who is not in it. The path ends in its query.
//
// Pages are cut anew at each request. Where somebody leaves the list between two
// of them, those who follow move up by one, and one is on neither page. So a
// list of several pages is read until it is the same twice.
func list[T any](ctx context.Context, p *Provider, path string) ([]T, error) {
	var before []T
	for range maxReads {
		all, n, err := pages[T](ctx, p, path)
		if err != nil || n == 1 || before != nil && reflect.DeepEqual(before, all) {
			return all, err
		}
		before = all
	}
	return nil, errors.New("the list changes while it is read")
}

// pages reads a list once, and says how many pages it had.
func pages[T any](ctx context.Context, p *Provider, path string) (all []T, n int, err error) {
	for n = 1; ; {
		req, err := p.client.NewRequest(http.MethodGet, fmt.Sprintf("%s&per_page=%d&page=%d", path, perPage, n), nil)
		if err != nil {
			return nil, n, err
		}
		var items []T
		resp, err := p.client.Do(ctx, req, &items)
		if resp != nil {
			p.quota.note(resp.Rate)
		}
		if err != nil {
			return nil, n, err
		}
		if items == nil {
			return nil, n, errNoList
		}
		all = append(all, items...)
		if resp.NextPage == 0 {
			return all, n, nil
		}
		if n, err = next(n, resp); err != nil {
			return nil, n, err
		}
	}
}

// next is the number of the page that follows.
func next(n int, resp *github.Response) (int, error) {
	if resp.NextPage != n+1 || resp.NextPage > maxPages {
		return 0, fmt.Errorf("page %d of a list is followed by page %d", n, resp.NextPage)
	}
	return resp.NextPage, nil
}
