package net

import (
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/vfs"
)

// TestLoopbackTakesNoConnectionsThatThereIsNoMemoryFor: those that have been asked for count before they have taken any.
func TestLoopbackTakesNoConnectionsThatThereIsNoMemoryFor(t *testing.T) {
	const room = 5
	var most, low atomic.Int64
	var full atomic.Bool
	s, err := New(Options{
		Crowded: func(n int) bool { most.Store(max(most.Load(), int64(n))); return n > room || full.Load() },
		Low:     func() bool { return low.Load() != 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	to := sa4("127.0.0.1", 7)
	l, err := s.NewSocket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil || l.Bind(to) != nil || l.Listen(100) != nil {
		t.Fatal("no listener")
	}
	defer l.Close()
	for n := 0; n < 1000 && s.counter("lo.dropped-no-memory") == 0; n++ {
		c, err := s.NewSocket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.Connect(to); err != unix.EINPROGRESS {
			t.Fatalf("connect: %v", err)
		}
	}
	if n := s.counter("lo.dropped-no-memory"); n == 0 || most.Load() != room+1 {
		t.Errorf("%d are dropped, and room for up to %d was asked for", n, most.Load())
	}
	full.Store(true)
	c, err := s.NewSocket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Connect(to); err != unix.ENOBUFS {
		t.Errorf("connect without memory for one connection: %v", err)
	}
	low.Store(1)
	before := s.counter("lo.dropped-no-memory")
	d, err := s.NewSocket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	data := vfs.Bytes("x")
	if _, err := d.Send(&data, &Message{Addr: to}); err != nil {
		t.Error(err)
	}
	if s.counter("lo.dropped-no-memory") == before {
		t.Error("a datagram is not dropped with memory low")
	}
}

// counter is a counter of the stack.
func (s *Stack) counter(name string) (value uint64) {
	s.Counters(func(n string, v uint64) {
		if n == name {
			value = v
		}
	})
	return value
}
