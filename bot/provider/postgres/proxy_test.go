package postgres_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"countersign/bot/bottest"
)

// A cut is what happens to one connection: before or after some message of the
// client's (the startup is number 0), the connection ends or hangs.
type cut struct {
	at    func(n int, message []byte) bool
	after bool // the server gets the message, and its answer is lost
	hang  bool
}

// A proxy stands between the provider and a server, and cuts connections.
type proxy struct {
	listener net.Listener
	upstream string

	mu   sync.Mutex // guards next
	next *cut
}

func newProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, upstream: upstream}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) dsn() string { return dsn("bot", botPassword, p.listener.Addr().String()) }

// cut makes the next connection go wrong.
func (p *proxy) cut(c cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = &c
}

// take is the cut of a connection that begins.
func (p *proxy) take() *cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.next
	p.next = nil
	return c
}

// waiting reports whether the cut connection has yet to come.
func (p *proxy) waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next != nil
}

// inject is a fault of the contract suite: before the first message, or after
// the commit.
func (p *proxy) inject(_ *testing.T, f bottest.Fault) {
	first := func(n int, _ []byte) bool { return n == 0 }
	switch f {
	case bottest.Fails:
		p.cut(cut{at: first})
	case bottest.Hangs:
		p.cut(cut{at: first, hang: true})
	case bottest.FailsAfter:
		p.cut(cut{at: isCommit, after: true})
	case bottest.HangsAfter:
		p.cut(cut{at: isCommit, after: true, hang: true})
	}
}

func isCommit(_ int, message []byte) bool {
	return bytes.HasPrefix(message, []byte("Q\x00\x00\x00\x0bcommit"))
}

const cancelRequest = 80877102

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	first, err := message(client, 0)
	if err != nil {
		return
	}
	if len(first) >= 8 && binary.BigEndian.Uint32(first[4:]) == cancelRequest {
		server.Write(first)
		io.Copy(client, server)
		return
	}
	c := p.take()
	answers := &valve{to: client, ended: make(chan struct{})}
	go func() {
		io.Copy(answers, server)
		close(answers.ended)
		if c == nil || !c.hang {
			client.Close()
		}
	}()
	for n, m := 0, first; err == nil; n++ {
		if c != nil && c.at(n, m) {
			if c.after {
				answers.shut()
				server.Write(m)
				answers.wait()
			}
			if c.hang {
				io.Copy(io.Discard, client) // until the client gives up
			}
			return
		}
		if _, err = server.Write(m); err == nil {
			m, err = message(client, 1)
		}
	}
}

// message reads one message: a length, after head other bytes.
func message(r io.Reader, head int) ([]byte, error) {
	m := make([]byte, head+4)
	if _, err := io.ReadFull(r, m); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(m[head:]))
	if size < 4 || size > 1<<20 {
		return nil, errors.New("no message")
	}
	m = append(m, make([]byte, size-4)...)
	_, err := io.ReadFull(r, m[head+4:])
	return m, err
}

// A valve lets answers through until it is shut.
type valve struct {
	to    io.Writer
	ended chan struct{} // closed when there will be no more answers

	mu   sync.Mutex    // guards lost
	lost chan struct{} // made by shut; gets a value when an answer was lost since
}

func (v *valve) shut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lost = make(chan struct{}, 1)
}

// wait returns when the server has answered what the client will not see.
func (v *valve) wait() {
	select {
	case <-v.lost:
	case <-v.ended:
	}
}

func (v *valve) Write(b []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.lost == nil {
		return v.to.Write(b)
	}
	select {
	case v.lost <- struct{}{}:
	default:
	}
	return len(b), nil
}
