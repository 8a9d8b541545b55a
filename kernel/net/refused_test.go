package net

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRefusalIsToldOnce checks that a connection that is refused while connect(2) still says EINPROGRESS is reported by
// poll and SO_ERROR, however early the refusal comes.
func TestRefusalIsToldOnce(t *testing.T) {
	w := newOurs(t)
	free, err := w.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.bind(free, sa4("127.0.0.1", 0)); err != nil {
		t.Fatal(err)
	}
	nobody, err := w.name(free)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		fd, err := w.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.nonblock(fd)
		told := w.connect(fd, nobody)
		if told == unix.EINPROGRESS {
			events := w.poll(fd, unix.POLLOUT, int(time.Minute/time.Millisecond))
			if want := int16(unix.POLLOUT | unix.POLLERR | unix.POLLHUP); events != want {
				t.Fatalf("connection %d: poll says %#x, want %#x", i, events, want)
			}
			v, err := w.getopt(fd, unix.SOL_SOCKET, unix.SO_ERROR, 4)
			if err != nil {
				t.Fatal(err)
			}
			told = unix.Errno(binary.LittleEndian.Uint32(v))
		}
		if told != unix.ECONNREFUSED {
			t.Fatalf("connection %d: %v, want ECONNREFUSED", i, told)
		}
		w.close(fd)
	}
}
