package github_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"countersign/bot/provider/github"
	"countersign/bot/provider/github/githubtest"
)

// TestLimits: a limit says until when, at once, and nobody waits.
func TestLimits(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	in := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	tests := []struct {
		name      string
		status    int
		header    map[string]string
		message   string
		wait      time.Duration
		secondary bool
	}{
		{"hour 403", 403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(20 * time.Minute)}, "API rate limit exceeded for installation ID 1.", 20 * time.Minute, false},
		{"hour 429", 429, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(20 * time.Minute)}, "API rate limit exceeded", 20 * time.Minute, false},
		{"seconds", 403, map[string]string{"Retry-After": "90"}, "You have exceeded a secondary rate limit.", 90 * time.Second, true},
		{"seconds 429", 429, map[string]string{"Retry-After": "90"}, "slow down", 90 * time.Second, true},
		{"date", 429, map[string]string{"Retry-After": now.Add(5 * time.Minute).UTC().Format(http.TimeFormat)}, "slow down", 5 * time.Minute, true},
		{"nonsense", 429, map[string]string{"Retry-After": "soon"}, "slow down", time.Minute, true},
		{"past", 429, map[string]string{"Retry-After": "0"}, "slow down", time.Second, true},
		{"no header", 429, nil, "slow down", time.Minute, true},
		{"only words", 403, nil, "You have exceeded a secondary rate limit. Please wait a few minutes.", time.Minute, true},
	}
	for _, tt := range tests {
		for _, path := range []string{"GET /user/101", "GET /repos/acme/payments/invitations", "GET /repos/acme/payments/collaborators", "PUT /repos/acme/payments/collaborators/alice-gh"} {
			h := newHub(t)
			p, err := github.New(github.Config{Client: h.client(), BaseURL: h.URL + "/api/v3/", Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			a := githubtest.Refuse(tt.status, tt.message)
			a.Header = tt.header
			h.Do(func() { h.Answer[path] = a })
			o := order(repository("payments", "push"), "alice-gh#101")
			err = p.Grant(within(t), o)
			var limit *github.LimitError
			if !errors.As(err, &limit) || !limit.Until.Equal(now.Add(tt.wait)) || limit.Secondary != tt.secondary || limit.Doing == "" {
				t.Errorf("%s at %s: %v (%+v); want a limit until %v", tt.name, path, err, limit, now.Add(tt.wait))
				continue
			}
			if !strings.Contains(err.Error(), limit.Until.UTC().Format(time.RFC3339)) {
				t.Errorf("%s: the text has no time: %v", tt.name, err)
			}
			if asked := h.Reset(); asked[len(asked)-1] != path || slices.Index(asked, path) != len(asked)-1 {
				t.Errorf("%s: asked again: %q", tt.name, asked)
			}
		}
	}
}

// TestLimitIsKept: while a limit lasts, GitHub is not asked.
func TestLimitIsKept(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	a := githubtest.Refuse(403, "API rate limit exceeded")
	a.Header = map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)}
	h.Do(func() { h.Answer["GET /user/101"] = a })
	o := order(team("search", "member"), "alice-gh#101")
	for range 3 {
		var limit *github.LimitError
		if err := p.Revoke(within(t), o); !errors.As(err, &limit) || time.Until(limit.Until) < 59*time.Minute {
			t.Errorf("Revoke answers %v", err)
		}
	}
	if d := cmp.Diff([]string{"GET /user/101"}, h.Reset()); d != "" {
		t.Errorf("requests (-want +got)\n%s", d)
	}
}

// TestAdvice: a refusal says what to do.
func TestAdvice(t *testing.T) {
	tests := []struct {
		status  int
		message string
		detail  string
		want    string
	}{
		{401, "Bad credentials", "", "renew it"},
		{403, "Resource not accessible by integration", "", "the token may not do that"},
		{403, "Must have admin rights to Repository.", "", "the token may not do that"},
		{403, "Team membership is externally managed", "", "kept by an identity provider"},
		{404, "Not Found", "", "does not exist, or the token does not see it"},
		{422, "Validation Failed", "The organization requires two-factor authentication", "turns it on"},
		{422, "alice-gh is blocked by the organization", "", "an owner unblocks it"},
		{403, "Outside collaborators may not be added", "", "takes no outside collaborators"},
		{422, "Repository owner cannot be a collaborator", "", "an owner has all access already"},
		{422, "Cannot assign alice-gh permission of read", "", "base permission is higher"},
		{422, "Cannot add an organization as a member.", "", "people.github names an organization"},
		{422, "Something new", "and its detail", "(Something new: and its detail)"},
		{500, "Server Error", "", "GitHub answers 500 Internal Server Error (Server Error)"},
	}
	for name, at := range places() {
		for _, tt := range tests {
			h := newHub(t)
			p := provider(t, h)
			a := githubtest.Refuse(tt.status, tt.message)
			if tt.detail != "" {
				data, _ := json.Marshal(map[string]any{"message": tt.message, "errors": []any{map[string]string{"code": "custom", "resource": "x", "message": tt.detail}}})
				a.Body = string(data)
			}
			path := map[string]string{"team": "PUT /orgs/acme/teams/payments-admins/memberships/alice-gh", "repository": "PUT /repos/acme/payments/collaborators/alice-gh"}[name]
			h.Do(func() { h.Answer[path] = a })
			err := p.Grant(within(t), order(at, "alice-gh#101"))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.message) {
				t.Errorf("%s, %d %s: Grant answers %v; want %q", name, tt.status, tt.message, err, tt.want)
			}
		}
	}
}

// TestErrorsAreOneLine, and have no secret in them.
func TestErrorsAreOneLine(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	o := order(team("search", "member"), "alice-gh#101")
	for _, said := range []string{"first\nsecond\x1b[31m\u202e", strings.Repeat("ü", 5000), "\xff\xfe"} {
		h.Do(func() { h.Answer["GET /user/101"] = githubtest.Refuse(500, said) })
		err := p.Grant(within(t), o)
		if err == nil || len([]rune(err.Error())) > 500 || strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%.20q: %q", said, err)
		}
	}
	q, err := github.New(github.Config{Client: h.client(), BaseURL: "http://127.0.0.1:1/", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Grant(within(t), o); err == nil || !strings.Contains(err.Error(), "GitHub cannot be reached") || strings.Contains(err.Error(), githubtest.Token) {
		t.Errorf("unreachable: %v", err)
	}
}

// TestContextErrors: who called off a call can see that it was so.
func TestContextErrors(t *testing.T) {
	h := newHub(t)
	p := provider(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Has(ctx, team("search", "member"), "alice-gh#101")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Has answers %v", err)
	}
	if _, err := p.Discover(ctx, "acme"); !errors.Is(err, context.Canceled) {
		t.Errorf("Discover answers %v", err)
	}
}
