package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
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

// peerBurst lets the peer send faster than it reads: what comes must be whole and in order, and some may be lost. The peer's answer to
// what is asked for behind the burst tells that no more comes.
func peerBurst(t *check.T) {
	const over = "over"
	c := toPeer(t)
	t.Must(c.SetReadBuffer(1 << 20))
	ask := func(text string) {
		_, err := c.Write([]byte(text))
		t.Must(err)
	}
	ask("burst 200 1000")
	ask(over)
	got, last := 0, -1
	buf := make([]byte, 2000)
	for end := time.Now().Add(patience); ; {
		c.SetReadDeadline(time.Now().Add(time.Second))
		n, err := c.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(end) {
			ask(over) // it may be lost as well
			continue
		}
		t.Must(err)
		if string(buf[:n]) == over {
			break
		}
		var number int
		if _, err := fmt.Sscanf(string(buf[:min(n, 8)]), "%d", &number); err != nil || n != 1000 || number <= last {
			t.Fatalf("after datagram %d came %.10q of %d bytes", last, buf, n)
		}
		last = number
		got++
	}
	if got < 50 {
		t.Errorf("%d of 200 datagrams came", got)
	}
	pingPong(t, toPeer(t), "and still works", 1) // to where no other answer may come
}
