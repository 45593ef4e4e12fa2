package pagerduty

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxBody = 4 << 20 // bytes of an answer; a page of a hundred entries has some 300 KB
	tries   = 3       // of a request that is told to wait
)

// A call is one request and the status that says that it was granted.
type call struct {
	name   string // for errors: the method and the path
	method string
	url    string
	header http.Header
	body   []byte
	want   int
}

// get asks the REST API.
func (c *Client) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	return c.do(ctx, call{
		name: "GET " + path, method: http.MethodGet, url: c.base + path + "?" + query.Encode(), header: c.header(), want: http.StatusOK,
	})
}

// header is what every request to the REST API carries.
func (c *Client) header() http.Header {
	return http.Header{
		"Accept":        {"application/vnd.pagerduty+json;version=2"},
		"Authorization": {"Token token=" + c.token()},
		"Content-Type":  {"application/json"},
		"User-Agent":    {"countersign"},
	}
}

// do makes a call, and makes it again when it is told to wait and the caller
// has the time. Nothing else is tried again here: whether the effect of a lost
// answer took place is for the operation to find out.
func (c *Client) do(ctx context.Context, k call) ([]byte, error) {
	if k.header.Get("Authorization") == "Token token=" {
		return nil, c.fault(k, errors.New("there is no token; set PAGERDUTY_TOKEN"))
	}
	for try := 1; ; try++ {
		resp, body, err := c.send(ctx, k)
		if err != nil {
			return nil, c.fault(k, err)
		}
		if resp.StatusCode == k.want {
			return body, nil
		}
		r := refused(resp.StatusCode, body)
		if resp.StatusCode != http.StatusTooManyRequests || try == tries {
			return nil, c.fault(k, r)
		}
		if err := pause(ctx, c.reset(resp.Header)); err != nil {
			return nil, c.fault(k, fmt.Errorf("%w: %w", r, err))
		}
	}
}

// send makes one request and reads the whole answer.
func (c *Client) send(ctx context.Context, k call) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, k.method, k.url, bytes.NewReader(k.body))
	if err != nil {
		return nil, nil, err
	}
	req.Header = k.header
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err == nil && len(body) > maxBody {
		err = fmt.Errorf("the answer has more than %d bytes", maxBody)
	}
	return resp, body, err
}

// reset is how long to wait before the next try.
func (c *Client) reset(h http.Header) time.Duration {
	wait := time.Second
	value := strings.TrimSpace(cmp.Or(h.Get("Ratelimit-Reset"), h.Get("Retry-After")))
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		wait = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(c.now())
	}
	return max(wait, time.Second)
}

var errTooLong = errors.New("the rate limit lasts longer than there is time")

// pause waits, unless the time would be over before: then it says so at once.
func pause(ctx context.Context, d time.Duration) error {
	if at, ok := ctx.Deadline(); ok && time.Until(at) <= d {
		return errTooLong
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// A refusal is an answer that grants nothing, as PagerDuty words it.
type refusal struct {
	status int
	code   int
	text   string
}

func (r *refusal) Error() string {
	s := fmt.Sprintf("answered %d %s", r.status, http.StatusText(r.status))
	if r.text != "" {
		s += ": " + r.text
	}
	return s
}

// refused reads an error answer. That it cannot be read changes nothing.
func refused(status int, body []byte) *refusal {
	r := &refusal{status: status}
	var rest struct {
		Error struct {
			Code    int      `json:"code"`
			Message string   `json:"message"`
			Errors  []string `json:"errors"`
		} `json:"error"`
	}
	var event struct {
		Message string   `json:"message"`
		Errors  []string `json:"errors"`
	}
	if json.Unmarshal(body, &rest) == nil && rest.Error.Message != "" {
		r.code = rest.Error.Code
		r.text = strings.Join(append([]string{rest.Error.Message}, rest.Error.Errors...), "; ")
	} else if json.Unmarshal(body, &event) == nil && event.Message != "" {
		r.text = strings.Join(append([]string{event.Message}, event.Errors...), "; ")
	}
	return r
}

// A fault is an error whose text has been made fit for logs.
type fault struct {
	text  string
	cause error
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.cause }

// fault words what went wrong with a call: without the address, whose query is
// long, and without secrets, whoever put them there.
func (c *Client) fault(k call, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	text := err.Error()
	for _, secret := range []string{c.token(), c.routing()} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "(secret)")
		}
	}
	return &fault{text: "pagerduty: " + k.name + ": " + line(text, 300), cause: err}
}

// decode reads an answer that must be one JSON value in UTF-8.
func decode(body []byte, into any) error {
	if !utf8.Valid(body) {
		return errors.New("the answer is not UTF-8")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	return nil
}

// line makes a text one line of at most so many bytes.
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
	if len(s) <= size {
		return s
	}
	cut := s[:size-len("…")]
	for !utf8.ValidString(cut) {
		cut = cut[:len(cut)-1]
	}
	return cut + "…"
}

// only reports whether what was answered about was asked for.
func only(asked []string, got string) bool {
	return len(asked) == 0 || slices.Contains(asked, got)
}
