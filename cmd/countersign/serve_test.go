package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestStalledBody: who announces a body and never sends it is answered and left alone,
// whatever the page; and what is read for long goes on.
func TestStalledBody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /long", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(bodyTime + 2*time.Second):
			_, _ = io.WriteString(w, "still there")
		}
	})
	t.Cleanup(serveHTTP(l, mux, slog.New(slog.DiscardHandler)))
	for request, want := range map[string]string{
		"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\na":       "HTTP/1.1 404",
		"POST /long HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na": "HTTP/1.1 405",
		"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":                 "HTTP/1.1 200",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprint(c, request)
			_ = c.SetReadDeadline(time.Now().Add(2 * patience))
			if answer, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(answer), want) {
				t.Errorf("%v, %s", err, answer)
			}
		})
	}
}
