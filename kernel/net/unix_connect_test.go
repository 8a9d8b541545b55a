package net

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// unixPrefix sets the abstract names of this process apart: the machine's own are shared by all who run these tests.
var unixPrefix = fmt.Sprintf("wick-%016x-", rand.Uint64())

// unixName is an abstract address, of this run of this test only.
func unixName(t *testing.T, s string) []byte {
	return append([]byte{unix.AF_UNIX, 0, 0}, unixPrefix+t.Name()+s...)
}

// TestUnixSocketConnectsOnce checks that of threads that connect a socket at a time one does, and that the others leave no connection
// behind that nobody has the other end of.
func TestUnixSocketConnectsOnce(t *testing.T) {
	w := newOurs(t)
	l, err := w.socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	check(t, err)
	check(t, w.bind(l, unixName(t, "")))
	check(t, w.listen(l, 8))
	w.nonblock(l)
	for range 5000 {
		c, err := w.socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		check(t, err)
		socket := w.fds[c]
		var connected atomic.Int32
		var threads sync.WaitGroup
		start := make(chan struct{})
		for range 4 {
			threads.Go(func() {
				<-start
				switch err := socket.Connect(unixName(t, "")); err {
				case nil:
					connected.Add(1)
				case unix.EISCONN:
				default:
					t.Error(err)
				}
			})
		}
		close(start)
		threads.Wait()
		s, _, err := w.accept(l)
		check(t, err)
		if _, _, err := w.accept(l); err != unix.EAGAIN || connected.Load() != 1 {
			t.Fatalf("%d threads have connected the socket; the second connection: %v", connected.Load(), err)
		}
		w.close(c)
		w.close(s)
	}
}
