package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/go-github/v62/github"
)

// errGone says that an account, a team or a repository does not exist any more,
// and that this is known. Nobody has access to it, or by it.
var errGone = errors.New("gone")

// A LimitError says that GitHub takes no more requests for a while. Nothing was
// changed by the one that it answers.
type LimitError struct {
	Doing string    // what was to be done
	Until time.Time // when to ask again
	// Secondary: too much at once; otherwise the requests of the hour are used up.
	Secondary bool
}

// Error names the time in UTC.
func (e *LimitError) Error() string {
	which := "the requests of this hour are used up"
	if e.Secondary {
		which = "too many requests at once"
	}
	return fmt.Sprintf("github: %s: GitHub's rate limit: %s: it answers again at %s", e.Doing, which, e.Until.UTC().Format(time.RFC3339))
}

// A fault is an error whose text has been made fit for people.
type fault struct {
	text  string
	cause error
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.cause }

// fault words what went wrong, and what is to be done about it; nil for nil.
func (p *Provider) fault(doing string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		if err != nil {
			err = fmt.Errorf("github: %s: %w", doing, err)
		}
		return err
	}
	if l, ok := p.limit(err); ok {
		l.Doing = doing
		return l
	}
	text := "github: " + doing + ": "
	resp := response(err)
	if resp == nil {
		var u *url.Error
		if errors.As(err, &u) {
			return &fault{text + "GitHub cannot be reached: " + line(u.Err.Error(), 300), err}
		}
		return &fault{text + line(err.Error(), 300), err}
	}
	said := message(err)
	text += "GitHub answers " + strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode)
	if said != "" {
		text += " (" + line(said, 300) + ")"
	}
	if do := advice(resp.StatusCode, said); do != "" {
		text += ": " + do
	}
	return &fault{text, err}
}

// advice says what to do about a refusal. GitHub documents statuses and few of
// its sentences, so the words that are looked for are those of the reason.
func advice(status int, said string) string {
	said = strings.ToLower(said)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(said, w) {
				return true
			}
		}
		return false
	}
	switch {
	case status >= 500:
		return ""
	case status == http.StatusUnauthorized:
		return "the token or the App's key is not valid: renew it"
	case status >= 300 && status < 400:
		return "it was renamed or moved: correct the configuration"
	case has("identity provider", "externally managed", "synchroniz", "team sync"):
		return "the team is kept by an identity provider: change its members there"
	case has("two-factor", "2fa", "two factor"):
		return "the organization requires two-factor authentication: the person turns it on and asks again"
	case has("block"):
		return "the organization has blocked this account: an owner unblocks it"
	case has("outside collaborator"):
		return "the organization takes no outside collaborators: an owner invites the person as a member first"
	case has("owner cannot be", "is an owner", "organization owner"):
		return "an owner has all access already"
	case has("cannot assign"):
		return "the organization's base permission is higher than what was asked for: ask for more, or lower the base permission"
	case has("an organization as a member"):
		return "people.github names an organization: correct the configuration"
	case status == http.StatusForbidden:
		return "the token may not do that (a team needs the permission to write the organization's members, a repository that to administer it), or the team is kept by an identity provider"
	case status == http.StatusNotFound:
		return "it does not exist, or the token does not see it"
	}
	return ""
}

// limit reads how long GitHub wants to be left alone, if that is what it says.
func (p *Provider) limit(err error) (*LimitError, bool) {
	resp := response(err)
	if resp == nil || resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusTooManyRequests {
		return nil, false
	}
	now := p.now()
	if after := resp.Header.Get("Retry-After"); after != "" {
		return &LimitError{Until: retryAfter(after, now), Secondary: true}, true
	}
	var hour *github.RateLimitError
	var burst *github.AbuseRateLimitError
	switch {
	case resp.Header.Get("X-RateLimit-Remaining") == "0":
		reset, _ := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64)
		return &LimitError{Until: later(time.Unix(reset, 0), now)}, true
	case errors.As(err, &hour): // remembered: no request was made
		return &LimitError{Until: later(hour.Rate.Reset.Time, now)}, true
	case errors.As(err, &burst) && burst.RetryAfter != nil:
		return &LimitError{Until: later(now.Add(*burst.RetryAfter), now), Secondary: true}, true
	case resp.StatusCode == http.StatusTooManyRequests, strings.Contains(strings.ToLower(message(err)), "secondary rate limit"):
		return &LimitError{Until: now.Add(time.Minute), Secondary: true}, true
	}
	return nil, false
}

// retryAfter reads seconds or a date. GitHub asks for a minute where it does not
// say how long.
func retryAfter(value string, now time.Time) time.Time {
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return later(now.Add(time.Duration(n)*time.Second), now)
	}
	if at, err := http.ParseTime(value); err == nil {
		return later(at, now)
	}
	return now.Add(time.Minute)
}

// later is a time that is not past: at least a second from now.
func later(at, now time.Time) time.Time {
	if least := now.Add(time.Second); at.Before(least) {
		return least
	}
	return at
}

// response is the answer that an error is about; nil if there was none.
func response(err error) *http.Response {
	var refused *github.ErrorResponse
	var hour *github.RateLimitError
	var burst *github.AbuseRateLimitError
	switch {
	case errors.As(err, &refused):
		return refused.Response
	case errors.As(err, &hour):
		return hour.Response
	case errors.As(err, &burst):
		return burst.Response
	}
	return nil
}

// status is that of the answer; 0 if there was none, and for what went well. A
// limit is no answer to what was asked.
func status(err error) int {
	var refused *github.ErrorResponse
	if errors.As(err, &refused) && refused.Response != nil {
		return refused.Response.StatusCode
	}
	return 0
}

// message is what GitHub says for people.
func message(err error) string {
	var burst *github.AbuseRateLimitError
	if errors.As(err, &burst) {
		return burst.Message
	}
	var refused *github.ErrorResponse
	if !errors.As(err, &refused) {
		return ""
	}
	said := []string{refused.Message}
	for _, e := range refused.Errors {
		if e.Message != "" {
			said = append(said, e.Message)
		}
	}
	return strings.Trim(strings.Join(said, ": "), ": ")
}

// line makes a text one line of at most so many runes.
func line(s string, size int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if r := []rune(s); len(r) > size {
		return string(r[:size-1]) + "…"
	}
	return s
}
