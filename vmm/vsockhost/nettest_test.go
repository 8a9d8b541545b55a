package vsockhost

import (
	"io"
	"net"
	"sync"
	"testing"

	"golang.org/x/net/nettest"

	"wick/vsock"
	"wick/vsock/hybrid"
)

// TestConnsAreNetConns puts connections of package hybrid to the conformance test of package net: from the host into the
// guest, where a program connects them to the host again, so that both ends are such connections.
func TestConnsAreNetConns(t *testing.T) {
	w := newWorld(t, 0, Config{})
	const port, back = 7, 8
	local := uint32(1000)
	w.listen(port, func(in *stream) {
		w.mu.Lock()
		local++
		from := local
		w.mu.Unlock()
		out, err := w.dial(from, back)
		if err != nil {
			in.Reset()
			return
		}
		inReader, inWriter := ends(in.Conn)
		outReader, outWriter := ends(out.Conn)
		var work sync.WaitGroup
		for _, s := range [][2]*stream{{inReader, outWriter}, {outReader, inWriter}} {
			work.Go(func() {
				io.Copy(struct{ io.Writer }{s[1]}, struct{ io.Reader }{s[0]})
				s[1].Shutdown(vsock.ShutSend)
				s[0].Shutdown(vsock.ShutReceive)
			})
		}
		work.Wait()
		in.Close()
		out.Close()
	})
	l, err := hybrid.Listen(w.path, back)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		c1, err = hybrid.Dial(w.path, port)
		if err != nil {
			return nil, nil, nil, err
		}
		if c2, err = l.Accept(); err != nil {
			c1.Close()
			return nil, nil, nil, err
		}
		return c1, c2, func() { c1.Close(); c2.Close() }, nil
	})
}

// ends returns a connection for one goroutine that reads and one that writes.
func ends(c *vsock.Conn) (reader, writer *stream) {
	reader, writer = &stream{c, make(chan struct{}, 1)}, &stream{c, make(chan struct{}, 1)}
	c.Notify(func() {
		for _, s := range []*stream{reader, writer} {
			select {
			case s.changed <- struct{}{}:
			default:
			}
		}
	})
	return reader, writer
}
