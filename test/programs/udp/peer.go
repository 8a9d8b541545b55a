package main

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"wick/test/programs/check"
)

// toPeer returns a socket that is connected with the peer.
func toPeer(t *check.T) *net.UDPConn {
	if *peerAddress == "" {
		t.Fatalf("needs -peer")
	}
	c, err := net.Dial("udp", *peerAddress)
	t.Must(err)
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c.(*net.UDPConn)
}

func peerEcho(t *check.T) {
	for i := range 100 {
		pingPong(t, toPeer(t), fmt.Sprint("exchange ", i), 1)
	}
}

func peerSizes(t *check.T) {
	c := toPeer(t)
	for size := 0; size <= 1472; size += 46 { // up to the largest that is not fragmented
		pingPong(t, c, strings.Repeat(string(rune('a'+size%26)), size), 2)
	}
}

func peerFragments(t *check.T) {
	c := toPeer(t)
	for _, size := range []int{1473, 2000, 4096, 8000} {
		pingPong(t, c, string(bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]), 3)
	}
}

// peerStranger: the peer's other socket answers first; only the peer's own answer may come.
func peerStranger(t *check.T) {
	c := toPeer(t)
	buf := make([]byte, 100)
	for i := range 20 {
		_, err := fmt.Fprintf(c, "stranger friend %d", i)
		t.Must(err)
		n, err := c.Read(buf)
		t.Must(err)
		check.Equal(t, "datagram", string(buf[:n]), fmt.Sprint("friend ", i))
	}
	wantNothing(t, c)
}

func peerManySockets(t *check.T) {
	var wg sync.WaitGroup
	for i := range 50 {
		c := toPeer(t)
		wg.Go(func() { pingPong(t, c, fmt.Sprint("socket ", i), 10) })
	}
	wg.Wait()
}

// peerBurst lets the peer send faster than it reads: what comes must be whole and in order, and the last may be lost.
func peerBurst(t *check.T) {
	c := toPeer(t)
	t.Must(c.SetReadBuffer(1 << 20))
	_, err := c.Write([]byte("burst 200 1000"))
	t.Must(err)
	got, last := 0, -1
	buf := make([]byte, 2000)
	for got < 200 {
		c.SetReadDeadline(time.Now().Add(3 * time.Second))
		n, err := c.Read(buf)
		if err != nil {
			break
		}
		var number int
		if _, err := fmt.Sscanf(string(buf[:8]), "%d", &number); err != nil || n != 1000 || number <= last {
			t.Fatalf("after datagram %d came %.10q of %d bytes", last, buf, n)
		}
		last = number
		got++
	}
	c.SetReadDeadline(time.Now().Add(patience))
	if got < 50 {
		t.Errorf("%d of 200 datagrams came", got)
	}
	pingPong(t, c, "and still works", 1)
}
