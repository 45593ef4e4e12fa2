package webhook_test

import (
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign/bot/access"
	"countersign/bot/provider/webhook"
)

// names is a name server that answers every question with the addresses given.
func names(t *testing.T, addresses ...string) func(*webhook.Config) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		for b := make([]byte, 1500); ; {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			c.WriteTo(reply(b[:n], addresses), from)
		}
	}()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", c.LocalAddr().String())
	}
	return func(c *webhook.Config) { c.Resolver = &net.Resolver{PreferGo: true, Dial: dial} }
}

// reply answers a question of the domain name system.
func reply(q []byte, addresses []string) []byte {
	end := 12
	for q[end] != 0 {
		end += int(q[end]) + 1
	}
	question := q[12 : end+5]
	var answers []byte
	var count uint16
	for _, s := range addresses {
		a := netip.MustParseAddr(s)
		kind := uint16(1)
		if a.Is6() {
			kind = 28
		}
		if binary.BigEndian.Uint16(question[len(question)-4:]) == kind {
			count++
			answers = append(answers, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(a.BitLen()/8))
			answers = append(answers, a.AsSlice()...)
		}
	}
	out := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1}, byte(count>>8), byte(count), 0, 0, 0, 0)
	return append(append(out, question...), answers...)
}

// public is a target without allow_private.
func public(url string) access.Target {
	at := target(url)
	at.With["allow_private"] = false
	return at
}

