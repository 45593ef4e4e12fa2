package github_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"countersign/bot/provider/github/githubtest"
)

// newHub serves a GitHub that fails the test for what is not documented.
func newHub(t *testing.T) *hub {
	h := &hub{githubtest.New(t.Errorf)}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	h.URL = srv.URL
	return h
}

// A hub is a GitHub with what these tests do to it.
type hub struct{ *githubtest.Hub }

// client is an authenticated client, as the wiring makes it.
func (h *hub) client() *http.Client { return &http.Client{Transport: bearer{}} }

type bearer struct{}

func (bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+githubtest.Token)
	return http.DefaultTransport.RoundTrip(r)
}

// changes are the requests among those that change something.
func changes(requests []string) []string { return githubtest.Changes(requests) }

// within is a context with a deadline, as every call has one.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
