package net

import (
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/vfs"
)

// TestSocketsThatLieInSocketsAreClosedOneByOne: each pair of a long chain has the one before it in its queue. Closed each within the
// other's close they would take a long stack.
func TestSocketsThatLieInSocketsAreClosedOneByOne(t *testing.T) {
	defer debug.SetMaxStack(debug.SetMaxStack(256 << 10))
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var sockets []*unixSocket
	var before []*vfs.OpenFile
	for range 1000 {
		a, b, err := s.newUnixPair(unix.SOCK_DGRAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		data := vfs.Bytes("x")
		if _, err := a.Send(&data, &Message{Files: before}); err != nil {
			t.Fatal(err)
		}
		before = []*vfs.OpenFile{vfs.NewOpenFile(a, unix.O_RDWR), vfs.NewOpenFile(b, unix.O_RDWR)}
		sockets = append(sockets, a.(*unixSocket), b.(*unixSocket))
	}
	for _, f := range before {
		f.Release()
	}
	for i, k := range sockets {
		if k.state != unixClosed {
			t.Fatalf("socket %d is not closed", i)
		}
	}
}
