package main

import (
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
	"wick/test/programs/peer"
)

// thePeer returns its address, or ends the case.
func thePeer(t *check.T) string {
	if *peerAddress == "" {
		t.Fatalf("needs -peer")
	}
	return *peerAddress
}

// sizes exchanges streams of these lengths, one after the other.
func sizes(lengths ...int64) func(t *check.T) {
	return func(t *check.T) {
		addr := thePeer(t)
		for i, n := range lengths {
			exchange(t, addr, n, uint64(i))
		}
	}
}

// exchange sends a stream of n bytes each way and both ways.
func exchange(t *check.T, addr string, n int64, seed uint64) {
	if err := peer.Download(addr, n, seed); err != nil {
		t.Errorf("download of %d bytes: %v", n, err)
	}
	if err := peer.Upload(addr, n, seed+1000); err != nil {
		t.Errorf("upload of %d bytes: %v", n, err)
	}
	if err := peer.Echo(addr, n, seed+2000); err != nil {
		t.Errorf("echo of %d bytes: %v", n, err)
	}
}

func bulk(t *check.T) {
	addr := thePeer(t)
	t.Must(peer.Download(addr, 64<<20, 7))
	t.Must(peer.Upload(addr, 64<<20, 8))
}

func peerRefused(t *check.T) {
	addr := thePeer(t)
	port, err := peer.FreePort(addr)
	t.Must(err)
	host, _, err := net.SplitHostPort(addr)
	t.Must(err)
	_, err = net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
	t.WantErr("connect to a port without a listener", err, unix.ECONNREFUSED)
}

// inARow makes a thousand connections, one after the other.
func inARow(t *check.T) {
	addr := thePeer(t)
	for i := range 1000 {
		if err := peer.Download(addr, 100, uint64(i)); err != nil {
			t.Fatalf("connection %d of 1000: %v", i+1, err)
		}
	}
}

// atOnce holds two hundred connections open, and uses each.
func atOnce(t *check.T) {
	const many = 200
	addr := thePeer(t)
	conns := make([]net.Conn, many)
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			conns[i] = conn
			if _, err := fmt.Fprintf(conn, "take 2000 %d\n", i); err != nil {
				t.Errorf("connection %d: %v", i, err)
			}
		})
	}
	wg.Wait() // all are open now
	for i, conn := range conns {
		if conn == nil {
			continue
		}
		wg.Go(func() {
			defer conn.Close()
			if err := peer.Send(conn, 2000, uint64(i)); err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			var n int
			if _, err := fmt.Fscanf(conn, "ok %d\n", &n); err != nil || n != 2000 {
				t.Errorf("connection %d: the peer took %d bytes, %v", i, n, err)
			}
		})
	}
	wg.Wait()
}

// mixed does exchanges of different sizes and directions at the same time.
func mixed(t *check.T) {
	addr := thePeer(t)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() { exchange(t, addr, 1000<<i&0x3ffff, uint64(i)) })
	}
	wg.Wait()
}
