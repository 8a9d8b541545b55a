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

// TestConnectThatIsUndoneFails checks that connect(2) doesn't say that the socket is connected when another thread has disconnected it
// meanwhile.
func TestConnectThatIsUndoneFails(t *testing.T) {
	w := newJudged(t) // whose clock stands still: it asks for the address for ever
	fd, err := w.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	check(t, err)
	s := w.fds[fd]
	if err := s.Connect(sa4("192.0.2.77", 80)); err != unix.EINPROGRESS { // nobody has that address
		t.Fatal(err)
	}
	if err := s.FinishConnect(); err != unix.EAGAIN {
		t.Fatal(err)
	}
	check(t, s.Connect(make([]byte, sizeofSockaddrIn))) // AF_UNSPEC
	if err := s.FinishConnect(); err != unix.ECONNABORTED {
		t.Errorf("a connect that was undone says %v, want ECONNABORTED", err)
	}
}