// TestForgedAddresses: whatever the address is called, it is the number that is
// dialled that counts, and nobody there sees a connection.
func TestForgedAddresses(t *testing.T) {
	var connections atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"changed":true,"present_before":true}`)
	}))
	s.Config.ConnState = func(net.Conn, http.ConnState) { connections.Add(1) }
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	none := func(*webhook.Config) {}
	tests := []struct {
		name, host string
		names      func(*webhook.Config)
		private    bool
	}{
		{"loopback", "127.0.0.1", none, false},
		{"loopback by name", "localhost", none, false},
		{"IPv6 loopback", "[::1]", none, false},
		{"mapped", "[::ffff:127.0.0.1]", none, false},
		{"unspecified", "0.0.0.0", none, false},
		{"unspecified, IPv6", "[::]", none, false},
		{"metadata", "169.254.169.254", none, false},
		{"private", "10.0.0.1", none, false},
		{"private, 172", "172.16.0.1", none, false},
		{"private, 192", "192.168.0.1", none, false},
		{"shared", "100.64.0.1", none, false},
		{"unique local", "[fd00::1]", none, false},
		{"link-local", "[fe80::1]", none, false},
		{"link-local with a zone", "[fe80::1%25lo]", none, false},
		{"NAT64", "[64:ff9b::7f00:1]", none, false},
		{"6to4", "[2002:7f00:1::1]", none, false},
		{"name of loopback", "example.com", names(t, "127.0.0.1"), false},
		{"name of loopback, IPv6", "example.com", names(t, "::1"), false},
		{"name of several", "example.com", names(t, "10.0.0.1", "127.0.0.1", "::1", "fd00::1"), false},
		{"name of mapped", "example.com", names(t, "::ffff:127.0.0.1"), false},
		{"name of metadata", "example.com", names(t, "169.254.169.254"), false},
		{"metadata, private", "169.254.169.254", none, true},
		{"link-local, private", "[fe80::1%25lo]", none, true},
		{"unspecified, private", "0.0.0.0", none, true},
		{"name of metadata, private", "example.com", names(t, "169.254.169.254", "fd00:ec2::254"), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := public("https://" + tt.host + ":" + port + "/")
			at.With["allow_private"] = tt.private
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := provider(t, trusting(s), tt.names).Grant(ctx, order(at))
			if !errors.Is(err, webhook.ErrAddress) || !strings.Contains(err.Error(), "may not be called") {
				t.Errorf("%v", err)
			}
		})
	}
	if n := connections.Load(); n != 0 {
		t.Fatalf("%d connections were made", n)
	}
	// The server would have answered: what is permitted gets there, and by the
	// name, whose certificate it is.
	p := provider(t, trusting(s), names(t, "127.0.0.1"))
	if err := p.Grant(t.Context(), order(target("https://example.com:"+port))); err != nil || connections.Load() == 0 {
		t.Errorf("with allow_private: %v", err)
	}
	// That connection serves nobody else.
	if err := p.Grant(t.Context(), order(public("https://example.com:"+port))); !errors.Is(err, webhook.ErrAddress) {
		t.Errorf("without allow_private, after a call with it: %v", err)
	}
}

// TestPlain: http reaches loopback alone, even where localhost is elsewhere.
func TestPlain(t *testing.T) {
	w := newWorld(t)
	s := httptest.NewServer(http.HandlerFunc(w.handle))
	t.Cleanup(s.Close)
	w.server = s
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if err := provider(t).Grant(t.Context(), order(target("http://"+host+":"+port+"/crm"))); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	err := provider(t).Grant(t.Context(), order(public("http://127.0.0.1:"+port+"/crm")))
	if err == nil || len(w.bodies) != 2 {
		t.Errorf("without allow_private: %v, %d orders", err, len(w.bodies))
	}
}

// TestCertificates: a receiver that cannot prove its name gets no order.
func TestCertificates(t *testing.T) {
	var calls atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	s.Config.ErrorLog = discard()
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	for name, err := range map[string]error{
		"unknown authority": provider(t).Grant(t.Context(), order(target(s.URL))),
		"another name":      provider(t, trusting(s), names(t, "127.0.0.1")).Grant(t.Context(), order(target("https://other.example.net:"+port))),
	} {
		if err == nil || !strings.Contains(err.Error(), "certificate") || calls.Load() != 0 {
			t.Errorf("%s: %v, %d calls", name, err, calls.Load())
		}
	}
}

// TestRedirects: none is followed, of any kind and to anywhere.
func TestRedirects(t *testing.T) {
	var followed atomic.Int32
	var status int
	var to string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/to" {
			followed.Add(1)
			io.WriteString(w, `{"changed":true,"present_before":true}`)
			return
		}
		w.Header().Set("Location", to)
		w.WriteHeader(status)
	})
	p := provider(t, trusting(s))
	for _, status = range []int{301, 302, 303, 307, 308} {
		for _, to = range []string{"/to", s.URL + "/to", "http://169.254.169.254/", "file:///etc/passwd", "::"} {
			err := p.Revoke(t.Context(), order(target(s.URL+"/from")))
			if err == nil || !strings.Contains(err.Error(), "redirects are not followed") || followed.Load() != 0 {
				t.Errorf("%d to %s: %v, followed %d times", status, to, err, followed.Load())
			}
		}
	}
}

// TestSlowAndHuge: no answer costs more than the time and the bytes that are
// allowed.
func TestSlowAndHuge(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"body without end": func(w http.ResponseWriter, r *http.Request) { write(w, r, 1<<20, 0) },
		"slow body":        func(w http.ResponseWriter, r *http.Request) { write(w, r, 1, 10*time.Millisecond) },
		"slow error": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			write(w, r, 1, 10*time.Millisecond)
		},
		"silence":     func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"huge header": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 64<<10)) },
		"switching protocols": func(w http.ResponseWriter, r *http.Request) {
			c, b, _ := w.(http.Hijacker).Hijack()
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
			io.Copy(io.Discard, b)
		},
		"hints without end": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.WriteHeader(http.StatusEarlyHints)
			}
		},
		"bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			io.WriteString(z, `{"changed":true,"present_before":true}`)
			z.Write(make([]byte, 1<<20))
			z.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body) // else the server does not see that the caller gave up
				answer(w, r)
			}))
			s.Config.ErrorLog = discard()
			s.StartTLS()
			t.Cleanup(s.Close)
			p := provider(t, trusting(s), func(c *webhook.Config) { c.Timeout = 300 * time.Millisecond })
			begin := time.Now()
			err := p.Grant(t.Context(), order(target(s.URL)))
			if took := time.Since(begin); err == nil || took > 5*time.Second {
				t.Errorf("%v after %s", err, took)
			}
			if (name == "silence" || strings.HasPrefix(name, "slow")) && (!errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "in time")) {
				t.Errorf("%v", err)
			}
		})
	}
}

// write answers n bytes again and again.
func write(w http.ResponseWriter, r *http.Request, n int, every time.Duration) {
	for r.Context().Err() == nil {
		if _, err := w.Write(make([]byte, n)); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		time.Sleep(every)
	}
}
