package net

import (
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
)

// A peer that remembers the last connection of a port may reset the next one, if that comes at once.
func TestPortIsNotChosenAgainSoon(t *testing.T) {
	const apart = (lastEphemeralPort-firstEphemeralPort+1)/portWindow - 1
	for _, c := range []struct {
		name   string
		typ    int
		choose func(w *ours, fd int, listener []byte) error
	}{
		{"bind", unix.SOCK_STREAM, func(w *ours, fd int, _ []byte) error { return w.bind(fd, sa4("127.0.0.1", 0)) }},
		{"listen", unix.SOCK_STREAM, func(w *ours, fd int, _ []byte) error { return w.listen(fd, 1) }},
		{"connect", unix.SOCK_STREAM, (*ours).connect},
		{"UDP", unix.SOCK_DGRAM, (*ours).connect},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newOurs(t)
			listener := w.listener(t)
			used := make(map[int]int)
			for i := range 3 * apart {
				fd, err := w.socket(unix.AF_INET, c.typ, 0)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.choose(w, fd, listener); err != nil {
					t.Fatal(err)
				}
				sa, err := w.name(fd)
				if err != nil {
					t.Fatal(err)
				}
				w.close(fd)
				port := portOf(sa)
				if port < firstEphemeralPort || port > lastEphemeralPort {
					t.Fatalf("port %d is outside of the range", port)
				}
				if last, ok := used[port]; ok && i-last < apart {
					t.Fatalf("port %d is chosen again after %d others, want at least %d", port, i-last, apart)
				}
				used[port] = i
			}
		})
	}
}

// listener returns the address of a socket that listens.
func (w *ours) listener(t *testing.T) []byte {
	t.Helper()
	fd, err := w.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.bind(fd, sa4("127.0.0.1", 0)); err != nil {
		t.Fatal(err)
	}
	if err := w.listen(fd, 4096); err != nil {
		t.Fatal(err)
	}
	sa, err := w.name(fd)
	if err != nil {
		t.Fatal(err)
	}
	return sa
}

// Where all ports but one are in use, that one is found; where all are, the call says so.
func TestLastPortIsFound(t *testing.T) {
	free := map[uint16]bool{firstEphemeralPort: true, 50000: true, lastEphemeralPort: true}
	var first, last uint16
	p := newPortRange(7, func(f, l uint16) tcpip.Error {
		first, last = f, l
		return nil
	})
	var got uint16
	f := func() tcpip.Error {
		for port := int(first); port <= int(last); port++ {
			if free[uint16(port)] {
				got = uint16(port)
				delete(free, got)
				return nil
			}
		}
		return &tcpip.ErrNoPortAvailable{}
	}
	found := make(map[uint16]bool)
	for range 3 {
		if err := p.choose(unix.EADDRINUSE, f); err != nil {
			t.Fatal(err)
		}
		found[got] = true
	}
	if !found[firstEphemeralPort] || !found[50000] || !found[lastEphemeralPort] {
		t.Errorf("found %v", found)
	}
	if err := p.choose(unix.EADDRINUSE, f); err != unix.EADDRINUSE {
		t.Errorf("error %v where no port is left", err)
	}
	if err := p.choose(unix.EADDRINUSE, func() tcpip.Error { return &tcpip.ErrHostUnreachable{} }); err != unix.EHOSTUNREACH {
		t.Errorf("error %v, want the engine's", err)
	}
}

// The windows cover the range, and nothing else.
func TestPortWindows(t *testing.T) {
	seen := make(map[uint16]int)
	p := newPortRange(0, func(first, last uint16) tcpip.Error {
		if first < firstEphemeralPort || last > lastEphemeralPort || last < first || last-first >= portWindow {
			t.Fatalf("window %d to %d", first, last)
		}
		for port := int(first); port <= int(last); port++ {
			seen[uint16(port)]++
		}
		return nil
	})
	const windows = (lastEphemeralPort - firstEphemeralPort + portWindow) / portWindow
	for range 2 * windows {
		p.move()
	}
	for port := firstEphemeralPort; port <= lastEphemeralPort; port++ {
		if seen[uint16(port)] != 2 {
			t.Fatalf("port %d was in %d windows, want 2", port, seen[uint16(port)])
		}
	}
}

// A window whose ports are all in use doesn't fail those who want one.
func TestFullPortWindow(t *testing.T) {
	for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
		w := newOurs(t)
		listener := w.listener(t)
		for port := 40000; port < 40000+portWindow; port++ {
			fd, err := w.socket(unix.AF_INET, typ, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.bind(fd, sa4("0.0.0.0", port)); err != nil {
				t.Fatal(err)
			}
		}
		for _, call := range []func(fd int) error{
			func(fd int) error { return w.bind(fd, sa4("127.0.0.1", 0)) },
			func(fd int) error { return w.connect(fd, listener) },
		} {
			w.s.engine.(*netstack).ports.next = 40000
			fd, err := w.socket(unix.AF_INET, typ, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := call(fd); err != nil {
				t.Fatal(err)
			}
			if sa, err := w.name(fd); err != nil || portOf(sa) >= 40000 && portOf(sa) < 40000+portWindow {
				t.Errorf("port %d, error %v", portOf(sa), err)
			}
		}
	}
}
