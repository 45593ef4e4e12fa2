package incidentio

import (
	"bytes"
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
	maxBody = 4 << 20 // bytes of an answer; a page of schedules has some 100 KB
	tries   = 3       // of a request that is told to wait
)

// A call is one request and the statuses that say that it was granted.
type call struct {
	name   string // for errors: the method and the path
	method string
	url    string
	body   []byte
	want   []int
}

// get asks the API.
func (c *Client) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	k := call{name: "GET " + path, method: http.MethodGet, url: c.base + path, want: []int{http.StatusOK}}
	if len(query) > 0 {
		k.url += "?" + query.Encode()
	}
	return c.do(ctx, k)
}

// post sends a value. Creating answers 201 for escalations and 200 for
// incidents, and what is returned for a used key is not created: both are taken.
func (c *Client) post(ctx context.Context, path string, value any) ([]byte, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("incident.io: POST %s: %w", path, err)
	}
	return c.do(ctx, call{
		name: "POST " + path, method: http.MethodPost, url: c.base + path, body: body, want: []int{http.StatusOK, http.StatusCreated},
	})
}

// do makes a call, and makes it again when it is told to wait and the caller
// has the time.
func (c *Client) do(ctx context.Context, k call) ([]byte, error) {
	for try := 1; ; try++ {
		resp, body, err := c.send(ctx, k)
		if err != nil {
			return nil, c.fault(k, err)
		}
		if slices.Contains(k.want, resp.StatusCode) {
			return body, nil
		}
		r := refused(resp.StatusCode, body)
		if resp.StatusCode != http.StatusTooManyRequests || try == tries {
			return nil, c.fault(k, r)
		}
		if err := pause(ctx, c.retryAfter(resp.Header)); err != nil {
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
	req.Header = http.Header{
		"Accept":        {"application/json"},
		"Authorization": {"Bearer " + c.token()},
		"User-Agent":    {"countersign"},
	}
	if k.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
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

// retryAfter is how long to wait before the next try. incident.io writes dates
// in UTC, where HTTP's own are in GMT.
func (c *Client) retryAfter(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return max(time.Duration(n)*time.Second, time.Second)
	}
	if day, ok := strings.CutSuffix(value, " UTC"); ok {
		value = day + " GMT"
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return time.Second
	}
	return max(at.Sub(c.now()), time.Second)
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

// refused words an answer that grants nothing. That it cannot be read changes
// nothing.
func refused(status int, body []byte) *refusal {
	var a struct {
		Errors []struct {
			Message string `json:"message"`
			Source  struct {
				Field string `json:"field"`
			} `json:"source"`
		} `json:"errors"`
	}
	s := fmt.Sprintf("answered %d %s", status, http.StatusText(status))
	if json.Unmarshal(body, &a) != nil {
		return &refusal{status, s}
	}
	for _, e := range a.Errors {
		s += ": " + e.Message
		if e.Source.Field != "" {
			s += " (" + e.Source.Field + ")"
		}
	}
	return &refusal{status, s}
}

// A refusal is an answer that grants nothing, as incident.io words it.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// A fault is an error whose text has been made fit for logs.
type fault struct {
	text  string
	cause error
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.cause }

// fault words what went wrong with a call: without the address, whose query is
// long, and without the key, whoever put it there.
func (c *Client) fault(k call, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	text := strings.ReplaceAll(err.Error(), c.token(), "(secret)")
	return &fault{text: "incident.io: " + k.name + ": " + line(text, 300), cause: err}
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
