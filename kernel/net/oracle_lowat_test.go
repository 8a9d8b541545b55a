package net

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRecvLowatOracle(t *testing.T) {
	compare(t, "TCP", func(r *trace) {
		c, s := r.connection()
		r.GetInt(s, unix.SOL_SOCKET, unix.SO_RCVLOWAT)
		for _, v := range []int{0, 1, 6} {
			r.SetInt(s, unix.SOL_SOCKET, unix.SO_RCVLOWAT, v)
			r.GetInt(s, unix.SOL_SOCKET, unix.SO_RCVLOWAT)
		}
		r.SetBytes(s, unix.SOL_SOCKET, unix.SO_RCVLOWAT, []byte{1})
		r.Send(c, "abc", nil, 0)
		r.awaitAvailable(s, 3)
		r.Poll(s, pollAll)
		r.Send(c, "def", nil, 0)
		r.Await(s, unix.POLLIN)
		r.Poll(s, pollAll)
		r.Read(s, 4)
		r.Poll(s, pollAll)
		r.Recv(s, 10, unix.MSG_DONTWAIT) // less is there, and it doesn't wait
		r.Send(c, "ghi", nil, 0)
		r.awaitAvailable(s, 3)
		r.Poll(s, pollAll)
		r.SetInt(s, unix.SOL_SOCKET, unix.SO_RCVLOWAT, 3)
		r.Poll(s, pollAll)
		r.SetInt(s, unix.SOL_SOCKET, unix.SO_RCVLOWAT, 100)
		r.Poll(s, pollAll)
		r.Shutdown(c, unix.SHUT_WR)
		r.Await(s, unix.POLLRDHUP)
		r.Poll(s, pollAll)
		r.Recv(s, 200, 0)
		r.Recv(s, 200, 0)
	})
	compare(t, "TCP, reset", func(r *trace) {
		c, s := r.connection()
		r.SetInt(s, unix.SOL_SOCKET, unix.SO_RCVLOWAT, 100)
		r.SetBytes(c, unix.SOL_SOCKET, unix.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		r.Close(c)
		r.Await(s, unix.POLLERR)
		r.Poll(s, pollAll)
		r.Recv(s, 200, 0)
	})
	compare(t, "TCP, more than the receive buffer", func(r *trace) {
		c, s := r.connection()
		const much = 100000
		r.SetInt(s, unix.SOL_SOCKET, unix.SO_RCVLOWAT, much)
		r.GetInt(s, unix.SOL_SOCKET, unix.SO_RCVLOWAT)
		r.Send(c, strings.Repeat("x", much-1), nil, 0)
		r.awaitAvailable(s, much-1)
		r.Poll(s, pollAll)
		r.Send(c, "x", nil, 0)
		r.Await(s, unix.POLLIN)
		r.Poll(s, pollAll)
		r.Available(s)
	})
	compare(t, "TCP, inherited", func(r *trace) {
		l, sa := r.listener(1)
		r.SetInt(l, unix.SOL_SOCKET, unix.SO_RCVLOWAT, 2)
		r.SetBytes(l, unix.SOL_SOCKET, unix.SO_RCVTIMEO, []byte{9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
		c := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Connect(c, sa)
		r.Await(l, unix.POLLIN)
		s := r.Accept(l)
		r.GetInt(s, unix.SOL_SOCKET, unix.SO_RCVLOWAT)
		r.GetBytes(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, 16)
	})
	compare(t, "AF_UNIX", func(r *trace) {
		a, b := r.Pair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		r.SetInt(a, unix.SOL_SOCKET, unix.SO_RCVLOWAT, 6)
		r.GetInt(a, unix.SOL_SOCKET, unix.SO_RCVLOWAT)
		r.Send(b, "abc", nil, 0)
		r.Poll(a, pollAll) // which unix_poll doesn't look at
		r.Recv(a, 10, unix.MSG_PEEK)
		r.Recv(a, 10, unix.MSG_DONTWAIT)
	})
}

// awaitAvailable waits until n bytes can be read, whatever poll says.
func (r *trace) awaitAvailable(fd, n int) {
	r.await("bytes to read", func() bool {
		have, err := r.fionread(fd)
		return err != nil || have >= n
	})
}

// TestRecvLowatTinySegments has a peer that sends more, byte by byte, than there is memory for what the engine keeps of each:
// the program must be told, or both wait for ever.
func TestRecvLowatTinySegments(t *testing.T) {
	r := &trace{world: newOurs(t), t: t, ports: make(map[int]string)}
	c, s := r.connection()
	r.SetInt(c, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	r.SetInt(s, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096)
	r.SetInt(s, unix.SOL_SOCKET, unix.SO_RCVLOWAT, 100000)
	r.SetInt(s, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096)
	r.nonblock(c)
	for range 1000 {
		if _, err := r.write(c, []byte("x")); err != nil {
			break
		}
	}
	if got := r.poll(s, unix.POLLIN, int(testPatience.Milliseconds())); got != unix.POLLIN {
		t.Errorf("poll = %#x", got)
	}
}
