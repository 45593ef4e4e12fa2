// Package oncalltest has local stand-ins for PagerDuty and incident.io: HTTP
// handlers with a state that tests and the demo set and look at.
//
// They are stricter than the real ones. What those would overlook (a header
// that is missing, a parameter or a key that they do not know) is answered with
// 400 and remembered as a complaint. They can be made to fail in every way in
// which a service on the net fails, see [Fault].
package oncalltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Fault is what happens to a request instead of, before or after its answer.
type Fault struct {
	On     string            // which requests, such as "GET /oncalls"; empty: all
	Times  int               // how many of them; unset: one
	Delay  time.Duration     // before anything else, or until the client has gone
	Act    bool              // the request takes effect although the answer is lost or another
	Cut    bool              // the connection ends without an answer
	Status int               // of the answer instead of the real one; unset: the real one
	Header map[string]string // of that answer
	Body   string            // of that answer
}

// HTML is an answer of a proxy with 500, which is no JSON.
func HTML(on string) Fault {
	return Fault{On: on, Status: http.StatusInternalServerError, Header: map[string]string{"Content-Type": "text/html"},
		Body: "<html><body><h1>Something went wrong</h1></body></html>"}
}

// CutBefore ends the connection before the request takes effect.
func CutBefore(on string) Fault { return Fault{On: on, Cut: true} }

// CutAfter ends the connection after the request took effect.
func CutAfter(on string) Fault { return Fault{On: on, Cut: true, Act: true} }

// Says answers a request with 200 and this body.
func Says(on, body string) Fault {
	return Fault{On: on, Status: http.StatusOK, Header: map[string]string{"Content-Type": "application/json"}, Body: body}
}

// A desk is what both stand-ins are: it takes requests, keeps faults and
// complaints, and answers.
type desk struct {
	complain func(format string, args ...any)

	mu         sync.Mutex // guards all below, and the state of the stand-in
	faults     []Fault
	complaints []string
	requests   []string
}

// Fail adds faults. The first one that fits a request is used for it.
func (d *desk) Fail(faults ...Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range faults {
		f.Times = max(f.Times, 1)
		d.faults = append(d.faults, f)
	}
}

// Complaints are what the client did that it should not do.
func (d *desk) Complaints() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.complaints)
}

// Requests are those that came, each with its method, path and query.
func (d *desk) Requests() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.requests)
}

// An answer is a status and a value that is sent as JSON.
type answer struct {
	status int
	header map[string]string
	value  any
	then   func() // what follows from the request, done without the lock; nil: nothing
}

// wrong complains about a request and refuses it. The caller holds the lock.
func (d *desk) wrong(r *http.Request, format string, args ...any) answer {
	text := r.Method + " " + r.URL.Path + ": " + fmt.Sprintf(format, args...)
	d.complaints = append(d.complaints, text)
	if d.complain != nil {
		d.complain("%s", text)
	}
	return answer{status: http.StatusBadRequest, value: map[string]any{"complaint": text}}
}

// take notes a request and finds its fault.
func (d *desk) take(r *http.Request) Fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := r.Method + " " + r.URL.Path
	d.requests = append(d.requests, strings.TrimSuffix(name+"?"+r.URL.RawQuery, "?"))
	for i := range d.faults {
		if f := &d.faults[i]; f.Times > 0 && (f.On == "" || f.On == name) {
			f.Times--
			return *f
		}
	}
	return Fault{}
}

// serve plays a request, with its fault if it has one.
func (d *desk) serve(w http.ResponseWriter, r *http.Request, play func(*http.Request, []byte) answer) {
	f := d.take(r)
	if f.Delay > 0 {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			return
		}
	}
	faulty := f.Cut || f.Status != 0
	var a answer
	if !faulty || f.Act {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return
		}
		d.mu.Lock()
		a = play(r, body)
		d.mu.Unlock()
		if a.then != nil {
			a.then()
		}
	}
	switch {
	case f.Cut:
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		for k, v := range f.Header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(f.Status)
		io.WriteString(w, f.Body)
	default:
		a.write(w)
	}
}

func (a answer) write(w http.ResponseWriter) {
	body, err := json.Marshal(a.value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(a.status)
	w.Write(body)
}

// strict reads a body that must have the shape of the value and no more.
func strict(body []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("more than one value")
	}
	return nil
}

// unknown names a parameter that is none of these, or comes twice although it
// is no list.
func unknown(q url.Values, known ...string) string {
	for k, v := range q {
		if !slices.Contains(known, k) || len(v) > 1 && !strings.HasSuffix(k, "[]") {
			return k
		}
	}
	return ""
}

// number reads a whole number of a query.
func number(q url.Values, key string, unset, least, most int) (int, error) {
	if !q.Has(key) {
		return unset, nil
	}
	n, err := strconv.Atoi(q.Get(key))
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s=%q: want %d to %d", key, q.Get(key), least, most)
	}
	return n, nil
}

// Transport is a net without wires: a handler answers in the same process, so
// that a test can run in simulated time. A handler that aborts is a connection
// that ends.
func Transport(h http.Handler) http.RoundTripper { return wire{h} }

type wire struct{ h http.Handler }

func (t wire) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	done := make(chan *sheet, 1)
	go func() {
		s := &sheet{header: http.Header{}, status: http.StatusOK}
		defer func() {
			if e := recover(); e == http.ErrAbortHandler {
				s = nil
			} else if e != nil {
				panic(e)
			}
			done <- s
		}()
		t.h.ServeHTTP(s, in)
	}()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case s := <-done:
		if s == nil {
			return nil, io.ErrUnexpectedEOF
		}
		return &http.Response{
			StatusCode: s.status, Status: http.StatusText(s.status), Header: s.header, Request: r,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(&s.body), ContentLength: int64(s.body.Len()),
		}, nil
	}
}

// A sheet is an answer while it is written.
type sheet struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (s *sheet) Header() http.Header         { return s.header }
func (s *sheet) WriteHeader(status int)      { s.status = status }
func (s *sheet) Write(p []byte) (int, error) { return s.body.Write(p) }
